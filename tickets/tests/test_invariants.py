"""Whatever people, bot and customer do, in any order: who may speak and who has the case agree."""

from contextlib import suppress
from datetime import timedelta

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

from leads.services import merge_leads
from leads.tests.recipes import davi
from sessions_app.models import EndReason, Owner, Session
from sessions_app.services import end_session, lock_session
from sessions_app.tests import recipes as sessions
from sessions_app.tests.recipes import MONDAY
from tickets import services
from tickets.models import Priority, Ticket, TicketStatus
from tickets.services import Next
from users.errors import DomainError
from users.services import activate_user, deactivate_user
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
        self.speakers = {}  # session → (owner, epoch) after the rule before

    def teardown(self):
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @initialize()
    def begin(self):
        self.people = {"ana": ana(), "bia": bia(), "caio": caio()}
        self.departments = [department("vendas"), department("suporte")]
        self.leads = [davi(), davi()]
        self.write(0)

    # -- what may happen

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
    def a_ticket_is_of_the_lead_of_its_session(self):
        for ticket in Ticket.objects.select_related("session"):
            assert ticket.lead_id == ticket.session.lead_id

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
