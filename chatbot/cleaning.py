"""What a provider may send and no database or encoder accepts: NUL and lone surrogates."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

Item = TypeVar("Item")


def clean_text(text: str) -> str:
    """`text` with each NUL and lone surrogate as U+FFFD; otherwise exactly what came."""
    return _UNSTORABLE.sub("\ufffd", text)


def clean(value: Any) -> Any:
    """The same for every text inside a JSON value, keys included."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean(key): clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [clean(one) for one in value]
    return value


def clean_item(item: Item) -> Item:
    """A parsed item (see channels.inbound) all of whose texts can be stored."""
    cleaned: Item = _cleaned(item)
    return cleaned


def _cleaned(value: Any) -> Any:
    """`clean`, also inside dataclasses and with tuples and enumerations as they are."""
    if type(value) is str:
        return clean_text(value)
    if isinstance(value, dict | list):
        return clean(value)
    if isinstance(value, tuple):
        return tuple(map(_cleaned, value))
    if is_dataclass(value) and not isinstance(value, type):
        parts = {one.name: getattr(value, one.name) for one in fields(value)}
        return replace(value, **{name: _cleaned(part) for name, part in parts.items()})
    return value
