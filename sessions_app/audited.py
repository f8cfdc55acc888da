"""What the audit keeps of channels: of credentials only that they changed."""

from __future__ import annotations

from sessions_app.models import Channel
from users.audit import watch


def watch_all() -> None:
    watch(
        Channel,
        *("slug", "kind", "name", "external_id", "account_id", "display_number"),
        *("identity_scope", "settings", "rate_per_second", "idle_minutes"),
        *("is_default", "is_active", "paused_until"),
        hidden=["credentials"],
    )
