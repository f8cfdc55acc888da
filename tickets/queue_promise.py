"""What customers in a queue may be told: their place, and how long it may take.

A place is told once the customer has really begun to wait, and again when it has passed one of
STEPS or is half of what was told, which halves the estimate too; never outside the department's
hours or the service window, never within PAUSE of the last time, and never when somebody has the
ticket. The sentence is the chatbot's to say (`chatbot.queue_news`).

The estimate comes from the department's last tickets: how long each waited for an answer in
business time, for each place that it began behind. Too few of them, or too different ones, and
there is none: a guess would be a promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles

from django.db.models import Exists, OuterRef

from sessions_app.models import Owner, Session, window_condition
from tickets.distribution.giving import in_line
from tickets.models import Ticket, TicketQuerySet
from tickets.services.locking import lock
from tickets.services.transition import update
from users.business_time import business_between
from users.models import Department

STEPS = (10, 5, 3, 1)
PAUSE = timedelta(minutes=3)
BEGUN_TO_WAIT = timedelta(seconds=20)  # who is taken at once hears from a person
LONGEST_QUEUE = 500  # nobody behind it is told anything
SAMPLES, AROUND = 60, 120  # tickets that are counted, and among which their places are counted
RECENT = timedelta(days=7)
FEWEST = 8
SURE, VAGUE = 2.5, 8.0  # how many times the third quarter is the first: one figure, a range, none


@dataclass(frozen=True)
class Estimate:
    """Of the waits like this one half were between `low` and `high`."""

    low: timedelta
    middle: timedelta
    high: timedelta

    @property
    def is_sure(self) -> bool:
        return self.high <= self.low * SURE


@dataclass(frozen=True)
class Place:
    position: int
    estimate: Estimate | None


def to_tell(now: datetime) -> Iterator[Ticket]:
    """Tickets whose customer is to be told their place now. One statement when nobody waits where
    it is told."""
    waiting = _waiting(now).filter(department=OuterRef("pk"))
    asked = Department.objects.active().filter(Exists(waiting), tells_position=True)
    rows = asked.select_related("calendar")
    for department in rows.prefetch_related("calendar__hours", "calendar__holidays"):
        if not department.is_open(now):
            continue
        line = in_line(_waiting(now).filter(department=department))
        reachable = set(_reachable(line, now).values_list("pk", flat=True))
        for position, ticket in enumerate(line[:LONGEST_QUEUE], start=1):
            if ticket.pk in reachable and is_due(ticket, position, now):
                yield ticket


def note_told(ticket: Ticket, session: Session, *, now: datetime) -> Place | None:
    """Keep that the customer of a locked session is told their place, and which; None when they are
    not to be told any more."""
    lock(ticket, session)
    department = ticket.department
    if not department.tells_position or not department.is_open(now):
        return None
    line = in_line(_waiting(now).filter(department=department))
    places = {pk: place for place, pk in enumerate(line.values_list("pk", flat=True), start=1)}
    position = places.get(ticket.pk)
    if position is None or not is_due(ticket, position, now):
        return None
    update(ticket, {"told_position": position, "told_at": now})
    return Place(position, estimate(department, position, now=now))


def is_due(ticket: Ticket, position: int, now: datetime) -> bool:
    """What was told in an earlier stay in a queue is past, but for the pause after it."""
    if ticket.told_at is not None and now - ticket.told_at < PAUSE:
        return False
    told = ticket.told_position
    if told is None or ticket.told_at is None or ticket.told_at < ticket.queued_at:
        return now - ticket.queued_at >= BEGUN_TO_WAIT
    return any(position <= step < told for step in STEPS) or position * 2 <= told


def estimate(department: Department, position: int, *, now: datetime) -> Estimate | None:
    """How long somebody at this place has to wait for an answer; None when nobody can tell."""
    rows = Ticket.objects.real().filter(
        department=department, assigned_at__isnull=False, queued_at__gte=now - RECENT
    )
    values = rows.order_by("-pk").values_list("queued_at", "assigned_at", "first_response_at")
    stays = [(queued, taken, answered) for queued, taken, answered in values[:AROUND] if taken]
    return _estimate(stays, department, position)


def _estimate(
    recent: Sequence[tuple[datetime, datetime, datetime | None]],
    department: Department,
    position: int,
) -> Estimate | None:
    stays = [one for one in recent if one[0] <= one[1]]
    shares = []
    for queued, taken, answered in stays[:SAMPLES]:
        place = 1 + sum(other < queued < left for other, left, _answered in stays)
        served = answered if answered is not None and answered >= taken else taken
        shares.append(business_between(department.calendar, queued, served) / place)
    if len(shares) < FEWEST:
        return None
    low, middle, high = quantiles([one.total_seconds() for one in shares], n=4)
    if high > max(low, 60 / position) * VAGUE:
        return None
    return Estimate(*(timedelta(seconds=position * max(one, 0)) for one in (low, middle, high)))


def _waiting(now: datetime) -> TicketQuerySet:
    """With the queue and nobody else: somebody may have answered on the company's phone."""
    waiting = Ticket.objects.open().real().awake(now).unassigned()
    return waiting.filter(session__owner=Owner.QUEUE)


def _reachable(tickets: TicketQuerySet, now: datetime) -> TicketQuerySet:
    return tickets.filter(window_condition("open", at=now, prefix="session__"))
