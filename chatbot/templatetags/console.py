"""Small parts that every page of the console uses."""

from __future__ import annotations

from datetime import date

from django import template
from django.templatetags.static import static
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, pgettext

register = template.Library()


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """A drawing of static/img/icons.svg; `size` is s or l. Words beside it say what it means."""
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
