"""Giving tickets out: who gets which, why, and what becomes of one that is not accepted."""

from __future__ import annotations

from datetime import time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from model_bakery import baker

from leads.tests.recipes import davi
from sessions_app.models import Owner
from sessions_app.tests import recipes as sessions
from sessions_app.tests.recipes import MONDAY
from tickets import services
from tickets.distribution import records, tick
from tickets.distribution.deciding import Candidate, Rules, decide
from tickets.errors import TicketRefused
from tickets.models import (
    AssignmentDecision,
    DecisionOutcome,
    NotificationKind,
    Priority,
    Ticket,
    TicketEvent,
    TicketEventKind,
    TicketStatus,
)
from tickets.tests import recipes
from users.models import Availability, BusinessHours, Calendar, Distribution, Skill, User
from users.services import deactivate_user
from users.tests.recipes import ana, bia, department

MINUTE = timedelta(minutes=1)


def vendas(**fields):
    """The department that gives its tickets out."""
    found = department("vendas")
    type(found).objects.filter(pk=found.pk).update(distribution=Distribution.AUTOMATIC, **fields)
    found.refresh_from_db()
    return found


def person(name="bia", *, to="vendas", **fields):
    """Somebody of a department who is at work."""
    fields = {"availability": Availability.AVAILABLE, "capacity": 5, **fields}
    user = baker.make(User, username=name, first_name=name.title(), is_staff=True, **fields)
    user.departments.set([department(to)])
    return user


def waiting(*, lead=None, **fields):
    return recipes.ticket(sessions.session(lead or davi()), **fields)


def now(ticket):
    return Ticket.objects.select_related("assignee", "session").get(pk=ticket.pk)


def last(ticket):
    return ticket.decisions.first()


def reasons(ticket, user):
    (facts,) = [one for one in last(ticket).candidates if one["id"] == user.pk]
    return facts["excluded"]


# --- The rule ----------------------------------------------------------------------------------


def test_own_attendant_comes_first_then_the_least_to_do_then_who_waited_longest():
    one, two = Candidate(1, "A", slots=5, open=2), Candidate(2, "B", slots=5, in_progress=1)
    assert (decide(Rules(), [one, two]).chosen, decide(Rules(), [one, two]).tie_break) == (
        2,
        "load",
    )
    own = Candidate(1, "A", slots=5, open=2, is_own=True)
    assert decide(Rules(), [own, two]).tie_break == "own"
    assert decide(Rules(prefers_attendant=False), [own, two]).chosen == 2
    later = Candidate(1, "A", slots=5, last_received_at=MONDAY)
    sooner = Candidate(2, "B", slots=5, last_received_at=MONDAY - MINUTE)
    assert (decide(Rules(), [later, sooner]).chosen, decide(Rules(), [later]).tie_break) == (
        2,
        "only",
    )
    assert decide(Rules(), [Candidate(2, "B", slots=1), Candidate(1, "A", slots=1)]).chosen == 1


def test_a_waited_for_customer_weighs_half_and_what_is_put_aside_nothing():
    waits = Candidate(1, "A", slots=9, waiting_customer=1, snoozed=3)
    works = Candidate(2, "B", slots=9, in_progress=1)
    assert (waits.load, waits.taken, works.load) == (1, 1, 2)
    assert decide(Rules(), [works, waits]).chosen == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_active": False}, "inactive"),
        ({"may_reply": False}, "cannot_reply"),
        ({"is_member": False}, "not_member"),
        ({"availability": "offline"}, "offline"),
        ({"availability": "paused"}, "paused"),
        ({"in_hours": False}, "hours"),
        ({"slots": 0}, "no_slots"),
        ({"open": 2, "waiting_customer": 1}, "full"),
        ({"skills": ("espanhol",)}, "skills"),
    ],
)
def test_each_thing_that_stands_in_the_way_excludes_and_is_told(fields, reason):
    able = {"slots": 3, "skills": ("inglês",)}
    decision = decide(Rules(needs=("inglês",)), [Candidate(1, "A", **{**able, **fields})])
    assert (decision.outcome, decision.exclusions) == ("nobody", {1: (reason,)})
    assert decision.reasons == reason


def test_who_let_it_lie_is_asked_again_only_when_nobody_else_could_take_it():
    slow, other = Candidate(1, "A", slots=5, has_declined=True), Candidate(2, "B", slots=5, open=4)
    assert decide(Rules(), [slow, other]).chosen == 2
    assert decide(Rules(), [slow, Candidate(2, "B", slots=5, open=5)]).chosen == 1
    assert decide(Rules(overflows=True), [slow]).outcome == DecisionOutcome.OVERFLOW


# --- Giving out --------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_waiting_ticket_goes_to_the_one_who_can_and_its_record_says_why():
    vendas(accept_minutes=5)
    bia, caio = person("bia"), person("caio", availability=Availability.PAUSED)
    ticket = waiting()
    given = tick(MONDAY)
    found = now(ticket)
    assert (given.assigned, found.assignee, found.status) == (1, bia, TicketStatus.OPEN)
    assert (found.session.owner, found.accept_by) == (Owner.ATTENDANT, MONDAY + 5 * MINUTE)
    bia.refresh_from_db()
    assert bia.last_received_at == MONDAY
    row = last(ticket)
    assert (row.outcome, row.chosen, row.tie_break) == ("assigned", bia, "only")
    assert reasons(ticket, caio) == ["paused"]
    assert records.is_rederived(row)
    assert bia.notifications.get().kind == NotificationKind.ASSIGNED
    event = found.events.get(kind=TicketEventKind.ASSIGNED)
    assert (event.actor, event.details["why"]) == (None, "distribution")


@pytest.mark.django_db
def test_a_record_that_was_tampered_with_is_not_rederived():
    vendas()
    person("bia"), person("caio")
    ticket = waiting()
    tick(MONDAY)
    row = last(ticket)
    row.candidates[0]["in_progress"] = 4
    assert not records.is_rederived(row)


@pytest.mark.django_db
def test_manual_departments_closed_hours_simulated_and_snoozed_tickets_are_left_alone():
    person("bia")
    ticket = waiting()
    assert not tick(MONDAY).assigned  # manual
    calendar = baker.make(Calendar)
    baker.make(BusinessHours, calendar=calendar, weekday=0, opens_at=time(10), closes_at=time(18))
    vendas(calendar=calendar)
    assert not tick(MONDAY).assigned  # nine o'clock
    Ticket.objects.update(is_simulated=True)
    assert not tick(MONDAY + timedelta(hours=2)).assigned
    Ticket.objects.update(is_simulated=False)
    services.snooze(now(ticket), until=MONDAY + timedelta(hours=4), actor=None, at=MONDAY)
    assert not tick(MONDAY + timedelta(hours=2)).assigned
    assert tick(MONDAY + timedelta(hours=5)).assigned == 1


@pytest.mark.django_db
def test_the_highest_priority_goes_first_then_the_oldest():
    vendas()
    person("bia", capacity=2)
    waiting(at=MONDAY)
    older = waiting(at=MONDAY - MINUTE)
    urgent = waiting(at=MONDAY + MINUTE, priority=Priority.HIGH)
    tick(MONDAY + 2 * MINUTE)
    assert {one.pk for one in Ticket.objects.exclude(assignee=None)} == {older.pk, urgent.pk}


@pytest.mark.django_db
def test_tickets_are_dealt_evenly_and_never_above_the_slots():
    vendas()
    people = [person(f"p{number}", capacity=2) for number in range(3)]
    for _ in range(8):
        waiting()
    assert tick(MONDAY).assigned == 6
    assert {one.assigned_tickets.count() for one in people} == {2}
    assert all(map(records.is_rederived, AssignmentDecision.objects.all()))


@pytest.mark.django_db
def test_who_takes_care_of_the_lead_gets_the_ticket_unless_the_department_does_not_want_that():
    vendas()
    person("bia")
    caio = person("caio")
    services.claim(waiting(), user=caio, at=MONDAY)
    ticket = waiting(lead=davi(attendant=caio))
    tick(MONDAY)
    assert (now(ticket).assignee, last(ticket).tie_break) == (caio, "own")
    vendas(prefers_attendant=False)
    other = waiting(lead=davi(attendant=caio))
    tick(MONDAY)
    assert last(other).tie_break == "load"


@pytest.mark.django_db
def test_an_own_attendant_of_another_department_is_named_and_passed_over():
    vendas()
    bia, caio = person("bia"), person("caio", to="suporte")
    ticket = waiting(lead=davi(attendant=caio))
    tick(MONDAY)
    assert now(ticket).assignee == bia
    assert reasons(ticket, caio) == ["not_member"]


@pytest.mark.django_db
def test_skills_that_a_ticket_needs_keep_others_out():
    vendas()
    person("bia")
    english = Skill.objects.create(name="inglês")
    ticket = waiting()
    ticket.skills.add(english)
    tick(MONDAY)
    assert (now(ticket).assignee, last(ticket).reason) == (None, "skills")
    caio = person("caio")
    caio.skills.add(english)
    tick(MONDAY)
    assert now(ticket).assignee == caio


@pytest.mark.django_db
def test_that_nobody_can_is_written_once_and_again_when_the_reasons_are_others():
    vendas()
    bia = person("bia", availability=Availability.OFFLINE)
    ticket = waiting()
    for _ in range(3):
        tick(MONDAY)
    assert [one.reason for one in ticket.decisions.all()] == ["offline"]
    User.objects.filter(pk=bia.pk).update(availability=Availability.PAUSED)
    tick(MONDAY)
    tick(MONDAY)
    assert [one.reason for one in ticket.decisions.all()] == ["paused", "offline"]
    User.objects.filter(pk=bia.pk).update(availability=Availability.AVAILABLE)
    tick(MONDAY)
    assert now(ticket).assignee == bia
    assert all(map(records.is_rederived, AssignmentDecision.objects.all()))


@pytest.mark.django_db
def test_what_people_have_in_other_departments_fills_their_slots():
    vendas()
    bia = person("bia", capacity=1)
    bia.departments.add(department("suporte"))
    services.claim(waiting(department=department("suporte")), user=bia, at=MONDAY)
    ticket = waiting()
    tick(MONDAY)
    assert (now(ticket).assignee, reasons(ticket, bia)) == (None, ["full"])


@pytest.mark.django_db
def test_outside_of_their_own_hours_people_get_nothing():
    vendas()
    calendar = baker.make(Calendar)
    baker.make(BusinessHours, calendar=calendar, weekday=0, opens_at=time(13), closes_at=time(18))
    bia = person("bia", calendar=calendar)
    ticket = waiting()
    tick(MONDAY)
    assert reasons(ticket, bia) == ["hours"]
    tick(MONDAY + timedelta(hours=5))
    assert now(ticket).assignee == bia


@pytest.mark.django_db
def test_nothing_to_do_takes_one_statement():
    vendas()
    person("bia")
    services.claim(waiting(), user=User.objects.get(username="bia"), at=MONDAY)
    with CaptureQueriesContext(connection) as captured:
        tick(MONDAY)
    assert len(captured) == 1


@pytest.mark.django_db
def test_a_full_house_costs_the_same_whatever_waits():
    vendas()
    services.claim(waiting(), user=person("bia", capacity=1), at=MONDAY)
    counts = []
    for _ in range(2):
        for _ in range(3):
            waiting()
        tick(MONDAY)
        with CaptureQueriesContext(connection) as captured:
            tick(MONDAY)
        counts.append(len(captured))
    assert counts[0] == counts[1]


# --- Accepting ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_not_accepted_in_time_it_goes_to_the_next_and_keeps_its_place():
    vendas(accept_minutes=5)
    bia, caio = person("bia"), person("caio", last_received_at=MONDAY)
    ticket = waiting(at=MONDAY - MINUTE)
    tick(MONDAY)
    assert now(ticket).assignee == bia
    given = tick(MONDAY + 5 * MINUTE)
    found = now(ticket)
    assert (given.returned, given.assigned, found.assignee) == (1, 1, caio)
    assert found.queued_at == MONDAY - MINUTE
    outcomes = [(one.outcome, one.chosen) for one in ticket.decisions.all()]
    assert outcomes == [("assigned", caio), ("returned", bia), ("assigned", bia)]
    assert reasons(ticket, bia) == ["declined"]
    tick(MONDAY + 10 * MINUTE)  # both have let it lie, and both could
    assert now(ticket).assignee in {bia, caio}
    assert all(map(records.is_rederived, AssignmentDecision.objects.all()))


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["claim", "reply", "snooze", "assign", "release", "resolve"])
def test_whoever_takes_it_up_has_accepted_it(how):
    vendas(accept_minutes=5)
    bia, caio = person("bia"), person("caio", availability=Availability.OFFLINE)
    ticket = waiting()
    tick(MONDAY)
    ticket = now(ticket)
    match how:
        case "claim":
            services.claim(ticket, user=bia, at=MONDAY)
        case "reply":
            services.note_reply(ticket, user=bia, at=MONDAY)
        case "snooze":
            services.snooze(ticket, until=MONDAY + timedelta(hours=1), actor=bia, at=MONDAY)
        case "assign":
            services.assign(ticket, to_user=caio, actor=bia, at=MONDAY)
        case "release":
            services.release(ticket, actor=bia, at=MONDAY)
        case "resolve":
            services.resolve(ticket, actor=bia, then=services.Next.END, at=MONDAY)
    assert now(ticket).accept_by is None


@pytest.mark.django_db
def test_a_claim_that_is_undone_is_to_be_accepted_again():
    vendas(accept_minutes=5)
    bia = person("bia")
    ticket = waiting()
    tick(MONDAY)
    services.claim(now(ticket), user=bia, at=MONDAY)
    event = TicketEvent.objects.filter(kind=TicketEventKind.CLAIMED).get()
    services.undo(event, bia, at=event.created_at)
    assert now(ticket).accept_by == MONDAY + 5 * MINUTE


@pytest.mark.django_db
def test_a_priority_does_not_accept_for_anybody():
    vendas(accept_minutes=5)
    person("bia")
    ticket = waiting()
    tick(MONDAY)
    services.set_priority(now(ticket), priority=Priority.HIGH, actor=ana(), at=MONDAY)
    assert now(ticket).accept_by is not None


@pytest.mark.django_db
def test_who_gives_a_ticket_back_does_not_get_it_again_while_others_can():
    vendas()
    bia, caio = person("bia"), person("caio", last_received_at=MONDAY)
    ticket = waiting()
    tick(MONDAY)
    assert now(ticket).assignee == bia
    services.release(services.claim(now(ticket), user=bia, at=MONDAY), actor=bia, at=MONDAY)
    tick(MONDAY)
    assert (now(ticket).assignee, reasons(ticket, bia)) == (caio, ["declined"])


# --- Nobody ------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_when_nobody_can_for_long_enough_the_other_department_gets_it_and_it_stays_there():
    suporte = department("suporte")
    vendas(overflow_to=suporte, overflow_minutes=10)
    type(suporte).objects.filter(pk=suporte.pk).update(
        distribution=Distribution.AUTOMATIC, overflow_to=department("vendas"), overflow_minutes=0
    )
    ticket = waiting()
    assert not tick(MONDAY + 9 * MINUTE).overflowed
    assert tick(MONDAY + 10 * MINUTE).overflowed == 1
    found = now(ticket)
    assert (found.department, found.assignee, found.session.owner) == (suporte, None, Owner.QUEUE)
    assert found.events.get(kind=TicketEventKind.TRANSFERRED).details["why"] == "overflow"
    for minute in range(11, 60, 10):
        tick(MONDAY + minute * MINUTE)
    assert now(ticket).department == suporte
    caio = person("caio", to="suporte")
    tick(MONDAY + 70 * MINUTE)
    assert now(ticket).assignee == caio
    assert all(map(records.is_rederived, AssignmentDecision.objects.all()))


@pytest.mark.django_db
def test_somebody_who_can_is_better_than_another_department():
    vendas(overflow_to=department("suporte"), overflow_minutes=0)
    bia = person("bia")
    ticket = waiting()
    tick(MONDAY + timedelta(hours=1))
    assert now(ticket).assignee == bia


@pytest.mark.django_db
def test_a_closed_or_inactive_department_is_not_overflowed_to():
    suporte = department("suporte")
    vendas(overflow_to=suporte, overflow_minutes=0)
    ticket = waiting()
    type(suporte).objects.filter(pk=suporte.pk).update(is_active=False)
    tick(MONDAY)
    assert now(ticket).department.slug == "vendas"
    assert last(ticket).outcome == "nobody"


# --- People by hand ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_who_asks_for_work_may_have_more_than_their_slots():
    vendas()
    bia = person("bia", capacity=1)
    for _ in range(2):
        services.claim(waiting(), user=bia, at=MONDAY)
    assert bia.assigned_tickets.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["claim", "assign", "transfer", "open"])
def test_nobody_who_left_meanwhile_gets_a_ticket(how):
    vendas()
    seen, ticket = bia(), waiting()
    deactivate_user(User.objects.get(pk=seen.pk), actor=None, at=MONDAY)  # `seen` does not know
    operations = {
        "claim": lambda: services.claim(ticket, user=seen, at=MONDAY),
        "assign": lambda: services.assign(ticket, to_user=seen, actor=None, at=MONDAY),
        "transfer": lambda: services.transfer(
            ticket, department=ticket.department, to_user=seen, actor=None, at=MONDAY
        ),
        "open": lambda: waiting(assignee=seen),
    }
    with pytest.raises(TicketRefused):
        operations[how]()


@pytest.mark.django_db
def test_a_customer_who_comes_back_to_somebody_who_has_just_left_waits_in_the_queue(monkeypatch):
    user, ticket = bia(), waiting()
    services.claim(ticket, user=user, at=MONDAY)
    services.resolve(ticket, actor=user, then=services.Next.END, at=MONDAY)
    User.objects.filter(pk=user.pk).update(is_active=False)
    monkeypatch.setattr("tickets.services.closing._is_at_work", lambda _user: True)  # it seemed so
    session = sessions.session(ticket.lead, at=MONDAY + MINUTE)
    found = services.reopen_for_customer(session, at=MONDAY + MINUTE)
    assert (found.assignee, now(ticket).session.owner) == (None, Owner.QUEUE)


@pytest.mark.django_db
def test_a_long_queue_is_looked_through_as_long_as_anybody_could_take_anything(monkeypatch):
    monkeypatch.setattr("tickets.distribution.giving.AT_ONCE", 2)
    vendas()
    english = Skill.objects.create(name="inglês")
    person("bia").skills.add(english)
    person("caio")
    ahead = [waiting(at=MONDAY) for _ in range(5)]
    for one in ahead:
        one.skills.add(Skill.objects.create(name=f"raridade {one.pk}"))
    ticket = waiting(at=MONDAY + MINUTE)
    tick(MONDAY + 2 * MINUTE)
    assert now(ticket).assignee is not None
    User.objects.update(availability=Availability.OFFLINE)
    late = waiting(at=MONDAY + MINUTE)
    tick(MONDAY + 3 * MINUTE)
    assert not late.decisions.exists()  # those before it wait as well
