"""Every code of Meta's page, and ours, in words that say what happened and what to do."""

import pytest
from django.utils.translation import override

from chatbot.channels.explanation import OWN, Action
from chatbot.channels.simulator.transport import Simulator
from chatbot.channels.whatsapp_cloud.errors import RULES, failure
from chatbot.channels.whatsapp_cloud.sentences import SENTENCES
from chatbot.channels.whatsapp_cloud.transport import WhatsAppCloud

# As the page of error codes has them: R retry, N not again, O a person, B our mistake.
CLASSES = {
    0: "O", 1: "R", 2: "R", 3: "O", 4: "R", 10: "O", 33: "O", 100: "B", 104: "O", 190: "O",
    **dict.fromkeys(range(200, 300), "O"),
    368: "O", 80007: "R", 130403: "N", 130429: "R", 130472: "N", 130497: "O", 131000: "R",
    131005: "O", 131008: "B", 131009: "B", 131016: "R", 131021: "N", 131026: "N", 131030: "O",
    131031: "O", 131037: "O", 131042: "O", 131044: "O", 131045: "O", 131047: "N", 131048: "O",
    131049: "N", 131050: "N", 131051: "B", 131052: "N", 131053: "N", 131055: "B", 131056: "R",
    131057: "R", 131062: "N", 131063: "O", 131064: "O", 132000: "B", 132001: "O", 132005: "B",
    132007: "O", 132008: "B", 132012: "B", 132015: "O", 132016: "O", 132018: "B", 132068: "O",
    132069: "O", 133000: "O", 133004: "R", 133005: "O", 133006: "O", 133008: "O", 133009: "O",
    133010: "O", 133015: "O", 133016: "O", 134011: "O", 134100: "O", 134101: "O", 134102: "O",
    135000: "R", 136024: "O", 137000: "N",
    **dict.fromkeys(range(147001, 147006), "O"),
}  # fmt: skip
ACTIONS = {"R": Action.RETRY, "N": Action.STOP, "O": Action.OPERATOR, "B": Action.BUG}
PAUSING = (0, 3, 10, 33, 104, 190, 200, 299, 368, 131005, 131031, 131037, 131042, 131044, 131045)
PAUSING += (133000, 133005, 133006, 133008, 133009, 133010, 133015, 133016, 134011)
# Codes that the outbox, the calls and the look before a call give.
OURS = (
    "stale", "window_closed", "unconfirmed", "timeout", "cut", "no_id", "internal", "connection",
    "request", "content", "no_address", "opted_out", "http_429", "http_408", "http_400",
    "http_502", "http_301", "template_unknown", "template_deleted", "template_not_approved",
    "template_paused", "template_disabled", "template_rejected", "template_parts",
    "template_values", "no_media", "storage", "upload_forgotten", "provider_away",
)  # fmt: skip


def explain(code):
    with override("en"):
        said = WhatsAppCloud.explain(str(code))
        return str(said.what), str(said.advice), said.action


def test_every_code_has_a_rule_and_a_sentence_and_there_is_no_other():
    assert set(CLASSES) == set(RULES) == set(SENTENCES)


@pytest.mark.parametrize("code", [code for code in CLASSES if not 200 < code < 299])
def test_the_sentence_and_the_rule_of_a_code_ask_for_the_same(code):
    what, advice, action = explain(code)
    error = failure(str(code))
    assert action == ACTIONS[CLASSES[code]]
    assert what.endswith(".")
    assert advice.endswith(".")
    assert (action == Action.OPERATOR) == error.needs_operator
    if action == Action.RETRY:
        assert error.retryable
    if action in {Action.STOP, Action.BUG}:
        assert not error.retryable
        assert not error.is_stop


@pytest.mark.parametrize("code", sorted(set(CLASSES) - set(range(201, 299))))
def test_a_sentence_says_that_the_queue_is_kept_exactly_where_the_channel_pauses(code):
    _what, advice, _action = explain(code)
    error = failure(str(code))
    is_pausing = error.is_stop and error.scope in {"account", "number"}
    assert is_pausing == (code in PAUSING)
    assert ("queue is kept" in advice) == is_pausing


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        (4, [60, 120, 240]),
        (80007, [60, 120, 240]),
        (130429, [2, 4, 8, 16]),
        (131048, [3600]),
        (131056, [1, 4, 16, 64]),
        (131057, [90, 90, 90, 90]),
        (132069, [3600, 3600]),
        (133004, [1, 2, 4, 8]),
        (1, [1, 2]),
        (131000, [1, 2]),
        (135000, [1]),
    ],
)
def test_what_is_retried_waits_as_the_page_says(code, waits):
    error = failure(str(code))
    assert [error.delay(tries) for tries in range(1, error.max_tries)][: len(waits)] == waits
    assert error.max_tries > len(waits) - 1


def test_a_file_that_was_given_by_a_link_is_tried_once_more():
    assert failure("131053", by_link=True).max_tries == 2
    assert not failure("131053").retryable


@pytest.mark.parametrize("code", OURS)
def test_our_own_codes_are_explained_on_every_channel(code):
    what, advice, _action = explain(code)
    assert what.endswith(".")
    assert advice.endswith(".")
    assert Simulator.explain(code) == WhatsAppCloud.explain(code)


def test_every_own_code_is_one_that_is_given():
    assert set(OWN) <= set(OURS)


@pytest.mark.parametrize("code", ["424242", "", "x", "\u0661", "9" * 30])
def test_an_unknown_code_is_a_refusal_to_look_at(code):
    what, advice, action = explain(code)
    assert "refused" in what
    assert "administrator" in advice
    assert action == Action.STOP


def test_a_refusal_of_our_own_that_names_its_template_is_shown_as_it_is():
    said = WhatsAppCloud.explain("template_paused", "O modelo “oferta” está pausado.")
    assert said.sentence == "O modelo “oferta” está pausado."
    assert "oferta" not in WhatsAppCloud.explain("131026", "oferta").sentence
