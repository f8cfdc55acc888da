"""A WhatsApp number, and the conversations of Davi on it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from model_bakery import baker

from leads.models import Lead
from leads.tests.recipes import davi
from sessions_app.models import Channel, ChannelKind, Session
from sessions_app.services import open_session

MONDAY = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # nine o'clock in São Paulo


def channel(slug: str = "loja", **fields: Any) -> Channel:
    found = Channel.objects.filter(slug=slug).first()
    kind = {"kind": ChannelKind.WHATSAPP_CLOUD, "name": slug.title()}
    return found or baker.make(Channel, slug=slug, **{**kind, **fields})


@transaction.atomic
def session(lead: Lead | None = None, *, at: datetime = MONDAY, **fields: Any) -> Session:
    """A live session with the bot, opened as a message does; `fields` are then set."""
    opened = open_session(
        lead=lead or davi(), channel=fields.pop("channel", None) or channel(), identity=None, at=at
    )
    for name, value in fields.items():
        setattr(opened, name, value)
    opened.save(update_fields=list(fields))
    return opened
