"""Fill a trial installation with a believable company."""

from __future__ import annotations

import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import demo

BAR = 40  # characters


class Command(BaseCommand):
    help = (
        "Make a fictitious company with its team and a month of conversations, by the same "
        "services as real ones. Refuses where real people have written. Nothing is ever sent."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, default=demo.SEED, help="Other chances.")
        parser.add_argument("--days", type=int, default=demo.DAYS, help="How long a month is.")
        parser.add_argument("--password", help="Of everybody in the team; made up when missing.")
        parser.add_argument("--force", action="store_true", help="Also beside real conversations.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be made.")

    def handle(self, *args: Any, **options: Any) -> None:
        if demo.is_made():
            self.stdout.write(f"The demo is there already: {_words(demo.counts())}.")
            return
        if demo.has_real_data() and not options["force"]:
            raise CommandError(
                "Real people have written here. Use another database, or add --force."
            )
        if options["dry_run"]:
            self.stdout.write(
                f"Would make {len(demo.PEOPLE)} people, {demo.CUSTOMERS} customers and "
                f"{options['days']} days of conversations."
            )
            return
        password = options["password"] or secrets.token_urlsafe(9)
        with _quiet():
            for done in demo.seed(password=password, seed=options["seed"], days=options["days"]):
                self._show(done)
        self._report(password)

    def _show(self, done: float) -> None:
        if sys.stderr.isatty():
            full = round(done * BAR)
            bar = "█" * full + "░" * (BAR - full)
            self.stderr.write(f"\r{bar} {done:4.0%}", ending="")

    def _report(self, password: str) -> None:
        if sys.stderr.isatty():
            self.stderr.write("")
        self.stdout.write(f"Made {_words(demo.counts())}.")
        for one in demo.PEOPLE:
            self.stdout.write(f"  {one.username:<20} {one.role.value}")
        self.stdout.write(f"Everybody's password: {password}")


@contextmanager
def _quiet() -> Iterator[None]:
    """The trouble of the month is made up: nobody should read of it in a log."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _words(made: demo.Made) -> str:
    return (
        f"{made.customers} customers, {made.conversations} conversations, "
        f"{made.messages} messages, {made.tickets} tickets"
    )
