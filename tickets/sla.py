"""Until when a ticket must be answered and resolved, and how its clocks stand.

Due times are moments; they are counted in the business hours of the department's calendar. While a
ticket waits for its customer or is put aside its clocks stand still (`Ticket.sla_paused_at`): what
was left of the business time is added again when they go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db.models import Q

from tickets.models import AT_RISK, SlaPolicy, Ticket
from users.business_time import add_business, business_between
from users.models import Calendar, Department

ClockState = Literal["running", "paused", "met", "missed", "none"]


@dataclass(frozen=True)
class DueTimes:
    first_response: datetime | None = None
    resolution: datetime | None = None


@dataclass(frozen=True)
class Clock:
    """One promise. `missed` is over its time, whether it was kept late or is still open; `due` None
    only with `none`; `paused` since when it stands still."""

    state: ClockState
    due: datetime | None = None
    paused: datetime | None = None

    def is_at_risk(self, at: datetime) -> bool:
        return self.state == "running" and self.due is not None and self.due - at <= AT_RISK


def clock(ticket: Ticket, at: datetime) -> Clock:
    """The clock that counts now: of an open ticket the nearest that somebody still has to stop (as
    `Ticket.objects.with_due` says in SQL), of a settled one how it was resolved in the end."""
    first, resolution = first_response_clock(ticket, at), resolution_clock(ticket, at)
    if not ticket.is_open:
        return resolution if resolution.state != "none" else first
    ticking = [resolution]
    if ticket.first_response_at is None:
        ticking.append(first)
    return min(
        (one for one in ticking if one.due is not None),
        key=lambda one: (one.due, one.state),
        default=Clock("none"),
    )


def first_response_clock(ticket: Ticket, at: datetime) -> Clock:
    return _clock(ticket, ticket.first_response_due_at, stopped=ticket.first_response_at, at=at)


def resolution_clock(ticket: Ticket, at: datetime) -> Clock:
    stopped = ticket.resolved_at or ticket.closed_at
    return _clock(ticket, ticket.resolution_due_at, stopped=stopped, at=at)


def _clock(
    ticket: Ticket, due: datetime | None, *, stopped: datetime | None, at: datetime
) -> Clock:
    if due is None:
        return Clock("none")
    if stopped is not None:
        return Clock("met" if stopped <= due else "missed", due)
    if not ticket.is_open:
        return Clock("none")  # closed without an answer: there is nothing to keep any more
    paused = ticket.sla_paused_at
    if due < (paused or at):
        return Clock("missed", due, paused)
    return Clock("running" if paused is None else "paused", due, paused)


def due_times(*, department: Department, priority: str, since: datetime) -> DueTimes:
    """What the most specific active policy asks for, in the department's business hours; nothing
    without a policy, or with a calendar that does not open often enough to keep it."""
    policy = _most_specific_policy(department, priority)
    if policy is None:
        return DueTimes()
    return DueTimes(
        _due(department.calendar, since, policy.first_response_minutes),
        _due(department.calendar, since, policy.resolution_minutes),
    )


def recounted(
    ticket: Ticket, *, department: Department, priority: str, began: datetime
) -> DueTimes:
    """The due times under another policy or calendar, counted from when the work began. Business
    time for which the clocks have stood still so far does not count there either."""
    before = due_times(department=ticket.department, priority=ticket.priority, since=began)
    after = due_times(department=department, priority=priority, since=began)
    old, new = ticket.department.calendar, department.calendar
    is_answered = ticket.first_response_at is not None  # judged as it was promised then
    return DueTimes(
        ticket.first_response_due_at
        if is_answered
        else _later(
            after.first_response,
            calendar=new,
            by=_stood_still(before.first_response, ticket.first_response_due_at, old),
        ),
        _later(
            after.resolution,
            calendar=new,
            by=_stood_still(before.resolution, ticket.resolution_due_at, old),
        ),
    )


def resumed(
    ticket: Ticket, values: Mapping[str, Any], *, at: datetime
) -> dict[str, datetime | None]:
    """The due times when the clocks go on at `at`: what was left when they were stopped is added
    again. `values` are about to be written and win over the ticket's own. What was late already
    stays as late as it was."""
    department: Department = values.get("department", ticket.department)
    paused = ticket.sla_paused_at
    names = ["resolution_due_at"]
    if ticket.first_response_at is None:
        names.append("first_response_due_at")
    due = {name: values.get(name, getattr(ticket, name)) for name in names}
    return {
        name: _resume(department.calendar, moment, paused=paused, at=at)
        for name, moment in due.items()
        if moment is not None and paused is not None and moment > paused
    }


def _resume(
    calendar: Calendar | None, due: datetime, *, paused: datetime, at: datetime
) -> datetime | None:
    left = business_between(calendar, paused, due)
    return add_business(calendar, at, left) if left else max(due, at)


def _due(calendar: Calendar | None, since: datetime, minutes: int | None) -> datetime | None:
    if minutes is None:
        return None
    return add_business(calendar, since, timedelta(minutes=minutes))


def _stood_still(
    promised: datetime | None, due: datetime | None, calendar: Calendar | None
) -> timedelta:
    """How far a due time has moved since it was promised."""
    if promised is None or due is None:
        return timedelta()
    return business_between(calendar, promised, due)


def _later(due: datetime | None, *, by: timedelta, calendar: Calendar | None) -> datetime | None:
    return due if due is None or not by else add_business(calendar, due, by)


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
