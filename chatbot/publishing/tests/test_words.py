import copy

import pytest
from django.utils import translation

from chatbot.engine.nodes import parse_flow
from chatbot.engine.tests.test_diff import document, menu
from chatbot.publishing.field_words import marked
from chatbot.publishing.words import difference


@pytest.fixture(autouse=True)
def _in_english():
    with translation.override("en"):
        yield


def told(before, after):
    return difference(parse_flow(before), parse_flow(after))


def changed(change):
    before = document(
        menu=menu(title="Boas-vindas"),
        equipe={"kind": "handoff", "title": "Financeiro", "text": "Já vem gente."},
    )
    after = copy.deepcopy(before)
    change(after["nodes"])
    return told(before, after)


def test_an_exit_is_told_by_where_it_leads_now():
    def lead_elsewhere(nodes):
        nodes["menu"]["options"][0]["next"] = "equipe"

    found = changed(lead_elsewhere)
    assert found.sentences == ["Boas-vindas: option 1 now leads to Financeiro"]
    lines = [(line.sign, line.label, line.text) for line in found.parts[0].lines]
    assert lines == [
        ("", "text", "“Como posso ajudar?”"),
        ("-", "option 1", "→ cpf"),
        ("+", "option 1", "→ Financeiro"),
    ]


def test_several_changes_of_a_passo_are_one_sentence():
    def change(nodes):
        nodes["menu"]["text"] = "Como posso ajudar você hoje?"
        nodes["menu"]["options"][1]["label"] = "Equipe"
        nodes["menu"]["options"].append({"id": "fim", "label": "Encerrar", "next": "fim"})

    found = changed(change)
    assert found.sentences == [
        "Boas-vindas: text written anew; option 2: “Falar com gente” → “Equipe”; "
        "option 3 added: “Encerrar”"
    ]
    assert found.counts == ["1 step changed"]


def test_new_and_removed_passos_are_counted_and_listed_whole():
    def change(nodes):
        del nodes["cpf"]
        nodes["menu"]["options"][0]["next"] = "fim"
        nodes["promo"] = {"kind": "send", "title": "Promo", "text": "Fibra", "next": "menu"}

    found = changed(change)
    assert found.counts == ["1 step changed", "1 new step", "1 step removed"]
    promo = next(part for part in found.parts if part.title == "Promo")
    assert (promo.op, promo.detail) == ("added", "new step")
    assert [(line.sign, line.label, line.text) for line in promo.lines] == [
        ("+", "kind", "message"),
        ("+", "text", "“Fibra”"),
        ("+", "goes on at", "→ Boas-vindas"),
    ]


def test_what_belongs_to_the_flow_is_told_apart():
    before = document()
    after = {
        **document(),
        "words": [{"keywords": ["sair"], "next": "fim"}],
        "variables": {"cpf": {"label": "CPF"}},
        "idle": {"minutes": 10},
    }
    (part,) = told(before, after).parts
    assert part.title == "The flow"
    assert set(part.clauses) == {
        "word “sair” added: “sair”",
        "variable cpf added: “CPF”",
        "silence · ends after (min) added: 10",
    }


def test_the_words_that_were_edited_are_marked():
    old, new = marked("Voltamos amanhã cedo.", "Voltamos depois de amanhã cedo.")
    assert [piece for piece, is_marked in old if is_marked] == []
    assert [piece for piece, is_marked in new if is_marked] == [" depois de"]
    assert "".join(piece for piece, _is_marked in new) == "Voltamos depois de amanhã cedo."


def test_texts_with_nothing_in_common_are_not_marked():
    assert marked("Bom dia!", "Qual é o seu CPF?") == (
        (("Bom dia!", False),),
        (("Qual é o seu CPF?", False),),
    )


def test_nothing_changed_has_no_words():
    found = told(document(), document())
    assert (found.parts, found.counts) == ((), [])
