"""Deliver what is due once, for cron."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from chatbot import delivery, tasks


class Command(BaseCommand):
    help = "Delivers due messages and runs due tasks once. Safe beside a worker."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=1000, help="At most so many messages.")
        parser.add_argument("--dry-run", action="store_true", help="Only say how many are due.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        if options["dry_run"]:
            messages, others = delivery.due(now).count(), tasks.due(now).count()
            self.stdout.write(f"{messages} messages and {others} tasks are due")
            return
        settled = delivery.settle_unconfirmed(now=now)
        outcomes = delivery.deliver_pending(limit=options["limit"])
        done = tasks.run_due(limit=options["limit"])
        said = ", ".join(f"{count} {status}" for status, count in sorted(outcomes.items()))
        self.stdout.write(
            f"messages: {said or 'none due'}; tasks: {done}; settled as unconfirmed: {settled}"
        )
