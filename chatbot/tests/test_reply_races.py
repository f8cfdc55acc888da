"""Two people answer one customer at once, on PostgreSQL with real threads: one of them goes."""

from __future__ import annotations

from uuid import uuid4

import pytest

from chatbot import delivery
from chatbot.composer import write_note
from chatbot.conversation import ReplyHeld, Seen, send_reply
from chatbot.models import MessageLog
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import whatsapp_channel
from sessions_app.models import Owner
from tickets import services as tickets
from tickets.models import InternalNote
from users.models import User
from users.tests.racing import at_once

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

ROUNDS = 5


@pytest.fixture
def colleagues(transactional_db) -> tuple[User, User]:
    bia = recipes.bia()
    dora = User.objects.create_user("dora", first_name="Dora")
    dora.departments.add(recipes.department("vendas"))
    return bia, dora


def waiting_conversation(channel):
    session = stage.talk(channel, owner=Owner.QUEUE)
    recipes.inbound(session, "Tem alguém?")
    ticket = recipes.ticket(session=session, department=recipes.department("vendas"))
    return session, ticket


def test_of_two_replies_at_once_one_is_held_and_goes_once_its_author_insists(colleagues):
    channel = whatsapp_channel()
    for _round in range(ROUNDS):
        session, ticket = waiting_conversation(channel)
        seen = Seen(MessageLog.objects.filter(session=session).last().pk, None)
        client_ids = [uuid4(), uuid4()]

        def replying(user, client_id, session=session, seen=seen):
            how = {"text": f"Oi, sou {user}.", "client_id": client_id, "seen": seen}
            return lambda: send_reply(session, user=user, **how)

        pairs = zip(colleagues, client_ids, strict=True)
        outcomes = at_once(*[replying(user, client_id) for user, client_id in pairs])
        held = [number for number, one in enumerate(outcomes) if isinstance(one, ReplyHeld)]
        sent = [one for one in outcomes if isinstance(one, MessageLog)]
        assert (len(held), len(sent)) == (1, 1)
        loser, winner = colleagues[held[0]], colleagues[1 - held[0]]
        assert outcomes[held[0]].holder == winner

        ticket.refresh_from_db()
        tickets.release(ticket, actor=winner)
        news = Seen(sent[0].pk, None)
        insisting = replying(loser, client_ids[held[0]], seen=news)
        again = at_once(*[insisting] * 4)  # a double click, and a retry
        assert len({row.pk for row in again}) == 1
        assert MessageLog.objects.outbound().filter(session=session).count() == 2


def test_a_note_saved_many_times_at_once_is_one_note(colleagues):
    _session, ticket = waiting_conversation(whatsapp_channel())
    bia = colleagues[0]
    at_once(*[lambda: write_note(ticket, author=bia, text="Cliente antigo")] * 6)
    assert InternalNote.objects.count() == 1


def test_a_failed_message_is_set_aside_or_sent_again_but_not_both(colleagues):
    session, _ticket = waiting_conversation(whatsapp_channel())
    row = recipes.outbound(session, status="failed", error_code="131016")
    bia = colleagues[0]
    outcomes = at_once(
        *[lambda: delivery.send_again(row, user=bia), lambda: delivery.discard(row, user=bia)] * 3
    )
    refused = [one for one in outcomes if isinstance(one, delivery.CannotSendAgain)]
    assert len(refused) == 5
