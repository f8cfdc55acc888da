"""Which ticket a person does next.

First one's own tickets in which the customer waits for an answer, or that were assigned and not yet
accepted: promises come before new work. Then the unassigned ones of one's departments. Within both:
late, then at risk, then by priority, then who has waited longest. What is put aside, or waits for
the customer, is not work now. A person's capacity is for automatic distribution: who asks for the
next ticket gets it.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Case, IntegerField, Q, Value, When
from django.db.models.functions import Coalesce

from tickets.errors import TicketConflict
from tickets.models import (
    AT_RISK,
    Priority,
    Ticket,
    TicketQuerySet,
    TicketStatus,
    late_condition,
)
from tickets.services import claim
from users.models import User

TRIED = 20  # tickets that others may take while we look

RANKS = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


def next_ticket(user: User, at: datetime) -> Ticket | None:
    """The ticket that is next for `user`, and theirs; None when there is nothing to do.

    Two who ask at once never get the same: a ticket that somebody else has just taken is passed
    over.
    """
    work = _in_order(_now(user, at), at)
    for ticket in [*work.filter(_is_own(user))[:1], *work.filter(assignee=None)[:TRIED]]:
        try:
            return claim(ticket, user=user, at=at)
        except TicketConflict:
            continue
    return None


def _now(user: User, at: datetime) -> TicketQuerySet:
    """What somebody could do something about, of what the person may take."""
    open_now = Ticket.objects.visible_to(user).real().open().awake(at)
    mine = user.departments.values("pk")
    is_for_me = Q(assignee=user) | Q(assignee=None, department__in=mine)
    return open_now.filter(is_for_me).exclude(status=TicketStatus.WAITING_CUSTOMER)


def _is_own(user: User) -> Q:
    return Q(assignee=user) & (Q(unread__gt=0) | Q(status=TicketStatus.OPEN))


def _in_order(tickets: TicketQuerySet, at: datetime) -> TicketQuerySet:
    urgency = Case(
        When(late_condition(at), then=Value(0)),
        When(due_at__lte=at + AT_RISK, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    rank = Case(
        *[When(priority=priority, then=Value(place)) for priority, place in RANKS.items()],
        output_field=IntegerField(),
    )
    waiting_since = Coalesce("last_message_at", "queued_at")
    return tickets.with_due().order_by(urgency, rank, waiting_since, "pk")
