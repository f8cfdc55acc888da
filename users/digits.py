"""Whole numbers in addresses and forms, where anybody may have written anything."""

from __future__ import annotations

KEY = 18  # digits that a BigAutoField takes
COUNT = 9  # digits that a PositiveIntegerField takes


def whole(text: object, *, most: int = KEY) -> int | None:
    """The number that a text of ASCII digits says; None for any other text, and for one so long
    that no column holds it."""
    is_number = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= most
    return int(text) if is_number else None  # type: ignore[call-overload]  # a text: see above
