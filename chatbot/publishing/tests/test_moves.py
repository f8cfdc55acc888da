"""What becomes of the conversations under way when a version goes on air."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from zeal import zeal_ignore

from chatbot import flows_service, tasks, verification
from chatbot.documents import document_of
from chatbot.engine.nodes import parse_flow
from chatbot.flow_words import node_at
from chatbot.models import (
    FailedEvent,
    Flow,
    FlowCount,
    FlowLog,
    FlowLogKind,
    FlowRun,
    JobState,
    MessageLog,
    SessionMove,
    Task,
    TaskKind,
    TaskStatus,
)
from chatbot.publishing import impact, moves
from chatbot.publishing.moves import MovesRefused, place_of
from chatbot.publishing.tests import shop
from chatbot.tests import stage
from chatbot.tests.webhook import say, text
from chatbot.usage import counting
from chatbot.usage.figures import Figures
from sessions_app.models import EndReason, Owner, Session
from tickets.models import Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def on_air():
    stage.open_shop()
    with zeal_ignore():  # each conversation in a transaction of its own
        yield shop.open_flow()


def publish(version, **places):
    """The draft, with these choices for the passos of `version`."""
    chosen = {place.replace("__", "/"): one for place, one in places.items()}
    flow = shop.redraw()
    return shop.put_on_air(flow, moves={str(version.pk): chosen})


def work():
    """What a worker does later."""
    Task.objects.filter(kind=TaskKind.MOVE).update(run_at=timezone.now())
    tasks.run_due(limit=20)


def sound():
    assert not FailedEvent.objects.exists()
    pks = list(Session.objects.values_list("pk", flat=True))
    assert not [found for _pk, found in verification.verify(pks) if found is not None]
    assert not [found for pk in pks if (found := verification.rerun(pk)) is not None]
    for session in Session.objects.filter(ended_at=None, owner=Owner.BOT):
        document = document_of(session.flow_state["version"])
        assert node_at(document, place_of(session)) is not None


def answers(session):
    rows = MessageLog.objects.outbound().filter(session=session)
    return list(rows.order_by("pk").values_list("text", flat=True))


SAME = {"do": "same"}
TO_SUBJECT = {"do": "map", "node": "assunto"}
FAREWELL = {"do": "end", "text": "Este atendimento mudou. Escreva de novo quando quiser."}


# --- The sheet


def test_the_sheet_counts_who_stands_where_and_says_what_may_be_chosen(on_air):
    shop.people(nome=2, assunto=1, cpf=3, dentro__nota=1, espera=1)
    Session.objects.filter(pk=shop.session_at("cpf", 2).pk).update(owner=Owner.QUEUE)
    flow = shop.redraw()
    document = flows_service.with_subflows(parse_flow(flow.draft))
    found = {one.place: one for one in impact.standing(flow, document)}
    assert {place: one.count for place, one in found.items()} == {
        "nome": 2,
        "assunto": 1,
        "cpf": 2,
        "dentro/nota": 1,
        "espera": 1,
    }
    assert found["cpf"].is_gone
    assert found["cpf"].title == "CPF"
    assert found["cpf"].may == ("stay", "map", "end")
    assert found["nome"].may == ("stay", "same", "map", "end")
    assert found["dentro/nota"].may == ("stay", "same", "map", "end")
    assert found["espera"].may == ("stay", "end")


def test_the_sheet_costs_three_statements_however_many_wait(on_air, django_assert_num_queries):
    flow = shop.redraw()
    document = parse_flow(flow.draft)
    shop.people(nome=1)
    with django_assert_num_queries(3):
        impact.standing(flow, document)
    shop.people(nome=5, assunto=3, cpf=3)
    with django_assert_num_queries(3):
        impact.standing(flow, document)


# --- The four choices


def test_nobody_is_moved_unless_it_is_chosen(on_air):
    shop.people(nome=1, cpf=1)
    before = list(Session.objects.order_by("pk").values("flow_state", "seq"))
    shop.put_on_air(shop.redraw())
    assert list(Session.objects.order_by("pk").values("flow_state", "seq")) == before
    assert not SessionMove.objects.exists()
    say(Client(), text("123", phone=shop.phone("cpf", 0)))
    assert shop.session_at("cpf").current_state == "pedido"
    sound()


def test_who_is_moved_is_counted_as_moved_and_has_begun_once(on_air):
    shop.people(assunto=1, cpf=1)
    version = publish(on_air, assunto=SAME, cpf=TO_SUBJECT)
    say(Client(), text("Boleto", phone=shop.phone("assunto", 0)))
    counting.count()
    entries = FlowCount.objects.filter(node="").values_list("version", "exit", "target", "count")
    assert sorted(entries) == [
        (on_air.pk, "(start)", "inicio", 2),
        (version.pk, "(moved)", "assunto", 2),
    ]
    left = FlowCount.objects.get(version=version, node="assunto", exit="option:boleto")
    assert left.seconds == {}  # how long they waited, the run before knows alone
    today = timezone.localdate()
    figures = Figures(version.pk, document_of(version.pk), today, today)
    assert (figures.summary.started, figures.summary.moved) == (0, 2)
    assert figures.map_counts.nodes["assunto"].arrived == 2


def test_the_same_passo_of_the_new_version_and_the_customer_notices_nothing(on_air):
    shop.people(assunto=1)
    before = shop.session_at("assunto")
    said = answers(before)
    version = publish(on_air, assunto=SAME)
    session = shop.session_at("assunto")
    assert session.flow_state["version"] == version.pk
    assert session.current_state == "assunto"
    assert session.context == before.context == {"nome": "Davi"}
    assert session.idle_due_at == before.idle_due_at
    assert answers(session) == said
    start = FlowLog.objects.get(session=session, kind=FlowLogKind.START, run__version=version)
    assert start.message == {
        "kind": "moved",
        "from": on_air.pk,
        "node": "assunto",
        "title": "Assunto",
        "version": version.pk,
        "trigger": FlowRun.objects.get(version=on_air).trigger_id,
    }
    assert FlowRun.objects.get(version=version).trigger is not None
    say(Client(), text("Boleto", phone=shop.phone("assunto", 0)))
    assert shop.session_at("assunto").current_state == "pedido"
    sound()


def test_another_passo_which_asks_its_question_at_once(on_air):
    shop.people(cpf=1)
    version = publish(on_air, cpf=TO_SUBJECT)
    session = shop.session_at("cpf")
    assert (session.flow_state["version"], session.current_state) == (version.pk, "assunto")
    assert session.context["nome"] == "Davi"
    assert answers(session)[-1].startswith("Sobre o quê?")
    say(Client(), text("Boleto", phone=shop.phone("cpf", 0)))
    assert shop.session_at("cpf").current_state == "pedido"
    sound()


def test_people_may_be_where_they_are_moved_to(on_air):
    shop.people(cpf=1)
    publish(on_air, cpf={"do": "map", "node": "equipe"})
    session = shop.session_at("cpf")
    assert session.owner == Owner.QUEUE
    assert Ticket.objects.get(session=session).protocol in answers(session)[-1]
    sound()


def test_ended_with_a_message(on_air):
    shop.people(cpf=1)
    publish(on_air, cpf=FAREWELL)
    session = shop.session_at("cpf")
    assert session.end_reason == EndReason.CLOSED
    assert answers(session)[-1] == FAREWELL["text"]
    say(Client(), text("Oi de novo", phone=shop.phone("cpf", 0)))
    assert shop.session_at("cpf").pk != session.pk
    sound()


def test_who_waits_for_time_to_pass_is_ended_and_the_wait_forgotten(on_air):
    shop.people(espera=1)
    publish(on_air, espera=FAREWELL)
    session = shop.session_at("espera")
    assert not session.is_live
    assert Task.objects.get(session=session, kind=TaskKind.WAIT).status == TaskStatus.DROPPED
    sound()


def test_who_waits_for_time_to_pass_is_not_moved_even_when_that_is_asked_for(on_air):
    shop.people(espera=1)
    version = publish(on_air, espera={"do": "map", "node": "nome"})
    session = shop.session_at("espera")
    assert session.flow_state["version"] == on_air.pk
    Task.objects.filter(session=session, kind=TaskKind.WAIT).update(run_at=timezone.now())
    tasks.run_due(limit=20)
    session = shop.session_at("espera")
    assert (session.current_state, session.flow_state["version"]) == ("pedido", on_air.pk)
    assert SessionMove.objects.get(version=version).stayed == 1
    sound()


def test_inside_a_sub_flow_the_way_back_out_comes_along(on_air):
    shop.people(dentro__nota=1)
    version = publish(on_air, dentro__nota=SAME)
    session = shop.session_at("dentro/nota")
    assert session.flow_state["version"] == version.pk
    assert session.flow_state["engine"]["stack"] == [{"flow": "", "node": "avaliacao"}]
    say(Client(), text("5", phone=shop.phone("dentro/nota", 0)))
    assert shop.session_at("dentro/nota").owner == Owner.QUEUE
    sound()


def test_inside_a_sub_flow_that_is_called_from_elsewhere_now_nobody_is_moved(on_air):
    shop.people(dentro__nota=1)
    draft = shop.second()
    nodes = draft["nodes"]
    nodes["outra"] = nodes.pop("avaliacao")
    nodes["assunto"]["options"][1]["next"] = "outra"
    flow = shop.redraw(draft)
    shop.put_on_air(flow, moves={str(on_air.pk): {"dentro/nota": SAME}})
    assert shop.session_at("dentro/nota").flow_state["version"] == on_air.pk
    sound()


def test_outside_the_service_window_nothing_is_said(on_air):
    shop.people(cpf=1, pedido=1)
    Session.objects.update(window_expires_at=timezone.now() - timedelta(minutes=1))
    said = MessageLog.objects.outbound().count()
    publish(on_air, cpf=TO_SUBJECT, pedido=FAREWELL)
    assert shop.session_at("cpf").flow_state["version"] == on_air.pk
    assert not shop.session_at("pedido").is_live
    assert MessageLog.objects.outbound().count() == said
    sound()


def test_conversations_with_people_are_left_alone(on_air):
    shop.people(cpf=1)
    say(Client(), text("atendente", phone=shop.phone("cpf", 0)))
    seq = shop.session_at("cpf").seq
    publish(on_air, cpf=FAREWELL)
    session = shop.session_at("cpf")
    assert (session.owner, session.seq, session.is_live) == (Owner.QUEUE, seq, True)


def test_who_came_to_another_passo_meanwhile_is_moved_from_there(on_air, monkeypatch):
    shop.people(cpf=1)
    monkeypatch.setattr(moves, "AT_ONCE", 0)
    version = publish(on_air, cpf=FAREWELL, pedido=SAME)
    say(Client(), text("123", phone=shop.phone("cpf", 0)))
    work()
    session = shop.session_at("cpf")
    assert (session.current_state, session.flow_state["version"]) == ("pedido", version.pk)
    assert session.is_live
    sound()


# --- Many


def test_a_hundred_are_moved_half_at_once_and_half_by_a_worker(on_air):
    shop.people(nome=20, assunto=20, cpf=30, pedido=20, espera=10)
    version = publish(on_air, nome=SAME, cpf=TO_SUBJECT, pedido=FAREWELL)
    move = SessionMove.objects.get()
    assert move.total == 100
    assert moves.progress_of(move).done == moves.AT_ONCE
    assert move.state == JobState.RUNNING
    work()
    move.refresh_from_db()
    assert (move.moved, move.ended, move.stayed, move.failed) == (50, 20, 30, 0)
    assert move.state == JobState.DONE
    assert moves.progress_of(move).percent == 100
    versions = [one.flow_state["version"] for one in shop.sessions_at("cpf")]
    assert versions == [version.pk] * 30
    sound()


def test_one_that_cannot_be_moved_stays_and_is_counted(on_air, monkeypatch):
    shop.people(nome=3)
    broken = shop.session_at("nome", 1).pk
    carry_out = moves._carry_out

    def fail(turn, *args):
        if turn.session.pk == broken:
            raise ValueError
        return carry_out(turn, *args)

    monkeypatch.setattr(moves, "_carry_out", fail)
    publish(on_air, nome=SAME)
    move = SessionMove.objects.get()
    assert (move.moved, move.failed, move.state) == (2, 1, JobState.DONE)
    assert shop.session_at("nome", 1).flow_state["version"] == on_air.pk
    sound()


def test_work_that_was_cut_short_goes_on_where_it_stopped(on_air, monkeypatch):
    shop.people(nome=6)
    note, noted = moves._note, []

    def die(move, session_id, outcome):
        note(move, session_id, outcome)
        noted.append(session_id)
        if len(noted) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(moves, "_note", die)
        with pytest.raises(KeyboardInterrupt):
            publish(on_air, nome=SAME)
    move = SessionMove.objects.get()
    assert move.moved == 2
    work()
    move.refresh_from_db()
    assert (move.moved, move.total) == (6, 6)
    assert FlowLog.objects.filter(message__kind="moved").count() == 6
    sound()


# --- What cannot be chosen


@pytest.mark.parametrize(
    "choice",
    [
        {"do": "dance"},
        "stay",
        {"do": "same"},
        {"do": "map", "node": "cpf"},
        {"do": "map"},
        {"do": "end", "text": " "},
        {"do": "end", "text": "x" * 1001},
    ],
    ids=["unknown", "no object", "gone", "to what is gone", "nowhere", "no word", "too long"],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_published(on_air, choice):
    flow = shop.redraw()
    with pytest.raises(MovesRefused):
        shop.put_on_air(flow, moves={str(on_air.pk): {"cpf": choice}})
    assert Flow.objects.get(pk=flow.pk).published == on_air


def test_staying_needs_no_work(on_air):
    shop.people(cpf=1)
    publish(on_air, cpf={"do": "stay"})
    assert not SessionMove.objects.exists()
    assert not Task.objects.filter(kind=TaskKind.MOVE).exists()
