"""From a `queued` row to the provider, with the outcome recorded: at most one call per decision.

Claiming leaves a row `queued`. Just before the call it becomes `sending`, under the session lock
and only if it still may be sent; what has an unknown end stays `sending` until a status settles it.
"""

from __future__ import annotations

import logging
import random
import threading
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot import media
from chatbot.channels import transport_for
from chatbot.channels.base import UPLOAD_FORGOTTEN, Recipient, SendError, Sent, Transport
from chatbot.intake import ScopedAddress
from chatbot.leases import LEASE, claim, free
from chatbot.models import Author, Direction, MessageLog, MessageStatus
from chatbot.outbox import content_from
from chatbot.statuses import UNCONFIRMED
from chatbot.wake import wake_workers
from leads.models import Identity
from leads.services import link_identities
from sessions_app.models import Channel, Owner, Session
from sessions_app.services import lock_session
from users.errors import DomainError
from users.models import User

logger = logging.getLogger(__name__)

STALE_AFTER = timedelta(minutes=15)  # an answer of the bot that is older helps nobody any more
UNCONFIRMED_AFTER = timedelta(minutes=2)
PAUSE_FOR = timedelta(minutes=5)  # a channel that must be mended is tried again after this long
UNREACHABLE = frozenset({"131026"})  # no WhatsApp at this address
WAITING = (MessageStatus.QUEUED, MessageStatus.SENDING)


class CannotSendAgain(DomainError):
    code = "cannot_send_again"


# --- What is due -------------------------------------------------------------------------------


def due(now: datetime) -> QuerySet[MessageLog]:
    """Free `queued` rows whose turn it is. Within a session the earlier row holds back the later
    ones; a bot row of an older epoch holds back nothing and is due at once, since it is only
    marked."""
    stale = Q(author=Author.BOT) & ~Q(epoch=F("session__epoch"))
    earlier = (
        MessageLog.objects.filter(
            session=OuterRef("session"), status__in=WAITING, pk__lt=OuterRef("pk")
        )
        .exclude(stale, status=MessageStatus.QUEUED)
        .order_by()
    )
    return (
        MessageLog.objects.filter(status=MessageStatus.QUEUED)
        .filter(free(now))
        .filter(stale | Q(run_at__lte=now) & ~Exists(earlier))
        .exclude(Q(channel__paused_until__gt=now) & ~stale)
        .select_related("channel")
        .order_by("run_at", "id")
    )


def claim_due(*, limit: int, now: datetime) -> list[MessageLog]:
    """Lease up to `limit` due rows, at most one a session."""
    return claim(due(now), limit=limit, now=now)


# --- One row -----------------------------------------------------------------------------------


def deliver(row: MessageLog) -> str:
    """Send one claimed row and record what became of it; returns its new status.

    `row.locked_until` is the lease that `claim_due` gave. Raises only for trouble of the database.
    """
    try:
        media.prepare(row)
    except SendError as error:
        _record_unprepared(row, error, now=timezone.now())
        return _status_of(row)
    _pace(row.channel)
    begun = _begin(row, now=timezone.now())
    if begun is None:
        return _status_of(row)
    message, transport = begun
    identity = message.identity
    try:
        if identity is None:
            raise SendError("no_address", "the address was erased", retryable=False)
        to = Recipient(identity.scheme, identity.send_to)
        sent = transport.send(to, content_from(message), callback_data=message.callback_data)
    except SendError as error:
        _record_failure(message, error, now=timezone.now())
    except Exception as error:
        # Our own mistake while building the call or reading its answer: it may have gone out.
        logger.exception("sending message %s raised", message.pk)
        unknown = SendError("internal", type(error).__name__, retryable=False, uncertain=True)
        _record_failure(message, unknown, now=timezone.now())
    else:
        _record_sent(message, sent, now=timezone.now())
    return _status_of(row)


def deliver_session(session_id: int) -> int:
    """Deliver what one session has due, now, in the caller's thread: for channels without a
    network."""
    count = 0
    while True:
        now = timezone.now()
        rows = claim(due(now).filter(session=session_id), limit=1, now=now)
        if not rows:
            return count
        deliver(rows[0])
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
def send_again(message: MessageLog, *, user: User) -> MessageLog:
    """A person decides that a failed row goes out once more, at the end of the conversation: a new
    row."""
    session = lock_session(message.session_id)
    row = MessageLog.objects.select_for_update(of=("self",)).get(pk=message.pk)
    now = timezone.now()
    if row.status != MessageStatus.FAILED or "sent_again_as" in row.payload:
        raise CannotSendAgain(_("Only a message that was not delivered can be sent again, once."))
    if not session.is_live or (session.owner == Owner.BOT and row.author == Author.ATTENDANT):
        raise CannotSendAgain(_("The conversation has gone on without this message."))
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


# --- Before the call ---------------------------------------------------------------------------


@transaction.atomic
def _begin(row: MessageLog, *, now: datetime) -> tuple[MessageLog, Transport] | None:
    """Make the row `sending` if it still may go, in a short transaction under the session lock;
    None when the caller must leave it (it has been marked, or is not the caller's any more)."""
    session = lock_session(row.session_id)
    message = (
        MessageLog.objects.filter(
            pk=row.pk, status=MessageStatus.QUEUED, locked_until=row.locked_until
        )
        .select_related("channel", "identity")
        .first()
    )
    if message is None:
        return None
    message.session = session
    verdict = _verdict(message, session, now=now)
    mine = MessageLog.objects.filter(
        pk=row.pk, status=MessageStatus.QUEUED, locked_until=row.locked_until
    )
    if verdict is not None:
        mine.update(**verdict)
        return None
    going = mine.update(
        status=MessageStatus.SENDING,
        attempts=F("attempts") + 1,
        locked_until=now + LEASE,  # from here on: when its end counts as unknown
    )
    if going != 1:
        return None
    message.attempts += 1
    return message, transport_for(message.channel)


def _verdict(message: MessageLog, session: Session, *, now: datetime) -> dict[str, Any] | None:
    """Why the row is not sent, as the columns to write; None when it goes."""
    is_bot = message.author == Author.BOT
    if is_bot and message.epoch != session.epoch:
        return {"status": MessageStatus.SUPERSEDED, "locked_until": None}
    if _is_held_back(message, session):
        return {"locked_until": None}
    if is_bot and now - message.created_at > STALE_AFTER:
        return _failed("stale", _("It waited too long: the conversation has gone on."), now)
    if message.kind != "template" and not session.window_is_open(now):
        advice = _(
            "The 24-hour window has closed. Send a message template, or wait for the customer."
        )
        return _failed("window_closed", advice, now)
    return None


def _is_held_back(message: MessageLog, session: Session) -> bool:
    earlier = MessageLog.objects.filter(session=session, status__in=WAITING, pk__lt=message.pk)
    silenced = Q(author=Author.BOT, status=MessageStatus.QUEUED) & ~Q(epoch=session.epoch)
    return earlier.exclude(silenced).exists()


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
    tried = MessageLog.objects.filter(pk=message.pk, attempts=message.attempts)
    mine = tried.exclude(status=MessageStatus.QUEUED)
    open_end = mine.filter(
        Q(status=MessageStatus.SENDING) | Q(status=MessageStatus.FAILED, error_code=UNCONFIRMED)
    )
    values = {
        "status": MessageStatus.SENT,
        "locked_until": None,
        "failed_at": None,
        "error_code": "",
        "error_detail": "",
    }
    known = {"provider_id": sent.provider_id, "sent_at": now}
    if not open_end.filter(provider_id="", sent_at=None).update(**values, **known):
        mine.filter(provider_id="").update(provider_id=sent.provider_id)
        mine.filter(sent_at=None).update(sent_at=now)
        open_end.update(**values)
    if sent.aliases:
        _learn_aliases(message, sent)


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
    *,
    now: datetime,
    was: MessageStatus = MessageStatus.SENDING,
) -> None:
    rows = MessageLog.objects.filter(pk=message.pk, status=was, attempts=message.attempts)
    if error.code == UPLOAD_FORGOTTEN:
        media.forget_upload(message)
    said = {"error_code": error.code[:40], "error_detail": error.detail[:500]}
    if error.uncertain:
        logger.warning("message %s: nobody knows whether it went out (%s)", message.pk, error.code)
        rows.update(**said)
    elif error.is_stop and error.scope in {"account", "number"}:
        logger.error("channel %s is paused: %s", message.channel.slug, error)
        _pause(message.channel, error, until=now + PAUSE_FOR)
        rows.update(**_again(message, at=now, burn=False), **said)
    elif error.retryable and message.attempts < error.max_tries:
        wait = timedelta(seconds=error.delay(message.attempts) * _jitter())
        if error.scope in {"account", "number"}:
            _pause(message.channel, error, until=now + wait)
        rows.update(**_again(message, at=now + wait), **said)
    else:
        logger.warning("message %s was not accepted: %s", message.pk, error)
        rows.update(**_failed(error.code, error.detail, now))
    if error.code in UNREACHABLE and message.identity is not None:
        reached = Identity.objects.filter(pk=message.identity.pk, unreachable_at=None)
        reached.update(unreachable_at=now)


def _jitter() -> float:
    """Not every worker comes back at the same instant; never earlier than the provider asked."""
    return random.uniform(1.0, 1.25)  # noqa: S311  # no secret


def _again(message: MessageLog, *, at: datetime, burn: bool = True) -> dict[str, Any]:
    values: dict[str, Any] = {"status": MessageStatus.QUEUED, "run_at": at, "locked_until": None}
    if not burn:
        values["attempts"] = max(0, message.attempts - 1)
    return values


def _pause(channel: Channel, error: SendError, *, until: datetime) -> None:
    """Send nothing more on this channel before `until`; a longer pause is left alone."""
    longer = Q(paused_until__gt=until)
    Channel.objects.filter(pk=channel.pk).exclude(longer).update(
        paused_until=until, pause_reason=str(error)[:300]
    )


def _status_of(row: MessageLog) -> str:
    return MessageLog.objects.values_list("status", flat=True).get(pk=row.pk)


# --- Pace --------------------------------------------------------------------------------------


class _Pace:
    """At most so many calls a second for one channel in this process: a bucket that fills as time
    goes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[int, float] = {}

    def wait_seconds(self, channel: Channel) -> float:
        """Take the next place in the queue; how long until it is reached."""
        step = 1.0 / max(1, channel.rate_per_second)
        with self._lock:
            now = monotonic()
            at = max(now, self._next.get(channel.pk, now))
            self._next[channel.pk] = at + step
            return at - now


_pacing = _Pace()


def _pace(channel: Channel) -> None:
    if channel.is_simulator:
        return
    wait = _pacing.wait_seconds(channel)
    if wait > 0:
        sleep(min(wait, LEASE.total_seconds() / 4))
