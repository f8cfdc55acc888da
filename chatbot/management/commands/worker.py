"""Deliver messages and do everything else that is due, until stopped."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from chatbot.worker import WorkerLoop, stop_on_signals


class Command(BaseCommand):
    help = "Delivers messages, runs tasks and expires idle sessions until SIGTERM. Run one or more."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--threads", type=int, default=None, help="Calls at the same time (16; on SQLite 2)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        threads = options["threads"] or (2 if connection.vendor == "sqlite" else 16)
        loop = WorkerLoop(threads=threads)
        stop_on_signals(loop)
        self.stdout.write(f"worker {loop.name}: {threads} threads")
        loop.run()
        self.stdout.write(f"worker {loop.name}: stopped")
