"""What stands around the conversation on a ticket's page: the queue beside it, what the bot handed
over, what is known of the lead, what happened. Reads a bounded number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zlib import crc32

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tickets.models import Ticket, TicketEvent, TicketEventKind, TicketQuerySet, TicketStatus
from tickets.services import UNTIL_REPLY
from tickets.wording import Answer, answers_of
from users.digits import whole
from users.frozen import Frozen
from users.models import User

QUEUE = 50  # tickets in the column; who has more works from the list
EVENTS = 8
PREVIOUS = 4
MINE = "mine"
ENDLESS = 2**63 - 1  # above every id
SORTS = ("sla", "recent")
EVENING, MORNING = time(18), time(9)
HALF_HOUR, HOUR = timedelta(minutes=30), timedelta(hours=1)

# Reasons that the program gives; any other is a sentence of the flow.
REASONS = {
    "no_flow": gettext_lazy("No flow answers on this channel."),
    "channel_off": gettext_lazy("The channel was switched off."),
    "bot_failed": gettext_lazy("The bot failed."),
}
TROUBLE = "trouble:"


# --- The column on the left --------------------------------------------------------------------


@dataclass(frozen=True)
class Queue:
    """One's own tickets, or the unclaimed ones of a department; the nearest due time first."""

    of: str  # MINE, or the id of a department
    sort: str
    title: str
    tickets: tuple[Ticket, ...]
    is_cut: bool

    @property
    def digest(self) -> str:
        """The same as long as the column would look the same, but for the ticking of its clocks."""
        shown = [
            (
                one.pk,
                one.lead.name,
                one.unread,
                one.last_message_preview,
                one.first_response_at,
                one.first_response_due_at,
                one.resolution_due_at,
                one.sla_paused_at,
            )
            for one in self.tickets
        ]
        return f"{crc32(repr(shown).encode()):x}"


def queue_beside(ticket: Ticket) -> str:
    """Which column stands beside this ticket."""
    is_waiting = ticket.is_open and ticket.assignee_id is None
    return str(ticket.department_id) if is_waiting else MINE


def queue_of(of: str, user: User, *, sort: str, at: datetime) -> Queue:
    """One statement. `of` is MINE or the id of a department."""
    sort = sort if sort in SORTS else SORTS[0]
    department = whole(of)
    if department is not None:
        values = {"user": user, "at": at, "department": department}
        rows = _WAITING.all((user.is_admin, sort), **values)
    else:
        of, rows = MINE, _MINE.all((user.is_admin, sort), user=user, at=at)
    found = tuple(rows)
    return Queue(of, sort, _queue_title(of, found), found[:QUEUE], is_cut=len(found) > QUEUE)


_QUEUE_COLUMNS = (
    "protocol",
    "status",
    "priority",
    "unread",
    "assignee",
    "last_message_preview",
    "last_message_at",
    "first_response_at",
    "first_response_due_at",
    "resolution_due_at",
    "sla_paused_at",
    "resolved_at",
    "closed_at",
)


def _beside(rows: TicketQuerySet, sort: str, at: datetime) -> TicketQuerySet:
    """These of the tickets in the order of the column, as far as it shows them."""
    is_recent = sort == "recent"
    order = F("last_message_at").desc(nulls_last=True)
    order = order if is_recent else F("due_at").asc(nulls_last=True)
    rows = rows.real().open().awake(at).with_due().order_by(order, "-id")
    shown = rows.select_related("lead", "department").only(
        *_QUEUE_COLUMNS, "lead__name", "lead__phone", "department__name"
    )
    return shown[: QUEUE + 1]


_MINE = Frozen(
    lambda shape, user, at: _beside(
        Ticket.objects.visible_to(user).filter(assignee=user), shape[1], at
    )
)
_WAITING = Frozen(
    lambda shape, user, at, department: _beside(
        Ticket.objects.visible_to(user).unassigned().filter(department=department), shape[1], at
    )
)


def _queue_title(of: str, found: tuple[Ticket, ...]) -> str:
    if of == MINE:
        return _("My tickets")
    return _("Queue: %(department)s") % {"department": found[0].department} if found else _("Queue")


# --- How it stands -----------------------------------------------------------------------------

STATE_COLUMNS = (
    "assignee_id",
    "status",
    "priority",
    "department_id",
    "snoozed_until",
    "snoozed_until_reply",
    "first_response_at",
    "first_response_due_at",
    "resolution_due_at",
    "sla_paused_at",
)


def state_of(values: Iterable[Any]) -> str:
    """A mark of the STATE_COLUMNS: another one means that the head of the page is out of date."""
    return f"{crc32(repr(tuple(values)).encode()):x}"


def state_of_ticket(ticket: Ticket) -> str:
    return state_of(getattr(ticket, name) for name in STATE_COLUMNS)


def note_opened(ticket: Ticket, user: User) -> None:
    """What the assignee has before their eyes is read; the instance goes on saying how much was
    new."""
    if ticket.unread and ticket.assignee_id == user.pk:
        mark_read(ticket.pk, user)


def mark_read(ticket_id: int, user: User) -> None:
    """One statement, and none of its rows when the ticket is somebody else's by now."""
    mine = Ticket.objects.filter(pk=ticket_id, assignee=user, unread__gt=0)
    mine.update(unread=0)


# --- What the bot handed over ------------------------------------------------------------------


@dataclass(frozen=True)
class Handoff:
    """Why the bot gave the conversation to people, and what it knew. Never changes."""

    reason: str
    word: str  # the customer's word that led to people, when it was one
    steps: tuple[str, ...]
    answers: tuple[Answer, ...]
    at: datetime
    waited: timedelta | None  # until somebody claimed it, or answered; None while nobody has


def handoff_of(ticket: Ticket) -> Handoff | None:
    """None of a ticket that people opened."""
    told: Mapping[str, Any] = ticket.handoff
    if not told:
        return None
    claims = ticket.events.filter(kind=TicketEventKind.CLAIMED).order_by("pk")
    claimed_at = claims.values_list("created_at", flat=True).first()
    # Who is given a ticket need not claim it, and the phone does not either.
    met_at = min(filter(None, (claimed_at, ticket.first_response_at)), default=None)
    return Handoff(
        reason=_reason(str(told.get("reason") or "")),
        word=str(told.get("word") or ""),
        steps=tuple(str(step) for step in told.get("steps") or told.get("path") or ()),
        answers=answers_of(ticket),
        at=ticket.created_at,
        waited=max(met_at - ticket.created_at, timedelta()) if met_at is not None else None,
    )


def _reason(code: str) -> str:
    if code.startswith(TROUBLE):
        return _("The bot could not go on.")
    return str(REASONS.get(code, code))


# --- What is known of the lead -----------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """Rows, newest first, and the id to go on from; None when these were the last."""

    rows: tuple[Any, ...]
    next: int | None


def previous_tickets(ticket: Ticket, user: User, *, before: int | None = None) -> Page:
    """What the lead asked for besides, as far as the person may see it."""
    values = {"user": user, "lead": ticket.lead_id, "ticket": ticket.pk}
    rows = _PREVIOUS.all(user.is_admin, before=ENDLESS if before is None else before, **values)
    return _page(rows, PREVIOUS)


_PREVIOUS = Frozen(
    lambda _is_admin, user, lead, ticket, before: (
        Ticket.objects.visible_to(user)
        .filter(lead=lead, pk__lt=before)
        .exclude(pk=ticket)
        .select_related("department")
        .defer("variables", "handoff")
        .order_by("-id")[: PREVIOUS + 1]
    )
)


def events_of(ticket: Ticket, *, before: int | None = None) -> Page:
    rows = _EVENTS.all(ticket=ticket.pk, before=ENDLESS if before is None else before)
    return _page(rows, EVENTS)


_EVENTS = Frozen(
    lambda _shape, ticket, before: (
        TicketEvent.objects.filter(ticket=ticket, pk__lt=before)
        .select_related("actor")
        .order_by("-id")[: EVENTS + 1]
    )
)


def _page(rows: Sequence[Any], size: int) -> Page:
    found = tuple(rows)
    return Page(found[:size], found[size - 1].pk if len(found) > size else None)


# --- Putting aside -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    key: str
    label: str
    at: datetime | None  # None: when the customer writes


def moments(now: datetime) -> list[Moment]:
    """Until when a ticket is usually put aside, on the clock of the site."""
    today = timezone.localdate(now)
    evening = _at(today, EVENING)
    tomorrow, monday = today + timedelta(days=1), today + timedelta(days=7 - today.weekday())
    found = [
        Moment("30m", _("30 minutes"), now + HALF_HOUR),
        Moment("1h", _("1 hour"), now + HOUR),
    ]
    if evening > now:
        found.append(Moment("evening", _("today, 18:00"), evening))
    found.append(Moment("tomorrow", _("tomorrow, 9:00"), _at(tomorrow, MORNING)))
    if monday != tomorrow:
        found.append(Moment("monday", _("Monday, 9:00"), _at(monday, MORNING)))
    return [*found, Moment(UNTIL_REPLY, _("until the customer answers"), None)]


def _at(day: Any, hour: time) -> datetime:
    return timezone.make_aware(datetime.combine(day, hour))  # made aware here


def may_wait(ticket: Ticket) -> bool:
    return ticket.assignee_id is not None and ticket.status != TicketStatus.WAITING_CUSTOMER
