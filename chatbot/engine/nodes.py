"""The flow document: what an admin draws, validated by schema and never changed by running it.

A document is data: passos (nodes) with an id and a `kind`, their texts, and exits that name other
nodes. `parse_flow` checks the shape only, so that a half-drawn draft can be kept; what a flow must
have before customers see it is `check_flow`'s business.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from chatbot.engine.issues import FlowError, Issue, issue_of
from chatbot.engine.kinds import (
    MOST_NODES,
    MOST_WORDS,
    AnswerType,
    AnyNode,
    Document,
    Handoff,
    Line,
    Name,
    Slug,
    Target,
    Text,
)
from chatbot.engine.limits import DOCUMENT_DEPTH
from chatbot.engine.matching import normalise

__all__ = ["FlowDocument", "FlowError", "Idle", "Issue", "Variable", "Word", "parse_flow"]

SCHEMA = 1


class Word(Document):
    """Words that work anywhere: the whole message must be one of them."""

    keywords: Annotated[tuple[Line, ...], Field(min_length=1, max_length=30)]
    next: Target = ""


class Variable(Document):
    """`given`: whoever starts the flow fills it (a survey's protocol, for instance)."""

    label: Line = ""
    type: Literal[AnswerType, "boolean", "list", "any"] = "text"
    sensitive: bool = False
    given: bool = False


class Idle(Document):
    """A silent customer is warned `warning_minutes` before the end (0: not at all) and the
    session ends after `minutes` (None: the site's own limit)."""

    minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] | None = None
    warning_minutes: Annotated[int, Field(ge=0, le=24 * 60)] = 5
    warning_text: Text = ""
    end_text: Text = ""


class FlowDocument(Document):
    """One flow, with the sub-flows it was published with (themselves without any)."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    slug: Slug
    name: Line
    start: Target = ""
    nodes: dict[Slug, AnyNode] = Field(default_factory=dict, max_length=MOST_NODES)
    words: Annotated[tuple[Word, ...], Field(max_length=MOST_WORDS)] = ()
    variables: dict[Name, Variable] = Field(default_factory=dict)
    idle: Idle = Idle()
    only_text_answer: Text = "Por aqui eu só consigo ler mensagens de texto. Pode escrever?"
    trouble_text: Text = "Não consegui continuar a conversa por aqui."
    subflows: dict[Slug, FlowDocument] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _nests_once(self) -> FlowDocument:
        if any(one.subflows for one in self.subflows.values()):
            raise ValueError("nested subflows")
        return self

    def document(self, key: str) -> FlowDocument | None:
        """The document that `State.flow` and `Frame.flow` name; "" is this one."""
        return self.subflows.get(key) if key else self

    def as_dict(self) -> dict[str, Any]:
        """The JSON document that `parse_flow` reads, without what is left at its default."""
        dumped = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {"schema": SCHEMA, **_with_kinds(self, dumped)}

    @cached_property
    def keywords(self) -> dict[str, tuple[str, str]]:
        """Normalised word → (the word as written, the node it leads to)."""
        known: dict[str, tuple[str, str]] = {}
        for word in self.words:
            for keyword in word.keywords:
                known.setdefault(normalise(keyword), (keyword, word.next))
        known.pop("", None)
        return known

    @cached_property
    def way_to_people(self) -> str:
        """The handoff used when the flow cannot go on; "" when it has none."""
        ids = sorted(one for one, node in self.nodes.items() if isinstance(node, Handoff))
        return ids[0] if ids else ""


def _with_kinds(flow: FlowDocument, dumped: dict[str, Any]) -> dict[str, Any]:
    """`kind` is a default of its model, yet the document must name it."""
    for node_id, node in dumped.get("nodes", {}).items():
        node["kind"] = flow.nodes[node_id].kind
    for slug, sub in dumped.get("subflows", {}).items():
        _with_kinds(flow.subflows[slug], sub)
    return dumped


def parse_flow(document: Any) -> FlowDocument:
    """A validated flow, or FlowError. Checks the shape; `check_flow` checks the sense."""
    if not isinstance(document, dict):
        raise FlowError([Issue("not_an_object")])
    if _is_too_deep(document):
        raise FlowError([Issue("too_deep")])
    try:
        return FlowDocument.model_validate(document)
    except ValidationError as error:
        raise FlowError([issue_of(one) for one in error.errors(include_url=False)]) from None


def _is_too_deep(document: dict[Any, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(DOCUMENT_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list | tuple)
        ]
        if not level:
            return False
    return True
