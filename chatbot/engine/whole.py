"""A flow together with the sub-flows it runs, as one graph: each call of a sub-flow has its own
copy of the passos inside, so that every way through the graph returns to who called.

A *spot* is a passo on its way there; its *place* is what traces and findings call it, `sub/node`
inside a sub-flow. A sub-flow that is not known, that would run inside itself, or that would make
the graph larger than MOST_SPOTS, stays closed: one spot of which anything may be true.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from chatbot.engine.kinds import AnyNode, End, Menu, Start, SubFlow, WaitNode
from chatbot.engine.matching import normalise
from chatbot.engine.nodes import FlowDocument

MOST_SPOTS = 4000
LONGEST_WORD = 80  # characters of a message that is still looked at for a word
_HEARS = frozenset(("customer", "wait", "handler", "http"))  # where a word may be heard


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a way. `exit` is an exit's name, `enter` or `return` of a sub-flow, or `word`.
    `by_customer`: only a message of the customer leads along it."""

    origin: str
    exit: str
    target: str
    by_customer: bool = False


@dataclass(frozen=True, slots=True)
class _Frame:
    """Which document a spot belongs to, and who called it."""

    prefix: str  # of the spots inside; "" in the flow itself
    key: str  # slug of the sub-flow; "" is the flow itself
    document: FlowDocument
    caller: str = ""  # the spot of the `flow` passo
    outer: _Frame | None = None

    def spot(self, node_id: str) -> str:
        return f"{self.prefix}{node_id}"

    @property
    def slugs(self) -> frozenset[str]:
        outer = self.outer.slugs if self.outer else frozenset()
        return outer | {self.document.slug}

    @property
    def root(self) -> _Frame:
        return self.outer.root if self.outer else self


class Whole:
    """Every spot that can be reached, and the links between them."""

    def __init__(self, flow: FlowDocument, flows: Mapping[str, FlowDocument]) -> None:
        self.flow = flow
        self.flows = {**flows, **flow.subflows}
        self.nodes: dict[str, AnyNode] = {}
        self.places: dict[str, str] = {}
        self.links: dict[str, list[Link]] = {}
        self.closed: set[str] = set()  # spots of sub-flows that are not looked into
        self.opened: dict[str, FlowDocument] = {}  # sub-flows that are, by slug
        self._frames: dict[str, _Frame] = {}
        self._returning: set[str] = set()  # spots of sub-flows that can come back
        self._heard: dict[str, dict[str, set[str]]] = {}
        self._came_by: dict[str, Link | None] = {}
        if flow.start in flow.nodes:
            self._explore(_Frame("", "", flow))
        self._backward: dict[str, list[Link]] | None = None

    # -- asking

    @property
    def start(self) -> str:
        return self.flow.start

    def document(self, spot: str) -> FlowDocument:
        return self._frames[spot].document

    def documents(self) -> Iterator[tuple[str, FlowDocument]]:
        """(key, document) of the flow and of each sub-flow that is looked into."""
        yield "", self.flow
        yield from self.opened.items()

    def path(self, spot: str) -> tuple[str, ...]:
        """The places of a shortest way from the start to the spot."""
        return self.told(self.way(spot))

    def is_inside(self, spot: str) -> bool:
        """Whether the spot belongs to a sub-flow."""
        return self._frames[spot].outer is not None

    def way(self, spot: str) -> list[str]:
        spots = [spot]
        link = self._came_by.get(spot)
        while link is not None:
            spots.append(link.origin)
            link = self._came_by[link.origin]
        return spots[::-1]

    def told(self, spots: Iterable[str]) -> tuple[str, ...]:
        return tuple(self.places[one] for one in spots)

    def by_place(self) -> dict[str, str]:
        """Place → the spot of it that is reached first."""
        first: dict[str, str] = {}
        for spot, place in self.places.items():
            first.setdefault(place, spot)
        return first

    def returns(self, spot: str) -> bool:
        """Whether the sub-flow called at the spot can come back."""
        return spot in self._returning or spot in self.closed

    def into(self, spot: str) -> list[Link]:
        if self._backward is None:
            self._backward = {one: [] for one in self.nodes}
            for links in self.links.values():
                for link in links:
                    self._backward[link.target].append(link)
        return self._backward[spot]

    def that_reach(self, goals: Iterable[str]) -> set[str]:
        """Every spot from which one of the goals can be reached."""
        reached = set(goals)
        waiting = list(reached)
        while waiting:
            for link in self.into(waiting.pop()):
                if link.origin not in reached:
                    reached.add(link.origin)
                    waiting.append(link.origin)
        return reached

    def shortest(self, origin: str, goal: Callable[[str], bool], within: set[str]) -> list[str]:
        """The spots after `origin` up to one that is a goal, without the customer; [] if none."""
        came: dict[str, str] = {}
        waiting = deque([origin])
        while waiting:
            at = waiting.popleft()
            for link in self.links[at]:
                if link.by_customer or link.target not in within:
                    continue
                if goal(link.target):
                    spots = [link.target, at]
                    while spots[-1] != origin:
                        spots.append(came[spots[-1]])
                    return spots[-2::-1]
                if link.target not in came:
                    came[link.target] = at
                    waiting.append(link.target)
        return []

    def knots(self, within: set[str]) -> list[list[str]]:
        """The strongly connected parts among `within`, by links that need no customer, that a run
        can go round in. Each in the order in which its spots are reached."""
        order = {spot: number for number, spot in enumerate(self.nodes)}

        def following(spot: str) -> list[str]:
            links = (link for link in self.links[spot] if not link.by_customer)
            return [link.target for link in links if link.target in within]

        parts = components([one for one in self.nodes if one in within], following)
        knots = [part for part in parts if len(part) > 1 or part[0] in following(part[0])]
        ordered = (sorted(part, key=order.__getitem__) for part in knots)
        return sorted(ordered, key=lambda knot: order[knot[0]])

    # -- drawing

    def _explore(self, root: _Frame) -> None:
        first = self._arrive(root, self.flow.start, None)
        waiting = deque([first])
        while waiting:
            at = waiting.popleft()
            found: list[Link] = []
            for exit_name, frame, node_id, by_customer in self._ways_out(at):
                if node_id not in frame.document.nodes:
                    continue
                target = frame.spot(node_id)
                link = Link(at, exit_name, target, by_customer)
                if target not in self.nodes:
                    waiting.append(self._arrive(frame, node_id, link))
                found.append(link)
            self.links[at] = found

    def _arrive(self, frame: _Frame, node_id: str, link: Link | None) -> str:
        spot = frame.spot(node_id)
        self.nodes[spot] = frame.document.nodes[node_id]
        self.places[spot] = f"{frame.key}/{node_id}" if frame.key else node_id
        self._frames[spot] = frame
        self._came_by[spot] = link
        return spot

    def _ways_out(self, spot: str) -> Iterator[tuple[str, _Frame, str, bool]]:
        node, frame = self.nodes[spot], self._frames[spot]
        if isinstance(node, SubFlow):
            inner = self._inside(node, spot, frame)
            if inner is not None:
                yield "enter", inner, inner.document.start, False
                return
            self.closed.add(spot)
        if isinstance(node, End) and frame.outer is not None and not node.end_session:
            caller = self.nodes[frame.caller]
            self._returning.add(frame.caller)
            yield "return", frame.outer, caller.target("next"), False
        for exit_ in node.exits():
            yield exit_.name, frame, exit_.target, _is_by_customer(node, exit_.name)
        yield from self._words(spot, node, frame)

    def _inside(self, node: SubFlow, spot: str, frame: _Frame) -> _Frame | None:
        sub = self.flows.get(node.flow)
        if sub is None or node.flow in frame.slugs or sub.start not in sub.nodes:
            return None
        if node.flow in self.opened and len(self.nodes) + len(sub.nodes) > MOST_SPOTS:
            return None
        self.opened[node.flow] = sub
        return _Frame(f"{spot}>{node.flow}/", node.flow, sub, spot, frame)

    def _words(
        self, spot: str, node: AnyNode, frame: _Frame
    ) -> Iterator[tuple[str, _Frame, str, bool]]:
        if isinstance(node, Start):
            hears = node.answers_words and spot == self.start
        else:
            hears = node.awaits in _HEARS or spot in self.closed
        if not hears:
            return
        taken: set[str] = set()
        if isinstance(node, Menu):
            taken = {phrase for option in node.candidates for phrase in option.phrases}
        root = frame.root
        for one in (frame, root) if frame is not root else (root,):
            for target, keywords in self._heard_in(one).items():
                if not keywords <= taken:
                    yield "word", one, target, True
            taken = taken | {said for words in self._heard_in(one).values() for said in words}

    def _heard_in(self, frame: _Frame) -> dict[str, set[str]]:
        if frame.key not in self._heard:
            self._heard[frame.key] = heard_in(frame.document)
        return self._heard[frame.key]


def _is_by_customer(node: AnyNode, exit_name: str) -> bool:
    return node.awaits == "customer" or (isinstance(node, WaitNode) and exit_name == "on_message")


def components(spots: list[str], following: Callable[[str], list[str]]) -> list[list[str]]:
    """Strongly connected parts (Kosaraju), each after those that it leads to."""
    after = {one: following(one) for one in spots}
    before: dict[str, list[str]] = {one: [] for one in spots}
    for origin, targets in after.items():
        for target in targets:
            before[target].append(origin)
    seen: set[str] = set()
    finished = [one for origin in spots for one in _visit(origin, after, seen)]
    seen = set()
    parts = [list(_visit(origin, before, seen)) for origin in reversed(finished)]
    return [part for part in reversed(parts) if part]


def _visit(origin: str, following: Mapping[str, list[str]], seen: set[str]) -> Iterator[str]:
    """What can be reached and was not seen yet, each after all that follows it."""
    if origin in seen:
        return
    seen.add(origin)
    work = [(origin, iter(following[origin]))]
    while work:
        at, rest = work[-1]
        target = next((one for one in rest if one not in seen), None)
        if target is None:
            work.pop()
            yield at
        else:
            seen.add(target)
            work.append((target, iter(following[target])))


def heard_in(document: FlowDocument) -> dict[str, set[str]]:
    """Node that a word leads to → the words, as they are compared; what nobody can say, or what
    is said for another node already, is left out."""
    leading: dict[str, set[str]] = {}
    taken: set[str] = set()
    for word in document.words:
        for said in filter(None, map(audible, word.keywords)):
            if said not in taken:
                taken.add(said)
                leading.setdefault(word.next, set()).add(said)
    return leading


def audible(keyword: str) -> str:
    """The word as it is compared; empty when no message can be it."""
    said = normalise(keyword)
    return said if len(said) <= LONGEST_WORD else ""
