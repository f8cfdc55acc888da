"""What the provider says became of a message of ours. Rows move forward, never back."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from chatbot import history
from chatbot.channels import transport_for
from chatbot.channels.inbound import StatusUpdate
from chatbot.consequences import follow, stops_channel
from chatbot.models import STATUS_RANK, Direction, MessageLog, MessageStatus
from chatbot.other_form import OTHER_FORM, learn_form, untried_form
from sessions_app.models import Channel

logger = logging.getLogger(__name__)

UNCONFIRMED = "unconfirmed"
_TIMES = {
    MessageStatus.SENT: ("sent_at",),
    MessageStatus.DELIVERED: ("delivered_at",),
    # Read without delivered happens (the chat was open): it implies delivered.
    MessageStatus.READ: ("read_at", "delivered_at"),
    MessageStatus.PLAYED: ("played_at", "read_at", "delivered_at"),
    MessageStatus.FAILED: ("failed_at",),
}
ARRIVED = frozenset({MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.PLAYED})
_OURS = re.compile(r"m([0-9]{1,18})")


def apply_status(channel: Channel, item: StatusUpdate, *, now: datetime) -> bool:
    """Move the row that `item` is about; False when it is none of ours, or not known to us.

    Each first time is kept on its own; the status rises only. A row is found by the provider's id,
    or by our own id that travelled with it (a status may arrive before the answer of the send).
    """
    row = _row_of(channel, item)
    if row is None or item.status not in _TIMES:
        return False
    status = MessageStatus(item.status)
    at = item.at or now
    if status == MessageStatus.FAILED and _send_again(channel, row, item, now=now):
        return True
    rows = MessageLog.objects.filter(pk=row.pk)
    for name in _TIMES[status]:
        rows.filter(**{f"{name}__isnull": True}).update(**{name: at})
    if item.pricing:
        rows.filter(pricing={}).update(pricing=item.pricing)
    if not row.provider_id and rows.filter(provider_id="").update(provider_id=item.provider_id):
        with transaction.atomic():
            history.catch_up_later(row)
    rows.filter(_below(status)).update(**_values(status, item))
    if status in ARRIVED:
        learn_form(row)
    return True


def _row_of(channel: Channel, item: StatusUpdate) -> MessageLog | None:
    ours = MessageLog.objects.filter(channel=channel, direction=Direction.OUTBOUND)
    found = ours.filter(provider_id=item.provider_id).first() if item.provider_id else None
    if found is not None:
        return found
    match = _OURS.fullmatch(item.callback_data)
    if match is None:
        return None
    # A queued row has no call of its own yet: the status is about an earlier try, which failed.
    return (
        ours.filter(pk=int(match[1]), provider_id="").exclude(status=MessageStatus.QUEUED).first()
    )


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
    error = transport_for(channel).failure(item.error_code, item.error_detail)
    delay = timedelta(seconds=error.delay(row.attempts))
    row.channel = channel
    follow(row, error, until=now + delay, now=now)
    payload = row.payload
    if other := untried_form(row, error):
        payload, delay = {**payload, OTHER_FORM: other}, timedelta()
    elif not (error.retryable or stops_channel(error)) or row.attempts >= error.max_tries:
        return False
    logger.warning("message %s failed with %s after sending: again later", row.pk, item.error_code)
    again = MessageLog.objects.filter(
        pk=row.pk, status__in=(MessageStatus.SENDING, MessageStatus.SENT)
    ).update(
        status=MessageStatus.QUEUED,  # writer: guarded by the status above
        run_at=now + delay,
        locked_until=None,
        provider_id="",
        sent_at=None,
        payload=payload,
        error_code=item.error_code[:40],
        error_detail=item.error_detail[:500],
    )
    return again == 1
