"""Real worker processes beside a test, on the test's own database (PostgreSQL)."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from time import monotonic, sleep
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection

from chatbot.models import MessageLog

PATIENCE = 60.0  # seconds; far more than anything here takes


def database_url():
    """The test's own database, as another process reaches it."""
    parts = urlsplit(os.environ["TEST_PG_URL"])
    return urlunsplit(parts._replace(path="/" + quote(connection.settings_dict["NAME"])))


@contextmanager
def workers(count, graph, *, program=("manage.py", "worker", "--threads", "8")):
    """`manage.py worker`, so many times; what still runs at the end is killed."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": database_url(),
        "GRAPH_API_URL": graph.url,
    }
    started = [
        subprocess.Popen(
            [sys.executable, *program],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE)


def wait_for(is_so, what):
    until = monotonic() + PATIENCE
    while not is_so():
        if monotonic() > until:
            left = MessageLog.objects.pending().order_by("pk")
            seen = list(left.values_list("pk", "session", "status", "locked_until", "error_code"))
            pytest.fail(f"waited in vain for {what}; the outbox holds {seen}")
        sleep(0.02)
