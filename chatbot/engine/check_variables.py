"""Is every variable that a text or a condition reads set on every way that leads there?

One pass over the graph: a variable is known at a node when every way sets it (the meet is the
intersection). The witness of a finding is a way on which nothing sets it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import zip_longest

from chatbot.engine.conditions import Compare, comparisons
from chatbot.engine.conditions_alike import has_value
from chatbot.engine.findings import Finding, Severity
from chatbot.engine.ground import Ground
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
)
from chatbot.engine.render import placeholders, variable_named
from chatbot.engine.texts import filled_by
from chatbot.engine.whole import Link, Whole

_AFTER_TICKET = frozenset(("protocol", "department"))
_OF_SECRETS = "secret"
_PARTS = {
    "lead": frozenset(
        ("name", "first_name", "email", "phone", "status", "source", "tags", "opted_out")
    ),
    "channel": frozenset(("kind", "slug")),
}
_SETS_NOTHING = ("word", "on_fail", "route:error", "error")


def check_variables(ground: Ground) -> Iterator[Finding]:
    """One finding for each node and variable it reads without being sure of it."""
    whole = ground.whole
    given = {name for name, one in ground.flow.variables.items() if one.given}
    given |= set(ground.around.variables)
    effects = _Effects(ground)
    known = _known_everywhere(whole, effects, frozenset(given))
    set_somewhere = given | effects.all_names
    told: set[tuple[str, str]] = set()
    ways: dict[str, _Ways] = {}
    for spot, node in whole.nodes.items():
        place = whole.places[spot]
        for name in effects.reads[spot]:
            if name in known[spot] or (place, name) in told:
                continue
            told.add((place, name))
            severity: Severity = "warning" if name in set_somewhere else "error"
            if name not in ways:
                ways[name] = _Ways(whole, effects, name)
            path = whole.told(ways[name].to(spot))
            yield Finding("unknown_variable", severity, place, path, {"variable": name})
        for name in dict.fromkeys(_unknown_facts(node)):
            about = {"variable": name}
            if (place, name) not in told:
                told.add((place, name))
                yield Finding("unknown_variable", "error", place, whole.path(spot), about)


class _Effects:
    """What passing a link sets and clears."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        whole = ground.whole
        self.reads = {
            spot: tuple(dict.fromkeys(_reads(node))) for spot, node in whole.nodes.items()
        }
        self._read = frozenset(name for names in self.reads.values() for name in names)
        self.clears = {spot: frozenset(_cleared_by(node)) for spot, node in whole.nodes.items()}
        self._sets = {
            (spot, link.exit): frozenset(self._set_by(spot, node, link.exit))
            for spot, node in whole.nodes.items()
            for link in whole.links[spot]
        }
        self.all_names = {
            name
            for (spot, _exit), names in self._sets.items()
            if not isinstance(whole.nodes[spot], Branch)  # which only looks at what is there
            for name in names
        }

    def sets(self, link: Link) -> frozenset[str]:
        return self._sets[link.origin, link.exit]

    def _set_by(self, spot: str, node: AnyNode, exit_name: str) -> set[str]:
        names: set[str] = set()
        match node:
            case _ if exit_name in _SETS_NOTHING:
                pass
            case _ if spot in self._ground.whole.closed:
                names = set(self._read)
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
            case Branch():
                names = _implied_by(node, exit_name)
        return names

    def _outputs(self, handler: str) -> set[str]:
        """All that is read, if the handler is not known: better no finding than a wrong one."""
        known = self._ground.around.handlers
        if known is None or handler not in known:
            return set(self._read)
        return set(known[handler].outputs)


def _implied_by(branch: Branch, exit_name: str) -> set[str]:
    """The variables that must have a value when the branch is left by the exit."""
    names: set[str] = set()
    for exit_, case in zip_longest(branch.exits(), branch.cases):
        if exit_.name == exit_name:
            return names | (has_value(case.when) if case else set())
        names |= has_value(case.when, holds=False)
    return names


def _cleared_by(node: AnyNode) -> set[str]:
    if not isinstance(node, SetNode):
        return set()
    last = {one.name: one.op for one in node.values}
    return {name for name, op in last.items() if op == "clear"}


def _known_everywhere(
    whole: Whole, effects: _Effects, given: frozenset[str]
) -> dict[str, frozenset[str]]:
    if not whole.nodes:
        return {}
    known: dict[str, frozenset[str]] = {whole.start: given}
    waiting = deque([whole.start])
    while waiting:
        at = waiting.popleft()
        for link in whole.links[at]:
            after = (known[at] - effects.clears[at]) | effects.sets(link)
            before = known.get(link.target)
            meet = after if before is None else before & after
            if meet != before:
                known[link.target] = meet
                waiting.append(link.target)
    return known


class _Ways:
    """The shortest ways on which a variable has no value at their end."""

    def __init__(self, whole: Whole, effects: _Effects, name: str) -> None:
        self._whole = whole
        begin = (whole.start, False)
        self._came: dict[tuple[str, bool], tuple[str, bool] | None] = {begin: None}
        waiting = deque([begin])
        while waiting:
            here = waiting.popleft()
            at, is_set = here
            stays = is_set and name not in effects.clears[at]
            for link in whole.links[at]:
                there = (link.target, stays or name in effects.sets(link))
                if there not in self._came:
                    self._came[there] = here
                    waiting.append(there)

    def to(self, spot: str) -> list[str]:
        here: tuple[str, bool] | None = (spot, False)
        if here not in self._came:
            return self._whole.way(spot)
        way: list[str] = []
        while here is not None:
            way.append(here[0])
            here = self._came[here]
        return way[::-1]


def _reads(node: AnyNode) -> Iterator[str]:
    """The variables that a node needs; those with a default text, and facts, are not needed."""
    if isinstance(node, SetNode):
        yield from _reads_of_set(node)
        return
    for name in _named(node):
        yield from _variable(name)
    if isinstance(node, Branch):
        for case in node.cases:
            for one in comparisons(case.when):
                if one.op not in ("filled", "empty"):
                    yield from _variable(one.variable)


def _named(node: AnyNode) -> Iterator[str]:
    for field, text in filled_by(node):
        for name, has_default in placeholders(text):
            is_late = isinstance(node, Handoff) and field in ("text", "closed_text")
            if not has_default and not (is_late and name in _AFTER_TICKET):
                yield name


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
    if base != _OF_SECRETS and (base not in FACT_NAMES or base in _AFTER_TICKET):
        yield base


def _unknown_facts(node: AnyNode) -> Iterator[str]:
    """`lead.nome` is no fact, and would always be empty."""
    for name in (*_named(node), *(one.variable for one in _compared(node))):
        base, _dot, part = name.partition(".")
        if base in _PARTS and part not in _PARTS[base]:
            yield name


def _compared(node: AnyNode) -> Iterator[Compare]:
    if isinstance(node, Branch):
        for case in node.cases:
            yield from comparisons(case.when)
