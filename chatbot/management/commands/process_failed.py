"""Try again what came in and could not be handled."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from chatbot.models import FailedEvent, FailedEventState
from chatbot.reprocessing import reprocess


class Command(BaseCommand):
    help = "Handles failed events again, oldest first. Safe to repeat: nothing is done twice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=1000, help="At most so many events.")
        parser.add_argument("--dry-run", action="store_true", help="Only list them.")

    def handle(self, *args: Any, **options: Any) -> None:
        events = FailedEvent.objects.filter(state=FailedEventState.NEW).order_by("id")
        found = list(events[: options["limit"]])
        for number, event in enumerate(found, 1):
            outcome = "" if options["dry_run"] else reprocess(event, now=timezone.now())
            self.stdout.write(f"{number}/{len(found)} #{event.pk} {event.error}: {outcome or '-'}")
        if not found:
            self.stdout.write("nothing to do")
