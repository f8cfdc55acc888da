"""What the provider says became of a message of ours. Rows move forward, never back.

A status may come before the answer of its send is stored: it waits as an EarlyStatus. The race is
closed from both sides. Who keeps a status commits it and looks for the message once more; who makes
a provider id known commits that and looks for statuses that wait (`apply_early`). Whichever commits
last sees the other; what a process that died in between leaves is settled from time to time.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from pydantic import TypeAdapter

from chatbot import history, metrics
from chatbot.channels import transport_for
from chatbot.channels.inbound import StatusUpdate
from chatbot.consequences import follow, stops_channel
from chatbot.models import STATUS_RANK, Direction, EarlyStatus, MessageLog, MessageStatus
from chatbot.other_form import OTHER_FORM, learn_form, untried_form
from sessions_app.models import Channel
from users.frozen import Frozen

logger = logging.getLogger(__name__)

UNCONFIRMED = "unconfirmed"
EARLY_KEPT_FOR = timedelta(days=3)  # a send answers within minutes; the rest is not ours
EARLY_WATCHED_FOR = timedelta(hours=1)
SETTLED_AT_ONCE = 500
LONGEST_ID = 255
_TIMES = {
    MessageStatus.SENT: ("sent_at",),
    MessageStatus.DELIVERED: ("delivered_at",),
    # Read without delivered happens (the chat was open): it implies delivered.
    MessageStatus.READ: ("read_at", "delivered_at"),
    MessageStatus.PLAYED: ("played_at", "read_at", "delivered_at"),
    MessageStatus.FAILED: ("failed_at",),
}
UNDER_WAY = frozenset({MessageStatus.SENDING, MessageStatus.SENT})
ARRIVED = frozenset({MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.PLAYED})
_OURS = re.compile(r"m([0-9]{1,18})(?:\.([0-9]{1,6}))?")  # MessageLog.callback_data
_STORED = TypeAdapter(StatusUpdate)


class _EarlierTry(Exception):
    """The status is about a call for a message of ours that counts no more."""


def apply_status(channel: Channel, item: StatusUpdate, *, now: datetime) -> bool:
    """Move the row that `item` is about, or keep the status until its message is known; False when
    there is nothing to do.

    Each first time is kept on its own; the status rises only. A row is found by the provider's id,
    or by our own id that travelled with it (a status may arrive before the answer of the send).
    Call it outside any transaction: what is kept must be committed before the second look.
    """
    if item.status not in _TIMES:
        return False
    try:
        row = _row_of(channel, item)
    except _EarlierTry:
        return False
    if row is None:
        return keep_early(channel, item, now=now)
    _move(channel, row, item, now=now)
    if not row.provider_id:  # this status has made it known
        apply_early(channel, item.provider_id, now=now)
        with transaction.atomic():
            history.catch_up_later(row)
    return True


# --- Statuses that wait for their message ------------------------------------------------------


def keep_early(channel: Channel, item: StatusUpdate, *, now: datetime) -> bool:
    """Keep a status whose message is not known, and look for the message once more; False for one
    that can belong to no message."""
    if not 0 < len(item.provider_id) <= LONGEST_ID:
        return False
    early = EarlyStatus(
        channel=channel,
        provider_id=item.provider_id,
        status=item.status,
        item=_STORED.dump_python(replace(item, raw={}), mode="json"),  # cleaned on receipt
        created_at=now,
    )
    # The same status again while the first waits is the same news.
    EarlyStatus.objects.bulk_create([early], ignore_conflicts=True)
    metrics.EARLY_STATUSES.labels("kept").inc()
    apply_early(channel, item.provider_id, now=now)
    return True


def apply_early(channel: Channel, provider_id: str, *, now: datetime) -> int:
    """Apply and remove what waits for the message of this provider id; how many statuses that were.

    One look at an index when nothing waits. Call it after the row that holds the id is committed.
    Of two that come at once one applies; the other waits for it, and finds nothing.
    """
    if not provider_id:
        return 0
    if _WAITING.first(channel=channel.pk, provider_id=provider_id) is None:
        return 0
    waiting = EarlyStatus.objects.filter(channel=channel, provider_id=provider_id)
    with transaction.atomic():
        found = list(waiting.select_for_update(of=("self",)).order_by("id"))
        row = _row_with(channel, provider_id)
        if not found or row is None:
            return 0
        for early in found:
            goes_again = _move(channel, row, _STORED.validate_python(early.item), now=now)
            if goes_again:  # the call is over: what else was said of it moves nothing any more
                break
        waiting.filter(pk__in=[early.pk for early in found]).delete()
    metrics.EARLY_STATUSES.labels("applied").inc(len(found))
    return len(found)


_WAITING = Frozen(
    lambda _shape, channel, provider_id: (
        EarlyStatus.objects.filter(channel=channel, provider_id=provider_id)
        .order_by()
        .values_list("pk")[:1]
    )
)


def settle_early_statuses(*, now: datetime) -> int:
    """Apply what waits although its message is known: whoever stored the id died before it looked.
    How many statuses that were.

    Looks at the last hour, and once more at what is about to be dropped.
    """
    known = MessageLog.objects.filter(
        channel=OuterRef("channel"),
        direction=Direction.OUTBOUND,
        provider_id=OuterRef("provider_id"),
    )
    left = EarlyStatus.objects.filter(
        Q(created_at__gt=now - EARLY_WATCHED_FOR) | Q(created_at__lt=now - EARLY_KEPT_FOR)
    )
    found = left.filter(Exists(known)).exclude(provider_id="").select_related("channel")
    messages = {(one.channel_id, one.provider_id): one.channel for one in found[:SETTLED_AT_ONCE]}
    return sum(
        apply_early(channel, provider_id, now=now)
        for (_pk, provider_id), channel in messages.items()
    )


def drop_old_early_statuses(*, now: datetime) -> int:
    """Forget statuses that have waited for days: another program sent those messages."""
    old = EarlyStatus.objects.filter(created_at__lt=now - EARLY_KEPT_FOR)
    count, _by_model = old.delete()
    if count:
        metrics.EARLY_STATUSES.labels("dropped").inc(count)
        logger.info("%s statuses of messages that nobody here sent were dropped", count)
    return count


# --- One row -----------------------------------------------------------------------------------


def _move(channel: Channel, row: MessageLog, item: StatusUpdate, *, now: datetime) -> bool:
    """Write what `item` says; True when the message goes out once more because of it."""
    status = MessageStatus(item.status)
    at = item.at or now
    if status == MessageStatus.FAILED and _send_again(channel, row, item, now=now):
        return True
    rows = _same_call(row)
    for name in _TIMES[status]:
        rows.filter(**{f"{name}__isnull": True}).update(**{name: at})
    if item.pricing:
        rows.filter(is_priced=None).update(pricing=item.pricing, is_priced=False)
    if not row.provider_id:
        rows.filter(provider_id="").update(provider_id=item.provider_id)
    rows.filter(_below(status)).update(**_values(status, item))
    if status in ARRIVED:
        learn_form(row)
    return False


def _same_call(row: MessageLog) -> QuerySet[MessageLog]:
    """The row as long as the call that `row` was read with is its last: another process may have
    put it back into the outbox meanwhile, or have begun the next try."""
    rows = MessageLog.objects.filter(pk=row.pk, attempts=row.attempts)
    return rows.exclude(status=MessageStatus.QUEUED)


def _row_of(channel: Channel, item: StatusUpdate) -> MessageLog | None:
    """The row, if it is known yet. Raises _EarlierTry."""
    found = _row_with(channel, item.provider_id)
    if found is not None:
        return found
    match = _OURS.fullmatch(item.callback_data)
    if match is None:
        return None
    ours = MessageLog.objects.filter(channel=channel, direction=Direction.OUTBOUND)
    row = ours.filter(pk=int(match[1])).first()
    if row is None or row.provider_id == item.provider_id:
        return row
    # A queued row has no call of its own yet: the status is about an earlier try, which failed.
    if row.provider_id or row.status == MessageStatus.QUEUED or not _is_of_this_try(row, match[2]):
        raise _EarlierTry
    return row


def _is_of_this_try(row: MessageLog, number: str | None) -> bool:
    """Statuses may be told again at any time, so also while the next try is under way."""
    return number is None or int(number) == row.attempts


def _row_with(channel: Channel, provider_id: str) -> MessageLog | None:
    if not provider_id:
        return None
    return MessageLog.objects.filter(
        channel=channel, direction=Direction.OUTBOUND, provider_id=provider_id
    ).first()


def _below(status: MessageStatus) -> Q:
    """The rows that `status` may move: those of a lower rank, and any that only we called
    failed."""
    lower = [one for one, rank in STATUS_RANK.items() if rank < STATUS_RANK[status]]
    return Q(status__in=lower) | Q(status=MessageStatus.FAILED, error_code=UNCONFIRMED)


def _values(status: MessageStatus, item: StatusUpdate) -> dict[str, Any]:
    values: dict[str, Any] = {
        "status": status,
        "locked_until": None,
        "error_code": "",
        "error_detail": "",
    }
    if status == MessageStatus.FAILED:
        values |= {"error_code": item.error_code[:40], "error_detail": item.error_detail[:500]}
    return values


def _send_again(channel: Channel, row: MessageLog, item: StatusUpdate, *, now: datetime) -> bool:
    """The provider took the message, then says that it did not go out for a reason that may pass,
    or that nobody is at this form of the number: back to the outbox. Safe, since `failed` means not
    delivered; only from `sent` or before, and not for ever."""
    if row.status not in UNDER_WAY:
        return False  # said before, or known to be wrong
    by_link = bool(row.payload.get("media_link"))
    error = transport_for(channel).failure(item.error_code, item.error_detail, by_link=by_link)
    delay = timedelta(seconds=error.delay(row.attempts))
    row.channel = channel
    follow(row, error, until=now + delay, now=now, by_status=True)
    payload = row.payload
    if other := untried_form(row, error):
        payload, delay = {**payload, OTHER_FORM: other}, timedelta()
    elif not (error.retryable or stops_channel(error)) or row.attempts >= error.max_tries:
        return False
    logger.warning("message %s failed with %s after sending: again later", row.pk, item.error_code)
    again = (
        _same_call(row)
        .filter(status__in=UNDER_WAY)
        .update(
            status=MessageStatus.QUEUED,  # writer: guarded by the status above
            run_at=now + delay,
            locked_until=None,
            provider_id="",
            sent_at=None,
            payload=payload,
            error_code=item.error_code[:40],
            error_detail=item.error_detail[:500],
        )
    )
    return again == 1
