"""Publishing while customers write, and two people at once: PostgreSQL, real threads."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from django.db.models import Count
from django.test import Client
from django.utils import timezone

from chatbot import tasks
from chatbot.models import (
    Direction,
    Flow,
    FlowLog,
    FlowLogKind,
    FlowVersion,
    JobState,
    MessageLog,
    PublishRequest,
    SessionMove,
    Task,
    TaskKind,
    TaskStatus,
)
from chatbot.publishing import approval
from chatbot.publishing.moves import begin
from chatbot.publishing.tests import shop
from chatbot.publishing.tests.test_moves import FAREWELL, SAME, TO_SUBJECT, sound
from chatbot.tests import stage
from chatbot.tests.webhook import say, text
from sessions_app.models import Session
from users.errors import DomainError
from users.tests.racing import at_once
from users.tests.recipes import ana, root

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

PEOPLE = {"nome": 20, "assunto": 20, "cpf": 30, "pedido": 10, "dentro/nota": 10, "espera": 10}
NEXT = {
    "nome": "Davi",
    "assunto": "Boleto",
    "cpf": "123",
    "pedido": "456",
    "dentro/nota": "5",
    "espera": "atendente",
}
CHOICES = {
    "nome": SAME,
    "assunto": SAME,
    "cpf": TO_SUBJECT,
    "pedido": FAREWELL,
    "dentro/nota": SAME,
}


@pytest.fixture
def on_air(transactional_db):
    stage.open_shop()
    version = shop.open_flow()
    shop.people(**{place.replace("/", "__"): count for place, count in PEOPLE.items()})
    assert Session.objects.filter(ended_at=None).count() == 100
    return version


def publishing(version, choices=CHOICES, **more):
    flow = Flow.objects.get(slug=shop.SLUG)
    moves = {str(version.pk): choices}
    return lambda: shop.put_on_air(flow, moves=moves, revision=flow.draft_revision, **more)


def working():
    """A worker that sees the task as soon as it is there, and takes it without waiting."""
    until = time.monotonic() + 110
    while time.monotonic() < until:
        rows = Task.objects.filter(kind=TaskKind.MOVE, status=TaskStatus.PENDING)
        rows.update(run_at=timezone.now())
        tasks.run_due(limit=1)
        if SessionMove.objects.filter(state=JobState.DONE).exists():
            return
        time.sleep(0.02)
    raise AssertionError("never done")


def customers(number):
    """A quarter of the customers, each with an answer, in any order."""
    mine = [
        (shop.phone(place, one), NEXT[place])
        for place, count in PEOPLE.items()
        for one in range(number, count, 4)
    ]
    random.Random(number).shuffle(mine)  # noqa: S311  # who is next

    def write():
        for phone, body in mine:
            assert say(Client(), text(body, phone=phone)).status_code == 200

    return write


def test_a_hundred_live_conversations_while_their_customers_write(on_air):
    shop.redraw()
    before = MessageLog.objects.filter(direction=Direction.INBOUND).count()
    writers = [customers(number) for number in range(4)]
    outcomes = at_once(publishing(on_air), working, *writers)
    assert [one for one in outcomes if isinstance(one, BaseException)] == []

    move = SessionMove.objects.get()
    assert (move.state, move.failed) == (JobState.DONE, 0)
    assert move.moved > 0
    sound()
    inbound = MessageLog.objects.filter(direction=Direction.INBOUND)
    assert inbound.count() == before + 100
    assert heard_once(inbound.order_by("pk")[before:])
    assert said_once()


def heard_once(rows):
    """Every message is at most one step of the flow, and no step heard anything else."""
    wanted = Counter((row.session_id, row.text) for row in rows)
    steps = FlowLog.objects.filter(kind=FlowLogKind.STEP, message__kind="text")
    heard = Counter(
        (session, message["text"]) for session, message in steps.values_list("session", "message")
    )
    first = FlowLog.objects.filter(kind=FlowLogKind.STEP, message__kind="started")
    began = Counter(
        (session, message["text"])
        for session, message in first.values_list("session", "message")
        if message["text"]
    )
    everything = Counter(
        MessageLog.objects.filter(direction=Direction.INBOUND).values_list("session_id", "text")
    )
    assert wanted <= everything
    return heard + began <= everything


def said_once():
    """No row of the log said the same thing twice, and nobody was moved or told goodbye twice."""
    twice = (
        MessageLog.objects.outbound()
        .exclude(flow_log=None)
        .values("flow_log", "text")
        .annotate(count=Count("pk"))
        .filter(count__gt=1)
    )
    moved = (
        FlowLog.objects.filter(message__kind="moved")
        .values("session")
        .annotate(count=Count("pk"))
        .filter(count__gt=1)
    )
    farewells = (
        MessageLog.objects.outbound()
        .filter(text=FAREWELL["text"])
        .values("session")
        .annotate(count=Count("pk"))
        .filter(count__gt=1)
    )
    return not twice and not moved and not farewells


def test_without_anybody_writing_each_choice_does_what_it_says(on_air):
    flow = shop.redraw()
    version = shop.put_on_air(flow, moves={str(on_air.pk): CHOICES})
    working()
    move = SessionMove.objects.get()
    assert (move.total, move.moved, move.ended, move.stayed, move.failed) == (100, 80, 10, 10, 0)
    now = Counter(
        (one.flow_state["version"], one.current_state)
        for one in Session.objects.filter(ended_at=None)
    )
    assert now == {
        (version.pk, "nome"): 20,
        (version.pk, "assunto"): 50,
        (version.pk, "nota"): 10,
        (on_air.pk, "espera"): 10,
    }
    sound()


def test_two_workers_at_once_move_each_conversation_once(on_air, monkeypatch):
    shop.redraw()
    monkeypatch.setattr("chatbot.publishing.moves.AT_ONCE", 0)
    publishing(on_air)()
    move = SessionMove.objects.get()
    monkeypatch.setattr("chatbot.publishing.moves.AT_ONCE", 1000)
    fresh = [SessionMove.objects.get() for _ in range(3)]
    at_once(*[lambda one=one: begin(one) for one in fresh], working)
    move.refresh_from_db()
    assert (move.moved, move.ended, move.stayed, move.failed) == (80, 10, 10, 0)
    assert said_once()
    sound()


def test_two_people_publish_at_once_and_only_one_of_them_does(on_air):
    shop.redraw()
    outcomes = at_once(publishing(on_air), publishing(on_air, {}))
    published = [one for one in outcomes if isinstance(one, FlowVersion)]
    refused = [one for one in outcomes if isinstance(one, DomainError)]
    assert (len(published), len(refused)) == (1, 1)
    assert refused[0].code == "on_air_already"
    assert sorted(
        FlowVersion.objects.filter(flow__slug=shop.SLUG).values_list("number", flat=True)
    ) == [1, 2]


def test_a_draft_that_is_saved_while_it_is_published_is_not_published_unseen(on_air):
    flow = shop.redraw()
    later = shop.second()
    later["nodes"]["nome"]["text"] = "Como você se chama?"
    outcomes = at_once(publishing(on_air, {}), lambda: shop.redraw(later))
    flow.refresh_from_db()
    if isinstance(outcomes[0], DomainError):
        assert outcomes[0].code == "draft_conflict"
        assert flow.published == on_air
    else:
        assert flow.published.document["nodes"]["nome"]["text"] == "Qual é o seu nome?"
    assert flow.draft["nodes"]["nome"]["text"] == "Como você se chama?"


def test_of_two_decisions_about_a_request_one_counts(on_air):
    flow = shop.redraw()
    Flow.objects.filter(pk=flow.pk).update(needs_approval=True)
    request = approval.ask(
        flow,
        user=ana(),
        revision=flow.draft_revision,
        note="",
        moves={},
        seen="",
        at=timezone.now(),
    )
    admin = root()

    def approve():
        return approval.approve(request, user=admin, answer="", at=timezone.now())

    def refuse():
        return approval.refuse(request, user=admin, answer="Ainda não", at=timezone.now())

    outcomes = at_once(approve, approve, refuse)
    assert len([one for one in outcomes if isinstance(one, DomainError)]) == 2
    request = PublishRequest.objects.get()
    flow.refresh_from_db()
    is_approved = request.state == "approved"
    assert (flow.published != on_air) is is_approved
    assert request.version == (flow.published if is_approved else None)
