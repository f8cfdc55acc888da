"""Where a simulated clock can go: on by so much, to a Saturday, to a holiday, out of hours."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext as _

from chatbot.facts import departments
from chatbot.templatetags.console import day_in_words
from users import business_time
from users.business_time import public_holidays
from users.errors import DomainError
from users.models import Calendar

MORNING = time(10)
SATURDAY = 5
YEAR = 366
SCAN = 14  # days within which a calendar must close
LATE = timedelta(minutes=30)  # after closing


class Nowhere(DomainError):
    """There is no such moment."""

    code = "no_such_moment"


def calendars() -> list[Calendar]:
    """The calendars of the departments, that of the fallback department first; each once."""
    rows = sorted(departments.rows(), key=lambda one: (not one.is_fallback, one.name))
    return list({one.calendar.pk: one.calendar for one in rows if one.calendar}.values())


def next_saturday(now: datetime) -> datetime:
    """The next Saturday at ten in the morning, never the present one."""
    local = now.astimezone(_zone(None))
    days = (SATURDAY - local.weekday()) % 7 or 7
    return _morning(local.date() + timedelta(days=days), None)


def next_holiday(now: datetime, calendar: Calendar | None) -> tuple[datetime, str]:
    """The next day that the calendar keeps as a holiday, closed if there is one, and its name.
    Without a calendar, the next public holiday of the country."""
    today = now.astimezone(_zone(calendar)).date()
    return _exception(calendar, today) or _public(today)


def out_of_hours(now: datetime, calendar: Calendar | None) -> datetime:
    """The next moment at which it is closed: half an hour after the end of an opening. Raises
    Nowhere when it never closes, and when it is closed already."""
    if calendar is None:
        raise Nowhere(_("No department has business hours: it is always open."))
    if not calendar.is_open(now):
        raise Nowhere(_("It is out of hours already."))
    moment = now.replace(second=0, microsecond=0)
    for _quarter in range(SCAN * 24 * 4):
        moment += timedelta(minutes=15)
        if not calendar.is_open(moment):
            later = moment + LATE
            return moment if calendar.is_open(later) else later
    raise Nowhere(_("This calendar never closes."))


def _exception(calendar: Calendar | None, today: date) -> tuple[datetime, str] | None:
    """The next named day of the calendar, preferring one on which it stays closed."""
    if calendar is None:
        return None
    named = [
        day for day in business_time.days(calendar, today + timedelta(days=1), YEAR) if day.name
    ]
    closed = [day for day in named if not day.stretches]
    found = next(iter(closed or named), None)
    return (_morning(found.date, calendar), found.name) if found else None


def _public(today: date) -> tuple[datetime, str]:
    days = {**public_holidays("", today.year), **public_holidays("", today.year + 1)}
    day = min(one for one in days if one > today)
    return _morning(day, None), days[day]


def in_words(at: datetime) -> str:
    """Weekday, day and time on the site's clock, as they stand inside a sentence."""
    local = at.astimezone(_zone(None))
    return f"{day_in_words(local.date())}, {local:%H:%M}"


def _morning(day: date, calendar: Calendar | None) -> datetime:
    return datetime.combine(day, MORNING, tzinfo=_zone(calendar))


def _zone(calendar: Calendar | None) -> ZoneInfo:
    return calendar.zone if calendar is not None else ZoneInfo(settings.TIME_ZONE)
