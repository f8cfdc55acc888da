"""What each recorded answer of the Graph API must lead to, through the outbox. The corpus itself is
the one that was recorded: a changed file fails here."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from chatbot.channels import transport_for
from chatbot.channels.base import Content, Recipient
from chatbot.delivery import deliver_pending
from chatbot.models import Author
from chatbot.tests import stage
from chatbot.tests.graph_server import STATUS
from chatbot.tests.webhook import PAYLOADS, say, text
from leads.models import Identity, Lead, Scheme
from sessions_app.models import Channel, Session

pytestmark = pytest.mark.django_db

ANSWERS = PAYLOADS / "whatsapp_cloud_api_responses"
TESTED = {
    "send_ok.json",
    "send_ok_wa_id_without_ninth_digit.json",
    "send_ok_bsuid.json",
    "send_ok_template_held.json",
    "mark_read_ok.json",
    "error_130429.json",
    "error_131056.json",
    "error_131057.json",
    "error_190.json",
    "error_132001.json",
    "error_100_invalid_parameter.json",
    "error_131062.json",
}


@pytest.fixture
def shop(db):
    return stage.open_shop()


@pytest.fixture
def davi(shop):
    return stage.talk(shop)


def answer(graph_api, name, **more):
    graph_api.answer(STATUS.get(name, 400 if "error" in name else 200), body(name), **more)


def body(name):
    return (ANSWERS / name).read_text()


def wamid(name):
    return json.loads(body(name))["messages"][0]["id"]


def test_every_recorded_file_is_as_it_was_recorded():
    listed = (PAYLOADS / "SHA256SUMS").read_text().splitlines()
    digests = dict(reversed(line.split("  ")) for line in listed)
    found = {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("whatsapp_cloud", "whatsapp_cloud_api_responses")
        for path in (PAYLOADS / folder).iterdir()
    }
    assert found == digests
    assert len(found) == 69 + 12


def test_every_recorded_answer_has_a_test_here():
    assert {path.name for path in ANSWERS.iterdir()} == TESTED


def test_an_accepted_message_is_sent_and_not_yet_delivered(davi, graph_api):
    row = stage.queued(davi, "Oi")[0]
    answer(graph_api, "send_ok.json")
    assert deliver_pending() == {"sent": 1}
    row = stage.fresh(row)
    assert (row.provider_id, row.delivered_at) == (wamid("send_ok.json"), None)


def test_the_form_without_the_ninth_digit_is_the_same_person_afterwards(client, shop, graph_api):
    told = json.loads(body("send_ok_wa_id_without_ninth_digit.json"))["contacts"][0]
    full, short = told["input"].removeprefix("+"), told["wa_id"]
    assert len(full) == len(short) + 1
    session = stage.talk(shop)
    Identity.objects.filter(pk=session.identity_id).update(address=full, send_to=full)
    stage.queued(session, "Oi")
    answer(graph_api, "send_ok_wa_id_without_ninth_digit.json")
    assert deliver_pending() == {"sent": 1}
    assert say(client, text("Oi", phone=short)).status_code == 200
    assert (Lead.objects.count(), Session.objects.count()) == (1, 1)
    assert Identity.objects.get().send_to == short


def test_a_message_to_a_user_id_goes_to_the_recipient_and_teaches_no_phone(davi, graph_api):
    found = json.loads(body("send_ok_bsuid.json"))["contacts"][0]
    user_id = found["user_id"]
    Identity.objects.update(scheme=Scheme.BSUID, address=user_id, send_to=user_id)
    row = stage.queued(davi, "Oi")[0]
    answer(graph_api, "send_ok_bsuid.json")
    assert deliver_pending() == {"sent": 1}
    assert stage.fresh(row).provider_id == wamid("send_ok_bsuid.json")
    sent = graph_api.requests[-1].body
    assert (sent.get("recipient"), "to" in sent) == (user_id, False)
    assert Identity.objects.get().scheme == "bsuid"


def test_a_template_that_meta_holds_back_is_accepted_and_says_so(davi, graph_api):
    model = {"template": {"name": "retorno", "language": "pt_BR", "components": []}}
    answer(graph_api, "send_ok_template_held.json")
    to = Recipient(davi.identity.scheme, davi.identity.send_to)
    content = Content("template", template=model["template"])
    sent = transport_for(davi.channel).send(to, content, callback_data="m1")
    assert sent.provider_id == wamid("send_ok_template_held.json")
    assert sent.pacing == "held_for_quality_assessment"


def test_marking_as_read_is_accepted(shop, graph_api):
    answer(graph_api, "mark_read_ok.json")
    transport_for(shop).mark_read("wamid.Um")
    assert graph_api.requests[-1].body["message_id"] == "wamid.Um"


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("error_130429.json", 1, 10),
        ("error_131056.json", 1, 10),
        ("error_131057.json", 60, 120),
    ],
)
def test_what_passes_waits_in_the_outbox(davi, graph_api, name, least, most):
    row = stage.queued(davi, "Oi")[0]
    answer(graph_api, name)
    before = timezone.now()
    assert deliver_pending() == {"queued": 1}
    row = stage.fresh(row)
    assert row.error_code == name.split("_")[1].removesuffix(".json")
    assert timedelta(seconds=least) <= row.run_at - before
    assert row.run_at - timezone.now() <= timedelta(seconds=most)


def test_the_pair_limit_holds_nobody_else_back(shop, davi, graph_api):
    stage.queued(davi, "Oi")
    other = stage.queued(stage.talk(shop), "Outro")
    answer(graph_api, "error_131056.json", to=f"+{davi.identity.send_to}")
    deliver_pending()
    assert stage.statuses(other) == ["sent"]


def test_an_expired_token_stops_the_channel_and_keeps_its_queue(shop, davi, graph_api):
    rows = stage.queued(davi, "Um") + stage.queued(stage.talk(shop), "Outro")
    answer(graph_api, "error_190.json", times=None)
    deliver_pending()
    assert stage.statuses(rows) == ["queued"] * 2
    assert {stage.fresh(row).attempts for row in rows} == {0}
    assert Channel.objects.get().paused_until > timezone.now()


@pytest.mark.parametrize(
    "name", ["error_132001.json", "error_100_invalid_parameter.json", "error_131062.json"]
)
def test_what_was_refused_for_good_has_failed_with_code_and_words(davi, graph_api, name):
    row = stage.queued(davi, "Oi", author=Author.ATTENDANT)[0]
    answer(graph_api, name, times=None)
    assert deliver_pending() == {"failed": 1}
    row = stage.fresh(row)
    assert row.error_code == name.removesuffix(".json").split("_")[1]
    assert row.error_detail
    assert len(graph_api.requests) == 1
