"""Decide every stored decision of distribution again and name what would be decided otherwise."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tickets.distribution import records
from tickets.distribution.deciding import POLICY
from tickets.models import AssignmentDecision

CHUNK = 500
PROGRESS_EVERY = 10_000


class Command(BaseCommand):
    help = "Decide again what distribution decided, from the facts it kept. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--ticket", metavar="PROTOCOL", help="Only of this ticket.")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = AssignmentDecision.objects.filter(policy=POLICY).select_related("ticket")
        if options["ticket"]:
            rows = rows.filter(ticket__protocol=options["ticket"])
        checked = different = 0
        for row in rows.order_by("pk").iterator(chunk_size=CHUNK):
            checked += 1
            if not records.is_rederived(row):
                different += 1
                again = records.rederive(row)
                self.stdout.write(
                    f"decision {row.pk} of {row.ticket}: stored {row.outcome} {row.chosen_id}, "
                    f"now {again.outcome} {again.chosen}"
                )
            if checked % PROGRESS_EVERY == 0:
                self.stderr.write(f"{checked} decisions checked…")
        if different:
            raise CommandError(f"{different} of {checked} decisions would be others.")
        self.stdout.write(f"{checked} decisions are made again as they were.")
