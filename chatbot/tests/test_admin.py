from datetime import date, timedelta

import pytest
from django.contrib import admin
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker
from zeal import zeal_ignore

from chatbot import flows_service
from chatbot.channels.inbound import Kind
from chatbot.labels import KIND_LABELS
from chatbot.models import (
    FailedEvent,
    Flow,
    FlowRun,
    Incident,
    IncidentKind,
    Media,
    MessageLog,
    MessageStatus,
    MessageTemplate,
    Price,
    Secret,
    Task,
    TaskStatus,
    Trigger,
    Worker,
)
from chatbot.tests import recipes
from chatbot.tests.recipes import ana, bia
from sessions_app.models import Owner

pytestmark = pytest.mark.django_db

LOGS = [
    "flowlog",
    "messagelog",
    "flowrun",
    "flowversion",
    "task",
    "media",
    "failedevent",
    "incident",
    "worker",
]


def listed(name):
    return reverse(f"admin:chatbot_{name}_changelist")


def changed(name, pk):
    return reverse(f"admin:chatbot_{name}_change", args=[pk])


def said(response):
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def act(client, name, action, *rows):
    chosen = [row.pk for row in rows]
    return client.post(listed(name), {"action": action, "_selected_action": chosen})


def one_of_each(number=1):
    """A row of every model that has a list, each with relations of its own."""
    session = recipes.session()
    flow = recipes.flow(f"fluxo{number}", draft_saved_by=ana())
    version = recipes.version(flow, published_by=ana())
    Flow.objects.filter(pk=flow.pk).update(published=version)
    trigger = baker.make(Trigger, flow=flow, kind="catch_all", channel=session.channel)
    run = recipes.run(session, version, trigger=trigger)
    log = recipes.flow_log(session, 1, run=run)
    message = recipes.inbound(session)
    return {
        "flow": flow,
        "flowversion": version,
        "trigger": trigger,
        "flowrun": run,
        "flowlog": log,
        "messagelog": message,
        "task": baker.make(Task, session=session, kind="wait", run_at=timezone.now()),
        "media": baker.make(Media, message=message, mime_type="image/jpeg"),
        "messagetemplate": baker.make(MessageTemplate, channel=session.channel, name=f"m{number}"),
        "failedevent": baker.make(FailedEvent, channel=session.channel, message=message),
        "incident": baker.make(
            Incident,
            kind=IncidentKind.TOKEN,
            channel=session.channel,
            key=f"token:{session.channel_id}:",
            opened_at=timezone.now(),
            last_seen_at=timezone.now(),
        ),
        "price": baker.make(Price, category=f"c{number}", amount=1, valid_from=date(2026, 10, 1)),
        "secret": baker.make(Secret, name=f"s{number}", value={"value": "x"}, updated_by=ana()),
        "worker": baker.make(Worker, name=f"w{number}", beat_at=timezone.now()),
    }


MODELS = [
    "flow",
    "flowversion",
    "trigger",
    "flowrun",
    "flowlog",
    "messagelog",
    "task",
    "media",
    "messagetemplate",
    "failedevent",
    "incident",
    "price",
    "secret",
    "worker",
]


# --- Every list


def test_every_model_of_the_chatbot_is_in_the_console():
    here = {model._meta.model_name for model in admin.site._registry if "chatbot" in str(model)}
    assert here == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_list_costs_the_same_for_many_rows(client, name):
    client.force_login(ana())
    one_of_each()
    client.get(listed(name))  # content types and the like are read once
    with CaptureQueriesContext(connection) as few:
        assert client.get(listed(name)).status_code == 200
    for number in range(2, 8):
        one_of_each(number)
    with CaptureQueriesContext(connection) as many:
        assert client.get(listed(name)).status_code == 200
    assert len(many) == len(few)


@pytest.mark.parametrize("name", MODELS)
def test_every_row_opens_for_an_admin_and_can_be_searched_for(client, name):
    client.force_login(ana())
    row = one_of_each()[name]
    assert client.get(changed(name, row.pk)).status_code == 200
    assert client.get(listed(name), {"q": "davi"}).status_code == 200


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"flowlog", "messagelog", "media"}))
def test_what_is_the_admins_work_is_closed_to_attendants(client, name):
    row = one_of_each()[name]
    client.force_login(bia())
    may_look = name == "messagetemplate"
    assert client.get(listed(name)).status_code == (200 if may_look else 403)
    assert client.post(changed(name, row.pk), {}).status_code == 403


# --- Logs


@pytest.mark.parametrize("name", LOGS)
def test_nobody_adds_changes_or_deletes_there(client, name):
    row = one_of_each()[name]
    client.force_login(ana(is_superuser=True))
    assert client.get(reverse(f"admin:chatbot_{name}_add")).status_code == 403
    assert client.post(changed(name, row.pk), {"text": "outro"}).status_code == 403
    delete = reverse(f"admin:chatbot_{name}_delete", args=[row.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    act(client, name, "delete_selected", row)
    assert type(row)._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("name", ["messagelog", "flowlog", "media"])
def test_an_attendant_reads_the_logs_of_their_tickets_only(client, name):
    mine, others = one_of_each()[name], one_of_each(2)[name]
    session = getattr(mine, "session", None) or mine.message.session
    recipes.ticket(session=session, assignee=bia())
    client.force_login(bia())
    page = client.get(listed(name))
    assert [row.pk for row in page.context["cl"].result_list] == [mine.pk]
    assert client.get(changed(name, mine.pk)).status_code == 200
    assert client.get(changed(name, others.pk)).status_code == 302


def test_a_log_counts_no_further_than_anybody_pages(client, monkeypatch):
    session = recipes.session()
    for _ in range(5):
        recipes.inbound(session)
    monkeypatch.setattr("chatbot.log_admin.CappedPaginator.MOST", 3)
    client.force_login(ana())
    assert client.get(listed("messagelog")).context["cl"].result_count == 3


def test_what_a_customer_wrote_is_never_markup(client):
    message = recipes.inbound(recipes.session(), "<script>alert(1)</script>")
    client.force_login(ana())
    for page in (client.get(listed("messagelog")), client.get(changed("messagelog", message.pk))):
        assert "<script>alert(1)" not in page.content.decode()


def test_every_kind_of_message_has_a_name_for_people():
    assert KIND_LABELS.keys() == set(Kind)


# --- Actions


def failed(session, code="unconfirmed", **fields):
    return recipes.outbound(
        session, status=MessageStatus.FAILED, error_code=code, author="attendant", **fields
    )


def test_an_unconfirmed_message_can_be_sent_again(client):
    session = recipes.session(owner=Owner.ATTENDANT)
    recipes.ticket(session=session, assignee=bia())
    message = failed(session)
    client.force_login(bia())
    act(client, "messagelog", "send_again", message)
    again = MessageLog.objects.get(status=MessageStatus.QUEUED)
    assert (again.text, again.author_user) == (message.text, bia())


def test_only_unconfirmed_messages_are_sent_again(client):
    session = recipes.session(owner=Owner.ATTENDANT)
    rows = [failed(session, "131026"), recipes.outbound(session, status=MessageStatus.SENT)]
    client.force_login(ana())
    act(client, "messagelog", "send_again", *rows)
    assert not MessageLog.objects.filter(status=MessageStatus.QUEUED).exists()


def test_a_message_that_cannot_be_sent_again_is_said_and_the_others_go(client):
    over = recipes.session(owner=Owner.ATTENDANT, ended_at=timezone.now(), end_reason="resolved")
    stays, goes = failed(over), failed(recipes.session(owner=Owner.ATTENDANT))
    client.force_login(ana())
    with zeal_ignore():  # each row in a transaction of its own, under its session's lock
        answer = act(client, "messagelog", "send_again", stays, goes)
    again = MessageLog.objects.get(status=MessageStatus.QUEUED)
    assert again.session == goes.session
    assert f"#{stays.pk}" in said(answer)


def test_a_failed_task_is_due_again(client):
    task = baker.make(
        Task,
        kind="wait",
        session=recipes.session(),
        status=TaskStatus.FAILED,
        attempts=5,
        run_at=timezone.now() - timedelta(days=1),
    )
    done = baker.make(
        Task, kind="wait", session=task.session, status=TaskStatus.DONE, run_at=task.run_at
    )
    client.force_login(ana())
    act(client, "task", "retry", task, done)
    task.refresh_from_db()
    done.refresh_from_db()
    assert (task.status, task.attempts) == (TaskStatus.PENDING, 0)
    assert done.status == TaskStatus.DONE


def test_the_body_of_a_failed_event_is_shown_whatever_its_bytes(client):
    event = baker.make(FailedEvent, body=b'{"text": "\xff<b>"}', item={"kind": "text"})
    client.force_login(ana())
    page = client.get(changed("failedevent", event.pk)).content.decode()
    assert "\ufffd&lt;b&gt;" in page


# --- Flows


def test_nothing_is_posted_to_the_page_of_a_flow(client):
    flow = recipes.flow()
    client.force_login(ana())
    answer = client.post(changed("flow", flow.pk), {"name": "Olá", "draft": "{}"})
    flow.refresh_from_db()
    assert answer.status_code == 405
    assert (flow.name, flow.draft_revision) == ("Oi", 0)


def test_the_list_says_what_is_on_air_what_waits_and_what_starts_it(client):
    flow = recipes.flow()
    flows_service.publish(flow, user=None)
    recipes.flow("novo", draft=recipes.document("novo"))
    baker.make(Trigger, flow=flow, kind="keyword", keywords=["boleto", "fatura"])
    client.force_login(ana())
    page = client.get(listed("flow")).content.decode()
    assert '<span class="chip ok">v1' in page
    assert page.count('<span class="chip warn">') == 1
    assert "boleto, fatura" in page


def test_a_flow_that_was_on_air_is_not_deleted(client):
    flow = recipes.flow()
    flows_service.publish(flow, user=None)
    client.force_login(ana())
    client.post(reverse("admin:chatbot_flow_delete", args=[flow.pk]), {"post": "yes"})
    assert Flow.objects.filter(pk=flow.pk).exists()


def test_a_run_names_its_flow_without_reading_its_document(client):
    run = one_of_each()["flowrun"]
    client.force_login(ana())
    with CaptureQueriesContext(connection) as statements:
        client.get(listed("flowrun"))
    assert FlowRun.objects.filter(pk=run.pk).exists()
    read = " ".join(one["sql"] for one in statements.captured_queries)
    assert '"chatbot_flowversion"."document"' not in read
    assert '"credentials"' not in read
