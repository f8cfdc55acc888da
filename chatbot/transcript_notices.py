"""What stands between the messages of a conversation: the team's notes, what happened to its
tickets, and where a session begins and ends."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chatbot.models import FlowRun
from sessions_app.models import Session
from tickets.models import InternalNote, TicketEvent, TicketEventKind, TicketStatus
from tickets.services import UNDONE, UNTIL_REPLY
from tickets.wording import CODES
from users.models import Department

TURNS = frozenset({TicketStatus.IN_PROGRESS, TicketStatus.WAITING_CUSTOMER})
TAKING = frozenset({TicketEventKind.OPENED, TicketEventKind.CLAIMED})
ICONS = {
    TicketEventKind.OPENED: "swap",
    TicketEventKind.CLAIMED: "users",
    TicketEventKind.ASSIGNED: "users",
    TicketEventKind.RELEASED: "users",
    TicketEventKind.TRANSFERRED: "swap",
    TicketEventKind.PRIORITY: "flag",
    TicketEventKind.STATUS: "clock",
    TicketEventKind.SNOOZED: "snooze",
    TicketEventKind.RESOLVED: "check-c",
    TicketEventKind.CLOSED: "check-c",
    TicketEventKind.REOPENED: "retry",
    TicketEventKind.MERGED: "merge",
    TicketEventKind.WOKEN: "snooze",
    TicketEventKind.TAGGED: "tag",
    TicketEventKind.WARNED: "clock",
    TicketEventKind.RATED: "star",
}

# In the past tense, with who did it.
BY_SOMEBODY: dict[str, Promise] = {
    "opened nowhere": gettext_lazy("%(actor)s opened the ticket"),
    TicketEventKind.OPENED: gettext_lazy("%(actor)s opened the ticket in %(department)s"),
    TicketEventKind.CLAIMED: gettext_lazy("%(actor)s claimed the ticket"),
    TicketEventKind.ASSIGNED: gettext_lazy("%(actor)s assigned the ticket to %(person)s"),
    TicketEventKind.RELEASED: gettext_lazy("%(actor)s returned the ticket to the queue"),
    "transferred to_person": gettext_lazy(
        "%(actor)s transferred the ticket to %(person)s, %(department)s"
    ),
    TicketEventKind.TRANSFERRED: gettext_lazy("%(actor)s transferred the ticket to %(department)s"),
    TicketEventKind.PRIORITY: gettext_lazy(
        "%(actor)s changed the priority from %(from)s to %(to)s"
    ),
    TicketEventKind.SNOOZED: gettext_lazy("%(actor)s snoozed the ticket until %(until)s"),
    "snoozed reply": gettext_lazy("%(actor)s snoozed the ticket until the customer answers"),
    TicketEventKind.WOKEN: gettext_lazy("%(actor)s took the ticket up again"),
    TicketEventKind.RESOLVED: gettext_lazy("%(actor)s resolved the ticket"),
    "resolved rating": gettext_lazy("%(actor)s resolved the ticket and asked for a rating"),
    "resolved bot": gettext_lazy("%(actor)s resolved the ticket and gave it back to the bot"),
    TicketEventKind.CLOSED: gettext_lazy("%(actor)s closed the ticket"),
    TicketEventKind.REOPENED: gettext_lazy("%(actor)s reopened the ticket"),
    TicketEventKind.MERGED: gettext_lazy("%(actor)s merged two conversations"),
    TicketEventKind.TAGGED: gettext_lazy("%(actor)s added the tags: %(added)s"),
    "tagged removed": gettext_lazy("%(actor)s removed the tags: %(removed)s"),
    "tagged skills": gettext_lazy("%(actor)s changed the skills that the ticket needs"),
}
# Without an actor it was the bot, the customer or the clock.
BY_ITSELF: dict[str, Promise] = {
    "opened nowhere": gettext_lazy("Handed to the team"),
    TicketEventKind.OPENED: gettext_lazy("Handed to %(department)s"),
    TicketEventKind.ASSIGNED: gettext_lazy("Ticket assigned to %(person)s"),
    "assigned distribution": gettext_lazy("Distribution gave the ticket to %(person)s"),
    TicketEventKind.RELEASED: gettext_lazy("The ticket returned to the queue"),
    "released not_accepted": gettext_lazy("Not accepted in time: the ticket returned to the queue"),
    TicketEventKind.TRANSFERRED: gettext_lazy("Transferred to %(department)s"),
    "transferred overflow": gettext_lazy("Nobody could take it: transferred to %(department)s"),
    TicketEventKind.WOKEN: gettext_lazy("The snoozed ticket is due again"),
    TicketEventKind.RESOLVED: gettext_lazy("Ticket resolved"),
    TicketEventKind.CLOSED: gettext_lazy("Ticket closed"),
    "closed silence": gettext_lazy("Closed: the customer did not answer any more"),
    "woken message": gettext_lazy("The customer wrote: the ticket is not snoozed any more"),
    TicketEventKind.REOPENED: gettext_lazy(
        "The customer wrote again: the ticket is back in the queue"
    ),
    "reopened to_person": gettext_lazy(
        "The customer wrote again: the ticket is back with %(person)s"
    ),
    TicketEventKind.WARNED: gettext_lazy("The customer was warned of the silence"),
    TicketEventKind.RATED: gettext_lazy("The customer rated the service %(rating)s of 5"),
}


@dataclass(frozen=True)
class Mention:
    """A stretch of a note; `is_person` when it names a colleague."""

    text: str
    is_person: bool = False


@dataclass(frozen=True)
class Note:
    """What the team says among themselves."""

    pk: int
    author_id: int | None
    by: str
    pieces: tuple[Mention, ...]
    at: datetime
    day: date | None = None
    new: int = 0

    is_note = True


@dataclass(frozen=True)
class Event:
    """One thing that happened, in words. `key` tells events of a page apart."""

    key: str
    icon: str
    text: str
    at: datetime
    actor_id: int | None = None
    is_claim: bool = False
    is_beginning: bool = False
    day: date | None = None
    new: int = 0

    is_event = True


# --- Notes -------------------------------------------------------------------------------------


def note_of(row: InternalNote) -> Note:
    names = {
        f"@{name}"
        for person in row.mentions.all()
        for name in (person.get_full_name(), person.first_name, person.username)
        if name
    }
    return Note(
        pk=row.pk,
        author_id=row.author_id,
        by=str(row.author) if row.author else _("Former colleague"),
        pieces=tuple(_pieces(row.text, names)),
        at=row.created_at,
    )


def _pieces(text: str, names: Collection[str]) -> Iterator[Mention]:
    if not names:
        yield Mention(text)
        return
    longest_first = sorted(names, key=len, reverse=True)
    parts = re.split(rf"((?:{'|'.join(map(re.escape, longest_first))})(?!\w))", text, flags=re.I)
    for number, part in enumerate(parts):
        if part:
            yield Mention(part, is_person=number % 2 == 1)


# --- Events ------------------------------------------------------------------------------------


def events_of(rows: Sequence[TicketEvent]) -> list[Event]:
    """What happened to tickets. Whose turn it is changes with every message, and is left out."""
    shown = [row for row in rows if not _is_turn(row)]
    names = _departments(shown)
    return [
        Event(
            key=f"event-{row.pk}",
            icon=ICONS.get(row.kind, "info"),  # type: ignore[call-overload]  # a stored kind may be unknown here
            text=_sentence(row, names),
            at=row.created_at,
            actor_id=row.actor_id,
            is_claim=row.kind in TAKING,
        )
        for row in shown
    ]


def _is_turn(row: TicketEvent) -> bool:
    return row.kind == TicketEventKind.STATUS and row.details.get("to") in TURNS


def _departments(rows: Sequence[TicketEvent]) -> dict[str, str]:
    slugs = {slug for row in rows for slug in _slugs(row.details) if not _named(row.details)}
    if not slugs:
        return {}
    return dict(Department.objects.filter(slug__in=slugs).values_list("slug", "name"))


def _slugs(details: dict[str, Any]) -> Iterator[str]:
    for place in (details, details.get("to")):
        slug = place.get("department") if isinstance(place, dict) else None
        if isinstance(slug, str):
            yield slug


def _sentence(row: TicketEvent, departments: dict[str, str]) -> str:
    details = row.details
    to = details.get("to")
    about = {
        "actor": str(row.actor) if row.actor else "",
        "department": _place(details, departments),
        "person": _person(to),
        "from": _code(details.get("from")),
        "to": _code(to),
        "until": _moment(details.get("until")),
        "rating": details.get("rating", ""),
        "added": _list(details.get("added")),
        "removed": _list(details.get("removed")),
    }
    known = BY_SOMEBODY if row.actor else BY_ITSELF
    told = known.get(_variant(row, about)) or known.get(row.kind)
    if told is None:
        kind = row.get_kind_display()
        said = f"{row.actor}: {kind}" if row.actor else capfirst(kind)
    else:
        said = str(told) % about
    return _("%(event)s (undone)") % {"event": said} if UNDONE in details else said


def _variant(row: TicketEvent, about: dict[str, Any]) -> str:
    """The same kind of event, told with more or less than usual."""
    details = row.details
    variants = {
        TicketEventKind.OPENED: "nowhere" if not about["department"] else "",
        TicketEventKind.ASSIGNED: details.get("why"),
        TicketEventKind.RELEASED: details.get("why"),
        TicketEventKind.TRANSFERRED: "to_person" if about["person"] else details.get("why"),
        TicketEventKind.REOPENED: "to_person" if about["person"] else "",
        TicketEventKind.RESOLVED: "rating" if details.get("entry") else details.get("then"),
        TicketEventKind.CLOSED: details.get("why"),
        TicketEventKind.SNOOZED: UNTIL_REPLY if details.get("until") == UNTIL_REPLY else "",
        TicketEventKind.WOKEN: details.get("why"),
        TicketEventKind.TAGGED: details.get("why")
        or ("removed" if about["removed"] and not about["added"] else ""),
    }
    return f"{row.kind} {variants.get(row.kind)}"  # type: ignore[call-overload]  # a stored kind may be unknown here


def _named(details: dict[str, Any]) -> str:
    """The department's name, of events that keep it."""
    to = details.get("to")
    return str(to.get("department_name") or "") if isinstance(to, dict) else ""


def _place(details: dict[str, Any], departments: dict[str, str]) -> str:
    if name := _named(details):
        return name
    slug = next(reversed(list(_slugs(details))), "")
    return departments.get(slug, slug)


def _person(to: Any) -> str:
    """Who is named in an event's `to`: a person, or a department with one."""
    found = to.get("person", to) if isinstance(to, dict) else None
    return str(found.get("name", "")) if isinstance(found, dict) else ""


def _list(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else ""


def _code(value: Any) -> str:
    return str(CODES.get(value, value)) if isinstance(value, str) else ""


def _moment(value: Any) -> str:
    moment = parse_datetime(value) if isinstance(value, str) else None
    return date_format(timezone.localtime(moment), "SHORT_DATETIME_FORMAT") if moment else ""


# --- Sessions ----------------------------------------------------------------------------------


def beginning_of(session: Session) -> Event:
    """Where the session began, and in which flow."""
    runs = FlowRun.objects.filter(session=session).select_related("version__flow")
    run = runs.defer("version__document", "version__flow__draft").order_by("pk").first()
    about = {"channel": session.channel, "flow": run.version if run else ""}
    text = (
        _("Session began on %(channel)s · flow %(flow)s")
        if run
        else _("Session began on %(channel)s")
    )
    key, at = f"began-{session.pk}", session.started_at
    return Event(key, "session", text % about, at, is_beginning=True)


def turns_of(session: Session, now: datetime) -> list[Event]:
    """Where the session ended, or its service window closed."""
    if session.ended_at is not None:
        text = _("Session ended: %(reason)s") % {"reason": session.get_end_reason_display()}
        return [Event(f"ended-{session.pk}", "session", text, session.ended_at)]
    until = session.window_expires_at
    if until is not None and until <= now:
        return [Event(f"closed-{session.pk}", "lock", _("The 24 h service window closed"), until)]
    return []
