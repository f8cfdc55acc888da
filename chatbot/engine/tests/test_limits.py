"""Where a step cannot go on, people get the conversation: no exception, no loop."""

from typing import Any

import pytest

from chatbot.engine.messages import ChoiceReceived, HandlerReturned, Started, TextReceived
from chatbot.engine.state import State
from chatbot.engine.step import step
from chatbot.engine.tests.documents import ASK, AT, FACTS, Talk, flow_with

LOOP = {"kind": "send", "text": "de novo", "next": "passo"}
GIVEN_UP = ["Não consegui continuar a conversa por aqui."]


def handed_over(talk: Talk, reason: str) -> bool:
    ticket = talk.outcome.effects[-1]
    return talk.texts == GIVEN_UP and getattr(ticket, "reason", "") == f"trouble:{reason}"


def test_a_silent_loop_says_one_sentence_and_calls_people() -> None:
    talk = Talk(flow_with(LOOP))
    assert handed_over(talk, "nodes")
    assert (talk.state.node, talk.state.awaiting) == ("equipe", "ticket")
    assert talk.open_ticket().texts == ["Protocolo P-1"]
    assert talk.state.done


def test_without_a_handoff_the_run_is_over() -> None:
    talk = Talk(flow_with(LOOP, nodes={"equipe": {"kind": "end"}}))
    assert talk.texts == GIVEN_UP
    assert talk.kinds == ["send"]
    assert talk.state.done


@pytest.mark.parametrize(
    "node",
    [
        {"kind": "call", "handler": "x", "routes": {"ok": "passo", "error": "passo"}},
        {"kind": "http", "url": "https://x.io/", "ok": "passo", "error": "passo"},
        {"kind": "wait", "seconds": 1, "next": "passo"},
    ],
    ids=lambda one: one["kind"],
)
def test_a_loop_through_the_shell_ends_after_ten_rounds(node: dict[str, Any]) -> None:
    talk = Talk(flow_with(node))
    rounds = 0
    while talk.state.awaiting in ("handler", "http", "wait"):
        talk.fire() if talk.state.awaiting == "wait" else talk.answer()
        rounds += 1
    assert rounds == 10
    assert handed_over(talk, "calls")


def test_the_count_of_calls_begins_again_with_the_customer() -> None:
    call = {"kind": "call", "handler": "x", "routes": {"ok": "passo", "error": "passo"}}
    talk = Talk(flow_with({**ASK, "next": "chamar"}, nodes={"chamar": call}))
    for _ in range(30):
        talk.say("Davi").answer()
    assert talk.state.node == "passo"


def test_sub_flows_inside_themselves_stop_at_a_depth() -> None:
    inner = {
        "schema": 1,
        "slug": "sub",
        "name": "Sub",
        "start": "a",
        "nodes": {"a": {"kind": "flow", "flow": "sub", "next": "a"}},
    }
    flow = flow_with({"kind": "flow", "flow": "sub", "next": "fim"}, subflows={"sub": inner})
    assert handed_over(Talk(flow), "stack")


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ({"kind": "send", "text": "a", "next": ""}, "dead_end"),
        ({"kind": "send", "text": "a", "next": "sumiu"}, "lost"),
        ({"kind": "flow", "flow": "sumiu", "next": "fim"}, "lost"),
    ],
)
def test_an_exit_that_leads_nowhere_calls_people(node: dict[str, Any], reason: str) -> None:
    assert handed_over(Talk(flow_with(node)), reason)


@pytest.mark.parametrize(
    "state",
    [
        State(node="sumiu", awaiting="customer"),
        State(flow="sumiu", node="passo", awaiting="customer"),
        State(node="fim", awaiting="customer"),
        State(node="passo", awaiting="handler"),
    ],
)
def test_a_state_of_another_document_calls_people(state: State) -> None:
    talk = Talk(flow_with(ASK))
    talk.state = state
    talk.answer() if state.awaiting == "handler" else talk.say("oi")
    assert handed_over(talk, "lost")


def test_too_many_variables_call_people_and_keep_none_of_them() -> None:
    talk = Talk(
        flow_with({"kind": "call", "handler": "x", "routes": {"ok": "fim", "error": "fim"}})
    )
    talk.answer("ok", **{f"v{n}": n for n in range(101)})
    assert handed_over(talk, "variables")
    assert talk.context == {}


def test_values_are_cut_and_made_fit_for_storing() -> None:
    talk = Talk(flow_with({"kind": "call", "handler": "x", "routes": {"ok": "nome"}},
                          nodes={"nome": ASK}))  # fmt: skip
    values = {
        "longo": "x" * 100_000,
        "nan": float("nan"),
        "enorme": 10**400,
        "nulo": "a\x00b",
        "fundo": [[[[[[1]]]]]],
        "largo": ["y" * 3000, "z" * 3000],
        "objeto": {"a\x00": object()},
    }
    returned = HandlerReturned.model_construct(at=AT, facts=FACTS, route="ok", values=values)
    talk.hear(returned)
    known = talk.context
    assert len(known["longo"]) == 4096
    assert known["nan"] is None
    assert known["enorme"] is None
    assert known["nulo"] == "a\ufffdb"
    assert known["fundo"] == [[[[None]]]]
    assert isinstance(known["largo"], str)
    assert len(known["largo"]) == 4096
    assert list(known["objeto"]) == ["a\ufffd"]


def test_the_path_keeps_the_last_fifty_nodes() -> None:
    talk = Talk(flow_with({**ASK, "next": "passo"}))
    for _ in range(80):
        talk.say("Davi")
    assert len(talk.state.path) == 50


HOSTILE = [
    "",
    " ",
    "\x00",
    "\ud800",
    "\udfff\ud800",
    "{{ nome }}",
    "{{",
    "{0.__class__}",
    "{{ __import__('os') }}",
    "%s%n",
    "x" * 100_000,
    "menu " * 30_000,
    "\u202e\u200f\ufeff",
    "\x1b[31m\x07\r\n",
    "ﷺ" * 5000,
    "a\u0301" * 5000,
    "1️⃣" * 1000,
    "9" * 10_000,
    "+" + "5" * 300,
    "@" * 5000,
    "12/" * 3000,
    "٣٣٣",
    "²",
    "Ⅷ",
]


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize(
    "answer",
    ["text", "number", "email", "phone", "cpf", "cnpj", "date", "location", "file", "menu"],
)
def test_hostile_text_raises_nothing_and_leaves_storable_values(answer: str, said: str) -> None:
    options = [{"id": f"o{n}", "label": f"Opção número {n}", "next": "eco"} for n in range(9)]
    node: dict[str, Any] = {**ASK, "answer": answer, "next": "eco"}
    if answer == "menu":
        node = {"kind": "menu", "text": "?", "options": options}
    eco = {"kind": "send", "text": "Oi, {{ nome }} {{ nome|x }}", "next": "fim"}
    talk = Talk(flow_with(node, nodes={"eco": eco}, words=[{"keywords": ["menu"], "next": "fim"}]))
    for kind, fields in (
        (TextReceived, {"text": said}),
        (ChoiceReceived, {"id": said, "title": said}),
    ):
        outcome = step(
            talk.flow,
            talk.state,
            talk.context,
            kind.model_construct(at=AT, facts=FACTS, **fields),
        )
        outcome.model_dump_json()
        assert "\x00" not in str(outcome.context)
        assert all(len(one.text) <= 4096 for one in outcome.effects if one.kind == "send")


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_may_start_a_flow(said: str) -> None:
    nodes = {"inicio": {"kind": "start", "save_as": "primeira", "next": "passo"}}
    flow = flow_with(ASK, nodes=nodes, words=[{"keywords": ["sair"], "next": "fim"}])
    started = Started.model_construct(at=AT, facts=FACTS, text=said)
    step(flow, State(), {}, started).model_dump_json()
