"""What tickets hears from the apps below it."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from leads.models import Lead
from leads.signals import leads_merging
from tickets.services import merge_conversations
from users.models import User


@receiver(leads_merging, dispatch_uid="tickets.move_conversations")
def move_conversations(*, winner: Lead, loser: Lead, actor: User | None, **signal: Any) -> None:
    merge_conversations(winner, loser, actor=actor)
