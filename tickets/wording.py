"""What a ticket keeps as JSON, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sessions_app.models import Owner
from tickets.models import Priority, Ticket, TicketEvent, TicketStatus
from tickets.services import BEFORE, NO_CASE, SILENCE, UNDONE, UNTIL_REPLY, Next
from tickets.services.transition import DISTRIBUTION, NOT_ACCEPTED, OVERFLOW, SKILLS
from users.masking import hidden_names, hint

WHY = {
    "time": gettext_lazy("its time has come"),
    "message": gettext_lazy("the customer wrote"),
    "person": gettext_lazy("by hand"),
    SILENCE: gettext_lazy("the customer did not answer"),
    NO_CASE: gettext_lazy("the bot went on"),
    UNTIL_REPLY: gettext_lazy("until the customer answers"),
    DISTRIBUTION: gettext_lazy("given out by itself"),
    NOT_ACCEPTED: gettext_lazy("not accepted in time"),
    OVERFLOW: gettext_lazy("nobody could take it"),
    SKILLS: gettext_lazy("skills needed"),
}
CODES: dict[str, str | Promise] = {
    **dict(Priority.choices),
    **dict(TicketStatus.choices),
    **dict(Owner.choices),
    **dict(Next.choices),
    **WHY,
}
UNSAID = frozenset({BEFORE, UNDONE, "session"})  # of an event's details: for programs alone


@dataclass(frozen=True)
class Answer:
    """What the bot asked and what was answered; `value` is masked while `is_masked`."""

    name: str
    label: str
    value: str
    is_masked: bool


def answers_of(ticket: Ticket) -> tuple[Answer, ...]:
    """Sensitive answers are masked. Whoever shows one (`revealed`) logs it."""
    labels = ticket.handoff.get("labels", {})
    hidden = _hidden(ticket)
    return tuple(
        Answer(
            name=name,
            label=labels.get(name, name),
            value=hint(_answer(ticket, name)) if name in hidden else _answer(ticket, name),
            is_masked=name in hidden,
        )
        for name in ticket.variables
    )


def revealed(ticket: Ticket, name: str) -> str | None:
    """A sensitive answer as it was given; None when there is none of that name."""
    return _answer(ticket, name) if name in _hidden(ticket) else None


def _hidden(ticket: Ticket) -> frozenset[str]:
    return hidden_names(ticket.variables, ticket.handoff.get("sensitive", ()))


def _answer(ticket: Ticket, name: str) -> str:
    """Of a menu what the chosen option was called then, else the value itself."""
    return ticket.handoff.get("options", {}).get(name) or _shown(ticket.variables[name])


def event_in_words(event: TicketEvent) -> str:
    """The details of an event alone, for tables that show its kind beside them."""
    details = {name: one for name, one in event.details.items() if name not in UNSAID}
    if "from" in details and "to" in details:
        return f"{_coded(details['from']) or '–'} → {_coded(details['to']) or '–'}"
    return " · ".join(filter(None, map(_coded, details.values())))


def _coded(value: Any) -> str:
    """A detail of an event: a code, a moment, a person, or a department and a person."""
    if isinstance(value, Mapping):
        parts = dict(value)
        if parts.get("department_name"):
            parts.pop("department", None)  # the slug of the same
        return str(parts.get("name", "")) or " · ".join(filter(None, map(_coded, parts.values())))
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
