"""Bodies that no provider should send: each is answered, none is lost, none comes back for ever."""

from __future__ import annotations

import pytest

from chatbot.models import FailedEvent, FailedEventState, MessageLog
from chatbot.tests import stage
from chatbot.tests.webhook import body_of, message, post, say, sign, text
from leads.models import Lead

pytestmark = pytest.mark.django_db

MEGABYTE = 1024 * 1024


@pytest.fixture
def shop(db):
    return stage.open_shop()


def nested(depth, inner="0"):
    return '{"a":' * depth + inner + "}" * depth


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"object": "whatsapp_business_account", "entry": [',
        b"\xff\xfe\x00",
        b"null",
        b"[1, 2]",
        b"[" * 10_000 + b"]" * 10_000,
        nested(10_000).encode(),
    ],
    ids=["empty", "cut", "no text", "null", "list", "nested list", "nested object"],
)
def test_a_proven_body_that_is_no_event_is_kept_as_it_came(client, shop, body):
    assert post(client, body).status_code == 200
    event = FailedEvent.objects.get()
    assert bytes(event.body) == body
    assert (event.channel, event.state) == (shop, FailedEventState.NEW)
    assert not MessageLog.objects.exists()


@pytest.mark.parametrize("depth", [50, 300, 600, 900, 10_000])
def test_a_message_that_holds_deep_nesting_is_kept_one_way_or_another(client, shop, depth):
    body = body_of(message({"type": "novidade", "novidade": {"a": "AQUI"}}))
    body = body.replace(b'"AQUI"', nested(depth).encode())
    assert post(client, body + b" ").status_code == 200
    kept = MessageLog.objects.inbound().count() + FailedEvent.objects.count()
    assert kept >= 1
    assert say(client, text("Oi")).status_code == 200
    assert MessageLog.objects.inbound().filter(text="Oi").exists()


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "9" * 400, "1.5"])
@pytest.mark.parametrize("kind", ["location", "novidade"])
def test_a_number_that_no_column_takes_makes_no_body_poison(client, shop, number, kind):
    body = body_of(message({"type": kind, kind: {"latitude": "AQUI", "longitude": -46.6}}))
    body = body.replace(b'"AQUI"', number.encode())
    assert post(client, body).status_code == 200
    assert MessageLog.objects.inbound().count() + FailedEvent.objects.count() >= 1


def test_a_five_megabyte_body_is_refused_and_leaves_nothing(client, shop):
    body = body_of(text("x" * 5 * MEGABYTE))
    assert post(client, body).status_code == 413
    assert stage.is_nothing_stored()


def test_a_body_just_below_the_limit_is_stored(client, shop):
    filler = message({"type": "text", "text": {"body": "x"}})
    body = body_of(text("Oi"), filler)
    body += b" " * (4 * MEGABYTE - len(body))
    assert post(client, body).status_code == 200
    assert MessageLog.objects.inbound().count() == 2
    assert post(client, body + b" ").status_code == 413


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, sign(b"{}"), "sha256=é"],
)
def test_a_wrong_signature_is_refused_and_leaves_nothing(client, shop, signature):
    body = body_of(text("Oi"))
    assert post(client, body, signature=signature).status_code == 403
    assert stage.is_nothing_stored()


def test_nul_and_lone_surrogates_are_stored_as_replacement_characters(client, shop):
    body = body_of(text("a\x00b\ud800c", name="Da\x00vi \udfff"))
    assert b"\\u0000" in body
    assert b"\\ud800" in body
    assert post(client, body).status_code == 200
    assert MessageLog.objects.inbound().get().text == "a\ufffdb\ufffdc"
    assert "\ufffd" in Lead.objects.get().name
    assert not FailedEvent.objects.exists()


@pytest.mark.parametrize("field", ["id", "from", "context"])
def test_an_absurdly_long_id_is_kept_and_makes_no_body_poison(client, shop, field):
    value = text("Oi")
    if field == "context":
        value["messages"][0]["context"] = {"id": "w" * 3000}
    else:
        value["messages"][0][field] = "5" * 3000
    assert say(client, value).status_code == 200
    assert MessageLog.objects.inbound().count() + FailedEvent.objects.count() >= 1


def test_every_item_beside_a_bad_one_is_handled(client, shop):
    bad = message({"type": "text", "text": {"body": "sem id"}}, phone="5511990000002")
    bad["messages"][0]["id"] = "w" * 3000
    body = body_of(text("Antes"), bad, text("Depois", phone="5511990000003"))
    assert post(client, body).status_code == 200
    texts = set(MessageLog.objects.inbound().values_list("text", flat=True))
    assert texts >= {"Antes", "Depois"}
    again = MessageLog.objects.count()
    assert post(client, body).status_code == 200
    assert MessageLog.objects.count() == again
