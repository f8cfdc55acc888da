"""Business time: fixed cases that one can count, and the algebra for any calendar."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from model_bakery import baker

from users.business_time import (
    HORIZON,
    add_business,
    business_between,
    days,
    is_open,
    next_opening,
    public_holidays,
)
from users.models import BusinessHours, Calendar, Holiday

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
NEW_YORK = ZoneInfo("America/New_York")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MONDAY = date(2026, 3, 2)
OFFICE = tuple((day, "08:00", "18:00") for day in range(5))


class _Rows(list):
    def all(self):
        return self


@dataclass
class Hours:
    """A calendar without a database."""

    hours: list = field(default_factory=_Rows)
    holidays: list = field(default_factory=_Rows)
    zone: ZoneInfo = SAO_PAULO
    observes_holidays: bool = True
    holiday_state: str = ""


def clock(text):
    return time.fromisoformat(text)


def calendar(*hours, closed=(), open_on=(), **fields):
    rows = [
        SimpleNamespace(weekday=day, opens_at=clock(opens), closes_at=clock(closes))
        for day, opens, closes in hours
    ]
    exceptions = [
        SimpleNamespace(date=day, name="Fechado", opens_at=None, closes_at=None) for day in closed
    ]
    exceptions += [
        SimpleNamespace(date=day, name="Plantão", opens_at=clock(opens), closes_at=clock(closes))
        for day, opens, closes in open_on
    ]
    return Hours(hours=_Rows(rows), holidays=_Rows(exceptions), **fields)


def local(text, zone=SAO_PAULO):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


# --- Cases that one can count ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "amount", "until"),
    [
        ("2026-03-02T09:00", 2 * HOUR, "2026-03-02T11:00"),
        ("2026-03-02T17:00", 2 * HOUR, "2026-03-03T09:00"),
        ("2026-03-06T17:30", HOUR, "2026-03-09T08:30"),
        ("2026-03-07T12:00", HOUR, "2026-03-09T09:00"),
        ("2026-03-02T06:00", 10 * HOUR, "2026-03-02T18:00"),
        ("2026-03-02T08:00", 50 * HOUR, "2026-03-06T18:00"),
    ],
    ids=["same day", "next day", "over the weekend", "on a Saturday", "whole day", "whole week"],
)
def test_open_time_is_added(since, amount, until):
    assert add_business(calendar(*OFFICE), local(since), amount) == local(until)
    assert business_between(calendar(*OFFICE), local(since), local(until)) == amount


def test_a_break_for_lunch_is_not_counted():
    hours = calendar((0, "08:00", "12:00"), (0, "13:00", "18:00"))
    assert add_business(hours, local("2026-03-02T11:30"), HOUR) == local("2026-03-02T13:30")
    assert not is_open(hours, local("2026-03-02T12:00"))
    assert is_open(hours, local("2026-03-02T13:00"))


def test_a_night_shift_ends_on_the_next_day():
    hours = calendar((4, "22:00", "06:00"))
    assert is_open(hours, local("2026-03-07T05:59"))
    assert not is_open(hours, local("2026-03-07T06:00"))
    assert not is_open(hours, local("2026-03-06T05:00"))
    assert add_business(hours, local("2026-03-06T20:00"), 8 * HOUR) == local("2026-03-07T06:00")


def test_midnight_to_midnight_is_the_whole_day():
    hours = calendar((5, "00:00", "00:00"))
    sunday = local("2026-03-08T00:00")
    assert business_between(hours, local("2026-03-06T00:00"), sunday) == 24 * HOUR
    assert is_open(hours, sunday - MINUTE)
    assert not is_open(hours, sunday)


def test_two_stretches_that_overlap_count_once():
    hours = calendar((0, "08:00", "12:00"), (0, "10:00", "14:00"))
    day = local("2026-03-02T00:00")
    assert business_between(hours, day, day + 24 * HOUR) == 6 * HOUR


def test_national_and_state_holidays_are_closed():
    christmas, revolution = local("2026-12-25T10:00"), local("2026-07-09T10:00")
    assert not is_open(calendar(*OFFICE), christmas)
    assert is_open(calendar(*OFFICE, observes_holidays=False), christmas)
    assert is_open(calendar(*OFFICE, holiday_state="RJ"), revolution)
    assert not is_open(calendar(*OFFICE, holiday_state="SP"), revolution)


def test_an_exception_wins_over_hours_and_holidays():
    hours = calendar(
        *OFFICE,
        closed=[date(2026, 3, 3)],
        open_on=[(date(2026, 12, 25), "10:00", "12:00"), (date(2026, 3, 7), "22:00", "02:00")],
    )
    assert not is_open(hours, local("2026-03-03T10:00"))
    assert is_open(hours, local("2026-12-25T11:00"))
    assert not is_open(hours, local("2026-12-25T09:00"))
    assert is_open(hours, local("2026-03-08T01:00"))


def test_a_night_shift_that_began_before_a_holiday_is_finished():
    hours = calendar((3, "22:00", "06:00"), (4, "22:00", "06:00"))
    assert is_open(hours, local("2026-12-25T03:00"))  # a Friday
    assert not is_open(hours, local("2026-12-25T23:00"))


def test_carnival_is_a_working_day_unless_the_calendar_says_otherwise():
    assert date(2026, 2, 17) not in public_holidays("SP", 2026)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25)], ids=["spring", "autumn"]
)
def test_a_day_on_which_clocks_change_is_as_long_as_it_is(day, hours):
    always = calendar(*[(n, "00:00", "00:00") for n in range(7)], zone=NEW_YORK)
    begin = local(f"{day}T00:00", NEW_YORK)
    end = local(f"{date.fromisoformat(day) + timedelta(days=1)}T00:00", NEW_YORK)
    assert business_between(always, begin, end) == hours * HOUR
    assert add_business(always, begin, hours * HOUR) == end


def test_a_stretch_swallowed_by_a_change_of_clocks_is_none():
    hours = calendar((6, "02:10", "02:50"), zone=NEW_YORK)
    sunday = local("2026-03-08T00:00", NEW_YORK)
    assert business_between(hours, sunday, sunday + 23 * HOUR) == 40 * MINUTE  # 03:10 to 03:50


def test_without_a_calendar_it_is_always_open():
    at = local("2026-03-07T23:00")
    assert is_open(None, at)
    assert next_opening(None, at) == at
    assert add_business(None, at, 90 * MINUTE) == at + 90 * MINUTE
    assert business_between(None, at, at + HOUR) == HOUR
    assert business_between(None, at + HOUR, at) == timedelta()


def test_a_calendar_without_hours_never_opens_and_says_so():
    at = local("2026-03-02T10:00")
    assert not is_open(calendar(), at)
    assert next_opening(calendar(), at) is None
    assert add_business(calendar(), at, MINUTE) is None
    assert business_between(calendar(), at, at + HORIZON) == timedelta()


def test_it_is_open_next_when_it_opens():
    assert next_opening(calendar(*OFFICE), local("2026-03-06T19:00")) == local("2026-03-09T08:00")
    noon = local("2026-03-06T12:00")
    assert next_opening(calendar(*OFFICE), noon) == noon


def test_days_name_their_holidays_and_exceptions():
    hours = calendar(*OFFICE, closed=[date(2026, 12, 24)])
    eve, christmas = days(hours, date(2026, 12, 24), 2)
    assert (eve.name, eve.stretches) == ("Fechado", ())
    assert (christmas.name, christmas.stretches) == ("Natal", ())
    (monday,) = days(hours, MONDAY, 1)
    assert monday.stretches == ((time(8), time(18)),)


@pytest.mark.django_db
def test_a_calendar_is_read_by_two_statements_however_long_the_way():
    stored = baker.make(Calendar)
    baker.make(BusinessHours, calendar=stored, weekday=0, opens_at=time(8), closes_at=time(9))
    baker.make(Holiday, calendar=stored, date=MONDAY, opens_at=None, closes_at=None)
    with CaptureQueriesContext(connection) as captured:
        add_business(stored, local("2026-03-02T08:00"), 50 * HOUR)
    assert len(captured) == 2


# --- The algebra, for any calendar -------------------------------------------------------------

CLOCKS = st.builds(time, st.integers(0, 23), st.sampled_from([0, 10, 30, 45]))
DATES = st.dates(date(2026, 1, 1), date(2026, 12, 31))
MOMENTS = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001  # hypothesis adds the zone
    datetime(2026, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)
AMOUNTS = st.integers(1, 60 * 24 * 3).map(lambda minutes: minutes * MINUTE)


@st.composite
def calendars(draw):
    hours = draw(st.lists(st.tuples(st.integers(0, 6), CLOCKS, CLOCKS), max_size=10))
    special = draw(st.dictionaries(DATES, st.none() | st.tuples(CLOCKS, CLOCKS), max_size=5))
    return Hours(
        hours=_Rows(
            SimpleNamespace(weekday=day, opens_at=opens, closes_at=closes)
            for day, opens, closes in hours
        ),
        holidays=_Rows(
            SimpleNamespace(
                date=day,
                name="x",
                opens_at=stretch and stretch[0],
                closes_at=stretch and stretch[1],
            )
            for day, stretch in special.items()
        ),
        zone=draw(st.sampled_from([SAO_PAULO, NEW_YORK, UTC, ZoneInfo("Asia/Kathmandu")])),
        observes_holidays=draw(st.booleans()),
        holiday_state=draw(st.sampled_from(["", "SP", "RJ"])),
    )


@settings(deadline=None, max_examples=60)
@given(calendars(), MOMENTS, AMOUNTS)
def test_what_was_added_lies_between(hours, at, amount):
    then = add_business(hours, at, amount)
    if then is None:
        assert business_between(hours, at, at + HORIZON) < amount
    else:
        assert business_between(hours, at, then) == amount
        assert is_open(hours, then - timedelta.resolution)


@settings(deadline=None, max_examples=60)
@given(calendars(), MOMENTS, AMOUNTS, AMOUNTS)
def test_adding_twice_is_adding_the_sum(hours, at, first, second):
    then = add_business(hours, at, first)
    if then is not None and (after := add_business(hours, at, first + second)) is not None:
        assert add_business(hours, then, second) == after


@settings(deadline=None, max_examples=60)
@given(calendars(), MOMENTS, MOMENTS, MOMENTS)
def test_time_between_adds_up(hours, one, two, three):
    begin, middle, end = sorted([one, two, three])
    halves = business_between(hours, begin, middle) + business_between(hours, middle, end)
    assert halves == business_between(hours, begin, end) <= end - begin


@settings(deadline=None, max_examples=60)
@given(calendars(), MOMENTS)
def test_nothing_is_open_before_the_next_opening(hours, at):
    opening = next_opening(hours, at)
    if opening is None:
        assert business_between(hours, at, at + HORIZON) == timedelta()
    else:
        assert is_open(hours, opening)
        assert business_between(hours, at, opening) == timedelta()
        assert (opening == at) == is_open(hours, at)
