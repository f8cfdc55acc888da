"""Words by which a customer stops offers or asks for them again, through the webhook."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatbot.models import MessageLog
from chatbot.preferences import OPT_IN_WORDS, OPT_OUT_WORDS
from chatbot.tests import stage
from chatbot.tests.webhook import button, message, post_file, say, text
from leads.models import Consent, Lead
from sessions_app.models import Owner, Session
from tickets.services import open_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db):
    return stage.open_shop()


def is_out():
    return Lead.objects.get().opted_out_at is not None


def last_said():
    return MessageLog.objects.outbound().latest("id").text


@pytest.mark.parametrize(
    "word", ["parar", "PARE!", "  Stop. ", "Não quero  receber", "nao quero receber"]
)
def test_a_word_stops_offers_whatever_its_case_accents_and_punctuation(client, shop, word):
    say(client, text("Oi"))
    say(client, text(word))
    consent = Consent.objects.get()
    assert is_out()
    assert (consent.is_granted, consent.text, consent.origin) == (False, word.strip(), "whatsapp")
    assert last_said().startswith("Pronto, você não vai mais receber")


@pytest.mark.parametrize(
    "word", ["quero parar de fumar", "pare e pense", "não pare", "cancelar", "parar ou continuar"]
)
def test_a_word_inside_a_sentence_stops_nothing(client, shop, word):
    say(client, text("Oi"))
    say(client, text(word))
    assert not is_out()


def test_the_flow_waits_where_it_was(client, shop):
    say(client, text("Oi"))
    before = Session.objects.get().current_state
    say(client, text("parar"))
    assert Session.objects.get().current_state == before


def test_the_first_message_may_be_such_a_word(client, shop):
    say(client, text("parar"))
    assert is_out()
    assert last_said().startswith("Pronto")


def test_sair_stops_offers_and_is_answered_by_the_flow(client, shop):
    say(client, text("Oi"))
    say(client, text("sair"))
    assert is_out()
    assert not last_said().startswith("Pronto")


def test_an_option_of_the_menu_is_an_answer_and_no_wish(client, shop):
    options = [
        {"id": "seguir", "label": "Continuar", "next": "fim"},
        {"id": "parar", "label": "Parar", "next": "fim"},
    ]
    nodes = stage.ask_name(
        inicio={"kind": "start", "next": "menu"},
        menu={"kind": "menu", "text": "E agora?", "options": options, "fallback": "?"},
    )
    stage.put_on_air(nodes)
    say(client, text("Oi"))
    say(client, text("parar"))
    assert not is_out()
    assert Session.objects.get().owner == Owner.QUEUE


def test_a_quick_reply_of_a_template_counts(client, shop):
    say(client, text("Oi"))
    tap = {"type": "button", "button": {"payload": "x", "text": "Parar promoções"}}
    say(client, message(tap))
    assert is_out()


@pytest.mark.parametrize("owner", ["queue", "attendant"])
def test_it_counts_whoever_has_the_conversation_and_people_answer(client, shop, owner):
    say(client, text("Oi"))
    session = Session.objects.get()
    open_ticket(session, at=session.started_at)
    Session.objects.update(owner=owner)
    before = MessageLog.objects.outbound().count()
    say(client, text("pare"))
    assert is_out()
    assert MessageLog.objects.outbound().count() == before


def test_twice_the_same_message_and_twice_the_same_wish_are_one_consent(client, shop):
    say(client, text("Oi"))
    value = text("parar")
    for _time in range(3):
        say(client, value)
    said = MessageLog.objects.outbound().count()
    say(client, text("parar"))
    assert Consent.objects.count() == 1
    assert MessageLog.objects.outbound().count() == said  # the last thing we said already


def test_who_wants_offers_again_says_so(client, shop):
    say(client, text("parar"))
    say(client, text("Quero receber"))
    assert not is_out()
    assert [one.is_granted for one in Consent.objects.order_by("id")] == [False, True]
    assert last_said().startswith("Pronto, você voltou")


def test_the_words_to_resume_mean_nothing_to_who_never_stopped(client, shop):
    say(client, text("Oi"))
    say(client, text("quero receber"))
    assert not Consent.objects.exists()
    assert not last_said().startswith("Pronto")


def test_a_channel_may_have_words_of_its_own(client, shop):
    shop.settings = {"opt_out_words": ["chega"], "sentences": {"opted_out": "Feito."}}
    shop.save(update_fields=["settings"])
    say(client, text("Oi"))
    say(client, text("parar"))
    assert not is_out()
    say(client, text("Chega!"))
    assert is_out()
    assert last_said() == "Feito."


def test_a_wish_is_kept_when_the_step_fails(client, shop, monkeypatch):
    say(client, text("Oi"))

    def broken(*_args, **_more):
        raise RuntimeError

    monkeypatch.setattr("chatbot.turn.Turn.hear", broken)
    say(client, text("sair"))  # the flow's own word, so the flow is asked
    assert is_out()
    assert Session.objects.get().owner == Owner.QUEUE


def test_a_preference_of_whatsapp_itself_is_honoured(client, shop):
    post_file(client, "field_user_preferences_stop.json")
    assert is_out()
    assert Consent.objects.get().text == "User requested to stop marketing messages"


def test_a_plain_answer_pays_nothing_for_it(client, shop):
    say(client, text("Oi"))
    with CaptureQueriesContext(connection) as captured:
        say(client, button("orcamento", "Pedir orçamento"))
    assert not [one for one in captured if "leads_consent" in one["sql"]]


def test_no_word_stands_in_both_lists():
    assert set(OPT_OUT_WORDS).isdisjoint(OPT_IN_WORDS)
