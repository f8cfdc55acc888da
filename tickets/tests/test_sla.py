"""Clocks of tickets: in business hours, standing still while nobody of ours has to act."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.template import Context, Template
from model_bakery import baker

from leads.tests.recipes import davi
from sessions_app.tests import recipes as sessions
from tickets import services
from tickets.models import AT_RISK, Priority, SlaPolicy, Ticket, TicketStatus
from tickets.services import Next
from tickets.sla import clock, first_response_clock, resolution_clock
from tickets.tests import recipes
from users.models import BusinessHours, Calendar
from users.tests.recipes import ana, bia, department, suporte

pytestmark = pytest.mark.django_db

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ZONE = ZoneInfo("America/Sao_Paulo")


def local(day, hour, minute=0):
    """March 2026: the 2nd is a Monday."""
    return datetime(2026, 3, day, hour, minute, tzinfo=ZONE).astimezone(UTC)


MONDAY = local(2, 9)


@pytest.fixture
def office():
    """Vendas, Mondays to Fridays from eight to six, answers in an hour and resolves in ten."""
    calendar = baker.make(Calendar, name="Comercial", time_zone="America/Sao_Paulo")
    for day in range(5):
        baker.make(
            BusinessHours, calendar=calendar, weekday=day, opens_at=time(8), closes_at=time(18)
        )
    vendas = department("vendas")
    vendas.calendar = calendar
    vendas.save()
    policy(60, 600)
    return vendas


def policy(first, resolution, **fields):
    return SlaPolicy.objects.create(
        name=str(fields), first_response_minutes=first, resolution_minutes=resolution, **fields
    )


def fresh(ticket):
    return Ticket.objects.get(pk=ticket.pk)


def dues(ticket):
    ticket = fresh(ticket)
    return ticket.first_response_due_at, ticket.resolution_due_at


def test_due_times_are_counted_in_business_hours(office):
    assert dues(recipes.ticket(at=local(2, 17, 30))) == (local(3, 8, 30), local(3, 17, 30))
    weekend = recipes.ticket(sessions.session(davi()), at=local(7, 12))
    assert dues(weekend) == (local(9, 9), local(9, 18))


def test_the_clocks_stand_still_while_the_customer_is_waited_for(office):
    ticket = recipes.ticket(at=MONDAY, assignee=bia())
    services.note_reply(ticket, user=bia(), at=local(2, 10), waits=True)
    assert fresh(ticket).sla_paused_at == local(2, 10)
    assert resolution_clock(fresh(ticket), local(2, 23)).state == "paused"
    services.note_inbound(ticket.session, preview="Voltei", at=local(4, 16))
    # Nine hours were left on Monday at ten; from Wednesday at four they end on Thursday at three.
    assert dues(ticket)[1] == local(5, 15)
    assert fresh(ticket).sla_paused_at is None


def test_a_resolution_that_is_taken_back_begins_no_new_promise(office):
    ticket = recipes.ticket(at=MONDAY, assignee=bia())
    Ticket.objects.filter(pk=ticket.pk).update(created_at=MONDAY)
    before = dues(ticket)
    with time_machine.travel(local(3, 10), tick=False):
        services.resolve(fresh(ticket), actor=bia(), then=Next.BOT)
        services.undo(ticket.events.first(), bia())
    services.set_priority(fresh(ticket), priority=Priority.HIGH, actor=bia(), at=local(3, 11))
    services.set_priority(fresh(ticket), priority=Priority.MEDIUM, actor=bia(), at=local(3, 11))
    assert dues(ticket) == before


def test_the_clocks_stand_still_while_a_ticket_is_snoozed(office):
    ticket = recipes.ticket(at=MONDAY, assignee=bia())
    services.snooze(ticket, until=local(3, 9), actor=bia(), at=local(2, 9, 30))
    services.wake_due(now=local(3, 9))
    assert dues(ticket) == (local(3, 9, 30), local(3, 18) + timedelta(hours=14, minutes=30))


def test_waiting_and_snoozed_the_clocks_stand_still_until_both_are_over(office):
    ticket = recipes.ticket(at=MONDAY, assignee=bia())
    services.note_reply(ticket, user=bia(), at=local(2, 10), waits=True)
    services.snooze(ticket, until=local(2, 12), actor=bia(), at=local(2, 11))
    services.wake_due(now=local(2, 12))
    assert fresh(ticket).sla_paused_at == local(2, 10)
    services.set_status(ticket, status=TicketStatus.IN_PROGRESS, actor=bia(), at=local(2, 13))
    assert dues(ticket)[1] == local(3, 12)


def test_what_was_late_when_the_clocks_stopped_stays_as_late(office):
    ticket = recipes.ticket(at=MONDAY, assignee=bia())
    late = local(3, 12)  # due at nine
    services.snooze(ticket, until=local(4, 9), actor=bia(), at=late)
    assert clock(fresh(ticket), late).state == "missed"
    services.snooze(ticket, until=None, actor=bia(), at=late + HOUR)
    assert dues(ticket) == (local(2, 10), local(3, 9))


def test_a_pause_at_night_takes_nothing_away(office):
    ticket = recipes.ticket(at=local(2, 17, 30), assignee=bia())
    services.snooze(ticket, until=local(3, 7), actor=bia(), at=local(2, 19))
    services.wake_due(now=local(3, 7))
    assert dues(ticket) == (local(3, 8, 30), local(3, 17, 30))


def test_another_priority_counts_pauses_too(office):
    policy(30, 120, priority=Priority.HIGH)
    ticket = recipes.ticket(at=MONDAY, assignee=bia())
    Ticket.objects.filter(pk=ticket.pk).update(created_at=MONDAY)
    services.snooze(ticket, until=local(2, 12), actor=bia(), at=local(2, 9, 10))
    services.snooze(ticket, until=None, actor=bia(), at=local(2, 10, 10))  # an hour aside
    services.set_priority(ticket, priority=Priority.HIGH, actor=bia(), at=local(2, 10, 15))
    assert dues(ticket) == (local(2, 10, 30), local(2, 12))


def test_a_transfer_counts_in_the_hours_of_the_other_department(office):
    ticket = recipes.ticket(at=local(6, 17), assignee=bia())
    Ticket.objects.filter(pk=ticket.pk).update(created_at=local(6, 17))
    services.transfer(ticket, department=suporte(), actor=bia(), at=local(6, 17, 5))
    assert dues(ticket) == (local(6, 18), local(6, 17) + 10 * HOUR)  # always open


def test_a_transfer_in_a_pause_goes_on_with_what_was_left(office):
    ticket = recipes.ticket(at=MONDAY, assignee=bia())
    Ticket.objects.filter(pk=ticket.pk).update(created_at=MONDAY)
    services.snooze(ticket, until=local(5, 9), actor=bia(), at=local(2, 9, 20))
    services.transfer(ticket, department=suporte(), actor=bia(), at=local(2, 14))
    # Twenty minutes of the hour were used.
    assert fresh(ticket).sla_paused_at is None
    assert dues(ticket)[0] == local(2, 14, 40)


def test_a_calendar_that_never_opens_promises_nothing(office):
    office.calendar.hours.all().delete()
    assert dues(recipes.ticket(at=MONDAY)) == (None, None)


def test_a_settled_ticket_is_judged_by_when_it_was_settled(office):
    ticket = recipes.ticket(at=MONDAY, assignee=bia())
    services.note_reply(ticket, user=bia(), at=local(2, 11), waits=True)
    services.resolve(ticket, actor=bia(), then=Next.END, at=local(12, 9))  # paused since Monday
    now = fresh(ticket)
    assert first_response_clock(now, local(12, 9)).state == "missed"
    assert (clock(now, local(20, 9)).state, now.sla_paused_at) == ("met", None)


def test_reopening_starts_the_resolution_again(office):
    ticket = recipes.ticket(at=MONDAY, assignee=bia())
    services.resolve(ticket, actor=bia(), then=Next.END, at=local(2, 10))
    services.reopen(ticket, actor=bia(), at=local(9, 10))
    assert dues(ticket) == (local(9, 11), local(10, 10))


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({"first_response_due_at": 20, "resolution_due_at": 90}, 20),
        ({"first_response_due_at": 20, "first_response_at": 5, "resolution_due_at": 90}, 90),
        ({"first_response_due_at": 90, "resolution_due_at": 20}, 20),
        ({"first_response_due_at": 20}, 20),
        ({"resolution_due_at": 20}, 20),
        ({"first_response_due_at": 20, "sla_paused_at": 1}, None),
        ({"first_response_due_at": 20, "status": TicketStatus.RESOLVED, "resolved_at": 3}, None),
        ({}, None),
    ],
    ids=["first", "answered", "resolution", "one", "other", "paused", "resolved", "none"],
)
def test_the_nearest_running_due_time_is_one_column(fields, due):
    ticket = recipes.ticket(at=MONDAY)
    values = {
        name: MONDAY + one * MINUTE if isinstance(one, int) else one for name, one in fields.items()
    }
    Ticket.objects.filter(pk=ticket.pk).update(**values)
    annotated = Ticket.objects.with_due().get()
    assert annotated.due_at == (None if due is None else MONDAY + due * MINUTE)
    shown = clock(annotated, MONDAY + MINUTE)
    assert (shown.due if shown.state == "running" else None) == annotated.due_at


def test_at_risk_is_near_and_not_late():
    tickets = [recipes.ticket(sessions.session(davi()), at=MONDAY) for _ in range(4)]
    for ticket, minutes in zip(tickets, (-1, 5, 15, 16), strict=True):
        due = MONDAY + minutes * MINUTE
        Ticket.objects.filter(pk=ticket.pk).update(resolution_due_at=due)
    assert timedelta(minutes=15) == AT_RISK
    assert set(Ticket.objects.at_risk(MONDAY)) == set(tickets[1:3])
    assert list(Ticket.objects.late(MONDAY)) == tickets[:1]
    states = [clock(fresh(ticket), MONDAY).is_at_risk(MONDAY) for ticket in tickets]
    assert states == [False, True, True, False]


def test_a_list_with_clocks_costs_no_query_a_row(django_assert_num_queries, office):
    for _ in range(3):
        recipes.ticket(sessions.session(davi()), at=MONDAY)
    page = Template(
        "{% load tickets %}"
        "{% for one in rows %}{% sla_chip one %}{% prio one %}{% status_chip one %}{% endfor %}"
    )
    with django_assert_num_queries(1):
        shown = page.render(Context({"rows": Ticket.objects.with_due().order_by("due_at")}))
    assert shown.count('class="sla') == 3
    assert "data-due" in shown


def test_nothing_is_due_of_a_ticket_of_nobody_late_in_sql_and_python_alike(office):
    ticket = recipes.ticket(at=MONDAY)
    services.assign(ticket, to_user=bia(), actor=ana(), at=MONDAY)
    for at in (MONDAY, local(2, 10), local(2, 10, 1), local(3, 9, 1)):
        is_late = Ticket.objects.late(at).exists()
        assert is_late == (clock(fresh(ticket), at).state == "missed")
