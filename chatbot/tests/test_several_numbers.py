"""Several numbers: who wrote to one is answered from it, whoever answers."""

from __future__ import annotations

from collections import defaultdict
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from chatbot.conversation import send_reply
from chatbot.delivery import deliver_pending
from chatbot.models import FailedEvent, Incident, MessageLog
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import (
    NUMBER,
    SECOND_NUMBER,
    SECRET,
    body_of,
    post,
    say,
    sign,
    text,
    whatsapp_channel,
)
from leads.models import Lead
from sessions_app.models import Channel, Session

pytestmark = pytest.mark.django_db

OTHER_SECRET = "outro-segredo-ficticio"


@pytest.fixture
def shop():
    return stage.open_shop()


@pytest.fixture
def second(shop):
    """Another number of the same app."""
    return whatsapp_channel(
        slug="suporte",
        name="Suporte",
        external_id=SECOND_NUMBER,
        is_default=False,
        credentials=shop.credentials,
        rate_per_second=stage.FASTEST,
    )


def to(number: str, words: str, **more):
    value = text(words, **more)
    value["metadata"]["phone_number_id"] = number
    return value


def sent_from(graph_api):
    """The texts that left from each number, in order."""
    texts = defaultdict(list)
    for request in graph_api.messages:
        texts[request.path.split("/")[2]].append(request.text)
    return texts


def test_one_customer_on_two_numbers_has_two_conversations(client, graph_api, shop, second):
    for _time in range(3):
        say(client, to(NUMBER, "Oi"))
        say(client, to(SECOND_NUMBER, "Oi"))
        deliver_pending()
    assert Lead.objects.count() == 1
    assert Session.objects.values("channel").distinct().count() == 2
    texts = sent_from(graph_api)
    assert set(texts) == {NUMBER, SECOND_NUMBER}
    assert len(texts[NUMBER]) == len(texts[SECOND_NUMBER]) >= 3


def test_one_body_with_both_numbers_is_answered_from_each(client, graph_api, shop, second):
    post(client, body_of(to(NUMBER, "Oi"), to(SECOND_NUMBER, "Olá")))
    deliver_pending()
    assert set(sent_from(graph_api)) == {NUMBER, SECOND_NUMBER}
    heard = MessageLog.objects.filter(direction="in").values_list("channel__slug", "text")
    assert set(heard) == {("whatsapp", "Oi"), ("suporte", "Olá")}


def test_an_attendant_answers_from_the_number_that_was_written_to(client, graph_api, shop, second):
    ana = recipes.ana()
    say(client, to(NUMBER, "Oi"), to(SECOND_NUMBER, "Oi"))
    deliver_pending()
    graph_api.reset()
    for channel in (second, shop, second):
        session = Session.objects.get(channel=channel)
        send_reply(session, user=ana, text=f"de {channel.slug}")
    deliver_pending()
    assert sent_from(graph_api) == {
        NUMBER: ["de whatsapp"],
        SECOND_NUMBER: ["de suporte", "de suporte"],
    }


def test_the_api_answers_from_the_number_of_the_session(client, graph_api, shop, second):
    say(client, to(NUMBER, "Oi"), to(SECOND_NUMBER, "Oi"))
    deliver_pending()
    graph_api.reset()
    api = APIClient()
    api.force_authenticate(recipes.ana())
    for channel in (second, shop):
        session = Session.objects.get(channel=channel)
        body = {"session": session.pk, "text": channel.slug, "client_id": str(uuid4())}
        assert api.post("/api/v1/messages/", body, format="json").status_code == 201
    deliver_pending()
    assert sent_from(graph_api) == {NUMBER: ["whatsapp"], SECOND_NUMBER: ["suporte"]}


def test_an_app_of_its_own_has_its_own_secret_at_its_own_address(client, shop, second):
    second.credentials = {**shop.credentials, "app_secret": OTHER_SECRET}
    second.save()
    body = body_of(to(SECOND_NUMBER, "Oi"))
    right = sign(body, OTHER_SECRET)
    assert post(client, body, path="/webhook/suporte", signature=right).status_code == 200
    assert (
        post(client, body, path="/webhook/suporte", signature=sign(body, SECRET)).status_code == 403
    )
    assert post(client, body, path="/webhook", signature=right).status_code == 403
    assert MessageLog.objects.get(direction="in").channel == second
    assert Incident.objects.filter(kind="signature").count() == 1


def test_a_number_that_is_nobodys_is_kept_and_the_others_go_on(client, shop, second):
    unknown = to("100000000000099", "Oi")
    response = post(client, body_of(to(NUMBER, "um"), unknown, to(SECOND_NUMBER, "dois")))
    assert response.status_code == 200
    heard = MessageLog.objects.filter(direction="in").values_list("channel__slug", "text")
    assert set(heard) == {("whatsapp", "um"), ("suporte", "dois")}
    assert FailedEvent.objects.get().channel is None
    assert Incident.objects.get().facts == {"number": "100000000000099"}


def test_a_number_that_is_switched_off_leaves_the_other_alone(client, graph_api, shop, second):
    Channel.objects.filter(pk=second.pk).update(is_active=False)
    say(client, to(NUMBER, "Oi"), to(SECOND_NUMBER, "Oi"))
    deliver_pending()
    assert set(sent_from(graph_api)) == {NUMBER}
    assert Session.objects.get(channel=second).owner == "queue"
