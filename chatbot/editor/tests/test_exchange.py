"""Flows as files: what is written is read again; what is no flow is refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from django.utils.translation import override
from hypothesis import given, settings

from chatbot.editor import exchange
from chatbot.editor.exchange import BadFile, Package
from chatbot.engine.golden import MOST_TURNS
from chatbot.engine.nodes import parse_flow
from chatbot.engine.tests.strategies import documents
from chatbot.tests import recipes

SHIPPED = sorted((Path(exchange.__file__).parents[1] / "flows").glob("*.json"))
GOLDEN = {"name": "Oi", "turns": [{"in": "Oi", "state": "nome"}]}


TEXTS = [
    *("no", "on", "12:30", "2026-11-12", "0755", "1e3", "1_000", "null", "~", "=", "<<", "#", ""),
    *(" a", "a: b", "- x", "ação", "!x", "&a", "*a", "é\ttab"),
    *("duas\nlinhas", "fim\n", "\n começo"),
]


def package(**more):
    return Package(parse_flow(recipes.document(**more)), (GOLDEN,))


def reasons(content):
    with override("en"), pytest.raises(BadFile) as refused:
        exchange.read(content)
    return " ".join(refused.value.reasons)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
@pytest.mark.parametrize("fmt", exchange.FORMATS)
def test_the_shipped_flows_survive_the_way_into_a_file_and_back(path, fmt):
    read = exchange.read(path.read_bytes())
    again = exchange.read(exchange.write(read, fmt).encode())
    assert again == read
    assert read.golden


@settings(max_examples=40, deadline=None)
@given(documents())
def test_any_flow_survives_both_formats(document):
    parsed = parse_flow(document)
    for fmt in exchange.FORMATS:
        assert exchange.read(exchange.write(Package(parsed), fmt)).document == parsed


@pytest.mark.parametrize(
    "text",
    TEXTS,
)
@pytest.mark.parametrize("fmt", exchange.FORMATS)
def test_texts_stay_texts(text, fmt):
    written = exchange.write(package(text=text), fmt)
    said = exchange.read(written).document.nodes["nome"].text
    assert said == f"{text} Qual é o seu nome?"


def test_words_that_other_yaml_takes_for_something_else_are_texts():
    content = """
flow:
  schema: 1
  slug: oi
  name: no
  start: a
  nodes:
    a: {kind: start, next: b}
    b: {kind: end, text: 12:30}
"""
    document = exchange.read(content).document
    assert (document.name, document.nodes["b"].text) == ("no", "12:30")


def test_a_document_without_anything_around_it_is_read_too():
    assert exchange.read(json.dumps(recipes.document())).document.slug == "oi"


def test_a_file_with_a_byte_order_mark_is_read():
    content = "\ufeff" + exchange.write(package(), "json")
    assert exchange.read(content.encode()) == package()


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
DEEP = '{"flow": ' + "[" * 5000 + "]" * 5000 + "}"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"{" + b" " * exchange.MOST_BYTES, "larger"),
        ('{"flow": ', "line 1"),
        ('{"flow": 1, "flow": 2}', "twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": ' + "9" * 5000 + "}", "number"),
        (DEEP, "too deeply"),
        ("flow:\n  a: [", "line 3"),
        ("a: 1\na: 2", "twice"),
        ("1: 2", "quotes"),
        (BOMB, "aliases"),
        ("a: !!python/object/apply:os.system [ls]", "tags"),
        ("a: 1\n---\nb: 2", "more than one document"),
        ("[" * 5000 + "]" * 5000, "too deeply"),
        ("- " * 5000 + "x", "too deeply"),
        ("a: " + "[" * 200 + "]" * 200, "too deeply"),
        ("só um texto", "no flow"),
        ('{"flow": {"schema": 1, "slug": "x", "name": "X"}, "more": 1}', "more"),
        ('{"flow": {"slug": "x"}}', "name"),
        ('{"schema": 1, "slug": "x", "name": "a\\u0000"}', "character"),
        ('{"schema": 1, "slug": "x", "name": "a\\ud800"}', "character"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str | bytes) else "",
)
def test_what_is_no_flow_is_refused_with_a_reason(content, told):
    assert told.lower() in reasons(content).lower()


@pytest.mark.parametrize(
    "golden",
    [
        {"name": "x"},
        [{"turns": [{"in": "Oi"}]}],
        [{"name": "x", "turns": []}],
        [{"name": "x", "turns": [{"out": []}]}],
        [{"name": "x", "turns": [{"in": {"choice": []}}]}],
        [{"name": "x", "turns": [{"in": {}}]}],
        [{"name": "x", "at": "ontem", "turns": [{"in": "Oi"}]}],
        [{"name": "x", "facts": 3, "turns": [{"in": "Oi"}]}],
        [GOLDEN, GOLDEN],
        ["x"],
    ],
)
def test_golden_conversations_that_cannot_be_held_are_refused(golden):
    reasons(json.dumps({"flow": recipes.document(), "golden": golden}))


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({f"n{number}": {"kind": "end"} for number in range(1001)}, 0),
        ({"a": {"kind": "ask", "text": "?", "save_as": "a", "skip_words": ["x"] * 101}}, 0),
        (
            {
                "m": {
                    "kind": "menu",
                    "text": "?",
                    "options": [{"id": "1", "label": "Um", "synonyms": ["x"] * 101}],
                }
            },
            0,
        ),
        ({}, 101),
    ],
)
def test_more_than_anybody_draws_is_refused(nodes, words):
    document = recipes.document()
    document["words"] = [{"keywords": ["oi"], "next": ""}] * words
    document["nodes"] |= nodes
    told = reasons(json.dumps({"flow": document}))
    assert str(1000 if len(nodes) > 1 else 100) in told


def test_a_golden_conversation_has_so_many_turns_and_no_more():
    turns = [{"in": "Oi"}] * (MOST_TURNS + 1)
    told = reasons(
        json.dumps({"flow": recipes.document(), "golden": [{"name": "x", "turns": turns}]})
    )
    assert str(MOST_TURNS) in told


def test_yaml_is_written_for_people():
    written = exchange.write(package(text="Duas\nlinhas."), "yaml")
    assert "|" in written
    assert "&id" not in written
    order = list(yaml.safe_load(written)["flow"]["nodes"])
    assert order == ["inicio", "nome", "equipe"]
