"""What a browser is given of a file, and what it is never given."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker

from chatbot.models import Media, MediaStatus
from chatbot.tests import media_samples as samples
from chatbot.tests import recipes

pytestmark = pytest.mark.django_db

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def sound(client):
    client.force_login(recipes.ana())
    row = recipes.inbound(recipes.session(), kind="voice")
    media = baker.make(
        Media,
        message=row,
        mime_type="audio/ogg; codecs=opus",
        sha256="ab" * 32,
        status=MediaStatus.STORED,
        fetched_at=timezone.now(),
    )
    media.file.save("som", ContentFile(CONTENT))
    yield reverse("conversation_media", args=[media.pk])
    media.file.storage.delete(media.file.name)


def body(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_the_whole_file_says_that_parts_may_be_asked_for(client, sound):
    answer = client.get(sound)
    assert body(answer) == CONTENT
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["Content-Length"] == str(len(CONTENT))
    assert answer["Content-Disposition"].startswith("inline")
    assert answer["Content-Type"] == "audio/ogg; codecs=opus"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-", 0, 256_000),
        ("bytes=0-0", 0, 1),
        ("bytes=1000-1999", 1000, 2000),
        ("bytes=-500", 255_500, 256_000),
        ("bytes=-999999999", 0, 256_000),
        ("bytes=255999-9999999", 255_999, 256_000),
    ],
)
def test_a_player_seeks(client, sound, asked, start, stop):
    answer = client.get(sound, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer["Content-Range"] == f"bytes {start}-{stop - 1}/256000"
    assert answer["Content-Length"] == str(stop - start)
    assert body(answer) == CONTENT[start:stop]


@pytest.mark.parametrize(
    "asked",
    ["bytes=5-2", "bytes=-", "bytes=0-1,5-6", "items=0-1", "bytes=a-b", "bytes=0-" + "9" * 40],
)
def test_an_odd_range_gets_the_whole_file(client, sound, asked):
    answer = client.get(sound, headers={"Range": asked})
    assert (answer.status_code, len(body(answer))) == (200, len(CONTENT))


@pytest.mark.parametrize("asked", ["bytes=256000-", "bytes=-0"])
def test_a_range_behind_the_end_is_416(client, sound, asked):
    answer = client.get(sound, headers={"Range": asked})
    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */256000")


def test_a_part_of_another_version_is_the_whole_file(client, sound):
    etag = client.get(sound)["ETag"]
    part = {"Range": "bytes=0-9"}
    assert client.get(sound, headers={**part, "If-Range": etag}).status_code == 206
    assert client.get(sound, headers={**part, "If-Range": '"other"'}).status_code == 200


def test_what_the_browser_has_is_not_sent_again_but_asked_about(client, sound):
    first = client.get(sound)
    assert first["Cache-Control"] == "private, no-cache"
    again = client.get(sound, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, body(again)) == (304, b"")
    client.force_login(recipes.caio())
    assert client.get(sound, headers={"If-None-Match": first["ETag"]}).status_code == 404


def test_a_file_that_is_not_in_the_storage_is_404(client, sound):
    media = Media.objects.get()
    media.file.storage.delete(media.file.name)
    assert client.get(sound).status_code == 404


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (b"<html>", "text/html"),
        (b"<svg/>", "image/svg+xml"),
        (b"<a/>", "application/xml"),
        (samples.pdf(), "application/pdf"),
        (b"alert(1)", "text/javascript"),
    ],
)
def test_what_could_run_is_only_ever_a_download(client, sound, content, mime_type):
    media = Media.objects.get()
    media.file.storage.delete(media.file.name)
    media.mime_type = mime_type
    media.file.save("x", ContentFile(content))
    media.save()
    answer = client.get(sound)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert body(answer) == content
