"""Some of the broken bodies that `python -m chatbot.tests.fuzz` has by the million."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatbot import failures
from chatbot.channels.whatsapp_cloud.parsing import parse_body
from chatbot.delivery import deliver_pending
from chatbot.models import FailedEvent, MessageLog, SendPace
from chatbot.tests import fuzzing, mutations, stage
from chatbot.tests.mutations import ANSWERS, Mutator
from chatbot.tests.webhook import body_of, message, post, say, status, text
from sessions_app.models import Channel

KNOWN_SEED = 1


def run(what, count):
    return fuzzing.Work(what, KNOWN_SEED, range(count)).do()


def failures_of(tally):
    return [(one.index, one.why) for one in tally.failures]


def test_a_body_follows_from_seed_and_index_alone():
    mutator = Mutator(7)
    bodies = [mutator.body(index) for index in range(1000)]
    assert bodies[::-1] == [Mutator(7).body(index) for index in reversed(range(1000))]
    assert len({*bodies, *(Mutator(8).body(index) for index in range(1000))}) > 1700


def test_what_one_body_was_made_of_is_not_changed_with_it():
    for number in range(300):
        body = {"from": "1", "timestamp": "1"}
        rng = random.Random(number)  # noqa: S311  # no secret
        mutations._readdress(rng, body)
        mutations._retime(rng, body)
        for value in body.values():
            if isinstance(value, list):
                value.append("more")
            elif isinstance(value, dict):
                value["more"] = "more"
    assert "more" not in json.dumps([mutations.ADDRESSES, mutations.TIMES])


def test_any_body_is_read_or_refused_and_each_item_stands_alone():
    tally = run("parse", 3000)
    assert failures_of(tally) == []
    assert tally.outcomes["malformed"] > 100
    assert tally.outcomes["item InboundMessage"] > 1000


@settings(max_examples=200)
@given(st.integers(min_value=0), st.integers(0, 10**6))
def test_a_body_of_any_seed_is_read_or_refused(seed, index):
    fuzzing.check_parse(index, Mutator(seed).body(index))


def test_any_answer_of_the_provider_is_a_message_or_one_error():
    tally = run("answers", 3000)
    assert failures_of(tally) == []
    assert tally.outcomes["sent"] > 100


@pytest.mark.django_db
def test_any_body_through_the_webhook_leaves_whole_conversations():
    fuzzing.Shop.open()
    tally = run("webhook", 300)
    assert failures_of(tally) == []
    assert tally.outcomes["answered 200"] == 300
    assert tally.outcomes["items stored"] > 100
    assert fuzzing.findings_in_database() == []
    fuzzing.try_again_all()
    assert fuzzing.findings_in_database() == []


@pytest.mark.django_db
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(min_value=2))
def test_a_body_of_any_seed_is_answered_200(shop, seed):
    mutator = Mutator(seed, is_large=False)
    shop = fuzzing.Shop()
    for index in range(5):
        shop.check(index, mutator.body(index))


# --- What it found -----------------------------------------------------------------------------


@pytest.fixture
def shop(db):
    return stage.open_shop()


def test_an_item_with_an_unencodable_key_is_kept(client, shop):
    """A key that no encoder takes, in a message that has no sender."""
    odd = message({"type": "text", "text": {"body": "Oi"}, "\ud800\x00": {"\udfff": 1}}, phone="")
    assert say(client, odd, text("Olá")).status_code == 200
    event = FailedEvent.objects.get()
    assert event.error == "message without sender"
    assert failures.item_of(event) is not None
    assert MessageLog.objects.inbound().get().text == "Olá"


def test_an_item_that_cannot_even_be_kept_holds_no_other_back(client, shop, monkeypatch):
    def refuse(*_args, **_more):
        raise RuntimeError

    monkeypatch.setattr(failures, "keep_item", refuse)
    assert say(client, message({"type": "text"}, phone=""), text("Olá")).status_code == 503
    assert MessageLog.objects.inbound().get().text == "Olá"


@pytest.mark.parametrize("poison", ["\x00", "\ud800"], ids=["nul", "surrogate"])
def test_a_status_with_an_unstorable_text_still_moves_its_message(client, shop, poison):
    session = stage.talk(shop)
    row = stage.queued(session, "Oi", status="sent", provider_id="wamid.nossa")[0]
    error = {"code": 131047, "title": "x", "error_data": {"details": f"não{poison}foi"}}
    told = status("wamid.nossa", "failed", errors=[error], pricing={poison: poison})
    assert say(client, told).status_code == 200
    assert not FailedEvent.objects.exists()
    assert (stage.fresh(row).status, stage.fresh(row).error_code) == ("failed", "131047")


@pytest.mark.parametrize("poison", ["\x00", "\ud800"], ids=["nul", "surrogate"])
def test_an_echo_of_a_file_with_an_unstorable_name_is_stored(client, shop, poison):
    value = message({"type": "document", "document": {"id": "1", "filename": f"a{poison}.pdf"}})
    echo = value.pop("messages")[0]
    echo["to"] = echo.pop("from")
    value["message_echoes"] = [echo]
    body = json.loads(body_of(value))
    body["entry"][0]["changes"][0]["field"] = "smb_message_echoes"
    assert len(parse_body(json.dumps(body).encode())) == 1
    assert post(client, json.dumps(body).encode()).status_code == 200
    assert not FailedEvent.objects.exists()
    assert MessageLog.objects.outbound().get().media.get().filename == "a\ufffd.pdf"


@pytest.mark.parametrize("poison", ["\\u0000", "\\ud800"], ids=["nul", "surrogate"])
def test_a_refusal_with_an_unstorable_text_fails_its_message_and_no_worker(shop, graph_api, poison):
    row = stage.queued(stage.talk(shop), "Oi")[0]
    refusal = f'{{"error": {{"code": 100, "message": "não {poison}"}}}}'
    graph_api.answer(400, refusal)
    assert deliver_pending() == {"failed": 1}
    assert (stage.fresh(row).error_code, stage.fresh(row).status) == ("100", "failed")


def test_any_answer_through_delivery_ends_in_a_status(shop, graph_api):
    mutator = Mutator(KNOWN_SEED, ANSWERS, is_large=False)
    for index in range(60):
        row = stage.queued(stage.talk(shop), "Oi")[0]
        graph_api.answer((200, 400, 500)[index % 3], mutator.body(index).decode("utf-8", "replace"))
        deliver_pending(limit=1)
        ended = stage.fresh(row)
        assert ended.status in {"sent", "failed", "sending", "queued"}
        assert (ended.status == "sent") == bool(ended.provider_id)
        MessageLog.objects.filter(status="queued").delete()  # no answer may meet two messages
        Channel.objects.update(paused_until=None)
        SendPace.objects.all().delete()  # nor does one answer's breaker
    assert len(graph_api.requests) == 60
