"""From a `queued` row to the provider, with the outcome recorded: at most one call per decision.

Claiming leaves a row `queued`. Just before the call it becomes `sending`, under the session lock
and only if it still may be sent; what has an unknown end stays `sending` until a status settles it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot import media
from chatbot.channels import transport_class, transport_for
from chatbot.channels.base import (
    UPLOAD_FORGOTTEN,
    Meaning,
    Recipient,
    SendError,
    Sent,
    Transport,
)
from chatbot.consequences import follow, is_channel_throttle, stops_channel
from chatbot.conversation import Seen, check_seen
from chatbot.history import catch_up_later
from chatbot.intake import ScopedAddress
from chatbot.labels import DISCARDED, PACING, PROVIDER_AWAY, STALE, preview_label
from chatbot.leases import LEASE, claim, free, may_lock, take, unlocked
from chatbot.models import Author, Direction, MessageLog, MessageStatus
from chatbot.other_form import OTHER_FORM, untried_form
from chatbot.outbox import content_from
from chatbot.pace import (
    HORIZON,
    NoSlot,
    Slot,
    may_send,
    note_success,
    note_trouble,
    reserve,
    wait,
    wait_almost,
)
from chatbot.read_marks import mark_read
from chatbot.sendable import is_out_of_date, why_not
from chatbot.simulation.staging import is_provider_away
from chatbot.statuses import UNCONFIRMED, apply_early
from chatbot.wake import wake_workers
from leads.services import link_identities
from sessions_app.models import Owner, Session
from sessions_app.services import lock_session, note_outbound, resume_sending
from tickets import services as tickets
from users.errors import DomainError
from users.frozen import Frozen, FrozenUpdate, save
from users.models import User

logger = logging.getLogger(__name__)

STALE_AFTER = timedelta(minutes=15)  # an answer of the bot that is older helps nobody any more
UNCONFIRMED_AFTER = timedelta(minutes=2)
# Of a row that is not under way yet: it goes at once, so a dead worker's rows need not wait long.
CLAIM_LEASE = timedelta(seconds=10)
RECORDED_WITHIN = LEASE.total_seconds() * 0.75  # seconds; later a status or a person settles it
BY_ITSELF = (Author.BOT, Author.SYSTEM)
WAITING = (MessageStatus.QUEUED, MessageStatus.SENDING)


class CannotSendAgain(DomainError):
    code = "cannot_send_again"


# --- What is due -------------------------------------------------------------------------------


def due(
    now: datetime, soon: datetime | None = None, *, without: Collection[int] = ()
) -> QuerySet[MessageLog]:
    """Free `queued` rows whose turn it is, but for the channels in `without`. Within a session the
    earlier row holds back the later ones; a bot row of an older epoch holds back nothing and is due
    at once, since it is only marked. A channel that may not send now gives no row."""
    stale = Q(author=Author.BOT) & ~Q(epoch=F("session__epoch"))
    earlier = (
        MessageLog.objects.filter(
            session=OuterRef("session"), status__in=WAITING, pk__lt=OuterRef("pk")
        )
        .exclude(stale, status=MessageStatus.QUEUED)
        .order_by()
    )
    has_slot = may_send(now, soon or now + HORIZON)
    its_turn = Q(run_at__lte=now) & ~Exists(earlier) & has_slot & ~Q(channel__in=without)
    return (
        MessageLog.objects.filter(status=MessageStatus.QUEUED)
        .filter(free(now))
        .filter(stale | its_turn)
        .annotate(epoch_now=F("session__epoch"))
        .select_related("channel")
        .order_by("run_at", "id")
    )


def claim_due(*, limit: int, now: datetime, without: Collection[int] = ()) -> list[MessageLog]:
    """Lease up to `limit` due rows, at most one a session. What the bot says in the simulator goes
    by the clock of whom it says it to, hence by `deliver_session`."""
    if without or not may_lock():
        rows_due = _of_everybody(due(now, without=without))
        return claim(rows_due, limit=limit, now=now, lease=CLAIM_LEASE)
    with transaction.atomic():
        rows: list[MessageLog] = _DUE.all(limit, now=now, soon=now + HORIZON)
        take(rows, now=now, lease=CLAIM_LEASE)
    return rows


def _of_everybody(rows: QuerySet[MessageLog]) -> QuerySet[MessageLog]:
    """Without what goes by a clock of its own."""
    return rows.exclude(session__is_simulated=True, author__in=BY_ITSELF)


_DUE = Frozen(lambda limit, now, soon: unlocked(_of_everybody(due(now, soon)))[:limit])


def with_slots(
    rows: Sequence[MessageLog], *, now: datetime
) -> list[tuple[MessageLog, Slot | None]]:
    """The claimed rows that may go soon, each with its slot; the lease of the others is given
    back. One short transaction a channel."""
    by_channel: dict[int, list[MessageLog]] = {}
    for row in rows:
        by_channel.setdefault(row.channel_id, []).append(row)
    going: list[tuple[MessageLog, Slot | None]] = []
    for mine in by_channel.values():
        going += [(row, None) for row in mine if not _needs_slot(row)]
        calling = [row for row in mine if _needs_slot(row)]
        slots = reserve(mine[0].channel, wanted=len(calling), now=now) if calling else []
        going += zip(calling, slots, strict=False)
        for row in calling[len(slots) :]:
            _leave(row)
    return going


def _needs_slot(row: MessageLog) -> bool:
    """Will there be a call to a provider? None is made for what is only marked."""
    is_silenced = row.author == Author.BOT and row.epoch != row.epoch_now  # type: ignore[attr-defined]  # annotated by due()
    return not is_silenced and not row.channel.is_simulator


# --- One row -----------------------------------------------------------------------------------


def deliver(row: MessageLog, slot: Slot | None = None, *, now: datetime | None = None) -> str:
    """Send one claimed row and record what became of it; returns its new status.

    `row.locked_until` is the lease that `claim_due` gave; `slot` when it may go (None: look for
    one); `now` a clock that stands still (None: everybody's). Raises only for trouble of the
    database.
    """
    try:
        if _needs_slot(row):
            media.prepare(row)
            slot = wait_almost(row.channel, slot)
        begun = _begin(row, now=now or timezone.now())
        if begun is None:
            return _status_of(row)
        _send(*begun, slot, now=now)
    except NoSlot:
        _leave(row)
    except SendError as error:
        _record_unprepared(row, error, now=now or timezone.now())
    return _status_of(row)


def _send(
    message: MessageLog, transport: Transport, slot: Slot | None, *, now: datetime | None
) -> None:
    """The call, and its outcome recorded: the answer is known nowhere else, so trouble of the
    database is waited out."""
    try:
        to = _recipient(message)
        content = content_from(message)
        if slot is not None:
            slot = _on_time(message, slot)
        sent = transport.send(to, content, callback_data=message.callback_data)
    except SendError as error:
        failure = error
    except NoSlot:
        raise
    except Exception as error:
        # Our own mistake while building the call or reading its answer: it may have gone out.
        logger.exception("sending message %s raised", message.pk)
        failure = SendError("internal", type(error).__name__, retryable=False, uncertain=True)
    else:
        _persistently(lambda: _record_success(message, sent, slot, now=now or timezone.now()))
        return
    _persistently(lambda: _record_failure(message, failure, slot, now=now or timezone.now()))


def _persistently(record: Callable[[], None]) -> None:
    """`record`, again while the database cannot be reached, as long as the row is still ours."""
    until = monotonic() + RECORDED_WITHIN
    while True:
        try:
            return record()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or monotonic() > until:
                raise
            logger.warning("the outcome of a call cannot be recorded yet: trying again")
            connection.close()
            sleep(0.5)


def _record_success(message: MessageLog, sent: Sent, slot: Slot | None, *, now: datetime) -> None:
    _record_sent(message, sent, now=now)
    if note_success(message.channel, slot, now=now):
        resume_sending(message.channel)


def _recipient(message: MessageLog) -> Recipient:
    """To the form of the number that reached them last; the other form once, if that failed."""
    identity = message.identity
    if identity is None:
        raise SendError("no_address", "the address was erased", retryable=False)
    return Recipient(identity.scheme, message.payload.get(OTHER_FORM) or identity.send_to)


def _on_time(message: MessageLog, slot: Slot) -> Slot:
    """The slot, or another when what came before took too long; without one the row goes back."""
    try:
        return wait(message.channel, slot)
    except NoSlot:
        mine = MessageLog.objects.filter(
            pk=message.pk, status=MessageStatus.SENDING, attempts=message.attempts
        )
        mine.update(**_again(message, at=timezone.now(), burn=False))
        raise


def _leave(row: MessageLog) -> None:
    """Give back the lease: somebody else may have the row."""
    MessageLog.objects.filter(
        pk=row.pk, status=MessageStatus.QUEUED, locked_until=row.locked_until
    ).update(locked_until=None)


def deliver_session(session_id: int, *, now: datetime | None = None) -> int:
    """Deliver what one session has due, at `now` (None: now), in the caller's thread: for channels
    without a network."""
    count = 0
    while True:
        at = now or timezone.now()
        rows = claim(due(at).filter(session=session_id), limit=1, now=at)
        if not rows:
            return count
        deliver(rows[0], now=now)
        count += 1


def deliver_pending(*, limit: int = 1000) -> dict[str, int]:
    """Deliver what is due, once, in the caller's thread (for cron); how many ended in which
    status."""
    outcomes: dict[str, int] = {}
    for _round in range(limit):
        rows = claim_due(limit=1, now=timezone.now())
        if not rows:
            break
        status = deliver(rows[0])
        outcomes[status] = outcomes.get(status, 0) + 1
    return outcomes


def settle_unconfirmed(*, now: datetime) -> int:
    """Rows that have been `sending` for too long without a status: shown to staff as
    unconfirmed."""
    old = MessageLog.objects.filter(
        status=MessageStatus.SENDING, locked_until__lt=now - UNCONFIRMED_AFTER
    )
    return old.update(
        status=MessageStatus.FAILED,
        failed_at=now,
        error_code=UNCONFIRMED,
        error_detail=_("Nobody knows whether it arrived. Look before you send it again."),
    )


@transaction.atomic
def send_again(message: MessageLog, *, user: User, seen: Seen | None = None) -> MessageLog:
    """A person decides that a failed row goes out once more, at the end of the conversation: a new
    row. Where people have the conversation it is an answer of theirs, as by `send_reply`: refused
    when a colleague has the ticket, else the ticket is theirs."""
    session = lock_session(message.session_id)
    row = MessageLog.objects.select_for_update(of=("self",)).get(pk=message.pk)
    now = timezone.now()
    if not may_go_again(row):
        raise CannotSendAgain(_("Only a message that was not delivered can be sent again, once."))
    if not session.is_live or (session.owner == Owner.BOT and row.author == Author.ATTENDANT):
        raise CannotSendAgain(_("The conversation has gone on without this message."))
    refusal = why_not(session, kind=row.kind, at=now, template=row.payload.get("template"))
    if refusal is not None:
        raise CannotSendAgain(refusal.sentence, code=refusal.code)
    if session.owner != Owner.BOT:
        _answer_with(row, session, user=user, seen=seen, at=now)
    again = MessageLog.objects.create(
        channel=row.channel,
        session=session,
        direction=Direction.OUTBOUND,
        author=Author.ATTENDANT,
        author_user=user,
        identity=session.identity,
        kind=row.kind,
        text=row.text,
        payload=row.payload,
        reply_to=row.reply_to,
        status=MessageStatus.QUEUED,
        epoch=session.epoch,
        run_at=now,
        created_at=now,
    )
    row.payload = {**row.payload, "sent_again_as": again.pk}
    row.save(update_fields=["payload"])
    wake_workers()
    return again


def _answer_with(
    row: MessageLog, session: Session, *, user: User, seen: Seen | None, at: datetime
) -> None:
    """The ticket of a locked session as after an answer of `user` that says what the row says."""
    if seen is not None:
        check_seen(session, user, seen)
    ticket = tickets.take_over(session, user=user, at=at)
    preview = row.text or preview_label(row.kind)
    tickets.note_reply(ticket, user=user, at=at, preview=preview, waits=True, session=session)
    save(session, note_outbound(session, at=at, preview=preview, by_person=True))
    mark_read(session, at=at)


@transaction.atomic
def discard(message: MessageLog, *, user: User) -> MessageLog:
    """A person sets a failed row aside: it stays where it is, and asks nobody any more."""
    lock_session(message.session_id)
    row = MessageLog.objects.select_for_update(of=("self",)).get(pk=message.pk)
    if not may_go_again(row):
        raise CannotSendAgain(_("Only a message that was not delivered can be discarded, once."))
    row.payload = {**row.payload, DISCARDED: {"user": user.pk, "name": str(user)}}
    row.save(update_fields=["payload"])
    said = _("Discarded after it was not delivered.")
    LogEntry.objects.log_actions(user.pk, [row], CHANGE, said, single_object=True)
    return row


def may_go_again(row: MessageLog) -> bool:
    """Has it failed, and nobody has sent it once more or set it aside?"""
    is_settled = "sent_again_as" in row.payload or DISCARDED in row.payload
    return row.status == MessageStatus.FAILED and not is_settled


# --- Before the call ---------------------------------------------------------------------------


@transaction.atomic
def _begin(row: MessageLog, *, now: datetime) -> tuple[MessageLog, Transport] | None:
    """Make the row `sending` if it still may go, in a short transaction under the session lock;
    None when the caller must leave it (it has been marked, or is not the caller's any more)."""
    session = lock_session(row.session_id)
    message: MessageLog | None = _LEASED.first(pk=row.pk, lease=row.locked_until)
    if message is None:
        return None
    message.session = session
    verdict = _verdict(message, session, now=now)
    mine = MessageLog.objects.filter(
        pk=row.pk, status=MessageStatus.QUEUED, locked_until=row.locked_until
    )
    if verdict is None:
        verdict = _pair_verdict(message, session, now=now)
    if verdict is not None:
        mine.update(**verdict)
        return None
    # From here on the lease says when its end counts as unknown.
    if _GOING.run(pk=row.pk, lease=row.locked_until, until=now + LEASE) != 1:
        return None
    message.attempts += 1
    _take_from_pair(message, session, now=now)
    return message, transport_for(message.channel)


def _leased(pk: int, lease: datetime) -> QuerySet[MessageLog]:
    return MessageLog.objects.filter(pk=pk, status=MessageStatus.QUEUED, locked_until=lease)


_LEASED = Frozen(lambda _shape, pk, lease: _leased(pk, lease).select_related("channel", "identity"))
_GOING = FrozenUpdate(
    lambda _shape, pk, lease, until: (
        _leased(pk, lease),
        {
            "status": MessageStatus.SENDING,
            "attempts": F("attempts") + 1,
            "locked_until": until,
        },
    )
)


def _verdict(message: MessageLog, session: Session, *, now: datetime) -> dict[str, Any] | None:
    """Why the row is not sent, as the columns to write; None when it goes."""
    is_bot = message.author == Author.BOT
    if is_bot and message.epoch != session.epoch:
        return {"status": MessageStatus.SUPERSEDED, "locked_until": None}
    if is_out_of_date(message.payload, session, said_at=message.created_at, at=now):
        return {"status": MessageStatus.SUPERSEDED, "locked_until": None}
    if _is_held_back(message, session):
        return {"locked_until": None}
    if is_bot and now - message.created_at > STALE_AFTER:
        return _failed(STALE, _("It waited too long: the conversation has gone on."), now)
    refusal = why_not(session, kind=message.kind, at=now, template=message.payload.get("template"))
    if refusal is None and is_provider_away(session):
        return _failed(PROVIDER_AWAY, "", now)
    return None if refusal is None else _failed(refusal.code, refusal.sentence, now)


def _pair_verdict(message: MessageLog, session: Session, *, now: datetime) -> dict[str, Any] | None:
    """Later, when this customer has been sent as many messages as the provider lends."""
    limits = transport_class(message.channel.kind).capabilities
    if not limits.pair_seconds or session.pair_free_at is None:
        return None
    lent = timedelta(seconds=limits.pair_seconds * (limits.pair_burst - 1))
    free_at = session.pair_free_at - lent
    return {"run_at": free_at, "locked_until": None} if free_at > now else None


def _take_from_pair(message: MessageLog, session: Session, *, now: datetime) -> None:
    """One message more to this customer, under the session lock."""
    limits = transport_class(message.channel.kind).capabilities
    if limits.pair_seconds:
        used_up_to = max(session.pair_free_at or now, now)
        session.pair_free_at = used_up_to + timedelta(seconds=limits.pair_seconds)
        save(session, ["pair_free_at"])


def _is_held_back(message: MessageLog, session: Session) -> bool:
    values = {"session": session.pk, "epoch": session.epoch, "message": message.pk}
    return _EARLIER.first(**values) is not None


_EARLIER = Frozen(
    lambda _shape, session, epoch, message: (
        MessageLog.objects.filter(session=session, status__in=WAITING, pk__lt=message)
        .exclude(Q(author=Author.BOT, status=MessageStatus.QUEUED) & ~Q(epoch=epoch))
        .order_by()
        .values_list("pk")[:1]
    )
)


def _failed(code: str, detail: str, now: datetime) -> dict[str, Any]:
    return {
        "status": MessageStatus.FAILED,
        "failed_at": now,
        "locked_until": None,
        "error_code": code[:40],
        "error_detail": detail[:500],
    }


# --- After the call ----------------------------------------------------------------------------


def _record_sent(message: MessageLog, sent: Sent, *, now: datetime) -> None:
    """`sent`, in one UPDATE; where a status was faster, only what it could not know. A row that a
    status has put back into the outbox meanwhile is left alone: this call is over."""
    values = {"pk": message.pk, "attempts": message.attempts}
    mine = _tried(**values)
    known = {"provider_id": sent.provider_id, "sent_at": now}
    if not _RECORDED.run(**values, **known):
        mine.filter(provider_id="").update(provider_id=sent.provider_id)
        mine.filter(sent_at=None).update(sent_at=now)
        mine.filter(_IS_OPEN_END).update(**_SENT)
    if sent.pacing:
        mine.update(payload={**message.payload, PACING: sent.pacing})
    apply_early(message.channel, sent.provider_id, now=now)
    catch_up_later(message)
    if sent.aliases:
        _learn_aliases(message, sent)


_IS_OPEN_END = Q(status=MessageStatus.SENDING) | Q(
    status=MessageStatus.FAILED, error_code=UNCONFIRMED
)
_SENT = {
    "status": MessageStatus.SENT,
    "locked_until": None,
    "failed_at": None,
    "error_code": "",
    "error_detail": "",
}


def _tried(pk: int, attempts: int) -> QuerySet[MessageLog]:
    tried = MessageLog.objects.filter(pk=pk, attempts=attempts)
    return tried.exclude(status=MessageStatus.QUEUED)


_RECORDED = FrozenUpdate(
    lambda _shape, pk, attempts, provider_id, sent_at: (
        _tried(pk, attempts).filter(_IS_OPEN_END, provider_id="", sent_at=None),
        {**_SENT, "provider_id": provider_id, "sent_at": sent_at},
    )
)


def _learn_aliases(message: MessageLog, sent: Sent) -> None:
    """The provider's answer names the customer's other addresses: the next webhook may use them."""
    scope = message.channel.identity_scope
    addresses = [
        ScopedAddress(scheme, "" if scheme == "phone" else scope, address, send_to)
        for scheme, address, send_to in sent.aliases
    ]
    with transaction.atomic():
        link_identities(message.session.lead, addresses, at=timezone.now())


def _record_unprepared(row: MessageLog, error: SendError, *, now: datetime) -> None:
    """Its file could not be uploaded: the consequences of a refused message, and no doubt about
    whether it went."""
    mine = MessageLog.objects.filter(
        pk=row.pk, status=MessageStatus.QUEUED, locked_until=row.locked_until
    )
    if mine.update(attempts=F("attempts") + 1) == 1:
        row.attempts += 1
        _record_failure(row, error, now=now, was=MessageStatus.QUEUED)


def _record_failure(
    message: MessageLog,
    error: SendError,
    slot: Slot | None = None,
    *,
    now: datetime,
    was: MessageStatus = MessageStatus.SENDING,
) -> None:
    rows = MessageLog.objects.filter(pk=message.pk, status=was, attempts=message.attempts)
    if error.code == UPLOAD_FORGOTTEN:
        media.forget_upload(message)
    said = {"error_code": error.code[:40], "error_detail": error.detail[:500]}
    # While the provider is not there for anybody, it is not the message's fault.
    is_outage = error.meaning == Meaning.OUTAGE and note_trouble(
        message.channel, slot, reason=error.code, now=now
    )
    delay = timedelta(seconds=error.delay(message.attempts) * _jitter())
    follow(message, error, until=now + delay, now=now)
    if error.uncertain:
        logger.warning("message %s: nobody knows whether it went out (%s)", message.pk, error.code)
        rows.update(**said)
    elif stops_channel(error):
        rows.update(**_again(message, at=now, burn=False), **said)
    elif is_outage or is_channel_throttle(error):
        rows.update(**_again(message, at=now + delay, burn=False), **said)
    elif error.retryable and message.attempts < error.max_tries:
        rows.update(**_again(message, at=now + delay), **said)
    elif other := untried_form(message, error):
        payload = {**message.payload, OTHER_FORM: other}
        rows.update(**_again(message, at=now), **said, payload=payload)
    else:
        logger.warning("message %s was not accepted: %s", message.pk, error)
        rows.update(**_failed(error.code, error.detail, now))


def _jitter() -> float:
    """Not every worker comes back at the same instant; never earlier than the provider asked."""
    return random.uniform(1.0, 1.25)  # noqa: S311  # no secret


def _again(message: MessageLog, *, at: datetime, burn: bool = True) -> dict[str, Any]:
    values: dict[str, Any] = {"status": MessageStatus.QUEUED, "run_at": at, "locked_until": None}
    if not burn:
        values["attempts"] = max(0, message.attempts - 1)
    return values


def _status_of(row: MessageLog) -> str:
    (status,) = _STATUS.first(pk=row.pk)
    return str(status)


_STATUS = Frozen(lambda _shape, pk: MessageLog.objects.filter(pk=pk).values_list("status"))
