"""Conversations by their service window, in lists and in the API."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from chatbot.tests import recipes
from sessions_app.models import EndReason, Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def talks():
    """A conversation for each state of the window, with Bia's ticket."""
    now = timezone.now()
    until = {
        "soon": now + timedelta(minutes=30),
        "later": now + timedelta(hours=3),
        "open": now + timedelta(hours=20),
        "closed": now - timedelta(hours=1),
        "never": None,
    }
    made = {name: recipes.session(window_expires_at=at) for name, at in until.items()}
    made["ended"] = recipes.session(
        window_expires_at=until["soon"], ended_at=now, end_reason=EndReason.CLOSED
    )
    for session in made.values():
        recipes.ticket(session=session, assignee=recipes.bia(), unread=1)
    return made


FILTERS = [
    ({"window": "closing"}, {"soon", "later"}),
    ({"window": "closing", "window_hours": 1}, {"soon"}),
    ({"window": "closed"}, {"closed"}),
    ({"window": "open"}, {"soon", "later", "open", "never"}),
    ({"window_hours": 1}, {"soon", "later", "open", "closed", "never", "ended"}),
]


def names(talks, ids):
    return {name for name, session in talks.items() if session.pk in ids}


@pytest.mark.parametrize(("query", "expected"), FILTERS)
def test_the_api_lists_sessions_and_tickets_by_their_window(client, talks, query, expected):
    client.force_login(recipes.bia())
    sessions = client.get("/api/v1/sessions/", query).json()["results"]
    tickets = client.get("/api/v1/tickets/", query).json()["results"]
    assert names(talks, {one["id"] for one in sessions}) == expected
    assert names(talks, {one["session"] for one in tickets}) == expected


@pytest.mark.parametrize("query", [{"window": "x"}, {"window_hours": 0}, {"window_hours": 100}])
def test_the_api_refuses_a_window_that_there_is_not(client, query):
    client.force_login(recipes.ana())
    assert client.get("/api/v1/sessions/", query).status_code == 400


@pytest.mark.parametrize("name", ["sessions_app_session", "tickets_ticket"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", {"soon"}),
        ("4", {"soon", "later"}),
        ("closed", {"closed"}),
        ("open", {"soon", "later", "open", "never"}),
    ],
)
def test_the_console_lists_them_too(client, talks, name, value, expected):
    client.force_login(recipes.bia())
    answer = client.get(reverse(f"admin:{name}_changelist"), {"window": value})
    rows = answer.context["cl"].result_list
    ids = {row.pk if isinstance(row, Session) else row.session_id for row in rows}
    assert names(talks, ids) == expected


def test_the_list_says_how_long_and_sorts_by_it(client, talks):
    client.force_login(recipes.bia())
    url = reverse("admin:sessions_app_session_changelist")
    columns = client.get(url).context["cl"].list_display
    answer = client.get(url, {"o": columns.index("window_left")})
    dated = [row for row in answer.context["cl"].result_list if row.window_expires_at]
    assert [row.pk for row in dated] == [
        talks[name].pk for name in ("closed", "soon", "later", "open")
    ]
    assert "29 min" in answer.content.decode()


def test_the_start_page_counts_own_tickets_that_nobody_has_answered(client, talks):
    bia = recipes.bia()
    asked = f"grupo=todos&responsavel={bia.pk}&window=4"
    url = f"{reverse('admin:tickets_ticket_changelist')}?{asked}"
    client.force_login(bia)
    cards = {card.url: card for card in client.get(reverse("admin:index")).context["cards"]}
    assert (cards[url].count, cards[url].is_trouble) == (2, True)
    assert client.get(url).context["cl"].result_count == 2
    talks["soon"].tickets.update(unread=0)
    cards = {card.url: card.count for card in client.get(reverse("admin:index")).context["cards"]}
    assert cards[url] == 1
    client.force_login(recipes.ana())
    assert url not in {card.url for card in client.get(reverse("admin:index")).context["cards"]}
