"""Rebuild every session from its FlowLog and name what differs from what is stored."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import verification
from chatbot.verification import Deviation
from sessions_app.models import Session

PROGRESS_EVERY = 10_000


class Command(BaseCommand):
    help = "Fold the flow log of each session and compare it with the session. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--session", type=int, metavar="ID", help="Only this session.")

    def handle(self, *args: Any, **options: Any) -> None:
        checked = different = 0
        for session_id, deviation in verification.verify(_chosen(options["session"])):
            checked += 1
            if deviation is not None:
                different += 1
                self.stdout.write(describe(session_id, deviation))
            if checked % PROGRESS_EVERY == 0:
                self.stderr.write(f"{checked} sessions checked…")
        if different:
            raise CommandError(f"{different} of {checked} sessions differ from their log.")
        self.stdout.write(f"{checked} sessions agree with their log.")


def _chosen(session_id: int | None) -> Any:
    """Ids of the sessions to check, read as they are needed."""
    sessions = Session.objects.order_by("pk")
    if session_id is not None:
        sessions = sessions.filter(pk=session_id)
        if not sessions.exists():
            raise CommandError(f"There is no session {session_id}.")
    return sessions.values_list("pk", flat=True).iterator(chunk_size=verification.CHUNK)


def describe(session_id: int, deviation: Deviation) -> str:
    where = f"session {session_id}"
    if deviation.seq is not None:
        where += f", log row {deviation.seq}"
    return f"{where}: {deviation.what} is {deviation.stored!r}, expected {deviation.computed!r}"
