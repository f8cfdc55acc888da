"""One entry of `messages` or `message_echoes`.

Meta's docs: "Webhooks, messages reference", "smb_message_echoes", and for the `system` types
"Business-scoped user IDs".
"""

from __future__ import annotations

from typing import Any

from chatbot.channels import reading
from chatbot.channels.inbound import (
    EchoMessage,
    IdentityChange,
    Inbound,
    InboundMessage,
    Kind,
    Unusable,
)
from chatbot.channels.whatsapp_cloud import contents, identity
from chatbot.channels.whatsapp_cloud.identity import Json
from chatbot.channels.whatsapp_cloud.place import Place

_IDENTITY_TYPES = frozenset(
    {"user_changed_number", "user_changed_user_id", "customer_changed_number"}
)


def inbound(place: Place, message: Json) -> Inbound:
    """A message as received; an identity change when the system says so."""
    if reading.text(message, "type") == "system":
        change = _identity_change(place, message)
        if change is not None:
            return change
    return _message(place, message)


def has_unsupported(place: Place) -> bool:
    """Is there a message that the errors beside it explain?"""
    beside = reading.mappings(place.value, "messages")
    return any(contents.read(message).kind == Kind.UNSUPPORTED for message in beside)


def _message(place: Place, message: Json) -> Inbound:
    known = identity.read(message, "from", "from_user_id", "from_parent_user_id")
    contact = place.contact(known)
    said = contents.read(message)
    beside = _errors_beside(place, said)
    raw = place.raw("messages", message, contact=contact, **beside)
    at = reading.time(message, "timestamp")
    provider_id = reading.identifier(message, "id")
    if not provider_id or not known:
        reason = "message without sender" if provider_id else "message without id"
        return Unusable(place.account, at, raw=raw, reason=reason)
    context = reading.mapping(message, "context")
    group_id = _group_id(message)
    return InboundMessage(
        place.account,
        at,
        raw=raw,
        provider_id=provider_id,
        kind=Kind.GROUP_TEXT if group_id else said.kind,
        sender=identity.sender(known, contact),
        text=said.text,
        choice_id=said.choice_id,
        media=said.media,
        payload={
            **said.payload,
            **({"kind": said.kind.value} if group_id else {}),
            **_surroundings(message, context, beside),
        },
        reply_to=reading.identifier(context, "id"),
        target_id=said.target_id,
        group_id=group_id,
    )


def _group_id(message: Json) -> str:
    """ "" for a private chat. A group whose id cannot be read is still a group."""
    value = message.get("group_id")
    return "" if value in (None, "") else reading.identifier(message, "group_id") or "unreadable"


def _errors_beside(place: Place, said: contents.Said) -> dict[str, Any]:
    errors = reading.mappings(place.value, "errors")
    return {"errors": errors} if errors and said.kind == Kind.UNSUPPORTED else {}


def _surroundings(message: Json, context: Json, beside: dict[str, Any]) -> Json:
    """What comes with a message: the ad or product it came from, errors, forwarding."""
    errors = contents.errors(message) or contents.errors(beside)
    found = {
        "referral": reading.mapping(message, "referral"),
        "referred_product": reading.mapping(context, "referred_product"),
        "errors": errors,
        "forwarded": context.get("forwarded") is True,
        "frequently_forwarded": context.get("frequently_forwarded") is True,
    }
    return {key: value for key, value in found.items() if value}


def _identity_change(place: Place, message: Json) -> IdentityChange | None:
    """A new phone or user id of the same person; these come without `contacts`."""
    system = reading.mapping(message, "system")
    provider_id = reading.identifier(message, "id")
    if reading.text(system, "type") not in _IDENTITY_TYPES or not provider_id:
        return None
    old = identity.addresses(
        *identity.read(message, "from", "from_user_id", "from_parent_user_id"),
        *identity.read(system, "customer", "previous_user_id"),
    )
    new = identity.addresses(
        *identity.read(system, "wa_id", "user_id", "parent_user_id"),
        identity.phone_in(system, "new_wa_id"),
    )
    new = tuple(one for one in new if one not in old)
    if not old or not new:
        return None
    contact = place.contact(old)
    return IdentityChange(
        place.account,
        reading.time(message, "timestamp"),
        raw=place.raw("messages", message, contact=contact),
        provider_id=provider_id,
        old=identity.sender(old, contact),
        new=new,
        body=reading.text(system, "body") or "",
    )


def echo(place: Place, message: Json) -> Inbound:
    """A person of the company wrote from the phone app: outbound, and never input of the bot."""
    known = identity.read(message, "to", "to_user_id", "to_parent_user_id")
    contact = place.contact(known)
    raw = place.raw("message_echoes", message, contact=contact)
    at = reading.time(message, "timestamp")
    provider_id = reading.identifier(message, "id")
    if not provider_id or not known or _group_id(message):
        reason = "echo without id, without receiver or in a group"
        return Unusable(place.account, at, raw=raw, reason=reason)
    said = contents.read(message)
    return EchoMessage(
        place.account,
        at,
        raw=raw,
        provider_id=provider_id,
        kind=said.kind,
        to=identity.sender(known, contact),
        text=said.text,
        media=said.media,
        payload=said.payload,
        target_id=said.target_id,
        reply_to=reading.identifier(reading.mapping(message, "context"), "id"),
    )
