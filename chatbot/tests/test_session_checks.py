"""All sessions compared with their logs, every night and on demand."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from chatbot import tasks
from chatbot.models import Incident, IncidentKind, JobState, SessionCheck
from chatbot.replays import session_checks, states
from chatbot.tests import recipes, stage, trial
from sessions_app.models import Session

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shop():
    return stage.open_shop()


def checked():
    check, _is_new = session_checks.start()
    tasks.run_due(limit=5)
    check.refresh_from_db()
    return check


def test_a_session_that_was_tampered_with_is_named_and_raises_an_incident():
    for customer in ("ana", "davi"):
        trial.chat(customer, "Oi")
    tampered = Session.objects.last()
    Session.objects.filter(pk=tampered.pk).update(context={"nome": "Outra"})
    check = checked()
    assert (check.state, check.done, check.different) == (JobState.DONE, 2, 1)
    assert [one["session"] for one in check.found] == [tampered.pk]
    assert Incident.objects.open().get().kind == IncidentKind.LOG
    Session.objects.filter(pk=tampered.pk).update(context=tampered.context)
    assert checked().different == 0
    assert not Incident.objects.open().exists()


def test_one_at_a_time():
    first, is_new = session_checks.start()
    again, is_second = session_checks.start()
    assert is_new
    assert not is_second
    assert first == again
    assert states.cancel(first, now=timezone.now())
    assert session_checks.start()[1]


@pytest.mark.parametrize(
    ("hour", "begins"), [(2, False), (3, True), (5, True), (7, False), (15, False)]
)
def test_it_begins_by_itself_at_night_once(hour, begins):
    now = datetime(2026, 11, 26, hour, 30, tzinfo=ZoneInfo(settings.TIME_ZONE))
    session_checks.start_at_night(now)
    assert SessionCheck.objects.exists() == begins
    SessionCheck.objects.update(state=JobState.DONE, created_at=now)
    session_checks.start_at_night(now + timedelta(minutes=20))
    assert SessionCheck.objects.count() == int(begins)


def test_an_admin_begins_one_and_sees_what_differs(client):
    trial.chat("davi", "Oi")
    Session.objects.update(current_state="<script>")
    client.force_login(recipes.ana())
    url = reverse("session_checks")
    client.post(url)
    assert reverse("session_checks_state") in client.get(url).content.decode()
    tasks.run_due(limit=5)
    shown = client.get(url).content.decode()
    assert "current_state" in shown
    assert "&lt;script&gt;" in shown
    assert reverse("session_checks_state") not in client.get(url).content.decode()
