"""Many at once, on PostgreSQL with real threads: nothing twice, lost or out of order."""

from __future__ import annotations

import random
import threading
from collections import Counter
from functools import partial
from threading import Barrier
from time import sleep

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from chatbot import delivery, verification
from chatbot.conversation import send_reply
from chatbot.models import Author, FailedEvent, FlowLog, FlowLogKind, MessageLog, MessageStatus
from chatbot.tests import stage
from chatbot.tests.webhook import body_of, message, post, text
from leads.models import Identity, Lead
from leads.tests.recipes import davi, phone
from sessions_app.models import Owner, Session
from sessions_app.services import lock_session
from tickets.models import Ticket
from users.tests.racing import at_once
from users.tests.recipes import bia

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

WITH_NINTH, WITHOUT_NINTH = "5511987654321", "551187654321"
BSUID = "BR.13491208655302741918"


@pytest.fixture
def shop(transactional_db):
    return stage.open_shop()


def posting(*values):
    body = body_of(*values)
    return lambda: post(Client(), body).status_code


def assert_sound():
    """Every step was taken, none failed and was mended, and the logs tell the stored state."""
    assert not FailedEvent.objects.exists()
    pks = Session.objects.values_list("pk", flat=True)
    assert not [found for _pk, found in verification.verify(pks) if found is not None]


# --- Coming in ---------------------------------------------------------------------------------


def test_the_same_message_twenty_times_at_once_is_one_row_and_one_reply(shop, graph_api):
    outcomes = at_once(*[posting(text("Oi", message_id="wamid.uma"))] * 20)
    assert outcomes == [200] * 20
    assert MessageLog.objects.inbound().count() == 1
    assert Lead.objects.count() == Session.objects.count() == 1
    assert FlowLog.objects.filter(kind=FlowLogKind.START).count() == 1
    delivery.deliver_pending()
    asked = [sent.text for sent in graph_api.messages if "Como posso ajudar?" in sent.text]
    assert len(asked) == 1
    assert len(graph_api.messages) == MessageLog.objects.outbound().count()
    assert_sound()


def test_a_known_customers_message_twenty_times_at_once_is_one_step(shop):
    assert posting(text("Oi"))() == 200
    before = Session.objects.get().seq
    outcomes = at_once(*[posting(text("Não sei", message_id="wamid.uma"))] * 20)
    assert outcomes == [200] * 20
    assert MessageLog.objects.inbound().count() == 2
    assert Session.objects.get().seq == before + 1
    assert_sound()


def test_fifty_messages_of_a_new_contact_at_once_are_one_gapless_conversation(shop):
    outcomes = at_once(*[posting(text(f"Mensagem {number}")) for number in range(50)])
    assert outcomes == [200] * 50
    texts = MessageLog.objects.inbound().values_list("text", flat=True)
    assert sorted(texts) == sorted(f"Mensagem {number}" for number in range(50))
    lead, session = Lead.objects.get(), Session.objects.get()
    assert session.lead == lead
    seqs = list(FlowLog.objects.order_by("seq").values_list("seq", flat=True))
    assert seqs == list(range(1, session.seq + 1))
    assert FlowLog.objects.filter(kind=FlowLogKind.START).count() == 1
    assert_sound()
    assert Ticket.objects.count() == (0 if session.owner == Owner.BOT else 1)


def test_rows_of_one_conversation_have_ids_in_the_order_of_their_steps(shop):
    at_once(*[posting(text(f"Mensagem {number}")) for number in range(20)])
    rows = MessageLog.objects.outbound().exclude(flow_log=None).order_by("pk")
    seqs = list(rows.values_list("flow_log__seq", flat=True))
    assert seqs == sorted(seqs)
    assert_sound()


def test_both_forms_of_a_brazilian_number_at_once_are_one_person(shop):
    forms = [WITH_NINTH, WITHOUT_NINTH] * 10
    outcomes = at_once(*[posting(text("Oi", phone=form)) for form in forms])
    assert outcomes == [200] * 20
    assert Lead.objects.get().phone == f"+{WITH_NINTH}"
    assert Identity.objects.get().address == WITH_NINTH
    assert Session.objects.count() == 1
    assert_sound()


def by_user_id(body, *, phone=""):
    """A message that names its sender by user id, and by phone if one is given."""
    value = message({"type": "text", "text": {"body": body}}, phone=phone or BSUID)
    value["contacts"][0]["user_id"] = value["messages"][0]["from_user_id"] = BSUID
    if not phone:
        del value["contacts"][0]["wa_id"], value["messages"][0]["from"]
    return value


def test_phone_and_user_id_together_many_times_at_once_are_one_person(shop):
    values = [by_user_id(f"Oi {number}", phone=WITH_NINTH) for number in range(20)]
    assert at_once(*map(posting, values)) == [200] * 20
    assert Lead.objects.count() == Session.objects.count() == 1
    assert sorted(Identity.objects.values_list("scheme", flat=True)) == ["bsuid", "phone"]
    assert_sound()


def test_a_user_id_alone_and_with_its_phone_at_once_are_one_person(shop):
    values = [by_user_id(f"Oi {n}", phone=WITHOUT_NINTH if n % 2 else "") for n in range(20)]
    assert at_once(*map(posting, values)) == [200] * 20
    assert Lead.objects.count() == Session.objects.count() == 1
    assert MessageLog.objects.inbound().count() == 20
    assert_sound()


def test_two_bodies_with_the_same_customers_in_opposite_order_both_get_through(shop):
    people = [f"55119900{number:05d}" for number in range(10)]
    there = [text("Vai", phone=one) for one in people]
    back = [text("Volta", phone=one) for one in reversed(people)]
    assert at_once(posting(*there), posting(*back), posting(*there), posting(*back)) == [200] * 4
    assert Lead.objects.count() == 10
    assert MessageLog.objects.inbound().count() == 20
    assert_sound()


# --- The lock ----------------------------------------------------------------------------------


def seen_after_waiting(session, change):
    """What a thread sees that waited for the lock while `change` was made and committed."""
    seen, is_asking = [], threading.Event()

    @transaction.atomic
    def wait_for_it():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])
        is_asking.set()
        locked = lock_session(session.pk)
        seen.append((locked, locked.lead, locked.identity))

    pids = []
    go = threading.Event()

    def second():
        go.wait(10)
        return wait_for_it()

    def first():
        with transaction.atomic():
            locked = lock_session(session.pk)
            go.set()
            assert is_asking.wait(10)
            wait_until_blocked(pids[0])
            change(locked)

    errors = [one for one in at_once(first, second) if one is not None]
    assert not errors, errors
    return seen[0]


def wait_until_blocked(pid):
    with connection.cursor() as cursor:
        for _try in range(1000):
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s))", [pid])
            if cursor.fetchone()[0]:
                return
            sleep(0.005)
    raise AssertionError("nobody waits")


def test_who_waited_for_a_session_sees_its_lead_as_it_is_now(shop):
    session = stage.talk(shop)

    def rename(locked):
        Lead.objects.filter(pk=locked.lead_id).update(name="Davi Lucca")

    _session, lead, _identity = seen_after_waiting(session, rename)
    assert lead.name == "Davi Lucca"


def test_who_waited_for_a_session_sees_the_address_to_answer_to(shop):
    session = stage.talk(shop)
    other = Identity.objects.create(lead=session.lead, scheme="bsuid", address=BSUID, send_to=BSUID)

    def write_from_there(locked):
        locked.identity = other
        locked.save(update_fields=["identity"])

    _session, _lead, identity = seen_after_waiting(session, write_from_there)
    assert identity == other


def test_who_waited_for_a_session_finds_it_under_the_lead_it_was_moved_to(shop):
    session = stage.talk(shop)
    winner = davi(phone("5511912345678"))

    def move(locked):
        locked.lead = winner
        locked.save(update_fields=["lead"])

    _session, lead, _identity = seen_after_waiting(session, move)
    assert lead == winner


# --- Takeover ----------------------------------------------------------------------------------

RACES = 125
LANES = 4


@pytest.mark.parametrize("round_number", range(8))
def test_a_takeover_between_deciding_and_sending_silences_the_bot(shop, graph_api, round_number):
    """A thousand races, 125 a round: a worker about to send against an attendant who writes."""
    user = bia()
    sessions = [stage.talk(shop) for _ in range(RACES)]
    bot = {session.pk: stage.queued(session, "Sou o robô")[0] for session in sessions}
    seen = {}  # the bot row's status as the takeover saw it, under the lock that decides

    def deliver(lane, barriers):
        for session, barrier in zip(lane, barriers, strict=True):
            barrier.wait(30)
            sleep(random.random() * 0.006)  # noqa: S311  # spreads who is first; nothing depends on it
            now = timezone.now()
            due = delivery.due(now).filter(pk=bot[session.pk].pk)
            for row in delivery.claim(due, limit=1, now=now):
                delivery.deliver(row)

    def take_over(lane, barriers):
        for session, barrier in zip(lane, barriers, strict=True):
            barrier.wait(30)
            sleep(random.random() * 0.03)  # noqa: S311  # claiming takes its time: either may be first
            with transaction.atomic():
                send_reply(session, user=user, text="Aqui é a Bia", at=timezone.now())
                seen[session.pk] = stage.fresh(bot[session.pk]).status

    lanes = [sessions[number::LANES] for number in range(LANES)]
    racers = []
    for lane in lanes:
        barriers = [Barrier(2) for _ in lane]
        racers += [partial(deliver, lane, barriers), partial(take_over, lane, barriers)]
    assert at_once(*racers) == [None] * (2 * LANES)
    while delivery.deliver_pending():
        pass
    texts = stage.received_by_each(graph_api)
    for session in sessions:
        was_silenced = seen[session.pk] == MessageStatus.QUEUED
        row = stage.fresh(bot[session.pk])
        expected = ["Aqui é a Bia"] if was_silenced else ["Sou o robô", "Aqui é a Bia"]
        assert texts[session.identity.send_to] == expected
        assert (row.status == MessageStatus.SUPERSEDED) == was_silenced
    how = Counter(status == MessageStatus.QUEUED for status in seen.values())
    assert min(how[True], how[False]) > 0, f"one side always won: {how}"


def test_a_takeover_against_the_customers_next_message_leaves_one_speaker(shop, graph_api):
    """Either the bot answered before, or it is silent: never a bot row under the new epoch."""
    user = bia()
    for number in range(25):
        who = f"55119911{number:05d}"
        posting(text("Oi", phone=who))()
        session = Session.objects.get(identity__address=who)
        taking = partial(send_reply, session, user=user, text="Aqui é a Bia", at=timezone.now())
        answer, reply = at_once(posting(text("Não sei", phone=who)), taking)
        assert answer == 200
        assert isinstance(reply, MessageLog), reply
        rows = MessageLog.objects.filter(session=session)
        assert not rows.filter(author=Author.BOT, epoch=1).exists()
        assert not rows.filter(author=Author.BOT, pk__gt=reply.pk).exists()
        assert rows.inbound().count() == 2
        delivery.deliver_pending()
        assert stage.received_by_each(graph_api)[who] == ["Aqui é a Bia"]


# --- Going out ---------------------------------------------------------------------------------


def test_four_claimers_send_each_of_five_hundred_rows_once_and_in_order(shop, graph_api):
    texts = [f"Linha {number}" for number in range(5)]
    sessions = [stage.talk(shop) for _ in range(100)]
    for session in sessions:
        stage.queued(session, *texts)

    def work():
        while MessageLog.objects.pending().exists():
            for row in delivery.claim_due(limit=8, now=timezone.now()):
                delivery.deliver(row)

    assert at_once(*[work] * 4) == [None] * 4
    assert stage.is_each_sent_once(graph_api)
    got = stage.received_by_each(graph_api)
    assert all(got[session.identity.send_to] == texts for session in sessions)
    assert set(MessageLog.objects.values_list("status", "attempts")) == {("sent", 1)}


def test_claimers_at_once_never_get_the_same_row(shop):
    for _ in range(40):
        stage.queued(stage.talk(shop), "Olá")
    claims = at_once(*[lambda: delivery.claim_due(limit=10, now=timezone.now())] * 8)
    claimed = [row.pk for rows in claims for row in rows]
    assert len(claimed) == len(set(claimed))
    leases = MessageLog.objects.exclude(locked_until=None).count()
    assert leases == len(claimed)


def test_who_lost_the_lease_does_not_send(shop, graph_api):
    row = stage.queued(stage.talk(shop), "Olá")[0]
    mine = delivery.claim_due(limit=1, now=timezone.now())[0]
    MessageLog.objects.update(locked_until=timezone.now())
    theirs = delivery.claim_due(limit=1, now=timezone.now())[0]
    assert delivery.deliver(mine) == MessageStatus.QUEUED
    assert not graph_api.messages
    assert stage.fresh(row).locked_until == theirs.locked_until
    assert delivery.deliver(theirs) == MessageStatus.SENT
    assert delivery.deliver(mine) == MessageStatus.SENT
    assert len(graph_api.messages) == 1
    assert stage.fresh(row).attempts == 1
