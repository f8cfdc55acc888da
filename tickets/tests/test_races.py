from contextlib import suppress
from copy import copy
from datetime import timedelta
from functools import partial
from threading import Event

import pytest
from django.db import transaction
from django.utils import timezone

from leads.tests.recipes import davi
from sessions_app.models import Owner, Session
from sessions_app.services import lock_session
from sessions_app.tests import recipes as sessions
from sessions_app.tests.recipes import MONDAY
from tickets import services
from tickets.errors import TicketConflict, TicketRefused
from tickets.models import InternalNote, Ticket, TicketEvent, TicketEventKind
from tickets.next_ticket import next_ticket
from tickets.services import Next
from tickets.tests import recipes
from users.models import Department
from users.tests.racing import at_once
from users.tests.recipes import ana, bia, caio

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


def refused(outcomes):
    """Those who were told that somebody was faster; nothing else may go wrong."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert all(isinstance(error, TicketConflict) for error in errors), errors
    return errors


def same_row(ticket):
    return Ticket.objects.get(pk=ticket.pk)


def test_of_two_who_claim_at_once_one_wins():
    people = [bia(), caio()]
    for _ in range(20):
        seen = [same_row(recipes.ticket())] * 2
        claims = [
            partial(services.claim, copy(ticket), user=user)
            for ticket, user in zip(seen, people, strict=True)
        ]
        (loser,) = refused(at_once(*claims))
        now = same_row(seen[0])
        assert loser.holder == now.assignee
        assert now.events.filter(kind=TicketEventKind.CLAIMED).count() == 1


def test_a_hundred_tickets_opened_at_once_have_protocols_without_gaps():
    opened = [sessions.session(davi()).pk for _ in range(100)]

    @transaction.atomic
    def open_one(pk):
        return services.open_ticket(lock_session(pk), at=MONDAY).protocol

    def open_some(pks):
        return [open_one(pk) for pk in pks]

    outcomes = at_once(*[partial(open_some, opened[n::20]) for n in range(20)])
    protocols = sorted(protocol for protocols in outcomes for protocol in protocols)
    assert protocols == [f"20260302-{number:04d}" for number in range(1, 101)]


def test_an_opening_that_is_rolled_back_leaves_no_gap():
    def give_up():
        with transaction.atomic():
            services.open_ticket(lock_session(session.pk), at=MONDAY)
            raise InterruptedError

    session = sessions.session()
    at_once(*[give_up] * 5)
    assert recipes.ticket().protocol == "20260302-0001"


def test_opened_twice_at_once_it_is_one_ticket():
    pk = sessions.session().pk

    @transaction.atomic
    def open_one():
        return services.open_ticket(lock_session(pk), at=MONDAY).pk

    assert len(set(at_once(*[open_one] * 10))) == 1
    assert Ticket.objects.count() == 1
    assert Session.objects.get().epoch == 1


def test_bot_attendant_and_phone_at_once_make_one_ticket():
    user, pk = bia(), sessions.session().pk
    user.departments.add(Department.objects.get(is_fallback=True))  # she sees what waits there

    @transaction.atomic
    def hand_off():
        services.open_ticket(lock_session(pk), at=MONDAY)

    @transaction.atomic
    def write():
        services.take_over(lock_session(pk), user=user, at=MONDAY)

    @transaction.atomic
    def answer_from_phone():
        services.take_over_from_phone(lock_session(pk), at=MONDAY)

    assert not refused(at_once(*[hand_off, write, answer_from_phone] * 5))
    assert (Session.objects.get().owner, Session.objects.get().epoch) == (Owner.ATTENDANT, 1)
    assert Ticket.objects.get().assignee == user


def test_a_claim_against_a_close_leaves_either_but_not_both():
    admin, user = ana(), bia()
    for _ in range(20):
        ticket = recipes.ticket()
        outcomes = at_once(
            partial(services.claim, same_row(ticket), user=user),
            partial(services.close_ticket, same_row(ticket), actor=admin, then=Next.END),
        )
        assert len(refused(outcomes)) == 1
        session, now = Session.objects.get(pk=ticket.session_id), same_row(ticket)
        assert now.is_open == session.is_live == (session.owner == Owner.ATTENDANT)
        assert (now.assignee == user) == now.is_open


def test_two_who_reopen_two_tickets_of_a_lead_at_once_open_one():
    admin, lead = ana(), davi()
    tickets = []
    for _ in range(2):
        tickets.append(recipes.ticket(sessions.session(lead)))
        services.close_ticket(tickets[-1], actor=admin, then=Next.END)
    outcomes = at_once(
        *[partial(services.reopen, same_row(ticket), actor=admin) for ticket in tickets]
    )
    assert len(refused(outcomes)) == 1
    assert Ticket.objects.open().count() == Session.objects.live().count() == 1


def test_everything_at_once_ends_in_a_sound_state():
    admin, people = ana(), [bia(), caio()]
    ticket = recipes.ticket()

    def shuffle(number):
        user = people[number % 2]
        for operation in (
            lambda row: services.claim(row, user=user),
            lambda row: services.assign(row, to_user=people[(number + 1) % 2], actor=admin),
            lambda row: services.release(row, actor=admin),
        ):
            with suppress(TicketConflict):
                operation(same_row(ticket))

    assert not refused(at_once(*[partial(shuffle, number) for number in range(12)]))
    now, session = same_row(ticket), Session.objects.get()
    assert (now.assignee is None) == (session.owner == Owner.QUEUE)
    assert session.epoch == 1
    assert TicketEvent.objects.filter(ticket=ticket).count() >= 2


def test_two_who_ask_for_the_next_ticket_at_once_never_get_the_same():
    people = [bia(), bia_too()]
    for _ in range(10):
        recipes.ticket(sessions.session(davi()))
    got = []
    for _ in range(5):
        got += at_once(*[partial(next_ticket, user, MONDAY) for user in people])
    assert len({ticket.pk for ticket in got}) == len(got) == 10
    for ticket in got:
        assert same_row(ticket).events.filter(kind=TicketEventKind.CLAIMED).count() == 1


def bia_too():
    """A colleague of Bia's, in the same department."""
    colleague = caio()
    colleague.departments.set(bia().departments.all())
    return colleague


def test_an_undo_against_a_customer_who_writes_ends_in_a_sound_state():
    user = bia()
    for _ in range(10):
        ticket = recipes.ticket(sessions.session(davi()), assignee=user)
        services.snooze(ticket, until=timezone.now() + timedelta(days=1), actor=user)
        event = ticket.events.first()

        @transaction.atomic
        def write(pk=ticket.session_id):
            services.note_inbound(lock_session(pk), preview="Oi", at=timezone.now())

        _wrote, undone = at_once(write, partial(services.undo, event, user))
        assert isinstance(undone, Ticket | TicketRefused)
        now = same_row(ticket)
        assert (now.snoozed_until, now.sla_paused_at, now.unread) == (None, None, 1)


def test_a_ticket_is_woken_up_once_by_clock_and_customer():
    user = bia()
    for _ in range(10):
        ticket = recipes.ticket(sessions.session(davi()), assignee=user)
        services.snooze(ticket, until=MONDAY + timedelta(hours=1), actor=user, at=MONDAY)
        later = MONDAY + timedelta(hours=1)

        @transaction.atomic
        def write(pk=ticket.session_id, at=later):
            services.note_inbound(lock_session(pk), preview="Oi", at=at)

        at_once(write, partial(services.wake_due, now=later), partial(services.wake_due, now=later))
        assert ticket.events.filter(kind=TicketEventKind.WOKEN).count() == 1


def test_a_ticket_is_rated_once_however_often_it_is_said_at_once():
    for _ in range(5):
        ticket = recipes.ticket(sessions.session(davi()), assignee=bia())
        services.resolve(ticket, actor=bia(), then=Next.END)
        rates = [partial(services.rate, same_row(ticket), rating=n, at=MONDAY) for n in (1, 3, 5)]
        assert sorted(at_once(*rates)) == [False, False, True]
        assert ticket.events.filter(kind=TicketEventKind.RATED).count() == 1


def test_notes_of_one_lead_get_their_ids_in_the_order_in_which_they_are_kept():
    """Of a settled ticket and of the one that goes on: a page asks for what is newer than the
    newest note it shows, of all tickets of the lead."""
    settled = recipes.ticket()
    services.resolve(settled, actor=ana(), then=Next.END)
    going_on = recipes.ticket(session=sessions.session(settled.lead))
    author, wrote, seen = bia(), Event(), Event()

    @transaction.atomic
    def slow():
        note = services.add_note(same_row(settled), author=author, text="Da outra vez")
        wrote.set()
        seen.wait(1)
        return note.pk

    def quick():
        wrote.wait(10)
        note = services.add_note(same_row(going_on), author=author, text="Agora")
        stored = set(InternalNote.objects.values_list("pk", flat=True))
        seen.set()
        return note.pk, stored

    first, (second, stored) = at_once(slow, quick)
    assert first < second
    assert first in stored, "a page that shows the later note would never ask for the earlier one"
