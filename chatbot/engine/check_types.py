"""Do conditions compare variables as what they are?

What a variable is, is taken from every passo that sets it; what an unknown integration or another
system gives is what the flow declares, else anything. A finding says that the comparison cannot
come out as it was meant, however the conversation goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from chatbot.engine.conditions import Compare, Scalar, comparisons, equal
from chatbot.engine.findings import Finding
from chatbot.engine.ground import Desk, Ground
from chatbot.engine.kinds import AnyNode, Ask, Assignment, Branch, Http, Menu, SetNode, Start
from chatbot.engine.numbers import to_number
from chatbot.engine.render import only_placeholder, placeholders, variable_named

FACTS: dict[str, str] = {
    "lead.status": "text",
    "lead.tags": "list",
    "lead.opted_out": "boolean",
    "weekday": "number",
    "today": "date",
    "now": "time",
    "first_contact": "boolean",
}
STATUSES = ("new", "contacted", "qualified", "converted", "lost")
_ORDER = ("lt", "le", "gt", "ge")
_OF_ANSWER = {"number": "number", "date": "date", "location": "thing", "file": "thing"}
_DECLARED = {**_OF_ANSWER, "boolean": "boolean", "list": "list", "any": "any"}


def check_types(ground: Ground) -> Iterator[Finding]:
    branches = [desk for desk in ground.desks if isinstance(desk.node, Branch)]
    if not branches:
        return
    known = _Known(ground)
    for desk in branches:
        shown: dict[str, Finding] = {}
        for finding in _of_branch(desk, known):
            shown.setdefault(finding.key, finding)
        yield from shown.values()


def _of_branch(desk: Desk, known: _Known) -> Iterator[Finding]:
    if not isinstance(desk.node, Branch):
        return
    for number, case in enumerate(desk.node.cases, 1):
        for one in comparisons(case.when):
            types = known.types(one.variable)
            wanted = _unfit(one, types)
            if wanted:
                about = {"variable": one.variable, "is": sorted(types)[0], "wanted": wanted}
                yield desk.finding("wrong_type", "warning", case=number, **about)
            elif value := _never(one, known):
                about = {"variable": one.variable, "value": value}
                yield desk.finding("never_equal", "warning", case=number, **about)


def _unfit(one: Compare, types: set[str]) -> str:
    """As what the condition takes the variable, when it is nothing of the kind."""
    if not types or "any" in types or one.op in ("filled", "empty"):
        return ""
    if one.op in _ORDER:
        wanted = _kind_of(one.value)
        wanted = wanted if wanted in ("number", "date") else "number"
        return "" if wanted in types and _kind_of(one.value) == wanted else wanted
    if one.op == "contains":
        return "" if types & {"text", "list"} else "list"
    values = one.value if isinstance(one.value, tuple) else (one.value,)
    kinds = [_kind_of(value) for value in values]
    if any(_may_equal(kind, types) for kind in kinds):
        return ""
    return kinds[0] if kinds else ""


def _may_equal(kind: str, types: set[str]) -> bool:
    """A number may have been typed as a text; nothing is equal to a list or a file."""
    return kind in types or ("text" in types and kind in ("number", "date", "boolean"))


def _kind_of(value: Scalar | tuple[Scalar, ...]) -> str:
    if isinstance(value, bool) or value in ("true", "false"):
        return "boolean"
    if isinstance(value, tuple):
        return "list"
    if to_number(value) is not None:
        return "number"
    return "date" if _is_day(value) else "text"


def _is_day(value: Scalar) -> bool:
    try:
        date.fromisoformat(str(value))
    except ValueError:
        return False
    return len(str(value)) == len("2026-11-12")


def _never(one: Compare, known: _Known) -> str:
    """A value that the variable never has, when all that it can have are known."""
    if one.op not in ("eq", "in", "ne"):
        return ""
    possible = known.values(one.variable)
    if possible is None:
        return ""
    values = one.value if isinstance(one.value, tuple) else (one.value,)
    empty = ("", None)
    never = (v for v in values if v not in empty and not any(equal(p, v) for p in possible))
    return str(next(never, ""))


class _Known:
    """What each variable is, and which values it can have."""

    def __init__(self, ground: Ground) -> None:
        self._setters: dict[str, list[AnyNode | Assignment]] = {}
        self._declared = {
            name: one.type
            for _key, document in ground.whole.documents()
            for name, one in document.variables.items()
        }
        given = {
            name
            for _key, document in ground.whole.documents()
            for name, one in document.variables.items()
            if one.given
        }
        self._outside = given | ground.outputs | set(ground.around.variables)
        self._is_open_ended = ground.is_open_ended
        for node in ground.nodes():
            self._note(node)

    def types(self, name: str, seen: frozenset[str] = frozenset()) -> set[str]:
        """All that the variable may be; empty when nothing sets it."""
        if name in FACTS:
            return {FACTS[name]}
        base, _dot, part = name.partition(".")
        if base in ("lead", "channel"):
            return {"text"}
        if part or name in seen:
            return {"any"} if part else set()
        setters = self._setters.get(name, [])
        found = {one for setter in setters for one in self._type_of(setter, name, seen | {name})}
        if name in self._outside or (not setters and self._is_open_ended):
            found.add(self._type_declared(name))
        return found

    def values(self, name: str) -> list[Scalar] | None:
        """All values that the variable can have, or None."""
        if name == "lead.status":
            return list(STATUSES)
        setters = self._setters.get(name, [])
        if not setters or name in self._outside or self._is_open_ended:
            return None
        found: list[Scalar] = []
        for setter in setters:
            match setter:
                case Menu(options=options):
                    found += [one.id for one in options]
                case Assignment(op="set", value=value) if not _has_placeholder(value):
                    found.append(value)
                case Assignment(op="clear"):
                    pass
                case _:
                    return None
        return found

    def _note(self, node: AnyNode) -> None:
        match node:
            case Ask(save_as=name) | Menu(save_as=name) | Start(save_as=name) if name:
                self._setters.setdefault(name, []).append(node)
            case Http(mapping=mapping):
                for name in mapping:
                    self._setters.setdefault(name, []).append(node)
            case SetNode(values=values):
                for one in values:
                    self._setters.setdefault(one.name, []).append(one)

    def _type_declared(self, name: str) -> str:
        declared = self._declared.get(name, "any")
        return _DECLARED.get(declared, "text")

    def _type_of(self, setter: AnyNode | Assignment, name: str, seen: frozenset[str]) -> set[str]:
        match setter:
            case Ask() as ask:
                own = {_OF_ANSWER.get(ask.answer, "text")}
                return own | {"thing"} if ask.accepts_media else own
            case Menu(options=options):
                numbers = [to_number(one.id) is not None for one in options]
                return {"number", "text"} if all(numbers) else {"text"}
            case Http():
                return {self._type_declared(name)} if name in self._declared else {"any"}
            case Assignment() as one:
                return self._type_assigned(one, seen)
        return {"text"}

    def _type_assigned(self, one: Assignment, seen: frozenset[str]) -> set[str]:
        match one.op:
            case "add" | "subtract":
                return {"number"}
            case "append":
                return {"list"}
            case "clear":
                return set()
            case "copy":
                return self.types(variable_named(one.value), seen)
            case "set":
                return self._type_of_value(one.value, seen)
        return {"text"}

    def _type_of_value(self, value: Scalar, seen: frozenset[str]) -> set[str]:
        if value is None or value == "":
            return set()
        alias = only_placeholder(value) if isinstance(value, str) else ""
        if alias:
            return self.types(alias, seen)
        return {"text"} if _has_placeholder(value) else {_kind_of(value)}


def _has_placeholder(value: Scalar) -> bool:
    return isinstance(value, str) and any(True for _ in placeholders(value))
