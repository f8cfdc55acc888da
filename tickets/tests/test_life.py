"""What a ticket goes through: aside and back, taken back, rated, reopened, told about."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone
from model_bakery import baker

from leads.models import Tag
from leads.tests.recipes import davi
from sessions_app.models import Owner, Session
from sessions_app.tests import recipes as sessions
from sessions_app.tests.recipes import MONDAY
from tickets import services
from tickets.errors import FieldsMissing, TicketRefused
from tickets.models import (
    Notification,
    NotificationKind,
    Priority,
    SlaPolicy,
    Ticket,
    TicketEventKind,
    TicketStatus,
)
from tickets.next_ticket import next_ticket
from tickets.services import Next
from tickets.tests import recipes
from users.models import Availability, ResolutionField
from users.services import deactivate_user
from users.tests.recipes import ana, bia, caio, department, suporte

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATER = MONDAY + HOUR


def fresh(row):
    return type(row).objects.get(pk=row.pk)


def news(user):
    rows = Notification.objects.filter(user=user).order_by("pk")
    return list(rows.values_list("kind", flat=True))


def state(ticket):
    """Everything that undoing brings back."""
    now = Ticket.objects.select_related("session").get(pk=ticket.pk)
    names = (
        *("status", "assignee_id", "department_id", "priority", "snoozed_until", "assigned_at"),
        *(
            "snoozed_until_reply",
            "first_response_due_at",
            "resolution_due_at",
            "sla_paused_at",
            "resolved_at",
            "unread",
        ),
    )
    tags = sorted(now.tags.values_list("name", flat=True))
    return {name: getattr(now, name) for name in names}, now.session.owner, tags


# --- Snoozing ----------------------------------------------------------------------------------


def test_a_snoozed_ticket_wakes_up_at_its_time_and_its_assignee_is_told():
    ticket = recipes.ticket(assignee=bia())
    services.snooze(ticket, until=LATER, actor=bia(), at=MONDAY)
    assert services.wake_due(now=LATER - timedelta(seconds=1)) == 0
    assert services.wake_due(now=LATER) == 1
    assert services.wake_due(now=LATER) == 0
    assert fresh(ticket).snoozed_until is None
    assert ticket.events.first().kind == TicketEventKind.WOKEN
    assert news(bia()) == [NotificationKind.WOKEN]


def test_a_snoozed_ticket_wakes_up_when_the_customer_writes():
    ticket = recipes.ticket(assignee=bia())
    services.snooze(ticket, until=LATER, actor=bia(), at=MONDAY)
    services.note_inbound(ticket.session, preview="Oi?", at=MONDAY)
    assert (fresh(ticket).snoozed_until, fresh(ticket).unread) == (None, 1)
    assert ticket.events.first().details["why"] == "message"
    assert news(bia()) == [NotificationKind.WOKEN]


def test_a_ticket_put_aside_until_an_answer_has_no_date_and_wakes_with_it():
    ticket = recipes.ticket(assignee=bia())
    services.snooze(ticket, until=None, until_reply=True, actor=bia(), at=MONDAY)
    years_later = MONDAY + timedelta(days=1000)
    assert services.wake_due(now=years_later) == 0
    now = fresh(ticket)
    assert (now.snoozed_until, now.snoozed_until_reply, now.sla_paused_at) == (None, True, MONDAY)
    assert not Ticket.objects.awake(years_later).exists()
    assert now.is_snoozed(years_later)
    services.note_inbound(ticket.session, preview="Voltei", at=LATER)
    now = fresh(ticket)
    assert (now.snoozed_until_reply, now.sla_paused_at, now.unread) == (False, None, 1)
    assert ticket.events.first().details["why"] == "message"
    assert Ticket.objects.awake(LATER).get() == ticket


@pytest.mark.parametrize("first", [{"until": LATER}, {"until": None, "until_reply": True}])
def test_a_ticket_is_put_aside_in_one_way_at_a_time(first):
    ticket = recipes.ticket(assignee=bia())
    services.snooze(ticket, **first, actor=bia(), at=MONDAY)
    with pytest.raises(TicketRefused):
        services.snooze(ticket, until=LATER, until_reply=True, actor=bia(), at=MONDAY)
    services.snooze(ticket, until=None, until_reply=True, actor=bia(), at=MONDAY)
    assert (fresh(ticket).snoozed_until, fresh(ticket).snoozed_until_reply) == (None, True)
    services.snooze(ticket, until=LATER, actor=bia(), at=MONDAY)
    assert (fresh(ticket).snoozed_until, fresh(ticket).snoozed_until_reply) == (LATER, False)


@pytest.mark.parametrize("aside", [{"until": LATER}, {"until": None, "until_reply": True}])
def test_a_ticket_that_goes_back_to_the_queue_is_seen_there(aside):
    ticket = recipes.ticket(assignee=bia())
    services.snooze(ticket, **aside, actor=bia(), at=MONDAY)
    services.return_tickets_of(bia(), actor=None, at=MONDAY)
    now = fresh(ticket)
    assert (now.assignee, now.is_snoozed(MONDAY), now.sla_paused_at) == (None, False, None)


def test_what_was_put_aside_for_a_year_waits_for_its_answer_from_now_on():
    migration = import_module("tickets.migrations.0006_snoozed_for_a_year")
    now = timezone.now()
    until_reply, dated = [recipes.ticket(sessions.session(davi()), assignee=bia()) for _ in "ab"]
    services.snooze(until_reply, until=now + timedelta(days=365), actor=bia())
    services.snooze(dated, until=now + timedelta(days=300), actor=bia())
    migration.name_it(apps, None)
    assert fresh(until_reply).snoozed_until_reply
    assert fresh(dated).snoozed_until == now + timedelta(days=300)
    migration.date_it(apps, None)
    assert fresh(until_reply).snoozed_until > now + timedelta(days=364)


def test_who_wakes_a_ticket_up_is_not_told_of_it():
    ticket = recipes.ticket(assignee=bia())
    services.snooze(ticket, until=LATER, actor=bia(), at=MONDAY)
    services.snooze(ticket, until=None, actor=bia(), at=MONDAY)
    assert (ticket.events.first().kind, news(bia())) == (TicketEventKind.WOKEN, [])


def test_a_ticket_that_cannot_be_woken_up_does_not_keep_the_others_asleep(monkeypatch):
    asleep = [recipes.ticket(sessions.session(davi())) for _ in range(2)]
    for ticket in asleep:
        services.snooze(ticket, until=LATER, actor=bia(), at=MONDAY)
    wake = services.work._wake

    def fail_once(ticket, **more):
        if ticket == asleep[0]:
            raise RuntimeError
        wake(ticket, **more)

    monkeypatch.setattr(services.work, "_wake", fail_once)
    assert services.wake_due(now=LATER) == 1
    assert [fresh(one).snoozed_until for one in asleep] == [LATER, None]


def test_undoing_leaves_who_was_named_in_a_note_told():
    ticket = recipes.ticket(assignee=bia())
    services.set_priority(ticket, priority=Priority.HIGH, actor=bia())
    event = ticket.events.first()
    dora = baker.make("users.User", username="dora", is_staff=True)
    dora.departments.add(department("vendas"))
    services.add_note(ticket, author=bia(), text="@dora vê isso?")
    services.undo(event, bia())
    assert news(dora) == [NotificationKind.MENTIONED]


# --- Who is told -------------------------------------------------------------------------------


def test_who_gets_a_ticket_is_told():
    ticket = recipes.ticket()
    services.assign(ticket, to_user=bia(), actor=ana())
    services.transfer(
        ticket, department=department("suporte"), to_user=caio(), actor=ana(), note="Ver com Davi"
    )
    assert news(bia()) == [NotificationKind.ASSIGNED]
    assert news(caio()) == [NotificationKind.TRANSFERRED]
    assert Notification.objects.get(user=caio()).details == {"note": "Ver com Davi"}


def test_nobody_is_told_of_what_they_did_themselves():
    services.assign(recipes.ticket(), to_user=bia(), actor=bia())
    assert news(bia()) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("@caio pode ver?", ["caio"]),
        ("Fala com @Caio Lima, por favor", ["caio"]),
        ("@CAIO e @ana", ["ana", "caio"]),
        ("@joão", ["joao"]),
        ("escreva para caio@empresa.com", []),
        ("@caiofoi", []),
        ("@ninguem", []),
        ("@bia, lembrar disto", ["bia"]),
    ],
)
def test_a_note_names_colleagues(text, named):
    caio(last_name="Lima")
    ana()
    baker.make("users.User", username="joao", first_name="João", is_staff=True)
    baker.make("users.User", username="ninguem", is_active=False)
    author = bia(role="admin")
    note = services.add_note(recipes.ticket(), author=author, text=text)
    assert sorted(note.mentions.values_list("username", flat=True)) == named
    told = Notification.objects.filter(kind=NotificationKind.MENTIONED)
    assert sorted(told.values_list("user__username", flat=True)) == sorted(set(named) - {"bia"})


def test_a_first_name_that_two_share_names_nobody():
    baker.make("users.User", username="rn", first_name="Rafael", last_name="Nogueira")
    baker.make("users.User", username="rs", first_name="Rafael", last_name="Souza")
    ticket, author = recipes.ticket(), ana()
    assert not services.add_note(ticket, author=author, text="@Rafael vê isso").mentions.exists()
    note = services.add_note(ticket, author=author, text="@Rafael Souza vê isso")
    assert [one.username for one in note.mentions.all()] == ["rs"]


def test_an_attendant_names_only_colleagues_whom_they_may_see():
    caio()  # of another department
    note = services.add_note(recipes.ticket(), author=bia(), text="@caio?")
    assert not note.mentions.exists()


def test_news_of_a_ticket_that_one_may_not_see_any_more_are_hidden():
    ticket = recipes.ticket()
    services.assign(ticket, to_user=bia(), actor=ana())
    assert Notification.objects.visible_to(bia()).unread().count() == 1
    services.transfer(ticket, department=department("suporte"), actor=ana())
    assert not Notification.objects.visible_to(bia()).exists()


# --- Undoing -----------------------------------------------------------------------------------


def operations():
    return {
        "claim": lambda one: services.claim(one, user=bia()),
        "assign": lambda one: services.assign(one, to_user=caio(), actor=bia()),
        "transfer": lambda one: services.transfer(
            one, department=suporte(), actor=bia(), note="Segue"
        ),
        "transfer to somebody": lambda one: services.transfer(
            one, department=department("suporte"), to_user=caio(), actor=bia()
        ),
        "priority": lambda one: services.set_priority(one, priority=Priority.HIGH, actor=bia()),
        "snooze": lambda one: services.snooze(one, until=timezone.now() + DAY, actor=bia()),
        "snooze_until_reply": lambda one: services.snooze(
            one, until=None, until_reply=True, actor=bia()
        ),
        "tag": lambda one: services.tag(
            one, tags=[Tag.objects.get_or_create(name="cobrança")[0]], actor=bia()
        ),
        "resolve": lambda one: services.resolve(one, then=Next.END, actor=bia()),
        "release": lambda one: services.release(one, actor=bia()),
        "turn": lambda one: services.set_status(
            one, status=TicketStatus.WAITING_CUSTOMER, actor=bia()
        ),
    }


NEEDS_AN_ASSIGNEE, NEEDS_NONE = {"release", "turn"}, {"claim"}


@pytest.mark.parametrize(
    ("name", "is_hers"),
    [
        *((name, False) for name in operations() if name not in NEEDS_AN_ASSIGNEE),
        *((name, True) for name in operations() if name not in NEEDS_NONE),
    ],
)
def test_what_was_just_done_can_be_taken_back(name, is_hers):
    SlaPolicy.objects.create(name="x", first_response_minutes=10, resolution_minutes=100)
    SlaPolicy.objects.create(
        name="y", first_response_minutes=1, resolution_minutes=10, priority=Priority.HIGH
    )
    ticket = recipes.ticket(assignee=bia() if is_hers else None, at=timezone.now())
    before = state(ticket)
    operations()[name](ticket)
    assert state(ticket) != before
    event = ticket.events.first()
    services.undo(event, bia())
    assert state(ticket) == before
    assert not Notification.objects.exists()
    with pytest.raises(TicketRefused):
        services.undo(event, bia())


def test_a_resolution_taken_back_goes_on_in_a_live_conversation():
    ticket = recipes.ticket(assignee=bia())
    services.resolve(ticket, then=Next.END, actor=bia())
    services.undo(ticket.events.first(), bia())
    now = Ticket.objects.select_related("session").get()
    assert (now.session.is_live, now.session.owner) == (True, Owner.ATTENDANT)
    assert now.status == TicketStatus.IN_PROGRESS
    assert Session.objects.live().count() == 1


def test_nobody_takes_back_what_somebody_else_did():
    ticket = recipes.ticket()
    services.claim(ticket, user=bia())
    with pytest.raises(TicketRefused):
        services.undo(ticket.events.first(), caio())
    assert fresh(ticket).assignee == bia()


def test_nothing_is_taken_back_after_something_else_has_happened():
    ticket = recipes.ticket(assignee=bia())
    services.set_priority(ticket, priority=Priority.HIGH, actor=bia())
    event = ticket.events.first()
    services.release(ticket, actor=bia())
    with pytest.raises(TicketRefused) as refusal:
        services.undo(event, bia())
    assert refusal.value.code == "undo_overtaken"
    assert fresh(ticket).priority == Priority.HIGH


def test_nothing_is_taken_back_after_a_minute():
    ticket = recipes.ticket()
    services.claim(ticket, user=bia())
    event = ticket.events.first()
    with pytest.raises(TicketRefused) as refusal:
        services.undo(event, bia(), at=event.created_at + timedelta(seconds=61))
    assert refusal.value.code == "undo_too_late"


def test_what_the_clock_did_is_not_undone():
    ticket = recipes.ticket(assignee=bia())
    services.snooze(ticket, until=LATER, actor=bia(), at=MONDAY)
    services.wake_due(now=LATER)
    with pytest.raises(TicketRefused) as refusal:
        services.undo(ticket.events.first(), bia())
    assert refusal.value.code == "not_undoable"


# --- Tags --------------------------------------------------------------------------------------


def test_tags_are_set_or_added_and_the_event_says_which():
    one, two = (Tag.objects.create(name=name) for name in ("cobrança", "visita"))
    ticket = recipes.ticket()
    services.tag(ticket, tags=[one], actor=bia())
    services.tag(ticket, tags=[two], actor=bia(), keep=True)
    assert set(ticket.tags.all()) == {one, two}
    services.tag(ticket, tags=[two], actor=bia())
    details = ticket.events.first().details
    assert (details["added"], details["removed"]) == ([], ["cobrança"])
    count = ticket.events.count()
    services.tag(ticket, tags=[two], actor=bia())
    assert ticket.events.count() == count
    services.tag(ticket, tags=[one], actor=bia(), keep=True, without="visita")
    assert set(ticket.tags.all()) == {one}


# --- Resolving ---------------------------------------------------------------------------------


def fill(ticket, field):
    match field:
        case ResolutionField.SUBJECT:
            services.update_details(ticket, actor=bia(), subject="Boleto")
        case ResolutionField.TAGS:
            services.tag(ticket, tags=[Tag.objects.create(name="x")], actor=bia())
        case ResolutionField.RESOLUTION_NOTE:
            return {"note": "Segunda via enviada"}
        case ResolutionField.LEAD_NAME:
            ticket.lead.name = "Davi"
        case ResolutionField.LEAD_EMAIL:
            ticket.lead.email = "davi@example.com"
        case ResolutionField.LEAD_DOCUMENT:
            ticket.lead.document = "52998224725"
    ticket.lead.save()
    return {}


@pytest.mark.parametrize("field", ResolutionField)
def test_a_department_may_want_to_know_more_before_the_end(field):
    vendas = department("vendas")
    vendas.required_at_resolution = [field]
    vendas.save()
    ticket = recipes.ticket(sessions.session(davi(name="", email="", document="")), assignee=bia())
    with pytest.raises(FieldsMissing) as refusal:
        services.resolve(ticket, actor=bia(), then=Next.END)
    assert refusal.value.missing == (field,)
    assert str(field.label) in refusal.value.message
    assert fresh(ticket).is_open
    given = fill(ticket, field)
    services.resolve(fresh(ticket), actor=bia(), then=Next.END, **given)
    assert fresh(ticket).status == TicketStatus.RESOLVED


def test_the_survey_is_refused_when_the_customer_could_not_answer():
    session = sessions.session(davi(), window_expires_at=MONDAY)
    ticket = recipes.ticket(session, assignee=bia())
    with pytest.raises(TicketRefused) as refusal:
        services.resolve(ticket, actor=bia(), then=Next.BOT, entry="pesquisa", at=LATER)
    assert refusal.value.code == "survey_window_closed"
    services.resolve(ticket, actor=bia(), then=Next.BOT, at=LATER)


def test_a_ticket_is_rated_once_for_each_time_that_it_was_settled():
    ticket = recipes.ticket(assignee=bia())
    services.resolve(ticket, actor=bia(), then=Next.END, at=MONDAY)
    assert services.rate(ticket, rating=4, at=LATER)
    assert not services.rate(ticket, rating=1, at=LATER)
    assert services.comment_rating(ticket, comment="Rápido", at=LATER)
    assert not services.comment_rating(ticket, comment="Outro", at=LATER)
    now = fresh(ticket)
    assert (now.rating, now.rating_comment, now.rated_at) == (4, "Rápido", LATER)
    assert news(bia()) == [NotificationKind.RATED]
    services.reopen(ticket, actor=ana(), at=LATER + HOUR)
    services.resolve(ticket, actor=bia(), then=Next.END, at=LATER + DAY)
    assert services.rate(ticket, rating=5, at=LATER + DAY + HOUR)
    assert (fresh(ticket).rating, fresh(ticket).rating_comment) == (5, "")


@pytest.mark.parametrize("rating", [0, 6, -1])
def test_a_rating_is_from_one_to_five(rating):
    ticket = recipes.ticket()
    with pytest.raises(TicketRefused):
        services.rate(ticket, rating=rating, at=MONDAY)


# --- The customer comes back -------------------------------------------------------------------


def ended(at=MONDAY, **fields):
    ticket = recipes.ticket(assignee=bia(availability=Availability.AVAILABLE), at=at)
    services.resolve(ticket, actor=bia(), then=Next.END, at=at)
    return ticket


def come_back(ticket, *, at):
    return services.reopen_for_customer(sessions.session(ticket.lead, at=at), at=at)


def test_within_the_days_of_the_department_the_same_ticket_goes_on():
    ticket = ended()
    assert come_back(ticket, at=MONDAY + 6 * DAY) == ticket
    now = Ticket.objects.select_related("session").get()
    assert (now.status, now.assignee, now.session.owner) == (
        TicketStatus.OPEN,
        bia(),
        Owner.ATTENDANT,
    )
    assert news(bia()) == [NotificationKind.REOPENED]


@pytest.mark.parametrize("days", [7, 30])
def test_after_these_days_it_is_a_new_case(days):
    ticket = ended()
    assert come_back(ticket, at=MONDAY + days * DAY) is None
    assert not fresh(ticket).is_open


def test_zero_days_reopen_nothing():
    ticket = ended()
    vendas = ticket.department
    vendas.reopen_days = 0
    vendas.save()
    assert come_back(ticket, at=MONDAY + HOUR) is None


@pytest.mark.parametrize("how", ["offline", "gone"])
def test_who_is_not_at_work_is_not_waited_for(how):
    ticket = ended()
    user = bia()
    if how == "gone":
        deactivate_user(user, actor=None, at=MONDAY)
    else:
        user.availability = Availability.OFFLINE
        user.save()
    assert come_back(ticket, at=LATER) == ticket
    now = Ticket.objects.select_related("session").get()
    assert (now.assignee, now.session.owner) == (None, Owner.QUEUE)
    assert news(user) == ([] if how == "gone" else [NotificationKind.REOPENED])


def test_only_the_last_ticket_is_reopened():
    first = ended()
    second = recipes.ticket(sessions.session(first.lead, at=LATER), assignee=bia(), at=LATER)
    services.close_ticket(second, actor=bia(), then=Next.END, at=LATER)
    assert come_back(first, at=LATER + HOUR) == second
    assert not fresh(first).is_open


def test_another_channel_is_another_conversation():
    ticket = ended()
    other = sessions.session(ticket.lead, at=LATER, channel=sessions.channel("outra"))
    assert services.reopen_for_customer(other, at=LATER) is None


# --- The next ticket ---------------------------------------------------------------------------


def waiting(minutes, **fields):
    at = MONDAY - timedelta(minutes=minutes)
    ticket = recipes.ticket(sessions.session(davi(), at=at), at=at, **fields)
    return ticket


def test_promises_come_before_new_work_and_the_late_before_the_rest():
    user, at = bia(), MONDAY
    low = waiting(90, priority=Priority.LOW)
    oldest = waiting(60)
    high = waiting(5, priority=Priority.HIGH)
    risky = waiting(4)
    late = waiting(3)
    Ticket.objects.filter(pk=risky.pk).update(resolution_due_at=at + timedelta(minutes=10))
    Ticket.objects.filter(pk=late.pk).update(resolution_due_at=at - timedelta(minutes=1))
    mine = waiting(1, assignee=user)
    services.note_inbound(mine.session, preview="?", at=at)
    order = []
    for _ in range(7):
        ticket = next_ticket(user, at)
        order.append(ticket)
        if ticket is None:
            break
        assert fresh(ticket).assignee == user
        services.note_reply(ticket, user=user, at=at, waits=True)
    assert order == [mine, late, risky, high, oldest, low, None]


def test_what_is_aside_waits_or_is_not_mine_is_not_next():
    user = bia()
    services.snooze(waiting(1), until=MONDAY + DAY, actor=user, at=MONDAY)
    waiting(1, department=department("suporte"))
    waiting(1, assignee=caio())
    services.note_reply(waiting(1, assignee=user), user=user, at=MONDAY, waits=True)
    waiting(1, assignee=user)  # in progress, and nothing new
    assert next_ticket(user, MONDAY) is None


def test_what_was_assigned_is_accepted_by_being_next():
    ticket = waiting(1)
    services.assign(ticket, to_user=bia(), actor=ana(), at=MONDAY)
    assert next_ticket(bia(), MONDAY) == ticket
    assert fresh(ticket).status == TicketStatus.IN_PROGRESS


def test_a_ticket_that_somebody_takes_meanwhile_is_passed_over(monkeypatch):
    first, second = waiting(2), waiting(1)
    claim = services.claim

    def overtaken(ticket, *, user, at):
        if ticket == first:
            claim(fresh(first), user=ana(), at=at)
        return claim(ticket, user=user, at=at)

    monkeypatch.setattr("tickets.next_ticket.claim", overtaken)
    assert next_ticket(bia(), MONDAY) == second
