"""A short soak of the whole program: real processes, kills, and a database that is restarted.

By itself: `make test-postgres ARGS="-k soak_of_the_whole_program"`; without it: `-k "not soak_of"`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from chatbot.tests.processes import database_url
from sessions_app.models import Channel, ChannelKind

SHORT = (
    *("--conversations", "60", "--at-once", "40", "--turns", "2", "--seed", "7"),
    *("--web", "2", "--workers", "2", "--threads", "4", "--kill-every", "6"),
    *("--database-restarts", "1", "--patience", "6", "--minutes", "0.5"),
    *("--faults", "2,account=0,maintenance=0", "--settle-minutes", "3"),
    *("--wait-lease", "8", "--wait-unconfirmed", "3", "--wait-periodic", "2"),
    *("--wait-call", "3", "--wait-pause", "3"),
)
ENVIRONMENT = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": ""}
PATIENCE = 400  # seconds; far more than it takes


@pytest.mark.postgres
def test_soak_of_the_whole_program_loses_nothing(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, "manage.py", "soak", *SHORT, "--report", str(report)]
    ended = subprocess.run(
        command,
        cwd=settings.BASE_DIR,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(report.read_text())
    kills = found["facts"]["kills"]
    assert kills["worker"] >= 1
    assert kills.get("web process", 0) + kills.get("web master", 0) >= 1
    assert len(found["facts"]["restarts"]) == 1
    assert found["answers"]["200"] >= 60


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_soak_leaves_a_database_with_tables_alone():
    before = set(connection.introspection.table_names())
    command = [sys.executable, "manage.py", "soak", "--database-url", database_url()]
    ended = subprocess.run(
        command, cwd=settings.BASE_DIR, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "The database is not empty" in ended.stderr
    assert set(connection.introspection.table_names()) == before
    assert not Channel.objects.filter(kind=ChannelKind.WHATSAPP_CLOUD).exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--faults", "nonsense=1"], "there is no fault 'nonsense'"),
        (["--restart-command", "true"], "--restart-command goes with --database-url"),
    ],
)
def test_soak_refuses_options_that_mean_nothing(options, expected):
    with pytest.raises(CommandError, match=expected):
        call_command("soak", *options)
