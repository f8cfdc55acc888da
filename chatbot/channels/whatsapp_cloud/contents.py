"""What one message says: the object named like its type.

Meta's docs: "Webhooks, messages reference". A type we do not know, or one whose object is missing
or broken, is `unsupported`: kept and shown, never an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chatbot.channels import reading
from chatbot.channels.base import Malformed
from chatbot.channels.inbound import Kind, MediaRef
from chatbot.channels.whatsapp_cloud import identity
from chatbot.channels.whatsapp_cloud.identity import Json


@dataclass(frozen=True)
class Said:
    kind: Kind
    text: str | None = None
    choice_id: str = ""
    media: MediaRef | None = None
    payload: Json = field(default_factory=dict)
    target_id: str = ""


Reader = Callable[[Json], Said | None]


def read(message: Json) -> Said:
    """What a message says; total over every JSON object."""
    reader = READERS.get(reading.text(message, "type") or "")
    said = reader(message) if reader else None
    return said or _unsupported(message)


def _unsupported(message: Json) -> Said:
    declared = reading.text(message, "type") or ""
    inner = reading.mapping(message, declared) if declared else {}
    subtype = reading.text(inner, "type")
    payload: Json = {"type": declared, **({"subtype": subtype} if subtype else {})}
    return Said(Kind.UNSUPPORTED, payload=payload)


def errors(source: Json) -> list[Json]:
    """The entries of `errors`, each as code, title and detail."""
    return [
        {
            "code": reading.words(error, "code"),
            "title": reading.text(error, "title") or reading.text(error, "message") or "",
            "detail": reading.text(reading.mapping(error, "error_data"), "details") or "",
        }
        for error in reading.mappings(source, "errors")
    ]


def _text(message: Json) -> Said | None:
    body = reading.text(reading.mapping(message, "text"), "body")
    return None if body is None else Said(Kind.TEXT, body)


def _media(kind: Kind) -> Reader:
    def read_media(message: Json) -> Said | None:
        declared = reading.text(message, "type") or ""
        found = reading.mapping(message, declared)
        media = _media_ref(found)
        if media is None:
            return None
        is_voice = kind == Kind.AUDIO and found.get("voice") is True
        payload: Json = {"animated": True} if found.get("animated") is True else {}
        shown = Kind.VOICE if is_voice else kind
        return Said(shown, reading.text(found, "caption") or "", media=media, payload=payload)

    return read_media


def _media_ref(found: Json) -> MediaRef | None:
    provider_id = reading.identifier(found, "id")
    url = reading.text(found, "url") or ""
    if not provider_id and not url:
        return None
    return MediaRef(
        provider_id=provider_id,
        url=url,
        mime_type=reading.text(found, "mime_type") or "",
        sha256=reading.text(found, "sha256") or "",
        filename=reading.text(found, "filename") or "",
    )


def _location(message: Json) -> Said | None:
    found = reading.mapping(message, "location")
    point = reading.place(found)
    if point is None:
        return None
    named = {key: reading.text(found, key) for key in ("name", "address", "url")}
    place: Json = {"latitude": point[0], "longitude": point[1]}
    place |= {key: value for key, value in named.items() if value}
    return Said(Kind.LOCATION, named["name"] or "", payload={"location": place})


def _contacts(message: Json) -> Said | None:
    cards = reading.mappings(message, "contacts")
    if not cards:
        return None
    payload: Json = {"contacts": cards}
    own_phone = next(filter(None, map(_own_phone, cards)), None)
    if own_phone:
        payload["own_phone"] = own_phone
    return Said(Kind.CONTACTS, next(filter(None, map(_card_title, cards)), ""), payload=payload)


def _own_phone(card: Json) -> str | None:
    """The sender's own number, given on request: evidence that links it to the sender's BSUID."""
    if reading.text(card, "origin") != "contact_request":
        return None
    for phone in reading.mappings(card, "phones"):
        for key in ("wa_id", "phone"):
            found = identity.address(identity.PHONE, reading.words(phone, key))
            if found is not None and found.scheme == identity.PHONE:
                return found.send_to
    return None


def _card_title(card: Json) -> str:
    name = reading.text(reading.mapping(card, "name"), "formatted_name")
    phones = (reading.text(phone, "phone") for phone in reading.mappings(card, "phones"))
    return name or next(filter(None, phones), "")


def _button(message: Json) -> Said | None:
    """A tap on a message template's quick reply: not the same as interactive.button_reply."""
    found = reading.mapping(message, "button")
    title, payload = reading.text(found, "text"), reading.text(found, "payload")
    if title is None and payload is None:
        return None
    return Said(Kind.BUTTON_REPLY, title or payload or "", choice_id=payload or "")


def _interactive(message: Json) -> Said | None:
    found = reading.mapping(message, "interactive")
    subtype = reading.text(found, "type") or ""
    reader = _INTERACTIVE.get(subtype)
    return reader(reading.mapping(found, subtype)) if reader else None


def _choice(kind: Kind) -> Reader:
    def read_choice(found: Json) -> Said | None:
        choice_id, title = reading.text(found, "id"), reading.text(found, "title")
        if choice_id is None and title is None:
            return None
        description = reading.text(found, "description")
        payload: Json = {"description": description} if description else {}
        return Said(kind, title or choice_id or "", choice_id=choice_id or "", payload=payload)

    return read_choice


def _form(found: Json) -> Said | None:
    """A WhatsApp Flow's answer: JSON inside a JSON text, which may be broken or no object."""
    response = reading.text(found, "response_json")
    body = reading.text(found, "body")
    if response is None and body is None:
        return None
    payload: Json = {"form_name": reading.text(found, "name") or "", "form": _inner(response)}
    if payload["form"] is None:
        payload["form_raw"] = response or ""
    return Said(Kind.FLOW_REPLY, body or "", payload=payload)


def _inner(response: str | None) -> Json | None:
    try:
        form = reading.load((response or "").encode("utf-8", "surrogatepass"))
    except Malformed:
        return None
    return form if isinstance(form, dict) else None


def _reaction(message: Json) -> Said | None:
    found = reading.mapping(message, "reaction")
    target = reading.identifier(found, "message_id")
    if not target:
        return None
    emoji = reading.text(found, "emoji")
    if not emoji:
        return Said(Kind.REACTION_REMOVED, target_id=target)
    return Said(Kind.REACTION, emoji, target_id=target)


def _order(message: Json) -> Said | None:
    found = reading.mapping(message, "order")
    if not found:
        return None
    return Said(Kind.ORDER, reading.text(found, "text") or "", payload={"order": found})


def _edit(message: Json) -> Said | None:
    found = reading.mapping(message, "edit")
    target = reading.identifier(found, "original_message_id")
    if not target:
        return None
    inner = reading.mapping(found, "message")
    is_content = reading.text(inner, "type") not in {"edit", "revoke", "reaction"}
    said = read(inner) if is_content else _unsupported(inner)
    return Said(
        Kind.EDIT,
        said.text,
        media=said.media,
        payload={**said.payload, "kind": said.kind.value},
        target_id=target,
    )


def _revoke(message: Json) -> Said | None:
    target = reading.identifier(reading.mapping(message, "revoke"), "original_message_id")
    return Said(Kind.REVOKE, target_id=target) if target else None


def _welcome(_message: Json) -> Said:
    """First contact, no content; only numbers with welcome messages switched on get it."""
    return Said(Kind.SYSTEM, payload={"system_type": "request_welcome"})


def _system(message: Json) -> Said:
    found = reading.mapping(message, "system")
    payload: dict[str, Any] = {
        "system_type": reading.text(found, "type") or "",
        "body": reading.text(found, "body") or "",
    }
    return Said(Kind.SYSTEM, payload=payload)


_INTERACTIVE: dict[str, Reader] = {
    "button_reply": _choice(Kind.BUTTON_REPLY),
    "list_reply": _choice(Kind.LIST_REPLY),
    "nfm_reply": _form,
}

READERS: dict[str, Reader] = {
    "text": _text,
    "image": _media(Kind.IMAGE),
    "audio": _media(Kind.AUDIO),
    "voice": _media(Kind.VOICE),
    "video": _media(Kind.VIDEO),
    "document": _media(Kind.DOCUMENT),
    "sticker": _media(Kind.STICKER),
    "location": _location,
    "contacts": _contacts,
    "button": _button,
    "interactive": _interactive,
    "reaction": _reaction,
    "order": _order,
    "edit": _edit,
    "revoke": _revoke,
    "request_welcome": _welcome,
    "system": _system,
}
