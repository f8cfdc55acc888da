"""What comes back later: requests, slow handlers and waits, and what happens when it does not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from chatbot import conversation, tasks
from chatbot.handlers import registry
from chatbot.models import FlowLog, MessageLog, Task, TaskKind, TaskStatus
from chatbot.tests import stage
from chatbot.tests.webhook import say, text
from sessions_app.models import Owner, Session
from tickets.models import Ticket
from users.tests.recipes import bia

pytestmark = pytest.mark.django_db

ASK_PRICE = {
    "inicio": {"kind": "start", "next": "preco"},
    "preco": {
        "kind": "http",
        "method": "POST",
        "url": "https://exemplo.invalid/preco",
        "body": '{"de": "{{ lead.name }}"}',
        "mapping": {"preco": "itens.0.preco"},
        "ok": "diz",
        "error": "gente",
    },
    "diz": {
        "kind": "ask",
        "text": "Custa {{ preco }}. Serve?",
        "save_as": "serve",
        "next": "gente",
    },
    "gente": {"kind": "handoff", "text": "Já vem gente."},
}


@pytest.fixture
def shop(db):
    return stage.open_shop()


@pytest.fixture
def prices(httpserver, settings):
    """An HTTP service on a private address that the settings allow."""
    settings.HTTP_NODE_PRIVATE_HOSTS = [httpserver.host]
    nodes = {**ASK_PRICE, "preco": {**ASK_PRICE["preco"], "url": httpserver.url_for("/preco")}}
    stage.put_on_air(nodes)
    return httpserver


def run_due(after=timedelta()):
    """Run what is due then; the statuses that the tasks got for which a flow waits."""
    now = timezone.now() + after
    done = [(task.kind, tasks.run_task(task)) for task in tasks.claim_due(limit=10, now=now)]
    return [status for kind, status in done if kind != TaskKind.MARK_READ]


def test_the_answer_of_a_request_comes_back_as_a_message(shop, prices, client):
    prices.expect_oneshot_request("/preco", method="POST").respond_with_json(
        {"itens": [{"preco": "R$ 10"}]}
    )
    say(client, text("Oi"))
    assert Session.objects.get().current_state == "preco"
    assert not MessageLog.objects.outbound().exists()
    assert run_due() == [TaskStatus.DONE]
    assert MessageLog.objects.outbound().get().text == "Custa R$ 10. Serve?"
    assert Session.objects.get().context["preco"] == "R$ 10"
    prices.check()


@pytest.mark.parametrize("status", [404, 500, 302])
def test_an_answer_that_is_no_success_leaves_by_error(shop, prices, client, status):
    prices.expect_request("/preco").respond_with_data("não", status=status)
    say(client, text("Oi"))
    run_due()
    assert Ticket.objects.count() == 1


def test_a_private_address_is_not_asked(shop, httpserver, client):
    url = httpserver.url_for("/preco")
    stage.put_on_air({**ASK_PRICE, "preco": {**ASK_PRICE["preco"], "url": url}})
    say(client, text("Oi"))
    run_due()
    assert httpserver.log == []
    assert Session.objects.get().owner == Owner.QUEUE


def test_an_answer_that_nobody_awaits_any_more_is_dropped_with_a_row(
    shop, prices, client, graph_api
):
    prices.expect_request("/preco").respond_with_json({"itens": [{"preco": "R$ 10"}]})
    say(client, text("Oi"))
    session = Session.objects.get()
    conversation.send_reply(session, user=bia(), text="Eu respondo")
    run_due()
    statuses = dict(Task.objects.values_list("kind", "status"))
    assert statuses == {TaskKind.HTTP: TaskStatus.DROPPED, TaskKind.MARK_READ: TaskStatus.DONE}
    assert len(graph_api.receipts) == 2  # the bot was at work, and a person answered
    assert FlowLog.objects.order_by("-seq").first().message["kind"] == "dropped"
    assert [row.text for row in MessageLog.objects.outbound()] == ["Eu respondo"]
    assert prices.log == []  # nor is anybody asked for it


def test_a_flow_that_stumbles_over_an_answer_does_not_ask_again_and_gives_up_to_people(
    shop, prices, client, monkeypatch
):
    prices.expect_request("/preco").respond_with_json({"itens": [{"preco": "R$ 10"}]})
    say(client, text("Oi"))

    def stumble(*_args, **_more):
        raise RuntimeError("a bug in the flow")

    monkeypatch.setattr(conversation, "resume", stumble)
    for number in range(tasks.TRIES):
        run_due(after=timedelta(hours=number + 1))
    assert Task.objects.get(kind=TaskKind.HTTP).status == TaskStatus.FAILED
    assert len(prices.log) == 1
    assert Session.objects.get().owner == Owner.QUEUE
    assert "Já chamei a equipe" in MessageLog.objects.outbound().get().text


def test_a_slow_handler_runs_later_and_its_failure_is_its_route(shop, client, monkeypatch):
    def fail(_call):
        raise ValueError("too slow")

    slow = registry.Handler("lenta", "Lenta", registry.NoArgs, ("ok", "error"), (), True, fail)
    monkeypatch.setitem(registry._handlers, "lenta", slow)
    call = {"kind": "call", "handler": "lenta", "routes": {"ok": "gente", "error": "gente"}}
    nodes = {"inicio": {"kind": "start", "next": "chama"}, "chama": call}
    stage.put_on_air({**nodes, "gente": {"kind": "handoff", "text": "Já vem gente."}})
    say(client, text("Oi"))
    assert Task.objects.exclude(kind=TaskKind.MARK_READ).get().kind == TaskKind.HANDLER
    assert run_due() == [TaskStatus.DONE]
    assert MessageLog.objects.outbound().get().text == "Já vem gente."


def test_a_wait_goes_on_when_its_time_has_come_and_not_before(shop, client):
    pause = {"kind": "wait", "seconds": 3600, "next": "gente"}
    nodes = {"inicio": {"kind": "start", "next": "pausa"}, "pausa": pause}
    stage.put_on_air({**nodes, "gente": {"kind": "handoff", "text": "Já vem gente."}})
    say(client, text("Oi"))
    session = Session.objects.get()
    assert session.idle_due_at is None
    assert run_due() == []
    assert run_due(after=timedelta(hours=2)) == [TaskStatus.DONE]
    assert Session.objects.get().owner == Owner.QUEUE
