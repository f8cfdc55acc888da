"""What the rule must know of people: read once for a department, then narrowed to a ticket."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from django.db.models import Case, CharField, Count, F, Q, Value, When

from tickets.distribution.deciding import WEIGHTS, Candidate
from tickets.models import Ticket, snoozed_condition
from users.models import Department, User

REPLYING = ("tickets.change_ticket", "chatbot.add_messagelog")


def candidates(
    department: Department, *, besides: Collection[int] = (), at: datetime
) -> list[Candidate]:
    """The active people of the department, and `besides` them the lead's attendant, in the order of
    their numbers. Four statements, and two more when anybody has hours."""
    through = User.departments.through.objects
    members = through.filter(department=department).values("user")
    rows = User.objects.filter(Q(pk__in=members, is_active=True) | Q(pk__in=besides))
    people = list(
        rows.order_by("pk")
        .select_related("calendar")
        .prefetch_related("skills", "calendar__hours", "calendar__holidays")
    )
    is_member = set(members.values_list("user", flat=True))
    counts = _counts(people, at)
    return [
        Candidate(
            id=one.pk,
            name=str(one),
            is_active=one.is_active,
            may_reply=one.has_perms(REPLYING),
            is_member=one.pk in is_member,
            availability=one.availability,
            in_hours=one.calendar is None or one.calendar.is_open(at),
            skills=tuple(sorted(skill.name for skill in one.skills.all())),
            slots=one.capacity,
            last_received_at=one.last_received_at,
            **counts[one.pk],  # type: ignore[arg-type]  # the four counts
        )
        for one in people
    ]


def for_ticket(
    people: Iterable[Candidate], *, declined: Collection[int], own: int | None
) -> list[Candidate]:
    """The same people before one ticket: the department's, and who takes care of its lead."""
    return [
        replace(one, has_declined=one.id in declined, is_own=one.id == own)
        for one in people
        if one.is_member or one.id == own
    ]


def _counts(people: Sequence[User], at: datetime) -> dict[int, dict[str, int]]:
    """Open tickets of each, by status; those put aside apart. One statement."""
    rows = (
        Ticket.objects.real()
        .open()
        .filter(assignee__in=[one.pk for one in people])
        .annotate(
            weighs=Case(
                When(snoozed_condition(at), then=Value("snoozed")),
                default=F("status"),
                output_field=CharField(),
            )
        )
        .values_list("assignee", "weighs")
        .annotate(count=Count("pk"))
        .order_by()
    )
    counts: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(WEIGHTS, 0))
    for user, weighs, count in rows:
        counts[user][weighs] = count
    return counts
