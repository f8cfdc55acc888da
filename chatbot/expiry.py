"""Idle sessions: warned once, then ended. Only the bot's; a person's conversation never ends by itself."""

from __future__ import annotations

import logging
from datetime import datetime

from chatbot import conversation
from sessions_app.models import Session

logger = logging.getLogger(__name__)


def expire_sessions(
    *, now: datetime, limit: int = 1000, is_dry_run: bool = False
) -> dict[str, int]:
    """Warn or end the sessions whose idle action is due; how many of which. Safe to run twice at once: each
    session is looked at again under its lock. One that fails is logged and left for the next run."""
    due = Session.objects.with_bot().filter(idle_due_at__lte=now).order_by("idle_due_at", "id")
    counts = {"warned": 0, "ended": 0, "failed": 0}
    for session in due.select_related("channel")[:limit]:
        if is_dry_run:
            counts["warned" if conversation.is_to_be_warned(session, now) else "ended"] += 1
            continue
        try:
            outcome = conversation.expire(session.pk, now=now)
        except Exception:
            logger.exception("session %s could not be expired", session.pk)
            outcome = "failed"
        if outcome:
            counts[outcome] += 1
    return counts
