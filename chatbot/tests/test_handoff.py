"""What a ticket keeps of the way that led to people."""

from copy import deepcopy

import pytest

from chatbot.engine.effects import OpenTicket
from chatbot.engine.kinds import Handoff
from chatbot.models import FlowVersion
from chatbot.tests import stage
from chatbot.tests.webhook import say, text
from chatbot.worker import give_out
from tickets.models import Ticket
from tickets.wording import answers_of
from users.masking import MASK
from users.models import Availability, Department, Distribution, Skill
from users.tests.recipes import bia, department

pytestmark = pytest.mark.django_db

NODES = {
    "inicio": {"kind": "start", "title": "Início", "next": "nome"},
    "nome": {"kind": "ask", "text": "Qual é o seu nome?", "save_as": "nome", "next": "gente"},
    "gente": {"kind": "handoff", "title": "Passar para vendas", "text": "Já vem gente."},
}


@pytest.fixture
def shop():
    stage.open_shop()
    stage.put_on_air(
        NODES,
        words=[{"keywords": ["atendente"], "next": "gente"}],
        variables={"nome": {"label": "Nome"}},
    )


def test_a_ticket_keeps_the_titles_of_the_passos_that_led_to_it(shop, client):
    say(client, text("Oi"))
    say(client, text("Davi"))
    handoff = Ticket.objects.get().handoff
    assert handoff["path"] == ["inicio", "nome", "gente"]
    assert handoff["steps"] == ["Início", "nome", "Passar para vendas"]
    assert (handoff["labels"], handoff["word"]) == ({"nome": "Nome"}, "")


def test_a_ticket_shows_the_options_that_were_chosen_as_that_version_called_them(client):
    option = {"id": "valor-diferente", "label": "Valor diferente", "next": "gente"}
    menu = {"kind": "menu", "text": "Qual é?", "save_as": "motivo", "options": [option]}
    nodes = {
        "inicio": {"kind": "start", "next": "menu"},
        "menu": menu,
        "gente": {"kind": "handoff", "reason": "Conta: {{ motivo }}", "text": "Já vem gente."},
    }
    stage.open_shop()
    old = stage.put_on_air(nodes)
    say(client, text("Oi"))
    newer = deepcopy(old.document)
    newer["nodes"]["menu"]["options"][0]["label"] = "Outro rótulo"
    old.flow.published = FlowVersion.objects.create(flow=old.flow, number=2, document=newer)
    old.flow.save()
    say(client, text("1"))
    ticket = Ticket.objects.get()
    assert ticket.variables["motivo"] == "valor-diferente"
    assert [one.value for one in answers_of(ticket)] == ["Valor diferente"]
    assert ticket.subject == ticket.handoff["reason"] == "Conta: Valor diferente"
    ticket.variables["motivo"], ticket.handoff["options"] = "de antes", {}
    assert [one.value for one in answers_of(ticket)] == ["de antes"]


def test_a_ticket_keeps_what_a_sub_flow_declares_sensitive(client):
    sub = {
        "schema": 1,
        "slug": "dados",
        "name": "Dados",
        "start": "inicio",
        "nodes": {
            "inicio": {"kind": "start", "next": "senha"},
            "senha": {"kind": "ask", "text": "Senha?", "save_as": "senha", "next": "fim"},
            "fim": {"kind": "end"},
        },
        "variables": {"senha": {"label": "Senha", "sensitive": True}},
    }
    stage.open_shop()
    stage.put_on_air(
        {
            "inicio": {"kind": "start", "next": "dados"},
            "dados": {"kind": "flow", "flow": "dados", "next": "gente"},
            "gente": {"kind": "handoff", "text": "Já vem gente."},
        },
        subflows={"dados": sub},
    )
    say(client, text("Oi"))
    say(client, text("segredo"))
    (answer,) = answers_of(Ticket.objects.get())
    assert (answer.label, answer.is_masked, answer.value) == ("Senha", True, MASK)


def test_a_ticket_keeps_the_word_by_which_people_were_asked_for(shop, client):
    say(client, text("Oi"))
    say(client, text("Atendente"))
    handoff = Ticket.objects.get().handoff
    assert handoff["word"] == "atendente"
    assert handoff["steps"][-1] == "Passar para vendas"


def test_a_handoff_tells_which_skills_are_needed_and_what_is_none(client):
    english = Skill.objects.create(name="Inglês")
    stage.open_shop()
    nodes = {
        "inicio": {"kind": "start", "next": "gente"},
        "gente": {"kind": "handoff", "text": "Já vem gente.", "skills": ["inglês", "élfico"]},
    }
    stage.put_on_air(nodes)
    say(client, text("Oi"))
    ticket = Ticket.objects.get()
    assert list(ticket.skills.all()) == [english]
    assert ticket.events.last().details["skills_unknown"] == ["élfico"]


def test_documents_and_effects_without_skills_are_as_they_were_before_there_were_any():
    assert "skills" not in Handoff().model_dump(mode="json")
    assert "skills" not in OpenTicket().model_dump(mode="json")
    assert Handoff(skills=["inglês"]).model_dump(mode="json")["skills"] == ["inglês"]


def test_the_worker_gives_out_what_a_flow_hands_over(client):
    stage.open_shop()
    found = department("vendas")
    Department.objects.filter(pk=found.pk).update(distribution=Distribution.AUTOMATIC)
    user = bia(availability=Availability.AVAILABLE, capacity=5)
    stage.put_on_air(
        {
            "inicio": {"kind": "start", "next": "gente"},
            "gente": {"kind": "handoff", "text": "Já vem gente.", "department": "vendas"},
        }
    )
    say(client, text("Oi"))
    assert Ticket.objects.get().assignee is None
    give_out()
    assert Ticket.objects.get().assignee == user
