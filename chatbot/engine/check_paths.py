"""What is wrong with the ways through a flow: nowhere to come from, no end to going round, nobody
to ask, texts that come too late or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chatbot.engine.counting import endless_knots, longest_run
from chatbot.engine.findings import Finding, Severity
from chatbot.engine.graph import Graph
from chatbot.engine.ground import Ground
from chatbot.engine.kinds import AnyNode, Ask, End, Handoff, Menu, SendNode, SubFlow
from chatbot.engine.limits import CALLS_PER_MESSAGE, NODES_PER_STEP
from chatbot.engine.windows import late_spots


def check_paths(ground: Ground) -> Iterator[Finding]:
    yield from _unreachable(ground)
    yield from _loops(ground)
    yield from _runs(ground)
    yield from _people(ground)
    yield from _late(ground)
    yield from _silent_ends(ground)
    yield from _media(ground)


def _unreachable(ground: Ground) -> Iterator[Finding]:
    """What no exit leads to; what only a sub-flow leads to that never comes back, is said there."""
    if not ground.spots:
        return
    drawn = {key: Graph(document).paths for key, document in ground.whole.documents()}
    for desk in ground.desks:
        key, _slash, node_id = desk.place.rpartition("/")
        if desk.place not in ground.spots:
            if node_id not in drawn[key]:
                yield desk.finding("unreachable", "error")
        elif isinstance(desk.node, SubFlow) and desk.node.next in desk.document.nodes:
            after = f"{key}/{desk.node.next}" if key else desk.node.next
            if after not in ground.spots and not ground.whole.returns(ground.spots[desk.place]):
                yield desk.finding("never_returns", "warning", flow=desk.node.flow)


def _loops(ground: Ground) -> Iterator[Finding]:
    whole = ground.whole
    timed = {
        spot
        for spot, node in whole.nodes.items()
        if node.awaits != "customer" and spot not in whole.closed
    }
    silent = {spot for spot in timed if whole.nodes[spot].awaits != "wait"}
    known: set[str] = set()
    kinds: tuple[tuple[str, Severity, set[str]], ...] = (
        ("silent_loop", "error", silent),
        ("timed_loop", "warning", timed),
    )
    for code, severity, within in kinds:
        for knot in endless_knots(whole, within):
            places = {whole.places[one] for one in knot}
            if known.isdisjoint(places):
                known |= places
                circle = whole.shortest(knot[0], knot[0].__eq__, set(knot))
                path = whole.told([*whole.way(knot[0]), *circle])
                yield Finding(code, severity, whole.places[knot[0]], path)


def _runs(ground: Ground) -> Iterator[Finding]:
    """Ways that end, but are too long for one message all the same."""
    whole = ground.whole
    runs = (
        (NODES_PER_STEP, longest_run(whole, lambda node: not node.awaits, lambda _node: 1)),
        (CALLS_PER_MESSAGE, longest_run(whole, _needs_no_customer, _is_call)),
    )
    for limit, (count, way) in runs:
        if count > limit:
            path = whole.told([*whole.way(way[0])[:-1], *way])
            about = {"count": count, "limit": limit}
            yield Finding("too_many_in_a_row", "error", path[-1], path, about)


def _needs_no_customer(node: AnyNode) -> bool:
    return node.awaits != "customer"


def _is_call(node: AnyNode) -> int:
    return int(node.awaits in ("handler", "http", "wait"))


def _people(ground: Ground) -> Iterator[Finding]:
    whole, flow = ground.whole, ground.flow
    ways = [
        spot
        for spot, node in whole.nodes.items()
        if isinstance(node, Handoff) or (spot in whole.closed and _may_hand_over(node, ground))
    ]
    if not ways:
        if whole.nodes:
            yield Finding("no_way_to_human", "warning", flow.start, (flow.start,))
        return
    served = whole.that_reach(ways)
    told: set[str] = set()
    for spot, node in whole.nodes.items():
        place = whole.places[spot]
        if node.awaits == "customer" and spot not in served and place not in told:
            told.add(place)
            yield Finding("no_way_to_human", "warning", place, whole.path(spot))


def _may_hand_over(node: AnyNode, ground: Ground) -> bool:
    if not isinstance(node, SubFlow) or node.flow not in ground.whole.flows:
        return True
    return bool(ground.whole.flows[node.flow].way_to_people)


def _late(ground: Ground) -> Iterator[Finding]:
    """Free text when the customer service window may be closed."""
    whole = ground.whole
    told: set[str] = set()
    for late in late_spots(whole):
        place = whole.places[late.spot]
        if place in told or not _says_freely(whole.nodes[late.spot]):
            continue
        told.add(place)
        severity: Severity = "error" if late.is_always else "warning"
        about = {"hours": late.seconds // 3600}
        yield Finding("text_after_window", severity, place, whole.told(late.way), about)


def _says_freely(node: AnyNode) -> bool:
    match node:
        case SendNode(template=template):
            return template is None
        case Ask() | Menu():
            return True
        case Handoff(text=text, closed_text=closed):
            return bool(text.strip() or closed.strip())
        case End(text=text):
            return bool(text.strip())
    return False


def _silent_ends(ground: Ground) -> Iterator[Finding]:
    """An answer of the customer after which the run ends and nothing has been said."""
    whole = ground.whole
    mute = {spot for spot, node in whole.nodes.items() if _is_mute(node)}
    told: set[str] = set()
    for origin, node in whole.nodes.items():
        if node.awaits != "customer":
            continue
        for link in whole.links[origin]:
            if link.exit == "word" or link.target not in mute:
                continue
            way = [link.target]
            if not _ends(link.target, ground):
                way += whole.shortest(link.target, _ends_at(ground), mute)
            place = whole.places[way[-1]]
            if _ends(way[-1], ground) and place not in told:
                told.add(place)
                path = whole.told([*whole.way(origin), *way])
                yield Finding("silent_end", "hint", place, path)


def _is_mute(node: AnyNode) -> bool:
    match node:
        case SendNode() | Ask() | Menu() | Handoff():
            return False
        case End(text=text):
            return not text.strip()
    return True


def _ends_at(ground: Ground) -> Callable[[str], bool]:
    return lambda spot: _ends(spot, ground)


def _ends(spot: str, ground: Ground) -> bool:
    """An end that is not only the end of a sub-flow."""
    node = ground.whole.nodes[spot]
    return isinstance(node, End) and (node.end_session or not ground.whole.is_inside(spot))


def _media(ground: Ground) -> Iterator[Finding]:
    """One passo is enough to say it: the sentence is the flow's."""
    for desk in ground.desks:
        node = desk.node
        takes_text = isinstance(node, Menu) or (
            isinstance(node, Ask) and not node.accepts_media and node.answer != "file"
        )
        if not takes_text or desk.place not in ground.spots:
            continue
        own = node.only_text if isinstance(node, Ask | Menu) else ""
        if not (own or desk.document.only_text_answer).strip():
            yield desk.finding("no_answer_to_media", "hint")
            return
