"""What tickets hears from the apps below it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from leads.models import Lead
from leads.signals import leads_merging
from tickets.services import merge_conversations, return_tickets_of
from users.models import User
from users.signals import user_deactivated


@receiver(leads_merging, dispatch_uid="tickets.move_conversations")
def move_conversations(*, winner: Lead, loser: Lead, actor: User | None, **signal: Any) -> None:
    merge_conversations(winner, loser, actor=actor)


@receiver(user_deactivated, dispatch_uid="tickets.return_tickets")
def return_tickets(*, user: User, at: datetime, **signal: Any) -> None:
    return_tickets_of(user, actor=None, at=at)
