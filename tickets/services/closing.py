"""The end of a case, what the customer says of it, and its second beginning."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sessions_app.models import EndReason, Owner, Session
from sessions_app.services import end_session, hand_over, open_session
from tickets.errors import FieldsMissing, TicketConflict, TicketRefused, wrong_status
from tickets.models import NotificationKind, Ticket, TicketEventKind
from tickets.notifications import notify
from tickets.required import missing_fields
from tickets.services.giving import require_may_end, require_seen_there
from tickets.services.locking import (
    lock,
    lock_open_as_seen,
    moved,
    open_ticket_of,
    read_again,
    require_hands,
)
from tickets.services.transition import AWAKE, CLOSED, OPEN, RESOLVED, log, move, person
from tickets.signals import ticket_closed
from tickets.sla import due_times
from users.models import Availability, User

AT_REST: dict[str, Any] = {"unread": 0, **AWAKE}  # nothing to do any more
BEST = 5
SILENCE, NO_CASE = "silence", "no_case"
# Of a case that is not over after all; the history keeps what was said.
UNRATED: dict[str, Any] = {"rating": None, "rating_comment": "", "rated_at": None}


class Next(models.TextChoices):
    """What becomes of the conversation when its ticket is closed."""

    END = "end", gettext_lazy("end the conversation")
    BOT = "bot", gettext_lazy("return to the bot")
    STAY = "stay", gettext_lazy("leave as it is")


@transaction.atomic
def resolve(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    *,
    actor: User | None,
    then: Next,
    outcome: str = "",
    note: str = "",
    entry: str = "",
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """The case is settled. `then` says who goes on, `entry` with which flow the bot does: the
    survey, for instance. `note`: how it was settled, for the team.

    Refused while something is missing that the department demands (FieldsMissing), and with an
    entry when the bot may not write any more (`survey_window_closed`).
    """
    at = at or timezone.now()
    session = lock_open_as_seen(ticket, session)
    require_may_end(ticket, actor)
    _require_next(then)
    if then == Next.BOT and entry and not session.window_is_open(at):
        raise TicketRefused(
            _(
                "The customer last wrote more than 24 hours ago, so nothing can be asked any more. "
                "Resolve without the survey."
            ),
            code="survey_window_closed",
        )
    note = note.strip() or ticket.resolution_note
    if missing := missing_fields(ticket, note=note):
        raise FieldsMissing(missing)
    move(
        ticket,
        TicketEventKind.RESOLVED,
        to=RESOLVED,
        values={**AT_REST, "resolved_at": at, "outcome": outcome, "resolution_note": note},
        actor=actor,
        at=at,
        details={"then": then, "outcome": outcome, "entry": entry},
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
    why: str = "",
    session: Session | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Close for good: an open ticket without a result, or a resolved one (then: STAY).

    Nobody would speak in a session whose open ticket closes and which stays with people: STAY is
    for a ticket whose conversation has gone on without it. `why`: "silence", when nobody closed it.
    """
    at = at or timezone.now()
    seen = ticket.assignee_id
    session = lock(ticket, session)
    was_open = ticket.is_open
    if was_open:
        require_hands(ticket, seen)
        require_may_end(ticket, actor)
        _require_next(then)
    elif then != Next.STAY:
        raise wrong_status(ticket)
    move(
        ticket,
        TicketEventKind.CLOSED,
        to=CLOSED,
        values={**AT_REST, "closed_at": at, "outcome": why or ticket.outcome},
        actor=actor,
        at=at,
        details={"then": then, **({"why": why} if why else {})},
    )
    if was_open:
        _go_on(ticket, session, then=then, entry=entry, actor=actor, at=at)
    return ticket


@transaction.atomic
def rate(ticket: Ticket, *, rating: int, at: datetime) -> bool:
    """What the customer says of a case that is over, once for each time that it was settled: False
    when they have said it before. Who settled it is told."""
    if not 1 <= rating <= BEST:
        raise TicketRefused(_("A rating is a number from 1 to 5."), code="bad_rating")
    values = {"rating": rating, "rated_at": at, "updated_at": at}
    if Ticket.objects.filter(pk=ticket.pk, rated_at=None).update(**values) != 1:
        return False
    for name, value in values.items():
        setattr(ticket, name, value)
    details = {"rating": rating}
    log(ticket, TicketEventKind.RATED, actor=None, details=details)
    notify(ticket.assignee, NotificationKind.RATED, ticket=ticket, details=details)
    return True


@transaction.atomic
def comment_rating(ticket: Ticket, *, comment: str, at: datetime) -> bool:
    """What the customer adds to their rating, once; False without a rating or with a comment."""
    rows = Ticket.objects.filter(pk=ticket.pk, rated_at__isnull=False, rating_comment="")
    if not comment.strip():
        return False
    return rows.update(rating_comment=comment.strip(), updated_at=at) == 1


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
    return _reopen(ticket, actor=actor, session=session, to_user=None, at=at or timezone.now())


@transaction.atomic
def reopen_for_customer(session: Session, *, at: datetime) -> Ticket | None:
    """The customer has come back, in a locked session that is with the bot: the last ticket on this
    channel is open again if it ended within its department's `reopen_days`; None when it did not.

    It goes to who had it, if they are at work: they know the case. Else to the queue, where nobody
    has to be waited for; who had it is told all the same.
    """
    ticket = last_ticket_of(session)
    if ticket is None or not may_be_reopened(ticket, at=at):
        return None
    had_it = ticket.assignee
    to_user = had_it if had_it is not None and _is_at_work(had_it) else None
    try:
        _reopen(ticket, actor=None, session=session, to_user=to_user, at=at)
    except TicketRefused:
        if to_user is None:
            raise
        _reopen(ticket, actor=None, session=session, to_user=None, at=at)  # they have just left
    notify(had_it, NotificationKind.REOPENED, ticket=ticket)
    return ticket


def last_ticket_of(session: Session) -> Ticket | None:
    """The newest ticket of the session's lead on the session's channel. One statement."""
    rows = Ticket.objects.filter(lead=session.lead_id, session__channel=session.channel_id)
    return rows.select_related("department__calendar", "assignee").order_by("-id").first()


def may_be_reopened(ticket: Ticket, *, at: datetime) -> bool:
    """Has it ended so lately that a customer who writes means the same case?"""
    ended = ticket.resolved_at or ticket.closed_at
    if ticket.is_open or ended is None or ticket.outcome == NO_CASE:
        return False
    if not ticket.department.is_active:
        return False
    return at < ended + timedelta(days=ticket.department.reopen_days)


def _is_at_work(user: User) -> bool:
    return user.is_active and user.availability != Availability.OFFLINE


def _reopen(
    ticket: Ticket,
    *,
    actor: User | None,
    session: Session | None,
    to_user: User | None,
    at: datetime,
) -> Ticket:
    session = session or live_session_of(ticket, at=at)
    read_again(ticket)
    if ticket.is_open:
        raise wrong_status(ticket)
    if ticket.lead_id != session.lead_id:
        raise moved(ticket)
    if (other := open_ticket_of(session)) is not None:
        raise TicketConflict(
            _("The conversation goes on in ticket %(protocol)s. Use that one, or close it first.")
            % {"protocol": other.protocol},
            code="session_has_open_ticket",
            holder=other.assignee,
        )
    if to_user is None:
        require_seen_there(ticket.department, actor)
    due = due_times(department=ticket.department, priority=ticket.priority, since=at)
    values: dict[str, Any] = {
        "session": session,
        "assignee": to_user,
        "assigned_at": at if to_user else None,
        "queued_at": at,
        "resolved_at": None,
        "closed_at": None,
        "outcome": "",
        "resolution_due_at": due.resolution,
        **UNRATED,
    }
    if ticket.first_response_at is None:
        values["first_response_due_at"] = due.first_response
    details: dict[str, Any] = {"session": ticket.session_id}  # where it was until now
    if to_user is not None:
        details["to"] = person(to_user)
    move(
        ticket,
        TicketEventKind.REOPENED,
        to=OPEN,
        values=values,
        actor=actor,
        at=at,
        details=details,
    )
    hand_over(session, to=Owner.ATTENDANT if to_user else Owner.QUEUE, at=at)
    return ticket


def live_session_of(ticket: Ticket, *, at: datetime) -> Session:
    """The live session of the ticket's lead on its channel, or a new one; locked."""
    before = Session.objects.select_related("lead", "channel", "identity").get(pk=ticket.session_id)
    return open_session(lead=before.lead, channel=before.channel, identity=before.identity, at=at)


def _require_next(then: Next) -> None:
    if then == Next.STAY:
        raise TicketRefused(
            _("Somebody must go on with the conversation: end it, or return it to the bot."),
            code="next_missing",
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
