"""Claiming rows that are due: a lease, so that a worker that dies gives its rows back by itself."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import connection, models, transaction
from django.db.models import Q, QuerySet

Row = TypeVar("Row", bound=models.Model)

LEASE = timedelta(seconds=60)  # longer than one call to a provider with all its time-outs


def free(now: datetime) -> Q:
    return Q(locked_until=None) | Q(locked_until__lt=now)


def claim(due: QuerySet[Row], *, limit: int, now: datetime, lease: timedelta = LEASE) -> list[Row]:
    """Up to `limit` rows of `due` (which must hold only free ones), leased to the caller.

    The lease's end is the caller's proof: no two claims ever get the same instant, so
    `WHERE locked_until = <it>` says whether the row is still the caller's. Where the database has
    one writer only, the transaction is opened only when something is due.
    """
    if not may_lock() and not due.exists():
        return []
    with transaction.atomic():
        claimed = list(unlocked(due)[:limit])
        take(claimed, now=now, lease=lease)
    return claimed


def may_lock() -> bool:
    """Can rows be locked, and locked ones passed over?"""
    return connection.features.has_select_for_update_skip_locked


def unlocked(due: QuerySet[Row]) -> QuerySet[Row]:
    """Those of the rows that nobody claims at this moment, locked where that can be."""
    return due.select_for_update(skip_locked=True, no_key=True, of=("self",)) if may_lock() else due


def take(claimed: Sequence[Row], *, now: datetime, lease: timedelta) -> None:
    """Lease locked rows, in the transaction that holds them."""
    if not claimed:
        return
    # A millisecond of chance: two workers that claim in the same instant never share a lease.
    until = now + lease + timedelta(microseconds=secrets.randbelow(1000))
    ids = [row.pk for row in claimed]
    type(claimed[0])._default_manager.filter(pk__in=ids).update(locked_until=until)
    for row in claimed:
        row.locked_until = until  # type: ignore[attr-defined]  # both claimed models have it
