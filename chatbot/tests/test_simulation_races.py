"""The simulator beside real workers and beside itself, on PostgreSQL."""

from datetime import timedelta
from time import sleep

import pytest
from django.test import Client
from django.utils import timezone

from chatbot.models import FlowLog, MessageLog, SimulatedPerson, Task
from chatbot.simulation import acting, passing, people
from chatbot.tests import recipes, stage, trial
from chatbot.tests.processes import wait_for, workers
from chatbot.verification import verify
from sessions_app.models import Channel, EndReason, Session
from users.tests.racing import at_once

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.fixture
def person(transactional_db):
    stage.open_shop()
    flow = trial.flow()
    person = people.begin(recipes.ana(), flow, version=people.draft_version(flow))
    acting.say(person, {"text": "Oi"})
    return person


def test_a_worker_beside_it_does_not_disturb_the_simulated_clock(person, graph_api):
    silent = people.begin(person.user, person.flow, version=person.version)
    acting.say(silent, {"text": "Oi"})
    acting.say(person, acting.tapped_last(person, "esperar"))
    # In real time all of it is long over; by their clocks it has not begun.
    back = timedelta(days=3)
    SimulatedPerson.objects.update(ahead=-back)
    Task.objects.filter(kind="wait").update(run_at=timezone.now() - back + timedelta(days=1))
    FlowLog.objects.update(created_at=timezone.now() - back)
    waiting = Session.objects.filter(idle_due_at__isnull=False)
    waiting.update(idle_due_at=timezone.now() - back + timedelta(minutes=25))
    with workers(1, graph_api):
        real = stage.queued(stage.talk(Channel.objects.get(slug="whatsapp")), "de verdade")[0]
        before = FlowLog.objects.count(), MessageLog.objects.count()
        wait_for(lambda: stage.fresh(real).status != "queued", "the worker does its work")
        sleep(3)
        assert (FlowLog.objects.count(), MessageLog.objects.count()) == before
        assert not Session.objects.filter(ended_at__isnull=False).exists()
        for one in (person, silent):
            one.refresh_from_db()
            passing.advance(one, timedelta(hours=25), seen=one.ahead)
    fired = FlowLog.objects.get(message__kind="timer")
    assert fired.created_at < timezone.now() - timedelta(days=1)
    for session in Session.objects.filter(is_simulated=True):
        assert session.end_reason == EndReason.IDLE
        assert session.ended_at < timezone.now() - timedelta(days=1)
        assert list(verify([session.pk])) == [(session.pk, None)]


def test_ten_clicks_at_once_move_the_clock_once(person):
    user, flow = person.user, person.flow

    def click():
        mine = people.current(user, flow)
        return passing.advance(mine, timedelta(hours=1), seen=timedelta())

    assert sum(one is True for one in at_once(*[click] * 10)) == 1
    assert people.current(user, flow).ahead == timedelta(hours=1)
    assert Session.objects.get().end_reason == EndReason.IDLE
    assert MessageLog.objects.outbound().count() == 3  # the menu, the warning, the farewell


def test_polls_and_clicks_at_once_let_each_thing_happen_once(person):
    acting.say(person, acting.tapped_last(person, "esperar"))
    client = Client()
    client.force_login(person.user)
    cookies = client.cookies

    def poll():
        mine = Client()
        mine.cookies = cookies
        return mine.get(f"/admin/chatbot/flow/{person.flow_id}/simulator/state/").status_code

    def click():
        mine = people.current(person.user, person.flow)
        return passing.advance(mine, timedelta(hours=25), seen=timedelta())

    outcomes = at_once(click, *[poll] * 5)
    assert outcomes == [True, *[200] * 5]
    assert FlowLog.objects.filter(message__kind="timer").count() == 1
    assert not FlowLog.objects.filter(message__kind="dropped").exists()


def test_the_same_draft_tried_at_once_is_one_version(person):
    flow = person.flow
    flow.versions.filter(runs=None).delete()
    SimulatedPerson.objects.all().delete()
    Session.objects.all().delete()
    flow.versions.all().delete()
    versions = at_once(*[lambda: people.draft_version(flow)] * 6)
    assert len({one.pk for one in versions}) == 1
