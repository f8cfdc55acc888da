"""The frame of the console: search, counts, notifications, availability, profile, ended logins."""

from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse
from django.utils import timezone

from chatbot.tests import recipes
from config.badges import badges_of
from config.search import excerpt, marked, search
from tickets.models import Notification, NotificationKind, Ticket
from users.activity import ACTIVE_AT
from users.models import Availability, User
from users.text_search import words_of

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
SEARCH, BADGES, NOTICES = reverse("search"), reverse("badges"), reverse("notices")


def foreign_ticket(**fields):
    """One that Bia, of sales, may not see."""
    return recipes.ticket(department=recipes.department("suporte"), **fields)


def notify(user, ticket, **fields):
    return Notification.objects.create(
        user=user, ticket=ticket, kind=NotificationKind.ASSIGNED, **fields
    )


# --- Search ------------------------------------------------------------------------------------


def find(client, person, text, **headers):
    client.force_login(person)
    answer = client.get(SEARCH, {"q": text}, headers=headers)
    assert answer.status_code == 200
    return {group.key: [one.row for one in group.results] for group in answer.context["groups"]}


def test_one_search_finds_tickets_leads_and_messages(client):
    lead = recipes.lead(name="João Réis")
    ticket = recipes.ticket(session=recipes.session(lead=lead))
    message = recipes.inbound(recipes.session(), "Falei com o João ontem")
    assert find(client, recipes.ana(), "joao") == {
        "tickets": [ticket],
        "leads": [lead],
        "messages": [message],
    }


def test_nobody_finds_what_they_may_not_see(client):
    lead = recipes.lead(name="Zuleica", phone="+5581990000142")
    ticket = foreign_ticket(session=recipes.session(lead=lead), protocol="20261126-0003")
    recipes.inbound(ticket.session, "Zuleica aqui")
    for text in ("zuleica", "0003", "#3", "20261126-0003", "81 99000-0142", "0142"):
        assert not find(client, recipes.bia(), text)
    assert set(find(client, recipes.caio(), "zuleica")) == {"tickets", "leads", "messages"}


def test_a_search_costs_four_statements_however_much_is_found(django_assert_num_queries):
    bia = recipes.bia()
    for _number in range(7):
        recipes.inbound(recipes.ticket().session, "Davi")
    with django_assert_num_queries(4):
        groups = search(bia, "davi", most=25)
    assert [len(group.results) for group in groups] == [7, 7, 7]
    with django_assert_num_queries(3):  # enough among the newest
        search(bia, "davi", most=5)


def test_a_rare_word_is_found_beyond_the_newest_messages(monkeypatch):
    monkeypatch.setattr("chatbot.models.NEWEST", 1)
    session = recipes.session()
    old = recipes.inbound(session, "palavra rara")
    recipes.inbound(session, "outra")
    (group,) = search(recipes.ana(), "rara", most=5)
    assert [one.row for one in group.results] == [old]


def test_a_message_that_is_found_is_on_the_page_that_it_leads_to(client):
    session = recipes.session()
    old = recipes.inbound(session, "palavra rara")
    for number in range(60):
        recipes.inbound(session, f"depois {number}")
    (group,) = search(recipes.ana(), "rara", most=5)
    client.force_login(recipes.ana())
    address, place = group.results[0].url.split("#")
    assert place == f"message-{old.pk}"
    assert f'id="{place}"' in client.get(address).content.decode()


def test_a_search_shows_few_in_the_dialog_and_leads_to_the_lists(client):
    for _number in range(7):
        recipes.lead(name="Davi")
    client.force_login(recipes.ana())
    dialog = client.get(SEARCH, {"q": "davi"}, headers=HTMX)
    assert len(dialog.context["groups"][0].results) == 5
    assert f"{reverse('admin:leads_lead_changelist')}?q=davi" in dialog.content.decode()
    assert "<html" not in dialog.content.decode()
    page = client.get(SEARCH, {"q": "davi"}).content.decode()
    assert "<html" in page
    assert page.count("find-i") == 7


@pytest.mark.parametrize("text", ["", " ", "%", "'\"<>&|!:*()", "\x00", "x" * 5000, "\ud83d"])
def test_garbage_finds_nothing_and_breaks_nothing(client, text):
    recipes.lead()
    assert not find(client, recipes.ana(), text.encode("utf-8", "replace").decode())


def test_what_is_found_is_marked_and_escaped(client):
    recipes.lead(name="<b>João</b> & João")
    client.force_login(recipes.ana())
    page = client.get(SEARCH, {"q": "joão"}, headers=HTMX).content.decode()
    assert "&lt;b&gt;<mark>João</mark>&lt;/b&gt; &amp; <mark>João</mark>" in page
    assert "<b>João" not in page


def test_an_excerpt_shows_where_the_word_stands():
    text = f"{'antes ' * 30}alvo{' depois' * 30}"
    shown = excerpt(text, ["alvo"])
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert "<mark>alvo</mark>" in marked(shown, words_of("ALVO"))


def test_two_letters_search_no_messages(client):
    recipes.inbound(recipes.session(), "oi")
    assert not find(client, recipes.ana(), "oi")


# --- Counts ------------------------------------------------------------------------------------


def test_the_counts_are_those_of_what_the_person_may_see():
    bia = recipes.bia()
    mine = recipes.ticket(assignee=bia)
    recipes.ticket(assignee=bia, snoozed_until=timezone.now() + timedelta(hours=1))
    recipes.ticket()
    hidden = foreign_ticket()
    notify(bia, mine)
    notify(bia, mine, read_at=timezone.now())
    notify(bia, hidden)
    badges = badges_of(bia)
    assert (badges.tickets, badges.sessions, badges.notices) == (1, 3, 1)


def test_the_counts_cost_one_statement(django_assert_num_queries):
    bia = recipes.bia()
    for _number in range(5):
        notify(bia, recipes.ticket(assignee=bia))
    with django_assert_num_queries(1):
        badges_of(bia)


def test_the_poll_of_the_counts_is_silent_while_nothing_changes(client):
    bia = recipes.bia()
    client.force_login(bia)
    first = client.get(BADGES)
    seen = first.context["badges"].digest
    assert client.get(BADGES, {"seen": seen}).status_code == 204
    recipes.ticket(assignee=bia)
    news = client.get(BADGES, {"seen": seen})
    assert news.status_code == 200
    assert 'id="badge-tickets"' in news.content.decode()


def test_the_poll_of_the_counts_writes_nothing(client):
    client.force_login(recipes.bia())
    with CaptureQueriesContext(connection) as captured:
        client.get(BADGES)
    assert len(captured) == 3  # login, person, counts


# --- Notifications -----------------------------------------------------------------------------


def test_opening_a_notification_marks_it_read_and_leads_to_its_ticket(client):
    bia = recipes.bia()
    notice = notify(bia, recipes.ticket(assignee=bia))
    client.force_login(bia)
    answer = client.post(reverse("notice", args=[notice.pk]))
    assert answer["Location"] == reverse("admin:tickets_ticket_change", args=[notice.ticket_id])
    notice.refresh_from_db()
    assert notice.read_at is not None


def test_nobody_opens_or_lists_the_notifications_of_others(client):
    bia, caio = recipes.bia(), recipes.caio()
    theirs = notify(caio, recipes.ticket())
    hidden = notify(bia, foreign_ticket())
    client.force_login(bia)
    for notice in (theirs, hidden):
        assert client.post(reverse("notice", args=[notice.pk])).status_code == 404
    assert not client.get(NOTICES).context["notices"]
    client.post(reverse("notices_read"))
    assert Notification.objects.filter(read_at=None).count() == 2


def test_all_that_was_shown_is_marked_read_and_what_came_meanwhile_stays_new(client):
    bia = recipes.bia()
    ticket = recipes.ticket(assignee=bia)
    shown, later = notify(bia, ticket), notify(bia, ticket)
    client.force_login(bia)
    answer = client.post(reverse("notices_read"), {"up_to": shown.pk}, headers=HTMX)
    assert [one.pk for one in Notification.objects.unread()] == [later.pk]
    assert 'id="badge-notices"' in answer.content.decode()


@pytest.mark.parametrize("up_to", ["", "abc", "-1", "9" * 30, "²"])
def test_marking_read_takes_any_garbage(client, up_to):
    client.force_login(recipes.bia())
    assert client.post(reverse("notices_read"), {"up_to": up_to}).status_code == 302


def test_the_list_of_notifications_costs_the_same_however_many_there_are(client):
    bia = recipes.bia()
    client.force_login(bia)

    def cost():
        with CaptureQueriesContext(connection) as captured:
            client.get(NOTICES, headers=HTMX)
        return len(captured)

    notify(bia, recipes.ticket(assignee=bia))
    few = cost()
    for _number in range(6):
        notify(bia, recipes.ticket(assignee=bia), actor=recipes.ana())
    assert cost() == few


# --- Availability and profile ------------------------------------------------------------------


def test_one_says_that_one_takes_tickets_and_stays_on_the_page(client):
    bia = recipes.bia()
    client.force_login(bia)
    here = reverse("admin:leads_lead_changelist")
    answer = client.post(reverse("availability"), {"availability": "available", "next": here})
    assert answer["Location"] == here
    bia.refresh_from_db()
    assert bia.availability == Availability.AVAILABLE
    assert [str(one) for one in get_messages(answer.wsgi_request)]


def test_htmx_gets_the_switch_anew_and_a_word_about_it(client):
    client.force_login(recipes.bia())
    answer = client.post(reverse("availability"), {"availability": "paused"}, headers=HTMX)
    assert 'id="availability"' in answer.content.decode()
    assert "toast" in answer["HX-Trigger"]


def test_an_availability_that_does_not_exist_changes_nothing(client):
    bia = recipes.bia(availability=Availability.PAUSED)
    client.force_login(bia)
    assert client.post(reverse("availability"), {"availability": "x"}).status_code == 400
    assert client.get(reverse("availability")).status_code == 405
    bia.refresh_from_db()
    assert bia.availability == Availability.PAUSED


def test_a_foreign_address_is_no_page_to_go_back_to(client):
    client.force_login(recipes.bia())
    data = {"availability": "available", "next": "https://evil.example/"}
    assert client.post(reverse("availability"), data)["Location"] == reverse("admin:index")


def test_people_change_their_own_profile_and_nothing_more(client):
    bia = recipes.bia(language="pt-br")
    client.force_login(bia)
    given = {
        "first_name": "Beatriz",
        "last_name": "Lima",
        "signature": "Bia",
        "language": "en",
        "role": "admin",
        "is_superuser": "on",
    }
    assert client.post(reverse("profile"), given).status_code == 302
    bia.refresh_from_db()
    assert (bia.first_name, bia.signature, bia.language) == ("Beatriz", "Bia", "en")
    assert (bia.single_keys, bia.is_admin, bia.is_superuser) == (False, False, False)
    assert "data-single-keys" not in client.get(reverse("profile")).content.decode()


def test_a_profile_that_is_refused_shows_why_and_keeps_the_rest(client):
    bia = recipes.bia()
    client.force_login(bia)
    answer = client.post(reverse("profile"), {"signature": "x" * 81, "language": "pt-br"})
    assert answer.status_code == 200
    assert answer.context["form"].errors
    bia.refresh_from_db()
    assert bia.signature == ""


@pytest.mark.parametrize("name", ["search", "badges", "notices", "profile", "home_export"])
def test_strangers_are_sent_to_the_login_page(client, name):
    answer = client.get(reverse(name))
    assert (answer.status_code, "/admin/login/" in answer["Location"]) == (302, True)


def test_a_page_of_the_shell_works_without_a_script(client):
    recipes.ticket(assignee=recipes.bia())
    client.force_login(recipes.bia())
    page = client.get(reverse("admin:index")).content.decode()
    assert f'action="{SEARCH}"' in page
    assert f'action="{reverse("availability")}"' in page
    assert f'href="{NOTICES}"' in page


# --- Ended logins ------------------------------------------------------------------------------


def age(client, **passed):
    """The login as if it had last been used so long ago."""
    session = client.session
    session[ACTIVE_AT] = int((timezone.now() - timedelta(**passed)).timestamp())
    session.save()


def test_a_login_that_nobody_uses_ends_and_leads_back_to_where_one_was(client):
    bia = recipes.bia()
    client.force_login(bia)
    age(client, hours=13)
    here = f"{reverse('admin:leads_lead_changelist')}?q=ana"
    answer = client.get(here)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/?expirou=1&next=%2Fadmin%2Fleads")
    page = client.get(answer["Location"])
    assert 'role="status"' in page.content.decode()
    assert page.context["next"] == here


def test_a_login_in_use_does_not_end(client):
    client.force_login(recipes.bia())
    age(client, hours=11)
    assert client.get(reverse("admin:index")).status_code == 200
    assert timezone.now().timestamp() - client.session[ACTIVE_AT] < 60


def test_what_pages_ask_for_by_themselves_keeps_nobody_logged_in(client):
    bia = recipes.bia()
    client.force_login(bia)
    age(client, hours=2)
    User.objects.update(last_active_at=None)
    before = client.session[ACTIVE_AT]
    assert client.get(BADGES).status_code == 200
    assert client.get(reverse("home_card", args=["status"])).status_code == 200
    assert client.session[ACTIVE_AT] == before
    bia.refresh_from_db()
    assert bia.last_active_at is None


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("conversation_messages", [1]),
        ("conversation_attachment", [1]),
        ("flow_replay_state", [1, 1]),
        ("admin:chatbot_failedevent_job_state", [1]),
    ],
)
def test_what_a_page_polls_is_no_sign_of_a_person(name, args):
    assert resolve(reverse(name, args=args)).func.is_background


def test_being_at_work_is_written_once_a_minute(client):
    bia = recipes.bia()
    client.force_login(bia)

    def writes():
        with CaptureQueriesContext(connection) as captured:
            client.get(NOTICES)
        return sum(one["sql"].startswith("UPDATE") for one in captured)

    assert writes() == 0  # the login itself was the last sign
    age(client, seconds=61)
    assert writes() == 3  # login, person, and the row of this browser
    assert writes() == 0
    bia.refresh_from_db()
    assert bia.last_active_at is not None


def test_htmx_is_told_to_take_the_page_to_the_login(client):
    client.force_login(recipes.bia())
    age(client, hours=13)
    here = reverse("admin:leads_lead_changelist")
    headers = {**HTMX, "HX-Current-URL": f"http://testserver{here}?q=ana"}
    answer = client.get(BADGES, headers=headers)
    assert answer.status_code == 401
    assert (
        answer["HX-Redirect"] == "/admin/login/?expirou=1&next=%2Fadmin%2Fleads%2Flead%2F%3Fq%3Dana"
    )


def test_htmx_of_a_stranger_is_taken_to_the_login_instead_of_showing_it_inside_a_page(client):
    answer = client.get(BADGES, headers={**HTMX, "HX-Current-URL": "http://testserver/admin/"})
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/admin/login/?next=%2Fadmin%2F"


@pytest.mark.parametrize("page", ["https://evil.example/x", "javascript:alert(1)", ""])
def test_a_login_never_leads_to_a_foreign_page(client, page):
    client.force_login(recipes.bia())
    age(client, hours=13)
    answer = client.post(reverse("availability"), headers={"Referer": page})
    assert answer["Location"] == "/admin/login/?expirou=1&next=%2Fadmin%2F"


def test_an_ended_login_is_a_stranger_to_the_api_and_nothing_to_the_webhook(client):
    client.force_login(recipes.bia())
    age(client, hours=13)
    assert client.get("/api/v1/tickets/").status_code == 401
    assert client.get("/healthz").status_code == 200


def test_a_program_with_a_token_writes_no_sign_of_a_person():
    bia = recipes.bia()
    api = recipes.api(bia)
    api.get("/api/v1/tickets/")
    bia.refresh_from_db()
    assert bia.last_active_at is None
    assert Ticket.objects.count() == 0
