"""An attendant writes first: with what, to whom, and what becomes of it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from chatbot.delivery import deliver_pending
from chatbot.models import Author, MessageLog, MessageStatus, MessageTemplate, TemplateStatus
from chatbot.start_conversation import known_person, ways_to
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import SECOND_NUMBER, say, text, whatsapp_channel
from leads.models import Identity, Lead, Scheme
from leads.tests.recipes import bsuid, davi, phone
from sessions_app.models import EndReason, Owner, Session
from tickets.models import Ticket, TicketStatus

pytestmark = pytest.mark.django_db

NUMBER = "5511990000001"
BODY = [{"type": "BODY", "text": "Oi {{1}}!", "example": {"body_text": [["Ana"]]}}]


@pytest.fixture
def channel(db):
    return whatsapp_channel(account_id="2000", rate_per_second=stage.FASTEST)


@pytest.fixture
def bia(channel):
    return recipes.bia()


def template(channel, **fields):
    values = {"name": "retorno", "language": "pt_BR", "category": "UTILITY", **fields}
    return MessageTemplate.objects.create(
        channel=channel, status=TemplateStatus.APPROVED, components=BODY, **values
    )


def person(**fields):
    """Whom Bia keeps, and WhatsApp knows by a number."""
    given = {"attendant": recipes.bia(), "phone": f"+{NUMBER}", **fields}
    return davi(phone(NUMBER), **given)


def wrote(lead, channel, *, ago, **fields):
    """A conversation in which the person last wrote so long ago."""
    at = timezone.now() - ago
    return recipes.session(
        lead=lead,
        channel=channel,
        identity=lead.identities.first(),
        last_interaction_at=at,
        window_expires_at=at + timedelta(hours=24),
        **fields,
    )


def ended(lead, channel, *, ago=timedelta(days=3)):
    over = {"ended_at": timezone.now() - ago, "end_reason": EndReason.RESOLVED}
    return wrote(lead, channel, ago=ago, **over)


def url(lead):
    return reverse("conversation_start", args=[lead.pk])


SEARCH = "conversation_start_search"


def sends(client, address, **form):
    return client.post(address, {"client_id": str(uuid4()), **form})


def error_in(answer):
    return answer.context["error"]


# --- With what ---------------------------------------------------------------------------------


def test_in_an_open_window_a_text_is_written(client, channel, bia):
    lead = person()
    session = ended(lead, channel, ago=timedelta(hours=2))
    client.force_login(bia)
    assert client.get(url(lead)).context["way"].is_window_open
    answer = sends(client, url(lead), text="Olá, Davi")
    ticket = Ticket.objects.get()
    assert answer.url == reverse("admin:tickets_ticket_change", args=[ticket.pk])
    assert (ticket.assignee, ticket.status) == (bia, TicketStatus.WAITING_CUSTOMER)
    assert ticket.session != session
    assert (ticket.session.owner, ticket.session.is_live) == (Owner.ATTENDANT, True)
    row = MessageLog.objects.get()
    assert (row.text, row.author, row.author_user) == ("Olá, Davi", Author.ATTENDANT, bia)
    assert row.identity.address == NUMBER


def test_outside_the_window_a_template_is_sent_and_no_text(client, channel, bia):
    lead, chosen = person(), template(channel)
    ended(lead, channel)
    client.force_login(bia)
    assert error_in(sends(client, url(lead), text="Olá"))
    assert not Ticket.objects.exists()
    sends(client, url(lead), **{"template": chosen.pk, "value:1": "Davi"})
    assert MessageLog.objects.get().text == "Oi Davi!"
    assert Ticket.objects.get().assignee == bia


def test_what_was_written_is_kept_where_only_a_template_may_go(client, channel, bia):
    lead = person()
    session = ended(lead, channel, ago=timedelta(hours=2))
    client.force_login(bia)
    assert client.get(url(lead)).context["way"].is_window_open
    Session.objects.filter(pk=session.pk).update(window_expires_at=timezone.now())
    answer = sends(client, url(lead), text="Olá, Davi")
    assert error_in(answer)
    assert "readonly>Olá, Davi</textarea>" in answer.content.decode()
    assert not Ticket.objects.exists()


@pytest.mark.parametrize("asked", ["off", "0", "x"])
def test_a_channel_that_cannot_be_used_is_not_exchanged_for_another(client, channel, bia, asked):
    lead = person()
    ended(lead, channel, ago=timedelta(hours=2))
    off = whatsapp_channel(
        slug="outro", name="Outro", external_id=SECOND_NUMBER, is_default=False, is_active=False
    )
    client.force_login(bia)
    answer = sends(client, url(lead), text="Olá", channel=off.pk if asked == "off" else asked)
    assert error_in(answer)
    assert answer.context["text"] == "Olá"
    assert not MessageLog.objects.exists()


def test_who_has_never_written_gets_a_template_and_no_text_after_it(client, channel, bia):
    """Without a window of theirs there is none: nobody may take "unknown" for "open"."""
    lead, chosen = person(), template(channel)
    client.force_login(bia)
    assert not client.get(url(lead)).context["way"].is_window_open
    sends(client, url(lead), **{"template": chosen.pk, "value:1": "Davi"})
    session = Session.objects.get()
    assert not session.window_is_open(timezone.now())
    client.post(reverse("conversation_reply", args=[session.pk]), {"text": "E aí?"})
    assert MessageLog.objects.count() == 1


@pytest.mark.parametrize("form", [{}, {"template": "0"}, {"template": "x"}, {"value:1": "Davi"}])
def test_without_a_template_nothing_is_sent(client, channel, bia, form):
    lead = person()
    template(channel)
    client.force_login(bia)
    assert error_in(sends(client, url(lead), **form))
    assert not Session.objects.exists()


def test_a_template_without_its_values_leaves_nothing_behind(client, channel, bia):
    chosen = template(channel)
    client.force_login(bia)
    form = {"phone": "11 99000-0001", "template": chosen.pk, "value:1": ""}
    assert error_in(sends(client, reverse(SEARCH), **form))
    assert not Lead.objects.exists()
    assert not Session.objects.exists()


def test_who_has_opted_out_gets_no_marketing(client, channel, bia):
    lead = person(opted_out_at=timezone.now())
    offer = template(channel, category="MARKETING")
    client.force_login(bia)
    page = client.get(url(lead))
    (choice,) = page.context["picker"].choices
    assert choice.refusal
    form = {"template": offer.pk, "value:1": "Davi"}
    assert error_in(sends(client, url(lead), **form)) == choice.refusal
    assert not MessageLog.objects.exists()


def test_a_look_at_a_template_sends_nothing(client, channel, bia):
    lead, chosen = person(), template(channel)
    client.force_login(bia)
    form = {"template": chosen.pk, "value:1": "<b>Davi", "preview": "1"}
    page = sends(client, url(lead), **form).content.decode()
    assert escape("<b>Davi") in page
    assert "<b>Davi" not in page
    assert not Session.objects.exists()


# --- Where it goes on --------------------------------------------------------------------------


def test_the_answer_of_the_customer_joins_the_ticket_and_the_bot_stays_out(client):
    channel, bia = stage.open_shop(account_id="2000"), recipes.bia()
    lead, chosen = person(), template(channel)
    client.force_login(bia)
    sends(client, url(lead), **{"template": chosen.pk, "value:1": "Davi"})
    assert say(client, text("Oi, pode falar", phone="551190000001")).status_code == 200
    ticket = Ticket.objects.get()
    assert (ticket.status, ticket.unread) == (TicketStatus.IN_PROGRESS, 1)
    assert ticket.session.messages.count() == 2
    assert not MessageLog.objects.filter(author=Author.BOT).exists()
    assert Lead.objects.count() == 1


def test_what_the_bot_was_about_to_say_is_not_said(client, channel, bia):
    lead = person()
    session = wrote(lead, channel, ago=timedelta(minutes=1), owner=Owner.BOT)
    said = recipes.outbound(session, "Como posso ajudar?", epoch=session.epoch)
    client.force_login(bia)
    sends(client, url(lead), text="Oi, aqui é a Bia")
    now = Session.objects.get()
    assert (now.owner, now.epoch) == (Owner.ATTENDANT, said.epoch + 1)


def test_who_waits_in_ones_queue_is_answered_in_the_same_ticket(client, channel, bia):
    lead = person()
    session = wrote(lead, channel, ago=timedelta(minutes=1), owner=Owner.QUEUE)
    ticket = recipes.ticket(session=session)
    client.force_login(bia)
    assert ticket.protocol in client.get(url(lead)).content.decode()
    sends(client, url(lead), text="Oi")
    assert Ticket.objects.get().assignee == bia


def test_who_waits_in_another_queue_is_not_taken_from_it(client, channel, bia):
    lead = person()
    session = wrote(lead, channel, ago=timedelta(minutes=1), owner=Owner.QUEUE)
    recipes.ticket(session=session, department=recipes.department("suporte"))
    client.force_login(bia)
    assert "suporte" in error_in(sends(client, url(lead), text="Oi"))
    assert Ticket.objects.get().assignee is None


def test_a_conversation_of_a_colleague_is_refused_with_the_name(client, channel, bia):
    lead = person()
    session = wrote(lead, channel, ago=timedelta(minutes=1), owner=Owner.ATTENDANT)
    recipes.ticket(session=session, assignee=recipes.caio(), status=TicketStatus.IN_PROGRESS)
    client.force_login(bia)
    page = client.get(url(lead))
    assert page.context["holder"].assignee == recipes.caio()
    answer = sends(client, url(lead), text="Oi")
    assert "Caio" in error_in(answer)
    assert answer.context["text"] == "Oi"
    assert not MessageLog.objects.exists()
    assert Ticket.objects.get().assignee == recipes.caio()


@pytest.mark.parametrize("by_number", [False, True], ids=["lead", "number"])
def test_a_form_sent_twice_is_one_message(client, channel, bia, by_number):
    chosen = template(channel)
    address, form = reverse(SEARCH), {"phone": f"+{NUMBER}"}
    if not by_number:
        address, form = url(person()), {}
    form |= {"template": chosen.pk, "value:1": "Davi", "client_id": str(uuid4())}
    client.force_login(bia)
    answers = [client.post(address, form) for _ in range(3)]
    ticket = Ticket.objects.get()
    assert {answer.url for answer in answers} == {
        reverse("admin:tickets_ticket_change", args=[ticket.pk])
    }
    assert MessageLog.objects.count() == Lead.objects.count() == 1


def test_the_department_is_one_of_ones_own(client, channel, bia):
    lead = person()
    ended(lead, channel, ago=timedelta(hours=1))
    bia.departments.add(recipes.department("cobranca"))
    foreign = recipes.department("suporte")
    client.force_login(bia)
    page = client.get(url(lead))
    assert foreign not in page.context["departments"]
    wanted = recipes.department("cobranca").pk
    sends(client, url(lead), text="Oi", department=wanted)
    assert Ticket.objects.get().department.slug == "cobranca"


@pytest.mark.parametrize("asked", ["", "x", "suporte"])
def test_a_department_of_others_is_none(client, channel, bia, asked):
    lead = person()
    ended(lead, channel, ago=timedelta(hours=1))
    foreign = str(recipes.department("suporte").pk) if asked == "suporte" else asked
    client.force_login(bia)
    sends(client, url(lead), text="Oi", department=foreign)
    assert Ticket.objects.get().department.slug == "vendas"


# --- Which channels ----------------------------------------------------------------------------


def test_a_person_is_reached_where_their_address_is_known(channel):
    at = timezone.now()
    other = whatsapp_channel(
        slug="outro", name="Outro", external_id=SECOND_NUMBER, is_default=False,
        identity_scope="carteira",
    )  # fmt: skip
    recipes.channel(kind="simulator"), recipes.channel(is_active=False)
    by_number = davi(phone(NUMBER))
    by_id = davi(bsuid(scope="carteira"))
    noted = davi(phone=f"+{NUMBER[:-1]}2")
    nobody = davi()
    assert {way.channel for way in ways_to(by_number, at=at)} == {channel, other}
    assert [way.channel for way in ways_to(by_id, at=at)] == [other]
    assert [way.address for way in ways_to(noted, at=at)] == [noted.phone] * 2
    assert ways_to(nobody, at=at) == []


def test_the_channel_whose_window_is_open_comes_first(channel):
    other = whatsapp_channel(
        slug="outro", name="Outro", external_id=SECOND_NUMBER, is_default=False
    )
    lead = person()
    ended(lead, channel)
    wrote(lead, other, ago=timedelta(hours=1))
    assert [way.channel for way in ways_to(lead, at=timezone.now())] == [other, channel]


def test_a_number_that_somebody_noted_becomes_an_address(client, channel, bia):
    lead, chosen = davi(phone="+5511987654321", attendant=bia), template(channel)
    client.force_login(bia)
    sends(client, url(lead), **{"template": chosen.pk, "value:1": "Davi"})
    assert MessageLog.objects.get().identity.address == "5511987654321"
    assert lead.identities.get().scheme == Scheme.PHONE


def test_a_noted_number_of_another_lead_is_refused(client, channel, bia):
    davi(phone(NUMBER), name="Dono")
    lead, chosen = davi(phone=f"+{NUMBER}", attendant=bia), template(channel)
    client.force_login(bia)
    form = {"template": chosen.pk, "value:1": "Davi"}
    assert error_in(sends(client, url(lead), **form))
    assert not Session.objects.exists()


def test_who_cannot_be_reached_gets_no_form(client, channel, bia):
    lead = davi(attendant=bia)
    client.force_login(bia)
    assert 'id="start-form"' not in client.get(url(lead)).content.decode()
    assert sends(client, url(lead), text="Oi").status_code == 200
    assert not Session.objects.exists()


# --- To whom -----------------------------------------------------------------------------------


def test_one_writes_to_the_leads_one_sees(client, channel, bia):
    lead = person(attendant=recipes.caio())
    client.force_login(bia)
    assert client.get(url(lead)).status_code == 404
    assert sends(client, url(lead), text="Oi").status_code == 404
    found = client.get(reverse(SEARCH), {"q": "Davi"})
    assert list(found.context["found"]) == []


def test_a_merged_lead_is_not_written_to(client, channel, bia):
    lead = davi(merged_into=person(), attendant=bia)
    client.force_login(bia)
    assert client.get(url(lead)).status_code == 404


def test_a_lead_is_found_by_name_or_number(client, channel, bia):
    lead = person(name="Davi Exemplo")
    client.force_login(bia)
    for words in ("exemplo davi", "11 99000-0001", "990000001"):
        assert list(client.get(reverse(SEARCH), {"q": words}).context["found"]) == [lead]
    answer = client.get(reverse(SEARCH), {"phone": "(11) 99000-0001"})
    assert answer.url == url(lead)


def test_a_new_number_becomes_a_lead_when_the_message_goes(client, channel, bia):
    chosen = template(channel)
    client.force_login(bia)
    page = client.get(reverse(SEARCH), {"q": "(11) 99000-0001"})
    assert page.context["number"] == f"+{NUMBER}"
    assert client.get(reverse(SEARCH), {"phone": f"+{NUMBER}"}).context["is_new"]
    assert not Lead.objects.exists()
    form = {"phone": "11 99000-0001", "name": "Davi", "template": chosen.pk, "value:1": "Davi"}
    sends(client, reverse(SEARCH), **form)
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.source) == ("Davi", f"+{NUMBER}", "manual")
    assert Ticket.objects.get().lead == lead
    assert client.get(url(lead)).status_code == 200


def test_a_number_of_somebody_one_does_not_see_tells_nothing_of_them(client, channel, bia):
    hidden = person(name="Davi Segredo", attendant=recipes.caio())
    chosen = template(channel)
    client.force_login(bia)
    page = client.get(reverse(SEARCH), {"phone": f"+{NUMBER}"})
    assert "Segredo" not in page.content.decode()
    form = {"phone": f"+{NUMBER}", "template": chosen.pk, "value:1": "Davi"}
    sends(client, reverse(SEARCH), **form)
    assert Ticket.objects.get().lead == hidden
    assert Lead.objects.count() == 1


@pytest.mark.parametrize("typed", ["123", "não tem", "", "9" * 400, "+55 11 00000"])
def test_what_is_no_number_is_not_written_to(client, channel, bia, typed):
    client.force_login(bia)
    for answer in (
        client.get(reverse(SEARCH), {"phone": typed, "q": typed}),
        sends(client, reverse(SEARCH), phone=typed, text="Oi"),
    ):
        assert answer.status_code == 200
        assert not answer.context["number"]
    assert not Lead.objects.exists()


def test_a_lead_that_a_channel_knows_comes_before_one_who_noted_the_number(channel):
    davi(name="Anotou", phone=f"+{NUMBER}")
    known = davi(phone(NUMBER), name="É dele")
    assert known_person(f"+{NUMBER}") == known
    assert known_person("+5511900009999") is None


def test_the_page_costs_the_same_however_much_was_said(client, channel, bia):
    short, long = person(), davi(phone("5511990000002"), attendant=bia)
    ended(short, channel)
    for number in range(20):
        ended(long, channel, ago=timedelta(days=number + 2))
        template(channel, name=f"modelo_{number}")
    client.force_login(bia)
    costs = []
    for lead in (short, short, long):
        with CaptureQueriesContext(connection) as done:
            assert client.get(url(lead)).status_code == 200
        costs.append(len(done))
    assert costs[1] == costs[2]


def test_only_who_answers_customers_writes_first(client, channel):
    lead = person()
    client.force_login(recipes.bia())
    assert client.get(url(lead)).status_code == 200
    client.logout()
    assert client.get(url(lead)).status_code == 302
    assert client.get(reverse(SEARCH)).status_code == 302


def test_it_goes_out_like_any_message(client, graph_api):
    channel = stage.open_shop(account_id="2000")
    lead, chosen = person(), template(channel)
    client.force_login(recipes.bia())
    sends(client, url(lead), **{"template": chosen.pk, "value:1": "Davi"})
    deliver_pending()
    (sent,) = graph_api.messages
    assert sent.to.removeprefix("+") == NUMBER
    assert MessageLog.objects.get().status == MessageStatus.SENT
    assert Identity.objects.count() == 1
