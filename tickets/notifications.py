"""What a person is told about a ticket: one row each, written by the services in their transaction.

Nobody is told of what they did themselves. Read through `Notification.objects.visible_to(user)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tickets.models import Notification, NotificationKind, Ticket
from users.models import User


def notify(
    user: User | None,
    kind: NotificationKind,
    *,
    ticket: Ticket,
    actor: User | None = None,
    details: Mapping[str, Any] | None = None,
) -> Notification | None:
    """Tell one person; None when there is nobody to tell."""
    if user is None or user == actor or not user.is_active:
        return None
    return Notification.objects.create(
        user=user, kind=kind, ticket=ticket, actor=actor, details=dict(details or {})
    )


def notify_all(
    users: Iterable[User],
    kind: NotificationKind,
    *,
    ticket: Ticket,
    actor: User | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Tell several people the same, in one statement."""
    Notification.objects.bulk_create(
        Notification(user=user, kind=kind, ticket=ticket, actor=actor, details=dict(details or {}))
        for user in users
        if user != actor and user.is_active
    )
