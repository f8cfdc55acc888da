"""Several processes notice, end and tell the same trouble at once: PostgreSQL decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from chatbot import incident_mail, incidents_watch, traffic, web_watch
from chatbot.incidents import close_incident, open_incident
from chatbot.models import Incident, IncidentKind, TrafficHour, Worker
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import whatsapp_channel

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

THREADS = 8


def at_once(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """What each of so many threads returned, begun together, each with its own connection."""
    start, answers, errors = threading.Barrier(count), [], []

    def run(number: int) -> None:
        try:
            start.wait(timeout=20)
            answers.append(work(number))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "stuck"
    assert not errors
    return answers


@pytest.mark.parametrize("_round", range(5))
def test_of_many_that_open_the_same_one_wins_and_all_are_counted(_round):
    channel = whatsapp_channel()
    now = timezone.now()
    news = at_once(lambda _n: open_incident(IncidentKind.TOKEN, channel=channel, now=now))
    assert sorted(news) == [False] * (THREADS - 1) + [True]
    assert Incident.objects.get().count == THREADS


@pytest.mark.parametrize("_round", range(3))
def test_of_many_that_close_it_one_does(_round):
    channel = whatsapp_channel()
    now = timezone.now()
    open_incident(IncidentKind.TOKEN, channel=channel, now=now)
    closed = at_once(lambda _n: close_incident(IncidentKind.TOKEN, channel=channel, now=now))
    assert sum(closed) == 1


@pytest.mark.parametrize("_round", range(3))
def test_opening_and_closing_at_once_leaves_at_most_one_open(_round):
    channel = whatsapp_channel()
    now = timezone.now()

    def work(number: int) -> None:
        change = close_incident if number % 2 else open_incident
        for _time in range(5):
            change(IncidentKind.TOKEN, channel=channel, now=now)

    at_once(work)
    assert Incident.objects.filter(closed_at=None).count() <= 1


@pytest.mark.parametrize("_round", range(5))
def test_many_workers_tell_an_incident_once(_round):
    recipes.ana(email="ana@example.com")
    channel = whatsapp_channel()
    open_incident(IncidentKind.TOKEN, channel=channel, now=timezone.now())
    told = at_once(lambda _n: incident_mail.send_due(now=timezone.now()))
    assert (sum(told), len(mail.outbox)) == (1, 1)
    close_incident(IncidentKind.TOKEN, channel=channel, now=timezone.now())
    told = at_once(lambda _n: incident_mail.send_due(now=timezone.now()))
    assert (sum(told), len(mail.outbox)) == (1, 2)


def test_many_web_processes_find_that_no_worker_runs_and_tell_it_once():
    recipes.ana(email="ana@example.com")
    ago = timezone.now() - timedelta(minutes=3)
    Worker.objects.create(name="w", started_at=ago, beat_at=ago)
    watches = [web_watch.Watch() for _number in range(THREADS)]
    runs = at_once(lambda number: watches[number].look_for_worker(now=timezone.now()))
    assert not any(runs)
    assert Incident.objects.get().kind == IncidentKind.WORKER
    assert len(mail.outbox) == 1


def test_many_workers_look_at_once():
    channel = whatsapp_channel()
    ago = timezone.now() - timedelta(minutes=6)
    stage.queued(stage.talk(channel), "um", run_at=ago)
    at_once(lambda _n: incidents_watch.look(now=timezone.now()))
    assert Incident.objects.get().kind == IncidentKind.QUEUE


def test_many_workers_count_the_same_hours():
    channel = whatsapp_channel()
    now = datetime.now(UTC).replace(minute=10, second=0, microsecond=0)
    hour = now.replace(minute=0)
    TrafficHour.objects.create(channel=channel, hour=hour - timedelta(hours=6))
    recipes.inbound(stage.talk(channel), created_at=hour - timedelta(minutes=30))

    def count(_number: int) -> None:
        traffic.folded.at = float("-inf")
        traffic.fold(now=now)

    at_once(count)
    rows = TrafficHour.objects.filter(hour__gte=hour - timedelta(hours=5))
    assert sum(rows.values_list("received", flat=True)) == 1
    assert rows.count() == 5


def test_hours_are_counted_by_an_index_on_the_time():
    """The statement of the fold reads a range of time, not the whole log."""
    channel = whatsapp_channel()
    session = stage.talk(channel)
    stage.queued(session, "um")
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        counting = traffic._counts(now - timedelta(hours=1), now)
        plan = counting.explain()
        cursor.execute("SET enable_seqscan = on")
    assert "chatbot_message_created_brin" in plan
