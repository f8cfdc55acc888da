"""Customers, integrations and clocks as a witness needs them: what may happen next in a run.

`Cast.turns` gives, for a run that waits, every kind of thing that may come: each option, good and
bad answers of the type asked for, media, words, each route of an integration, time going by. The
values are ordinary ones, and those that the flow's conditions tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chatbot.engine.answers import accepts_media
from chatbot.engine.bounds import FACTS, Bounds, longest_answer
from chatbot.engine.conditions import Compare, comparisons
from chatbot.engine.kinds import (
    AnyNode,
    Ask,
    Branch,
    Call,
    Http,
    Menu,
    SetNode,
    Start,
    WaitNode,
)
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.numbers import to_number
from chatbot.engine.render import placeholders
from chatbot.engine.state import State
from chatbot.engine.texts import filled_by

Turn = dict[str, Any]

NONSENSE = "xpto qwert"
PLACE = {"location": {"latitude": -8.05, "longitude": -34.9}}
PHOTO = {"media": "image"}
_ALBUM = 2  # minutes: media that come faster get one answer for all
_ORDINARY = {
    "number": "7",
    "email": "davi@exemplo.com.br",
    "phone": "81 98888-0142",
    "cpf": "529.982.247-25",
    "cnpj": "11.222.333/0001-81",
}
_DAYS = {"": "12/11/2026", "past": "01/02/2000", "future": "01/02/2099"}
_OF_TYPE = {"number": 7, "date": "2026-11-12", "boolean": True, "list": ["a"]}
_TEXT = "Davi Rocha"


class Cast:
    """Who acts in the witness of one finding. `is_long`: everybody says as much as they can.
    `lines` are texts worth saying; `hidden` is a variable that nobody fills on purpose."""

    def __init__(
        self,
        flow: FlowDocument,
        *,
        is_long: bool = False,
        lines: Iterable[str] = (),
        hidden: str = "",
    ) -> None:
        self._flow = flow
        self._is_long = is_long
        self._lines = tuple(lines)
        self._hidden = hidden
        self._documents = (flow, *flow.subflows.values())
        self._bounds = Bounds(self._documents)
        self._wishes = _wishes(self._documents)
        self._unset = _unset(self._documents)

    def context(self) -> dict[str, Any]:
        """What whoever starts the flow gives."""
        given = (name for name, one in self._flow.variables.items() if one.given)
        return {name: self._value(name) for name in given if name != self._hidden}

    def facts(self) -> dict[str, Any]:
        if not self._is_long:
            return {}
        lead = {
            name.partition(".")[2]: "x" * length
            for name, length in FACTS.items()
            if name.startswith("lead.") and name != "lead.opted_out"
        }
        return {"lead": lead, "channel": {"kind": "x" * 24, "slug": "x" * 50}}

    def first_turns(self) -> Iterator[Turn]:
        start = self._flow.nodes.get(self._flow.start)
        yield {"in": self._said("", 4096) if self._is_long else "Oi"}
        if isinstance(start, Start):
            if start.answers_words:
                yield from ({"in": one} for one in self._words(self._flow))
            wishes = self._wishes.get(start.save_as, ())
            yield from ({"in": str(one)} for one in wishes if one not in ("", None))

    def turns(self, state: State) -> Iterator[Turn]:
        """What may happen to a run that waits, the likeliest first."""
        document = self._flow.document(state.flow)
        node = document.nodes.get(state.node) if document else None
        if document is None or node is None:
            return
        yield from self._answers(node, state)
        if state.awaiting != "ticket":
            yield from ({"in": one} for one in self._words(document))

    def _answers(self, node: AnyNode, state: State) -> Iterator[Turn]:
        match state.awaiting, node:
            case "customer", Ask() as ask:
                yield from self._to_question(ask)
            case "customer", Menu() as menu:
                yield from ({"in": {"choice": one.id}} for one in menu.options)
                yield from ({"in": one} for one in (*self._lines, NONSENSE))
                yield {"in": PHOTO, "after_minutes": _ALBUM}
            case "handler", Call() as call:
                routes = dict.fromkeys((*sorted(call.routes), "ok", "error"))
                yield from self._returned(routes, self._unset)
            case "http", Http() as http:
                yield from self._returned(("ok", "error"), set(http.mapping))
            case "wait", WaitNode() as wait:
                yield {"in": {"timer": True}, "after_minutes": wait.seconds / 60}
                if wait.interruptible:
                    yield {"in": "Oi"}
            case "ticket", _:
                protocol = "9" * FACTS["protocol"] if self._is_long else "20261112-0001"
                department = self._said("", FACTS["department"]) if self._is_long else "Geral"
                for is_open in (True, False):
                    ticket = {"protocol": protocol, "department": department}
                    yield {"in": {"ticket": {**ticket, "is_open_now": is_open}}}

    def _to_question(self, ask: Ask) -> Iterator[Turn]:
        yield from self._good(ask)
        yield from ({"in": one} for one in self._lines)
        if ask.skip_words:
            yield {"in": ask.skip_words[0]}
        yield {"in": wrong_answer(ask)}
        if not accepts_media(ask):
            yield {"in": PHOTO, "after_minutes": _ALBUM}

    def _good(self, ask: Ask) -> Iterator[Turn]:
        if ask.answer == "location":
            yield {"in": PLACE}
        elif ask.answer == "file":
            yield {"in": {**PHOTO, "caption": self._said("", 1024)}, "after_minutes": _ALBUM}
        else:
            yield {"in": right_answer(ask, is_long=self._is_long)}
            for wish in self._wishes.get(ask.save_as, ()):
                if wish not in ("", None):
                    yield {"in": _as_typed(ask, wish)}
            if ask.accepts_media:
                yield {"in": {**PHOTO, "caption": self._said("", 1024)}, "after_minutes": _ALBUM}

    def _returned(self, routes: Iterable[str], names: set[str]) -> Iterator[Turn]:
        """Each route, with ordinary values and with each one that a condition asks for."""
        ordinary = {name: self._value(name) for name in sorted(names - {self._hidden})}
        for route in routes:
            if route == "error":
                yield {"in": {"returned": {"route": route}}}
                continue
            yield {"in": {"returned": {"route": route, "values": ordinary}}}
            for name in ordinary:
                for wish in self._wishes.get(name, ()):
                    values = {**ordinary, name: wish}
                    yield {"in": {"returned": {"route": route, "values": values}}}

    def _words(self, document: FlowDocument) -> Iterator[str]:
        for one in dict.fromkeys((document.slug, self._flow.slug)):
            known = document if one == document.slug else self._flow
            yield from (word.keywords[0] for word in known.words)

    def _value(self, name: str) -> Any:
        declared = next(
            (one.variables[name].type for one in self._documents if name in one.variables), "text"
        )
        if declared in _OF_TYPE:
            return _OF_TYPE[declared]
        return self._said("abc", self._bounds.of(name))

    def _said(self, ordinary: str, longest: int) -> str:
        return "x" * longest if self._is_long else ordinary


def right_answer(ask: Ask, *, is_long: bool = False) -> str:
    """A typed answer that the question takes."""
    if ask.answer == "date":
        return _DAYS[ask.when]
    if ask.answer == "number":
        return _number_within(ask)
    if ask.answer == "email" and is_long:
        return f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 57}.com"
    if ask.answer != "text":
        return _ORDINARY.get(ask.answer, _TEXT)
    least = int(ask.minimum or 0)
    text = _TEXT if len(_TEXT) >= least else _TEXT + "x" * (least - len(_TEXT))
    return "x" * longest_answer(ask) if is_long else text[: longest_answer(ask)]


def wrong_answer(ask: Ask) -> Any:
    """Something that the question does not take: a place, or a text where it wants none."""
    if ask.answer in ("text", "file"):
        return PLACE
    return NONSENSE


def _number_within(ask: Ask) -> str:
    least, most = ask.minimum, ask.maximum
    if least is not None and least > 7:  # noqa: PLR2004 - the ordinary number
        return _as_number(least)
    return _as_number(most) if most is not None and most < 7 else _ORDINARY["number"]  # noqa: PLR2004


def _as_number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value).replace(".", ",")


def _as_typed(ask: Ask, value: Any) -> str:
    if ask.answer == "date" and isinstance(value, str) and len(value.split("-")) == 3:  # noqa: PLR2004
        return "/".join(reversed(value.split("-")))
    return _as_number(value) if isinstance(value, float) else str(value)


def _wishes(documents: Iterable[FlowDocument]) -> dict[str, list[Any]]:
    """Variable → values on both sides of every comparison."""
    wishes: dict[str, list[Any]] = {}
    for document in documents:
        for node in document.nodes.values():
            if isinstance(node, Branch):
                for case in node.cases:
                    for one in comparisons(case.when):
                        known = wishes.setdefault(one.variable, [])
                        known += [value for value in telling(one) if value not in known]
    return wishes


def telling(one: Compare) -> list[Any]:
    """Values for which a comparison holds, and for which it does not."""
    if one.op in ("filled", "empty"):
        return ["abc", ""]
    values = list(one.value) if isinstance(one.value, tuple) else [one.value]
    for value in list(values):
        number = to_number(value)
        if number is not None and one.op in ("lt", "le", "gt", "ge"):
            values += [number - 1, number + 1]
        elif isinstance(value, str) and one.op in ("lt", "le", "gt", "ge"):
            values += ["2000-01-01", "2099-01-01"]
    return [*values, "abc"]


def _unset(documents: Iterable[FlowDocument]) -> set[str]:
    """Variables that are read and that no passo sets: integrations must give them."""
    read: set[str] = set()
    is_set: set[str] = set()
    for document in documents:
        for node in document.nodes.values():
            read |= {name for _f, text in filled_by(node) for name, _d in placeholders(text)}
            match node:
                case Ask(save_as=name) | Menu(save_as=name) | Start(save_as=name):
                    is_set.add(name)
                case Http(mapping=mapping):
                    is_set |= set(mapping)
                case SetNode(values=values):
                    is_set |= {one.name for one in values}
                case Branch(cases=cases):
                    asked = (one for case in cases for one in comparisons(case.when))
                    read |= {one.variable for one in asked}
    plain = {name for name in read if "." not in name}
    return plain - is_set - FACTS.keys()


def merged(facts: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Facts over facts; those of the lead and the channel one by one."""
    joined = {**facts, **more}
    for name in ("lead", "channel"):
        if name in facts and name in more:
            joined[name] = {**facts[name], **more[name]}
    return joined
