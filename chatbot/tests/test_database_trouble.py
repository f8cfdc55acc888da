"""The database goes away in the middle of a body: 503, and the next try completes it."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
from functools import partial
from time import monotonic, sleep

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client

from chatbot import verification
from chatbot.models import FailedEvent, MessageLog
from chatbot.tests import stage
from chatbot.tests.processes import database_url
from chatbot.tests.webhook import body_of, post, sign, text
from leads.models import Lead
from sessions_app.models import Session
from sessions_app.services import lock_session
from users.tests.racing import at_once

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

PATIENCE = 30.0
ANA, DAVI, EVA = "5511990000001", "5511990000002", "5511990000003"


@pytest.fixture
def shop(transactional_db):
    return stage.open_shop()


def blocked():
    """Whoever waits for a lock that this connection holds."""
    with connection.cursor() as cursor:
        # Within a transaction the view is read once and then remembered.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return [pid for (pid,) in cursor.fetchall()]


def wait_until_blocked():
    until = monotonic() + PATIENCE
    while not (pids := blocked()):
        assert monotonic() < until, "nobody waits"
        sleep(0.01)
    return pids[0]


def inbound_texts(number):
    rows = MessageLog.objects.inbound().filter(identity__address=number).order_by("pk")
    return list(rows.values_list("text", flat=True))


def deviations():
    pks = Session.objects.values_list("pk", flat=True)
    return [found for _pk, found in verification.verify(pks) if found is not None]


@pytest.fixture
def five_messages(shop):
    """Of three people, of whom Davi has written before; his first is the second of the body."""
    assert post(Client(), body_of(text("Oi", phone=DAVI))).status_code == 200
    said = [("a", ANA), ("b", DAVI), ("c", DAVI), ("d", EVA), ("e", ANA)]
    return body_of(*[text(words, phone=phone) for words, phone in said])


def test_a_connection_cut_in_the_middle_of_a_body_loses_and_doubles_nothing(five_messages):
    session = Session.objects.get()
    answers = []

    def web():
        answers.append(post(Client(), five_messages).status_code)

    def operator():
        with transaction.atomic():
            lock_session(session.pk)
            pid = wait_until_blocked()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
                until = monotonic() + PATIENCE
                while pid in blocked() and monotonic() < until:
                    sleep(0.01)

    assert at_once(web, operator) == [None, None]
    assert answers == [503]
    # Davi's second waits behind his first; the others went on.
    assert inbound_texts(ANA) == ["a", "e"]
    assert inbound_texts(EVA) == ["d"]
    assert inbound_texts(DAVI) == ["Oi"]
    assert not FailedEvent.objects.exists()
    assert not deviations()

    before = MessageLog.objects.exclude(identity__address=DAVI).count()
    assert post(Client(), five_messages).status_code == 200
    assert inbound_texts(DAVI) == ["Oi", "b", "c"]
    assert MessageLog.objects.exclude(identity__address=DAVI).count() == before
    assert Lead.objects.count() == Session.objects.count() == 3
    assert not deviations()


def test_a_database_that_cannot_be_reached_is_503_and_the_next_try_is_whole(shop):
    body = body_of(text("Oi"))

    def without_database():
        reachable = connection.settings_dict
        connection.settings_dict = {**reachable, "HOST": "127.0.0.1", "PORT": str(_closed_port())}
        try:
            return post(Client(), body).status_code
        finally:
            connection.settings_dict = reachable

    assert at_once(without_database) == [503]
    assert stage.is_nothing_stored()
    assert at_once(lambda: post(Client(), body).status_code) == [200]
    assert MessageLog.objects.inbound().count() == 1


def _closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_deadlock_is_tried_again_at_once(shop):
    """The web holds the session and wants the lead; somebody else has them the other way round."""
    stage.put_on_air(_names_the_lead())
    post(Client(), body_of(text("Oi", phone=EVA)))
    session = Session.objects.get()
    answers, has_lead = [], threading.Event()

    def web():
        # Long enough for the other to close the circle: a waiter looks for it only once.
        _notice_deadlocks_after("2s")
        assert has_lead.wait(10)
        answers.append(post(Client(), body_of(text("Eva", phone=EVA))).status_code)

    def other():
        _notice_deadlocks_after("30s")
        with transaction.atomic():
            Lead.objects.filter(pk=session.lead_id).update(company="Exemplo")
            has_lead.set()
            wait_until_blocked()
            lock_session(session.pk)

    assert at_once(web, other) == [None, None]
    assert answers == [200]
    assert not FailedEvent.objects.exists()
    assert inbound_texts(EVA) == ["Oi", "Eva"]
    lead = Lead.objects.get()
    assert (lead.name, lead.company) == ("Eva", "Exemplo")


def _notice_deadlocks_after(time):
    """Who notices it is the one that fails."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET deadlock_timeout = '{time}'")


def _names_the_lead():
    return stage.ask_name(
        nome={"kind": "ask", "text": "Nome?", "save_as": "nome", "next": "grava"},
        grava={"kind": "lead", "fields": {"name": "{{ nome }}"}, "next": "fim"},
    )


# --- A real web server -------------------------------------------------------------------------


@pytest.fixture
def web(shop):
    """gunicorn, as the Procfile starts it; its address."""
    port = _closed_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": database_url(),
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "ALLOWED_HOSTS": "127.0.0.1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "config.wsgi"],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = monotonic() + PATIENCE
        while not _answers(port):
            assert monotonic() < until, "gunicorn does not answer"
            assert process.poll() is None, "gunicorn has ended"
            sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _answers(port):
    try:
        return _request(port, "GET", "/healthz") == 200
    except OSError:
        return False


def _request(port, method, path, body=b"", headers=None):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        client.request(method, path, body, headers or {})
        answer = client.getresponse()
        answer.read()
        return answer.status
    finally:
        client.close()


def test_a_real_client_can_read_the_refusal_of_a_body_that_is_too_large(web):
    send = partial(_request, web, "POST", "/webhook")
    for megabytes in (5, 12):
        large = body_of(text("x" * megabytes * 1024 * 1024))
        assert send(large, {"X-Hub-Signature-256": sign(large)}) == 413
    small = body_of(text("Oi"))
    assert send(small, {"X-Hub-Signature-256": "sha256=" + "0" * 64}) == 403
    assert stage.is_nothing_stored()
    assert send(small, {"X-Hub-Signature-256": sign(small)}) == 200
    assert MessageLog.objects.inbound().get().text == "Oi"


def test_a_database_that_was_restarted_costs_the_kept_connection_but_no_message(web):
    def say(words):
        body = body_of(text(words, phone=ANA))
        return _request(web, "POST", "/webhook", body, {"X-Hub-Signature-256": sign(body)})

    assert say("Um") == 200
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0] > 0
    assert say("Dois") == 200
    assert inbound_texts(ANA) == ["Um", "Dois"]
