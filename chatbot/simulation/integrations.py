"""The call and http passos of a document, and what somebody who tries it lets them give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from chatbot.engine.kinds import Call, Http
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.numbers import parse_number
from chatbot.flow_words import in_words, sensitive_names, variable_of
from chatbot.handlers import registry
from chatbot.http_request import ERROR, OK
from chatbot.labels import EXIT_LABELS
from chatbot.models import SimulatedPerson
from chatbot.simulation.recorded import Result, last_real
from chatbot.simulation.staging import ASK, GIVE, RECORDED, RUN, does
from users.masking import MASK

YES = frozenset({"sim", "yes", "true", "1", "verdadeiro"})
NO = frozenset({"não", "nao", "no", "false", "0", "falso"})
LONGEST = 4096


@dataclass(frozen=True)
class Output:
    """A variable that an integration may set, with what is in its field."""

    name: str
    label: str
    value: str = ""


@dataclass(frozen=True)
class Integration:
    """A call or http passo as the tester's panel shows it. `how`: ask, run, recorded or give."""

    place: str
    title: str
    what: str
    is_http: bool
    how: str
    routes: tuple[str, ...]
    route: str
    outputs: tuple[Output, ...]
    recorded: Result | None = None
    recorded_shown: str = ""

    @property
    def key(self) -> str:
        """As a part of ids in a page."""
        return self.place.replace("/", "--")

    @property
    def how_shown(self) -> str:
        return {
            ASK: _("asks you"),
            RUN: _("really done"),
            RECORDED: _("last real result"),
            GIVE: _("gives “%(route)s”") % {"route": _route_in_words(self.route)},
        }[self.how]

    @property
    def route_choices(self) -> list[tuple[str, str]]:
        return [(route, _route_in_words(route)) for route in self.routes]


def integrations_of(
    document: FlowDocument, flow_id: int, person: SimulatedPerson | None
) -> list[Integration]:
    """Every call and http passo, with those of sub-flows, as they are drawn in the document."""
    nodes = dict(_nodes(document))
    real = last_real(flow_id, nodes.keys())
    return [_described(place, node, document, person, real) for place, node in nodes.items()]


def result_from(
    form: Mapping[str, str], integration: Integration, document: FlowDocument
) -> Result:
    """What the tester chose in the form of an integration, with values of the types that the flow
    declares. A route that it does not have is its error."""
    route = form.get("route", "")
    values = {}
    for output in integration.outputs:
        text = form.get(f"value-{output.name}", "").strip()[:LONGEST]
        if text:
            values[output.name] = _typed(text, variable_of(document, output.name).type)
    return Result(route if route in integration.routes else registry.ERROR, values)


def _nodes(document: FlowDocument) -> Iterable[tuple[str, Call | Http]]:
    for key, part in (("", document), *document.subflows.items()):
        for node_id, node in part.nodes.items():
            if isinstance(node, Call | Http):
                yield (f"{key}/{node_id}" if key else node_id), node


def _described(
    place: str,
    node: Call | Http,
    document: FlowDocument,
    person: SimulatedPerson | None,
    real: Mapping[str, Result],
) -> Integration:
    chosen: Mapping[str, Any] = person.results.get(place, {}) if person else {}
    awaiting = "http" if isinstance(node, Http) else "handler"
    how = does(person, place, awaiting) if person else (ASK if awaiting == "http" else RUN)
    routes, names = _declared(node)
    recorded = real.get(place)
    given = chosen.get("values", {}) if how == GIVE else {}
    route = str(chosen.get("route", "")) if how == GIVE else ""
    return Integration(
        place=place,
        title=node.title or place.rpartition("/")[2],
        what=_what(node),
        is_http=isinstance(node, Http),
        how=how,
        routes=routes,
        route=route if route in routes else routes[0],
        outputs=tuple(_output(name, document, given) for name in names),
        recorded=recorded,
        recorded_shown=_shown(recorded, document) if recorded else "",
    )


def _declared(node: Call | Http) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(routes, variables)."""
    if isinstance(node, Http):
        return (OK, ERROR), tuple(node.mapping)
    try:
        known = registry.get(node.handler)
    except registry.UnknownHandler:
        return tuple(dict.fromkeys((*node.routes, registry.ERROR))), ()
    return tuple(dict.fromkeys((*known.routes, *node.routes))), known.outputs


def _what(node: Call | Http) -> str:
    if isinstance(node, Http):
        return f"{node.method} {urlsplit(node.url).hostname or node.url[:40]}"
    try:
        return str(registry.get(node.handler).label)
    except registry.UnknownHandler:
        return node.handler


def _output(name: str, document: FlowDocument, given: Mapping[str, Any]) -> Output:
    label = variable_of(document, name).label or name
    return Output(name, label, in_words(given[name]) if name in given else "")


def _shown(result: Result, document: FlowDocument) -> str:
    hidden = sensitive_names(document)
    values = (
        f"{name} = {MASK if name in hidden else in_words(value)}"
        for name, value in result.values.items()
    )
    return ", ".join([_route_in_words(result.route), *values])


def _route_in_words(route: str) -> str:
    """`ok` and `error` in words; what an integration calls its other routes stays."""
    return str(EXIT_LABELS.get(route, route))


def _typed(text: str, kind: str) -> Any:
    """A number where the flow wants one, yes or no where it wants that; else the text."""
    if kind == "number":
        number = parse_number(text)
        return text if number is None else number
    if kind == "boolean" and text.lower() in YES | NO:
        return text.lower() in YES
    return text
