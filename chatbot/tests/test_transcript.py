"""What a page shows of what was said, and how little it reads for it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from model_bakery import baker

from chatbot import composer, transcript
from chatbot.channels.whatsapp_cloud.transport import WhatsAppCloud
from chatbot.conversation import send_reply
from chatbot.models import Author, Media, MediaStatus, MessageLog, MessageStatus
from chatbot.tests import recipes
from chatbot.transcript import Shown
from chatbot.transcript_notices import BY_SOMEBODY
from sessions_app.models import EndReason, Session
from tickets import services as tickets
from tickets.models import InternalNote, TicketEvent
from users.models import User

pytestmark = pytest.mark.django_db

OFFER = {"options": [{"id": "a", "title": "Segunda via"}, {"id": "b", "title": "Cobrança"}]}


@pytest.fixture
def session():
    return recipes.session()


def test_a_page_of_text_costs_one_statement(session, django_assert_num_queries):
    for number in range(30):
        recipes.inbound(session, f"Oi {number}")
        recipes.outbound(session, f"Olá {number}")
    with django_assert_num_queries(1):
        talk = transcript.latest([session])
    assert len(talk.bubbles) == transcript.PAGE
    assert talk.has_earlier
    assert talk.bubbles[-1].text == "Olá 29"


def test_media_and_quotes_cost_one_statement_each(session, django_assert_num_queries):
    first = recipes.inbound(session, "A primeira")
    for _number in range(transcript.PAGE - 1):
        recipes.outbound(session)
    last = recipes.inbound(session, "", kind="image", reply_to=first.provider_id)
    baker.make(Media, message=last, status=MediaStatus.STORED, filename="nota.jpg")
    with django_assert_num_queries(3):
        bubble = transcript.latest([session]).bubbles[-1]
    assert bubble.attachments[0].name == "nota.jpg"
    assert bubble.quote.text == "A primeira"


def test_earlier_messages_are_read_backwards(session):
    rows = [recipes.inbound(session, str(number)) for number in range(60)]
    newest = transcript.latest([session])
    earlier = transcript.latest([session], before=newest.earlier[1])
    assert [bubble.pk for bubble in earlier.bubbles] == [row.pk for row in rows[:10]]
    assert not earlier.has_earlier


def test_a_tap_marks_the_option_of_the_message_it_answers(session):
    asked = recipes.outbound(session, kind="buttons", payload=OFFER, provider_id="out.1")
    recipes.outbound(session, kind="buttons", payload=OFFER, provider_id="out.2")
    recipes.inbound(
        session,
        "Cobrança",
        kind="button_reply",
        payload={"choice_id": "b"},
        reply_to=asked.provider_id,
    )
    first, second, answer = transcript.latest([session]).bubbles
    assert [offer.is_chosen for offer in first.offers] == [False, True]
    assert not any(offer.is_chosen for offer in second.offers)
    assert answer.chosen_from == "buttons"


def opening(viewer=None):
    viewer = viewer or recipes.ana()
    return transcript.opening(transcript.watched_by(viewer).order_by("-pk").first(), viewer)


def news(viewer=None, *, shown):
    viewer = viewer or recipes.ana()
    watched = transcript.watched_by(viewer).order_by("-pk").first()
    return transcript.news(watched, viewer, shown=shown)


def test_nothing_new_costs_one_statement(session, django_assert_num_queries):
    row = recipes.inbound(session)
    viewer = recipes.ana()
    watched = transcript.watched_by(viewer).get()
    with django_assert_num_queries(1):
        talk = transcript.news(watched, viewer, shown=Shown(message=row.pk))
    assert not talk.has_news


def test_news_brings_what_came_after_even_when_it_is_much(session):
    seen = recipes.inbound(session)
    new = [recipes.outbound(session, str(number)) for number in range(30)]
    bubbles = news(shown=Shown(message=seen.pk)).bubbles
    assert [bubble.pk for bubble in bubbles] == [row.pk for row in new]


def test_a_poll_brings_only_the_delivery_that_has_moved(session):
    row, _other = recipes.outbound(session), recipes.outbound(session)
    shown = opening().shown
    row.status = MessageStatus.DELIVERED
    row.save(update_fields=["status"])
    talk = news(shown=shown)
    assert [(one.pk, one.label) for one in talk.moved] == [
        (row.pk, str(MessageStatus.DELIVERED.label))
    ]
    assert talk.changed == ()
    assert not news(shown=talk.shown).has_news


@pytest.mark.parametrize(
    "change",
    [
        {"reaction": "👍"},
        {"edited_at": timezone.now(), "text": "Outra coisa"},
        {"revoked_at": timezone.now()},
        {"status": MessageStatus.FAILED, "error_code": "131026"},
    ],
    ids=["reaction", "edit", "revoke", "failure"],
)
def test_a_poll_draws_anew_what_has_changed(session, change):
    row = recipes.outbound(session)
    shown = opening().shown
    MessageLog.objects.filter(pk=row.pk).update(**change)
    talk = news(shown=shown)
    assert [one.pk for one in talk.changed] == [row.pk]
    assert talk.moved == ()


def test_a_poll_marks_the_option_that_was_chosen(session):
    asked = recipes.outbound(session, kind="buttons", payload=OFFER, provider_id="out.1")
    shown = opening().shown
    recipes.inbound(session, "Cobrança", kind="button_reply", payload={"choice_id": "b"})
    (again,) = news(shown=shown).changed
    assert again.pk == asked.pk
    assert [offer.is_chosen for offer in again.offers] == [False, True]


def test_a_page_and_a_poll_agree_on_what_is_shown(session):
    for _number in range(40):
        recipes.outbound(session)
    shown = opening().shown
    assert news(shown=replace(shown, marks=transcript.marks_in(opening().marks))).has_news is False


@pytest.mark.parametrize("told", ["", "x", "1-", "-1", "1.2.3", "9" * 40, "1-2-3.4"])
def test_marks_of_an_address_may_be_anything(session, told):
    recipes.outbound(session)
    news(shown=Shown(marks=transcript.marks_in(told)))


def test_only_the_first_bubble_of_a_day_names_it(session):
    recipes.inbound(session)
    recipes.inbound(session)
    first, second = transcript.latest([session]).bubbles
    assert first.day == timezone.localdate()
    assert second.day is None
    assert second.is_continued


@pytest.mark.parametrize(
    ("kind", "payload", "shown"),
    [
        ("location", {"location": {"latitude": -8.05, "longitude": -34.88}}, "place"),
        (
            "contacts",
            {"contacts": [{"name": {"formatted_name": "Rita"}, "phones": [{"phone": "+55 81"}]}]},
            "contacts",
        ),
        ("image", {}, "attachments"),
        ("unsupported", {}, "text"),
        ("kind-of-next-year", {"options": "no list", "contacts": [1]}, None),
    ],
)
def test_every_kind_is_shown_somehow(session, kind, payload, shown):
    recipes.inbound(session, "", kind=kind, payload=payload)
    (bubble,) = transcript.latest([session]).bubbles
    assert shown is None or getattr(bubble, shown)


def test_a_failed_message_says_why(session):
    recipes.outbound(
        session,
        author=Author.ATTENDANT,
        author_user=recipes.bia(),
        status=MessageStatus.FAILED,
        error_code="131026",
        error_detail="Receiver incapable",
    )
    (bubble,) = transcript.latest([session]).bubbles
    assert bubble.by == "Bia"
    said = WhatsAppCloud.explain("131026")
    assert bubble.delivery.reason == f"{said.what} {said.advice} (131026)"
    assert bubble.delivery.detail == "Receiver incapable"


@pytest.mark.parametrize(("status", "is_shown"), [("sent", True), ("delivered", False)])
def test_a_template_that_is_held_back_says_so_until_it_arrives(session, status, is_shown):
    payload = {"pacing": "held_for_quality_assessment"}
    recipes.outbound(session, kind="template", status=status, payload=payload)
    (bubble,) = transcript.latest([session]).bubbles
    assert bool(bubble.delivery.reason) == is_shown


def test_what_our_own_refusal_says_is_not_said_twice(session):
    recipes.outbound(
        session,
        status=MessageStatus.FAILED,
        error_code="template_paused",
        error_detail="O modelo “oferta” está pausado.",
    )
    (bubble,) = transcript.latest([session]).bubbles
    assert bubble.delivery.reason == "O modelo “oferta” está pausado. (template_paused)"
    assert bubble.delivery.detail == ""


# --- Notes, events and earlier sessions --------------------------------------------------------


@pytest.fixture
def ticket(session):
    return recipes.ticket(session=session, department=recipes.department("vendas"))


def told(talk):
    """What a page reads like, line by line."""
    return [
        getattr(one, "text", None) or "".join(piece.text for piece in one.pieces)
        for one in talk.moments
    ]


def test_notes_and_events_stand_where_their_time_puts_them(session, ticket):
    bia = recipes.bia()
    Session.objects.update(started_at=at(minute=0))
    recipes.inbound(session, "Oi", created_at=at(minute=1))
    note = tickets.add_note(ticket, author=bia, text="Cliente antigo")
    InternalNote.objects.filter(pk=note.pk).update(created_at=at(minute=2))
    recipes.inbound(session, "Tem alguém?", created_at=at(minute=3))
    tickets.claim(ticket, user=bia)
    TicketEvent.objects.update(created_at=at(minute=4))
    began, *lines = told(opening())
    assert str(session.channel) in began
    assert lines[:3] == ["Oi", "Cliente antigo", "Tem alguém?"]
    assert str(bia) in lines[3]
    assert len(lines) == 4


def test_the_beginning_stands_before_what_was_said_in_the_same_moment(session):
    moment = at(minute=0)
    Session.objects.update(started_at=moment)
    for text in ("Oi", "Olá!"):
        recipes.inbound(session, text, created_at=moment)
    began, *lines = told(opening())
    assert str(session.channel) in began
    assert lines == ["Oi", "Olá!"]


def test_the_claim_that_a_reply_brings_about_stands_before_it(session, ticket):
    recipes.inbound(session, "Oi", created_at=timezone.now() - timedelta(minutes=5))
    give_window(session)
    send_reply(session, user=recipes.bia(), text="Bom dia.")
    last, before = opening().moments[-1], opening().moments[-2]
    assert (last.text, before.is_event) == ("Bom dia.", True)


def test_whose_turn_it_is_makes_no_line(session, ticket):
    give_window(session)
    bia = recipes.bia()
    for text in ("Um", "Dois"):
        send_reply(session, user=bia, text=text)
        tickets.note_inbound(session, preview="Oi", at=timezone.now())
    kinds = {one.key.partition("-")[0] for one in opening().moments if hasattr(one, "key")}
    events = [one for one in opening().moments if getattr(one, "key", "").startswith("event-")]
    assert len(events) == 1, kinds  # the claim


def test_a_ticket_put_aside_until_an_answer_is_told_without_a_date(session, ticket):
    bia = recipes.bia()
    tickets.snooze(ticket, until=None, until_reply=True, actor=bia)
    assert told(opening())[-1] == BY_SOMEBODY["snoozed reply"] % {"actor": bia}


def test_the_first_unread_message_is_marked_with_how_many_there_are(session):
    recipes.inbound(session, "Um")
    recipes.outbound(session, "Dois")
    recipes.inbound(session, "Três")
    recipes.inbound(session, "Quatro")
    Session.objects.update(unread=2)
    marked = {one.text: one.new for one in opening().bubbles}
    assert marked == {"Um": 0, "Dois": 0, "Três": 2, "Quatro": 0}


@pytest.mark.parametrize(("person", "sees_it"), [("ana", True), ("bia", True), ("caio", False)])
def test_notes_of_a_ticket_are_for_who_may_see_it(session, ticket, person, sees_it):
    viewer = getattr(recipes, person)()
    session.lead.attendant = viewer  # sees the session in any case
    session.lead.save()
    tickets.add_note(ticket, author=recipes.bia(), text="Só para vendas")
    assert ("Só para vendas" in told(opening(viewer))) == sees_it
    assert ("Só para vendas" in told(news(viewer, shown=Shown()))) == sees_it


def test_the_colleagues_that_a_note_names_stand_out(session, ticket):
    bia = recipes.bia()
    dora = baker.make(User, username="dora", first_name="Dora", last_name="Lima")
    dora.departments.add(ticket.department)
    composer.write_note(ticket, author=bia, text="@Dora Lima confere?")
    (note,) = [one for one in opening().moments if hasattr(one, "pieces")]
    assert [(one.text, one.is_person) for one in note.pieces] == [
        ("@Dora Lima", True),
        (" confere?", False),
    ]


def test_an_opening_costs_the_same_however_much_there_is(
    session, ticket, django_assert_num_queries
):
    viewer = recipes.ana()

    def fill(count):
        for number in range(count):
            recipes.inbound(session, str(number))
            tickets.add_note(ticket, author=viewer, text=f"Nota {number}")
            tickets.set_priority(ticket, priority=("low", "high")[number % 2], actor=viewer)

    fill(transcript.PAGE + 1)
    watched = transcript.watched_by(viewer).get()
    with CaptureQueriesContext(connection) as few:
        transcript.opening(watched, viewer)
    fill(transcript.PAGE)
    watched = transcript.watched_by(viewer).get()
    with django_assert_num_queries(len(few)):
        talk = transcript.opening(watched, viewer)
    assert len(talk.bubbles) == transcript.PAGE


@pytest.fixture
def earlier_session(db):
    return recipes.session(ended_at=timezone.now(), end_reason=EndReason.RESOLVED)


def next_session(earlier):
    return recipes.session(lead=earlier.lead, channel=earlier.channel, identity=earlier.identity)


def test_pages_of_earlier_messages_and_sessions_follow_without_a_gap(earlier_session):
    viewer = recipes.ana()
    later = next_session(earlier_session)
    said = [recipes.inbound(earlier_session, f"antes {number}").pk for number in range(60)]
    said += [recipes.inbound(later, f"agora {number}").pk for number in range(70)]
    talk = opening(viewer)
    read = [one.pk for one in talk.bubbles]
    while talk.earlier is not None:
        where, before = talk.earlier
        watched = transcript.watched_by(viewer).get(pk=where)
        talk = transcript.earlier(watched, viewer, before=before)
        assert len(talk.bubbles) <= transcript.PAGE
        read = [one.pk for one in talk.bubbles] + read
    assert read == said


def test_earlier_sessions_that_one_may_not_see_are_not_offered(earlier_session):
    later = next_session(earlier_session)
    recipes.ticket(session=later, department=recipes.department("vendas"))
    assert opening(recipes.bia()).earlier is None
    assert opening(recipes.ana()).earlier == (earlier_session.pk, None)


def test_notes_and_events_of_an_earlier_session_stay_on_its_page(earlier_session):
    ticket = recipes.ticket(session=earlier_session, department=recipes.department("vendas"))
    tickets.add_note(ticket, author=recipes.bia(), text="Da outra vez")
    later = next_session(earlier_session)
    viewer = recipes.ana()
    assert "Da outra vez" not in told(opening(viewer))
    watched = transcript.watched_by(viewer).get(pk=earlier_session.pk)
    assert "Da outra vez" in told(transcript.earlier(watched, viewer, before=None))
    assert later.is_live


def at(*, minute):
    return timezone.now() - timedelta(hours=1) + timedelta(minutes=minute)


def give_window(session):
    session.window_expires_at = timezone.now() + timedelta(hours=20)
    session.save(update_fields=["window_expires_at"])
