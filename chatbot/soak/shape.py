"""Is the body of a send one that Meta would take? Meta's docs: "Cloud API, send messages"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]

TO = re.compile(r"\+[1-9][0-9]{7,14}")
RECIPIENT = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")
TEXT, BODY, HEADER, CALLBACK = 4096, 1024, 60, 512
BUTTONS, BUTTON_TITLE, BUTTON_ID = 3, 20, 256
ROWS, ROW_TITLE, ROW_DESCRIPTION, ROW_ID, LIST_BUTTON = 10, 24, 72, 200, 20


def faults_in(body: Any) -> list[str]:
    """What Meta would refuse in it, in words; empty for a good one."""
    if not isinstance(body, dict):
        return ["not a JSON object"]
    return [*_head(body), *_KINDS.get(str(body.get("type")), _unknown)(body)]


def _head(body: Json) -> Iterator[str]:
    if body.get("messaging_product") != "whatsapp":
        yield "messaging_product is not whatsapp"
    to, recipient = body.get("to"), body.get("recipient")
    if to is None and recipient is None:
        yield "neither to nor recipient"
    if to is not None and not TO.fullmatch(str(to)):
        yield "to without + and digits"
    if recipient is not None and not RECIPIENT.fullmatch(str(recipient)):
        yield "recipient is not a user id"
    if "context" in body and not _at(body, "context", "message_id"):
        yield "context without message_id"
    yield from _length(body, "biz_opaque_callback_data", CALLBACK, is_needed=False)


def _text(body: Json) -> Iterator[str]:
    yield from _length(_object(body, "text"), "body", TEXT)


def _media(body: Json) -> Iterator[str]:
    media = _object(body, str(body.get("type")))
    if not (media.get("id") or media.get("link")):
        yield "media without id or link"
    yield from _length(media, "caption", BODY, is_needed=False)


def _interactive(body: Json) -> Iterator[str]:
    found = _object(body, "interactive")
    yield from _length(_object(found, "body"), "text", BODY)
    for part in ("header", "footer"):
        if part in found:
            yield from _length(_object(found, part), "text", HEADER)
    action = _object(found, "action")
    if found.get("type") == "button":
        yield from _buttons(action)
    elif found.get("type") == "list":
        yield from _list(action)
    else:
        yield f"interactive of type {found.get('type')}"


def _buttons(action: Json) -> Iterator[str]:
    replies = [_object(one, "reply") for one in _objects(action, "buttons")]
    if not 1 <= len(replies) <= BUTTONS:
        yield f"{len(replies)} buttons"
    for reply in replies:
        yield from _length(reply, "title", BUTTON_TITLE)
        yield from _length(reply, "id", BUTTON_ID)
    yield from _unique(replies, "title")
    yield from _unique(replies, "id")


def _list(action: Json) -> Iterator[str]:
    yield from _length(action, "button", LIST_BUTTON)
    sections = _objects(action, "sections")
    rows = [row for section in sections for row in _objects(section, "rows")]
    if not 1 <= len(rows) <= ROWS:
        yield f"{len(rows)} rows in a list"
    if len(sections) > 1 and not all(section.get("title") for section in sections):
        yield "sections without a title"
    for row in rows:
        yield from _length(row, "title", ROW_TITLE)
        yield from _length(row, "id", ROW_ID)
        yield from _length(row, "description", ROW_DESCRIPTION, is_needed=False)
    yield from _unique(rows, "id")


def _location(body: Json) -> Iterator[str]:
    place = _object(body, "location")
    if not all(isinstance(place.get(name), int | float) for name in ("latitude", "longitude")):
        yield "location without coordinates"


def _template(body: Json) -> Iterator[str]:
    if not (_at(body, "template", "name") and _at(body, "template", "language", "code")):
        yield "template without name or language"


def _reaction(body: Json) -> Iterator[str]:
    if not _at(body, "reaction", "message_id"):
        yield "reaction to nothing"


def _unknown(body: Json) -> Iterator[str]:
    yield f"unknown type {body.get('type')}"


_KINDS: dict[str, Callable[[Json], Iterator[str]]] = {
    "text": _text,
    "interactive": _interactive,
    "location": _location,
    "template": _template,
    "reaction": _reaction,
    **dict.fromkeys(("image", "video", "audio", "document", "sticker"), _media),
}


def _length(source: Json, key: str, most: int, *, is_needed: bool = True) -> Iterator[str]:
    if key not in source and not is_needed:
        return
    value = source.get(key)
    if not isinstance(value, str) or not value.strip():
        yield f"empty {key}"
    elif len(value) > most:
        yield f"{key} of {len(value)} characters, at most {most}"


def _unique(found: list[Json], key: str) -> Iterator[str]:
    values = [one.get(key) for one in found]
    if len(set(map(str, values))) != len(values):
        yield f"{key} twice"


def _object(source: Any, key: str) -> Json:
    value = source.get(key) if isinstance(source, dict) else None
    return value if isinstance(value, dict) else {}


def _objects(source: Json, key: str) -> list[Json]:
    value = source.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _at(source: Json, *keys: str) -> Any:
    found: Any = source
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found
