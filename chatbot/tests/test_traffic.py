"""What is counted by the hour, and which silence is unusual."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from model_bakery import baker

from chatbot import incidents_watch, traffic
from chatbot.models import Incident, IncidentKind, MessageLog, TrafficHour
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import SECOND_NUMBER, whatsapp_channel
from sessions_app.models import ChannelKind
from users.models import Calendar, Holiday

pytestmark = pytest.mark.django_db

ZONE = ZoneInfo("America/Sao_Paulo")
HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 26, 14, 20, tzinfo=UTC)  # a Thursday, 11:20 in São Paulo


def said(session, at, *, times=1, **fields):
    rows = stage.queued(session, *["x"] * times, created_at=at, status="sent", sent_at=at, **fields)
    return [row.pk for row in rows]


def heard(session, at, *, times=1):
    for number in range(times):
        recipes.inbound(session, provider_id=f"w.{at.timestamp()}.{number}", created_at=at)


def fold(now=NOW):
    traffic.folded.at = float("-inf")
    traffic.fold(now=now)


def counts(channel):
    rows = TrafficHour.objects.filter(channel=channel).order_by("hour")
    return {row.hour: (row.received, row.sent, row.failed) for row in rows}


def usual_day(channel, by_hour, *, weeks=4, now=NOW):
    """The same day for every day of the last weeks: messages received by the hour of the clock."""
    last = now.replace(minute=0, second=0, microsecond=0)
    rows = [
        TrafficHour(channel=channel, hour=hour, received=by_hour(hour.astimezone(ZONE).hour))
        for hour in (last - number * HOUR for number in range(1, 24 * (7 * weeks + 2)))
    ]
    TrafficHour.objects.bulk_create(rows)


def office(hour):
    return 40 if 9 <= hour < 18 else 0


def silence(channel, *, hours=0.0, now=NOW):
    return traffic.unusual_silence(channel, since=now - timedelta(hours=hours), now=now)


# --- Counting


def test_hours_that_have_ended_are_counted_with_zeros_in_between():
    channel = whatsapp_channel()
    session = stage.talk(channel)
    hour = NOW.replace(minute=0)
    TrafficHour.objects.create(channel=channel, hour=hour - 4 * HOUR)
    heard(session, hour - 3 * HOUR, times=2)
    said(session, hour - HOUR - timedelta(microseconds=1))
    said(session, hour - timedelta(microseconds=1))
    said(session, hour)
    fold()
    assert counts(channel) == {
        hour - 4 * HOUR: (0, 0, 0),
        hour - 3 * HOUR: (2, 0, 0),
        hour - 2 * HOUR: (0, 1, 0),
        hour - 1 * HOUR: (0, 1, 0),
    }


def test_counting_again_changes_nothing_but_what_was_late():
    channel = whatsapp_channel()
    session = stage.talk(channel)
    hour = NOW.replace(minute=0)
    TrafficHour.objects.create(channel=channel, hour=hour - 2 * HOUR)
    heard(session, hour - HOUR)
    fold()
    before = counts(channel)
    fold()
    assert counts(channel) == before
    MessageLog.objects.filter(pk__in=said(session, hour - HOUR)).update(status="failed")
    fold()
    assert counts(channel)[hour - HOUR] == (1, 1, 1)


def test_an_hour_is_counted_five_minutes_after_its_end():
    channel = whatsapp_channel()
    hour = NOW.replace(minute=0)
    TrafficHour.objects.create(channel=channel, hour=hour - 2 * HOUR)
    fold(hour + timedelta(minutes=4))
    assert hour - HOUR not in counts(channel)
    fold(hour + timedelta(minutes=5))
    assert hour - HOUR in counts(channel)


def test_an_old_installation_catches_up_a_day_at_a_time():
    channel = whatsapp_channel()
    heard(stage.talk(channel), NOW - timedelta(days=27))
    for _time in range(32):
        fold()
    found = counts(channel)
    assert max(found) == NOW.replace(minute=0) - HOUR
    assert sum(received for received, _sent, _failed in found.values()) == 1
    assert len(found) == 30 * 24


def test_at_most_every_five_minutes_in_one_process(django_assert_num_queries):
    whatsapp_channel()
    fold()
    with django_assert_num_queries(0):
        traffic.fold(now=NOW)


def test_simulated_and_switched_off_channels_are_not_counted():
    whatsapp_channel(kind=ChannelKind.SIMULATOR)
    whatsapp_channel(slug="b", external_id=SECOND_NUMBER, is_default=False, is_active=False)
    fold()
    assert not TrafficHour.objects.exists()


# --- Silence


@pytest.mark.parametrize(
    ("at", "hours", "is_unusual"),
    [
        pytest.param((11, 20), 0.6, True, id="half an hour of a busy morning"),
        pytest.param((11, 20), 0.4, False, id="too short for twenty messages"),
        pytest.param((3, 0), 8, False, id="the night"),
        pytest.param((9, 20), 14, False, id="the day has just begun"),
        pytest.param((9, 40), 14, True, id="the morning should have brought 26"),
        pytest.param((17, 59), 0.2, False, id="shorter than a quarter of an hour"),
        pytest.param((23, 0), 5.2, False, id="the last of the day came at its end"),
        pytest.param((23, 0), 9, True, id="the afternoon brought nothing"),
    ],
)
def test_silence_is_measured_by_what_is_usual_at_that_time(at, hours, is_unusual):
    channel = whatsapp_channel()
    now = datetime(2026, 11, 26, *at, tzinfo=ZONE).astimezone(UTC)
    usual_day(channel, office, now=now)
    assert (silence(channel, hours=hours, now=now) is not None) is is_unusual


def test_a_new_installation_is_left_alone():
    channel = whatsapp_channel()
    usual_day(channel, office, weeks=2)
    assert silence(channel, hours=2) is None


def test_three_full_weeks_are_enough():
    channel = whatsapp_channel()
    usual_day(channel, office, weeks=3)
    assert silence(channel, hours=2) is not None


def test_one_holiday_of_the_past_makes_no_difference():
    channel = whatsapp_channel()
    usual_day(channel, office)
    quiet = TrafficHour.objects.filter(hour__date=(NOW - timedelta(weeks=2)).date())
    assert quiet.update(received=0)
    assert silence(channel, hours=2) is not None
    quiet = TrafficHour.objects.filter(hour__date=(NOW - timedelta(weeks=3)).date())
    quiet.update(received=0)
    assert silence(channel, hours=2) is None, "two quiet weeks of four: it is usual"


def test_on_a_holiday_five_times_as_much_must_be_missing():
    channel = whatsapp_channel()
    usual_day(channel, office)
    calendar = baker.make(Calendar, name="Brasil")
    Holiday.objects.create(calendar=calendar, date=date(2026, 11, 26), name="Feriado")
    assert silence(channel, hours=2) is None
    later = datetime(2026, 11, 26, 12, 0, tzinfo=ZONE).astimezone(UTC)
    assert silence(channel, hours=2.9, now=later) is not None


def test_of_a_long_silence_the_last_day_counts():
    channel = whatsapp_channel()
    usual_day(channel, office)
    found = silence(channel, hours=24 * 9)
    assert found is not None
    assert found.since == NOW - timedelta(hours=24 * 9)
    assert found.usual == 360


class TestAnyTraffic(TestCase):
    @given(
        per_hour=st.integers(0, 200),
        minutes=st.integers(0, 60 * 30),
        more=st.integers(0, 60 * 6),
    )
    def test_silence_becomes_unusual_once_and_stays_so(self, per_hour, minutes, more):
        """With the same traffic in every hour: longer is never less unusual, and below twenty
        messages never unusual at all."""
        TrafficHour.objects.all().delete()
        channel = recipes.channel()
        usual_day(channel, lambda hour: per_hour)
        first = silence(channel, hours=minutes / 60)
        later = silence(channel, hours=(minutes + more) / 60)
        assert first is None or later is not None
        expected = per_hour * min(minutes / 60, 24)
        if expected < 19.99 or minutes < 15:
            assert first is None
        if expected > 20.01 and minutes >= 15:
            assert first is not None


# --- The incident


def test_it_opens_in_words_and_is_over_when_something_is_received():
    channel = whatsapp_channel()
    usual_day(channel, office)
    session = stage.talk(channel)
    heard(session, NOW - 2 * HOUR)
    incidents_watch.look(now=NOW)
    incident = Incident.objects.get(kind=IncidentKind.SILENCE)
    assert incident.facts["usual"] == 80
    incidents_watch.look(now=NOW + timedelta(hours=14))
    assert Incident.objects.filter(closed_at=None).exists(), "the night is no reception"
    heard(session, NOW + timedelta(minutes=1))
    incidents_watch.look(now=NOW + timedelta(minutes=2))
    assert not Incident.objects.filter(closed_at=None).exists()


def test_a_status_of_ours_proves_that_the_webhook_lives():
    channel = whatsapp_channel()
    usual_day(channel, office)
    session = stage.talk(channel)
    heard(session, NOW - 2 * HOUR)
    said(session, NOW - HOUR, delivered_at=NOW - timedelta(minutes=2))
    incidents_watch.look(now=NOW)
    assert not Incident.objects.exists()


def test_a_channel_that_never_received_anything_is_not_silent():
    channel = whatsapp_channel()
    usual_day(channel, lambda hour: 0)
    incidents_watch.look(now=NOW)
    assert not Incident.objects.exists()


def test_what_came_before_the_newest_rows_of_a_busy_site_is_not_overlooked(monkeypatch):
    channel = whatsapp_channel()
    usual_day(channel, office)
    heard(stage.talk(channel), NOW - timedelta(minutes=16))
    busy = whatsapp_channel(slug="b", external_id=SECOND_NUMBER, is_default=False)
    said(stage.talk(busy), NOW, times=5)
    monkeypatch.setattr(incidents_watch, "NEWEST", 5)
    incidents_watch.look(now=NOW)
    assert not Incident.objects.exists()


def test_a_channel_that_is_switched_off_is_not_silent_any_more():
    channel = whatsapp_channel()
    usual_day(channel, office)
    heard(stage.talk(channel), NOW - 2 * HOUR)
    incidents_watch.look(now=NOW)
    channel.is_active = False
    channel.save()
    incidents_watch.look(now=NOW)
    assert not Incident.objects.filter(closed_at=None).exists()
