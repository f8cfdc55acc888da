"""One entry of `statuses`. Meta's docs: "Webhooks, status messages reference"."""

from __future__ import annotations

from chatbot.channels import reading
from chatbot.channels.inbound import Address, Inbound, Sender, StatusUpdate, Unusable
from chatbot.channels.whatsapp_cloud import contents, identity
from chatbot.channels.whatsapp_cloud.identity import Json
from chatbot.channels.whatsapp_cloud.place import Place

_KNOWN = frozenset({"sent", "delivered", "read", "played", "failed"})


def status(place: Place, item: Json) -> Inbound:
    """How far a message of ours has come. Order and repetition are the receiver's matter."""
    recipient = Sender(_recipient(item))
    raw = place.raw("statuses", item, contact=place.contact(recipient.addresses))
    at = reading.time(item, "timestamp")
    value = reading.text(item, "status") or ""
    provider_id = reading.identifier(item, "id")
    if not provider_id:
        return Unusable(place.account, at, raw=raw, reason="status without id")
    if value not in _KNOWN:
        reason = f"status {value[:40]}"
        return Unusable(place.account, at, raw=raw, reason=reason, is_quarantined=False)
    code, detail = _first_error(item)
    return StatusUpdate(
        place.account,
        at,
        raw=raw,
        provider_id=provider_id,
        status=value,
        recipient=recipient,
        callback_data=reading.text(item, "biz_opaque_callback_data") or "",
        error_code=code,
        error_detail=detail,
        pricing=reading.mapping(item, "pricing"),
    )


def _recipient(item: Json) -> tuple[Address, ...]:
    """In a group recipient_id is the group; the person is the participant."""
    if reading.text(item, "recipient_type") == "group":
        return identity.read(item, "recipient_participant_id", "recipient_participant_user_id")
    return identity.read(
        item,
        "recipient_id",
        "recipient_user_id",
        "recipient_parent_user_id",
        "parent_recipient_user_id",  # the name before May 2026
    )


def _first_error(item: Json) -> tuple[str, str]:
    error = next(iter(contents.errors(item)), None)
    return (error["code"], error["detail"] or error["title"]) if error else ("", "")
