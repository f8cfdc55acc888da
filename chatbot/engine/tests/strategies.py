"""Any flow that parses, and anything that may happen to it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from chatbot.engine.messages import (
    ChoiceReceived,
    ContactsReceived,
    FormReceived,
    HandlerReturned,
    LocationReceived,
    MediaReceived,
    Message,
    Started,
    TextReceived,
    TicketOpened,
    TimerFired,
)
from chatbot.engine.nodes import FlowDocument, parse_flow
from chatbot.engine.tests.documents import AT, FACTS

IDS = ("a", "b", "c", "d", "e", "f")
NAMES = ("x", "y", "z")
SLUGS = ("um", "dois")
SAID = (
    "oi", "1", "2", "sim", "não", "vendas", "vendsa", "sair", "menu", "Davi", "", " ", "12/11/2026",
    "amanhã", "10,5", "ana@exemplo.com", "81 99999-0142", "529.982.247-25", "{{ x }}", "{0}",
    "\x00", "\u202e", "vendas e suporte", "9" * 400, "x" * 5000,
)  # fmt: skip
PIECES = ("Oi ", "{{ x }}", "{{ y|nada }}", "{{ lead.name }}", "{{ protocol }}", "{{ z.media }}")

some_texts = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
targets = st.one_of(*[st.sampled_from(IDS)] * 9, st.just(""))
names = st.sampled_from(NAMES)
said = st.sampled_from(SAID)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    said,
    st.lists(st.integers(0, 3), max_size=3),
    st.just({"media": "image", "ref": "m1"}),
)
conditions = st.recursive(
    st.one_of(
        st.fixed_dictionaries(
            {
                "variable": st.sampled_from((*NAMES, "lead.status", "weekday")),
                "op": st.sampled_from(
                    ("eq", "ne", "lt", "le", "gt", "ge", "contains", "in", "filled", "empty")
                ),
                "value": st.sampled_from(("sim", 1, 2.5, True, None, "2026-11-12", ["sim", 1])),
            }
        ),
        st.sampled_from(
            (
                {"open": ""},
                {"open": "vendas"},
                {"tag": "vip"},
                {"weekday": [3]},
                {"hours": ["08:00", "18:00"]},
                {"first_contact": True},
            )
        ),
    ),
    lambda inner: st.tuples(
        st.sampled_from(("all", "any", "none")), st.lists(inner, max_size=2)
    ).map(lambda pair: {pair[0]: pair[1]}),
    max_leaves=4,
)


def node(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind), **fields})


def option(number: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "id": st.just(f"o{number}"),
            "label": st.sampled_from(("Vendas", "Suporte", "Sim", "Não", "😀")),
            "synonyms": st.lists(
                said.filter(lambda one: len(one) < 50 and "\x00" not in one), max_size=2
            ),
            "next": targets,
        }
    )


options = st.integers(1, 4).flatmap(lambda count: st.tuples(*map(option, range(count))))
assignments = st.fixed_dictionaries(
    {
        "name": names,
        "op": st.sampled_from(
            (
                "set",
                "copy",
                "add",
                "subtract",
                "append",
                "clear",
                "lower",
                "upper",
                "title",
                "first_word",
            )
        ),
        "value": st.sampled_from(("x", "{{ y }}", "{{ z }} {{ x }}", 2, 0.5, True, None, 10**17)),
    }
)
asking = st.one_of(
    node(
        "ask",
        text=some_texts,
        answer=st.sampled_from(
            ("text", "number", "email", "phone", "cpf", "cnpj", "date", "location", "file")
        ),
        save_as=names,
        next=targets,
        on_fail=targets,
        tries=st.integers(0, 3),
        accepts_media=st.booleans(),
        skip_words=st.sampled_from(((), ("oi",))),
    ),
    node(
        "menu",
        text=some_texts,
        options=options,
        save_as=st.sampled_from((*NAMES, "")),
        on_fail=targets,
        tries=st.integers(0, 3),
    ),
)
nodes = st.one_of(
    node("start", next=targets, save_as=st.sampled_from((*NAMES, ""))),
    node("send", text=some_texts, next=targets),
    node(
        "send",
        text=some_texts,
        media=st.just({"kind": "image", "url": "https://x.io/{{ x }}"}),
        next=targets,
    ),
    node(
        "branch",
        cases=st.lists(
            st.fixed_dictionaries({"when": conditions, "next": targets}), min_size=1, max_size=2
        ),
        otherwise=targets,
    ),
    node("set", values=st.lists(assignments, min_size=1, max_size=3), next=targets),
    node(
        "lead",
        fields=st.dictionaries(st.sampled_from(("name", "email")), some_texts, max_size=2),
        next=targets,
    ),
    node(
        "call",
        handler=st.just("h"),
        args=st.dictionaries(names, some_texts, max_size=2),
        routes=st.dictionaries(st.sampled_from(("ok", "error")), targets, max_size=2),
    ),
    node("http", url=some_texts, body=some_texts, ok=targets, error=targets),
    node("handoff", text=some_texts, closed_text=some_texts, reason=some_texts),
    node("flow", flow=st.sampled_from((*SLUGS, "")), next=targets),
    node("wait", seconds=st.integers(1, 9), interruptible=st.booleans(), next=targets),
    node("end", text=some_texts, end_session=st.booleans()),
)
words = st.lists(
    st.fixed_dictionaries(
        {"keywords": st.sampled_from((["sair"], ["menu", "início"])), "next": targets}
    ),
    max_size=2,
)


def documents(slug: str = "teste") -> st.SearchStrategy[dict[str, Any]]:
    """Every id is a node; half of the nodes wait for the customer."""
    first = node("start", next=st.sampled_from(IDS[1:]), save_as=st.just("x"))
    others = st.fixed_dictionaries(dict.fromkeys(IDS[1:], st.one_of(asking, nodes)))
    return st.builds(
        lambda start, rest, heard: {
            "schema": 1,
            "slug": slug,
            "name": slug,
            "start": "a",
            "nodes": {"a": start, **rest},
            "words": heard,
        },
        first,
        others,
        words,
    )


def flows() -> st.SearchStrategy[FlowDocument]:
    subflows = st.fixed_dictionaries({}, optional={slug: documents(slug) for slug in SLUGS})
    return st.builds(
        lambda root, subs: parse_flow({**root, "subflows": subs}), documents(), subflows
    )


EXITS = ("next", "on_fail", "otherwise", "ok", "error", "on_message")


def sound_flows() -> st.SearchStrategy[FlowDocument]:
    """Flows without errors: whatever is unconnected leads to people, what does not ask goes on to
    a later node, everything has a text and every variable is given."""
    return documents().map(lambda document: parse_flow(_sound(_without_protocol(document))))


def _without_protocol(document: dict[str, Any]) -> dict[str, Any]:
    """The protocol is only known after a handoff: elsewhere it is an unknown variable."""
    cleared: dict[str, Any] = json.loads(json.dumps(document).replace("{{ protocol }}", ""))
    return cleared


def any_flows() -> st.SearchStrategy[FlowDocument]:
    return st.one_of(flows(), sound_flows())


def _sound(document: dict[str, Any]) -> dict[str, Any]:
    mended = {node_id: _mended(node_id, one) for node_id, one in document["nodes"].items()}
    return {
        **document,
        "nodes": {**mended, "people": {"kind": "handoff", "text": "{{ protocol }}"}},
        "words": [{**word, "next": word["next"] or "people"} for word in document["words"]],
        "variables": {name: {"given": True} for name in NAMES},
    }


def _mended(node_id: str, one: dict[str, Any]) -> dict[str, Any]:
    if one["kind"] == "flow":
        return {"kind": "end"}

    def toward(target: str) -> str:
        is_later = target > node_id or one["kind"] in ("ask", "menu")
        return target if target and is_later else "people"

    mended = {name: toward(value) if name in EXITS else value for name, value in one.items()}
    if "cases" in one:
        mended["cases"] = [{**case, "next": toward(case["next"])} for case in one["cases"]]
    if "options" in one:
        mended["options"] = [
            {**option, "label": f"{option['label']} {number}", "next": toward(option["next"])}
            for number, option in enumerate(one["options"])
        ]
    if one["kind"] == "call":
        mended["routes"] = {
            route: toward(one["routes"].get(route, "")) for route in ("ok", "error")
        }
    if one["kind"] == "set":
        mended["values"] = [
            {**change, "value": "{{ y }}"} if change["op"] == "copy" else change
            for change in one["values"]
        ]
    if one["kind"] == "http":
        mended["url"] = "https://x.io/{{ x }}"
    if one["kind"] == "handoff":
        mended["reason"] = "porque sim"
    if one["kind"] in ("send", "ask", "menu"):
        mended["text"] = "Oi {{ x }}"
    return mended


# What happens next, as (kind, seconds later, payload): the shell's right answer mostly, but also
# late, early and wrong ones.
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("fitting"), st.integers(0, 90), st.sampled_from(("1", "2", "Davi"))),
        st.tuples(st.just("fitting"), st.integers(0, 90), said),
        st.tuples(st.just("fitting"), st.integers(0, 90), values),
        st.tuples(
            st.sampled_from(
                ("text", "choice", "media", "location", "contacts", "form", "returned", "timer",
                 "ticket", "started")
            ),
            st.integers(0, 90),
            values,
        ),
    ),
    max_size=12,
)  # fmt: skip
FITTING = {"customer": "text", "handler": "returned", "http": "returned", "wait": "timer",
           "ticket": "ticket"}  # fmt: skip


def started(text: str) -> Started:
    return Started(at=AT, facts=FACTS, text=text)


def message(kind: str, seconds: int, payload: Any) -> Message:
    """The message of a happening."""
    common: dict[str, Any] = {"at": AT + timedelta(seconds=seconds), "facts": FACTS}
    text = payload if isinstance(payload, str) else str(payload)
    built: dict[str, Any] = {
        "text": lambda: TextReceived(**common, text=text),
        "choice": lambda: ChoiceReceived(**common, id=f"o{len(text) % 5}", title=text),
        "media": lambda: MediaReceived(**common, media="image", ref="m1", caption=text),
        "location": lambda: LocationReceived(**common, latitude=len(text), longitude=float("inf")),
        "contacts": lambda: ContactsReceived(**common, names=(text,), phone=text),
        "form": lambda: FormReceived(**common, values={"x": payload}),
        "returned": lambda: HandlerReturned(
            **common, route="ok" if payload else "error", values={"y": payload, "Não": 1}
        ),
        "timer": lambda: TimerFired(**common),
        "ticket": lambda: TicketOpened(**common, protocol=text, is_open_now=bool(payload)),
        "started": lambda: Started(**common, text=text),
    }
    return built[kind]()
