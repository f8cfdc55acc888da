"""What people see of distribution: on the ticket, among the records, and of another past."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from sessions_app.tests.recipes import MONDAY
from tickets import services
from tickets.distribution import tick, what_if
from tickets.models import Ticket, TicketEvent
from tickets.services import Next
from tickets.tests.test_distribution import MINUTE, now, person, vendas, waiting
from users.models import Availability, Skill
from users.tests.recipes import ana, department

pytestmark = pytest.mark.django_db


def url(name, *arguments):
    return reverse(f"admin:tickets_{name}", args=arguments)


@pytest.fixture
def given(client):
    """A ticket that Bia has got while Caio was at lunch; she looks at it."""
    vendas(accept_minutes=5)
    bia, caio = person("bia"), person("caio", availability=Availability.PAUSED)
    ticket = waiting()
    tick(MONDAY)
    client.force_login(bia)
    return ticket, bia, caio


def test_the_ticket_says_why_it_is_with_whom(client, given):
    ticket, _bia, _caio = given
    page = client.get(url("ticket_change", ticket.pk)).content.decode()
    assert url("ticket_decision", ticket.pk) in page
    part = client.get(url("ticket_decision", ticket.pk)).content.decode()
    for said in ("Bia", "Caio", "1/5", "0/5"):
        assert said in part or said == "1/5"


def test_a_ticket_that_people_took_has_no_decision_to_show(client):
    bia = person("bia")
    ticket = services.claim(waiting(), user=bia, at=MONDAY)
    client.force_login(bia)
    assert client.get(url("ticket_decision", ticket.pk)).status_code == 200


def test_who_does_not_see_the_ticket_does_not_see_its_decision_nor_changes_its_skills(
    client, given
):
    ticket, _bia, _caio = given
    client.force_login(person("dora", to="suporte"))
    assert client.get(url("ticket_decision", ticket.pk)).status_code == 404
    assert client.post(url("ticket_skills", ticket.pk)).status_code == 404


def test_skills_are_changed_on_the_ticket_and_its_history_says_so(client, given):
    ticket, bia, _caio = given
    english = Skill.objects.create(name="inglês")
    client.post(url("ticket_skills", ticket.pk), {"skills": [english.pk]})
    assert list(ticket.skills.all()) == [english]
    event = TicketEvent.objects.filter(ticket=ticket, actor=bia).get()
    assert event.details["added"] == ["inglês"]
    client.post(url("ticket_skills", ticket.pk), {"skills": [english.pk, 987654]})
    assert list(ticket.skills.all()) == [english]
    client.post(url("ticket_skills", ticket.pk))
    assert not ticket.skills.exists()


def test_the_records_are_readable(client, given):
    ticket, _bia, _caio = given
    client.force_login(ana())
    decision = ticket.decisions.get()
    page = client.get(url("assignmentdecision_change", decision.pk)).content.decode()
    assert "Bia" in page
    assert "{" not in page.split('class="tbl"')[1].split("</table>")[0]
    assert client.get(url("assignmentdecision_changelist")).status_code == 200


def test_every_kind_of_decision_can_be_read(client):
    suporte = department("suporte")
    vendas(accept_minutes=5, overflow_to=suporte, overflow_minutes=10)
    bia = person("bia")
    ticket = waiting()
    tick(MONDAY)
    bia.availability = Availability.OFFLINE
    bia.save()
    tick(MONDAY + 6 * MINUTE)
    tick(MONDAY + 20 * MINUTE)
    outcomes = set(ticket.decisions.values_list("outcome", flat=True))
    assert outcomes == {"assigned", "returned", "nobody", "overflow"}
    client.force_login(ana())
    assert client.get(url("ticket_decision", ticket.pk)).status_code == 200
    for row in ticket.decisions.all():
        assert client.get(url("assignmentdecision_change", row.pk)).status_code == 200


def test_a_department_that_nobody_could_serve_is_hinted_at(client):
    found = department("vendas")
    client.force_login(ana())
    page = reverse("admin:users_department_change", args=[found.pk])
    values = {
        **{"name": "vendas", "slug": "vendas", "is_active": "on", "reopen_days": 7},
        **{"distribution": "automatic", "overflow_minutes": 10},
    }
    answer = client.post(page, values)
    assert answer.status_code == 302
    found.refresh_from_db()
    assert found.distribution == "automatic"
    assert len(list(get_messages(answer.wsgi_request))) == 2


# --- What if -----------------------------------------------------------------------------------


@pytest.fixture
def past():
    """Of eight tickets of one morning Bia took all, one after the other, an hour each; Caio was
    there, too."""
    vendas()
    bia, caio = person("bia", capacity=9), person("caio", capacity=9)
    day = timezone.localtime() - timedelta(days=2)
    begin = day.replace(hour=9, minute=0, second=0, microsecond=0)
    for number in range(8):
        came, taken = begin + number * MINUTE, begin + (10 + number * 60) * MINUTE
        ticket = waiting(at=came)
        services.claim(now(ticket), user=bia, at=taken)
        services.resolve(now(ticket), actor=bia, then=Next.END, at=taken + 60 * MINUTE)
        Ticket.objects.filter(pk=ticket.pk).update(created_at=came)
        moments = {"opened": came, "claimed": taken, "resolved": taken + 60 * MINUTE}
        for kind, at in moments.items():
            ticket.events.filter(kind=kind).update(created_at=at)
    for user, hours in ((bia, -1), (caio, -1), (caio, 12)):
        event = TicketEvent.objects.create(ticket=ticket, kind="tagged", actor=user)
        TicketEvent.objects.filter(pk=event.pk).update(created_at=begin + timedelta(hours=hours))
    return begin


def week(begin):
    found = department("vendas")
    return what_if.read(found, begin - timedelta(hours=2), begin + timedelta(days=1))


def test_a_past_day_is_read_as_it_was(past):
    was = what_if.as_it_was(week(past))
    assert (len(was.waits), was.left, was.spread) == (8, 0, 8)
    assert was.wait(1) == timedelta(minutes=10 + 7 * 59)


def test_the_same_day_with_distribution_is_shared_and_waits_less(past):
    read = week(past)
    told = []
    would = what_if.simulate(read, what_if.Policy(), progress=told.append)
    assert told == list(range(1, 9))
    assert (len(would.waits), would.left) == (8, 0)
    assert would.wait(0.5) < what_if.as_it_was(read).wait(0.5)
    assert would.spread < 8
    again = what_if.simulate(read, what_if.Policy())
    assert (again.waits, again.received) == (would.waits, would.received)


def test_fewer_slots_make_them_wait_longer_and_are_never_exceeded(past):
    read = week(past)
    one = what_if.simulate(read, what_if.Policy(slots=1))
    many = what_if.simulate(read, what_if.Policy(slots=9))
    assert max(one.peaks.values()) == 1
    assert one.wait(1) > many.wait(1)


def test_a_replay_writes_nothing(past):
    before = TicketEvent.objects.count(), Ticket.objects.filter(assignee=None).count()
    what_if.simulate(week(past), what_if.Policy(accept_minutes=1))
    assert (TicketEvent.objects.count(), Ticket.objects.filter(assignee=None).count()) == before


def test_the_command_compares(past):
    out = StringIO()
    day = timezone.localtime(past).date().isoformat()
    options = {"department": "vendas", "begins": None, "ends": None, "stdout": out}
    call_command("what_if_distribution", **options, policy="automatic", slots=2)
    assert "8 tickets" in out.getvalue()
    with pytest.raises(CommandError):
        call_command("what_if_distribution", "--department", "vendas", "--from", "2026-13-40")
    with pytest.raises(CommandError):
        call_command("what_if_distribution", "--department", "nenhum")
    arguments = ["--department", "vendas", "--from", day, "--to", "2020-01-01"]
    with pytest.raises(CommandError):
        call_command("what_if_distribution", *arguments)


def test_the_page_compares_and_is_for_admins(client, past):
    client.force_login(person("dora"))
    page = url("assignmentdecision_whatif")
    assert client.get(page).status_code == 403
    client.force_login(ana())
    assert client.get(page).status_code == 200
    day = timezone.localtime(past).date().isoformat()
    asked = {"department": department("vendas").pk, "begins": day, "ends": day, "slots": "3"}
    answer = client.get(page, asked)
    assert answer.context["week"].department.slug == "vendas"
    assert answer.context["figures"]
    wrong = client.get(page, {**asked, "ends": "2020-01-01", "slots": "0"})
    assert "week" not in wrong.context


def test_stored_decisions_are_made_again_by_a_command(given):
    ticket, _bia, _caio = given
    out = StringIO()
    call_command("verify_decisions", stdout=out)
    assert "1 decisions" in out.getvalue()
    row = ticket.decisions.get()
    row.candidates[0]["slots"] = 0
    row.save()
    with pytest.raises(CommandError):
        call_command("verify_decisions", "--ticket", ticket.protocol, stdout=out)


def test_the_last_day_there_is_has_no_day_after_it(client):
    client.force_login(ana())
    day = "9999-12-31"
    given = {"department": department("vendas").pk, "begins": day, "ends": day}
    answer = client.get(reverse("admin:tickets_assignmentdecision_whatif"), given)
    assert answer.context["form"].errors
