"""Tell the workers that something is due, so that they need not wait for their next poll."""

from __future__ import annotations

import threading
from time import monotonic

from django.db import connection, transaction

CHANNEL = "atende_outbox"
AT_MOST_EVERY = 0.05  # seconds, per process: a burst of messages is one call


class _Throttle:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = float("-inf")

    def may_go(self) -> bool:
        with self._lock:
            now = monotonic()
            if now - self._last < AT_MOST_EVERY:
                return False
            self._last = now
            return True


_throttle = _Throttle()


def wake_workers() -> None:
    """After the commit of the present transaction, send NOTIFY (PostgreSQL only; elsewhere workers
    poll)."""
    if connection.vendor == "postgresql":
        transaction.on_commit(_notify, robust=True)


def _notify() -> None:
    if _throttle.may_go():
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")
