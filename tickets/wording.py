"""What a ticket keeps as JSON, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from sessions_app.models import Owner
from tickets.models import Priority, Ticket, TicketEvent, TicketStatus
from tickets.services import Next

MASK = "••••••"
CODES: dict[str, str | Promise] = {
    **dict(Priority.choices),
    **dict(TicketStatus.choices),
    **dict(Owner.choices),
    **dict(Next.choices),
}


def collected(ticket: Ticket) -> list[tuple[str, str]]:
    """What the bot asked and what was answered; sensitive answers are masked."""
    labels = ticket.handoff.get("labels", {})
    sensitive = ticket.handoff.get("sensitive", ())
    return [
        (labels.get(name, name), MASK if name in sensitive else _shown(value))
        for name, value in ticket.variables.items()
    ]


def event_in_words(event: TicketEvent) -> str:
    details = event.details
    if "from" in details and "to" in details:
        return f"{_coded(details['from']) or '–'} → {_coded(details['to']) or '–'}"
    return " · ".join(filter(None, map(_coded, details.values())))


def _coded(value: Any) -> str:
    """A detail of an event: a code, a moment, a person, or a department and a person."""
    if isinstance(value, Mapping):
        return str(value.get("name", "")) or " · ".join(filter(None, map(_coded, value.values())))
    if isinstance(value, str) and (moment := parse_datetime(value) if "T" in value else None):
        return date_format(timezone.localtime(moment), "DATETIME_FORMAT")
    return str(CODES.get(value, value)) if isinstance(value, str) else _shown(value)


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return _("yes") if value else _("no")
        case list() | tuple():
            return ", ".join(map(_shown, value))
        case Mapping():
            return ", ".join(filter(None, map(_shown, value.values())))
    return str(value)
