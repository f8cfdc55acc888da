from datetime import timedelta

import pytest
from auditlog.models import LogEntry
from django.utils import timezone

from leads.services import get_or_create_tags
from leads.tests.recipes import davi
from sessions_app.models import ChannelKind, Owner
from sessions_app.tests import recipes as sessions
from tickets import services
from tickets.models import Priority, SlaPolicy, Ticket, TicketStatus
from tickets.services import Next
from tickets.tests import recipes
from users.masking import MASK
from users.tests.recipes import ana, api, bia, caio, department, suporte

pytestmark = pytest.mark.django_db

TICKETS = "/api/v1/tickets"
VERBS = [
    "claim",
    "assign",
    "release",
    "transfer",
    "priority",
    "turn",
    "snooze",
    "resolve",
    "close",
    "reopen",
    "notes",
]


def ids_in(response):
    assert response.status_code == 200, response.json()
    return {row["id"] for row in response.json()["results"]}


def post(person, ticket, verb, **given):
    return api(person).post(f"{TICKETS}/{ticket.pk}/{verb}", given)


def stored(ticket):
    return Ticket.objects.get(pk=ticket.pk)


# --- Who sees what -----------------------------------------------------------------------------


def test_attendants_see_and_move_their_tickets_and_no_other():
    mine, other = recipes.ticket(assignee=bia()), recipes.ticket(assignee=caio())
    theirs = api(bia())
    assert ids_in(theirs.get(TICKETS)) == {mine.pk}
    assert ids_in(theirs.get(TICKETS, {"search": "Davi"})) == {mine.pk}
    for url in (f"{TICKETS}/{other.pk}", f"{TICKETS}/{other.pk}/events"):
        assert theirs.get(url).status_code == 404
    for verb in VERBS:
        assert theirs.post(f"{TICKETS}/{other.pk}/{verb}", {}).status_code == 404
    assert theirs.patch(f"{TICKETS}/{other.pk}", {"subject": "x"}).status_code == 404


def test_a_token_opens_its_scopes_only():
    ticket = recipes.ticket(assignee=bia())
    reader, stranger = api(bia(), "tickets:read"), api(bia(), "leads:read", "leads:write")
    assert reader.get(TICKETS).status_code == 200
    assert reader.post(f"{TICKETS}/{ticket.pk}/release").status_code == 403
    assert stranger.get(TICKETS).status_code == 403
    assert api().get(TICKETS).status_code == 401


def test_nothing_is_deleted():
    assert api(ana()).delete(f"{TICKETS}/{recipes.ticket().pk}").status_code == 405


# --- Reading -----------------------------------------------------------------------------------


def test_what_the_bot_handed_over_is_read_one_ticket_at_a_time():
    ticket = recipes.ticket(variables={"nome": "Davi"})
    theirs = api(ana())
    (row,) = theirs.get(TICKETS).json()["results"]
    assert "variables" not in row
    assert (row["protocol"], row["lead_name"], row["assignee_name"]) == (
        ticket.protocol,
        "Davi",
        None,
    )
    assert theirs.get(f"{TICKETS}/{ticket.pk}").json()["variables"] == {"nome": "Davi"}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, {"queued", "hers", "done"}),
        ({"open": "true"}, {"queued", "hers"}),
        ({"open": "false"}, {"done"}),
        ({"status": ["open", "resolved"]}, {"queued", "done"}),
        ({"unassigned": "true"}, {"queued"}),
        ({"department": "suporte"}, {"hers"}),
        ({"priority": "high"}, {"hers"}),
        ({"tag": "vip"}, {"hers"}),
        ({"search": "Eva"}, {"hers"}),
        ({"simulated": "true"}, {"simulated"}),
    ],
)
def test_tickets_are_filtered(asked, names):
    simulator = sessions.channel("simulador", kind=ChannelKind.SIMULATOR)
    tickets = {
        "queued": recipes.ticket(),
        "hers": recipes.ticket(
            sessions.session(davi(name="Eva")),
            assignee=bia(),
            department=department("suporte"),
            priority=Priority.HIGH,
        ),
        "done": recipes.ticket(assignee=bia()),
        "simulated": recipes.ticket(sessions.session(davi(), channel=simulator)),
    }
    services.resolve(tickets["done"], actor=bia(), then=Next.END)
    theirs = api(ana())
    assert theirs.patch(f"{TICKETS}/{tickets['hers'].pk}", {"tags": ["vip"]}).status_code == 200
    assert ids_in(theirs.get(TICKETS, asked)) == {tickets[name].pk for name in names}


def test_a_long_list_is_paged_in_a_total_order():
    tickets = [recipes.ticket().pk for _ in range(5)]
    theirs = api(ana())
    first = theirs.get(TICKETS, {"ordering": "queued_at", "page_size": 3}).json()
    second = theirs.get(first["next"]).json()
    assert [row["id"] for row in first["results"] + second["results"]] == sorted(
        tickets, reverse=True
    )


def test_a_longer_list_needs_no_more_statements(django_assert_max_num_queries):
    theirs = api(ana())
    for _ in range(10):
        recipes.ticket(assignee=bia())
    theirs.get(TICKETS)  # notes the token's use
    with django_assert_max_num_queries(4):
        assert len(ids_in(theirs.get(TICKETS))) == 10


# --- Opening -----------------------------------------------------------------------------------


def test_an_attendant_takes_a_conversation_from_the_bot():
    session = sessions.session(davi(attendant=bia()))
    given = {"session": session.pk, "assignee": bia().pk, "subject": "Proposta"}
    response = api(bia()).post(TICKETS, given)
    assert response.status_code == 201, response.json()
    ticket = Ticket.objects.get()
    assert (ticket.assignee, ticket.subject, ticket.session.owner) == (
        bia(),
        "Proposta",
        Owner.ATTENDANT,
    )


def test_nobody_takes_a_conversation_that_they_do_not_see():
    session = sessions.session(davi(attendant=caio()))
    response = api(bia()).post(TICKETS, {"session": session.pk})
    assert (response.status_code, list(response.json()["fields"])) == (400, ["session"])


def test_a_conversation_has_one_open_ticket():
    ticket = recipes.ticket()
    response = api(ana()).post(TICKETS, {"session": ticket.session_id})
    assert (response.status_code, response.json()["code"]) == (409, "session_has_open_ticket")


# --- Verbs -------------------------------------------------------------------------------------


def test_a_ticket_says_what_the_case_is_about():
    ticket = recipes.ticket()
    get_or_create_tags(["vip", "loja"])
    given = {"subject": "Troca", "priority": "high", "tags": ["vip", "loja"], "status": "closed"}
    body = api(bia()).patch(f"{TICKETS}/{ticket.pk}", given).json()
    assert (body["subject"], body["priority"], body["status"]) == ("Troca", "high", "open")
    assert sorted(body["tags"]) == ["loja", "vip"]


def test_the_loser_of_a_claim_is_told_who_has_it():
    ticket = recipes.ticket()
    ticket.department.users.add(caio())
    ticket.department.shares_tickets = True
    ticket.department.save()
    assert post(bia(), ticket, "claim").json()["assignee"] == bia().pk
    response = post(caio(), ticket, "claim")
    assert (response.status_code, response.json()["code"]) == (409, "ticket_taken")
    assert "Bia" in response.json()["detail"]


def test_a_ticket_is_assigned_released_and_transferred():
    ticket = recipes.ticket()
    assert post(ana(), ticket, "assign", user=bia().pk).json()["assignee_name"] == "Bia"
    assert post(bia(), ticket, "release").json()["assignee"] is None
    given = {"department": suporte().slug, "note": "É defeito"}
    body = post(bia(), ticket, "transfer", **given).json()
    assert (body["department"], stored(ticket).notes.get().text) == ("suporte", "É defeito")
    assert api(bia()).get(f"{TICKETS}/{ticket.pk}").status_code == 404


def test_attendants_give_tickets_to_colleagues_they_know_only():
    response = post(bia(), recipes.ticket(assignee=bia()), "assign", user=caio().pk)
    assert (response.status_code, list(response.json()["fields"])) == (400, ["user"])


def test_priority_turn_and_sleep_are_set():
    ticket, until = recipes.ticket(assignee=bia()), timezone.now() + timedelta(hours=2)
    assert post(bia(), ticket, "priority", priority="low").json()["priority"] == "low"
    body = post(bia(), ticket, "turn", status="waiting_customer").json()
    assert body["status"] == "waiting_customer"
    assert post(bia(), ticket, "snooze", until=until.isoformat()).status_code == 200
    assert stored(ticket).snoozed_until == until
    assert post(bia(), ticket, "snooze", until=None).json()["snoozed_until"] is None
    assert post(bia(), ticket, "snooze", until_reply=True).json()["snoozed_until_reply"]
    assert not post(bia(), ticket, "snooze", until=None).json()["snoozed_until_reply"]
    assert list(post(bia(), ticket, "snooze").json()["fields"]) == ["until"]
    both = {"until": until.isoformat(), "until_reply": True}
    assert post(bia(), ticket, "snooze", **both).status_code == 400
    assert post(bia(), ticket, "turn", status="closed").status_code == 400


@pytest.mark.parametrize("verb", ["resolve", "close"])
def test_closing_says_what_comes_next(verb):
    ticket = recipes.ticket(assignee=bia())
    assert post(bia(), ticket, verb).status_code == 400
    refusal = post(bia(), ticket, verb, then="stay")
    assert (refusal.status_code, refusal.json()["code"]) == (400, "next_missing")
    assert post(bia(), ticket, verb, then="end").status_code == 200
    assert not stored(ticket).is_open
    assert not stored(ticket).session.is_live


def test_a_resolved_ticket_keeps_its_outcome_and_is_reopened_or_closed_for_good():
    ticket = recipes.ticket(assignee=bia())
    assert post(bia(), ticket, "resolve", then="bot", outcome="vendido").json()["outcome"]
    assert post(bia(), ticket, "close", then="stay").json()["status"] == TicketStatus.CLOSED
    assert post(bia(), ticket, "reopen").json()["status"] == TicketStatus.OPEN


def test_notes_and_events_are_read_newest_first():
    ticket = recipes.ticket(assignee=bia())
    for text in ("um", "dois"):
        assert post(bia(), ticket, "notes", text=text).status_code == 201
    theirs = api(bia())
    notes = theirs.get(f"{TICKETS}/{ticket.pk}/notes").json()["results"]
    assert [note["text"] for note in notes] == ["dois", "um"]
    events = theirs.get(f"{TICKETS}/{ticket.pk}/events").json()["results"]
    assert [event["kind"] for event in events] == ["opened"]


def test_a_ticket_shows_its_clock_and_its_rating():
    SlaPolicy.objects.create(name="x", first_response_minutes=10, resolution_minutes=100)
    ticket = recipes.ticket(at=timezone.now(), assignee=bia())
    got = api(bia()).get(f"{TICKETS}/{ticket.pk}").json()
    assert got["sla_state"] == "running"
    assert got["sla_due_at"] == got["first_response_due_at"] is not None
    assert (got["rating"], got["sla_paused_at"], got["silence_warned_at"]) == (None, None, None)


def test_resolving_takes_a_note_and_says_what_is_missing():
    vendas = department("vendas")
    vendas.required_at_resolution = ["resolution_note"]
    vendas.save()
    ticket = recipes.ticket(assignee=bia())
    refused = post(bia(), ticket, "resolve", then="end")
    assert (refused.status_code, refused.json()["code"]) == (400, "fields_missing")
    answer = post(bia(), ticket, "resolve", then="end", note="Boleto reenviado")
    assert answer.json()["resolution_note"] == "Boleto reenviado"


def test_events_keep_for_themselves_what_only_undoing_needs():
    ticket = recipes.ticket()
    services.claim(ticket, user=bia())
    events = api(bia()).get(f"{TICKETS}/{ticket.pk}/events").json()["results"]
    assert events[0]["details"] == {}
    assert services.BEFORE in ticket.events.first().details


def test_late_tickets_are_a_filter():
    late, _other = recipes.ticket(), recipes.ticket(sessions.session(davi()))
    Ticket.objects.filter(pk=late.pk).update(resolution_due_at=timezone.now() - timedelta(1))
    assert ids_in(api(ana()).get(TICKETS, {"late": "true"})) == {late.pk}


def test_chosen_options_of_sensitive_variables_are_masked_with_them():
    handoff = {"sensitive": ["plano"], "options": {"plano": "Ouro", "cor": "Azul"}}
    ticket = recipes.ticket(
        assignee=bia(), variables={"plano": "1", "cor": "2"}, handoff={"word": "sair", **handoff}
    )
    url = f"{TICKETS}/{ticket.pk}"
    assert api(ana()).get(url).json()["handoff"]["options"] == handoff["options"]
    shown = api(bia()).get(url).json()["handoff"]
    assert shown == {"word": "sair", **handoff, "options": {"plano": MASK, "cor": "Azul"}}


@pytest.mark.parametrize(
    "until", ["9999-12-31T23:59", "9999-12-31T23:59:00-03:00", "2099-01-01T10:00:00-03:00"]
)
def test_nobody_puts_a_ticket_aside_for_years(until):
    ticket = recipes.ticket(assignee=bia())
    assert post(bia(), ticket, "snooze", until=until).status_code == 400
    assert stored(ticket).snoozed_until is None


def test_the_audit_keeps_a_changed_subject():
    ticket = recipes.ticket(assignee=bia())
    for _twice in range(2):
        api(bia()).patch(f"{TICKETS}/{ticket.pk}", {"subject": "Boleto"})
    (row,) = LogEntry.objects.filter(object_id=ticket.pk, content_type__model="ticket")
    assert (row.actor, row.changes) == (bia(), {"subject": ["", "Boleto"]})
