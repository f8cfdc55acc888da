"""What a flow offers at the moment."""

import pytest

from chatbot.engine.expects import expected
from chatbot.engine.nodes import parse_flow
from chatbot.engine.state import State

FLOW = parse_flow(
    {
        "schema": 1,
        "slug": "a",
        "name": "A",
        "start": "inicio",
        "nodes": {
            "inicio": {"kind": "start", "next": "menu"},
            "menu": {
                "kind": "menu",
                "text": "?",
                "options": [{"id": "x1", "label": "Parar", "synonyms": ["chega"]}],
            },
            "nome": {"kind": "ask", "text": "?", "save_as": "nome"},
        },
        "words": [{"keywords": ["sair"], "next": "menu"}],
    }
)


@pytest.mark.parametrize(
    ("node", "text", "choice", "kind"),
    [
        ("menu", "PARAR", "", "option"),
        ("menu", "chega!", "", "option"),
        ("menu", "qualquer", "x1", "option"),
        ("menu", "sair", "", "word"),
        ("nome", "parar", "", ""),
        ("nome", "Sair.", "", "word"),
        ("sumiu", "parar", "", ""),
    ],
)
def test_options_come_before_words(node: str, text: str, choice: str, kind: str) -> None:
    assert expected(FLOW, State(node=node), text, choice) == kind


def test_a_flow_that_is_over_offers_nothing() -> None:
    assert expected(FLOW, State(node="menu", done=True), "parar") == ""
