"""The one function that changes a ticket's status and assignee, and what it may become."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from tickets.errors import TicketRefused, taken, wrong_status
from tickets.models import OPEN_STATUSES, Ticket, TicketEvent, TicketEventKind, TicketStatus
from tickets.services.locking import read_again
from tickets.sla import recounted, resumed
from users.models import Department, User

OPEN, IN_PROGRESS, WAITING_CUSTOMER, RESOLVED, CLOSED = (
    TicketStatus.OPEN,
    TicketStatus.IN_PROGRESS,
    TicketStatus.WAITING_CUSTOMER,
    TicketStatus.RESOLVED,
    TicketStatus.CLOSED,
)

# From each status, where it may go. Without an assignee an open ticket has the status "open".
MOVES: dict[str, frozenset[TicketStatus]] = {
    OPEN: frozenset({OPEN, IN_PROGRESS, WAITING_CUSTOMER, RESOLVED, CLOSED}),
    IN_PROGRESS: frozenset({OPEN, IN_PROGRESS, WAITING_CUSTOMER, RESOLVED, CLOSED}),
    WAITING_CUSTOMER: frozenset({OPEN, IN_PROGRESS, WAITING_CUSTOMER, RESOLVED, CLOSED}),
    RESOLVED: frozenset({OPEN, CLOSED}),
    CLOSED: frozenset({OPEN}),
}

# Not put aside, neither until a moment nor until the customer writes.
AWAKE: dict[str, Any] = {"snoozed_until": None, "snoozed_until_reply": False}
UNTIL_REPLY = "reply"  # what an event says instead of a moment

# What a person may undo, and where its event keeps how the ticket was before.
UNDOABLE = frozenset(
    {
        TicketEventKind.CLAIMED,
        TicketEventKind.ASSIGNED,
        TicketEventKind.RELEASED,
        TicketEventKind.TRANSFERRED,
        TicketEventKind.PRIORITY,
        TicketEventKind.STATUS,
        TicketEventKind.SNOOZED,
        TicketEventKind.WOKEN,
        TicketEventKind.RESOLVED,
        TicketEventKind.TAGGED,
    }
)
BEFORE = "before"
UNDONE = "undone"  # the number of the event that this one takes back
PLAIN = ("status", "assignee_id", "department_id", "priority", "unread", "snoozed_until_reply")
MOMENTS = (
    "assigned_at",
    "queued_at",
    "snoozed_until",
    "first_response_due_at",
    "resolution_due_at",
    "sla_paused_at",
    "silence_warned_at",
    "accept_by",
)
# Why, as events tell it.
DISTRIBUTION, NOT_ACCEPTED, OVERFLOW = "distribution", "not_accepted", "overflow"
SKILLS = "skills"  # of changed words: those that a ticket needs


def move(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    kind: TicketEventKind,
    *,
    to: TicketStatus,
    values: Mapping[str, Any],
    actor: User | None,
    at: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    """The only writer of status and assignee: an allowed move of a ticket that is as we read it.

    It also stops the SLA's clocks and lets them go on, forgets a warning of silence when the
    customer is not waited for any more, and until when it was to be accepted when it is, or is
    somebody else's; and it keeps with a person's event how the ticket was before (`undo`). Whoever
    gets the ticket is locked (`hold`).
    """
    if to not in MOVES[ticket.status]:
        raise wrong_status(ticket)
    assignee: User | None = values.get("assignee", ticket.assignee)
    is_same_hands = assignee is not None and assignee.pk == ticket.assignee_id
    if assignee is not None and to in OPEN_STATUSES and not (is_same_hands and ticket.is_open):
        hold(assignee)
    told = dict(details or {})
    if actor is not None and kind in UNDOABLE and UNDONE not in told:
        told[BEFORE] = snapshot(ticket)
    written = {**values, **clock_values(ticket, to=to, values=values, at=at), "status": to}
    if to != WAITING_CUSTOMER and ticket.silence_warned_at is not None:
        written["silence_warned_at"] = None
    if ticket.accept_by is not None and not (is_same_hands and to == OPEN):
        written.setdefault("accept_by", None)
    update(ticket, {**written, "updated_at": at})
    log(ticket, kind, actor=actor, details=told)


def clock_values(
    ticket: Ticket, *, to: TicketStatus, values: Mapping[str, Any], at: datetime
) -> dict[str, Any]:
    """What becomes of the SLA's clocks as `values` are written: they stand still while an open
    ticket waits for the customer or is put aside, and only then."""
    if "sla_paused_at" in values:
        return {}
    is_aside = any(values.get(name, getattr(ticket, name)) for name in AWAKE)
    stands_still = to == WAITING_CUSTOMER or (to in OPEN_STATUSES and is_aside)
    if stands_still == (ticket.sla_paused_at is not None):
        return {}
    if stands_still:
        return {"sla_paused_at": at}
    return {"sla_paused_at": None, **resumed(ticket, values, at=at)}


def snapshot(ticket: Ticket) -> dict[str, Any]:
    """What `undo` brings back, as JSON. The session is the ticket's locked one."""
    state = {name: getattr(ticket, name) for name in (*PLAIN, *MOMENTS)}
    moments = {name: state[name] and state[name].isoformat() for name in MOMENTS}
    return {**state, **moments, "owner": ticket.session.owner}


def update(ticket: Ticket, values: Mapping[str, Any]) -> None:
    """Write `values` if status and assignee are still the instance's; the instance follows."""
    unchanged = Ticket.objects.filter(
        pk=ticket.pk, status=ticket.status, assignee=ticket.assignee_id
    )
    if unchanged.update(**values) != 1:
        read_again(ticket)
        raise taken(ticket) if ticket.is_open else wrong_status(ticket)
    for name, value in values.items():
        setattr(ticket, name, value)


def log(
    ticket: Ticket, kind: TicketEventKind, *, actor: User | None, details: Mapping[str, Any]
) -> None:
    TicketEvent.objects.create(ticket=ticket, kind=kind, actor=actor, details=dict(details))


def to_queue(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    kind: TicketEventKind,
    *,
    actor: User | None,
    at: datetime,
    values: Mapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    in_queue = {"assignee": None, "assigned_at": None, "queued_at": at, **AWAKE}
    move(
        ticket,
        kind,
        to=OPEN,
        values={**(values or {}), **in_queue},
        actor=actor,
        at=at,
        details=details,
    )


def set_turn(
    ticket: Ticket,
    status: TicketStatus,
    *,
    values: Mapping[str, Any],
    actor: User | None,
    at: datetime,
) -> None:
    details = {"from": ticket.status, "to": status}
    move(
        ticket,
        TicketEventKind.STATUS,
        to=status,
        values=values,
        actor=actor,
        at=at,
        details=details,
    )


def due_values(
    ticket: Ticket, *, department: Department, priority: str
) -> dict[str, datetime | None]:
    """The times of another policy, counted from when the work began; an answer stays judged."""
    reopened = ticket.events.filter(kind=TicketEventKind.REOPENED).exclude(
        **{f"details__{UNDONE}__isnull": False}  # a resolution taken back begins nothing anew
    )
    due = recounted(
        ticket,
        department=department,
        priority=priority,
        began=reopened.values_list("created_at", flat=True).first() or ticket.created_at,
    )
    return {
        "first_response_due_at": due.first_response,
        "resolution_due_at": due.resolution,
    }


def person(user: User | None) -> dict[str, Any] | None:
    """As an event remembers someone: readable even when they are gone."""
    return None if user is None else {"id": user.pk, "name": str(user)}


def hold(user: User) -> None:
    """Lock who is about to get a ticket, until the transaction ends; refused when they are not
    active any more. After the session and the ticket, before the counter of protocols: what they
    have in hand does not grow while somebody counts it, and who leaves takes nothing along."""
    active = User.objects.active().select_for_update(no_key=True, of=("self",))
    if not active.filter(pk=user.pk).values("pk"):
        raise _inactive(user)


def require_active(user: User) -> None:
    if not user.is_active:
        raise _inactive(user)


def _inactive(user: User) -> TicketRefused:
    text = _("%(name)s is not active any more.") % {"name": user}
    return TicketRefused(text, code="user_inactive")
