"""From a folder with a plan to a report and an exit code."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path
from time import monotonic
from types import FrameType

from django.db import connection

from chatbot.soak import logs, report
from chatbot.soak.checks import check_all
from chatbot.soak.database import Database, database_of
from chatbot.soak.evidence import Evidence, Result
from chatbot.soak.journal import Journal
from chatbot.soak.plan import Plan
from chatbot.soak.run import Facts, Soak

EVERY_SECONDS = 10.0


def soak(folder: Path) -> int:
    """0 when everything held, 1 when something did not."""
    signal.signal(signal.SIGTERM, _interrupt)
    plan = Plan.load(folder)
    database = database_of(plan, folder)
    try:
        database.start()
        facts = _run(plan, folder, database)
        evidence = Evidence(plan, Journal.load(folder), facts)
        progress("comparing")
        results = [*check_all(evidence), _read_logs(evidence, folder)]
    finally:
        connection.close()
        database.stop()
        if not plan.keep:
            shutil.rmtree(folder, ignore_errors=True)
    progress("")
    sys.stdout.write(report.as_text(evidence, results) + "\n")
    if plan.report:
        report.write(Path(plan.report), evidence, results)
    if plan.keep:
        sys.stdout.write(f"Logs, journal and database are in {folder}.\n")
    return int(any(one.is_ok is False for one in results))


def _run(plan: Plan, folder: Path, database: Database) -> Facts:
    return Soak(plan, folder, database, progress).run()


def _read_logs(evidence: Evidence, folder: Path) -> Result:
    has_trouble = bool(evidence.facts.restarts)
    return logs.read(sorted(folder.glob("*.log")), expects_database_trouble=has_trouble)


class _Progress:
    """One line that changes on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._next_at = 0.0

    def __call__(self, line: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{line}")
        elif line and monotonic() >= self._next_at:
            self._next_at = monotonic() + EVERY_SECONDS
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


progress = _Progress()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
