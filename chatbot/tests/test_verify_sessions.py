from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from chatbot import verification
from chatbot.engine.replay import REDACTED
from chatbot.models import FlowLog
from chatbot.simulation import people
from chatbot.tests import stage
from chatbot.tests.trial import chat
from sessions_app.models import Session
from tickets.services import Next, close_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shop():
    return stage.open_shop()


def verify(*arguments):
    """(output, whether the command failed)."""
    out = StringIO()
    try:
        call_command("verify_sessions", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue() + str(error), True
    return out.getvalue(), False


def test_conversations_that_nobody_touched_agree_with_their_log():
    chat("ana", "Oi", "1", "sim", "Davi", "davi@example.com", "Um orçamento")
    chat("bia", "Oi", "não sei", "atendente", "estou esperando")
    chat("caio", "Oi", "sair", "Oi de novo")
    stage.talk(people.channel())  # nothing said yet
    output, failed = verify()
    assert not failed, output
    assert f"{Session.objects.count()} sessions agree" in output


@pytest.mark.parametrize(
    ("tampered", "named"),
    [
        ({"current_state": "elsewhere"}, "current_state"),
        ({"context": {"nome": "Outra"}}, "context"),
        ({"seq": 99}, "seq"),
        ({"flow_state": {}}, "state"),
    ],
    ids=["node", "variables", "number", "engine state"],
)
def test_a_session_that_differs_is_named_with_what_differs(tampered, named):
    session = chat("davi", "Oi")
    chat("eva", "Oi")
    Session.objects.filter(pk=session.pk).update(**tampered)
    output, failed = verify()
    assert failed
    assert f"session {session.pk}: {named} is" in output
    assert "1 of 2 sessions differ" in output


def test_a_missing_log_row_is_found():
    session = chat("davi", "Oi", "1")
    FlowLog.objects.filter(session=session, seq=2).delete()
    output, failed = verify("--session", str(session.pk))
    assert failed
    assert "seq" in output


def test_erased_variables_do_not_differ():
    session = chat("davi", "Oi", "2", "Qual o prazo?")
    session.context = {**session.context, "necessidade": REDACTED}
    session.save(update_fields=["context"])
    for row in FlowLog.objects.filter(session=session):
        if "necessidade" in row.context_set:
            row.context_set["necessidade"] = REDACTED
            row.save(update_fields=["context_set"])
    assert not verify()[1]


def test_old_rows_may_be_archived_up_to_the_start_of_a_run():
    session = chat("davi", "Oi", "sair", "Oi")
    rows = FlowLog.objects.filter(session=session).order_by("seq")
    last_start = rows.filter(kind="start").last()
    rows.filter(seq__lt=last_start.seq).delete()
    assert not verify()[1]


def test_one_session_can_be_verified_alone():
    wrong, right = chat("davi", "Oi"), chat("eva", "Oi")
    Session.objects.filter(pk=wrong.pk).update(current_state="elsewhere")
    assert not verify("--session", str(right.pk))[1]
    with pytest.raises(CommandError, match="no session 0"):
        call_command("verify_sessions", session=0)


def test_many_sessions_cost_two_statements_a_chunk(monkeypatch, django_assert_num_queries):
    for number in range(7):
        chat(f"cliente{number}", "Oi")
    monkeypatch.setattr(verification, "CHUNK", 3)
    ids = list(Session.objects.values_list("pk", flat=True))
    with django_assert_num_queries(6):
        assert [deviation for _, deviation in verification.verify(ids)] == [None] * 7


# --- replay_session


def replay(session):
    out = StringIO()
    try:
        call_command("replay_session", session.pk, stdout=out)
    except CommandError as error:
        return str(error), True
    return out.getvalue(), False


def test_every_step_of_a_conversation_comes_out_the_same_again():
    session = chat("davi", "Oi", "1", "sim", "Davi", "pular", "Um orçamento", "obrigado")
    output, failed = replay(session)
    assert not failed, output
    assert "every one comes out the same" in output


def test_two_runs_in_one_session_are_run_again_each_on_its_version():
    session = chat("davi", "Oi", "atendente")
    close_ticket(session.tickets.get(), actor=None, then=Next.BOT, entry="pesquisa")
    chat("davi", "5")
    assert session.runs.values("version").distinct().count() == 2
    assert not verify()[1]
    assert not replay(session)[1]


def test_the_first_row_that_comes_out_otherwise_is_named():
    session = chat("davi", "Oi", "2", "Qual o prazo?")
    row = FlowLog.objects.filter(session=session, next_node="duvida").first()
    row.effects = [{**effect, "text": "Outra coisa"} for effect in row.effects]
    row.save(update_fields=["effects"])
    output, failed = replay(session)
    assert failed
    assert f"log row {row.seq}: effects" in output


def test_a_session_that_is_not_there_is_said():
    with pytest.raises(CommandError, match="no session 0"):
        call_command("replay_session", 0)
