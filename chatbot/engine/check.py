"""Static verification: what would go wrong with a flow, each finding with a way that leads there.

`check_flow` is pure and complete for what it names; a flow without errors may be published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chatbot.engine.check_nodes import check_node
from chatbot.engine.check_variables import check_variables
from chatbot.engine.findings import MESSAGES, Finding, KnownHandler, Limits, Severity, Surroundings
from chatbot.engine.graph import Graph
from chatbot.engine.kinds import End, Handoff, Start, SubFlow
from chatbot.engine.matching import normalise
from chatbot.engine.nodes import FlowDocument

__all__ = ["MESSAGES", "Finding", "KnownHandler", "Limits", "Surroundings", "check_flow"]

_RANK = {"error": 0, "warning": 1, "hint": 2}


def check_flow(flow: FlowDocument, surroundings: Surroundings | None = None) -> list[Finding]:
    """All findings, errors first, then in the order in which the flow meets them."""
    around = surroundings or Surroundings()
    graph = Graph(flow)
    findings = [
        *_start(flow),
        *_exits(graph),
        *_words(flow),
        *_unreachable(graph),
        *_loops(graph, around),
        *_people(graph, around),
        *_subflows(graph, around),
        *(
            finding
            for node_id in graph.in_order()
            for finding in check_node(graph, node_id, around)
        ),
        *check_variables(graph, around),
    ]
    place = {node_id: number for number, node_id in enumerate(graph.in_order())}
    return sorted(findings, key=lambda one: (_RANK[one.severity], place.get(one.node, -1)))


def _start(flow: FlowDocument) -> Iterator[Finding]:
    if not isinstance(flow.nodes.get(flow.start), Start):
        yield Finding("missing_start", "error", flow.start)


def _exits(graph: Graph) -> Iterator[Finding]:
    nodes = graph.flow.nodes
    for node_id in graph.in_order():
        for exit_ in nodes[node_id].exits():
            is_open = exit_.optional and not exit_.target
            if exit_.target in nodes or is_open or exit_.name in ("error", "route:error"):
                continue
            shown = {"exit": exit_.name}
            yield Finding("dangling_exit", "error", node_id, graph.witness(node_id), shown)


def _words(flow: FlowDocument) -> Iterator[Finding]:
    leads: dict[str, str] = {}
    for word in flow.words:
        if word.next not in flow.nodes:
            yield Finding("dangling_exit", "error", params={"exit": word.keywords[0]})
        for keyword in word.keywords:
            if leads.setdefault(normalise(keyword), word.next) != word.next:
                yield Finding("duplicate_words", "warning", word.next, params={"word": keyword})


def _unreachable(graph: Graph) -> Iterator[Finding]:
    if graph.paths:
        for node_id in graph.in_order()[len(graph.paths) :]:
            yield Finding("unreachable", "error", node_id, (node_id,))


def _loops(graph: Graph, around: Surroundings) -> Iterator[Finding]:
    nodes = graph.flow.nodes
    timed = {
        node_id
        for node_id, node in nodes.items()
        if node.awaits != "customer" and not _asks_inside(graph.flow, node_id, around)
    }
    silent = {node_id for node_id in timed if nodes[node_id].awaits != "wait"}
    known: set[str] = set()
    kinds: tuple[tuple[str, Severity, set[str]], ...] = (
        ("silent_loop", "error", silent),
        ("timed_loop", "warning", timed),
    )
    for code, severity, allowed in kinds:
        for circle in graph.cycles_within(allowed):
            if known.isdisjoint(circle):
                known |= set(circle)
                path = (*graph.witness(circle[0])[:-1], *circle)
                yield Finding(code, severity, circle[0], path)


def _asks_inside(flow: FlowDocument, node_id: str, around: Surroundings) -> bool:
    """Whether the node runs a flow that cannot be passed without the customer answering."""
    node = flow.nodes[node_id]
    if not isinstance(node, SubFlow):
        return False
    sub = _flows(flow, around).get(node.flow)
    if sub is None:
        return True
    graph = Graph(sub)
    silent = {one for one, inner in sub.nodes.items() if inner.awaits != "customer"}
    if sub.start not in silent:
        return True
    reached = graph.paths_from(sub.start, silent)
    return not any(isinstance(sub.nodes[one], End) for one in reached)


def _people(graph: Graph, around: Surroundings) -> Iterator[Finding]:
    flow = graph.flow
    flows = _flows(flow, around)
    ways = [
        node_id
        for node_id, node in flow.nodes.items()
        if isinstance(node, Handoff)
        or (
            isinstance(node, SubFlow) and (node.flow not in flows or flows[node.flow].way_to_people)
        )
    ]
    if not any(one in graph.paths for one in ways):
        if graph.paths:
            yield Finding("no_way_to_human", "warning", flow.start, (flow.start,))
        return
    served = graph.that_reach(ways)
    for node_id in graph.paths:
        if flow.nodes[node_id].awaits == "customer" and node_id not in served:
            yield Finding("no_way_to_human", "warning", node_id, graph.witness(node_id))


def _subflows(graph: Graph, around: Surroundings) -> Iterator[Finding]:
    flow = graph.flow
    flows = _flows(flow, around)
    for node_id, node in flow.nodes.items():
        if not isinstance(node, SubFlow) or not node.flow:
            continue
        path = graph.witness(node_id)
        if node.flow not in flows and node.flow != flow.slug:
            if around.flows is not None:
                yield Finding("unknown_flow", "error", node_id, path, {"flow": node.flow})
            continue
        circle = _recursion(flow, node.flow, flows)
        if circle:
            shown = {"flows": " → ".join(circle)}
            yield Finding("subflow_recursion", "error", node_id, path, shown)


def _recursion(root: FlowDocument, slug: str, flows: Mapping[str, FlowDocument]) -> tuple[str, ...]:
    """The slugs from the root back to one already on the way, or nothing."""
    waiting: list[tuple[str, tuple[str, ...]]] = [(slug, (root.slug,))]
    seen: set[str] = set()
    while waiting:
        at, path = waiting.pop()
        if at in path:
            return (*path, at)
        if at in seen or at not in flows:
            continue
        seen.add(at)
        inner = (one.flow for one in flows[at].nodes.values() if isinstance(one, SubFlow))
        waiting += [(one, (*path, at)) for one in inner]
    return ()


def _flows(flow: FlowDocument, around: Surroundings) -> dict[str, FlowDocument]:
    return {**(around.flows or {}), **flow.subflows}
