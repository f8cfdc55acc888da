"""The customer's side of a ticket's life: silence, the survey, and coming back."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chatbot.conversation import send_reply
from chatbot.models import Flow, FlowRun, MessageLog
from chatbot.sentences import SENTENCES
from chatbot.silent_tickets import mind_silent_tickets
from chatbot.tests import stage
from chatbot.tests.webhook import button, message, say, text
from chatbot.worker import periodic
from sessions_app.models import Owner, Session
from sessions_app.services import lock_session
from tickets import services, silence
from tickets.models import Notification, NotificationKind, Ticket, TicketEventKind, TicketStatus
from tickets.services import Next
from users.errors import DomainError
from users.models import Availability, Department
from users.services import make_fallback
from users.tests.racing import at_once
from users.tests.recipes import ana, bia, caio, department

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GREETING = "atendimento"


@pytest.fixture
def shop(db):
    make_fallback(department("vendas"))
    return stage.open_shop()


@pytest.fixture
def talk(shop, client):
    """Davi has written, asked for people, and Bia has answered: it is his turn."""
    say(client, text("Oi"))
    say(client, text("atendente"))
    say(client, text("Meu boleto venceu"))
    user = bia(availability=Availability.AVAILABLE)
    send_reply(Session.objects.get(), user=user, text="Já envio a segunda via.")
    return Ticket.objects.get()


def fresh(ticket):
    return Ticket.objects.select_related("session").get(pk=ticket.pk)


def said():
    """What we said last."""
    return MessageLog.objects.outbound().order_by("-pk").values_list("text", flat=True).first()


def kinds(ticket):
    return list(ticket.events.order_by("pk").values_list("kind", flat=True))


def resolve(ticket, then=Next.BOT, entry="pesquisa", **more):
    return services.resolve(fresh(ticket), actor=bia(), then=then, entry=entry, **more)


# --- Silence -----------------------------------------------------------------------------------


def minded(**fields):
    """Vendas warns after two hours and closes after five."""
    values = {"warn_silent_after_hours": 2, "close_silent_after_hours": 5, **fields}
    Department.objects.filter(slug="vendas").update(**values)


def test_a_silent_customer_is_warned_once_and_then_the_ticket_is_closed(talk):
    minded()
    now = timezone.now()
    assert mind_silent_tickets(now=now + HOUR) == {"warned": 0, "closed": 0}
    assert mind_silent_tickets(now=now + 2 * HOUR) == {"warned": 1, "closed": 0}
    assert said() == SENTENCES["silent"]
    assert mind_silent_tickets(now=now + 4 * HOUR) == {"warned": 0, "closed": 0}
    assert mind_silent_tickets(now=now + 6 * HOUR) == {"warned": 0, "closed": 1}
    ticket = fresh(talk)
    assert (ticket.status, ticket.session.is_live) == (TicketStatus.CLOSED, False)
    assert kinds(talk)[-2:] == [TicketEventKind.WARNED, TicketEventKind.CLOSED]
    assert ticket.events.first().details["why"] == "silence"


def test_a_warning_does_not_take_the_ticket_from_anybody(talk):
    minded()
    mind_silent_tickets(now=timezone.now() + 2 * HOUR)
    ticket = fresh(talk)
    assert (ticket.assignee, ticket.session.owner) == (bia(), Owner.ATTENDANT)
    assert (ticket.status, ticket.unread) == (TicketStatus.WAITING_CUSTOMER, 0)


def test_who_answers_is_not_silent_any_more(talk, client):
    minded()
    mind_silent_tickets(now=timezone.now() + 2 * HOUR)
    say(client, text("Recebi, obrigado"))
    assert fresh(talk).silence_warned_at is None
    assert mind_silent_tickets(now=timezone.now() + 9 * HOUR) == {"warned": 0, "closed": 0}
    assert fresh(talk).status == TicketStatus.IN_PROGRESS


def test_what_we_write_once_more_may_be_answered_first(talk):
    minded()
    now = timezone.now()
    mind_silent_tickets(now=now + 2 * HOUR)
    send_reply(fresh(talk).session, user=bia(), text="Deu certo?", at=now + 4 * HOUR)
    assert mind_silent_tickets(now=now + 5 * HOUR) == {"warned": 0, "closed": 0}
    assert mind_silent_tickets(now=now + 6 * HOUR) == {"warned": 1, "closed": 0}


def test_outside_the_service_window_nobody_is_warned_and_the_ticket_is_closed_in_time(talk):
    minded(warn_silent_after_hours=30, close_silent_after_hours=40)
    now, before = timezone.now(), MessageLog.objects.count()
    assert mind_silent_tickets(now=now + 31 * HOUR) == {"warned": 0, "closed": 0}
    assert mind_silent_tickets(now=now + 40 * HOUR) == {"warned": 0, "closed": 1}
    assert MessageLog.objects.count() == before


def test_a_late_warning_leaves_the_whole_time_between_warning_and_end(talk):
    minded()
    now = timezone.now()
    assert mind_silent_tickets(now=now + 9 * HOUR) == {"warned": 1, "closed": 0}
    assert mind_silent_tickets(now=now + 11 * HOUR) == {"warned": 0, "closed": 0}
    assert mind_silent_tickets(now=now + 12 * HOUR) == {"warned": 0, "closed": 1}


def test_nobody_is_warned_while_the_department_is_closed(talk, monkeypatch):
    minded()
    monkeypatch.setattr(Department, "is_open", lambda self, at: False)
    assert mind_silent_tickets(now=timezone.now() + 3 * HOUR) == {"warned": 0, "closed": 0}


def test_a_department_may_close_without_a_warning_or_never(talk):
    assert mind_silent_tickets(now=timezone.now() + 20 * DAY) == {"warned": 0, "closed": 0}
    minded(warn_silent_after_hours=None)
    assert mind_silent_tickets(now=timezone.now() + 6 * HOUR) == {"warned": 0, "closed": 1}


@pytest.mark.parametrize("aside", [{"days": 3}, {"until_reply": True}])
def test_a_snoozed_ticket_is_not_silent(talk, aside):
    minded()
    now = timezone.now()
    until = now + aside.pop("days") * DAY if "days" in aside else None
    services.snooze(fresh(talk), until=until, actor=bia(), **aside)
    assert mind_silent_tickets(now=now + 10 * HOUR) == {"warned": 0, "closed": 0}


def test_the_worker_minds_silence_and_snoozed_tickets(talk):
    minded(warn_silent_after_hours=None)
    with time_machine.travel(timezone.now() + 6 * HOUR):
        periodic()
    assert fresh(talk).status == TicketStatus.CLOSED


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_message_that_comes_as_the_ticket_is_closed_for_silence_is_not_lost(shop, client):
    minded(warn_silent_after_hours=None)
    user = bia()
    for number in range(8):
        phone = f"55119900001{number:02d}"
        say(client, text("Oi", phone=phone), text("atendente", phone=phone))
        ticket = Ticket.objects.order_by("-pk").first()
        send_reply(ticket.session, user=user, text="Olá")
        later = timezone.now() + 6 * HOUR

        @transaction.atomic
        def write(pk=ticket.session_id, at=later):
            return services.note_inbound(lock_session(pk), preview="Voltei", at=at)

        wrote, minding = at_once(write, partial(mind_silent_tickets, now=later))
        now = fresh(ticket)
        assert (wrote, minding["closed"]) == ((True, 0) if now.is_open else (False, 1))
        assert now.is_open == now.session.is_live
        assert now.unread == (1 if now.is_open else 0)
        Ticket.objects.filter(pk=ticket.pk).update(snoozed_until=later + DAY)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_workers_warn_a_customer_once(shop, client):
    minded()
    say(client, text("Oi"), text("atendente"))
    send_reply(Session.objects.get(), user=bia(), text="Olá")
    later = timezone.now() + 2 * HOUR
    outcomes = at_once(*[partial(mind_silent_tickets, now=later)] * 5)
    assert sorted(one["warned"] for one in outcomes) == [0, 0, 0, 0, 1]
    assert MessageLog.objects.filter(text=SENTENCES["silent"]).count() == 1


# --- The survey --------------------------------------------------------------------------------


def test_rating_and_comment_land_on_the_ticket(talk, client):
    resolve(talk)
    assert "De 1 a 5" in said()
    say(client, button("4", "4 - Bom"))
    say(client, text("Foi rápido"))
    ticket = fresh(talk)
    assert (ticket.rating, ticket.rating_comment) == (4, "Foi rápido")
    assert ticket.rated_at is not None
    assert kinds(talk).count(TicketEventKind.RATED) == 1
    assert Notification.objects.filter(user=bia(), kind=NotificationKind.RATED).count() == 1
    assert ticket.status == TicketStatus.RESOLVED
    assert not ticket.session.is_live


def test_a_rating_counts_without_a_comment(talk, client):
    resolve(talk)
    say(client, text("péssimo"))
    assert fresh(talk).rating == 1
    say(client, text("pular"))
    assert (fresh(talk).rating, fresh(talk).rating_comment) == (1, "")


def test_a_message_that_is_sent_twice_rates_once(talk, client):
    resolve(talk)
    answer = button("5", "5 - Muito bom")
    say(client, answer)
    say(client, answer)
    assert kinds(talk).count(TicketEventKind.RATED) == 1


def test_a_survey_that_is_not_on_air_is_said_before_the_ticket_is_resolved(talk):
    Flow.objects.filter(slug="pesquisa").update(is_active=False)
    with pytest.raises(DomainError) as refusal:
        resolve(talk)
    assert refusal.value.code == "entry_unknown"
    assert fresh(talk).status == TicketStatus.WAITING_CUSTOMER


def test_returned_to_the_bot_without_a_survey_nothing_is_asked(talk):
    before = said()
    resolve(talk, entry="")
    assert said() == before
    assert not FlowRun.objects.filter(version__flow__slug="pesquisa").exists()


def test_who_wants_people_during_the_survey_gets_a_new_ticket(talk, client):
    resolve(talk)
    say(client, text("atendente"))
    assert Ticket.objects.open().exclude(pk=talk.pk).count() == 1
    assert fresh(talk).status == TicketStatus.RESOLVED


# --- Coming back -------------------------------------------------------------------------------


@pytest.mark.parametrize("then", [Next.END, Next.BOT])
def test_a_customer_who_writes_again_is_back_in_the_same_ticket(talk, client, then):
    resolve(talk, then=then, entry="")
    say(client, text("O boleto que você mandou não abre"))
    ticket = fresh(talk)
    assert (ticket.status, ticket.assignee, ticket.unread) == (TicketStatus.OPEN, bia(), 1)
    assert ticket.last_message_preview == "O boleto que você mandou não abre"
    assert ticket.session.owner == Owner.ATTENDANT
    assert said() == SENTENCES["reopened"]
    assert Ticket.objects.count() == 1


def test_a_photo_is_about_the_same_case(talk, client):
    resolve(talk, then=Next.END, entry="")
    photo = {"type": "image", "image": {"id": "9", "mime_type": "image/jpeg", "sha256": "x"}}
    say(client, message(photo))
    assert fresh(talk).is_open


def test_out_of_hours_they_are_told_when_somebody_answers(talk, client, monkeypatch):
    resolve(talk, then=Next.END, entry="")
    monkeypatch.setattr(Department, "is_open", lambda self, at: False)
    say(client, text("Não funcionou"))
    assert said() == SENTENCES["reopened_closed"]


@pytest.mark.parametrize(
    "words",
    ["Obrigado!", "muito obrigada pela ajuda", "👍", "ok, valeu", "Ok", "5", "obg 🙏 bom dia"],
)
def test_thanks_reopen_nothing(talk, client, words):
    resolve(talk, then=Next.END, entry="")
    say(client, text(words))
    assert not fresh(talk).is_open


@pytest.mark.parametrize(
    "words",
    [
        "Obrigado, mas ainda não chegou",
        "ok mas cadê o boleto",
        "bom dia",
        "valeu, e a nota fiscal?",
        "12345678901",
        "atendente",
    ],
)
def test_thanks_with_something_else_are_about_the_case(talk, client, words):
    resolve(talk, then=Next.END, entry="")
    say(client, text(words))
    assert fresh(talk).is_open


def test_a_word_of_the_flow_goes_to_the_flow(talk, client):
    resolve(talk, then=Next.END, entry="")
    say(client, text("menu"))
    assert not fresh(talk).is_open
    assert FlowRun.objects.order_by("-pk").first().version.flow.slug == GREETING


def test_the_answers_of_the_survey_reopen_nothing_and_what_comes_after_it_does(talk, client):
    resolve(talk)
    for words in ("3", "Podia ter sido mais rápido", "obrigado"):
        say(client, text(words))
    assert not fresh(talk).is_open
    say(client, text("sair"))
    say(client, text("Na verdade o problema voltou"))
    assert fresh(talk).is_open


def test_after_the_days_of_the_department_the_bot_greets(talk, client):
    resolve(talk, then=Next.END, entry="")
    Ticket.objects.update(resolved_at=timezone.now() - 8 * DAY)
    say(client, text("Oi, tenho outra dúvida"))
    assert not fresh(talk).is_open


def test_a_ticket_closed_for_silence_is_reopened_too(talk, client):
    minded(warn_silent_after_hours=None)
    mind_silent_tickets(now=timezone.now() + 6 * HOUR)
    Ticket.objects.update(closed_at=timezone.now())
    Session.objects.update(ended_at=timezone.now())
    say(client, text("Desculpe a demora, segue o número do pedido"))
    assert fresh(talk).is_open


def test_a_new_contact_costs_no_look_at_tickets(shop, client):
    say(client, text("Oi", phone="5511990000077"))
    with CaptureQueriesContext(connection) as captured:
        say(client, text("Oi", phone="5511990000078"))
    about = [one["sql"] for one in captured if 'FROM "tickets_ticket"' in one["sql"]]
    assert about == []


def test_coming_back_costs_the_bot_one_look_at_tickets(talk, client):
    resolve(talk, then=Next.END, entry="")
    Ticket.objects.update(resolved_at=timezone.now() - 8 * DAY)
    with CaptureQueriesContext(connection) as captured:
        say(client, text("Oi, tenho outra dúvida"))
    about = [one["sql"] for one in captured if 'FROM "tickets_ticket"' in one["sql"]]
    assert len(about) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_customer_and_an_admin_who_reopen_at_once_open_it_once(shop, client):
    user, admin = bia(availability=Availability.AVAILABLE), ana()
    for number in range(8):
        phone = f"55119900003{number:02d}"
        say(client, text("Oi", phone=phone), text("atendente", phone=phone))
        ticket = Ticket.objects.order_by("-pk").first()
        services.claim(ticket, user=user)
        services.resolve(ticket, actor=user, then=Next.BOT)

        @transaction.atomic
        def come_back(pk=ticket.session_id):
            session = lock_session(pk)
            if session.owner == Owner.BOT:
                services.reopen_for_customer(session, at=timezone.now())

        outcomes = at_once(
            come_back,
            partial(services.reopen, Ticket.objects.get(pk=ticket.pk), actor=admin),
        )
        assert all(one is None or isinstance(one, DomainError | Ticket) for one in outcomes)
        now = fresh(ticket)
        assert now.is_open
        assert now.session.owner in {Owner.ATTENDANT, Owner.QUEUE}
        assert kinds(ticket).count(TicketEventKind.REOPENED) == 1


# --- On paper ----------------------------------------------------------------------------------


def test_the_printed_page_has_everything_that_was_said(talk, client, monkeypatch):
    monkeypatch.setattr("chatbot.templatetags.printing.PIECE", 2)
    services.add_note(talk, author=bia(), text="Cliente desde 2019 <b>VIP</b>")
    resolve(talk, then=Next.END, entry="")
    say(client, text("O boleto não abre"))
    client.force_login(bia())
    url = reverse("admin:tickets_ticket_print", args=[talk.pk])
    page = client.get(url).content.decode()
    for row in MessageLog.objects.all():
        assert row.text.split("\n")[0].split("{")[0][:20] in page
    assert "Cliente desde 2019" not in page
    with_notes = client.get(url, {"notes": "1"}).content.decode()
    assert "Cliente desde 2019 &lt;b&gt;VIP&lt;/b&gt;" in with_notes
    assert "data-poll" not in page


def test_a_ticket_of_others_cannot_be_printed(talk, client):
    client.force_login(caio())
    assert client.get(reverse("admin:tickets_ticket_print", args=[talk.pk])).status_code == 404


def test_printing_costs_no_query_a_message(talk, client, django_assert_max_num_queries):
    for number in range(30):
        say(client, text(f"Mensagem {number}"))
    client.force_login(bia())
    with django_assert_max_num_queries(16):
        client.get(reverse("admin:tickets_ticket_print", args=[talk.pk]), {"notes": "1"})


def test_silent_tickets_are_found_by_a_statement_a_department(talk, django_assert_num_queries):
    minded()
    now = timezone.now()
    with django_assert_num_queries(4):
        list(silence.to_warn(now))
        list(silence.to_close(now))
