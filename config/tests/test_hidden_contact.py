"""What the rules of the team hide of customers stands nowhere that an attendant can look."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from chatbot.models import MessageLog
from leads.models import Lead
from leads.tests.recipes import PHONE, davi, phone
from sessions_app.tests import recipes as sessions
from tickets.models import CannedResponse, Ticket
from tickets.tests import recipes
from users import contact
from users.backends import RolePermissionBackend
from users.models import TeamRules
from users.tests.recipes import ana, api, bia, eva, suporte

pytestmark = pytest.mark.django_db

EMAIL = "davi.segredo@cliente.example"
ENDS = ("987654321", "98765-4321", "87654321")
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def rules():
    given = {"mask_phone": True, "mask_email": True}
    return TeamRules.objects.update_or_create(pk=1, defaults=given)[0]


@pytest.fixture
def ticket():
    lead = davi(phone(), phone=f"+{PHONE}", email=EMAIL, name="")
    session = sessions.session(lead)
    return recipes.ticket(session=session, assignee=bia())


def pages(ticket: Ticket) -> dict[str, str]:
    lead, session = ticket.lead_id, ticket.session_id
    return {
        "tickets": reverse("admin:tickets_ticket_changelist"),
        "ticket": reverse("admin:tickets_ticket_change", args=[ticket.pk]),
        "ticket export": reverse("admin:tickets_ticket_export"),
        "leads": reverse("admin:leads_lead_changelist"),
        "lead": reverse("admin:leads_lead_change", args=[lead]),
        "addresses": reverse("admin:leads_identity_changelist"),
        "sessions": reverse("admin:sessions_app_session_changelist"),
        "session": reverse("admin:sessions_app_session_change", args=[session]),
        "conversation": reverse("conversation", args=[session]),
        "start": reverse("conversation_start", args=[lead]),
        "search": reverse("search", query={"q": "lead"}),
        "found": reverse("search", query={"q": f"+{PHONE}"}),
        "api leads": "/api/v1/leads/",
        "api lead": f"/api/v1/leads/{lead}/",
        "api ticket": f"/api/v1/tickets/{ticket.pk}/",
        "api sessions": "/api/v1/sessions/",
        "home": reverse("admin:index"),
    }


def text_of(answer) -> str:
    parts = answer.streaming_content if answer.streaming else [answer.content]
    return b"".join(parts).decode()


@pytest.mark.parametrize("name", pages(Ticket(pk=1, lead_id=1, session_id=1)))
def test_no_page_of_an_attendant_shows_number_or_address(client, ticket, name):
    client.force_login(bia())
    answer = client.get(pages(ticket)[name])
    assert answer.status_code == 200
    body = text_of(answer).replace(f"value=&quot;+{PHONE}", "").replace(f"%2B{PHONE}", "")
    body = body.replace(f"+{PHONE}", "") if name == "found" else body  # as it was typed
    assert not [end for end in (*ENDS, "segredo") if end in body]


def test_admins_and_others_without_the_rule_see_all(client, ticket, rules):
    client.force_login(ana())
    page = pages(ticket)["lead"]
    assert EMAIL in text_of(client.get(page))
    TeamRules.objects.update(mask_phone=False, mask_email=False)
    client.force_login(bia())
    assert EMAIL in text_of(client.get(page))
    assert "98765-4321" in text_of(client.get(page))


def test_a_token_sees_what_its_person_sees(ticket):
    shown = api(bia()).get(f"/api/v1/leads/{ticket.lead_id}").json()
    assert shown["phone"] == "+55 11 •••••-••21"
    assert EMAIL not in str(shown)
    assert PHONE[2:] not in str(shown)
    assert api(ana()).get(f"/api/v1/leads/{ticket.lead_id}").json()["email"] == EMAIL


def test_what_was_read_masked_changes_nothing_when_it_comes_back(ticket):
    client, address = api(bia()), f"/api/v1/leads/{ticket.lead_id}"
    shown = client.get(address).json()
    given = {"phone": shown["phone"], "email": shown["email"], "company": "Ventura"}
    assert client.patch(address, given).status_code == 200
    lead = Lead.objects.get()
    assert (lead.phone, lead.email, lead.company) == (f"+{PHONE}", EMAIL, "Ventura")


@pytest.mark.parametrize(("name", "value"), [("phone", "98765-4321"), ("email", EMAIL)])
def test_showing_one_is_logged_and_needs_a_post(client, ticket, name, value):
    client.force_login(bia())
    address = reverse("admin:leads_lead_reveal", args=[ticket.lead_id])
    assert client.get(address).status_code == 405
    assert value in text_of(client.post(address, {"name": name}, headers=HTMX))
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (bia(), str(ticket.lead_id))
    plain = client.post(address, {"name": name}, follow=True)
    assert plain.status_code == 200
    assert LogEntry.objects.count() == 2


def test_a_stranger_has_nothing_shown(client, ticket):
    client.force_login(eva())
    address = reverse("admin:leads_lead_reveal", args=[ticket.lead_id])
    assert client.post(address, {"name": "phone"}).status_code == 404
    assert not LogEntry.objects.exists()


def test_a_refused_change_does_not_bring_the_old_address_out(client, ticket):
    client.force_login(bia())
    address = reverse("admin:leads_lead_field", args=[ticket.lead_id, "email"])
    assert "segredo" not in text_of(client.post(address, {"email": "x"}, headers=HTMX))


@pytest.mark.parametrize("text", ["4321", "98765", "1198765", "segredo", "davi.segredo"])
def test_parts_of_what_is_hidden_find_nothing(ticket, text):
    with contact.seen_by(bia()):
        assert not Lead.objects.matching(text).exists()
    with contact.seen_by(ana()):
        assert Lead.objects.matching(text).exists()


@pytest.mark.parametrize("text", ["(11) 98765-4321", f"+{PHONE}", EMAIL, EMAIL.upper()])
def test_the_whole_of_it_finds_the_lead(ticket, text):
    with contact.seen_by(bia()):
        assert Lead.objects.matching(text).get() == ticket.lead
        assert Ticket.objects.matching(text).get() == ticket


def test_names_are_found_as_ever(ticket):
    Lead.objects.update(name="Maria Souza", company="Padaria")
    with contact.seen_by(bia()):
        assert Lead.objects.matching("souza").exists()
        assert Lead.objects.matching("padar maria").exists()


@pytest.mark.parametrize("path", ["leads", "sessions", "tickets"])
def test_the_api_searches_no_parts_of_numbers(ticket, path):
    found = api(bia()).get(f"/api/v1/{path}/", {"search": "98765"}).json()["results"]
    assert found == []
    assert api(bia()).get(f"/api/v1/{path}/", {"search": f"+{PHONE}"}).json()["results"]
    assert api(ana()).get(f"/api/v1/{path}/", {"search": "98765"}).json()["results"]


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("leads_lead", {"phone__startswith": f"+{PHONE[:6]}"}),
        ("leads_lead", {"email__startswith": "davi"}),
        ("leads_identity", {"address__startswith": PHONE[:4]}),
    ],
)
def test_an_address_of_a_list_does_not_spell_it_out(client, ticket, page, query):
    address = reverse(f"admin:{page}_changelist", query=query)
    for person in (bia(), ana()):  # nobody: a list filters by what it offers alone
        client.force_login(person)
        assert client.get(address).status_code == 400


def test_canned_responses_leave_the_place_of_what_is_hidden(client, ticket):
    CannedResponse.objects.create(shortcut="dados", title="Dados", text="Fone {{ telefone }}")
    client.force_login(bia())
    assert PHONE not in text_of(client.get(pages(ticket)["ticket"]))


def test_a_stored_message_keeps_the_number_from_the_api(ticket):
    MessageLog.objects.create(
        session=ticket.session,
        channel=ticket.session.channel,
        direction="in",
        author="customer",
        kind="system",
        status="received",
        payload={"wa_id": PHONE, "new": [["phone", PHONE]]},
    )
    assert PHONE not in api(bia()).get("/api/v1/messages/").content.decode()


def test_a_supervisor_is_an_attendant_in_this(client, ticket):
    Ticket.objects.update(department=suporte())
    client.force_login(eva())
    assert EMAIL not in text_of(client.get(pages(ticket)["lead"]))


def test_the_rules_are_read_together_with_the_person(django_assert_num_queries):
    found = RolePermissionBackend().get_user(bia().pk)
    with contact.seen_by(found), django_assert_num_queries(0):
        assert contact.hides(contact.PHONE)
        assert contact.hides(contact.EMAIL)
