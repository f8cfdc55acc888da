"""What all checks of a flow share: the flow drawn out, its world, and a desk for each passo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chatbot.engine.bounds import Bounds
from chatbot.engine.findings import Finding, Severity, Surroundings
from chatbot.engine.kinds import AnyNode, Call
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.whole import Whole


@dataclass(frozen=True, slots=True)
class Desk:
    """Writes findings about one passo. `path` leads to it; the passo alone when nothing does."""

    place: str
    node: AnyNode
    document: FlowDocument
    path: tuple[str, ...]

    def finding(self, code: str, severity: Severity, **params: Any) -> Finding:
        return Finding(code, severity, self.place, self.path, params)


class Ground:
    def __init__(self, flow: FlowDocument, around: Surroundings) -> None:
        self.flow = flow
        self.around = around
        self.whole = Whole(flow, around.flows or {})
        self.spots = self.whole.by_place()

    @cached_property
    def places(self) -> list[str]:
        """Every passo of the flow and of the sub-flows it runs: as they are reached, then the
        others."""
        everywhere = [
            f"{key}/{node_id}" if key else node_id
            for key, document in self.whole.documents()
            for node_id in sorted(document.nodes)
        ]
        return list(dict.fromkeys([*self.spots, *everywhere]))

    @cached_property
    def desks(self) -> list[Desk]:
        return [self.desk(place) for place in self.places]

    def desk(self, place: str) -> Desk:
        key, _slash, node_id = place.rpartition("/")
        document = self.whole.opened[key] if key else self.flow
        spot = self.spots.get(place)
        path = self.whole.path(spot) if spot else (place,)
        return Desk(place, document.nodes[node_id], document, path)

    def nodes(self) -> Iterator[AnyNode]:
        for _key, document in self.whole.documents():
            yield from document.nodes.values()

    @cached_property
    def bounds(self) -> Bounds:
        documents = [document for _key, document in self.whole.documents()]
        return Bounds(documents, {*self.around.variables, *self.outputs})

    @cached_property
    def outputs(self) -> set[str]:
        """The variables that known integrations may fill."""
        known = self.around.handlers or {}
        calls = (node.handler for node in self.nodes() if isinstance(node, Call))
        return {name for handler in calls if handler in known for name in known[handler].outputs}

    @cached_property
    def is_open_ended(self) -> bool:
        """Whether something unknown may fill any variable: an integration or a closed sub-flow."""
        known = self.around.handlers or {}
        calls = (node.handler for node in self.nodes() if isinstance(node, Call))
        return bool(self.whole.closed) or any(handler not in known for handler in calls)
