"""The main job through the doors the world uses: a signed POST in, an HTTP call out."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from chatbot.delivery import deliver_pending
from chatbot.facts import departments
from chatbot.models import FlowLog, MessageLog
from chatbot.tests.webhook import button, say, text, whatsapp_channel
from leads.models import Lead
from sessions_app.models import Owner, Session
from tickets.models import Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def flows(db):
    departments.forget()
    call_command("load_flows", verbosity=0)
    whatsapp_channel()


def test_a_new_number_gets_the_flow_and_leaves_lead_session_and_logs(client, graph_api):
    assert say(client, text("Oi")).status_code == 200
    lead = Lead.objects.get()
    session = Session.objects.get()
    assert (lead.status, lead.source, lead.phone) == ("new", "bot", "+5511990000001")
    assert (session.current_state, session.owner, session.epoch) == ("menu", Owner.BOT, 0)
    assert list(FlowLog.objects.values_list("seq", "kind").order_by("seq")) == [
        (1, "start"),
        (2, "step"),
    ]
    assert MessageLog.objects.inbound().get().text == "Oi"
    assert deliver_pending() == {"sent": MessageLog.objects.outbound().count()}
    assert "Como posso ajudar?" in graph_api.messages[-1].text
    assert {row.status for row in MessageLog.objects.outbound()} == {"sent"}


def test_through_the_menu_to_a_person_and_then_the_bot_is_silent(client, graph_api):
    said = [
        text("Oi"),
        button("orcamento", "Pedir orçamento"),
        button("sim", "Concordo"),
        text("Davi"),
        text("davi@exemplo.com.br"),
        text("Trezentas canecas"),
    ]
    for value in said:
        assert say(client, value).status_code == 200
        deliver_pending()
    ticket = Ticket.objects.get()
    session = Session.objects.get()
    assert session.owner == Owner.QUEUE
    assert session.epoch == 1
    assert ticket.variables["necessidade"] == "Trezentas canecas"
    assert ticket.variables["email"] == "davi@exemplo.com.br"
    assert ticket.protocol in graph_api.messages[-1].text
    assert Lead.objects.get().email == "davi@exemplo.com.br"
    count = len(graph_api.messages)
    say(client, text("Tem alguém aí?"))
    assert deliver_pending() == {}
    assert len(graph_api.messages) == count
    ticket.refresh_from_db()
    assert ticket.unread == 1
