"""The stretch of time that the start page looks at, and the one that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from chatbot.templatetags.console import in_sentence

DAY, WEEK = timedelta(days=1), timedelta(days=7)
PARTS = 8  # points of a sparkline
DAYS = {"7": 7, "30": 30}

Part = tuple[datetime, datetime]


@dataclass(frozen=True)
class Period:
    """`key` is "today", "7" or "30" (days). Today is compared with the same weekday of last week up
    to the same time, days with as many days before them."""

    key: str
    now: datetime

    @property
    def begin(self) -> datetime:
        """Local midnight of today, or of the first of so many days."""
        midnight = timezone.localtime(self.now).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight if self.is_today else midnight - (self.days - 1) * DAY

    @property
    def is_today(self) -> bool:
        return self.key not in DAYS

    @property
    def days(self) -> int:
        return DAYS.get(self.key, 1)

    @property
    def back(self) -> timedelta:
        """How long ago what it is compared with was."""
        return WEEK if self.is_today else self.days * DAY

    @property
    def parts(self) -> list[Part]:
        """The period in equal parts, from the first moment until now."""
        step = (self.now - self.begin) / PARTS
        return [(self.begin + i * step, self.begin + (i + 1) * step) for i in range(PARTS)]

    @property
    def parts_before(self) -> list[Part]:
        return [(begin - self.back, end - self.back) for begin, end in self.parts]

    @property
    def label(self) -> str:
        if self.is_today:
            return _("today")
        return _("%(days)d days") % {"days": self.days}

    @property
    def compared_with(self) -> str:
        if not self.is_today:
            return _("the %(days)d days before") % {"days": self.days}
        weekday = in_sentence(date_format(timezone.localtime(self.now - WEEK), "l"))
        return _("%(weekday)s of last week") % {"weekday": weekday}


def period_of(key: str, now: datetime) -> Period:
    return Period(key if key in DAYS else "today", now)
