"""Counting what the provider has put a price on: each message once, by channel, day, category."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from chatbot.models import MessageCount, MessageLog, MessageStatus

BATCH = 1000
BATCHES = 50  # in one go; the rest waits for the next
WORD_LENGTH = 40


class Key(NamedTuple):
    """The counter of a message; sorted, so that no two counters wait for each other."""

    channel_id: int
    day: date
    category: str
    kind: str


def count_priced() -> int:
    """Add priced messages that are not counted yet to MessageCount; how many that were.

    Each batch is one transaction: rows are marked and counted together, or not at all. Safe beside
    other workers, which take other rows. What failed in the end costs nothing: it is taken off the
    list, and back on it by a later status that brings a price.
    """
    counted = 0
    for _round in range(BATCHES):
        size = _count_batch()
        counted += size
        if size < BATCH:
            break
    return counted


def _count_batch() -> int:
    unpriced = MessageLog.objects.filter(is_priced=False)
    if not unpriced.exists():  # where there is one writer, begin no transaction for nothing
        return 0
    with transaction.atomic():
        rows = list(_locked(unpriced))
        failed = [row.pk for row in rows if row.status == MessageStatus.FAILED]
        priced = [row for row in rows if row.status != MessageStatus.FAILED]
        _add(Counter(_key(row) for row in priced))
        unpriced.filter(pk__in=failed).update(is_priced=None)
        unpriced.filter(pk__in=[row.pk for row in priced]).update(is_priced=True)
    return len(rows)


def _locked(unpriced: Any) -> Any:
    rows = unpriced.order_by("id").only(
        "channel_id", "pricing", "status", "sent_at", "delivered_at", "created_at"
    )
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True, no_key=True, of=("self",))
    return rows[:BATCH]


def _key(row: MessageLog) -> Key:
    at = row.sent_at or row.delivered_at or row.created_at
    return Key(
        row.channel_id,
        timezone.localdate(at),
        _word(row.pricing.get("category")),
        _word(row.pricing.get("type")),
    )


def _word(value: Any) -> str:
    return value[:WORD_LENGTH] if isinstance(value, str) else ""


def _add(counts: Counter[Key]) -> None:
    keys = sorted(counts)
    empty = [MessageCount(**key._asdict()) for key in keys]
    MessageCount.objects.bulk_create(empty, ignore_conflicts=True)
    for key in keys:
        MessageCount.objects.filter(**key._asdict()).update(count=F("count") + counts[key])
