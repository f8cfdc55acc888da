"""What the form of a passo holds, as texts, and how a passo becomes that and back.

Names are dotted paths into the passo (`media.url`). A list of things has rows: their keys stand, in
order, under `options[]`, and what belongs to one under `options.<key>.label`. So a row can be moved
by moving its elements on the page, with or without a script.

Each `Codec` writes one value of the stored passo into a form and reads it back. What cannot be
converted is passed on as it was typed: `parse_flow` then says what is wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from chatbot.engine.numbers import parse_number
from chatbot.engine.render import placeholders

if TYPE_CHECKING:
    from django.http import QueryDict

ROWS = "[]"
NEW = "+"  # an exit that leads to a passo which is made when the form is saved
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,10})?")


class _Missing:
    """Nothing: the document leaves the field at its default."""


MISSING = _Missing()


class Raw:
    """Texts by name; a name may have several."""

    def __init__(self, values: Mapping[str, list[str]] | None = None) -> None:
        self._values: dict[str, list[str]] = {
            name: list(texts) for name, texts in (values or {}).items()
        }

    @classmethod
    def posted(cls, data: QueryDict) -> Raw:
        """As somebody sent it, with the line breaks that documents have."""
        return cls(
            {
                name: [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
                for name, texts in data.lists()
            }
        )

    def text(self, name: str) -> str:
        return (self._values.get(name) or [""])[0]

    def all(self, name: str) -> list[str]:
        return list(self._values.get(name, ()))

    def put(self, name: str, *texts: str) -> None:
        self._values[name] = list(texts)

    def rows(self, name: str) -> list[str]:
        """The keys of a list's rows, each once."""
        return list(dict.fromkeys(self.all(name + ROWS)))

    def add_row(self, name: str) -> str:
        """A new row at the end, and its key."""
        keys = self.rows(name)
        number = len(keys)
        while f"n{number}" in keys:
            number += 1
        self.put(name + ROWS, *keys, f"n{number}")
        return f"n{number}"

    def remove_row(self, name: str, key: str) -> None:
        self.put(name + ROWS, *(one for one in self.rows(name) if one != key))
        self.forget(f"{name}.{key}")

    def move_row(self, name: str, key: str, by: int) -> None:
        keys = self.rows(name)
        if key not in keys:
            return
        place = keys.index(key)
        there = min(max(place + by, 0), len(keys) - 1)
        keys.insert(there, keys.pop(place))
        self.put(name + ROWS, *keys)

    def names(self) -> list[str]:
        return list(self._values)

    def forget(self, name: str) -> None:
        """Everything under a name."""
        for one in [one for one in self._values if belongs(one, name)]:
            del self._values[one]

    def take(self, other: Raw, name: str) -> None:
        """Everything under a name as the other form has it."""
        self.forget(name)
        for one, texts in other._values.items():
            if belongs(one, name):
                self._values[one] = list(texts)


def belongs(name: str, whole: str) -> bool:
    """Whether a name is the whole or one of its parts."""
    return name in (whole, whole + ROWS) or name.startswith(whole + ".")


class Codec(Protocol):
    def write(self, raw: Raw, name: str, value: Any) -> None:
        """Put a stored value into a form."""

    def read(self, raw: Raw, name: str) -> Any:
        """The value as a document has it; MISSING where it has none."""


@dataclass(frozen=True)
class TextOf:
    """A text; a short one without the blanks around it."""

    is_line: bool = False
    default: str = ""

    def write(self, raw: Raw, name: str, value: Any) -> None:
        raw.put(name, self.default if value is MISSING else str(value))

    def read(self, raw: Raw, name: str) -> Any:
        return raw.text(name).strip() if self.is_line else raw.text(name)


@dataclass(frozen=True)
class NumberOf:
    """A number; `is_optional`: nothing is a value too (None), else the default."""

    default: int | None = None
    is_optional: bool = False

    def write(self, raw: Raw, name: str, value: Any) -> None:
        shown = self.default if value is MISSING else value
        raw.put(name, "" if shown is None else _as_typed(shown))

    def read(self, raw: Raw, name: str) -> Any:
        text = raw.text(name).strip()
        if not text:
            return None if self.is_optional else MISSING
        return number_typed(text)


@dataclass(frozen=True)
class YesOf:
    """A box that is ticked or not. `name` alone says that the form asked: an unticked box sends
    nothing."""

    default: bool = False

    def write(self, raw: Raw, name: str, value: Any) -> None:
        is_on = self.default if value is MISSING else bool(value)
        raw.put(name, *(["1"] if is_on else []))

    def read(self, raw: Raw, name: str) -> Any:
        return bool(raw.text(name))


@dataclass(frozen=True)
class LinesOf:
    """Several short texts, one a line."""

    def write(self, raw: Raw, name: str, value: Any) -> None:
        raw.put(name, "\n".join(() if value is MISSING else map(str, value)))

    def read(self, raw: Raw, name: str) -> Any:
        lines = (line.strip() for line in raw.text(name).split("\n"))
        return [line for line in lines if line]


@dataclass(frozen=True)
class ThingOf:
    """Fields that belong together. With `shown_by` the whole is optional: it exists when that field
    has a text, or any other of them has."""

    fields: Mapping[str, Codec]
    shown_by: str = ""

    def write(self, raw: Raw, name: str, value: Any) -> None:
        for key, codec in self.fields.items():
            inner = MISSING if value is MISSING or value is None else value.get(key, MISSING)
            codec.write(raw, f"{name}.{key}", inner)

    def read(self, raw: Raw, name: str) -> Any:
        if self.shown_by and not any(raw.text(f"{name}.{key}").strip() for key in self._telling()):
            return MISSING
        return read_all(self.fields, raw, f"{name}.")

    def _telling(self) -> Iterator[str]:
        return (key for key, one in self.fields.items() if isinstance(one, TextOf))


@dataclass(frozen=True)
class ListOf:
    """A list of things, one a row."""

    fields: Mapping[str, Codec]

    def write(self, raw: Raw, name: str, value: Any) -> None:
        things = [] if value is MISSING else value
        raw.put(name + ROWS, *map(str, range(len(things))))
        for key, thing in enumerate(things):
            for inner, codec in self.fields.items():
                codec.write(raw, f"{name}.{key}.{inner}", thing.get(inner, MISSING))

    def read(self, raw: Raw, name: str) -> Any:
        return [read_all(self.fields, raw, f"{name}.{key}.") for key in raw.rows(name)]


@dataclass(frozen=True)
class PairsOf:
    """A mapping, one row a pair; a row with neither name nor value is none."""

    is_line: bool = False

    def write(self, raw: Raw, name: str, value: Any) -> None:
        pairs = {} if value is MISSING else value
        raw.put(name + ROWS, *map(str, range(len(pairs))))
        for key, (inner, one) in enumerate(pairs.items()):
            raw.put(f"{name}.{key}.name", str(inner))
            raw.put(f"{name}.{key}.value", str(one))

    def read(self, raw: Raw, name: str) -> Any:
        pairs: dict[str, str] = {}
        for key in raw.rows(name):
            inner = raw.text(f"{name}.{key}.name").strip()
            one = raw.text(f"{name}.{key}.value")
            one = one.strip() if self.is_line else one
            if inner or one.strip():
                pairs[inner] = one
        return pairs

    def repeated(self, raw: Raw, name: str) -> Iterator[tuple[str, str]]:
        """(key of its row, name) of each pair whose name an earlier row has: a mapping holds one of
        them."""
        names: set[str] = set()
        for key in raw.rows(name):
            inner = raw.text(f"{name}.{key}.name").strip()
            if not inner and not raw.text(f"{name}.{key}.value").strip():
                continue
            if inner in names:
                yield key, inner
            names.add(inner)


@dataclass(frozen=True)
class ScalarOf:
    """A text, a number, yes or no: `name.as` says which, in the same row."""

    def write(self, raw: Raw, name: str, value: Any) -> None:
        value = "" if value is MISSING else value
        text, kind = scalar_typed(value)
        raw.put(name, text)
        raw.put(f"{name}.as", kind)

    def read(self, raw: Raw, name: str) -> Any:
        return scalar_of(raw.text(name), raw.text(f"{name}.as"))


def scalar_typed(value: Any) -> tuple[str, str]:
    """(text, kind) of a stored value in a form."""
    match value:
        case None:
            return "", "nothing"
        case bool():
            return "", "yes" if value else "no"
        case int() | float():
            return _as_typed(value), "number"
    return str(value), "text"


def scalar_of(text: str, kind: str) -> Any:
    """The value that a text of this kind stands for; a number with a variable in it is a text."""
    match kind:
        case "nothing":
            return None
        case "yes" | "no":
            return kind == "yes"
        case "number" if not any(True for _one in placeholders(text)):
            return number_typed(text.strip())
    return text


def number_typed(text: str) -> Any:
    """A number as people or programs write it; the text itself when it is none."""
    if _NUMBER.fullmatch(text):
        number = float(text)
        return int(number) if number.is_integer() and "." not in text else number
    found = parse_number(text)
    return text if found is None else found


def _as_typed(number: Any) -> str:
    return json.dumps(number) if isinstance(number, int | float) else str(number)


# --- Conditions --------------------------------------------------------------------------------

GROUPS = ("all", "any", "none")


@dataclass(frozen=True)
class ConditionOf:
    """A condition as rows with "all", "any" or "none" of them; a row may be such a group again.
    A single condition is a group of one."""

    def write(self, raw: Raw, name: str, value: Any) -> None:
        value = {} if value is MISSING else value
        is_group = any(key in value for key in GROUPS)
        _write_group(raw, name, value if is_group else {"all": [value]})

    def read(self, raw: Raw, name: str) -> Any:
        group = _read_group(raw, name)
        parts = group.get("all", ())
        is_alone = len(parts) == 1 and not any(key in parts[0] for key in GROUPS)
        return parts[0] if is_alone else group


def _write_group(raw: Raw, name: str, group: Mapping[str, Any]) -> None:
    join = next(key for key in GROUPS if key in group)
    raw.put(f"{name}.is", join)
    parts = group[join]
    raw.put(f"{name}.parts{ROWS}", *map(str, range(len(parts))))
    for key, part in enumerate(parts):
        _write_part(raw, f"{name}.parts.{key}", part)


def _write_part(raw: Raw, name: str, part: Mapping[str, Any]) -> None:
    if any(key in part for key in GROUPS):
        _write_group(raw, name, part)
        return
    kind = next((key for key in CONDITION_KINDS if key in part), "variable")
    raw.put(f"{name}.is", kind)
    if kind == "variable":
        _write_comparison(raw, name, part)
    elif kind == "weekday":
        raw.put(f"{name}.weekday", *map(str, part["weekday"]))
    elif kind == "hours":
        raw.put(f"{name}.from", str(part["hours"][0]))
        raw.put(f"{name}.to", str(part["hours"][1]))
    elif kind == "first_contact":
        raw.put(f"{name}.first_contact", "yes" if part["first_contact"] else "no")
    else:
        raw.put(f"{name}.{kind}", str(part[kind]))


def _write_comparison(raw: Raw, name: str, part: Mapping[str, Any]) -> None:
    raw.put(f"{name}.variable", str(part.get("variable", "")))
    raw.put(f"{name}.op", str(part.get("op", "eq")))
    value = part.get("value", "")
    if isinstance(value, list | tuple):
        typed = [scalar_typed(one) for one in value]
        raw.put(f"{name}.value", "\n".join(_shown(*one) for one in typed))
        raw.put(f"{name}.as", *(kind for _text, kind in typed))
        return
    text, kind = scalar_typed(value)
    raw.put(f"{name}.value", _shown(text, kind))
    raw.put(f"{name}.as", kind)


# In a comparison "true" and the value true are the same, so that no separate choice is needed.
_SHOWN = {"yes": "true", "no": "false"}


def _shown(text: str, kind: str) -> str:
    return _SHOWN.get(kind, text)


def _read_group(raw: Raw, name: str) -> dict[str, Any]:
    join = raw.text(f"{name}.is")
    join = join if join in GROUPS else "all"
    return {join: [_read_part(raw, f"{name}.parts.{key}") for key in raw.rows(f"{name}.parts")]}


def _read_part(raw: Raw, name: str) -> Any:
    kind = raw.text(f"{name}.is")
    match kind:
        case "all" | "any" | "none":
            return _read_group(raw, name)
        case "weekday":
            return {"weekday": [number_typed(one) for one in raw.all(f"{name}.weekday")]}
        case "hours":
            return {"hours": [raw.text(f"{name}.from").strip(), raw.text(f"{name}.to").strip()]}
        case "first_contact":
            return {"first_contact": raw.text(f"{name}.first_contact") != "no"}
        case "open" | "tag":
            return {kind: raw.text(f"{name}.{kind}").strip()}
    return _read_comparison(raw, name)


def _read_comparison(raw: Raw, name: str) -> Any:
    read: dict[str, Any] = {"variable": raw.text(f"{name}.variable").strip()}
    operation = raw.text(f"{name}.op") or "eq"
    if operation != "eq":
        read["op"] = operation
    text, given = raw.text(f"{name}.value"), raw.all(f"{name}.as")
    kinds = given or ["text"]
    if operation == "in" and given and not text.strip():
        read["value"] = _compared(text, kinds[0], operation)  # one of nothing: as it was
    elif operation == "in" or len(kinds) > 1:
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        kinds += ["text"] * len(lines)
        read["value"] = [_compared(*one, operation) for one in zip(lines, kinds, strict=False)]
    elif text or kinds != ["text"]:
        read["value"] = _compared(text, kinds[0], operation)
    return read


def _compared(text: str, kind: str, operation: str) -> Any:
    """A value keeps its kind as long as the text still is of that kind; what is compared by size is
    a number where it reads as one."""
    if kind in _SHOWN and text == _SHOWN[kind]:
        return kind == "yes"
    if kind == "nothing" and not text:
        return None
    if kind == "number" or operation in ("lt", "le", "gt", "ge"):
        number = number_typed(text.strip())
        return number if isinstance(number, int | float) else text
    return text


CONDITION_KINDS = ("variable", "open", "tag", "weekday", "hours", "first_contact")


# --- A whole passo -----------------------------------------------------------------------------


def write_all(fields: Mapping[str, Codec], raw: Raw, value: Mapping[str, Any]) -> None:
    for name, codec in fields.items():
        codec.write(raw, name, value.get(name, MISSING))


def read_all(fields: Mapping[str, Codec], raw: Raw, prefix: str = "") -> dict[str, Any]:
    read = {name: codec.read(raw, prefix + name) for name, codec in fields.items()}
    return {name: value for name, value in read.items() if value is not MISSING}


def target_typed(text: str) -> str:
    """A passo that is yet to be made leads nowhere for now."""
    return "" if text == NEW else text


@dataclass(frozen=True)
class TargetOf:
    """The passo that an exit leads to."""

    def write(self, raw: Raw, name: str, value: Any) -> None:
        raw.put(name, "" if value is MISSING else str(value))

    def read(self, raw: Raw, name: str) -> Any:
        return target_typed(raw.text(name).strip())
