import pytest
from django.utils.translation import override

from chatbot import findings
from chatbot.engine import findings as checks
from chatbot.engine import issues
from chatbot.engine.check import Surroundings
from chatbot.engine.nodes import FlowError, parse_flow
from chatbot.tests import recipes

OF_FILES = {"not_json", "golden", "golden_unreadable"}


def test_every_sentence_of_the_engine_can_be_translated():
    of_engine = {**issues.MESSAGES, **checks.MESSAGES}
    here = {code: text._args[0] for code, text in findings.SENTENCES.items()}
    assert here.keys() - OF_FILES == of_engine.keys()
    assert {code: here[code] for code in of_engine} == of_engine


def test_an_unreadable_document_is_explained_step_by_step():
    document = {"slug": "oi", "name": "Oi", "nodes": {"a": {"kind": "dance"}}}
    try:
        parse_flow(document)
    except FlowError as error:
        (found,) = findings.unreadable(error)
    assert found.is_error
    assert (found.code, found.node) == ("unknown_kind", "a")
    assert found.sentence.startswith("a: ")


def found_in(**changes):
    document = recipes.document()
    document["nodes"]["nome"] |= changes
    return findings.check_document(parse_flow(document), Surroundings())


def test_every_finding_has_a_heading_and_says_what_to_do():
    codes = findings.SENTENCES.keys() - issues.MESSAGES.keys() - OF_FILES
    assert codes - findings.TITLES.keys() == set()
    assert codes - findings.ADVICE.keys() == {"bad_url"}
    assert findings.FIELDS.keys() == checks.FIELDS.keys()
    assert findings.TYPES.keys() == checks.TYPES.keys()


def test_a_finding_is_told_in_two_parts_with_the_title_of_its_step():
    (found,) = [one for one in found_in(title="Seu nome", tries=0) if one.code == "no_try_limit"]
    with override("en"):
        assert found.title == "Question without a limit of tries: Seu nome"
        assert found.detail.endswith("Set 3 tries and an exit to the team.")
    assert found.sentence.startswith("Seu nome: ")
    assert (found.node, found.path[-1]) == ("nome", "nome")


def test_a_key_is_kept_through_other_changes():
    (first,) = [one for one in found_in(tries=0) if one.code == "no_try_limit"]
    (again,) = [one for one in found_in(tries=0, title="Outro") if one.code == "no_try_limit"]
    (other,) = [one for one in found_in(next="") if one.code == "dangling_exit"]
    assert first.key == again.key != other.key
    assert len(first.key) <= 64


@pytest.mark.parametrize(
    ("exit_name", "told"), [("next", "next step"), ("on_fail", "out of tries")]
)
def test_an_exit_is_called_as_on_the_map(exit_name, told):
    with override("en"):
        (found,) = [one for one in found_in(**{exit_name: "sumiu"}) if one.code == "dangling_exit"]
    assert told in found.text


def test_a_long_option_is_quoted_with_its_place():
    label = "Falar com um atendente agora"
    document = recipes.document()
    document["nodes"]["nome"] = {
        "kind": "menu",
        "title": "Boas-vindas",
        "text": "Oi",
        "options": [{"id": "a", "label": label, "next": "equipe"}],
    }
    all_found = findings.check_document(parse_flow(document), Surroundings())
    (found,) = [one for one in all_found if one.code == "over_channel_limit"]
    with override("en"):
        assert found.title == f"Option too long: “{label}”"
        assert found.detail.endswith("Step Boas-vindas, option 1.")
