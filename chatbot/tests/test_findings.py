from chatbot import findings
from chatbot.engine import findings as checks
from chatbot.engine import issues
from chatbot.engine.nodes import FlowError, parse_flow

OF_FILES = {"not_json", "golden"}


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
