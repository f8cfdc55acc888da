"""A customer's file on its way to us: fetched by the worker, checked, kept, or said why not."""

from __future__ import annotations

import hashlib
import stat
from datetime import timedelta
from urllib.parse import unquote

import pytest
from django.core.files.storage import default_storage, storages
from django.urls import reverse
from django.utils import timezone

from chatbot import media, tasks
from chatbot.models import (
    Incident,
    Media,
    MediaStatus,
    MessageLog,
    Task,
    TaskKind,
    TaskStatus,
)
from chatbot.tests import media_samples as samples
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import body_of, message, post, post_file, say
from sessions_app.models import Session
from tickets.services import take_over

pytestmark = pytest.mark.django_db

SOON = timedelta(minutes=5)


@pytest.fixture
def shop(db, graph_api):
    return stage.open_shop()


def receive(client, kind, given, **more):
    """The webhook of a received file; its stored row."""
    answer = say(client, message({"type": kind, kind: {**given, **more}}))
    assert answer.status_code == 200
    return Media.objects.latest("pk")


def run_due(after=timedelta()):
    now = timezone.now() + after
    return [tasks.run_task(task) for task in tasks.claim_due(limit=20, now=now)]


def fresh(file):
    return Media.objects.get(pk=file.pk)


def content(file):
    with fresh(file).file.open() as stored:
        return stored.read()


def stored_names():
    folders, names = (
        default_storage.listdir("media") if default_storage.exists("media") else ([], [])
    )
    for year in folders:
        for month in default_storage.listdir(f"media/{year}")[0]:
            names += default_storage.listdir(f"media/{year}/{month}")[1]
    return sorted(names)


KINDS = [
    ("image", samples.picture(), "image/jpeg", {"caption": "Esse aqui"}),
    ("image", samples.picture("PNG"), "image/png", {}),
    ("audio", samples.sample("voice.ogg"), "audio/ogg; codecs=opus", {"voice": True}),
    ("audio", samples.sample("sound.mp3"), "audio/mpeg", {}),
    ("audio", samples.sample("sound.m4a"), "audio/mp4", {}),
    ("audio", samples.sample("sound.aac"), "audio/aac", {}),
    ("audio", samples.sample("sound.amr"), "audio/amr", {}),
    ("video", samples.sample("video.mp4"), "video/mp4", {}),
    ("video", samples.sample("video.3gp"), "video/3gpp", {}),
    ("document", samples.pdf(), "application/pdf", {"filename": "Orçamento.pdf"}),
    ("sticker", samples.sticker(), "image/webp", {"animated": False}),
    ("sticker", samples.sticker(is_animated=True), "image/webp", {"animated": True}),
]


@pytest.mark.parametrize(
    ("kind", "sent", "mime_type", "more"), KINDS, ids=[f"{one[0]} {one[2]}" for one in KINDS]
)
def test_a_file_of_every_kind_is_kept_as_it_was_sent(
    client, shop, graph_api, kind, sent, mime_type, more
):
    file = receive(client, kind, graph_api.keep(sent, mime_type), **more)
    assert file.status == MediaStatus.PENDING
    assert run_due() == [TaskStatus.DONE]
    file = fresh(file)
    assert (file.status, file.mime_type, file.size) == (MediaStatus.STORED, mime_type, len(sent))
    assert file.sha256 == hashlib.sha256(sent).hexdigest()
    assert content(file) == sent
    assert bool(file.thumbnail) == (kind in {"image", "sticker"})


def test_a_text_makes_no_task(client, shop):
    say(client, message({"type": "text", "text": {"body": "Oi"}}))
    assert not Task.objects.filter(kind=TaskKind.MEDIA).exists()


def test_the_token_and_a_user_agent_go_along_and_the_number_guards_the_id(client, shop, graph_api):
    receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"), url="")
    run_due()
    described, downloaded = graph_api.requests[-2:]
    assert described.path.endswith(f"?phone_number_id={shop.external_id}")
    assert downloaded.headers["Authorization"] == "Bearer token-ficticio"
    assert downloaded.headers["User-Agent"] == "Atende"


def test_the_address_of_the_webhook_saves_a_question_while_it_is_young(client, shop, graph_api):
    receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    run_due()
    assert [one.path.split("?")[0] for one in graph_api.requests] == [
        graph_api.downloads[0].path.split("?")[0]
    ]


def test_a_dead_address_is_resolved_again_by_the_id(client, shop, graph_api):
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    graph_api.expire_addresses()
    assert run_due() == [TaskStatus.DONE]
    assert fresh(file).status == MediaStatus.STORED
    assert len(graph_api.downloads) == 2  # the dead one and the new one


def test_an_old_address_is_not_even_tried(client, shop, graph_api):
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    long_ago = timezone.now() - timedelta(minutes=6)
    MessageLog.objects.filter(pk=file.message_id).update(provider_at=long_ago)
    graph_api.expire_addresses()
    run_due()
    assert fresh(file).status == MediaStatus.STORED
    assert len(graph_api.downloads) == 1


@pytest.mark.parametrize("claim", ["hex", "base64"])
def test_a_hash_is_taken_in_both_forms(client, shop, graph_api, claim):
    sent = samples.pdf()
    sha256 = hashlib.sha256(sent).hexdigest() if claim == "hex" else ""
    given = graph_api.keep(sent, "application/pdf", sha256=sha256)
    file = receive(client, "document", given, filename="a.pdf")
    run_due()
    assert fresh(file).status == MediaStatus.STORED


def test_wrong_bytes_are_not_kept_and_can_be_asked_for_again(client, shop, graph_api):
    wrong = hashlib.sha256(b"another file").hexdigest()
    given = graph_api.keep(samples.pdf(), "application/pdf", sha256=wrong)
    file = receive(client, "document", given, filename="a.pdf")
    for round_ in range(3):
        run_due(after=SOON * round_)
    file = fresh(file)
    assert (file.status, media.error_code(file)) == (MediaStatus.FAILED, "wrong_hash")
    assert stored_names() == []
    assert media.may_fetch_again(file)


def test_a_file_over_the_limit_is_cut_off_and_said_so(client, shop, graph_api, settings):
    settings.MEDIA_LARGEST_BYTES = 40_000
    given = graph_api.keep(b"%PDF-1.4" + b"x" * 4_000_000, "application/pdf")
    file = receive(client, "document", given, filename="grande.pdf")
    assert run_due() == [TaskStatus.FAILED]
    file = fresh(file)
    assert (file.status, media.error_code(file)) == (MediaStatus.FAILED, "too_large")
    assert not media.may_fetch_again(file)
    assert stored_names() == []
    page = _page(client, file)
    assert "39,1" in page  # the limit in words: 39.1 KB


def test_what_whatsapp_did_not_deliver_for_its_size_is_said_in_words(client, shop):
    post_file(client, "message_media_error_131052.json")
    session = Session.objects.get()
    client.force_login(recipes.ana())
    page = client.get(reverse("conversation", args=[session.pk])).content.decode()
    assert "100 MB" in page


@pytest.mark.parametrize(
    ("sent", "claimed", "told"),
    [
        (b"<!DOCTYPE html><script>alert(1)</script>", "image/jpeg", "text/html"),
        (
            b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
            "image/png",
            "image/svg+xml",
        ),
        (
            b"MZ\x90\x00" + b"\x00" * 400,
            "image/png",
            "application/vnd.microsoft.portable-executable",
        ),
        (b"\x00\x01\x02\x03" * 50, "image/jpeg", "application/octet-stream"),
    ],
    ids=["html", "svg", "exe", "noise"],
)
def test_a_lying_type_is_told_by_the_content_and_only_downloaded(
    client, shop, graph_api, sent, claimed, told
):
    file = receive(client, "image", graph_api.keep(sent, claimed))
    run_due()
    file = fresh(file)
    assert (file.status, file.mime_type, bool(file.thumbnail)) == (MediaStatus.STORED, told, False)
    page = _page(client, file)
    assert "<img" not in page
    answer = client.get(reverse("conversation_media", args=[file.pk]))
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\x.pdf", "x.pdf"),
        ("a\x00b\r\nX-Evil: 1.pdf", "a\ufffdbX-Evil_ 1.pdf"),
        ("cod\u202egpj.exe", "codgpj.exe"),
        ("\u2066..\u2069", ""),
        ("a" * 300 + ".pdf", "…" + ".pdf"),
        ('"; filename="evil.html', "_; filename=_evil.html"),
    ],
    ids=["path", "drive", "control", "direction", "nothing", "long", "quote"],
)
def test_a_file_name_is_never_a_path_and_hides_nothing(client, shop, graph_api, name, shown):
    given = graph_api.keep(samples.pdf(), "application/pdf")
    file = receive(client, "document", given, filename=name)
    run_due()
    file = fresh(file)
    assert file.file.name.startswith("media/20")
    assert len(stored_names()) == 1
    assert "passwd" not in file.file.name
    client.force_login(recipes.ana())
    answer = client.get(reverse("conversation_media", args=[file.pk]))
    header = answer["Content-Disposition"]
    assert (shown or f"document-{file.pk}.pdf").removeprefix("…") in _named(header)
    assert not {"\u202e", "\r", "\n", "/", "\\"} & set(_named(header))


def _named(header):
    return unquote(header)


def test_only_known_hosts_get_the_token(client, shop, graph_api, httpserver):
    """A forged address in the webhook, and one in the answer of the Graph API."""
    given = graph_api.keep(samples.picture(), "image/jpeg")
    elsewhere = httpserver.url_for("/roubo").replace("127.0.0.1", "localhost")
    file = receive(client, "image", {**given, "url": elsewhere})
    assert run_due() == [TaskStatus.DONE]  # by the id
    assert fresh(file).status == MediaStatus.STORED
    other = receive(client, "image", {**given, "url": "", "id": "400000000000001"})
    graph_api.answer(200, {"url": elsewhere, "sha256": ""}, path="/400000000000001")
    assert run_due() == [TaskStatus.FAILED]
    assert media.error_code(fresh(other)) == "media_host"
    assert httpserver.log == []


def test_a_redirect_is_not_followed(client, shop, graph_api):
    given = graph_api.keep(samples.picture(), "image/jpeg")
    file = receive(client, "image", {**given, "url": ""})
    graph_api.answer(302, "", path=f"/__file/{given['id']}")
    run_due()
    assert (fresh(file).status, media.error_code(fresh(file))) == (MediaStatus.FAILED, "http_302")


@pytest.mark.parametrize("error", ["error_131057.json", "error_190.json"])
def test_trouble_that_passes_is_tried_again_until_the_file_is_there(client, shop, graph_api, error):
    given = graph_api.keep(samples.picture(), "image/jpeg")
    file = receive(client, "image", {**given, "url": ""})
    graph_api.fail(error, path=f"/{given['id']}", times=2)
    assert run_due() == [TaskStatus.PENDING]
    assert (fresh(file).status, bool(fresh(file).error)) == (MediaStatus.PENDING, True)
    assert run_due() == []  # not at once
    assert run_due(after=SOON) == [TaskStatus.PENDING]
    assert run_due(after=SOON) == [TaskStatus.DONE]
    assert (fresh(file).status, fresh(file).error) == (MediaStatus.STORED, "")


def test_after_seven_days_it_is_over(client, shop, graph_api):
    given = graph_api.keep(samples.picture(), "image/jpeg")
    file = receive(client, "image", {**given, "url": ""})
    week = timezone.now() - timedelta(days=7)
    MessageLog.objects.filter(pk=file.message_id).update(created_at=week, provider_at=week)
    graph_api.fail("error_131057.json", path=f"/{given['id']}", times=None)
    assert run_due() == [TaskStatus.FAILED]
    assert media.error_code(fresh(file)) == "media_expired"
    assert not media.may_fetch_again(fresh(file))


def test_an_id_that_meta_has_forgotten_is_said_so(client, shop, graph_api):
    file = receive(client, "image", {**graph_api.keep(b"x", "image/jpeg"), "url": ""})
    graph_api.forget_files()
    assert run_due() == [TaskStatus.FAILED]
    assert media.error_code(fresh(file)) == "media_expired"


def test_a_storage_that_fails_is_an_incident_and_loses_nothing(
    client, shop, graph_api, monkeypatch
):
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))

    def full(*_args, **_kwargs):
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(type(storages["default"]), "_save", full)
        assert run_due() == [TaskStatus.PENDING]
    assert Incident.objects.filter(kind="media", closed_at=None).count() == 1
    assert run_due(after=SOON) == [TaskStatus.DONE]
    assert fresh(file).status == MediaStatus.STORED
    assert not Incident.objects.filter(closed_at=None).exists()


def test_a_file_that_comes_too_slowly_is_left_for_later(client, shop, graph_api, monkeypatch):
    monkeypatch.setattr("chatbot.channels.http.LONGEST_TRANSFER", 0.05)
    given = graph_api.keep(samples.pdf() + bytes(100_000), "application/pdf", pause=0.1)
    file = receive(client, "document", given)
    assert run_due() == [TaskStatus.PENDING]
    assert media.error_code(fresh(file)) == "timeout"
    graph_api.book.files[given["id"]].pause = 0.0
    monkeypatch.undo()
    assert run_due(after=SOON) == [TaskStatus.DONE]


def test_a_download_that_is_cut_is_done_again(client, shop, graph_api):
    given = graph_api.keep(samples.pdf() + bytes(100_000), "application/pdf", pause=0.1)
    file = receive(client, "document", given)
    graph_api.book.files[given["id"]].is_cut = True
    assert run_due() == [TaskStatus.PENDING]
    assert media.error_code(fresh(file)) == "cut"
    graph_api.book.files[given["id"]].is_cut = False
    assert run_due(after=SOON) == [TaskStatus.DONE]


# --- The scanner -------------------------------------------------------------------------------


def scanner(folder, script):
    """A real program that gets a path."""
    program = folder / "scanner with a space"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return [str(program), "--quiet"]


def test_an_infected_file_is_blocked_and_not_kept(client, shop, graph_api, settings, tmp_path):
    settings.MEDIA_SCANNER = scanner(tmp_path, 'grep -q EICAR "$2" && exit 1; exit 0')
    clean = receive(client, "document", graph_api.keep(b"tudo bem", "text/plain"))
    sick = receive(client, "document", graph_api.keep(b"EICAR de mentira", "text/plain"))
    assert sorted(run_due()) == [TaskStatus.DONE, TaskStatus.FAILED]
    assert (fresh(clean).status, fresh(sick).status) == (MediaStatus.STORED, MediaStatus.BLOCKED)
    assert len(stored_names()) == 1
    assert not media.may_fetch_again(fresh(sick))
    client.force_login(recipes.ana())
    assert client.get(reverse("conversation_media", args=[sick.pk])).status_code == 404


@pytest.mark.parametrize(
    "script", ["exit 2", "kill -9 $$", "sleep 60"], ids=["2", "killed", "slow"]
)
def test_a_scanner_that_cannot_look_makes_us_try_again(
    client, shop, graph_api, settings, tmp_path, monkeypatch, script
):
    monkeypatch.setattr("chatbot.scanner.TIMEOUT", 0.5)
    settings.MEDIA_SCANNER = scanner(tmp_path, script)
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    assert run_due() == [TaskStatus.PENDING]
    assert media.error_code(fresh(file)) == "not_scanned"
    settings.MEDIA_SCANNER = []
    assert run_due(after=SOON) == [TaskStatus.DONE]


def test_a_scanner_that_is_not_there_lets_nothing_through(client, shop, graph_api, settings):
    settings.MEDIA_SCANNER = ["/nowhere/scanner"]
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    assert run_due() == [TaskStatus.PENDING]
    assert fresh(file).status == MediaStatus.PENDING


def test_the_scanner_does_not_inherit_our_secrets(
    client, shop, graph_api, settings, tmp_path, monkeypatch
):
    monkeypatch.setenv("SECRET_KEY", "nao-conte")
    settings.MEDIA_SCANNER = scanner(tmp_path, f"env > {tmp_path}/seen; exit 0")
    receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    run_due()
    assert "nao-conte" not in (tmp_path / "seen").read_text()


# --- Asking again ------------------------------------------------------------------------------


@pytest.fixture
def lost(client, shop, graph_api):
    """A file that could not be fetched, and would be there now."""
    given = graph_api.keep(samples.picture(), "image/jpeg")
    file = receive(client, "image", {**given, "url": ""})
    graph_api.answer(302, "", path=f"/__file/{given['id']}")
    run_due()
    assert fresh(file).status == MediaStatus.FAILED
    return fresh(file)


def test_the_button_fetches_it_once_however_often_it_is_clicked(client, lost):
    client.force_login(recipes.ana())
    again = reverse("conversation_fetch_again", args=[lost.pk])
    assert again in _page(client, lost)
    for _click in range(2):
        answer = client.post(again, headers={"HX-Request": "true"})
        assert answer.status_code == 200
        assert "data-poll" in answer.content.decode()
    assert run_due() == [TaskStatus.DONE]
    assert fresh(lost).status == MediaStatus.STORED
    state = client.get(reverse("conversation_attachment", args=[lost.pk])).content.decode()
    assert "<img" in state
    assert "data-poll" not in state


def test_the_button_works_without_a_script(client, lost):
    client.force_login(recipes.ana())
    answer = client.post(reverse("conversation_fetch_again", args=[lost.pk]))
    assert answer.status_code == 302
    assert fresh(lost).status == MediaStatus.PENDING


def test_a_try_that_is_due_later_is_brought_forward(client, shop, graph_api):
    given = graph_api.keep(samples.picture(), "image/jpeg")
    file = receive(client, "image", {**given, "url": ""})
    graph_api.fail("error_131057.json", path=f"/{given['id']}")
    run_due()
    client.force_login(recipes.ana())
    client.post(reverse("conversation_fetch_again", args=[file.pk]))
    assert Task.objects.filter(kind=TaskKind.MEDIA).count() == 1
    assert run_due() == [TaskStatus.DONE]


def test_the_list_of_files_fetches_again_too(client, lost):
    client.force_login(recipes.ana())
    url = reverse("admin:chatbot_media_changelist")
    form = {"action": "fetch_again", "_selected_action": [lost.pk]}
    assert client.post(url, form).status_code == 302
    assert run_due() == [TaskStatus.DONE]


@pytest.mark.parametrize(
    "name", ["conversation_attachment", "conversation_thumbnail", "conversation_media"]
)
def test_nobody_else_reads_a_file_or_its_state(client, shop, graph_api, name):
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    run_due()
    take_over(Session.objects.get(), user=recipes.bia(), at=timezone.now())
    url = reverse(name, args=[file.pk])
    assert client.get(url).status_code == 302
    client.force_login(recipes.caio())
    assert client.get(url).status_code == 404
    assert client.post(reverse("conversation_fetch_again", args=[file.pk])).status_code == 404
    client.force_login(recipes.bia())
    assert client.get(url).status_code == 200


# --- One file ----------------------------------------------------------------------------------


def test_a_fetch_that_was_cut_short_leaves_no_second_file(client, shop, graph_api, monkeypatch):
    """Killed between the storage and the row: the next try finds its own leavings."""
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    with monkeypatch.context() as killed:
        killed.setattr(media, "KeptFile", _killed)
        with pytest.raises(KeyboardInterrupt):
            media.fetch(file.pk, attempts=1, now=timezone.now())
    assert len(stored_names()) == 2  # the file and its thumbnail
    assert run_due() == [TaskStatus.DONE]
    assert len(stored_names()) == 2
    assert content(file) == samples.picture()


def _killed(*_args, **_kwargs):
    raise KeyboardInterrupt


def test_of_two_fetches_at_once_one_file_stays(client, shop, graph_api, monkeypatch):
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    keep, is_nested = media._keep, []

    def keep_second(*args, **more):
        if not is_nested:
            is_nested.append(True)
            media.fetch(file.pk, attempts=1, now=timezone.now())
        return keep(*args, **more)

    monkeypatch.setattr(media, "_keep", keep_second)
    assert run_due() == [TaskStatus.DONE]
    assert len(stored_names()) == 2
    assert content(file) == samples.picture()


def test_a_message_takes_its_files_along(
    client, shop, graph_api, django_capture_on_commit_callbacks
):
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    run_due()
    assert len(stored_names()) == 2
    with django_capture_on_commit_callbacks(execute=True):
        MessageLog.objects.filter(pk=file.message_id).delete()
    assert stored_names() == []


def test_what_a_person_sends_from_the_phone_is_fetched_too(client, shop, graph_api):
    given = graph_api.keep(samples.picture(), "image/jpeg")
    echo = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551130000000", "phone_number_id": shop.external_id},
        "message_echoes": [
            {
                "from": "551130000000",
                "to": "5511990000001",
                "id": "wamid.eco",
                "timestamp": str(int(timezone.now().timestamp())),
                "type": "image",
                "image": given,
            }
        ],
    }
    body = body_of(echo).replace(b'"messages"', b'"smb_message_echoes"', 1)
    assert post(client, body).status_code == 200
    assert run_due() == [TaskStatus.DONE]
    assert Media.objects.get().status == MediaStatus.STORED


def test_a_file_in_an_edit_is_fetched_and_shown(client, shop, graph_api):
    first = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    inner = {"type": "image", "image": graph_api.keep(samples.picture("PNG"), "image/png")}
    edit = {"original_message_id": first.message.provider_id, "message": inner}
    say(client, message({"type": "edit", "edit": edit}))
    second = Media.objects.latest("pk")
    assert second.pk != first.pk
    assert set(run_due()) == {TaskStatus.DONE}
    assert reverse("conversation_thumbnail", args=[second.pk]) in _page(client, second)


def _page(client, file):
    client.force_login(recipes.ana())
    page = reverse("conversation", args=[file.message.session_id])
    return client.get(page).content.decode()
