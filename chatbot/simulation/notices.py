"""What stands between the messages of a simulated person, in words: time that passed, the result of
an integration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from chatbot.labels import EXIT_LABELS
from chatbot.simulation.travel import in_words

DAY, HOUR, MINUTE = 86400, 3600, 60

# code → drawing and words
SAID: dict[str, tuple[str, str | Promise]] = {
    "advanced": ("clock", gettext_lazy("%(span)s pass, until %(to)s")),
    "holiday": ("calendar", gettext_lazy("Holiday: %(name)s")),
    "waited": ("clock", gettext_lazy("The wait is over")),
    "silent": ("clock", gettext_lazy("The customer has been silent: the bot warns")),
    "ended": ("clock", gettext_lazy("The customer has been silent for too long")),
    "repeated": (
        "retry",
        gettext_lazy("The provider brought the last message again: nothing happens twice"),
    ),
    "away": ("alert", gettext_lazy("The provider is away: nothing is delivered")),
    "back": ("check", gettext_lazy("The provider is back")),
    "run": ("bolt", gettext_lazy("%(title)s was really done and left by “%(route)s”")),
    "recorded": ("bolt", gettext_lazy("%(title)s gave its last real result: “%(route)s”")),
    "give": ("bolt", gettext_lazy("%(title)s gave what you chose: “%(route)s”")),
    "too_much": (
        "alert",
        gettext_lazy("Stopped after %(count)s things that were due: is there a circle?"),
    ),
}


@dataclass(frozen=True)
class Line:
    text: str
    at: datetime
    icon: str


def line_of(notice: Mapping[str, Any]) -> Line:
    """A stored notice in words."""
    code = notice["code"]
    icon, words = SAID[notice["how"] if code == "answered" else code]
    about = {**notice}
    if code == "advanced":
        about["span"] = span_in_words(notice["seconds"])
        about["to"] = in_words(datetime.fromisoformat(notice["to"]))
    if code == "answered":
        about["route"] = EXIT_LABELS.get(notice["route"], notice["route"])
    return Line(str(words) % about, datetime.fromisoformat(notice["at"]), icon)


def span_in_words(seconds: int) -> str:
    """`25 h`, `2 dias 3 h`, `40 min`."""
    days, rest = divmod(seconds, DAY)
    hours, rest = divmod(rest, HOUR)
    minutes = rest // MINUTE
    if days < 2:  # noqa: PLR2004  # people say 25 hours, and two days
        hours, days = hours + 24 * days, 0
    parts = [
        ngettext("%(count)s day", "%(count)s days", days) % {"count": days} if days else "",
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes and not days else "",
    ]
    return " ".join(filter(None, parts)) or _("%(count)s s") % {"count": seconds}
