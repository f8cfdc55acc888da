"""What every simulation of everybody has left, and its end."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, OuterRef

from chatbot.models import FlowRun, FlowVersion, MessageLog, SimulatedPerson
from leads.models import Lead
from sessions_app.models import Session
from tickets.models import Ticket


@transaction.atomic
def clear() -> dict[str, int]:
    """Remove every simulated conversation with its people, tickets and tasks, and the drafts that
    were tried; how many there were. Test conversations stay."""
    counts = count()
    SimulatedPerson.objects.all().delete()
    Ticket.objects.filter(is_simulated=True).delete()
    MessageLog.objects.filter(session__is_simulated=True).delete()
    Session.objects.filter(is_simulated=True).delete()
    Lead.objects.filter(is_simulated=True).delete()
    tried = FlowVersion.objects.filter(number=None)
    tried.filter(~Exists(FlowRun.objects.filter(version=OuterRef("pk")))).delete()
    return counts


def count() -> dict[str, int]:
    return {
        "sessions": Session.objects.filter(is_simulated=True).count(),
        "leads": Lead.objects.filter(is_simulated=True).count(),
        "tickets": Ticket.objects.filter(is_simulated=True).count(),
    }
