"""A second try for each kind of failed event: the right thing once, and nothing more after that."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone

from chatbot import intake, verification
from chatbot.channels.inbound import Unusable
from chatbot.conversation import send_reply
from chatbot.models import FailedEvent, FailedEventState, FlowLog, MessageLog
from chatbot.reprocessing import reprocess
from chatbot.sentences import SENTENCES
from chatbot.tests import stage
from chatbot.tests.webhook import (
    SECOND_NUMBER,
    body_of,
    post,
    post_file,
    say,
    text,
    whatsapp_channel,
)
from sessions_app.models import Owner, Session
from tickets import services as tickets
from tickets.models import Ticket
from users.tests.racing import at_once
from users.tests.recipes import bia

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db):
    return stage.open_shop()


def process_failed():
    out = StringIO()
    call_command("process_failed", stdout=out)
    return out.getvalue()


def states():
    return list(FailedEvent.objects.order_by("pk").values_list("state", flat=True))


def world():
    """Everything a second try must not change."""
    return (
        MessageLog.objects.count(),
        FlowLog.objects.count(),
        Ticket.objects.count(),
        list(Session.objects.order_by("pk").values_list("owner", "epoch", "current_state", "seq")),
        FailedEvent.objects.count(),
    )


@pytest.fixture
def failed_step(client, shop, monkeypatch):
    """The first "Oi" of a customer, whose step failed for a reason that has gone since."""

    def fail(*args, **kwargs):
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr("chatbot.turn.step", fail)
        assert say(client, text("Oi")).status_code == 200
    return FailedEvent.objects.get()


# --- The row exists, the step is missing -------------------------------------------------------


def test_a_missing_step_runs_and_the_bot_has_the_conversation_again(failed_step):
    assert "Handled" in process_failed() or states() == [FailedEventState.DONE]
    session, ticket = Session.objects.get(), Ticket.objects.get()
    assert (session.owner, session.current_state) == (Owner.BOT, "menu")
    assert not ticket.is_open
    texts = list(MessageLog.objects.outbound().order_by("pk").values_list("text", flat=True))
    assert texts[0] == SENTENCES["trouble"]
    assert "Como posso ajudar?" in texts[-1]
    assert list(verification.verify([session.pk])) == [(session.pk, None)]


def test_a_second_run_of_the_command_finds_nothing_to_do(failed_step):
    process_failed()
    before = world()
    assert "nothing to do" in process_failed()
    assert world() == before


def test_two_who_hold_the_same_event_run_its_step_once(failed_step):
    """Both read it as new: two commands at once, or a button pressed twice."""
    same = FailedEvent.objects.get(pk=failed_step.pk)
    reprocess(failed_step, now=timezone.now())
    before = world()
    reprocess(same, now=timezone.now())
    assert world() == before
    assert states() == [FailedEventState.DONE]


def test_a_step_in_the_middle_of_a_flow_goes_on_where_it_was(client, shop, monkeypatch):
    stage.put_on_air(stage.ask_name())
    say(client, text("Oi"))

    def fail(*args, **kwargs):
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr("chatbot.turn.step", fail)
        say(client, text("Davi"))
    assert Session.objects.get().owner == Owner.QUEUE
    process_failed()
    assert states() == [FailedEventState.DONE]
    session = Session.objects.get()
    assert session.context["nome"] == "Davi"
    assert session.owner == Owner.QUEUE  # the flow's own handoff
    assert Ticket.objects.open().get().variables["nome"] == "Davi"
    assert list(verification.verify([session.pk])) == [(session.pk, None)]


def test_after_a_persons_answer_the_step_is_superseded(failed_step):
    bia().departments.add(Ticket.objects.get().department)
    send_reply(Session.objects.get(), user=bia(), text="Pois não?", at=timezone.now())
    before = world()
    process_failed()
    assert states() == [FailedEventState.SUPERSEDED]
    assert FailedEvent.objects.get().outcome
    assert world() == before


def test_after_the_customers_next_message_the_step_is_superseded(client, failed_step):
    say(client, text("Alô?"))
    before = world()
    process_failed()
    assert states() == [FailedEventState.SUPERSEDED]
    assert world() == before


def test_after_the_end_of_the_conversation_the_step_is_superseded(failed_step):
    tickets.close_ticket(Ticket.objects.get(), actor=bia(), then=tickets.Next.END)
    before = world()
    process_failed()
    assert states() == [FailedEventState.SUPERSEDED]
    assert world() == before


def test_a_step_that_fails_again_changes_nothing_but_the_count_of_tries(failed_step, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("chatbot.turn.step", fail)
    before = world()
    for tries in (1, 2):
        process_failed()
        event = FailedEvent.objects.get()
        assert (event.state, event.tries, event.outcome) == ("new", tries, "RuntimeError")
    assert world() == before


# --- There is no row yet -----------------------------------------------------------------------


def test_an_item_that_could_not_be_stored_is_received(client, shop, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError

    body = body_of(text("Oi"))
    with monkeypatch.context() as broken:
        broken.setattr(intake, "stored_payload", fail)
        post(client, body)
    same = FailedEvent.objects.get()
    process_failed()
    assert states() == [FailedEventState.DONE]
    assert MessageLog.objects.inbound().get().text == "Oi"
    assert Session.objects.get().current_state == "menu"
    before = world()
    process_failed()
    reprocess(same, now=timezone.now())
    assert post(client, body).status_code == 200
    assert world() == before


def test_an_item_that_still_cannot_be_stored_stays_one_event(client, shop, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError

    monkeypatch.setattr(intake, "stored_payload", fail)
    say(client, text("Oi"))
    for _ in range(3):
        process_failed()
    event = FailedEvent.objects.get()
    assert (event.state, event.tries) == (FailedEventState.NEW, 3)


def test_an_item_whose_step_fails_now_becomes_an_event_with_its_row(client, shop, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError

    with monkeypatch.context() as broken:
        broken.setattr(intake, "stored_payload", fail)
        say(client, text("Oi"))
    monkeypatch.setattr("chatbot.turn.step", fail)
    process_failed()
    assert states() == [FailedEventState.DONE, FailedEventState.NEW]
    assert FailedEvent.objects.latest("pk").message == MessageLog.objects.inbound().get()


def test_trouble_of_the_account_is_noted_once_however_often_it_is_tried(client, shop):
    post_file(client, "value_errors_account_level.json")
    before = world()
    assert FailedEvent.objects.count() == 1
    for _ in range(3):
        process_failed()
    assert world() == before


def test_a_message_to_a_number_that_was_added_since_is_received(client, shop):
    value = text("Oi")
    value["metadata"]["phone_number_id"] = SECOND_NUMBER
    say(client, value)
    process_failed()
    assert states() == [FailedEventState.NEW]
    whatsapp_channel(slug="segundo", external_id=SECOND_NUMBER, is_default=False)
    process_failed()
    assert states() == [FailedEventState.DONE]
    assert MessageLog.objects.inbound().get().channel.slug == "segundo"
    before = world()
    process_failed()
    assert world() == before


def test_a_malformed_body_stays_as_it_is(client, shop):
    post(client, b'{"entry": [')
    for _ in range(2):
        process_failed()
    event = FailedEvent.objects.get()
    assert (event.state, bytes(event.body)) == (FailedEventState.NEW, b'{"entry": [')


def test_a_body_that_can_be_parsed_by_now_is_received(client, shop, monkeypatch):
    def fail(*args, **kwargs):
        raise KeyError

    body = body_of(text("Oi"), text("Olá", phone="5511990000002"))
    with monkeypatch.context() as broken:
        broken.setattr("chatbot.channels.whatsapp_cloud.parsing.parse_body", fail)
        assert post(client, body).status_code == 200
    assert not MessageLog.objects.exists()
    process_failed()
    assert states() == [FailedEventState.DONE]
    assert MessageLog.objects.inbound().count() == 2
    before = world()
    assert post(client, body).status_code == 200
    process_failed()
    assert world() == before


def test_a_dry_run_only_lists(failed_step):
    before = world()
    out = StringIO()
    call_command("process_failed", "--dry-run", stdout=out)
    assert "step failed" in out.getvalue()
    assert world() == before
    assert states() == [FailedEventState.NEW]


# --- A body of several parts -------------------------------------------------------------------


@pytest.fixture
def unread_body(client, shop, monkeypatch):
    """A proven body of three customers that could not be parsed when it came."""

    def fail(*args, **kwargs):
        raise KeyError

    values = [text("Oi", phone=f"551199000000{number}") for number in (1, 2, 3)]
    with monkeypatch.context() as broken:
        broken.setattr("chatbot.channels.whatsapp_cloud.parsing.parse_body", fail)
        post(client, body_of(*values))
    return FailedEvent.objects.get()


def fails_for(phone, monkeypatch):
    real = intake.stored_payload

    def fail(item):
        if item.sender.addresses[0].send_to == phone:
            raise ValueError
        return real(item)

    monkeypatch.setattr(intake, "stored_payload", fail)


def test_the_part_that_fails_again_becomes_an_event_and_the_body_is_done(unread_body, monkeypatch):
    with monkeypatch.context() as broken:
        fails_for("5511990000002", broken)
        process_failed()
    part = FailedEvent.objects.latest("pk")
    unread_body.refresh_from_db()
    assert states() == [FailedEventState.DONE, FailedEventState.NEW]
    assert f"#{part.pk}" in unread_body.outcome
    assert part.item["item"]["sender"]["addresses"][0]["send_to"] == "5511990000002"
    assert MessageLog.objects.inbound().count() == 2
    process_failed()
    assert states() == [FailedEventState.DONE] * 2
    assert MessageLog.objects.inbound().count() == 3


def test_a_part_whose_step_fails_is_named_too(unread_body, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("chatbot.turn.step", fail)
    process_failed()
    assert states() == [FailedEventState.DONE, *[FailedEventState.NEW] * 3]
    unread_body.refresh_from_db()
    assert all(f"#{pk}" in unread_body.outcome for pk in _ids()[1:])


def test_a_part_that_the_database_refused_keeps_the_body_waiting(unread_body, monkeypatch):
    def refuse(*args, **kwargs):
        raise OperationalError

    with monkeypatch.context() as broken:
        broken.setattr(intake, "stored_payload", refuse)
        process_failed()
    unread_body.refresh_from_db()
    assert unread_body.state == FailedEventState.NEW
    assert "3" in unread_body.outcome
    process_failed()
    assert states() == [FailedEventState.DONE]
    assert MessageLog.objects.inbound().count() == 3


def test_an_item_that_was_not_understood_is_read_by_the_parser_of_today(client, shop, monkeypatch):
    def misread(place, item):
        raw = place.raw("messages", item)
        return Unusable(place.account, None, raw=raw, reason="a kind of tomorrow")

    with monkeypatch.context() as old:
        old.setattr("chatbot.channels.whatsapp_cloud.messages.inbound", misread)
        say(client, text("Oi"))
    process_failed()
    assert states() == [FailedEventState.DONE]
    assert MessageLog.objects.inbound().get().text == "Oi"


def test_a_notice_that_is_tried_on_another_day_stays_one_event(client, shop):
    post_file(client, "value_errors_account_level.json")
    with time_machine.travel(timezone.now() + timedelta(days=2), tick=True):
        reprocess(FailedEvent.objects.get(), now=timezone.now())
    event = FailedEvent.objects.get()
    assert (event.state, event.tries) == (FailedEventState.NEW, 1)
    assert "nothing to do" in process_failed()


def test_each_try_leaves_a_line_in_the_history(failed_step, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr("chatbot.turn.step", fail)
        process_failed()
    process_failed()
    failed_step.refresh_from_db()
    assert [line["did"] for line in failed_step.history] == ["processed", "processed"]
    assert failed_step.history[0]["outcome"] == "RuntimeError"
    assert {line["by"] for line in failed_step.history} == {"process_failed"}


def test_a_long_run_of_the_command_says_how_far_it_is(shop):
    events = [FailedEvent(error=f"e{number}", body=b"{") for number in range(120)]
    FailedEvent.objects.bulk_create(events)
    said = process_failed()
    assert "-- 100 of 120: 100 new" in said
    assert "-- 120 of 120: 120 new" in said


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_ten_at_once_handle_a_body_once_and_name_its_broken_part_once(unread_body, monkeypatch):
    fails_for("5511990000002", monkeypatch)
    events = [FailedEvent.objects.get() for _ in range(10)]
    outcomes = at_once(
        *[lambda event=event: reprocess(event, now=timezone.now()) for event in events]
    )
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert states() == [FailedEventState.DONE, FailedEventState.NEW]
    assert MessageLog.objects.inbound().count() == 2
    unread_body.refresh_from_db()
    assert (unread_body.tries, len(unread_body.history)) == (1, 1)


def _ids():
    return list(FailedEvent.objects.order_by("pk").values_list("pk", flat=True))


# --- At once -----------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_ten_commands_at_once_run_the_missing_step_once(failed_step):
    events = [FailedEvent.objects.get() for _ in range(10)]
    tries = [lambda event=event: reprocess(event, now=timezone.now()) for event in events]
    outcomes = at_once(*tries)
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert states() == [FailedEventState.DONE]
    session = Session.objects.get()
    assert (session.current_state, session.epoch) == ("menu", 2)
    starts = FlowLog.objects.filter(session=session, kind="start")
    assert starts.count() == 1
    assert list(verification.verify([session.pk])) == [(session.pk, None)]
