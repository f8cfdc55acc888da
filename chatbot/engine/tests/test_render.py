import pytest

from chatbot.engine.render import flatten, in_json, in_url, literal_length, placeholders, render
from chatbot.engine.tests.documents import FACTS

VALUES = flatten(
    {
        "nome": "Davi",
        "dia": "2026-11-12",
        "valor": 10.5,
        "ok": True,
        "nada": None,
        "foto": {"media": "image", "filename": "rg.png", "caption": ""},
        "itens": ["a", 2],
        "falso_dia": "2026-02-31",
        "lugar": {"latitude": -8.05, "longitude": -34.9, "address": ""},
        "vazio": {},
        "armadilha": "{{ nome }} {0.__class__} %s",
    },
    FACTS,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Oi, {{ nome }}", "Oi, Davi"),
        ("{{nome}}{{  nome  }}", "DaviDavi"),
        ("{{ lead.name }} / {{ lead.first_name }}", "Davi Rocha / Davi"),
        ("{{ dia }}", "12/11/2026"),
        ("{{ valor }} {{ ok }} {{ itens }}", "10,5 sim a, 2"),
        ("{{ foto }} {{ foto.media }}", "rg.png image"),
        ("{{ falso_dia }} {{ lugar }} {{ vazio }}", "2026-02-31 -8.05, -34.9 "),
        ("{{ today }} {{ now }} {{ channel.kind }}", "12/11/2026 10:00 simulator"),
        ("{{ ausente }}.", "."),
        ("{{ ausente|você }} {{ nada|vazio }} {{ nome|você }}", "você vazio Davi"),
        ("{{ armadilha }}", "{{ nome }} {0.__class__} %s"),
        (
            "{{ nome.upper() }} {{ nome|upper }} {% if %} {nome}",
            "{{ nome.upper() }} Davi {% if %} {nome}",
        ),
        ("{{ __class__ }}{{{{ nome }}}}", "{{Davi}}"),
        ("{{", "{{"),
    ],
)
def test_placeholders_are_filled_and_nothing_else_happens(text: str, shown: str) -> None:
    assert render(text, VALUES) == shown


def test_a_text_is_cut_at_the_length_of_a_message() -> None:
    assert len(render("x" * 5000, {})) == 4096
    assert len(render("{{ a }}" * 3, {"a": "y" * 4096})) == 4096


def test_values_are_escaped_for_their_place() -> None:
    hostile = {"a": 'x"/../?q=1&é', "b": "linha\n2"}
    assert (
        render("https://x.io/{{ a }}", hostile, in_url)
        == "https://x.io/x%22%2F..%2F%3Fq%3D1%26%C3%A9"
    )
    assert render('{"b": "{{ b }}"}', hostile, in_json) == '{"b": "linha\\n2"}'


def test_surrogates_and_nul_do_not_survive() -> None:
    assert render("{{ a }}", {"a": "\x00\ud800"}) == "\ufffd\ufffd"


def test_placeholders_are_listed_and_measured() -> None:
    assert list(placeholders("{{ a }} {{ b|x }} {{ c| }}")) == [
        ("a", False),
        ("b", True),
        ("c", True),
    ]
    assert literal_length("ab{{ a }}{{ b|xyz }}") == 5


def test_facts_of_any_shape_do_no_harm() -> None:
    for facts in ({}, {"lead": None, "channel": 3, "now": "ontem"}, {"lead": {"name": None}}):
        assert render("{{ lead.name|amigo }}", flatten({}, facts)) == "amigo"
