"""What the audit keeps of people, departments, hours and tokens."""

from __future__ import annotations

from users.audit import watch
from users.models import (
    ApiToken,
    BusinessHours,
    Calendar,
    Department,
    Holiday,
    Skill,
    TeamRules,
    User,
)


def watch_all() -> None:
    watch(
        User,
        *("username", "first_name", "last_name", "email", "role", "is_active", "is_superuser"),
        *("capacity", "calendar"),
        hidden=["password"],
        many=["departments", "supervised_departments", "skills"],
    )
    watch(
        Department,
        *("name", "slug", "calendar", "is_active", "is_fallback", "shares_tickets"),
        *("warn_silent_after_hours", "close_silent_after_hours", "reopen_days"),
        *("required_at_resolution", "distribution", "prefers_attendant", "accept_minutes"),
        *("overflow_to", "overflow_minutes", "tells_position"),
    )
    watch(Calendar, "name", "time_zone", "observes_holidays", "holiday_state")
    watch(BusinessHours, "calendar", "weekday", "opens_at", "closes_at")
    watch(Holiday, "calendar", "date", "name", "opens_at", "closes_at")
    watch(Skill, "name")
    watch(TeamRules, "mask_phone", "mask_email", "offline_after_minutes")
    watch(ApiToken, "user", "name", "prefix", "scopes", "expires_at", "revoked_at")
