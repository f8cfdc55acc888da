"""What a log kept becomes a golden conversation that goes alike."""

from datetime import UTC, datetime, timedelta

import pytest

from chatbot.engine.golden import Unrecordable, answered_anew, play, recorded
from chatbot.engine.messages import (
    ChoiceReceived,
    ContactsReceived,
    FormReceived,
    HandlerReturned,
    LocationReceived,
    MediaReceived,
    Started,
    TextReceived,
    TicketOpened,
    TimerFired,
)
from chatbot.engine.nodes import parse_flow
from chatbot.engine.replay import REDACTED
from chatbot.engine.state import State
from chatbot.engine.step import step

BEGIN = datetime(2026, 11, 12, 13, 0, 0, 250, tzinfo=UTC)  # ten o'clock in São Paulo


def ask(name, answer, then):
    return {"kind": "ask", "text": f"{name}?", "answer": answer, "save_as": name, "next": then}


FLOW = parse_flow(
    {
        "schema": 1,
        "slug": "prova",
        "name": "Prova",
        "start": "inicio",
        "nodes": {
            "inicio": {"kind": "start", "next": "menu"},
            "menu": {
                "kind": "menu",
                "text": "Olá {{ lead.name }}",
                "options": [{"id": "a", "label": "A", "next": "foto"}],
                "fallback": "?",
            },
            "foto": ask("foto", "file", "lugar"),
            "lugar": ask("lugar", "location", "fone"),
            "fone": ask("fone", "phone", "nome"),
            "nome": ask("nome", "text", "espera"),
            "espera": {"kind": "wait", "seconds": 3600, "next": "busca"},
            "busca": {"kind": "call", "handler": "x", "routes": {"ok": "dia", "error": "fim"}},
            "dia": {
                "kind": "branch",
                "cases": [{"when": {"open": "vendas"}, "next": "fim"}],
                "otherwise": "menu",
            },
            "fim": {"kind": "handoff", "text": "{{ protocol }}"},
        },
    }
)
FACTS = {
    "departments": ["vendas"],
    "open_departments": [],
    "lead": {"name": "Davi"},
    "first_contact": False,
}


def conversation():
    """Messages of every kind, each with the facts of its moment, as a log keeps them."""
    place = {"latitude": -8.0, "longitude": -34.9}
    told = [
        (0, Started, {"text": "Oi"}, {"first_contact": True}),
        (7, TextReceived, {"text": "quê"}, {}),
        (60, ChoiceReceived, {"id": "a", "title": "A"}, {}),
        (5, MediaReceived, {"media": "image", "caption": "nota", "ref": "sim.1"}, {}),
        (30, LocationReceived, place, {}),
        (30, ContactsReceived, {"phone": "5511987654321", "names": ["Davi"]}, {}),
        (30, FormReceived, {"values": {"nome": "Davi"}}, {}),
        (3600, TimerFired, {}, {"open_departments": ["vendas"]}),
        (1, HandlerReturned, {"route": "ok", "values": {"x": 1}}, {"open_departments": ["vendas"]}),
        (0, TicketOpened, {"protocol": "20261112-0001", "is_open_now": False}, {}),
    ]
    at, state, context, steps = BEGIN, State(), {"dado": "x"}, []
    for seconds, kind, values, facts in told:
        at += timedelta(seconds=seconds)
        local = at - timedelta(hours=3)
        known = {
            "now": f"{local:%Y-%m-%dT%H:%M:%S.%f}-03:00",
            "weekday": local.weekday(),
            **FACTS,
            **facts,
        }
        message = kind(at=at, facts=known, **values)
        outcome = step(FLOW, state, context, message)
        effects = [one.model_dump(mode="json") for one in outcome.effects]
        steps.append((message.model_dump(mode="json"), effects))
        state, context = outcome.state, outcome.context
    assert state.done
    return steps


def test_every_kind_of_message_is_held_alike():
    golden = recorded(conversation(), {"dado": "x"})
    played = play(FLOW, golden)
    assert played.mismatch is None
    assert played.outcomes[-1].state.done
    assert played.outcomes[-1].context["dado"] == "x"


def test_facts_stand_once_and_their_exceptions_with_the_turn():
    golden = recorded(conversation(), {})
    assert golden["facts"] == FACTS
    assert golden["turns"][0]["facts"] == {"first_contact": True}
    assert "facts" not in golden["turns"][1]
    assert golden["turns"][7]["facts"] == {"open_departments": ["vendas"]}
    assert golden["at"] == "2026-11-12T09:59:00-03:00"


def test_times_are_kept_to_the_second():
    pauses = [turn.get("after_seconds") for turn in recorded(conversation(), {})["turns"]]
    assert pauses == [None, 7, None, 5, 30, 30, 30, 3600, 1, 0]


def test_what_the_bot_says_is_kept_and_can_be_taken_anew():
    golden = recorded(conversation(), {})
    said = golden["turns"][0]["out"][0]
    assert (said["text"], said["choices"]) == ("Olá Davi", ["a"])
    nodes = {**FLOW.nodes, "menu": FLOW.nodes["menu"].model_copy(update={"text": "Oi!"})}
    other = FLOW.model_copy(update={"nodes": nodes})
    assert play(other, golden).mismatch.turn == 1
    assert play(other, answered_anew(other, golden)).mismatch is None


def test_answers_taken_anew_are_about_what_each_turn_mentions():
    golden = {"turns": [{"in": "Oi", "state": "x", "context": {"nome": "y"}}, {"in": "quê"}]}
    anew = answered_anew(FLOW, golden)
    assert anew["turns"] == [
        {"in": "Oi", "state": "menu", "context": {"nome": None}},
        {"in": "quê"},
    ]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda steps: steps.clear(), "nothing"),
        (lambda steps: steps[1][0].update(text=REDACTED), "erased"),
        (lambda steps: steps[0][0].update(node="menu"), "begun_again"),
        (lambda steps: steps.pop(0), "begun_again"),
    ],
    ids=["empty", "erased", "from a passo", "from the middle"],
)
def test_what_cannot_be_held_again_is_refused(spoil, reason):
    steps = conversation()
    spoil(steps)
    with pytest.raises(Unrecordable) as refusal:
        recorded(steps, {})
    assert refusal.value.reason == reason
