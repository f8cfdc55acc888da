import json
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from chatbot.engine.check_args import bad_arguments
from chatbot.handlers import registry
from chatbot.handlers.forms import fields_of


class Every(BaseModel):
    number: str
    count: Annotated[int, Field(ge=1)] = 3
    price: float | None = None
    is_new: bool = False
    size: Literal["s", "m"] = "m"
    wanted: tuple[Literal["name", "email"], ...] = ("name",)
    words: list[str] = []
    more: dict[str, int] = Field(default_factory=dict, description="Anything.")


FIELDS = {one.name: one for one in fields_of(Every.model_json_schema())}


def test_each_argument_has_a_field_of_its_kind():
    assert {name: one.kind for name, one in FIELDS.items()} == {
        "number": "text",
        "count": "integer",
        "price": "number",
        "is_new": "boolean",
        "size": "choice",
        "wanted": "choices",
        "words": "lines",
        "more": "json",
    }
    assert FIELDS["number"].is_required
    assert (FIELDS["count"].default, FIELDS["size"].choices) == ("3", ("s", "m"))
    assert FIELDS["more"].help == "Anything."


@pytest.mark.parametrize(
    ("name", "texts", "value"),
    [
        ("number", ["0012"], "0012"),
        ("count", ["4"], 4),
        ("count", ["{{ vezes }}"], "{{ vezes }}"),
        ("count", ["quatro"], "quatro"),
        ("price", ["2.5"], 2.5),
        ("is_new", ["true"], True),
        ("wanted", ["name", "email"], ["name", "email"]),
        ("words", ["a\n b \n"], ["a", "b"]),
        ("more", ['{"a": 1}'], {"a": 1}),
        ("more", ["{"], "{"),
    ],
)
def test_what_is_typed_becomes_a_value(name, texts, value):
    assert FIELDS[name].value_of(texts) == value


@pytest.mark.parametrize(
    "given",
    [
        {"number": "1", "count": 2, "price": 1.5, "is_new": True, "size": "s"},
        {"number": "{{ x }}", "count": "{{ n }}", "wanted": ["email"], "words": ["a", "b"]},
        {"number": "é", "more": {"a": 1}},
    ],
)
def test_stored_arguments_are_read_back_as_they_were(given):
    read = {name: FIELDS[name].value_of(FIELDS[name].texts_of(one)) for name, one in given.items()}
    assert read == given
    assert json.dumps(read, sort_keys=True) == json.dumps(given, sort_keys=True)
    assert not list(bad_arguments(read, Every.model_json_schema()))


def test_every_registered_handler_has_fields_for_all_of_its_arguments():
    for one in registry.registered().values():
        schema = one.args.model_json_schema()
        assert [field.name for field in fields_of(schema)] == list(schema.get("properties", {}))
