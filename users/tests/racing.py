"""Real threads with connections of their own, for tests on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread
from time import monotonic, sleep
from typing import Any

from django.db import connection


def at_once(*operations: Callable[[], Any]) -> list[Any]:
    """Run each in a thread and connection of its own, started together; errors come back."""
    barrier = Barrier(len(operations))
    outcomes: list[Any] = [None] * len(operations)

    def run(number: int, operation: Callable[[], Any]) -> None:
        try:
            barrier.wait(10)
            outcomes[number] = operation()
        except Exception as error:
            outcomes[number] = error
        finally:
            connection.close()

    threads = [Thread(target=run, args=pair) for pair in enumerate(operations)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "somebody never came to an end"
    return outcomes


def wait_until_blocked(seconds: float = 10) -> None:
    """Until another connection of this database waits for a lock."""
    until = monotonic() + seconds
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
        sleep(0.02)
    raise AssertionError("nobody waits for a lock")
