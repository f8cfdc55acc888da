"""Statuses that come before, while and after the answer of their send is stored."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatbot import delivery, statuses
from chatbot.channels.base import Sent
from chatbot.models import EarlyStatus, FailedEvent, MessageLog, MessageStatus
from chatbot.tests import stage
from chatbot.tests.webhook import message, post, say, status, whatsapp_channel
from users.tests.racing import at_once

pytestmark = pytest.mark.django_db

PRICING = {"pricing_model": "PMP", "type": "regular", "category": "service"}


@pytest.fixture
def shop(db):
    return stage.open_shop()


def on_the_way(channel):
    """A message whose call is under way: the provider has it, we have no answer yet."""
    (row,) = stage.queued(stage.talk(channel), "Oi", status=MessageStatus.SENDING, attempts=1)
    return row


def answer_of(row):
    """What the thread that made the call does with the provider's answer."""
    sent = Sent(f"wamid.{row.pk}")
    return lambda: delivery._record_sent(stage.fresh(row), sent, now=timezone.now())


def told(row, value, **more):
    """A status without our own id, as of a message that another of our numbers' programs sent."""
    return lambda: say(Client(), status(f"wamid.{row.pk}", value, **more))


def outcome(row):
    row = stage.fresh(row)
    return row.status, row.provider_id == f"wamid.{row.pk}", bool(row.sent_at), row.pricing


# --- One after the other -----------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_in_whatever_order_answer_and_statuses_come_the_message_ends_the_same(shop, order):
    row = on_the_way(shop)
    steps = [answer_of(row), told(row, "delivered", pricing=PRICING), told(row, "read")]
    for number in order:
        steps[number]()
    assert outcome(row) == (MessageStatus.READ, True, True, PRICING)
    assert stage.fresh(row).delivered_at
    assert not EarlyStatus.objects.exists()


@pytest.mark.parametrize("is_early", [True, False], ids=["before", "after"])
def test_a_passing_failure_puts_the_message_back_whenever_it_comes(shop, is_early):
    row = on_the_way(shop)
    throttled = told(row, "failed", errors=[{"code": 131056, "title": "pair rate limit"}])
    for step in [throttled, answer_of(row)] if is_early else [answer_of(row), throttled]:
        step()
    row = stage.fresh(row)
    assert (row.status, row.provider_id, row.sent_at) == (MessageStatus.QUEUED, "", None)
    assert row.error_code == "131056"
    assert not EarlyStatus.objects.exists()


def test_what_is_said_of_a_call_that_failed_moves_nothing_of_the_next_try(shop):
    row = on_the_way(shop)
    told(row, "failed", errors=[{"code": 131056, "title": "pair rate limit"}])()
    told(row, "sent")()
    answer_of(row)()
    assert stage.fresh(row).status == MessageStatus.QUEUED
    assert not EarlyStatus.objects.exists()


def test_the_same_early_status_twice_waits_once(shop):
    row = on_the_way(shop)
    told(row, "delivered")()
    told(row, "delivered")()
    assert EarlyStatus.objects.count() == 1
    answer_of(row)()
    assert outcome(row)[0] == MessageStatus.DELIVERED


def test_a_status_of_another_channel_is_not_taken(shop):
    row = on_the_way(shop)
    other = whatsapp_channel(slug="outro", external_id="9", is_default=False)
    told(row, "read")()
    EarlyStatus.objects.update(channel=other)
    answer_of(row)()
    assert outcome(row)[0] == MessageStatus.SENT
    assert EarlyStatus.objects.count() == 1


def test_a_status_that_makes_the_id_known_takes_those_that_wait_with_it(shop):
    row = on_the_way(shop)
    told(row, "read")()
    told(row, "delivered", biz_opaque_callback_data=row.callback_data)()
    assert outcome(row)[:2] == (MessageStatus.READ, True)
    assert not EarlyStatus.objects.exists()


def test_a_status_of_an_earlier_try_does_not_wait_for_anything(shop):
    (row,) = stage.queued(stage.talk(shop), "Oi")
    told(row, "failed", biz_opaque_callback_data=row.callback_data)()
    assert not EarlyStatus.objects.exists()
    assert stage.fresh(row).status == MessageStatus.QUEUED


def test_a_status_before_the_echo_of_its_message_waits_for_it(client, shop):
    phone = "5511990000009"
    value = message({"type": "text", "text": {"body": "Do celular"}}, phone=phone)
    entry = value.pop("messages")[0]
    value["message_echoes"] = [{**entry, "from": "551130000000", "to": phone, "id": "wamid.eco"}]
    say(client, status("wamid.eco", "read"))
    assert EarlyStatus.objects.count() == 1
    change = {"field": "smb_message_echoes", "value": value}
    document = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    assert post(client, json.dumps(document).encode()).status_code == 200
    row = MessageLog.objects.get(provider_id="wamid.eco")
    assert row.status == MessageStatus.READ
    assert not EarlyStatus.objects.exists()


@pytest.mark.parametrize("provider_id", ["x" * 300, "wamid.\x00nulo"])
def test_a_status_with_an_impossible_id_breaks_nothing(client, shop, provider_id):
    assert say(client, status(provider_id, "read")).status_code == 200
    assert FailedEvent.objects.count() <= 1


# --- What it costs -----------------------------------------------------------------------------


def statements(work):
    with CaptureQueriesContext(connection) as captured:
        work()
    marks = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")
    return [one["sql"] for one in captured if not one["sql"].startswith(marks)]


def test_a_status_of_a_known_message_asks_for_nothing_that_waits(shop):
    row = on_the_way(shop)
    answer_of(row)()
    assert not [sql for sql in statements(told(row, "delivered")) if "earlystatus" in sql]


def test_a_send_looks_once_for_what_waits(shop):
    row = on_the_way(shop)
    looks = [sql for sql in statements(answer_of(row)) if "earlystatus" in sql]
    assert len(looks) == 1
    assert looks[0].endswith("LIMIT 1")


# --- Who stores the id may die -----------------------------------------------------------------


@pytest.mark.parametrize("waited", [timedelta(minutes=1), timedelta(days=4)])
def test_a_worker_that_dies_before_it_looks_loses_no_status(shop, monkeypatch, waited):
    row = on_the_way(shop)
    told(row, "read")()
    with monkeypatch.context() as dying:
        dying.setattr(delivery, "apply_early", lambda *args, **more: 0)
        answer_of(row)()
    assert outcome(row)[0] == MessageStatus.SENT
    assert statuses.settle_early_statuses(now=timezone.now() + waited) == 1
    assert outcome(row)[0] == MessageStatus.READ
    assert not EarlyStatus.objects.exists()
    assert statuses.settle_early_statuses(now=timezone.now() + waited) == 0


def test_settling_leaves_what_is_still_unknown(client, shop):
    say(client, status("wamid.alheia", "read"))
    assert statuses.settle_early_statuses(now=timezone.now()) == 0
    assert EarlyStatus.objects.count() == 1


# --- What never finds its message --------------------------------------------------------------


def test_statuses_of_messages_that_others_sent_are_dropped_after_days(client, shop):
    say(client, status("wamid.alheia", "read"))
    now = timezone.now()
    assert statuses.drop_old_early_statuses(now=now + timedelta(days=2)) == 0
    assert statuses.drop_old_early_statuses(now=now + timedelta(days=4)) == 1
    assert not EarlyStatus.objects.exists()


# --- All at once -------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_statuses_at_the_very_moment_of_the_answer_are_never_lost(shop):
    for _ in range(25):
        row = on_the_way(shop)
        outcomes = at_once(
            told(row, "delivered", pricing=PRICING),
            answer_of(row),
            told(row, "read"),
            told(row, "sent"),
        )
        assert not [one for one in outcomes if isinstance(one, Exception)]
        assert outcome(row) == (MessageStatus.READ, True, True, PRICING)
        assert not EarlyStatus.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_passing_failure_at_the_very_moment_of_the_answer_is_never_lost(shop):
    throttled = {"errors": [{"code": 131056, "title": "pair rate limit"}]}
    for _ in range(15):
        row = on_the_way(shop)
        outcomes = at_once(told(row, "failed", **throttled), answer_of(row))
        assert not [one for one in outcomes if isinstance(one, Exception)]
        assert (stage.fresh(row).status, stage.fresh(row).provider_id) == ("queued", "")
        assert not EarlyStatus.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_an_answer_between_keeping_and_the_second_look_is_seen(shop, monkeypatch):
    """The status found no message; the answer is stored before the status looks again."""
    row = on_the_way(shop)
    look = statuses.apply_early
    calls = []

    def answer_first(channel, provider_id, *, now):
        calls.append(provider_id)
        if len(calls) == 1:
            monkeypatch.setattr(delivery, "apply_early", lambda *args, **more: 0)
            answer_of(row)()
        return look(channel, provider_id, now=now)

    monkeypatch.setattr(statuses, "apply_early", answer_first)
    told(row, "read")()
    assert outcome(row)[0] == MessageStatus.READ
