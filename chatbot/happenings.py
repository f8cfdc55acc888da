"""From what a channel said to what the engine understands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chatbot.channels.inbound import InboundMessage, Kind
from chatbot.engine.messages import (
    ChoiceReceived,
    ContactsReceived,
    FormReceived,
    LocationReceived,
    MediaReceived,
    Message,
    TextReceived,
)

MEDIA_KINDS = frozenset(
    {Kind.IMAGE, Kind.AUDIO, Kind.VOICE, Kind.VIDEO, Kind.DOCUMENT, Kind.STICKER}
)
# Kinds that a flow may be advanced by. Everything else is kept and never answered by it.
ADVANCING_KINDS = MEDIA_KINDS | {
    Kind.TEXT,
    Kind.LOCATION,
    Kind.CONTACTS,
    Kind.BUTTON_REPLY,
    Kind.LIST_REPLY,
    Kind.FLOW_REPLY,
    Kind.ORDER,
}


def happening_of(  # noqa: PLR0911  # one a kind
    item: InboundMessage, *, at: datetime, facts: dict[str, Any]
) -> Message:
    """The engine's message for an item of an advancing kind."""
    text = item.text or ""
    match item.kind:
        case Kind.BUTTON_REPLY | Kind.LIST_REPLY:
            return ChoiceReceived(at=at, facts=facts, id=item.choice_id, title=text)
        case Kind.LOCATION:
            return _location(item, at=at, facts=facts)
        case Kind.CONTACTS:
            return _contacts(item, at=at, facts=facts)
        case Kind.FLOW_REPLY:
            return FormReceived(at=at, facts=facts, values=_mapping(item.payload.get("form")))
        case Kind.ORDER:
            return FormReceived(at=at, facts=facts, values=_mapping(item.payload.get("order")))
        case kind if kind in MEDIA_KINDS:
            name = item.media.filename if item.media else ""
            return MediaReceived(
                at=at,
                facts=facts,
                media=kind.value,
                caption=text,
                filename=name,
                ref=item.provider_id,
            )
    return TextReceived(at=at, facts=facts, text=text)


def _location(item: InboundMessage, *, at: datetime, facts: dict[str, Any]) -> Message:
    place = _mapping(item.payload.get("location"))
    try:
        latitude, longitude = float(place["latitude"]), float(place["longitude"])
    except (KeyError, TypeError, ValueError):
        return TextReceived(at=at, facts=facts, text=item.text or "")
    return LocationReceived(
        at=at,
        facts=facts,
        latitude=latitude,
        longitude=longitude,
        name=str(place.get("name") or ""),
        address=str(place.get("address") or ""),
    )


def _contacts(item: InboundMessage, *, at: datetime, facts: dict[str, Any]) -> Message:
    cards = item.payload.get("contacts")
    names = [_card_name(card) for card in cards] if isinstance(cards, list | tuple) else []
    own_phone = item.payload.get("own_phone")
    return ContactsReceived(
        at=at,
        facts=facts,
        names=tuple(name for name in names if name),
        phone=own_phone if isinstance(own_phone, str) else "",
    )


def _card_name(card: Any) -> str:
    name = _mapping(card).get("name")
    return str(name.get("formatted_name") or "") if isinstance(name, Mapping) else str(name or "")


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
