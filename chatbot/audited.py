"""What the audit keeps of flows on air, triggers, message templates, secrets and prices. A draft
has a history of its own."""

from __future__ import annotations

from chatbot.models import Flow, MessageTemplate, Price, PublishRequest, Secret, Split, Trigger
from users.audit import watch


def watch_all() -> None:
    watch(Flow, "slug", "name", "description", "published", "is_active", "needs_approval")
    watch(
        Trigger,
        *("flow", "kind", "keywords", "channel", "calendar", "when_open", "priority", "is_active"),
    )
    watch(PublishRequest, "flow", "revision", "note", "state", "answer")
    watch(Split, "flow", "control", "challenger", "share", "ended_at")
    watch(MessageTemplate, "channel", "name", "language", "category", "components")
    watch(Secret, "name", "note", hidden=["value"])
    watch(Price, "category", "valid_from", "amount", "currency", "free_per_month")
