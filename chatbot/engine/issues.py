"""Why a document cannot be read, in words that a person can act on."""

from __future__ import annotations

import dataclasses

from pydantic_core import ErrorDetails

MESSAGES = {
    "not_an_object": "The flow is not a JSON object.",
    "too_deep": "The flow is nested too deeply.",
    "unknown_schema": "The flow was written for another version of the program.",
    "missing_field": "“%(field)s” is missing.",
    "unknown_field": "“%(field)s” is not a setting of this step.",
    "unknown_kind": "“%(value)s” is not a kind of step.",
    "too_long": "“%(field)s” is too long: at most %(limit)s.",
    "too_short": "“%(field)s” needs at least %(limit)s.",
    "bad_name": "“%(value)s” cannot be a name: small letters, digits and _ only.",
    "reserved_name": "“%(value)s” is a name that the program fills itself.",
    "duplicate_option": "Two options have the same id.",
    "template_with_text": "A message template says it all: no text, file or footer beside it.",
    "nested_subflows": "A sub-flow cannot bring sub-flows of its own.",
    "bad_value": "“%(field)s” has a value that does not fit.",
}

_BY_TYPE = {
    "missing": "missing_field",
    "extra_forbidden": "unknown_field",
    "union_tag_invalid": "unknown_kind",
    "union_tag_not_found": "missing_field",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "string_too_short": "too_short",
    "too_short": "too_short",
    "string_pattern_mismatch": "bad_name",
}
_BY_TEXT = {
    "reserved name": "reserved_name",
    "duplicate option id": "duplicate_option",
    "nested subflows": "nested_subflows",
    "template with text": "template_with_text",
}
_SHOWN = 60


@dataclasses.dataclass(frozen=True, slots=True)
class Issue:
    """What is wrong with a document. `code` is a key of MESSAGES; `node` the passo, if it is one
    (`sub/node` inside a sub-flow)."""

    code: str
    node: str = ""
    field: str = ""
    params: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def text(self) -> str:
        """The English sentence; the shell translates MESSAGES[code] instead."""
        sentence = MESSAGES[self.code] % self.params
        return f"{self.node}: {sentence}" if self.node else sentence


class FlowError(ValueError):
    """The document cannot be read; `issues` says why, passo by passo."""

    def __init__(self, issues: list[Issue]) -> None:
        self.issues = issues
        super().__init__("; ".join(issue.text for issue in issues))


def issue_of(error: ErrorDetails) -> Issue:
    """One of pydantic's errors in our words."""
    where = [str(part) for part in error["loc"]]
    node, rest = _place(where)
    if error["type"] == "union_tag_not_found" and rest[-1:] != ["when"]:
        rest = [*rest, "kind"]
    return Issue(_code(error, where), node, _path(rest), _params(error, _path(rest)))


def _path(parts: list[str]) -> str:
    """Dotted, without the doubled names that tags of unions leave."""
    return ".".join(one for one, before in zip(parts, ["", *parts], strict=False) if one != before)


def _code(error: ErrorDetails, where: list[str]) -> str:
    if where == ["schema"]:
        return "unknown_schema"
    for words, code in _BY_TEXT.items():
        if words in error["msg"]:
            return code
    return _BY_TYPE.get(error["type"], "bad_value")


def _place(where: list[str]) -> tuple[str, list[str]]:
    """(node, path inside it): pydantic adds the kind after the node's id, and tags in unions."""
    prefix = ""
    if len(where) > 1 and where[0] == "subflows":
        prefix, where = f"{where[1]}/", where[2:]
    if len(where) > 1 and where[0] == "nodes":
        return prefix + where[1], where[3:]
    return prefix.rstrip("/"), where


def _params(error: ErrorDetails, field_name: str) -> dict[str, str]:
    context = error.get("ctx", {})
    limit = context.get("max_length", context.get("min_length", ""))
    shown = error["input"]
    if isinstance(shown, dict):
        shown = shown.get("kind", "")
    value = ascii(shown)[:_SHOWN] if not isinstance(shown, str) else _printable(shown)
    return {"field": _printable(field_name), "value": value, "limit": str(limit)}


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "\ufffd" for one in text[:_SHOWN])
