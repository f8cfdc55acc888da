"""A flow as a graph: who leads to whom, which way, and what cannot be reached."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
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
        start = self.flow.start
        if start not in self.edges:
            return {}
        return self.paths_from(start)

    def paths_from(
        self, origin: str, silent: Collection[str] | None = None
    ) -> dict[str, tuple[str, ...]]:
        """The shortest path to every node that can be reached, by exits in the order drawn;
        through `silent` nodes only, and without a word being said, when they are given."""
        paths: dict[str, tuple[str, ...]] = {origin: (origin,)}
        waiting = deque([origin])
        while waiting:
            at = waiting.popleft()
            for edge in self.edges[at]:
                is_open = silent is None or (edge.target in silent and edge.exit != "word")
                if is_open and edge.target not in paths:
                    paths[edge.target] = (*paths[at], edge.target)
                    waiting.append(edge.target)
        return paths

    def witness(self, node_id: str) -> tuple[str, ...]:
        """A way from the start to the node; the node alone when there is none."""
        return self.paths.get(node_id, (node_id,))

    def in_order(self) -> list[str]:
        """Reachable nodes by distance from the start, then the others by id."""
        return [*self.paths, *sorted(one for one in self.edges if one not in self.paths)]

    def that_reach(self, goals: Iterable[str]) -> set[str]:
        """Every node from which one of the goals can be reached."""
        backward: dict[str, list[str]] = {one: [] for one in self.edges}
        for edges in self.edges.values():
            for edge in edges:
                backward[edge.target].append(edge.origin)
        reached = set(goals)
        waiting = list(reached)
        while waiting:
            for origin in backward[waiting.pop()]:
                if origin not in reached:
                    reached.add(origin)
                    waiting.append(origin)
        return reached

    def cycles_within(self, allowed: Collection[str]) -> list[tuple[str, ...]]:
        """For each knot of nodes that can run in a circle among `allowed`: one circle, beginning
        and ending at the same node."""
        found: list[tuple[str, ...]] = []
        tied: set[str] = set()
        for origin in (one for one in self.in_order() if one in allowed):
            if origin in tied:
                continue
            circle = self._circle(origin, allowed)
            if circle:
                found.append(circle)
                tied |= self._knot(origin, allowed)
        return found

    def _circle(self, origin: str, allowed: Collection[str]) -> tuple[str, ...]:
        paths = self.paths_from(origin, allowed)
        ways = [
            (*path, origin)
            for at, path in paths.items()
            if any(edge.target == origin and edge.exit != "word" for edge in self.edges[at])
        ]
        return min(ways, key=len, default=())

    def _knot(self, origin: str, allowed: Collection[str]) -> set[str]:
        """The nodes that lead to the origin and come from it."""
        forward = set(self.paths_from(origin, allowed))
        return {one for one in forward if one == origin or origin in self.paths_from(one, allowed)}


def _hears_words(node: AnyNode) -> bool:
    if isinstance(node, Start):
        return node.answers_words
    return node.awaits in _ASKS or isinstance(node, SubFlow)
