"""Real worker processes on PostgreSQL that are killed, stopped and started again."""

from __future__ import annotations

import signal
from datetime import timedelta
from time import monotonic, sleep

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from chatbot import delivery
from chatbot.models import MessageLog, MessageStatus, Worker
from chatbot.statuses import UNCONFIRMED
from chatbot.tests import graph_server, stage
from chatbot.tests.processes import PATIENCE, wait_for, workers
from chatbot.tests.webhook import say, status, text

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

TEXTS = [f"Linha {number}" for number in range(5)]
LOOKS_ONCE_AN_HOUR = (
    "-c",
    "import django; django.setup(); from chatbot import worker; worker.POLL_SECONDS = 3600;"
    "from django.core.management import call_command; call_command('worker')",
)


@pytest.fixture
def shop(transactional_db):
    return stage.open_shop()


@pytest.fixture
def slow_graph():
    with graph_server.running(delay=0.05) as server:
        yield server


def kill(process):
    process.send_signal(signal.SIGKILL)
    assert process.wait(PATIENCE) == -signal.SIGKILL


def kill_in_the_middle_of_a_call(process):
    """Freeze it; what then stays `sending` is its own. When it has nothing in its hands, or nothing
    that others wait for: let it go on."""
    for _try in range(20):
        process.send_signal(signal.SIGSTOP)
        frozen = set(sending().values_list("pk", flat=True))
        sleep(1)  # the other worker's calls end within this
        if any(map(_is_waited_for, sending().filter(pk__in=frozen))):
            return kill(process)
        process.send_signal(signal.SIGCONT)
        sleep(0.05)
    pytest.fail("the worker was never in the middle of a call")


def _is_waited_for(row):
    later = MessageLog.objects.filter(session=row.session_id, pk__gt=row.pk)
    return later.filter(status=MessageStatus.QUEUED).exists()


def stop(process):
    """SIGTERM; how many seconds it took."""
    began = monotonic()
    process.terminate()
    assert process.wait(PATIENCE) == 0
    return monotonic() - began


def sending():
    return MessageLog.objects.filter(status=MessageStatus.SENDING)


def let_leases_end():
    """What the dead had leased is free again, as it is a minute later."""
    MessageLog.objects.filter(status=MessageStatus.QUEUED).update(locked_until=None)


def test_killed_in_the_middle_of_500_replies_each_arrives_at_most_once(shop, slow_graph):
    sessions = [stage.talk(shop) for _ in range(100)]
    for session in sessions:
        stage.queued(session, *TEXTS)
    with workers(2, slow_graph) as (one, other):
        wait_for(lambda: len(slow_graph.messages) >= 100, "a hundred replies")
        kill_in_the_middle_of_a_call(one)
        stop(other)
    uncertain = list(sending())
    assert 1 <= len(uncertain) <= 8  # at most one a thread of the one that was killed
    assert len(slow_graph.messages) < 500
    let_leases_end()

    with workers(2, slow_graph):
        held = [row.session_id for row in uncertain]
        others = MessageLog.objects.pending().exclude(session__in=held)
        wait_for(lambda: not others.exists(), "the conversations that nothing holds back")
        waiting = MessageLog.objects.pending().filter(session__in=held)
        assert waiting.exclude(pk__in=[row.pk for row in uncertain]).exists()

        arrived = {sent.callback_data for sent in slow_graph.messages}
        told = [row for row in uncertain if row.callback_data in arrived][::2]
        for row in told:
            said = status(
                f"wamid.tardia{row.pk}", "delivered", biz_opaque_callback_data=row.callback_data
            )
            assert say(Client(), said).status_code == 200
        silent = [row for row in uncertain if row not in told]
        dead = sending().filter(pk__in=[row.pk for row in silent])
        assert dead.update(locked_until=F("locked_until") - timedelta(minutes=5)) == len(silent)
        assert delivery.settle_unconfirmed(now=timezone.now()) == len(silent)
        wait_for(lambda: not MessageLog.objects.pending().exists(), "the rest")

    assert set(stage.statuses(told)) <= {MessageStatus.DELIVERED}
    for row in map(stage.fresh, silent):
        assert (row.status, row.error_code) == (MessageStatus.FAILED, UNCONFIRMED)
        assert row.error_detail
    assert stage.is_each_sent_once(slow_graph)
    got = {sent.callback_data for sent in slow_graph.messages}
    missing = {row.pk for row in MessageLog.objects.all() if row.callback_data not in got}
    assert missing <= {row.pk for row in uncertain}
    for number, texts in stage.received_by_each(slow_graph).items():
        assert texts == sorted(texts), number
    sent = MessageLog.objects.filter(status=MessageStatus.SENT).count()
    assert sent == 500 - len(uncertain)


def test_sigterm_finishes_what_is_under_way_and_leaves_the_rest_queued(shop, slow_graph):
    for _ in range(100):
        stage.queued(stage.talk(shop), *TEXTS)
    with workers(1, slow_graph) as (process,):
        wait_for(lambda: len(slow_graph.messages) >= 50, "fifty replies")
        assert Worker.objects.count() == 1
        assert stop(process) < 10
    assert not sending().exists()
    assert not Worker.objects.exists()
    done = MessageLog.objects.filter(status=MessageStatus.SENT).count()
    assert done == len(slow_graph.messages) < 500
    assert MessageLog.objects.filter(status=MessageStatus.QUEUED).count() == 500 - done


def test_a_worker_that_would_look_in_an_hour_is_woken_by_the_message(shop, graph_api):
    with workers(1, graph_api, program=LOOKS_ONCE_AN_HOUR):
        wait_for(_is_somebody_listening, "a listener")
        said = monotonic()
        say(Client(), text("Oi"))
        wait_for(lambda: graph_api.messages, "the reply")
        assert monotonic() - said < 10


def test_a_worker_outlives_the_loss_of_its_connections(shop, slow_graph):
    sessions = [stage.talk(shop) for _ in range(40)]
    for session in sessions:
        stage.queued(session, *TEXTS)
    with workers(1, slow_graph) as (process,):
        wait_for(lambda: len(slow_graph.messages) >= 50, "fifty replies")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert cursor.fetchone()[0] > 1
        let_leases_end()
        free = MessageLog.objects.filter(status=MessageStatus.QUEUED).exclude(
            session__in=sending().values("session")
        )
        wait_for(lambda: _let_go_and_look(free), "the rest")
        assert stop(process) < 10
    assert stage.is_each_sent_once(slow_graph)
    assert sending().count() <= 8


def _let_go_and_look(free):
    """A row that was leased when the connection was cut waits for the end of its lease."""
    MessageLog.objects.filter(status=MessageStatus.QUEUED, run_at__lt=timezone.now()).filter(
        locked_until__gt=timezone.now() + timedelta(seconds=1)
    ).exclude(session__in=sending().values("session")).update(locked_until=None)
    return not free.exists()


def _is_somebody_listening():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
            " AND datname = current_database()"
        )
        return cursor.fetchone()[0] > 0
