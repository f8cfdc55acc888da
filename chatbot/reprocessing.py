"""A second try for what could not be handled."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chatbot import failures, intake
from chatbot.channels.base import Malformed
from chatbot.channels.inbound import AccountNotice, Inbound, InboundMessage, Unusable
from chatbot.conversation import Receipt, receive
from chatbot.models import Author, Direction, FailedEvent, FailedEventState, MessageLog
from chatbot.turn import RESUME, Turn
from sessions_app.models import Channel, Owner, Session
from sessions_app.services import lock_session
from tickets.services import NO_CASE, Next, close_ticket, open_ticket_of

logger = logging.getLogger(__name__)

HISTORY_KEPT = 50
NAMED_EVENTS = 20  # of a body that broke into more, the rest is counted


@dataclass(frozen=True)
class Try:
    """One second try. `noted` runs in the transaction that notes how it ended, if it counts."""

    now: datetime
    by: str = ""
    noted: Callable[[FailedEvent], None] = lambda event: None


@dataclass(frozen=True)
class Verdict:
    """How a try ended; with `error`, why it failed this time."""

    state: FailedEventState
    outcome: str
    error: str = ""
    details: str = ""


def reprocess(
    event: FailedEvent,
    *,
    now: datetime,
    by: str = "",
    noted: Callable[[FailedEvent], None] = lambda event: None,
) -> str:
    """Handle a failed event again; returns what became of it, which is also stored on it.

    An event without an inbound row goes through `receive` (a duplicate changes nothing). One with a
    row runs only the step that is missing, and only while that still makes sense. Of two who hold
    the same event one tries; the other leaves it alone. What of a body fails again becomes events
    of its own, and the body is done.
    """
    if not _take(event):
        return event.outcome
    this = Try(now=now, by=by, noted=noted)
    try:
        if event.message is None:
            _note(event, _receive_again(event, now=now), this)
        else:
            _run_missing_step(event, event.message, this)
    except Exception as error:
        logger.exception("failed event %s failed again", event.pk)
        _note(event, _failed(event, error), this)
    return event.outcome


def _take(event: FailedEvent) -> bool:
    """Count the try, if nobody has begun another since the event was read."""
    same = FailedEvent.objects.filter(pk=event.pk, state=FailedEventState.NEW, tries=event.tries)
    if same.update(tries=F("tries") + 1) == 1:
        event.tries += 1
        return True
    event.refresh_from_db(fields=["state", "outcome", "tries"])
    return False


def _failed(event: FailedEvent, error: Exception) -> Verdict:
    name = type(error).__name__
    return Verdict(
        FailedEventState.NEW,
        name,
        error=f"step failed: {name}" if event.message_id else name,
        details=failures.details_of(error),
    )


@transaction.atomic
def _note(event: FailedEvent, verdict: Verdict, this: Try) -> None:
    """Store how the try ended. Who settled the event meanwhile has the last word on its state, and
    the try is not counted."""
    row = _locked(event)
    is_settled = row.state != FailedEventState.NEW
    if not is_settled:
        row.state, row.outcome = verdict.state, verdict.outcome[:300]
    if verdict.error:
        row.error, row.details = verdict.error[: failures.ERROR_LENGTH], verdict.details
    add_to_history(row, "processed", verdict.outcome, by=this.by, now=this.now)
    row.save(update_fields=["state", "outcome", "error", "details", "history", "updated_at"])
    event.state, event.outcome = row.state, row.outcome
    if not is_settled:
        this.noted(event)


def _locked(event: FailedEvent) -> FailedEvent:
    rows = FailedEvent.objects.select_for_update(no_key=True, of=("self",))
    return rows.defer("body", "item").get(pk=event.pk)


def add_to_history(event: FailedEvent, did: str, outcome: str, *, by: str, now: datetime) -> None:
    """One more line, in memory; only the newest are kept."""
    line = {"at": now.isoformat(), "did": did, "outcome": outcome[:300], "by": by}
    event.history = [*event.history, line][-HISTORY_KEPT:]


# --- Without a row: through `receive` ----------------------------------------------------------


def _receive_again(event: FailedEvent, *, now: datetime) -> Verdict:
    item = failures.item_of(event)
    if isinstance(item, AccountNotice):
        outcome = _("A notice of the provider: read it, then ignore it. There is nothing to do.")
        return Verdict(FailedEventState.NEW, outcome)
    channel = event.channel or intake.channel_named_by(event)
    if channel is None:
        return Verdict(FailedEventState.NEW, _("There is still no channel for this number."))
    try:
        items = _items_of(event, item, channel)
    except Malformed:
        return Verdict(FailedEventState.NEW, _("It still cannot be read."))
    with failures.collected() as kept:
        receipt = receive(channel, items, now=now)
    return _verdict_on(event, receipt, kept)


def _items_of(event: FailedEvent, item: Inbound | None, channel: Channel) -> Sequence[Inbound]:
    """What is inside. What could not be understood once is read anew: programs learn."""
    if event.body is not None:
        return intake.parse_again(channel, bytes(event.body))
    if isinstance(item, Unusable) and item.raw:
        return intake.parse_again(channel, json.dumps(item.raw).encode())
    return [] if item is None else [item]


def _verdict_on(event: FailedEvent, receipt: Receipt, kept: list[FailedEvent]) -> Verdict:
    if receipt.unstored:
        text = ngettext(
            "The database could not store %(count)d part. Try again.",
            "The database could not store %(count)d parts. Try again.",
            receipt.unstored,
        )
        return Verdict(FailedEventState.NEW, text % {"count": receipt.unstored})
    same = next((one for one in kept if one.pk == event.pk), None)
    if same is not None:
        return Verdict(FailedEventState.NEW, _("It failed again."), same.error, same.details)
    names = _still_there(kept)
    if names:
        text = _("What failed again is kept as %(events)s.") % {"events": names}
        return Verdict(FailedEventState.DONE, text)
    if receipt.ignored and not receipt.stored + receipt.duplicates:
        return Verdict(FailedEventState.IGNORED, _("There is nothing to do for it."))
    return Verdict(FailedEventState.DONE, _("Handled."))


def _still_there(kept: list[FailedEvent]) -> str:
    """The events that wait for somebody, by number; a rolled-back one is none."""
    ids = {one.pk for one in kept}
    found = FailedEvent.objects.filter(pk__in=ids, state=FailedEventState.NEW)
    numbers = list(found.order_by("id").values_list("pk", flat=True))
    more = len(numbers) - NAMED_EVENTS
    named = ", ".join(f"#{number}" for number in numbers[:NAMED_EVENTS])
    return f"{named} (+{more})" if more > 0 else named


# --- With a row: only the step -----------------------------------------------------------------


@transaction.atomic
def _run_missing_step(event: FailedEvent, row: MessageLog, this: Try) -> None:
    """Only the step, under the session lock, and only if nobody has gone on without it. The event
    is settled in the same transaction: neither a second command nor a crash runs the step twice."""
    item = failures.item_of(event)
    session = lock_session(row.session_id)
    event.refresh_from_db(fields=["state", "outcome", "tries"])
    if event.state != FailedEventState.NEW:
        return
    reason = _why_not(row, session)
    if reason or not isinstance(item, InboundMessage):
        text = reason or _("The item cannot be read any more.")
        _note(event, Verdict(FailedEventState.SUPERSEDED, text), this)
        return
    turn = Turn(session, now=this.now)
    ticket = open_ticket_of(session)
    if ticket is not None:
        close_ticket(
            ticket,
            actor=None,
            then=Next.BOT,
            entry=RESUME,
            why=NO_CASE,
            session=session,
            at=this.now,
        )
        turn.revive()
    turn.hear(item, at=min(item.at or this.now, this.now))
    turn.save([])
    _note(event, Verdict(FailedEventState.DONE, _("Handled.")), this)


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
