import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.editor import operations
from chatbot.editor.operations import KINDS, ONWARD, Cut, EditRefused
from chatbot.engine.kinds import AnyNode
from chatbot.engine.nodes import parse_flow
from chatbot.engine.tests.strategies import documents


def drawn():
    return parse_flow(
        {
            "slug": "oi",
            "name": "Oi",
            "start": "inicio",
            "nodes": {
                "inicio": {"kind": "start", "next": "menu"},
                "menu": {
                    "kind": "menu",
                    "text": "Sobre o quê?",
                    "options": [
                        {"id": "boleto", "label": "Boleto", "next": "cpf"},
                        {"id": "gente", "label": "Equipe", "next": "equipe"},
                    ],
                    "on_fail": "equipe",
                },
                "cpf": {"kind": "ask", "text": "CPF?", "save_as": "cpf", "next": "fatura"},
                "fatura": {"kind": "call", "handler": "h", "routes": {"ok": "fim", "error": "fim"}},
                "fim": {"kind": "end"},
                "equipe": {"kind": "handoff"},
            },
            "words": [{"keywords": ["boleto"], "next": "cpf"}],
        }
    ).as_dict()


def exits(document, node_id):
    return {one.name: one.target for one in parse_flow(document).nodes[node_id].exits()}


# --- Adding


def test_a_new_step_gets_an_id_from_its_title():
    document, node_id = operations.add(drawn(), "send", "Está no horário?")
    assert node_id == "esta_no_horario"
    assert document["nodes"][node_id] == {"kind": "send", "title": "Está no horário?"}


def test_ids_are_not_given_twice():
    document, first = operations.add(drawn(), "send", "Menu")
    document, second = operations.add(document, "send", "menu!")
    assert (first, second) == ("menu_2", "menu_3")


@pytest.mark.parametrize("title", ["", "😀", "x" * 300, "  ", "9 vidas", "__"])
def test_any_title_makes_an_id_that_can_be_read(title):
    document, node_id = operations.add(drawn(), "ask", title)
    assert node_id in parse_flow(document).nodes


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_step_of_every_kind_can_be_read(kind):
    document, node_id = operations.add(drawn(), kind, "Novo")
    assert parse_flow(document).nodes[node_id].kind == kind


def test_there_are_as_many_kinds_as_the_engine_has():
    models = AnyNode.__origin__.__args__
    assert {one.model_fields["kind"].default for one in models} == set(KINDS)


def test_the_first_start_is_where_the_flow_begins():
    empty = {"slug": "oi", "name": "Oi"}
    document, node_id = operations.add(empty, "start", "Início")
    assert document["start"] == node_id == "inicio"
    again, _second = operations.add(document, "start", "Outro")
    assert again["start"] == "inicio"


def test_what_was_given_is_not_changed_in_place():
    before = drawn()
    kept = copy.deepcopy(before)
    operations.insert(before, "inicio", "next", "send", "x")
    operations.delete(before, "cpf", bridge=True)
    operations.rename(before, "cpf", "documento")
    assert before == kept


def test_an_unknown_kind_is_refused():
    with pytest.raises(EditRefused):
        operations.add(drawn(), "dance", "x")


# --- Between two others


@pytest.mark.parametrize("kind", sorted(ONWARD))
def test_a_step_put_on_an_exit_goes_on_to_where_the_exit_led(kind):
    document, node_id = operations.insert(drawn(), "menu", "option:boleto", kind, "Meio")
    assert exits(document, "menu")["option:boleto"] == node_id
    assert exits(document, node_id)[ONWARD[kind]] == "cpf"


@pytest.mark.parametrize("kind", ["end", "handoff"])
def test_nothing_can_come_after_an_end(kind):
    with pytest.raises(EditRefused) as refusal:
        operations.insert(drawn(), "inicio", "next", kind, "x")
    assert refusal.value.code == "no_exit"


@pytest.mark.parametrize(
    ("origin", "exit_name", "code"),
    [
        ("nada", "next", "unknown_step"),
        ("menu", "next", "unknown_exit"),
        ("menu", "option:x", "unknown_exit"),
    ],
)
def test_an_exit_that_is_not_there_any_more_is_refused(origin, exit_name, code):
    with pytest.raises(EditRefused) as refusal:
        operations.insert(drawn(), origin, exit_name, "send", "x")
    assert refusal.value.code == code


def test_a_copy_has_the_same_exits_and_nothing_leads_to_it():
    document, node_id = operations.duplicate(drawn(), "menu", "Menu (cópia)")
    assert exits(document, node_id) == exits(document, "menu")
    assert not [
        one
        for origin in document["nodes"]
        for one in exits(document, origin).values()
        if one == node_id
    ]


# --- Deleting


def test_before_deleting_it_is_said_what_would_be_cut_off():
    cut = operations.cut_off(drawn(), "cpf")
    assert cut.unreachable == ("fatura", "fim")
    assert cut.cuts == (Cut("menu", "option:boleto"), Cut("", "boleto"))
    assert cut.successor == "fatura"
    assert cut.unreachable_if_bridged == ()


def test_exits_and_words_that_led_to_a_deleted_step_stay_unconnected():
    document = operations.delete(drawn(), "cpf")
    assert exits(document, "menu")["option:boleto"] == ""
    assert document["words"] == [{"keywords": ["boleto"]}]


def test_the_only_successor_may_take_its_place():
    document = operations.delete(drawn(), "cpf", bridge=True)
    assert exits(document, "menu")["option:boleto"] == "fatura"
    assert document["words"][0]["next"] == "fatura"


@pytest.mark.parametrize("node_id", ["menu", "fim"], ids=["several", "none"])
def test_without_one_successor_nothing_takes_its_place(node_id):
    assert operations.cut_off(drawn(), node_id).successor == ""
    with pytest.raises(EditRefused):
        operations.delete(drawn(), node_id, bridge=True)


def test_deleting_the_start_leaves_a_flow_without_one():
    assert "start" not in operations.delete(drawn(), "inicio")


def test_a_step_that_leads_to_itself_is_its_own_successor_never():
    document = drawn()
    document["nodes"]["cpf"]["next"] = "cpf"
    assert operations.cut_off(document, "cpf").successor == ""


# --- Connecting, names, the start


def test_an_exit_is_connected_to_a_step_made_on_the_spot():
    document, node_id = operations.add_after(drawn(), "cpf", "on_fail", "handoff", "Financeiro")
    assert exits(document, "cpf")["on_fail"] == node_id == "financeiro"


def test_whatever_led_to_a_step_follows_its_new_id():
    document = operations.rename(drawn(), "cpf", "documento")
    assert exits(document, "menu")["option:boleto"] == "documento"
    assert document["words"][0]["next"] == "documento"
    assert "cpf" not in document["nodes"]
    assert operations.rename(drawn(), "inicio", "comeco")["start"] == "comeco"


@pytest.mark.parametrize(
    ("new_id", "code"),
    [("Documento", "bad_id"), ("", "bad_id"), ("a b", "bad_id"), ("menu", "taken_id")],
)
def test_an_id_must_be_free_and_plain(new_id, code):
    with pytest.raises(EditRefused) as refusal:
        operations.rename(drawn(), "cpf", new_id)
    assert refusal.value.code == code


# --- Any sequence of them


@st.composite
def operation(draw, document):
    """One operation with arguments that may or may not make sense for this document."""
    ids = [*document["nodes"], "nada"]
    node_id = draw(st.sampled_from(ids))
    names = ["next", "on_fail", "route:ok", "case:1", "otherwise", "option:o0", "ok"]
    if node_id in document["nodes"]:
        names += exits(document, node_id)
    exit_name = draw(st.sampled_from(names))
    kind, title = draw(st.sampled_from(KINDS)), draw(st.text(max_size=12))
    return draw(
        st.sampled_from(
            [
                (operations.add, (kind, title)),
                (operations.add_after, (node_id, exit_name, kind, title)),
                (operations.insert, (node_id, exit_name, kind, title)),
                (operations.duplicate, (node_id, title)),
                (operations.delete, (node_id,)),
                (operations.rename, (node_id, draw(st.sampled_from(["novo", "x-1", "É", "menu"])))),
            ]
        )
    )


@settings(deadline=None)
@given(data=st.data(), document=documents())
def test_any_sequence_of_operations_leaves_a_document_that_can_be_read(data, document):
    current = parse_flow(document).as_dict()
    for _number in range(data.draw(st.integers(1, 8))):
        act, arguments = data.draw(operation(current))
        try:
            done = act(current, *arguments)
        except EditRefused:
            continue
        current = done[0] if isinstance(done, tuple) else done
        assert parse_flow(current).as_dict() == current


@settings(deadline=None)
@given(data=st.data(), document=documents())
def test_what_is_said_to_be_cut_off_is_what_deleting_cuts_off(data, document):
    current = parse_flow(document).as_dict()
    node_id = data.draw(st.sampled_from(sorted(current["nodes"])))
    cut = operations.cut_off(current, node_id)
    after = operations.delete(current, node_id)
    for one in cut.cuts:
        if one.origin:
            assert exits(current, one.origin)[one.exit] == node_id
            assert exits(after, one.origin)[one.exit] == ""
    assert node_id not in [
        one for origin in after["nodes"] for one in exits(after, origin).values()
    ]
