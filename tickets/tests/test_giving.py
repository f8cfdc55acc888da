"""Who may give a ticket to whom, and that none is lost from sight."""

from __future__ import annotations

import pytest
from django.utils import timezone

from leads.models import Lead
from leads.tests.recipes import davi
from sessions_app.models import Owner, Session
from sessions_app.tests import recipes as sessions
from tickets import services
from tickets.errors import TicketRefused
from tickets.models import CannedResponse, Ticket
from tickets.tests import recipes
from users.errors import DomainError
from users.models import Department, User
from users.services import deactivate_user, update_department
from users.tests.recipes import ana, api, bia, caio, department, eva, suporte

pytestmark = pytest.mark.django_db

TICKETS = "/api/v1/tickets"


def stored(ticket: Ticket) -> Ticket:
    return Ticket.objects.select_related("assignee").get(pk=ticket.pk)


def theirs() -> Ticket:
    """With Caio, in support."""
    return recipes.ticket(department=suporte(), assignee=caio())


def operations(ticket: Ticket, actor: User) -> dict:
    return {
        "assign": lambda: services.assign(ticket, to_user=ana(), actor=actor),
        "release": lambda: services.release(ticket, actor=actor),
        "transfer": lambda: services.transfer(ticket, department=suporte(), actor=actor),
    }


def test_a_supervisor_sees_what_belongs_to_the_supervised_departments():
    ticket, other = theirs(), recipes.ticket(assignee=bia())
    assert list(Ticket.objects.visible_to(eva())) == [ticket]
    assert list(Lead.objects.visible_to(eva())) == [ticket.lead]
    assert list(Session.objects.visible_to(eva())) == [ticket.session]
    assert caio() in User.objects.visible_to(eva())
    assert other not in Ticket.objects.visible_to(eva())
    person = eva()
    person.supervised_departments.clear()
    assert not Ticket.objects.visible_to(person).exists()


def test_a_supervisor_uses_the_canned_responses_of_the_supervised_departments():
    one = CannedResponse.objects.create(shortcut="x", title="X", text="x", department=suporte())
    assert list(CannedResponse.objects.visible_to(eva())) == [one]


@pytest.mark.parametrize("name", ["assign", "release", "transfer"])
@pytest.mark.parametrize("who", [eva, ana, caio], ids=["supervisor", "admin", "holder"])
def test_who_has_supervises_or_manages_it_gives_it_away(name, who):
    ticket = theirs()
    operations(ticket, who())[name]()
    assert stored(ticket).assignee != caio()


@pytest.mark.parametrize("name", ["assign", "release", "transfer"])
def test_a_colleague_who_only_sees_it_does_not_give_it_away(name):
    Department.objects.filter(pk=suporte().pk).update(shares_tickets=True)
    ticket = theirs()
    bia().departments.add(suporte())
    assert ticket in Ticket.objects.visible_to(bia())
    with pytest.raises(TicketRefused) as refusal:
        operations(ticket, bia())[name]()
    assert refusal.value.code == "not_yours"
    assert "Caio" in refusal.value.message
    assert stored(ticket).assignee == caio()


def test_the_unassigned_of_ones_departments_are_given_away_those_of_others_are_not():
    own, other = recipes.ticket(department=bia().departments.get()), recipes.ticket()
    Ticket.objects.filter(pk=other.pk).update(department=suporte())
    services.assign(own, to_user=bia(), actor=bia())
    with pytest.raises(TicketRefused):
        services.assign(other, to_user=bia(), actor=bia())


def test_a_supervisor_takes_a_ticket_through_the_api_and_a_stranger_does_not_find_it():
    ticket = theirs()
    given = {"user": eva().pk}
    assert api(eva()).post(f"{TICKETS}/{ticket.pk}/assign", given).json()["assignee_name"] == "Eva"
    assert api(bia()).post(f"{TICKETS}/{ticket.pk}/assign", given).status_code == 404


def test_attendants_send_no_ticket_where_nobody_works():
    ticket, empty = recipes.ticket(assignee=bia()), department("vazio")
    caio(is_active=False).departments.add(empty)
    with pytest.raises(TicketRefused) as refusal:
        services.transfer(ticket, department=empty, actor=bia())
    assert refusal.value.code == "nobody_there"
    assert stored(ticket).assignee == bia()
    services.transfer(ticket, department=empty, actor=ana())
    assert list(Ticket.objects.visible_to(ana())) == [ticket]


def test_a_supervisor_is_somebody_who_sees_a_queue():
    ticket = recipes.ticket(assignee=bia())
    empty = department("vazio")
    eva().supervised_departments.add(empty)
    services.transfer(ticket, department=empty, actor=bia())
    assert ticket in Ticket.objects.visible_to(eva())


def test_whatever_happens_an_open_ticket_is_seen_by_somebody_active():
    ticket = theirs()
    deactivate_user(caio(), actor=ana(), at=timezone.now())
    assert stored(ticket).assignee is None
    people = User.objects.active()
    assert any(Ticket.objects.visible_to(one).filter(pk=ticket.pk).exists() for one in people)


def test_attendants_leave_no_ticket_in_a_queue_where_nobody_works():
    ticket, empty = recipes.ticket(assignee=bia()), department("vazio")
    services.transfer(ticket, department=empty, to_user=bia(), actor=bia())
    with pytest.raises(TicketRefused) as refusal:
        services.release(ticket, actor=bia())
    assert refusal.value.code == "nobody_there"
    services.resolve(ticket, actor=bia(), then=services.Next.END)
    with pytest.raises(TicketRefused):
        services.reopen(ticket, actor=bia())
    services.reopen(stored(ticket), actor=ana())
    assert stored(ticket).is_open


def test_attendants_open_no_ticket_in_a_queue_where_nobody_works():
    session = sessions.session(davi())
    with pytest.raises(TicketRefused) as refusal:
        services.open_for_staff(session.pk, actor=bia(), department=department("vazio"))
    assert refusal.value.code == "nobody_there"
    assert not Ticket.objects.exists()
    session.refresh_from_db()
    assert session.owner == Owner.BOT
    services.open_for_staff(session.pk, actor=bia(), assignee=bia(), department=department("vazio"))


@pytest.mark.parametrize("name", ["resolve", "close_ticket"])
def test_a_colleague_who_only_sees_it_does_not_end_it(name):
    Department.objects.filter(pk=suporte().pk).update(shares_tickets=True)
    ticket, end = theirs(), getattr(services, name)
    bia().departments.add(suporte())
    with pytest.raises(TicketRefused) as refusal:
        end(ticket, actor=bia(), then=services.Next.END)
    assert refusal.value.code == "not_yours"
    assert stored(ticket).is_open


@pytest.mark.parametrize("who", [caio, eva, ana])
@pytest.mark.parametrize("name", ["resolve", "close_ticket"])
def test_holder_supervisor_and_admin_end_it(name, who):
    ticket = theirs()
    getattr(services, name)(ticket, actor=who(), then=services.Next.END)
    assert not stored(ticket).is_open


def test_a_department_with_open_tickets_stays_active():
    ticket = theirs()
    with pytest.raises(DomainError) as refusal:
        update_department(suporte(), fields={"is_active": False})
    assert refusal.value.code == "has_open_tickets"
    assert "1" in refusal.value.message
    services.close_ticket(ticket, actor=ana(), then=services.Next.END)
    update_department(suporte(), fields={"is_active": False})
