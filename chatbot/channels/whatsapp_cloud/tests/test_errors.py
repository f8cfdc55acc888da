"""Each code of Meta's page of error codes, and what becomes of the message and the channel."""

import pytest

from chatbot.channels.whatsapp_cloud.errors import RULES, failure

RETRY = {
    1: ("message", 3),
    2: ("message", 7),
    4: ("account", 5),
    80007: ("account", 5),
    130429: ("number", 5),
    131000: ("message", 3),
    131016: ("message", 7),
    131048: ("number", 2),
    131056: ("pair", 5),
    131057: ("number", 5),
    132069: ("message", 3),
    133004: ("message", 5),
    135000: ("message", 2),
}
STOP = {
    **dict.fromkeys((0, 3, 10, 104, 190, 368, 131005, 131031, 131042, 131044, 134011), "account"),
    **dict.fromkeys(range(200, 300), "account"),
    **dict.fromkeys((33, 131037, 131045, 133000, 133005, 133006, 133008, 133009), "number"),
    **dict.fromkeys((133010, 133015, 133016), "number"),
    **dict.fromkeys((132007, 132015, 132016), "template"),
}
TELL = {
    *(130497, 131030, 131048, 131063, 131064, 132001, 132068, 132069, 134100, 134101, 134102),
    *(136024, 147001, 147002, 147003, 147004, 147005),
}
FAIL = {
    *(100, 130403, 130472, 131008, 131009, 131021, 131026, 131047, 131049, 131050, 131051),
    *(131052, 131053, 131055, 131062, 132000, 132005, 132008, 132012, 132018, 137000),
}


def test_the_table_is_complete():
    assert set(RULES) == RETRY.keys() | STOP.keys() | TELL | FAIL


@pytest.mark.parametrize("code", RETRY)
def test_passing_trouble_is_retried(code):
    error = failure(str(code))
    assert (error.retryable, error.is_stop) == (True, False)
    assert (error.scope, error.max_tries) == RETRY[code]
    assert error.retry_after


@pytest.mark.parametrize("code", [code for code in STOP if not 200 < code < 299])
def test_what_a_person_must_mend_stops_its_scope(code):
    error = failure(str(code))
    assert (error.is_stop, error.retryable, error.scope) == (True, False, STOP[code])
    assert error.needs_operator


@pytest.mark.parametrize("code", sorted(FAIL | TELL - RETRY.keys()))
def test_the_rest_fails_its_message_only(code):
    error = failure(str(code))
    assert (error.retryable, error.is_stop, error.uncertain) == (False, False, False)
    assert error.scope == "message"


@pytest.mark.parametrize("code", sorted(RULES.keys() - range(201, 299)))
def test_a_person_is_told_where_a_person_can_help(code):
    assert failure(str(code)).needs_operator == (code in STOP or code in TELL)


@pytest.mark.parametrize("code", ["4", "80007"])
def test_throttling_of_an_account_slows_it_and_does_not_stop_it(code):
    error = failure(code)
    assert (error.scope, error.retry_after, error.is_stop) == ("account", 60, False)


@pytest.mark.parametrize("code", ["", "x", "-1", "1" * 30, "\u0661", "999999"])
def test_an_unknown_code_fails_unless_it_is_said_to_pass(code):
    assert not failure(code).retryable
    assert failure(code, is_transient=True).retryable
