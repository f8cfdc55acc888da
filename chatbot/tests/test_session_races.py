"""Staff and a customer at once in one conversation, on PostgreSQL with real threads."""

from __future__ import annotations

from functools import partial

import pytest
from django.test import Client
from django.utils import timezone

from chatbot import verification
from chatbot.models import FailedEvent, FlowLog, FlowLogKind, MessageLog
from chatbot.session_actions import begin_again_at, ends_at, extend
from chatbot.tests import session_stage
from chatbot.tests.recipes import ana
from chatbot.tests.webhook import body_of, post, text
from sessions_app.models import Session
from sessions_app.services import SessionConflict
from users.tests.racing import at_once

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.fixture
def session(transactional_db):
    session_stage.on_air()
    return session_stage.began("Oi")


def posting(said):
    body = body_of(text(said))
    return lambda: post(Client(), body).status_code


def assert_sound(session):
    assert not FailedEvent.objects.exists()
    [(_pk, deviation)] = verification.verify([session.pk])
    assert deviation is None
    assert verification.rerun(session.pk) is None
    seqs = list(FlowLog.objects.order_by("seq").values_list("seq", flat=True))
    assert seqs == list(range(1, Session.objects.get().seq + 1))


@pytest.mark.parametrize("_round", range(5))
def test_beginning_again_and_a_message_at_once_take_turns(session, _round):
    again = partial(
        begin_again_at,
        session.pk,
        node="cpf",
        seen_seq=session.seq,
        actor=ana(),
        at=timezone.now(),
    )
    answer, outcome = at_once(posting("Segunda via"), again)
    assert answer == 200
    jumps = FlowLog.objects.filter(kind=FlowLogKind.JUMP).count()
    assert jumps == (0 if isinstance(outcome, SessionConflict) else 1), outcome
    assert MessageLog.objects.inbound().count() == 2
    assert_sound(session)


def test_two_that_begin_again_at_once_are_one_jump_and_one_refusal(session):
    again = partial(
        begin_again_at, session.pk, seen_seq=session.seq, actor=ana(), at=timezone.now()
    )
    outcomes = at_once(partial(again, node="cpf"), partial(again, node="nome"))
    refusals = [one for one in outcomes if isinstance(one, SessionConflict)]
    assert len(refusals) == 1, outcomes
    assert FlowLog.objects.filter(kind=FlowLogKind.JUMP).count() == 1
    assert_sound(session)


def test_many_clicks_at_once_give_half_an_hour_once(session):
    end = ends_at(session)
    click = partial(extend, session.pk, seen=end, at=timezone.now())
    outcomes = at_once(*[click] * 6)
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert ends_at(Session.objects.get()) - end == ends_at(outcomes[0]) - end
    assert (ends_at(Session.objects.get()) - end).total_seconds() == 1800
