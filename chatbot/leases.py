"""Claiming rows that are due: a lease, so that a worker that dies gives its rows back by itself."""

from __future__ import annotations

import secrets
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
    if not connection.features.has_select_for_update_skip_locked and not due.exists():
        return []
    # A millisecond of chance: two workers that claim in the same instant never share a lease.
    until = now + lease + timedelta(microseconds=secrets.randbelow(1000))
    with transaction.atomic():
        rows = due
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True, no_key=True, of=("self",))
        claimed = list(rows[:limit])
        if claimed:
            ids = [row.pk for row in claimed]
            type(claimed[0])._default_manager.filter(pk__in=ids).update(locked_until=until)
    for row in claimed:
        row.locked_until = until  # type: ignore[attr-defined]  # both claimed models have it
    return claimed
