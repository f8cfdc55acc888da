"""What a channel's page shows of its use."""

from __future__ import annotations

from typing import Any

from django import template

from chatbot import channel_test
from sessions_app.models import Channel

register = template.Library()


@register.inclusion_tag("chatbot/_channel_use.html")
def channel_use(channel: Channel) -> dict[str, Any]:
    """The address for the provider, the last use, and the way to the test."""
    return {"channel": channel, "use": channel_test.use_of(channel)}
