"""Numbers as people in Brazil write them."""

from __future__ import annotations

import re
from typing import Any

_NUMBER = re.compile(r"[-+]?\d[\d.]*(?:,\d+)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+")
_LARGEST = 10**18
_DIGITS = 15  # what a float holds exactly
_NOISE = re.compile(r"(?i)r\$|reais|real|%|\s")


def parse_number(text: str) -> int | float | None:
    """`1.234,56`, `R$ 50`, `10,5`, `7` → a number; None when it is not one."""
    compact = _NOISE.sub("", text[:80])
    if not compact.isascii() or not _NUMBER.fullmatch(compact) or len(compact) > _DIGITS + 4:
        return None
    if "," in compact or _THOUSANDS.fullmatch(compact):
        compact = compact.replace(".", "").replace(",", ".")
    try:
        number = float(compact)
    except ValueError:  # 1.2.3
        return None
    return int(number) if number.is_integer() else number


def to_number(value: Any) -> int | float | None:
    """A stored value as a number, if it is one or reads as one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if abs(value) <= _LARGEST else None  # nor NaN
    return parse_number(value) if isinstance(value, str) else None
