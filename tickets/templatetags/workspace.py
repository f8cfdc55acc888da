"""Words and drawings of a ticket's own page."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from tickets.workspace_presence import Visitor

register = template.Library()


@register.filter
def moment(at: datetime) -> str:
    """ "today, 09:07", "yesterday, 21:44", then the day; the year where it is another one."""
    local, today = timezone.localtime(at), timezone.localdate()
    hour = date_format(local, "TIME_FORMAT")
    if local.date() == today:
        return _("today, %(time)s") % {"time": hour}
    if local.date() == today - timedelta(days=1):
        return _("yesterday, %(time)s") % {"time": hour}
    if local.year == today.year:
        return date_format(local, pgettext("date format, moment of this year", "M j, H:i"))
    return date_format(local, pgettext("date format, day with year, short", "M j, Y"))


@register.filter
def who_is_here(visitors: tuple[Visitor, ...]) -> str:
    """One sentence about the others who have the page open; who writes comes first."""
    writing = [one for one in visitors if one.is_writing]
    first = _first_name((writing or list(visitors))[0])
    others = len(visitors) - 1
    if writing:
        return _("%(name)s is writing…") % {"name": first}
    if others:
        return _("%(name)s and %(count)d more are here") % {"name": first, "count": others}
    return _("%(name)s is here") % {"name": first}


def _first_name(visitor: Visitor) -> str:
    return visitor.user.first_name or visitor.user.username
