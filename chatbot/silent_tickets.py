"""Tell customers whose silence is about to end their ticket, and end those that stayed silent."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from django.db import transaction

from chatbot.channels.base import Content
from chatbot.each_ticket import for_each
from chatbot.models import Author
from chatbot.sendable import why_not
from chatbot.sentences import sentence
from chatbot.turn import Turn
from sessions_app.services import lock_session
from tickets import silence
from tickets.models import Ticket


def mind_silent_tickets(*, now: datetime, limit: int = 1000) -> dict[str, int]:
    """Warn and close what is due; how many of which. Safe to run twice at once, and against a
    message that comes in: each ticket is looked at again under its session's lock."""
    closed = for_each(islice(silence.to_close(now), limit), _close, now=now)
    warned = for_each(islice(silence.to_warn(now), limit), _warn, now=now)
    return {"warned": warned, "closed": closed}


@transaction.atomic
def _warn(ticket: Ticket, now: datetime) -> bool:
    session = lock_session(ticket.session_id)
    if why_not(session, kind="text", at=now) is not None:
        return False
    if not silence.note_warning(ticket, session, now=now):
        return False
    turn = Turn(session, now=now)
    text = sentence("silent", session.channel)
    turn.say([Content(kind="text", text=text)], Author.SYSTEM)
    turn.save([])
    return True


@transaction.atomic
def _close(ticket: Ticket, now: datetime) -> bool:
    return silence.close_silent(ticket, lock_session(ticket.session_id), now=now)
