"""Two who write to the same person first, at once: one has the ticket, the other is told."""

from functools import partial
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from chatbot.models import MessageLog, MessageTemplate, TemplateStatus
from chatbot.start_conversation import Opening, start_conversation, start_with_number
from chatbot.tests import stage
from chatbot.tests.webhook import body_of, post, text
from leads.models import Lead
from leads.tests.recipes import davi, phone
from sessions_app.models import Owner, Session
from tickets.errors import TicketConflict
from tickets.models import Ticket
from users.tests.racing import at_once
from users.tests.recipes import bia, caio

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

BODY = [{"type": "BODY", "text": "Oi!"}]


@pytest.fixture
def channel(transactional_db):
    channel = stage.open_shop(account_id="2000")
    MessageTemplate.objects.create(
        channel=channel,
        name="retorno",
        language="pt_BR",
        category="UTILITY",
        status=TemplateStatus.APPROVED,
        components=BODY,
    )
    return channel


def starting(channel, user, *, lead=None, number="", client_id=None):
    common = {
        "channel": channel,
        "user": user,
        "department": user.departments.get(),
        "opening": Opening(template="retorno", language="pt_BR"),
        "client_id": client_id or uuid4(),
        "at": timezone.now(),
    }
    if lead is not None:
        return partial(start_conversation, lead, **common)
    return partial(start_with_number, number, name="Davi", **common)


def the_loser_is_told(outcomes):
    """One refusal with the name of the winner, and nothing else went wrong."""
    (refusal,) = (one for one in outcomes if isinstance(one, Exception))
    assert isinstance(refusal, TicketConflict), refusal
    ticket = Ticket.objects.get()
    assert refusal.holder == ticket.assignee
    assert str(ticket.assignee) in refusal.message
    row = MessageLog.objects.get()
    assert row.author_user == ticket.assignee
    assert Session.objects.get().owner == Owner.ATTENDANT
    Ticket.objects.all().delete(), MessageLog.objects.all().delete()
    Session.objects.all().delete()


@pytest.mark.parametrize("is_noted", [False, True], ids=["known", "noted"])
def test_of_two_who_start_with_a_lead_at_once_one_has_the_ticket(channel, is_noted):
    people = [bia(), caio()]
    for number in range(10):
        address = f"55119876543{number:02d}"
        lead = davi(phone=f"+{address}") if is_noted else davi(phone(address))
        the_loser_is_told(at_once(*[starting(channel, user, lead=lead) for user in people]))


def test_of_two_who_type_a_new_number_at_once_one_has_the_ticket(channel):
    people = [bia(), caio()]
    for number in range(10):
        typed = f"+55119876543{number:02d}"
        the_loser_is_told(at_once(*[starting(channel, user, number=typed) for user in people]))
        assert Lead.objects.filter(phone=typed).count() == 1


def test_a_form_sent_many_times_at_once_is_one_message(channel):
    user, lead, client_id = bia(), davi(phone("5511987654321")), uuid4()
    starts = [starting(channel, user, lead=lead, client_id=client_id) for _ in range(8)]
    tickets = at_once(*starts)
    assert {ticket.pk for ticket in tickets} == {Ticket.objects.get().pk}
    assert MessageLog.objects.count() == 1


def test_a_customer_who_writes_at_the_same_moment_is_in_the_same_ticket(channel):
    user = bia()
    for number in range(10):
        address = f"55119876543{number:02d}"
        lead = davi(phone(address))
        body = body_of(text("Oi", phone=address))
        outcomes = at_once(
            starting(channel, user, lead=lead), lambda body=body: post(Client(), body).status_code
        )
        assert not [one for one in outcomes if isinstance(one, Exception)], outcomes
        session = Session.objects.get(lead=lead)
        assert session.owner == Owner.ATTENDANT
        assert Ticket.objects.get(lead=lead).assignee == user
        assert MessageLog.objects.filter(session=session, author="customer").count() == 1
