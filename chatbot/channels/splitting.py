"""Cutting texts to a channel's limits where it hurts least.

Lengths are counted in UTF-16 units: providers do not say how they count an emoji, and no text is
longer in code points than in these.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

ELLIPSIS = "…"
_ZERO_WIDTH_JOINER = "\u200d"
# Where a text may be parted, best first: paragraph, line, sentence, word.
_BREAKS = tuple(re.compile(pattern) for pattern in (r"\n[ \t]*\n", r"\n", r"(?<=[.!?…])\s", r"\s"))


def size(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(text: str, limit: int) -> list[str]:
    """Parts of at most `limit`, none blank; nothing but white space at the breaks is lost."""
    parts = []
    rest = text.strip()
    while size(rest) > limit:
        end = _break_before(rest, limit)
        parts.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [part for part in (*parts, rest) if part]


def cut(text: str, limit: int) -> str:
    """The text, or its beginning with an ellipsis; "" when there is room for nothing."""
    if size(text) <= limit:
        return text
    if limit < 1:
        return ""
    return text[: _fitting(text, limit - 1)].rstrip() + ELLIPSIS


def unique_titles(titles: Sequence[str], limit: int) -> list[str] | None:
    """Titles cut to `limit` and told apart by a number; None when that cannot be done."""
    taken: set[str] = set()
    unique = []
    for title in titles:
        chosen = _free_title(title, taken, limit)
        if chosen is None:
            return None
        taken.add(chosen.casefold())
        unique.append(chosen)
    return unique


def _free_title(title: str, taken: set[str], limit: int) -> str | None:
    candidate, number = cut(title, limit), 1
    while candidate.casefold() in taken:
        number += 1
        suffix = f" ({number})"
        candidate = cut(title, limit - len(suffix)) + suffix
    return candidate if 0 < size(candidate) <= limit else None


def _break_before(text: str, limit: int) -> int:
    """Where to end a part: the best kind of break in the second half of what fits."""
    end = _fitting(text, limit)
    for pattern in _BREAKS:
        found = [match.start() for match in pattern.finditer(text, end // 2, end + 1)]
        if found and found[-1] > 0:
            return found[-1]
    return end


def _fitting(text: str, limit: int) -> int:
    """How many characters fit, not parting an emoji or a letter from its accent; at least one."""
    end = min(limit, len(text))
    while (excess := size(text[:end]) - limit) > 0:
        end -= (excess + 1) // 2
    whole = end
    while whole > 0 and whole < len(text) and _is_joined(text[whole - 1], text[whole]):
        whole -= 1
    return whole or max(end, 1)


def _is_joined(before: str, after: str) -> bool:
    return (
        _ZERO_WIDTH_JOINER in {before, after}
        or unicodedata.combining(after) > 0
        or unicodedata.category(after) == "Mn"
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
    )
