"""Tell customers who wait in a queue their place, and how long it may take."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from chatbot.channels.base import Content
from chatbot.each_ticket import for_each
from chatbot.engine.render import render
from chatbot.models import Author
from chatbot.sendable import QUEUED, why_not
from chatbot.sentences import sentence
from chatbot.turn import Turn
from sessions_app.models import Owner
from sessions_app.services import lock_session
from tickets import queue_promise
from tickets.models import Ticket
from tickets.queue_promise import Place

HOUR = 60  # minutes
ROUND_FROM = 10  # minutes: from here on to five


def tell_places(*, now: datetime) -> int:
    """How many were told. Safe to run twice at once, and against somebody who takes the ticket:
    each is looked at again under its session's lock. One that fails is logged and left for the
    next run."""
    return for_each(queue_promise.to_tell(now), _tell, now=now)


@transaction.atomic
def _tell(ticket: Ticket, now: datetime) -> bool:
    session = lock_session(ticket.session_id)
    if session.owner != Owner.QUEUE or why_not(session, kind="text", at=now) is not None:
        return False
    place = queue_promise.note_told(ticket, session, now=now)
    if place is None:
        return False
    key, values = _said(place)
    text = render(sentence(key, session.channel), values)
    turn = Turn(session, now=now)
    turn.say([Content(kind="text", text=text)], Author.SYSTEM, extra={"sentence": key})
    turn.save([])
    return True


def _said(place: Place) -> tuple[str, dict[str, str]]:
    """Which sentence, and what it is filled with."""
    values = {"position": str(place.position)}
    if place.estimate is None:
        return QUEUED, values
    if place.estimate.is_sure:
        return "queued_about", {**values, "wait": _duration(place.estimate.middle)}
    low, high = _duration(place.estimate.low), _duration(place.estimate.high)
    if low == high:
        return "queued_about", {**values, "wait": high}
    return "queued_between", {**values, "shortest": low, "longest": high}


def _duration(stretch: timedelta) -> str:
    """As people say it; what the customer reads is data, not interface. Rounded up, and no finer
    than an estimate can be."""
    minutes = max(1, -(-int(stretch.total_seconds()) // 60))
    if minutes >= ROUND_FROM:
        minutes = -(-minutes // 5) * 5
    hours, rest = divmod(minutes, HOUR)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {rest:02d}" if rest else f"{hours} h"
