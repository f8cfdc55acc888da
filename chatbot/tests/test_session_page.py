"""A session's page: who sees what of it, what is masked, what a poll and a long history cost."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone
from zeal import zeal_ignore

from chatbot.documents import document_of
from chatbot.models import (
    FlowLog,
    FlowLogKind,
    FlowRun,
    MessageLog,
    MessageStatus,
    Task,
    TaskKind,
)
from chatbot.session_actions import ends_at
from chatbot.session_page import SessionPage
from chatbot.session_page_lanes import Mark, read_lanes
from chatbot.tests import recipes, session_stage, stage
from chatbot.tests.recipes import ana, api, bia, caio
from chatbot.tests.session_stage import CPF, DIGITS
from leads.models import Lead
from sessions_app.models import EndReason, Owner, Session
from sessions_app.services import end_session
from tickets.models import Ticket
from users.masking import MASK

pytestmark = pytest.mark.django_db

AUTHENTICATION = 2  # the session cookie and its user
PAGE_OF = "admin:sessions_app_session_change"
FRAGMENTS = ["session_live", "session_where", "session_history", "session_copy"]
ACTIONS = ["session_end", "session_extend", "session_begin_again", "session_hand_over"]
EVIL = '"><script>alert(1)</script>'


@pytest.fixture
def session():
    session_stage.on_air()
    return session_stage.began("Oi")


@pytest.fixture
def with_cpf(session):
    session_stage.tapped("cpf")
    return session_stage.began(CPF)


def url(name, session, **query):
    return reverse(name, args=[session.pk], query=query or None)


def shown(client, session, **query):
    answer = client.get(url(PAGE_OF, session, **query))
    assert answer.status_code == 200
    return answer.content.decode()


def keep(session, person):
    """The person looks after the lead, and so sees its sessions."""
    Lead.objects.filter(pk=session.lead_id).update(attendant=person)


# --- Who -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FRAGMENTS, "session_end", "session_hand_over"])
def test_nobody_sees_anything_without_logging_in(client, session, name):
    answer = client.get(url(name, session))
    assert answer.status_code == 302
    assert answer.url.startswith(reverse("admin:login"))


@pytest.mark.parametrize("name", FRAGMENTS)
@pytest.mark.parametrize(
    ("person", "status"), [(ana, 200), (bia, 200), (caio, 404)], ids=["admin", "own", "other"]
)
def test_the_page_is_read_by_who_may_see_the_session(client, session, name, person, status):
    keep(session, bia())
    client.force_login(person())
    assert client.get(url(name, session)).status_code == status


@pytest.mark.parametrize("name", [*ACTIONS, "session_reveal"])
def test_nothing_is_done_to_a_session_that_one_may_not_see(client, session, name):
    client.force_login(caio())
    assert client.post(url(name, session), {"name": "cpf", "node": "cpf"}).status_code == 404


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("session_end", 403),
        ("session_extend", 403),
        ("session_begin_again", 403),
        ("session_hand_over", 302),
    ],
)
def test_an_attendant_may_hand_over_and_no_more(client, session, name, status):
    keep(session, bia())
    client.force_login(bia())
    assert client.post(url(name, session)).status_code == status
    page = shown(client, session)
    assert url("session_end", session) not in page
    assert url("session_begin_again", session) not in page


@pytest.mark.parametrize("name", ACTIONS)
def test_without_a_script_an_action_is_a_page_of_its_own(client, session, name):
    client.force_login(ana())
    page = client.get(url(name, session)).content.decode()
    assert f'action="{url(name, session)}"' in page


# --- What ----------------------------------------------------------------------------------------


def test_the_page_shows_where_the_person_is(client, session):
    session_stage.tapped("cpf")
    client.force_login(ana())
    page = shown(client, session)
    assert 'aria-current="step"' in page
    assert "Informar CPF" in page
    table = shown(client, session, view="table")
    assert 'id="passo-cpf" aria-current="step"' in " ".join(table.split())


def test_a_person_inside_a_sub_flow_is_at_the_passo_that_called_it(client):
    sub = {
        "schema": 1,
        "slug": "sub",
        "name": "Parte",
        "start": "pede",
        "nodes": {
            "pede": {"kind": "ask", "text": "E?", "save_as": "x", "next": "fim"},
            "fim": {"kind": "end"},
        },
    }
    nodes = {
        "inicio": {"kind": "start", "next": "parte"},
        "parte": {"kind": "flow", "flow": "sub", "next": "fim"},
        "fim": {"kind": "end"},
    }
    document_of.cache_clear()
    session_stage.whatsapp_channel()
    stage.put_on_air(nodes, subflows={"sub": sub})
    session = session_stage.began("Oi")
    page = SessionPage(session, user=ana(), at=timezone.now())
    assert page.drawn.seen.drawing.key == "sub"
    assert page.drawn.seen.current.id == "pede"
    client.force_login(ana())
    answer = client.get(url("session_where", session, flow="", view="table"))
    assert 'id="passo-parte" aria-current="step"' in " ".join(answer.content.decode().split())


def test_what_was_asked_for_and_not_answered_is_said(session):
    session = session_stage.tapped("cpf")
    known = SessionPage(session, user=ana(), at=timezone.now()).variables
    assert [(one.value.label, one.is_missing) for one in known] == [("opcao", False), ("CPF", True)]


def test_the_meter_counts_from_the_customers_last_message(session):
    now = session.last_interaction_at + timedelta(minutes=12)
    silence = SessionPage(session, user=ana(), at=now).silence
    assert (silence.minutes, silence.limit, silence.left, silence.percent) == (12, 30, 18, 40)


@pytest.mark.parametrize("how", ["people", "ended", "waiting"])
def test_nothing_expires_where_the_bot_waits_for_nobody(client, session, how):
    if how == "people":
        session_stage.tapped("gente")
    elif how == "waiting":
        session_stage.tapped("espera")
    else:
        end_session(session, reason=EndReason.CLOSED, at=timezone.now())
    client.force_login(ana())
    assert url("session_extend", session) not in shown(client, session)


def test_the_holder_of_the_conversation_is_named(client, session):
    session = session_stage.tapped("gente")
    Ticket.objects.update(assignee=bia())
    Session.objects.update(owner=Owner.ATTENDANT)
    client.force_login(ana())
    assert str(bia()) in shown(client, session)


def test_what_a_customer_wrote_is_never_markup(client, session):
    Session.objects.update(context={"nome": EVIL, "cpf": EVIL})
    Lead.objects.update(name=EVIL)
    MessageLog.objects.update(text=EVIL)
    FlowLog.objects.update(
        context_set={"nome": EVIL}, trace=[{"node": EVIL, "exit": "word", "matched": EVIL}]
    )
    client.force_login(ana())
    for page in (
        shown(client, session),
        shown(client, session, view="table"),
        client.get(url("session_begin_again", session, node=EVIL)).content.decode(),
        shown(client, session, flow=EVIL, show=EVIL, before=EVIL, after=EVIL),
    ):
        assert "<script>alert" not in page


def test_a_flow_that_cannot_be_read_any_more_is_said(client, session):
    FlowRun.objects.get().version.flow.versions.update(document={"broken": True})
    document_of.cache_clear()
    client.force_login(ana())
    with zeal_ignore():  # what cannot be read is not kept, either
        assert 'class="canvas"' not in shown(client, session)
    document_of.cache_clear()


# --- Sensitive values ----------------------------------------------------------------------------


@pytest.mark.parametrize("person", [ana, bia])
def test_a_sensitive_variable_is_masked_for_everybody(client, with_cpf, person):
    keep(with_cpf, bia())
    client.force_login(person())
    page = shown(client, with_cpf, show="flow")
    assert DIGITS not in page
    assert MASK in page


def test_showing_a_sensitive_variable_is_logged(client, with_cpf):
    keep(with_cpf, bia())
    client.force_login(bia())
    answer = client.post(
        url("session_reveal", with_cpf), {"name": "cpf"}, headers={"HX-Request": "true"}
    )
    assert DIGITS in answer.content.decode()
    entry = LogEntry.objects.get(object_id=str(with_cpf.pk))
    assert (entry.user, "CPF" in entry.get_change_message()) == (bia(), True)


def test_what_is_not_there_is_not_shown_nor_logged(client, with_cpf):
    client.force_login(ana())
    assert client.post(url("session_reveal", with_cpf), {"name": "outra"}).status_code == 404
    assert not LogEntry.objects.exists()


def test_reading_is_not_revealing(client, with_cpf):
    client.force_login(ana())
    assert client.get(url("session_reveal", with_cpf)).status_code == 405


def test_the_copied_json_is_masked_for_everybody(client, with_cpf):
    client.force_login(ana())
    answer = client.get(url("session_copy", with_cpf))
    copied = json.loads(answer.content)
    assert copied["context"] == {"opcao": "cpf", "cpf": MASK}
    assert DIGITS not in answer.content.decode()
    assert CPF not in answer.content.decode()
    assert [row["kind"] for row in copied["log"]][-1] == "start"


@pytest.mark.parametrize(("person", "value"), [(ana, DIGITS), (bia, MASK)])
def test_the_api_gives_sensitive_variables_to_admins_alone(with_cpf, person, value):
    keep(with_cpf, bia())
    session_stage.began("atendente", "Davi")
    Ticket.objects.update(department=recipes.department("vendas"))
    program = api(person())
    session = program.get(f"/api/v1/sessions/{with_cpf.pk}").json()
    ticket = program.get(f"/api/v1/tickets/{Ticket.objects.get().pk}").json()
    logs = program.get(f"/api/v1/flow-logs?session={with_cpf.pk}").json()["results"]
    assert session["context"]["cpf"] == ticket["variables"]["cpf"] == value
    assert {row["context_set"]["cpf"] for row in logs if "cpf" in row["context_set"]} == {value}


def test_an_attendant_gets_nothing_of_a_run_that_does_not_say_what_is_sensitive(with_cpf):
    keep(with_cpf, bia())
    flow_state = {name: one for name, one in with_cpf.flow_state.items() if name != "sensitive"}
    Session.objects.update(flow_state=flow_state)
    context = api(bia()).get(f"/api/v1/sessions/{with_cpf.pk}").json()["context"]
    assert set(context.values()) == {MASK}


@pytest.mark.parametrize("person", [ana, bia])
def test_a_row_of_the_flow_log_is_masked_for_everybody(client, with_cpf, person):
    keep(with_cpf, bia())
    row = FlowLog.objects.order_by("-seq").first()
    client.force_login(person())
    page = client.get(reverse("admin:chatbot_flowlog_change", args=[row.pk])).content.decode()
    assert MASK in page
    assert DIGITS not in page
    assert CPF not in page


def test_a_sensitive_variable_is_masked_as_a_field_of_the_lead_too():
    fills = {"kind": "lead", "fields": {"rg": "{{ rg }}", "cidade": "Recife"}, "next": "gente"}
    nodes = {
        "inicio": {"kind": "start", "next": "rg"},
        "rg": {"kind": "ask", "text": "RG?", "save_as": "rg", "next": "guardar"},
        "guardar": fills,
        "gente": {"kind": "handoff", "text": "Já vem gente."},
    }
    stage.open_shop()
    stage.put_on_air(nodes, variables={"rg": {"sensitive": True}})
    session = session_stage.began("Oi", "9.876.543")
    keep(session, bia())
    lead = session.lead
    assert lead.attributes == {"rg": "9.876.543", "cidade": "Recife"}
    assert lead.sensitive_attributes == ["rg"]
    program = api(bia())
    logs = program.get(f"/api/v1/flow-logs?session={session.pk}")
    shown = program.get(f"/api/v1/leads/{lead.pk}").json()
    assert "9.876.543" not in logs.content.decode()
    assert shown["attributes"] == {"rg": MASK, "cidade": "Recife"}
    assert api(ana()).get(f"/api/v1/leads/{lead.pk}").json()["attributes"] == lead.attributes


def test_an_option_is_shown_by_its_label(client):
    session_stage.on_air()
    session = session_stage.began("Oi", "1")
    client.force_login(ana())
    page = shown(client, session)
    variables = page[page.index('<dl class="vars') :]
    assert "Segunda via" in variables[: variables.index("</dl>")]


# --- Live ----------------------------------------------------------------------------------------


def test_a_poll_without_news_is_204_and_costs_two_statements(
    client, session, django_assert_num_queries
):
    client.force_login(ana())
    digest = SessionPage(session, user=ana(), at=timezone.now()).digest
    with django_assert_num_queries(2 + AUTHENTICATION):
        answer = client.get(url("session_live", session, digest=digest))
    if answer.status_code == 200:  # a minute has begun in between
        digest = SessionPage(session, user=ana(), at=timezone.now()).digest
        answer = client.get(url("session_live", session, digest=digest))
    assert answer.status_code == 204


@pytest.mark.parametrize("what", ["step", "status", "owner"])
def test_a_poll_brings_what_has_changed(client, session, what):
    digest = SessionPage(session, user=ana(), at=timezone.now()).digest
    if what == "step":
        session_stage.tapped("cpf")
    elif what == "status":
        MessageLog.objects.outbound().update(status=MessageStatus.FAILED)
    else:
        session_stage.tapped("gente")
    client.force_login(ana())
    answer = client.get(url("session_live", session, digest=digest))
    assert answer.status_code == 200
    assert 'id="session-where"' in answer.content.decode()


def test_with_the_end_of_the_session_the_asking_ends(client, session):
    client.force_login(ana())
    end_session(session, reason=EndReason.CLOSED, at=timezone.now())
    answer = client.get(url("session_live", session))
    assert answer.status_code == 286
    assert "hx-get" not in answer.content.decode().partition("</div>")[0]
    assert "every 5s" not in shown(client, session)


def test_who_reads_an_older_page_of_the_lanes_keeps_it(client, session):
    client.force_login(ana())
    latest = client.get(url("session_live", session)).content.decode()
    past = client.get(url("session_live", session, before="-")).content.decode()
    assert 'id="session-lanes"' in latest
    assert 'id="session-lanes"' not in past


# --- A long history ------------------------------------------------------------------------------


def lengthen(session, count):
    """As many more turns: a message that came in, a step, an answer."""
    run = FlowRun.objects.get()
    seq = session.seq
    for number in range(count):
        at = session.started_at + timedelta(minutes=1, seconds=number)
        recipes.inbound(session, f"oi {number}", created_at=at)
        log = recipes.flow_log(
            session, seq + number + 1, run=run, node="menu", next_node="menu", created_at=at
        )
        recipes.outbound(session, f"olá {number}", created_at=at, flow_log=log)
    Session.objects.filter(pk=session.pk).update(seq=seq + count)


@pytest.mark.parametrize("query", [{}, {"view": "table"}, {"show": "errors"}])
def test_a_longer_history_costs_no_more_statements(
    client, session, django_assert_max_num_queries, query
):
    client.force_login(ana())
    lengthen(session, 3)
    shown(client, session)
    with django_assert_max_num_queries(22) as few:
        shown(client, session, **query)
    lengthen(Session.objects.get(), 300)
    with django_assert_max_num_queries(len(few)):
        shown(client, session, **query)


def rows_of(lanes):
    for line in lanes.lines:
        if line.said:
            yield "message", line.said.pk
        for row in line.steps:
            yield "step", row.seq


@pytest.mark.parametrize("show", ["all", "messages", "flow"])
def test_every_row_is_on_one_page_going_back_and_going_on(session, show):
    lengthen(session, 120)
    session.refresh_from_db()
    pages, mark = [], None
    while True:
        lanes = read_lanes(session, show=show, before=mark)
        pages.insert(0, list(rows_of(lanes)))
        if lanes.earlier is None:
            break
        mark = Mark.read(str(lanes.earlier))
    back = [row for page in pages for row in page]
    assert len(back) == len(set(back)) == {"all": 364, "messages": 242, "flow": 122}[show]
    onward, after = [], Mark()
    while True:
        lanes = read_lanes(session, show=show, after=after)
        if lanes.is_latest:
            onward += [row for row in rows_of(lanes) if row not in onward]
            break
        onward += list(rows_of(lanes))
        after = Mark.read(str(lanes.later))
    assert onward == back


def test_a_step_stands_beside_the_message_that_led_to_it(session):
    session = session_stage.tapped("cpf")
    lanes = read_lanes(session)
    tapped = next(line for line in lanes.lines if line.said and line.said.text == "cpf")
    [taken] = tapped.steps
    assert taken.way == ("Boas-vindas", "Informar CPF")
    assert taken.reason == "Segunda via"


def test_the_errors_are_what_failed_and_what_was_not_understood(session):
    session = session_stage.began("xyz")
    failed = MessageLog.objects.outbound().order_by("pk").last()
    MessageLog.objects.filter(pk=failed.pk).update(status="failed", error_code="131026")
    lanes = read_lanes(session, show="errors")
    [step] = [step for line in lanes.lines for step in line.steps]
    assert (step.tries, step.tries_allowed, bool(step.trouble)) == (1, 3, True)
    [said] = [line.said for line in lanes.lines if line.said]
    assert (said.pk, "131026" in said.failure) == (failed.pk, True)


@pytest.mark.parametrize("text", ["", "x", "1", "1-x", "-1-2", "9" * 30 + "-1", "²-1"])
def test_a_mark_that_is_none_is_none(text):
    assert Mark.read(text) is None


# --- What is done there --------------------------------------------------------------------------


def test_an_admin_ends_the_session(client, session):
    client.force_login(ana())
    client.post(url("session_end", session))
    assert not Session.objects.get().is_live


def test_an_admin_gives_the_customer_more_time(client, session):
    end = ends_at(session)
    client.force_login(ana())
    client.post(url("session_extend", session), {"seen": end.isoformat()})
    assert ends_at(Session.objects.get()) == end + timedelta(minutes=30)


@pytest.mark.parametrize("seen", ["", "ontem", "2026-13-45T99:00", "2026-01-01T10:00:00"])
def test_a_moment_that_is_none_gives_no_time(client, session, seen):
    client.force_login(ana())
    assert client.post(url("session_extend", session), {"seen": seen}).status_code == 404


def test_an_admin_lets_the_bot_begin_again(client, session):
    client.force_login(ana())
    client.post(url("session_begin_again", session), {"node": "cpf", "seq": session.seq})
    assert Session.objects.get().current_state == "cpf"
    assert FlowLog.objects.filter(kind=FlowLogKind.JUMP).count() == 1
    assert "Informar CPF" in shown(client, session, show="flow")


def test_a_refusal_is_said_on_the_page(client, session):
    client.force_login(ana())
    answer = client.post(
        url("session_begin_again", session), {"node": "cpf", "seq": "0"}, follow=True
    )
    assert [one.level_tag for one in answer.context["messages"]] == ["error"]


def test_an_attendant_hands_a_conversation_to_a_department(client, session):
    keep(session, bia())
    client.force_login(bia())
    vendas = recipes.department("vendas")
    answer = client.post(url("session_hand_over", session), {"department": vendas.pk, "note": "Oi"})
    ticket = Ticket.objects.get()
    assert (ticket.department, ticket.notes.get().text) == (vendas, "Oi")
    assert answer.url == reverse("admin:tickets_ticket_change", args=[ticket.pk])


def test_handing_over_twice_is_one_ticket(client, session):
    client.force_login(ana())
    for _ in range(2):
        client.post(url("session_hand_over", session), {"note": "Oi"})
    assert Ticket.objects.get().notes.count() == 1


def test_a_department_that_is_none_is_not_found(client, session):
    client.force_login(ana())
    answer = client.post(url("session_hand_over", session), {"department": "999999"})
    assert (answer.status_code, Ticket.objects.count()) == (404, 0)


def test_what_a_request_was_filled_with_is_masked_in_the_log_and_in_the_task(client):
    call = {
        "kind": "http",
        "method": "POST",
        "url": "https://erp.example/{{ cpf }}/faturas?doc={{ cpf }}",
        "headers": {"X-Doc": "doc {{ cpf }}"},
        "body": '{"cpf": "{{ cpf }}"}',
        "ok": "gente",
        "error": "gente",
    }
    nodes = {
        "inicio": {"kind": "start", "next": "cpf"},
        "cpf": {"kind": "ask", "text": "CPF?", "answer": "cpf", "save_as": "cpf", "next": "erp"},
        "erp": call,
        "gente": {"kind": "handoff", "text": "Já vem gente."},
    }
    stage.open_shop()
    stage.put_on_air(nodes, variables={"cpf": {"type": "cpf", "sensitive": True}})
    session = session_stage.began("Oi", CPF)
    keep(session, bia())
    logs = api(bia()).get(f"/api/v1/flow-logs?session={session.pk}")
    (sent,) = (
        effect
        for row in logs.json()["results"]
        for effect in row["effects"]
        if effect["kind"] == "call_http"
    )
    assert sent["url"] == f"https://erp.example/{MASK}/faturas?{MASK}"
    assert (sent["headers"], sent["body"], sent["method"]) == (MASK, MASK, "POST")
    task = Task.objects.get(kind=TaskKind.HTTP)
    assert DIGITS in task.payload["body"]
    client.force_login(ana())
    page = client.get(reverse("admin:chatbot_task_change", args=[task.pk])).content.decode()
    assert "erp.example" in page
    for text in (logs.content.decode(), page):
        assert DIGITS not in text
        assert CPF not in text
