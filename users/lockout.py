"""Who failed to log in so often that nobody is let in from there for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.db.models import Max, Sum


@dataclass(frozen=True)
class LockedOut:
    username: str
    address: str
    failures: int
    until: datetime


def locked_out(at: datetime) -> list[LockedOut]:
    """Names with the addresses that they are locked out from; one statement."""
    rows = (
        AccessAttempt.objects.filter(attempt_time__gte=at - settings.AXES_COOLOFF_TIME)
        .values("username", "ip_address")
        .annotate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
        .filter(failures__gte=settings.AXES_FAILURE_LIMIT)
        .order_by("-last")
    )
    return [
        LockedOut(
            row["username"] or "",
            row["ip_address"] or "",
            row["failures"],
            row["last"] + settings.AXES_COOLOFF_TIME,
        )
        for row in rows
    ]


def let_in(username: str, address: str) -> int:
    """How many failed tries were forgotten."""
    return reset(username=username, ip=address) if username and address else 0
