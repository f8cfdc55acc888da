"""What people do in flows: counted once from the log, and shown."""

import itertools
import os
from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chatbot.documents import document_of
from chatbot.expiry import expire_sessions
from chatbot.models import Flow, FlowCount, FlowLog, FlowRun, NotUnderstood
from chatbot.tests import crowd, stage
from chatbot.tests.recipes import ana, bia
from chatbot.tests.webhook import say, text
from chatbot.usage import counting
from chatbot.usage.conversations import Wanted, find
from chatbot.usage.figures import Figures
from chatbot.usage.tally import BUCKETS, bucket, median
from sessions_app.models import Channel, Session

pytestmark = pytest.mark.django_db

OPTIONS = [
    {"id": "preco", "label": "Preços", "next": "preco"},
    {"id": "gente", "label": "Falar com gente", "next": "gente"},
]
NODES = {
    "inicio": {"kind": "start", "next": "menu"},
    "menu": {
        "kind": "menu",
        "title": "Assunto",
        "text": "Como ajudamos?",
        "options": OPTIONS,
        "tries": 3,
        "on_fail": "gente",
    },
    "preco": {"kind": "send", "text": "R$ 10", "next": "fim"},
    "fim": {"kind": "end", "text": "Até mais"},
    "gente": {"kind": "handoff", "text": "Já vem gente."},
}
NOON = "2026-11-20 12:00-03:00"


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def shop(clock):
    stage.open_shop()
    return stage.put_on_air(NODES)


@pytest.fixture
def writes(client, clock):
    """A customer, by number, writes so many seconds after whoever wrote before."""

    def write(number, words, after=0):
        clock.shift(timedelta(seconds=after))
        say(client, text(words, phone=f"5511900000{number:03}"))

    return write


def counted():
    """{(passo, exit, target): times} as it is stored."""
    rows = FlowCount.objects.values_list("node", "exit", "target", "count")
    found = Counter()
    for node, exit_name, target, count in rows:
        found[node, exit_name, target] += count
    return dict(found)


def by_hand():
    """The exits in the log, counted in the plainest way."""
    found = Counter()
    rows = FlowLog.objects.filter(session__is_simulated=False).values_list("trace", flat=True)
    for trace in rows.iterator():
        for one, after in itertools.pairwise(trace):
            found[one["node"], one["exit"], after["node"]] += 1
    return dict(found)


def figures_of(version, days=0):
    today = timezone.localdate()
    return Figures(version.pk, document_of(version.pk), today - timedelta(days=days), today)


def exits(counts):
    return {key: count for key, count in counts.items() if key[2] and key[0]}


def test_each_way_counts_once_with_how_long_it_was_waited_for(shop, writes):
    writes(1, "Oi")
    writes(1, "preços", after=40)
    writes(2, "Oi")
    writes(2, "falar com gente", after=200)
    assert counting.count() == 2
    assert counted() == {
        ("", "(start)", "inicio"): 2,
        ("inicio", "next", "menu"): 2,
        ("menu", "option:preco", "preco"): 1,
        ("preco", "next", "fim"): 1,
        ("fim", "(finished)", ""): 1,
        ("menu", "option:gente", "gente"): 1,
        ("gente", "(finished)", ""): 1,
    }
    waited = dict(FlowCount.objects.filter(node="menu").values_list("exit", "seconds"))
    assert waited == {
        "option:preco": {str(bucket(40)): 1},
        "option:gente": {str(bucket(200)): 1},
    }


def test_what_is_counted_is_not_counted_again_and_what_comes_later_is(shop, writes):
    writes(1, "Oi")
    counting.count()
    assert counting.count() == 0
    before = counted()
    writes(1, "preços", after=90)
    assert counting.count() == 1
    assert exits(counted()) == by_hand()
    assert counted()["", "(start)", "inicio"] == before["", "(start)", "inicio"] == 1
    row = FlowCount.objects.get(exit="option:preco")
    assert row.seconds == {str(bucket(90)): 1}  # the row before it was counted earlier


def test_a_batch_that_fails_leaves_nothing_half_counted(shop, writes, monkeypatch):
    writes(1, "Oi")
    monkeypatch.setattr(counting, "_store_texts", lambda *_args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        counting.count()
    assert counted() == {}
    monkeypatch.undo()
    counting.count()
    assert exits(counted()) == by_hand()


def test_who_goes_silent_gave_up_where_they_were(shop, writes, clock):
    writes(1, "Oi")
    clock.shift(timedelta(hours=30))
    expire_sessions(now=timezone.now())
    clock.shift(timedelta(hours=30))
    expire_sessions(now=timezone.now())
    assert Session.objects.get().ended_at
    counting.count()
    assert counted()["menu", "(idle)", ""] == 1
    assert not FlowRun.objects.filter(is_counted=False).exists()
    node = figures_of(shop, days=9).map_counts.nodes["menu"]
    assert (node.arrived, node.dropped) == (1, 1)


def test_people_of_the_simulator_do_not_count(shop, writes):
    writes(1, "Oi")
    Session.objects.update(is_simulated=True)
    assert counting.count() == 0
    assert counted() == {}
    assert not FlowRun.objects.filter(is_counted=False).exists()


def test_days_are_those_of_the_site(shop, writes, clock):
    clock.move_to("2026-11-21 01:30+00:00")  # still the 20th in São Paulo
    writes(1, "Oi")
    counting.count()
    assert {str(day) for day in FlowCount.objects.values_list("day", flat=True)} == {"2026-11-20"}


# --- What was not understood


def test_texts_that_a_menu_did_not_understand_are_kept_with_how_often(shop, writes):
    for number in (1, 2):
        writes(number, "Oi")
        writes(number, "Quanto CUSTA?" if number == 1 else "quanto custa")
    counting.count()
    row = NotUnderstood.objects.get()
    assert (row.node, row.text, row.sample, row.count) == (
        *("menu", "quanto custa"),
        *("Quanto CUSTA?", 2),
    )
    assert counted()["menu", "(not understood)", ""] == 2
    step = figures_of(shop).at("menu")
    assert (step.unknown, step.answered, step.unknown_rate) == (2, 2, 100)


@pytest.mark.parametrize("words", ["529.982.247-25", "davi@example.com", "x" * 81, "🙂"])
def test_personal_data_long_texts_and_signs_are_not_kept(shop, writes, words):
    writes(1, "Oi")
    writes(1, words)
    counting.count()
    assert not NotUnderstood.objects.exists()
    assert counted()["menu", "(not understood)", ""] == 1


def test_a_text_becomes_a_synonym_in_the_draft_and_can_be_undone(shop, writes, client):
    writes(1, "Oi")
    writes(1, "Quanto custa?")
    counting.count()
    client.force_login(ana())
    flow, row = Flow.objects.get(slug="prova"), NotUnderstood.objects.get()
    page = client.get(reverse("flow_statistics", args=[flow.pk]))
    assert "Quanto custa?" in page.content.decode()
    address = reverse("flow_synonym", args=[flow.pk, row.pk])
    assert client.post(address, {"option": "preco"}).status_code == 302
    flow.refresh_from_db()
    option = flow.draft["nodes"]["menu"]["options"][0]
    assert option["synonyms"] == ["Quanto custa?"]
    assert flow.draft_steps.get().said == {"code": "synonym_added", "word": "Quanto custa?"}
    assert NotUnderstood.objects.get().is_settled
    client.post(address, {"again": "1"})
    client.post(address, {"option": "preco"})  # once is enough
    flow.refresh_from_db()
    assert flow.draft["nodes"]["menu"]["options"][0]["synonyms"] == ["Quanto custa?"]


def test_an_option_that_the_draft_lost_is_refused_and_nothing_changes(shop, writes, client):
    writes(1, "Oi")
    writes(1, "Quanto custa?")
    counting.count()
    client.force_login(ana())
    flow, row = Flow.objects.get(slug="prova"), NotUnderstood.objects.get()
    for option in ("outra", ""):
        client.post(reverse("flow_synonym", args=[flow.pk, row.pk]), {"option": option})
    assert not NotUnderstood.objects.get().is_settled
    assert Flow.objects.get(pk=flow.pk).draft == flow.draft


# --- Figures


def test_medians_come_from_counts_by_bucket():
    assert median({}) is None
    for seconds in (0.5, 7, 50, 4000, 90_000):
        times = {str(bucket(seconds)): 9}
        number = bucket(seconds)
        begin = BUCKETS[number - 1] if number else 0
        assert begin <= median(times) <= BUCKETS[number]
    assert median({str(bucket(3)): 1, str(bucket(600)): 9}) > 480
    assert median({str(len(BUCKETS)): 3}) == BUCKETS[-1]  # longer than any


def test_the_page_says_how_conversations_went_in_two_versions(shop, writes, client):
    writes(1, "Oi")
    writes(1, "preços", after=40)
    second = stage.another_version(shop.flow, NODES)
    writes(2, "Oi")
    writes(2, "falar com gente", after=20)
    counting.count()
    client.force_login(ana())
    query = {"version": second.pk, "other": shop.pk}
    page = client.get(reverse("flow_statistics", args=[shop.flow_id]), query)
    now, beside = page.context["figures"].summary, page.context["beside"].summary
    assert (now.started, now.finished, now.to_people) == (1, 0, 1)
    assert (beside.started, beside.finished, beside.to_people) == (1, 1, 0)
    assert {row.place for row in page.context["steps"]} == set(NODES)
    step = next(row for row in page.context["steps"] if row.place == "menu")
    assert step.now.exits[0].label == "Falar com gente"
    assert step.other.exits[0].label == "Preços"


def test_an_edge_leads_to_its_conversations_alone(shop, writes, client):
    for number in range(1, 6):
        writes(number, "Oi")
        writes(number, "preços" if number % 2 else "falar com gente")
    counting.count()
    client.force_login(ana())
    query = {"version": shop.pk, "node": "menu", "target": "preco"}
    page = client.get(reverse("flow_usage_conversations", args=[shop.flow_id]), query)
    assert len(page.context["found"].runs) == 3
    assert page.context["older"] == ""
    today = timezone.localdate()
    all_of_them = find(shop.pk, Wanted("menu"), user=ana(), since=today, until=today)
    assert len(all_of_them.runs) == 5


def test_older_conversations_are_on_further_pages(shop, writes, monkeypatch):
    monkeypatch.setattr("chatbot.usage.conversations.SHOWN", 2)
    monkeypatch.setattr("chatbot.usage.conversations.AT_ONCE", 3)
    for number in range(1, 6):
        writes(number, "Oi")
    today, below, seen = timezone.localdate(), None, []
    while True:
        found = find(shop.pk, Wanted("inicio"), user=ana(), since=today, until=today, below=below)
        seen += [run.pk for run in found.runs]
        if found.older is None:
            break
        below = found.older
    assert seen == sorted(FlowRun.objects.values_list("pk", flat=True), reverse=True)


def test_statements_do_not_grow_with_traffic(shop, writes, client):
    client.force_login(ana())
    address = reverse("flow_statistics", args=[shop.flow_id])

    def statements():
        counting.count()
        with CaptureQueriesContext(connection) as found:
            assert client.get(address, {"version": shop.pk}).status_code == 200
        return len(found)

    writes(1, "Oi")
    writes(1, "nada disso")
    statements()
    few = statements()
    for number in range(2, 12):
        writes(number, "Oi")
        writes(number, f"outra coisa {'abcdefghijkl'[number]}")
        writes(number, "preços" if number % 2 else "falar com gente")
    assert statements() == few


def test_attendants_see_nothing_of_it(shop, writes, client):
    writes(1, "Oi")
    writes(1, "Quanto custa?")
    counting.count()
    client.force_login(bia())
    row = NotUnderstood.objects.get()
    for name, args in (
        ("flow_statistics", [shop.flow_id]),
        ("flow_usage_conversations", [shop.flow_id]),
    ):
        assert client.get(reverse(name, args=args)).status_code == 404
    answer = client.post(reverse("flow_synonym", args=[shop.flow_id, row.pk]), {"ignore": "1"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "since=ontem",
        "since=2026-11-20&until=2026-11-01",
        "since=9999-01-01&until=9999-12-31",
        "since=2020-01-01&until=2026-11-20",
        "version=999",
        "version=x&other=y&split=z",
        "node=%00&below=abc",
    ],
)
def test_a_strange_address_is_answered(shop, client, query):
    client.force_login(ana())
    for name in ("flow_statistics", "flow_usage_conversations"):
        answer = client.get(f"{reverse(name, args=[shop.flow_id])}?{query}")
        assert answer.status_code in (200, 302)


def test_the_map_of_the_flow_shows_the_numbers_of_a_week(shop, writes, client, clock):
    writes(1, "Oi")
    counting.count()
    client.force_login(ana())
    page = client.get(reverse("admin:chatbot_flow_change", args=[shop.flow_id]))
    assert page.context["page"].seen.has_counts
    clock.shift(timedelta(days=8))
    client = Client()  # the login has ended meanwhile
    client.force_login(ana())
    page = client.get(reverse("admin:chatbot_flow_change", args=[shop.flow_id]))
    assert page.context["page"].counts is None


# --- Many


def test_edge_counts_equal_a_recount_of_the_log(shop):
    """As many conversations as USAGE_CONVERSATIONS says: 100,000 take some minutes."""
    count = int(os.environ.get("USAGE_CONVERSATIONS", "600"))
    words = ["preços", "falar com gente", "1", "2", "quanto custa", "x", "🙂"]
    crowd.hold(shop, Channel.objects.get(is_default=True), count, words=words, seed=20261126)
    total = 0
    while counted_now := counting.count():
        total += counted_now
    assert total == FlowRun.objects.count() == count
    assert exits(counted()) == by_hand()
    silent = FlowLog.objects.filter(kind="end").count()
    assert sum(n for (_node, name, _to), n in counted().items() if name == "(idle)") == silent
    assert counted()["", "(start)", "inicio"] == count
    assert NotUnderstood.objects.count() == 2
    assert counting.count() == 0
