"""Install the flows that come with the program. Safe to run again: nothing on air changes."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import flow_files


class Command(BaseCommand):
    help = (
        "Install the shipped flows that are absent, and offer newer ones as drafts. "
        "Never publishes over a flow that exists."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        known = sorted(flow_files.shipped_documents())
        parser.add_argument("slug", nargs="?", choices=known, help="Only this flow.")

    def handle(self, *args: Any, **options: Any) -> None:
        shipments = flow_files.load_shipped(options["slug"])
        for shipment in shipments:
            self.stdout.write(f"{shipment.slug}: {shipment.result}, {shipment.detail}")
        if any(one.result == flow_files.Installed.REFUSED for one in shipments):
            raise CommandError("A shipped flow could not be published; see above.")
