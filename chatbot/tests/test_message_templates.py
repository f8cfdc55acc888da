"""Message templates: the provider's list, what the webhook says, what may be sent, and by whom."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from chatbot import message_templates, template_sync, template_tasks
from chatbot.conversation import ReplyRefused, send_template
from chatbot.delivery import deliver_pending
from chatbot.message_templates import TemplateRefused
from chatbot.models import (
    FailedEvent,
    Incident,
    MessageLog,
    MessageTemplate,
    Task,
    TaskKind,
    TaskStatus,
    TemplateStatus,
)
from chatbot.tasks import claim_due, run_task
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import post, post_file, say, status, text, whatsapp_channel
from chatbot.worker import periodic
from leads.models import Lead
from sessions_app.models import Channel, EndReason, Owner
from tickets.errors import TicketConflict
from tickets.models import Ticket

pytestmark = pytest.mark.django_db

ACCOUNT = "200000000000001"
BODY = [
    {"type": "BODY", "text": "Oi {{1}}, tudo certo?", "example": {"body_text": [["Ana"]]}},
    {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Sim"}]},
]


@pytest.fixture
def channel(db):
    return whatsapp_channel(account_id=ACCOUNT, rate_per_second=stage.FASTEST)


@pytest.fixture
def shop(db):
    """With the shipped flows, and nothing remembered of another test's."""
    return stage.open_shop(account_id=ACCOUNT)


def template(channel, **fields):
    values = {
        "name": "retorno",
        "language": "pt_BR",
        "category": "UTILITY",
        "status": TemplateStatus.APPROVED,
        "components": BODY,
        "provider_id": "500000000000001",
        **fields,
    }
    return MessageTemplate.objects.create(channel=channel, **values)


def known(graph_api, **fields):
    """One more template at the provider."""
    number = len(graph_api.book.templates) + 1
    graph_api.book.templates.append(
        {
            "id": f"50000000000000{number}",
            "name": f"modelo_{number}",
            "language": "pt_BR",
            "status": "APPROVED",
            "category": "UTILITY",
            "components": BODY,
            "quality_score": {"score": "GREEN"},
            "rejected_reason": "NONE",
            **fields,
        }
    )


def run_tasks():
    return [run_task(task) for task in claim_due(limit=20, now=timezone.now())]


def news(client, field, *, at=None, business=ACCOUNT, **value):
    """What Meta's webhook says of a template."""
    said = {
        "message_template_id": 500000000000001,
        "message_template_name": "retorno",
        "message_template_language": "pt_BR",
        **value,
    }
    entry = {
        "id": business,
        "time": int((at or datetime.now(UTC)).timestamp()),
        "changes": [{"field": field, "value": said}],
    }
    body = {"object": "whatsapp_business_account", "entry": [entry]}
    return post(client, json.dumps(body).encode())


def closed(channel, **fields):
    """A conversation whose window has closed."""
    past = timezone.now() - timedelta(hours=1)
    return stage.talk(channel, window_expires_at=past, **fields)


def send(session, **more):
    values = {"name": "retorno", "language": "pt_BR", "values": {"1": "Davi"}, **more}
    return send_template(session, **{"user": recipes.ana(), **values})


# --- The list


def test_the_first_message_teaches_the_account_and_the_worker_asks_for_its_templates(
    client, graph_api
):
    stage.open_shop()
    known(graph_api)
    say(client, text("Oi"))
    assert Channel.objects.get().account_id == ACCOUNT
    periodic()
    assert set(run_tasks()) == {TaskStatus.DONE}
    row = MessageTemplate.objects.get()
    assert (row.name, row.status, row.quality) == ("modelo_1", "approved", "GREEN")
    asked = graph_api.requests[-1]
    assert f"/{ACCOUNT}/message_templates?" in asked.path


def test_an_account_that_is_known_is_not_learned_anew(client, channel):
    Channel.objects.update(account_id="999")
    say(client, text("Oi"))
    assert Channel.objects.get().account_id == "999"


def test_all_pages_are_read(channel, graph_api):
    for _number in range(250):
        known(graph_api)
    template_sync.sync(channel)
    assert MessageTemplate.objects.count() == 250
    assert len([one for one in graph_api.requests if one.method == "GET"]) == 3


def test_changes_are_taken_over_and_what_vanished_is_kept_as_deleted(channel, graph_api):
    mine = template(channel, status=TemplateStatus.PENDING)
    gone = template(channel, name="antigo", provider_id="1")
    draft = template(channel, name="rascunho", status=TemplateStatus.DRAFT, provider_id="")
    known(graph_api, name="retorno", status="REJECTED", rejected_reason="SCAM")
    template_sync.sync(channel)
    states = {row.pk: (row.status, row.reason) for row in MessageTemplate.objects.all()}
    assert states == {
        mine.pk: ("rejected", "SCAM"),
        gone.pk: ("deleted", ""),
        draft.pk: ("draft", ""),
    }


def test_a_status_yet_to_come_is_never_approved(channel, graph_api):
    known(graph_api, status="SUPER_APPROVED")
    template_sync.sync(channel)
    row = MessageTemplate.objects.get()
    assert (row.status, row.reason) == ("disabled", "SUPER_APPROVED")


def test_a_page_that_cannot_be_read_deletes_nothing(channel, graph_api):
    mine = template(channel)
    template_tasks.request_sync(channel, now=timezone.now())
    graph_api.answer(200, "<html>")
    assert run_tasks() == [TaskStatus.FAILED]
    mine.refresh_from_db()
    assert mine.status == "approved"


def test_trouble_is_told_and_there_is_always_a_next_run(channel, graph_api):
    template_tasks.request_sync(channel, now=timezone.now())
    graph_api.fail("error_190.json")
    assert run_tasks() == [TaskStatus.FAILED]
    following = Task.objects.get(status=TaskStatus.PENDING)
    assert following.run_at > timezone.now() + timedelta(hours=5)
    assert template_tasks.last_trouble()[0].endswith("(190)")


def test_one_task_an_account_however_often_it_is_asked_for(channel):
    whatsapp_channel(
        slug="segundo", external_id="100000000000002", account_id=ACCOUNT, is_default=False
    )
    for _round in range(3):
        periodic()
        template_tasks.request_sync(channel, now=timezone.now())
    assert Task.objects.filter(kind=TaskKind.TEMPLATES).count() == 1


def test_after_a_run_the_next_one_stays_in_the_future(channel, graph_api):
    periodic()
    run_tasks()
    periodic()
    assert run_tasks() == []
    waiting = Task.objects.get(kind=TaskKind.TEMPLATES, status=TaskStatus.PENDING)
    assert waiting.run_at > timezone.now() + timedelta(hours=5)


def test_a_second_number_of_the_account_uses_the_same_row(channel, graph_api):
    second = whatsapp_channel(
        slug="segundo", external_id="100000000000002", account_id=ACCOUNT, is_default=False
    )
    known(graph_api, name="retorno")
    template_sync.sync(channel)
    template_sync.sync(second)
    row = MessageTemplate.objects.get()
    assert message_templates.find(second, "retorno", "pt_BR") == row
    message = send(closed(second))
    deliver_pending()
    assert stage.fresh(message).status == "sent"


def test_another_account_does_not_see_it(channel):
    template(channel)
    other = whatsapp_channel(
        slug="outra", external_id="100000000000009", account_id="9", is_default=False
    )
    assert message_templates.find(other, "retorno", "pt_BR") is None


# --- The webhook


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("APPROVED", "approved"),
        ("REJECTED", "rejected"),
        ("PAUSED", "paused"),
        ("DISABLED", "disabled"),
        ("IN_APPEAL", "appeal"),
        ("PENDING_DELETION", "deleted"),
        ("REINSTATED", "approved"),
        ("FLAGGED", "pending"),
        ("UNARCHIVED", "pending"),
        ("QUANTUM_STATE", "disabled"),
    ],
)
def test_a_status_update_moves_the_row_and_a_new_word_never_approves(
    client, channel, event, expected
):
    row = template(channel, status=TemplateStatus.PENDING)
    assert news(client, "message_template_status_update", event=event).status_code == 200
    row.refresh_from_db()
    assert row.status == expected


def test_the_update_of_an_account_reaches_the_row_on_whichever_number_it_is(client, channel):
    second = whatsapp_channel(
        slug="segundo", external_id="100000000000002", account_id="77", is_default=False
    )
    mine, other = template(channel), template(second)
    news(client, "message_template_status_update", event="DISABLED", business="77")
    mine.refresh_from_db(), other.refresh_from_db()
    assert (mine.status, other.status) == ("approved", "disabled")


def test_an_older_word_does_not_replace_a_newer_one(client, channel):
    row = template(channel, status=TemplateStatus.PENDING)
    now = datetime.now(UTC)
    news(client, "message_template_status_update", event="APPROVED", at=now)
    earlier = now - timedelta(minutes=5)
    news(client, "message_template_status_update", event="REJECTED", at=earlier)
    row.refresh_from_db()
    assert row.status == "approved"


def test_a_pause_says_until_when_and_opens_an_incident_that_approval_closes(client, channel):
    row = template(channel)
    pause = {"title": "FIRST_PAUSE", "description": "…"}
    news(client, "message_template_status_update", event="PAUSED", other_info=pause)
    row.refresh_from_db()
    hours = (row.paused_until - timezone.now()).total_seconds() / 3600
    assert 2.9 < hours < 3.1
    assert Incident.objects.get(closed_at=None).facts["name"] == "retorno"
    news(client, "message_template_status_update", event="APPROVED")
    assert not Incident.objects.filter(closed_at=None).exists()


def test_quality_and_category_are_taken_over_without_touching_the_status(client, channel):
    row = template(channel)
    news(client, "message_template_quality_update", new_quality_score="RED")
    news(
        client,
        "template_category_update",
        new_category="MARKETING",
        previous_category="UTILITY",
    )
    row.refresh_from_db()
    assert (row.status, row.quality) == ("approved", "RED")
    assert (row.category, row.previous_category) == ("MARKETING", "UTILITY")


def test_changed_components_are_asked_for(client, channel, graph_api):
    row = template(channel)
    known(graph_api, name="retorno", components=[{"type": "BODY", "text": "Outro texto."}])
    news(client, "message_template_components_update", message_template_element="Outro texto.")
    run_tasks()
    row.refresh_from_db()
    assert row.parts.body == "Outro texto."


def test_news_of_a_template_that_is_not_known_ask_for_the_list(client, channel, graph_api):
    known(graph_api, name="novo")
    news(client, "message_template_status_update", event="APPROVED", message_template_name="novo")
    run_tasks()
    assert MessageTemplate.objects.get().name == "novo"


def test_a_draft_is_nobodys_news(client, channel):
    row = template(channel, status=TemplateStatus.DRAFT)
    news(client, "message_template_status_update", event="APPROVED")
    row.refresh_from_db()
    assert row.status == "draft"


@pytest.mark.parametrize(
    "value",
    [
        {"event": None},
        {"event": "PAUSED", "other_info": [], "message_template_name": "a\x00b"},
        {"event": "APPROVED", "message_template_language": {"x": 1}},
        {"event": "X" * 500, "reason": "y" * 5000, "message_template_id": "z" * 400},
    ],
    ids=["null", "nul", "object", "long"],
)
def test_strange_news_are_no_trouble(client, channel, value):
    template(channel)
    assert news(client, "message_template_status_update", **value).status_code == 200
    assert not FailedEvent.objects.filter(state="new").exists()


def test_the_recorded_payload_pauses_the_template(client, channel):
    row = template(channel, name="lembrete_consulta")
    post_file(client, "field_template_status_update.json")
    row.refresh_from_db()
    assert row.status == "paused"


# --- May it go?


REFUSED = {
    "draft": ("draft", "template_not_approved"),
    "pending": ("pending", "template_not_approved"),
    "rejected": ("rejected", "template_rejected"),
    "paused": ("paused", "template_paused"),
    "disabled": ("disabled", "template_disabled"),
    "deleted": ("deleted", "template_deleted"),
}


@pytest.mark.parametrize(("state", "code"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_approved_is_refused_before_the_provider_hears_of_it(
    channel, graph_api, state, code
):
    template(channel, status=state)
    with pytest.raises(ReplyRefused) as refusal:
        send(closed(channel))
    assert refusal.value.code == code
    assert not MessageLog.objects.exists()


@pytest.mark.parametrize(
    ("values", "code"),
    [({}, "template_values"), ({"1": "a\nb"}, "template_values"), ({"1": "x"}, None)],
    ids=["missing", "line break", "right"],
)
def test_values_are_checked_before_sending(channel, values, code):
    template(channel)
    if code is None:
        assert send(closed(channel), values=values).text == "Oi x, tudo certo?"
        return
    with pytest.raises(ReplyRefused) as refusal:
        send(closed(channel), values=values)
    assert refusal.value.code == code


def test_another_language_is_another_template(channel):
    template(channel)
    with pytest.raises(ReplyRefused) as refusal:
        send(closed(channel), language="en_US")
    assert refusal.value.code == "template_unknown"


def test_a_pause_that_is_over_ends_by_itself(channel):
    over = timezone.now() - timedelta(minutes=1)
    template(channel, status=TemplateStatus.PAUSED, paused_until=over)
    assert send(closed(channel)).status == "queued"


def test_it_is_checked_again_just_before_the_call(channel, graph_api):
    row = template(channel)
    message = send(closed(channel))
    MessageTemplate.objects.filter(pk=row.pk).update(status="paused")
    deliver_pending()
    assert (stage.fresh(message).status, stage.fresh(message).error_code) == (
        "failed",
        "template_paused",
    )
    assert graph_api.requests == []


@pytest.mark.parametrize(
    ("category", "may_go"),
    [("UTILITY", True), ("AUTHENTICATION", True), ("MARKETING", False), ("A_NEW_ONE", False)],
)
def test_who_has_opted_out_gets_no_marketing(channel, category, may_go):
    template(channel, category=category)
    session = closed(channel)
    Lead.objects.update(opted_out_at=timezone.now())
    if may_go:
        assert send(session).status == "queued"
        return
    with pytest.raises(ReplyRefused) as refusal:
        send(session)
    assert refusal.value.code == "opted_out"


# --- Sending


def test_what_is_sent_is_what_the_protocol_wants_and_the_history_shows(channel, graph_api):
    row = template(channel)
    session = closed(channel)
    message = send(session)
    deliver_pending()
    assert graph_api.messages[-1].body["template"] == {
        "name": "retorno",
        "language": {"code": "pt_BR"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Davi"}]}],
    }
    stored = stage.fresh(message)
    assert (stored.status, stored.text) == ("sent", "Oi Davi, tudo certo?")
    assert stored.payload["template"]["id"] == row.pk
    assert stored.payload["template"]["values"] == {"1": "Davi"}
    assert [one["title"] for one in stored.payload["options"]] == ["Sim"]


def test_in_a_conversation_that_has_ended_it_begins_a_new_one(channel):
    template(channel)
    ended = closed(channel, ended_at=timezone.now(), end_reason=EndReason.RESOLVED)
    click = uuid4()
    first, second = send(ended, client_id=click), send(ended, client_id=click)
    assert first == second
    session = first.session
    assert (session.pk != ended.pk, session.owner) == (True, Owner.ATTENDANT)
    assert Ticket.objects.get(session=session).assignee == recipes.ana()


def test_a_conversation_that_waits_in_another_queue_by_now_is_left_there(channel):
    template(channel)
    ended = closed(channel, ended_at=timezone.now(), end_reason=EndReason.RESOLVED)
    place = {"lead": ended.lead, "channel": channel, "identity": ended.identity}
    waits = recipes.session(owner=Owner.QUEUE, **place)
    recipes.ticket(session=waits, department=recipes.department("suporte"))
    with pytest.raises(TicketConflict) as refusal:
        send(ended, user=recipes.bia())
    assert refusal.value.code == "in_other_queue"
    assert Ticket.objects.get().assignee is None
    assert not MessageLog.objects.exists()


@pytest.mark.parametrize(
    ("code", "state"),
    [("132015", "paused"), ("132016", "disabled"), ("132007", "disabled"), ("132001", "disabled")],
)
def test_a_refusal_of_the_provider_stops_the_template_at_once(channel, graph_api, code, state):
    row = template(channel)
    send(closed(channel))
    graph_api.answer(400, {"error": {"code": int(code), "message": "refused"}})
    deliver_pending()
    row.refresh_from_db()
    assert (row.status, row.reason) == (state, code)
    assert Incident.objects.get().closed_at is None
    assert Task.objects.filter(kind=TaskKind.TEMPLATES).exists()
    with pytest.raises(ReplyRefused):
        send(closed(channel))


def test_a_failed_status_stops_it_too_and_the_next_list_lets_it_go_again(
    client, channel, graph_api
):
    row = template(channel)
    message = send(closed(channel))
    deliver_pending()
    failure = {"code": 132015, "title": "paused"}
    say(client, status(stage.fresh(message).provider_id, "failed", errors=[failure]))
    row.refresh_from_db()
    assert row.status == "paused"
    known(graph_api, name="retorno")
    template_sync.sync(channel)
    row.refresh_from_db()
    assert row.status == "approved"
    assert not Incident.objects.filter(closed_at=None).exists()


@pytest.mark.parametrize("door", ["answer", "status"])
def test_131050_is_an_opt_out(client, channel, graph_api, door):
    template(channel, category="MARKETING")
    message = send(closed(channel))
    failure = {"code": 131050, "message": "stopped", "title": "stopped"}
    if door == "answer":
        graph_api.answer(400, {"error": failure})
        deliver_pending()
    else:
        deliver_pending()
        say(client, status(stage.fresh(message).provider_id, "failed", errors=[failure]))
    lead = Lead.objects.get()
    assert lead.opted_out_at is not None
    assert lead.consents.get().origin == "whatsapp"


# --- Flows


def flow_with(use, **more):
    return {
        "inicio": {"kind": "start", "next": "modelo"},
        "modelo": {"kind": "send", "template": use, "next": "fim"},
        "fim": {"kind": "handoff", "text": "Já vem gente."},
        **more,
    }


def test_a_flow_sends_a_template_with_rendered_values(client, shop, graph_api):
    template(shop)
    stage.put_on_air(
        flow_with({"name": "retorno", "values": {"1": "{{ lead.first_name|cliente }}\n"}})
    )
    say(client, text("Oi", name="Davi Exemplo"))
    deliver_pending()
    first = graph_api.messages[0].body
    assert first["template"]["components"][0]["parameters"][0]["text"] == "Davi"
    assert MessageLog.objects.filter(kind="template").get().text == "Oi Davi, tudo certo?"


def test_a_flow_whose_template_was_paused_goes_on_and_the_row_says_why(client, shop, graph_api):
    template(shop, status=TemplateStatus.PAUSED)
    stage.put_on_air(flow_with({"name": "retorno", "values": {"1": "x"}}))
    say(client, text("Oi"))
    deliver_pending()
    refused = MessageLog.objects.get(kind="template")
    assert (refused.status, refused.error_code) == ("failed", "template_paused")
    assert [one.text for one in graph_api.messages] == ["Já vem gente."]


# --- The API


def test_the_api_sends_a_template_once(client, channel):
    template(channel)
    session = closed(channel)
    recipes.ticket(session=session, assignee=recipes.bia())
    client.force_login(recipes.bia())
    body = {
        "session": session.pk,
        "client_id": str(uuid4()),
        "template": {"name": "retorno", "values": {"1": "Davi"}},
    }
    first = client.post("/api/v1/messages/", body, content_type="application/json")
    again = client.post("/api/v1/messages/", body, content_type="application/json")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["text"] == "Oi Davi, tudo certo?"
    assert MessageLog.objects.count() == 1


@pytest.mark.parametrize(
    ("more", "status_code"),
    [
        ({}, 400),
        ({"text": "Oi", "template": {"name": "retorno"}}, 400),
        ({"template": {"name": "nenhum"}}, 409),
        ({"template": {"name": "retorno", "values": {}}}, 409),
    ],
    ids=["neither", "both", "unknown", "values"],
)
def test_the_api_says_what_is_wrong(client, channel, more, status_code):
    template(channel)
    session = closed(channel)
    client.force_login(recipes.ana())
    body = {"session": session.pk, "client_id": str(uuid4()), **more}
    answer = client.post("/api/v1/messages/", body, content_type="application/json")
    assert answer.status_code == status_code


def test_attendants_see_the_approved_ones_alone(client, channel, django_assert_num_queries):
    template(channel)
    template(channel, name="rascunho", status=TemplateStatus.DRAFT)
    client.force_login(recipes.bia())
    with django_assert_num_queries(3):  # session, person, rows
        listed = client.get("/api/v1/message-templates/").json()["results"]
    assert [(one["name"], one["values"]) for one in listed] == [("retorno", {"1": True})]
    client.force_login(recipes.ana())
    assert len(client.get("/api/v1/message-templates/").json()["results"]) == 2


# --- Submitting and deleting


def test_what_is_submitted_is_what_the_provider_wants(channel, graph_api):
    row = template(channel, status=TemplateStatus.DRAFT, provider_id="")
    template_sync.submit(row)
    sent = graph_api.requests[-1]
    assert sent.path.endswith(f"/{ACCOUNT}/message_templates")
    assert sent.body == {
        "name": "retorno",
        "language": "pt_BR",
        "category": "UTILITY",
        "parameter_format": "POSITIONAL",
        "components": BODY,
    }
    assert (row.status, row.provider_id) == ("pending", "700000000000001")


def test_a_rejected_one_is_edited_by_its_id(channel, graph_api):
    known(graph_api, name="retorno", status="REJECTED")
    row = template(channel, status=TemplateStatus.REJECTED)
    template_sync.submit(row)
    sent = graph_api.requests[-1]
    assert sent.path.endswith("/500000000000001")
    assert set(sent.body) == {"category", "components"}
    assert row.status == "pending"


def test_what_the_provider_dislikes_is_said_and_the_draft_kept(channel, graph_api):
    row = template(channel, status=TemplateStatus.DRAFT, provider_id="")
    told = "Já existe conteúdo em português para este modelo"
    error = {"code": 100, "error_subcode": 2388024, "message": "x", "error_user_msg": told}
    graph_api.answer(400, {"error": error})
    with pytest.raises(TemplateRefused) as refusal:
        template_sync.submit(row)
    assert told in refusal.value.message
    assert "(100)" in refusal.value.message
    row.refresh_from_db()
    assert (row.status, row.components) == ("draft", BODY)


def test_without_an_answer_nobody_knows_and_the_list_is_asked_for(channel, graph_api):
    row = template(channel, status=TemplateStatus.DRAFT, provider_id="")
    graph_api.cut()
    with pytest.raises(TemplateRefused) as refusal:
        template_sync.submit(row)
    assert refusal.value.code == "unknown"
    row.refresh_from_db()
    assert row.status == "pending"
    known(graph_api, name="retorno", status="PENDING")
    run_tasks()
    row.refresh_from_db()
    assert row.provider_id == "500000000000001"


def test_who_submitted_and_died_leaves_a_draft_that_the_next_list_gives_back(channel, graph_api):
    long_ago = timezone.now() - timedelta(hours=1)
    row = template(channel, status=TemplateStatus.PENDING, provider_id="", submitted_at=long_ago)
    template_sync.sync(channel)
    row.refresh_from_db()
    assert row.status == "draft"


def test_an_approved_one_cannot_be_submitted_again(channel, graph_api):
    with pytest.raises(TemplateRefused):
        template_sync.submit(template(channel))
    assert graph_api.requests == []


def test_deleting_tells_the_provider_and_keeps_the_row(channel, graph_api):
    known(graph_api, name="retorno")
    row = template(channel)
    assert template_sync.delete(row)
    assert graph_api.requests[-1].method == "DELETE"
    assert graph_api.book.templates == []
    assert row.status == "deleted"


def test_a_draft_that_nobody_has_seen_goes_away(channel, graph_api):
    row = template(channel, status=TemplateStatus.DRAFT, provider_id="")
    assert not template_sync.delete(row)
    assert not MessageTemplate.objects.exists()
    assert graph_api.requests == []
