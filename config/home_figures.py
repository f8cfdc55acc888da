"""The numbers of the start page: aggregates of what the person may see, each read from an index or
a counter that is kept, at a number of statements that does not grow.

`cached` keeps them for everybody who sees the same: all admins share theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, TypeVar

from django.core.cache import cache
from django.db.models import Avg, Count, Exists, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import TruncDate, TruncHour
from django.utils import timezone

from chatbot.models import (
    Author,
    Flow,
    FlowLog,
    FlowLogKind,
    MessageLog,
    MessageStatus,
    TrafficHour,
)
from config.home_period import DAY, WEEK, Part, Period
from leads.models import Lead, LeadStatus
from sessions_app.models import Channel, ChannelKind, EndReason, Session
from tickets.models import OPEN_STATUSES, Ticket, TicketStatus
from users.models import Availability, User

MOST_MEASURED = 5_000  # tickets of one median
MOST_PLACES = 5  # where people give up
MOST_PEOPLE = 12
FUNNEL = (LeadStatus.NEW, LeadStatus.CONTACTED, LeadStatus.QUALIFIED, LeadStatus.CONVERTED)

Found = TypeVar("Found")


def cached(name: str, user: User, seconds: int, compute: Callable[[], Found]) -> Found:
    """What `compute` says, kept for a while for all who see the same rows."""
    scope = "admins" if user.is_admin else f"user-{user.pk}"
    found: Found | None = cache.get(f"home-{name}-{scope}")
    if found is None:
        found = compute()
        cache.set(f"home-{name}-{scope}", found, seconds)
    return found


# --- Figures with their past -------------------------------------------------------------------


@dataclass(frozen=True)
class Measure:
    """One figure over the parts of a period and of the one before. None: nothing to measure."""

    now: float | None
    before: float | None
    parts: list[float | None]
    parts_before: list[float | None]
    count: int = 0  # how many it was measured on


@dataclass(frozen=True)
class Figures:
    """`bot_share` (0 to 1) is for admins: attendants see only conversations that came to people.
    `first_response` is in seconds. `at_risk` and `late` are of this moment."""

    conversations: Measure
    bot_share: Measure | None
    open_tickets: Measure
    first_response: Measure
    rating: Measure
    at_risk: int
    late: int


def figures(user: User, period: Period) -> Figures:
    """Five statements."""
    conversations, bot_share = _conversations(user, period)
    tickets = Ticket.objects.visible_to(user).real()
    risk = tickets.late(period.now).count(), tickets.at_risk(period.now).count()
    return Figures(
        conversations=conversations,
        bot_share=bot_share if user.is_admin else None,
        open_tickets=_open_tickets(tickets, period),
        first_response=_first_response(tickets, period),
        rating=_rating(tickets, period),
        late=risk[0],
        at_risk=risk[1],
    )


def _conversations(user: User, period: Period) -> tuple[Measure, Measure]:
    """How many began, and what share of those that are settled the bot finished alone. The ones
    that people gave up count as not finished."""
    rows = Session.objects.visible_to(user).real().filter(_in_either("started_at", period))
    rows = rows.annotate(has_ticket=Exists(Ticket.objects.filter(session=OuterRef("pk"))))
    alone = Q(has_ticket=False, end_reason=EndReason.COMPLETED)
    settled = Q(has_ticket=True) | Q(ended_at__isnull=False)
    counts = _counted(
        rows,
        period,
        {
            "all": ("started_at", Q()),
            "alone": ("started_at", alone),
            "settled": ("started_at", settled),
        },
    )
    shares = [
        [_ratio(one, of) for one, of in zip(counts["alone"][i], counts["settled"][i], strict=True)]
        for i in (0, 1)
    ]
    totals = [_ratio(sum(counts["alone"][i]), sum(counts["settled"][i])) for i in (0, 1)]
    now, before = counts["all"]
    return (
        Measure(sum(now), sum(before), [*now], [*before]),
        Measure(totals[0], totals[1], shares[0], shares[1], count=sum(counts["settled"][0])),
    )


def _open_tickets(tickets: QuerySet[Ticket], period: Period) -> Measure:
    """How many were open at the end of each part. A ticket that was reopened counts as open all the
    time."""
    begin = period.parts_before[0][0]
    moments = [end for _begin, end in period.parts]
    past = [end for _begin, end in period.parts_before]
    maybe = Q(status__in=OPEN_STATUSES) | Q(resolved_at__gte=begin) | Q(closed_at__gte=begin)
    counts = tickets.filter(maybe).aggregate(
        **{f"now_{i}": Count("pk", filter=_was_open(at)) for i, at in enumerate(moments)},
        **{f"past_{i}": Count("pk", filter=_was_open(at)) for i, at in enumerate(past)},
        open=Count("pk", filter=Q(status__in=OPEN_STATUSES)),
    )
    now: list[float | None] = [counts[f"now_{i}"] for i in range(len(moments))]
    before: list[float | None] = [counts[f"past_{i}"] for i in range(len(past))]
    return Measure(counts["open"], before[-1], now, before)


def _was_open(at: datetime) -> Q:
    is_over = Q(resolved_at__lte=at) | Q(closed_at__lte=at)
    return Q(created_at__lte=at) & (Q(status__in=OPEN_STATUSES) | ~is_over)


def _first_response(tickets: QuerySet[Ticket], period: Period) -> Measure:
    """The median time until somebody answered, of the tickets opened in each part."""
    rows = tickets.filter(_in_either("created_at", period), first_response_at__isnull=False)
    times = list(
        rows.order_by("-created_at").values_list("created_at", "first_response_at")[:MOST_MEASURED]
    )
    waits = [
        (opened, (answered - opened).total_seconds()) for opened, answered in times if answered
    ]

    def medians(parts: Sequence[Part]) -> tuple[float | None, list[float | None]]:
        each = [[wait for at, wait in waits if begin <= at < end] for begin, end in parts]
        whole = [wait for part in each for wait in part]
        return _median(whole), [_median(part) for part in each]

    now, parts = medians(period.parts)
    before, parts_before = medians(period.parts_before)
    return Measure(now, before, parts, parts_before)


def _rating(tickets: QuerySet[Ticket], period: Period) -> Measure:
    """The mean of what customers gave, from 1 to 5."""
    both = {"now": period.parts, "past": period.parts_before}
    whole = {name: (parts[0][0], parts[-1][1]) for name, parts in both.items()}
    found = tickets.filter(_in_either("rated_at", period), rating__isnull=False).aggregate(
        **{
            f"{name}_{i}": Avg("rating", filter=_within("rated_at", part))
            for name, parts in both.items()
            for i, part in enumerate(parts)
        },
        **{name: Avg("rating", filter=_within("rated_at", part)) for name, part in whole.items()},
        count=Count("pk", filter=_within("rated_at", whole["now"])),
    )
    return Measure(
        found["now"],
        found["past"],
        [found[f"now_{i}"] for i in range(len(period.parts))],
        [found[f"past_{i}"] for i in range(len(period.parts))],
        count=found["count"],
    )


def _counted(
    rows: QuerySet[Any], period: Period, wanted: dict[str, tuple[str, Q]]
) -> dict[str, tuple[list[int], list[int]]]:
    """One statement: for each name the rows that meet its condition, by part, now and before."""
    both = (period.parts, period.parts_before)
    counts = rows.aggregate(
        **{
            f"{name}_{era}_{i}": Count("pk", filter=condition & _within(field, part))
            for name, (field, condition) in wanted.items()
            for era, parts in enumerate(both)
            for i, part in enumerate(parts)
        }
    )
    return {
        name: (
            [counts[f"{name}_0_{i}"] for i in range(len(both[0]))],
            [counts[f"{name}_1_{i}"] for i in range(len(both[1]))],
        )
        for name in wanted
    }


def _within(field: str, part: Part) -> Q:
    return Q(**{f"{field}__gte": part[0], f"{field}__lt": part[1]})


def _in_either(field: str, period: Period) -> Q:
    spans = [(parts[0][0], parts[-1][1]) for parts in (period.parts, period.parts_before)]
    return _within(field, spans[0]) | _within(field, spans[1])


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


# --- Messages by hour or day -------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """One hour or day: what customers, bot and team said; with kept counters bot and team are one
    (`sent`). `before` is the whole of the compared one, None where it is not counted."""

    at: datetime
    customers: int = 0
    bot: int = 0
    team: int = 0
    sent: int = 0
    before: int | None = None

    @property
    def total(self) -> int:
        return self.customers + self.bot + self.team + self.sent


def messages(user: User, period: Period) -> list[Column]:
    """At most two statements. Hours of today come from the messages themselves, days from the
    counters that workers keep for all channels (an attendant's from the conversations they see)."""
    if period.is_today:
        return _hours(user, period)
    return _days_counted(period) if user.is_admin else _days(user, period)


def _hours(user: User, period: Period) -> list[Column]:
    said = _said(user, period.begin, period.begin + DAY, by_day=False)
    before = _totals_before(user, period)
    hours = [period.begin + timedelta(hours=number) for number in range(24)]
    return [Column(at, *said.get(at, (0, 0, 0)), before=before.get(at, 0)) for at in hours]


def _totals_before(user: User, period: Period) -> dict[datetime, int]:
    begin = period.begin - WEEK
    if user.is_admin:
        rows = TrafficHour.objects.filter(hour__gte=begin, hour__lt=begin + DAY)
        sums = rows.values("hour").annotate(n=Sum("received") + Sum("sent"))
        return {timezone.localtime(row["hour"]) + WEEK: row["n"] for row in sums}
    said = _said(user, begin, begin + DAY, by_day=False)
    return {at + WEEK: sum(counts) for at, counts in said.items()}


def _days(user: User, period: Period) -> list[Column]:
    said = _said(user, period.begin, period.now, by_day=True)
    return [Column(at, *said.get(at, (0, 0, 0))) for at in _midnights(period)]


def _days_counted(period: Period) -> list[Column]:
    rows = TrafficHour.objects.filter(hour__gte=period.begin, hour__lt=period.now)
    by_day = rows.annotate(day=TruncDate("hour", tzinfo=timezone.get_current_timezone()))
    sums = by_day.values("day").annotate(customers=Sum("received"), sent=Sum("sent"))
    found = {row["day"]: (row["customers"], row["sent"]) for row in sums}
    none = (0, 0)
    return [
        Column(at, customers=found.get(at.date(), none)[0], sent=found.get(at.date(), none)[1])
        for at in _midnights(period)
    ]


def _said(
    user: User, begin: datetime, end: datetime, *, by_day: bool
) -> dict[datetime, tuple[int, int, int]]:
    """What customers, bot and team said, by local hour or midnight. System texts are the bot's."""
    real = Channel.objects.visible_to(user).exclude(kind=ChannelKind.SIMULATOR).values("pk")
    rows = MessageLog.objects.visible_to(user).filter(
        created_at__gte=begin, created_at__lt=end, channel__in=real
    )
    zone = timezone.get_current_timezone()
    hour = TruncHour("created_at", tzinfo=zone)
    counts = rows.order_by().annotate(hour=hour).values("hour", "author").annotate(n=Count("pk"))
    places = {Author.CUSTOMER: 0, Author.ATTENDANT: 2}
    found: dict[datetime, list[int]] = {}
    for row in counts:
        at = timezone.localtime(row["hour"])
        key = at.replace(hour=0) if by_day else at
        found.setdefault(key, [0, 0, 0])[places.get(row["author"], 1)] += row["n"]
    return {at: (one[0], one[1], one[2]) for at, one in found.items()}


def _midnights(period: Period) -> Iterable[datetime]:
    return [period.begin + number * DAY for number in range(period.days)]


# --- Tickets, leads, flows, people -------------------------------------------------------------


@dataclass(frozen=True)
class Statuses:
    """How many tickets stand how; resolved and closed ones are those of today. `resolution` is the
    median in seconds of what was resolved today."""

    counts: dict[str, int]
    resolution: float | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def statuses(user: User, period: Period) -> Statuses:
    """Two statements."""
    midnight = Period("today", period.now).begin
    tickets = Ticket.objects.visible_to(user).real()
    today = Q(status=TicketStatus.RESOLVED, resolved_at__gte=midnight) | Q(
        status=TicketStatus.CLOSED, closed_at__gte=midnight
    )
    rows = tickets.filter(Q(status__in=OPEN_STATUSES) | today).order_by().values("status")
    found = {row["status"]: row["n"] for row in rows.annotate(n=Count("pk"))}
    times = tickets.filter(resolved_at__gte=midnight).values_list("created_at", "resolved_at")
    whole = [(end - begin).total_seconds() for begin, end in times[:MOST_MEASURED] if end]
    return Statuses({one: found.get(one, 0) for one in TicketStatus.values}, _median(whole))


@dataclass(frozen=True)
class Funnel:
    """How many leads of the last 30 days came so far or further; the lost ones count as new."""

    reached: dict[str, int]
    share: float | None
    share_before: float | None


def funnel(user: User, period: Period) -> Funnel:
    """One statement."""
    begin = Period("30", period.now).begin
    rows = Lead.objects.visible_to(user).real().live().filter(created_at__gte=begin - 30 * DAY)
    counts = (
        rows.order_by()
        .values("status")
        .annotate(
            now=Count("pk", filter=Q(created_at__gte=begin)),
            before=Count("pk", filter=Q(created_at__lt=begin)),
        )
    )
    by_status = {row["status"]: row for row in counts}

    def reached(era: str) -> dict[str, int]:
        lost = by_status.get(LeadStatus.LOST, {}).get(era, 0)
        own = [by_status.get(status, {}).get(era, 0) for status in FUNNEL]
        further = {str(status): sum(own[i:]) for i, status in enumerate(FUNNEL)}
        return {**further, FUNNEL[0]: further[FUNNEL[0]] + lost}

    now, before = reached("now"), reached("before")
    first, last = FUNNEL[0], FUNNEL[-1]
    return Funnel(now, _ratio(now[last], now[first]), _ratio(before[last], before[first]))


@dataclass(frozen=True)
class GivenUp:
    """A passo at which conversations ended because nobody answered, of those that came to it."""

    flow_id: int
    flow: str
    title: str
    came: int
    left: int

    @property
    def share(self) -> float:
        return self.left / self.came if self.came else 0.0


def given_up(user: User, period: Period) -> list[GivenUp]:
    """Where most people gave up in the last seven days. Two statements."""
    begin = Period("7", period.now).begin
    rows = FlowLog.objects.visible_to(user).real().filter(created_at__gte=begin, run__isnull=False)
    places = (
        rows.exclude(next_node="")
        .order_by()
        .values("run__version__flow", "next_node")
        .annotate(
            came=Count("session", distinct=True),
            left=Count(
                "session", distinct=True, filter=Q(kind=FlowLogKind.END, message__kind="idle")
            ),
        )
        .filter(left__gt=0)
        .order_by("-left")[:MOST_PLACES]
    )
    found = list(places)
    wanted = {row["run__version__flow"] for row in found}
    flows = Flow.objects.visible_to(user).select_related("published").in_bulk(wanted)
    shown = [
        GivenUp(flow.pk, flow.name, _title_of(flow, row["next_node"]), row["came"], row["left"])
        for row in found
        if (flow := flows.get(row["run__version__flow"]))
    ]
    return sorted(shown, key=lambda one: -one.share)


def _title_of(flow: Flow, node: str) -> str:
    document = flow.published.document if flow.published else flow.draft
    title = document.get("nodes", {}).get(node, {}).get("title")
    return str(title or node)


@dataclass(frozen=True)
class Load:
    """How many open tickets somebody has, of how many they take."""

    user: User
    open: int
    departments: str

    @property
    def share(self) -> float:
        return min(1.0, self.open / self.user.capacity) if self.user.capacity else 1.0


def load(user: User) -> list[Load]:
    """The people whose tickets one may see: admins everybody who attends, attendants themselves.
    Three statements."""
    people = User.objects.visible_to(user).active().prefetch_related("departments")
    people = (
        people.filter(departments__isnull=False) if user.is_admin else people.filter(pk=user.pk)
    )
    shown = list(people.distinct())
    counts = (
        Ticket.objects.visible_to(user)
        .real()
        .open()
        .filter(assignee__in=[one.pk for one in shown])
        .order_by()
        .values_list("assignee")
        .annotate(n=Count("pk"))
    )
    open_of = dict(counts)
    loads = [
        Load(one, open_of.get(one.pk, 0), ", ".join(d.name for d in one.departments.all()))
        for one in shown
    ]
    rank = {Availability.AVAILABLE: 0, Availability.PAUSED: 1, Availability.OFFLINE: 2}
    return sorted(loads, key=lambda one: (rank[Availability(one.user.availability)], -one.open))


def undelivered(user: User, midnight: datetime) -> int:
    """Messages of today that a channel refused."""
    rows = MessageLog.objects.visible_to(user).real()
    return rows.filter(status=MessageStatus.FAILED, created_at__gte=midnight).count()
