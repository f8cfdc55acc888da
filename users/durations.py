"""Stretches of time in words, for every app."""

from __future__ import annotations

from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

HOUR = 60  # minutes
DAY = 24 * HOUR


def duration_in_words(stretch: timedelta) -> str:
    """Whole minutes, as lists show them: "8 min", "1 h 20", "2 days 4 h". A negative one counts as
    its length."""
    minutes = int(abs(stretch).total_seconds()) // 60
    if minutes < HOUR:
        return _("%(minutes)d min") % {"minutes": minutes}
    if minutes < DAY:
        hours, rest = divmod(minutes, HOUR)
        whole = _("%(hours)d h") % {"hours": hours}
        return f"{whole} {rest:02d}" if rest else whole
    days, rest = divmod(minutes, DAY)
    whole = ngettext("%(days)d day", "%(days)d days", days) % {"days": days}
    hours = rest // HOUR
    return f"{whole} " + _("%(hours)d h") % {"hours": hours} if hours else whole
