"""Sub-flows: are they there, and does none run inside itself?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chatbot.engine.findings import Finding
from chatbot.engine.ground import Ground
from chatbot.engine.kinds import Start, SubFlow
from chatbot.engine.nodes import FlowDocument


def check_subflows(ground: Ground) -> Iterator[Finding]:
    flows = ground.whole.flows
    told: set[frozenset[str]] = set()
    for desk in ground.desks:
        node = desk.node
        if not isinstance(node, SubFlow):
            continue
        circle = _recursion(desk.document.slug, node.flow, flows)
        if circle and frozenset(circle) in told:
            continue
        if circle:
            told.add(frozenset(circle))
            yield desk.finding("subflow_recursion", "error", flows=" → ".join(circle))
        elif node.flow not in flows:
            if ground.around.flows is not None or not node.flow:
                yield desk.finding("unknown_flow", "error", flow=node.flow)
        elif not isinstance(flows[node.flow].nodes.get(flows[node.flow].start), Start):
            yield desk.finding("missing_start", "error")


def _recursion(root: str, slug: str, flows: Mapping[str, FlowDocument]) -> tuple[str, ...]:
    """The slugs from the root back to one already on the way, or nothing."""
    waiting: list[tuple[str, tuple[str, ...]]] = [(slug, (root,))]
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
