from datetime import UTC, datetime, timedelta

import pytest
from model_bakery import baker

from leads.services import merge_leads
from leads.tests.recipes import davi
from sessions_app.models import ChannelKind, EndReason, Owner, Session
from sessions_app.services import SessionConflict, end_session, hand_over
from sessions_app.tests import recipes as sessions
from sessions_app.tests.recipes import MONDAY
from tickets import services
from tickets.errors import TicketConflict, TicketRefused
from tickets.models import (
    OPEN_STATUSES,
    InternalNote,
    Priority,
    ProtocolCounter,
    SlaPolicy,
    Ticket,
    TicketEvent,
    TicketEventKind,
    TicketStatus,
)
from tickets.services import Next, transition
from tickets.signals import ticket_closed
from tickets.tests import recipes
from users.models import Department
from users.services import deactivate_user
from users.tests.recipes import ana, bia, caio, department, suporte

pytestmark = pytest.mark.django_db

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LATER = MONDAY + HOUR
BOT, QUEUE, ATTENDANT = Owner.BOT, Owner.QUEUE, Owner.ATTENDANT
OPEN, IN_PROGRESS = TicketStatus.OPEN, TicketStatus.IN_PROGRESS
WAITING, RESOLVED, CLOSED = (
    TicketStatus.WAITING_CUSTOMER,
    TicketStatus.RESOLVED,
    TicketStatus.CLOSED,
)


def stored(row):
    return type(row).objects.get(pk=row.pk)


def kinds(ticket):
    return list(
        TicketEvent.objects.filter(ticket=ticket).order_by("pk").values_list("kind", flat=True)
    )


def last_event(ticket):
    return ticket.events.first()


# --- Opening -----------------------------------------------------------------------------------


def test_the_bot_opens_a_ticket_and_is_silent():
    session = sessions.session(davi(), last_message_preview="Quero falar com alguém")
    ticket = recipes.ticket(
        session,
        department="vendas",
        priority=Priority.HIGH,
        subject="Orçamento",
        variables={"nome": "Davi"},
        handoff={"reason": "handoff"},
    )
    ticket = stored(ticket)
    assert (ticket.status, ticket.assignee, ticket.priority) == (OPEN, None, Priority.HIGH)
    assert (ticket.variables, ticket.handoff) == ({"nome": "Davi"}, {"reason": "handoff"})
    assert (ticket.lead, ticket.queued_at) == (session.lead, MONDAY)
    assert ticket.last_message_preview == "Quero falar com alguém"
    assert (stored(session).owner, stored(session).epoch) == (QUEUE, 1)
    assert kinds(ticket) == [TicketEventKind.OPENED]


def test_opening_again_returns_the_open_ticket():
    first = recipes.ticket()
    second = recipes.ticket(first.session, subject="Outro assunto", assignee=bia())
    assert (second, second.subject, second.assignee) == (first, "", None)
    assert kinds(first) == [TicketEventKind.OPENED]


@pytest.mark.parametrize("asked", ["nada-disso", "", None], ids=["unknown", "empty", "none"])
def test_a_department_that_cannot_be_used_becomes_the_fallback(asked):
    department("vendas")
    ticket = recipes.ticket(department=asked)
    fallback = Department.objects.get(is_fallback=True)
    assert ticket.department == fallback
    told = {"department_asked": asked} if asked else {}
    assert last_event(ticket).details.items() >= {"department": fallback.slug, **told}.items()


@pytest.mark.parametrize("as_row", [True, False], ids=["row", "slug"])
def test_an_inactive_department_becomes_the_fallback(as_row):
    closed = department("antigo", is_active=False)
    ticket = recipes.ticket(department=closed if as_row else closed.slug)
    assert ticket.department.is_fallback
    assert last_event(ticket).details["department_asked"] == "antigo"


def test_protocols_count_up_within_the_day_of_the_site():
    just_before, midnight = (
        datetime(2026, 3, 3, 2, 59, tzinfo=UTC),
        datetime(2026, 3, 3, 3, tzinfo=UTC),
    )
    protocols = [recipes.ticket(at=at).protocol for at in (MONDAY, just_before, midnight)]
    assert protocols == ["20260302-0001", "20260302-0002", "20260303-0001"]


def test_the_ten_thousandth_protocol_of_a_day_is_wider():
    recipes.ticket()
    ProtocolCounter.objects.update(n=9999)
    assert recipes.ticket().protocol == "20260302-10000"


def test_a_ticket_of_the_simulator_is_marked():
    simulator = sessions.channel("simulador", kind=ChannelKind.SIMULATOR)
    assert recipes.ticket(sessions.session(channel=simulator)).is_simulated


def test_no_ticket_is_opened_in_an_ended_session():
    session = end_session(sessions.session(), reason=EndReason.IDLE, at=MONDAY)
    with pytest.raises(SessionConflict):
        recipes.ticket(session)
    assert not Ticket.objects.exists()


# --- SLA ---------------------------------------------------------------------------------------


def policy(minutes, *, slug=None, priority="", **fields):
    where = department(slug) if slug else None
    fields = {"first_response_minutes": minutes, "resolution_minutes": None, **fields}
    return baker.make(SlaPolicy, department=where, priority=priority, is_active=True, **fields)


def test_the_most_specific_policy_applies():
    policy(60)
    policy(30, priority=Priority.HIGH)
    policy(20, slug="vendas")
    policy(10, slug="vendas", priority=Priority.HIGH)
    policy(1, slug="suporte")

    def minutes(slug, priority):
        due = recipes.ticket(department=slug, priority=priority).first_response_due_at
        return (due - MONDAY) / MINUTE

    department("fiscal")
    assert minutes("vendas", Priority.HIGH) == 10
    assert minutes("vendas", Priority.LOW) == 20
    assert minutes("fiscal", Priority.HIGH) == 30
    assert minutes("fiscal", Priority.LOW) == 60


def test_without_a_policy_nothing_is_due():
    ticket = recipes.ticket()
    assert (ticket.first_response_due_at, ticket.resolution_due_at) == (None, None)


def test_another_priority_has_other_due_times():
    policy(60, resolution_minutes=600)
    policy(10, priority=Priority.HIGH, resolution_minutes=100)
    ticket = recipes.ticket()
    services.set_priority(ticket, priority=Priority.HIGH, actor=ana())
    assert ticket.first_response_due_at == ticket.created_at + 10 * MINUTE
    assert ticket.resolution_due_at == ticket.created_at + 100 * MINUTE


def test_an_answer_that_was_given_is_not_judged_by_another_priority():
    policy(60)
    policy(10, priority=Priority.HIGH)
    ticket = recipes.ticket(assignee=bia())
    services.note_reply(ticket, user=bia(), at=LATER)
    services.set_priority(ticket, priority=Priority.HIGH, actor=ana())
    assert ticket.first_response_due_at == MONDAY + 60 * MINUTE


# --- Taking over -------------------------------------------------------------------------------


def test_who_writes_first_has_the_ticket():
    session = sessions.session()
    ticket = services.take_over(session, user=bia(), at=MONDAY)
    assert (ticket.assignee, ticket.status, ticket.department.slug) == (
        bia(),
        IN_PROGRESS,
        "vendas",
    )
    assert (stored(session).owner, stored(session).epoch) == (ATTENDANT, 1)


def test_who_writes_in_a_queued_conversation_claims_its_ticket():
    ticket = recipes.ticket()
    assert services.take_over(ticket.session, user=bia(), at=LATER) == ticket
    assert (stored(ticket).assignee, stored(ticket.session).owner) == (bia(), ATTENDANT)


def test_nobody_takes_over_what_a_colleague_has():
    ticket = recipes.ticket(assignee=bia())
    with pytest.raises(TicketConflict) as refusal:
        services.take_over(ticket.session, user=caio(), at=LATER)
    assert refusal.value.holder == bia()


def test_an_answer_from_the_phone_opens_a_ticket_that_nobody_has():
    session = sessions.session()
    ticket = stored(services.take_over_from_phone(session, at=MONDAY))
    assert (ticket.assignee, ticket.status, ticket.first_response_at) == (None, OPEN, MONDAY)
    assert (stored(session).owner, stored(session).epoch) == (ATTENDANT, 1)


def test_an_answer_from_the_phone_takes_a_queued_conversation():
    ticket = recipes.ticket()
    assert services.take_over_from_phone(ticket.session, at=LATER) == ticket
    assert (stored(ticket.session).owner, stored(ticket).assignee) == (ATTENDANT, None)
    assert stored(ticket).first_response_at == LATER


def test_what_was_answered_from_the_phone_can_be_claimed_or_released():
    session = sessions.session()
    ticket = services.take_over_from_phone(session, at=MONDAY)
    services.release(ticket, actor=ana())
    assert stored(session).owner == QUEUE
    services.claim(ticket, user=bia())
    assert stored(session).owner == ATTENDANT


def test_staff_take_a_conversation_from_the_bot_for_a_queue():
    session = sessions.session()
    ticket = services.open_for_staff(session.pk, actor=ana(), department=department("suporte"))
    assert (ticket.department.slug, ticket.assignee, stored(session).owner) == (
        "suporte",
        None,
        QUEUE,
    )


def test_staff_do_not_open_a_second_ticket():
    ticket = recipes.ticket(assignee=bia())
    with pytest.raises(TicketConflict) as refusal:
        services.open_for_staff(ticket.session_id, actor=ana())
    assert refusal.value.code == "session_has_open_ticket"
    assert ticket.protocol in refusal.value.message


# --- Who has it --------------------------------------------------------------------------------


def test_a_claimed_ticket_is_in_progress_with_an_attendant():
    ticket = recipes.ticket()
    services.claim(ticket, user=bia(), at=LATER)
    saved = stored(ticket)
    assert (saved.assignee, saved.status, saved.assigned_at) == (bia(), IN_PROGRESS, LATER)
    assert (saved.session.owner, saved.session.epoch) == (ATTENDANT, 1)
    assert last_event(ticket).kind == TicketEventKind.CLAIMED


def test_the_second_to_claim_is_told_who_has_it():
    ticket = recipes.ticket()
    stale = stored(ticket)
    services.claim(ticket, user=bia())
    with pytest.raises(TicketConflict) as refusal:
        services.claim(stale, user=caio())
    assert (refusal.value.code, refusal.value.holder) == ("ticket_taken", bia())
    assert "Bia" in refusal.value.message
    assert stored(ticket).assignee == bia()


def test_claiming_twice_is_one_event():
    ticket = recipes.ticket()
    for _ in range(2):
        services.claim(ticket, user=bia())
    assert kinds(ticket).count(TicketEventKind.CLAIMED) == 1


def test_an_assigned_ticket_is_open_until_it_is_accepted():
    ticket = recipes.ticket()
    services.assign(ticket, to_user=bia(), actor=ana(), at=LATER)
    assert (stored(ticket).assignee, stored(ticket).status) == (bia(), OPEN)
    assert stored(ticket.session).owner == ATTENDANT
    services.claim(ticket, user=bia())
    assert stored(ticket).status == IN_PROGRESS


def test_an_assigned_ticket_that_waits_for_the_customer_goes_on_waiting():
    ticket = recipes.ticket(assignee=bia())
    services.set_status(ticket, status=WAITING, actor=bia())
    services.assign(ticket, to_user=caio(), actor=ana())
    assert (ticket.assignee, ticket.status) == (caio(), WAITING)


def test_a_released_ticket_is_back_in_the_queue():
    ticket = recipes.ticket(assignee=bia())
    services.release(ticket, actor=bia(), at=LATER)
    saved = stored(ticket)
    assert (saved.assignee, saved.assigned_at, saved.status) == (None, None, OPEN)
    assert (saved.queued_at, saved.session.owner, saved.session.epoch) == (LATER, QUEUE, 1)
    assert last_event(ticket).details["from"]["name"] == "Bia"


def test_releasing_what_is_in_the_queue_changes_nothing():
    ticket = recipes.ticket()
    services.release(ticket, actor=ana(), at=LATER)
    assert (stored(ticket).queued_at, kinds(ticket)) == (MONDAY, [TicketEventKind.OPENED])


def test_a_ticket_moves_to_the_queue_of_another_department_with_a_note():
    ticket = recipes.ticket(assignee=bia())
    services.transfer(ticket, department=suporte(), actor=bia(), note="Não liga")
    saved = stored(ticket)
    assert (saved.department.slug, saved.assignee, saved.status) == ("suporte", None, OPEN)
    assert saved.session.owner == QUEUE
    assert InternalNote.objects.get(ticket=ticket).text == "Não liga"
    assert last_event(ticket).details["from"]["department"] == "vendas"


def test_a_ticket_moves_to_a_person_of_another_department():
    ticket = recipes.ticket(assignee=bia())
    services.transfer(ticket, department=department("suporte"), to_user=caio(), actor=bia())
    saved = stored(ticket)
    assert (saved.department.slug, saved.assignee, saved.status) == ("suporte", caio(), OPEN)
    assert saved.session.owner == ATTENDANT


@pytest.mark.parametrize(
    "operation",
    [
        lambda ticket: services.release(ticket, actor=bia()),
        lambda ticket: services.assign(ticket, to_user=bia(), actor=bia()),
        lambda ticket: services.transfer(ticket, department=department("suporte"), actor=bia()),
        lambda ticket: services.set_status(ticket, status=WAITING, actor=bia()),
        lambda ticket: services.resolve(ticket, actor=bia(), then=Next.END),
        lambda ticket: services.close_ticket(ticket, actor=bia(), then=Next.END),
    ],
    ids=["release", "assign", "transfer", "set_status", "resolve", "close"],
)
def test_who_saw_the_ticket_with_another_is_refused(operation):
    ticket = recipes.ticket(assignee=bia())
    stale = stored(ticket)
    services.assign(ticket, to_user=caio(), actor=ana())
    with pytest.raises(TicketConflict) as refusal:
        operation(stale)
    assert refusal.value.holder == caio()
    assert stored(ticket).assignee == caio()


@pytest.mark.parametrize(
    "operation",
    [
        lambda ticket, user: services.claim(ticket, user=user),
        lambda ticket, user: services.assign(ticket, to_user=user, actor=ana()),
        lambda ticket, user: services.transfer(
            ticket, department=department("suporte"), to_user=user, actor=ana()
        ),
        lambda ticket, user: services.open_for_staff(
            sessions.session().pk, actor=ana(), assignee=user
        ),
    ],
    ids=["claim", "assign", "transfer", "open"],
)
def test_nobody_inactive_gets_a_ticket(operation):
    with pytest.raises(TicketRefused) as refusal:
        operation(recipes.ticket(), caio(is_active=False))
    assert refusal.value.code == "user_inactive"


def test_a_ticket_does_not_move_to_an_inactive_department():
    with pytest.raises(TicketRefused):
        services.transfer(
            recipes.ticket(), department=department("antigo", is_active=False), actor=ana()
        )


def test_tickets_of_a_deactivated_person_return_to_their_queues():
    mine, other = recipes.ticket(assignee=bia()), recipes.ticket(assignee=caio())
    done = recipes.ticket(assignee=bia())
    services.resolve(done, actor=bia(), then=Next.END)
    deactivate_user(bia(), actor=ana(), at=LATER)
    assert (stored(mine).assignee, stored(mine).session.owner) == (None, QUEUE)
    assert (stored(other).assignee, stored(done).assignee) == (caio(), bia())


# --- Work --------------------------------------------------------------------------------------


def test_a_priority_is_changed_once():
    ticket = recipes.ticket()
    for _ in range(2):
        services.set_priority(ticket, priority=Priority.HIGH, actor=ana())
    assert stored(ticket).priority == Priority.HIGH
    assert kinds(ticket).count(TicketEventKind.PRIORITY) == 1
    assert last_event(ticket).details.items() >= {"from": "medium", "to": "high"}.items()


def test_nobody_waits_for_the_customer_in_a_ticket_that_nobody_has():
    with pytest.raises(TicketRefused):
        services.set_status(recipes.ticket(), status=WAITING, actor=ana())


@pytest.mark.parametrize("status", [OPEN, RESOLVED, CLOSED])
def test_a_status_with_consequences_has_an_operation_of_its_own(status):
    with pytest.raises(TicketRefused):
        services.set_status(recipes.ticket(assignee=bia()), status=status, actor=bia())


def test_a_ticket_sleeps_until_then_or_until_the_customer_writes():
    ticket = recipes.ticket(assignee=bia())
    services.snooze(ticket, until=LATER + HOUR, actor=bia(), at=LATER)
    assert stored(ticket).snoozed_until == LATER + HOUR
    services.note_inbound(ticket.session, preview="Oi", at=LATER)
    assert stored(ticket).snoozed_until is None


def test_a_ticket_does_not_sleep_into_the_past():
    with pytest.raises(TicketRefused):
        services.snooze(recipes.ticket(), until=MONDAY, actor=ana(), at=MONDAY)


def test_an_empty_note_is_refused():
    with pytest.raises(TicketRefused):
        services.add_note(recipes.ticket(), author=bia(), text=" \n")


def test_a_customer_message_is_counted_by_one_statement(django_assert_num_queries):
    ticket = recipes.ticket(assignee=bia())
    with django_assert_num_queries(1):
        assert services.note_inbound(ticket.session, preview="Alguém aí?", at=LATER)
    saved = stored(ticket)
    assert (saved.unread, saved.last_message_preview) == (1, "Alguém aí?")
    assert (saved.last_message_at, saved.status) == (LATER, IN_PROGRESS)


def test_a_customer_message_ends_the_waiting():
    ticket = recipes.ticket(assignee=bia())
    services.set_status(ticket, status=WAITING, actor=bia())
    services.note_inbound(ticket.session, preview="Voltei", at=LATER)
    assert (stored(ticket).status, stored(ticket).unread) == (IN_PROGRESS, 1)
    assert last_event(ticket).details == {"from": WAITING, "to": IN_PROGRESS}


def test_a_message_without_an_open_ticket_is_counted_nowhere():
    assert not services.note_inbound(sessions.session(), preview="Oi", at=MONDAY)


def test_a_reply_is_the_first_response_and_reads_what_came():
    ticket = recipes.ticket(assignee=bia())
    services.note_inbound(ticket.session, preview="Oi", at=MONDAY)
    for at in (LATER, LATER + HOUR):
        services.note_reply(ticket, user=bia(), at=at, preview="Olá!")
    saved = stored(ticket)
    assert (saved.first_response_at, saved.last_message_at) == (LATER, LATER + HOUR)
    assert (saved.unread, saved.last_message_preview, saved.status) == (0, "Olá!", IN_PROGRESS)


def test_a_reply_accepts_what_was_assigned():
    ticket = recipes.ticket()
    services.assign(ticket, to_user=bia(), actor=ana())
    services.note_reply(ticket, user=bia(), at=LATER)
    assert stored(ticket).status == IN_PROGRESS


def test_a_reply_may_leave_the_turn_to_the_customer():
    ticket = recipes.ticket(assignee=bia())
    services.note_reply(ticket, user=bia(), at=LATER, waits=True)
    assert stored(ticket).status == WAITING


# --- Closing -----------------------------------------------------------------------------------


@pytest.fixture
def heard():
    """What receivers of ticket_closed were told."""
    calls = []

    def listen(**told):
        calls.append(told)

    ticket_closed.connect(listen)
    yield calls
    ticket_closed.disconnect(listen)


@pytest.mark.parametrize(
    ("operation", "status"), [(services.resolve, RESOLVED), (services.close_ticket, CLOSED)]
)
def test_closing_ends_the_conversation(operation, status, heard):
    ticket = recipes.ticket(assignee=bia())
    operation(ticket, actor=bia(), then=Next.END, at=LATER)
    session = stored(ticket.session)
    assert stored(ticket).status == status
    assert (session.owner, session.epoch) == (BOT, 2)
    assert (session.ended_at, session.end_reason) == (LATER, EndReason.RESOLVED)
    assert [(told["ticket"], told["then"]) for told in heard] == [(ticket, Next.END)]


@pytest.mark.parametrize("operation", [services.resolve, services.close_ticket])
def test_closing_returns_to_the_bot_at_an_entry(operation, heard):
    ticket = recipes.ticket(assignee=bia())
    operation(ticket, actor=bia(), then=Next.BOT, entry="resume")
    session = stored(ticket.session)
    assert (session.owner, session.epoch, session.is_live) == (BOT, 2, True)
    (told,) = heard
    assert (told["entry"], told["session"].owner) == ("resume", BOT)


@pytest.mark.parametrize("operation", [services.resolve, services.close_ticket])
def test_an_open_ticket_does_not_close_and_leave_nobody_to_speak(operation, heard):
    ticket = recipes.ticket(assignee=bia())
    with pytest.raises(TicketRefused) as refusal:
        operation(ticket, actor=bia(), then=Next.STAY)
    assert refusal.value.code == "next_missing"
    assert (stored(ticket).status, heard) == (IN_PROGRESS, [])


def test_what_a_receiver_raises_undoes_the_closing():
    ticket = recipes.ticket(assignee=bia())

    def fail(**told):
        raise RuntimeError

    ticket_closed.connect(fail)
    try:
        with pytest.raises(RuntimeError):
            services.resolve(ticket, actor=bia(), then=Next.END)
    finally:
        ticket_closed.disconnect(fail)
    assert (stored(ticket).status, stored(ticket.session).owner) == (IN_PROGRESS, ATTENDANT)


def test_a_resolved_ticket_keeps_its_outcome_and_who_resolved_it():
    ticket = recipes.ticket(assignee=bia())
    services.note_inbound(ticket.session, preview="Obrigado", at=LATER)
    services.resolve(ticket, actor=bia(), then=Next.END, outcome="vendido", at=LATER)
    saved = stored(ticket)
    assert (saved.outcome, saved.resolved_at, saved.unread) == ("vendido", LATER, 0)
    assert (saved.assignee, last_event(ticket).actor) == (bia(), bia())


def test_a_resolved_ticket_is_closed_without_touching_the_conversation(heard):
    ticket = recipes.ticket(assignee=bia())
    services.resolve(ticket, actor=bia(), then=Next.BOT)
    before = stored(ticket.session)
    with pytest.raises(TicketConflict):
        services.close_ticket(ticket, actor=bia(), then=Next.END)
    services.close_ticket(ticket, actor=bia(), then=Next.STAY)
    after = stored(ticket.session)
    assert stored(ticket).status == CLOSED
    assert (after.owner, after.epoch, after.is_live) == (before.owner, before.epoch, True)
    assert len(heard) == 1


@pytest.mark.parametrize(
    "operation",
    [
        lambda ticket: services.claim(ticket, user=bia()),
        lambda ticket: services.assign(ticket, to_user=bia(), actor=bia()),
        lambda ticket: services.release(ticket, actor=bia()),
        lambda ticket: services.transfer(ticket, department=department("suporte"), actor=bia()),
        lambda ticket: services.set_priority(ticket, priority=Priority.HIGH, actor=bia()),
        lambda ticket: services.snooze(ticket, until=None, actor=bia()),
        lambda ticket: services.resolve(ticket, actor=bia(), then=Next.END),
        lambda ticket: services.note_reply(ticket, user=bia(), at=LATER),
    ],
    ids=["claim", "assign", "release", "transfer", "priority", "snooze", "resolve", "reply"],
)
@pytest.mark.parametrize("close", [services.resolve, services.close_ticket])
def test_nothing_more_happens_to_a_ticket_that_is_done(operation, close):
    ticket = recipes.ticket(assignee=bia())
    stale = stored(ticket)
    close(ticket, actor=bia(), then=Next.END)
    before = Ticket.objects.filter(pk=ticket.pk).values().get()
    with pytest.raises(TicketConflict) as refusal:
        operation(stale)
    assert refusal.value.code == "ticket_status"
    assert Ticket.objects.filter(pk=ticket.pk).values().get() == before


# --- Opening again -----------------------------------------------------------------------------


def test_a_ticket_is_reopened_in_the_live_session_and_wins_over_the_bot():
    ticket = recipes.ticket(assignee=bia())
    services.resolve(ticket, actor=bia(), then=Next.BOT, outcome="vendido")
    services.reopen(ticket, actor=bia(), at=LATER)
    saved = stored(ticket)
    assert (saved.status, saved.assignee, saved.queued_at) == (OPEN, None, LATER)
    assert (saved.resolved_at, saved.outcome) == (None, "")
    assert (saved.session.owner, saved.session.epoch) == (QUEUE, 3)
    assert kinds(ticket)[-1] == TicketEventKind.REOPENED


def test_a_ticket_of_an_ended_session_is_reopened_in_a_new_one():
    ticket = recipes.ticket(assignee=bia())
    old = ticket.session_id
    services.close_ticket(ticket, actor=bia(), then=Next.END)
    services.reopen(ticket, actor=bia(), at=LATER)
    assert ticket.session_id != old
    assert (stored(ticket).session.owner, stored(ticket).session.is_live) == (QUEUE, True)
    assert Session.objects.live().count() == 1


def test_a_ticket_moves_to_the_session_that_the_customer_has_begun_meanwhile():
    ticket = recipes.ticket(assignee=bia())
    services.resolve(ticket, actor=bia(), then=Next.END)
    newer = sessions.session(ticket.lead, at=LATER)
    services.reopen(ticket, actor=bia())
    assert stored(ticket).session == newer


def test_a_ticket_is_not_reopened_beside_another_open_one():
    ticket = recipes.ticket(assignee=bia())
    services.resolve(ticket, actor=bia(), then=Next.BOT)
    other = recipes.ticket(ticket.session)
    with pytest.raises(TicketConflict) as refusal:
        services.reopen(ticket, actor=bia())
    assert refusal.value.code == "session_has_open_ticket"
    assert other.protocol in refusal.value.message


def test_an_open_ticket_is_not_reopened():
    with pytest.raises(TicketConflict):
        services.reopen(recipes.ticket(), actor=bia())


# --- Merging -----------------------------------------------------------------------------------


def merge(winner, loser):
    merge_leads(winner, loser, actor=ana())


def test_the_open_ticket_of_the_older_session_goes_on_in_the_newer():
    ticket = recipes.ticket(assignee=bia())
    newer = sessions.session(davi())
    merge(newer.lead, ticket.lead)
    saved, older, newer = stored(ticket), stored(ticket.session), stored(newer)
    assert (saved.session, saved.lead, saved.assignee) == (newer, newer.lead, bia())
    assert (older.end_reason, older.lead) == (EndReason.MERGED, newer.lead)
    assert (newer.owner, newer.epoch) == (ATTENDANT, 1)
    assert kinds(ticket)[-1] == TicketEventKind.MERGED


def test_of_two_open_tickets_the_older_is_closed_as_merged(heard):
    older = recipes.ticket(assignee=bia())
    newer = recipes.ticket(assignee=caio())
    merge(older.lead, newer.lead)
    assert (stored(older).status, stored(older.session).end_reason) == (CLOSED, EndReason.MERGED)
    assert last_event(older).details == {"into": newer.protocol}
    assert (stored(newer).status, stored(newer).assignee) == (IN_PROGRESS, caio())
    assert stored(newer).lead == stored(newer.session).lead == older.lead
    assert heard == []


def test_conversations_on_different_channels_both_go_on():
    first = recipes.ticket(assignee=bia())
    second = recipes.ticket(sessions.session(davi(), channel=sessions.channel("outro")))
    merge(first.lead, second.lead)
    assert [stored(ticket.session).is_live for ticket in (first, second)] == [True, True]
    assert stored(second).lead == stored(second.session).lead == first.lead


def test_the_service_window_of_merged_leads_is_the_longer_one():
    older = sessions.session(window_expires_at=MONDAY + 5 * HOUR)
    newer = sessions.session(davi(), window_expires_at=MONDAY + HOUR)
    merge(newer.lead, older.lead)
    assert stored(newer).window_expires_at == MONDAY + 5 * HOUR


def test_the_history_of_the_loser_is_the_winners():
    ticket = recipes.ticket(assignee=bia())
    services.resolve(ticket, actor=bia(), then=Next.END)
    winner = davi()
    merge(winner, ticket.lead)
    assert stored(ticket).lead == stored(ticket.session).lead == winner


# --- The table ---------------------------------------------------------------------------------


def test_every_status_has_moves_and_done_tickets_only_reopen_or_close():
    assert set(transition.MOVES) == set(TicketStatus)
    done = set(TicketStatus) - set(OPEN_STATUSES)
    assert all(transition.MOVES[status] <= {OPEN, CLOSED} for status in done)


def test_a_row_that_changed_behind_the_lock_is_not_overwritten():
    ticket = recipes.ticket()
    hand_over(ticket.session, to=ATTENDANT, at=MONDAY)
    Ticket.objects.filter(pk=ticket.pk).update(assignee=bia())
    with pytest.raises(TicketConflict):
        transition.update(ticket, {"unread": 5})
    assert stored(ticket).unread == 0
