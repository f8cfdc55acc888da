"""Warn and end idle sessions once, for cron."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from chatbot.expiry import expire_sessions


class Command(BaseCommand):
    help = "Warns and then ends idle sessions of the bot, once. Never those with people."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=1000, help="At most so many sessions.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would happen.")

    def handle(self, *args: Any, **options: Any) -> None:
        counts = expire_sessions(
            now=timezone.now(), limit=options["limit"], is_dry_run=options["dry_run"]
        )
        would = "would be " if options["dry_run"] else ""
        line = f"{counts['warned']} {would}warned, {counts['ended']} {would}ended"
        if counts["failed"]:
            self.stderr.write(f"{counts['failed']} failed: see the log")
        self.stdout.write(line)
