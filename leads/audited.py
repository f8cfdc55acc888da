"""What the audit keeps of leads and tags: what people do. The bot's work is in its own logs."""

from __future__ import annotations

from leads.models import Lead, Tag
from users.audit import watch
from users.masking import hint


def watch_all() -> None:
    watch(
        Lead,
        *("name", "email", "phone", "document", "company", "need", "status", "attendant"),
        *("opted_out_at", "merged_into"),
        many=["tags"],
        shown={"document": hint},
    )
    watch(Tag, "name", "color")
