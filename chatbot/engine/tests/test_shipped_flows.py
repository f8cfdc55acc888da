"""The flows that come with the program: clean, and held to by golden conversations."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatbot.engine.check import Surroundings, check_flow
from chatbot.engine.findings import KnownHandler
from chatbot.engine.golden import Mismatch, play
from chatbot.engine.nodes import FlowDocument, parse_flow
from chatbot.engine.replay import delta, fold, rerun
from chatbot.engine.state import Outcome, State

FOLDER = Path(__file__).parents[2] / "flows"
FILES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
CONVERSATIONS = [
    pytest.param(slug, conversation, id=f"{slug}-{conversation['name']}")
    for slug, file in FILES.items()
    for conversation in file["golden"]
]


def flow_of(slug: str) -> FlowDocument:
    return parse_flow(FILES[slug]["flow"])


def passed(slug: str) -> Iterator[tuple[str, str, str]]:
    for conversation in FILES[slug]["golden"]:
        for one in play(flow_of(slug), conversation).trace:
            yield one.node, one.exit, one.matched


def test_the_three_flows_are_there() -> None:
    assert {"atendimento", "pesquisa", "fora_do_horario"} <= FILES.keys()


@pytest.mark.parametrize(("slug", "conversation"), CONVERSATIONS)
def test_a_golden_conversation_goes_as_written(slug: str, conversation: dict[str, Any]) -> None:
    assert play(flow_of(slug), conversation).mismatch is None


@pytest.mark.parametrize("slug", FILES)
def test_a_shipped_flow_is_clean(slug: str) -> None:
    rating = KnownHandler(routes=("ok", "none", "error"))
    handlers = {"rate_ticket": rating, "comment_rating": rating}
    around = Surroundings(handlers=handlers, departments=(), flows={})
    assert check_flow(flow_of(slug), around) == []
    assert slug == flow_of(slug).slug


@pytest.mark.parametrize("slug", FILES)
def test_golden_conversations_cover_every_node_exit_and_word(slug: str) -> None:
    flow = flow_of(slug)
    seen = set(passed(slug))
    exits = {(node, exit_) for node, exit_, _ in seen}
    wanted = {
        (node_id, exit_.name)
        for node_id, node in flow.nodes.items()
        for exit_ in node.exits()
        if exit_.target
    }
    assert wanted - exits == set()
    assert flow.nodes.keys() - {node for node, _, _ in seen} == set()
    targets = {flow.keywords[word.casefold()][1] for _, exit_, word in seen
               if exit_ == "word" and word.casefold() in flow.keywords}  # fmt: skip
    assert {word.next for word in flow.words} - targets == set()


@pytest.mark.parametrize("slug", FILES)
def test_golden_conversations_cover_both_texts_of_every_handoff(slug: str) -> None:
    flow = flow_of(slug)
    handoffs = [one for one, node in flow.nodes.items() if node.kind == "handoff"]
    ends = {(node, matched) for node, _, matched in passed(slug) if matched in ("open", "closed")}
    assert {(one, how) for one in handoffs for how in ("open", "closed")} - ends == set()


@pytest.mark.parametrize(("slug", "conversation"), CONVERSATIONS)
def test_folding_a_golden_conversation_gives_its_state(
    slug: str, conversation: dict[str, Any]
) -> None:
    rows, last = rows_of(play(flow_of(slug), conversation).outcomes)
    assert fold(rows) == (last.state, last.context)


def rows_of(outcomes: tuple[Outcome, ...]) -> tuple[list[dict[str, Any]], Outcome]:
    rows: list[dict[str, Any]] = [{"seq": 1, "kind": "start", "state": State().model_dump()}]
    context: dict[str, Any] = {}
    for seq, outcome in enumerate(outcomes, 2):
        changed, gone = delta(context, outcome.context)
        state = json.loads(outcome.state.model_dump_json())
        row = {"kind": "step", "state": state, "context_set": changed, "context_unset": gone}
        rows.append({"seq": seq, **row})
        context = outcome.context
    return rows, outcomes[-1]


@pytest.mark.parametrize("slug", FILES)
def test_a_shipped_flow_without_messages_has_nothing_to_differ(slug: str) -> None:
    played = play(flow_of(slug), FILES[slug]["golden"][0])
    assert rerun(flow_of(slug), rows_of(played.outcomes)[0]) is None


def test_a_golden_conversation_that_goes_otherwise_says_where() -> None:
    flow = flow_of("pesquisa")
    turns = [{"in": ""}, {"in": "5", "out": ["Outra coisa"]}]
    mismatch = play(flow, {"turns": turns}).mismatch
    assert isinstance(mismatch, Mismatch)
    assert (mismatch.turn, mismatch.what, mismatch.expected) == (2, "out", ["Outra coisa"])
    turns = [{"in": ""}, {"in": "5", "context": {"nota": "4"}}]
    assert play(flow, {"turns": turns}).mismatch == Mismatch(
        2, "context", {"nota": "4"}, {"nota": "5"}
    )
    turns = [{"in": "", "state": "outro"}]
    assert play(flow, {"turns": turns}).mismatch == Mismatch(1, "state", "outro", "nota")
    turns = [{"in": ""}, {"in": "sair", "effects": [{"kind": "wait"}]}]
    assert play(flow, {"turns": turns}).mismatch.what == "effects"
