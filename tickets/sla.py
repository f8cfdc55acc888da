"""Until when a ticket must be answered and resolved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from tickets.models import SlaPolicy
from users.models import Department


@dataclass(frozen=True)
class DueTimes:
    first_response: datetime | None = None
    resolution: datetime | None = None


def due_times(*, department: Department, priority: str, since: datetime) -> DueTimes:
    """What the most specific active policy asks for; nothing without a policy."""
    policy = _most_specific_policy(department, priority)
    if policy is None:
        return DueTimes()
    return DueTimes(
        first_response=since + timedelta(minutes=policy.first_response_minutes),
        resolution=(
            since + timedelta(minutes=policy.resolution_minutes)
            if policy.resolution_minutes is not None
            else None
        ),
    )


def _most_specific_policy(department: Department, priority: str) -> SlaPolicy | None:
    """The department counts more than the priority."""
    applicable = SlaPolicy.objects.filter(
        Q(department=department) | Q(department=None), priority__in=(priority, ""), is_active=True
    )
    return max(
        applicable,
        key=lambda policy: (policy.department_id is not None, policy.priority != ""),
        default=None,
    )
