"""A second try for what could not be handled."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from chatbot import failures, intake
from chatbot.channels.inbound import Inbound, InboundMessage
from chatbot.conversation import receive
from chatbot.models import Author, Direction, FailedEvent, FailedEventState, MessageLog
from chatbot.turn import RESUME, Turn
from sessions_app.models import Owner, Session
from sessions_app.services import lock_session
from tickets.services import Next, close_ticket, open_ticket_of

logger = logging.getLogger(__name__)


def reprocess(event: FailedEvent, *, now: datetime) -> str:
    """Handle a failed event again; returns what became of it, which is also stored on it.

    An event without an inbound row goes through `receive` (a duplicate changes nothing). One with a
    row runs only the step that is missing, and only while that still makes sense.
    """
    if event.state != FailedEventState.NEW:
        return event.outcome
    try:
        if event.message is None:
            _note(event, *_receive_again(event, now=now))
        else:
            _run_missing_step(event, event.message, now=now)
    except Exception as error:
        logger.exception("failed event %s failed again", event.pk)
        _note(event, FailedEventState.NEW, type(error).__name__)
    return event.outcome


def _note(event: FailedEvent, state: FailedEventState, outcome: str) -> None:
    event.state, event.outcome, event.tries = state, outcome[:300], event.tries + 1
    event.save(update_fields=["state", "outcome", "tries", "updated_at"])


def _receive_again(event: FailedEvent, *, now: datetime) -> tuple[FailedEventState, str]:
    channel = event.channel or intake.channel_named_by(event)
    if channel is None:
        return FailedEventState.NEW, _("There is still no channel for this number.")
    if event.body is not None:
        items: Sequence[Inbound] = intake.parse_again(channel, bytes(event.body))
    else:
        item = failures.item_of(event)
        items = [] if item is None else [item]
    receipt = receive(channel, items, now=now)
    if receipt.unstored or receipt.kept:
        return FailedEventState.NEW, _("It failed again.")
    return FailedEventState.DONE, _("Handled.")


@transaction.atomic
def _run_missing_step(event: FailedEvent, row: MessageLog, *, now: datetime) -> None:
    """Only the step, under the session lock, and only if nobody has gone on without it. The event
    is settled in the same transaction: neither a second command nor a crash runs the step twice."""
    item = failures.item_of(event)
    session = lock_session(row.session_id)
    event.refresh_from_db(fields=["state", "outcome", "tries"])
    if event.state != FailedEventState.NEW:
        return
    reason = _why_not(row, session)
    if reason or not isinstance(item, InboundMessage):
        _note(event, FailedEventState.SUPERSEDED, reason or _("The item cannot be read any more."))
        return
    turn = Turn(session, now=now)
    ticket = open_ticket_of(session)
    if ticket is not None:
        then = Next.BOT
        close_ticket(ticket, actor=None, then=then, entry=RESUME, session=session, at=now)
        turn.revive()
    turn.hear(item, at=min(item.at or now, now))
    turn.save([])
    _note(event, FailedEventState.DONE, _("Handled."))


def _why_not(row: MessageLog, session: Session) -> str:
    """Why the step of `row` must not run any more; empty when it may."""
    later = MessageLog.objects.filter(session=session, pk__gt=row.pk)
    if not session.is_live:
        return _("The conversation has ended.")
    if session.owner == Owner.ATTENDANT or later.filter(author=Author.ATTENDANT).exists():
        return _("A person has taken over.")
    if later.filter(direction=Direction.INBOUND).exists():
        return _("The customer has written again.")
    return ""
