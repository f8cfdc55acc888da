"""The tickets list as people use it: through its pages, buttons and files."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import Q
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker
from zeal import zeal_ignore

from leads.models import Tag
from leads.tests.recipes import davi
from sessions_app.models import ChannelKind, Owner, Session
from sessions_app.tests import recipes as sessions
from tickets import services
from tickets.inbox import Filters, Heap, Sort, Tab
from tickets.models import (
    InternalNote,
    Priority,
    SavedView,
    Ticket,
    TicketEvent,
    TicketEventKind,
    TicketStatus,
)
from tickets.services import Next
from tickets.tests import recipes
from users.models import User
from users.tests.recipes import ana, bia, caio, department, suporte

pytestmark = pytest.mark.django_db

LIST = "admin:tickets_ticket_changelist"


def shown(response):
    return set(response.context["cl"].result_list)


def listed(client, **asked):
    response = client.get(reverse(LIST), asked)
    assert response.status_code == 200
    return response.context["cl"].result_list


def counts(client):
    found = client.get(reverse(LIST)).context["cl"].page.counts
    return {tab: found.of(tab) for tab in Tab}


def put(ticket, **values):
    """Set what only time or a provider would."""
    Ticket.objects.filter(pk=ticket.pk).update(**values)
    return ticket


def stored(ticket):
    return Ticket.objects.get(pk=ticket.pk)


def act(client, action, *tickets, query="grupo=todos", **given):
    """Press the button of an action with these tickets ticked; returns what is then said."""
    posted = {
        "action": action,
        "index": "0",
        "_selected_action": [ticket.pk for ticket in tickets],
        "seen": [f"{ticket.pk}-{ticket.assignee_id or 0}" for ticket in tickets],
        **given,
    }
    with zeal_ignore():  # each ticket is locked by itself
        page = client.post(f"{reverse(LIST)}?{query}", posted, follow=True)
    assert page.status_code == 200
    return [(message.level_tag, message.message) for message in page.context["messages"]]


def levels(said):
    return [level for level, _words in said]


@pytest.fixture
def heap():
    """One ticket of each kind, Ana's where it has to be somebody's."""
    at, simulator = timezone.now(), sessions.channel("simulador", kind=ChannelKind.SIMULATOR)
    snoozed, done = recipes.ticket(assignee=ana()), recipes.ticket(assignee=ana())
    services.snooze(snoozed, until=at + timedelta(days=1), actor=ana())
    services.resolve(done, actor=ana(), then=Next.END)
    waiting = recipes.ticket(assignee=ana())
    services.set_status(waiting, status=TicketStatus.WAITING_CUSTOMER, actor=ana())
    return {
        "queued": recipes.ticket(),
        "mine": recipes.ticket(assignee=ana()),
        "waiting": waiting,
        "late": put(recipes.ticket(assignee=bia()), first_response_due_at=at - timedelta(hours=1)),
        "soon": put(recipes.ticket(assignee=bia()), resolution_due_at=at + timedelta(minutes=9)),
        "snoozed": snoozed,
        "done": done,
        "simulated": recipes.ticket(sessions.session(davi(), channel=simulator)),
    }


# --- Tabs and counts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, {"mine", "waiting"}),
        ({"grupo": "fila"}, {"queued"}),
        ({"grupo": "todos"}, {"queued", "mine", "waiting", "late", "soon", "snoozed"}),
        ({"grupo": "risco"}, {"late", "soon"}),
        ({"grupo": "adiados"}, {"snoozed"}),
        ({"grupo": "todos", "status": "resolved"}, {"done"}),
    ],
)
def test_tickets_lie_in_tabs(client, heap, asked, names):
    client.force_login(ana())
    assert set(listed(client, **asked)) == {heap[name] for name in names}


def test_tickets_of_the_simulator_are_shown_to_whoever_asks_for_its_channel(client, heap):
    client.force_login(ana())
    channel = heap["simulated"].session.channel_id
    assert listed(client, grupo="todos", canal=channel) == [heap["simulated"]]


def test_an_attendants_own_list_ends_with_the_queue_of_their_departments(client):
    mine, queued = recipes.ticket(assignee=bia()), recipes.ticket()
    recipes.ticket(department=department("suporte"))
    client.force_login(bia())
    response = client.get(reverse(LIST))
    groups = response.context["cl"].groups
    assert [(group.heap, group.tickets) for group in groups] == [
        (Heap.NOW, [mine]),
        (Heap.QUEUE, [queued]),
    ]
    assert "vendas" in groups[1].title


@pytest.mark.parametrize("tab", Tab)
def test_no_tab_and_no_count_shows_what_one_may_not_see(client, tab):
    at = timezone.now()
    for where, who in (("suporte", None), ("suporte", caio()), ("vendas", caio())):
        hidden = recipes.ticket(department=department(where), assignee=who)
        put(hidden, resolution_due_at=at)
        later = recipes.ticket(department=department(where), assignee=who)
        put(later, snoozed_until=at + timedelta(hours=1))
    client.force_login(bia())
    assert listed(client, grupo=tab) == []
    assert listed(client, grupo=tab, q="Davi") == []
    assert set(counts(client).values()) == {0}


def test_tabs_count_open_tickets_whatever_is_filtered(client, heap):
    client.force_login(ana())
    expected = {"meus": 2, "fila": 1, "todos": 6, "risco": 2, "adiados": 1}
    assert counts(client) == expected
    page = client.get(reverse(LIST), {"q": "ninguém", "status": "closed"})
    assert page.context["cl"].page.counts.all == 6


def test_a_department_that_shares_its_tickets_shows_those_of_colleagues(client):
    shared = department("vendas", shares_tickets=True)
    theirs = recipes.ticket(department=shared, assignee=caio())
    client.force_login(bia())
    assert listed(client, grupo="todos") == [theirs]
    assert listed(client) == []


# --- Groups and order --------------------------------------------------------------------------


def test_who_must_answer_stands_first_and_what_rests_last(client, heap):
    client.force_login(ana())
    groups = client.get(reverse(LIST), {"grupo": "todos"}).context["cl"].groups
    assert [group.heap for group in groups] == [Heap.NOW, Heap.WAITING, Heap.QUEUE, Heap.SNOOZED]
    assert {group.heap: len(group.tickets) for group in groups}[Heap.NOW] == 3


def test_within_a_group_the_nearest_due_time_stands_first(client):
    at = timezone.now()
    tickets = [recipes.ticket(assignee=bia()) for _ in range(3)]
    for ticket, minutes in zip(tickets, (30, None, 5), strict=True):
        due = None if minutes is None else at + timedelta(minutes=minutes)
        put(ticket, resolution_due_at=due)
    client.force_login(bia())
    assert listed(client) == [tickets[2], tickets[0], tickets[1]]


@pytest.mark.parametrize(
    ("sort", "order"),
    [(Sort.NEWEST, [1, 2, 0]), (Sort.OLDEST, [0, 2, 1]), (Sort.PRIORITY, [2, 1, 0])],
)
def test_the_list_is_sorted_as_asked(client, sort, order):
    at = timezone.now()
    tickets = [recipes.ticket(assignee=bia()) for _ in range(3)]
    for ticket, minutes, priority in zip(tickets, (30, 1, 9), Priority, strict=True):
        put(ticket, last_message_at=at - timedelta(minutes=minutes), priority=priority)
    client.force_login(bia())
    assert listed(client, ordem=sort) == [tickets[n] for n in order]


def test_a_group_says_its_size_beyond_the_page(client):
    for _ in range(53):
        recipes.ticket()
    client.force_login(bia())
    first = client.get(reverse(LIST), {"grupo": "fila"}).context["cl"]
    assert (len(first.result_list), first.result_count, first.groups[0].note[:2]) == (50, 53, "53")
    second = client.get(reverse(LIST), {"grupo": "fila", "p": 2}).context["cl"]
    assert len(second.result_list) == 3
    assert not set(first.result_list) & set(second.result_list)


# --- Filters and search ------------------------------------------------------------------------


def test_filters_narrow_the_list(client):
    chosen, other = recipes.ticket(assignee=bia()), recipes.ticket(assignee=caio())
    tag = baker.make(Tag, name="vip")
    chosen.tags.add(tag, baker.make(Tag, name="cobrança"))
    put(chosen, priority=Priority.HIGH, status=TicketStatus.OPEN)
    put(other, department=department("suporte"), status=TicketStatus.IN_PROGRESS)
    client.force_login(ana())
    for asked in (
        {"status": "open"},
        {"prioridade": "high"},
        {"departamento": chosen.department_id},
        {"etiqueta": [tag.pk, tag.pk + 1]},
        {"responsavel": bia().pk},
        {"q": chosen.protocol},
    ):
        assert listed(client, grupo="todos", **asked) == [chosen], asked


def test_a_ticket_is_found_by_its_lead_its_number_and_its_words(client):
    lead = davi(name="João Conceição", phone="+5581900000142")
    found = recipes.ticket(sessions.session(lead), subject="Segunda via do boleto")
    recipes.ticket()
    client.force_login(bia())
    number = str(int(found.protocol[-4:]))
    for words in ("joao conc", "boleto", "0142", f"#{number}", found.protocol):
        assert listed(client, q=words) == [found], words
    assert listed(client, q="!!") == []


@pytest.mark.parametrize(
    "garbage",
    [
        "grupo=x&ordem=y&window=z&status=a&prioridade=b&p=0",
        "departamento=x&canal=-1&etiqueta=99999999999999999999999&responsavel=1e5&p=abc",
        "q=%00&p=99999&canal=%D9%A1",
        "o=1&e=1&all=&assignee__password__startswith=a",
        "q=" + "a" * 5000,
    ],
)
def test_an_address_that_makes_no_sense_is_a_list_all_the_same(client, garbage):
    recipes.ticket()
    client.force_login(bia())
    assert client.get(f"{reverse(LIST)}?{garbage}").status_code == 200


def test_an_address_has_one_form():
    asked = QueryDict("status=closed&x=1&status=open&ordem=prazo&grupo=todos&departamento=2")
    filters = Filters.of(asked)
    assert filters.query() == "grupo=todos&status=open&status=closed&departamento=2"
    assert Filters.of_query(filters.query()) == filters
    assert Filters().query() == ""
    ticked = Filters.of_query("q=&status=open&status=in_progress&status=waiting_customer")
    assert ticked == Filters()  # as the form sends it


def test_an_empty_list_says_why_and_offers_one_thing_to_do(client):
    client.force_login(bia())
    for tab in Tab:
        page = client.get(reverse(LIST), {"grupo": tab})
        assert len(set(page.context["cl"].page.empty)) == 4
    searched = client.get(reverse(LIST), {"q": "nada"}).context["cl"].page.empty
    assert "grupo=todos&q=nada&status=open" in searched[3]
    filtered = client.get(reverse(LIST), {"prioridade": "high"}).context["cl"].page.empty
    assert filtered[3] == "?"


# --- Rows --------------------------------------------------------------------------------------


def test_a_row_shows_nothing_as_code(client):
    ticket = recipes.ticket(assignee=bia(), subject="<script>alert(1)</script>")
    put(ticket, last_message_preview="<script>alert(2)</script>", unread=2)
    client.force_login(bia())
    page = client.get(reverse(LIST)).content.decode()
    assert "<script>alert" not in page
    assert f"#{ticket.protocol[-4:]}" in page


def test_a_longer_list_needs_no_more_statements(client, django_assert_max_num_queries):
    """Of its own the list needs 12: tabs, groups, rows, leads, what was said last, departments,
    one's own, channels, tags, people, their departments, saved views."""
    client.force_login(bia())
    tag = baker.make(Tag, name="vip")

    def fill(count):
        for _ in range(count):
            recipes.ticket(assignee=bia()).tags.add(tag)
            recipes.ticket()

    fill(2)
    with django_assert_max_num_queries(20) as few:
        assert len(listed(client)) == 4
    fill(15)
    baker.make(SavedView, user=bia(), _quantity=5, name=iter("abcde"))
    for person in baker.make(User, is_active=True, _quantity=5):
        person.departments.add(department("vendas"))
    with django_assert_max_num_queries(len(few)):
        assert len(listed(client)) == 34


# --- Several at once ---------------------------------------------------------------------------


def test_tickets_are_claimed_and_who_was_faster_is_named(client):
    free, taken = recipes.ticket(), recipes.ticket(assignee=bia())
    client.force_login(ana())
    ((level, words),) = act(client, "claim", free, taken)
    assert level == "warning"
    assert taken.protocol in words
    assert str(bia()) in words
    assert (stored(free).assignee, stored(taken).assignee) == (ana(), bia())


def test_a_row_has_a_button_that_claims_it(client):
    ticket, other = recipes.ticket(), recipes.ticket()
    client.force_login(bia())
    with zeal_ignore():
        client.post(reverse(LIST), {"claim_one": ticket.pk, "_selected_action": other.pk})
    assert (stored(ticket).assignee, stored(other).assignee) == (bia(), None)


def test_an_action_reaches_no_ticket_that_is_not_seen(client):
    own, other = recipes.ticket(), recipes.ticket(department=department("suporte"))
    client.force_login(bia())
    assert levels(act(client, "claim", own, other)) == ["warning"]
    assert levels(act(client, "resolve", other, resolve_then="end")) == ["error"]
    assert (stored(own).assignee, stored(other).assignee) == (bia(), None)
    assert stored(other).is_open


def test_tickets_are_assigned_to_somebody_who_works_there(client):
    ticket, elsewhere = recipes.ticket(), recipes.ticket(department=department("suporte"))
    client.force_login(ana())
    said = act(client, "assign", ticket, elsewhere, assign_to=bia().pk)
    assert levels(said) == ["warning"]
    assert (stored(ticket).assignee, stored(elsewhere).assignee) == (bia(), None)


def test_tickets_go_back_to_the_queue(client):
    tickets = [recipes.ticket(assignee=bia()) for _ in range(2)]
    client.force_login(bia())
    assert levels(act(client, "assign", *tickets, assign_to="0")) == ["success"]
    assert {stored(ticket).session.owner for ticket in tickets} == {Owner.QUEUE}


@pytest.mark.parametrize("nobody", ["", "x", "999999"])
def test_nobody_in_particular_gets_no_ticket(client, nobody):
    ticket = recipes.ticket(assignee=bia())
    client.force_login(bia())
    assert levels(act(client, "assign", ticket, assign_to=nobody)) == ["error"]
    assert stored(ticket).assignee == bia()


def test_attendants_assign_to_colleagues_alone(client):
    ticket = recipes.ticket()
    client.force_login(bia())
    assert levels(act(client, "assign", ticket, assign_to=caio().pk)) == ["error"]
    assert stored(ticket).assignee is None


def test_what_changed_hands_since_the_page_was_drawn_is_left_alone(client):
    ticket = recipes.ticket()
    services.claim(stored(ticket), user=ana())
    client.force_login(ana())
    for action, given in (
        ("assign", {"assign_to": bia().pk}),
        ("transfer", {"transfer_department": department("suporte").pk}),
        ("resolve", {"resolve_then": "end"}),
    ):
        ((level, words),) = act(client, action, ticket, **given)
        assert (level, str(ana()) in words) == ("error", True)
    assert (stored(ticket).assignee, stored(ticket).is_open) == (ana(), True)


def test_tickets_are_transferred_with_a_note(client):
    ticket, support = recipes.ticket(assignee=bia()), suporte()
    client.force_login(bia())
    assert levels(act(client, "transfer", ticket)) == ["error"]
    assert levels(act(client, "transfer", ticket, transfer_department="x")) == ["error"]
    assert stored(ticket).assignee == bia()
    given = {"transfer_department": support.pk, "transfer_note": "Veja o modem"}
    assert levels(act(client, "transfer", ticket, **given)) == ["success"]
    assert (stored(ticket).department, stored(ticket).assignee) == (support, None)
    assert InternalNote.objects.get().text == "Veja o modem"


def test_a_person_of_another_department_gets_no_transfer(client):
    ticket = recipes.ticket()
    given = {"transfer_department": department("suporte").pk, "transfer_to": bia().pk}
    client.force_login(ana())
    assert levels(act(client, "transfer", ticket, **given)) == ["error"]
    given["transfer_to"] = caio().pk
    assert levels(act(client, "transfer", ticket, **given)) == ["success"]
    assert stored(ticket).assignee == caio()


@pytest.mark.parametrize("priority", Priority)
def test_tickets_get_another_priority(client, priority):
    ticket = recipes.ticket()
    client.force_login(bia())
    assert levels(act(client, "prioritise", ticket, priority=priority)) == ["success"]
    assert stored(ticket).priority == priority


def test_tags_are_put_on_beside_those_there_are(client):
    old, new = baker.make(Tag, name="vip"), baker.make(Tag, name="cobrança")
    tickets = [recipes.ticket(), recipes.ticket()]
    tickets[0].tags.add(old)
    client.force_login(bia())
    assert levels(act(client, "tag", *tickets)) == ["error"]
    assert levels(act(client, "tag", *tickets, tags=[new.pk])) == ["success"]
    assert [set(ticket.tags.all()) for ticket in tickets] == [{old, new}, {new}]


@pytest.mark.parametrize(("then", "is_live"), [("end", False), ("bot", True), ("survey", True)])
def test_tickets_are_resolved_and_the_conversation_goes_where_it_should(client, then, is_live):
    tickets = [recipes.ticket(assignee=bia()) for _ in range(2)]
    Session.objects.update(window_expires_at=timezone.now() + timedelta(hours=1))
    call_command("load_flows", stdout=StringIO())  # the survey is one of them
    client.force_login(bia())
    assert levels(act(client, "resolve", *tickets, resolve_then=then)) == ["success"]
    for ticket in map(stored, tickets):
        assert ticket.status == TicketStatus.RESOLVED
        assert (ticket.session.owner, ticket.session.is_live) == (Owner.BOT, is_live)


def test_what_cannot_be_asked_any_more_is_refused_with_the_reason(client):
    ticket = recipes.ticket(assignee=bia())
    Session.objects.update(window_expires_at=timezone.now() - timedelta(hours=1))
    client.force_login(bia())
    ((level, words),) = act(client, "resolve", ticket, resolve_then="survey")
    assert level == "error"
    assert "24" in words
    assert stored(ticket).is_open


def test_what_is_resolved_already_is_refused_and_the_rest_done(client):
    tickets = [recipes.ticket(assignee=bia()) for _ in range(3)]
    services.resolve(tickets[1], actor=bia(), then=Next.END)
    client.force_login(bia())
    ((level, words),) = act(client, "resolve", *tickets, resolve_then="end")
    assert level == "warning"
    assert words.startswith("2 ")
    assert tickets[1].protocol in words
    assert {stored(ticket).status for ticket in tickets} == {TicketStatus.RESOLVED}


@pytest.mark.parametrize(
    "posted",
    [
        {"action": "resolve", "index": "0"},
        {"action": "resolve", "index": "0", "_selected_action": ["x", "-1", "9" * 40]},
        {"action": "nonsense", "index": "0", "_selected_action": ["1"]},
        {"action": "prioritise", "index": "x", "_selected_action": ["1"], "seen": ["a-b", "1"]},
        {"claim_one": "x"},
    ],
)
def test_a_form_that_makes_no_sense_changes_nothing(client, posted):
    ticket = recipes.ticket()
    client.force_login(ana())
    assert client.post(reverse(LIST), posted, follow=True).status_code == 200
    assert stored(ticket).updated_at == ticket.updated_at


def test_a_hundred_tickets_are_the_most_for_one_go(client):
    ticket = recipes.ticket()
    client.force_login(ana())
    many = [ticket.pk, *range(ticket.pk + 1, ticket.pk + 150)]
    posted = {"action": "claim", "index": "0", "_selected_action": many}
    page = client.post(reverse(LIST), posted, follow=True)
    (message,) = page.context["messages"]
    assert "100" in message.message
    assert stored(ticket).assignee == ana()
    assert TicketEvent.objects.filter(~Q(kind=TicketEventKind.OPENED)).count() == 1


# --- News --------------------------------------------------------------------------------------


def news(client, since, **asked):
    return client.get(
        reverse("admin:tickets_ticket_newcount"), {"since": since.isoformat(), **asked}
    )


def test_the_list_is_told_what_came_since_it_was_drawn(client, django_assert_num_queries):
    client.force_login(bia())
    drawn = timezone.now()
    old = put(recipes.ticket(assignee=bia()), last_message_at=drawn)
    recipes.ticket(at=timezone.now(), department=department("suporte"))
    with django_assert_num_queries(3):  # login 2
        assert news(client, drawn).status_code == 204
    recipes.ticket(at=timezone.now())
    answer = news(client, drawn)
    assert answer.status_code == 200
    assert "newpill" in answer.content.decode()
    assert news(client, drawn, shown="1-0").status_code == 204
    put(old, unread=1, last_message_at=timezone.now())
    assert answer.context["news"].messages == 0
    assert news(client, drawn, shown="1-0").context["news"].messages == 1
    assert news(client, drawn, grupo="adiados").status_code == 204


def test_news_of_tickets_that_are_gone_again_is_taken_back(client):
    client.force_login(bia())
    drawn = timezone.now() - timedelta(seconds=1)
    ticket = recipes.ticket(at=timezone.now())
    services.claim(ticket, user=caio())
    answer = news(client, drawn, shown="1-0")
    assert answer.status_code == 200
    assert "newpill" not in answer.content.decode()


def test_a_ticket_that_is_given_to_someone_is_news_to_them(client):
    ticket = recipes.ticket(department=department("suporte"))
    drawn = timezone.now()
    services.assign(ticket, to_user=bia(), actor=ana())
    client.force_login(bia())
    assert news(client, drawn).context["news"].tickets == 1


@pytest.mark.parametrize("since", ["", "x", "2026-02-30T10:00:00+00:00", "2026-01-01T10:00:00"])
def test_news_since_no_moment_is_none(client, since):
    client.force_login(bia())
    url = reverse("admin:tickets_ticket_newcount")
    assert client.get(url, {"since": since}).status_code == 204


# --- Saved views -------------------------------------------------------------------------------


def save_view(client, name="Urgentes", query="grupo=todos&prioridade=high&x=1", **given):
    return client.post(
        reverse("admin:tickets_ticket_views"), {"name": name, "query": query, **given}, follow=True
    )


def test_filters_are_kept_under_a_name_and_stand_among_the_tabs(client):
    client.force_login(bia())
    save_view(client)
    view = SavedView.objects.get()
    assert (view.user, view.query, view.is_shared) == (bia(), "grupo=todos&prioridade=high", False)
    page = client.get(f"{reverse(LIST)}?prioridade=high&grupo=todos")
    current = [tab for tab in page.context["cl"].page.tabs if tab.is_current]
    assert [(tab.label, tab.is_view) for tab in current] == [("Urgentes", True)]
    save_view(client, query="grupo=fila")
    assert SavedView.objects.get().query == "grupo=fila"


def test_what_is_saved_knows_only_parameters_of_the_list(client):
    client.force_login(bia())
    save_view(client, query="assignee__password=1&grupo=<script>&next=//evil&q=a%00b")
    assert SavedView.objects.get().query == "q=ab"


def test_views_are_shared_by_admins_alone(client):
    client.force_login(bia())
    save_view(client, name="dela", is_shared="on")
    assert not SavedView.objects.get().is_shared
    client.force_login(ana())
    save_view(client, name="equipe", is_shared="on")
    save_view(client, name="só minha")
    client.force_login(bia())
    names = {tab.label for tab in client.get(reverse(LIST)).context["cl"].page.tabs if tab.is_view}
    assert names == {"dela", "equipe"}


def test_a_shared_view_shows_each_person_what_they_may_see(client):
    client.force_login(ana())
    hidden = recipes.ticket(department=department("suporte"))
    save_view(client, query="grupo=todos", is_shared="on")
    assert listed(client, grupo="todos") == [hidden]
    client.force_login(bia())
    assert listed(client, grupo="todos") == []


def test_views_are_renamed_and_deleted_by_their_owner(client):
    mine = baker.make(SavedView, user=bia(), name="minha", query="grupo=fila")
    shared = baker.make(SavedView, user=ana(), name="equipe", is_shared=True)
    client.force_login(bia())

    def change(view, **given):
        url = reverse("admin:tickets_ticket_view", args=[view.pk])
        return client.post(url, given, follow=True).status_code

    assert change(mine, name="fila", is_shared="on") == 200
    mine.refresh_from_db()
    assert (mine.name, mine.is_shared, mine.query) == ("fila", False, "grupo=fila")
    assert change(shared, name="x") == 404
    assert change(shared, delete="1") == 404
    assert change(mine, name="") == 200
    assert change(mine, delete="1") == 200
    assert [*SavedView.objects.all()] == [shared]


def test_a_name_or_a_filter_too_long_is_refused(client):
    client.force_login(bia())
    save_view(client, name="")
    save_view(client, name="a" * 61)
    many = "&".join(f"etiqueta=9{n:016d}" for n in range(60))
    save_view(client, query=many)
    assert not SavedView.objects.exists()


def test_two_views_of_one_person_never_have_one_name(client):
    first, second = (baker.make(SavedView, user=bia(), name=name) for name in "ab")
    client.force_login(bia())
    url = reverse("admin:tickets_ticket_view", args=[second.pk])
    assert client.post(url, {"name": first.name}, follow=True).status_code == 200
    assert {view.name for view in SavedView.objects.all()} == {"a", "b"}


# --- A file ------------------------------------------------------------------------------------


def test_the_list_is_a_file_without_formulas_and_without_what_one_may_not_see(client):
    ticket = recipes.ticket(subject="=HYPERLINK(1)")
    hidden = recipes.ticket(department=department("suporte"))
    client.force_login(bia())
    answer = client.get(reverse("admin:tickets_ticket_export"), {"grupo": "todos"})
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert ticket.protocol in text
    assert hidden.protocol not in text
    assert ";'=HYPERLINK(1);" in text


def test_the_file_is_in_the_language_of_whoever_asked_for_it(client):
    recipes.ticket(assignee=bia(), priority=Priority.HIGH)
    User.objects.filter(pk=bia().pk).update(language="en")
    client.force_login(bia())
    answer = client.get(reverse("admin:tickets_ticket_export"))
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert text.startswith("Protocol;")
    assert ";in progress;high;" in text


@pytest.mark.parametrize("name", ["views", "newcount", "export"])
def test_a_stranger_is_sent_to_the_login(client, name):
    url = reverse(f"admin:tickets_ticket_{name}")
    answer = client.post(url) if name == "views" else client.get(url)
    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


# --- Taking back -------------------------------------------------------------------------------


def take_back(client, token):
    with zeal_ignore():
        page = client.post(
            reverse("admin:tickets_ticket_bulk_undo"),
            {"undo": token, "query": "grupo=fila"},
            follow=True,
        )
    assert page.redirect_chain[-1][0].endswith("?grupo=fila")
    return [(message.level_tag, message.message) for message in page.context["messages"]]


def pressed(client, action, *tickets, **given):
    """Do it, and return what the page offers to take it back with."""
    posted = {"action": action, "index": "0", "_selected_action": [one.pk for one in tickets]}
    with zeal_ignore():
        page = client.post(reverse(LIST), {**posted, **given}, follow=True)
    return page.context["undo"]


def test_what_was_done_to_several_tickets_is_taken_back(client):
    tickets = [recipes.ticket() for _ in range(3)]
    client.force_login(bia())
    token = pressed(client, "claim", *tickets)
    services.set_priority(stored(tickets[0]), priority=Priority.HIGH, actor=bia())
    assert levels(take_back(client, token)) == ["success", "warning"]
    assert [stored(ticket).assignee for ticket in tickets] == [bia(), None, None]
    assert client.get(reverse(LIST)).context["undo"] == ""


def test_a_transfer_out_of_sight_is_taken_back_too(client):
    ticket, support = recipes.ticket(assignee=bia()), suporte()
    client.force_login(bia())
    token = pressed(client, "transfer", ticket, transfer_department=support.pk)
    assert stored(ticket).department == support
    assert levels(take_back(client, token)) == ["success"]
    assert (stored(ticket).department, stored(ticket).assignee) == (ticket.department, bia())


def test_a_resolution_is_taken_back_and_what_did_nothing_offers_nothing(client):
    ticket = recipes.ticket(assignee=bia())
    client.force_login(bia())
    assert pressed(client, "prioritise", ticket, priority=ticket.priority) == ""
    token = pressed(client, "resolve", ticket, resolve_then="end", resolve_note="Pago")
    assert (stored(ticket).is_open, stored(ticket).resolution_note) == (False, "Pago")
    take_back(client, token)
    assert (stored(ticket).is_open, stored(ticket).assignee) == (True, bia())


def test_nobody_takes_back_what_a_colleague_did(client):
    ticket = recipes.ticket()
    client.force_login(ana())
    token = pressed(client, "claim", ticket)
    for garbage in ("", "x", token):
        client.force_login(bia())
        assert levels(take_back(client, garbage)) == ["warning"]
    assert stored(ticket).assignee == ana()


# --- The next one ------------------------------------------------------------------------------

NEXT = "admin:tickets_ticket_next"


def test_the_next_ticket_is_taken_and_opened(client):
    ticket = recipes.ticket()
    client.force_login(bia())
    assert client.get(reverse(NEXT)).status_code == 200
    assert stored(ticket).assignee is None
    answer = client.post(reverse(NEXT))
    assert answer["Location"] == reverse("admin:tickets_ticket_change", args=[ticket.pk])
    assert stored(ticket).assignee == bia()


def test_when_there_is_nothing_to_do_the_list_says_so(client):
    recipes.ticket(department=department("suporte"))
    client.force_login(bia())
    page = client.post(reverse(NEXT), follow=True)
    assert page.redirect_chain[-1][0] == reverse(LIST)
    assert [message.level_tag for message in page.context["messages"]] == ["info"]
