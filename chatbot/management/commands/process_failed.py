"""Try again what came in and could not be handled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from chatbot import ledger
from chatbot.models import FailedEvent
from chatbot.reprocessing import reprocess

SAID_EVERY = 100
BY = "process_failed"


class Command(BaseCommand):
    help = "Handles failed events again, oldest first. Safe to repeat: nothing is done twice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=1000, help="At most so many events.")
        parser.add_argument("--dry-run", action="store_true", help="Only list them.")

    def handle(self, *args: Any, **options: Any) -> None:
        waiting = ledger.processable(FailedEvent.objects.all()).order_by("id")
        ids = list(waiting.values_list("pk", flat=True)[: options["limit"]])
        became: Counter[str] = Counter()
        for number, event in enumerate(_each(ids), 1):
            outcome = ""
            if not options["dry_run"]:
                outcome = reprocess(event, now=timezone.now(), by=BY)
                became[event.state] += 1
            self.stdout.write(f"{number}/{len(ids)} #{event.pk} {event.error}: {outcome or '-'}")
            if number % SAID_EVERY == 0 and became:
                self._say(number, len(ids), became)
        if not ids:
            self.stdout.write("nothing to do")
        elif became:
            self._say(len(ids), len(ids), became)

    def _say(self, number: int, total: int, became: Counter[str]) -> None:
        said = ", ".join(f"{count} {state}" for state, count in sorted(became.items()))
        self.stdout.write(f"-- {number} of {total}: {said}")


def _each(ids: list[int]) -> Iterator[FailedEvent]:
    """One at a time: a body may be megabytes."""
    events = FailedEvent.objects.select_related("channel", "message")
    for pk in ids:
        event = events.filter(pk=pk).first()
        if event is not None:
            yield event
