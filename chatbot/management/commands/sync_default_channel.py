"""Make the default channel from the WHATSAPP_* settings, or the simulator without them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from chatbot.default_channel import sync_default_channel


class Command(BaseCommand):
    help = "Makes the default channel. A channel that exists is left as it is: the row wins."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(sync_default_channel())
