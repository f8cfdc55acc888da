"""One inbound item, one transaction: identity and lead, session, row, step, effects, outbox.

Locks: session, ticket, lead, counter, in this order. The only caller of the engine's `step()`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter_ns
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.utils.translation import gettext as _

from chatbot import failures, history, intake
from chatbot.apply import Scene, apply
from chatbot.channels import transport_class
from chatbot.channels.base import Content
from chatbot.channels.inbound import Inbound, InboundMessage, Kind
from chatbot.cleaning import clean_message
from chatbot.documents import asks_for_tags, document_of
from chatbot.engine.effects import Send
from chatbot.engine.messages import HandlerReturned, Message, Started, TimerFired
from chatbot.engine.replay import delta
from chatbot.engine.state import Outcome, State
from chatbot.engine.step import step
from chatbot.facts import gather, with_tags
from chatbot.happenings import ADVANCING_KINDS, happening_of
from chatbot.models import (
    Author,
    Direction,
    FailedEvent,
    FailedEventState,
    FlowLog,
    FlowLogKind,
    FlowRun,
    MessageLog,
    MessageStatus,
    Task,
    TaskKind,
    Trigger,
)
from chatbot.outbox import content_of, rows_for
from chatbot.sentences import sentence
from chatbot.triggers import Occasion, find_trigger
from chatbot.wake import wake_workers
from leads.models import Lead, LeadSource
from leads.services import Resolved, link_identities, record_referral, resolve_lead
from sessions_app.models import Channel, EndReason, Owner, Session
from sessions_app.services import (
    end_session,
    lock_live_session,
    lock_session,
    note_inbound,
    note_outbound,
    open_session,
    touch_window,
)
from tickets import services as tickets
from users.errors import DomainError
from users.models import User

logger = logging.getLogger(__name__)

INBOUND_ONCE = "chatbot_message_inbound_once"
ROUNDS = 16  # steps within one message: handlers and a ticket answer at once
RESUME = "resume"  # entry of a ticket closed only to let the interrupted run go on
TRANSIENT_TRIES = 3
TRANSIENT_STATES = frozenset({"40001", "40P01"})  # serialisation failure, deadlock
QUERY_CANCELED = "57014"
QUIET_KINDS = history.HISTORY_KINDS | {Kind.SYSTEM}  # neither unread nor a turn of the customer
STATE_FIELDS = (
    "seq",
    "current_state",
    "context",
    "flow_state",
    "idle_due_at",
    "idle_warned_at",
)

T = TypeVar("T")


class ReplyRefused(DomainError):
    """An answer of a person that cannot be sent as it is."""

    code = "reply_refused"


class _Duplicate(Exception):
    """The provider has sent this message before."""


# --- What came in ------------------------------------------------------------------------------


@dataclass
class Receipt:
    """What became of a body. `unstored` items could not be kept: the provider must send them again."""

    stored: int = 0
    duplicates: int = 0
    kept: int = 0
    unstored: int = 0
    ignored: int = 0

    @property
    def is_complete(self) -> bool:
        return self.unstored == 0


@dataclass(frozen=True)
class _Place:
    """Where an item belongs."""

    channel: Channel
    now: datetime


def receive(channel: Channel, items: Iterable[Inbound], *, now: datetime) -> Receipt:
    """Handle every item of a body, in the order of the provider's time, each in its own transaction.

    An item that the database refuses (`OperationalError`, `InterfaceError`) is rolled back, and later
    items of the same contact wait with it, so that nobody's messages change their order; all others go
    on. Whatever else goes wrong with an item is kept as a FailedEvent. Never raises for one item.
    """
    receipt = Receipt()
    held: set[str] = set()
    route = intake.Router(channel)
    for item in sorted(items, key=lambda one: one.at or now):
        contact = intake.contact_of(item)
        if contact & held:
            receipt.unstored += 1
            continue
        try:
            outcome = _receive_one(route, item, now=now)
        except (OperationalError, InterfaceError):
            logger.exception("an item of channel %s could not be stored", channel.slug)
            receipt.unstored += 1
            held |= contact
            _drop_broken_connection()
        else:
            setattr(receipt, outcome, getattr(receipt, outcome) + 1)
    return receipt


def reprocess(event: FailedEvent, *, now: datetime) -> str:
    """Handle a failed event again; returns what became of it, which is also stored on it.

    An event without an inbound row goes through `receive` (a duplicate changes nothing). One with a row
    runs only the step that is missing, and only while that still makes sense.
    """
    if event.state != FailedEventState.NEW:
        return event.outcome
    try:
        state, outcome = _reprocess(event, now=now)
    except Exception as error:
        logger.exception("failed event %s failed again", event.pk)
        state, outcome = FailedEventState.NEW, f"{type(error).__name__}"
    event.state, event.outcome, event.tries = state, outcome[:300], event.tries + 1
    event.save(update_fields=["state", "outcome", "tries", "updated_at"])
    return event.outcome


def _receive_one(route: intake.Router, item: Inbound, *, now: datetime) -> str:
    """The name of the Receipt's field to count the item under."""
    channel = route.channel_of(item)
    if channel is None:
        failures.keep_item(item, channel=None, error=f"no channel for the number {item.account}")
        return "kept"
    if not isinstance(item, InboundMessage):
        return _guarded(item, channel, lambda: intake.handle(channel, item, now=now))
    if item.kind is Kind.GROUP_TEXT:
        return intake.keep_ignored(item, channel, "group message")
    return _receive_message(_Place(channel, now), clean_message(item))


def _guarded(item: Inbound, channel: Channel, handle: Callable[[], str]) -> str:
    """`handle`, with anything that is no trouble of the database kept instead of raised."""
    try:
        return _retrying(handle)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("an item could not be handled")
        failures.keep_item(item, channel=channel, error=type(error).__name__, cause=error)
        return "kept"


def _receive_message(place: _Place, item: InboundMessage) -> str:
    if _is_known(place.channel, item.provider_id):
        return "duplicates"
    try:
        _retrying(lambda: _store(place, item))
    except _Duplicate:
        return "duplicates"
    except Exception as error:
        if _is_trouble_of_database(error):
            raise
        logger.exception("the step of message %s failed", item.provider_id)
        return _store_without_step(place, item, error)
    return "stored"


def _store_without_step(place: _Place, item: InboundMessage, error: Exception) -> str:
    """The item with the step left out: its row, an event that says why, and people instead of the bot."""
    try:
        _retrying(lambda: _store(place, item, failure=error))
    except _Duplicate:
        return "duplicates"
    except (OperationalError, InterfaceError):
        raise
    except Exception as again:
        logger.exception("message %s could not even be stored", item.provider_id)
        failures.keep_item(item, channel=place.channel, error=type(again).__name__, cause=again)
        return "kept"
    return "stored"


def _is_known(channel: Channel, provider_id: str) -> bool:
    """A cheap look before any lock; the unique constraint decides."""
    return MessageLog.objects.filter(
        channel=channel, provider_id=provider_id, direction=Direction.INBOUND
    ).exists()


@transaction.atomic
def _store(place: _Place, item: InboundMessage, failure: Exception | None = None) -> None:
    """One item in one transaction. Raises _Duplicate, which rolls all of it back."""
    channel, now = place.channel, place.now
    at = min(item.at or now, now)
    resolved = _resolve(channel, item, at)
    session = _session_for(channel, resolved, item, at=at)
    row = _insert_inbound(session, resolved, item, at=at, now=now)
    changed = _note(session, resolved, item, at=at, now=now)
    turn = Turn(session, now=now, is_first_contact=resolved.created)
    if failure is not None:
        _fall_back(turn, item, row, failure)
    else:
        _react(turn, resolved, item, at=at)
    turn.save(changed)


def _resolve(channel: Channel, item: InboundMessage, at: datetime) -> Resolved:
    referral = item.payload.get("referral")
    resolved = resolve_lead(
        addresses=intake.scoped(item.sender.addresses, channel),
        name=item.sender.name,
        source=LeadSource.AD if referral else LeadSource.BOT,
        is_simulated=channel.is_simulator,
        at=at,
    )
    if referral:
        record_referral(resolved.lead, referral)
    return resolved


def _session_for(
    channel: Channel, resolved: Resolved, item: InboundMessage, *, at: datetime
) -> Session:
    """The locked session that the item belongs to."""
    if item.kind in history.HISTORY_KINDS:
        target = history.target_of(channel, item)
        if target is not None:
            return lock_session(target.session_id)
    session = lock_live_session(lead_id=resolved.lead.pk, channel_id=channel.pk)
    if session is None:
        # The lead may have been merged while we waited for the lock: look again, from the identity.
        resolved = _resolve(channel, item, at)
        session = open_session(
            lead=resolved.lead, channel=channel, identity=resolved.identity, at=at
        )
    elif item.kind in ADVANCING_KINDS and _is_over(session, at):
        Turn(session, now=at).end_idle()
        session = open_session(
            lead=resolved.lead, channel=channel, identity=resolved.identity, at=at
        )
    session.channel = channel
    return session


def _insert_inbound(
    session: Session, resolved: Resolved, item: InboundMessage, *, at: datetime, now: datetime
) -> MessageLog:
    row = MessageLog(
        channel=session.channel,
        session=session,
        direction=Direction.INBOUND,
        author=Author.CUSTOMER,
        identity=resolved.identity,
        kind=item.kind.value,
        text=item.text or "",
        payload=intake.stored_payload(item),
        status=MessageStatus.RECEIVED,
        provider_id=item.provider_id,
        provider_at=at,
        reply_to=item.reply_to,
        epoch=session.epoch,
        created_at=now,
    )
    try:
        row.save(force_insert=True)
    except IntegrityError as error:
        if INBOUND_ONCE in str(error) or _names_columns(error):
            raise _Duplicate from error
        raise
    if item.media is not None:
        intake.keep_media(row, item.media)
    return row


def _names_columns(error: IntegrityError) -> bool:
    """SQLite names the columns of a unique index, not the index."""
    return "chatbot_messagelog.channel_id, chatbot_messagelog.provider_id" in str(error)


def _note(
    session: Session, resolved: Resolved, item: InboundMessage, *, at: datetime, now: datetime
) -> list[str]:
    """Move the session's times; returns the fields to save."""
    window_hours = transport_class(session.channel.kind).capabilities.service_window_hours
    if item.kind in history.HISTORY_KINDS:
        return []
    if item.kind is Kind.SYSTEM:
        return touch_window(session, at_provider=at, now=now, window_hours=window_hours)
    preview = intake.preview_of(item)
    if session.owner != Owner.BOT:
        tickets.note_inbound(session, preview=preview, at=now)
    return note_inbound(
        session,
        at_provider=at,
        now=now,
        preview=preview,
        identity=resolved.identity,
        window_hours=window_hours,
    )


def _react(turn: Turn, resolved: Resolved, item: InboundMessage, *, at: datetime) -> None:
    """What the item makes happen, beyond being there."""
    session = turn.session
    if item.kind in history.HISTORY_KINDS:
        target = history.target_of(session.channel, item)
        if target is not None:
            history.apply_to(target, item, at=at)
        return
    own_phone = intake.own_phone(item)
    if own_phone:
        link_identities(resolved.lead, intake.scoped(own_phone, session.channel), at=at)
    if session.owner != Owner.BOT or not session.is_live or not session.channel.is_active:
        return
    if item.kind is Kind.UNSUPPORTED:
        turn.say_once("too_big" if intake.is_too_big(item) else "unsupported")
    elif item.kind in ADVANCING_KINDS:
        turn.hear(item, at=at)


def _fall_back(turn: Turn, item: InboundMessage, row: MessageLog, failure: Exception) -> None:
    """The step has failed: keep why, and give the conversation to people, in a savepoint of its own."""
    session = turn.session
    failures.keep_item(
        item,
        channel=session.channel,
        message=row,
        error=f"step failed: {type(failure).__name__}",
        cause=failure,
    )
    if session.owner != Owner.BOT or item.kind not in ADVANCING_KINDS:
        return
    try:
        with transaction.atomic():
            tickets.open_ticket(
                session, subject=_("The bot failed"), handoff={"reason": "bot_failed"}, at=turn.now
            )
    except Exception:
        logger.exception("INCIDENT: session %s could not be given to people", session.pk)
        session.refresh_from_db(fields=["owner", "epoch"])
        return
    turn.say([Content(kind="text", text=sentence("trouble", session.channel))], Author.SYSTEM)


def _reprocess(event: FailedEvent, *, now: datetime) -> tuple[FailedEventState, str]:
    if event.message_id is not None:
        return _run_missing_step(event, now=now)
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
def _run_missing_step(event: FailedEvent, *, now: datetime) -> tuple[FailedEventState, str]:
    """Only the step, under the session lock, and only if nobody has gone on without it."""
    assert event.message is not None
    item = failures.item_of(event)
    session = lock_session(event.message.session_id)
    reason = _why_not(event.message, session)
    if reason or not isinstance(item, InboundMessage):
        return FailedEventState.SUPERSEDED, reason or _("The item cannot be read any more.")
    turn = Turn(session, now=now)
    ticket = tickets.open_ticket_of(session)
    if ticket is not None:
        then = tickets.Next.BOT
        tickets.close_ticket(ticket, actor=None, then=then, entry=RESUME, session=session, at=now)
        turn.revive()
    turn.hear(item, at=min(item.at or now, now))
    turn.save([])
    return FailedEventState.DONE, _("Handled.")


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


# --- What the bot does -------------------------------------------------------------------------


@dataclass
class Turn:
    """One locked session while something happens in it: runs the flow, collects what is to be written.

    `save()` writes all of it at once: log rows, messages, then the session.
    """

    session: Session
    now: datetime
    is_first_contact: bool = False
    logs: list[FlowLog] = field(default_factory=list)
    rows: list[MessageLog] = field(default_factory=list)

    # -- entry points

    def hear(self, item: InboundMessage, *, at: datetime) -> None:
        """A customer's message: it goes to the live run, or starts the flow that a trigger names. With no
        flow to answer it people get the conversation."""
        if self.is_running:
            self.advance(happening_of(item, at=at, facts=self.facts(at)))
            return
        trigger = find_trigger(self.session.channel, _occasion(item, at, self.is_first_contact))
        if trigger is None:
            tickets.open_ticket(
                self.session,
                subject=_("No flow answered"),
                handoff={"reason": "no_flow"},
                at=self.now,
            )
            return
        self.start(trigger, text=item.text or "", at=at)

    def start(
        self,
        trigger: Trigger,
        *,
        text: str = "",
        at: datetime,
        context: dict[str, Any] | None = None,
    ) -> None:
        """Begin a run of the trigger's published flow. Its first row resets the variables to `context`."""
        session = self.session
        version_id = trigger.flow.published_id
        assert version_id is not None
        run = FlowRun.objects.create(
            session=session,
            version_id=version_id,
            trigger=trigger,
            epoch=session.epoch,
            started_at=self.now,
        )
        state = State()
        session.context = dict(context or {})
        session.current_state = ""
        session.flow_state = {
            "run": run.pk,
            "version": version_id,
            "epoch": session.epoch,
            "engine": state.model_dump(mode="json"),
        }
        self._log(
            FlowLogKind.START,
            message={"kind": "start", "version": version_id, "trigger": trigger.pk},
            state=session.flow_state["engine"],
            context_set=session.context,
        )
        self.advance(Started(at=at, facts=self.facts(at), text=text))

    def advance(self, happening: Message) -> None:
        """Step, apply, and step again while the answer comes at once (a handler, the opened ticket)."""
        following: Message | None = happening
        for _round in range(ROUNDS):
            if following is None:
                return
            following = self._step(following)
        raise RuntimeError("the flow does not come to rest")

    def revive(self) -> None:
        """Let the run that people interrupted go on: the conversation came back to the bot as it was."""
        stored = self.session.flow_state
        if "run" in stored:
            FlowRun.objects.filter(pk=stored["run"]).update(epoch=self.session.epoch)
            self.session.flow_state = {**stored, "epoch": self.session.epoch}

    def end_idle(self) -> None:
        """End a session whose customer has gone silent, and log it. Saves by itself."""
        if "engine" in self.session.flow_state:
            self._log(FlowLogKind.END, message={"kind": "idle"})
            self._write()
            self.session.save(update_fields=["seq"])
        end_session(self.session, reason=EndReason.IDLE, at=self.now)

    def say(self, contents: Sequence[Content], author: Author = Author.BOT) -> None:
        """Queue something outside a flow, under the present epoch."""
        self._queue(contents, author=author)

    def say_once(self, key: str) -> None:
        """A fixed sentence, unless it was the last thing we said: several such messages get one answer."""
        last = MessageLog.objects.filter(session=self.session, direction=Direction.OUTBOUND)
        if last.order_by("-id").values_list("payload__sentence", flat=True).first() == key:
            return
        text = sentence(key, self.session.channel)
        self._queue([Content(kind="text", text=text)], author=Author.BOT, extra={"sentence": key})

    def save(self, changed: Iterable[str]) -> None:
        """Write everything the turn collected, then the session in one UPDATE."""
        self._write()
        session = self.session
        fields = [*changed, *self._preview()]
        if self.logs or fields:
            session.idle_due_at = next_idle_action(session)
            fields += STATE_FIELDS
        if fields:
            session.save(update_fields=list(dict.fromkeys(fields)))
        if self.rows:
            wake_workers()

    # -- state

    @property
    def is_running(self) -> bool:
        """A run is live only while the bot owns the session under the epoch it began with."""
        stored = self.session.flow_state
        return (
            self.session.owner == Owner.BOT
            and stored.get("epoch") == self.session.epoch
            and not stored.get("engine", {"done": True}).get("done")
        )

    def facts(self, at: datetime) -> dict[str, Any]:
        session = self.session
        facts = gather(
            lead=session.lead,
            channel=session.channel,
            at=at,
            is_first_contact=self.is_first_contact,
        )
        if asks_for_tags(session.flow_state["version"]):
            return with_tags(facts, session.lead)
        return facts

    def _step(self, happening: Message) -> Message | None:
        session = self.session
        stored = session.flow_state
        before = State.model_validate(stored["engine"])
        started = perf_counter_ns()
        outcome = step(document_of(stored["version"]), before, session.context, happening)
        duration_us = (perf_counter_ns() - started) // 1000
        log = self._log_step(before, outcome, happening, duration_us)
        session.context = outcome.context
        session.current_state = outcome.state.node
        session.flow_state = {**stored, "engine": log.state}
        self._await(before, outcome)
        answer = self._apply(outcome, happening.at)
        sends = [effect for effect in outcome.effects if isinstance(effect, Send)]
        self._queue([content_of(send) for send in sends], author=Author.BOT, log=log)
        if outcome.state.done:
            FlowRun.objects.filter(pk=stored["run"], finished_at=None).update(finished_at=self.now)
        return answer

    def _apply(self, outcome: Outcome, at: datetime) -> Message | None:
        if all(isinstance(effect, Send) for effect in outcome.effects):
            return None
        session = self.session
        scene = Scene(
            session=session,
            run_id=session.flow_state["run"],
            version_id=session.flow_state["version"],
            seq=session.seq,
            at=self.now,
            facts=lambda: self.facts(at),
        )
        return apply(outcome, scene)

    def _await(self, before: State, outcome: Outcome) -> None:
        """Which (run, seq) a result must name to be welcome: kept while the run waits for the same thing."""
        stored = self.session.flow_state
        if outcome.state.awaiting not in {"handler", "http", "wait"}:
            stored.pop("awaiting", None)
        elif "awaiting" not in stored or outcome.effects or outcome.state.node != before.node:
            stored["awaiting"] = {"run": stored["run"], "seq": self.session.seq}

    # -- rows

    def _log_step(
        self, before: State, outcome: Outcome, happening: Message, duration_us: int
    ) -> FlowLog:
        changed, gone = delta(self.session.context, outcome.context)
        return self._log(
            FlowLogKind.STEP,
            message=happening.model_dump(mode="json"),
            effects=[effect.model_dump(mode="json") for effect in outcome.effects],
            trace=[passed.model_dump(mode="json") for passed in outcome.trace],
            state=outcome.state.model_dump(mode="json"),
            node=before.node,
            next_node=outcome.state.node,
            context_set=changed,
            context_unset=gone,
            duration_us=duration_us,
        )

    def _log(self, kind: FlowLogKind, **values: Any) -> FlowLog:
        session = self.session
        session.seq += 1
        values.setdefault("state", session.flow_state.get("engine", {}))
        values.setdefault("node", session.current_state)
        values.setdefault("next_node", session.current_state)
        log = FlowLog(
            session=session,
            seq=session.seq,
            kind=kind,
            run_id=session.flow_state.get("run"),
            created_at=self.now,
            **values,
        )
        self.logs.append(log)
        return log

    def _queue(
        self,
        contents: Iterable[Content],
        *,
        author: Author,
        log: FlowLog | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.rows += rows_for(
            self.session, contents, author=author, at=self.now, flow_log=log, extra=extra
        )

    def _write(self) -> None:
        """Logs first: the messages point at them."""
        new_logs = [log for log in self.logs if log.pk is None]
        if new_logs:
            FlowLog.objects.bulk_create(new_logs)
        new_rows = [row for row in self.rows if row.pk is None]
        for row in new_rows:
            if row.flow_log is not None:
                row.flow_log_id = row.flow_log.pk  # it had no key yet when the row was made
        if new_rows:
            MessageLog.objects.bulk_create(new_rows)

    def _preview(self) -> list[str]:
        if not self.rows:
            return []
        preview = self.rows[-1].text or self.rows[-1].kind
        return note_outbound(self.session, at=self.now, preview=preview)


def _occasion(item: InboundMessage, at: datetime, is_first_contact: bool) -> Occasion:
    referral = item.payload.get("referral")
    referral = referral if isinstance(referral, dict) else {}
    return Occasion(
        at=at,
        text=item.text or "",
        choice_id=item.choice_id,
        ad_id=str(referral.get("source_id") or ""),
        is_first_contact=is_first_contact,
        has_referral=bool(referral),
    )


# --- Silence -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class IdleRule:
    """After how long a silent customer is warned (None: not at all) and the session ends."""

    warn_after: timedelta | None
    end_after: timedelta
    warning_text: str = ""
    end_text: str = ""


def idle_rule(session: Session) -> IdleRule:
    """The channel's limit, else the running flow's, else the site's."""
    version_id = session.flow_state.get("version")
    minutes = session.channel.idle_minutes
    if version_id is None:
        return IdleRule(None, timedelta(minutes=minutes or settings.SESSION_IDLE_MINUTES))
    idle = document_of(version_id).idle
    end_after = timedelta(minutes=minutes or idle.minutes or settings.SESSION_IDLE_MINUTES)
    warn_after = end_after - timedelta(minutes=idle.warning_minutes)
    has_warning = idle.warning_text.strip() and idle.warning_minutes and warn_after > timedelta()
    return IdleRule(
        warn_after if has_warning else None, end_after, idle.warning_text, idle.end_text
    )


def next_idle_action(session: Session) -> datetime | None:
    """When the bot next warns of silence or ends the session; None while it waits for no customer."""
    if session.owner != Owner.BOT or session.last_interaction_at is None:
        return None
    if session.flow_state.get("awaiting"):
        return None
    rule = idle_rule(session)
    warned = session.idle_warned_at is not None
    after = rule.end_after if warned or rule.warn_after is None else rule.warn_after
    return session.last_interaction_at + after


def _is_over(session: Session, at: datetime) -> bool:
    """Has the customer been silent for longer than the limit, with the bot waiting for them?"""
    if session.owner != Owner.BOT or session.idle_due_at is None:
        return False
    assert session.last_interaction_at is not None
    return at > session.last_interaction_at + idle_rule(session).end_after


def is_to_be_warned(session: Session, now: datetime) -> bool:
    """Is the next idle action of the session a warning (else its end)?"""
    has_warning = session.idle_warned_at is None and idle_rule(session).warn_after is not None
    return has_warning and session.window_is_open(now)


@transaction.atomic
def expire(session_id: int, *, now: datetime) -> str:
    """Warn or end one idle session, under its lock: "warned", "ended" or "" when nothing was due any more."""
    session = lock_session(session_id)
    due = session.is_live and session.owner == Owner.BOT and session.idle_due_at
    if not due or due > now:
        return ""
    rule = idle_rule(session)
    turn = Turn(session, now=now)
    is_window_open = session.window_is_open(now)
    if is_to_be_warned(session, now):
        assert rule.warn_after is not None
        session.idle_warned_at = now
        # The whole time of grace counts from the warning, also when the worker was late with it.
        turn.say([Content(kind="text", text=rule.warning_text)])
        turn.save(["idle_warned_at"])
        session.idle_due_at = now + (rule.end_after - rule.warn_after)
        session.save(update_fields=["idle_due_at"])
        return "warned"
    if rule.end_text.strip() and is_window_open:
        turn.say([Content(kind="text", text=rule.end_text)])
        turn.save([])
    turn.end_idle()
    return "ended"


# --- What people do ----------------------------------------------------------------------------


@transaction.atomic
def send_reply(  # noqa: PLR0913  # keyword-only
    session: Session,
    *,
    user: User,
    text: str = "",
    content: Content | None = None,
    client_id: UUID | None = None,
    at: datetime,
) -> MessageLog:
    """An attendant's answer: goes out on the session's channel, to the address last written from.

    Takes the conversation over from bot or queue (refused when a colleague has it). The same
    `client_id` twice is one message. Free text outside the service window is refused: nothing is
    stored, the caller keeps the text.
    """
    session = lock_session(session.pk)
    already = client_id and MessageLog.objects.filter(session=session, client_id=client_id).first()
    if already:
        return already
    content = content or Content(kind="text", text=text.strip())
    _check_reply(session, content, at)
    ticket = tickets.take_over(session, user=user, at=at)
    turn = Turn(session, now=at)
    turn.rows = rows_for(
        session, [content], author=Author.ATTENDANT, at=at, user=user, client_id=client_id
    )
    tickets.note_reply(
        ticket, user=user, at=at, preview=turn.rows[-1].text, waits=True, session=session
    )
    turn.save(note_outbound(session, at=at, preview=turn.rows[-1].text, by_person=True))
    _mark_read(session, at)
    return turn.rows[0]


def _check_reply(session: Session, content: Content, at: datetime) -> None:
    if not session.is_live:
        raise ReplyRefused(
            _("This conversation has ended. Reopen its ticket to write again."),
            code="session_ended",
        )
    if content.kind == "text" and not content.text.strip():
        raise ReplyRefused(_("Write something first."), code="empty", status=400)
    if content.kind != "template" and not session.window_is_open(at):
        raise ReplyRefused(
            _(
                "The customer last wrote more than 24 hours ago: WhatsApp accepts only a message template "
                "now. Wait for the customer to write, or send a template."
            ),
            code="window_closed",
        )
    if session.identity is None:
        raise ReplyRefused(_("There is no address to answer to."), code="no_address")


def _mark_read(session: Session, at: datetime) -> None:
    """A person has answered, so the customer may see that the last message was read."""
    if not transport_class(session.channel.kind).capabilities.mark_read:
        return
    last = MessageLog.objects.filter(session=session, direction=Direction.INBOUND)
    provider_id = last.order_by("-id").values_list("provider_id", flat=True).first()
    if provider_id:
        payload = {"provider_id": provider_id}
        Task.objects.create(kind=TaskKind.MARK_READ, session=session, payload=payload, run_at=at)


# --- What comes back later ---------------------------------------------------------------------


@transaction.atomic
def resume(
    task: Task, *, now: datetime, route: str = "", values: dict[str, Any] | None = None
) -> bool:
    """The answer of an `http`, `later` handler or `wait`: it goes on with the run that still awaits it.

    False, and a log row that says so, when the session does not wait for it any more.
    """
    assert task.session_id is not None
    session = lock_session(task.session_id)
    turn = Turn(session, now=now)
    awaited = session.flow_state.get("awaiting") == {"run": task.run_id, "seq": task.seq}
    if not (awaited and session.is_live and turn.is_running):
        turn._log(FlowLogKind.EDIT, message={"kind": "dropped", "task": task.pk, "route": route})
        turn.save([])
        return False
    facts = turn.facts(now)
    if task.kind == TaskKind.WAIT:
        turn.advance(TimerFired(at=now, facts=facts))
    else:
        turn.advance(HandlerReturned(at=now, facts=facts, route=route, values=values or {}))
    turn.save([])
    return True


# --- Trouble of the database -------------------------------------------------------------------


def _is_trouble_of_database(error: Exception) -> bool:
    """Will the same item succeed when the database is well again? A statement that was cut short by its
    time limit counts as the step's own failure: else one slow step would be sent for ever."""
    if isinstance(error, OperationalError):
        return _sqlstate(error) != QUERY_CANCELED
    return isinstance(error, InterfaceError)


def _retrying(work: Callable[[], T]) -> T:
    """`work`, again at once when the database broke a deadlock or a serialisation conflict by failing it."""
    for attempt in range(1, TRANSIENT_TRIES + 1):
        try:
            return work()
        except OperationalError as error:
            is_last = attempt == TRANSIENT_TRIES
            in_transaction = connection.in_atomic_block
            if is_last or in_transaction or _sqlstate(error) not in TRANSIENT_STATES:
                raise
    raise AssertionError("unreachable")


def _sqlstate(error: Exception) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def _drop_broken_connection() -> None:
    """So that the next item gets a new connection, if there is one to be had."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
