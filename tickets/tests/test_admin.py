import pytest
from django.urls import reverse
from model_bakery import baker

from tickets import services
from tickets.models import (
    AssignmentDecision,
    CannedResponse,
    Priority,
    ProtocolCounter,
    SlaPolicy,
    Ticket,
)
from tickets.tests import recipes
from users.tests.recipes import ana, bia, caio, department

pytestmark = pytest.mark.django_db

CHANGE = "admin:tickets_ticket_change"


def shown(response):
    return set(response.context["cl"].result_list)


def stored(ticket):
    return Ticket.objects.get(pk=ticket.pk)


# --- Who sees what -----------------------------------------------------------------------------


def test_the_page_of_a_ticket_is_open_to_whoever_sees_the_ticket(client):
    mine = recipes.ticket(assignee=bia(), department=department("suporte"))
    others = [
        recipes.ticket(assignee=caio()),
        recipes.ticket(department=department("suporte")),
    ]
    client.force_login(bia())
    assert client.get(reverse(CHANGE, args=[mine.pk])).status_code == 200
    for other in others:
        for name in (CHANGE, "admin:tickets_ticket_history"):
            assert client.get(reverse(name, args=[other.pk])).status_code == 302
        assert client.post(reverse(CHANGE, args=[other.pk]), {"subject": "x"}).status_code == 302


@pytest.mark.parametrize("model", ["ticketevent", "internalnote", "assignmentdecision"])
def test_what_belongs_to_a_ticket_is_seen_with_the_ticket_and_not_edited(client, model):
    for assignee in (bia(), caio()):
        ticket = recipes.ticket(assignee=assignee)
        services.add_note(ticket, author=assignee, text="nota")
        baker.make(AssignmentDecision, ticket=ticket)
    client.force_login(bia())
    rows = shown(client.get(reverse(f"admin:tickets_{model}_changelist")))
    assert {row.ticket.assignee for row in rows} == {bia()}
    client.force_login(ana())
    (row,) = rows
    url = reverse(f"admin:tickets_{model}_change", args=[row.pk])
    assert (client.get(url).status_code, client.post(url, {}).status_code) == (200, 403)
    assert client.post(reverse(f"admin:tickets_{model}_delete", args=[row.pk])).status_code == 403


def test_the_counter_of_protocols_is_nowhere_in_the_console():
    from django.contrib import admin  # noqa: PLC0415  # the registry as the site made it

    assert not admin.site.is_registered(ProtocolCounter)


def test_attendants_read_ready_answers_of_everybody_and_of_their_departments(client):
    for slug in (None, "vendas", "suporte"):
        where = department(slug) if slug else None
        baker.make(CannedResponse, shortcut=slug or "oi", department=where)
    client.force_login(bia())
    rows = shown(client.get(reverse("admin:tickets_cannedresponse_changelist")))
    assert {row.shortcut for row in rows} == {"oi", "vendas"}
    assert client.get(reverse("admin:tickets_slapolicy_changelist")).status_code == 403


# --- Tickets themselves ------------------------------------------------------------------------


def test_tickets_are_neither_added_nor_deleted_here(client):
    ticket = recipes.ticket()
    client.force_login(ana())
    assert client.get(reverse("admin:tickets_ticket_add")).status_code == 403
    assert client.post(reverse("admin:tickets_ticket_delete", args=[ticket.pk])).status_code == 403


def test_admins_write_ready_answers_and_policies(client):
    client.force_login(ana())
    response = client.post(
        reverse("admin:tickets_cannedresponse_add"),
        {"shortcut": "oi", "title": "Oi", "text": "Olá!", "is_active": "on"},
    )
    assert (response.status_code, CannedResponse.objects.count()) == (302, 1)
    response = client.post(
        reverse("admin:tickets_slapolicy_add"),
        {"name": "Geral", "first_response_minutes": "10", "is_active": "on"},
    )
    assert (response.status_code, SlaPolicy.objects.count()) == (302, 1)


# --- In words ----------------------------------------------------------------------------------


def test_a_ticket_says_in_words_what_happened(client):
    ticket = recipes.ticket()
    services.claim(ticket, user=bia())
    services.set_priority(ticket, priority=Priority.HIGH, actor=bia())
    client.force_login(ana())
    events = client.get(reverse("admin:tickets_ticketevent_changelist")).content.decode()
    assert "média → alta" in events
    assert "{&quot;" not in events
