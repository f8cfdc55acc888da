"""What the tickets list shows of the conversations behind its rows."""

import pytest
from django.urls import reverse

from chatbot.channels.inbound import Kind
from chatbot.last_said import last_said
from chatbot.models import Author, MessageStatus
from chatbot.tests import recipes

pytestmark = pytest.mark.django_db

LIST = "admin:tickets_ticket_changelist"


@pytest.fixture
def bia():
    return recipes.bia()


def said(session, reader):
    return last_said([session.pk], reader=reader).get(session.pk)


@pytest.mark.parametrize(
    ("author", "by", "icon"),
    [
        (Author.BOT, "Bot", "bot"),
        (Author.ATTENDANT, "Caio", "check2"),
        (Author.SYSTEM, "Team", "check2"),
    ],
)
def test_who_spoke_last_and_whether_it_arrived(bia, author, by, icon):
    session = recipes.session()
    recipes.inbound(session, "antes")
    user = recipes.caio() if author == Author.ATTENDANT else None
    status = MessageStatus.READ
    recipes.outbound(session, text="Oi", author=author, author_user=user, status=status)
    last = said(session, bia)
    assert (last.text, last.icon) == ("Oi", icon)
    assert last.by in {by, "Equipe"}


def test_ones_own_words_and_a_failure_are_named(bia):
    session = recipes.session()
    recipes.outbound(
        session, text="Oi", author="attendant", author_user=bia, status=MessageStatus.FAILED
    )
    last = said(session, bia)
    assert (last.icon, last.is_failed) == ("erro", True)
    assert last.by in {"You", "Você"}


def test_a_customers_file_is_said_in_words_with_its_icon(bia):
    session = recipes.session()
    recipes.inbound(session, "", kind=Kind.LOCATION)
    last = said(session, bia)
    assert (last.by, last.icon, bool(last.text)) == ("", "pin", True)


def test_reactions_and_what_was_never_sent_are_passed_over(bia):
    session = recipes.session()
    recipes.inbound(session, "fica")
    recipes.inbound(session, "👍", kind=Kind.REACTION)
    recipes.outbound(session, text="descartada", status=MessageStatus.SUPERSEDED)
    assert said(session, bia).text == "fica"


def test_a_list_of_conversations_needs_one_statement(bia, django_assert_num_queries):
    sessions = [recipes.session() for _ in range(5)]
    for session in sessions:
        recipes.inbound(session, "um")
        recipes.outbound(session, text="dois", author="attendant", author_user=bia)
    with django_assert_num_queries(1):
        found = last_said([session.pk for session in sessions], reader=bia)
    assert {one.text for one in found.values()} == {"dois"}


def test_the_tickets_list_shows_the_last_message_as_text(client, bia):
    ticket = recipes.ticket(assignee=bia)
    recipes.inbound(ticket.session, "<b>Oi</b>")
    client.force_login(bia)
    page = client.get(reverse(LIST)).content.decode()
    assert "&lt;b&gt;Oi&lt;/b&gt;" in page


def test_a_ticket_is_found_by_what_was_said(client, bia):
    found, other = recipes.ticket(assignee=bia), recipes.ticket(assignee=bia)
    recipes.inbound(found.session, "Minha conexão caiu")
    recipes.inbound(other.session, "Bom dia")
    hidden = recipes.ticket(assignee=recipes.caio())
    recipes.inbound(hidden.session, "Minha conexão caiu")
    client.force_login(bia)
    page = client.get(reverse(LIST), {"q": "conexao"})
    assert page.context["cl"].result_list == [found]
