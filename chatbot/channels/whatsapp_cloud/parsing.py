"""A webhook body as neutral items: every entry, change, message, echo, status and error of it.

Meta's docs: "Webhooks, overview" (batches of up to 1,000 updates) and "messages reference". Each
item stands alone: what cannot be used becomes `Unusable` and disturbs no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chatbot.channels import reading
from chatbot.channels.base import Malformed
from chatbot.channels.inbound import (
    AccountNotice,
    EchoMessage,
    IdentityChange,
    Inbound,
    InboundMessage,
    MarketingPreference,
    Unusable,
)
from chatbot.channels.whatsapp_cloud import identity, messages, notices, statuses
from chatbot.channels.whatsapp_cloud.identity import Json
from chatbot.channels.whatsapp_cloud.place import OBJECT, Place

# Bulk copies of what was said elsewhere or before: never answered, nothing to keep.
_NOT_OURS = {
    "history": "old messages of a number that was just connected",
    "standby": "another application has the conversation",
    "smb_app_state_sync": "the address book of the phone app",
}


def parse_body(body: bytes) -> list[Inbound]:
    """Every item, in order. Raises Malformed, and nothing else, when nothing can be read."""
    document = reading.load(body)
    if not isinstance(document, dict):
        raise Malformed(f"not an object: {type(document).__name__}")
    about = reading.text(document, "object")
    if about and about != OBJECT:
        reason = f"object {about[:40]}"
        return [Unusable(None, None, raw=document, reason=reason, is_quarantined=False)]
    if not isinstance(document.get("entry"), list):
        raise Malformed("no list of entries")
    found = list(_once_each(_of_entries(document["entry"])))
    return found or [Unusable(None, None, raw=document, reason="empty body", is_quarantined=False)]


def _once_each(found: Iterator[Inbound]) -> Iterator[Inbound]:
    """Drops the second copy of a message inside one body; a status may rightly come twice."""
    seen: set[tuple[str | None, str]] = set()
    for item in found:
        if isinstance(item, InboundMessage | EchoMessage | IdentityChange) and item.provider_id:
            key = (item.account, item.provider_id)
            if key in seen:
                continue
            seen.add(key)
        yield item


def _of_entries(entries: list[object]) -> Iterator[Inbound]:
    for entry in entries:
        if not isinstance(entry, dict):
            yield _broken({"object": OBJECT, "entry": [entry]}, "entry is not an object")
        elif entry.get("changes") and not isinstance(entry["changes"], list):
            yield _broken({"object": OBJECT, "entry": [entry]}, "changes is not a list")
        else:
            for change in reading.items(entry, "changes"):
                yield from _of_change(entry, change)


def _broken(raw: Json, reason: str) -> Unusable:
    return Unusable(None, None, raw=raw, reason=reason)


def _of_change(entry: Json, change: object) -> Iterator[Inbound]:
    found = reading.as_mapping(change)
    if not isinstance(found.get("value"), dict):
        raw = {"object": OBJECT, "entry": [{**entry, "changes": [change]}]}
        yield _broken(raw, "change has no value")
        return
    place = Place(entry, reading.text(found, "field") or "messages", found["value"])
    reader = _FIELDS.get(place.field, _notice)
    yield from reader(place)


def _messages(place: Place) -> Iterator[Inbound]:
    """messages, statuses and errors may stand side by side."""
    yield from _each(place, "messages", messages.inbound)
    yield from _each(place, "statuses", statuses.status)
    if place.value.get("errors") and not messages.has_unsupported(place):
        yield from notices.account_errors(place)


def _echoes(place: Place) -> Iterator[Inbound]:
    yield from _each(place, "message_echoes", messages.echo)


def _preferences(place: Place) -> Iterator[Inbound]:
    yield from _each(place, "user_preferences", _preference)


def _preference(place: Place, item: Json) -> Inbound:
    """Meta's docs: "user_preferences". The time is a number here; stop, resume or signup."""
    known = identity.read(item, "wa_id", "user_id", "parent_user_id")
    contact = place.contact(known)
    raw = place.raw("user_preferences", item, contact=contact)
    at = reading.time(item, "timestamp")
    wish = reading.text(item, "value")
    category = reading.text(item, "category") or "marketing_messages"
    if not known or category != "marketing_messages" or wish not in {"stop", "resume", "signup"}:
        return Unusable(place.account, at, raw=raw, reason="unknown preference or nobody's")
    return MarketingPreference(
        place.account,
        at,
        raw=raw,
        sender=identity.sender(known, contact),
        opted_out=wish == "stop",
        detail=reading.text(item, "detail") or "",
    )


def _user_id_updates(place: Place) -> Iterator[Inbound]:
    yield from _each(place, "user_id_update", _user_id_update)


def _user_id_update(place: Place, item: Json) -> Inbound:
    """Documented in March 2026 and withdrawn in August in favour of `system` messages."""
    user_ids = reading.mapping(item, "user_id")
    old = identity.addresses(
        identity.phone_in(item, "wa_id"), identity.user_in(user_ids, "previous")
    )
    new = identity.addresses(identity.user_in(user_ids, "current"))
    contact = place.contact(old)
    raw = place.raw("user_id_update", item, contact=contact)
    at = reading.time(item, "timestamp")
    if not old or not new:
        return Unusable(place.account, at, raw=raw, reason="user id update without old or new")
    return IdentityChange(
        place.account,
        at,
        raw=raw,
        provider_id="",
        old=identity.sender(old, contact),
        new=new,
        body=reading.text(item, "detail") or "",
    )


def _not_ours(place: Place) -> Iterator[Inbound]:
    raw = place.body({key: place.value[key] for key in ("metadata",) if key in place.value})
    reason = f"{place.field}: {_NOT_OURS[place.field]}"
    yield Unusable(place.account, None, raw=raw, reason=reason, is_quarantined=False)


def _notice(place: Place) -> Iterator[Inbound]:
    """News of the account: message template status, quality, bans …, and fields yet to come."""
    names = ("message_template_name", "message_template_language", "reason")
    detail = " ".join(filter(None, (reading.words(place.value, name) for name in names)))
    yield AccountNotice(
        place.account,
        None,
        raw=place.body(place.value),
        field_name=place.field,
        code=reading.words(place.value, "event"),
        detail=detail,
    )


def _each(place: Place, key: str, read: Callable[[Place, Json], Inbound]) -> Iterator[Inbound]:
    for item in reading.items(place.value, key):
        if isinstance(item, dict):
            yield read(place, item)
        else:
            raw = place.raw(key, item)
            yield Unusable(place.account, None, raw=raw, reason=f"{key}: not an object")


_FIELDS: dict[str, Callable[[Place], Iterator[Inbound]]] = {
    "messages": _messages,
    "smb_message_echoes": _echoes,
    "user_preferences": _preferences,
    "user_id_update": _user_id_updates,
    "phone_number_quality_update": notices.number_quality,
    "account_update": notices.account_update,
    "account_alerts": notices.account_alerts,
    **dict.fromkeys(_NOT_OURS, _not_ours),
}
