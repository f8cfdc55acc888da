"""The line of what happened with a person: who sees what, in which order, at what cost."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from model_bakery import baker

from chatbot import lead_timeline
from chatbot.lead_timeline import Cursor, Kind
from chatbot.models import Author, FlowLogKind, FlowRun
from chatbot.tests import recipes
from leads.models import Consent, Lead, LeadStatusChange, Note
from leads.services import add_note, record_consent, update_lead
from sessions_app.models import EndReason, Owner
from tickets.models import Ticket, TicketStatus

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def fragment(lead, **query):
    return reverse("lead_timeline", args=[lead.pk], query=query or None)


def page(lead):
    return reverse("admin:leads_lead_change", args=[lead.pk])


def entries(lead, user, **options):
    return lead_timeline.timeline(lead, user=user, **options).entries


def happened(model, at, **fields):
    """A row that came to be at `at`, whatever the field of its time is called."""
    row = baker.make(model, **fields)
    name = "recorded_at" if model is Consent else "created_at"
    model.objects.filter(pk=row.pk).update(**{name: at})
    return row


def one_of_each(lead, at):
    """A conversation with bot and people, rated, and everything else that a line may hold."""
    session = recipes.session(lead=lead, ended_at=at, end_reason=EndReason.RESOLVED)
    run = recipes.run(session, recipes.version(recipes.flow(f"f{session.pk}")), started_at=at)
    baker.make(
        "chatbot.FlowLog",
        session=session,
        seq=1,
        run=run,
        kind=FlowLogKind.STEP,
        trace=[{"node": "nome"}],
        context_set={"nome": "Davi"},
        created_at=at,
    )
    ticket = recipes.ticket(session=session, rating=5, rated_at=at, last_message_at=at)
    Ticket.objects.filter(pk=ticket.pk).update(created_at=at)
    recipes.inbound(session, "Oi", created_at=at)
    happened(Note, at, lead=lead, text="Ligou", author=recipes.bia())
    happened(LeadStatusChange, at, lead=lead, from_status="new", to_status="contacted", actor=None)
    happened(Consent, at, lead=lead, purpose="atendimento", is_granted=True)
    talk = recipes.session(lead=lead, ended_at=at, end_reason=EndReason.CLOSED, last_message_at=at)
    recipes.outbound(talk, "Olá", author=Author.ATTENDANT, created_at=at)


# --- What stands there -------------------------------------------------------------------------


def test_every_kind_of_thing_stands_in_one_line(client):
    lead = recipes.lead()
    one_of_each(lead, NOON)
    kinds = [entry.kind for entry in entries(lead, recipes.ana())]
    assert sorted(kinds) == sorted(kind.name.lower() for kind in Kind)
    client.force_login(recipes.ana())
    text = client.get(page(lead)).content.decode()
    for word in ("Ligou", "Oi", "atendimento", "nome"):
        assert word in text


@pytest.mark.parametrize("tab", lead_timeline.TABS)
def test_a_tab_shows_its_kinds(client, tab):
    lead = recipes.lead()
    one_of_each(lead, NOON)
    wanted = {kind.name.lower() for kind in lead_timeline.TABS[tab][1]}
    assert {entry.kind for entry in entries(lead, recipes.ana(), tab=tab)} == wanted
    client.force_login(recipes.ana())
    assert client.get(fragment(lead, tab=tab)).status_code == 200
    assert client.get(page(lead), {"tab": tab}).status_code == 200


def test_a_ticket_tells_how_much_was_said_and_the_last_of_it():
    session = recipes.session(lead=recipes.lead(name="Mariana Azevedo"), owner=Owner.ATTENDANT)
    before = timezone.now() - timedelta(hours=1)
    recipes.inbound(session, "Antes", created_at=before)
    ticket = recipes.ticket(session=session, status=TicketStatus.IN_PROGRESS)
    recipes.inbound(session, "Oi")
    recipes.outbound(session, "Olá", author=Author.ATTENDANT, author_user=recipes.bia())
    recipes.outbound(session, "interno", author=Author.SYSTEM)
    baker.make("tickets.InternalNote", ticket=ticket, text="Cliente antigo")
    (entry,) = entries(session.lead, recipes.ana(), tab="tickets")
    assert (entry.messages, entry.of.notes_count) == (2, 1)
    assert [(line.by, line.text) for line in entry.lines] == [("Mariana", "Oi"), ("Bia", "Olá")]


def test_what_was_said_after_a_ticket_is_not_of_it():
    session = recipes.session(owner=Owner.BOT)
    recipes.inbound(session, "Oi")
    ticket = recipes.ticket(session=session, status=TicketStatus.RESOLVED)
    Ticket.objects.filter(pk=ticket.pk).update(resolved_at=timezone.now())
    recipes.inbound(session, "5", created_at=timezone.now() + timedelta(minutes=5))
    (entry,) = entries(session.lead, recipes.ana(), tab="tickets")
    assert entry.messages == 1


@pytest.mark.parametrize(
    ("session", "finished", "effects", "exit_"),
    [
        ({}, None, [{"kind": "open_ticket", "department": ""}], "passed to the team"),
        ({}, NOON, [], "came to its end"),
        ({}, None, [], "still going on"),
        ({"ended_at": NOON, "end_reason": EndReason.IDLE}, None, [], "no answer from the person"),
        ({"owner": Owner.ATTENDANT, "epoch": 1}, None, [], "interrupted"),
    ],
    ids=["handoff", "end", "live", "idle", "taken"],
)
def test_a_bot_run_tells_how_it_came_to_an_end(session, finished, effects, exit_):
    stretch = recipes.session(owner=Owner.BOT, epoch=0)
    run = recipes.run(
        stretch, recipes.version(recipes.flow()), started_at=NOON, finished_at=finished
    )
    for number, node in enumerate(("nome", "nome", "cidade"), start=1):
        recipes.flow_log(
            stretch,
            number,
            run=run,
            trace=[{"node": node}],
            effects=effects,
            context_set={node: "x", "_tries": 1},
            created_at=NOON + timedelta(seconds=40 * number),
        )
    for name, value in session.items():
        setattr(stretch, name, value)
    stretch.save()
    (entry,) = entries(stretch.lead, recipes.ana(), tab="bot")
    assert (entry.run.steps, entry.run.duration) == (2, timedelta(minutes=2))
    assert entry.run.collected == ("nome", "cidade")
    assert entry.run.exit == gettext(exit_)


def test_what_people_wrote_is_text(client):
    lead = recipes.lead(name="<script>alert(1)</script>")
    session = recipes.session(lead=lead)
    recipes.ticket(session=session, rating=1, rated_at=NOON, rating_comment="<b>ruim</b>")
    recipes.inbound(session, "<img src=x onerror=alert(2)>")
    add_note(lead, author=recipes.ana(), text="<script>alert(3)</script>")
    record_consent(lead, "<i>fins</i>", is_granted=True, text="<u>sim</u>")
    client.force_login(recipes.ana())
    for url in (page(lead), fragment(lead)):
        text = client.get(url).content.decode()
        for markup in ("<script>alert", "<b>ruim", "<img src=x", "<i>fins", "<u>sim"):
            assert markup not in text
        assert "&lt;b&gt;ruim" in text


# --- Who sees what -----------------------------------------------------------------------------


def test_a_line_is_read_by_who_sees_the_lead(client):
    lead = recipes.lead(attendant=recipes.caio())
    client.force_login(recipes.bia())
    assert client.get(fragment(lead)).status_code == 404
    assert client.post(reverse("lead_export", args=[lead.pk])).status_code == 403


def test_an_attendant_sees_of_it_what_they_see_elsewhere(client):
    """Davi has a ticket in Bia's department and another in Caio's."""
    lead = recipes.lead()
    for person, text in ((recipes.bia(), "para vendas"), (recipes.caio(), "para suporte")):
        session = recipes.session(lead=lead, ended_at=NOON, end_reason=EndReason.RESOLVED)
        department = person.departments.get()
        recipes.ticket(session=session, department=department, subject=text)
        recipes.run(session, recipes.version(recipes.flow(text[5:])))
        recipes.inbound(session, f"Oi {text}")
    client.force_login(recipes.bia())
    text = client.get(page(lead)).content.decode()
    assert "para vendas" in text
    assert "para suporte" not in text
    kinds = [entry.kind for entry in entries(lead, recipes.bia())]
    assert sorted(kinds) == ["created", "run", "ticket"]
    stats = lead_timeline.summary(lead, user=recipes.bia())
    assert (stats["conversations"], stats["tickets"]) == (1, 1)
    stats = lead_timeline.summary(lead, user=recipes.ana())
    assert (stats["conversations"], stats["tickets"]) == (2, 2)


def test_who_keeps_a_lead_reads_the_conversation_but_not_a_colleagues_ticket():
    lead = recipes.lead(attendant=recipes.bia())
    session = recipes.session(lead=lead, last_message_at=NOON)
    recipes.ticket(session=session, department=recipes.department("suporte"))
    recipes.inbound(session, "Oi")
    talk, *_others = (entry for entry in entries(lead, recipes.bia()) if entry.kind != "created")
    assert (talk.kind, talk.messages) == ("talk", 1)


# --- Pages -------------------------------------------------------------------------------------


def pages(lead, user, **options):
    before = None
    while True:
        shown = lead_timeline.timeline(lead, user=user, before=before, **options)
        yield shown
        if not shown.next:
            return
        before = Cursor.read(shown.next)


def test_pages_hold_everything_once_and_in_order():
    """Many things at the same moment, of the same and of other kinds."""
    lead = recipes.lead()
    for number in range(15):
        one_of_each(lead, NOON - timedelta(hours=number // 4))
    found = [
        (entry.at, Kind[entry.kind.upper()], entry.of.pk)
        for shown in pages(lead, recipes.ana())
        for entry in shown.entries
    ]
    assert len(found) == len(set(found)) == 15 * 7 + 1
    assert found == sorted(found, reverse=True)


def test_a_day_is_named_once_across_pages(client):
    lead = recipes.lead()
    Lead.objects.filter(pk=lead.pk).update(created_at=NOON - timedelta(days=40))
    for number in range(45):
        happened(Note, NOON - timedelta(minutes=number), lead=lead, text=f"n{number}")
    shown = list(pages(lead, recipes.ana()))
    days = [[entry.day for entry in one.entries if entry.day] for one in shown]
    assert [len(one) for one in days] == [1, 0, 1]


def test_older_entries_come_by_a_link_too(client):
    lead = recipes.lead()
    for number in range(25):
        happened(Note, NOON - timedelta(minutes=number), lead=lead, text=f"nota {number}.")
    client.force_login(recipes.ana())
    more = lead_timeline.timeline(lead, user=recipes.ana()).next
    first = client.get(page(lead)).content.decode()
    assert f"before={more}#timeline" in first
    for url in (f"{page(lead)}?tab=&before={more}", fragment(lead, tab="", before=more)):
        text = client.get(url).content.decode()
        assert "nota 24." in text
        assert "nota 0." not in text


@pytest.mark.parametrize("before", ["x", "1.2", "1.2.3.4", "-1.2.3", f"{'9' * 30}.1.1", "1.2.٣"])
def test_an_address_that_nobody_made_is_no_page(client, before):
    lead = recipes.lead()
    client.force_login(recipes.ana())
    assert client.get(fragment(lead, before=before)).status_code == 404
    assert client.get(page(lead), {"before": before, "tab": "x"}).status_code == 200


@pytest.mark.parametrize("before", ["0.0.0", "99999999999999999.99.999999999999999999"])
def test_an_extreme_address_is_a_page(client, before):
    client.force_login(recipes.ana())
    assert client.get(fragment(recipes.lead(), before=before)).status_code == 200


# --- What it costs -----------------------------------------------------------------------------


def statements(client, url):
    with CaptureQueriesContext(
        connection,
    ) as done:
        assert client.get(url).status_code == 200
    return len(done)


@pytest.mark.parametrize("where", [page, fragment], ids=["page", "fragment"])
@pytest.mark.parametrize("person", ["ana", "bia"])
def test_a_long_line_costs_what_a_short_one_does(client, where, person):
    short, long = recipes.lead(attendant=recipes.bia()), recipes.lead(attendant=recipes.bia())
    for number in range(3):
        one_of_each(short, NOON - timedelta(minutes=number))
    for number in range(43):  # 301 entries
        one_of_each(long, NOON - timedelta(minutes=number))
    client.force_login(getattr(recipes, person)())
    statements(client, where(short))  # what a first look caches
    assert statements(client, where(long)) == statements(client, where(short))


def test_a_page_is_found_by_one_statement_and_filled_by_one_a_kind(django_assert_num_queries):
    lead = recipes.lead()
    one_of_each(lead, NOON)
    ana = recipes.ana()
    # ids; tickets, conversations, runs, notes, moves, consents; last lines; log rows; labels
    with django_assert_num_queries(10):
        lead_timeline.timeline(lead, user=ana)
    with django_assert_num_queries(2):
        lead_timeline.summary(lead, user=ana)


# --- All data ----------------------------------------------------------------------------------


def test_an_admin_exports_everything_about_a_person_and_that_is_kept(client):
    lead = recipes.lead(document="52998224725")
    one_of_each(lead, NOON)
    update_lead(lead, add_tags=["vip"])
    other = recipes.session()
    recipes.inbound(other, "de outra pessoa")
    client.force_login(recipes.ana())
    answer = client.post(reverse("lead_export", args=[lead.pk]))
    assert answer["Content-Disposition"] == f'attachment; filename="lead-{lead.pk}.json"'
    told = json.loads(answer.content)
    assert told["lead"]["document"] == "52998224725"
    assert told["tags"] == ["vip"]
    assert [one["text"] for one in told["messages"]] == ["Oi", "Olá"]
    assert len(told["tickets"]) == len(told["notes"]) == 1
    history = client.get(reverse("admin:leads_lead_history", args=[lead.pk])).content.decode()
    assert gettext("The data of this person were exported.") in history


def test_nobody_exports_by_a_link(client):
    client.force_login(recipes.ana())
    assert client.get(reverse("lead_export", args=[recipes.lead().pk])).status_code == 405


def test_a_run_whose_rows_are_gone_leaves_no_gap(monkeypatch):
    """Between finding a page and filling it something may be deleted."""
    lead = recipes.lead()
    session = recipes.session(lead=lead)
    run = recipes.run(session, recipes.version(recipes.flow()), started_at=NOON)
    found = lead_timeline._page(lead, user=recipes.ana(), kinds=(Kind.RUN,), before=None)
    FlowRun.objects.filter(pk=run.pk).delete()
    monkeypatch.setattr(lead_timeline, "_page", lambda *args, **options: found)
    assert entries(lead, recipes.ana()) == ()
