"""Secrets that a flow names: put into the request, and nowhere else."""

import json
import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from werkzeug import Response

from chatbot import tasks
from chatbot.models import FlowLog, MessageLog, Secret, Task, TaskKind, TaskStatus
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import say, text
from sessions_app.models import Owner, Session

pytestmark = pytest.mark.django_db

KEY = "muito-secreto-123"
NODES = {
    "inicio": {"kind": "start", "next": "nome"},
    "nome": {"kind": "ask", "text": "Nome?", "save_as": "nome", "next": "crm"},
    "crm": {
        "kind": "http",
        "headers": {"Authorization": "Bearer {{ secret.crm }}", "X-Who": "{{ nome }}"},
        "mapping": {"plano": "plano"},
        "ok": "diz",
        "error": "gente",
    },
    "diz": {"kind": "send", "text": "Plano {{ plano }}.", "next": "fim"},
    "fim": {"kind": "end"},
    "gente": {"kind": "handoff", "text": "Já vem gente."},
}


@pytest.fixture
def crm(db, httpserver, settings):
    """The other system, on a private address that the settings allow."""
    stage.open_shop()
    settings.HTTP_NODE_PRIVATE_HOSTS = [httpserver.host]
    return httpserver


def on_air(crm, **changed):
    node = {**NODES["crm"], "url": crm.url_for("/cliente"), **changed}
    return stage.put_on_air({**NODES, "crm": node})


def secret(name="crm", value=KEY):
    return Secret.objects.create(name=name, value={"value": value})


def asked(client, name="Davi"):
    say(client, text("Oi"))
    say(client, text(name))


def run(after=timedelta()):
    now = timezone.now() + after
    mine = [task for task in tasks.claim_due(limit=10, now=now) if task.kind == TaskKind.HTTP]
    return [tasks.run_task(task) for task in mine]


def test_the_other_system_gets_the_secret_and_nothing_else_holds_it(crm, client, caplog):
    on_air(crm)
    kept = secret()
    crm.expect_request("/cliente", headers={"Authorization": f"Bearer {KEY}", "X-Who": "Davi"}) \
        .respond_with_json({"plano": "Ouro"})  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        asked(client)
        assert run() == [TaskStatus.DONE]
    assert MessageLog.objects.outbound().latest("pk").text == "Plano Ouro."
    kept.refresh_from_db()
    assert kept.used_at
    stored = json.dumps(
        [
            list(FlowLog.objects.values_list("message", "effects", "state", "context_set")),
            list(Task.objects.values_list("payload", flat=True)),
        ]
    )
    assert KEY not in stored
    assert "{{ secret.crm }}" in stored
    assert KEY not in caplog.text
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM chatbot_secret")
        assert KEY not in cursor.fetchone()[0]


def test_a_customer_names_no_secret(crm, client):
    """Beside a secret, in a header of its own, or in pieces that only together would name one."""
    headers = {
        "Authorization": "{{ secret.crm }}",
        "X-Who": "{{ nome }}",
        "X-Both": "{{ secret.crm }} { {{ nome }}",
    }
    on_air(crm, headers=headers)
    secret()
    secret("outro", "outro-segredo")
    got = {}

    def keep(request):
        got.update(request.headers)
        return Response("{}")

    crm.expect_request("/cliente").respond_with_handler(keep)
    asked(client, name="{ secret.outro }} {{ secret.outro }}")
    assert run() == [TaskStatus.DONE]
    assert got["Authorization"] == KEY
    assert "outro-segredo" not in json.dumps(got)
    assert got["X-Who"] == "{ secret.outro }} {{ secret.outro }}"


def test_without_the_secret_nothing_is_asked(crm, client):
    on_air(crm)
    asked(client)
    assert run() == [TaskStatus.DONE]
    assert crm.log == []
    assert Session.objects.get().owner == Owner.QUEUE


@pytest.mark.parametrize("failure", [503, 429], ids=["unavailable", "throttled"])
def test_who_does_not_answer_is_asked_again_as_often_as_the_passo_says(crm, client, failure):
    on_air(crm, retries=1, headers={})
    crm.expect_ordered_request("/cliente").respond_with_data("", status=failure)
    crm.expect_ordered_request("/cliente").respond_with_json({"plano": "Ouro"})
    asked(client)
    assert run() == [TaskStatus.PENDING]
    assert run() == []  # later, not at once
    assert run(timedelta(minutes=1)) == [TaskStatus.DONE]
    assert MessageLog.objects.outbound().latest("pk").text == "Plano Ouro."


def test_the_last_failure_leaves_by_its_exit(crm, client):
    on_air(crm, retries=1, headers={})
    crm.expect_request("/cliente").respond_with_data("", status=500)
    asked(client)
    assert run() == [TaskStatus.PENDING]
    assert run(timedelta(minutes=1)) == [TaskStatus.DONE]
    assert len(crm.log) == 2
    assert Session.objects.get().owner == Owner.QUEUE


def test_a_refusal_is_not_tried_again(crm, client):
    on_air(crm, retries=3, headers={})
    crm.expect_request("/cliente").respond_with_data("", status=404)
    asked(client)
    assert run() == [TaskStatus.DONE]
    assert len(crm.log) == 1


def test_the_customer_sees_that_an_answer_is_being_written(crm, client, graph_api):
    on_air(crm, headers={})
    crm.expect_request("/cliente").respond_with_json({})
    asked(client)
    waiting = Task.objects.get(kind=TaskKind.MARK_READ)
    last = MessageLog.objects.inbound().latest("pk")
    assert waiting.payload == {"provider_id": last.provider_id, "is_writing": True}
    tasks.run_due(limit=10)
    bodies = [one.body for one in graph_api.requests if one.body.get("status") == "read"]
    assert [body["typing_indicator"] for body in bodies] == [{"type": "text"}]


# --- The screen --------------------------------------------------------------------------------


def page(name, *args):
    return reverse(f"admin:chatbot_secret_{name}", args=args)


def test_an_admin_writes_a_secret_that_no_page_shows(client):
    client.force_login(recipes.ana())
    client.post(page("add"), {"name": "crm", "new_value": KEY, "note": "CRM"})
    kept = Secret.objects.get()
    assert kept.value == {"value": KEY}
    shown = client.get(page("change", kept.pk)).content.decode()
    assert KEY not in shown + client.get(page("changelist")).content.decode()
    client.post(page("change", kept.pk), {"new_value": "", "note": "outro"})
    kept.refresh_from_db()
    assert (kept.value, kept.note) == ({"value": KEY}, "outro")
    client.post(page("change", kept.pk), {"new_value": "novo", "note": "outro"})
    kept.refresh_from_db()
    assert kept.value == {"value": "novo"}


@pytest.mark.parametrize(
    ("name", "value"), [("Crm", KEY), ("a b", KEY), ("1a", KEY), ("crm", ""), ("crm", "a\nb")]
)
def test_what_no_header_takes_is_refused(client, name, value):
    client.force_login(recipes.ana())
    answer = client.post(page("add"), {"name": name, "new_value": value, "note": ""})
    assert answer.status_code == 200
    assert not Secret.objects.exists()


def test_attendants_have_no_business_here(client):
    client.force_login(recipes.bia())
    kept = secret()
    answers = [client.get(page("changelist")), client.get(page("change", kept.pk))]
    assert {answer.status_code for answer in answers} == {403}


def test_flows_that_name_it_are_told(client):
    flow = recipes.flow("crm", draft=recipes.document("crm"))
    flow.draft["nodes"]["x"] = {**NODES["crm"], "url": "https://example.com/"}
    flow.save()
    client.force_login(recipes.ana())
    assert str(flow) in client.get(page("change", secret().pk)).content.decode()
