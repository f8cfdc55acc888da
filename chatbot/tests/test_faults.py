"""What goes wrong, one thing at a time: a clear answer, nothing lost, nothing half-written."""

from __future__ import annotations

import logging

import pytest
from django.db import IntegrityError, OperationalError, connection
from pydantic import BaseModel, ConfigDict

from chatbot import apply as effects
from chatbot import intake, verification
from chatbot.delivery import deliver_pending
from chatbot.handlers import registry
from chatbot.handlers.registry import Handler, HandlerResult
from chatbot.models import FailedEvent, FlowRun, MessageLog, Task
from chatbot.sentences import SENTENCES
from chatbot.tests import stage
from chatbot.tests.webhook import body_of, post, say, text
from leads.models import Lead
from sessions_app.models import Owner, Session
from tickets.models import Ticket
from users.models import Department

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

needs_postgres = pytest.mark.postgres


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


@pytest.fixture
def shop(transactional_db):
    return stage.open_shop()


@pytest.fixture
def handler(monkeypatch):
    """Makes a function a handler called `prova`, reached by the first message."""

    def register(function):
        routes = ("ok", registry.ERROR)
        declared = Handler("prova", "Prova", Anything, routes, (), False, function)
        monkeypatch.setitem(registry._handlers, "prova", declared)
        call = {"kind": "call", "handler": "prova", "routes": {"ok": "bem", "error": "mal"}}
        stage.put_on_air(
            stage.ask_name(
                inicio={"kind": "start", "next": "chama"},
                chama=call,
                bem={"kind": "send", "text": "Deu certo.", "next": "nome"},
                mal={"kind": "send", "text": "Deu errado.", "next": "nome"},
            )
        )

    return register


def bot_texts():
    return list(MessageLog.objects.outbound().order_by("pk").values_list("text", flat=True))


# --- Handlers ----------------------------------------------------------------------------------


def raises(call):
    raise RuntimeError("segredo do cliente")


def breaks_a_constraint(call):
    Department.objects.create(slug="repetido", name="Um")
    Department.objects.create(slug="repetido", name="Dois")
    return HandlerResult("ok")


def returns_nonsense(call):
    return HandlerResult("inexistente", {"a": 1})


@pytest.mark.parametrize("function", [raises, breaks_a_constraint, returns_nonsense])
def test_a_handler_that_fails_leaves_by_the_route_error(client, shop, handler, caplog, function):
    handler(function)
    with caplog.at_level(logging.ERROR, logger="chatbot.apply"):
        assert say(client, text("Oi")).status_code == 200
    assert bot_texts() == ["Deu errado.\n\nQual é o seu nome?"]
    assert "handler prova failed" in caplog.text
    assert not Department.objects.filter(slug="repetido").exists()
    assert not FailedEvent.objects.exists()
    assert Session.objects.get().current_state == "nome"


@needs_postgres
def test_a_handler_that_hits_the_time_limit_is_its_own_failure(client, shop, handler):
    def too_slow(call):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 30")
            cursor.execute("SELECT pg_sleep(20)")
        return HandlerResult("ok")

    handler(too_slow)
    assert say(client, text("Oi")).status_code == 200
    assert bot_texts() == ["Deu errado.\n\nQual é o seu nome?"]


@needs_postgres
def test_a_handler_that_loses_the_connection_is_trouble_of_the_database(client, shop, handler):
    def cut(call):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    handler(cut)
    body = body_of(text("Oi"))
    assert post(client, body).status_code == 503
    assert stage.is_nothing_stored()
    registry._handlers["prova"] = Handler(
        "prova", "", Anything, ("ok", "error"), (), False, lambda call: HandlerResult("ok")
    )
    assert post(client, body).status_code == 200
    assert bot_texts() == ["Deu certo.\n\nQual é o seu nome?"]


# --- Steps -------------------------------------------------------------------------------------


def raise_in_step(scene):
    raise ZeroDivisionError


def break_the_transaction(scene):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO users_department (slug) VALUES (NULL)")


def break_the_commit(scene):
    Task.objects.create(kind="wait", session_id=scene.session.pk, run_id=10**9, run_at=scene.at)


def swallow_a_database_error(scene):
    try:
        break_the_transaction(scene)
    except IntegrityError:
        Department.objects.count()


BROKEN = [raise_in_step, break_the_transaction, break_the_commit]


def assert_people_have_it():
    row = MessageLog.objects.inbound().get()
    event = FailedEvent.objects.get()
    session, ticket = Session.objects.get(), Ticket.objects.get()
    assert (row.text, event.message) == ("Oi", row)
    assert event.error.startswith("step failed: ")
    assert "segredo" not in event.error + event.details
    assert (session.owner, session.epoch) == (Owner.QUEUE, 1)
    assert (ticket.handoff["reason"], ticket.assignee) == ("bot_failed", None)
    assert bot_texts() == [SENTENCES["trouble"]]
    assert not FlowRun.objects.exists()
    assert not Task.objects.exists()
    assert list(verification.verify([session.pk])) == [(session.pk, None)]
    return event


@pytest.fixture
def failing_step(handler, monkeypatch):
    """Makes the first step of the flow fail outside every savepoint."""
    handler(raises)
    return lambda break_it: monkeypatch.setattr(
        effects, "_run_handler", lambda call, scene: break_it(scene)
    )


@pytest.mark.parametrize("break_it", BROKEN)
def test_a_step_that_fails_gives_the_conversation_to_people(
    client, shop, failing_step, graph_api, break_it
):
    failing_step(break_it)
    body = body_of(text("Oi"))
    assert post(client, body).status_code == 200
    assert_people_have_it()
    assert post(client, body).status_code == 200
    assert_people_have_it()
    deliver_pending()
    assert [sent.text for sent in graph_api.messages] == [SENTENCES["trouble"]]


@needs_postgres
def test_a_swallowed_database_error_is_a_failed_step_too(client, shop, failing_step, monkeypatch):
    failing_step(swallow_a_database_error)
    assert say(client, text("Oi")).status_code == 200
    assert_people_have_it()


@needs_postgres
def test_a_step_that_hits_the_time_limit_is_a_failed_step(client, shop, failing_step, monkeypatch):
    def too_slow(scene):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 30")
            cursor.execute("SELECT pg_sleep(20)")

    failing_step(too_slow)
    assert say(client, text("Oi")).status_code == 200
    assert_people_have_it()


def test_a_failed_step_that_not_even_people_can_get_stays_as_row_and_event(
    client, shop, failing_step, monkeypatch, caplog
):
    def no_ticket(*args, **kwargs):
        raise LookupError("no department at all")

    failing_step(raise_in_step)
    monkeypatch.setattr("tickets.services.open_ticket", no_ticket)
    assert say(client, text("Oi")).status_code == 200
    assert MessageLog.objects.get().text == "Oi"
    assert FailedEvent.objects.get().message == MessageLog.objects.get()
    assert (Session.objects.get().owner, Session.objects.get().epoch) == (Owner.BOT, 0)
    assert "INCIDENT" in caplog.text


def test_after_a_failed_step_the_next_message_waits_for_people(
    client, shop, failing_step, monkeypatch
):
    failing_step(raise_in_step)
    say(client, text("Oi"))
    monkeypatch.undo()
    say(client, text("Alô?"))
    assert bot_texts() == [SENTENCES["trouble"]]
    assert Ticket.objects.get().unread == 1


def test_an_item_that_cannot_be_stored_at_all_is_kept_whole(client, shop, monkeypatch):
    def no_row(*args, **kwargs):
        raise ValueError("never")

    monkeypatch.setattr(intake, "stored_payload", no_row)
    assert say(client, text("Oi")).status_code == 200
    event = FailedEvent.objects.get()
    assert (event.message, event.body) == (None, None)
    assert event.item["item"]["text"] == "Oi"
    assert not Lead.objects.exists()


def test_a_message_to_an_unknown_number_is_kept(client, shop):
    value = text("Oi")
    value["metadata"]["phone_number_id"] = "999"
    assert say(client, value).status_code == 200
    assert FailedEvent.objects.get().item["item"]["text"] == "Oi"
    assert not Lead.objects.exists()


def test_a_handler_in_a_deadlock_is_done_again_with_its_item(shop, client, handler):
    calls = []

    def deadlocks_once(call):
        calls.append(call)
        if len(calls) == 1:
            error = OperationalError("deadlock detected")
            error.__cause__ = type("Deadlock", (Exception,), {"sqlstate": "40P01"})()
            raise error
        return HandlerResult("ok")

    handler(deadlocks_once)
    assert say(client, text("Oi")).status_code == 200
    assert len(calls) == 2
    assert MessageLog.objects.inbound().count() == 1
    assert "Deu certo." in bot_texts()[0]
