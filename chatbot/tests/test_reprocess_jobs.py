"""Many failed events handled again in the background: each once, whoever dies, presses or waits."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from zeal import zeal_ignore

from chatbot import intake, ledger, reprocess_jobs, tasks
from chatbot.models import FailedEvent, FailedEventState, MessageLog, Task, TaskStatus
from chatbot.tests import stage
from chatbot.tests.test_worker_crash import kill, wait_for, workers
from chatbot.tests.webhook import post_file, say, text
from users.tests.racing import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db):
    return stage.open_shop()


@pytest.fixture
def broken(client, shop, monkeypatch):
    """Items of so many customers that could not be stored; what broke them is mended."""

    def fail(*args, **kwargs):
        raise ValueError

    def make(count):
        with monkeypatch.context() as mended_later:
            mended_later.setattr(intake, "stored_payload", fail)
            for number in range(count):
                say(client, text("Oi", phone=f"55119900{number:05d}"))
        return list(FailedEvent.objects.order_by("pk"))

    return make


def start(**meant):
    return reprocess_jobs.start(by="Ana", now=timezone.now(), **meant)


def work():
    with zeal_ignore():  # each event in transactions of its own
        return tasks.run_due(limit=50)


def states():
    return list(FailedEvent.objects.order_by("pk").values_list("state", flat=True))


def counts(task):
    task.refresh_from_db()
    found = reprocess_jobs.progress_of(task)
    return found.total, found.handled, found.failed, found.superseded, found.elsewhere


def test_a_job_handles_all_that_match_and_counts_them(broken):
    broken(3)
    task, is_new = start()
    work()
    assert is_new
    assert states() == [FailedEventState.DONE] * 3
    assert counts(task) == (3, 3, 0, 0, 0)
    assert task.status == TaskStatus.DONE
    assert MessageLog.objects.inbound().count() == 3


def test_a_job_of_chosen_rows_leaves_the_others(broken):
    one, _two, three = broken(3)
    start(ids=[three.pk, one.pk])
    work()
    assert states() == [FailedEventState.DONE, FailedEventState.NEW, FailedEventState.DONE]


def test_a_job_of_a_filter_leaves_what_does_not_match(broken):
    broken(2)
    FailedEvent.objects.create(error="sem canal", item={"type": "Unusable", "item": {}})
    start(wanted={"channel": ledger.NO_CHANNEL})
    work()
    assert states() == [FailedEventState.NEW, FailedEventState.NEW, FailedEventState.NEW]
    assert FailedEvent.objects.latest("pk").tries == 1
    assert FailedEvent.objects.earliest("pk").tries == 0


def test_what_comes_after_the_start_is_not_meant(broken):
    broken(1)
    task, _new = start()
    FailedEvent.objects.create(error="later", item={"type": "Unusable", "item": {}})
    work()
    assert counts(task)[0] == 1
    assert states()[-1] == FailedEventState.NEW


def test_an_event_that_fails_again_is_tried_once_and_counted(broken, monkeypatch):
    broken(2)

    def fail(*args, **kwargs):
        raise KeyError

    monkeypatch.setattr(intake, "stored_payload", fail)
    task, _new = start()
    work()
    assert counts(task) == (2, 0, 2, 0, 0)
    assert set(FailedEvent.objects.values_list("tries", flat=True)) == {1}
    assert FailedEvent.objects.earliest("pk").error == "KeyError"


def test_a_notice_is_no_part_of_a_job(broken, client):
    broken(1)
    post_file(client, "value_errors_account_level.json")
    task, _new = start()
    work()
    assert counts(task) == (1, 1, 0, 0, 0)
    assert FailedEvent.objects.latest("pk").tries == 0


def test_pressed_twice_it_is_the_same_job(broken):
    broken(2)
    first, _new = start()
    second, is_new = start()
    assert (second.pk, is_new) == (first.pk, False)
    assert start(wanted={"part": "item"})[0].pk != first.pk


def test_after_its_end_the_same_can_be_started_anew(broken):
    broken(1)
    first, _new = start()
    work()
    FailedEvent.objects.update(state=FailedEventState.NEW)
    assert start()[0].pk != first.pk


def test_with_nothing_to_do_no_job_begins(shop):
    with pytest.raises(reprocess_jobs.NothingToProcess):
        start()
    assert not Task.objects.exists()


def test_a_slice_ends_in_time_and_the_next_goes_on(broken, monkeypatch):
    broken(3)
    monkeypatch.setattr(reprocess_jobs, "SLICE", timedelta(seconds=-1))
    task, _new = start()
    claimed = tasks.claim_due(limit=1, now=timezone.now())
    assert tasks.run_task(claimed[0]) == TaskStatus.PENDING
    assert counts(task) == (3, 1, 0, 0, 0)
    assert (task.attempts, task.locked_until) == (0, None)
    work()
    assert counts(task) == (3, 3, 0, 0, 0)
    assert set(FailedEvent.objects.values_list("tries", flat=True)) == {1}


def test_a_job_whose_worker_died_goes_on_after_the_lease_with_no_event_twice(broken, monkeypatch):
    broken(3)
    task, _new = start()

    class Killed(BaseException):
        pass

    seen = []

    def die_at_the_second(*args, **kwargs):
        seen.append(1)
        if len(seen) == 2:
            raise Killed
        return {}

    with monkeypatch.context() as dying:
        dying.setattr(intake, "stored_payload", die_at_the_second)
        with pytest.raises(Killed), zeal_ignore():
            tasks.run_due(limit=1)
    assert counts(task) == (3, 1, 0, 0, 0)
    assert work() == 0  # still leased to the dead
    with time_machine.travel(timezone.now() + tasks.LEASE + timedelta(seconds=1), tick=True):
        work()
    assert task.pk == Task.objects.get().pk
    assert counts(task) == (3, 3, 0, 0, 0)
    assert MessageLog.objects.inbound().count() == 3
    assert states() == [FailedEventState.DONE] * 3
    assert len(FailedEvent.objects.earliest("pk").history) == 1


def test_a_cancelled_job_stops_and_the_rest_stays_as_it_was(broken, monkeypatch):
    broken(3)
    task, _new = start()
    real = reprocess_jobs.reprocess

    def then_cancel(event, **more):
        outcome = real(event, **more)
        reprocess_jobs.cancel(task, now=timezone.now())
        return outcome

    monkeypatch.setattr(reprocess_jobs, "reprocess", then_cancel)
    work()
    task.refresh_from_db()
    assert task.status == TaskStatus.DROPPED
    assert states() == [FailedEventState.DONE, FailedEventState.NEW, FailedEventState.NEW]
    assert not reprocess_jobs.cancel(task, now=timezone.now())


def test_what_others_settled_meanwhile_is_said(broken):
    one, *_others = broken(3)
    task, _new = start()
    ledger.ignore(one, reason="teste", by="Ana", now=timezone.now())
    work()
    assert counts(task) == (3, 2, 0, 0, 1)
    assert reprocess_jobs.progress_of(task).percent == 100


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_ten_who_press_at_once_start_one_job(broken):
    broken(2)
    outcomes = at_once(*[start] * 10)
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert len({task.pk for task, _new in outcomes}) == 1
    assert sum(is_new for _task, is_new in outcomes) == 1


SLOW_WORKER = (
    "-c",
    "import django; django.setup(); import time; from chatbot import reprocess_jobs as jobs;"
    "real = jobs.reprocess;"
    "jobs.reprocess = lambda *args, **more: (real(*args, **more), time.sleep(0.05));"
    "from django.core.management import call_command; call_command('worker')",
)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_job_survives_its_killed_worker_process(broken, graph_api):
    broken(40)
    task, _new = start()

    def handled():
        return counts(task)[1]

    with workers(1, graph_api, program=SLOW_WORKER) as (first,):
        wait_for(lambda: handled() >= 5, "the first events")
        kill(first)
    before = handled()
    assert 5 <= before < 40
    Task.objects.filter(pk=task.pk).update(locked_until=timezone.now())  # the lease has ended
    with workers(2, graph_api):
        wait_for(lambda: counts(task)[1] == 40, "the rest")
        wait_for(
            lambda: Task.objects.get(pk=task.pk).status == TaskStatus.DONE, "the end of the job"
        )
    assert counts(task) == (40, 40, 0, 0, 0)
    assert MessageLog.objects.inbound().count() == 40
    assert {len(event.history) for event in FailedEvent.objects.all()} == {1}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_jobs_and_a_command_at_once_handle_each_event_once(broken):
    events = broken(12)
    one, _new = start()
    other, _new = start(ids=[event.pk for event in events])
    claimed = {task.pk: task for task in tasks.claim_due(limit=2, now=timezone.now())}
    barrier = threading.Barrier(2)

    def run(task):
        barrier.wait(10)
        with zeal_ignore():
            return tasks.run_task(task)

    outcomes = at_once(lambda: run(claimed[one.pk]), lambda: run(claimed[other.pk]))
    assert outcomes == [TaskStatus.DONE, TaskStatus.DONE]
    assert MessageLog.objects.inbound().count() == 12
    assert states() == [FailedEventState.DONE] * 12
    assert reprocess_jobs.progress_of(Task.objects.get(pk=one.pk)).done == 12
    handled = sum(reprocess_jobs.progress_of(task).handled for task in Task.objects.all())
    assert handled == 12
