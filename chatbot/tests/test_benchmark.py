from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from chatbot.benchmark_polls import Polls
from chatbot.models import MessageLog
from leads.models import Lead
from sessions_app.models import Session
from tickets.models import Ticket
from users.models import Role, User


def benchmark(*arguments):
    out = StringIO()
    call_command("benchmark", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_filled_database_has_the_asked_size_and_pages_that_work(client):
    assert "1,000 messagelog, 100 lead, 50 ticket" in benchmark(
        "fill", "--yes", "--messages", "1000"
    )
    assert Session.objects.live().count() == Ticket.objects.open().count() > 0
    assert set(MessageLog.objects.values_list("session", flat=True)) == set(
        Session.objects.values_list("pk", flat=True)
    )
    ticket = Ticket.objects.open().exclude(assignee=None).latest("pk")
    client.force_login(ticket.assignee)
    page = client.get(reverse("admin:tickets_ticket_change", args=[ticket.pk]))
    assert page.status_code == 200
    assert str(ticket.lead) in page.content.decode()
    assert Lead.objects.create(name="Davi").pk > ticket.lead_id
    assert User.objects.filter(role=Role.ADMIN).exists()
    with pytest.raises(CommandError, match="filled before"):
        benchmark("fill", "--yes")


@pytest.mark.postgres
@pytest.mark.django_db
def test_pages_are_measured_and_compared_with_what_was_kept(tmp_path):
    benchmark("fill", "--yes", "--messages", "100")
    kept = tmp_path / "before.json"
    first = benchmark("pages", "--save", str(kept))
    assert "inbox" in first
    assert "list of leads.Lead" in first
    again = benchmark("pages", "--against", str(kept))
    assert "+0 statements" in again


def test_what_a_page_repeats_is_read_from_its_markup():
    polls = Polls()
    polls.read(
        '<input type="hidden" name="csrfmiddlewaretoken" value="abc">'
        '<div id="news-7" data-poll hx-get="/news/?after=3&amp;x=1" hx-trigger="every 3s, refresh">'
        '<div id="beat" data-poll hx-post="/here/" hx-trigger="every 15s" hx-include="[data-beat]">'
        '<input name="shown" value="d1" data-beat><div data-poll hx-get="/never/"></div>'
    )
    news, beat = polls.polls["news-7"], polls.polls["beat"]
    assert (news.method, news.path, news.seconds) == ("GET", "/news/?after=3&x=1", 3)
    assert (beat.method, beat.seconds, beat.has_beat) == ("POST", 15, True)
    assert (polls.token, polls.beat) == ("abc", {"shown": "d1"})
    polls.read('<div id="news-7" data-poll hx-get="/news/?after=9" hx-trigger="every 3s"></div>')
    assert polls.polls["news-7"].path == "/news/?after=9"
    assert len(polls.polls) == 2
