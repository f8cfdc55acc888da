"""Whoever switches the second person's approval off does not publish alone with that."""

from __future__ import annotations

from auditlog.models import LogEntry
from django.utils.translation import gettext as _

from chatbot.models import Flow
from users.errors import DomainError
from users.models import User

FIELD = "needs_approval"


def refuse_switcher(flow: Flow, user: User | None) -> None:
    """Raises DomainError when it was this person who switched the approval off, and nobody else has
    published the flow since."""
    if user is not None and _switched_off_by(flow) == user.pk:
        raise DomainError(
            _(
                "You have switched off the approval by a second person: somebody else must publish"
                " this flow next, or it is switched on again."
            ),
            code="needs_approval",
        )


def _switched_off_by(flow: Flow) -> int | None:
    entries = LogEntry.objects.get_for_object(flow).filter(changes__has_key=FIELD)
    last = entries.order_by("-pk").first()
    if last is None or last.changes[FIELD] != [True, False] or last.actor_id is None:
        return None
    since = flow.versions.published().filter(published_at__gt=last.timestamp)
    others = since.exclude(published_by=last.actor_id).exclude(published_by=None)
    return None if others.exists() else last.actor_id
