"""Files that people and flows send: held against the limits, kept, and uploaded first."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from chatbot import attachments, delivery
from chatbot.channels import transport_class
from chatbot.models import Media, MediaStatus, MessageLog, MessageStatus, SendPace
from chatbot.tests import media_samples as samples
from chatbot.tests import recipes, stage
from chatbot.tests.test_media import run_due, scanner, stored_names
from chatbot.tests.webhook import message, say, text
from sessions_app.models import Channel, Session
from tickets.services import take_over

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def shop(db, graph_api):
    return stage.open_shop()


@pytest.fixture
def session(client, shop):
    session = stage.talk(shop)
    take_over(session, user=recipes.bia(), at=timezone.now())
    client.force_login(recipes.bia())
    return Session.objects.get(pk=session.pk)


def upload(content, name="arquivo"):
    return SimpleUploadedFile(name, content)


def send(client, session, content, *, name="arquivo", headers=None, **form):
    form.setdefault("client_id", str(uuid4()))
    url = reverse("conversation_reply", args=[session.pk])
    return client.post(url, {"file": upload(content, name), **form}, headers=headers or {})


def deliver():
    return delivery.deliver_pending(limit=10)


def due_now():
    """The wait is over, and so is the channel's pause."""
    MessageLog.objects.update(run_at=timezone.now())
    Channel.objects.update(paused_until=None)
    SendPace.objects.update(next_at=timezone.now())


SENT = [
    ("image", samples.picture(), "foto.jpg", "image/jpeg"),
    ("image", samples.picture("PNG"), "tela.png", "image/png"),
    ("voice", samples.sample("voice.ogg"), "recado.ogg", "audio/ogg; codecs=opus"),
    ("audio", samples.sample("sound.mp3"), "som.mp3", "audio/mpeg"),
    ("audio", samples.sample("sound.m4a"), "som.m4a", "audio/mp4"),
    ("audio", samples.sample("sound.aac"), "som.aac", "audio/aac"),
    ("audio", samples.sample("sound.amr"), "som.amr", "audio/amr"),
    ("video", samples.sample("video.mp4"), "filme.mp4", "video/mp4"),
    ("video", samples.sample("video.3gp"), "filme.3gp", "video/3gpp"),
    ("document", samples.pdf(), "boleto.pdf", "application/pdf"),
    ("document", b"nome;valor\n", "planilha.csv", "text/plain"),
]


@pytest.mark.parametrize(("kind", "sent", "name", "mime_type"), SENT, ids=[one[2] for one in SENT])
def test_a_file_of_every_kind_reaches_the_customer(
    client, session, graph_api, kind, sent, name, mime_type
):
    assert send(client, session, sent, name=name, text="").status_code == 302
    row = MessageLog.objects.outbound().get()
    file = row.media.get()
    assert (row.kind, file.status, file.filename) == (kind, MediaStatus.STORED, name)
    assert deliver() == {MessageStatus.SENT: 1}
    [uploaded] = graph_api.uploads
    assert (uploaded.content, uploaded.mime_type) == (sent, mime_type)
    [said] = graph_api.messages
    wire = "audio" if kind == "voice" else kind
    assert (said.body["type"], said.body[wire]["id"]) == (wire, uploaded.id)
    assert said.body[wire].get("voice", False) == (kind == "voice")
    assert said.body[wire].get("filename") == (name if kind == "document" else None)


def test_a_sticker_goes_when_it_is_asked_for(client, session, graph_api):
    send(client, session, samples.sticker(), name="a.webp", kind="sticker")
    send(client, session, samples.sticker(is_animated=True), name="b.webp", kind="sticker")
    send(client, session, samples.sticker(), name="c.webp")
    deliver()
    kinds = [one.body["type"] for one in graph_api.messages]
    assert kinds == ["sticker", "sticker", "document"]


def test_the_text_is_the_caption_and_follows_where_there_is_none(client, session, graph_api):
    send(client, session, samples.picture(), text="Veja a foto")
    send(client, session, samples.sample("sound.mp3"), text="Ouça o recado")
    deliver()
    said = [(one.body["type"], one.text) for one in graph_api.messages]
    assert said == [("image", "Veja a foto"), ("audio", ""), ("text", "Ouça o recado")]


def noise(kind, size):
    """A picture that cannot be pressed below that many bytes."""
    return samples.saved(Image.effect_noise((size, size), 255).convert("RGB"), kind)


REFUSED = [
    ("", samples.picture("PNG") + bytes(6 * 1024 * 1024), "document"),
    ("", samples.saved(Image.new("CMYK", (20, 20)), "JPEG"), "document"),
    ("", samples.saved(Image.new("I;16", (20, 20)), "PNG"), "document"),
    ("", b"\x00\x00\x00\x18ftypisom" + b"vide" + b"\x00" * (17 * 1024 * 1024), "document"),
    ("image", samples.pdf(), "document"),
    ("sticker", noise("WEBP", 900), "document"),
    ("voice", samples.sample("sound.mp3"), "document"),
]


@pytest.mark.parametrize(
    ("kind", "content", "advice"),
    REFUSED,
    ids=["5 MB", "CMYK", "16 bit", "16 MB", "pdf", "sticker", "mp3"],
)
def test_what_whatsapp_would_refuse_is_refused_before_with_what_to_do(
    client, session, graph_api, kind, content, advice
):
    answer = send(client, session, content, kind=kind, text="Veja", headers=HTMX)
    page = answer.content.decode()
    assert "data-refusal=" in page
    assert not MessageLog.objects.outbound().exists()
    assert stored_names() == []
    assert send(client, session, content, kind=advice).status_code == 302
    assert MessageLog.objects.outbound().get().kind == "document"


def test_a_stereo_recording_is_no_voice_message(client, session):
    stereo = samples.sample("voice.ogg").replace(b"OpusHead\x01\x01", b"OpusHead\x01\x02", 1)
    answer = send(client, session, stereo, headers=HTMX)
    assert "data-refusal=" in answer.content.decode()


def test_a_long_voice_message_goes_as_audio(client, session):
    long = samples.sample("voice.ogg") + b"\x00" * 600_000
    send(client, session, long)
    assert MessageLog.objects.outbound().get().kind == "audio"


def test_an_empty_file_is_refused(client, session):
    assert "data-refusal=" in send(client, session, b"", headers=HTMX).content.decode()


def test_an_infected_file_is_not_sent(client, session, settings, tmp_path):
    settings.MEDIA_SCANNER = scanner(tmp_path, "exit 1")
    assert "data-refusal=" in send(client, session, samples.pdf(), headers=HTMX).content.decode()
    settings.MEDIA_SCANNER = scanner(tmp_path, "exit 7")
    assert "data-refusal=" in send(client, session, samples.pdf(), headers=HTMX).content.decode()
    assert not MessageLog.objects.outbound().exists()
    assert stored_names() == []


def test_a_file_sent_twice_with_one_id_is_one_message_and_one_file(client, session):
    form = {"client_id": str(uuid4()), "text": "Segue"}
    for _click in range(2):
        send(client, session, samples.picture(), **form)
    assert MessageLog.objects.outbound().count() == 1
    assert len(stored_names()) == 2


def test_when_the_row_cannot_be_written_the_file_goes_too(client, session, monkeypatch):
    def broken(*_args, **_kwargs):
        raise DatabaseError("disk full")

    monkeypatch.setattr(attachments, "attach", broken)
    with pytest.raises(DatabaseError):
        send(client, session, samples.picture())
    assert stored_names() == []


def test_a_refused_reply_leaves_no_file(client, session):
    Session.objects.filter(pk=session.pk).update(
        window_expires_at=timezone.now() - timedelta(minutes=1)
    )
    answer = send(client, session, samples.picture(), headers=HTMX)
    assert "data-refusal=" in answer.content.decode()
    assert stored_names() == []


def test_the_list_says_what_was_sent(client, session):
    send(client, session, samples.picture())
    session.refresh_from_db()
    assert session.last_message_preview == "Imagem"


# --- Delivery ----------------------------------------------------------------------------------


def test_a_later_text_waits_for_the_file(client, session, graph_api):
    send(client, session, samples.picture())
    client.post(reverse("conversation_reply", args=[session.pk]), {"text": "Recebeu?"})
    graph_api.fail("error_131057.json", path="/media")
    assert deliver() == {MessageStatus.QUEUED: 1}
    assert graph_api.messages == []
    due_now()
    assert deliver() == {MessageStatus.SENT: 2}
    assert [one.body["type"] for one in graph_api.messages] == ["image", "text"]


@pytest.mark.parametrize("play", ["cut", "502"])
def test_an_upload_of_unknown_end_is_done_again(client, session, graph_api, play):
    send(client, session, samples.picture())
    if play == "cut":
        graph_api.cut()
    else:
        graph_api.answer(502, "<html>", path="/media")
    assert deliver() == {MessageStatus.QUEUED: 1}
    due_now()
    assert deliver() == {MessageStatus.SENT: 1}
    assert len(graph_api.messages) == 1


def test_an_upload_that_is_refused_fails_the_message(client, session, graph_api):
    send(client, session, samples.picture())
    graph_api.answer(
        400,
        {"error": {"code": 131053, "message": "Media upload error"}},
        path="/media",
        times=None,
    )
    assert deliver() == {MessageStatus.FAILED: 1}
    assert MessageLog.objects.outbound().get().error_code == "131053"


def test_an_upload_without_a_good_token_pauses_the_channel_and_burns_nothing(
    client, session, graph_api
):
    send(client, session, samples.picture())
    graph_api.fail("error_190.json", path="/media")
    assert deliver() == {MessageStatus.QUEUED: 1}
    row = MessageLog.objects.outbound().select_related("channel").get()
    assert row.attempts == 0
    assert row.channel.paused_until > timezone.now()


def test_a_file_is_uploaded_once_and_again_after_29_days(client, session, graph_api):
    send(client, session, samples.picture())
    deliver()
    row = MessageLog.objects.outbound().get()
    client.force_login(recipes.ana())
    for expected in (1, 2):
        MessageLog.objects.filter(pk=row.pk).update(
            status=MessageStatus.FAILED, payload=row.payload
        )
        delivery.send_again(MessageLog.objects.get(pk=row.pk), user=recipes.bia())
        deliver()
        assert len(graph_api.uploads) == expected
        Media.objects.update(uploaded_at=timezone.now() - timedelta(days=29))
    assert len(graph_api.messages) == 3
    again = MessageLog.objects.outbound().latest("pk")
    page = client.get(reverse("conversation", args=[session.pk])).content.decode()
    assert page.count(f"{reverse('conversation_thumbnail', args=[row.media.get().pk])}") == 3
    assert again.payload["media_ref"] == str(row.media.get().pk)


def test_a_file_that_meta_has_forgotten_is_uploaded_again(client, session, graph_api):
    send(client, session, samples.picture())
    details = {"details": "Media ID not found or expired"}
    graph_api.answer(
        400, {"error": {"code": 131009, "error_data": details}}, path="/messages", times=1
    )
    assert deliver() == {MessageStatus.QUEUED: 1}
    due_now()
    assert deliver() == {MessageStatus.SENT: 1}
    assert len(graph_api.uploads) == 2
    assert graph_api.messages[-1].body["image"]["id"] == graph_api.uploads[-1].id


def test_a_message_that_may_not_go_is_not_uploaded_for(client, session, graph_api):
    send(client, session, samples.picture())
    Session.objects.filter(pk=session.pk).update(
        window_expires_at=timezone.now() - timedelta(minutes=1)
    )
    assert deliver() == {MessageStatus.FAILED: 1}
    assert graph_api.uploads == []


def test_a_file_that_is_gone_fails_with_a_reason(client, session, graph_api):
    send(client, session, samples.picture())
    default_storage.delete(Media.objects.get().file.name)
    Media.objects.update(file="", status=MediaStatus.FAILED)
    assert deliver() == {MessageStatus.FAILED: 1}
    assert MessageLog.objects.outbound().get().error_code == "no_media"


# --- API ---------------------------------------------------------------------------------------


def test_a_program_sends_a_file(session, graph_api):
    api = recipes.api(recipes.bia())
    form = {
        "session": session.pk,
        "client_id": str(uuid4()),
        "text": "Segue o boleto",
        "file": upload(samples.pdf(), "boleto.pdf"),
    }
    answer = api.post("/api/v1/messages/", form, format="multipart")
    assert answer.status_code == 201, answer.content
    assert answer.json()["media"][0]["mime_type"] == "application/pdf"
    form["file"] = upload(samples.pdf(), "boleto.pdf")
    assert api.post("/api/v1/messages/", form, format="multipart").status_code == 200
    assert deliver() == {MessageStatus.SENT: 1}
    assert graph_api.messages[0].body["document"]["caption"] == "Segue o boleto"


def test_a_program_is_told_why_a_file_is_refused(session):
    api = recipes.api(recipes.bia())
    form = {"session": session.pk, "client_id": str(uuid4()), "kind": "image"}
    form["file"] = upload(samples.pdf())
    answer = api.post("/api/v1/messages/", form, format="multipart")
    assert (answer.status_code, answer.json()["code"]) == (400, "file_refused")


# --- Flows -------------------------------------------------------------------------------------


def flow_with(ref):
    stage.put_on_air(
        {
            "inicio": {"kind": "start", "next": "envia"},
            "envia": {
                "kind": "send",
                "text": "Segue a tabela.",
                "media": {"kind": "document", "ref": ref, "filename": "tabela.pdf"},
                "next": "nome",
            },
            "nome": {"kind": "ask", "text": "Nome?", "save_as": "nome", "next": "fim"},
            "fim": {"kind": "handoff", "text": "Já vem gente."},
        }
    )


def kept_elsewhere(client, session):
    """A file that was sent to somebody else."""
    send(client, session, samples.pdf(), name="tabela.pdf")
    deliver()
    return Media.objects.get()


def test_a_flow_sends_a_file_that_we_keep(client, session, shop, graph_api):
    file = kept_elsewhere(client, session)
    flow_with(str(file.pk))
    say(client, text("Oi", phone="5511990000055"))
    deliver()
    document, question = graph_api.messages[-2:]
    assert document.body["document"]["id"] == graph_api.uploads[0].id
    assert document.body["document"]["caption"] == "Segue a tabela."
    assert question.text == "Nome?"
    assert len(graph_api.uploads) == 1  # the same number has it already


def test_a_received_file_is_sent_as_a_copy(client, shop, graph_api):
    given = graph_api.keep(samples.pdf(), "application/pdf")
    say(client, message({"type": "document", "document": given}))
    run_due()
    deliver()
    received = Media.objects.get()
    flow_with(str(received.pk))
    say(client, text("Oi", phone="5511990000055"))
    deliver()
    copy = Media.objects.exclude(pk=received.pk).get()
    assert copy.file.name != received.file.name
    assert [one.content for one in graph_api.uploads] == [samples.pdf()]
    received.refresh_from_db()
    assert received.provider_id == given["id"]


def test_a_number_that_a_customer_typed_fetches_nobodys_file(client, session, shop, graph_api):
    """The flow names a variable, and the variable holds somebody else's file."""
    file = kept_elsewhere(client, session)
    stage.put_on_air(
        {
            "inicio": {"kind": "start", "next": "qual"},
            "qual": {"kind": "ask", "text": "Qual?", "save_as": "qual", "next": "envia"},
            "envia": {
                "kind": "send",
                "media": {"kind": "document", "ref": "{{ qual }}"},
                "next": "fim",
            },
            "fim": {"kind": "handoff", "text": "Já vem gente."},
        }
    )
    before = len(graph_api.messages)
    for said in ("Oi", str(file.pk)):
        say(client, text(said, phone="5511990000055"))
        deliver()
    kinds = [one.body["type"] for one in graph_api.messages[before:]]
    assert "document" not in kinds
    failed = MessageLog.objects.get(kind="document", status=MessageStatus.FAILED)
    assert failed.error_code == "no_media"
    client.force_login(recipes.ana())
    page = client.get(reverse("conversation", args=[failed.session_id])).content.decode()
    assert reverse("conversation_media", args=[file.pk]) not in page


def test_every_limit_of_the_table_is_a_rule_of_the_channel():
    rules = {rule.kind: rule for rule in transport_class("whatsapp_cloud").capabilities.files}
    largest = {kind: rule.largest for kind, rule in rules.items() if kind != "voice"}
    megabyte = 1024 * 1024
    assert largest == {
        "audio": 16 * megabyte,
        "image": 5 * megabyte,
        "video": 16 * megabyte,
        "sticker": 100 * 1024,
        "document": 100 * megabyte,
    }
    assert rules["sticker"].largest_animated == 500 * 1024
