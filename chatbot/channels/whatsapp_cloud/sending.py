"""The body of a send, and what its answer says. Meta's docs: "Cloud API, send messages"."""

from __future__ import annotations

import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from chatbot.channels import reading
from chatbot.channels.base import Content, Meaning, Recipient, SendError, Sent
from chatbot.channels.http import Answer
from chatbot.channels.whatsapp_cloud import errors, identity
from chatbot.channels.whatsapp_cloud.identity import Json
from chatbot.cleaning import clean_text

_CALLBACK_DATA_LIMIT = 512
_CAPTIONED = frozenset({"image", "video", "document"})


def body(to: Recipient, content: Content, callback_data: str) -> Json:
    """The JSON to send. Raises SendError for what Meta would refuse anyway: never an empty text."""
    message: Json = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **_address(to),
        **_BUILDERS.get(content.kind, _unknown)(content),
    }
    if content.reply_to and content.kind != "reaction":
        message["context"] = {"message_id": content.reply_to}
    if callback_data:
        message["biz_opaque_callback_data"] = callback_data[:_CALLBACK_DATA_LIMIT]
    return message


def sent(answer: Answer, to: Recipient, *, by_link: bool) -> Sent:
    """The accepted message. Raises SendError."""
    found = accepted(answer, by_link=by_link)
    message = next(iter(reading.mappings(found, "messages")), {})
    provider_id = reading.identifier(message, "id")
    if not provider_id:
        raise SendError("no_id", "accepted without an id", retryable=False, uncertain=True)
    pacing = clean_text(reading.text(message, "message_status") or "")
    return Sent(provider_id, _aliases(found, to), pacing)


def accepted(answer: Answer, *, by_link: bool = False) -> Json:
    """The JSON of a 2xx answer without an error. Raises SendError.

    A 5xx without Graph's JSON error comes from something in between, which may have passed the
    message on: uncertain.
    """
    found = reading.as_mapping(answer.json())
    error = reading.mapping(found, "error")
    code = reading.words(error, "code")
    if code:
        raise errors.failure(
            code,
            _detail(error),
            is_transient=error.get("is_transient") is True or answer.is_server_error,
            by_link=by_link,
            retry_after=answer.retry_after,
        )
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise _throttled(answer)
    if not answer.is_success:
        is_uncertain = answer.is_server_error or answer.status == HTTPStatus.REQUEST_TIMEOUT
        raise SendError(
            f"http_{answer.status}",
            retryable=False,
            uncertain=is_uncertain,
            meaning=Meaning.OUTAGE if is_uncertain else None,
        )
    return found


def _throttled(answer: Answer) -> SendError:
    return SendError(
        "http_429",
        retryable=True,
        retry_after=answer.retry_after or 60,
        scope="account",
        meaning=Meaning.THROTTLE,
    )


def _detail(error: Json) -> str:
    details = reading.text(reading.mapping(error, "error_data"), "details")
    return (details or reading.text(error, "message") or "")[:1000]


def _aliases(found: Json, to: Recipient) -> tuple[tuple[str, str, str], ...]:
    """Other addresses of the person than the one we wrote to: `wa_id` may differ from `input`."""
    contact = next(iter(reading.mappings(found, "contacts")), {})
    known = identity.addresses(*identity.contact_addresses(contact))
    others = (one for one in known if (one.scheme, one.send_to) != (to.scheme, to.send_to))
    return tuple((one.scheme, one.address, one.send_to) for one in others)


def _address(to: Recipient) -> Json:
    """Phones with a leading +: without it Meta puts the business's own country code in front."""
    found = identity.address(to.scheme, to.send_to)
    if found is None or found.scheme != to.scheme:
        raise _refused(f"not an address of WhatsApp: {to.scheme}")
    return {"to": f"+{found.send_to}"} if to.scheme == identity.PHONE else {"recipient": to.send_to}


def _refused(detail: str) -> SendError:
    return SendError("content", detail, retryable=False)


def _unknown(content: Content) -> Json:
    raise _refused(f"WhatsApp has no {content.kind}")


def _required(value: str, name: str) -> str:
    if not value.strip():
        raise _refused(f"{name} is empty")
    return value


def _text(content: Content) -> Json:
    return {"type": "text", "text": {"body": _required(content.text, "text")}}


def _media(content: Content) -> Json:
    kind = "audio" if content.kind == "voice" else content.kind
    media: dict[str, Any] = (
        {"id": content.media_id}
        if content.media_id
        else {"link": _required(content.media_link, "media")}
    )
    if content.kind in _CAPTIONED and content.text.strip():
        media["caption"] = content.text
    if content.kind == "document" and content.filename:
        media["filename"] = content.filename
    if content.kind == "voice":
        media["voice"] = True
    return {"type": kind, kind: media}


def _interactive(content: Content, kind: str, action: Json) -> Json:
    if not content.options:
        raise _refused("no options")
    interactive: Json = {
        "type": kind,
        "body": {"text": _required(content.text, "text")},
        "action": action,
    }
    if content.header.strip():
        interactive["header"] = {"type": "text", "text": content.header}
    if content.footer.strip():
        interactive["footer"] = {"text": content.footer}
    return {"type": "interactive", "interactive": interactive}


def _buttons(content: Content) -> Json:
    buttons = [
        {"type": "reply", "reply": {"id": option.id, "title": _required(option.title, "title")}}
        for option in content.options
    ]
    return _interactive(content, "button", {"buttons": buttons})


def _list(content: Content) -> Json:
    rows = [
        {
            "id": option.id,
            "title": _required(option.title, "title"),
            **({"description": option.description} if option.description.strip() else {}),
        }
        for option in content.options
    ]
    label = _required(content.list_button, "list button")
    return _interactive(content, "list", {"button": label, "sections": [{"rows": rows}]})


def _location(content: Content) -> Json:
    latitude, longitude = content.latitude, content.longitude
    if latitude is None or longitude is None or not math.isfinite(latitude + longitude):
        raise _refused("location without coordinates")
    place: Json = {"latitude": latitude, "longitude": longitude}
    if content.text.strip():
        place["name"] = content.text
    return {"type": "location", "location": place}


def _template(content: Content) -> Json:
    found = content.template
    language = found.get("language")
    template = {
        "name": _required(reading.words(found, "name"), "template name"),
        "language": language if isinstance(language, dict) else {"code": str(language or "pt_BR")},
    }
    if found.get("components"):
        template["components"] = found["components"]
    return {"type": "template", "template": template}


def _reaction(content: Content) -> Json:
    """An empty emoji takes the reaction back."""
    target = _required(content.target_id, "message reacted to")
    return {"type": "reaction", "reaction": {"message_id": target, "emoji": content.text}}


_BUILDERS: dict[str, Callable[[Content], Json]] = {
    "text": _text,
    "buttons": _buttons,
    "list": _list,
    "location": _location,
    "template": _template,
    "reaction": _reaction,
    **dict.fromkeys(("image", "video", "audio", "voice", "document", "sticker"), _media),
}
