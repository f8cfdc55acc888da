"""A kept connection is not asked whether it is well before each request.

A server that goes, or ends a connection, says so, and what it said is there to be read. Django
would send a statement of its own instead, before the first of every request.
"""

from __future__ import annotations

from select import POLLIN, poll
from typing import Any

from django.core.signals import request_started
from django.db import connection


def trust_a_quiet_connection(**_signal: Any) -> None:
    """Spare the health check of this thread's connection while there is nothing to be read from it.
    Stands after Django's own closing of old connections."""
    if connection.vendor != "postgresql" or connection.connection is None:
        return
    if connection.in_atomic_block or connection.connection.closed:
        return
    waiting = poll()
    waiting.register(connection.connection.fileno(), POLLIN)
    if not waiting.poll(0):
        connection.health_check_done = True  # type: ignore[attr-defined]  # not in the stubs


def trust_quiet_connections() -> None:
    request_started.connect(trust_a_quiet_connection, dispatch_uid="users.connections")
