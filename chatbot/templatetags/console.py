"""Small parts that every page of the console uses."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import cache
from zlib import crc32

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _

from users import contact
from users.durations import duration_in_words
from users.models import Availability

register = template.Library()

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WEEK = 7  # days
COLOURS = 5  # of pictures without a picture
PRESENCE = {
    Availability.AVAILABLE: "ok",
    Availability.PAUSED: "warn",
    Availability.OFFLINE: "off",
}
_BRAZILIAN = re.compile(r"\+?55(\d{2})(\d{4,5})(\d{4})")


@register.tag("icon")
def icon_tag(parser: template.base.Parser, token: template.base.Token) -> template.Node:
    """`{% icon name size %}`: a drawing of static/img/icons.svg; `size` is s or l. Words beside it
    say what it means. Named by a constant, as most are, it is drawn once, with the template."""
    _tag, *words = token.split_contents()
    parts = [parser.compile_filter(word) for word in words]
    if not 1 <= len(parts) <= 2:  # noqa: PLR2004  # name and size
        raise template.TemplateSyntaxError("icon takes a name and, if need be, a size")
    if any(isinstance(part.var, template.base.Variable) or part.filters for part in parts):
        return IconNode(parts)
    return template.base.TextNode(icon(*(part.var for part in parts)))


class IconNode(template.Node):
    """An icon that something else names."""

    def __init__(self, parts: list[template.base.FilterExpression]) -> None:
        self._parts = parts

    def render(self, context: template.Context) -> SafeString:
        return icon(*(str(part.resolve(context)) for part in self._parts))


@cache
def icon(name: str, size: str = "") -> SafeString:
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" aria-hidden="true"><use href="{}#{}"/></svg>',
        f"i {size}".strip(),
        static("img/icons.svg"),
        name,
    )


@register.filter
def initials(name: object) -> str:
    """First letters of the first and last name, for a picture without a picture."""
    words = [word for word in str(name).split() if word[:1].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


@register.simple_tag
def avatar(name: object, presence: str = "", size: str = "") -> SafeString:
    """Initials in a colour that belongs to the name; `presence` is an availability, `size` s, m or
    l. For the eye alone: the name stands beside it."""
    colour = crc32(str(name).encode()) % COLOURS + 1
    classes = " ".join(f"av {size} k{colour}".split())
    dot = (
        format_html('<i class="pres {}"></i>', PRESENCE[Availability(presence)]) if presence else ""
    )
    return format_html(
        '<span class="{}" aria-hidden="true">{}{}</span>', classes, initials(name), dot
    )


@register.filter
def presence(availability: str) -> str:
    """The class of the dot that stands for an availability."""
    return PRESENCE[Availability(availability)]


@register.filter
def since(at: datetime | None) -> SafeString | str:
    """How long ago, in a <time> whose title is the whole date: "6 min ago", "yesterday"."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    full = date_format(local, "DATETIME_FORMAT")
    words = _ago(at, timezone.now())
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), full, words)


@register.filter
def duration(stretch: timedelta | None, exact: str = "") -> str:
    """ "41 min", "1 h 20"; with `exact` also the seconds of what is short: "3 min 40 s"."""
    if stretch is None:
        return ""
    seconds = int(abs(stretch).total_seconds())
    if not exact or seconds >= HOUR.total_seconds():
        return duration_in_words(stretch)
    minutes, rest = divmod(seconds, 60)
    parts = [_("%(minutes)d min") % {"minutes": minutes}] if minutes else []
    parts += [_("%(seconds)d s") % {"seconds": rest}] if rest or not minutes else []
    return " ".join(parts)


@register.simple_tag
def clock_words() -> SafeString:
    """What console.js says while a due time comes nearer, as attributes of the page's body."""
    return format_html(
        'data-late="{}" data-hours="{}" data-minutes="{}" data-seconds="{}"',
        _("late by %(time)s"),
        _("%(hours)d h"),
        _("%(minutes)d min"),
        _("%(seconds)d s"),
    )


@register.filter
def phone(number: str) -> str:
    """As Brazilians read it: +55 81 90000-0142. Any other number as it is."""
    match = _BRAZILIAN.fullmatch(str(number))
    return "+55 {} {}-{}".format(*match.groups()) if match else str(number)


@register.filter
def customer_phone(number: str) -> str:
    """A customer's number, as far as whoever looks may see it."""
    return phone(contact.shown_phone(str(number)))


@register.filter
def customer_email(address: str) -> str:
    """A customer's e-mail address, as far as whoever looks may see it."""
    return contact.shown_email(str(address))


@register.filter
def is_hidden(name: str) -> bool:
    """Is "phone" or "email" of customers hidden from whoever looks?"""
    return contact.hides(name)


@register.filter
def day_in_words(day: date) -> str:
    """Weekday, day and month, as they stand inside a sentence."""
    return in_sentence(date_format(day, pgettext("date format, day without year", "l, F j")))


@register.filter
def day_in_full(day: date) -> str:
    """Weekday, day, month and year."""
    return in_sentence(date_format(day, pgettext("date format, day with year", "l, F j, Y")))


@register.filter
def month_in_words(day: date) -> str:
    """Month and year."""
    return in_sentence(date_format(day, pgettext("date format, month with year", "F Y")))


@register.filter
def number(value: int) -> str:
    """A count with its thousands apart."""
    return number_format(value, force_grouping=True)


def in_sentence(day: str) -> str:
    """Portuguese writes the names of days and months small; Django's catalogue does not."""
    return day.lower() if (get_language() or "").startswith("pt") else day


def _ago(at: datetime, now: datetime) -> str:
    """The copy rules' words for a moment of the past."""
    if now - at < MINUTE:
        return _("just now")
    if now - at < HOUR:
        minutes = (now - at) // MINUTE
        return _("%(minutes)d min ago") % {"minutes": minutes}
    day, today = timezone.localtime(at).date(), timezone.localtime(now).date()
    days = (today - day).days
    if days == 0:
        return _("%(hours)d h ago") % {"hours": (now - at) // HOUR}
    if days == 1:
        return _("yesterday")
    if days < WEEK:
        return ngettext("%(days)d day ago", "%(days)d days ago", days) % {"days": days}
    return in_sentence(date_format(day, pgettext("date format, short", "M j, Y")))
