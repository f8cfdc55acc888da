"""What opens an incident, what closes it, and what is no incident: by webhook and worker."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from chatbot import channel_test, delivery, incidents_watch
from chatbot.conversation import send_reply
from chatbot.incident_words import describe
from chatbot.incidents import open_incident
from chatbot.models import (
    Direction,
    FailedEvent,
    Incident,
    IncidentKind,
    MessageLog,
    MessageStatus,
    Worker,
)
from chatbot.tests import stage
from chatbot.tests.recipes import ana
from chatbot.tests.webhook import (
    NUMBER,
    SECOND_NUMBER,
    body_of,
    post,
    post_file,
    say,
    status,
    text,
    whatsapp_channel,
)
from chatbot.worker import periodic
from sessions_app.models import Channel

pytestmark = pytest.mark.django_db

ACCOUNT = "200000000000001"
OTHER_ACCOUNT = "200000000000002"


def open_ones() -> dict[str, Incident]:
    return {one.key: one for one in Incident.objects.filter(closed_at=None)}


def look(after=timedelta()):
    incidents_watch.look(now=timezone.now() + after)


def notice(field: str, owner: str = ACCOUNT, **value) -> bytes:
    """A body of an account-level field, which has no metadata."""
    change = {"field": field, "value": value}
    entry = {"id": owner, "time": 1795187700, "changes": [change]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def send_one(channel: Channel, message: str = "Olá!") -> MessageLog:
    (row,) = stage.queued(stage.talk(channel), message)
    delivery.deliver_pending()
    return stage.fresh(row)


def release(channel: Channel) -> None:
    """A person lets the channel go on, and what was held back is sent."""
    channel_test.mend(channel, channel_test.RESUME)
    delivery.deliver_pending()


# --- Refusals of the provider


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        pytest.param(190, IncidentKind.TOKEN, id="token expired"),
        pytest.param(10, IncidentKind.TOKEN, id="permission missing"),
        pytest.param(368, IncidentKind.ACCOUNT, id="restricted for policy"),
        pytest.param(131031, IncidentKind.ACCOUNT, id="account locked"),
        pytest.param(131042, IncidentKind.PAYMENT, id="payment method"),
        pytest.param(133010, IncidentKind.NUMBER, id="number not registered"),
        pytest.param(131048, IncidentKind.SPAM, id="spam limit"),
    ],
)
def test_a_refusal_that_a_person_must_mend_is_an_incident(graph_api, code, kind):
    channel = whatsapp_channel()
    graph_api.answer(400, {"error": {"code": code, "message": "recusado"}})
    send_one(channel)
    (incident,) = open_ones().values()
    assert (incident.kind, incident.channel, incident.count) == (kind, channel, 1)
    assert incident.facts["code"] == str(code)
    assert str(code) in describe(incident).what


@pytest.mark.parametrize("code", [130429, 131056, 131026, 131047, 100, 131000])
def test_a_throttle_or_a_lost_receiver_is_no_incident(graph_api, code):
    graph_api.answer(400, {"error": {"code": code, "message": "x"}})
    send_one(whatsapp_channel())
    assert not Incident.objects.exists()


def test_refused_again_and_again_is_one_incident_that_counts(graph_api):
    channel = whatsapp_channel()
    graph_api.fail("error_190.json", times=2)
    send_one(channel)
    release(channel)
    (incident,) = open_ones().values()
    assert incident.count == 2


def test_a_message_accepted_later_closes_it(graph_api):
    channel = whatsapp_channel()
    graph_api.fail("error_190.json")
    row = send_one(channel)
    look()
    assert open_ones(), "nothing was accepted since"
    Incident.objects.update(last_seen_at=timezone.now() - timedelta(minutes=5))
    release(channel)
    assert stage.fresh(row).status == MessageStatus.SENT
    look()
    assert not open_ones()


def test_what_was_under_way_when_it_was_refused_proves_nothing(graph_api):
    channel = whatsapp_channel()
    send_one(channel)
    MessageLog.objects.update(sent_at=timezone.now() + timedelta(seconds=5))
    graph_api.fail("error_190.json")
    send_one(channel)
    look()
    assert open_ones()


def test_a_message_accepted_on_another_channel_closes_nothing(graph_api):
    channel = whatsapp_channel()
    graph_api.fail("error_190.json")
    send_one(channel)
    Incident.objects.update(last_seen_at=timezone.now() - timedelta(minutes=5))
    other = whatsapp_channel(slug="b", external_id=SECOND_NUMBER, is_default=False)
    send_one(other)
    look()
    assert open_ones()


def test_a_refusal_told_by_a_status_is_over_when_a_message_arrives(client, graph_api):
    """The provider takes each message first: that it takes one proves nothing."""
    channel = whatsapp_channel()
    row = send_one(channel)
    error = {"code": 131042, "title": "Business eligibility payment issue"}
    say(client, status(row.provider_id, "failed", errors=[error]))
    (incident,) = open_ones().values()
    assert incident.kind == IncidentKind.PAYMENT
    Incident.objects.update(last_seen_at=timezone.now() - timedelta(minutes=5))
    release(channel)
    later = send_one(channel)
    look()
    assert open_ones(), "accepted, not delivered"
    say(client, status(later.provider_id, "delivered"))
    look()
    assert not open_ones()


# --- Notices of account and number


def test_a_flagged_number_is_an_incident_of_its_channel_until_it_is_unflagged(client):
    channel = whatsapp_channel(account_id=ACCOUNT, display_number="+55 11 3000-0000")
    other = whatsapp_channel(
        slug="b",
        external_id=SECOND_NUMBER,
        is_default=False,
        account_id=ACCOUNT,
        display_number="+55 11 3000-0001",
    )
    field = "phone_number_quality_update"
    flagged = {"display_phone_number": "551130000001", "current_limit": "TIER_1K"}
    post(client, notice(field, event="FLAGGED", **flagged))
    (incident,) = open_ones().values()
    assert (incident.kind, incident.channel) == (IncidentKind.NUMBER, other)
    assert incident.channel != channel
    post(client, notice(field, event="UNFLAGGED", **flagged))
    assert not open_ones()


def test_a_notice_goes_to_the_channels_of_its_business_account(client):
    whatsapp_channel(account_id=ACCOUNT)
    two = [
        whatsapp_channel(
            slug=f"b{number}",
            external_id=f"10000000000001{number}",
            is_default=False,
            account_id=OTHER_ACCOUNT,
        )
        for number in range(2)
    ]
    ban = {"waba_ban_state": "DISABLE", "waba_ban_date": "November 26, 2026"}
    post(client, notice("account_update", OTHER_ACCOUNT, event="DISABLED_UPDATE", ban_info=ban))
    assert {one.channel for one in open_ones().values()} == set(two)
    ban["waba_ban_state"] = "REINSTATE"
    post(client, notice("account_update", OTHER_ACCOUNT, event="DISABLED_UPDATE", ban_info=ban))
    assert not open_ones()


@pytest.mark.parametrize(
    ("field", "value", "topic"),
    [
        pytest.param(
            "account_update",
            {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "ALCOHOL"}},
            "violation",
            id="violation",
        ),
        pytest.param(
            "account_update",
            {
                "event": "ACCOUNT_RESTRICTION",
                "restriction_info": [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING"}],
            },
            "restriction",
            id="restriction",
        ),
        pytest.param("account_update", {"event": "ACCOUNT_DELETED"}, "disconnected", id="deleted"),
        pytest.param(
            "account_alerts",
            {"alert_info": {"alert_severity": "CRITICAL", "alert_type": "OBA_LOST"}},
            "alert OBA_LOST",
            id="alert",
        ),
    ],
)
def test_bad_news_of_the_account_is_an_incident_that_a_person_closes(client, field, value, topic):
    whatsapp_channel()
    assert post(client, notice(field, **value)).status_code == 200
    (incident,) = open_ones().values()
    assert (incident.kind, incident.facts["topic"]) == (IncidentKind.ACCOUNT, topic)
    look(timedelta(days=1))
    assert open_ones()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_update", {"event": "VERIFIED_ACCOUNT", "phone_number": "551130000000"}),
        ("account_update", {}),
        ("account_update", {"ban_info": ["DISABLE"], "restriction_info": "x", "event": 7}),
        ("account_alerts", {"alert_severity": "INFORMATIONAL", "alert_type": "OBA_APPROVED"}),
        ("account_alerts", {"alert_info": None}),
        ("phone_number_quality_update", {"event": "THROUGHPUT_UPGRADE"}),
        ("phone_number_quality_update", {"event": {"a": 1}, "display_phone_number": []}),
        ("business_capability_update", {"max_phone_numbers_per_business": 25}),
    ],
)
def test_other_news_is_none(client, field, value):
    whatsapp_channel()
    assert post(client, notice(field, **value)).status_code == 200
    assert not Incident.objects.exists()


def test_an_error_of_the_account_is_kept_told_and_over_after_a_quiet_hour(client):
    channel = whatsapp_channel()
    for _time in range(2):
        assert post_file(client, "value_errors_account_level.json").status_code == 200
    (incident,) = open_ones().values()
    assert (incident.kind, incident.channel, incident.count) == (IncidentKind.NUMBER, channel, 1)
    assert FailedEvent.objects.count() == 1
    look(timedelta(minutes=59))
    assert open_ones()
    look(timedelta(minutes=61))
    assert not open_ones()


def test_an_error_of_the_account_that_a_rule_knows_is_its_incident(client):
    channel = whatsapp_channel()
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551130000000", "phone_number_id": NUMBER},
        "errors": [{"code": 131031, "title": "Account locked"}],
    }
    post(client, body_of(value))
    assert set(open_ones()) == {f"account:{channel.pk}:"}


# --- Unknown numbers


def test_a_number_of_no_channel_is_told_until_it_has_one(client):
    whatsapp_channel()
    value = text("Oi")
    value["metadata"]["phone_number_id"] = SECOND_NUMBER
    say(client, value)
    (incident,) = open_ones().values()
    assert incident.kind == IncidentKind.UNKNOWN_NUMBER
    assert SECOND_NUMBER in describe(incident).what
    assert FailedEvent.objects.count() == 1
    look()
    assert open_ones()
    whatsapp_channel(slug="b", external_id=SECOND_NUMBER, is_default=False)
    look()
    assert not open_ones()


# --- Messages that fail, messages that wait


def failing(channel, *, failed, sent, code="131000", **fields):
    session = stage.talk(channel)
    values = {"attempts": 1, "sent_at": timezone.now(), **fields}
    rows = stage.queued(session, *["Olá!"] * failed, status="failed", error_code=code, **values)
    return rows + stage.queued(session, *["Olá!"] * sent, status="sent", **values)


@pytest.mark.parametrize(
    ("failed", "sent", "is_open"),
    [(6, 14, True), (5, 15, False), (20, 0, True), (19, 0, False), (0, 40, False), (12, 28, True)],
)
def test_the_share_that_fails_opens_at_thirty_percent_of_twenty(failed, sent, is_open):
    channel = whatsapp_channel()
    failing(channel, failed=failed, sent=sent)
    look()
    assert bool(open_ones()) is is_open
    if is_open:
        (incident,) = open_ones().values()
        assert (incident.facts["failed"], incident.facts["tried"]) == (failed, failed + sent)
        assert incident.facts["code"] == "131000"


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        pytest.param("131026", {}, id="no WhatsApp there"),
        pytest.param("131049", {}, id="marketing limit of the person"),
        pytest.param("stale", {}, id="stale"),
        pytest.param("window_closed", {}, id="window closed"),
        pytest.param("opted_out", {"attempts": 0}, id="decided before any call"),
        pytest.param("131000", {"created_at": timezone.now() - timedelta(hours=1)}, id="long ago"),
    ],
)
def test_what_does_not_count_as_failing(code, fields):
    failing(whatsapp_channel(), failed=40, sent=0, code=code, **fields)
    look()
    assert not Incident.objects.exists()


def test_failing_is_over_below_half_the_share_or_when_nothing_fails():
    channel = whatsapp_channel()
    failing(channel, failed=10, sent=20)
    look()
    failing(channel, failed=0, sent=20)
    look()
    assert open_ones(), "20 % is not below 15 %"
    failing(channel, failed=0, sent=20)
    look()
    assert not open_ones()
    failing(channel, failed=60, sent=0)
    look()
    assert open_ones()
    look(timedelta(minutes=16))
    assert not open_ones()


def test_messages_that_wait_for_five_minutes_are_an_incident_until_they_are_gone():
    channel = whatsapp_channel()
    ago = timezone.now() - timedelta(minutes=5, seconds=1)
    rows = stage.queued(stage.talk(channel), "um", "dois", run_at=ago)
    look()
    (incident,) = open_ones().values()
    assert (incident.kind, incident.facts["waiting"]) == (IncidentKind.QUEUE, 2)
    MessageLog.objects.filter(pk=rows[0].pk).update(status=MessageStatus.SENT)
    look()
    assert open_ones()
    MessageLog.objects.filter(pk=rows[1].pk).update(status=MessageStatus.SENT)
    look()
    assert not open_ones()


def test_what_waits_for_a_paused_channel_or_for_later_is_no_incident():
    now = timezone.now()
    paused = whatsapp_channel(paused_until=now + timedelta(minutes=3))
    stage.queued(stage.talk(paused), "um", run_at=now - timedelta(hours=1))
    other = whatsapp_channel(slug="b", external_id=SECOND_NUMBER, is_default=False)
    stage.queued(stage.talk(other), "um", run_at=now + timedelta(hours=1))
    stage.queued(stage.talk(other), "um", run_at=now - timedelta(minutes=4))
    look()
    assert not Incident.objects.exists()


# --- The look round itself


def test_one_part_that_fails_does_not_stop_the_others(monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise ValueError("quebrado")

    monkeypatch.setattr("chatbot.incidents_watch._tried_and_failed", broken)
    ago = timezone.now() - timedelta(minutes=6)
    stage.queued(stage.talk(whatsapp_channel()), "um", run_at=ago)
    look()
    assert [one.kind for one in open_ones().values()] == [IncidentKind.QUEUE]
    assert "_watch_failures" in caplog.text


def test_the_worker_looks_and_closes_that_none_was_running():
    now = timezone.now()
    open_incident(IncidentKind.WORKER, now=now)
    Worker.objects.create(name="w", started_at=now, beat_at=now)
    periodic()
    assert not open_ones()


def test_a_look_costs_the_same_however_long_the_log_is(django_assert_max_num_queries):
    channel = whatsapp_channel()
    failing(channel, failed=30, sent=30)
    look()
    with django_assert_max_num_queries(30):
        look()
    failing(channel, failed=300, sent=300)
    with django_assert_max_num_queries(30):
        look()


def test_every_kind_of_incident_has_words():
    channel = whatsapp_channel()
    now = timezone.now()
    for kind in IncidentKind:
        for topic in ("", "quality", "ban", "violation", "disconnected", "alert X"):
            facts = {"topic": topic} if topic else {}
            incident = Incident(
                pk=1, kind=kind, channel=channel, facts=facts, opened_at=now, last_seen_at=now
            )
            words = describe(incident)
            assert all((words.title, words.short, words.what, words.advice, words.path))


def test_strange_facts_are_shown_and_never_raise():
    now = timezone.now()
    odd = {"code": ["<b>"], "since": 7, "waiting": "x", "usual": None, "number": {"a": 1}}
    for kind in IncidentKind:
        incident = Incident(pk=1, kind=kind, facts=odd, opened_at=now, last_seen_at=now)
        assert describe(incident).what


# --- Channels that are switched off


def test_a_channel_switched_off_keeps_messages_and_gives_them_to_people(client):
    stage.open_shop()
    Channel.objects.update(is_active=False)
    assert say(client, text("Oi")).status_code == 200
    row = MessageLog.objects.get()
    assert (row.direction, row.text) == (Direction.INBOUND, "Oi")
    assert row.session.owner == "queue"
    ticket = row.session.tickets.get()
    assert ticket.subject
    say(client, text("Tem alguém?"))
    assert MessageLog.objects.count() == 2
    assert row.session.tickets.count() == 1


def test_a_channel_switched_off_in_mid_conversation_silences_the_bot(client, graph_api):
    stage.open_shop()
    say(client, text("Oi"))
    delivery.deliver_pending()
    said = len(graph_api.messages)
    Channel.objects.update(is_active=False)
    say(client, text("1"))
    delivery.deliver_pending()
    assert len(graph_api.messages) == said
    session = MessageLog.objects.latest("id").session
    assert session.owner == "queue"
    send_reply(session, user=ana(), text="Olá, sou a Ana.")
    delivery.deliver_pending()
    assert graph_api.messages[-1].text == "Olá, sou a Ana."
