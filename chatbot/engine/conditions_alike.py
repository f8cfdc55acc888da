"""What follows from conditions: that another is never looked at, that a variable has a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatbot.engine.conditions import All, AnyOf, Compare, Condition, NoneOf

_NEED_A_VALUE = ("filled", "lt", "le", "gt", "ge", "contains")
_EMPTY = frozenset(("", None))


def earlier_takes_all(conditions: Sequence[Condition]) -> int:
    """The number (from 1) of the condition because of which the last is never looked at; its own
    number when it can never hold by itself; 0 when it may be taken."""
    *earlier, last = map(_plain, conditions)
    for number, one in enumerate(earlier, 1):
        if one in (last, True):
            return number
    return len(conditions) if last is False else 0


def has_value(condition: Condition, *, holds: bool = True) -> set[str]:
    """The variables that are sure to have a value when the condition holds, or does not."""
    match condition:
        case All(all=parts):
            return _in_parts(parts, holds=holds, every=holds)
        case AnyOf(any=parts):
            return _in_parts(parts, holds=holds, every=not holds)
        case NoneOf(none=parts):
            return _in_parts(parts, holds=not holds, every=holds)
        case Compare(variable=name, op=op, value=value):
            values = value if isinstance(value, tuple) else (value,)
            is_some = op in _NEED_A_VALUE or (op in ("eq", "in") and not _EMPTY & {*values})
            if op in ("ne", "empty"):
                is_some = not holds and (op == "empty" or not _EMPTY & {*values})
                return {name} if is_some else set()
            return {name} if is_some and holds else set()
    return set()


def _in_parts(parts: tuple[Condition, ...], *, holds: bool, every: bool) -> set[str]:
    """What follows from all of them together, or from whichever it is."""
    names = [has_value(one, holds=holds) for one in parts]
    if every:
        return set().union(*names)
    return set.intersection(*names) if names else set()


def _plain(condition: Condition) -> Any:
    """The condition without what makes no difference: True or False when it is always so."""
    match condition:
        case All(all=parts):
            return _joined("all", [_plain(one) for one in parts], neutral=True)
        case AnyOf(any=parts):
            return _joined("any", [_plain(one) for one in parts], neutral=False)
        case NoneOf(none=parts):
            inner = _joined("any", [_plain(one) for one in parts], neutral=False)
            return (not inner) if isinstance(inner, bool) else ("not", inner)
        case Compare(variable=name, op=op, value=value):
            shown = "" if op in ("filled", "empty") else repr(value)
            return ("compare", name, op, shown)
    return tuple(sorted((name, repr(one)) for name, one in condition.model_dump().items()))


def _joined(word: str, parts: list[Any], *, neutral: bool) -> Any:
    telling = [one for one in dict.fromkeys(parts) if one is not neutral]
    if (not neutral) in telling:
        return not neutral
    if len(telling) < 2:  # noqa: PLR2004 - one of one is that one
        return telling[0] if telling else neutral
    return (word, frozenset(telling))
