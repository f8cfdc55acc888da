"""Parsed flow documents by version. A version never changes, so a process parses it once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from chatbot.engine.kinds import Branch
from chatbot.engine.nodes import FlowDocument, parse_flow
from chatbot.models import FlowVersion


@lru_cache(maxsize=256)
def document_of(version_id: int) -> FlowDocument:
    """The document of a version. Raises FlowVersion.DoesNotExist, or FlowError on a damaged one."""
    document = FlowVersion.objects.values_list("document", flat=True).get(pk=version_id)
    return parse_flow(document)


@lru_cache(maxsize=256)
def asks_for_tags(version_id: int) -> bool:
    """Does any condition of this version look at the lead's tags? They cost a statement a
    message."""
    document = document_of(version_id)
    return any(
        _mentions_tag(case.when.model_dump())
        for one in (document, *document.subflows.values())
        for node in one.nodes.values()
        if isinstance(node, Branch)
        for case in node.cases
    )


def _mentions_tag(condition: Any) -> bool:
    if isinstance(condition, Mapping):
        return "tag" in condition or any(map(_mentions_tag, condition.values()))
    if isinstance(condition, list | tuple):
        return any(map(_mentions_tag, condition))
    return False
