"""Post to the webhook as Meta does: real bytes, really signed."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.test import Client

from sessions_app.models import Channel, ChannelKind

SECRET = "segredo-ficticio-nao-usar"
NUMBER = "100000000000001"
SECOND_NUMBER = "100000000000002"
PAYLOADS = Path(__file__).parent / "payloads"

_ids = itertools.count(1)


def whatsapp_channel(**fields: Any) -> Channel:
    """The default channel, as `sync_default_channel` makes it."""
    credentials = {
        "app_secret": SECRET,
        "verify_token": "verifica",
        "access_token": "token-ficticio",
    }
    values = {
        "slug": "whatsapp",
        "kind": ChannelKind.WHATSAPP_CLOUD,
        "name": "WhatsApp",
        "external_id": NUMBER,
        "credentials": credentials,
        "is_default": True,
        **fields,
    }
    return Channel.objects.create(**values)


def sign(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(
    client: Client, body: bytes, *, path: str = "/webhook", signature: str | None = None
) -> Any:
    headers = {"X-Hub-Signature-256": sign(body) if signature is None else signature}
    return client.post(path, data=body, content_type="application/json", headers=headers)


def post_file(client: Client, name: str) -> Any:
    return post(client, (PAYLOADS / "whatsapp_cloud" / name).read_bytes())


def message(
    content: dict[str, Any],
    *,
    phone: str = "5511990000001",
    name: str = "Davi Exemplo",
    message_id: str = "",
    at: datetime | None = None,
) -> dict[str, Any]:
    """One entry of `messages`, with its contact, as (value) of a change."""
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551130000000", "phone_number_id": NUMBER},
        "contacts": [{"profile": {"name": name}, "wa_id": phone}],
        "messages": [
            {
                "from": phone,
                "id": message_id or f"wamid.teste.{next(_ids)}",
                "timestamp": str(int((at or datetime.now(UTC)).timestamp())),
                **content,
            }
        ],
    }


def text(body: str, **more: Any) -> dict[str, Any]:
    return message({"type": "text", "text": {"body": body}}, **more)


def button(choice_id: str, title: str, **more: Any) -> dict[str, Any]:
    reply = {"type": "button_reply", "button_reply": {"id": choice_id, "title": title}}
    return message({"type": "interactive", "interactive": reply}, **more)


def status(provider_id: str, value: str, **more: Any) -> dict[str, Any]:
    """A delivery status of a message of ours."""
    entry = {
        "id": provider_id,
        "status": value,
        "timestamp": str(int(datetime.now(UTC).timestamp())),
        "recipient_id": "5511990000001",
        **more,
    }
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551130000000", "phone_number_id": NUMBER},
        "statuses": [entry],
    }


def body_of(*values: dict[str, Any]) -> bytes:
    changes = [{"field": "messages", "value": value} for value in values]
    entry = {"id": "200000000000001", "changes": changes}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def say(client: Client, *values: dict[str, Any]) -> Any:
    """Post these values, signed."""
    return post(client, body_of(*values))
