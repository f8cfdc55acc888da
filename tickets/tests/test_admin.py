from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker
from zeal import zeal_ignore

from leads.models import Tag
from leads.tests.recipes import davi
from sessions_app.models import ChannelKind, Owner
from sessions_app.tests import recipes as sessions
from tickets import services
from tickets.models import (
    AssignmentDecision,
    CannedResponse,
    InternalNote,
    Priority,
    ProtocolCounter,
    SlaPolicy,
    Ticket,
    TicketStatus,
)
from tickets.services import Next
from tickets.tests import recipes
from users.tests.recipes import ana, bia, caio, department

pytestmark = pytest.mark.django_db

LIST = "admin:tickets_ticket_changelist"
CHANGE = "admin:tickets_ticket_change"


def shown(response):
    return set(response.context["cl"].result_list)


def act(client, action, *tickets, **given):
    """Choose the action for these tickets; returns the levels of what is then said."""
    posted = {"action": action, "_selected_action": [ticket.pk for ticket in tickets], **given}
    with zeal_ignore():  # each ticket is locked by itself
        page = client.post(f"{reverse(LIST)}?state=all", posted, follow=True)
    assert page.status_code == 200
    return [message.level_tag for message in page.context["messages"]]


def stored(ticket):
    return Ticket.objects.get(pk=ticket.pk)


# --- Who sees what -----------------------------------------------------------------------------


def test_attendants_see_their_tickets_and_what_waits_in_their_departments(client):
    mine = recipes.ticket(assignee=bia(), department=department("suporte"))
    queued = recipes.ticket()
    others = [
        recipes.ticket(assignee=caio()),
        recipes.ticket(department=department("suporte")),
    ]
    client.force_login(bia())
    assert shown(client.get(reverse(LIST))) == {mine, queued}
    assert shown(client.get(reverse(LIST), {"q": "Davi"})) == {mine, queued}
    assert client.get(reverse(CHANGE, args=[mine.pk])).status_code == 200
    for other in others:
        for name in (CHANGE, "admin:tickets_ticket_history"):
            assert client.get(reverse(name, args=[other.pk])).status_code == 302
        assert client.post(reverse(CHANGE, args=[other.pk]), {"subject": "x"}).status_code == 302


def test_an_action_reaches_no_ticket_that_is_not_seen(client):
    other = recipes.ticket(department=department("suporte"))
    client.force_login(bia())
    act(client, "claim", other)
    assert stored(other).assignee is None


@pytest.mark.parametrize("model", ["ticketevent", "internalnote", "assignmentdecision"])
def test_what_belongs_to_a_ticket_is_seen_with_the_ticket_and_not_edited(client, model):
    for assignee in (bia(), caio()):
        ticket = recipes.ticket(assignee=assignee)
        services.add_note(ticket, author=assignee, text="nota")
        baker.make(AssignmentDecision, ticket=ticket)
    client.force_login(bia())
    rows = shown(client.get(reverse(f"admin:tickets_{model}_changelist")))
    assert {row.ticket.assignee for row in rows} == {bia()}
    client.force_login(ana())
    (row,) = rows
    url = reverse(f"admin:tickets_{model}_change", args=[row.pk])
    assert (client.get(url).status_code, client.post(url, {}).status_code) == (200, 403)
    assert client.post(reverse(f"admin:tickets_{model}_delete", args=[row.pk])).status_code == 403


def test_the_counter_of_protocols_is_nowhere_in_the_console():
    from django.contrib import admin  # noqa: PLC0415  # the registry as the site made it

    assert not admin.site.is_registered(ProtocolCounter)


def test_attendants_read_ready_answers_of_everybody_and_of_their_departments(client):
    for slug in (None, "vendas", "suporte"):
        where = department(slug) if slug else None
        baker.make(CannedResponse, shortcut=slug or "oi", department=where)
    client.force_login(bia())
    rows = shown(client.get(reverse("admin:tickets_cannedresponse_changelist")))
    assert {row.shortcut for row in rows} == {"oi", "vendas"}
    assert client.get(reverse("admin:tickets_slapolicy_changelist")).status_code == 403


# --- The list ----------------------------------------------------------------------------------


@pytest.fixture
def heap():
    """One ticket of each kind."""
    simulator = sessions.channel("simulador", kind=ChannelKind.SIMULATOR)
    snoozed = recipes.ticket(assignee=ana())
    done = recipes.ticket(assignee=ana())
    late = recipes.ticket(assignee=bia())
    tomorrow = timezone.now() + timedelta(days=1)
    services.snooze(snoozed, until=tomorrow, actor=ana())
    services.resolve(done, actor=ana(), then=Next.END)
    late.first_response_due_at = timezone.now() - timedelta(hours=1)
    late.save(update_fields=["first_response_due_at"])
    return {
        "queued": recipes.ticket(),
        "mine": recipes.ticket(assignee=ana()),
        "late": late,
        "snoozed": snoozed,
        "done": done,
        "simulated": recipes.ticket(sessions.session(davi(), channel=simulator)),
    }


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("", {"queued", "mine", "late", "snoozed"}),
        ("mine", {"mine"}),
        ("unassigned", {"queued"}),
        ("late", {"late"}),
        ("snoozed", {"snoozed"}),
        ("done", {"done"}),
        ("all", {"queued", "mine", "late", "snoozed", "done"}),
        ("simulated", {"simulated"}),
    ],
)
def test_tickets_lie_in_heaps(client, heap, state, names):
    client.force_login(ana())
    asked = {"state": state} if state else {}
    assert shown(client.get(reverse(LIST), asked)) == {heap[name] for name in names}


def test_a_ticket_is_found_by_its_protocol(client):
    ticket, _other = recipes.ticket(), recipes.ticket()
    client.force_login(ana())
    assert shown(client.get(reverse(LIST), {"q": ticket.protocol})) == {ticket}


def test_a_longer_list_needs_no_more_statements(client, django_assert_max_num_queries):
    client.force_login(ana())

    def fill(count):
        for _ in range(count):
            recipes.ticket(assignee=bia())

    fill(5)
    with django_assert_max_num_queries(15) as few:
        assert len(shown(client.get(reverse(LIST)))) == 5
    fill(20)
    with django_assert_max_num_queries(len(few)):
        assert len(shown(client.get(reverse(LIST)))) == 25


# --- Actions -----------------------------------------------------------------------------------


def test_tickets_are_claimed_and_who_was_faster_is_named(client):
    free, taken = recipes.ticket(), recipes.ticket(assignee=bia())
    client.force_login(ana())
    assert sorted(act(client, "claim", free, taken)) == ["error", "success"]
    assert (stored(free).assignee, stored(taken).assignee) == (ana(), bia())


def test_tickets_go_back_to_the_queue(client):
    tickets = [recipes.ticket(assignee=bia()) for _ in range(2)]
    client.force_login(bia())
    assert act(client, "release", *tickets) == ["success"]
    assert {stored(ticket).session.owner for ticket in tickets} == {Owner.QUEUE}


def test_tickets_are_transferred_to_the_chosen_department(client):
    ticket, support = recipes.ticket(assignee=bia()), department("suporte")
    client.force_login(bia())
    assert act(client, "transfer", ticket) == ["error"]
    assert act(client, "transfer", ticket, department="x") == ["warning"]
    assert stored(ticket).assignee == bia()
    assert act(client, "transfer", ticket, department=support.pk) == ["success"]
    assert (stored(ticket).department, stored(ticket).assignee) == (support, None)


@pytest.mark.parametrize(
    ("action", "is_live"), [("resolve_and_end", False), ("resolve_to_bot", True)]
)
def test_tickets_are_resolved_and_reopened(client, action, is_live):
    ticket = recipes.ticket(assignee=bia())
    client.force_login(bia())
    assert act(client, action, ticket) == ["success"]
    assert stored(ticket).status == TicketStatus.RESOLVED
    assert (stored(ticket).session.owner, stored(ticket).session.is_live) == (Owner.BOT, is_live)
    assert act(client, "reopen", ticket) == ["success"]
    assert (stored(ticket).status, stored(ticket).session.owner) == ("open", Owner.QUEUE)


@pytest.mark.parametrize("priority", Priority.values)
def test_tickets_get_another_priority(client, priority):
    ticket = recipes.ticket()
    client.force_login(bia())
    act(client, f"make_{priority}", ticket)
    assert stored(ticket).priority == priority


# --- The form ----------------------------------------------------------------------------------


def posted(client, ticket, **changes):
    """Post the ticket's form as the page would send it, with these changes."""
    url = reverse(CHANGE, args=[ticket.pk])
    page = client.get(url)
    values = {"subject": ticket.subject, "tags": [tag.pk for tag in ticket.tags.all()]}
    for inline in page.context["inline_admin_formsets"]:
        prefix = inline.formset.prefix
        values |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    return client.post(url, {**values, **changes})


def test_subject_and_tags_are_edited_and_nothing_else(client):
    ticket, tag = recipes.ticket(), baker.make(Tag, name="vip")
    client.force_login(bia())
    forbidden = {"status": "closed", "assignee": bia().pk, "priority": "high", "protocol": "x"}
    response = posted(client, ticket, subject="Orçamento", tags=[tag.pk], **forbidden)
    assert response.status_code == 302
    saved = stored(ticket)
    assert (saved.subject, [*saved.tags.all()]) == ("Orçamento", [tag])
    assert (saved.status, saved.assignee, saved.priority) == ("open", None, Priority.MEDIUM)
    assert saved.protocol == ticket.protocol


def test_a_note_is_written_below_the_ticket_by_who_is_logged_in(client):
    ticket = recipes.ticket()
    client.force_login(bia())
    rows = {"notes-TOTAL_FORMS": 1, "notes-0-text": "Ligar amanhã"}
    assert posted(client, ticket, **rows).status_code == 302
    note = InternalNote.objects.get()
    assert (note.text, note.author, note.ticket) == ("Ligar amanhã", bia(), ticket)


def test_what_the_bot_collected_is_shown_as_text(client):
    ticket = recipes.ticket(variables={"nome": "<script>alert(1)</script>"})
    client.force_login(bia())
    page = client.get(reverse(CHANGE, args=[ticket.pk])).content.decode()
    assert "nome" in page
    assert "<script>alert" not in page


def test_tickets_are_neither_added_nor_deleted_here(client):
    ticket = recipes.ticket()
    client.force_login(ana())
    assert client.get(reverse("admin:tickets_ticket_add")).status_code == 403
    assert client.post(reverse("admin:tickets_ticket_delete", args=[ticket.pk])).status_code == 403


def test_admins_write_ready_answers_and_policies(client):
    client.force_login(ana())
    response = client.post(
        reverse("admin:tickets_cannedresponse_add"),
        {"shortcut": "oi", "title": "Oi", "text": "Olá!", "is_active": "on"},
    )
    assert (response.status_code, CannedResponse.objects.count()) == (302, 1)
    response = client.post(
        reverse("admin:tickets_slapolicy_add"),
        {"name": "Geral", "first_response_minutes": "10", "is_active": "on"},
    )
    assert (response.status_code, SlaPolicy.objects.count()) == (302, 1)


# --- In words ----------------------------------------------------------------------------------


def test_a_ticket_says_in_words_what_the_bot_collected_and_what_happened(client):
    handoff = {"reason": "Pedido", "labels": {"cpf": "CPF"}, "sensitive": ["cpf"], "path": ["x"]}
    ticket = recipes.ticket(variables={"nome": "Davi", "cpf": "52998224725"}, handoff=handoff)
    services.claim(ticket, user=bia())
    services.set_priority(ticket, priority=Priority.HIGH, actor=bia())
    client.force_login(ana())
    page = client.get(reverse(CHANGE, args=[ticket.pk])).content.decode()
    for words in ("nome: Davi", "CPF: ••••••", "Pedido", "média → alta"):
        assert words in page
    for raw in ("52998224725", "sensitive", "department&quot;", "medium"):
        assert raw not in page
    events = client.get(reverse("admin:tickets_ticketevent_changelist")).content.decode()
    assert "média → alta" in events
    assert "{&quot;" not in events
