"""Wrong signatures are counted and told on the first one, never stored, and cost the database next
to nothing; and a web process finds that no worker runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatbot import incidents_watch, web_watch
from chatbot.models import FailedEvent, Incident, IncidentKind, MessageLog, Worker
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import SECOND_NUMBER, body_of, post, say, text, whatsapp_channel
from chatbot.web_watch import watch

pytestmark = pytest.mark.django_db

WRONG = "sha256=" + "0" * 64


def attack(client, times=1, path="/webhook"):
    for _time in range(times):
        assert post(client, body_of(text("Oi")), path=path, signature=WRONG).status_code == 403


def beat(ago=timedelta()):
    now = timezone.now() - ago
    return Worker.objects.create(name=f"w{ago}", started_at=now, beat_at=now)


# --- Signatures


def test_the_first_wrong_signature_is_told_and_nothing_is_stored(client):
    channel = whatsapp_channel()
    attack(client)
    incident = Incident.objects.get()
    assert (incident.kind, incident.channel, incident.count) == (
        IncidentKind.SIGNATURE,
        channel,
        1,
    )
    assert not MessageLog.objects.exists()
    assert not FailedEvent.objects.exists()


def test_many_are_counted_together_with_few_writes(client, monkeypatch):
    whatsapp_channel()
    attack(client)
    with CaptureQueriesContext(connection) as captured:
        attack(client, times=50)
    assert [one["sql"] for one in captured if "incident" in one["sql"]] == []
    monkeypatch.setattr(web_watch, "WRITE_SECONDS", 0.0)
    attack(client)
    assert Incident.objects.get().count == 52


def test_each_channel_has_its_own_count(client, monkeypatch):
    whatsapp_channel()
    whatsapp_channel(slug="loja", external_id=SECOND_NUMBER, is_default=False)
    monkeypatch.setattr(web_watch, "WRITE_SECONDS", 0.0)
    attack(client, times=2)
    attack(client, times=3, path="/webhook/loja")
    counts = Incident.objects.values_list("channel__slug", "count")
    assert dict(counts) == {"whatsapp": 2, "loja": 3}


def test_what_is_counted_is_written_after_the_next_good_body(client):
    stage.open_shop()
    attack(client, times=5)
    assert Incident.objects.get().count == 1
    watch._looked_at = float("-inf")
    say(client, text("Oi"))
    assert Incident.objects.get(kind=IncidentKind.SIGNATURE).count == 5


def test_and_by_whoever_asks_whether_it_is_ready(client):
    whatsapp_channel()
    beat()
    attack(client, times=5)
    assert client.get("/readyz").status_code == 200
    assert Incident.objects.get().count == 5


def test_they_are_over_after_half_an_hour_of_quiet(client):
    whatsapp_channel()
    attack(client)
    now = timezone.now()
    incidents_watch.look(now=now + timedelta(minutes=29))
    assert Incident.objects.filter(closed_at=None).exists()
    incidents_watch.look(now=now + timedelta(minutes=31))
    assert not Incident.objects.filter(closed_at=None).exists()


def test_a_database_in_trouble_changes_no_answer_and_loses_no_count(client, monkeypatch):
    whatsapp_channel()

    def broken(*args, **kwargs):
        raise OperationalError("gone")

    with monkeypatch.context() as gone:
        gone.setattr(web_watch, "open_incident", broken)
        gone.setattr(web_watch, "WRITE_SECONDS", 0.0)
        attack(client, times=2)
    monkeypatch.setattr(web_watch, "WRITE_SECONDS", 0.0)
    attack(client)
    assert Incident.objects.get().count == 3


def test_a_good_body_after_wrong_ones_costs_what_it_always_costs(client):
    stage.open_shop()
    say(client, text("Oi"))
    attack(client, times=3)
    with CaptureQueriesContext(connection) as captured:
        say(client, text("não sei"))
    assert not [one["sql"] for one in captured if "chatbot_incident" in one["sql"]]


# --- No worker


def test_a_worker_that_died_is_found_by_the_readiness_check(client):
    beat(timedelta(minutes=3))
    assert client.get("/readyz").status_code == 503
    assert Incident.objects.get().kind == IncidentKind.WORKER


def test_one_that_is_only_being_started_again_is_no_incident(client):
    """A worker that signs off leaves no row: nobody knows for how long there has been none."""
    assert client.get("/readyz").status_code == 503
    assert not Incident.objects.exists()
    watch._missing_since -= timedelta(seconds=61)
    client.get("/readyz")
    assert Incident.objects.get().kind == IncidentKind.WORKER


def test_it_is_told_once_by_whoever_found_it(client):
    recipes.ana(email="ana@example.com")
    beat(timedelta(minutes=3))
    for _time in range(3):
        client.get("/readyz")
    assert len(mail.outbox) == 1
    assert "manage.py worker" in mail.outbox[0].body


def test_the_start_page_finds_it_and_says_so(client):
    beat(timedelta(minutes=3))
    client.force_login(recipes.ana())
    page = client.get("/admin/").content.decode()
    assert "manage.py worker" in page


def test_after_a_webhook_it_is_looked_for_once_a_minute_without_a_mail(client, monkeypatch):
    recipes.ana(email="ana@example.com")
    stage.open_shop()
    beat(timedelta(minutes=3))
    watch._looked_at = float("-inf")
    say(client, text("Oi"))
    assert Incident.objects.get().kind == IncidentKind.WORKER
    assert mail.outbox == []
    with CaptureQueriesContext(connection) as captured:
        say(client, text("menu"))
    assert not [one["sql"] for one in captured if "chatbot_worker" in one["sql"]]


def test_trouble_in_looking_changes_no_answer(client, monkeypatch):
    stage.open_shop()

    def broken(now):
        raise OperationalError("gone")

    monkeypatch.setattr(web_watch, "has_worker", broken)
    watch._looked_at = float("-inf")
    assert say(client, text("Oi")).status_code == 200
    assert MessageLog.objects.filter(direction="in").count() == 1


def test_with_a_worker_nothing_opens(client):
    beat()
    assert client.get("/readyz").status_code == 200
    assert not Incident.objects.exists()
