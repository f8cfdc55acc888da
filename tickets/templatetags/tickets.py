"""How a ticket stands, at a glance: its SLA, priority and status, on every page in the same way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext, pgettext_lazy

from tickets.models import Priority, Ticket, TicketStatus
from tickets.sla import Clock, clock, first_response_clock, resolution_clock
from users.durations import duration_in_words

register = template.Library()

BARS = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}
CHIPS = {
    TicketStatus.OPEN: "info",
    TicketStatus.IN_PROGRESS: "accent",
    TicketStatus.WAITING_CUSTOMER: "warn",
    TicketStatus.RESOLVED: "ok",
    TicketStatus.CLOSED: "",
}
CLOCKS = {"": clock, "response": first_response_clock, "resolution": resolution_clock}
LABELS = {
    "response": pgettext_lazy("SLA", "response"),
    "resolution": pgettext_lazy("SLA", "resolution"),
}


@register.inclusion_tag("tickets/_sla_chip.html")
def sla_chip(ticket: Ticket, at: datetime | None = None, of: str = "") -> dict[str, Any]:
    """The clock that counts now (`tickets.sla.clock`), or `of` "response" or "resolution" that
    one, by name; nothing when the ticket has none.

    While it runs, `data-due` (ISO, UTC) lets the page count on; the words stand in `[data-left]`.
    No query.
    """
    at = at or timezone.now()
    now = CLOCKS[of](ticket, at)
    return {
        "state": now.state,
        "label": LABELS.get(of, ""),
        "tone": _tone(now, ticket, at),
        "text": _text(now, ticket, at),
        "due": _due(now, ticket),
        "title": _title(now),
    }


@register.simple_tag
def prio(of: Ticket | str) -> SafeString:
    """The priority of a ticket, or one by its code: bars of different height; the words are its
    name."""
    names = {
        Priority.LOW: _("Low priority"),
        Priority.MEDIUM: _("Medium priority"),
        Priority.HIGH: _("High priority"),
    }
    priority = Priority(of.priority if isinstance(of, Ticket) else of)
    return format_html(
        '<span class="prio p{}" role="img" aria-label="{}" title="{}"><i></i><i></i><i></i></span>',
        BARS[priority],
        names[priority],
        names[priority],
    )


@register.inclusion_tag("tickets/_status_chip.html")
def status_chip(ticket: Ticket) -> dict[str, Any]:
    status = TicketStatus(ticket.status)
    return {"tone": CHIPS[status], "name": capfirst(str(status.label))}


def _tone(now: Clock, ticket: Ticket, at: datetime) -> str:
    if now.state == "missed":
        return "late"
    if now.state == "met" and not ticket.is_open:
        return "ok"
    return "risk" if now.is_at_risk(at) else ""


def _text(now: Clock, ticket: Ticket, at: datetime) -> str:
    if now.due is None:
        return ""
    left = duration_in_words(now.due - at)
    match now.state:
        case "paused":
            return pgettext("SLA", "paused")
        case "missed" if ticket.is_open:
            return _("late by %(time)s") % {"time": left}
        case "missed":
            return _("missed")
        case "met":
            return _("in time")
    return left


def _due(now: Clock, ticket: Ticket) -> str:
    """Only where time goes on."""
    if now.due is None or not ticket.is_open or now.paused is not None:
        return ""
    return now.due.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _title(now: Clock) -> str:
    if now.due is None:
        return ""
    shown = date_format(timezone.localtime(now.due), "DATETIME_FORMAT")
    return _("Due %(date)s") % {"date": shown}
