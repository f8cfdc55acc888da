"""The difference of two documents: nothing is left out, and nothing is made up."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from chatbot.engine.diff import Change, compare
from chatbot.engine.nodes import FlowError, parse_flow
from chatbot.engine.tests.strategies import any_flows, flows

NUMBERED = ("cases", "values", "words")


def menu(**more):
    options = [
        {"id": "boleto", "label": "Boleto", "next": "cpf"},
        {"id": "gente", "label": "Falar com gente", "next": "equipe"},
    ]
    return {"kind": "menu", "text": "Como posso ajudar?", "options": options, **more}


def document(**nodes):
    known = {
        "inicio": {"kind": "start", "next": "menu"},
        "menu": menu(),
        "cpf": {"kind": "ask", "text": "Qual é o seu CPF?", "save_as": "cpf", "next": "fim"},
        "equipe": {"kind": "handoff", "text": "Já vem gente."},
        "fim": {"kind": "end"},
        **nodes,
    }
    head = {"schema": 1, "slug": "oi", "name": "Oi", "start": "inicio"}
    return {**head, "nodes": {name: one for name, one in known.items() if one is not None}}


def differences(before, after):
    return compare(parse_flow(before), parse_flow(after))


def option(number, **fields):
    options = menu()["options"]
    options[number] |= fields
    return document(menu=menu(options=options))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (document(fim=None), Change("removed", "", "fim")),
        (document(promo={"kind": "end"}), Change("added", "", "promo")),
        (
            option(1, next="fim"),
            Change(
                "changed", "", "menu", ("options", "gente", "next"), "equipe", "fim", "option:gente"
            ),
        ),
        (
            option(0, label="Segunda via"),
            Change("changed", "", "menu", ("options", "boleto", "label"), "Boleto", "Segunda via"),
        ),
        (
            document(menu=menu(options=menu()["options"][::-1])),
            Change(
                "moved", "", "menu", ("options",), ["boleto", "gente"], ["gente", "boleto"]
            ),
        ),
        (
            document(menu=menu(text="Olá!")),
            Change("changed", "", "menu", ("text",), "Como posso ajudar?", "Olá!"),
        ),
        (
            {**document(), "start": "menu"},
            Change("changed", "", "", ("start",), "inicio", "menu", "start"),
        ),
        (
            {**document(), "idle": {"minutes": 10}},
            Change("added", "", "", ("idle", "minutes"), None, 10),
        ),
        (
            {**document(), "variables": {"cpf": {"sensitive": True}}},
            Change("added", "", "", ("variables", "cpf")),
        ),
        (
            {**document(), "words": [{"keywords": ["sair"], "next": "fim"}]},
            Change("added", "", "", ("words", "1")),
        ),
    ],
    ids=[
        "passo removed",
        "passo added",
        "exit of an option",
        "label of an option",
        "order of options",
        "text",
        "start",
        "idle",
        "variable",
        "word",
    ],
)  # fmt: skip
def test_one_difference_is_one_change(after, expected):
    (found,) = differences(document(), after)
    whole = expected.op in {"added", "removed"} and expected.after is None
    left_out = {"before", "after"} if whole else set()
    for name in Change.__slots__:
        if name not in left_out:
            assert getattr(found, name) == getattr(expected, name), name


def test_a_case_in_front_of_the_others_is_one_new_case():
    def branch(*cases):
        return document(
            decide={"kind": "branch", "cases": list(cases), "otherwise": "fim"},
        )

    one = {"when": {"open": "vendas"}, "next": "equipe"}
    two = {"when": {"tag": "vip"}, "next": "equipe"}
    (found,) = differences(branch(one), branch(two, one))
    assert (found.op, found.path) == ("added", ("cases", "1"))
    (found,) = differences(branch(two, one), branch({**two, "next": "fim"}, one))
    assert (found.exit, found.before, found.after) == ("case:1", "equipe", "fim")


def test_another_kind_is_told_with_what_it_brings_and_takes_along():
    found = differences(document(), document(cpf=menu(text="Qual é o seu CPF?")))
    assert {(one.op, one.path) for one in found if one.node == "cpf"} == {
        ("changed", ("kind",)),
        ("removed", ("next",)),
        ("changed", ("save_as",)),
        ("removed", ("answer",)),
        ("added", ("options",)),
        ("added", ("presentation",)),
        ("added", ("list_button",)),
    }


def test_sub_flows_are_compared_too():
    inner = {**document(), "slug": "dentro"}
    outer = {**document(), "subflows": {"dentro": inner}}
    changed = copy.deepcopy(outer)
    changed["subflows"]["dentro"]["nodes"]["equipe"]["text"] = "Um momento."
    (found,) = differences(outer, changed)
    assert (found.flow, found.node, found.place) == ("dentro", "equipe", "dentro/equipe")
    (gone,) = differences(outer, document())
    assert (gone.op, gone.flow, gone.node) == ("removed", "dentro", "")


def test_one_and_true_are_two_things():
    def setting(value):
        return document(
            guarda={"kind": "set", "values": [{"name": "x", "value": value}], "next": "fim"}
        )

    (found,) = differences(setting(1), setting(True))
    assert found.path == ("values", "1", "value")


# --- For any two documents


@given(any_flows())
def test_a_document_does_not_differ_from_itself(flow):
    assert compare(flow, flow) == []
    assert compare(flow, parse_flow(flow.as_dict())) == []


@given(any_flows(), any_flows())
def test_no_change_means_the_same_document(before, after):
    assert (compare(before, after) == []) == (_json(before) == _json(after))


@given(flows(), flows())
def test_every_field_that_differs_is_named(before, after):
    named = {_at(one) for one in compare(before, after)}
    for place in _leaves(before) ^ _leaves(after):
        prefixes = {place[0][:length] for length in range(1, len(place[0]) + 1)}
        assert prefixes & named, place


@given(flows(), st.randoms(use_true_random=False))
def test_one_field_changed_is_one_change_that_names_it(flow, random):
    before = flow.model_dump(mode="json", by_alias=True)
    texts = [
        (node_id, name)
        for node_id, node in before["nodes"].items()
        for name, value in node.items()
        if name in {"text", "title", "closed_text", "reason"} and value is not None
    ]
    node_id, name = random.choice([*texts, ("a", "title")])
    before["nodes"][node_id][name] = "antes"
    after = copy.deepcopy(before)
    after["nodes"][node_id][name] = "depois"
    try:
        pair = parse_flow(before), parse_flow(after)
    except FlowError:  # a text where none may stand, such as beside a message template
        reject()
    assert compare(*pair) == [Change("changed", "", node_id, (name,), "antes", "depois")]


def _json(flow):
    return json.dumps(flow.model_dump(mode="json"), sort_keys=True)


def _at(change):
    """Where a change is. Parts that are told by their place may be told by any of their list."""
    path = change.path
    if path == ("kind",):
        path = ()
    elif path and path[0] in NUMBERED:
        path = path[:1]
    is_subflow = not change.node and not path
    return (change.flow,) if is_subflow else (change.flow, change.node, *path)


def _leaves(flow):
    """(place, value as JSON) of everything in the document."""
    found = set()
    dumped = flow.model_dump(mode="json", by_alias=True)
    for key, part in {"": dumped, **dumped["subflows"]}.items():
        for name, value in part.items():
            if name not in {"nodes", "subflows"}:
                found |= set(_below((key, "", name), value))
        for node_id, node in part["nodes"].items():
            found |= set(_below((key, node_id), node))
    return found


def _below(place, value):
    if place[-1] == "options" and isinstance(value, list):
        for one in value:
            yield from _below((*place, one["id"]), one)
    elif isinstance(value, dict) and place[-1] not in {*NUMBERED, "when", "value"}:
        for name, inner in value.items():
            yield from _below((*place, name), inner)
    else:
        yield place, json.dumps(value, sort_keys=True)
