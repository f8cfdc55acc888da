"""Channels: one folder per protocol, imported when a channel of that kind is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from chatbot.channels.base import Transport
    from sessions_app.models import Channel

# kind → the class that speaks the protocol. A new channel is one folder and one line here.
TRANSPORTS = {
    "whatsapp_cloud": "chatbot.channels.whatsapp_cloud.transport.WhatsAppCloud",
    "simulator": "chatbot.channels.simulator.transport.Simulator",
}


class UnknownKind(LookupError):
    """No transport speaks the protocol of this channel."""


def transport_class(kind: str) -> type[Transport]:
    try:
        path = TRANSPORTS[kind]
    except KeyError:
        raise UnknownKind(kind) from None
    return cast("type[Transport]", import_string(path))


def transport_for(channel: Channel) -> Transport:
    """The transport of a channel row. Raises UnknownKind."""
    return transport_class(channel.kind)(channel)
