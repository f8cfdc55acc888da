"""The inbound ledger as an admin sees it: what is there, in words, and what can be done with it."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext
from zeal import zeal_ignore

from chatbot import failures, intake, ledger, reprocess_jobs, tasks
from chatbot.models import FailedEvent, FailedEventState, MessageLog, Task, TaskStatus, Worker
from chatbot.tests import stage
from chatbot.tests.recipes import ana, bia, channel
from chatbot.tests.webhook import SECOND_NUMBER, post, post_file, say, text, whatsapp_channel

pytestmark = pytest.mark.django_db

NEW, DONE, IGNORED = FailedEventState.NEW, FailedEventState.DONE, FailedEventState.IGNORED
LIST = "admin:chatbot_failedevent_changelist"


@pytest.fixture(autouse=True)
def _in_portuguese():
    """Whatever language the test before spoke."""
    with translation.override("pt-br"):
        yield


@pytest.fixture
def shop(db):
    return stage.open_shop()


@pytest.fixture
def admin(client):
    client.force_login(ana())
    return client


def fails(monkeypatch, where=intake, name="stored_payload", error=ValueError):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(where, name, fail)


@pytest.fixture
def one_of_each(client, shop, monkeypatch):
    """A body, an item, a step, a number of no channel and a notice, as the webhook leaves them."""
    post(client, b'{"entry": [')
    with monkeypatch.context() as broken:
        fails(broken)
        say(client, text("Quero um orçamento", phone="5511990000001"))
    with monkeypatch.context() as broken:
        broken.setattr("chatbot.turn.step", lambda *args, **more: 1 / 0)
        say(client, text("Olá", phone="5511990000002", name="Érica"))
    value = text("Para outro número", phone="5511990000003")
    value["metadata"]["phone_number_id"] = SECOND_NUMBER
    say(client, value)
    post_file(client, "value_errors_account_level.json")
    names = ("body", "item", "step", "nobody", "notice")
    return dict(zip(names, FailedEvent.objects.order_by("pk"), strict=True))


def page_of(client, event):
    answer = client.get(reverse("admin:chatbot_failedevent_change", args=[event.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def do(client, name, *args, **form):
    return client.post(reverse(f"admin:chatbot_failedevent_{name}", args=args), form)


def act(client, action, *events, **form):
    chosen = [event.pk for event in events]
    return client.post(reverse(LIST), {"action": action, "_selected_action": chosen, **form})


def listed(client, **query):
    answer = client.get(reverse(LIST), query)
    assert answer.status_code == 200
    return {event.pk for event in answer.context["cl"].result_list}


def said(response):
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def work():
    with zeal_ignore():
        return tasks.run_due(limit=20)


# --- The list ----------------------------------------------------------------------------------


def test_each_filter_leaves_what_it_says(admin, one_of_each, shop):
    def left(**query):
        found = listed(admin, **query)
        return {name for name, event in one_of_each.items() if event.pk in found}

    assert left() == set(one_of_each)
    assert left(channel=ledger.NO_CHANNEL) == {"nobody"}
    assert left(channel=shop.pk) == set(one_of_each) - {"nobody"}
    assert left(part="body") == {"body"}
    assert left(part="step") == {"step"}
    assert left(part="item") == {"item", "nobody", "notice"}
    assert left(type="InboundMessage") == {"item", "step", "nobody"}
    assert left(type="AccountNotice") == {"notice"}
    assert left(state__exact="done") == set()
    assert left(since=timezone.localdate().isoformat()) == set(one_of_each)
    assert left(since=(timezone.localdate() + timedelta(days=1)).isoformat()) == set()
    assert left(q="orçamento") == {"item"}
    assert left(q="5511990000003") == {"nobody"}
    assert left(q="érica") <= {"step"}
    assert left(q="Érica") == {"step"}
    assert left(q="malformed") == {"body"}


@pytest.mark.parametrize(
    "query",
    [
        {"channel": "1 OR 1=1"},
        {"channel": "9" * 30},
        {"channel": "²"},
        {"part": "<b>"},
        {"since": "ontem"},
        {"type": "'"},
        {"type": "a\x00"},
        {"channel": "\x00"},
        {"state__exact": "x"},
        {"q": "%_\\'\""},
    ],
)
def test_a_filter_that_means_nothing_leaves_nothing(admin, one_of_each, query):
    assert listed(admin, **query) == set()


def test_the_list_says_what_whose_and_why_without_the_number(admin, one_of_each):
    page = unescape(admin.get(reverse(LIST)).content.decode())
    assert "…0001" in page
    assert "5511990000001" not in page
    assert str(ledger.what(one_of_each["step"])) in page
    assert gettext("The bot's step failed (%(error)s).") % {"error": "ZeroDivisionError"} in page


def test_the_list_costs_the_same_for_many_rows(admin, one_of_each):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            listed(admin)
        return len(captured)

    few = cost()
    for number in range(8):
        FailedEvent.objects.create(
            channel=channel(), error="KeyError", item=one_of_each["item"].item, body=None
        )
        FailedEvent.objects.create(error=f"malformed: {number}", body=b"{" * 1000)
    assert cost() == few


def test_the_list_reads_no_body(admin, one_of_each):
    with CaptureQueriesContext(connection) as captured:
        listed(admin)
    selects = [one["sql"] for one in captured if '"chatbot_failedevent"."error"' in one["sql"]]
    assert selects
    assert not [sql for sql in selects if '"chatbot_failedevent"."body",' in sql]


def test_an_empty_ledger_says_what_it_is_for(admin, db):
    assert gettext("Nothing has failed") in admin.get(reverse(LIST)).content.decode()


# --- One event ---------------------------------------------------------------------------------


def test_a_page_shows_the_item_in_words(admin, one_of_each):
    page = page_of(admin, one_of_each["item"])
    assert "Quero um orçamento" in page
    assert "5511990000001" in page
    assert "ValueError" in page
    assert "intake" in page or "test_ledger.py" in page  # where it failed


def test_a_page_leads_to_the_conversation(admin, one_of_each):
    session = MessageLog.objects.get(failed_events=one_of_each["step"]).session
    assert reverse("conversation", args=[session.pk]) in page_of(admin, one_of_each["step"])


def test_a_page_shows_the_body_as_text(admin, shop):
    event = failures.keep_body(b"<script>alert(1)</script>\xff{", channel=shop, error="KeyError")
    page = page_of(admin, event)
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_an_item_of_another_version_is_shown_as_it_is_stored(admin, shop):
    odd = {"type": "InboundMessage", "item": {"sender": "x", "new": [1, {"a": 2}], "at": "ontem"}}
    for item in (odd, {"type": "Vanished", "item": []}, {"type": ["x"]}, {"kind": "text"}):
        event = FailedEvent.objects.create(channel=shop, error="x", item=item)
        page_of(admin, event)
        do(admin, "process", event.pk)
    assert admin.get(reverse(LIST)).status_code == 200


def test_processing_again_says_what_became_of_it(admin, one_of_each):
    answer = do(admin, "process", one_of_each["item"].pk)
    assert answer.status_code == 302
    assert gettext("Handled.") in said(answer)
    event = FailedEvent.objects.get(pk=one_of_each["item"].pk)
    assert (event.state, event.tries, event.history[0]["by"]) == (DONE, 1, str(ana()))
    assert MessageLog.objects.inbound().filter(text="Quero um orçamento").count() == 1
    do(admin, "process", event.pk)
    event.refresh_from_db()
    assert event.tries == 1
    assert gettext("Handled.") in page_of(admin, event)


def test_a_notice_offers_no_second_try(admin, one_of_each):
    url = reverse("admin:chatbot_failedevent_process", args=[one_of_each["notice"].pk])
    assert url not in page_of(admin, one_of_each["notice"])
    assert url.replace(str(one_of_each["notice"].pk), str(one_of_each["item"].pk)) in page_of(
        admin, one_of_each["item"]
    )


def test_an_unknown_number_is_added_with_one_link_and_then_its_messages_land_there(
    admin, one_of_each
):
    event = one_of_each["nobody"]
    (url,) = re.findall(r'href="(/admin/sessions_app/channel/add/\?[^"]+)"', page_of(admin, event))
    form = admin.get(url.replace("&amp;", "&")).content.decode()
    assert re.search(rf'name="external_id"\s+value="{SECOND_NUMBER}"', form)
    assert 'value="551130000000"' in form
    whatsapp_channel(slug="segundo", external_id=SECOND_NUMBER, is_default=False)
    do(admin, "process", event.pk)
    assert MessageLog.objects.inbound().get(text="Para outro número").channel.slug == "segundo"
    assert "channel/add" not in page_of(admin, event)


def test_an_event_is_ignored_with_a_reason_and_taken_up_again(admin, one_of_each):
    event = one_of_each["notice"]
    do(admin, "ignore", event.pk, reason="  ")
    event.refresh_from_db()
    assert event.state == NEW
    do(admin, "ignore", event.pk, reason="Já resolvido com a Meta <b>")
    event.refresh_from_db()
    assert (event.state, event.outcome) == (IGNORED, "Já resolvido com a Meta <b>")
    assert "Meta &lt;b&gt;" in page_of(admin, event)
    do(admin, "take_up", event.pk)
    event.refresh_from_db()
    assert event.state == NEW
    assert [line["did"] for line in event.history] == ["ignored", "reopened"]


def test_what_was_settled_meanwhile_is_not_ignored(admin, one_of_each):
    event = one_of_each["item"]
    do(admin, "process", event.pk)
    answer = do(admin, "ignore", event.pk, reason="tarde")
    assert gettext("Somebody has settled it meanwhile. Look at it again.") in said(answer)
    event.refresh_from_db()
    assert event.state == DONE


# --- Many events -------------------------------------------------------------------------------


def test_all_that_match_are_processed_and_the_page_shows_how_far(admin, one_of_each):
    page = admin.get(reverse(LIST), {"type": "InboundMessage"})
    assert page.context["waiting"] == 3
    answer = do(admin, "process_all", type="InboundMessage")
    task = Task.objects.get()
    assert answer.url == reverse("admin:chatbot_failedevent_job", args=[task.pk])
    assert "hx-get" in admin.get(answer.url).content.decode()
    work()
    state = reverse("admin:chatbot_failedevent_job_state", args=[task.pk])
    fragment = admin.get(state).content.decode()
    assert "hx-get" not in fragment
    assert "<html" not in fragment
    progress = reprocess_jobs.progress_of(Task.objects.get())
    assert (progress.total, progress.handled, progress.failed) == (3, 2, 1)
    one_of_each["body"].refresh_from_db()
    assert one_of_each["body"].tries == 0


def test_pressed_twice_the_second_shows_the_first(admin, one_of_each):
    first = do(admin, "process_all")
    second = do(admin, "process_all")
    assert first.url == second.url
    assert Task.objects.count() == 1
    assert gettext("This is under way already.") in said(second)
    assert (
        reverse("admin:chatbot_failedevent_job", args=[Task.objects.get().pk])
        in admin.get(reverse(LIST)).content.decode()
    )


def test_the_page_of_a_job_says_when_no_worker_is_there(admin, one_of_each):
    url = do(admin, "process_all").url
    words = gettext("No worker is running. The work goes on as soon as one is there.")
    assert words in admin.get(url).content.decode()
    now = timezone.now()
    Worker.objects.create(name="w", started_at=now, beat_at=now)
    assert words not in admin.get(url).content.decode()


def test_a_job_is_cancelled_from_its_page(admin, one_of_each):
    do(admin, "process_all")
    task = Task.objects.get()
    do(admin, "job_cancel", task.pk)
    task.refresh_from_db()
    assert task.status == TaskStatus.DROPPED
    assert work() == 0
    page = admin.get(reverse("admin:chatbot_failedevent_job", args=[task.pk])).content.decode()
    assert reverse("admin:chatbot_failedevent_job_state", args=[task.pk]) not in page
    assert gettext("It was over already.") in said(do(admin, "job_cancel", task.pk))


def test_chosen_rows_are_processed_by_a_job_of_their_own(admin, one_of_each):
    answer = act(admin, "process_again", one_of_each["item"], one_of_each["body"])
    assert answer.status_code == 302
    work()
    assert reprocess_jobs.progress_of(Task.objects.get()).total == 2
    one_of_each["nobody"].refresh_from_db()
    assert one_of_each["nobody"].tries == 0


def test_chosen_rows_that_do_not_wait_begin_no_job(admin, one_of_each):
    FailedEvent.objects.update(state=DONE)
    act(admin, "process_again", one_of_each["item"])
    assert not Task.objects.exists()


def test_chosen_rows_are_ignored_after_a_reason_and_taken_up_again(admin, one_of_each):
    rows = [one_of_each["body"], one_of_each["notice"]]
    question = act(admin, "ignore_chosen", *rows)
    assert question.status_code == 200
    assert FailedEvent.objects.filter(state=IGNORED).count() == 0
    with zeal_ignore():  # each under its own lock
        act(admin, "ignore_chosen", *rows, reason="teste da Meta")
        ignored = FailedEvent.objects.filter(state=IGNORED, outcome="teste da Meta")
        assert set(ignored) == set(rows)
        act(admin, "take_up_chosen", *rows)
    assert not FailedEvent.objects.filter(state=IGNORED).exists()


def test_a_nul_in_a_form_breaks_nothing(admin, one_of_each):
    answer = do(admin, "process_all", q="a\x00", type="\x00")
    assert answer.url == reverse(LIST)
    assert not Task.objects.exists()
    assert admin.get(reverse(LIST), {"q": "\x00"}).status_code == 200
    do(admin, "ignore", one_of_each["body"].pk, reason="teste\x00")
    one_of_each["body"].refresh_from_db()
    assert one_of_each["body"].outcome == "teste\ufffd"


# --- Who may -----------------------------------------------------------------------------------


def test_attendants_and_strangers_see_nothing_of_it(client, one_of_each):
    task, _new = reprocess_jobs.start(by="Ana", now=timezone.now())
    pk = one_of_each["item"].pk
    ways = [
        ("get", "changelist", []),
        ("get", "change", [pk]),
        ("post", "changelist", []),
        ("post", "process", [pk]),
        ("post", "ignore", [pk]),
        ("post", "take_up", [pk]),
        ("post", "process_all", []),
        ("get", "job", [task.pk]),
        ("get", "job_state", [task.pk]),
        ("post", "job_cancel", [task.pk]),
    ]
    before = list(FailedEvent.objects.order_by("pk").values()), list(Task.objects.values())
    for person, expected in ((None, {302}), (bia(), {403, 404})):
        client.logout()
        if person:
            client.force_login(person)
        for method, name, args in ways:
            url = reverse(f"admin:chatbot_failedevent_{name}", args=args)
            form = {"reason": "x", "action": "process_again", "_selected_action": [pk]}
            answer = getattr(client, method)(url, form)
            assert answer.status_code in expected, (name, answer.status_code)
    assert before == (
        list(FailedEvent.objects.order_by("pk").values()),
        list(Task.objects.values()),
    )


@pytest.mark.parametrize("name", ["process", "ignore", "take_up", "job_cancel"])
def test_nothing_is_done_by_following_a_link(admin, one_of_each, name):
    task, _new = reprocess_jobs.start(by="Ana", now=timezone.now())
    pk = task.pk if name == "job_cancel" else one_of_each["item"].pk
    assert admin.get(reverse(f"admin:chatbot_failedevent_{name}", args=[pk])).status_code == 403


def test_the_page_of_another_kind_of_task_is_none_of_a_job(admin, shop):
    task = Task.objects.create(kind="wait", run_at=timezone.now())
    for name in ("job", "job_state"):
        url = reverse(f"admin:chatbot_failedevent_{name}", args=[task.pk])
        assert admin.get(url).status_code == 404
    assert do(admin, "job_cancel", task.pk).status_code == 404
