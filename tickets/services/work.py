"""What happens to a ticket while somebody works on it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from leads.models import Tag
from sessions_app.models import Session
from sessions_app.services import cut_preview
from tickets.errors import TicketRefused, wrong_status
from tickets.models import NotificationKind, Priority, Ticket, TicketEventKind, TicketStatus
from tickets.notifications import notify
from tickets.services.locking import lock, lock_open, lock_open_as_seen, open_ticket_of
from tickets.services.transition import (
    AWAKE,
    BEFORE,
    IN_PROGRESS,
    OPEN,
    SKILLS,
    UNTIL_REPLY,
    WAITING_CUSTOMER,
    clock_values,
    due_values,
    log,
    move,
    set_turn,
    update,
)
from users import audit
from users.errors import DomainError
from users.frozen import FrozenUpdate
from users.models import Skill, User

logger = logging.getLogger(__name__)

LONGEST_SNOOZE = timedelta(days=366)


@transaction.atomic
def set_priority(
    ticket: Ticket,
    *,
    priority: Priority,
    actor: User | None,
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    lock_open(ticket, session)
    if ticket.priority != priority:
        _change_priority(ticket, priority, actor=actor, at=at or timezone.now())
    return ticket


def _change_priority(
    ticket: Ticket, priority: Priority, *, actor: User | None, at: datetime
) -> None:
    move(
        ticket,
        TicketEventKind.PRIORITY,
        to=TicketStatus(ticket.status),
        values={
            "priority": priority,
            **due_values(ticket, department=ticket.department, priority=priority),
        },
        actor=actor,
        at=at,
        details={"from": ticket.priority, "to": priority},
    )


@transaction.atomic
def update_details(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    *,
    actor: User | None,
    subject: str | None = None,
    priority: Priority | None = None,
    tags: Iterable[Tag] | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Change what a ticket says about the case; None leaves a thing as it is."""
    at = at or timezone.now()
    lock(ticket, None)
    if priority is not None and priority != ticket.priority:
        if not ticket.is_open:
            raise wrong_status(ticket)
        _change_priority(ticket, priority, actor=actor, at=at)
    if subject is not None and subject != ticket.subject:
        audit.changed(ticket, {"subject": ticket.subject}, {"subject": subject})
        update(ticket, {"subject": subject, "updated_at": at})
    if tags is not None:
        _change_tags(ticket, tags, actor=actor, at=at)
    return ticket


@transaction.atomic
def set_status(
    ticket: Ticket,
    *,
    status: TicketStatus,
    actor: User | None,
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Say whose turn it is: `in_progress` ours, `waiting_customer` the customer's."""
    at = at or timezone.now()
    if status not in (IN_PROGRESS, WAITING_CUSTOMER):
        raise TicketRefused(_("Resolve, close or release the ticket instead."))
    lock_open_as_seen(ticket, session)
    if ticket.assignee_id is None:
        raise TicketRefused(_("Nobody has this ticket. Claim it first."), code="ticket_unassigned")
    if ticket.status != status:
        set_turn(ticket, status, values={}, actor=actor, at=at)
    return ticket


@transaction.atomic
def snooze(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    *,
    until: datetime | None,
    until_reply: bool = False,
    actor: User | None,
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Put the ticket aside until a moment, or with `until_reply` until the customer writes, which
    ends either; neither wakes it up."""
    at = at or timezone.now()
    if until is not None and until_reply:
        raise TicketRefused(_("Choose a moment or the customer's answer, not both."))
    if until is not None and until <= at:
        raise TicketRefused(_("Choose a moment in the future."))
    if until is not None and until > at + LONGEST_SNOOZE:
        raise TicketRefused(_("Choose a moment within the next year."), code="too_far")
    lock_open(ticket, session)
    if (ticket.snoozed_until, ticket.snoozed_until_reply) == (until, until_reply):
        return ticket
    if until is None and not until_reply:
        _wake(ticket, actor=actor, at=at, why="person")
        return ticket
    move(
        ticket,
        TicketEventKind.SNOOZED,
        to=TicketStatus(ticket.status),
        # Who puts it aside has taken it up.
        values={"snoozed_until": until, "snoozed_until_reply": until_reply, "accept_by": None},
        actor=actor,
        at=at,
        details={"until": until.isoformat() if until else UNTIL_REPLY},
    )
    return ticket


def wake_due(*, now: datetime, limit: int = 1000) -> int:
    """Wake up the tickets whose time has come, and tell who has them; how many. Safe to run twice
    at once: each is looked at again under its lock. One that fails is logged and left for the next
    run."""
    due = Ticket.objects.open().filter(snoozed_until__lte=now).order_by("snoozed_until", "pk")
    woken = 0
    for ticket in due[:limit]:
        try:
            woken += _wake_if_due(ticket, now=now)
        except (OperationalError, InterfaceError):
            raise  # trouble of the database is not this ticket's: the next run tries all of them
        except DomainError:
            logger.info("ticket %s has moved meanwhile", ticket.protocol)
        except Exception:
            logger.exception("ticket %s could not be woken up", ticket.protocol)
    return woken


@transaction.atomic
def _wake_if_due(ticket: Ticket, *, now: datetime) -> bool:
    lock(ticket, None)
    is_due = ticket.is_open and ticket.snoozed_until is not None and ticket.snoozed_until <= now
    if is_due:
        _wake(ticket, actor=None, at=now, why="time")
    return is_due


def _wake(ticket: Ticket, *, actor: User | None, at: datetime, why: str) -> None:
    move(
        ticket,
        TicketEventKind.WOKEN,
        to=TicketStatus(ticket.status),
        values=AWAKE,
        actor=actor,
        at=at,
        details={"why": why},
    )
    notify(ticket.assignee, NotificationKind.WOKEN, ticket=ticket, actor=actor)


@transaction.atomic
def tag(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    *,
    tags: Iterable[Tag],
    actor: User | None,
    keep: bool = False,
    without: str = "",
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Give the ticket these tags and no others; `keep`: beside those that it has, but for the one
    called `without`. Also after the end."""
    lock(ticket, session)
    wanted = [*tags, *(ticket.tags.exclude(name=without) if keep else ())]
    _change_tags(ticket, wanted, actor=actor, at=at or timezone.now())
    return ticket


def _change_tags(ticket: Ticket, tags: Iterable[Tag], *, actor: User | None, at: datetime) -> None:
    before = {one.pk: one for one in ticket.tags.all()}
    after = {one.pk: one for one in tags}
    if before.keys() == after.keys():
        return
    ticket.tags.set(after.values())
    details = {
        "added": sorted(after[pk].name for pk in after.keys() - before.keys()),
        "removed": sorted(before[pk].name for pk in before.keys() - after.keys()),
        BEFORE: {"tags": sorted(before)},
    }
    log(ticket, TicketEventKind.TAGGED, actor=actor, details=details)
    update(ticket, {"updated_at": at})


@transaction.atomic
def set_skills(
    ticket: Ticket,
    *,
    skills: Iterable[Skill],
    actor: User | None,
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """What whoever gets the ticket by distribution must be able to do: these and no others."""
    lock_open(ticket, session)
    before = {one.pk: one for one in ticket.skills.all()}
    after = {one.pk: one for one in skills}
    if before.keys() == after.keys():
        return ticket
    ticket.skills.set(after.values())
    details = {
        "why": SKILLS,
        "added": sorted(after[pk].name for pk in after.keys() - before.keys()),
        "removed": sorted(before[pk].name for pk in before.keys() - after.keys()),
    }
    log(ticket, TicketEventKind.TAGGED, actor=actor, details=details)
    update(ticket, {"updated_at": at or timezone.now()})
    return ticket


def note_inbound(session: Session, *, preview: str, at: datetime) -> bool:
    """Count a message of the customer on the open ticket of a locked session; False: it has none.

    One statement as a rule, in the transaction that holds the lock. It wakes up a snoozed ticket,
    and what waited for the customer is in progress again.
    """
    line = cut_preview(preview)
    if _COUNTED_IN.run(session=session.pk, at=at, preview=line):
        return True
    ticket = open_ticket_of(session)
    if ticket is None:
        return False
    values = _with_one_more(at, line, unread=ticket.unread + 1)
    if ticket.snoozed_until is not None or ticket.snoozed_until_reply:
        _wake(ticket, actor=None, at=at, why="message")
    if ticket.status == WAITING_CUSTOMER:
        set_turn(ticket, IN_PROGRESS, values=values, actor=None, at=at)
    else:
        update(ticket, values)
    return True


def _with_one_more(at: datetime, preview: str, *, unread: Any) -> dict[str, Any]:
    return {
        "unread": unread,
        "last_message_at": at,
        "last_message_preview": preview,
        "updated_at": at,
    }


_COUNTED_IN = FrozenUpdate(
    lambda _shape, session, at, preview: (
        Ticket.objects.open().filter(session=session, **AWAKE).exclude(status=WAITING_CUSTOMER),
        _with_one_more(at, preview, unread=F("unread") + 1),
    )
)


@transaction.atomic
def note_reply(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    *,
    user: User,
    at: datetime,
    preview: str = "",
    waits: bool = False,
    session: Session | None = None,
) -> Ticket:
    """Count an answer of a person; `waits`: now it is the customer's turn.

    Whoever answers a ticket that is assigned to them and open has thereby accepted it.
    """
    lock_open(ticket, session)
    values: dict[str, Any] = {"unread": 0, "last_message_at": at, **AWAKE}
    if preview:
        values["last_message_preview"] = cut_preview(preview)
    if ticket.first_response_at is None:
        values["first_response_at"] = at
    status = TicketStatus(ticket.status)
    if ticket.assignee_id is not None and waits:
        status = WAITING_CUSTOMER
    elif ticket.assignee_id == user.pk and status == OPEN:
        status = IN_PROGRESS
    if status != ticket.status:
        set_turn(ticket, status, values=values, actor=user, at=at)
        return ticket
    if status == WAITING_CUSTOMER:
        values["silence_warned_at"] = None  # what we wrote now may be answered first
    clocks = clock_values(ticket, to=status, values=values, at=at)
    update(ticket, {**values, **clocks, "updated_at": at})
    return ticket
