"""From the outbox to the provider: what is tried again, what waits, what fails and says why."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.utils import timezone

from chatbot import delivery
from chatbot import statuses as statuses_module
from chatbot.channels import http
from chatbot.conversation import ReplyHeld, ReplyRefused, Seen, send_reply
from chatbot.delivery import CannotSendAgain, deliver_pending, send_again, settle_unconfirmed
from chatbot.models import Author, MessageLog, MessageStatus, MessageTemplate
from chatbot.statuses import UNCONFIRMED
from chatbot.tests import stage
from chatbot.tests.webhook import say, status, text
from sessions_app.models import Channel, Owner, Session
from tickets import services as tickets
from tickets.errors import TicketConflict
from tickets.models import Ticket, TicketStatus
from users.tests.recipes import ana, bia

pytestmark = pytest.mark.django_db

QUEUED, SENDING, SENT = MessageStatus.QUEUED, MessageStatus.SENDING, MessageStatus.SENT
DELIVERED, READ, FAILED = MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.FAILED
SUPERSEDED = MessageStatus.SUPERSEDED


@pytest.fixture
def shop(db):
    return stage.open_shop()


@pytest.fixture
def davi(shop):
    return stage.talk(shop)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setitem(http.post_json.__kwdefaults__, "timeout", (1.0, 0.2))


def later(**delta):
    return time_machine.travel(timezone.now() + timedelta(**delta), tick=True)


def told(client, row, value, provider_id="", **more):
    """A status of `row`, found by the provider's id or else by ours."""
    if not provider_id:
        row = MessageLog.objects.filter(pk=row.pk).first() or row  # with the number of its try
        more = {"biz_opaque_callback_data": row.callback_data, **more}
    answer = say(client, status(provider_id or "wamid.desconhecida", value, **more))
    assert answer.status_code == 200


def texts(graph_api):
    return [sent.text for sent in graph_api.messages]


# --- Tried again -------------------------------------------------------------------------------


def test_throttling_backs_off_the_number_and_goes_out_later_in_order(shop, davi, graph_api):
    rows = stage.queued(davi, "Um", "Dois")
    other = stage.queued(stage.talk(shop), "Outro")
    graph_api.fail("error_130429.json")
    assert deliver_pending() == {"queued": 1}
    row = stage.fresh(rows[0])
    assert (row.error_code, row.attempts, row.locked_until) == ("130429", 0, None)
    assert timezone.now() < row.run_at < timezone.now() + timedelta(seconds=10)
    assert deliver_pending() == {}  # the whole number waits
    assert stage.statuses([*rows, *other]) == [QUEUED] * 3
    with later(seconds=10):
        deliver_pending()
    assert stage.statuses([*rows, *other]) == [SENT] * 3
    assert stage.received_by_each(graph_api)[davi.identity.send_to] == ["Um", "Dois"]
    assert stage.fresh(rows[0]).error_code == ""


def test_each_wait_is_longer_and_after_the_last_try_it_has_failed(davi, graph_api):
    row = stage.queued(davi, "Um")[0]
    graph_api.fail("error_131056.json", times=None)
    waits = []
    moment = timezone.now()
    while stage.fresh(row).status == QUEUED:
        with time_machine.travel(moment, tick=False):
            deliver_pending()
            waits.append(stage.fresh(row).run_at - moment)
            moment = stage.fresh(row).run_at + timedelta(seconds=1)
    assert stage.fresh(row).attempts == len(waits) == 5
    assert waits[:-2] == sorted(waits[:-2])
    assert waits[0] < waits[3]
    row = stage.fresh(row)
    assert (row.status, row.error_code) == (FAILED, "131056")
    assert len([one for one in graph_api.requests if one.method == "POST"]) == 5


def test_the_limit_of_a_pair_holds_back_that_customer_alone(shop, davi, graph_api):
    mine = stage.queued(davi, "Um", "Dois")
    other = stage.queued(stage.talk(shop), "Outro")
    graph_api.fail("error_131056.json", to=f"+{davi.identity.send_to}")
    graph_api.fail("error_131056.json", to=davi.identity.send_to)
    deliver_pending()
    assert stage.statuses([*mine, *other]) == [QUEUED, QUEUED, SENT]
    assert Channel.objects.get().paused_until is None
    with later(seconds=10):
        deliver_pending()
    assert stage.statuses(mine) == [SENT, SENT]


def test_a_refused_connection_is_tried_again(davi, graph_api, settings):
    settings.GRAPH_API_URL, url = "http://127.0.0.1:9", settings.GRAPH_API_URL
    row = stage.queued(davi, "Um")[0]
    deliver_pending()
    assert stage.statuses([row]) == [QUEUED]
    settings.GRAPH_API_URL = url
    with later(seconds=10):
        deliver_pending()
    assert texts(graph_api) == ["Um"]


def test_an_expired_token_pauses_the_channel_keeps_the_queue_and_burns_no_try(
    shop, davi, graph_api
):
    rows = stage.queued(davi, "Um", "Dois") + stage.queued(stage.talk(shop), "Outro")
    graph_api.fail("error_190.json", times=None)
    for hours in range(3):
        with later(minutes=4 * hours):
            deliver_pending()
    assert stage.statuses(rows) == [QUEUED] * 3
    assert {stage.fresh(row).attempts for row in rows} == {0}
    channel = Channel.objects.get()
    assert channel.paused_until > timezone.now()
    assert "190" in channel.pause_reason
    graph_api.reset()
    with later(minutes=14):
        deliver_pending()
    assert stage.statuses(rows) == [SENT] * 3


def test_a_persons_row_outlives_a_pause_and_a_bots_answer_is_stale_by_then(davi, graph_api):
    bot = stage.queued(davi, "Robô")[0]
    graph_api.fail("error_190.json")
    deliver_pending()
    reply = send_reply(davi, user=bia(), text="Bia", at=timezone.now())
    with later(minutes=20):
        deliver_pending()
    assert stage.statuses([bot, reply]) == [SUPERSEDED, SENT]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("error_100_invalid_parameter.json", "100"),
        ("error_132001.json", "132001"),
        ("error_131062.json", "131062"),
    ],
)
def test_a_refusal_for_good_says_the_providers_code_and_the_next_row_goes(
    davi, graph_api, file, code
):
    rows = stage.queued(davi, "Um", "Dois")
    graph_api.fail(file)
    deliver_pending()
    assert stage.statuses(rows) == [FAILED, SENT]
    row = stage.fresh(rows[0])
    assert (row.error_code, row.attempts) == (code, 1)
    assert row.error_detail
    assert row.failed_at


# --- Nobody knows ------------------------------------------------------------------------------


@pytest.mark.parametrize("play", ["hang", "cut", "502"])
def test_what_may_have_arrived_is_never_sent_again(davi, graph_api, impatient, play):
    rows = stage.queued(davi, "Um", "Dois")
    if play == "502":
        graph_api.answer(502, "<html>Bad Gateway</html>")
    else:
        getattr(graph_api, play)()
    deliver_pending()
    with later(minutes=1):
        deliver_pending()
    assert stage.statuses(rows) == [SENDING, QUEUED]
    assert len([one for one in graph_api.requests if one.method == "POST"]) == 1


def test_a_status_with_our_own_id_settles_what_nobody_knew(client, davi, graph_api, impatient):
    rows = stage.queued(davi, "Um", "Dois")
    graph_api.hang()
    deliver_pending()
    told(client, rows[0], "delivered")
    row = stage.fresh(rows[0])
    assert (row.status, row.provider_id) == (DELIVERED, "wamid.desconhecida")
    deliver_pending()
    assert stage.statuses(rows) == [DELIVERED, SENT]
    told(client, rows[0], "read", provider_id="wamid.desconhecida")
    assert stage.statuses(rows) == [READ, SENT]


def test_without_a_status_it_is_shown_as_unconfirmed_and_the_next_row_goes(davi, graph_api):
    rows = stage.queued(davi, "Um", "Dois")
    graph_api.cut()
    deliver_pending()
    assert settle_unconfirmed(now=timezone.now() + timedelta(minutes=2, seconds=50)) == 0
    assert settle_unconfirmed(now=timezone.now() + timedelta(minutes=3, seconds=10)) == 1
    row = stage.fresh(rows[0])
    assert (row.status, row.error_code) == (FAILED, UNCONFIRMED)
    assert row.error_detail
    deliver_pending()
    assert stage.statuses(rows) == [FAILED, SENT]


def test_a_status_after_that_still_moves_it_forward(client, davi, graph_api):
    row = stage.queued(davi, "Um")[0]
    graph_api.cut()
    deliver_pending()
    settle_unconfirmed(now=timezone.now() + timedelta(minutes=4))
    told(client, row, "sent")
    row = stage.fresh(row)
    assert (row.status, row.error_code, row.error_detail) == (SENT, "", "")


def test_an_answer_after_that_still_counts(davi, graph_api, monkeypatch):
    """The call was so slow that its row was settled before it came back."""
    record = delivery._record_sent

    def settle_first(message, sent, *, now):
        assert settle_unconfirmed(now=now + timedelta(minutes=4)) == 1
        record(message, sent, now=now)

    monkeypatch.setattr(delivery, "_record_sent", settle_first)
    row = stage.queued(davi, "Um")[0]
    deliver_pending()
    row = stage.fresh(row)
    assert (row.status, row.error_code, row.failed_at) == (SENT, "", None)
    assert row.provider_id


# --- The ninth digit ----------------------------------------------------------------------------

NOBODY = {"error": {"message": "(#131026) Message undeliverable", "code": 131026}}
UNDELIVERABLE = {"errors": [{"code": 131026, "title": "Message undeliverable"}]}


def receivers(graph_api):
    return [one.to.removeprefix("+") for one in graph_api.requests if one.method == "POST"]


@pytest.fixture
def typed(davi):
    """A number that a person typed: nobody knows the form that WhatsApp uses."""
    davi.identity.send_to = davi.identity.address
    davi.identity.save(update_fields=["send_to"])
    number = davi.identity.address
    return number, number[:4] + number[5:]


def test_nobody_at_one_form_of_a_number_means_one_try_at_the_other(client, davi, typed, graph_api):
    row, _following = stage.queued(davi, "Um", "Dois")
    graph_api.answer(400, NOBODY)
    assert deliver_pending() == {"queued": 1, "sent": 2}
    assert receivers(graph_api)[:2] == list(typed)
    told(client, row, "delivered", stage.fresh(row).provider_id)
    davi.identity.refresh_from_db()
    assert davi.identity.send_to == typed[1]
    stage.queued(davi, "Três")
    deliver_pending()
    assert receivers(graph_api)[-1] == typed[1]


def test_a_late_failure_means_the_same(client, davi, typed, graph_api):
    row = stage.queued(davi, "Um")[0]
    deliver_pending()
    told(client, row, "failed", stage.fresh(row).provider_id, **UNDELIVERABLE)
    deliver_pending()
    assert receivers(graph_api) == list(typed)
    assert stage.statuses([row]) == [SENT]


def test_nobody_at_both_forms_is_a_failure_and_marks_the_address(davi, typed, graph_api):
    row = stage.queued(davi, "Um")[0]
    graph_api.answer(400, NOBODY, times=2)
    deliver_pending()
    assert receivers(graph_api) == list(typed)
    assert (stage.fresh(row).status, stage.fresh(row).error_code) == (FAILED, "131026")
    davi.identity.refresh_from_db()
    assert davi.identity.unreachable_at


def test_the_form_that_a_customer_writes_from_is_not_doubted(client, shop, graph_api):
    say(client, text("Oi", phone="5511990000001"))
    graph_api.answer(400, NOBODY)
    deliver_pending()
    assert receivers(graph_api) == ["5511990000001"]
    assert MessageLog.objects.outbound().get().status == FAILED


def test_a_landline_has_no_other_form(shop, graph_api):
    landline = stage.talk(shop)
    landline.identity.address = landline.identity.send_to = "551130000009"
    landline.identity.save()
    row = stage.queued(landline, "Um")[0]
    graph_api.answer(400, NOBODY)
    deliver_pending()
    assert receivers(graph_api) == ["551130000009"]
    assert stage.statuses([row]) == [FAILED]


# --- Statuses ----------------------------------------------------------------------------------


def test_a_status_that_is_faster_than_the_answer_is_not_lowered(
    client, davi, graph_api, monkeypatch
):
    record = delivery._record_sent

    def after_the_status(message, sent, *, now):
        told(client, message, "read")
        record(message, sent, now=now)

    monkeypatch.setattr(delivery, "_record_sent", after_the_status)
    row = stage.queued(davi, "Um")[0]
    assert deliver_pending() == {"read": 1}
    row = stage.fresh(row)
    assert row.sent_at
    assert row.read_at
    assert row.provider_id == "wamid.desconhecida"


@pytest.mark.parametrize(("value", "more"), [("sent", {}), ("failed", {"errors": [{"code": 2}]})])
def test_what_is_told_again_of_a_failed_try_is_no_news_of_the_next(
    client, davi, graph_api, monkeypatch, value, more
):
    """The first try was taken and failed; while the second is under way the provider repeats what
    it said of the first."""
    row = stage.queued(davi, "Um")[0]
    deliver_pending()
    first = stage.fresh(row)
    told(client, row, "failed", first.provider_id, errors=[{"code": 2, "title": "Service"}])
    assert stage.statuses([row]) == [QUEUED]
    record = delivery._record_sent

    def after_the_repetition(message, sent, *, now):
        again = status(
            first.provider_id, value, biz_opaque_callback_data=first.callback_data, **more
        )
        assert say(client, again).status_code == 200
        record(message, sent, now=now)

    monkeypatch.setattr(delivery, "_record_sent", after_the_repetition)
    with later(minutes=5):
        assert deliver_pending() == {"sent": 1}
    second = stage.fresh(row)
    assert second.provider_id not in {"", first.provider_id}
    told(client, row, "read", second.provider_id)
    assert stage.statuses([row]) == ["read"]
    assert len(graph_api.messages) == 2


@pytest.mark.parametrize(("value", "more"), [("sent", {}), ("failed", {"errors": [{"code": 2}]})])
@pytest.mark.parametrize("has_begun_again", [False, True])
def test_two_statuses_of_one_call_at_once_leave_the_next_try_alone(
    client, davi, graph_api, monkeypatch, value, more, has_begun_again
):
    """While one process has read the row, another puts it back into the outbox, and perhaps a
    worker begins the next try."""
    row = stage.queued(davi, "Um")[0]
    deliver_pending()
    provider_id = stage.fresh(row).provider_id
    read = statuses_module._row_of

    def overtaken(channel, item):
        found = read(channel, item)
        monkeypatch.setattr(statuses_module, "_row_of", read)
        told(client, row, "failed", provider_id, errors=[{"code": 2, "title": "Service"}])
        if has_begun_again:
            MessageLog.objects.filter(pk=row.pk).update(status="sending", attempts=2)
        return found

    monkeypatch.setattr(statuses_module, "_row_of", overtaken)
    told(client, row, value, provider_id, **more)
    now = stage.fresh(row)
    assert (now.status, now.attempts) == (("sending", 2) if has_begun_again else (QUEUED, 1))
    assert (now.provider_id, now.sent_at) == ("", None)


def test_a_failure_that_is_faster_than_the_answer_goes_out_once_more(
    client, davi, graph_api, monkeypatch
):
    """The old answer must not stick to the row that waits for its second try."""
    record = delivery._record_sent
    throttled = {"errors": [{"code": 131056, "title": "pair rate limit"}]}

    def after_the_status(message, sent, *, now):
        if message.attempts == 1:
            told(client, message, "failed", **throttled)
        record(message, sent, now=now)

    monkeypatch.setattr(delivery, "_record_sent", after_the_status)
    row = stage.queued(davi, "Um")[0]
    assert deliver_pending() == {"queued": 1}
    assert (stage.fresh(row).provider_id, stage.fresh(row).sent_at) == ("", None)
    told(client, row, "sent")  # of the first try, late
    assert stage.statuses([row]) == [QUEUED]
    with later(minutes=1):
        assert deliver_pending() == {"sent": 1}
    assert stage.fresh(row).provider_id == "wamid.graph000000000002"


@pytest.fixture
def sent_row(davi, graph_api):
    row = stage.queued(davi, "Um")[0]
    deliver_pending()
    return stage.fresh(row)


@pytest.mark.parametrize(
    ("said", "ends_as"),
    [
        (["delivered", "sent"], DELIVERED),
        (["read", "delivered", "sent"], READ),
        (["read", "read"], READ),
        (["failed", "delivered"], DELIVERED),
        (["delivered", "failed"], DELIVERED),
        (["failed", "sent"], FAILED),
    ],
    ids="-".join,
)
def test_statuses_in_any_order_only_move_forward(client, sent_row, said, ends_as):
    for value in said:
        more = {"errors": [{"code": 131049, "title": "x"}]} if value == "failed" else {}
        told(client, sent_row, value, sent_row.provider_id, **more)
    assert stage.statuses([sent_row]) == [ends_as]


def test_a_failed_message_keeps_the_code_that_came_with_its_status(client, sent_row):
    code = {"errors": [{"code": 131049, "title": "Not delivered to keep people engaged"}]}
    told(client, sent_row, "failed", sent_row.provider_id, **code)
    assert stage.fresh(sent_row).error_code == "131049"
    told(client, sent_row, "delivered", sent_row.provider_id)
    assert stage.fresh(sent_row).error_code == ""


def test_a_status_of_somebody_elses_message_changes_nothing(client, sent_row):
    inbound = say(client, text("Oi"))
    assert inbound.status_code == 200
    before = list(MessageLog.objects.order_by("pk").values())
    told(client, sent_row, "read", "wamid.alheia")
    stranger = MessageLog(pk=10**12)
    told(client, stranger, "read")
    told(client, MessageLog.objects.inbound().get(), "read")
    assert list(MessageLog.objects.order_by("pk").values()) == before


# --- Too late ----------------------------------------------------------------------------------


def test_an_answer_of_the_bot_older_than_fifteen_minutes_is_stale(davi, graph_api):
    rows = stage.queued(davi, "Velha", created_at=timezone.now() - timedelta(minutes=16))
    rows += stage.queued(davi, "Nova", created_at=timezone.now() - timedelta(minutes=14))
    deliver_pending()
    assert stage.statuses(rows) == [FAILED, SENT]
    assert stage.fresh(rows[0]).error_code == "stale"
    assert texts(graph_api) == ["Nova"]


def test_after_the_window_a_person_is_told_what_to_do_and_a_template_goes(davi, graph_api):
    Session.objects.update(window_expires_at=timezone.now() - timedelta(seconds=1))
    reply, *_rest = stage.queued(davi, "Oi", author=Author.ATTENDANT)
    MessageTemplate.objects.create(
        channel=davi.channel, name="retorno", status="approved", category="UTILITY"
    )
    model = {"template": {"name": "retorno", "language": "pt_BR", "components": []}}
    template, *_rest = stage.queued(
        davi, "", author=Author.ATTENDANT, kind="template", payload=model
    )
    deliver_pending()
    assert stage.statuses([reply, template]) == [FAILED, SENT]
    row = stage.fresh(reply)
    assert row.error_code == "window_closed"
    assert row.error_detail
    assert [sent.body["type"] for sent in graph_api.messages] == ["template"]


def test_a_reply_outside_the_window_is_refused_and_nothing_changes(davi):
    Session.objects.update(window_expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(ReplyRefused) as refusal:
        send_reply(davi, user=bia(), text="Oi", at=timezone.now())
    assert refusal.value.code == "window_closed"
    assert not MessageLog.objects.exists()
    assert Session.objects.get().owner == Owner.BOT


def test_a_persons_old_row_goes_while_the_window_is_open(davi, graph_api):
    old = timezone.now() - timedelta(hours=5)
    stage.queued(davi, "Oi", author=Author.ATTENDANT, created_at=old)
    assert deliver_pending() == {"sent": 1}


def test_a_silenced_row_holds_nothing_back_though_it_is_not_due(davi, graph_api):
    in_an_hour = timezone.now() + timedelta(hours=1)
    bot = stage.queued(davi, "Robô", run_at=in_an_hour)[0]
    reply = send_reply(davi, user=bia(), text="Bia", at=timezone.now())
    deliver_pending()
    assert stage.statuses([bot, reply]) == [SUPERSEDED, SENT]
    assert texts(graph_api) == ["Bia"]


def test_a_row_that_is_sending_holds_back_even_a_person(davi, graph_api):
    """It may be on its way: the conversation keeps its order."""
    bot = stage.queued(davi, "Robô", status=SENDING, locked_until=timezone.now())[0]
    reply = send_reply(davi, user=bia(), text="Bia", at=timezone.now())
    assert deliver_pending() == {}
    MessageLog.objects.filter(pk=bot.pk).update(status=SENT)
    deliver_pending()
    assert stage.statuses([bot, reply]) == [SENT, SENT]


def test_the_text_of_the_handoff_is_sent_although_the_owner_changed(client, shop, graph_api):
    stage.put_on_air(stage.ask_name())
    say(client, text("Oi"))
    deliver_pending()
    say(client, text("Davi"))
    assert Session.objects.get().owner == Owner.QUEUE
    deliver_pending()
    assert texts(graph_api) == ["Qual é o seu nome?", "Já vem gente."]


# --- Once more, by hand ------------------------------------------------------------------------


@pytest.fixture
def failed_reply(davi, graph_api):
    reply = send_reply(davi, user=bia(), text="Bia", at=timezone.now())
    graph_api.fail("error_100_invalid_parameter.json")
    deliver_pending()
    return stage.fresh(reply)


def test_a_failed_row_is_sent_again_as_a_new_one_and_only_once(failed_reply, graph_api):
    again = send_again(failed_reply, user=bia())
    with pytest.raises(CannotSendAgain):
        send_again(failed_reply, user=bia())
    assert deliver_pending() == {"sent": 1}
    assert texts(graph_api) == ["Bia"]
    assert stage.statuses([failed_reply, again]) == [FAILED, SENT]


def test_what_was_delivered_is_not_sent_again(sent_row):
    with pytest.raises(CannotSendAgain):
        send_again(sent_row, user=bia())


def test_a_persons_words_are_not_sent_again_once_the_bot_has_the_conversation(failed_reply):
    ticket = tickets.open_ticket_of(Session.objects.get())
    tickets.close_ticket(ticket, actor=bia(), then=tickets.Next.BOT)
    with pytest.raises(CannotSendAgain):
        send_again(failed_reply, user=bia())


def test_what_a_colleague_has_is_not_sent_again_by_who_only_sees_it(failed_reply):
    with pytest.raises(TicketConflict) as refusal:
        send_again(failed_reply, user=ana())
    assert refusal.value.holder == bia()
    assert MessageLog.objects.outbound().get() == failed_reply
    assert "sent_again_as" not in stage.fresh(failed_reply).payload


def test_what_is_sent_again_from_the_queue_is_an_answer(failed_reply):
    tickets.release(tickets.open_ticket_of(Session.objects.get()), actor=bia())
    Ticket.objects.update(first_response_at=None)
    send_again(failed_reply, user=bia())
    ticket, session = Ticket.objects.get(), Session.objects.get()
    assert (ticket.assignee, ticket.status) == (bia(), TicketStatus.WAITING_CUSTOMER)
    assert ticket.first_response_at is not None
    assert (session.owner, session.last_message_preview) == (Owner.ATTENDANT, "Bia")


def test_what_a_colleague_has_answered_meanwhile_is_read_first(failed_reply):
    session, seen = Session.objects.get(), Seen(failed_reply.pk, bia().pk)
    tickets.release(tickets.open_ticket_of(session), actor=bia())
    send_reply(session, user=ana(), text="Já vi isso.")
    tickets.release(tickets.open_ticket_of(session), actor=ana())
    with pytest.raises(ReplyHeld):
        send_again(failed_reply, user=bia(), seen=seen)
    assert Ticket.objects.get().assignee is None


def test_what_may_not_be_said_any_more_is_not_sent_again(failed_reply):
    Session.objects.update(window_expires_at=timezone.now())
    with pytest.raises(CannotSendAgain) as refusal:
        send_again(failed_reply, user=bia())
    assert refusal.value.code == "window_closed"


def test_the_same_click_twice_is_one_reply(davi, graph_api):
    click, user = uuid4(), bia()
    replies = {
        send_reply(davi, user=user, text="Oi", client_id=click, at=timezone.now()).pk
        for _ in range(3)
    }
    assert len(replies) == 1
    deliver_pending()
    assert texts(graph_api) == ["Oi"]


@pytest.mark.parametrize("kind", ["text", "image", "template", "inexistente"])
def test_a_content_that_cannot_be_built_fails_and_does_not_hold_back(davi, graph_api, kind):
    broken, following = stage.queued(davi, "", kind=kind) + stage.queued(davi, "Oi")
    deliver_pending()
    assert stage.statuses([broken, following]) == [FAILED, SENT]
    assert stage.fresh(broken).error_code
    assert texts(graph_api) == ["Oi"]


def test_a_row_whose_address_was_erased_fails_and_says_so(davi, graph_api):
    row = stage.queued(davi, "Oi", identity=None)[0]
    deliver_pending()
    assert (stage.fresh(row).status, stage.fresh(row).error_code) == (FAILED, "no_address")
