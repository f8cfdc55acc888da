"""What a `branch` may ask, gathered before a step so that the step itself asks nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from leads.models import Lead
from sessions_app.models import Channel
from users.models import Department

DEPARTMENTS_FOR = timedelta(seconds=15).total_seconds()


class _Departments:
    """The active departments with their hours, read again every few seconds: they change rarely, a
    message must not pay three statements for them."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._rows: list[Department] = []
        self._read_at: float | None = None

    def rows(self) -> list[Department]:
        if self._read_at is None or monotonic() - self._read_at > DEPARTMENTS_FOR:
            self._rows = list(
                Department.objects.active()
                .select_related("calendar")
                .prefetch_related("calendar__hours", "calendar__holidays")
            )
            self._read_at = monotonic()
        return self._rows


departments = _Departments()


def gather(
    *, lead: Lead, channel: Channel, at: datetime, is_first_contact: bool = False
) -> dict[str, Any]:
    """The facts of one happening; see `chatbot.engine.messages.Happening`. `at` is the happening's
    time."""
    local = at.astimezone(ZoneInfo(settings.TIME_ZONE))
    rows = departments.rows()
    return {
        "now": local.isoformat(),
        "weekday": local.weekday(),
        "departments": [one.slug for one in rows],
        "open_departments": [one.slug for one in rows if one.is_open(at)],
        "lead": {
            "name": lead.name,
            "email": lead.email,
            "phone": lead.phone,
            "status": lead.status,
            "source": lead.source,
            "opted_out": lead.opted_out_at is not None,
        },
        "channel": {"kind": channel.kind, "slug": channel.slug},
        "first_contact": is_first_contact,
    }


def with_tags(facts: dict[str, Any], lead: Lead) -> dict[str, Any]:
    """The same facts with the lead's tags: one more statement, for flows that ask for them."""
    tags = list(lead.tags.order_by("name").values_list("name", flat=True))
    return {**facts, "lead": {**facts["lead"], "tags": tags}}
