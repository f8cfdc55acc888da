"""The fragments that pages embed: who may read them, what a poll costs, what an answer does."""

from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker

from chatbot.models import Media, MediaStatus, MessageLog, MessageStatus
from chatbot.tests import recipes
from sessions_app.models import EndReason, Owner

pytestmark = pytest.mark.django_db

AUTHENTICATION = 2  # the session cookie and its user


@pytest.fixture
def session():
    return recipes.session(owner=Owner.QUEUE)


@pytest.fixture
def ticket(session):
    return recipes.ticket(session=session, department=recipes.department("vendas"))


def url(name, session, **query):
    return reverse(name, args=[session.pk], query=query or None)


FRAGMENTS = ["conversation", "conversation_messages", "conversation_reply"]


@pytest.mark.parametrize("name", FRAGMENTS)
def test_nobody_reads_a_conversation_without_logging_in(client, session, name):
    answer = client.get(url(name, session))
    assert answer.status_code == 302
    assert answer.url.startswith(reverse("admin:login"))


@pytest.mark.parametrize("name", ["conversation", "conversation_messages", "conversation_earlier"])
@pytest.mark.parametrize(
    ("person", "status"), [("ana", 200), ("bia", 200), ("caio", 404)], ids=["admin", "own", "other"]
)
@pytest.mark.usefixtures("ticket")
def test_a_conversation_is_read_by_who_may_see_it(client, session, name, person, status):
    recipes.inbound(session)
    client.force_login(getattr(recipes, person)())
    answer = client.get(url(name, session, after=0, before=10**9))
    assert answer.status_code == status


@pytest.mark.parametrize(("person", "reads_it"), [("ana", True), ("bia", False)])
@pytest.mark.usefixtures("ticket")
def test_what_the_provider_said_in_english_is_for_admins(client, session, person, reads_it):
    failed = {"status": MessageStatus.FAILED, "error_code": "131026"}
    recipes.outbound(session, error_detail="Receiver incapable", **failed)
    client.force_login(getattr(recipes, person)())
    page = client.get(url("conversation", session)).content.decode()
    assert "(131026)" in page
    assert ("Receiver incapable" in page) == reads_it


def test_who_may_not_see_a_conversation_cannot_answer_in_it(client, session, ticket):
    client.force_login(recipes.caio())
    answer = client.post(url("conversation_reply", session), {"text": "Oi"})
    assert answer.status_code == 404
    assert not MessageLog.objects.outbound().exists()


def test_a_poll_without_news_is_204_and_costs_two_statements(
    client, session, ticket, django_assert_num_queries
):
    row = recipes.inbound(session)
    client.force_login(recipes.bia())
    with django_assert_num_queries(2 + AUTHENTICATION):
        answer = client.get(url("conversation_messages", session, after=row.pk))
    assert answer.status_code == 204


def test_a_poll_brings_what_is_new_and_where_to_go_on(client, session, ticket):
    seen = recipes.inbound(session, "Oi")
    new = recipes.inbound(session, "Tem alguém?")
    client.force_login(recipes.bia())
    page = client.get(url("conversation_messages", session, after=seen.pk)).content.decode()
    assert "Tem alguém?" in page
    assert ">Oi<" not in page
    assert f"after={new.pk}" in page


def test_a_poll_moves_the_ticks_of_what_is_already_shown(client, session, ticket):
    row = recipes.outbound(session, status=MessageStatus.READ)
    client.force_login(recipes.bia())
    answer = client.get(url("conversation_messages", session, after=row.pk, marks=f"{row.pk}-3"))
    assert f'id="tick-{row.pk}"' in answer.content.decode()


def test_what_a_customer_writes_is_never_markup(client, session, ticket):
    recipes.inbound(session, "<script>alert(1)</script>")
    client.force_login(recipes.bia())
    page = client.get(url("conversation", session)).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_an_answer_is_queued_once_however_often_it_is_sent(client, session, ticket):
    client.force_login(recipes.bia())
    form = {"text": "Bom dia, Davi.", "client_id": str(uuid4())}
    for _click in range(2):
        assert client.post(url("conversation_reply", session), form).status_code == 302
    row = MessageLog.objects.outbound().get()
    assert (row.text, row.author_user) == ("Bom dia, Davi.", recipes.bia())


def test_a_refused_answer_keeps_what_was_written(client, session):
    recipes.ticket(session=session, department=recipes.department("vendas"))
    session.owner, session.ended_at, session.end_reason = (
        Owner.BOT,
        timezone.now(),
        EndReason.CLOSED,
    )
    session.save()
    client.force_login(recipes.bia())
    answer = client.post(
        url("conversation_reply", session), {"text": "Ainda aí?"}, headers={"HX-Request": "true"}
    )
    page = answer.content.decode()
    assert answer.status_code == 409
    assert 'data-refusal="session_ended"' in page
    assert "Ainda aí?" in page


def test_a_failed_message_can_be_sent_again_once(client, session, ticket):
    row = recipes.outbound(session, "Consegue amanhã?", status=MessageStatus.FAILED)
    client.force_login(recipes.bia())
    again = reverse("conversation_send_again", args=[session.pk, row.pk])
    page = url("conversation", session)
    assert again in client.get(page).content.decode()
    for _click in range(2):
        assert client.post(again).status_code == 302
    assert MessageLog.objects.filter(status=MessageStatus.QUEUED).get().text == "Consegue amanhã?"
    assert again not in client.get(page).content.decode()


def test_after_answering_one_returns_to_the_page_one_came_from(client, session, ticket):
    client.force_login(recipes.bia())
    here = reverse("admin:index")
    form = {"text": "Oi", "next": here}
    assert client.post(url("conversation_reply", session), form).url == here
    form = {"text": "Oi", "next": "https://elsewhere.example/"}
    assert client.post(url("conversation_reply", session), form).url == url("conversation", session)


@pytest.mark.parametrize(
    ("mime_type", "disposition"),
    [("image/png", "inline"), ("image/svg+xml", "attachment"), ("text/html", "attachment")],
)
def test_a_file_is_shown_only_when_it_cannot_run(client, session, ticket, mime_type, disposition):
    row = recipes.inbound(session, kind="document")
    media = baker.make(Media, message=row, mime_type=mime_type, status=MediaStatus.STORED)
    media.file.save("arquivo", ContentFile(b"..."))
    client.force_login(recipes.bia())
    answer = client.get(reverse("conversation_media", args=[media.pk]))
    assert answer["Content-Disposition"].startswith(disposition)
    assert answer["X-Content-Type-Options"] == "nosniff"
    client.force_login(recipes.caio())
    assert client.get(reverse("conversation_media", args=[media.pk])).status_code == 404
