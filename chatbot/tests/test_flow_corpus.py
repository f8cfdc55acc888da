"""The verification finds what is planted and nothing else, and what it finds can be acted out."""

import time

import pytest

from chatbot.engine.check import MESSAGES, check_flow
from chatbot.engine.golden import play
from chatbot.engine.witness import play_witness, shows, witness_of
from chatbot.tests.flow_corpus import AROUND, CLEAN, PLANTED, expected, flow_of

# No customer can show these: nothing leads there, or it says that something never happens.
NOT_PLAYED = {
    "unreachable": "nothing_leads_there",
    "dead_case": "never_taken",
    "impossible_case": "never_taken",
    "unknown_route": "never_returned",
}


def findings_of(name):
    return check_flow(flow_of(name), AROUND)


def test_the_corpus_is_large_and_has_every_finding():
    assert len(PLANTED) >= 40
    assert len(CLEAN) >= 15
    planted = {code for name in PLANTED for code, _severity, _node in expected(name)}
    assert planted == MESSAGES.keys()


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_is_found_in_a_clean_flow(name):
    assert findings_of(name) == []


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found_and_nothing_else(name):
    found = sorted((one.code, one.severity, one.node) for one in findings_of(name))
    assert found == expected(name)


@pytest.mark.parametrize("name", PLANTED)
def test_every_witness_goes_by_its_path_and_shows_the_defect(name):
    flow = flow_of(name)
    for finding in findings_of(name):
        witness = witness_of(flow, finding)
        if finding.code in NOT_PLAYED:
            assert (witness.turns, witness.reason) == (None, NOT_PLAYED[finding.code])
            continue
        assert witness.turns is not None, finding
        assert witness.follows, finding
        assert shows(flow, finding, witness.turns), finding
        assert play_witness(flow, finding) == witness.turns


@pytest.mark.parametrize("name", PLANTED)
def test_a_witness_is_a_golden_conversation(name):
    flow = flow_of(name)
    for finding in findings_of(name):
        witness = witness_of(flow, finding)
        if witness.turns:
            played = play(flow, {"turns": witness.turns, "context": witness.context})
            assert played.mismatch is None
            assert len(played.outcomes) == len(witness.turns)


@pytest.mark.parametrize("name", PLANTED)
def test_a_defect_shows_at_the_last_turn_of_its_witness_and_not_before(name):
    flow = flow_of(name)
    for finding in findings_of(name):
        turns = witness_of(flow, finding).turns
        assert not turns or not shows(flow, finding, turns[:-1])


def test_a_finding_keeps_its_key_while_it_is_about_the_same_thing():
    first, again = findings_of("04_ilha"), findings_of("04_ilha")
    assert [one.key for one in first] == [one.key for one in again]
    assert len({one.key for name in PLANTED for one in findings_of(name)}) > 40


def test_a_flow_of_300_steps_is_checked_quickly():
    flow = flow_of("limpo_loja")
    nodes = {
        f"{node_id}-{copy}": node.model_copy(
            update={
                name: f"{getattr(node, name)}-{copy}"
                for name in ("next", "on_fail", "ok", "error")
                if getattr(node, name, "")
            }
        )
        for copy in range(25)
        for node_id, node in flow.nodes.items()
    }
    large = flow.model_copy(update={"nodes": {**flow.nodes, **nodes}})
    begin = time.process_time()
    check_flow(large, AROUND)
    assert len(large.nodes) >= 300
    assert time.process_time() - begin < 2  # half a second where nothing else runs
