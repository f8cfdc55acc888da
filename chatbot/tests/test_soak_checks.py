"""The comparison at the end of a soak: right when all is right, and each check can fail."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from chatbot import delivery
from chatbot.failures import keep_body
from chatbot.models import FlowLog, Media, MessageLog, MessageStatus
from chatbot.soak import checks, logs, report
from chatbot.soak.evidence import Evidence
from chatbot.soak.journal import Call, File, Journal, Said
from chatbot.soak.plan import Plan
from chatbot.soak.run import Facts
from chatbot.tests import stage
from chatbot.tests.webhook import NUMBER, button, message, say, text
from leads.models import Lead

PHONE = "5511990000001"
DATABASE_TROUBLE = (
    "Traceback (most recent call last):\n  File x\n"
    "django.db.utils.OperationalError: connection failed\n"
)
CHAINED_TROUBLE = (
    "Traceback (most recent call last):\n  File x\nSendError: http_502: \n\n"
    "During handling of the above exception, another exception occurred:\n\n"
) + DATABASE_TROUBLE
OTHER_TROUBLE = "Traceback (most recent call last):\n  File x\nKeyError: 'x'\n"


@pytest.fixture
def run(db, graph_api):
    """A conversation of three messages that went well, as both sides saw it."""
    stage.open_shop()
    client = Client()
    for value in (
        text("Oi", message_id="wamid.1"),
        button("orcamento", "Pedir orçamento", message_id="wamid.2"),
        text("Concordo", message_id="wamid.3"),
    ):
        assert say(client, value).status_code == 200
        delivery.deliver_pending()
    return Run()


class Run:
    """Both sides, to be changed; `of(name)` is what the check of that name says."""

    def __init__(self):
        self.journal = Journal(
            customers=[{"id": 7, "number": NUMBER, "keys": [f"+{PHONE}"], "chatters": False}]
        )
        for row in MessageLog.objects.inbound().order_by("pk"):
            wamid = row.provider_id
            self.journal.said[wamid] = Said(wamid, NUMBER, 7, row.kind, row.text, 1.0, 1, 2.0)
        for row in MessageLog.objects.outbound().order_by("pk"):
            self.journal.calls.append(self.call(row))
        self.facts = Facts(is_settled=True)
        self.plan = Plan()

    def call(self, row, **fields):
        values = {"outcome": "accepted", "wamid": row.provider_id, "statuses": ["sent"], **fields}
        return Call(NUMBER, f"+{PHONE}", 7, f"m{row.pk}", row.text, 1.5, **values)

    @property
    def evidence(self):
        return Evidence(self.plan, self.journal, self.facts)

    def of(self, check):
        return check(self.evidence)


@pytest.mark.django_db
def test_a_run_that_went_well_passes_every_check(run):
    assert len(run.journal.said) == 3
    assert len(run.journal.calls) >= 3
    results = list(checks.check_all(run.evidence))
    assert [(one.name, one.details) for one in results if one.is_ok is False] == []
    assert "0 failed" in report.as_text(run.evidence, results)


def first():
    return MessageLog.objects.outbound().order_by("pk").first()


def lose_a_row(run):
    run.journal.said["wamid.lost"] = Said("wamid.lost", NUMBER, 7, "text", "Oi", 1.0, 1, 2.0)


def invent_a_row(run):
    del run.journal.said["wamid.2"]


def garble(run):
    run.journal.said["wamid.1"].text = "Olá"


def lose_an_answer(run):
    rows = MessageLog.objects.outbound()
    rows.filter(pk=first().pk).update(created_at=timezone.now() - timedelta(days=1))


def arrive_twice(run):
    run.journal.calls.append(run.call(first()))


def arrive_without_a_row(run):
    run.journal.calls[0].ours = "m999999"


def send_other_words(run):
    run.journal.calls[0].text = "Outra coisa"


def send_to_another(run):
    run.journal.calls[0].to = "+5511990000002"


def say_sent_without_a_call(run):
    del run.journal.calls[0]


def change_the_order(run):
    run.journal.calls.reverse()


def leave_something(run):
    run.facts.left = {"queued": 1}


def never_settle(run):
    run.facts.is_settled = False


def another_lead(run):
    Lead.objects.create(name="Ninguém")


def lose_a_log(run):
    FlowLog.objects.order_by("pk")[1:2].get().delete()


def lose_a_status(run):
    run.journal.calls[0].statuses = ["delivered", "sent"]


def leave_a_file(run):
    run.journal.files["f1"] = File("f1", "00")
    Media.objects.create(message=first(), provider_id="f1")


def set_something_aside(run):
    keep_body(b"{", channel=None, error="malformed")


def be_too_fast(run):
    run.journal.most_per_number = {NUMBER: 81}


def be_too_fast_for_one(run):
    run.journal.faults["131056 by the limit"] = 1


def send_a_wrong_body(run):
    run.journal.violations["empty body"] = 1


def answer_500(run):
    run.journal.answers["500"] = 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (lose_a_row, checks.stored_once),
        (invent_a_row, checks.stored_once),
        (garble, checks.stored_as_said),
        (lose_an_answer, checks.answered),
        (arrive_twice, checks.at_most_once),
        (arrive_without_a_row, checks.at_most_once),
        (send_other_words, checks.received_as_decided),
        (send_to_another, checks.received_as_decided),
        (say_sent_without_a_call, checks.missing),
        (change_the_order, checks.in_order),
        (leave_something, checks.settled),
        (never_settle, checks.settled),
        (another_lead, checks.people),
        (lose_a_log, checks.logs),
        (lose_a_status, checks.final_statuses),
        (leave_a_file, checks.media),
        (set_something_aside, checks.failed_events),
        (be_too_fast, checks.pace),
        (be_too_fast_for_one, checks.pair_pace),
        (send_a_wrong_body, checks.bodies),
        (answer_500, checks.webhook_answers),
    ],
)
def test_what_went_wrong_is_said(run, spoil, check):
    spoil(run)
    result = run.of(check)
    assert (result.is_ok, bool(result.details)) == (False, True)


@pytest.mark.django_db
def test_a_reply_that_failed_by_a_status_may_come_again(run):
    run.journal.calls.append(run.call(first()))
    run.journal.calls[0].statuses = ["failed"]
    assert run.of(checks.at_most_once).is_ok


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("code", "is_ok"), [("unconfirmed", True), ("stale", False), ("131000", False)]
)
def test_only_what_nobody_can_know_may_be_missing(run, code, is_ok):
    row = first()
    rows = MessageLog.objects.filter(pk=row.pk)
    rows.update(status=MessageStatus.FAILED, error_code=code)
    run.journal.calls[0].outcome, run.journal.calls[0].statuses = "dropped", []
    result = run.of(checks.missing)
    assert result.is_ok is is_ok
    assert f"message {row.pk} (failed {code}): dropped" in result.details[0]


def a_voice(wamid):
    audio = {"id": wamid, "mime_type": "audio/ogg; codecs=opus", "sha256": "", "voice": True}
    return message({"type": "audio", "audio": audio}, message_id=wamid)


@pytest.mark.django_db
@pytest.mark.parametrize("is_answered", [True, False])
def test_a_second_file_needs_no_answer_and_a_text_beside_it_does(db, graph_api, is_answered):
    stage.open_shop()
    assert say(Client(), text("Oi", message_id="wamid.1")).status_code == 200
    values = [a_voice("wamid.2"), a_voice("wamid.3"), text("E agora", message_id="wamid.4")]
    assert say(Client(), *values).status_code == 200
    delivery.deliver_pending()
    run = Run()
    if not is_answered:
        MessageLog.objects.outbound().order_by("-pk").first().delete()
    result = run.of(checks.answered)
    assert result.is_ok is is_answered
    assert len(result.details) == (0 if is_answered else 1)


@pytest.mark.django_db
def test_only_who_writes_without_pause_may_lose_an_answer_by_its_age(run):
    MessageLog.objects.filter(pk=first().pk).update(status=MessageStatus.FAILED, error_code="stale")
    run.journal.calls[0].outcome, run.journal.calls[0].statuses = "dropped", []
    run.journal.customers[0]["chatters"] = True
    assert run.of(checks.missing).is_ok


@pytest.mark.django_db
def test_what_people_have_needs_no_answer(run):
    MessageLog.objects.filter(provider_id="wamid.3").update(epoch=1)
    MessageLog.objects.outbound().order_by("-pk")[:1].get().delete()
    result = run.of(checks.answered)
    assert result.is_ok
    assert "1 with people" in result.figures


@pytest.mark.parametrize(
    ("content", "expects", "is_ok"),
    [
        ("all is well\n", False, True),
        (DATABASE_TROUBLE, True, True),
        (DATABASE_TROUBLE, False, False),
        (CHAINED_TROUBLE, True, True),
        (DATABASE_TROUBLE + OTHER_TROUBLE + DATABASE_TROUBLE, True, False),
        (OTHER_TROUBLE, True, False),
        ("ERROR INCIDENT: session 3 could not be given to people\n", True, False),
        ("ERROR chatbot.incidents: incident opened: token (channel 1) \n", True, True),
        ("ERROR chatbot.incidents: incident opened: media (channel None) \n", True, False),
    ],
)
def test_the_log_is_read_for_trouble(tmp_path, content, expects, is_ok):
    (tmp_path / "worker0.log").write_text(content)
    found = logs.read(tmp_path.glob("*.log"), expects_database_trouble=expects)
    assert found.is_ok is is_ok


@pytest.mark.django_db
def test_the_report_file_holds_every_detail(run, tmp_path):
    run.journal.violations.update({f"fault {number}": 1 for number in range(30)})
    results = [run.of(checks.bodies)]
    for name in ("report.json", "report.txt"):
        report.write(tmp_path / name, run.evidence, results)
        assert (tmp_path / name).read_text().count("fault ") == 30
    assert "… and 10 more in the report file" in report.as_text(run.evidence, results)
