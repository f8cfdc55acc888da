"""Silence: warned once, then ended; never with people, and never twice."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone

from chatbot import verification
from chatbot.delivery import deliver_pending
from chatbot.expiry import expire_sessions
from chatbot.models import MessageLog, MessageStatus
from chatbot.tests import stage
from chatbot.tests.webhook import body_of, post, say, text
from sessions_app.models import EndReason, Owner, Session
from users.tests.racing import at_once

pytestmark = pytest.mark.django_db

IDLE = {
    "minutes": 30,
    "warning_minutes": 10,
    "warning_text": "Você ainda está aí?",
    "end_text": "Encerrei por falta de resposta.",
}


@pytest.fixture
def shop(db):
    channel = stage.open_shop()
    stage.put_on_air(stage.ask_name(), idle=IDLE)
    return channel


@pytest.fixture
def davi(shop, client):
    say(client, text("Oi"))
    return Session.objects.get()


def after(**delta):
    return expire_sessions(now=timezone.now() + timedelta(**delta))


def said_by_bot():
    rows = MessageLog.objects.outbound().order_by("pk")
    return list(rows.values_list("text", flat=True))[1:]  # without the question


def age(session, **delta):
    """As if everything in the conversation had happened so much earlier."""
    fields = ["last_interaction_at", "idle_due_at", "window_expires_at", "idle_warned_at"]
    session.refresh_from_db()
    for field in fields:
        if getattr(session, field) is not None:
            setattr(session, field, getattr(session, field) - timedelta(**delta))
    session.save(update_fields=fields)


def test_a_silent_customer_is_warned_once_and_then_the_session_ends(davi):
    assert after(minutes=19) == {"warned": 0, "ended": 0, "failed": 0}
    assert after(minutes=21) == {"warned": 1, "ended": 0, "failed": 0}
    assert after(minutes=21) == {"warned": 0, "ended": 0, "failed": 0}
    assert after(minutes=30) == {"warned": 0, "ended": 0, "failed": 0}
    assert after(minutes=32) == {"warned": 0, "ended": 1, "failed": 0}
    davi.refresh_from_db()
    assert (davi.is_live, davi.end_reason) == (False, EndReason.IDLE)
    assert said_by_bot() == [IDLE["warning_text"], IDLE["end_text"]]
    assert after(days=2) == {"warned": 0, "ended": 0, "failed": 0}
    assert list(verification.verify([davi.pk])) == [(davi.pk, None)]


def test_the_last_words_are_sent_although_the_session_has_ended(davi, graph_api):
    for minutes in (21, 40):
        with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=True):
            expire_sessions(now=timezone.now())
            deliver_pending()
    assert graph_api.messages[-1].text == IDLE["end_text"]


def test_a_worker_that_is_late_warns_and_gives_the_whole_time_of_grace(davi):
    assert after(hours=3)["warned"] == 1
    assert after(hours=3, minutes=9)["ended"] == 0
    assert after(hours=3, minutes=11)["ended"] == 1


def test_an_answer_after_the_warning_starts_the_time_anew(davi, client):
    after(minutes=21)
    ask_again = text("👍")  # no name: the question is asked again
    ask_again["messages"][0] |= {"type": "sticker", "sticker": {"id": "1"}}
    assert say(client, ask_again).status_code == 200
    davi.refresh_from_db()
    assert davi.idle_warned_at is None
    assert after(minutes=19) == {"warned": 0, "ended": 0, "failed": 0}
    assert after(minutes=21)["warned"] == 1


@pytest.mark.parametrize("owner", [Owner.QUEUE, Owner.ATTENDANT])
def test_a_conversation_with_people_never_ends_by_itself(davi, owner):
    Session.objects.update(owner=owner)
    assert after(days=30) == {"warned": 0, "ended": 0, "failed": 0}
    assert Session.objects.get().is_live


def test_outside_the_window_it_ends_without_a_word(davi):
    Session.objects.update(window_expires_at=timezone.now())
    assert after(minutes=40)["ended"] == 1
    assert said_by_bot() == []


def test_a_flow_that_waits_for_its_own_time_is_not_idle(shop, client):
    nodes = stage.ask_name(
        inicio={"kind": "start", "next": "espera"},
        espera={"kind": "wait", "seconds": 86_400, "next": "nome"},
    )
    flow = stage.put_on_air(nodes, slug="espera", idle=IDLE)
    flow.flow.triggers.update(priority=200)
    say(client, text("Oi"))
    assert Session.objects.get().current_state == "espera"
    assert after(hours=20) == {"warned": 0, "ended": 0, "failed": 0}


def test_a_late_message_of_an_idle_customer_opens_a_new_conversation(davi, client):
    age(davi, hours=3)
    assert say(client, text("Voltei")).status_code == 200
    old, new = Session.objects.order_by("pk")
    assert (old.pk, old.is_live, old.end_reason) == (davi.pk, False, EndReason.IDLE)
    assert (new.is_live, new.current_state, new.lead_id) == (True, "nome", old.lead_id)
    assert new.window_expires_at > timezone.now() + timedelta(hours=23)
    assert dict(verification.verify([old.pk, new.pk])) == {old.pk: None, new.pk: None}


def test_a_message_within_the_limit_joins_the_conversation(davi, client):
    age(davi, minutes=29)
    say(client, text("Davi"))
    assert Session.objects.get().context["nome"] == "Davi"


def test_a_late_message_to_people_joins_their_conversation(davi, client):
    say(client, text("Davi"))
    age(davi, days=3)
    say(client, text("Alguém?"))
    assert Session.objects.get().owner == Owner.QUEUE


def test_a_late_reaction_ends_nothing(davi, client):
    age(davi, hours=3)
    row = MessageLog.objects.inbound().get()
    reaction = text("x")
    reaction["messages"][0] |= {
        "type": "reaction",
        "reaction": {"message_id": row.provider_id, "emoji": "👍"},
    }
    assert say(client, reaction).status_code == 200
    assert Session.objects.get().is_live
    assert MessageLog.objects.get(pk=row.pk).reaction == "👍"


def test_a_dry_run_says_what_would_happen_and_changes_nothing(davi):
    age(davi, minutes=25)
    out = StringIO()
    call_command("expire_sessions", "--dry-run", stdout=out)
    assert "1 would be warned" in out.getvalue()
    assert said_by_bot() == []
    call_command("expire_sessions", stdout=out)
    call_command("expire_sessions", stdout=out)
    assert said_by_bot() == [IDLE["warning_text"]]


def test_one_session_that_cannot_be_expired_does_not_keep_the_others(davi, shop, client, caplog):
    say(client, text("Oi", phone="5511990000002"))
    Session.objects.filter(pk=davi.pk).update(flow_state={"version": 10**9, "engine": {}})
    assert after(minutes=21) == {"warned": 1, "ended": 0, "failed": 1}
    assert "could not be expired" in caplog.text


# --- At once -----------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_four_runs_at_once_warn_and_end_each_session_once(shop, client):
    for number in range(20):
        say(client, text("Oi", phone=f"55119900{number:05d}"))
    warned = at_once(*[partial(after, minutes=21)] * 4)
    assert sum(one["warned"] for one in warned) == 20
    assert MessageLog.objects.filter(text=IDLE["warning_text"]).count() == 20
    ended = at_once(*[partial(after, minutes=40)] * 4)
    assert sum(one["ended"] for one in ended) == 20
    assert MessageLog.objects.filter(text=IDLE["end_text"]).count() == 20
    assert not Session.objects.live().exists()
    assert not [one for one in verification.verify(_all_sessions()) if one[1]]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_customers_answer_against_the_end_loses_nothing(shop, client):
    """Either the answer joins the session, or the session ends and the answer opens the next."""
    for number in range(15):
        who = f"55119911{number:05d}"
        say(client, text("Oi", phone=who))
        session = Session.objects.get(identity__address=who)
        age(session, minutes=29, seconds=55)
        session.idle_warned_at = timezone.now() - timedelta(minutes=9)
        session.idle_due_at = timezone.now() + timedelta(seconds=5)
        session.save(update_fields=["idle_warned_at", "idle_due_at"])
        body = body_of(text("Davi", phone=who))
        answer, _counts = at_once(lambda body=body: post(client, body), partial(after, seconds=6))
        assert answer.status_code == 200
        found = Session.objects.filter(lead=session.lead).order_by("pk")
        live = found.live().get()
        assert MessageLog.objects.inbound().filter(session__lead=session.lead).count() == 2
        if live.pk == session.pk:
            assert live.context["nome"] == "Davi"
        else:
            assert live.current_state == "nome"
    assert not MessageLog.objects.filter(status=MessageStatus.FAILED).exists()
    assert not [one for one in verification.verify(_all_sessions()) if one[1]]


def _all_sessions():
    return list(Session.objects.values_list("pk", flat=True))
