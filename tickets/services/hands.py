"""Who has the ticket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions_app.models import Owner, Session
from sessions_app.services import hand_over
from tickets.errors import TicketRefused, taken
from tickets.models import NotificationKind, Ticket, TicketEventKind
from tickets.notifications import notify
from tickets.services.giving import require_may_give, require_seen_there
from tickets.services.locking import lock_open, lock_open_as_seen
from tickets.services.notes import add_note
from tickets.services.transition import (
    AWAKE,
    DISTRIBUTION,
    IN_PROGRESS,
    NOT_ACCEPTED,
    OPEN,
    WAITING_CUSTOMER,
    due_values,
    move,
    person,
    require_active,
    to_queue,
)
from users.models import Department, User


@transaction.atomic
def claim(
    ticket: Ticket, *, user: User, session: Session | None = None, at: datetime | None = None
) -> Ticket:
    """Take a ticket that nobody has, or accept one that was assigned to you."""
    at = at or timezone.now()
    require_active(user)
    session = lock_open(ticket, session)
    if ticket.assignee_id not in (None, user.pk):
        raise taken(ticket)
    if ticket.assignee_id == user.pk and ticket.status != OPEN:
        return ticket
    values = {"assignee": user, "assigned_at": ticket.assigned_at or at}
    move(ticket, TicketEventKind.CLAIMED, to=IN_PROGRESS, values=values, actor=user, at=at)
    hand_over(session, to=Owner.ATTENDANT, at=at)
    return ticket


@transaction.atomic
def assign(
    ticket: Ticket,
    *,
    to_user: User,
    actor: User | None,
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Give the ticket to someone. It is open again until they claim it or write."""
    require_active(to_user)
    session = lock_open_as_seen(ticket, session)
    if ticket.assignee_id == to_user.pk:
        return ticket
    require_may_give(ticket, actor)
    _assign(ticket, to_user, session=session, actor=actor, at=at or timezone.now())
    return ticket


@transaction.atomic
def give_to(
    ticket: Ticket, user_id: int, *, session: Session, accept_by: datetime | None, at: datetime
) -> None:
    """What distribution decided, about a waiting ticket of a locked session: it is theirs, and has
    to be accepted until `accept_by`."""
    to_user = User.objects.get(pk=user_id)
    details = {"why": DISTRIBUTION}
    values = {"accept_by": accept_by}
    _assign(ticket, to_user, session=session, actor=None, at=at, values=values, details=details)
    User.objects.filter(pk=user_id).update(last_received_at=at)


@transaction.atomic
def return_unaccepted(ticket: Ticket, *, session: Session, at: datetime) -> None:
    """Whoever distribution gave it to has let it lie: back to the queue, in its old place."""
    details = {"from": person(ticket.assignee), "why": NOT_ACCEPTED}
    values = {"assignee": None, "assigned_at": None, **AWAKE}
    kind = TicketEventKind.RELEASED
    move(ticket, kind, to=OPEN, values=values, actor=None, at=at, details=details)
    hand_over(session, to=Owner.QUEUE, at=at)


def _assign(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    to_user: User,
    *,
    session: Session,
    actor: User | None,
    at: datetime,
    values: Mapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    move(
        ticket,
        TicketEventKind.ASSIGNED,
        to=WAITING_CUSTOMER if ticket.status == WAITING_CUSTOMER else OPEN,
        values={"assignee": to_user, "assigned_at": at, **AWAKE, **(values or {})},
        actor=actor,
        at=at,
        details={"from": person(ticket.assignee), "to": person(to_user), **(details or {})},
    )
    hand_over(session, to=Owner.ATTENDANT, at=at)
    notify(to_user, NotificationKind.ASSIGNED, ticket=ticket, actor=actor)


@transaction.atomic
def release(
    ticket: Ticket,
    *,
    actor: User | None,
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Give the ticket back to the queue of its department."""
    at = at or timezone.now()
    session = lock_open_as_seen(ticket, session)
    if session.owner == Owner.QUEUE:
        return ticket
    require_may_give(ticket, actor)
    require_seen_there(ticket.department, actor)
    details = {"from": person(ticket.assignee)}
    to_queue(ticket, TicketEventKind.RELEASED, actor=actor, at=at, details=details)
    hand_over(session, to=Owner.QUEUE, at=at)
    return ticket


@transaction.atomic
def transfer(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    *,
    department: Department,
    to_user: User | None = None,
    actor: User | None,
    note: str = "",
    why: str = "",
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Move the ticket to another department's queue, or to a person; `note` tells them why, and
    `why` is a code for the event where nobody did it."""
    at = at or timezone.now()
    if not department.is_active:
        raise TicketRefused(
            _("%(department)s is not active. Choose another department.")
            % {"department": department}
        )
    if to_user is not None:
        require_active(to_user)
    session = lock_open_as_seen(ticket, session)
    require_may_give(ticket, actor)
    if to_user is None:
        require_seen_there(department, actor)
    details = {
        "from": _place(ticket.department, ticket.assignee),
        "to": _place(department, to_user),
        **({"why": why} if why else {}),
    }
    values: dict[str, Any] = {
        "department": department,
        **AWAKE,  # whoever gets it shall see it
        **due_values(ticket, department=department, priority=ticket.priority),
    }
    if to_user is None:
        to_queue(
            ticket, TicketEventKind.TRANSFERRED, values=values, actor=actor, at=at, details=details
        )
    else:
        values |= {"assignee": to_user, "assigned_at": at}
        move(
            ticket,
            TicketEventKind.TRANSFERRED,
            to=OPEN,
            values=values,
            actor=actor,
            at=at,
            details=details,
        )
    hand_over(session, to=Owner.QUEUE if to_user is None else Owner.ATTENDANT, at=at)
    notify(
        to_user,
        NotificationKind.TRANSFERRED,
        ticket=ticket,
        actor=actor,
        details={"note": note.strip()[:160]},
    )
    if note.strip():
        add_note(ticket, author=actor, text=note, session=session)
    return ticket


@transaction.atomic
def return_tickets_of(
    user: User, *, actor: User | None, at: datetime | None = None
) -> list[Ticket]:
    """Give everything that `user` has back to the queues, as they leave or are deactivated."""
    at = at or timezone.now()
    theirs = Ticket.objects.open().filter(assignee=user)
    # Sessions are locked in id order.
    return [release(ticket, actor=actor, at=at) for ticket in theirs.order_by("session_id")]


def _place(department: Department, user: User | None) -> dict[str, Any]:
    """As an event remembers it: the slug for programs, the names for people."""
    return {
        "department": department.slug,
        "department_name": department.name,
        "person": person(user),
    }
