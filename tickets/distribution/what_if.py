"""What a past week would have been like with other rules.

A pure simulation with a clock of its own: the tickets come as they came, the people are there when
they were at work, and `decide`, which decides in earnest, gives them out. What is not recorded is
assumed, and `ASSUMPTIONS` says what. Nothing is written.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from heapq import heappop, heappush
from itertools import count, pairwise
from statistics import median

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tickets.distribution.deciding import Candidate, Rules, decide
from tickets.distribution.people import for_ticket
from tickets.models import Priority, Ticket, TicketEvent, TicketEventKind
from tickets.next_ticket import RANKS
from users import business_time
from users.models import Availability, Calendar, Department, User

MOST_TICKETS = 20_000
ONE_DAY = timedelta(days=1)
USUAL = timedelta(minutes=10)  # of a ticket's work, when none of the week was finished
LONGEST = timedelta(days=62)

ASSUMPTIONS: tuple[str | Promise, ...] = (
    _(
        "When somebody was available is not recorded: they count as available each day from the "
        "first to the last thing they did on tickets, within the department's hours. Breaks are "
        "not known."
    ),
    _("A ticket takes whoever gets it as long as it took, from taking it up to its end."),
    _(
        "A given ticket is taken up after a time that such tickets really took, drawn in turn; "
        "where none was given in these days, at once."
    ),
    _("Members, slots, skills and the lead's attendant are those of today."),
    _("A ticket that changed departments counts where it is now."),
    _("Waits are counted in the department's business hours, until somebody took the ticket up."),
)


@dataclass(frozen=True)
class Policy:
    """Other rules; None leaves what people have today."""

    prefers_attendant: bool = True
    accept_minutes: int | None = None
    slots: int | None = None


@dataclass(frozen=True)
class Case:
    """A ticket as it was."""

    id: int
    arrived: datetime
    rank: int
    needs: tuple[str, ...]
    own: int | None
    by: int | None  # who took it up
    taken_up: datetime | None
    ended: datetime | None

    @property
    def place(self) -> tuple[int, datetime, int]:
        return self.rank, self.arrived, self.id


@dataclass(frozen=True)
class Person:
    candidate: Candidate
    present: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True)
class Week:
    """A stretch of a department's past, read once."""

    department: Department
    begins: datetime
    ends: datetime
    cases: tuple[Case, ...]
    held: tuple[tuple[int, datetime | None], ...]  # tickets from before: with whom, until when
    people: tuple[Person, ...]
    reactions: tuple[timedelta, ...]  # from being given a ticket to taking it up
    usual: timedelta

    @property
    def names(self) -> dict[int, str]:
        return {one.candidate.id: one.candidate.name for one in self.people}


@dataclass
class Result:
    """How it was, or would have been. `waits` of those that were taken up."""

    waits: list[timedelta] = field(default_factory=list)
    left: int = 0  # never taken up before the end
    returned: int = 0
    received: Counter[int] = field(default_factory=Counter)
    peaks: dict[int, int] = field(default_factory=dict)  # the most at the same time

    def wait(self, share: float) -> timedelta | None:
        """The wait that so large a share did not exceed; None without any."""
        ranked = sorted(self.waits)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else None

    @property
    def spread(self) -> int:
        """How many more tickets the one with the most received than the one with the fewest."""
        counts = self.received.values()
        return max(counts, default=0) - min(counts, default=0)


# --- Reading -----------------------------------------------------------------------------------


def read(department: Department, begins: datetime, ends: datetime) -> Week:
    """A number of statements that does not depend on how much happened."""
    tickets = Ticket.objects.real().filter(department=department)
    arrived = tickets.filter(created_at__gte=begins, created_at__lt=ends)
    events = _taking(arrived, ends)
    rows = list(
        arrived.order_by("pk").select_related("lead").prefetch_related("skills")[:MOST_TICKETS]
    )
    cases = tuple(_case(one, events.get(one.pk, [])) for one in rows)
    lengths = [
        (one.ended - one.taken_up).total_seconds() for one in cases if one.ended and one.taken_up
    ]
    return Week(
        department=department,
        begins=begins,
        ends=ends,
        cases=cases,
        held=_held(tickets, begins),
        people=_people(department, cases, begins, ends),
        reactions=_reactions(events),
        usual=timedelta(seconds=median(lengths)) if lengths else USUAL,
    )


_Taking = list[tuple[str, int | None, datetime]]


def _taking(tickets: Iterable[Ticket], ends: datetime) -> dict[int, _Taking]:
    """Who was given and who claimed each of them, in order."""
    kinds = (TicketEventKind.ASSIGNED, TicketEventKind.CLAIMED)
    rows = TicketEvent.objects.filter(ticket__in=tickets, kind__in=kinds, created_at__lt=ends)
    found: dict[int, _Taking] = defaultdict(list)
    for ticket, kind, actor, at in rows.order_by("pk").values_list(
        "ticket", "kind", "actor", "created_at"
    ):
        found[ticket].append((kind, actor, at))
    return found


def _case(ticket: Ticket, taking: _Taking) -> Case:
    claims = [(actor, at) for kind, actor, at in taking if kind == TicketEventKind.CLAIMED]
    by, taken_up = claims[0] if claims else (ticket.assignee_id, ticket.first_response_at)
    ended = ticket.resolved_at or ticket.closed_at
    return Case(
        id=ticket.pk,
        arrived=ticket.created_at,
        rank=RANKS[Priority(ticket.priority)],
        needs=tuple(sorted(one.name for one in ticket.skills.all())),
        own=ticket.lead.attendant_id,
        by=by if taken_up else None,
        taken_up=taken_up,
        ended=ended if ended and (taken_up is None or ended >= taken_up) else None,
    )


def _held(tickets: Iterable[Ticket], begins: datetime) -> tuple[tuple[int, datetime | None], ...]:
    """What people had in hand when the week began."""
    rows = Ticket.objects.filter(pk__in=tickets, assigned_at__lt=begins, created_at__lt=begins)
    rows = rows.filter(assignee__isnull=False).exclude(resolved_at__lt=begins)
    rows = rows.exclude(closed_at__lt=begins)
    values = rows.values_list("assignee", "resolved_at", "closed_at")
    return tuple((user, resolved or closed) for user, resolved, closed in values if user)


def _people(
    department: Department, cases: Iterable[Case], begins: datetime, ends: datetime
) -> tuple[Person, ...]:
    members = {one.pk: one for one in department.users.filter(is_active=True)}
    besides = {one.own for one in cases if one.own} | {one.by for one in cases if one.by}
    skilled = User.objects.filter(pk__in=members.keys() | besides).prefetch_related("skills")
    opened = open_stretches(department.calendar, begins, ends)
    acts: dict[int, list[datetime]] = defaultdict(list)
    rows = TicketEvent.objects.filter(actor__in=members, created_at__range=(begins, ends))
    for actor, at in rows.values_list("actor", "created_at").order_by("created_at"):
        acts[actor].append(at)
    zone = department.calendar.zone if department.calendar else None
    return tuple(
        Person(
            Candidate(
                id=one.pk,
                name=str(one),
                is_member=one.pk in members,
                skills=tuple(sorted(skill.name for skill in one.skills.all())),
                slots=one.capacity,
            ),
            _present(acts[one.pk], opened, zone),
        )
        for one in skilled.order_by("pk")
    )


def _present(
    acts: Sequence[datetime], opened: Sequence[tuple[datetime, datetime]], zone: object
) -> tuple[tuple[datetime, datetime], ...]:
    """Each day from the first act to the last, as far as the department is open."""
    days: dict[object, list[datetime]] = defaultdict(list)
    for at in acts:
        days[at.astimezone(zone).date()].append(at)  # type: ignore[arg-type]  # a zone, or the machine's
    stretches = [(one[0], one[-1]) for one in days.values()]
    met = [
        (max(begin, opens), min(end, closes))
        for begin, end in stretches
        for opens, closes in opened
    ]
    return tuple(sorted((begin, end) for begin, end in met if begin < end))


def open_stretches(
    calendar: Calendar | None, begins: datetime, ends: datetime
) -> list[tuple[datetime, datetime]]:
    if calendar is None:
        return [(begins, ends)]
    first = begins.astimezone(calendar.zone).date() - ONE_DAY
    days = business_time.days(calendar, first, (ends - begins).days + 3)

    def at(day: business_time.Day, clock: time, later: int) -> datetime:
        return datetime.combine(day.date + later * ONE_DAY, clock, calendar.zone)

    found = [
        (at(day, opens, 0), at(day, closes, int(closes <= opens)))
        for day in days
        for opens, closes in day.stretches
    ]
    return [(max(one, begins), min(two, ends)) for one, two in found if one < ends and two > begins]


def _reactions(events: dict[int, _Taking]) -> tuple[timedelta, ...]:
    """How long those who were given a ticket took to claim it."""
    return tuple(
        claimed - given
        for taking in events.values()
        for (kind, _one, given), (then, _two, claimed) in pairwise(taking)
        if (kind, then) == (TicketEventKind.ASSIGNED, TicketEventKind.CLAIMED)
    )


# --- As it was ---------------------------------------------------------------------------------


def as_it_was(week: Week) -> Result:
    result = Result(received=Counter(dict.fromkeys(_members(week), 0)))
    steps: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
    for user, until in week.held:
        steps[user] += [(week.begins, 1), (until or week.ends, -1)]
    for case in week.cases:
        if case.taken_up is None or case.taken_up > week.ends:
            result.left += 1
            continue
        result.waits.append(_wait(week, case, case.taken_up))
        if case.by is not None:
            result.received[case.by] += 1
            steps[case.by] += [(case.taken_up, 1), (case.ended or week.ends, -1)]
    for user, changes in steps.items():
        result.peaks[user] = _peak(changes)
    return result


def _members(week: Week) -> list[int]:
    """Those who were there at all: nobody else could have had more."""
    return [one.candidate.id for one in week.people if one.candidate.is_member and one.present]


def _peak(changes: Iterable[tuple[datetime, int]]) -> int:
    most = now = 0
    for _at, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _wait(week: Week, case: Case, taken_up: datetime) -> timedelta:
    calendar = week.department.calendar
    return business_time.business_between(calendar, case.arrived, taken_up)


# --- As it would have been ---------------------------------------------------------------------


def simulate(
    week: Week, policy: Policy, *, progress: Callable[[int], object] = lambda done: None
) -> Result:
    """`progress` is told how many of the tickets have come."""
    return _Simulation(week, policy, progress).run()


@dataclass
class _Simulation:
    week: Week
    policy: Policy
    progress: Callable[[int], object]

    def __post_init__(self) -> None:
        self.events: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self.numbers = count()
        self.people = {one.candidate.id: self._at_first(one) for one in self.week.people}
        self.waiting: list[Case] = []
        self.declined: dict[int, set[int]] = defaultdict(set)
        self.result = Result(received=Counter(dict.fromkeys(_members(self.week), 0)))
        self.come = 0

    def _at_first(self, one: Person) -> Candidate:
        slots = one.candidate.slots if self.policy.slots is None else self.policy.slots
        return replace(one.candidate, slots=slots, availability=Availability.OFFLINE)

    def run(self) -> Result:
        for case in self.week.cases:
            self.later(case.arrived, lambda _at, case=case: self.arrive(case))
        for person in self.week.people:
            for begin, end in person.present:
                self.set_later(begin, person.candidate.id, Availability.AVAILABLE)
                self.set_later(end, person.candidate.id, Availability.OFFLINE)
        for user, until in self.week.held:
            if user in self.people:
                self.change(user, in_progress=1)
                if until is not None:
                    self.later(until, lambda _at, user=user: self.change(user, in_progress=-1))
        while self.events and self.events[0][0] <= self.week.ends:
            at, _number, happen = heappop(self.events)
            happen(at)
            if not self.events or self.events[0][0] > at:
                self.give_out(at)
        self.result.left = len(self.week.cases) - len(self.result.waits)
        return self.result

    def later(self, at: datetime, happen: Callable[..., None]) -> None:
        heappush(self.events, (at, next(self.numbers), happen))

    def set_later(self, at: datetime, user: int, availability: Availability) -> None:
        def set_it(_at: datetime) -> None:
            self.people[user] = replace(self.people[user], availability=availability)

        self.later(at, set_it)

    def change(self, user: int, *, open: int = 0, in_progress: int = 0) -> None:
        before = self.people[user]
        after = replace(
            before, open=before.open + open, in_progress=before.in_progress + in_progress
        )
        self.people[user] = after
        self.result.peaks[user] = max(self.result.peaks.get(user, 0), after.taken)

    def arrive(self, case: Case) -> None:
        self.waiting.append(case)
        self.come += 1
        self.progress(self.come)

    def give_out(self, at: datetime) -> None:
        for case in sorted(self.waiting, key=lambda one: one.place):
            if not any(map(_is_free, self.people.values())):
                return
            rules = Rules(prefers_attendant=self.policy.prefers_attendant, needs=case.needs)
            members = (one for one in self.people.values() if one.is_member)
            asked = for_ticket(members, declined=self.declined[case.id], own=case.own)
            chosen = decide(rules, asked).chosen
            if chosen is not None:
                self.waiting.remove(case)
                self.give(case, chosen, at)

    def give(self, case: Case, user: int, at: datetime) -> None:
        self.people[user] = replace(self.people[user], last_received_at=at)
        self.change(user, open=1)
        reactions, limit = self.week.reactions, self.policy.accept_minutes
        tries = len(self.declined[case.id])
        reaction = reactions[(case.id + tries) % len(reactions)] if reactions else timedelta()
        if limit is not None and reaction > timedelta(minutes=limit):
            patience = timedelta(minutes=limit)
            self.later(at + patience, lambda _at: self.take_back(case, user))
        else:
            self.later(at + reaction, lambda then: self.take_up(case, user, then))

    def take_back(self, case: Case, user: int) -> None:
        self.change(user, open=-1)
        self.declined[case.id].add(user)
        self.result.returned += 1
        self.waiting.append(case)

    def take_up(self, case: Case, user: int, at: datetime) -> None:
        self.change(user, open=-1, in_progress=1)
        self.result.received[user] += 1
        self.result.waits.append(_wait(self.week, case, at))
        if case.taken_up is None or case.ended is not None:
            length = case.ended - case.taken_up if case.ended and case.taken_up else self.week.usual
            self.later(at + length, lambda _at: self.change(user, in_progress=-1))


def _is_free(one: Candidate) -> bool:
    return one.availability == Availability.AVAILABLE and one.taken < one.slots
