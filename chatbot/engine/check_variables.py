"""Is every variable that a text or a condition reads set on every way that leads there?

One pass over the graph: a variable is known at a node when every way sets it (the meet is the
intersection). The witness of a finding is a way on which nothing sets it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from chatbot.engine.conditions import comparisons
from chatbot.engine.findings import Finding, Severity, Surroundings
from chatbot.engine.graph import Edge, Graph
from chatbot.engine.kinds import (
    FACT_NAMES,
    AnyNode,
    Ask,
    Branch,
    Call,
    Handoff,
    Http,
    Menu,
    SetNode,
    Start,
    SubFlow,
)
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.render import placeholders, variable_named

_AFTER_TICKET = frozenset(("protocol", "department"))


def check_variables(graph: Graph, around: Surroundings) -> Iterator[Finding]:
    """One finding for each node and variable it reads without being sure of it."""
    flow = graph.flow
    effects = _Effects(graph, around)
    given = {name for name, one in flow.variables.items() if one.given} | set(around.variables)
    known = _known_everywhere(graph, effects, frozenset(given))
    set_somewhere = given | effects.all_names
    for node_id in graph.paths:
        for name in dict.fromkeys(_reads(flow.nodes[node_id])):
            if name in known[node_id]:
                continue
            severity: Severity = "warning" if name in set_somewhere else "error"
            path = _way_without(graph, effects, node_id, name)
            yield Finding("unknown_variable", severity, node_id, path, {"variable": name})


class _Effects:
    """What passing an edge sets and clears."""

    def __init__(self, graph: Graph, around: Surroundings) -> None:
        self._flow = graph.flow
        self._around = around
        self._read = {name for node in graph.flow.nodes.values() for name in _reads(node)}
        self.sets: dict[Edge, frozenset[str]] = {}
        self.clears: dict[Edge, frozenset[str]] = {}
        for edges in graph.edges.values():
            for edge in edges:
                node = graph.flow.nodes[edge.origin]
                self.sets[edge] = frozenset(self._set_by(node, edge.exit))
                self.clears[edge] = frozenset(_cleared_by(node))
        self.all_names = {name for names in self.sets.values() for name in names}

    def _set_by(self, node: AnyNode, exit_name: str) -> set[str]:
        names: set[str] = set()
        match node:
            case _ if exit_name in ("word", "on_fail", "route:error", "error"):
                pass
            case Ask() if node.skip_words:
                pass
            case Start(save_as=name) | Menu(save_as=name) | Ask(save_as=name):
                names = {name} - {""}
            case SetNode():
                names = {one.name for one in node.values} - _cleared_by(node)
            case Call():
                names = self._outputs(node.handler)
            case Http():
                names = set(node.mapping)
            case SubFlow():
                names = self._set_inside(node.flow)
        return names

    def _outputs(self, handler: str) -> set[str]:
        """All that is read, if the handler is not known: better no finding than a wrong one."""
        if self._around.handlers is None or handler not in self._around.handlers:
            return set(self._read)
        return set(self._around.handlers[handler].outputs)

    def _set_inside(self, slug: str) -> set[str]:
        sub = self._flow.subflows.get(slug) or (self._around.flows or {}).get(slug)
        return _names_set(sub) if sub else set(self._read)


def _names_set(flow: FlowDocument) -> set[str]:
    """Every variable that the flow may set itself."""
    names: set[str] = set()
    for node in flow.nodes.values():
        match node:
            case Start() | Ask() | Menu():
                names.add(node.save_as)
            case SetNode():
                names |= {one.name for one in node.values}
            case Http():
                names |= set(node.mapping)
    return names - {""}


def _cleared_by(node: AnyNode) -> set[str]:
    if not isinstance(node, SetNode):
        return set()
    last = {one.name: one.op for one in node.values}
    return {name for name, op in last.items() if op == "clear"}


def _known_everywhere(
    graph: Graph, effects: _Effects, given: frozenset[str]
) -> dict[str, frozenset[str]]:
    if not graph.paths:
        return {}
    known: dict[str, frozenset[str]] = {graph.flow.start: given}
    waiting = deque([graph.flow.start])
    while waiting:
        at = waiting.popleft()
        for edge in graph.edges[at]:
            after = (known[at] - effects.clears[edge]) | effects.sets[edge]
            before = known.get(edge.target)
            meet = after if before is None else before & after
            if meet != before:
                known[edge.target] = meet
                waiting.append(edge.target)
    return known


def _way_without(graph: Graph, effects: _Effects, node_id: str, name: str) -> tuple[str, ...]:
    """The shortest way to the node on which the variable has no value at the end."""
    begin = (graph.flow.start, False)
    paths: dict[tuple[str, bool], tuple[str, ...]] = {begin: (graph.flow.start,)}
    waiting = deque([begin])
    while waiting:
        at, is_set = here = waiting.popleft()
        if at == node_id and not is_set:
            return paths[here]
        for edge in graph.edges[at]:
            stays = is_set and name not in effects.clears[edge]
            there = (edge.target, stays or name in effects.sets[edge])
            if there not in paths:
                paths[there] = (*paths[here], edge.target)
                waiting.append(there)
    return graph.witness(node_id)


def _reads(node: AnyNode) -> Iterator[str]:
    """The variables that a node needs; those with a default text, and facts, are not needed."""
    if isinstance(node, SetNode):
        yield from _reads_of_set(node)
        return
    for field, text in _texts(node):
        for name, has_default in placeholders(text):
            is_late = isinstance(node, Handoff) and field in ("text", "closed_text")
            if not has_default and not (is_late and name in _AFTER_TICKET):
                yield from _variable(name)
    if isinstance(node, Branch):
        for case in node.cases:
            for one in comparisons(case.when):
                if one.op not in ("filled", "empty"):
                    yield from _variable(one.variable)


def _reads_of_set(node: SetNode) -> Iterator[str]:
    known: set[str] = set()
    for one in node.values:
        names: list[str] = []
        if one.op == "copy":
            names = [variable_named(one.value)]
        elif isinstance(one.value, str):
            names = [name for name, has_default in placeholders(one.value) if not has_default]
        for name in names:
            if name not in known:
                yield from _variable(name)
        known.add(one.name)


def _variable(name: str) -> Iterator[str]:
    base = name.partition(".")[0]
    if base not in FACT_NAMES or base in _AFTER_TICKET:
        yield base


def _texts(node: AnyNode) -> Iterator[tuple[str, str]]:
    """(field, text) for everything written in a node, however deep."""
    for field, value in node.model_dump().items():
        for text in _strings(value):
            yield field, text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)
