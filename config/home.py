"""What the start page says: how much waits for whom, and how to begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chatbot.incident_words import Words, describe
from chatbot.models import FailedEvent, FailedEventState, Incident, MessageLog, MessageStatus
from chatbot.requests import StaffRequest
from chatbot.web_watch import watch
from leads.models import Lead, LeadStatus
from sessions_app.models import Channel, Owner, Session
from tickets.models import Ticket

NOON, EVENING = 12, 18


INCIDENTS_SHOWN = 5


@dataclass(frozen=True)
class Trouble:
    """An open incident. Attendants get `words.short` alone: mending it is not their work."""

    incident: Incident
    words: Words


@dataclass(frozen=True)
class Card:
    """One number, what it counts, a line that says more, and the list behind it."""

    label: str
    count: int
    detail: str
    url: str
    is_trouble: bool = False


def start_page(request: StaffRequest) -> dict[str, Any]:
    now = timezone.localtime()
    watch.look_for_worker(now=now)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    channel = Channel.objects.visible_to(request.user).active().filter(is_default=True).first()
    return {
        "greeting": _greeting(now, request.user.get_short_name() or request.user.get_username()),
        "now": now,
        **_incidents(request),
        "cards": [
            _open_tickets(request),
            _live_sessions(request),
            _leads_of_today(request, midnight),
            _undelivered(request, midnight),
            *_failed_events(request),
        ],
        "default_channel": channel,
        "is_only_simulated": channel is None or channel.is_simulator,
        "webhook_url": f"{settings.SITE_URL}/webhook",
    }


def _incidents(request: StaffRequest) -> dict[str, Any]:
    """The newest open ones, and how many more there are."""
    rows = Incident.objects.visible_to(request.user).open().select_related("channel")
    found = list(rows.defer("channel__credentials", "channel__settings"))
    shown = [Trouble(one, describe(one)) for one in found[:INCIDENTS_SHOWN]]
    if not request.user.is_admin:
        sentences = list(dict.fromkeys(one.words.short for one in shown))
        return {"sentences": sentences}
    return {"troubles": shown, "more_troubles": len(found) - len(shown)}


def _greeting(now: datetime, name: str) -> str:
    if now.hour < NOON:
        return _("Good morning, %(name)s") % {"name": name}
    if now.hour < EVENING:
        return _("Good afternoon, %(name)s") % {"name": name}
    return _("Good evening, %(name)s") % {"name": name}


def _open_tickets(request: StaffRequest) -> Card:
    tickets = Ticket.objects.visible_to(request.user).real().open()
    n = tickets.aggregate(
        all=Count("pk"),
        mine=Count("pk", filter=Q(assignee=request.user)),
        nobody=Count("pk", filter=Q(assignee=None)),
    )
    detail = _("%(mine)d with you, %(nobody)d with nobody") % n
    return Card(_("Open tickets"), n["all"], detail, reverse("admin:tickets_ticket_changelist"))


def _live_sessions(request: StaffRequest) -> Card:
    sessions = Session.objects.visible_to(request.user).real().live()
    n = sessions.aggregate(all=Count("pk"), bot=Count("pk", filter=Q(owner=Owner.BOT)))
    people = n["all"] - n["bot"]
    detail = _("%(bot)d with the bot, %(people)d with the team") % {**n, "people": people}
    url = reverse("admin:sessions_app_session_changelist")
    return Card(_("Live sessions"), n["all"], detail, url)


def _leads_of_today(request: StaffRequest, midnight: datetime) -> Card:
    leads = Lead.objects.visible_to(request.user).real().filter(created_at__gte=midnight)
    n = leads.aggregate(
        all=Count("pk"), qualified=Count("pk", filter=Q(status=LeadStatus.QUALIFIED))
    )
    detail = ngettext(
        "%(qualified)d already qualified", "%(qualified)d already qualified", n["qualified"]
    )
    return Card(_("Leads of today"), n["all"], detail % n, reverse("admin:leads_lead_changelist"))


def _undelivered(request: StaffRequest, midnight: datetime) -> Card:
    messages = MessageLog.objects.visible_to(request.user).real()
    count = messages.filter(status=MessageStatus.FAILED, created_at__gte=midnight).count()
    url = reverse("admin:chatbot_messagelog_changelist")
    return Card(
        _("Not delivered today"),
        count,
        _("messages that a channel refused"),
        f"{url}?status__exact={MessageStatus.FAILED}",
        is_trouble=count > 0,
    )


def _failed_events(request: StaffRequest) -> list[Card]:
    """Only for who may look at them: they hold what customers sent, whoever they are."""
    if not request.user.has_perm("chatbot.view_failedevent"):
        return []
    count = FailedEvent.objects.filter(state=FailedEventState.NEW).count()
    url = reverse("admin:chatbot_failedevent_changelist")
    return [
        Card(
            _("Failed events"),
            count,
            _("received and not yet handled"),
            f"{url}?state__exact={FailedEventState.NEW}",
            is_trouble=count > 0,
        )
    ]
