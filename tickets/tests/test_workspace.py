from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker
from zeal import zeal_ignore

from leads.models import Lead, Tag
from leads.tests.recipes import davi
from sessions_app.models import Owner
from sessions_app.tests import recipes as sessions
from tickets import services, workspace_actions
from tickets.models import (
    InternalNote,
    Presence,
    Priority,
    Ticket,
    TicketEventKind,
    TicketStatus,
)
from tickets.services import Next
from tickets.tests import recipes
from users.models import Department
from users.tests.recipes import ana, bia, caio, department, suporte

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
HANDOFF = {
    "reason": "Quer um orçamento",
    "word": "atendente",
    "path": ["inicio", "menu"],
    "steps": ["Início", "Menu principal"],
    "labels": {"cpf": "CPF"},
    "sensitive": ["cpf"],
}
ANSWERS = {"cpf": "52998224725", "plano": "Fibra 600"}
EVIL = "<script>alert(1)</script>"


def url(name, ticket, *more):
    return reverse(f"admin:tickets_ticket_{name}", args=[ticket.pk, *more])


def do(client, verb, ticket, /, *, htmx=True, **given):
    return client.post(url(verb, ticket), given, headers=HTMX if htmx else {})


def page(client, ticket):
    response = client.get(url("change", ticket))
    assert response.status_code == 200
    return response.content.decode()


def stored(ticket):
    return Ticket.objects.get(pk=ticket.pk)


@pytest.fixture
def mine(client):
    client.force_login(bia())
    return recipes.ticket(assignee=bia(), variables=ANSWERS, handoff=HANDOFF)


def settled(lead, **given):
    """A ticket that the lead had before, on another channel."""
    session = sessions.session(lead, channel=sessions.channel("antigo"))
    ticket = recipes.ticket(session, **given)
    services.resolve(ticket, actor=ana(), then=Next.END)
    return ticket


# --- Who may do what ---------------------------------------------------------------------------

POSTS = {
    "claim": {},
    "transfer": {},
    "priority": {"priority": "high"},
    "snooze": {"until": "1h"},
    "waiting": {},
    "resolve": {"how": "end"},
    "reopen": {},
    "release": {},
    "tags": {"add": "vip"},
    "subject": {"subject": "x"},
    "lead": {"status": "converted"},
    "presence": {},
    "reveal": {"name": "cpf"},
}
GETS = {"head": {}, "context": {"older": "events", "before": 1}}


def as_stored(ticket):
    values = Ticket.objects.filter(pk=ticket.pk).values().get()
    return values, Lead.objects.get(pk=ticket.lead_id).status, ticket.events.count()


@pytest.mark.parametrize("verb", [*POSTS, *GETS])
def test_a_ticket_that_is_not_seen_is_not_there(client, verb):
    ticket = recipes.ticket(
        assignee=caio(), department=department("suporte"), variables=ANSWERS, handoff=HANDOFF
    )
    before = as_stored(ticket)
    client.force_login(bia())
    call = client.get if verb in GETS else client.post
    assert call(url(verb, ticket), {**POSTS, **GETS}[verb]).status_code == 404
    assert as_stored(ticket) == before
    assert not Presence.objects.exists()


@pytest.mark.parametrize("verb", [*POSTS, *GETS])
def test_nobody_is_sent_to_the_login_page(client, verb):
    ticket = recipes.ticket()
    call = client.get if verb in GETS else client.post
    response = call(url(verb, ticket))
    assert response.status_code == 302
    assert "/login/" in response["Location"]


@pytest.mark.parametrize("verb", POSTS)
def test_an_address_that_changes_something_is_not_got(client, mine, verb):
    assert client.get(url(verb, mine)).status_code == 405


@pytest.mark.parametrize("verb", [verb for verb in POSTS if verb not in ("presence", "reveal")])
def test_who_may_only_look_changes_nothing(client, mine, monkeypatch, verb):
    from users import permissions  # noqa: PLC0415  # to take something from it

    looking = {one for one in permissions.ATTENDANT_PERMISSIONS if ".change_" not in one}
    monkeypatch.setattr(permissions, "ATTENDANT_PERMISSIONS", frozenset(looking))
    before = as_stored(mine)
    assert do(client, verb, mine, **POSTS[verb]).status_code == 403
    assert as_stored(mine) == before
    shown = page(client, mine)
    assert url(verb, mine) not in shown


def test_a_ticket_that_is_not_seen_has_no_page(client):
    other = recipes.ticket(assignee=caio())
    client.force_login(bia())
    assert client.get(url("change", other)).status_code == 302
    assert client.get(reverse("admin:tickets_ticket_change", args=["x"])).status_code == 302
    assert client.get(reverse("admin:tickets_ticket_change", args=["9" * 30])).status_code == 302


# --- The page ----------------------------------------------------------------------------------


def test_the_page_says_who_has_the_ticket_and_offers_what_fits(client, mine):
    free = recipes.ticket()
    assert "Com você" in page(client, mine) or "With you" in page(client, mine)
    assert url("claim", free) in page(client, free)
    assert url("claim", mine) not in page(client, mine)
    services.resolve(mine, actor=bia(), then=Next.END)
    shown = page(client, mine)
    assert url("reopen", mine) in shown
    assert url("resolve", mine) not in shown


def test_what_the_bot_handed_over_stands_above_the_conversation(client, mine):
    shown = page(client, mine)
    for words in (
        "Quer um orçamento",
        "atendente",
        "Menu principal",
        "Fibra 600",
        "•••.982.•••-25",
    ):
        assert words in shown
    assert ANSWERS["cpf"] not in shown


def test_who_answers_without_claiming_ends_the_wait(client):
    ticket = recipes.ticket(handoff=HANDOFF)
    services.assign(ticket, to_user=bia(), actor=ana())
    services.note_reply(ticket, user=bia(), at=timezone.now() + timedelta(minutes=5))
    client.force_login(ana())
    waited = client.get(url("change", ticket)).context["handoff"].waited
    assert timedelta(minutes=4) < waited < timedelta(minutes=6)


def test_an_email_that_the_bot_was_told_is_shown_on_request(client):
    ticket = recipes.ticket(
        assignee=bia(), variables={"contato": "davi@example.com"}, handoff=HANDOFF
    )
    client.force_login(bia())
    assert "davi@example.com" not in page(client, ticket)
    assert "davi@example.com" in do(client, "reveal", ticket, name="contato").content.decode()


def test_the_card_of_the_bot_stays_as_it_was_when_the_ticket_moves_on(client):
    ticket = recipes.ticket(handoff=HANDOFF)
    client.force_login(ana())
    assert client.get(url("change", ticket)).context["handoff"].waited is None
    services.claim(ticket, user=ana())
    before = client.get(url("change", ticket)).context["handoff"]
    assert before.waited is not None
    services.transfer(ticket, department=ticket.department, to_user=bia(), actor=ana())
    services.claim(stored(ticket), user=bia())
    assert client.get(url("change", ticket)).context["handoff"] == before


def test_a_ticket_of_people_has_no_card_of_the_bot(client):
    client.force_login(bia())
    assert "data-handoff" not in page(client, recipes.ticket())


def test_nothing_that_others_wrote_is_markup(client):
    tag = baker.make(Tag, name=EVIL)
    lead = davi(name=EVIL, company=EVIL, attendant=bia(first_name=EVIL))
    handoff = {**HANDOFF, "reason": EVIL, "word": EVIL, "steps": [EVIL], "labels": {"cpf": EVIL}}
    ticket = recipes.ticket(
        sessions.session(lead),
        assignee=bia(),
        subject=EVIL,
        variables={EVIL: EVIL, "cpf": EVIL},
        handoff=handoff,
    )
    settled(lead, subject=EVIL)
    ticket.tags.add(tag)
    lead.tags.add(tag)
    Ticket.objects.update(last_message_preview=EVIL)
    services.tag(ticket, tags=[], actor=bia())
    client.force_login(bia())
    for answer in (
        client.get(url("change", ticket)),
        do(client, "claim", ticket),
        do(client, "transfer", ticket, to=EVIL, note=EVIL),
        do(client, "tags", ticket, add=EVIL),
        do(client, "tags", ticket, add=EVIL * 2),
        do(client, "lead", ticket, status=EVIL),
        do(client, "lead", ticket, add=EVIL),
        do(client, "subject", ticket, subject=EVIL),
        do(client, "reveal", ticket, name="cpf"),
    ):
        assert answer.status_code == 200
        assert "<script>alert" not in answer.content.decode()


def test_a_longer_history_needs_no_more_statements(client, mine, django_assert_max_num_queries):
    def fill(count):
        for _ in range(count):
            settled(mine.lead, assignee=bia())
            services.set_priority(mine, priority=Priority.HIGH, actor=bia())
            services.set_priority(mine, priority=Priority.LOW, actor=bia())
            recipes.ticket(assignee=bia())
            baker.make(Tag).tickets.add(mine)
            baker.make("users.User", is_staff=True).departments.add(department("vendas"))
            baker.make(Presence, ticket=mine, seen_at=timezone.now())

    fill(2)
    with django_assert_max_num_queries(25) as few:
        page(client, mine)
    fill(12)
    with django_assert_max_num_queries(len(few)):
        page(client, mine)


def test_the_assignee_who_opens_a_ticket_has_read_it(client, mine):
    Ticket.objects.filter(pk=mine.pk).update(unread=3)
    client.force_login(ana())
    page(client, mine)
    assert stored(mine).unread == 3
    client.force_login(bia())
    page(client, mine)
    assert stored(mine).unread == 0


def test_earlier_tickets_and_events_come_page_by_page(client, mine):
    for number in range(6):
        settled(mine.lead, subject=f"Antigo {number}")
    settled(mine.lead, subject="De outro", department=department("suporte"))
    shown = client.get(url("change", mine))
    first = shown.context["previous"]
    assert [one.subject for one in first.rows] == ["Antigo 5", "Antigo 4", "Antigo 3", "Antigo 2"]
    asked = {"older": "tickets", "before": first.next}
    more = client.get(url("context", mine), asked).context["previous"]
    assert [one.subject for one in more.rows] == ["Antigo 1", "Antigo 0"]
    assert more.next is None


@pytest.mark.parametrize(
    "asked", [{}, {"older": "x", "before": 1}, {"older": "events", "before": "x"}]
)
def test_more_of_the_panel_is_asked_for_properly(client, mine, asked):
    assert client.get(url("context", mine), asked).status_code == 404


# --- Actions -----------------------------------------------------------------------------------


def test_an_answer_brings_the_head_the_panel_and_what_can_be_undone(client):
    ticket = recipes.ticket()
    client.force_login(bia())
    answer = do(client, "claim", ticket)
    shown = answer.content.decode()
    assert 'id="ticket-head"' in shown
    assert 'hx-swap-oob="true"' in shown
    (event,) = ticket.events.filter(kind=TicketEventKind.CLAIMED)
    assert url("undo", ticket, event.pk) in answer["HX-Trigger"]
    assert (stored(ticket).assignee, stored(ticket).session.owner) == (bia(), Owner.ATTENDANT)


def test_without_scripts_an_action_leads_back_to_the_page(client):
    ticket = recipes.ticket()
    client.force_login(bia())
    answer = do(client, "claim", ticket, htmx=False)
    assert (answer.status_code, answer["Location"]) == (302, url("change", ticket))
    levels = [one.level_tag for one in client.get(answer["Location"]).context["messages"]]
    assert levels == ["success"]


def test_who_claims_too_late_is_told_who_has_it(client):
    Department.objects.filter(pk=department("vendas").pk).update(shares_tickets=True)
    ticket = recipes.ticket()
    services.claim(ticket, user=ana())
    client.force_login(bia())
    answer = do(client, "claim", ticket)
    shown = answer.content.decode()
    assert "Ana" in shown
    assert 'role="alert"' in shown
    assert "HX-Trigger" not in answer
    assert stored(ticket).assignee == ana()


def test_who_is_late_is_told_who_has_it_also_when_that_is_out_of_sight(client):
    ticket = recipes.ticket()
    client.force_login(bia())
    page(client, ticket)
    services.claim(ticket, user=ana())
    answer = do(client, "claim", ticket)
    assert answer["HX-Redirect"] == reverse("admin:tickets_ticket_changelist")
    (said,) = client.get(answer["HX-Redirect"]).context["messages"]
    assert "Ana" in said.message
    assert do(client, "priority", ticket, priority="high").status_code == 404


def test_what_the_page_did_not_show_is_not_acted_on(client, mine):
    Department.objects.filter(pk=mine.department_id).update(shares_tickets=True)
    services.transfer(mine, department=mine.department, to_user=ana(), actor=ana())
    answer = do(client, "resolve", mine, how="end", seen=bia().pk)
    assert "Ana" in answer.content.decode()
    assert stored(mine).is_open


def test_a_transfer_goes_to_a_department_with_a_note(client, mine):
    support = suporte()
    answer = do(client, "transfer", mine, to=f"d{support.pk}", note="Sem sinal")
    assert answer["HX-Redirect"] == reverse("admin:tickets_ticket_changelist")
    assert "suporte" in answer["HX-Trigger"]
    assert (stored(mine).department, stored(mine).assignee) == (support, None)
    assert InternalNote.objects.get().text == "Sem sinal"


def test_a_transfer_goes_to_a_colleague_within_what_one_sees(client, mine):
    colleague = baker.make("users.User", is_staff=True, first_name="Dora", username="dora")
    colleague.departments.add(department("vendas"))
    offered = page(client, mine)
    assert f'value="p{colleague.pk}"' in offered
    assert f'value="p{caio().pk}"' not in offered  # of another department
    assert f'value="p{bia().pk}"' not in offered  # has it
    do(client, "transfer", mine, to=f"p{caio().pk}")
    assert stored(mine).assignee == bia()
    do(client, "transfer", mine, to=f"p{colleague.pk}")
    assert (stored(mine).assignee, stored(mine).department.slug) == (colleague, "vendas")


def test_a_person_of_another_department_takes_the_ticket_along(client):
    ticket = recipes.ticket()
    client.force_login(ana())
    do(client, "transfer", ticket, to=f"p{caio().pk}")
    assert (stored(ticket).assignee, stored(ticket).department.slug) == (caio(), "suporte")


def test_a_transfer_to_nowhere_keeps_what_was_written(client, mine):
    answer = do(client, "transfer", mine, to="", note="Guardar isto")
    assert answer["HX-Retarget"] == "#transfer-form"
    assert "Guardar isto" in answer.content.decode()


@pytest.mark.parametrize("priority", ["high", "low"])
def test_the_priority_changes(client, mine, priority):
    assert do(client, "priority", mine, priority=priority).status_code == 200
    assert stored(mine).priority == priority


def test_an_unknown_priority_is_refused(client, mine):
    assert 'role="alert"' in do(client, "priority", mine, priority="x").content.decode()


@pytest.mark.parametrize("key", ["30m", "1h", "tomorrow"])
def test_a_ticket_is_put_aside_and_taken_up(client, mine, key):
    do(client, "snooze", mine, until=key)
    assert stored(mine).snoozed_until > timezone.now()
    do(client, "snooze", mine, wake="1")
    assert stored(mine).snoozed_until is None


def test_a_ticket_is_put_aside_until_the_customer_answers(client, mine):
    answer = do(client, "snooze", mine, until="reply").content.decode()
    assert "adiado até o cliente responder" in answer
    assert (stored(mine).snoozed_until, stored(mine).snoozed_until_reply) == (None, True)
    listed = client.get(reverse("admin:tickets_ticket_changelist"), {"grupo": "adiados"})
    assert "até o cliente responder" in listed.content.decode()
    do(client, "snooze", mine, wake="1")
    assert not stored(mine).snoozed_until_reply


def test_a_ticket_is_put_aside_until_a_chosen_moment(client, mine):
    at = timezone.localtime() + timedelta(days=3)
    do(client, "snooze", mine, at=at.strftime("%Y-%m-%dT%H:%M"))
    assert stored(mine).snoozed_until == at.replace(second=0, microsecond=0)


@pytest.mark.parametrize("given", [{}, {"at": "2020-01-01T10:00"}, {"at": "x"}, {"until": "x"}])
def test_a_moment_that_is_none_is_refused(client, mine, given):
    assert 'role="alert"' in do(client, "snooze", mine, **given).content.decode()
    assert stored(mine).snoozed_until is None


def test_who_fills_in_what_is_missing_does_not_resolve_a_colleagues_ticket(
    client, mine, monkeypatch
):
    fill_in = workspace_actions._fill_in

    def while_it_is_given_away(request, ticket, form):
        services.assign(stored(mine), to_user=ana(), actor=ana())
        fill_in(request, ticket, form)

    monkeypatch.setattr(workspace_actions, "_fill_in", while_it_is_given_away)
    with zeal_ignore():  # two people at once, in one request
        do(client, "resolve", mine, how="end", subject="Boleto", seen=str(bia().pk))
    assert (stored(mine).status, stored(mine).assignee) == ("open", ana())


@pytest.mark.parametrize(("how", "is_live"), [("end", False), ("bot", True)])
def test_a_ticket_is_resolved_and_reopened(client, mine, how, is_live):
    answer = do(client, "resolve", mine, how=how, note="Desconto dado", outcome="pago")
    assert 'id="ticket-talk"' in answer.content.decode()
    now = stored(mine)
    assert (now.status, now.outcome, now.resolution_note) == ("resolved", "pago", "Desconto dado")
    assert now.session.is_live is is_live
    assert do(client, "reopen", mine).status_code == 200
    assert (stored(mine).status, stored(mine).session.owner) == ("open", Owner.QUEUE)


def test_what_the_department_wants_to_know_is_filled_in_at_resolution(client, mine):
    Department.objects.filter(pk=mine.department_id).update(
        required_at_resolution=["subject", "tags", "resolution_note", "lead_email"]
    )
    baker.make(Tag, name="vip")
    shown = page(client, mine)
    for name in ("resolve-subject", "resolve-tag", "resolve-email"):
        assert name in shown
    answer = do(client, "resolve", mine, how="end")
    assert answer["HX-Retarget"] == "#resolve-form"
    assert 'role="alert"' in answer.content.decode()
    assert stored(mine).is_open
    filled = {"subject": "Fatura", "tag": "VIP", "email": "davi@example.com", "note": "Feito"}
    with zeal_ignore():  # what is filled in is kept by itself, so the ticket is locked anew
        assert do(client, "resolve", mine, how="end", **filled).status_code == 200
    now = stored(mine)
    assert (now.status, now.subject, now.lead.email) == ("resolved", "Fatura", "davi@example.com")
    assert [tag.name for tag in now.tags.all()] == ["vip"]


def test_a_ticket_goes_back_to_the_queue_or_waits(client, mine):
    do(client, "waiting", mine)
    assert stored(mine).status == TicketStatus.WAITING_CUSTOMER
    do(client, "release", mine, seen=bia().pk)
    assert (stored(mine).assignee, stored(mine).status) == (None, "open")


def test_tags_are_put_on_and_taken_off(client, mine):
    baker.make(Tag, name="vip")
    do(client, "tags", mine, add="VIP")
    assert [tag.name for tag in mine.tags.all()] == ["vip"]
    do(client, "tags", mine, remove="vip")
    assert not mine.tags.all()


def test_attendants_make_no_new_tags(client, mine):
    assert 'role="alert"' in do(client, "tags", mine, add="inventada").content.decode()
    do(client, "lead", mine, add="inventada")
    assert not Tag.objects.exists()


def test_what_one_has_done_is_undone_by_oneself_alone(client, mine):
    do(client, "priority", mine, priority="high")
    event = mine.events.first()
    client.force_login(ana())
    assert client.post(url("undo", mine, event.pk)).status_code == 404
    client.force_login(bia())
    assert client.get(url("undo", mine, event.pk)).status_code == 405
    assert client.post(url("undo", mine, event.pk), headers=HTMX)["HX-Redirect"]
    assert stored(mine).priority == Priority.MEDIUM


def test_what_put_the_ticket_out_of_sight_can_be_undone(client, mine):
    do(client, "transfer", mine, to=f"d{suporte().pk}")
    event = mine.events.first()
    assert client.get(url("change", mine)).status_code == 302
    answer = client.post(url("undo", mine, event.pk), headers=HTMX)
    assert answer["HX-Redirect"] == url("change", mine)
    assert stored(mine).assignee == bia()


# --- Fields ------------------------------------------------------------------------------------


def test_the_status_of_the_lead_is_saved_as_it_changes(client, mine):
    answer = do(client, "lead", mine, status="converted")
    assert mine.lead.status_changes.first().actor == bia()
    assert Lead.objects.get().status == "converted"
    assert 'role="status"' in answer.content.decode()


def test_a_status_that_is_none_leaves_the_old_one(client, mine):
    shown = do(client, "lead", mine, status="x").content.decode()
    assert Lead.objects.get().status == "new"
    assert 'data-stored="new"' in shown
    assert 'role="alert"' in shown


def test_tags_of_the_lead_are_put_on_and_taken_off(client, mine):
    baker.make(Tag, name="cliente")
    do(client, "lead", mine, add="Cliente")
    assert [tag.name for tag in mine.lead.tags.all()] == ["cliente"]
    do(client, "lead", mine, remove="cliente")
    assert not mine.lead.tags.all()


def test_the_subject_is_written(client, mine):
    do(client, "subject", mine, subject="Orçamento")
    assert stored(mine).subject == "Orçamento"
    assert 'class="saved bad"' in do(client, "subject", mine, subject="x" * 201).content.decode()
    assert stored(mine).subject == "Orçamento"


def test_a_shown_answer_is_logged(client, mine):
    shown = do(client, "reveal", mine, name="cpf")
    assert ANSWERS["cpf"] in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (bia(), str(mine.pk))
    assert "cpf" in entry.change_message


def test_without_scripts_a_shown_answer_stands_on_the_page(client, mine):
    answer = do(client, "reveal", mine, name="cpf", htmx=False)
    assert ANSWERS["cpf"] in answer.content.decode()
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("name", ["plano", "outro", ""])
def test_only_masked_answers_are_shown_on_request(client, mine, name):
    assert do(client, "reveal", mine, name=name).status_code == 404
    assert not LogEntry.objects.exists()


# --- The column --------------------------------------------------------------------------------

QUEUE = "admin:tickets_ticket_queue"


def column(client, **asked):
    return client.get(reverse(QUEUE), asked, headers=HTMX)


def test_the_column_has_ones_own_tickets_by_due_time(client, mine):
    late, later = recipes.ticket(assignee=bia()), recipes.ticket(assignee=bia())
    recipes.ticket(assignee=caio())
    for ticket, minutes in ((late, -5), (later, 50), (mine, 10)):
        due = timezone.now() + timedelta(minutes=minutes)
        Ticket.objects.filter(pk=ticket.pk).update(first_response_due_at=due)
    found = column(client, of="mine").context["queue"]
    assert list(found.tickets) == [late, mine, later]


def test_beside_an_unclaimed_ticket_stands_its_queue(client, mine):
    free = recipes.ticket()
    shown = client.get(url("change", free)).context["queue"]
    assert list(shown.tickets) == [free]
    other = department("suporte")
    recipes.ticket(department=other)
    assert not column(client, of=other.pk).context["queue"].tickets


def test_a_column_that_is_as_shown_is_no_answer(client, mine, django_assert_num_queries):
    digest = column(client, of="mine").context["queue"].digest
    for _ in range(5):
        services.set_priority(mine, priority=Priority.HIGH, actor=ana())
    with django_assert_num_queries(3):  # login: two
        answer = column(client, of="mine", shown=digest)
    assert (answer.status_code, answer.content) == (204, b"")
    Ticket.objects.filter(pk=mine.pk).update(unread=1)
    answer = column(client, of="mine", shown=digest)
    assert answer.status_code == 200


def test_what_comes_in_before_ones_eyes_is_read(client, mine, django_assert_num_queries):
    Ticket.objects.filter(pk=mine.pk).update(unread=2)
    with django_assert_num_queries(4):
        column(client, of="mine", current=mine.pk)
    assert stored(mine).unread == 0


def test_the_order_of_the_column_is_remembered(client, mine):
    answer = column(client, sort="recent")
    assert answer.cookies["queue_sort"].value == "recent"
    assert client.get(url("change", mine)).context["queue"].sort == "recent"


def test_without_scripts_another_order_leads_back_to_the_ticket(client, mine):
    answer = client.get(reverse(QUEUE), {"sort": "recent", "current": mine.pk})
    assert answer["Location"] == url("change", mine)
    assert answer.cookies["queue_sort"].value == "recent"


@pytest.mark.parametrize("of", ["", "x", "9" * 40, "-1"])
def test_a_column_of_nothing_known_is_ones_own(client, mine, of):
    assert column(client, of=of).context["queue"].of == "mine"


# --- Who is here -------------------------------------------------------------------------------


def beat(client, ticket, user, **given):
    client.force_login(user)
    return client.post(url("presence", ticket), given, headers=HTMX)


@pytest.fixture
def shared(mine):
    Department.objects.filter(pk=mine.department_id).update(shares_tickets=True)
    return mine


def test_others_on_the_page_are_named_and_oneself_is_not(client, shared):
    assert "Bia" not in beat(client, shared, bia()).content.decode()
    assert "Bia" in beat(client, shared, ana()).content.decode()
    assert "Ana" in beat(client, shared, bia()).content.decode()
    assert Presence.objects.count() == 2


def test_who_writes_is_said_so(client, shared):
    beat(client, shared, bia(), writing="1")
    visitors = beat(client, shared, ana()).context["scene"].visitors
    assert [(one.user, one.is_writing) for one in visitors] == [(bia(), True)]
    beat(client, shared, bia())
    Presence.objects.update(writing_at=timezone.now() - timedelta(seconds=30))
    visitors = beat(client, shared, ana()).context["scene"].visitors
    assert [one.is_writing for one in visitors] == [False]


def test_a_page_that_says_nothing_any_more_is_forgotten(client, shared):
    beat(client, shared, bia())
    Presence.objects.update(seen_at=timezone.now() - timedelta(seconds=41))
    assert not beat(client, shared, ana()).context["scene"].visitors


def test_a_heartbeat_costs_two_statements_and_is_no_answer_while_nothing_changes(
    client, shared, django_assert_num_queries
):
    beat(client, shared, bia())
    digest = beat(client, shared, ana()).context["scene"].digest
    with django_assert_num_queries(4):  # login: two
        answer = client.post(url("presence", shared), {"shown": digest}, headers=HTMX)
    assert answer.status_code == 204


def test_a_heartbeat_tells_that_somebody_moved_the_ticket(client, shared):
    state = client.get(url("change", shared)).context["state"]
    assert "HX-Trigger" not in beat(client, shared, bia(), state=state)
    services.set_priority(shared, priority=Priority.HIGH, actor=ana())
    assert beat(client, shared, bia(), state=state)["HX-Trigger"] == "ticket-moved"


def test_closed_pages_are_cleaned_away_by_the_worker(client, shared):
    from tickets.workspace_presence import drop_old_presences  # noqa: PLC0415  # the worker's own

    beat(client, shared, bia())
    drop_old_presences(now=timezone.now())
    assert Presence.objects.count() == 1
    drop_old_presences(now=timezone.now() + timedelta(hours=1))
    assert not Presence.objects.exists()


def test_a_moment_years_away_is_refused(client, mine):
    do(client, "snooze", mine, at="9999-12-31T23:59")
    assert stored(mine).snoozed_until is None
