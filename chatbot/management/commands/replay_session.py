"""Run the stored messages of one session again and report the first difference."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import verification
from sessions_app.models import Session


class Command(BaseCommand):
    help = (
        "Run every message that a session's flow log holds through the engine again, on the "
        "versions they ran on, and report the first outcome that differs. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("session", type=int, metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        session_id = options["session"]
        if not Session.objects.filter(pk=session_id).exists():
            raise CommandError(f"There is no session {session_id}.")
        found = verification.rerun(session_id)
        if found is not None:
            raise CommandError(
                f"Session {session_id} differs at log row {found.seq}: {found.what} was "
                f"{found.stored!r}, now {found.computed!r}."
            )
        steps = verification.steps_of(session_id)
        self.stdout.write(f"Session {session_id}: {steps} steps, every one comes out the same.")
