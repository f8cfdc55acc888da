"""Values in a context: what may be stored, and how it reads in a text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from chatbot.engine.limits import TEXT_LENGTH

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}")
_DEEP = 4
_LARGEST = 10**18


def clean(text: str, limit: int = TEXT_LENGTH) -> str:
    """Text that every database and JSON parser takes: no NUL, no lone surrogate, not too long."""
    text = text[:limit]
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("\ufffd", text)


def clean_answer(text: str) -> str:
    """What a customer typed, without control and direction characters, trimmed."""
    return _INVISIBLE.sub("", clean(text)).strip()


def is_name(name: Any) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def storable(value: Any, depth: int = 0) -> Any:
    """The value as JSON that reads back equal; what is too large becomes text and is cut."""
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if -_LARGEST <= value <= _LARGEST else None  # nor NaN
    if depth == _DEEP:
        return None
    is_collection = isinstance(value, Mapping | list | tuple)
    return _storable_collection(value, depth) if is_collection else clean(str(value))


def _storable_collection(value: Any, depth: int) -> Any:
    stored: Any
    if isinstance(value, Mapping):
        stored = {clean(str(key), 40): storable(one, depth + 1) for key, one in value.items()}
    else:
        stored = [storable(one, depth + 1) for one in value]
    if depth == 0:
        text = json.dumps(stored, ensure_ascii=False)
        return stored if len(text) <= TEXT_LENGTH else clean(text)
    return stored


def as_text(value: Any, *, shown: bool = True) -> str:
    """How a value reads. `shown`: to a person in Brazil; else plainly, for a machine."""
    match value:
        case str():
            text = _as_day(value) if shown and _ISO_DATE.fullmatch(value) else value
        case None:
            text = ""
        case bool():
            text = ("sim" if value else "não") if shown else str(value).lower()
        case float():
            text = f"{value:.10g}".replace(".", ",") if shown else repr(value)
        case Mapping():
            text = _as_thing(value)
        case list() | tuple():
            text = ", ".join(as_text(one, shown=shown) for one in value)
        case _:
            text = str(value)
    return text


def _as_day(value: str) -> str:
    try:
        return date.fromisoformat(value).strftime("%d/%m/%Y")
    except ValueError:
        return value


def _as_thing(value: Mapping[str, Any]) -> str:
    """A file or a place by the name people would use."""
    for key in ("caption", "filename", "address", "name", "media"):
        if isinstance(value.get(key), str) and value[key]:
            return str(value[key])
    if "latitude" in value and "longitude" in value:
        return f"{value['latitude']}, {value['longitude']}"
    return ""
