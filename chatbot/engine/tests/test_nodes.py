from typing import Any

import pytest

from chatbot.engine.issues import MESSAGES
from chatbot.engine.nodes import FlowError, parse_flow
from chatbot.engine.tests.documents import ASK, MENU, document


def issues_of(broken: Any) -> list[tuple[str, str]]:
    with pytest.raises(FlowError) as caught:
        parse_flow(broken)
    assert all(issue.text for issue in caught.value.issues)
    return [(issue.code, issue.node) for issue in caught.value.issues]


def deep(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"all": [value]}
    return value


def with_node(node: Any) -> dict[str, Any]:
    return document(ASK, nodes={"quebrado": node})


@pytest.mark.parametrize(
    ("node", "code"),
    [
        ({"kind": "dança"}, "unknown_kind"),
        ({}, "missing_field"),
        ({"kind": "ask", "text": "?"}, "missing_field"),
        ({**ASK, "cor": "azul"}, "unknown_field"),
        ({**ASK, "save_as": "Nome Completo"}, "bad_name"),
        ({**ASK, "save_as": "lead"}, "reserved_name"),
        ({**ASK, "text": "x" * 4097}, "too_long"),
        ({**ASK, "text": "a\x00"}, "bad_value"),
        ({**ASK, "text": "\ud800"}, "bad_value"),
        ({**ASK, "tries": 99}, "bad_value"),
        ({**ASK, "maximum": float("nan")}, "bad_value"),
        ({**MENU, "options": []}, "too_short"),
        ({**MENU, "options": [{"id": "a", "label": "A"}] * 2}, "duplicate_option"),
        ({"kind": "branch", "cases": [{"when": {"lua": "cheia"}}]}, "missing_field"),
        ({"kind": "branch", "cases": [{"when": {"weekday": [7]}}]}, "bad_value"),
        ({"kind": "wait", "seconds": 0}, "bad_value"),
        ([], "bad_value"),
    ],
)
def test_a_broken_node_is_named_with_its_trouble(node: Any, code: str) -> None:
    assert (code, "quebrado") in issues_of(with_node(node))


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (None, "not_an_object"),
        ([], "not_an_object"),
        ({}, "missing_field"),
        ({**document(ASK), "schema": 2}, "unknown_schema"),
        (with_node({"kind": "branch", "cases": [{"when": deep(10_000)}]}), "too_deep"),
    ],
)
def test_a_broken_document_is_refused_in_words(broken: Any, code: str) -> None:
    assert issues_of(broken)[0][0] == code


def test_sub_flows_come_one_level_deep() -> None:
    inner = {**document(ASK), "subflows": {"outro": document(ASK)}}
    codes = [code for code, _ in issues_of({**document(ASK), "subflows": {"sub": inner}})]
    assert codes == ["nested_subflows"]


def test_an_issue_in_a_sub_flow_names_both() -> None:
    broken = {**document(ASK), "subflows": {"sub": with_node({"kind": "x"})}}
    assert issues_of(broken) == [("unknown_kind", "sub/quebrado")]


def test_every_issue_has_a_sentence_with_known_placeholders() -> None:
    params = {"field": "f", "value": "v", "limit": "3"}
    assert all(sentence % params for sentence in MESSAGES.values())


def test_a_document_written_out_reads_back_equal() -> None:
    flow = parse_flow(
        document(MENU, subflows={"sub": document(ASK)}, words=[{"keywords": ["sair"]}])
    )
    assert parse_flow(flow.as_dict()) == flow


def test_a_half_drawn_flow_can_be_kept() -> None:
    flow = parse_flow({"schema": 1, "slug": "novo", "name": "Novo"})
    assert flow.start == ""
    assert flow.nodes == {}


@pytest.mark.parametrize("text", ["\x00", "\ud800"])
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [{"y": one}], lambda one: {one: 1}])
def test_what_no_database_takes_is_refused_in_arguments_too(wrap, text):
    call = {"kind": "call", "handler": "h", "args": {"x": wrap(text)}}
    with pytest.raises(FlowError):
        parse_flow({"slug": "x", "name": "X", "nodes": {"a": call}})
