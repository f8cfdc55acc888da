"""The team in figures: who is available, what each has in hand, where tickets go when one leaves.

Tickets belong to an app above this one; they are reached by the names of their relations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from users.models import Availability, Department, User

FULL, NEARLY_FULL = 1.0, 0.85  # shares of a capacity, as the start page colours them
BAR = 100  # units of the drawing


@dataclass(frozen=True)
class Load:
    """What somebody has in hand, of how many they take, and what was settled of theirs today."""

    open: int
    capacity: int
    settled_today: int

    @property
    def share(self) -> float:
        return min(1.0, self.open / self.capacity) if self.capacity else 0.0

    @property
    def width(self) -> int:
        return round(BAR * self.share)

    @property
    def colour(self) -> str:
        if self.share >= FULL:
            return "fd"
        return "fw" if self.share >= NEARLY_FULL else "f1"


@dataclass(frozen=True)
class Summary:
    """The line above the list: only people with access count."""

    people: int
    available: int
    open: int
    capacity: int


@dataclass(frozen=True)
class Returning:
    """So many open tickets go back to the queue of a department when people leave it.
    `is_unseen`: only admins would see them there."""

    department: Department
    count: int
    is_unseen: bool


def tickets_of(viewer: User) -> QuerySet[Any]:
    """The real tickets that the viewer sees."""
    model: Any = User._meta.get_field("assigned_tickets").related_model
    found: QuerySet[Any] = model.objects.visible_to(viewer).real()
    return found


def summary(people: QuerySet[User], viewer: User) -> Summary:
    """Of these people; two statements."""
    active = people.order_by().filter(is_active=True)
    is_available = Q(availability=Availability.AVAILABLE)
    told = active.aggregate(
        people=Count("pk"), available=Count("pk", filter=is_available), capacity=Sum("capacity")
    )
    takes = active.filter(capacity__gt=0).values("pk")
    occupied = tickets_of(viewer).open().filter(assignee__in=takes)  # type: ignore[attr-defined]  # of the app above
    return Summary(told["people"], told["available"], occupied.count(), told["capacity"] or 0)


def loads(people: Sequence[User], viewer: User, *, at: datetime) -> dict[int, Load]:
    """Of each of these people; one statement."""
    midnight = timezone.localtime(at).replace(hour=0, minute=0, second=0, microsecond=0)
    theirs = tickets_of(viewer).filter(assignee__in=[one.pk for one in people])
    is_open = Q(pk__in=theirs.open().values("pk"))  # type: ignore[attr-defined]  # of the app above
    settled = Q(resolved_at__gte=midnight)
    counted = (
        theirs.filter(is_open | settled)
        .order_by()
        .values("assignee")
        .annotate(open=Count("pk", filter=is_open), settled=Count("pk", filter=settled))
    )
    by_person = {one["assignee"]: one for one in counted}
    nothing = {"open": 0, "settled": 0}
    return {
        one.pk: Load(told["open"], one.capacity, told["settled"])
        for one in people
        for told in [by_person.get(one.pk, nothing)]
    }


def returning(people: Iterable[User], viewer: User) -> list[Returning]:
    """What happens to their open tickets when these people are deactivated; three statements."""
    leaving = [one.pk for one in people]
    counted = (
        tickets_of(viewer)
        .open()  # type: ignore[attr-defined]  # of the app above
        .filter(assignee__in=leaving)
        .order_by()
        .values_list("department")
        .annotate(count=Count("pk"))
    )
    counts = dict(counted)
    stays: dict[int, bool] = defaultdict(bool)
    others = User.objects.active().exclude(pk__in=leaving)
    for name in ("departments", "supervised_departments"):
        staffed = others.filter(**{f"{name}__in": list(counts)}).values_list(name, flat=True)
        stays.update(dict.fromkeys(staffed, True))
    return [
        Returning(department, counts[department.pk], not stays[department.pk])
        for department in Department.objects.filter(pk__in=list(counts))
    ]
