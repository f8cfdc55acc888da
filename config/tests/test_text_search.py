"""Words are found without accents, from their beginning, and by an index where there is one."""

import pytest
from django.db import connection

from chatbot.models import MESSAGE_WORDS, MessageLog
from chatbot.tests import recipes
from leads.models import LEAD_WORDS, Lead
from tickets.models import TICKET_WORDS, Ticket
from users import text_search
from users.text_search import fold, places, words_of

pytestmark = pytest.mark.django_db


def found(model, text):
    return set(model.objects.matching(text))


def test_folding_keeps_every_character_in_its_place():
    text = "São João: AÇÃO—İ é @ß"
    assert len(fold(text)) == len(text)
    assert fold("ÀÉÎÕÜ Ção") == "aeiou cao"


def test_places_of_words_do_not_overlap():
    assert places("ana anabela", ["ana", "anab"]) == [(0, 3), (4, 7)]


def test_what_is_typed_becomes_a_few_folded_words():
    assert words_of("  João & o 'Zé' \\ %_ ") == ["joao", "ze"]
    assert words_of("e") == ["e"]
    assert words_of("\x00'\"&|!:*()") == []
    assert len(words_of("um dois " * 50)) == text_search.MOST_WORDS


@pytest.mark.parametrize("text", ["joao", "JOÃO", "silva joão", "joa sil"])
def test_a_lead_is_found_by_the_beginnings_of_its_name_in_any_order(text):
    wanted = recipes.lead(name="João da Silva")
    recipes.lead(name="Maria Souza")
    assert found(Lead, text) == {wanted}


@pytest.mark.parametrize("text", ["rosa@loja.example", "loja.example", "rosa@loja"])
def test_a_lead_is_found_by_a_part_of_its_address(text):
    wanted = recipes.lead(name="R", email="rosa@loja.example")
    recipes.lead(name="outra", email="outra@casa.example")
    assert found(Lead, text) == {wanted}


@pytest.mark.parametrize(
    "text",
    ["+55 81 99000-0142", "(81) 99000-0142", "99000-0142", "0142", "8199000", "81 9900-00142"],
)
def test_a_lead_is_found_by_its_number_or_a_part_of_it(text):
    wanted = recipes.lead(phone="+5581990000142")
    recipes.lead(phone="+5511987654321")
    assert found(Lead, text) == {wanted}


def test_a_lead_is_found_by_the_number_that_its_channel_knows():
    wanted = recipes.lead(phone="")
    recipes.identity(lead=wanted, address="5581990000142")
    assert found(Lead, "81 9000-0142") == {wanted}


@pytest.mark.parametrize("text", ["20261126-0003", "#3", "# 0003", "0003", "20261126"])
def test_a_ticket_is_found_by_its_protocol(text):
    wanted = recipes.ticket(protocol="20261126-0003")
    recipes.ticket(protocol="20261125-0013")
    assert found(Ticket, text) == {wanted}


def test_a_ticket_is_found_by_its_subject_or_its_lead():
    by_subject = recipes.ticket(subject="Cobrança em dobro")
    by_lead = recipes.ticket(session=recipes.session(lead=recipes.lead(name="Dobrowolski")))
    assert found(Ticket, "dobro") == {by_subject, by_lead}


def test_a_message_is_found_by_its_words():
    session = recipes.session()
    wanted = recipes.inbound(session, "Preciso da SEGUNDA via, é urgência!")
    recipes.inbound(session, "Obrigada")
    assert found(MessageLog, "urgencia segunda") == {wanted}


def test_without_a_word_nothing_is_found():
    recipes.lead()
    assert not found(Lead, "  ")
    assert not found(Lead, "&|!")
    assert not found(Ticket, "")


def test_a_search_goes_on_where_a_list_has_begun():
    mine, other = recipes.lead(name="João"), recipes.lead(name="João")
    assert set(Lead.objects.filter(pk=mine.pk).matching("joao")) == {mine}
    assert other in Lead.objects.matching("joao")


@pytest.mark.postgres
def test_a_text_longer_than_an_index_takes_is_stored_and_found():
    session = recipes.session()
    words = " ".join(f"palavra{number}" for number in range(200_000))
    message = recipes.inbound(session, words)
    assert found(MessageLog, "palavra3") == {message}


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("model", "document", "index"),
    [
        (Lead, LEAD_WORDS, "leads_lead_words"),
        (Ticket, TICKET_WORDS, "tickets_ticket_words"),
        (MessageLog, MESSAGE_WORDS, "chatbot_message_words"),
    ],
)
def test_the_search_is_the_expression_that_is_indexed(model, document, index):
    rows = text_search.with_words(model.objects.all(), document, "joao")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert index in rows.order_by().explain()
