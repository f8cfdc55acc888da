"""What a template consists of, which values it needs, what is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.template_parts import bad_values, build, filled, parts_of, preview_of

BODY = {
    "type": "BODY",
    "text": "Oi {{1}}, seu pedido {{2}} saiu.",
    "example": {"body_text": [["Ana", "42"]]},
}
NAMED = {
    "type": "BODY",
    "text": "Oi {{nome}}, até {{dia}}.",
    "example": {"body_text_named_params": [{"param_name": "nome", "example": "Ana"}]},
}
BUTTONS = {
    "type": "BUTTONS",
    "buttons": [
        {"type": "QUICK_REPLY", "text": "Confirmar"},
        {
            "type": "URL",
            "text": "Rastrear",
            "url": "https://exemplo.com/r/{{1}}",
            "example": ["https://exemplo.com/r/42"],
        },
        {"type": "COPY_CODE", "example": "NATAL"},
        {"type": "PHONE_NUMBER", "text": "Ligar", "phone_number": "+551130000000"},
    ],
}


def keys(components, *, is_named=False):
    return [one.key for one in parts_of(components, is_named=is_named).variables]


def problems(components, values, *, is_named=False):
    found = bad_values(parts_of(components, is_named=is_named), values)
    return [(one.key, one.problem) for one in found]


def test_positional_and_named_variables_have_their_examples():
    positional = parts_of([BODY], is_named=False).variables
    named = parts_of([NAMED], is_named=True).variables
    assert [(one.key, one.example) for one in positional] == [("1", "Ana"), ("2", "42")]
    assert [(one.key, one.example) for one in named] == [("nome", "Ana"), ("dia", "")]


def test_header_and_buttons_name_their_values_by_place():
    header = {"type": "HEADER", "format": "TEXT", "text": "Pedido {{1}}"}
    assert keys([header, BODY, BUTTONS]) == ["header.1", "1", "2", "button.1", "button.2"]
    assert keys([{"type": "HEADER", "format": "IMAGE"}]) == ["header"]
    place = ["header.latitude", "header.longitude", "header.name", "header.address"]
    assert keys([{"type": "HEADER", "format": "LOCATION"}]) == place


def test_the_example_of_a_link_is_what_completes_it():
    found = {one.key: one.example for one in parts_of([BUTTONS], is_named=False).variables}
    assert found == {"button.1": "42", "button.2": "NATAL"}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "missing"),
        ("   ", "missing"),
        ("duas\nlinhas", "line_break"),
        ("com\ttabulação", "line_break"),
        ("cinco     espaços", "spaces"),
        ("x" * 1025, "too_long"),
    ],
)
def test_a_value_that_the_provider_would_refuse_is_named(value, problem):
    assert problems([BODY], {"1": value, "2": "42"}) == [("1", problem)]


def test_four_spaces_and_accents_are_fine():
    assert problems([BODY], {"1": "João    é ótimo", "2": "nº 42"}) == []


def test_values_that_fill_the_text_beyond_its_limit_are_refused():
    assert problems([BODY], {"1": "x" * 600, "2": "y" * 600}) == [("body", "too_long")]


def test_a_value_that_nothing_asks_for_is_named():
    assert problems([BODY], {"1": "Ana", "2": "42", "3": "?"}) == [("3", "unknown")]


@pytest.mark.parametrize("link", ["http://exemplo.com/a.jpg", "javascript:1", "https://a b"])
def test_a_file_of_a_header_is_an_https_link(link):
    image = [{"type": "HEADER", "format": "IMAGE"}]
    assert problems(image, {"header": link}) == [("header", "link")]


def test_a_send_names_every_value_where_the_protocol_wants_it():
    header = {"type": "HEADER", "format": "IMAGE"}
    parts = parts_of([header, BODY, BUTTONS], is_named=False)
    values = {
        "header": "https://exemplo.com/a.jpg",
        "1": "Ana",
        "2": "42",
        "button.1": "42",
        "button.2": "NATAL",
    }
    assert build(parts, values, is_named=False) == [
        {
            "type": "header",
            "parameters": [{"type": "image", "image": {"link": "https://exemplo.com/a.jpg"}}],
        },
        {
            "type": "body",
            "parameters": [{"type": "text", "text": "Ana"}, {"type": "text", "text": "42"}],
        },
        {
            "type": "button",
            "sub_type": "url",
            "index": "1",
            "parameters": [{"type": "text", "text": "42"}],
        },
        {
            "type": "button",
            "sub_type": "copy_code",
            "index": "2",
            "parameters": [{"type": "coupon_code", "coupon_code": "NATAL"}],
        },
    ]


def test_named_values_are_sent_by_name():
    parts = parts_of([NAMED], is_named=True)
    [body] = build(parts, {"nome": "Ana", "dia": "sexta"}, is_named=True)
    assert body["parameters"][0] == {"type": "text", "parameter_name": "nome", "text": "Ana"}


def test_positional_values_go_in_the_order_of_their_numbers():
    swapped = [{"type": "BODY", "text": "Pedido {{2}} de {{1}}."}]
    [body] = build(parts_of(swapped, is_named=False), {"1": "Ana", "2": "42"}, is_named=False)
    assert [one["text"] for one in body["parameters"]] == ["Ana", "42"]


def test_what_a_value_holds_is_not_looked_at_again():
    assert filled("Oi {{1}} {{2}}", {"1": "{{2}}", "2": "b"}) == "Oi {{2}} b"


def test_a_preview_tells_filled_from_empty():
    shown = preview_of(parts_of([BODY], is_named=False), {"1": "Ana"})
    assert [(one.text, one.is_filled) for one in shown.body if one.key] == [
        ("Ana", True),
        ("{{2}}", False),
    ]


def test_parts_yet_to_come_are_named():
    carousel = [BODY, {"type": "CAROUSEL", "cards": []}]
    assert parts_of(carousel, is_named=False).unknown == ("CAROUSEL",)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["type", "text", "format", "buttons", "example", "url", "body_text"]),
            inner,
        )
    ),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_any_components_can_be_read_filled_and_drawn(components, is_named):
    parts = parts_of(components, is_named=is_named)
    values = {one.key: "1" for one in parts.variables}
    bad_values(parts, values)
    build(parts, values, is_named=is_named)
    preview_of(parts, values)
