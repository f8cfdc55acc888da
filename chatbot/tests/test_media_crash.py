"""Workers that are killed in the middle of a file, and people who click at the same instant."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from chatbot import media
from chatbot.models import Media, MediaStatus, Task, TaskKind, TaskStatus
from chatbot.tests import media_samples as samples
from chatbot.tests import stage
from chatbot.tests.test_worker_crash import kill, wait_for, workers
from chatbot.tests.webhook import message, say, text

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.fixture
def shop(transactional_db):
    return stage.open_shop()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The folder of the workers' files."""
    monkeypatch.setenv("MEDIA_ROOT", str(tmp_path))
    return lambda: sorted(one for one in Path(tmp_path).rglob("*") if one.is_file())


def receive(graph_api, content, mime_type="application/pdf", **more):
    given = graph_api.keep(content, mime_type, **more)
    say(Client(), message({"type": "document", "document": given}))
    return Media.objects.latest("pk")


def test_a_worker_killed_in_the_middle_of_a_download_loses_nothing(shop, graph_api, files):
    content = samples.pdf() + bytes(range(256)) * 8000  # 2 MB in slow pieces
    row = receive(graph_api, content, pause=0.1)
    with workers(1, graph_api) as (process,):
        wait_for(lambda: graph_api.downloads, "the download to begin")
        kill(process)
    assert Media.objects.get().status == MediaStatus.PENDING
    assert files() == []
    graph_api.book.files[row.provider_id].pause = 0.0
    graph_api.expire_addresses()
    leased = Task.objects.filter(kind=TaskKind.MEDIA, status=TaskStatus.PENDING)
    assert leased.update(locked_until=F("locked_until") - timedelta(minutes=10)) == 1
    with workers(1, graph_api):
        wait_for(lambda: Media.objects.get().status == MediaStatus.STORED, "the file")
        done = Task.objects.filter(kind=TaskKind.MEDIA, status=TaskStatus.DONE)
        wait_for(done.exists, "the end of its task, noted after the file")
    [kept] = files()
    assert kept.read_bytes() == content


def test_slow_downloads_do_not_hold_up_answers(shop, graph_api, files):
    for _ in range(4):
        receive(graph_api, bytes(range(256)) * 8000, pause=1.0)
    with workers(1, graph_api):
        wait_for(lambda: graph_api.downloads, "a download to begin")
        say(Client(), text("Oi", phone="5511990000077"))
        wait_for(lambda: [one for one in graph_api.messages if one.to.endswith("77")], "the answer")
        assert not Media.objects.filter(status=MediaStatus.STORED).exists()


def test_people_who_ask_at_once_have_it_fetched_once(shop, graph_api):
    row = receive(graph_api, samples.pdf())
    Task.objects.all().delete()
    Media.objects.filter(pk=row.pk).update(status=MediaStatus.FAILED, error="http_302: ")
    together = threading.Barrier(6)

    def click():
        together.wait()
        media.fetch_again(row)
        connection.close()

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Task.objects.filter(kind=TaskKind.MEDIA).count() == 1
    assert Media.objects.get().status == MediaStatus.PENDING
    assert media.fetch(row.pk, attempts=1, now=timezone.now()) == ("", False)
    media.remove_files([Media.objects.get().file.name])
