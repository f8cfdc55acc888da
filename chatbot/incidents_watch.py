"""What opens and closes incidents: where something happens, and a look round from time to time.

`look` is for the worker's periodic work. Several workers may look at once: opening and closing are
each one guarded statement, so what two see is one incident.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import Max, Q

from chatbot import incident_mail, traffic
from chatbot.channels import UnknownKind, transport_for
from chatbot.channels.base import OF_THE_CUSTOMER, Meaning, SendError
from chatbot.channels.inbound import AccountNotice, Inbound
from chatbot.incidents import close_incident, open_incident
from chatbot.labels import STALE
from chatbot.models import (
    Direction,
    Incident,
    IncidentKind,
    MessageLog,
    MessageStatus,
    Worker,
)
from sessions_app.models import Channel

logger = logging.getLogger(__name__)

# What a person must mend → the incident it is. Those of templates name one: message_templates.py.
KIND_OF = {
    Meaning.TOKEN: IncidentKind.TOKEN,
    Meaning.ACCOUNT: IncidentKind.ACCOUNT,
    Meaning.PAYMENT: IncidentKind.PAYMENT,
    Meaning.NUMBER: IncidentKind.NUMBER,
    Meaning.SPAM: IncidentKind.SPAM,
}
STOPS = (
    IncidentKind.TOKEN,
    IncidentKind.ACCOUNT,
    IncidentKind.PAYMENT,
    IncidentKind.NUMBER,
    IncidentKind.SPAM,
)

NEWEST = 5_000  # rows of the log that a look may read
UNDER_WAY = timedelta(seconds=10)  # calls that were made when a refusal was recorded
RATE_OVER = timedelta(minutes=15)
RATE_LEAST = 20  # messages: of fewer a share says nothing
RATE_OPENS, RATE_CLOSES = 0.3, 0.15
RATE_OURS = (STALE, "window_closed")  # failed by our own rules, whatever the provider does
QUEUE_LATE, QUEUE_WELL = timedelta(minutes=5), timedelta(minutes=2)
QUEUE_READ = 1_000
SIGNATURES_QUIET = timedelta(minutes=30)
ERRORS_QUIET = timedelta(hours=1)
DETAIL_LENGTH = 300


# --- From time to time -------------------------------------------------------------------------


def look(*, now: datetime) -> None:
    """Open what has begun, close what is over, write the mails. Each part on its own: one that
    fails does not stop the others. Not inside a transaction, since mail is sent at the end; may
    take as long as a mail server's time limit."""
    parts: tuple[Callable[[datetime], None], ...] = (
        _close_stops,
        _close_quiet,
        _close_known_numbers,
        _watch_failures,
        _watch_queue,
        _close_worker,
        _watch_silence,
        _send_mail,
    )
    for part in parts:
        try:
            part(now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("looking for incidents failed in %s", part.__name__)


# --- Where it happens --------------------------------------------------------------------------


def note_stop(channel: Channel, error: SendError, *, now: datetime, about: str = "") -> None:
    """The provider refused for a reason that a person must mend; any other error is no incident.

    `about` names what of several is meant (a message template). Runs in the caller's transaction,
    if there is one.
    """
    kind = _kind_of(error)
    if kind is None:
        return
    facts = {"code": error.code, "detail": error.detail[:DETAIL_LENGTH]}
    open_incident(kind, channel=channel, about=about, facts=facts, now=now)


def note_failed_status(channel: Channel, error: SendError, *, now: datetime) -> None:
    """The same, told by a status: the provider had accepted the message first, so that only a
    delivery proves it over."""
    kind = _kind_of(error)
    if kind is None:
        return
    facts = {"code": error.code, "detail": error.detail[:DETAIL_LENGTH], "until": "delivered"}
    open_incident(kind, channel=channel, facts=facts, now=now)


def note_notice(channel: Channel, notice: AccountNotice, *, now: datetime) -> None:
    """News of account or number. It often names no phone number id: it is about the channels of
    that business account with that number, else about the one whose webhook it came to."""
    if not notice.trouble:
        return
    kind = KIND_OF[Meaning(notice.trouble)]
    facts = {"code": notice.code, "detail": notice.detail[:DETAIL_LENGTH], "topic": notice.topic}
    for one in _channels_of(channel, notice):
        if notice.is_over:
            close_incident(kind, channel=one, about=notice.topic, now=now)
        else:
            # A body may be delivered twice: how often it was told is not known.
            open_incident(kind, channel=one, about=notice.topic, facts=facts, times=0, now=now)


def note_unknown_number(item: Inbound, *, now: datetime) -> None:
    """Something came to a number that is no channel's."""
    number = (item.account or "")[:64]
    open_incident(IncidentKind.UNKNOWN_NUMBER, about=number, facts={"number": number}, now=now)


def note_test(channel: Channel, proven: Iterable[Meaning], *, now: datetime) -> None:
    """A test of the channel has proven that this trouble is over."""
    for meaning in proven:
        close_incident(KIND_OF[meaning], channel=channel, now=now)


def has_worker(now: datetime) -> bool:
    return Worker.objects.alive(now).exists()


def _kind_of(error: SendError) -> IncidentKind | None:
    return None if error.meaning is None else KIND_OF.get(error.meaning)


def _channels_of(channel: Channel, notice: AccountNotice) -> list[Channel]:
    if notice.account is not None or not notice.business:
        return [channel]
    owned = Channel.objects.filter(kind=channel.kind, account_id=notice.business)
    found = [one for one in owned if _is_number(one, notice.number)]
    return found or [channel]


def _is_number(channel: Channel, number: str) -> bool:
    """Compared by digits; a channel that does not say its number may be meant."""
    wanted, shown = _digits(number), _digits(channel.display_number)
    return not wanted or not shown or wanted == shown


def _digits(text: str) -> str:
    return "".join(one for one in text if one.isdecimal())


# --- Refusals that are over --------------------------------------------------------------------


def _close_stops(now: datetime) -> None:
    """What a send was refused for is over when a later one was accepted; what only a status said,
    when a later message arrived. Asks nothing while none is open."""
    open_stops = Incident.objects.open().filter(kind__in=STOPS, channel__isnull=False)
    for incident in open_stops.select_related("channel"):
        channel = incident.channel
        if channel is None or "topic" in incident.facts:
            continue  # a notice told it, and another one takes it back
        later = _newest_messages().filter(
            channel=channel,
            direction=Direction.OUTBOUND,
            sent_at__gt=incident.last_seen_at + UNDER_WAY,
        )
        if incident.facts.get("until") == "delivered":
            later = later.filter(Q(delivered_at__isnull=False) | Q(read_at__isnull=False))
        else:
            later = later.exclude(status__in=(MessageStatus.QUEUED, MessageStatus.FAILED))
        if later.exists():
            close_incident(IncidentKind(incident.kind), channel=channel, now=now)


def _close_quiet(now: datetime) -> None:
    """Wrong signatures, and errors of the account that no rule knows, are over when they have not
    come again for a while."""
    quiet = Q(kind=IncidentKind.SIGNATURE, last_seen_at__lt=now - SIGNATURES_QUIET)
    errors = Q(facts__topic__startswith="error ", last_seen_at__lt=now - ERRORS_QUIET)
    for incident in Incident.objects.open().filter(quiet | errors):
        close_row(incident, now=now)


def _close_known_numbers(now: datetime) -> None:
    """An unknown number has become a channel."""
    for incident in Incident.objects.open().filter(kind=IncidentKind.UNKNOWN_NUMBER):
        if Channel.objects.filter(external_id=str(incident.facts.get("number", ""))).exists():
            close_row(incident, now=now)


def _close_worker(now: datetime) -> None:
    if has_worker(now):
        close_incident(IncidentKind.WORKER, now=now)


def close_row(incident: Incident, *, now: datetime) -> bool:
    """Close this one; False when it was closed meanwhile."""
    return bool(Incident.objects.open().filter(pk=incident.pk).update(closed_at=now))


# --- Messages that fail ------------------------------------------------------------------------


def _watch_failures(now: datetime) -> None:
    """The share of a channel's messages that failed, of those tried in the last 15 minutes (of the
    newest rows, when there are more).

    Not counted: what our own rules failed without a call, or the receiver's side refused. Opens at
    30 % of at least 20 messages; closes below 15 %, or when nothing failed any more.
    """
    tried, failed, code_of = _tried_and_failed(now)
    open_ids = _open_channels(IncidentKind.FAILURES)
    for channel in Channel.objects.filter(pk__in={*failed, *open_ids}).active():
        share = failed[channel.pk] / tried[channel.pk] if tried[channel.pk] else 0.0
        if tried[channel.pk] >= RATE_LEAST and share >= RATE_OPENS:
            facts = {
                "failed": failed[channel.pk],
                "tried": tried[channel.pk],
                "code": code_of.get(channel.pk, ""),
            }
            open_incident(IncidentKind.FAILURES, channel=channel, facts=facts, now=now)
        elif share < RATE_CLOSES:
            close_incident(IncidentKind.FAILURES, channel=channel, now=now)


def _tried_and_failed(now: datetime) -> tuple[Counter[int], Counter[int], dict[int, str]]:
    """By channel: messages tried, messages failed, and the commonest code of the failures."""
    rows = (
        _newest_messages()
        .filter(
            direction=Direction.OUTBOUND,
            created_at__gte=now - RATE_OVER,
            attempts__gt=0,
            session__is_simulated=False,
        )
        .exclude(status__in=(MessageStatus.QUEUED, MessageStatus.SENDING))
        .exclude(error_code__in=RATE_OURS)
        .order_by()
        .values_list("channel", "status", "error_code")
    )
    tried: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    codes: Counter[tuple[int, str]] = Counter()
    for channel_id, status, code in rows:
        tried[channel_id] += 1
        if status == MessageStatus.FAILED:
            codes[channel_id, code] += 1
    channels = Channel.objects.in_bulk({channel_id for channel_id, _code in codes})
    code_of: dict[int, str] = {}
    for (channel_id, code), count in codes.most_common():
        if _is_ours_to_mend(channels[channel_id], code):
            failed[channel_id] += count
            code_of.setdefault(channel_id, code)
        else:
            tried[channel_id] -= count
    return tried, failed, code_of


def _is_ours_to_mend(channel: Channel, code: str) -> bool:
    try:
        return transport_for(channel).failure(code).meaning not in OF_THE_CUSTOMER
    except UnknownKind:
        return True


# --- Messages that wait ------------------------------------------------------------------------


def _watch_queue(now: datetime) -> None:
    """The oldest row of a channel that is due and not sent. Opens at five minutes, closes below
    two. Paused channels have an incident of their own."""
    waiting = (
        MessageLog.objects.filter(status=MessageStatus.QUEUED, run_at__lt=now - QUEUE_WELL)
        .exclude(channel__paused_until__gt=now)
        .filter(session__is_simulated=False)
        .order_by("run_at")
        .values_list("channel", "run_at")[:QUEUE_READ]
    )
    oldest: dict[int, datetime] = {}
    count: Counter[int] = Counter()
    for channel_id, run_at in waiting:
        oldest.setdefault(channel_id, run_at)
        count[channel_id] += 1
    open_ids = _open_channels(IncidentKind.QUEUE)
    for channel in Channel.objects.filter(pk__in={*oldest, *open_ids}):
        due = oldest.get(channel.pk)
        if due is None:
            close_incident(IncidentKind.QUEUE, channel=channel, now=now)
        elif now - due >= QUEUE_LATE:
            facts = {"since": due.isoformat(), "waiting": count[channel.pk]}
            open_incident(IncidentKind.QUEUE, channel=channel, facts=facts, now=now)


# --- Nothing comes in --------------------------------------------------------------------------


def _watch_silence(now: datetime) -> None:
    """See `traffic.unusual_silence`. It is over when anything is received, a status included, or
    the channel is no longer used."""
    traffic.fold(now=now)
    heard = traffic.heard_last(_newest_messages())
    begun = Incident.objects.open().filter(kind=IncidentKind.SILENCE)
    opened_at = dict(begun.values_list("channel", "opened_at"))
    for channel in Channel.objects.filter(Q(pk__in=heard) | Q(pk__in=opened_at)):
        last = heard.get(channel.pk)
        if channel.pk in opened_at:
            if not channel.is_active or (last and last > opened_at[channel.pk]):
                close_incident(IncidentKind.SILENCE, channel=channel, now=now)
        elif channel.is_active and last is not None:
            silence = traffic.unusual_silence(channel, since=last, now=now)
            if silence is not None:
                facts = {"since": silence.since.isoformat(), "usual": silence.usual}
                open_incident(IncidentKind.SILENCE, channel=channel, facts=facts, now=now)


# --- Shared ------------------------------------------------------------------------------------


def _send_mail(now: datetime) -> None:
    incident_mail.send_due(now=now)


def _open_channels(kind: IncidentKind) -> set[int]:
    found = Incident.objects.open().filter(kind=kind, channel__isnull=False)
    return {pk for pk in found.values_list("channel", flat=True) if pk is not None}


def _newest_messages() -> Any:
    """The newest rows of the log, by their key: bounded on every database, however long it is."""
    last = MessageLog.objects.aggregate(last=Max("pk"))["last"] or 0
    return MessageLog.objects.filter(pk__gt=last - NEWEST)
