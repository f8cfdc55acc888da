"""What the tickets list writes shorter than other pages."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from tickets.models import Ticket

register = template.Library()


@register.filter
def short_protocol(ticket: Ticket) -> str:
    """The number of its day, as lists show it: "#0387"."""
    return f"#{ticket.protocol.rpartition('-')[2]}"


@register.filter
def list_time(moment: datetime) -> str:
    """The hour of today, "yesterday", or the day."""
    local, today = timezone.localtime(moment), timezone.localdate()
    if local.date() == today:
        return date_format(local, "H:i")
    if local.date() == today - timedelta(days=1):
        return _("yesterday")
    if local.year == today.year:
        return date_format(local, pgettext("date format, short day of this year", "M j"))
    return date_format(local, "SHORT_DATE_FORMAT")


@register.filter
def list_moment(moment: datetime) -> str:
    """Day and hour of something to come; the hour alone when it is today."""
    local = timezone.localtime(moment)
    hour = date_format(local, "H:i")
    if local.date() == timezone.localdate():
        return hour
    return f"{date_format(local, pgettext('date format, short day of this year', 'M j'))}, {hour}"
