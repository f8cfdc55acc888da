"""What a message template consists of, which values it needs, and how it reads with them.

`components` are kept in the provider's form; here they are read tolerantly. A value is named by its
place: `1` or `nome` in the body, `header.1` or `header.nome` in a header's text, `header` the link
of a header's picture, video or document, `header.latitude` … of a place, `button.0` what completes
the address or the code of the first button.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chatbot.channels.content import Option

HEADER_LENGTH, BODY_LENGTH, FOOTER_LENGTH = 60, 1024, 60
LABEL_LENGTH, URL_LENGTH, PHONE_LENGTH, CODE_LENGTH = 25, 2000, 20, 20
MOST_BUTTONS = 10
NAME_LENGTH = 512
SPACES = 4  # in a row, within a value

MEDIA = ("IMAGE", "VIDEO", "DOCUMENT")
PLACE = {"latitude": True, "longitude": True, "name": False, "address": False}  # needed?
VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]{1,60})\s*\}\}")
_KNOWN = frozenset({"HEADER", "BODY", "FOOTER", "BUTTONS"})
_BUTTONS = frozenset({"QUICK_REPLY", "URL", "PHONE_NUMBER", "COPY_CODE", "OTP", "FLOW"})

Json = dict[str, Any]


@dataclass(frozen=True)
class Header:
    """`kind` is TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION; "" without a header."""

    kind: str = ""
    text: str = ""


@dataclass(frozen=True)
class Button:
    index: int
    kind: str
    text: str
    url: str = ""
    phone: str = ""

    @property
    def key(self) -> str:
        """The value that it needs, if it needs one."""
        needs = self.kind == "COPY_CODE" or (self.kind == "URL" and VARIABLE.search(self.url))
        return f"button.{self.index}" if needs else ""


@dataclass(frozen=True)
class Variable:
    """`key` names the value; `where` is header, body or button; `longest` 0: no limit of its
    own."""

    key: str
    where: str
    name: str
    example: str = ""
    is_needed: bool = True
    longest: int = 0


@dataclass(frozen=True)
class Piece:
    """A stretch of text; with `key` it stands for a value."""

    text: str
    key: str = ""
    is_filled: bool = False


@dataclass(frozen=True)
class Parts:
    header: Header
    body: str
    footer: str
    buttons: tuple[Button, ...]
    variables: tuple[Variable, ...]
    unknown: tuple[str, ...] = ()  # kinds of parts that cannot be filled here

    @property
    def needed(self) -> tuple[str, ...]:
        return tuple(one.key for one in self.variables if one.is_needed)


@dataclass(frozen=True)
class BadValue:
    """`problem` is missing, unknown, line_break, spaces, too_long, link or number."""

    key: str
    problem: str
    limit: int = 0


# --- Reading -----------------------------------------------------------------------------------


def parts_of(components: object, *, is_named: bool) -> Parts:
    """Total over every JSON value: what is not understood is named in `unknown`."""
    found = _mappings(components)
    by_kind = {_word(one, "type"): one for one in reversed(found)}
    header, body = by_kind.get("HEADER", {}), by_kind.get("BODY", {})
    head = _header(header)
    buttons = tuple(_buttons(by_kind.get("BUTTONS", {})))
    return Parts(
        header=head,
        body=_text(body, "text"),
        footer=_text(by_kind.get("FOOTER", {}), "text"),
        buttons=buttons,
        variables=(
            *_of_header(head, header),
            *_of_text(body, "body_text", BODY_LENGTH, is_named=is_named),
            *_of_buttons(buttons, by_kind.get("BUTTONS", {})),
        ),
        unknown=tuple(_unknown(by_kind, head, buttons)),
    )


def names_in(text: str) -> list[str]:
    """The variables of a text, each once, in their order."""
    return list(dict.fromkeys(VARIABLE.findall(text)))


def _header(component: Json) -> Header:
    kind = _word(component, "format") or ("TEXT" if component else "")
    return Header(kind, _text(component, "text") if kind == "TEXT" else "")


def _buttons(component: Json) -> Iterator[Button]:
    for index, one in enumerate(_mappings(component.get("buttons"))):
        yield Button(
            index,
            _word(one, "type"),
            _text(one, "text"),
            url=_text(one, "url"),
            phone=_text(one, "phone_number"),
        )


def _unknown(by_kind: Mapping[str, Json], header: Header, buttons: Sequence[Button]) -> list[str]:
    parts = [kind for kind in by_kind if kind not in _KNOWN]
    if header.kind and header.kind not in {"TEXT", "LOCATION", *MEDIA}:
        parts.append(header.kind)
    return [*parts, *dict.fromkeys(one.kind for one in buttons if one.kind not in _BUTTONS)]


def _of_header(header: Header, component: Json) -> Iterator[Variable]:
    if header.kind in MEDIA:
        yield Variable("header", "header", header.kind.lower(), longest=URL_LENGTH)
    elif header.kind == "LOCATION":
        for name, is_needed in PLACE.items():
            yield Variable(f"header.{name}", "header", name, is_needed=is_needed, longest=200)
    else:
        examples = _examples(component, "header_text", names_in(header.text))
        for name in names_in(header.text):
            key = f"header.{name}"
            yield Variable(key, "header", name, examples.get(name, ""), longest=HEADER_LENGTH)


def _of_text(component: Json, kind: str, longest: int, *, is_named: bool) -> Iterator[Variable]:
    names = names_in(_text(component, "text"))
    if not is_named:
        names.sort(key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0))
    examples = _examples(component, kind, names)
    for name in names:
        yield Variable(name, "body", name, examples.get(name, ""), longest=longest)


def _of_buttons(buttons: Sequence[Button], component: Json) -> Iterator[Variable]:
    rows = _mappings(component.get("buttons"))
    for button in buttons:
        if not button.key:
            continue
        example = rows[button.index].get("example")
        shown = example[0] if _is_list(example) and example else example
        longest = CODE_LENGTH if button.kind == "COPY_CODE" else URL_LENGTH
        text = shown if isinstance(shown, str) else ""
        yield Variable(button.key, "button", button.text, _suffix(button, text), longest=longest)


def _suffix(button: Button, example: str) -> str:
    """The example of an address is the whole address: what stands for the variable in it."""
    return example.removeprefix(VARIABLE.split(button.url)[0]) if button.url else example


def _examples(component: Json, kind: str, names: Sequence[str]) -> dict[str, str]:
    """By name, in either of the provider's forms."""
    example = component.get("example")
    example = example if isinstance(example, dict) else {}
    named = _mappings(example.get(f"{kind}_named_params"))
    if named:
        return {_text(one, "param_name"): _text(one, "example") for one in named}
    values = example.get(kind)
    if _is_list(values) and values and _is_list(values[0]):
        values = values[0]
    texts = [one for one in values or () if isinstance(one, str)] if _is_list(values) else []
    return dict(zip(names, texts, strict=False))


# --- Checking values ---------------------------------------------------------------------------


def bad_values(parts: Parts, values: Mapping[str, str]) -> list[BadValue]:
    """What the provider would refuse about these values; [] when they may go."""
    known = {one.key: one for one in parts.variables}
    found = [BadValue(key, "unknown") for key in values if key not in known and values[key]]
    for key, variable in known.items():
        problem = _bad_value(parts, variable, values.get(key, ""))
        if problem:
            found.append(problem)
    return found or list(_too_long(parts, values))


def _bad_value(parts: Parts, variable: Variable, value: str) -> BadValue | None:
    key = variable.key
    if not value.strip():
        return BadValue(key, "missing") if variable.is_needed else None
    if not value.replace(" ", "").isprintable():
        return BadValue(key, "line_break")
    if " " * (SPACES + 1) in value:
        return BadValue(key, "spaces", SPACES)
    if variable.longest and len(value) > variable.longest:
        return BadValue(key, "too_long", variable.longest)
    return _bad_form(parts, key, value)


def _bad_form(parts: Parts, key: str, value: str) -> BadValue | None:
    if key == "header" and not re.fullmatch(r"https://[^\s/]+/?\S*", value):
        return BadValue(key, "link")
    limits = {"header.latitude": 90, "header.longitude": 180}
    if parts.header.kind == "LOCATION" and key in limits:
        is_number = re.fullmatch(r"-?[0-9]{1,3}(\.[0-9]{1,12})?", value)
        if not is_number or abs(float(value)) > limits[key]:
            return BadValue(key, "number")
    if key.startswith("button.") and " " in value:
        return BadValue(key, "link")
    return None


def _too_long(parts: Parts, values: Mapping[str, str]) -> Iterator[BadValue]:
    if len(filled(parts.body, values)) > BODY_LENGTH:
        yield BadValue("body", "too_long", BODY_LENGTH)
    if len(filled(parts.header.text, values, "header.")) > HEADER_LENGTH:
        yield BadValue("header", "too_long", HEADER_LENGTH)


# --- Filling -----------------------------------------------------------------------------------


def filled(text: str, values: Mapping[str, str], prefix: str = "") -> str:
    """The text with its values; a variable without one stays as it is. What a value holds is not
    looked at again."""
    return "".join(piece.text for piece in pieces(text, values, prefix))


def pieces(text: str, values: Mapping[str, str], prefix: str = "") -> list[Piece]:
    found: list[Piece] = []
    end = 0
    for match in VARIABLE.finditer(text):
        if match.start() > end:
            found.append(Piece(text[end : match.start()]))
        key = f"{prefix}{match[1]}"
        value = values.get(key, "")
        found.append(Piece(value or f"{{{{{match[1]}}}}}", key, bool(value)))
        end = match.end()
    return [*found, Piece(text[end:])] if end < len(text) else found


@dataclass(frozen=True)
class Preview:
    """A template as the customer would see it, with what is filled in and what is not."""

    header_kind: str
    header: tuple[Piece, ...]
    body: tuple[Piece, ...]
    footer: str
    buttons: tuple[Option, ...]


def preview_of(parts: Parts, values: Mapping[str, str]) -> Preview:
    return Preview(
        header_kind=parts.header.kind,
        header=tuple(pieces(parts.header.text, values, "header.")),
        body=tuple(pieces(parts.body, values)),
        footer=parts.footer,
        buttons=options_of(parts, values),
    )


def build(parts: Parts, values: Mapping[str, str], *, is_named: bool) -> list[Json]:
    """The `components` of a send. The values have been checked."""
    head = _send_header(parts, values, is_named=is_named)
    body = [
        _text_parameter(one.name, values[one.key], is_named=is_named)
        for one in parts.variables
        if one.where == "body"
    ]
    return [
        *([{"type": "header", "parameters": head}] if head else []),
        *([{"type": "body", "parameters": body}] if body else []),
        *filter(None, (_send_button(one, values) for one in parts.buttons)),
    ]


def options_of(parts: Parts, values: Mapping[str, str]) -> tuple[Option, ...]:
    """The buttons as the customer saw them. A quick reply comes back with its own text."""
    return tuple(
        Option(one.text, one.text or one.kind, _under(one, values)) for one in parts.buttons
    )


def _under(button: Button, values: Mapping[str, str]) -> str:
    if button.kind == "URL":
        return VARIABLE.sub(lambda _found: values.get(button.key, "…"), button.url)
    return button.phone or (values.get(button.key, "") if button.key else "")


def _send_header(parts: Parts, values: Mapping[str, str], *, is_named: bool) -> list[Json]:
    kind = parts.header.kind
    if kind in MEDIA:
        return [{"type": kind.lower(), kind.lower(): {"link": values["header"]}}]
    if kind == "LOCATION":
        place: Json = {name: values.get(f"header.{name}", "") for name in PLACE}
        return [{"type": "location", "location": {key: one for key, one in place.items() if one}}]
    return [
        _text_parameter(one.name, values[one.key], is_named=is_named)
        for one in parts.variables
        if one.where == "header"
    ]


def _text_parameter(name: str, value: str, *, is_named: bool) -> Json:
    named = {"parameter_name": name} if is_named else {}
    return {"type": "text", **named, "text": value}


def _send_button(button: Button, values: Mapping[str, str]) -> Json | None:
    kind = ""
    parameter: Json = {}
    match button.kind:
        case "URL" if button.key:
            kind, parameter = "url", {"type": "text", "text": values[button.key]}
        case "COPY_CODE":
            kind = "copy_code"
            parameter = {"type": "coupon_code", "coupon_code": values[button.key]}
        case "OTP":  # the code of the body once more, for the button that copies it
            kind, parameter = "url", {"type": "text", "text": values.get("1", "")}
        case "FLOW":
            kind, parameter = "flow", {"type": "action", "action": {"flow_token": "unused"}}
    if not kind:
        return None
    return {
        "type": "button",
        "sub_type": kind,
        "index": str(button.index),
        "parameters": [parameter],
    }


# --- Tolerance ---------------------------------------------------------------------------------


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _mappings(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if _is_list(value) else []


def _text(source: Json, key: str) -> str:
    value = source.get(key)
    return value if isinstance(value, str) else ""


def _word(source: Json, key: str) -> str:
    return _text(source, key).upper()
