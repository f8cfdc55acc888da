"""The service window in lists, of this app and of the apps above: on screens and in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters

from sessions_app.models import (
    CLOSING_HOURS,
    LONGEST_WINDOW,
    WINDOW_STATES,
    Session,
    window_condition,
)

MINUTES = 60  # in an hour


def window_left(session: Session, *, at: datetime) -> str:
    """How long free text is still taken in a live conversation, in words."""
    until = session.window_expires_at
    if until is None or not session.is_live:
        return "–"
    minutes = int((until - at).total_seconds() // 60)
    if minutes < 0:
        return gettext("closed window")
    if minutes < MINUTES:
        return gettext("%(minutes)d min") % {"minutes": minutes}
    return gettext("%(hours)d h %(minutes)02d") % {
        "hours": minutes // MINUTES,
        "minutes": minutes % MINUTES,
    }


class WindowFilter(admin.SimpleListFilter):
    """Conversations whose service window is about to close, has closed, or is open.
    `prefix` is the way to Session, for lists of what hangs on one."""

    title = _("service window")
    parameter_name = "window"
    prefix = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("1", _("closes within 1 hour")),
            (str(CLOSING_HOURS), _("closes within 4 hours")),
            ("12", _("closes within 12 hours")),
            ("closed", _("closed window")),
            ("open", _("open window")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value is None:
            return queryset
        state, hours = ("closing", int(value)) if value.isdigit() else (value, CLOSING_HOURS)
        condition = window_condition(state, at=timezone.now(), hours=hours, prefix=self.prefix)
        return queryset.filter(condition, **{f"{self.prefix}ended_at": None})


class WindowFilterSet(filters.FilterSet):
    """By the service window of live conversations: `window=closing` within `window_hours`."""

    window = filters.ChoiceFilter(
        choices=[(state, state) for state in WINDOW_STATES],
        method="in_window",
        label=_("service window"),
    )
    window_hours = filters.NumberFilter(
        method="within_hours",
        min_value=1,
        max_value=LONGEST_WINDOW,
        label=_("hours until the window closes"),
    )

    def in_window(self, queryset: Any, name: str, state: str) -> Any:
        hours = int(self.form.cleaned_data.get("window_hours") or CLOSING_HOURS)
        return queryset.in_window(state, at=timezone.now(), hours=hours)

    def within_hours(self, queryset: Any, name: str, hours: Any) -> Any:
        """What `in_window` reads: alone it filters nothing."""
        return queryset
