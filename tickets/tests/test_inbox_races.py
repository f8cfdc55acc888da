"""Several people at the inbox at once, each in a browser of their own."""

from functools import partial

import pytest
from django.test import Client
from django.urls import reverse
from zeal import zeal_ignore

from tickets.models import Ticket, TicketEvent, TicketEventKind
from tickets.tests import recipes
from users.tests.racing import at_once
from users.tests.recipes import ana, bia, department

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

LIST = reverse("admin:tickets_ticket_changelist", query={"grupo": "todos"})


def browser(user):
    client = Client()
    client.force_login(user)
    return client


def press(client, action, tickets, **given):
    posted = {
        "action": action,
        "index": "0",
        "_selected_action": [ticket.pk for ticket in tickets],
        "seen": [f"{ticket.pk}-{ticket.assignee_id or 0}" for ticket in tickets],
        **given,
    }
    with zeal_ignore():  # each ticket is locked by itself
        assert client.post(LIST, posted).status_code == 302


def test_of_two_who_claim_the_same_tickets_at_once_each_ticket_goes_to_one():
    people = [ana(), bia()]
    browsers = [browser(user) for user in people]
    tickets = [recipes.ticket() for _ in range(10)]
    at_once(*[partial(press, one, "claim", tickets) for one in browsers * 2])
    holders = set(Ticket.objects.values_list("assignee", flat=True))
    assert holders <= {user.pk for user in people}
    assert TicketEvent.objects.filter(kind=TicketEventKind.CLAIMED).count() == len(tickets)


def test_of_two_who_move_the_same_tickets_at_once_the_slower_moves_none_twice():
    browsers = [browser(ana()), browser(bia())]
    tickets = [recipes.ticket(assignee=bia()) for _ in range(5)]
    support = department("suporte").pk
    outcomes = at_once(
        partial(press, browsers[0], "assign", tickets, assign_to="0"),
        partial(press, browsers[1], "transfer", tickets, transfer_department=support),
        partial(press, browsers[0], "resolve", tickets, resolve_then="end"),
    )
    assert not [one for one in outcomes if one is not None]
    for ticket in Ticket.objects.select_related("session"):
        moves = ticket.events.exclude(kind=TicketEventKind.OPENED).count()
        assert moves == 1
        assert ticket.is_open == ticket.session.is_live
