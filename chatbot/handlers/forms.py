"""The arguments of a handler as fields that a person fills in, made from their JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chatbot.engine.render import placeholders

ArgumentKind = Literal["text", "integer", "number", "boolean", "choice", "choices", "lines", "json"]

_PLAIN: dict[str, ArgumentKind] = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}
_TRUE, _FALSE = "true", "false"


@dataclass(frozen=True)
class ArgumentField:
    """One argument. What is no text may be given as a placeholder too, so every field reads texts.
    `default` is what the handler takes when nothing is given."""

    name: str
    label: str
    kind: ArgumentKind
    is_required: bool = False
    choices: tuple[str, ...] = ()
    default: str = ""
    help: str = ""

    def texts_of(self, value: Any) -> list[str]:
        """How a stored value stands in the field; several texts for several choices."""
        if self.kind == "choices" and isinstance(value, list | tuple):
            return [str(one) for one in value]
        if self.kind == "lines" and isinstance(value, list | tuple):
            return ["\n".join(map(str, value))]
        if isinstance(value, str):
            return [value]
        return [json.dumps(value, ensure_ascii=False)]

    def value_of(self, texts: list[str]) -> Any:
        """What a field's texts stand for; a text that does not fit stays a text, and the check says
        so."""
        text = texts[0] if texts else ""
        match self.kind:
            case "choices":
                return texts
            case "lines" if not _is_placeholder(text):
                return [line.strip() for line in text.split("\n") if line.strip()]
            case "integer" | "number" | "boolean" | "json":
                return _from_json(text)
        return text


def fields_of(schema: Mapping[str, Any]) -> list[ArgumentField]:
    """One field an argument, in the order declared."""
    required = set(schema.get("required", ()))
    properties = schema.get("properties")
    return [
        _field(str(name), _resolved(one, schema), is_required=name in required)
        for name, one in (properties.items() if isinstance(properties, Mapping) else ())
    ]


def _field(name: str, schema: Mapping[str, Any], *, is_required: bool) -> ArgumentField:
    default = schema.get("default")
    title = str(schema.get("title") or "")
    made_up = name.replace("_", " ").title()  # pydantic's own, from the name
    label = name.replace("_", " ").capitalize() if not title or title == made_up else title
    kind, choices = _kind_of(schema)
    shown = "" if default is None else ", ".join(_texts(default))
    return ArgumentField(
        name, label, kind, is_required, choices, shown, str(schema.get("description") or "")
    )


def _kind_of(schema: Mapping[str, Any]) -> tuple[ArgumentKind, tuple[str, ...]]:
    choices = _choices(schema)
    if choices:
        return "choice", choices
    if schema.get("type") == "array":
        items = schema.get("items")
        items = items if isinstance(items, Mapping) else {}
        inner = _choices(items)
        if inner:
            return "choices", inner
        return ("lines" if items.get("type") == "string" else "json"), ()
    return _PLAIN.get(str(schema.get("type")), "json"), ()


def _choices(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Only texts can be chosen: what a number may be is typed."""
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return tuple(values) if values and all(isinstance(one, str) for one in values) else ()


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without references; of several shapes the one that is not "nothing"."""
    schema = schema if isinstance(schema, Mapping) else {}
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        found = root.get("$defs", {}).get(name)
        return {**_resolved(found, root), **{k: v for k, v in schema.items() if k != "$ref"}}
    shapes = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(shapes) == 1:
        return {**_resolved(shapes[0], root), **{k: v for k, v in schema.items() if k != "anyOf"}}
    if isinstance(schema.get("items"), Mapping):
        return {**schema, "items": _resolved(schema["items"], root)}
    return schema


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    else:
        yield value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _from_json(text: str) -> Any:
    text = text.strip()
    if _is_placeholder(text):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_placeholder(text: str) -> bool:
    return any(True for _one in placeholders(text))
