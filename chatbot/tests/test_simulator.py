"""The simulator through its page: the same way as a message from outside, without a network."""

from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chatbot.documents import asks_for_tags, document_of
from chatbot.facts import departments
from chatbot.models import FlowLog, MessageLog, Trigger
from chatbot.tests import recipes
from leads.models import Lead
from sessions_app.models import Channel, Owner, Session
from tickets.models import Ticket
from users.masking import MASK

pytestmark = pytest.mark.django_db

PAGE = "/admin/chatbot/simulator/"


@pytest.fixture
def flows(db):
    departments.forget()
    document_of.cache_clear()
    asks_for_tags.cache_clear()
    call_command("load_flows", verbosity=0)


@pytest.fixture
def ana(client):
    client.force_login(recipes.ana())
    return client


def say(client, **form):
    form.setdefault("message_id", str(uuid4()))
    return client.post(reverse("simulator_say"), form, follow=True).content.decode()


def tap(client, title):
    row = MessageLog.objects.filter(kind__in=("buttons", "list")).order_by("-pk").first()
    option = next(one for one in row.payload["options"] if one["title"] == title)
    return say(client, choice=f"{row.pk}:{option['id']}")


def test_the_simulator_is_for_the_team(client):
    assert client.get(PAGE).url.startswith(reverse("admin:login"))
    assert client.get(reverse("simulator_say")).status_code == 302


@pytest.mark.parametrize("person", ["ana", "bia"])
def test_admins_and_attendants_may_simulate(client, flows, person):
    client.force_login(getattr(recipes, person)())
    assert client.get(PAGE).status_code == 200
    assert "Como posso ajudar?" in say(client, text="Oi")


def test_without_a_flow_on_air_the_page_says_what_to_do(ana):
    page = ana.get(PAGE).content.decode()
    assert reverse("admin:chatbot_flow_changelist") in page
    assert 'name="text"' not in page


def test_a_published_flow_without_a_trigger_is_not_on_air(ana, flows):
    Trigger.objects.update(is_active=False)
    assert 'name="text"' not in ana.get(PAGE).content.decode()


def test_through_the_menu_to_a_person_with_the_protocol_on_the_page(ana, flows):
    say(ana, text="Oi")
    tap(ana, "Pedir orçamento")
    tap(ana, "Concordo")
    for answer in ("Davi", "davi@exemplo.com.br", "Trezentas canecas"):
        page = say(ana, text=answer)
    ticket = Ticket.objects.get()
    assert ticket.protocol in page
    assert reverse("admin:tickets_ticket_change", args=[ticket.pk]) in page
    session = Session.objects.get()
    assert (session.owner, session.is_simulated) == (Owner.QUEUE, True)
    assert Lead.objects.get().is_simulated
    assert {row.status for row in MessageLog.objects.outbound()} == {"sent"}
    assert FlowLog.objects.count() == session.seq


def test_a_double_click_is_one_message(ana, flows):
    once = str(uuid4())
    say(ana, text="Oi", message_id=once)
    say(ana, text="Oi", message_id=once)
    assert MessageLog.objects.inbound().count() == 1


def test_an_option_that_was_never_offered_says_nothing(ana, flows):
    say(ana, text="Oi")
    row = MessageLog.objects.outbound().latest("pk")
    for choice in (f"{row.pk}:made-up", "999999:equipe", "x", ""):
        say(ana, choice=choice)
    assert MessageLog.objects.inbound().count() == 1


@pytest.mark.parametrize(
    ("form", "kind"), [({"kind": "image"}, "image"), ({"what": "location"}, "location")]
)
def test_pictures_and_places_can_be_sent(ana, flows, form, kind):
    say(ana, text="Oi")
    say(ana, **form)
    assert MessageLog.objects.inbound().latest("pk").kind == kind


def test_starting_over_is_another_person(ana, flows):
    say(ana, text="Oi")
    page = ana.post(reverse("simulator_start_over"), follow=True).content.decode()
    assert "Como posso ajudar?" not in page
    say(ana, text="Oi")
    assert Lead.objects.count() == 2
    assert Channel.objects.filter(kind="simulator").count() == 1


def test_two_people_of_the_team_do_not_meet(client, flows):
    client.force_login(recipes.ana())
    say(client, text="Oi")
    client.force_login(recipes.bia())
    assert "Como posso ajudar?" not in client.get(PAGE).content.decode()


def test_a_script_gets_the_changed_parts_alone(ana, flows):
    answer = ana.post(
        reverse("simulator_say"),
        {"text": "Oi", "message_id": str(uuid4())},
        headers={"HX-Request": "true"},
    )
    page = answer.content.decode()
    assert "<html" not in page
    assert 'id="simulator-thread"' in page
    assert 'id="simulator-panels"' in page


def test_the_poll_is_quiet_until_something_has_changed(ana, flows):
    say(ana, text="Oi")
    seen = ana.get(PAGE).context["panel"].seen
    state = reverse("simulator_state", query={"seen": seen})
    assert ana.get(state).status_code == 204
    recipes.outbound(Session.objects.get(), "Aqui é a Bia.", author="attendant")
    assert "Aqui é a Bia." in ana.get(state).content.decode()


def test_the_page_costs_the_same_however_long_the_conversation(ana, flows):
    say(ana, text="Oi")
    with CaptureQueriesContext(connection) as few:
        ana.get(PAGE)
    for answer in ("o quê?", "menu", "não sei"):
        say(ana, text=answer)
    with CaptureQueriesContext(connection) as many:
        ana.get(PAGE)
    assert Session.objects.get().owner == Owner.BOT
    assert len(many) == len(few)


def test_sensitive_variables_are_masked(ana, flows):
    say(ana, text="Oi")
    session = Session.objects.get()
    version = session.runs.get().version
    version.document["variables"] = {"cpf": {"label": "CPF", "sensitive": True}}
    version.save()
    document_of.cache_clear()
    Session.objects.update(context={"cpf": "529.982.247-25", "nome": "Davi"})
    page = ana.get(PAGE).content.decode()
    assert "529.982" not in page
    assert MASK in page
    document_of.cache_clear()


def test_clearing_removes_simulated_rows_and_nothing_else(ana, flows):
    real = recipes.ticket()
    recipes.inbound(real.session)
    say(ana, text="Oi")
    tap(ana, "Falar com a equipe")
    assert Ticket.objects.filter(is_simulated=True).exists()
    assert ana.get(reverse("simulator_clear")).status_code == 200
    ana.post(reverse("simulator_clear"))
    assert list(Ticket.objects.all()) == [real]
    assert list(Session.objects.all()) == [real.session]
    assert list(Lead.objects.all()) == [real.lead]
    assert MessageLog.objects.count() == 1


def test_only_admins_clear_the_simulator(client):
    client.force_login(recipes.bia())
    assert client.get(reverse("simulator_clear")).status_code == 403
    assert client.post(reverse("simulator_clear")).status_code == 403


def test_the_log_says_in_words_what_matched(ana, flows):
    say(ana, text="Oi")
    say(ana, text="xyzxyz")
    page = tap(ana, "Falar com a equipe")
    for words in ("não entendido", "no horário<"):
        assert words in page
    for code in (">fallback<", ">open<", "→ next", "→ option:"):
        assert code not in page


def test_an_ended_conversation_is_at_no_step(ana, flows):
    say(ana, text="Oi")
    Session.objects.update(ended_at=timezone.now(), end_reason="expired")
    page = ana.get(PAGE).content.decode()
    assert "nenhum: o fluxo terminou" in page
