"""Giving out what waits, again and again.

Each look compares what waits with who could take it, so nothing has to announce that a ticket was
opened, a slot became free, somebody came back or hours began, and no such event can be lost.

Locks: the department first (one process at a time gives out a department, the others leave it to
that one), then session, ticket, and the person on whom the choice falls; what all have in hand is
read after that, and if the choice then falls on somebody else, that one is locked as well and all
is read again. Whoever else gives a ticket to a person locks that person too (`transition.hold`), so
the slots of the chosen one cannot fill up before the decision is written, and nobody else is kept
from working meanwhile. One transaction a ticket.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Case, Exists, IntegerField, OuterRef, Q, Subquery, Value, When

from sessions_app.services import lock_session
from tickets.distribution import records
from tickets.distribution.deciding import Candidate, Decision, Rules, decide, exclusions_of
from tickets.distribution.people import candidates, for_ticket
from tickets.models import (
    AssignmentDecision,
    DecisionOutcome,
    Ticket,
    TicketEvent,
    TicketEventKind,
    TicketQuerySet,
    TicketStatus,
)
from tickets.next_ticket import RANKS
from tickets.services import give_to, return_unaccepted, transfer
from tickets.services.locking import lock
from tickets.services.transition import OVERFLOW
from users.business_time import add_business, business_between
from users.errors import DomainError
from users.models import Department, Distribution, User

logger = logging.getLogger(__name__)

MOST = 500  # waiting tickets of a department that one look takes up
AT_ONCE = 50  # of them read together
ANYTHING = Rules()  # what a ticket without wishes asks for
TRIES = 3
WORTH_ANOTHER_TRY = frozenset({"40001", "40P01"})  # serialisation failure, deadlock

Result = TypeVar("Result")


@dataclass
class Given:
    """What one look did."""

    assigned: int = 0
    returned: int = 0
    overflowed: int = 0


def tick(now: datetime) -> Given:
    """Return what was not accepted in time, then give out what waits. One statement when there is
    nothing to do. Safe to run in several processes at once."""
    given = Given()
    for department in _with_work(now):
        if department.is_overdue:  # type: ignore[attr-defined]  # annotated
            overdue = _overdue(now).filter(department=department).order_by("accept_by", "pk")
            given.returned += sum(bool(_safely(_return, one, now)) for one in list(overdue[:MOST]))
        if department.distribution == Distribution.AUTOMATIC and department.is_open(now):
            _give_out(department, now, given)
    return given


# --- What there is to do -----------------------------------------------------------------------


def _with_work(now: datetime) -> list[Department]:
    of_it = Q(department=OuterRef("pk"))
    rows = Department.objects.annotate(
        waits=Exists(_waiting(now).filter(of_it)), is_overdue=Exists(_overdue(now).filter(of_it))
    )
    is_waited_for = Q(distribution=Distribution.AUTOMATIC, is_active=True, waits=True)
    rows = rows.filter(is_waited_for | Q(is_overdue=True))
    return list(
        rows.order_by("pk")
        .select_related("calendar", "overflow_to__calendar")
        .prefetch_related("calendar__hours", "calendar__holidays")
    )


def _waiting(now: datetime) -> TicketQuerySet:
    return Ticket.objects.open().real().awake(now).unassigned()


def _overdue(now: datetime) -> TicketQuerySet:
    return Ticket.objects.filter(accept_by__lte=now, status=TicketStatus.OPEN)


def in_line(tickets: TicketQuerySet) -> TicketQuerySet:
    """The order in which a queue is served: the highest priority, then who came first."""
    ranks = [When(priority=priority, then=Value(place)) for priority, place in RANKS.items()]
    rank = Case(*ranks, output_field=IntegerField())
    return tickets.order_by(rank, "queued_at", "pk")


# --- One department ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Case:
    """A waiting ticket with what decides about it."""

    ticket: Ticket
    rules: Rules
    declined: frozenset[int]
    last: tuple[str, str]  # outcome and reasons of the last decision in this stay in the queue

    @property
    def own(self) -> int | None:
        return self.ticket.lead.attendant_id

    def decide(self, people: Iterable[Candidate]) -> tuple[Decision, list[Candidate]]:
        asked = for_ticket(people, declined=self.declined, own=self.own)
        return decide(self.rules, asked), asked

    def is_news(self, decision: Decision) -> bool:
        """That nobody can take it is written once, and again when the reasons are others."""
        is_nobody = decision.outcome == DecisionOutcome.NOBODY
        return not is_nobody or self.last != (DecisionOutcome.NOBODY, decision.reasons)


class _AtWorkElsewhere(Exception):
    """Another process gives this department out, or nobody does any more."""


def _give_out(department: Department, now: datetime, given: Given) -> None:
    """First a look without locks; only what would come to something is locked. Who stands far
    behind is looked at while anybody could take anything, or another department might."""
    line = in_line(_waiting(now).filter(department=department)).values_list("pk", flat=True)
    waiting = list(line[:MOST])
    for start in range(0, len(waiting), AT_ONCE):
        people = _give_some(waiting[start : start + AT_ONCE], department, now, given)
        can_any = any(not exclusions_of(one, ANYTHING) for one in people)
        if not can_any and department.overflow_to is None:
            return


def _give_some(
    waiting: list[int], department: Department, now: datetime, given: Given
) -> list[Candidate]:
    """What people have after it; nobody when another process is at this department."""
    cases = _cases(_waiting(now).filter(pk__in=waiting), department, now)
    own = {one.own for one in cases if one.own is not None}
    people = candidates(department, besides=own, at=now)
    for case in cases:
        expected, _asked = case.decide(people)
        if not case.is_news(expected):
            continue
        try:
            made = _safely(_give, case.ticket, department, expected.chosen, now)
        except _AtWorkElsewhere:
            return []
        if made is None:
            continue
        decision, known = made
        given.assigned += decision.outcome == DecisionOutcome.ASSIGNED
        given.overflowed += decision.outcome == DecisionOutcome.OVERFLOW
        people = [known.get(one.id, one) for one in people]
    return people


@transaction.atomic
def _give(
    ticket: Ticket, department: Department, expected: int | None, now: datetime
) -> tuple[Decision, dict[int, Candidate]] | None:
    """Decide about one ticket under the locks, and do it; with what people have now. `expected` is
    on whom the choice will probably fall. None when the ticket does not wait any more."""
    _lock_department(department)
    session = lock_session(ticket.session_id)
    lock(ticket, session)
    cases = _cases(_waiting(now).filter(pk=ticket.pk, department=department), department, now)
    if not cases:
        return None
    (case,) = cases
    held = _hold(expected)
    decision, asked, people = _decide(case, department, now)
    while decision.chosen is not None and decision.chosen not in held:
        held |= _hold(decision.chosen)
        decision, asked, people = _decide(case, department, now)
    if not case.is_news(decision):
        return decision, people
    records.keep(ticket, decision, rules=case.rules, candidates=asked, at=now)
    if decision.chosen is not None:
        chosen = decision.chosen
        give_to(ticket, chosen, session=session, accept_by=_accept_by(department, now), at=now)
        people[chosen] = people[chosen].with_one_more(now)
    elif decision.outcome == DecisionOutcome.OVERFLOW and department.overflow_to is not None:
        to = department.overflow_to
        transfer(ticket, department=to, actor=None, session=session, why=OVERFLOW, at=now)
    return decision, people


def _decide(
    case: _Case, department: Department, now: datetime
) -> tuple[Decision, list[Candidate], dict[int, Candidate]]:
    besides = [case.own] if case.own is not None else []
    people = {one.id: one for one in candidates(department, besides=besides, at=now)}
    return *case.decide(people.values()), people


def _hold(user: int | None) -> set[int]:
    """Lock this person until the transaction ends; whether they may get it is read after that."""
    if user is None:
        return set()
    list(User.objects.select_for_update(no_key=True, of=("self",)).filter(pk=user).values("pk"))
    return {user}


def _lock_department(department: Department) -> None:
    given_out = Department.objects.active().filter(distribution=Distribution.AUTOMATIC)
    locked = given_out.select_for_update(no_key=True, skip_locked=True, of=("self",))
    if not locked.filter(pk=department.pk).values("pk"):
        raise _AtWorkElsewhere


def _accept_by(department: Department, now: datetime) -> datetime | None:
    """Counted in the department's hours: who goes home has until the next morning."""
    if department.accept_minutes is None:
        return None
    minutes = timedelta(minutes=department.accept_minutes)
    return add_business(department.calendar, now, minutes)


# --- What decides about a ticket ---------------------------------------------------------------


def _cases(waiting: TicketQuerySet, department: Department, now: datetime) -> list[_Case]:
    """These of the tickets in the order of the queue; the number of statements does not depend on
    how many there are."""
    stay = AssignmentDecision.objects.filter(ticket=OuterRef("pk"), at__gte=OuterRef("queued_at"))
    last = stay.order_by("-id")
    found = list(
        in_line(waiting)
        .annotate(
            last_outcome=Subquery(last.values("outcome")[:1]),
            last_reason=Subquery(last.values("reason")[:1]),
        )
        .select_related("lead")
        .defer("variables", "handoff")
        .prefetch_related("skills")
    )
    declined, overflowing = _declined(found), _overflowing(found, department, now)
    return [
        _Case(
            ticket=one,
            rules=Rules(
                prefers_attendant=department.prefers_attendant,
                needs=tuple(sorted(skill.name for skill in one.skills.all())),
                overflows=one.pk in overflowing,
            ),
            declined=frozenset(declined[one.pk]),
            last=(one.last_outcome or "", one.last_reason or ""),  # type: ignore[attr-defined]  # annotated
        )
        for one in found
    ]


def _declined(tickets: Sequence[Ticket]) -> dict[int, set[int]]:
    """Who has let a ticket lie since it came into its queue, or gave it back to it: they would get
    it again at once."""
    since = {one.pk: one.queued_at for one in tickets}
    rows = AssignmentDecision.objects.filter(
        ticket__in=since, outcome=DecisionOutcome.RETURNED, chosen__isnull=False
    )
    declined: dict[int, set[int]] = defaultdict(set)
    for ticket, chosen, at in rows.values_list("ticket", "chosen", "at"):
        if at >= since[ticket]:
            declined[ticket].add(chosen)
    given_back = TicketEvent.objects.filter(ticket__in=since, kind=TicketEventKind.RELEASED)
    for ticket, details, at in given_back.values_list("ticket", "details", "created_at"):
        if at >= since[ticket] and (person := details.get("from")):
            declined[ticket].add(person["id"])
    return declined


def _overflowing(tickets: Iterable[Ticket], department: Department, now: datetime) -> set[int]:
    """Those for which another department has been waited for long enough, in hours of this one. A
    ticket does not come back by overflow to where it has overflowed from."""
    to = department.overflow_to
    if to is None or not to.is_active or not to.is_open(now):
        return set()
    patience = timedelta(minutes=department.overflow_minutes)
    calendar = department.calendar
    due = {one.pk for one in tickets if business_between(calendar, one.queued_at, now) >= patience}
    if not due:
        return set()
    back = AssignmentDecision.objects.filter(
        ticket__in=due, outcome=DecisionOutcome.OVERFLOW, department=to
    )
    return due - set(back.values_list("ticket", flat=True))


# --- Not accepted ------------------------------------------------------------------------------


@transaction.atomic
def _return(ticket: Ticket, now: datetime) -> bool:
    """Back to the queue, where it keeps its place; False when it was accepted meanwhile."""
    session = lock_session(ticket.session_id)
    lock(ticket, session)
    is_due = ticket.accept_by is not None and ticket.accept_by <= now
    if not is_due or ticket.status != TicketStatus.OPEN:
        return False
    records.keep_return(ticket, at=now)
    return_unaccepted(ticket, session=session, at=now)
    return True


# --- Trouble -----------------------------------------------------------------------------------


def _safely(work: Callable[..., Result], ticket: Ticket, *more: Any) -> Result | None:
    """None when it came to nothing: the ticket has moved, or it failed, which is logged and left
    for the next look. What two processes did to each other is tried again."""
    for attempt in range(1, TRIES + 1):
        try:
            return work(ticket, *more)
        except OperationalError as error:
            code = getattr(error.__cause__, "sqlstate", None)
            if code not in WORTH_ANOTHER_TRY or attempt == TRIES:
                raise
        except (InterfaceError, _AtWorkElsewhere):
            raise
        except DomainError:
            logger.info("ticket %s has moved meanwhile", ticket.protocol)
            return None
        except Exception:
            logger.exception("ticket %s could not be given out", ticket.protocol)
            return None
    return None
