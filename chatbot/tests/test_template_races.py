"""Message templates and opt-outs, many at once, on PostgreSQL with real threads."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from time import sleep

import pytest
from django.test import Client
from django.utils import timezone

from chatbot import template_sync, template_tasks
from chatbot.message_templates import TemplateRefused
from chatbot.models import MessageLog, MessageTemplate, Task, TaskKind, TemplateStatus
from chatbot.tests import stage
from chatbot.tests.test_message_templates import ACCOUNT, known, news, template
from chatbot.tests.webhook import body_of, post, text
from chatbot.worker import periodic
from leads.models import Consent, Lead
from sessions_app.models import Channel
from users.tests.racing import at_once

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.fixture
def channel(transactional_db):
    return stage.open_shop(account_id=ACCOUNT)


def test_of_two_that_submit_at_once_one_does(channel, graph_api):
    row = template(channel, status=TemplateStatus.DRAFT, provider_id="")
    graph_api.delay(0.3, times=None)
    fresh = [MessageTemplate.objects.select_related("channel").get(pk=row.pk) for _one in "1234"]
    outcomes = at_once(*(partial(template_sync.submit, one) for one in fresh))
    refused = [one for one in outcomes if isinstance(one, TemplateRefused)]
    assert len(refused) == 3
    assert len([one for one in graph_api.requests if one.method == "POST"]) == 1
    row.refresh_from_db()
    assert row.status == "pending"


def test_many_that_plan_a_run_at_once_leave_one_task(channel):
    now = timezone.now()
    asking = [partial(template_tasks.request_sync, channel, now=now) for _one in range(4)]
    outcomes = at_once(*asking, periodic, periodic)
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert Task.objects.filter(kind=TaskKind.TEMPLATES).count() == 1


def test_a_list_that_was_asked_before_the_news_does_not_undo_them(channel, graph_api):
    row = template(channel)
    known(graph_api, name="retorno")
    graph_api.delay(0.5)

    def told():
        while not graph_api.requests:
            sleep(0.01)
        return news(Client(), "message_template_status_update", event="DISABLED", at=later)

    later = timezone.now() + timedelta(seconds=2)
    outcomes = at_once(partial(template_sync.sync, channel), told)
    assert not [one for one in outcomes if isinstance(one, Exception)]
    row.refresh_from_db()
    assert row.status == "disabled"


def test_the_same_wish_many_times_at_once_is_one_consent_and_one_answer(channel):
    post(Client(), body_of(text("Oi")))
    before = MessageLog.objects.outbound().count()
    body = body_of(text("parar"))
    outcomes = at_once(*(partial(post, Client(), body) for _one in range(8)))
    assert {one.status_code for one in outcomes} == {200}
    assert Lead.objects.get().opted_out_at is not None
    assert Consent.objects.count() == 1
    assert MessageLog.objects.outbound().count() == before + 1


def test_an_account_is_learned_once_by_many_at_once(transactional_db):
    channel = stage.open_shop()
    bodies = [body_of(text("Oi", phone=f"551199000000{n}")) for n in range(6)]
    outcomes = at_once(*(partial(post, Client(), body) for body in bodies))
    assert {one.status_code for one in outcomes} == {200}
    assert Channel.objects.get(pk=channel.pk).account_id == ACCOUNT
