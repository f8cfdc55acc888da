"""Recorded conversations held again with another document."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from chatbot import tasks
from chatbot.channels.inbound import Address, InboundMessage, Kind, Sender
from chatbot.conversation import receive
from chatbot.engine.nodes import parse_flow
from chatbot.engine.rehearsal import rehearse
from chatbot.flows_service import publish, save_draft
from chatbot.models import (
    Flow,
    FlowLog,
    FlowRun,
    JobState,
    Replay,
    ReplayDifference,
    ReplayOutcome,
    Task,
)
from chatbot.replays import jobs, states
from chatbot.replays.jobs import ReplayRefused, Wanted
from chatbot.replays.rows import rows_of
from chatbot.tests import recipes, stage

pytestmark = pytest.mark.django_db

CONVERSATIONS = 1000
SAID = (
    "1", "2", "3", "sim", "não", "orçamento", "atendente", "menu", "sair", "Davi Exemplo",
    "davi@example.com", "um site novo", "??", "xyz", "0", "pular", "concordo", "oi",
)  # fmt: skip


@pytest.fixture
def shop():
    jobs.document_of_replay.cache_clear()
    return stage.open_shop()


def talk(channel, customer, texts, *, at):
    for number, text in enumerate(texts):
        moment = at + timedelta(minutes=number)
        phone = f"55119{customer:08d}"
        item = InboundMessage(
            account=None,
            at=moment,
            provider_id=f"wamid.{customer}.{number}",
            kind=Kind.TEXT,
            sender=Sender((Address("phone", phone, phone),), name=f"Cliente {customer}"),
            text=text,
        )
        receive(channel, [item], now=moment)


def many(channel, count, *, seed=7):
    """So many conversations. PostgreSQL knows nothing of the rows of an open transaction until it
    is told to look."""
    chance = random.Random(seed)  # noqa: S311  # the same conversations each time
    begin = timezone.now() - timedelta(hours=2)
    for customer in range(count):
        texts = ["Oi", *chance.choices(SAID, k=chance.randint(0, 7))]
        talk(channel, customer, texts, at=begin + timedelta(seconds=customer))
        if customer in {50, 300} and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")


def shop_flow():
    return Flow.objects.get(slug="atendimento")


def wanted(**more):
    now = timezone.now()
    return Wanted(since=now - timedelta(days=1), until=now + timedelta(days=1), **more)


def replayed(flow, **more):
    replay = jobs.start(flow, wanted(**more), user=None)
    tasks.run_due(limit=50)
    replay.refresh_from_db()
    return replay


def change(flow, mend):
    draft = dict(flow.draft)
    mend(draft["nodes"])
    return save_draft(flow, draft, user=None, revision=flow.draft_revision)


def test_of_1000_conversations_exactly_those_that_crossed_a_changed_edge_differ(shop):
    """None with a draft like the published version."""
    many(shop, CONVERSATIONS)
    replay = replayed(shop_flow())
    assert replay.state == JobState.DONE
    assert replay.counts == {"same": replay.total}
    assert replay.total >= CONVERSATIONS
    assert not ReplayDifference.objects.exists()

    def mend(nodes):
        nodes["menu"]["options"][1]["next"] = "equipe"

    replay = replayed(change(shop_flow(), mend))
    crossed = set(
        FlowLog.objects.filter(pk__in=_that_took("menu", "option:duvida")).values_list(
            "run", flat=True
        )
    )
    found = set(ReplayDifference.objects.values_list("run", flat=True))
    assert crossed
    assert found == crossed
    assert set(ReplayDifference.objects.values_list("node", flat=True)) == {"menu"}
    assert replay.counts["same"] == replay.total - len(crossed)


def _that_took(node, exit_name):
    rows = FlowLog.objects.filter(kind="step").values_list("pk", "trace")
    return [
        pk
        for pk, trace in rows
        if any(one["node"] == node and one["exit"] == exit_name for one in trace)
    ]


def the_only(replay):
    return ReplayDifference.objects.get(replay=replay)


@pytest.mark.parametrize(
    ("said", "mend", "outcome", "node"),
    [
        (
            ["Oi", "2"],
            lambda nodes: nodes["duvida"].update(text="Conte tudo."),
            ReplayOutcome.TEXT,
            "duvida",
        ),
        (
            ["Oi", "1", "sim"],
            lambda nodes: nodes["registrar_consentimento"].update(next="necessidade"),
            ReplayOutcome.PATH,
            "registrar_consentimento",
        ),
        (
            ["Oi", "2", "Quanto custa?"],
            lambda nodes: nodes["duvida"].update(next=""),
            ReplayOutcome.DEAD_END,
            "duvida",
        ),
        (
            ["Oi", "2"],
            lambda nodes: nodes["menu"]["options"][1].update(next="equipe"),
            ReplayOutcome.EARLIER,
            "menu",
        ),
        (
            ["Oi", "3"],
            lambda nodes: nodes["menu"]["options"][2].update(next="duvida"),
            ReplayOutcome.LATER,
            "menu",
        ),
    ],
    ids=["text", "path", "dead end", "earlier", "later"],
)
def test_a_conversation_is_known_by_how_it_comes_out_otherwise(shop, said, mend, outcome, node):
    talk(shop, 1, said, at=timezone.now() - timedelta(minutes=30))
    difference = the_only(replayed(change(shop_flow(), mend)))
    assert (difference.outcome, difference.node) == (outcome, node)


def test_what_was_erased_cannot_be_replayed(shop):
    talk(shop, 1, ["Oi", "2"], at=timezone.now() - timedelta(minutes=30))
    row = FlowLog.objects.filter(kind="step").last()
    row.message["text"] = "███"
    row.save(update_fields=["message"])
    difference = the_only(replayed(shop_flow()))
    assert difference.outcome == ReplayOutcome.UNPLAYED
    assert difference.details == {"reason": "erased"}


def test_an_integration_answers_what_it_answered_then(shop):
    """Also where the draft asks at another passo, and where it has never been asked."""
    flow = shop_flow()

    def ask_first(nodes):
        nodes["duvida"]["next"] = "sabe"
        nodes["sabe"] = {
            "kind": "call",
            "handler": "lead_summary",
            "args": {"wanted": ["name"]},
            "routes": {"ok": "salvar_duvida", "incomplete": "salvar_duvida", "error": "equipe"},
        }

    change(flow, ask_first)
    publish(Flow.objects.get(pk=flow.pk), user=None)
    talk(shop, 1, ["Oi", "2", "Quanto custa?"], at=timezone.now() - timedelta(minutes=30))
    assert replayed(shop_flow()).counts == {"same": 1}

    def rename(nodes):
        nodes["sabia"] = nodes.pop("sabe")
        nodes["duvida"]["next"] = "sabia"

    difference = the_only(replayed(change(shop_flow(), rename)))
    assert difference.outcome == ReplayOutcome.PATH
    rehearsal = jobs.rehearsed(difference)
    assert rehearsal.turns[-1].now.hands_over  # the answer was there, so it went on
    assert rehearsal.turns[-1].now.asked == ""

    def ask_something_new(nodes):
        nodes["duvida"]["next"] = "outra"
        nodes["outra"] = {"kind": "http", "url": "https://example.com/", "ok": "salvar_duvida",
                          "error": "salvar_duvida"}  # fmt: skip

    replay = replayed(change(shop_flow(), ask_something_new))
    difference = the_only(replay)
    assert difference.outcome == ReplayOutcome.UNPLAYED
    assert difference.details == {"reason": "outra"}


def test_a_sample_is_the_same_each_time_and_no_larger(shop):
    many(shop, 40)
    replay = replayed(shop_flow(), sample=10)
    assert (replay.total, replay.done) == (10, 10)


def test_a_period_without_conversations_is_refused(shop):
    with pytest.raises(ReplayRefused):
        jobs.start(shop_flow(), wanted(), user=None)


def test_a_worker_that_dies_repeats_a_batch_and_counts_nothing_twice(shop, monkeypatch):
    many(shop, 12)
    monkeypatch.setattr(jobs, "BATCH", 4)
    replay = jobs.start(shop_flow(), wanted(), user=None)
    real, calls = jobs.rehearse, Counter()

    def dies_once(document, rows):
        calls["n"] += 1
        if calls["n"] == 7:
            raise RuntimeError("killed")
        return real(document, rows)

    monkeypatch.setattr(jobs, "rehearse", dies_once)
    tasks.run_due(limit=1)
    replay.refresh_from_db()
    assert (replay.state, replay.done) == (JobState.RUNNING, 4)
    replay.flow.refresh_from_db()
    _now_again()
    tasks.run_due(limit=1)
    replay.refresh_from_db()
    assert (replay.state, replay.done) == (JobState.DONE, replay.total)
    assert sum(replay.counts.values()) == replay.total


def _now_again():
    Task.objects.update(run_at=timezone.now() - timedelta(seconds=1), locked_until=None)


def test_a_cancelled_replay_stops(shop):
    many(shop, 5)
    replay = jobs.start(shop_flow(), wanted(), user=None)
    assert states.cancel(replay, now=timezone.now())
    tasks.run_due(limit=1)
    replay.refresh_from_db()
    assert (replay.state, replay.done) == (JobState.CANCELLED, 0)
    assert not states.cancel(replay, now=timezone.now())


@pytest.mark.parametrize("broken", [{"kind": "nonsense"}, {"kind": "text"}, {"at": 3}])
def test_a_record_that_cannot_be_read_is_no_exception(shop, broken):
    talk(shop, 1, ["Oi", "2"], at=timezone.now() - timedelta(minutes=30))
    run = FlowRun.objects.get()
    rows = rows_of([run])[run.pk]
    rows[-1]["message"] = broken
    rehearsal = rehearse(parse_flow(run.version.document), rows)
    assert (rehearsal.verdict, rehearsal.reason) == ("unplayed", "unreadable")


# --- Pages -------------------------------------------------------------------------------------


@pytest.fixture
def admin_client(client):
    client.force_login(recipes.ana())
    return client


def test_an_admin_replays_and_looks_at_a_difference(shop, admin_client):
    talk(shop, 1, ["Oi", "2", "<b>Oi</b>"], at=timezone.now() - timedelta(minutes=30))
    flow = change(shop_flow(), lambda nodes: nodes["duvida"].update(text="Conte <i>tudo</i>."))
    index = reverse("flow_replays", args=[flow.pk])
    today = timezone.localdate()
    form = {
        "document": "draft",
        "since": str(today - timedelta(days=1)),
        "until": str(today),
        "versions": "on_air",
        "sample": "100",
    }
    answer = admin_client.post(index, form)
    replay = Replay.objects.get()
    assert answer.url == reverse("flow_replay", args=[flow.pk, replay.pk])
    waiting = admin_client.get(answer.url).content.decode()
    state = f'hx-get="{reverse("flow_replay_state", args=[flow.pk, replay.pk])}"'
    assert state in waiting
    tasks.run_due(limit=5)
    done = admin_client.get(answer.url).content.decode()
    assert state not in done
    assert "outro texto" in done
    difference = the_only(replay)
    url = reverse("flow_replay_difference", args=[flow.pk, replay.pk, difference.pk])
    shown = admin_client.get(url).content.decode()
    assert "Conte &lt;i&gt;tudo&lt;/i&gt;." in shown
    assert "&lt;b&gt;Oi&lt;/b&gt;" in shown
    assert "<b>Oi</b>" not in shown


def test_a_period_that_ends_before_it_begins_is_refused_in_words(shop, admin_client):
    url = reverse("flow_replays", args=[shop_flow().pk])
    form = {"document": "draft", "since": "2026-11-02", "until": "2026-11-01", "versions": ""}
    answer = admin_client.post(url, form)
    assert answer.status_code == 200
    assert "termina antes de começar" in answer.content.decode()


def test_a_period_may_last_as_long_as_days_do(shop, admin_client):
    url = reverse("flow_replays", args=[shop_flow().pk])
    form = {"document": "draft", "since": "2026-11-02", "until": "9999-12-31", "versions": ""}
    assert admin_client.post(url, form).status_code in {200, 302}


def test_the_page_costs_the_same_with_many_differences(
    shop, admin_client, django_assert_max_num_queries
):
    many(shop, 60)
    flow = change(shop_flow(), lambda nodes: nodes["menu"]["options"][1].update(next="equipe"))
    replay = replayed(flow)
    with django_assert_max_num_queries(14):
        admin_client.get(reverse("flow_replay", args=[flow.pk, replay.pk]))


def test_attendants_have_no_business_here(shop, client):
    client.force_login(recipes.bia())
    flow = shop_flow()
    replay = Replay.objects.create(flow=flow, document=flow.draft, title="x")
    paths = [
        reverse("flow_replays", args=[flow.pk]),
        reverse("flow_replay", args=[flow.pk, replay.pk]),
        reverse("flow_replay_state", args=[flow.pk, replay.pk]),
        reverse("session_checks"),
        reverse("session_checks_state"),
    ]
    assert {client.get(path).status_code for path in paths} <= {403, 404}
    assert client.post(reverse("flow_replay_cancel", args=[flow.pk, replay.pk])).status_code == 404
