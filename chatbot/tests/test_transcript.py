"""What a page shows of what was said, and how little it reads for it."""

import pytest
from django.utils import timezone
from model_bakery import baker

from chatbot import transcript
from chatbot.channels.whatsapp_cloud.transport import WhatsAppCloud
from chatbot.models import Author, Media, MediaStatus, MessageStatus
from chatbot.tests import recipes

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
    earlier = transcript.latest([session], before=newest.first_id)
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


def test_nothing_new_costs_one_statement(session, django_assert_num_queries):
    row = recipes.inbound(session)
    with django_assert_num_queries(1):
        assert transcript.news(session, after=row.pk).bubbles == ()


def test_news_brings_what_came_after_even_when_it_is_much(session):
    seen = recipes.inbound(session)
    new = [recipes.outbound(session, str(number)) for number in range(30)]
    bubbles = transcript.news(session, after=seen.pk).bubbles
    assert [bubble.pk for bubble in bubbles] == [row.pk for row in new]


def test_a_moved_delivery_changes_the_digest(session):
    row = recipes.outbound(session)
    before = transcript.latest([session])
    row.status = MessageStatus.DELIVERED
    row.save(update_fields=["status"])
    after = transcript.news(session, after=row.pk)
    assert before.digest != after.digest
    assert [one.label for one in after.known_deliveries] == [str(MessageStatus.DELIVERED.label)]


def test_a_page_and_a_poll_agree_on_the_digest(session):
    for _number in range(40):
        recipes.outbound(session)
    page = transcript.latest([session])
    assert transcript.news(session, after=page.last_id).digest == page.digest


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
