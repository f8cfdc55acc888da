"""One inbound item, one transaction: identity and lead, session, row, step, effects, outbox.

Locks: session, ticket, lead, counter, in this order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot import failures, history, incidents_watch, intake
from chatbot.attachments import Attachment
from chatbot.channels import transport_class
from chatbot.channels.base import Content
from chatbot.channels.inbound import Inbound, InboundMessage, Kind
from chatbot.cleaning import clean_item
from chatbot.engine.messages import HandlerReturned, TimerFired
from chatbot.happenings import ADVANCING_KINDS
from chatbot.labels import preview_label
from chatbot.message_templates import content_for
from chatbot.models import (
    Author,
    Direction,
    FlowLogKind,
    MessageLog,
    MessageStatus,
    Task,
    TaskKind,
)
from chatbot.outbox import rows_for
from chatbot.preferences import heed
from chatbot.read_marks import mark_read
from chatbot.sendable import why_not
from chatbot.sentences import sentence
from chatbot.silence import is_over
from chatbot.trouble import QUERY_CANCELED, is_transient, sqlstate
from chatbot.turn import Turn
from leads.models import LeadSource
from leads.services import Resolved, link_identities, record_referral, resolve_lead
from sessions_app.models import Channel, Owner, Session
from sessions_app.services import (
    lock_live_sessions_of,
    lock_session,
    note_inbound,
    note_outbound,
    open_session,
    touch_window,
)
from tickets import services as tickets
from users import audit
from users.errors import DomainError
from users.frozen import Frozen, insert
from users.models import User

logger = logging.getLogger(__name__)

INBOUND_ONCE = "chatbot_message_inbound_once"
TRANSIENT_TRIES = 3

T = TypeVar("T")


class ReplyRefused(DomainError):
    """An answer of a person that cannot be sent as it is."""

    code = "reply_refused"


class ReplyHeld(DomainError):
    """An answer whose author had not seen yet what a colleague did meanwhile. Nothing is stored:
    whoever has read it sends the same once more. `holder`: the colleague who has the ticket now,
    None when the author may still write."""

    code = "reply_held"

    def __init__(self, message: str, *, holder: User | None = None) -> None:
        super().__init__(message)
        self.holder = holder


@dataclass(frozen=True)
class Seen:
    """What the page of whoever answers showed: its last message, and who had the ticket."""

    message_id: int
    assignee_id: int | None


class _Duplicate(Exception):
    """The provider has sent this message before."""


# --- What came in ------------------------------------------------------------------------------


@dataclass
class Receipt:
    """What became of a body. `unstored` items could not be kept: the provider must send them
    again."""

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


@audit.quiet()
def receive(channel: Channel, items: Iterable[Inbound], *, now: datetime) -> Receipt:
    """Handle every item of a body, in the order of the provider's time, each in its own
    transaction.

    An item that the database refuses (`OperationalError`, `InterfaceError`) is rolled back, and
    later items of the same contact wait with it, so that nobody's messages change their order; all
    others go on. Whatever else goes wrong with an item is kept as a FailedEvent; one that cannot
    even be kept is treated like one that the database refused. Never raises for one item.
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
        except Exception:
            logger.exception("an item of channel %s could not be stored", channel.slug)
            receipt.unstored += 1
            held |= contact
            _drop_broken_connection()
        else:
            setattr(receipt, outcome, getattr(receipt, outcome) + 1)
    return receipt


def _receive_one(route: intake.Router, item: Inbound, *, now: datetime) -> str:
    """The name of the Receipt's field to count the item under."""
    item = clean_item(item)
    channel = route.channel_of(item)
    if channel is None:
        failures.keep_item(item, channel=None, error=f"no channel for the number {item.account}")
        incidents_watch.note_unknown_number(item, now=now)
        return "kept"
    intake.learn_account(channel, item)
    if not isinstance(item, InboundMessage):
        return _guarded(item, channel, lambda: intake.handle(channel, item, now=now))
    if item.kind is Kind.GROUP_TEXT:
        return intake.keep_ignored(item, channel, "group message")
    return _receive_message(_Place(channel, now), item)


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
    """The item with the step left out: its row, an event that says why, and people instead of the
    bot."""
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
    return _KNOWN.first(channel=channel.pk, provider_id=provider_id) is not None


_KNOWN = Frozen(
    lambda _shape, channel, provider_id: (
        MessageLog.objects.filter(
            channel=channel, provider_id=provider_id, direction=Direction.INBOUND
        )
        .order_by()
        .values_list("pk")[:1]
    )
)


@transaction.atomic
def _store(place: _Place, item: InboundMessage, failure: Exception | None = None) -> None:
    """One item in one transaction. Raises _Duplicate, which rolls all of it back."""
    channel, now = place.channel, place.now
    at = min(item.at or now, now)
    locked = _lock(channel, item)
    resolved = _resolve(channel, item, at)
    session = _session_for(channel, resolved, item, locked, at=at)
    row = _insert_inbound(session, resolved, item, at=at, now=now)
    changed = _note(session, resolved, item, at=at, now=now)
    changed += history.catch_up(session, row)
    turn = Turn(session, now=now, is_first_contact=resolved.created)
    answer = heed(turn, item, at=at)
    if failure is not None:
        _fall_back(turn, item, row, failure)
    else:
        changed += _react(turn, resolved, item, answer, at=at)
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


def _lock(channel: Channel, item: InboundMessage) -> list[Session]:
    """The sessions that the item may belong to, locked before anything about them is read: who had
    to wait sees the lead as it is now."""
    if item.kind in history.HISTORY_KINDS:
        target = history.target_of(channel, item)
        if target is not None:
            return [lock_session(target.session_id)]
    addresses = intake.scoped(item.sender.addresses, channel)
    return lock_live_sessions_of(addresses, channel_id=channel.pk)


def _session_for(
    channel: Channel,
    resolved: Resolved,
    item: InboundMessage,
    locked: list[Session],
    *,
    at: datetime,
) -> Session:
    """The locked session that the item belongs to: the live one, or a new one."""
    session = next((one for one in locked if one.lead_id == resolved.lead.pk), None)
    if session is not None:
        session.lead, session.channel = resolved.lead, channel
        if item.kind not in ADVANCING_KINDS or not is_over(session, at):
            return session
        Turn(session, now=at).end_idle()
    session = open_session(lead=resolved.lead, channel=channel, identity=resolved.identity, at=at)
    session.lead, session.channel = resolved.lead, channel
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
        insert([row])
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


def _react(
    turn: Turn, resolved: Resolved, item: InboundMessage, answer: str, *, at: datetime
) -> list[str]:
    """What the item makes happen, beyond being there; returns what else of the session to save.
    `answer`: the fixed sentence it gets instead of a step of the flow."""
    session = turn.session
    if item.kind in history.HISTORY_KINDS:
        target = history.target_of(session.channel, item)
        if target is None:
            return history.note_early(session, item)
        history.apply_to(target, item, at=at)
        return []
    own_phone = intake.own_phone(item)
    if own_phone:
        link_identities(resolved.lead, intake.scoped(own_phone, session.channel), at=at)
    if session.owner != Owner.BOT or not session.is_live:
        return []
    if not session.channel.is_active:
        _give_silently(turn, item)
    elif item.kind is Kind.UNSUPPORTED:
        turn.say_once("too_big" if intake.is_too_big(item) else "unsupported")
    elif answer:
        turn.say_once(answer)
    elif item.kind in ADVANCING_KINDS:
        turn.hear(item, at=at)
    return []


def _give_silently(turn: Turn, item: InboundMessage) -> None:
    """On a channel that is switched off the bot says nothing; who writes there is not lost."""
    if item.kind is Kind.UNSUPPORTED or item.kind in ADVANCING_KINDS:
        tickets.open_ticket(
            turn.session,
            subject=_("Channel switched off"),
            handoff={"reason": "channel_off"},
            at=turn.now,
        )


def _fall_back(turn: Turn, item: InboundMessage, row: MessageLog, failure: Exception) -> None:
    """The step has failed: keep why, and give the conversation to people, in a savepoint of its
    own."""
    session = turn.session
    failures.keep_item(
        item,
        channel=session.channel,
        message=row,
        error=f"step failed: {type(failure).__name__}",
        cause=failure,
    )
    if session.owner == Owner.BOT and item.kind in ADVANCING_KINDS:
        _give_to_people(turn)


def _give_to_people(turn: Turn) -> None:
    """The bot cannot go on: a ticket in the fallback department, and one fixed sentence."""
    session = turn.session
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


# --- What people do ----------------------------------------------------------------------------


@transaction.atomic
def send_reply(  # noqa: PLR0913  # keyword-only
    session: Session,
    *,
    user: User,
    text: str = "",
    content: Content | None = None,
    attachment: Attachment | None = None,
    reply_to: str = "",
    client_id: UUID | None = None,
    seen: Seen | None = None,
    at: datetime | None = None,
) -> MessageLog:
    """An attendant's answer: goes out on the session's channel, to the address last written from.

    Takes the conversation over from bot or queue (refused when a colleague has it, or when its
    ticket waits where `user` does not see it). The same `client_id` twice is one message. Free text
    outside the service window is refused: nothing is stored, the caller keeps the text. The text
    beside an attachment is its caption. `reply_to` is the provider's id of the message to quote.

    With `seen` the answer is held (ReplyHeld) when a colleague has written or the ticket has gone
    to somebody else since: decided under the session's lock, so of two at once only one goes.
    """
    at = at or timezone.now()
    session = lock_session(session.pk)
    already = client_id and MessageLog.objects.filter(session=session, client_id=client_id).first()
    if already:
        return already
    content = content or _content(text.strip(), attachment, reply_to)
    _check_reply(session, content, at)
    if seen is not None:
        check_seen(session, user, seen)
    ticket = tickets.take_over(session, user=user, at=at)
    turn = Turn(session, now=at)
    turn.rows = rows_for(
        session, [content], author=Author.ATTENDANT, at=at, user=user, client_id=client_id
    )
    preview = turn.rows[-1].text or preview_label(turn.rows[-1].kind)
    tickets.note_reply(ticket, user=user, at=at, preview=preview, waits=True, session=session)
    turn.save(note_outbound(session, at=at, preview=preview, by_person=True))
    if attachment is not None:
        attachment.attach_to(turn.rows[0])
    mark_read(session, at=at)  # a person has answered
    return turn.rows[0]


@transaction.atomic
def send_template(  # noqa: PLR0913  # keyword-only
    session: Session,
    *,
    user: User,
    name: str,
    language: str,
    values: Mapping[str, str],
    client_id: UUID | None = None,
    seen: Seen | None = None,
    at: datetime | None = None,
) -> MessageLog:
    """A message template with these values, as an attendant's answer (see `send_reply`), whatever
    the window. In a conversation that has ended it begins a new one, with a ticket of its own, or
    goes on in the live one that there is by now, unless others have that."""
    at = at or timezone.now()
    if not session.is_live:
        lead, channel = session.lead, session.channel
        session = open_session(lead=lead, channel=channel, identity=session.identity, at=at)
        seen = None  # of a conversation that is over
    content = content_for(session.channel, name, language, values)
    return send_reply(session, user=user, content=content, client_id=client_id, seen=seen, at=at)


def _content(text: str, attachment: Attachment | None, reply_to: str) -> Content:
    if attachment is None:
        return Content(kind="text", text=text, reply_to=reply_to)
    return Content(
        kind=attachment.kind,
        text=text,
        filename=attachment.filename,
        has_file=True,
        reply_to=reply_to,
    )


def _check_reply(session: Session, content: Content, at: datetime) -> None:
    if not session.is_live:
        raise ReplyRefused(
            _("This conversation has ended. Reopen its ticket to write again."),
            code="session_ended",
        )
    if content.kind == "text" and not content.text.strip():
        raise ReplyRefused(_("Write something first."), code="empty", status=400)
    refusal = why_not(session, kind=content.kind, at=at, template=content.template)
    if refusal is not None:
        raise ReplyRefused(refusal.sentence, code=refusal.code)


def check_seen(session: Session, user: User, seen: Seen) -> None:
    """Raise ReplyHeld if a colleague, or somebody on the company's phone, has answered since, or if
    the ticket has left the hands it was seen in. Who holds it themselves needs no warning."""
    ticket = tickets.open_ticket_of(session)
    assignee = ticket.assignee if ticket else None
    holder = assignee if assignee != user else None
    by_others = MessageLog.objects.filter(
        session=session, author=Author.ATTENDANT, pk__gt=seen.message_id
    ).exclude(author_user=user)
    newest = by_others.select_related("author_user").order_by("-pk").first()
    if newest is not None:
        raise ReplyHeld(_answered_first(newest.author_user, holder), holder=holder)
    was_elsewhere = seen.assignee_id != (assignee.pk if assignee else None)
    if was_elsewhere and holder is not None:
        raise ReplyHeld(
            _("%(name)s has the ticket now. Your text is kept.") % {"name": holder}, holder=holder
        )
    if was_elsewhere and assignee is None:
        raise ReplyHeld(_("The ticket is back in the queue. If you send this, it becomes yours."))


def _answered_first(colleague: User | None, holder: User | None) -> str:
    who = {"name": colleague or _("Somebody on the phone")}
    if holder is not None and holder == colleague:
        return _("%(name)s answered first and has the ticket now. Your text is kept.") % who
    if holder is not None:
        who["holder"] = holder
        return _("%(name)s answered first, and %(holder)s has the ticket now.") % who
    return _("%(name)s answered while you wrote. Read it before you send.") % who


# --- What comes back later ---------------------------------------------------------------------


@transaction.atomic
def resume(
    task: Task, *, now: datetime, route: str = "", values: dict[str, Any] | None = None
) -> bool:
    """The answer of an `http`, `later` handler or `wait`: it goes on with the run that still awaits
    it.

    False, and a log row that says so, when the session does not wait for it any more.
    """
    if task.session_id is None:
        return False
    turn = Turn(lock_session(task.session_id), now=now)
    if not _is_awaited(turn, task):
        turn.log(FlowLogKind.EDIT, message={"kind": "dropped", "task": task.pk, "route": route})
        turn.save([])
        return False
    facts = turn.facts(now)
    if task.kind == TaskKind.WAIT:
        turn.advance(TimerFired(at=now, facts=facts))
    else:
        turn.advance(HandlerReturned(at=now, facts=facts, route=route, values=values or {}))
    turn.save([])
    return True


@transaction.atomic
def give_up(task: Task, *, now: datetime) -> None:
    """The answer of this task will never come: who still waits for it gets people instead."""
    if task.session_id is None:
        return
    turn = Turn(lock_session(task.session_id), now=now)
    if _is_awaited(turn, task):
        _give_to_people(turn)
        turn.save([])


def is_awaited(task: Task) -> bool:
    """Does its session still wait for it? Without a lock: it may not a moment later."""
    session = Session.objects.filter(tasks=task).select_related("channel").first()
    return session is not None and _is_awaited(Turn(session, now=timezone.now()), task)


def _is_awaited(turn: Turn, task: Task) -> bool:
    awaited = turn.session.flow_state.get("awaiting")
    is_this = awaited == {"run": task.run_id, "seq": task.seq}
    return is_this and turn.session.is_live and turn.is_running


# --- Trouble of the database -------------------------------------------------------------------


def _is_trouble_of_database(error: Exception) -> bool:
    """Will the same item succeed when the database is well again? A statement that was cut short by
    its time limit counts as the step's own failure: else one slow step would be sent for ever."""
    if isinstance(error, OperationalError):
        return sqlstate(error) != QUERY_CANCELED
    return isinstance(error, InterfaceError)


def _retrying(work: Callable[[], T]) -> T:
    """`work`, again at once when the database broke a deadlock or a serialisation conflict by
    failing it."""
    for attempt in range(1, TRANSIENT_TRIES + 1):
        try:
            return work()
        except OperationalError as error:
            is_last = attempt == TRANSIENT_TRIES
            in_transaction = connection.in_atomic_block
            if is_last or in_transaction or not is_transient(error):
                raise
    raise AssertionError("unreachable")


def _drop_broken_connection() -> None:
    """So that the next item gets a new connection, if there is one to be had."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
