"""What a flow names outside itself, and the same flow with other names. Pure.

A document is here the JSON dict that `as_dict` writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

Json = dict[str, Any]
Sort = Literal["department", "handler", "template", "flow"]
Name = tuple[Sort, str]
SORTS: tuple[Sort, ...] = ("department", "handler", "template", "flow")
_LANGUAGE = "pt_BR"


def template_key(name: str, language: str) -> str:
    """A message template in one word: its name and language."""
    return f"{name}|{language}"


def names_in(document: Json) -> dict[Name, tuple[str, ...]]:
    """Everything named, and the ids of the passos that do; sub-flows inside bring their own."""
    found: dict[Name, dict[str, None]] = defaultdict(dict)
    for part in (document, *document.get("subflows", {}).values()):
        for node_id, node in part.get("nodes", {}).items():
            for name in _named(node):
                found[name][node_id] = None
    order = {sort: number for number, sort in enumerate(SORTS)}
    ordered = sorted(found, key=lambda name: (order[name[0]], name[1]))
    return {name: tuple(found[name]) for name in ordered}


def with_names(document: Json, mapping: Mapping[Name, str]) -> Json:
    """The document with other names where the mapping has one."""

    def other(sort: Sort, name: str) -> str:
        return mapping.get((sort, name), name)

    changed = {**document}
    if "nodes" in document:
        changed["nodes"] = {
            node_id: _renamed(node, other) for node_id, node in document["nodes"].items()
        }
    if "subflows" in document:
        changed["subflows"] = {
            other("flow", slug): {**with_names(sub, mapping), "slug": other("flow", slug)}
            for slug, sub in document["subflows"].items()
        }
    return changed


def _named(node: Json) -> Iterator[Name]:
    match node:
        case {"kind": "handoff", "department": str(department)} if department:
            yield "department", department
        case {"kind": "branch", "cases": list(cases)}:
            for case in cases:
                for department in _departments(case.get("when")):
                    yield "department", department
        case {"kind": "call", "handler": str(handler)} if handler:
            yield "handler", handler
        case {"kind": "send", "template": {"name": str(name), **rest}}:
            yield "template", template_key(name, str(rest.get("language", _LANGUAGE)))
        case {"kind": "flow", "flow": str(flow)} if flow:
            yield "flow", flow


def _departments(condition: Any) -> Iterator[str]:
    if not isinstance(condition, Mapping):
        return
    if condition.get("open"):
        yield str(condition["open"])
    for key in ("all", "any", "none"):
        for part in condition.get(key, ()):
            yield from _departments(part)


Other = Callable[[Sort, str], str]


def _renamed(node: Json, other: Other) -> Json:
    match node:
        case {"kind": "handoff", "department": str(department)} if department:
            return {**node, "department": other("department", department)}
        case {"kind": "branch", "cases": list(cases)}:
            renamed = [{**one, "when": _condition(one.get("when"), other)} for one in cases]
            return {**node, "cases": renamed}
        case {"kind": "call", "handler": str(handler)}:
            return {**node, "handler": other("handler", handler)}
        case {"kind": "send", "template": {"name": str(name), **rest}}:
            key = template_key(name, str(rest.get("language", _LANGUAGE)))
            new_name, _bar, language = other("template", key).partition("|")
            return {**node, "template": {**rest, "name": new_name, "language": language}}
        case {"kind": "flow", "flow": str(flow)} if flow:
            return {**node, "flow": other("flow", flow)}
    return node


def _condition(condition: Any, other: Other) -> Any:
    if not isinstance(condition, Mapping):
        return condition
    changed = dict(condition)
    if changed.get("open"):
        changed["open"] = other("department", str(changed["open"]))
    for key in ("all", "any", "none"):
        if key in changed:
            changed[key] = [_condition(part, other) for part in changed[key]]
    return changed
