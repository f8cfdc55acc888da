"""Why the bot said something: told from what was stored of its step, to whoever may see it."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from django.utils.translation import gettext

from chatbot.documents import document_of
from chatbot.models import Author, MessageLog
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import button, say, text
from sessions_app.models import Session

pytestmark = pytest.mark.django_db

AUTHENTICATION = 2  # the session cookie and its user
NODES = {
    "inicio": {"kind": "start", "next": "menu", "title": "Início"},
    "menu": {
        "kind": "menu",
        "title": "Menu principal",
        "text": "Sobre o que você quer falar?",
        "options": [
            {"id": "fatura", "label": "Cobrança", "next": "cpf"},
            {"id": "sinal", "label": "Sem sinal", "next": "cpf"},
        ],
        "save_as": "assunto",
        "on_fail": "fim",
    },
    "cpf": {
        "kind": "ask",
        "title": "Pedir o CPF",
        "text": "Qual é o seu CPF?",
        "save_as": "cpf",
        "next": "nome",
        "on_fail": "fim",
    },
    "nome": {
        "kind": "ask",
        "title": "Pedir o nome",
        "text": "E o nome?",
        "save_as": "nome",
        "next": "fim",
        "on_fail": "fim",
    },
    "fim": {
        "kind": "handoff",
        "title": "Passar para a equipe",
        "text": "Protocolo {{ protocol }}.",
    },
}
VARIABLES = {"cpf": {"label": "CPF", "sensitive": True}, "assunto": {"label": "Assunto"}}


@pytest.fixture
def shop(db):
    channel = stage.open_shop()
    stage.put_on_air(NODES, variables=VARIABLES)
    yield channel
    document_of.cache_clear()


@pytest.fixture
def ana(client):
    client.force_login(recipes.ana())
    return client


def hear(*values):
    for value in values:
        assert say(Client(), value).status_code == 200


def last_said():
    return MessageLog.objects.outbound().filter(author=Author.BOT).order_by("-pk").first()


def why(client, message, **headers):
    address = reverse("conversation_why", args=[message.session_id, message.pk])
    return client.get(address, headers=headers)


@pytest.mark.parametrize(
    ("said", "how"),
    [
        (lambda: text("cobrança!"), "the option's own words"),
        (lambda: text("1"), "the option's number"),
        (lambda: text("quero falar de cobranca errada"), "similar words"),
        (lambda: button("fatura", "Cobrança"), "tap on the option"),
    ],
    ids=["words", "number", "similar", "tap"],
)
def test_an_answer_says_what_came_in_and_how_it_was_understood(ana, shop, said, how):
    hear(text("Oi"), said())
    page = why(ana, last_said(), **{"HX-Request": "true"}).content.decode()
    assert "Pedir o CPF" in page  # the passo that spoke
    assert "Menu principal" in page  # the one that was answered
    cells = page[page.index("<tbody>") : page.index("</tbody>")]
    assert "Cobrança" in cells  # the option, as the version calls it
    assert "fatura" not in cells  # its id
    assert escape(gettext(how)) in page
    assert "prova" in page  # the flow
    assert reverse("admin:sessions_app_session_change", args=[last_said().session_id]) in page


def test_what_is_sensitive_stays_masked_before_and_after(ana, shop):
    hear(text("Oi"), text("1"), text("111.444.777-35"))
    page = why(ana, last_said()).content.decode()
    explained = page[page.index('class="why-b"') :]
    assert "111.444" not in explained
    assert "••••••" in explained


def test_what_reads_as_personal_is_masked_wherever_it_was_written(ana, shop):
    hear(text("Oi"), text("1"), text("111.444.777-35"), text("davi@example.com"))
    page = why(ana, last_said()).content.decode()
    explained = page[page.index('class="why-b"') :]
    assert "davi@example.com" not in explained


def test_variables_are_told_before_and_after(ana, shop):
    hear(text("Oi"), text("1"))
    session = Session.objects.get()
    log = last_said().flow_log
    recipes.flow_log(session, log.seq + 1, run=log.run, context_set={"assunto": "sinal"})
    row = recipes.outbound(session, "De novo", flow_log=session.flow_logs.order_by("-seq").first())
    page = why(ana, row).content.decode()
    cells = page[page.index("<tbody>") : page.index("</tbody>")]
    assert cells.index("Cobrança") < cells.index("sinal")


def test_the_ticket_that_was_opened_in_between_hides_nobody(ana, shop):
    hear(text("Oi"), text("1"), text("111.444.777-35"), text("Davi"))
    said = last_said()
    assert said.text.startswith("Protocolo")
    page = why(ana, said).content.decode()
    assert "“Davi”" in page
    assert "Passar para a equipe" in page


def test_an_explanation_costs_few_statements(ana, shop, django_assert_max_num_queries):
    hear(text("Oi"), text("1"), text("111.444.777-35"), text("Davi"))
    said = last_said()
    why(ana, said, **{"HX-Request": "true"})
    with django_assert_max_num_queries(3 + AUTHENTICATION):
        why(ana, said, **{"HX-Request": "true"})


def test_a_fixed_sentence_has_no_flow_behind_it(ana):
    row = recipes.outbound(recipes.session(), "Só texto, por favor.")
    assert why(ana, row).status_code == 200
    page = ana.get(reverse("conversation", args=[row.session_id])).content.decode()
    assert "data-why" not in page


@pytest.mark.parametrize(("person", "status"), [("bia", 200), ("caio", 404)])
def test_it_is_told_to_who_may_see_the_conversation(client, person, status):
    session = recipes.session()
    recipes.ticket(session=session, department=recipes.department("vendas"))
    row = recipes.outbound(session)
    client.force_login(getattr(recipes, person)())
    assert why(client, row).status_code == status


def test_what_people_or_customers_said_needs_no_explanation(ana):
    session = recipes.session()
    for row in (recipes.inbound(session), recipes.outbound(session, author=Author.ATTENDANT)):
        assert why(ana, row).status_code == 404
