"""Idle sessions: warned once, then ended. Only the bot's; a person's conversation never ends by
itself."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from chatbot.channels.base import Content
from chatbot.silence import idle_rule, is_to_be_warned
from chatbot.turn import Turn
from sessions_app.models import Owner, Session
from sessions_app.services import lock_session

logger = logging.getLogger(__name__)


def expire_sessions(
    *, now: datetime, limit: int = 1000, is_dry_run: bool = False
) -> dict[str, int]:
    """Warn or end the sessions whose idle action is due; how many of which. Safe to run twice at
    once: each session is looked at again under its lock. One that fails is logged and left for the
    next run. Those of the simulator go by clocks of their own (`chatbot.simulation.passing`)."""
    due = Session.objects.with_bot().real().filter(idle_due_at__lte=now)
    counts = {"warned": 0, "ended": 0, "failed": 0}
    for session in due.select_related("channel").order_by("idle_due_at", "id")[:limit]:
        if is_dry_run:
            counts["warned" if is_to_be_warned(session, now) else "ended"] += 1
            continue
        try:
            outcome = expire(session.pk, now=now)
        except Exception:
            logger.exception("session %s could not be expired", session.pk)
            outcome = "failed"
        if outcome:
            counts[outcome] += 1
    return counts


@transaction.atomic
def expire(session_id: int, *, now: datetime) -> str:
    """Warn or end one idle session, under its lock: "warned", "ended" or "" when nothing was due
    any more."""
    session = lock_session(session_id)
    due = session.is_live and session.owner == Owner.BOT and session.idle_due_at
    if not due or due > now:
        return ""
    rule = idle_rule(session)
    turn = Turn(session, now=now)
    is_window_open = session.window_is_open(now)
    if is_to_be_warned(session, now):
        session.idle_warned_at = now
        turn.say([Content(kind="text", text=rule.warning_text)])
        turn.save(["idle_warned_at"])
        return "warned"
    if rule.end_text.strip() and is_window_open:
        turn.say([Content(kind="text", text=rule.end_text)])
        turn.save([])
    turn.end_idle()
    return "ended"
