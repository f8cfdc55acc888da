"""Customers who wait are told their place in the queue, honestly and not too often."""

from __future__ import annotations

from datetime import time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from model_bakery import baker

from chatbot.delivery import deliver_pending
from chatbot.models import Author, MessageLog, MessageStatus
from chatbot.queue_news import tell_places
from chatbot.tests import stage
from sessions_app.models import Session
from tickets import services
from tickets.models import Priority, Ticket
from tickets.queue_promise import estimate
from users.models import BusinessHours, Calendar, Department
from users.tests.recipes import bia, department

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def shop():
    channel = stage.open_shop()
    found = department("vendas")
    Department.objects.filter(pk=found.pk).update(tells_position=True)
    return channel


def waiting(shop, *, minutes=1, **fields):
    """A ticket that has waited for so long, of a customer who has just written."""
    session = stage.talk(shop)
    at = timezone.now() - minutes * MINUTE
    return services.open_ticket(session, department="vendas", at=at, **fields)


def told(ticket):
    rows = MessageLog.objects.filter(session=ticket.session_id, author=Author.SYSTEM)
    return list(rows.order_by("pk").values_list("text", flat=True))


def served(count, *, minutes=6, ago=0):
    """Tickets of some hours in a row, each of which waited alone for so long."""
    for number in range(count):
        queued = timezone.now() - timedelta(hours=ago + count - number + 1)
        taken = queued + minutes * MINUTE
        baker.make(
            Ticket,
            department=department("vendas"),
            status="closed",
            queued_at=queued,
            assigned_at=taken,
            first_response_at=taken,
        )


def test_who_waits_is_told_the_place_once(shop):
    first, second = waiting(shop, minutes=2), waiting(shop)
    assert tell_places(now=timezone.now()) == 2
    assert told(first) == ["Você é o 1º da fila. A equipe responde por aqui."]
    assert told(second) == ["Você é o 2º da fila. A equipe responde por aqui."]
    assert tell_places(now=timezone.now()) == 0
    assert tell_places(now=timezone.now() + 4 * MINUTE) == 0


def test_who_has_only_just_come_is_not_told_yet(shop):
    ticket = waiting(shop, minutes=0)
    assert not tell_places(now=timezone.now())
    assert tell_places(now=timezone.now() + MINUTE)
    assert told(ticket)


def test_the_place_is_told_again_at_steps_and_after_a_pause(shop):
    ahead = [waiting(shop, minutes=9) for _ in range(3)]
    ticket = waiting(shop)
    now = timezone.now()
    tell_places(now=now)
    services.claim(ahead[0], user=bia())
    tell_places(now=now + MINUTE)
    assert len(told(ticket)) == 1
    tell_places(now=now + 4 * MINUTE)
    assert told(ticket)[1].startswith("Você é o 3º da fila.")
    services.claim(ahead[1], user=bia())
    tell_places(now=now + 8 * MINUTE)
    assert len(told(ticket)) == 2  # from three to two is no step
    services.claim(ahead[2], user=bia())
    tell_places(now=now + 12 * MINUTE)
    assert told(ticket)[2].startswith("Você é o 1º da fila.")


def test_the_order_is_that_of_the_queue(shop):
    ticket = waiting(shop, minutes=5)
    waiting(shop, minutes=1, priority=Priority.HIGH)
    tell_places(now=timezone.now())
    assert told(ticket)[0].startswith("Você é o 2º")


def test_nothing_is_said_outside_hours_or_the_window_or_where_it_is_not_wanted(shop):
    ticket = waiting(shop)
    now = timezone.now()
    Department.objects.update(tells_position=False)
    assert not tell_places(now=now)
    Department.objects.update(tells_position=True)
    Session.objects.update(window_expires_at=now - MINUTE)
    assert not tell_places(now=now)
    Session.objects.update(window_expires_at=now + timedelta(hours=1))
    calendar = baker.make(Calendar, observes_holidays=False)
    closed = (timezone.localtime(now).weekday() + 3) % 7
    baker.make(
        BusinessHours, calendar=calendar, weekday=closed, opens_at=time(8), closes_at=time(9)
    )
    Department.objects.update(calendar=calendar)
    assert not tell_places(now=now)
    Department.objects.update(calendar=None)
    assert tell_places(now=now)
    assert len(told(ticket)) == 1


def test_nobody_is_told_a_place_when_somebody_has_taken_the_ticket(shop, graph_api):
    ticket = waiting(shop)
    tell_places(now=timezone.now())
    services.claim(ticket, user=bia())
    deliver_pending()
    row = MessageLog.objects.get(author=Author.SYSTEM)
    assert (row.status, graph_api.messages) == (MessageStatus.SUPERSEDED, [])
    assert not tell_places(now=timezone.now() + 9 * MINUTE)


def test_a_place_is_sent_while_the_ticket_waits(shop, graph_api):
    waiting(shop)
    tell_places(now=timezone.now())
    deliver_pending()
    assert [one.body["text"]["body"] for one in graph_api.messages] == [
        "Você é o 1º da fila. A equipe responde por aqui."
    ]


def test_back_in_the_queue_the_place_is_told_anew(shop):
    ticket = waiting(shop)
    now = timezone.now()
    tell_places(now=now)
    services.claim(ticket, user=bia())
    services.release(Ticket.objects.get(pk=ticket.pk), actor=None, at=now + 5 * MINUTE)
    tell_places(now=now + 6 * MINUTE)
    assert len(told(ticket)) == 2


def test_the_estimate_comes_from_the_last_waits(shop):
    served(10)
    waiting(shop, minutes=2)
    ticket = waiting(shop)
    tell_places(now=timezone.now())
    assert told(ticket) == ["Você é o 2º da fila. Previsão: cerca de 15 min."]  # twice six


def test_waits_that_differ_are_told_as_a_range_and_wild_ones_not_at_all(shop):
    served(6, minutes=4)
    served(6, minutes=14, ago=10)
    ticket = waiting(shop)
    tell_places(now=timezone.now())
    assert told(ticket) == ["Você é o 1º da fila. Previsão: entre 4 min e 15 min."]
    served(15, minutes=1, ago=20)
    served(15, minutes=50, ago=40)
    assert estimate(ticket.department, 1, now=timezone.now()) is None


def test_too_few_waits_promise_nothing(shop):
    served(7)
    assert estimate(department("vendas"), 1, now=timezone.now()) is None


def test_a_channel_may_say_it_in_its_own_words(shop):
    shop.settings = {**shop.settings, "sentences": {"queued": "Lugar {{ position }}"}}
    shop.save()
    ticket = waiting(shop)
    tell_places(now=timezone.now())
    assert told(ticket) == ["Lugar 1"]


def test_where_nobody_waits_it_takes_one_statement(shop):
    with CaptureQueriesContext(connection) as captured:
        tell_places(now=timezone.now())
    assert len(captured) == 1
