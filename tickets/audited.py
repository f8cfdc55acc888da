"""What the audit keeps of the rules around tickets. Tickets themselves have events."""

from __future__ import annotations

from tickets.models import CannedResponse, SlaPolicy
from users.audit import watch


def watch_all() -> None:
    watch(CannedResponse, "shortcut", "title", "text", "department", "is_active")
    watch(
        SlaPolicy,
        *("name", "department", "priority", "first_response_minutes"),
        *("resolution_minutes", "is_active"),
    )
