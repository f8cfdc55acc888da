from types import SimpleNamespace
from typing import Any

import pytest

from chatbot.engine.messages import Message, Started, TextReceived
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.replay import REDACTED, Difference, delta, differences, fold, rerun, same
from chatbot.engine.state import Context, State
from chatbot.engine.step import step
from chatbot.engine.tests.documents import ASK, AT, FACTS, MENU, flow_with

FLOW = flow_with(MENU, nodes={"nome": ASK})
ASKING = flow_with({**ASK, "next": "outra"}, nodes={"outra": {**ASK, "save_as": "cidade"}})


def recorded(flow: FlowDocument, *texts: str) -> list[dict[str, Any]]:
    """What the shell writes for a conversation: a start row, then one row for each message."""
    messages: list[Message] = [Started(at=AT, facts=FACTS)]
    messages += [TextReceived(at=AT, facts=FACTS, text=text) for text in texts]
    state, context = State(), Context()
    rows: list[dict[str, Any]] = [
        {"seq": 1, "kind": "start", "state": state.model_dump(mode="json"), "context_set": {}}
    ]
    for seq, message in enumerate(messages, 2):
        outcome = step(flow, state, context, message)
        changed, gone = delta(context, outcome.context)
        row = {
            "seq": seq,
            "kind": "step",
            "message": message.model_dump(mode="json"),
            "state": outcome.state.model_dump(mode="json"),
            "effects": [one.model_dump(mode="json") for one in outcome.effects],
            "context_set": changed,
            "context_unset": gone,
        }
        rows.append(row)
        state, context = outcome.state, outcome.context
    return rows


def test_a_delta_tells_only_what_changed() -> None:
    before = {"a": 1, "b": "x", "c": [1], "d": {"e": 1}}
    after = {"a": True, "c": [1], "d": {"e": 1.0}, "f": None}
    assert delta(before, after) == ({"a": True, "d": {"e": 1.0}, "f": None}, ["b"])
    assert delta(before, before) == ({}, [])


def test_folding_applies_rows_in_order() -> None:
    waiting = State(node="passo", awaiting="customer").model_dump(mode="json")
    rows = [
        {"seq": 1, "kind": "start", "state": waiting, "context_set": {"a": 1, "b": 2}},
        {"seq": 2, "kind": "edit", "context_set": {"a": 3}, "context_unset": ["b"]},
        SimpleNamespace(seq=3, kind="jump", state={**waiting, "node": "fim"}, context_set=None),
        {"seq": 4, "kind": "redact", "state": None, "context_set": {"a": REDACTED}},
        {"seq": 5, "kind": "end", "state": State(done=True).model_dump(mode="json")},
    ]
    assert fold(rows[:3]) == (State(node="fim", awaiting="customer"), {"a": 3})
    assert fold(rows) == (State(done=True), {"a": REDACTED})


def test_a_new_start_begins_with_its_own_context() -> None:
    rows = [
        {"seq": 1, "kind": "start", "state": {"node": "x"}, "context_set": {"a": 1}},
        {"seq": 2, "kind": "start", "state": {"node": "y"}, "context_set": {"b": 2}},
    ]
    assert fold(rows) == (State(node="y"), {"b": 2})


def test_folding_nothing_is_a_new_state() -> None:
    assert fold([]) == (State(), {})


def test_the_same_document_gives_no_difference() -> None:
    assert rerun(ASKING, recorded(ASKING, "Davi", "Recife")) is None
    assert rerun(FLOW, recorded(FLOW, "banana", "vendas")) is None


def test_the_first_row_that_differs_is_told() -> None:
    rows = recorded(FLOW, "banana", "vendas")
    other = flow_with({**MENU, "fallback": "Como?"})
    assert rerun(other, rows) == Difference(
        3, "effects", rows[2]["effects"], [{**rows[2]["effects"][0], "text": "Como?"}]
    )
    moved = flow_with({**MENU, "options": [{"id": "compras", "label": "Compras"}]})
    assert [one.seq for one in differences(moved, rows)] == [2, 3, 4]


def test_a_start_row_may_hold_its_message_and_the_context_before() -> None:
    first = step(FLOW, State(), {"dado": 1}, Started(at=AT, facts=FACTS))
    row = {
        "seq": 1,
        "kind": "start",
        "initial": {"dado": 1},
        "message": Started(at=AT, facts=FACTS).model_dump(mode="json"),
        "state": first.state.model_dump(mode="json"),
        "context_set": first.context,
    }
    assert rerun(FLOW, [row]) is None
    assert rerun(FLOW, [{**row, "initial": None}]) == Difference(1, "context", {"dado": 1}, {})


def test_a_changed_context_is_a_difference_and_an_erased_one_is_not() -> None:
    rows = recorded(ASKING, "Davi", "Recife")
    rows[2]["context_set"] = {"nome": "Bia"}
    assert rerun(ASKING, rows) == Difference(3, "context", {"nome": "Bia"}, {"nome": "Davi"})
    rows[2]["context_set"] = {"nome": REDACTED}
    assert rerun(ASKING, rows) is None


def test_an_erased_message_is_not_run_again() -> None:
    rows = recorded(ASKING, "Davi", "Recife")
    rows[2]["message"]["text"] = REDACTED
    rows[2]["context_set"] = {"nome": REDACTED}
    assert rerun(ASKING, rows) is None


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, False),
        (1, True, False),
        ((1, 2), [1, 2], True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        (REDACTED, "x", True),
        ("x", REDACTED, False),
        (None, "", False),
    ],
)
def test_values_are_the_same_when_their_json_is(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
