"""How fast a channel sends: slots shared by all workers, throttles, pairs, a provider gone."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
import time_machine
from django.utils import timezone

from chatbot import pace
from chatbot.delivery import deliver_pending
from chatbot.models import Incident, IncidentKind, MessageStatus, SendPace
from chatbot.tests import graph_server, stage
from chatbot.tests.processes import wait_for, workers
from chatbot.tests.webhook import whatsapp_channel
from sessions_app.models import Channel, Session

QUEUED, SENT = MessageStatus.QUEUED, MessageStatus.SENT
NO_ANSWER = "http://127.0.0.1:9"


@pytest.fixture
def shop(db):
    return stage.open_shop()


def later(**delta):
    return time_machine.travel(timezone.now() + timedelta(**delta), tick=True)


def most_in_a_second(requests):
    """The most calls in any second, wherever it begins."""
    times = sorted(one.at for one in requests)
    return max(sum(begin <= at < begin + 1 for at in times) for begin in times)


# --- Slots ---------------------------------------------------------------------------------------


def test_slots_follow_one_another_below_the_rate_and_not_far_ahead(db):
    channel = whatsapp_channel(rate_per_second=80)
    now = timezone.now()
    slots = pace.reserve(channel, wanted=1000, now=now)
    assert slots[0].at == now
    steps = {(after.at - one.at).total_seconds() for one, after in pairwise(slots)}
    assert min(steps) >= 1 / 80
    assert slots[-1].at <= now + pace.HORIZON
    assert pace.reserve(channel, wanted=1, now=now) == []
    assert pace.reserve(channel, wanted=1, now=now + pace.HORIZON)[0].at > slots[-1].at


def test_a_missed_slot_is_exchanged_and_never_made_up_for(db):
    channel = whatsapp_channel(rate_per_second=80)
    early = pace.Slot(timezone.now() - timedelta(seconds=5))
    assert pace.wait(channel, early).at > timezone.now() - pace.LATE
    now = timezone.now() + timedelta(minutes=10)
    assert pace.reserve(channel, wanted=1, now=now)[0].at == now


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_three_workers_together_keep_the_rate_of_the_channel(transactional_db):
    shop = stage.open_shop()
    Channel.objects.filter(pk=shop.pk).update(rate_per_second=20)
    sessions = [stage.talk(shop) for _ in range(70)]
    for session in sessions:
        stage.queued(session, "Oi")
    with graph_server.running(delay=0.02) as graph:
        with workers(3, graph):
            wait_for(lambda: len(graph.messages) == 70, "seventy messages")
        assert most_in_a_second(graph.requests) <= 20
        assert stage.is_each_sent_once(graph)


# --- Too fast ------------------------------------------------------------------------------------


def test_a_throttle_of_the_number_halves_its_rate_which_grows_back(shop, graph_api):
    Channel.objects.update(rate_per_second=80)
    stage.queued(stage.talk(shop), "Oi")
    graph_api.fail("error_130429.json")
    deliver_pending()
    channel = Channel.objects.get()
    assert channel.paused_until is None
    row = SendPace.objects.get()
    assert row.next_at > timezone.now() + timedelta(seconds=1)
    assert pace._rate(row, channel, row.next_at) == pytest.approx(40, abs=1)
    assert pace._rate(row, channel, row.next_at + timedelta(seconds=15)) == pytest.approx(60, abs=1)
    assert pace._rate(row, channel, row.next_at + timedelta(minutes=2)) == 80


@pytest.mark.parametrize(("code", "is_of_the_account"), [(80007, True), (4, True), (130429, False)])
def test_a_limit_of_the_account_slows_all_its_numbers_and_no_other(
    shop, graph_api, code, is_of_the_account
):
    Channel.objects.update(account_id="900")
    same = whatsapp_channel(slug="b", external_id="2", is_default=False, account_id="900")
    foreign = whatsapp_channel(slug="c", external_id="3", is_default=False, account_id="901")
    stage.queued(stage.talk(shop), "Oi")
    graph_api.answer(400, {"error": {"code": code, "message": "limit"}})
    deliver_pending()
    rows = stage.queued(stage.talk(same), "Oi") + stage.queued(stage.talk(foreign), "Oi")
    deliver_pending()
    assert stage.statuses(rows) == [QUEUED if is_of_the_account else SENT, SENT]
    with later(minutes=3):
        deliver_pending()
    assert stage.statuses(rows) == [SENT, SENT]


def test_a_customer_is_sent_no_more_than_the_provider_lends_and_others_go_on(shop, graph_api):
    davi, other = stage.talk(shop), stage.talk(shop)
    rows = stage.queued(davi, *(f"{number:02d}" for number in range(48)))
    deliver_pending()
    assert Counter(stage.statuses(rows)) == {SENT: 40, QUEUED: 8}
    assert stage.statuses(stage.queued(other, "Oi")) == [QUEUED]
    deliver_pending()
    assert len(graph_api.messages) == 41
    with later(seconds=7):
        deliver_pending()
    assert Counter(stage.statuses(rows)) == {SENT: 41, QUEUED: 7}
    with later(minutes=1):
        deliver_pending()
    assert set(stage.statuses(rows)) == {SENT}
    assert stage.received_by_each(graph_api)[davi.identity.send_to] == [
        f"{number:02d}" for number in range(48)
    ]


def test_after_a_burst_the_debt_is_as_long_as_the_provider_says(shop, graph_api):
    davi = stage.talk(shop)
    stage.queued(davi, *map(str, range(20)))
    deliver_pending()
    ahead = Session.objects.get(pk=davi.pk).pair_free_at - timezone.now()
    assert timedelta(seconds=100) < ahead <= timedelta(seconds=120)


def test_the_spam_limit_stops_the_number_then_one_message_is_risked(shop, graph_api):
    rows = [*stage.queued(stage.talk(shop), "Oi", author="attendant")]
    rows += stage.queued(stage.talk(shop), "Oi", author="attendant")
    graph_api.answer(400, {"error": {"code": 131048, "message": "spam"}}, times=2)
    deliver_pending()
    assert Channel.objects.get().paused_until > timezone.now() + timedelta(minutes=50)
    assert len(graph_api.requests) == 1
    with later(minutes=80):
        deliver_pending()
        assert len(graph_api.requests) == 2
    with later(minutes=160):
        deliver_pending()
        assert len(graph_api.messages) >= 1
        assert Channel.objects.get().paused_until is None


# --- Not there -----------------------------------------------------------------------------------


def test_a_provider_that_is_not_there_gets_one_message_at_a_time(shop, graph_api, settings):
    settings.GRAPH_API_URL, url = NO_ANSWER, settings.GRAPH_API_URL
    rows = [stage.queued(stage.talk(shop), "Oi")[0] for _ in range(20)]
    deliver_pending()
    row = SendPace.objects.get()
    assert row.troubles == pace.TROUBLES
    assert row.next_at > timezone.now() + timedelta(seconds=1)
    incident = Incident.objects.get(kind=IncidentKind.CIRCUIT)
    assert (incident.channel, incident.closed_at) == (shop, None)
    assert set(stage.statuses(rows)) == {QUEUED}
    tried = sum(stage.fresh(one).attempts for one in rows)
    with later(minutes=10):
        deliver_pending()
    assert set(stage.statuses(rows)) == {QUEUED}
    assert sum(stage.fresh(one).attempts for one in rows) <= tried  # an outage burns no try
    settings.GRAPH_API_URL = url
    with later(minutes=12):
        deliver_pending()
    assert set(stage.statuses(rows)) == {SENT}
    assert SendPace.objects.get().troubles == 0
    assert Incident.objects.get().closed_at


def test_a_few_failures_between_successes_are_no_outage(shop, graph_api):
    for _round in range(3):
        graph_api.answer(500, {"error": {"code": 131000, "message": "x"}}, times=pace.TROUBLES - 1)
        rows = [stage.queued(stage.talk(shop), "Oi")[0] for _ in range(pace.TROUBLES)]
        deliver_pending()
        assert SENT in stage.statuses(rows)
        assert SendPace.objects.get().troubles == 0
    assert not Incident.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_slow_number_leaves_threads_for_the_others(transactional_db):
    slow = stage.open_shop()
    quick = whatsapp_channel(slug="b", external_id="2", is_default=False, rate_per_second=1000)
    stuck = [stage.talk(slow) for _ in range(40)]
    for session in stuck:
        stage.queued(session, "Oi")
    others = [stage.talk(quick) for _ in range(40)]
    with graph_server.running() as graph:
        for session in stuck:
            graph.delay(8, to=f"+{session.identity.send_to}", times=None)
        with workers(1, graph):
            wait_for(lambda: len(graph.requests) >= 8, "the slow number to be under way")
            rows = [stage.queued(session, "Oi")[0] for session in others]
            wait_for(lambda: set(stage.statuses(rows)) == {SENT}, "the quick number")
            behind = [one for one in graph.requests if "/2/" in one.path]
            assert len(behind) == 40
            # The slow number has not had more than its share of the threads meanwhile.
            assert len(graph.requests) - len(behind) < 40


def test_calls_that_were_under_way_make_the_pause_no_longer(shop):
    now = timezone.now()
    slots = pace.reserve(shop, wanted=12, now=now)
    assert [pace.note_trouble(shop, slot, reason="cut", now=now) for slot in slots] == [
        number >= pace.TROUBLES for number in range(1, 13)
    ]
    assert SendPace.objects.get().troubles == pace.TROUBLES
    later_on = now + timedelta(minutes=1)
    probe = pace.reserve(shop, wanted=12, now=later_on)
    assert len(probe) == 1
    pace.note_trouble(shop, probe[0], reason="cut", now=later_on)
    assert SendPace.objects.get().troubles == pace.TROUBLES + 1
