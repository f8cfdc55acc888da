"""Everything that happens to a ticket. The only writers of its status and assignee.

Locks: the session first, then the ticket, the lead, the protocol counter. `session` is the ticket's
session if the caller has locked it already; without it the operation locks it. The ticket is read
again under that lock, so what the caller's instance says about status and assignee is what the
person saw: when somebody else was faster, TicketConflict says who.

While a session is with the queue or an attendant it has exactly one open ticket, and only then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Lead, Tag
from sessions_app.models import EndReason, Owner, Session
from sessions_app.services import (
    cut_preview,
    end_session,
    hand_over,
    lock_session,
    lock_sessions_of,
    open_session,
    take_times_of,
)
from tickets.errors import TicketConflict, TicketRefused, taken, wrong_status
from tickets.models import (
    InternalNote,
    Priority,
    Ticket,
    TicketEvent,
    TicketEventKind,
    TicketStatus,
)
from tickets.protocol import next_protocol
from tickets.signals import ticket_closed
from tickets.sla import due_times
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

AT_REST: dict[str, Any] = {"unread": 0, "snoozed_until": None}  # nothing to do any more


class Next(models.TextChoices):
    """What becomes of the conversation when its ticket is closed."""

    END = "end", gettext_lazy("end the conversation")
    BOT = "bot", gettext_lazy("return to the bot")
    STAY = "stay", gettext_lazy("leave as it is")


# --- Opening -----------------------------------------------------------------------------------


@transaction.atomic
def open_ticket(  # noqa: PLR0913  # keyword-only
    session: Session,
    *,
    department: str | Department | None = None,
    priority: Priority = Priority.MEDIUM,
    subject: str = "",
    variables: Mapping[str, Any] | None = None,
    handoff: Mapping[str, Any] | None = None,
    actor: User | None = None,
    assignee: User | None = None,
    to: Owner = Owner.QUEUE,
    at: datetime,
) -> Ticket:
    """Give a locked session to people. One that has an open ticket already: that ticket, unchanged.

    A department that is unknown or inactive becomes the fallback department; the event says so.
    After this nothing that is not locked yet may be locked (the counter of protocols).
    """
    if (already := open_ticket_of(session)) is not None:
        return already
    found, details = _find_department(department)
    if assignee is not None:
        _require_active(assignee)
        to = Owner.ATTENDANT
    hand_over(session, to=to, at=at)
    due = due_times(department=found, priority=priority, since=at)
    ticket = Ticket(
        lead_id=session.lead_id,
        session=session,
        department=found,
        assignee=assignee,
        status=OPEN if assignee is None else IN_PROGRESS,
        priority=priority,
        subject=subject[:200],
        variables=dict(variables or {}),
        handoff=dict(handoff or {}),
        queued_at=at,
        assigned_at=at if assignee else None,
        first_response_due_at=due.first_response,
        resolution_due_at=due.resolution,
        last_message_at=session.last_message_at,
        last_message_preview=session.last_message_preview,
        is_simulated=session.is_simulated,
    )
    ticket.protocol = next_protocol(at)
    ticket.save(force_insert=True)
    details |= {"assignee": _person(assignee), "owner": to}
    _log(ticket, TicketEventKind.OPENED, actor=actor, details=details)
    return ticket


@transaction.atomic
def open_for_staff(  # noqa: PLR0913  # keyword-only
    session_id: int,
    *,
    actor: User,
    assignee: User | None = None,
    department: Department | None = None,
    priority: Priority = Priority.MEDIUM,
    subject: str = "",
    at: datetime | None = None,
) -> Ticket:
    """A person takes a conversation from the bot: for themselves or another, or to a queue."""
    at = at or timezone.now()
    session = lock_session(session_id)
    if (already := open_ticket_of(session)) is not None:
        raise TicketConflict(
            _("This conversation already has the open ticket %(protocol)s.")
            % {"protocol": already.protocol},
            code="session_has_open_ticket",
            holder=already.assignee,
        )
    return open_ticket(
        session,
        department=department or _department_of(assignee),
        priority=priority,
        subject=subject,
        actor=actor,
        assignee=assignee,
        at=at,
    )


@transaction.atomic
def take_over(session: Session, *, user: User, at: datetime) -> Ticket:
    """`user` is about to write in a locked session: the ticket is theirs, and the bot is silent.

    Refused when a colleague has it.
    """
    ticket = open_ticket_of(session)
    if ticket is not None:
        return claim(ticket, user=user, session=session, at=at)
    return open_ticket(session, department=_department_of(user), actor=user, assignee=user, at=at)


@transaction.atomic
def take_over_from_phone(session: Session, *, at: datetime) -> Ticket:
    """Somebody answered on the company's phone: people speak in the locked session, nobody known.

    The ticket stays in its queue until someone claims it.
    """
    ticket = open_ticket_of(session) or open_ticket(session, to=Owner.ATTENDANT, at=at)
    hand_over(session, to=Owner.ATTENDANT, at=at)
    if ticket.first_response_at is None:
        _update(ticket, {"first_response_at": at, "updated_at": at})
    return ticket


def open_ticket_of(session: Session) -> Ticket | None:
    """The one open ticket of the session, with the session's own instance on it."""
    rows = Ticket.objects.open().select_related("department", "assignee")
    ticket = rows.filter(session=session).first()
    if ticket is not None:
        ticket.session = session
    return ticket


# --- Who has it --------------------------------------------------------------------------------


@transaction.atomic
def claim(
    ticket: Ticket, *, user: User, session: Session | None = None, at: datetime | None = None
) -> Ticket:
    """Take a ticket that nobody has, or accept one that was assigned to you."""
    at = at or timezone.now()
    _require_active(user)
    session = _lock_open(ticket, session)
    if ticket.assignee_id not in (None, user.pk):
        raise taken(ticket)
    if ticket.assignee_id == user.pk and ticket.status != OPEN:
        return ticket
    values = {"assignee": user, "assigned_at": ticket.assigned_at or at}
    _move(ticket, TicketEventKind.CLAIMED, to=IN_PROGRESS, values=values, actor=user, at=at)
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
    at = at or timezone.now()
    _require_active(to_user)
    session = _lock_open_as_seen(ticket, session)
    if ticket.assignee_id == to_user.pk:
        return ticket
    _move(
        ticket,
        TicketEventKind.ASSIGNED,
        to=WAITING_CUSTOMER if ticket.status == WAITING_CUSTOMER else OPEN,
        values={"assignee": to_user, "assigned_at": at},
        actor=actor,
        at=at,
        details={"from": _person(ticket.assignee), "to": _person(to_user)},
    )
    hand_over(session, to=Owner.ATTENDANT, at=at)
    return ticket


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
    session = _lock_open_as_seen(ticket, session)
    if session.owner == Owner.QUEUE:
        return ticket
    details = {"from": _person(ticket.assignee)}
    _to_queue(ticket, TicketEventKind.RELEASED, actor=actor, at=at, details=details)
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
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Move the ticket to another department's queue, or to a person; `note` tells them why."""
    at = at or timezone.now()
    if not department.is_active:
        raise TicketRefused(
            _("%(department)s is not active. Choose another department.")
            % {"department": department}
        )
    if to_user is not None:
        _require_active(to_user)
    session = _lock_open_as_seen(ticket, session)
    details = {
        "from": {"department": ticket.department.slug, "person": _person(ticket.assignee)},
        "to": {"department": department.slug, "person": _person(to_user)},
    }
    values: dict[str, Any] = {
        "department": department,
        **_due_values(ticket, department=department, priority=ticket.priority),
    }
    if to_user is None:
        _to_queue(
            ticket, TicketEventKind.TRANSFERRED, values=values, actor=actor, at=at, details=details
        )
    else:
        values |= {"assignee": to_user, "assigned_at": at}
        _move(
            ticket,
            TicketEventKind.TRANSFERRED,
            to=OPEN,
            values=values,
            actor=actor,
            at=at,
            details=details,
        )
    hand_over(session, to=Owner.QUEUE if to_user is None else Owner.ATTENDANT, at=at)
    if note.strip():
        add_note(ticket, author=actor, text=note)
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


# --- Work --------------------------------------------------------------------------------------


@transaction.atomic
def set_priority(
    ticket: Ticket,
    *,
    priority: Priority,
    actor: User | None,
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    at = at or timezone.now()
    _lock_open(ticket, session)
    if ticket.priority == priority:
        return ticket
    _move(
        ticket,
        TicketEventKind.PRIORITY,
        to=TicketStatus(ticket.status),
        values={
            "priority": priority,
            **_due_values(ticket, department=ticket.department, priority=priority),
        },
        actor=actor,
        at=at,
        details={"from": ticket.priority, "to": priority},
    )
    return ticket


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
    if priority is not None and priority != ticket.priority:
        set_priority(ticket, priority=priority, actor=actor, at=at)
    if subject is not None:
        ticket.subject, ticket.updated_at = subject, at
        ticket.save(update_fields=["subject", "updated_at"])
    if tags is not None:
        ticket.tags.set(tags)
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
    _lock_open_as_seen(ticket, session)
    if ticket.assignee_id is None:
        raise TicketRefused(_("Nobody has this ticket. Claim it first."), code="ticket_unassigned")
    if ticket.status != status:
        _set_turn(ticket, status, values={}, actor=actor, at=at)
    return ticket


@transaction.atomic
def snooze(
    ticket: Ticket,
    *,
    until: datetime | None,
    actor: User | None,
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Put the ticket aside until a moment, or until the customer writes; None wakes it up."""
    at = at or timezone.now()
    if until is not None and until <= at:
        raise TicketRefused(_("Choose a moment in the future."))
    _lock_open(ticket, session)
    if ticket.snoozed_until == until:
        return ticket
    _move(
        ticket,
        TicketEventKind.SNOOZED,
        to=TicketStatus(ticket.status),
        values={"snoozed_until": until},
        actor=actor,
        at=at,
        details={"until": until.isoformat() if until else None},
    )
    return ticket


def add_note(ticket: Ticket, *, author: User | None, text: str) -> InternalNote:
    """Write something for the team; the customer never sees it."""
    if not text.strip():
        raise TicketRefused(_("The note is empty."))
    return InternalNote.objects.create(ticket=ticket, author=author, text=text.strip())


def note_inbound(session: Session, *, preview: str, at: datetime) -> bool:
    """Count a message of the customer on the open ticket of a locked session; False: it has none.

    One statement as a rule, in the transaction that holds the lock. It wakes up a snoozed ticket,
    and what waited for the customer is in progress again.
    """
    values = {
        "unread": F("unread") + 1,
        "last_message_at": at,
        "last_message_preview": cut_preview(preview),
        "snoozed_until": None,
        "updated_at": at,
    }
    rows = Ticket.objects.open().filter(session=session)
    if rows.exclude(status=WAITING_CUSTOMER).update(**values):
        return True
    ticket = rows.first()
    if ticket is None:
        return False
    _set_turn(
        ticket, IN_PROGRESS, values={**values, "unread": ticket.unread + 1}, actor=None, at=at
    )
    return True


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
    _lock_open(ticket, session)
    values: dict[str, Any] = {"unread": 0, "last_message_at": at, "snoozed_until": None}
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
        _set_turn(ticket, status, values=values, actor=user, at=at)
    else:
        _update(ticket, {**values, "updated_at": at})
    return ticket


# --- Closing and opening again -----------------------------------------------------------------


@transaction.atomic
def resolve(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    *,
    actor: User | None,
    then: Next,
    outcome: str = "",
    entry: str = "",
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """The case is settled. `then` says who goes on, `entry` where the bot does."""
    at = at or timezone.now()
    session = _lock_open_as_seen(ticket, session)
    _require_next(then)
    _move(
        ticket,
        TicketEventKind.RESOLVED,
        to=RESOLVED,
        values={**AT_REST, "resolved_at": at, "outcome": outcome},
        actor=actor,
        at=at,
        details={"then": then, "outcome": outcome},
    )
    _go_on(ticket, session, then=then, entry=entry, actor=actor, at=at)
    return ticket


@transaction.atomic
def close_ticket(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    *,
    actor: User | None,
    then: Next,
    entry: str = "",
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Close for good: an open ticket without a result, or a resolved one (then: STAY).

    Nobody would speak in a session whose open ticket closes and which stays with people: STAY is
    for a ticket whose conversation has gone on without it.
    """
    at = at or timezone.now()
    seen = ticket.assignee_id
    session = _lock(ticket, session)
    was_open = ticket.is_open
    if was_open:
        _require_hands(ticket, seen)
        _require_next(then)
    elif then != Next.STAY:
        raise wrong_status(ticket)
    _move(
        ticket,
        TicketEventKind.CLOSED,
        to=CLOSED,
        values={**AT_REST, "closed_at": at},
        actor=actor,
        at=at,
        details={"then": then},
    )
    if was_open:
        _go_on(ticket, session, then=then, entry=entry, actor=actor, at=at)
    return ticket


@transaction.atomic
def reopen(
    ticket: Ticket,
    *,
    actor: User | None,
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Put a resolved or closed ticket back into its queue, in the live session or a new one.

    It wins over the bot. `session`, if given, is the locked live session of the ticket's lead.
    """
    at = at or timezone.now()
    session = session or _live_session_of(ticket, at=at)
    _read_again(ticket)
    if ticket.is_open:
        raise wrong_status(ticket)
    if ticket.lead_id != session.lead_id:
        raise _moved(ticket)
    if (other := open_ticket_of(session)) is not None:
        raise TicketConflict(
            _("The conversation goes on in ticket %(protocol)s. Use that one, or close it first.")
            % {"protocol": other.protocol},
            code="session_has_open_ticket",
            holder=other.assignee,
        )
    due = due_times(department=ticket.department, priority=ticket.priority, since=at)
    values = {
        "session": session,
        "resolved_at": None,
        "closed_at": None,
        "outcome": "",
        "resolution_due_at": due.resolution,
    }
    _to_queue(ticket, TicketEventKind.REOPENED, values=values, actor=actor, at=at)
    hand_over(session, to=Owner.QUEUE, at=at)
    return ticket


@transaction.atomic
def merge_conversations(
    winner: Lead, loser: Lead, *, actor: User | None, at: datetime | None = None
) -> None:
    """Give everything `loser` said and asked for to `winner`; called before the leads are locked.

    Two live sessions on one channel become one: the older ends. Its open ticket goes on in the
    newer, or is closed when that has one of its own.
    """
    if winner.pk == loser.pk:
        return
    at = at or timezone.now()
    live_on: dict[int, Session] = {}
    for session in lock_sessions_of([winner, loser]):
        if not session.is_live:
            continue
        older = live_on.get(session.channel_id)
        if older is not None:
            _join(older, into=session, actor=actor, at=at)
        live_on[session.channel_id] = session
    Session.objects.filter(lead=loser).update(lead=winner)
    Ticket.objects.filter(lead=loser).update(lead=winner)


def _join(older: Session, *, into: Session, actor: User | None, at: datetime) -> None:
    """End `older`; the people who spoke in it go on in `into`."""
    owner = Owner(older.owner)
    ticket, other = open_ticket_of(older), open_ticket_of(into)
    hand_over(older, to=Owner.BOT, at=at)
    end_session(older, reason=EndReason.MERGED, at=at)
    into.save(update_fields=take_times_of(into, older))
    if ticket is None:
        return
    _move(
        ticket,
        TicketEventKind.MERGED,
        to=TicketStatus(ticket.status) if other is None else CLOSED,
        values={"session": into} if other is None else {**AT_REST, "closed_at": at},
        actor=actor,
        at=at,
        details={"into": other.protocol if other else None},
    )
    if other is None:
        hand_over(into, to=owner, at=at)


# --- The writer --------------------------------------------------------------------------------


def _move(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    kind: TicketEventKind,
    *,
    to: TicketStatus,
    values: Mapping[str, Any],
    actor: User | None,
    at: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    """The only writer of status and assignee: an allowed move of a ticket that is as we read it."""
    if to not in MOVES[ticket.status]:
        raise wrong_status(ticket)
    _update(ticket, {**values, "status": to, "updated_at": at})
    _log(ticket, kind, actor=actor, details=details or {})


def _update(ticket: Ticket, values: Mapping[str, Any]) -> None:
    """Write `values` if status and assignee are still the instance's; the instance follows."""
    unchanged = Ticket.objects.filter(
        pk=ticket.pk, status=ticket.status, assignee=ticket.assignee_id
    )
    if unchanged.update(**values) != 1:
        _read_again(ticket)
        raise taken(ticket) if ticket.is_open else wrong_status(ticket)
    for name, value in values.items():
        setattr(ticket, name, value)


def _log(
    ticket: Ticket, kind: TicketEventKind, *, actor: User | None, details: Mapping[str, Any]
) -> None:
    TicketEvent.objects.create(ticket=ticket, kind=kind, actor=actor, details=dict(details))


# --- Reading under the lock --------------------------------------------------------------------


def _lock(ticket: Ticket, session: Session | None) -> Session:
    """Lock the session unless the caller has, then the ticket, and read it again."""
    session = session or lock_session(ticket.session_id)
    _read_again(ticket)
    if ticket.session_id != session.pk:
        raise _moved(ticket)
    ticket.session = session
    return session


def _lock_open(ticket: Ticket, session: Session | None) -> Session:
    session = _lock(ticket, session)
    if not ticket.is_open:
        raise wrong_status(ticket)
    return session


def _lock_open_as_seen(ticket: Ticket, session: Session | None) -> Session:
    """Lock an open ticket that is still with whom the caller saw it."""
    seen = ticket.assignee_id
    session = _lock_open(ticket, session)
    _require_hands(ticket, seen)
    return session


def _read_again(ticket: Ticket) -> None:
    locked = Ticket.objects.select_for_update(no_key=True, of=("self",))
    ticket.refresh_from_db(from_queryset=locked.select_related("department", "assignee"))


def _live_session_of(ticket: Ticket, *, at: datetime) -> Session:
    before = Session.objects.select_related("lead", "channel", "identity").get(pk=ticket.session_id)
    return open_session(lead=before.lead, channel=before.channel, identity=before.identity, at=at)


# --- Rules -------------------------------------------------------------------------------------


def _require_hands(ticket: Ticket, seen: int | None) -> None:
    if ticket.assignee_id != seen:
        raise taken(ticket)


def _require_active(user: User) -> None:
    if not user.is_active:
        raise TicketRefused(
            _("%(name)s is not active any more.") % {"name": user}, code="user_inactive"
        )


def _require_next(then: Next) -> None:
    if then == Next.STAY:
        raise TicketRefused(
            _("Somebody must go on with the conversation: end it, or return it to the bot."),
            code="next_missing",
        )


def _moved(ticket: Ticket) -> TicketConflict:
    message = _("Ticket %(protocol)s has just moved to another conversation. Look at it again.")
    return TicketConflict(message % {"protocol": ticket.protocol}, code="ticket_moved")


# --- Parts -------------------------------------------------------------------------------------


def _to_queue(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    kind: TicketEventKind,
    *,
    actor: User | None,
    at: datetime,
    values: Mapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    in_queue = {"assignee": None, "assigned_at": None, "queued_at": at}
    _move(
        ticket,
        kind,
        to=OPEN,
        values={**(values or {}), **in_queue},
        actor=actor,
        at=at,
        details=details,
    )


def _set_turn(
    ticket: Ticket,
    status: TicketStatus,
    *,
    values: Mapping[str, Any],
    actor: User | None,
    at: datetime,
) -> None:
    details = {"from": ticket.status, "to": status}
    _move(
        ticket,
        TicketEventKind.STATUS,
        to=status,
        values=values,
        actor=actor,
        at=at,
        details=details,
    )


def _go_on(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    session: Session,
    *,
    then: Next,
    entry: str,
    actor: User | None,
    at: datetime,
) -> None:
    """The ticket is closed: people leave the conversation, and whoever listens hears of it."""
    hand_over(session, to=Owner.BOT, at=at)
    if then == Next.END:
        end_session(session, reason=EndReason.RESOLVED, at=at)
    ticket_closed.send(
        sender=Ticket, ticket=ticket, session=session, then=then, entry=entry, actor=actor, at=at
    )


def _find_department(asked: str | Department | None) -> tuple[Department, dict[str, Any]]:
    """The department asked for if it takes tickets, else the fallback; and what the event says."""
    slug = asked.slug if isinstance(asked, Department) else asked or ""
    active = Department.objects.active()
    found = active.filter(slug=slug).first() if slug else None
    if found is not None:
        return found, {"department": found.slug}
    fallback = active.order_by("-is_fallback", "pk").first()
    if fallback is None:
        raise TicketRefused(_("There is no active department to receive tickets."))
    details = {"department": fallback.slug}
    return fallback, details | ({"department_asked": slug} if slug else {})


def _department_of(user: User | None) -> Department | None:
    return user.departments.active().order_by("pk").first() if user is not None else None


def _due_values(
    ticket: Ticket, *, department: Department, priority: str
) -> dict[str, datetime | None]:
    """The times of another policy, counted from when the work began; an answer stays judged."""
    reopened = ticket.events.filter(kind=TicketEventKind.REOPENED).values_list(
        "created_at", flat=True
    )
    due = due_times(
        department=department, priority=priority, since=reopened.first() or ticket.created_at
    )
    is_answered = ticket.first_response_at is not None
    return {
        "first_response_due_at": (
            ticket.first_response_due_at if is_answered else due.first_response
        ),
        "resolution_due_at": due.resolution,
    }


def _person(user: User | None) -> dict[str, Any] | None:
    """As an event remembers someone: readable even when they are gone."""
    return None if user is None else {"id": user.pk, "name": str(user)}
