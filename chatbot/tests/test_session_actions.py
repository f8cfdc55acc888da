"""What staff does to a conversation with the bot, and what it is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from chatbot import verification
from chatbot.conversation import resume
from chatbot.engine.messages import Started
from chatbot.engine.state import State
from chatbot.engine.step import step
from chatbot.engine.tests.documents import AT, FACTS, flow_with
from chatbot.expiry import expire
from chatbot.models import FlowLog, FlowLogKind, MessageLog, Task, TaskKind
from chatbot.session_actions import begin_again_at, ends_at, extend, hand_to_team
from chatbot.tests import session_stage
from chatbot.tests.recipes import ana, department
from sessions_app.models import Owner, Session
from sessions_app.services import SessionConflict, close_session
from tickets.models import InternalNote, Ticket

pytestmark = pytest.mark.django_db

HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def session():
    session_stage.on_air()
    return session_stage.began("Oi")


def again(session, node="cpf", **changed):
    how = {"seen_seq": session.seq, "actor": ana(), "at": timezone.now(), **changed}
    return begin_again_at(session.pk, node=node, **how)


def assert_folds(session):
    [(pk, deviation)] = verification.verify([session.pk])
    assert (pk, deviation) == (session.pk, None)
    assert verification.rerun(session.pk) is None


# --- Begin again at a passo ----------------------------------------------------------------------


def test_a_run_begins_where_it_is_told_to():
    flow = flow_with({"kind": "ask", "text": "Nome?", "save_as": "nome", "next": "fim"})
    outcome = step(flow, State(), {}, Started(at=AT, facts=FACTS, node="fim"))
    assert [one.text for one in outcome.effects] == ["Fim"]
    assert outcome.state.done


def test_the_bot_goes_on_at_the_passo_and_says_it(session):
    again(session, "cpf")
    session.refresh_from_db()
    assert session.current_state == "cpf"
    assert MessageLog.objects.outbound().order_by("pk").last().text == "Qual é o seu CPF?"
    kinds = list(FlowLog.objects.order_by("seq").values_list("kind", flat=True))
    assert kinds == ["start", "step", "jump", "step"]
    assert_folds(session)


def test_the_jump_says_who_did_it_and_from_where(session):
    again(session, "cpf")
    row = FlowLog.objects.get(kind=FlowLogKind.JUMP)
    assert (row.node, row.next_node, row.message["by"]) == ("menu", "", str(ana()))


def test_variables_stay_and_the_conversation_goes_on_from_there(session):
    session = session_stage.tapped("cpf")
    session = session_stage.began(session_stage.CPF)
    again(session, "menu")
    session = session_stage.tapped("cpf")
    assert session.context == {"opcao": "cpf", "cpf": session_stage.DIGITS}
    assert session.current_state == "cpf"
    assert_folds(session)


def test_what_the_run_waited_for_comes_too_late(session):
    session = session_stage.tapped("espera")
    task = Task.objects.get(kind=TaskKind.WAIT)
    again(session, "cpf")
    assert resume(task, now=timezone.now() + timedelta(minutes=10)) is False
    session.refresh_from_db()
    assert session.current_state == "cpf"
    assert_folds(session)


def test_beginning_again_where_people_are_called_opens_a_ticket(session):
    again(session, "equipe")
    session.refresh_from_db()
    assert (session.owner, Ticket.objects.count()) == (Owner.QUEUE, 1)
    assert_folds(session)


def test_the_customer_has_the_whole_time_again(session):
    now = timezone.now() + timedelta(minutes=20)
    assert expire(session.pk, now=now) == "warned"
    session.refresh_from_db()
    again(session, "cpf", at=now)
    session.refresh_from_db()
    assert session.idle_warned_at is None
    assert ends_at(session) == now + HALF_AN_HOUR


@pytest.mark.parametrize(
    ("prepare", "node", "code"),
    [
        (lambda one: session_stage.tapped("gente"), "cpf", "session_with_people"),
        (lambda one: close_session(one.pk, at=timezone.now()), "cpf", "session_ended"),
        (lambda one: one, "outro", "unknown_node"),
        (
            lambda one: Session.objects.update(window_expires_at=timezone.now()),
            "cpf",
            "window_closed",
        ),
    ],
    ids=["people", "ended", "unknown", "window"],
)
def test_beginning_again_is_refused_and_changes_nothing(session, prepare, node, code):
    prepare(session)
    session.refresh_from_db()
    with pytest.raises(SessionConflict) as refusal:
        again(session, node)
    assert refusal.value.code == code
    assert not FlowLog.objects.filter(kind=FlowLogKind.JUMP).exists()


def test_who_chose_on_an_old_page_is_told_to_look_again(session):
    seen = session.seq
    session = session_stage.tapped("cpf")
    with pytest.raises(SessionConflict):
        again(session, "nome", seen_seq=seen)
    session.refresh_from_db()
    assert session.current_state == "cpf"


# --- More time -----------------------------------------------------------------------------------


def test_half_an_hour_more_moves_the_end_and_the_warning(session):
    end = ends_at(session)
    extend(session.pk, seen=end, at=timezone.now())
    session.refresh_from_db()
    assert ends_at(session) == end + HALF_AN_HOUR
    assert session.idle_due_at == end + HALF_AN_HOUR - timedelta(minutes=10)


def test_after_a_warning_the_customer_is_warned_anew(session):
    warned_at = timezone.now() + timedelta(minutes=21)
    assert expire(session.pk, now=warned_at) == "warned"
    session.refresh_from_db()
    end = ends_at(session)
    extend(session.pk, seen=end, at=warned_at)
    session.refresh_from_db()
    assert (session.idle_warned_at, ends_at(session)) == (None, end + HALF_AN_HOUR)
    assert expire(session.pk, now=end) == ""
    assert expire(session.pk, now=session.idle_due_at) == "warned"


def test_the_second_click_gives_no_second_half_hour(session):
    end = ends_at(session)
    for _ in range(2):
        extend(session.pk, seen=end, at=timezone.now())
    session.refresh_from_db()
    assert ends_at(session) == end + HALF_AN_HOUR


def test_who_waits_for_nobody_is_given_no_time(session):
    seen = ends_at(session)
    session_stage.tapped("espera")
    with pytest.raises(SessionConflict) as refusal:
        extend(session.pk, seen=seen, at=timezone.now())
    assert refusal.value.code == "session_not_waiting"


# --- To the team ---------------------------------------------------------------------------------


def test_the_team_gets_the_conversation_with_a_note(session):
    vendas = department("vendas")
    note = "Quer falar de preço"
    ticket = hand_to_team(session.pk, department=vendas, note=note, actor=ana(), at=timezone.now())
    session.refresh_from_db()
    assert (session.owner, ticket.department) == (Owner.QUEUE, vendas)
    assert InternalNote.objects.get(ticket=ticket).text == note


def test_without_a_note_there_is_none(session):
    ticket = hand_to_team(session.pk, department=None, note=" ", actor=ana(), at=timezone.now())
    assert not InternalNote.objects.filter(ticket=ticket).exists()
