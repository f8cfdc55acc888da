"""The simulator: logged-in staff play a customer in the browser. No webhook, no network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import UUID, uuid4

from chatbot.channels.base import (
    BadSignature,
    Capabilities,
    Content,
    Malformed,
    Recipient,
    Sent,
    Transport,
)
from chatbot.channels.inbound import Address, InboundMessage, Kind, MediaRef, Sender
from chatbot.channels.whatsapp_cloud.files import FILES

if TYPE_CHECKING:
    from django.http import HttpRequest

    from chatbot.channels.inbound import Inbound

SCHEME = "simulator"
_MIME_TYPES = {
    Kind.IMAGE: "image/jpeg",
    Kind.AUDIO: "audio/mpeg",
    Kind.VOICE: "audio/ogg",
    Kind.VIDEO: "video/mp4",
    Kind.DOCUMENT: "application/pdf",
    Kind.STICKER: "image/webp",
}
_CHOICES = {"buttons": Kind.BUTTON_REPLY, "list": Kind.LIST_REPLY}


class Simulator(Transport):
    kind = "simulator"
    # WhatsApp's, so that a flow looks here as it will look there.
    capabilities = Capabilities(
        buttons=3,
        button_title=20,
        list_rows=10,
        list_row_title=24,
        list_row_description=72,
        list_button=20,
        option_id=200,
        header=60,
        footer=60,
        text_length=4096,
        body_length=1024,
        caption_length=1024,
        media=frozenset(rule.kind for rule in FILES),
        files=FILES,
        templates=True,
        mark_read=True,
        service_window_hours=24,
    )
    reaches = (SCHEME,)

    def verify(self, request: HttpRequest, body: bytes) -> None:
        raise BadSignature("the simulator has no webhook")

    def parse(self, request: HttpRequest, body: bytes) -> Sequence[Inbound]:
        raise Malformed("the simulator has no webhook")

    def send(self, to: Recipient, content: Content, *, callback_data: str) -> Sent:
        """Accepted at once: the row it was made from is what the browser shows."""
        return Sent(_new_id())

    def upload_media(self, file: BinaryIO, *, mime_type: str) -> str:
        return _new_id()


def inbound_from_form(
    form: Mapping[str, str], *, account: str | None, customer: str, name: str, at: datetime
) -> InboundMessage:
    """What the fictitious customer did, as a message like any other.

    form: `text`; or `choice_id` with `choice_title` and `choice_kind` (buttons, list); or `kind`,
    one of the media, with an optional caption in `text`; or `latitude` and `longitude`, with an
    optional `place`; or `contact`, a name, with `own_phone` when it is the customer's own card; or
    `values`, the JSON of a form's answers.
    `message_id`, a UUID made with the page, makes a form sent twice one message; `reply_to` quotes.
    """
    readings = (_choice, _location, _contact, _answers, _media)
    said = next(filter(None, (read(form) for read in readings)), {"kind": Kind.TEXT})
    return InboundMessage(
        account,
        at,
        provider_id=_message_id(form.get("message_id", "")),
        sender=Sender((Address(SCHEME, customer, customer),), name=name),
        reply_to=form.get("reply_to", ""),
        **{"text": form.get("text", ""), **said},
    )


def _choice(form: Mapping[str, str]) -> dict[str, Any] | None:
    choice_id = form.get("choice_id", "")
    if not choice_id:
        return None
    return {
        "kind": _CHOICES.get(form.get("choice_kind", ""), Kind.BUTTON_REPLY),
        "choice_id": choice_id,
        "text": form.get("choice_title", "") or choice_id,
    }


def _location(form: Mapping[str, str]) -> dict[str, Any] | None:
    try:
        place = {key: float(form[key]) for key in ("latitude", "longitude")}
    except (KeyError, ValueError):
        return None
    named = {"name": form["place"]} if form.get("place") else {}
    return {"kind": Kind.LOCATION, "payload": {"location": {**place, **named}}}


def _contact(form: Mapping[str, str]) -> dict[str, Any] | None:
    if not form.get("contact"):
        return None
    payload: dict[str, Any] = {"contacts": [{"name": {"formatted_name": form["contact"]}}]}
    if form.get("own_phone"):
        payload["own_phone"] = form["own_phone"].removeprefix("+")
    return {"kind": Kind.CONTACTS, "payload": payload}


def _answers(form: Mapping[str, str]) -> dict[str, Any] | None:
    try:
        values = json.loads(form.get("values", ""))
    except ValueError:
        return None
    is_form = isinstance(values, dict)
    return {"kind": Kind.FLOW_REPLY, "payload": {"form": values}} if is_form else None


def _media(form: Mapping[str, str]) -> dict[str, Any] | None:
    kind = next((one for one in _MIME_TYPES if one == form.get("kind")), None)
    if kind is None:
        return None
    media = MediaRef(mime_type=_MIME_TYPES[kind], filename=form.get("filename", ""))
    return {"kind": kind, "media": media}


def _message_id(given: str) -> str:
    try:
        return f"sim.{UUID(given)}"
    except ValueError:
        return _new_id()


def _new_id() -> str:
    return f"sim.{uuid4()}"
