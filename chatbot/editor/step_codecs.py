"""How each kind of passo is held by a form: one codec a setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chatbot.editor.raw import (
    MISSING,
    ROWS,
    Codec,
    ConditionOf,
    LinesOf,
    ListOf,
    NumberOf,
    PairsOf,
    Raw,
    ScalarOf,
    TargetOf,
    TextOf,
    ThingOf,
    YesOf,
    scalar_of,
    scalar_typed,
    target_typed,
)
from chatbot.handlers.forms import ArgumentField

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class TemplateOf:
    """A message template as `name|language`, and a text for each value that it takes."""

    def write(self, raw: Raw, name: str, value: Any) -> None:
        raw.put(name, "" if value is MISSING else f"{value['name']}|{value['language']}")
        values = {} if value is MISSING else value.get("values", {})
        raw.put(f"{name}.values{ROWS}", *values)
        for key, text in values.items():
            raw.put(f"{name}.values.{key}", str(text))

    def read(self, raw: Raw, name: str) -> Any:
        chosen = raw.text(name)
        if not chosen:
            return MISSING
        template, _bar, language = chosen.partition("|")
        keys = raw.rows(f"{name}.values")
        texts = {key: raw.text(f"{name}.values.{key}") for key in keys}
        filled = {key: text for key, text in texts.items() if text.strip()}
        return {"name": template, "language": language or "pt_BR", "values": filled}


@dataclass(frozen=True)
class ArgumentsOf:
    """Arguments of the chosen handler; those that it does not declare are kept as they are."""

    fields: tuple[ArgumentField, ...] = ()

    def write(self, raw: Raw, name: str, value: Any) -> None:
        stored = {} if value is MISSING else value
        declared = {one.name: one for one in self.fields}
        raw.put(name + ROWS, *stored)
        for key, one in stored.items():
            if key in declared:
                raw.put(f"{name}.{key}", *declared[key].texts_of(one))
            else:
                text, kind = scalar_typed(one)
                raw.put(f"{name}.{key}", text)
                raw.put(f"{name}.{key}.as", kind)

    def read(self, raw: Raw, name: str) -> Any:
        declared = {one.name: one for one in self.fields}
        stored = raw.rows(name)
        read: dict[str, Any] = {}
        for key in dict.fromkeys((*declared, *stored)):
            texts = raw.all(f"{name}.{key}")
            is_given = any(text.strip() for text in texts)
            if key in declared:
                if is_given or (key in stored and declared[key].kind in ("text", "choices")):
                    read[key] = declared[key].value_of(texts)
            elif is_given or raw.text(f"{name}.{key}.as") not in ("", "text"):
                read[key] = scalar_of(raw.text(f"{name}.{key}"), raw.text(f"{name}.{key}.as"))
        return read


@dataclass(frozen=True)
class RoutesOf:
    """An exit for each route: those of the handler, and those that the passo has."""

    routes: tuple[str, ...] = ()

    def write(self, raw: Raw, name: str, value: Any) -> None:
        stored = {} if value is MISSING else value
        raw.put(name + ROWS, *stored)
        for route, target in stored.items():
            raw.put(f"{name}.{route}", str(target))

    def read(self, raw: Raw, name: str) -> Any:
        stored = raw.rows(name)
        targets = {
            route: target_typed(raw.text(f"{name}.{route}").strip())
            for route in dict.fromkeys((*stored, *self.routes))
        }
        return {route: to for route, to in targets.items() if to or route in stored}


@dataclass(frozen=True)
class SpanOf:
    """A time as a number of a unit."""

    def write(self, raw: Raw, name: str, value: Any) -> None:
        seconds = 0 if value is MISSING else value
        fitting = [unit for unit, size in UNITS.items() if seconds and seconds % size == 0]
        unit = fitting[-1] if fitting else "s"
        raw.put(name, str(seconds // UNITS[unit]) if seconds else "")
        raw.put(f"{name}.unit", unit)

    def read(self, raw: Raw, name: str) -> Any:
        count = NumberOf().read(raw, name)
        if isinstance(count, int | float):
            seconds = count * UNITS.get(raw.text(f"{name}.unit"), 1)
            return int(seconds) if seconds == int(seconds) else seconds
        return count


LINE, TEXT, TARGET = TextOf(is_line=True), TextOf(), TargetOf()
NEXT: dict[str, Codec] = {"next": TARGET}


CODECS: dict[str, dict[str, Codec]] = {
    "start": {**NEXT, "save_as": LINE, "answers_words": YesOf(default=True)},
    "send": {
        "text": TEXT,
        "media": ThingOf({"kind": LINE, "url": LINE, "ref": LINE, "filename": LINE}, "kind"),
        "footer": LINE,
        "template": TemplateOf(),
        **NEXT,
    },
    "ask": {
        "text": TEXT,
        "answer": TextOf(is_line=True, default="text"),
        "save_as": LINE,
        "invalid": TEXT,
        "tries": NumberOf(default=3),
        "on_fail": TARGET,
        "accepts_media": YesOf(),
        "only_text": TEXT,
        "minimum": NumberOf(is_optional=True),
        "maximum": NumberOf(is_optional=True),
        "when": LINE,
        "skip_words": LinesOf(),
        **NEXT,
    },
    "menu": {
        "text": TEXT,
        "options": ListOf(
            {"id": LINE, "label": LINE, "description": LINE, "synonyms": LinesOf(), **NEXT}
        ),
        "presentation": TextOf(is_line=True, default="auto"),
        "list_button": TextOf(is_line=True, default="Ver opções"),
        "header": LINE,
        "footer": LINE,
        "save_as": LINE,
        "fallback": TEXT,
        "ambiguous": TEXT,
        "only_text": TEXT,
        "tries": NumberOf(default=3),
        "on_fail": TARGET,
    },
    "branch": {
        "cases": ListOf({"when": ConditionOf(), "label": LINE, **NEXT}),
        "otherwise": TARGET,
    },
    "set": {
        "values": ListOf(
            {"name": LINE, "op": TextOf(is_line=True, default="set"), "value": ScalarOf()}
        ),
        **NEXT,
    },
    "lead": {
        "fields": PairsOf(),
        "status": LINE,
        "add_tags": LinesOf(),
        "remove_tags": LinesOf(),
        "consent": ThingOf(
            {"purpose": LINE, "granted": YesOf(default=True), "text": TEXT}, "purpose"
        ),
        **NEXT,
    },
    "call": {"handler": LINE},
    "http": {
        "method": TextOf(is_line=True, default="GET"),
        "url": TEXT,
        "headers": PairsOf(),
        "body": TEXT,
        "timeout_seconds": NumberOf(default=10),
        "retries": NumberOf(default=0),
        "mapping": PairsOf(is_line=True),
        "ok": TARGET,
        "error": TARGET,
    },
    "handoff": {
        "department": LINE,
        "priority": TextOf(is_line=True, default="medium"),
        "reason": TEXT,
        "text": TEXT,
        "closed_text": TEXT,
        "skills": LinesOf(),
    },
    "flow": {"flow": LINE, **NEXT},
    "wait": {"seconds": SpanOf(), "interruptible": YesOf(), "on_message": TARGET, **NEXT},
    "end": {"text": TEXT, "end_session": YesOf()},
}


@dataclass(frozen=True)
class HandlerShape:
    """What the form must know of a handler."""

    fields: tuple[ArgumentField, ...] = field(default_factory=tuple)
    routes: tuple[str, ...] = ("ok", "error")


def codecs_of(kind: str, handler: HandlerShape | None = None) -> Mapping[str, Codec]:
    """The settings of a kind, with the title that every passo has."""
    fields: dict[str, Codec] = {"title": LINE, **CODECS[kind]}
    if kind == "call":
        shape = handler or HandlerShape()
        fields |= {"args": ArgumentsOf(shape.fields), "routes": RoutesOf(shape.routes)}
    return fields
