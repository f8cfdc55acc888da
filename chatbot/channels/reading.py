"""Reading a provider's JSON without trusting its shape: a wrong type is the same as absent."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from chatbot.channels.base import Malformed

MAX_DEPTH = 64
_LONGEST_INTEGER = 19
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,255}")
_EPOCH = re.compile(r"[0-9]{1,16}")
_FIRST_MILLISECOND = 100_000_000_000  # as seconds this is the year 5138
_POLE, _DATE_LINE = 90, 180
_FIRST_YEAR, _LAST_YEAR = 2009, 2100  # WhatsApp began in 2009


def load(body: bytes) -> Any:
    """The JSON of a body, safe to store as JSON again. Raises Malformed.

    NaN and infinities become None, and integers beyond 64 bits their digits as text: neither
    database keeps them as numbers.
    """
    try:
        document = json.loads(
            body.decode("utf-8-sig"),
            parse_constant=_nothing,
            parse_float=_finite,
            parse_int=_integer,
        )
    except RecursionError:
        raise Malformed("nested too deep") from None
    except ValueError as error:
        raise Malformed(f"not JSON in UTF-8: {type(error).__name__}") from None
    if _is_deeper_than(document, MAX_DEPTH):
        raise Malformed("nested too deep")
    return document


def as_mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def mapping(source: dict[str, Any], key: str) -> dict[str, Any]:
    return as_mapping(source.get(key))


def items(source: dict[str, Any], key: str) -> list[Any]:
    value = source.get(key)
    return value if isinstance(value, list) else []


def mappings(source: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [value for value in items(source, key) if isinstance(value, dict)]


def text(source: dict[str, Any], key: str) -> str | None:
    value = source.get(key)
    return value if isinstance(value, str) else None


def words(source: dict[str, Any], key: str) -> str:
    """A text, or a number as text; "" when absent or anything else."""
    value = source.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def place(source: dict[str, Any]) -> tuple[float, float] | None:
    """`latitude` and `longitude` of an object, if both are on the globe."""
    latitude, longitude = number(source, "latitude"), number(source, "longitude")
    if latitude is None or longitude is None:
        return None
    is_real = abs(latitude) <= _POLE and abs(longitude) <= _DATE_LINE
    return (latitude, longitude) if is_real else None


def identifier(source: dict[str, Any], key: str) -> str:
    """An opaque id: printable ASCII without spaces, at most 255; else ""."""
    value = words(source, key)
    return value if _IDENTIFIER.fullmatch(value) else ""


def number(source: dict[str, Any], key: str) -> float | None:
    value = source.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        result = float(value)
    except ValueError:
        return None
    return result if math.isfinite(result) else None


def time(source: dict[str, Any], key: str) -> datetime | None:
    """Unix seconds or milliseconds, as text or number; None when it cannot be a real time."""
    value = source.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    digits = words({key: value}, key).strip()
    if not _EPOCH.fullmatch(digits):
        return None
    seconds = int(digits)
    if seconds >= _FIRST_MILLISECOND:
        seconds //= 1000
    try:
        at = datetime.fromtimestamp(seconds, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return at if _FIRST_YEAR <= at.year < _LAST_YEAR else None


def _nothing(_constant: str) -> None:
    return None


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else digits


def _is_deeper_than(document: object, limit: int) -> bool:
    level = [document]
    for _ in range(limit):
        level = [child for value in level for child in _children(value)]
        if not level:
            return False
    return True


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
