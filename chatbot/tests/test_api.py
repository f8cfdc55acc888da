from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from chatbot.channels.whatsapp_cloud.transport import WhatsAppCloud
from chatbot.engine.nodes import parse_flow
from chatbot.models import FlowVersion, MessageLog, MessageStatus
from chatbot.tests import recipes
from chatbot.tests.recipes import ana, api, bia
from sessions_app.models import Owner

pytestmark = pytest.mark.django_db

MESSAGES = "/api/v1/messages/"
FLOW_LOGS = "/api/v1/flow-logs/"
FLOWS = "/api/v1/flows/"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def ids(response):
    return {row["id"] for row in response.json()["results"]}


def open_window(**fields):
    """A conversation in which a person may write now."""
    return recipes.session(window_expires_at=timezone.now() + timedelta(hours=1), **fields)


def with_ticket_of(user):
    """A conversation that is with this attendant."""
    session = open_window(owner=Owner.ATTENDANT)
    recipes.ticket(session=session, assignee=user, status="in_progress")
    return session


def reply(session, /, **fields):
    return {"session": session.pk, "text": "Bom dia!", "client_id": str(uuid4()), **fields}


# --- Reading messages


def test_an_attendant_reads_the_messages_of_their_tickets_only():
    mine, others = with_ticket_of(bia()), recipes.session()
    visible, hidden = recipes.inbound(mine), recipes.inbound(others)
    client = api(bia(), "messages:read")
    assert ids(client.get(MESSAGES)) == {visible.pk}
    assert client.get(f"{MESSAGES}{visible.pk}/").status_code == 200
    assert client.get(f"{MESSAGES}{hidden.pk}/").status_code == 404


def test_a_failed_message_says_in_words_what_to_do():
    failed = {"status": MessageStatus.FAILED, "error_code": "190", "error_detail": "Expired"}
    message = recipes.outbound(recipes.session(), **failed)
    row = api(ana()).get(f"{MESSAGES}{message.pk}/").json()
    said = WhatsAppCloud.explain("190")
    assert row["error_text"] == f"{said.what} {said.advice} (190)"
    assert (row["error_code"], row["error_detail"]) == ("190", "Expired")


def test_a_message_says_who_wrote_what_and_how_far_it_came():
    session = recipes.session()
    message = recipes.outbound(session, text="Olá!", status=MessageStatus.SENT, sent_at=NOON)
    row = api(ana()).get(f"{MESSAGES}{message.pk}/").json()
    assert row["session"] == session.pk
    assert row["lead"] == session.lead_id
    assert (row["direction"], row["author"], row["text"]) == ("out", "bot", "Olá!")
    assert (row["status"], row["sent_at"]) == ("sent", "2026-03-02T09:00:00-03:00")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"direction": "in"}, {"oi"}),
        ({"status": "sent"}, {"sent"}),
        ({"status": ["sent", "failed"]}, {"sent", "failed"}),
        ({"kind": "image"}, {"failed"}),
        ({"created_after": "2026-03-02T12:30:00Z"}, {"sent", "failed"}),
        ({"created_before": "2026-03-02T12:30:00Z"}, {"oi"}),
        ({"lead": "other"}, set()),
    ],
    ids=["direction", "status", "two statuses", "kind", "after", "before", "lead"],
)
def test_messages_are_filtered(query, found):
    session = recipes.session()
    later = NOON + timedelta(hours=1)
    recipes.inbound(session, "oi", created_at=NOON)
    recipes.outbound(session, "sent", status=MessageStatus.SENT, created_at=later)
    recipes.outbound(session, "failed", kind="image", status=MessageStatus.FAILED, created_at=later)
    query = {key: recipes.lead().pk if value == "other" else value for key, value in query.items()}
    rows = api(ana()).get(MESSAGES, query).json()["results"]
    assert {row["text"] for row in rows} == found


def test_messages_of_one_session_are_paged_newest_first():
    session = recipes.session()
    rows = [recipes.inbound(session) for _ in range(5)]
    recipes.inbound(recipes.session())
    client = api(ana())
    first = client.get(MESSAGES, {"session": session.pk, "page_size": 3}).json()
    second = client.get(first["next"]).json()
    seen = [row["id"] for row in first["results"] + second["results"]]
    assert seen == [row.pk for row in reversed(rows)]
    assert second["next"] is None


def test_an_unknown_filter_value_is_refused_with_the_field():
    answer = api(ana()).get(MESSAGES, {"status": "lost"})
    assert answer.status_code == 400
    assert "status" in answer.json()["fields"]


def test_simulated_conversations_are_left_out_unless_asked_for():
    session = recipes.session(is_simulated=True)
    message = recipes.inbound(session)
    client = api(ana())
    assert ids(client.get(MESSAGES)) == set()
    assert ids(client.get(MESSAGES, {"simulated": "true"})) == {message.pk}
    assert ids(client.get(MESSAGES, {"session": session.pk})) == {message.pk}
    assert client.get(f"{MESSAGES}{message.pk}/").status_code == 200


def test_a_page_of_messages_costs_the_same_for_many(django_assert_max_num_queries):
    for _ in range(10):
        recipes.inbound(recipes.session())
    client = api(ana())
    with django_assert_max_num_queries(4):
        assert len(ids(client.get(MESSAGES))) == 10


# --- Writing


def test_posting_a_message_queues_the_attendants_reply():
    session = with_ticket_of(bia())
    answer = api(bia(), "messages:write").post(MESSAGES, reply(session))
    assert answer.status_code == 201
    row = MessageLog.objects.get(pk=answer.json()["id"])
    assert (row.text, row.status, row.author) == ("Bom dia!", "queued", "attendant")
    assert row.author_user == bia()


def test_the_same_client_id_twice_is_one_message():
    session = with_ticket_of(bia())
    client, body = api(bia(), "messages:write"), reply(session)
    first, second = client.post(MESSAGES, body), client.post(MESSAGES, body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert MessageLog.objects.count() == 1


def test_a_reply_outside_the_service_window_is_refused_and_nothing_stored():
    session = with_ticket_of(bia())
    session.window_expires_at = timezone.now() - timedelta(hours=1)
    session.save(update_fields=["window_expires_at"])
    answer = api(bia(), "messages:write").post(MESSAGES, reply(session))
    assert answer.status_code == 409
    assert answer.json()["code"] == "window_closed"
    assert not MessageLog.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [{"text": "  "}, {"text": "x" * 5000}, {"client_id": "7"}, {"session": 0}],
    ids=["empty", "too long", "no UUID", "no session"],
)
def test_a_reply_that_is_not_valid_is_refused_with_the_field(wrong):
    session = with_ticket_of(bia())
    answer = api(bia(), "messages:write").post(MESSAGES, reply(session, **wrong))
    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == set(wrong)


def test_a_session_of_others_does_not_exist_for_an_attendant():
    session = open_window()
    answer = api(bia(), "messages:write").post(MESSAGES, reply(session))
    assert answer.status_code == 400
    assert "session" in answer.json()["fields"]


@pytest.mark.parametrize("scope", ["messages:read", "leads:write"])
def test_a_token_without_the_scope_cannot_write(scope):
    session = with_ticket_of(bia())
    assert api(bia(), scope).post(MESSAGES, reply(session)).status_code == 403


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_what_was_said_cannot_be_changed(method):
    message = recipes.inbound(recipes.session())
    assert getattr(api(ana()), method)(f"{MESSAGES}{message.pk}/").status_code == 405


@pytest.mark.parametrize("address", [MESSAGES, FLOW_LOGS, FLOWS])
def test_without_a_token_nothing_is_told(address):
    assert api().get(address).status_code == 401


@pytest.mark.parametrize("address", [MESSAGES, FLOW_LOGS, FLOWS])
def test_the_closing_slash_may_be_missing(address):
    assert api(ana()).get(address.rstrip("/")).status_code == 200


# --- Flow logs


def test_an_attendant_reads_the_flow_log_of_their_tickets_only():
    mine = recipes.flow_log(with_ticket_of(bia()), 1)
    hidden = recipes.flow_log(recipes.session(), 1)
    client = api(bia(), "flow-logs:read")
    assert ids(client.get(FLOW_LOGS)) == {mine.pk}
    assert client.get(f"{FLOW_LOGS}{hidden.pk}/").status_code == 404


def test_flow_logs_are_filtered_by_session_and_kind():
    session = recipes.session()
    start = recipes.flow_log(session, 1, kind="start")
    recipes.flow_log(session, 2)
    recipes.flow_log(recipes.session(), 1, kind="start")
    query = {"session": session.pk, "kind": "start"}
    assert ids(api(ana()).get(FLOW_LOGS, query)) == {start.pk}


def test_a_flow_log_cannot_be_written():
    assert api(ana()).post(FLOW_LOGS, {}).status_code == 405


# --- Flows


def test_flows_are_the_admins_work():
    recipes.flow()
    assert api(bia()).get(FLOWS).status_code == 403
    assert api(ana()).get(FLOWS).json()["results"][0]["slug"] == "oi"


def test_a_flow_is_read_with_its_draft():
    flow = recipes.flow()
    answer = api(ana(), "flows:read").get(f"{FLOWS}oi/").json()
    assert answer["draft"] == flow.draft
    assert answer["published"] is None


def test_a_draft_is_replaced_with_the_revision_it_began_with():
    flow = recipes.flow()
    document = recipes.document(text="Bom dia!")
    client = api(ana(), "flows:write")
    first = client.put(f"{FLOWS}oi/draft/", {"draft": document, "revision": 0})
    second = client.put(f"{FLOWS}oi/draft/", {"draft": recipes.document(), "revision": 0})
    flow.refresh_from_db()
    assert (first.status_code, first.json()["draft_revision"]) == (200, 1)
    assert (second.status_code, second.json()["code"]) == (409, "draft_conflict")
    assert flow.draft == parse_flow(document).as_dict()
    assert flow.draft_saved_by == ana()


def test_the_check_names_what_is_wrong():
    recipes.flow(draft={**recipes.document(), "start": ""})
    found = api(ana()).get(f"{FLOWS}oi/check/").json()
    assert ("error", "missing_start") in {(one["severity"], one["code"]) for one in found}


def test_publishing_answers_with_the_version():
    flow = recipes.flow()
    answer = api(ana(), "flows:write").post(f"{FLOWS}oi/publish/", {"note": "começo"})
    flow.refresh_from_db()
    assert answer.status_code == 201
    assert (answer.json()["number"], answer.json()["note"]) == (1, "começo")
    assert flow.published.published_by == ana()


def test_publishing_a_flow_with_errors_is_refused():
    recipes.flow(draft={**recipes.document(), "start": ""})
    answer = api(ana(), "flows:write").post(f"{FLOWS}oi/publish/")
    assert (answer.status_code, answer.json()["code"]) == (409, "flow_has_errors")
    assert not FlowVersion.objects.exists()


def test_the_versions_are_listed_newest_first():
    flow = recipes.flow()
    recipes.version(flow, 1)
    recipes.version(flow, 2)
    rows = api(ana()).get(f"{FLOWS}oi/versions/").json()["results"]
    assert [row["number"] for row in rows] == [2, 1]


@pytest.mark.parametrize(
    ("method", "path"), [("put", "draft/"), ("post", "publish/")], ids=["draft", "publish"]
)
def test_a_token_that_may_read_flows_cannot_change_them(method, path):
    recipes.flow()
    client = api(ana(), "flows:read")
    assert getattr(client, method)(f"{FLOWS}oi/{path}", {}).status_code == 403


# --- The description of the API


def test_the_schema_describes_every_address_without_a_warning(capsys):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")
    assert "Warning" not in capsys.readouterr().err


def test_the_pages_of_the_api_need_nothing_from_elsewhere(client):
    client.force_login(ana())
    page = client.get("/api/v1/docs/").content.decode()
    assert "://cdn" not in page
    assert "swagger-ui" in page
