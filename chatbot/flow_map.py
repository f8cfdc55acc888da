"""A flow as a map: its passos in columns, the exits between them, and the way that somebody took.

`map_of` is kept by version, flow and language: where things stand depends on nothing else. What a
conversation adds (`Trail`) is laid over it by `with_trail`, what many people did by `with_counts`,
what the check found by `with_marks`, and where its passos lead by `with_links`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from django.utils.formats import number_format
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _

from chatbot.documents import document_of
from chatbot.engine.graph import Graph
from chatbot.engine.kinds import AnyNode, Branch, Call, Exit, Menu, SubFlow
from chatbot.engine.nodes import FlowDocument
from chatbot.flow_map_layout import HEIGHT, WIDTH, Layout, Link, lay_out
from chatbot.kind_words import detail_of, drawn_as
from chatbot.labels import EXIT_LABELS

TITLE_SHOWN, DETAIL_SHOWN, EXIT_SHOWN, HANGING_SHOWN = 20, 24, 20, 26
LETTER, LABEL_PADDING = 6, 10  # px
NUMBER_DIGIT, NUMBER_PADDING = 7, 6  # px
MOST_KEPT = 256  # drawings in one process
THINNEST, THICKEST = 1.2, 9.0  # px, of a line that is as wide as many people took it
HEAT_STEP, HOTTEST = 7.5, 5  # percent of who gave up, for each shade
NO_FOOT = frozenset(("start", "handoff"))  # nobody gives up here: they only begin, or are served

Situation = Literal["", "done", "cur", "todo"]
Mark = Literal["", "warning", "error"]


@dataclass(frozen=True)
class MapNode:
    """A passo where it is drawn. `words`: what a customer may say anywhere to come here."""

    id: str
    kind: str
    title: str
    detail: str
    icon: str
    tone: str
    x: int
    y: int
    words: tuple[str, ...] = ()
    subflow: str = ""
    is_reachable: bool = True

    width = WIDTH
    height = HEIGHT

    @property
    def short_title(self) -> str:
        return _cut(self.title, TITLE_SHOWN)

    @property
    def short_detail(self) -> str:
        return _cut(self.detail, DETAIL_SHOWN)

    @property
    def short_words(self) -> str:
        return _cut(", ".join(self.words), HANGING_SHOWN)

    @property
    def middle(self) -> int:
        return self.y + HEIGHT // 2

    @property
    def bottom(self) -> int:
        return self.y + HEIGHT

    @property
    def right(self) -> int:
        return self.x + WIDTH


@dataclass(frozen=True)
class MapExit:
    name: str
    label: str


@dataclass(frozen=True)
class MapEdge:
    """All exits of one passo that lead to the same other one: they share a line."""

    origin: str
    target: str
    exits: tuple[MapExit, ...]
    d: str
    label: str
    label_x: int
    label_y: int
    label_width: int
    is_back: bool
    is_loop: bool

    @property
    def label_left(self) -> int:
        return self.label_x - self.label_width // 2

    @property
    def all_labels(self) -> str:
        return ", ".join(one.label for one in self.exits if one.label)


@dataclass(frozen=True)
class FlowMap:
    """One flow, drawn. `key` is the sub-flow's, "" for the flow itself."""

    key: str
    name: str
    width: int
    height: int
    nodes: tuple[MapNode, ...]
    edges: tuple[MapEdge, ...]

    def title_of(self, node_id: str) -> str:
        return next((node.title for node in self.nodes if node.id == node_id), node_id)


@dataclass(frozen=True)
class Trail:
    """Where somebody went: passos, (passo, exit) pairs, and the passo where they are now; with
    nobody there any more, the `last` one."""

    visited: frozenset[str]
    taken: frozenset[tuple[str, str]]
    current: str = ""
    last: str = ""


@dataclass(frozen=True)
class NodeCount:
    """How many came to a passo, and how many of them went no further."""

    arrived: int
    dropped: int

    @property
    def rate(self) -> float:
        """Percent of those who came."""
        return min(100.0, 100 * self.dropped / self.arrived) if self.arrived else 0.0

    @property
    def heat(self) -> int:
        """From 1, where hardly anybody gives up, to 5, where more than 30 % do."""
        return min(HOTTEST, 1 + int(self.rate / HEAT_STEP))

    @property
    def words(self) -> str:
        """How many give up, as the foot of a passo says it."""
        if not self.dropped:
            return _("nobody gives up")
        percent = f"{round(self.rate)}" if round(self.rate) else "<1"
        return _("%(percent)s%% give up") % {"percent": percent}

    @property
    def people(self) -> str:
        said = ngettext("%(count)s person", "%(count)s people", self.arrived)
        return said % {"count": in_figures(self.arrived)}


@dataclass(frozen=True)
class MapCounts:
    """What people did in a period: passos by place (`sub/node` in a sub-flow), lines by the places
    that they join."""

    nodes: Mapping[str, NodeCount]
    edges: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class SeenNode:
    node: MapNode
    situation: Situation
    is_in_view: bool = False  # the first to look at
    count: NodeCount | None = None
    mark: Mark = ""
    marked: tuple[str, ...] = ()  # what the mark stands for, in words
    href: str = ""
    removes_href: str = ""

    @property
    def label(self) -> str:
        """The passo in words, for who does not see the drawing."""
        parts = [self.node.title, self.node.detail]
        parts += {"cur": [_("current step")], "done": [_("passed")]}.get(self.situation, [])
        parts += [self.count.people] if self.count else []
        parts += [self.count.words] if self.count and self.foot else []
        parts += {"error": [_("has errors")], "warning": [_("has warnings")]}.get(self.mark, [])
        return ", ".join(filter(None, parts))

    @property
    def foot(self) -> NodeCount | None:
        """What hangs below the passo."""
        if self.count is None or self.node.kind in NO_FOOT or not self.count.arrived:
            return None
        return self.count

    @property
    def foot_path(self) -> str:
        node = self.node
        width = node.width - 16
        return (
            f"M{node.x + 8} {node.bottom - 12}h{width}v21a8 8 0 0 1-8 8h{16 - width}a8 8 0 0 1-8-8z"
        )

    @property
    def words_top(self) -> int:
        """Where what can be said to come here begins: under the foot, if there is one."""
        return self.node.bottom + (6 if self.foot else -10)

    @property
    def detail(self) -> str:
        """Beneath the title; at the start, how many began."""
        if self.count is not None and self.node.kind == "start":
            return self.count.people
        return self.node.short_detail


@dataclass(frozen=True)
class SeenEdge:
    edge: MapEdge
    is_taken: bool
    is_dim: bool
    count: int | None = None
    width: float | None = None
    insert_href: str = ""
    href: str = ""  # to the conversations that took it

    @property
    def shown(self) -> str:
        """What stands on the line: how many took it, or what it is called."""
        return self.edge.label if self.count is None else in_figures(self.count)

    @property
    def shown_width(self) -> int:
        if self.count is None:
            return self.edge.label_width
        return len(self.shown) * NUMBER_DIGIT + NUMBER_PADDING

    @property
    def shown_left(self) -> int:
        return self.edge.label_x - self.shown_width // 2

    @property
    def beside(self) -> int:
        """The middle of what stands to the right of the label."""
        return self.edge.label_x + (self.shown_width // 2 + 9 if self.shown else 0)

    @property
    def said(self) -> str:
        """All of the line's exits, and how many people took it."""
        parts = [self.edge.all_labels]
        if self.count is not None:
            parts.append(NodeCount(self.count, 0).people)
        return ": ".join(filter(None, parts))


@dataclass(frozen=True)
class SeenExit:
    label: str
    target: str
    is_taken: bool
    count: int | None = None
    insert_href: str = ""


@dataclass(frozen=True)
class SeenRow:
    """A passo as a row of the table that says the same as the drawing."""

    seen: SeenNode
    exits: tuple[SeenExit, ...]


@dataclass(frozen=True)
class SeenMap:
    """A map with a trail on it; lines that were taken are drawn last, over the others."""

    drawing: FlowMap
    nodes: tuple[SeenNode, ...]
    edges: tuple[SeenEdge, ...]

    @property
    def current(self) -> MapNode | None:
        return next((one.node for one in self.nodes if one.situation == "cur"), None)

    @property
    def summary(self) -> str:
        """The drawing in one sentence."""
        count = len(self.nodes)
        said = ngettext("Map of %(count)d step.", "Map of %(count)d steps.", count)
        sentences = [said % {"count": count}]
        passed = [one.node.title for one in self.nodes if one.situation in {"done", "cur"}]
        if passed:
            sentences.append(_("Passed: %(titles)s.") % {"titles": ", ".join(passed)})
        if self.current is not None:
            sentences.append(_("Current step: %(title)s.") % {"title": self.current.title})
        worst = self.worst
        if worst is not None and worst.count is not None:
            about = {"title": worst.node.title, "percent": round(worst.count.rate)}
            sentences.append(_("Most give up at %(title)s: %(percent)s%%.") % about)
        alone = [one.node.title for one in self.nodes if not one.node.is_reachable]
        if alone:
            sentences.append(_("Nothing leads to: %(titles)s.") % {"titles": ", ".join(alone)})
        return " ".join(sentences)

    @property
    def worst(self) -> SeenNode | None:
        """Where the largest part gives up; None where nobody does."""
        feet = [one for one in self.nodes if one.foot is not None and one.foot.dropped]
        return max(feet, key=lambda one: one.foot.rate if one.foot else 0.0, default=None)

    @property
    def has_counts(self) -> bool:
        return any(one.count is not None for one in self.edges) or any(
            one.count is not None for one in self.nodes
        )

    @property
    def rows(self) -> Iterator[SeenRow]:
        leaving: dict[str, list[SeenExit]] = defaultdict(list)
        for seen in self.edges:
            edge = seen.edge
            label = edge.all_labels or _("goes on")
            title = self.drawing.title_of(edge.target)
            shown = SeenExit(label, title, seen.is_taken, seen.count, seen.insert_href)
            leaving[edge.origin].append(shown)
        for one in self.nodes:
            yield SeenRow(one, tuple(leaving[one.node.id]))


def map_of(version_id: int, key: str = "") -> FlowMap | None:
    """The map of a published version, or of the sub-flow `key` in it; None when it has none such.
    Raises what `document_of` raises."""
    document = document_of(version_id).document(key)
    if document is None:
        return None
    place = version_id, key, get_language()
    known = _kept.get(place)
    if known is None or known[0] is not document:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        known = _kept[place] = document, draw(document, key=key)
    return known[1]


# A drawing lives as long as the parsed document that it was made of.
_kept: dict[tuple[int, str, str | None], tuple[FlowDocument, FlowMap]] = {}


def draw(document: FlowDocument, *, key: str = "") -> FlowMap:
    """The map of a document, in the present language. The same document is always drawn alike."""
    graph = Graph(document)
    names = _in_order(document)
    exits = _exits(document)
    labels = {pair: _label_of(shown) for pair, shown in exits.items()}
    links = [Link(*pair, label_width=_room(label)) for pair, label in labels.items()]
    words = _words(document)
    layout = lay_out(names, links, hanging=frozenset(words))
    reachable = graph.paths.keys()
    return FlowMap(
        key=key,
        name=document.name,
        width=layout.width,
        height=layout.height,
        nodes=tuple(_node(document, name, layout, words, name in reachable) for name in names),
        edges=tuple(_edges(exits, labels, links, layout)),
    )


def with_trail(drawing: FlowMap, trail: Trail | None = None) -> SeenMap:
    """The map as somebody went through it; without a trail nothing is faded."""
    look_at = trail.current or trail.last if trail else ""
    nodes = tuple(
        SeenNode(node, _situation(node.id, trail), is_in_view=node.id == look_at)
        for node in drawing.nodes
    )
    edges = [_seen(edge, trail) for edge in drawing.edges]
    return SeenMap(drawing, nodes, tuple(sorted(edges, key=lambda one: one.is_taken)))


def with_counts(seen: SeenMap, counts: MapCounts | None) -> SeenMap:
    """The map with how many people took each line and how many gave up at each passo."""
    if counts is None:
        return seen
    key = seen.drawing.key
    nodes = [replace(one, count=counts.nodes.get(_place(key, one.node.id))) for one in seen.nodes]
    numbers = {
        one.edge: counts.edges.get((_place(key, one.edge.origin), _place(key, one.edge.target)), 0)
        for one in seen.edges
    }
    most = max(numbers.values(), default=0)
    edges = [
        replace(one, count=numbers[one.edge], width=_thickness(numbers[one.edge], most))
        for one in seen.edges
    ]
    return replace(seen, nodes=tuple(nodes), edges=tuple(edges))


def with_marks(seen: SeenMap, marks: Mapping[str, tuple[Mark, tuple[str, ...]]]) -> SeenMap:
    """The map with what was found: id of a passo → how bad, and in words."""
    nodes = []
    for one in seen.nodes:
        mark, marked = marks.get(one.node.id, ("", ()))
        nodes.append(replace(one, mark=mark, marked=marked))
    return replace(seen, nodes=tuple(nodes))


def with_links(
    seen: SeenMap,
    of_node: Callable[[str], str],
    of_edge: Callable[[MapEdge], str],
    removes: Callable[[str], str],
) -> SeenMap:
    """The map with where a passo is edited and deleted, and where one is put on a line."""
    nodes = (
        replace(one, href=of_node(one.node.id), removes_href=removes(one.node.id))
        for one in seen.nodes
    )
    edges = (replace(one, insert_href=of_edge(one.edge)) for one in seen.edges)
    return replace(seen, nodes=tuple(nodes), edges=tuple(edges))


def with_ways(
    seen: SeenMap, of_node: Callable[[str], str], of_edge: Callable[[MapEdge], str]
) -> SeenMap:
    """The map with where the figures of a passo stand, and the conversations that took a line."""
    nodes = (replace(one, href=of_node(one.node.id)) for one in seen.nodes)
    edges = (replace(one, href=of_edge(one.edge) if one.count else "") for one in seen.edges)
    return replace(seen, nodes=tuple(nodes), edges=tuple(edges))


def in_figures(count: int) -> str:
    return str(number_format(count, force_grouping=True))


def _place(key: str, node_id: str) -> str:
    return f"{key}/{node_id}" if key else node_id


def _thickness(count: int, most: int) -> float:
    return round(max(THINNEST, THICKEST * count / most), 1) if most else THINNEST


def _situation(node_id: str, trail: Trail | None) -> Situation:
    if trail is None:
        return ""
    if node_id == trail.current:
        return "cur"
    return "done" if node_id in trail.visited else "todo"


def _seen(edge: MapEdge, trail: Trail | None) -> SeenEdge:
    if trail is None:
        return SeenEdge(edge, is_taken=False, is_dim=False)
    is_taken = any((edge.origin, one.name) in trail.taken for one in edge.exits)
    return SeenEdge(edge, is_taken=is_taken, is_dim=not is_taken)


# --- What is drawn -----------------------------------------------------------------------------


def _in_order(document: FlowDocument) -> list[str]:
    """The start and what it leads to without a word being said, then the others: never in the order
    of the stored JSON, which the database may change."""
    found: dict[str, None] = {}
    for root in (document.start, *sorted(document.nodes)):
        waiting = [root] if root in document.nodes and root not in found else []
        for node_id in waiting:  # grows while it is read
            if node_id in found:
                continue
            found[node_id] = None
            targets = (one.target for one in document.nodes[node_id].exits())
            waiting += [one for one in targets if one in document.nodes]
    return list(found)


def _exits(document: FlowDocument) -> dict[tuple[str, str], tuple[MapExit, ...]]:
    """The connected exits by where they come from and lead to, in the order of the nodes."""
    found: dict[tuple[str, str], list[MapExit]] = defaultdict(list)
    for node_id in _in_order(document):
        node = document.nodes[node_id]
        for exit_ in node.exits():
            if exit_.target in document.nodes:
                shown = MapExit(exit_.name, _exit_label(node, exit_))
                found[node_id, exit_.target].append(shown)
    return {pair: tuple(exits) for pair, exits in found.items()}


def exit_label(node: AnyNode, name: str) -> str:
    """What an exit of the node is called: an option, a case, a route, or in words."""
    return _exit_label(node, Exit(name, ""))


def _exit_label(node: AnyNode, exit_: Exit) -> str:
    kind, _colon, rest = exit_.name.partition(":")
    match node, kind:
        case Menu() as menu, "option":
            return next((one.label for one in menu.options if one.id == rest), rest)
        case Branch() as branch, "case" if rest.isdigit() and 0 < int(rest) <= len(branch.cases):
            label = branch.cases[int(rest) - 1].label
            return label or _("case %(number)s") % {"number": rest}
        case Call(), "route":
            return str(EXIT_LABELS.get(rest, rest))
        case _, "on_fail":
            return pgettext("exit of a step", "out of tries")
    return str(EXIT_LABELS.get(exit_.name, ""))


def _label_of(exits: tuple[MapExit, ...]) -> str:
    """One label for a line: its exit, or the first one and how many more."""
    labels = [one.label for one in exits if one.label]
    if not labels:
        return ""
    more = f" +{len(labels) - 1}" if len(labels) > 1 else ""
    return _cut(labels[0], EXIT_SHOWN - len(more)) + more


def _room(label: str) -> int:
    return len(label) * LETTER + LABEL_PADDING if label else 0


def _words(document: FlowDocument) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for word in document.words:
        if word.next in document.nodes:
            found[word.next] += word.keywords
    return {node_id: tuple(words) for node_id, words in found.items()}


def _node(
    document: FlowDocument,
    node_id: str,
    layout: Layout,
    words: Mapping[str, tuple[str, ...]],
    is_reachable: bool,
) -> MapNode:
    node, box = document.nodes[node_id], layout.boxes[node_id]
    icon, tone = drawn_as(node)
    return MapNode(
        id=node_id,
        kind=node.kind,
        title=node.title or node_id,
        detail=detail_of(node),
        icon=icon,
        tone=tone,
        x=box.x,
        y=box.y,
        words=words.get(node_id, ()),
        subflow=node.flow if isinstance(node, SubFlow) else "",
        is_reachable=is_reachable,
    )


def _edges(
    exits: Mapping[tuple[str, str], tuple[MapExit, ...]],
    labels: Mapping[tuple[str, str], str],
    links: list[Link],
    layout: Layout,
) -> Iterator[MapEdge]:
    for link, line in zip(links, layout.lines, strict=True):
        pair = link.origin, link.target
        yield MapEdge(
            *pair,
            exits=exits[pair],
            d=line.d,
            label=labels[pair],
            label_x=line.label[0],
            label_y=line.label[1],
            label_width=link.label_width,
            is_back=line.is_back,
            is_loop=line.is_loop,
        )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
