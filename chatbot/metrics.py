"""Counters of this process, shown at /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

if TYPE_CHECKING:
    from chatbot.conversation import Receipt

BAD_SIGNATURES = Counter(
    "atende_webhook_bad_signatures", "Bodies refused because of their signature", ["channel"]
)
ITEMS = Counter(
    "atende_webhook_items", "Items of webhook bodies by what became of them", ["channel", "outcome"]
)
EARLY_STATUSES = Counter(
    "atende_early_statuses", "Statuses that came before their message was known", ["outcome"]
)
OUTCOMES = ("stored", "duplicates", "kept", "unstored", "ignored")


def count(channel: str, receipt: Receipt) -> None:
    for outcome in OUTCOMES:
        number = getattr(receipt, outcome)
        if number:
            ITEMS.labels(channel, outcome).inc(number)
