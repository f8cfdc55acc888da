"""Whatever people, bot and customer do, in any order: who may speak and who has the case agree."""

from collections import Counter
from contextlib import suppress
from datetime import time, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from model_bakery import baker

from leads.services import merge_leads
from leads.tests.recipes import davi
from sessions_app.models import EndReason, Owner, Session
from sessions_app.services import end_session, lock_session
from sessions_app.tests import recipes as sessions
from sessions_app.tests.recipes import MONDAY
from tickets import services
from tickets.distribution import records, tick
from tickets.models import (
    AssignmentDecision,
    Priority,
    SlaPolicy,
    Ticket,
    TicketEvent,
    TicketEventKind,
    TicketStatus,
)
from tickets.next_ticket import next_ticket
from tickets.services import Next
from tickets.sla import resolution_clock
from users.errors import DomainError
from users.models import (
    Availability,
    BusinessHours,
    Calendar,
    Department,
    Distribution,
    User,
)
from users.services import activate_user, deactivate_user, set_availability
from users.tests.recipes import ana, bia, caio, department

NUMBER = st.integers(0, 30)
PERSON = st.sampled_from(["ana", "bia", "caio"])
PERSON_OR_NONE = st.none() | PERSON


class Desk(RuleBasedStateMachine):
    """Two customers, three people, everything that can be done to their tickets."""

    def __init__(self):
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.at = MONDAY
        self.clocks = {}  # ticket → its resolution's clock and promise after the rule before
        self.speakers = {}  # session → (owner, epoch) after the rule before

    def teardown(self):
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @initialize()
    def begin(self):
        self.people = {"ana": ana(), "bia": bia(), "caio": caio()}
        self.departments = [department("vendas"), department("suporte")]
        self.leads = [davi(), davi()]
        self.give_hours(self.departments[0])
        self.give_out_by_itself(*self.departments)
        for user in (self.people["bia"], self.people["caio"]):
            User.objects.filter(pk=user.pk).update(capacity=2)
        self.write(0)

    def give_hours(self, department):
        """Vendas works in office hours, suporte always; both have promises to keep."""
        department.calendar = baker.make(Calendar, name="Comercial")
        department.save()
        for day in range(5):
            baker.make(
                BusinessHours,
                calendar=department.calendar,
                weekday=day,
                opens_at=time(8),
                closes_at=time(18),
            )
        for priority, minutes in (("", 600), (Priority.HIGH, 90)):
            SlaPolicy.objects.create(
                name=f"{minutes}",
                priority=priority,
                first_response_minutes=minutes // 10,
                resolution_minutes=minutes,
            )

    def give_out_by_itself(self, one, other):
        """Each overflows to the other, which must not become a circle."""
        for place, to in ((one, other), (other, one)):
            rules = {"distribution": Distribution.AUTOMATIC, "accept_minutes": 30}
            overflow = {"overflow_to": to, "overflow_minutes": 20}
            Department.objects.filter(pk=place.pk).update(**rules, **overflow)
            place.refresh_from_db()

    # -- what may happen

    @rule()
    def give_out(self):
        """Never more than somebody's slots, and only to who is there."""
        newest = AssignmentDecision.objects.order_by("-pk").values_list("pk", flat=True).first()
        tick(self.now())
        for made in AssignmentDecision.objects.filter(pk__gt=newest or 0).select_related("chosen"):
            assert records.is_rederived(made)
            if made.outcome == "assigned":
                assert made.chosen.availability == Availability.AVAILABLE
                assert made.chosen.is_active
                taken = Ticket.objects.open().awake(self.at).filter(assignee=made.chosen).count()
                assert taken <= made.chosen.capacity

    @rule(who=PERSON, availability=st.sampled_from(Availability))
    def come_and_go(self, who, availability):
        set_availability(self.people[who], availability=availability, at=self.now())

    @rule(who=NUMBER)
    def write(self, who):
        session = sessions.session(self.leads[who % 2], at=self.now())
        services.note_inbound(session, preview="Oi", at=self.at)

    @rule(which=NUMBER, whom=PERSON_OR_NONE)
    def open(self, which, whom):
        self.do(lambda: self.open_in(self.a_live_session(which), whom))

    @rule(which=NUMBER, who=PERSON)
    def take_over(self, which, who):
        session = self.a_live_session(which)
        self.do(lambda: services.take_over(session, user=self.people[who], at=self.now()))

    @rule(which=NUMBER)
    def answer_from_phone(self, which):
        session = self.a_live_session(which)
        self.do(lambda: services.take_over_from_phone(session, at=self.now()))

    @rule(which=NUMBER)
    def end(self, which):
        session = self.a_live_session(which)
        self.do(lambda: end_session(session, reason=EndReason.IDLE, at=self.now()))

    @rule(which=NUMBER, who=PERSON)
    def claim(self, which, who):
        self.on(which, services.claim, user=self.people[who])

    @rule(which=NUMBER, whom=PERSON)
    def assign(self, which, whom):
        self.on(which, services.assign, to_user=self.people[whom], actor=None)

    @rule(which=NUMBER)
    def release(self, which):
        self.on(which, services.release, actor=None)

    @rule(which=NUMBER, where=NUMBER, whom=PERSON_OR_NONE)
    def transfer(self, which, where, whom):
        self.on(
            which,
            services.transfer,
            department=self.departments[where % 2],
            to_user=self.people.get(whom),
            actor=None,
        )

    @rule(which=NUMBER, status=st.sampled_from(TicketStatus))
    def set_status(self, which, status):
        self.on(which, services.set_status, status=status, actor=None)

    @rule(which=NUMBER, priority=st.sampled_from(Priority))
    def set_priority(self, which, priority):
        self.on(which, services.set_priority, priority=priority, actor=None)

    @rule(which=NUMBER)
    def snooze(self, which):
        self.on(which, services.snooze, until=self.at + timedelta(days=1), actor=None)

    @rule(which=NUMBER)
    def snooze_until_reply(self, which):
        self.on(which, services.snooze, until=None, until_reply=True, actor=None)

    @rule(which=NUMBER)
    def wake(self, which):
        self.on(which, services.snooze, until=None, actor=None)

    @rule(hours=st.integers(1, 40))
    def let_time_pass(self, hours):
        self.at += timedelta(hours=hours)
        services.wake_due(now=self.at)

    @rule(which=NUMBER, who=PERSON)
    def undo(self, which, who):
        """The newest event of a ticket, as if it had only just happened."""
        events = list(TicketEvent.objects.order_by("-pk")[:6])
        if events:
            event = events[which % len(events)]
            user = event.actor or self.people[who]
            self.do(lambda: services.undo(event, user, at=event.created_at))

    @rule(who=NUMBER)
    def come_back(self, who):
        session = sessions.session(self.leads[who % 2], at=self.now())
        if session.owner == Owner.BOT:
            self.do(lambda: services.reopen_for_customer(session, at=self.at))

    @rule(which=NUMBER, rating=st.integers(1, 5))
    def rate(self, which, rating):
        done = list(Ticket.objects.exclude(pk__in=Ticket.objects.open()).order_by("-pk")[:4])
        if done:
            services.rate(done[which % len(done)], rating=rating, at=self.now())

    @rule(who=PERSON)
    def ask_for_the_next(self, who):
        user = self.people[who]
        user.refresh_from_db()
        if user.is_active:
            ticket = next_ticket(user, self.now())
            assert ticket is None or ticket.assignee == user

    @rule(which=NUMBER, who=PERSON, waits=st.booleans())
    def reply(self, which, who, waits):
        self.on(which, services.note_reply, user=self.people[who], waits=waits)

    @rule(which=NUMBER, then=st.sampled_from(Next))
    def resolve(self, which, then):
        self.on(which, services.resolve, actor=None, then=then)

    @rule(which=NUMBER, then=st.sampled_from(Next))
    def close(self, which, then):
        self.on(which, services.close_ticket, actor=None, then=then)

    @rule(which=NUMBER)
    def reopen(self, which):
        self.on(which, services.reopen, actor=None)

    @rule(who=st.sampled_from(["bia", "caio"]))
    def deactivate(self, who):
        self.do(lambda: deactivate_user(self.people[who], actor=None, at=self.now()))

    @rule(who=st.sampled_from(["bia", "caio"]))
    def activate(self, who):
        self.do(lambda: activate_user(self.people[who], actor=None))

    @rule(who=NUMBER)
    def merge(self, who):
        """Both are in the middle of something, else there is little to merge."""
        winner, loser = self.leads[who % 2], self.leads[1 - who % 2]
        self.write(who)
        self.write(who + 1)
        self.do(lambda: merge_leads(winner, loser, actor=None))
        self.leads = [winner, davi()]

    # -- what must hold

    @invariant()
    def people_have_exactly_one_open_ticket_and_the_bot_none(self):
        for session in Session.objects.all():
            is_with_people = session.owner != Owner.BOT
            assert Ticket.objects.open().filter(session=session).count() == is_with_people
            assert session.is_live or not is_with_people

    @invariant()
    def the_epoch_rises_by_one_when_the_speaker_changes_and_only_then(self):
        for session in Session.objects.all():
            owner, epoch = self.speakers.get(session.pk, (Owner.BOT, 0))
            changed = (owner == Owner.BOT) != (session.owner == Owner.BOT)
            assert session.epoch == epoch + changed
            self.speakers[session.pk] = (session.owner, session.epoch)

    @invariant()
    def owner_assignee_and_status_agree(self):
        for ticket in Ticket.objects.open().select_related("session", "assignee"):
            if ticket.assignee is None:
                assert ticket.status == TicketStatus.OPEN
            else:
                assert ticket.session.owner == Owner.ATTENDANT
                assert ticket.assignee.is_active

    @invariant()
    def what_is_to_be_accepted_is_with_somebody_and_open(self):
        for ticket in Ticket.objects.filter(accept_by__isnull=False):
            assert ticket.status == TicketStatus.OPEN
            assert ticket.assignee_id is not None

    @invariant()
    def somebody_active_sees_every_open_ticket(self):
        seen = set()
        for user in User.objects.active():
            seen |= set(Ticket.objects.visible_to(user).values_list("pk", flat=True))
        assert set(Ticket.objects.open().values_list("pk", flat=True)) <= seen
        for ticket in Ticket.objects.open().exclude(assignee=None).select_related("assignee"):
            assert Ticket.objects.visible_to(ticket.assignee).filter(pk=ticket.pk).exists()

    @invariant()
    def overflow_never_goes_round(self):
        made = AssignmentDecision.objects.filter(outcome="overflow").values_list(
            "ticket", "department"
        )
        places = Counter(ticket for ticket, _department in set(made))
        assert all(count == 1 for count in places.values())

    @invariant()
    def a_ticket_is_of_the_lead_of_its_session(self):
        for ticket in Ticket.objects.select_related("session"):
            assert ticket.lead_id == ticket.session.lead_id

    @invariant()
    def clocks_stand_still_exactly_while_nobody_of_ours_has_to_act(self):
        for ticket in Ticket.objects.all():
            is_aside = ticket.snoozed_until is not None or ticket.snoozed_until_reply
            waits = ticket.is_open and (ticket.status == TicketStatus.WAITING_CUSTOMER or is_aside)
            assert (ticket.sla_paused_at is not None) == waits
            assert ticket.is_open or not is_aside

    @invariant()
    def nobody_becomes_late_by_a_pause(self):
        """A clock that was in time when it stopped is in time when it goes on."""
        for ticket in Ticket.objects.all():
            state, promise = resolution_clock(ticket, self.at).state, promise_of(ticket)
            if self.clocks.get(ticket.pk) == ("paused", promise):
                assert state != "missed"
            self.clocks[ticket.pk] = (state, promise)

    @invariant()
    def who_had_a_rating_has_one_event_for_it(self):
        for ticket in Ticket.objects.filter(rating__isnull=False):
            assert ticket.events.filter(kind=TicketEventKind.RATED).exists()

    # -- how

    def now(self):
        self.at += timedelta(minutes=1)
        return self.at

    def a_live_session(self, which):
        live = list(Session.objects.live().order_by("pk").values_list("pk", flat=True))
        return lock_session(live[which % len(live)]) if live else sessions.session(self.leads[0])

    def open_in(self, session, whom):
        services.open_ticket(session, assignee=self.people.get(whom), at=self.now())

    def on(self, which, operation, **arguments):
        tickets = list(Ticket.objects.order_by("-pk")[:4])
        if tickets:
            ticket = tickets[which % len(tickets)]
            self.do(lambda: operation(ticket, at=self.now(), **arguments))

    def do(self, operation):
        """A refusal is an answer; nothing of what was refused may stay."""
        with suppress(DomainError), transaction.atomic():
            operation()


def promise_of(ticket):
    """What decides how much time there is."""
    return ticket.priority, ticket.department_id


@pytest.mark.django_db
def test_any_sequence_of_operations_keeps_the_invariants():
    run_state_machine_as_test(
        Desk,
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
