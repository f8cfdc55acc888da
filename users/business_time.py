"""Time in business hours: whether a calendar is open, and arithmetic that counts open time only.

A stretch belongs to the day on which it begins: one that runs over midnight is not cut short by a
holiday on the next day. A day with an exception of its own has the exception's hours, or none,
whatever weekday or public holiday it is. Wall-clock times are read in the calendar's time zone; of
two moments with the same wall-clock time (clocks going back) the first counts. `None` as calendar
is always open.

A function reads a calendar's hours and exceptions once (not at all when they are prefetched), never
once a day, and looks no further ahead than HORIZON.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from holidays import country_holidays

if TYPE_CHECKING:
    from users.models import Calendar

HORIZON = timedelta(days=3 * 366)
ONE_DAY = timedelta(days=1)
NOTHING = timedelta()


@dataclass(frozen=True)
class Day:
    """One day as a calendar has it: wall-clock stretches (one that closes no later than it opens
    ends on the next day), and the name of the exception or public holiday, if it is one."""

    date: date
    stretches: tuple[tuple[time, time], ...]
    name: str = ""


def is_open(calendar: Calendar | None, at: datetime) -> bool:
    if calendar is None:
        return True
    moment = at.astimezone(UTC)
    return any(_Timetable(calendar).stretches(moment, moment + timedelta.resolution))


def next_opening(calendar: Calendar | None, at: datetime) -> datetime | None:
    """When it is open next, `at` itself while it is; None when it is not within HORIZON."""
    moment = at.astimezone(UTC)
    if calendar is None:
        return moment
    ahead = _Timetable(calendar).stretches(moment, moment + HORIZON)
    return next((begin for begin, _end in ahead), None)


def add_business(calendar: Calendar | None, at: datetime, amount: timedelta) -> datetime | None:
    """The first moment at which `amount` of open time has passed since `at`; None when there is
    less than that within HORIZON."""
    moment = at.astimezone(UTC)
    if calendar is None or amount <= NOTHING:
        return moment + max(amount, NOTHING)
    left = amount
    for begin, end in _Timetable(calendar).stretches(moment, moment + HORIZON):
        if end - begin >= left:
            return begin + left
        left -= end - begin
    return None


def business_between(calendar: Calendar | None, since: datetime, until: datetime) -> timedelta:
    """How much open time lies between two moments; nothing when `until` is not the later one."""
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    if calendar is None:
        return max(until - since, NOTHING)
    passed = _Timetable(calendar).stretches(since, until)
    return sum((end - begin for begin, end in passed), NOTHING)


def days(calendar: Calendar, first: date, count: int) -> list[Day]:
    """`count` days from `first` on, as the calendar has them."""
    timetable = _Timetable(calendar)
    return [timetable.day(first + number * ONE_DAY) for number in range(count)]


class _Timetable:
    """A calendar's rows, read once."""

    def __init__(self, calendar: Calendar) -> None:
        self._zone: ZoneInfo = calendar.zone
        self._exceptions = {exception.date: exception for exception in calendar.holidays.all()}
        self._state = calendar.holiday_state if calendar.observes_holidays else None
        self._hours: dict[int, list[tuple[time, time]]] = defaultdict(list)
        for hours in calendar.hours.all():
            self._hours[hours.weekday].append((hours.opens_at, hours.closes_at))

    def day(self, day: date) -> Day:
        exception = self._exceptions.get(day)
        if exception is not None:
            opens, closes = exception.opens_at, exception.closes_at
            if opens is None or closes is None:
                return Day(day, (), exception.name)
            return Day(day, ((opens, closes),), exception.name)
        holiday = "" if self._state is None else public_holidays(self._state, day.year).get(day)
        if holiday:
            return Day(day, (), holiday)
        return Day(day, tuple(sorted(self._hours.get(day.weekday(), ()))))

    def stretches(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Open time between two moments in UTC: in order, none empty, without overlaps."""
        done = since
        day = since.astimezone(self._zone).date() - ONE_DAY  # its last stretch may reach into ours
        last = until.astimezone(self._zone).date()
        while day <= last:
            for opens, closes in self.day(day).stretches:
                begin = max(self._moment(day, opens), done)
                end = min(self._moment(day if closes > opens else day + ONE_DAY, closes), until)
                if begin < end:
                    yield begin, end
                    done = end
            day += ONE_DAY

    def _moment(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, tzinfo=self._zone).astimezone(UTC)


@lru_cache(maxsize=512)
def public_holidays(state: str, year: int) -> Mapping[date, str]:
    """Names of the national holidays of Brazil and of one state; "" for the national ones alone.

    Days on which only the public service rests (Carnival, Corpus Christi) are none: a company that
    closes then says so by an exception.
    """
    return dict(country_holidays("BR", subdiv=state or None, years=year, language="pt_BR"))
