"""A flow by itself as a graph: who leads to whom, and what can be reached. With its sub-flows it is
`chatbot.engine.whole`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from chatbot.engine.kinds import AnyNode, Start, SubFlow
from chatbot.engine.nodes import FlowDocument

_ASKS = frozenset(("customer", "wait", "handler", "http"))  # where a word may be heard


@dataclass(frozen=True, slots=True)
class Edge:
    origin: str
    exit: str
    target: str


class Graph:
    """The connected exits of a flow. A word that works anywhere is an exit, called `word`, of every
    node where it can be said: those that wait, and a start that listens for one."""

    def __init__(self, flow: FlowDocument) -> None:
        self.flow = flow
        self.edges: dict[str, list[Edge]] = {one: [] for one in flow.nodes}
        heard = [word.next for word in flow.words if word.next in flow.nodes]
        for node_id, node in flow.nodes.items():
            for exit_ in node.exits():
                if exit_.target in flow.nodes:
                    self.edges[node_id].append(Edge(node_id, exit_.name, exit_.target))
            if _hears_words(node):
                self.edges[node_id] += [Edge(node_id, "word", target) for target in heard]
        self.paths = self._shortest_paths()

    def _shortest_paths(self) -> dict[str, tuple[str, ...]]:
        """The shortest path to every node that can be reached, by exits in the order drawn."""
        start = self.flow.start
        if start not in self.edges:
            return {}
        paths: dict[str, tuple[str, ...]] = {start: (start,)}
        waiting = deque([start])
        while waiting:
            at = waiting.popleft()
            for edge in self.edges[at]:
                if edge.target not in paths:
                    paths[edge.target] = (*paths[at], edge.target)
                    waiting.append(edge.target)
        return paths

    def in_order(self) -> list[str]:
        """Reachable nodes by distance from the start, then the others by id."""
        return [*self.paths, *sorted(one for one in self.edges if one not in self.paths)]


def _hears_words(node: AnyNode) -> bool:
    if isinstance(node, Start):
        return node.answers_words
    return node.awaits in _ASKS or isinstance(node, SubFlow)
