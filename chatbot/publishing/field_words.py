"""The fields of a flow document as people call them, and their values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

from chatbot.flow_words import in_words
from chatbot.kind_words import ANSWERS
from leads.models import LeadStatus
from tickets.models import Priority

Pieces = tuple[tuple[str, bool], ...]  # a text in pieces, and which of them are marked

EMPTY: tuple[Any, ...] = (None, "", [], {})
ALIKE = 0.4  # from here on two texts are one that was edited
_PIECE = re.compile(r"\s+|\w+|[^\w\s]+")

FIELDS: dict[str, Promise] = {
    "title": pgettext_lazy("field of a step", "title"),
    "kind": pgettext_lazy("field of a step", "kind"),
    "text": pgettext_lazy("field of a step", "text"),
    "closed_text": pgettext_lazy("field of a step", "text outside business hours"),
    "skills": pgettext_lazy("field of a step", "skills needed"),
    "fallback": pgettext_lazy("field of a step", "answer not understood"),
    "ambiguous": pgettext_lazy("field of a step", "answer that fits several options"),
    "invalid": pgettext_lazy("field of a step", "answer that is not valid"),
    "only_text": pgettext_lazy("field of a step", "answer to media"),
    "header": pgettext_lazy("field of a step", "header"),
    "footer": pgettext_lazy("field of a step", "footer"),
    "list_button": pgettext_lazy("field of a step", "button of the list"),
    "presentation": pgettext_lazy("field of a step", "presentation"),
    "save_as": pgettext_lazy("field of a step", "saved in"),
    "answer": pgettext_lazy("field of a step", "kind of answer"),
    "answers_words": pgettext_lazy("field of a step", "answers words"),
    "tries": pgettext_lazy("field of a step", "tries"),
    "accepts_media": pgettext_lazy("field of a step", "accepts media"),
    "minimum": pgettext_lazy("field of a step", "minimum"),
    "maximum": pgettext_lazy("field of a step", "maximum"),
    "when": pgettext_lazy("field of a step", "condition"),
    "skip_words": pgettext_lazy("field of a step", "words that skip it"),
    "media": pgettext_lazy("field of a step", "file"),
    "template": pgettext_lazy("field of a step", "message template"),
    "options": pgettext_lazy("field of a step", "options"),
    "label": pgettext_lazy("field of a step", "label"),
    "description": pgettext_lazy("field of a step", "description"),
    "synonyms": pgettext_lazy("field of a step", "synonyms"),
    "cases": pgettext_lazy("field of a step", "cases"),
    "values": pgettext_lazy("field of a step", "values"),
    "value": pgettext_lazy("field of a step", "value"),
    "op": pgettext_lazy("field of a step", "operation"),
    "name": pgettext_lazy("field of a step", "name"),
    "fields": pgettext_lazy("field of a step", "fields of the lead"),
    "status": pgettext_lazy("field of a step", "status of the lead"),
    "add_tags": pgettext_lazy("field of a step", "tags added"),
    "remove_tags": pgettext_lazy("field of a step", "tags removed"),
    "consent": pgettext_lazy("field of a step", "consent"),
    "purpose": pgettext_lazy("field of a step", "purpose"),
    "granted": pgettext_lazy("field of a step", "granted"),
    "handler": pgettext_lazy("field of a step", "integration"),
    "args": pgettext_lazy("field of a step", "arguments"),
    "routes": pgettext_lazy("field of a step", "routes"),
    "method": pgettext_lazy("field of a step", "method"),
    "url": pgettext_lazy("field of a step", "address"),
    "headers": pgettext_lazy("field of a step", "headers"),
    "body": pgettext_lazy("field of a step", "body"),
    "timeout_seconds": pgettext_lazy("field of a step", "time limit (s)"),
    "mapping": pgettext_lazy("field of a step", "variables of the answer"),
    "department": pgettext_lazy("field of a step", "department"),
    "priority": pgettext_lazy("field of a step", "priority"),
    "reason": pgettext_lazy("field of a step", "subject"),
    "flow": pgettext_lazy("field of a step", "sub-flow"),
    "seconds": pgettext_lazy("field of a step", "seconds"),
    "interruptible": pgettext_lazy("field of a step", "a message ends it"),
    "end_session": pgettext_lazy("field of a step", "ends the conversation"),
    "filename": pgettext_lazy("field of a step", "file name"),
    "ref": pgettext_lazy("field of a step", "stored file"),
    "language": pgettext_lazy("field of a step", "language"),
    "next": pgettext_lazy("field of a step", "goes on at"),
    # Of the flow as a whole.
    "start": pgettext_lazy("field of a flow", "begins at"),
    "only_text_answer": pgettext_lazy("field of a flow", "answer to media"),
    "trouble_text": pgettext_lazy("field of a flow", "text when it cannot go on"),
    "idle": pgettext_lazy("field of a flow", "silence"),
    "minutes": pgettext_lazy("field of a flow", "ends after (min)"),
    "warning_minutes": pgettext_lazy("field of a flow", "warns before (min)"),
    "warning_text": pgettext_lazy("field of a flow", "warning"),
    "end_text": pgettext_lazy("field of a flow", "farewell"),
    "variables": pgettext_lazy("field of a flow", "variable"),
    "type": pgettext_lazy("field of a flow", "type"),
    "sensitive": pgettext_lazy("field of a flow", "sensitive"),
    "given": pgettext_lazy("field of a flow", "given at the start"),
    "words": pgettext_lazy("field of a flow", "word"),
    "keywords": pgettext_lazy("field of a flow", "words"),
}


# Settings whose value is one of a few words.
CHOICES: dict[str, dict[str, str | Promise]] = {
    "answer": {"text": pgettext_lazy("kind of answer", "text"), **ANSWERS},
    "type": {"text": pgettext_lazy("kind of answer", "text"), **ANSWERS},
    "priority": dict(Priority.choices),
    "status": dict(LeadStatus.choices),
    "presentation": {
        "auto": pgettext_lazy("presentation of a menu", "as it fits"),
        "buttons": pgettext_lazy("presentation of a menu", "buttons"),
        "list": pgettext_lazy("presentation of a menu", "list"),
        "text": pgettext_lazy("presentation of a menu", "numbered text"),
    },
}


def label_of(name: str) -> str:
    return str(FIELDS.get(name, name))


def joined(head: str, rest: Iterable[str], shown: Iterable[str] = ()) -> str:
    """ "option 3 · synonyms"; what the head alone says already is left out."""
    return " · ".join((head, *(label_of(one) for one in rest if one not in set(shown))))


def name_of(value: dict[str, Any]) -> Any:
    """What stands for a whole part in a sentence; None when nothing does."""
    for name in ("label", "name", "keywords", "url", "kind", "purpose"):
        if value.get(name):
            return value[name]
    return None


def value_of(value: Any, name: str = "") -> str:
    """The value of a field, of which `name` is the last part of its path."""
    if value in EMPTY:
        return "–"
    if isinstance(value, str) and value in CHOICES.get(name, {}):
        return str(CHOICES[name][value])
    match value:
        case str():
            return quoted(value)
        case dict():
            pairs = ((key, one) for key, one in value.items() if one not in EMPTY)
            return ", ".join(f"{label_of(key)}: {value_of(one, key)}" for key, one in pairs)
        case list():
            return ", ".join(map(value_of, value))
    return in_words(value)


def quoted(text: str) -> str:
    return f"“{text}”"


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def fields_of(node: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """(path, exit, value) of every field of a passo: its kind first, where it leads last; options,
    cases and routes each for itself."""
    yield ("kind",), "", node["kind"]
    for name, value in node.items():
        if name not in {"kind", "options", "cases", "routes", *_EXITS}:
            yield (name,), "", value
    for option in node.get("options", ()):
        yield ("options", option["id"], "label"), "", option["label"]
        yield ("options", option["id"], "next"), f"option:{option['id']}", option["next"]
    for number, case in enumerate(node.get("cases", ()), 1):
        yield ("cases", str(number), "when"), "", case["when"]
        yield ("cases", str(number), "next"), f"case:{number}", case["next"]
    for route, target in node.get("routes", {}).items():
        yield ("routes", route), f"route:{route}", target
    for name in _EXITS:
        if name in node:
            yield (name,), name, node[name]


_EXITS = ("next", "ok", "otherwise", "on_message", "on_fail", "error")


def marked(old: str, new: str) -> tuple[Pieces, Pieces]:
    """Both texts with the words marked that only one of them has; nothing is marked where they have
    little in common."""
    before, after = _PIECE.findall(old), _PIECE.findall(new)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if matcher.ratio() < ALIKE:
        return ((old, False),), ((new, False),)
    olds: list[tuple[str, bool]] = []
    news: list[tuple[str, bool]] = []
    for tag, start, end, begin, stop in matcher.get_opcodes():
        is_marked = tag != "equal"
        olds += [("".join(before[start:end]), is_marked)] if end > start else []
        news += [("".join(after[begin:stop]), is_marked)] if stop > begin else []
    return tuple(olds), tuple(news)
