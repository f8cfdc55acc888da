from functools import partial

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.models import Tag
from tickets.models import Presence, Ticket, TicketEventKind
from tickets.tests import recipes
from tickets.workspace_presence import beat
from users.models import Department
from users.tests.racing import at_once
from users.tests.recipes import bia, department

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


def colleague_of_bia():
    dora = bia().__class__.objects.create_user("dora", first_name="Dora")
    dora.departments.add(department("vendas"))
    return dora


def logged_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("is_shared", [True, False])
def test_of_two_browsers_that_claim_at_once_the_slower_is_told_who_has_it(is_shared):
    people = [bia(), colleague_of_bia()]
    Department.objects.update(shares_tickets=is_shared)
    clients = [logged_in(user) for user in people]
    for _ in range(10):
        ticket = recipes.ticket()
        url = reverse("admin:tickets_ticket_claim", args=[ticket.pk])
        answers = at_once(
            *[partial(one.post, url, headers={"HX-Request": "true"}) for one in clients]
        )
        holder = Ticket.objects.get(pk=ticket.pk).assignee
        assert ticket.events.filter(kind=TicketEventKind.CLAIMED).count() == 1
        (loser,) = [at for at, user in enumerate(people) if user != holder]
        assert answers[1 - loser].status_code == 200
        assert holder.first_name in told(clients[loser], answers[loser])


def test_of_two_who_tag_at_once_nobodys_tag_is_lost():
    client = logged_in(bia())
    names = ["cobrança", "vip", "visita"]
    for name in names:
        Tag.objects.create(name=name)
    for _ in range(10):
        ticket = recipes.ticket()
        url = reverse("admin:tickets_ticket_tags", args=[ticket.pk])
        at_once(*[partial(client.post, url, {"add": name}) for name in names])
        assert sorted(tag.name for tag in ticket.tags.all()) == names
        assert ticket.events.filter(kind=TicketEventKind.TAGGED).count() == len(names)


def told(client, answer):
    """Said on the page itself, or on the list that it leads to."""
    if "HX-Redirect" not in answer:
        return answer.content.decode()
    return " ".join(str(one) for one in client.get(answer["HX-Redirect"]).context["messages"])


def test_of_two_heartbeats_at_once_one_row_remains():
    ticket, user = recipes.ticket(assignee=bia()), bia()
    at = timezone.now()
    for is_writing in (False, True):
        scenes = at_once(*[partial(beat, ticket.pk, user, is_writing=is_writing, at=at)] * 6)
        assert not [one for one in scenes if isinstance(one, Exception)]
        assert Presence.objects.get().seen_at == at
