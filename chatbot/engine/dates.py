"""Days as people in Brazil write them, relative to a given today."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Literal

from chatbot.engine.matching import normalise

When = Literal["", "past", "future"]
_NUMERIC = re.compile(r"(\d{1,2})\s*[/.\- ]\s*(\d{1,2})(?:\s*[/.\- ]\s*(\d{4}|\d{2}))?")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_NAMED = re.compile(r"(?:dia )?(\d{1,2})o? (?:de )?([a-z]{3,9})(?: (?:de )?(\d{4}|\d{2}))?")
_DAY = re.compile(r"dia (\d{1,2})")
_MONTHS = ("jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez")
_MONTH_NAMES = (
    "janeiro", "fevereiro", "marco", "abril", "maio", "junho", "julho", "agosto", "setembro",
    "outubro", "novembro", "dezembro",
)  # fmt: skip
_DAYS = {"hoje": 0, "amanha": 1, "depois de amanha": 2, "ontem": -1, "anteontem": -2}
_WEEKDAYS = {"segunda": 0, "terca": 1, "quarta": 2, "quinta": 3, "sexta": 4, "sabado": 5}
_WEEK = 7
_CENTURY = 100


def parse_date(text: str, today: date, when: When = "") -> date | None:
    """`12/11/2026`, `12-11`, `12 de novembro`, `amanhã`, `sexta` → a day; None when it is not one.

    A day without a year is the one of this year, or the nearest that `when` asks for; a year of
    two digits is the nearest to today that `when` allows. Outside `when` (today is both) is None.
    """
    try:
        day = _read(text.strip()[:60], today, when)
    except OverflowError:  # before the year 1 or after 9999
        return None
    if day is None or (when == "past" and day > today) or (when == "future" and day < today):
        return None
    return day


def _read(text: str, today: date, when: When) -> date | None:
    if not text.isascii() and any(one.isdigit() and not one.isascii() for one in text):
        return None
    iso = _ISO.fullmatch(text)
    if iso:
        return _day(int(iso[1]), int(iso[2]), int(iso[3]))
    numeric = _NUMERIC.fullmatch(text)
    if numeric:
        return _complete(int(numeric[1]), int(numeric[2]), numeric[3] or "", today, when)
    return _in_words(normalise(text), today, when)


def _in_words(said: str, today: date, when: When) -> date | None:
    if said in _DAYS:
        return today + timedelta(days=_DAYS[said])
    weekday = _weekday(said)
    if weekday is not None:
        return _nearest_weekday(weekday, today, when)
    named = _NAMED.fullmatch(said)
    if named:
        month = _month(named[2])
        return _complete(int(named[1]), month, named[3] or "", today, when) if month else None
    day = _DAY.fullmatch(said)
    return _nearest_day(int(day[1]), today, when) if day else None


def _weekday(said: str) -> int | None:
    words = [word for word in said.split() if word not in ("feira", "na", "no", "proxima")]
    if len(words) != 1:
        return None
    return 6 if words[0] == "domingo" else _WEEKDAYS.get(words[0])


def _nearest_weekday(weekday: int, today: date, when: When) -> date:
    if when == "past":
        return today - timedelta(days=(today.weekday() - weekday - 1) % _WEEK + 1)
    return today + timedelta(days=(weekday - today.weekday() - 1) % _WEEK + 1)


def _nearest_day(day: int, today: date, when: When) -> date | None:
    """`dia 10`: of this month, or of the next (last, for the past) when that has gone by."""
    this = _day(today.year, today.month, day)
    if this is None or (when != "past" and this >= today) or (when == "past" and this <= today):
        return this
    step = -1 if when == "past" else 1
    months = today.year * 12 + today.month - 1 + step
    return _day(months // 12, months % 12 + 1, day)


def _month(name: str) -> int:
    if name in _MONTH_NAMES:
        return _MONTH_NAMES.index(name) + 1
    return _MONTHS.index(name) + 1 if name in _MONTHS else 0


def _complete(day: int, month: int, year: str, today: date, when: When) -> date | None:
    if len(year) > 2:  # noqa: PLR2004 - all four digits were written
        return _day(int(year), month, day)
    if year:
        century = today.year - today.year % _CENTURY
        years = [century + int(year) + shift for shift in (0, -_CENTURY, _CENTURY)]
    else:
        years = [today.year, today.year - 1 if when == "past" else today.year + 1]
        years = years if when else years[:1]
    days = [one for one in (_day(wanted, month, day) for wanted in years) if one]
    return _fitting(days, today, when, is_short=bool(year))


def _fitting(days: list[date], today: date, when: When, *, is_short: bool) -> date | None:
    if when == "past":
        days = [one for one in days if one <= today]
    elif when == "future":
        days = [one for one in days if one >= today]
    if is_short:
        return min(days, key=lambda one: abs((one - today).days), default=None)
    return days[0] if days else None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
