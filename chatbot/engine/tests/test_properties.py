"""What holds for every flow that parses and everything that may happen to it."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatbot.engine.check import Surroundings, check_flow
from chatbot.engine.effects import EFFECT
from chatbot.engine.limits import (
    CALLS_PER_MESSAGE,
    NODES_PER_STEP,
    PATH_LENGTH,
    STACK_DEPTH,
    TEXT_LENGTH,
    VARIABLES,
)
from chatbot.engine.matching import candidate, match_option
from chatbot.engine.messages import MESSAGE
from chatbot.engine.nodes import FlowDocument, FlowError, Issue, parse_flow
from chatbot.engine.render import flatten, render
from chatbot.engine.replay import delta, fold, rerun
from chatbot.engine.state import Context, Outcome, State
from chatbot.engine.step import step
from chatbot.engine.tests.strategies import (
    FITTING,
    any_flows,
    flows,
    happenings,
    message,
    said,
    sound_flows,
    started,
)
from chatbot.engine.values import storable
from chatbot.engine.witness import shows, witness_of

QUICK = settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
ANSWERED_BY = {
    "run_handler": "handler",
    "call_http": "http",
    "wait": "wait",
    "open_ticket": "ticket",
}


def lived(
    flow: FlowDocument, first: str, happened: list[tuple[str, int, Any]]
) -> list[tuple[dict[str, Any], Outcome]]:
    """(message as stored, outcome) of each step."""
    steps = []
    state, context = State(), Context()
    for kind, seconds, payload in [("started", 0, first), *happened]:
        right = FITTING.get(state.awaiting, "text") if kind == "fitting" else kind
        now = started(first) if not steps else message(right, seconds, payload)
        stored = json.loads(now.model_dump_json())
        outcome = step(flow, state, context, now)
        steps.append((stored, outcome))
        state, context = outcome.state, outcome.context
    return steps


def is_within_limits(outcome: Outcome) -> bool:
    sends = [one for one in outcome.effects if one.kind == "send"]
    return (
        len(outcome.trace) <= 2 * NODES_PER_STEP + 2
        and len(sends) <= NODES_PER_STEP
        and all(len(one.text) <= TEXT_LENGTH for one in sends)
        and len(outcome.context) <= VARIABLES
        and len(outcome.state.stack) <= STACK_DEPTH
        and len(outcome.state.path) <= PATH_LENGTH
        and outcome.state.handler_calls <= CALLS_PER_MESSAGE
    )


def awaits_what_it_asked(outcome: Outcome) -> bool:
    """At most one effect of the step is answered by the shell: the last, and it is awaited."""
    asked = [ANSWERED_BY[one.kind] for one in outcome.effects if one.kind in ANSWERED_BY]
    if not asked:
        return True
    return asked == [outcome.state.awaiting] and outcome.effects[-1].kind in ANSWERED_BY


def is_somewhere(outcome: Outcome) -> bool:
    state = outcome.state
    return (state.done and not state.node) or bool(state.node and state.awaiting)


@QUICK
@given(any_flows(), said, happenings)
def test_any_conversation_with_any_flow_stays_sound(
    flow: FlowDocument, first: str, happened: list[tuple[str, int, Any]]
) -> None:
    steps = lived(flow, first, happened)
    before = State()
    for _, outcome in steps:
        assert is_within_limits(outcome)
        assert awaits_what_it_asked(outcome)
        assert is_somewhere(outcome)
        assert not (before.done and outcome.effects)
        assert State.model_validate_json(outcome.state.model_dump_json()) == outcome.state
        assert json.loads(json.dumps(outcome.context, allow_nan=False)) == outcome.context
        for effect in outcome.effects:
            assert EFFECT.validate_json(effect.model_dump_json()) == effect
        before = outcome.state


@QUICK
@given(any_flows(), said, happenings)
def test_the_log_of_any_conversation_folds_and_runs_again(
    flow: FlowDocument, first: str, happened: list[tuple[str, int, Any]]
) -> None:
    rows: list[dict[str, Any]] = [{"seq": 1, "kind": "start", "state": {}, "context_set": {}}]
    context: Context = {}
    for seq, (stored, outcome) in enumerate(lived(flow, first, happened), 2):
        changed, gone = delta(context, outcome.context)
        row = {
            "seq": seq,
            "kind": "step",
            "message": stored,
            "state": outcome.state.model_dump(mode="json"),
            "effects": [one.model_dump(mode="json") for one in outcome.effects],
            "context_set": changed,
            "context_unset": gone,
        }
        rows.append(row if _reads_back(stored) else {**row, "message": None})
        context = outcome.context
        assert fold(rows) == (outcome.state, context)
    assert rerun(flow, json.loads(json.dumps(rows))) is None


def _reads_back(stored: dict[str, Any]) -> bool:
    """JSON has no infinity: such a message cannot be stored as it is."""
    try:
        MESSAGE.validate_python(stored)
    except ValueError:
        return False
    return "null" not in json.dumps(stored)


@QUICK
@given(flows())
def test_any_flow_can_be_verified_and_written_out(flow: FlowDocument) -> None:
    findings = check_flow(flow, Surroundings(handlers={}, departments=(), flows={}))
    for finding in findings:
        assert finding.text
        known = {f"{slug}/{one}" for slug, sub in flow.subflows.items() for one in sub.nodes}
        assert set(finding.path) <= known | flow.nodes.keys()
    assert parse_flow(flow.as_dict()) == flow


@settings(QUICK, max_examples=25)
@given(flows())
def test_any_finding_of_any_flow_is_acted_out_or_it_is_said_why_not(flow: FlowDocument) -> None:
    for finding in check_flow(flow, Surroundings(handlers={}, departments=(), flows={})):
        witness = witness_of(flow, finding)
        assert witness.reason if witness.turns is None else shows(flow, finding, witness.turns)


@QUICK
@given(sound_flows(), said, happenings)
def test_a_flow_without_errors_never_gives_up(
    flow: FlowDocument, first: str, happened: list[tuple[str, int, Any]]
) -> None:
    around = Surroundings(departments=("vendas",), flows={})
    errors = {one.code for one in check_flow(flow, around) if one.severity == "error"}
    assert errors <= {"unreachable"}
    for _, outcome in lived(flow, first, happened):
        assert all(one.exit != "trouble" for one in outcome.trace)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@QUICK
@given(st.dictionaries(st.text(max_size=9), json_values, max_size=4))
def test_any_document_is_read_or_refused_in_words(broken: dict[str, Any]) -> None:
    issues: list[Issue] = []
    try:
        parse_flow({"schema": 1, "slug": "a", "name": "A", **broken})
    except FlowError as error:
        issues = error.issues
    assert all(issue.text for issue in issues)


@QUICK
@given(st.text(max_size=60), json_values)
def test_any_text_is_rendered_and_any_value_stored(text: str, value: Any) -> None:
    kept = storable(value)
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept
    flat = flatten({"x": kept}, {"lead": {"name": text}})
    assert len(render(f"{text}{{{{ x }}}}{{{{ lead.name }}}}", flat)) <= TEXT_LENGTH


@QUICK
@given(st.text(max_size=80), st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5))
def test_any_answer_matches_one_option_several_or_none(text: str, labels: list[str]) -> None:
    options = [candidate(f"o{number}", label) for number, label in enumerate(labels)]
    found = match_option(text, options)
    ids = {option.id for option in options}
    assert not (found.id and found.among)
    assert set(found.among) <= ids
    assert found.id in {"", *ids}
