"""The figures of the start page: right, of what one may see, kept for a while, drawn plainly."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chatbot.models import Author, FlowLog, FlowLogKind, TrafficHour
from chatbot.tests import recipes
from config import charts, home_figures
from config.home_period import DAY, WEEK, period_of
from config.home_views import messages_chart
from leads.models import Lead, LeadStatus
from sessions_app.models import EndReason, Session
from tickets.models import Ticket, TicketStatus
from users.models import Availability
from users.tests.recipes import root

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    """Noon of today, so that some hours of the day have passed."""
    return timezone.localtime().replace(hour=12, minute=0, second=0, microsecond=0)


def began(at, **fields):
    ended = {"ended_at": at + timedelta(minutes=5)} if "end_reason" in fields else {}
    return recipes.session(started_at=at, **ended, **fields)


def opened(at, **fields):
    ticket = recipes.ticket(**fields)
    Ticket.objects.filter(pk=ticket.pk).update(created_at=at)
    return ticket


def test_today_is_compared_with_the_same_hours_of_last_week(now):
    period = period_of("today", now)
    assert period.begin == now.replace(hour=0)
    assert (period.parts[0][0], period.parts[-1][1]) == (period.begin, now)
    assert period.parts_before[-1][1] == now - WEEK


@pytest.mark.parametrize("key", ["", "x", "365", "7; DROP"])
def test_any_other_period_is_today(now, key):
    assert period_of(key, now).is_today


def test_conversations_are_counted_now_and_before(now):
    for hours in (1, 2, 13):
        began(now - timedelta(hours=hours))
    began(now - WEEK - timedelta(hours=1))
    found = home_figures.figures(recipes.ana(), period_of("today", now)).conversations
    assert (found.now, found.before) == (2, 1)


def test_the_bot_has_solved_what_it_finished_without_people(now):
    at = now - timedelta(hours=1)
    began(at, end_reason=EndReason.COMPLETED)
    began(at, end_reason=EndReason.IDLE)
    began(at)  # goes on
    recipes.ticket(session=began(at, end_reason=EndReason.COMPLETED))
    recipes.ticket(session=began(at))
    share = home_figures.figures(recipes.ana(), period_of("today", now)).bot_share
    assert (share.now, share.count) == (0.25, 4)


def test_attendants_see_no_share_of_the_bot(now):
    assert home_figures.figures(recipes.bia(), period_of("today", now)).bot_share is None


def test_tickets_that_were_open_a_week_ago_count_as_open_then(now):
    past = now - WEEK
    opened(past - DAY, status=TicketStatus.RESOLVED, resolved_at=past + timedelta(hours=1))
    opened(past - DAY, status=TicketStatus.CLOSED, closed_at=past - timedelta(hours=1))
    opened(past - DAY)
    opened(now - DAY)
    found = home_figures.figures(recipes.ana(), period_of("today", now)).open_tickets
    assert (found.now, found.before) == (2, 2)


def test_the_first_response_is_a_median_of_the_tickets_opened(now):
    for minutes in (1, 3, 20):
        at = now - timedelta(hours=2)
        opened(at, first_response_at=at + timedelta(minutes=minutes))
    opened(now - timedelta(hours=1))
    found = home_figures.figures(recipes.ana(), period_of("today", now)).first_response
    assert (found.now, found.before) == (180, None)


def test_ratings_are_a_mean_with_how_many_there_were(now):
    for rating in (5, 4):
        recipes.ticket(rating=rating, rated_at=now - timedelta(hours=1))
    recipes.ticket(rating=1, rated_at=now - WEEK - timedelta(hours=1))
    found = home_figures.figures(recipes.ana(), period_of("today", now)).rating
    assert (found.now, found.before, found.count) == (4.5, 1.0, 2)


def test_attendants_get_the_figures_of_what_they_may_see(now):
    at = now - timedelta(hours=1)
    for slug in ("vendas", "suporte"):
        recipes.ticket(
            session=began(at), department=recipes.department(slug), rating=5, rated_at=at
        )
    found = home_figures.figures(recipes.bia(), period_of("today", now))
    assert (found.conversations.now, found.open_tickets.now, found.rating.count) == (1, 1, 1)
    assert home_figures.statuses(recipes.bia(), period_of("today", now)).total == 1


def test_messages_of_today_stand_in_their_local_hours_by_who_wrote_them(now):
    session = recipes.session()
    nine = now.replace(hour=9, minute=30)
    recipes.inbound(session, created_at=nine)
    recipes.outbound(session, created_at=nine)
    recipes.outbound(session, created_at=nine, author=Author.ATTENDANT)
    recipes.outbound(session, created_at=nine - DAY)
    found = home_figures.messages(recipes.ana(), period_of("today", now))
    assert len(found) == 24
    assert [(one.at.hour, one.customers, one.bot, one.team) for one in found if one.total] == [
        (9, 1, 1, 1)
    ]


def test_the_line_of_last_week_comes_from_the_counters_that_are_kept(now):
    hour = (now - WEEK).replace(hour=9)
    TrafficHour.objects.create(channel=recipes.channel(), hour=hour, received=3, sent=4)
    found = home_figures.messages(recipes.ana(), period_of("today", now))
    assert [one.at.hour for one in found if one.before == 7] == [9]


def test_days_are_read_from_the_counters_and_not_from_the_messages(now):
    TrafficHour.objects.create(channel=recipes.channel(), hour=now - DAY, received=3, sent=4)
    with CaptureQueriesContext(connection) as captured:
        found = home_figures.messages(recipes.ana(), period_of("7", now))
    assert [one.total for one in found] == [0, 0, 0, 0, 0, 7, 0]
    assert not any("chatbot_messagelog" in one["sql"] for one in captured)


def test_attendants_see_the_messages_of_their_conversations_alone(now):
    mine = recipes.ticket().session
    other = recipes.ticket(department=recipes.department("suporte")).session
    for session in (mine, other, other):
        recipes.inbound(session, created_at=now - timedelta(hours=1))
    for key in ("today", "7"):
        found = home_figures.messages(recipes.bia(), period_of(key, now))
        assert sum(one.customers for one in found) == 1


def test_the_funnel_counts_who_came_so_far_or_further(now):
    for status in (*LeadStatus.values, LeadStatus.CONVERTED):
        recipes.lead(status=status)
    old = recipes.lead(status=LeadStatus.CONVERTED)
    Lead.objects.filter(pk=old.pk).update(created_at=now - 40 * DAY)
    found = home_figures.funnel(recipes.ana(), period_of("today", timezone.now()))
    assert list(found.reached.values()) == [6, 4, 3, 2]
    assert found.share == 2 / 6
    assert found.share_before == 1


def left_at(node, version, *, is_idle):
    session = recipes.session()
    run = recipes.run(session, version)
    values = {"session": session, "run": run, "next_node": node}
    FlowLog.objects.create(seq=1, kind=FlowLogKind.STEP, **values)
    if is_idle:
        FlowLog.objects.create(seq=2, kind=FlowLogKind.END, message={"kind": "idle"}, **values)


def test_people_give_up_where_they_came_to_and_did_not_answer(now):
    version = recipes.version(recipes.flow())
    left_at("nome", version, is_idle=True)
    left_at("nome", version, is_idle=False)
    left_at("menu", version, is_idle=False)
    (place,) = home_figures.given_up(recipes.ana(), period_of("today", timezone.now()))
    assert (place.flow_id, place.came, place.left, place.share) == (version.flow_id, 2, 1, 0.5)


def test_attendants_do_not_see_where_people_give_up(client):
    client.force_login(recipes.bia())
    assert "given_up" not in client.get(reverse("admin:index")).context["parts"]
    assert client.get(reverse("home_card", args=["given-up"])).status_code == 404


def test_the_load_is_of_those_who_attend_and_says_who_takes_tickets(now):
    bia = recipes.bia(availability=Availability.AVAILABLE, capacity=4)
    recipes.caio()
    recipes.ticket(assignee=bia)
    recipes.ticket(assignee=bia, status=TicketStatus.RESOLVED)
    found = home_figures.load(recipes.ana())
    assert [(one.user.username, one.open) for one in found] == [("bia", 1), ("caio", 0)]
    assert [one.user.username for one in home_figures.load(bia)] == ["bia"]


def test_figures_are_kept_for_all_who_see_the_same(client):
    recipes.ticket()
    client.force_login(recipes.ana())
    client.get(reverse("admin:index"))
    client.force_login(root())
    client.get(reverse("admin:index"))
    with CaptureQueriesContext(connection) as captured:
        client.get(reverse("home_card", args=["figures"]))
    assert len(captured) == 2  # login and person
    client.force_login(recipes.bia())
    assert client.get(reverse("home_card", args=["status"])).context["statuses"].rows[0].count == 1


def test_a_card_is_silent_while_it_is_as_it_was(client):
    client.force_login(recipes.ana())
    address = reverse("home_card", args=["status"])
    first = client.get(address).content.decode()
    seen = first.split("seen=")[1].split('"')[0]
    assert client.get(address, {"seen": seen}).status_code == 204
    recipes.ticket()
    cache.clear()
    assert client.get(address, {"seen": seen}).status_code == 200


@pytest.mark.parametrize("name", ["nothing", "figures-x"])
def test_an_unknown_card_does_not_exist(client, name):
    client.force_login(recipes.ana())
    assert client.get(reverse("home_card", args=[name])).status_code == 404


@pytest.mark.parametrize("key", ["today", "7", "30"])
@pytest.mark.parametrize("who", ["ana", "bia"])
def test_the_page_costs_few_statements_and_none_more_with_what_there_is(client, who, key):
    client.force_login(getattr(recipes, who)())

    def cost():
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            client.get(reverse("admin:index"), {"period": key})
        return len(captured)

    recipes.inbound(recipes.ticket().session)
    cost()
    few = cost()
    for _number in range(6):
        recipes.inbound(recipes.ticket(rating=4, rated_at=timezone.now()).session)
    assert cost() == few
    assert few <= 32


def test_the_file_has_the_figures_and_no_formula(client):
    caio = recipes.caio(first_name="=cmd()")
    recipes.ticket(assignee=caio)
    client.force_login(recipes.ana())
    answer = client.get(reverse("home_export"), {"period": "7"})
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    assert "'=cmd()" in text
    assert len(text.splitlines()) > 25


def test_the_file_is_in_the_language_of_the_person(client):
    client.force_login(recipes.ana(language="en"))
    answer = client.get(reverse("home_export"), {"period": "7"})
    assert b"".join(answer.streaming_content).decode("utf-8-sig").startswith("Figure;")


def test_every_chart_has_the_same_numbers_as_a_table(client, now):
    recipes.inbound(recipes.session(), created_at=now.replace(hour=0, minute=1))
    client.force_login(recipes.ana())
    answer = client.get(reverse("home_card", args=["messages"]))
    chart = answer.context["chart"]
    assert sum(sum(row.values) for row in chart.rows) == 1
    assert 'role="img"' in answer.content.decode()
    assert "<table" in answer.content.decode()


def test_a_stack_of_columns_stays_in_its_frame():
    stacks = [{"f3": 10, "f2": 0, "f1": 30}, {"f3": 40, "f2": 60, "f1": 0}]
    drawn = charts.columns(stacks, [5, None], now=0.5)
    assert drawn.ticks == [120, 90, 60, 30, 0]
    assert all(bar.y >= 0 and bar.y + bar.height <= charts.HEIGHT for bar in drawn.bars)
    assert len(drawn.bars) == 4
    assert drawn.now_x == charts.WIDTH / 2


@pytest.mark.parametrize("values", [[], [None] * 8, [3] * 8, [0, None, 5, 1e9]])
def test_a_line_is_drawn_of_any_values(values):
    drawn = charts.spark(values, values)
    assert "nan" not in drawn.now
    assert charts.nice(max((v or 0 for v in values), default=0)) % 4 == 0


def test_a_chart_of_nothing_says_so(now):
    columns = home_figures.messages(recipes.ana(), period_of("today", now))
    assert not Session.objects.exists()
    assert messages_chart(columns, period_of("today", now)).compared == ""
