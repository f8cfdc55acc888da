"""Loops that end because they count, and how long a run goes on without the customer.

A loop counts when every round of it adds to a variable, leaves as soon as that reaches a number,
and nothing else sets the variable: "try again, at most three times".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

from chatbot.engine.conditions import Compare
from chatbot.engine.kinds import AnyNode, Ask, Assignment, Branch, Http, Menu, SetNode, Start
from chatbot.engine.whole import Whole, components

Pairs = set[tuple[str, str]]


def endless_knots(whole: Whole, within: set[str]) -> list[list[str]]:
    """The knots among `within` that do not count their rounds."""
    return [knot for knot in whole.knots(within) if _rounds(whole, set(knot)) is None]


def longest_run(
    whole: Whole, passes: Callable[[AnyNode], bool], weight: Callable[[AnyNode], int]
) -> tuple[int, list[str]]:
    """(sum of weights, spots) of the heaviest way through nodes that `passes`, the one after them
    included, without the customer. Endless loops are not gone into."""
    passing = {
        spot for spot, node in whole.nodes.items() if passes(node) and spot not in whole.closed
    }
    after = {spot: _targets(whole, spot) for spot in passing}
    inside = {spot: [one for one in targets if one in passing] for spot, targets in after.items()}
    best: dict[str, tuple[int, str]] = {
        spot: (weight(node), "") for spot, node in whole.nodes.items() if spot not in passing
    }
    for part in components([one for one in whole.nodes if one in passing], inside.__getitem__):
        rounds = 1
        if len(part) > 1 or part[0] in inside[part[0]]:
            counted = _rounds(whole, set(part))
            if counted is None:
                continue
            rounds = counted
        own = rounds * sum(weight(whole.nodes[one]) for one in part)
        beyond = {one for spot in part for one in after[spot]} - set(part)
        most, following = max(
            ((best[one][0], one) for one in beyond if one in best), default=(0, "")
        )
        for spot in part:
            best[spot] = (own + most, following)
    heaviest = max(best, key=lambda one: best[one][0], default="")
    if not heaviest:
        return 0, []
    way = [heaviest]
    while best[way[-1]][1] and best[best[way[-1]][1]][0]:
        way.append(best[way[-1]][1])
    return best[heaviest][0], way


def _targets(whole: Whole, spot: str) -> list[str]:
    return [link.target for link in whole.links[spot] if not link.by_customer]


def _rounds(whole: Whole, knot: set[str]) -> int | None:
    """How often a run can go round in the knot; None when nothing says so."""
    names = {
        one.name
        for spot in knot
        if isinstance(node := whole.nodes[spot], SetNode)
        for one in node.values
        if one.op == "add"
    }
    counted = (_rounds_by(whole, knot, name) for name in sorted(names))
    return next((one for one in counted if one is not None), None)


def _rounds_by(whole: Whole, knot: set[str], name: str) -> int | None:
    steps, begins = _counter(whole, name)
    if not steps:
        return None
    adding = {spot for spot in knot if _changes(whole.nodes[spot], name, "add")}
    if any(_changes(whole.nodes[spot], name, "set") for spot in knot):
        return None
    limited, most = _limited(whole, knot, name)
    if _goes_round(whole, knot - adding, set()) or _goes_round(whole, knot, limited):
        return None
    return max(1, ceil((most - min([0, *begins])) / min(steps)) + 1)


def _counter(whole: Whole, name: str) -> tuple[list[float], list[float]]:
    """(what is added, what it begins with); nothing when it is not a plain counter."""
    steps: list[float] = []
    begins: list[float] = []
    for node in whole.nodes.values():
        match node:
            case Ask(save_as=other) | Menu(save_as=other) | Start(save_as=other) if other == name:
                return [], []
            case Http(mapping=mapping) if name in mapping:
                return [], []
            case SetNode(values=values):
                for one in values:
                    if one.name == name and not _counts(one, steps, begins):
                        return [], []
    return (steps, begins) if all(one > 0 for one in steps) else ([], [])


def _counts(one: Assignment, steps: list[float], begins: list[float]) -> bool:
    """Note what the assignment does to a counter; False when it is no such thing."""
    if one.op == "clear":
        begins.append(0)
        return True
    if isinstance(one.value, bool) or not isinstance(one.value, int | float):
        return False
    if one.op not in ("add", "set"):
        return False
    (steps if one.op == "add" else begins).append(float(one.value))
    return True


def _changes(node: AnyNode, name: str, op: str) -> bool:
    if not isinstance(node, SetNode):
        return False
    ops = {one.op for one in node.values if one.name == name}
    return op in ops if op == "add" else bool(ops & {"set", "clear"})


def _limited(whole: Whole, knot: set[str], name: str) -> tuple[Pairs, float]:
    """The links of the knot that are only taken while the variable is small, and how small."""
    limited: Pairs = set()
    most = 0.0
    for spot in knot:
        node = whole.nodes[spot]
        if isinstance(node, Branch):
            for exits, number in _guards(node, name):
                limited |= {(spot, link.target) for link in whole.links[spot] if link.exit in exits}
                most = max(most, number)
    return limited, most


def _guards(branch: Branch, name: str) -> Iterator[tuple[set[str], float]]:
    """(exits that are only taken while the variable is at most the number, that number)."""
    exits = [one.name for one in branch.exits()]
    for number, case in enumerate(branch.cases):
        when = case.when
        if not isinstance(when, Compare) or when.variable != name:
            continue
        if not isinstance(when.value, int | float) or isinstance(when.value, bool):
            continue
        if when.op in ("lt", "le"):
            yield {exits[number]}, float(when.value)
        elif when.op in ("gt", "ge"):
            yield set(exits[number + 1 :]), float(when.value)


def _goes_round(whole: Whole, spots: set[str], without: Pairs) -> bool:
    inside = {
        spot: [
            target
            for target in _targets(whole, spot)
            if target in spots and (spot, target) not in without
        ]
        for spot in spots
    }
    return any(
        len(part) > 1 or part[0] in inside[part[0]]
        for part in components(sorted(spots), inside.__getitem__)
    )
