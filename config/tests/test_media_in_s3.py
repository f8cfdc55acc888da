"""Files in a bucket: the same as in a folder, private, and by our own views alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from chatbot import delivery
from chatbot.channels import http
from chatbot.models import Incident, Media, MediaStatus, MessageLog, TaskStatus
from chatbot.tests import graph_server, recipes, stage
from chatbot.tests import media_samples as samples
from chatbot.tests.test_attachments import send
from chatbot.tests.test_media import fresh, receive, run_due
from config import media_storage
from config.tests import s3_server
from tickets.services import take_over

pytest.importorskip("storages")
pytestmark = pytest.mark.django_db


def bucket(url):
    return media_storage.backend(
        bucket="arquivos",
        endpoint_url=url,
        region="us-east-1",
        access_key="chave-ficticia",
        secret_key="segredo-ficticio",
    )


@pytest.fixture
def graph_api(settings):
    with graph_server.running() as server:
        settings.GRAPH_API_URL = server.url
        yield server
        http.close()


@pytest.fixture
def s3(settings):
    with s3_server.running() as server:
        settings.STORAGES = {**settings.STORAGES, "default": bucket(server.url)}
        yield server


@pytest.fixture
def shop(db, graph_api):
    return stage.open_shop()


def test_a_received_file_lives_in_the_bucket_and_goes_with_its_message(
    client, shop, graph_api, s3, django_capture_on_commit_callbacks
):
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    assert run_due() == [TaskStatus.DONE]
    file = fresh(file)
    assert s3.objects[f"/arquivos/{file.file.name}"] == samples.picture()
    assert len(s3.objects) == 2  # and its thumbnail
    assert s3.acls == {"private"}
    assert s3.unsigned == 0
    client.force_login(recipes.ana())
    answer = client.get(
        reverse("conversation_media", args=[file.pk]), headers={"Range": "bytes=10-19"}
    )
    assert (answer.status_code, b"".join(answer)) == (206, samples.picture()[10:20])
    with django_capture_on_commit_callbacks(execute=True):
        MessageLog.objects.filter(pk=file.message_id).delete()
    assert s3.objects == {}


def test_a_large_file_goes_in_parts_and_comes_back_whole(client, shop, graph_api, s3):
    large = samples.pdf() + bytes(range(256)) * 70_000  # 18 MB
    file = receive(client, "document", graph_api.keep(large, "application/pdf"))
    assert run_due() == [TaskStatus.DONE]
    assert ("POST", f"/arquivos/{fresh(file).file.name}") in s3.seen
    client.force_login(recipes.ana())
    answer = client.get(reverse("conversation_media", args=[file.pk]))
    assert b"".join(answer) == large


def test_a_bucket_that_does_not_answer_loses_nothing(client, shop, graph_api, s3, settings):
    file = receive(client, "image", graph_api.keep(samples.picture(), "image/jpeg"))
    well = settings.STORAGES
    settings.STORAGES = {**well, "default": bucket("http://127.0.0.1:9")}
    assert run_due() == [TaskStatus.PENDING]
    assert fresh(file).status == MediaStatus.PENDING
    assert Incident.objects.filter(kind="media", closed_at=None).exists()
    settings.STORAGES = well
    assert run_due(after=timedelta(minutes=5)) == [TaskStatus.DONE]


def test_what_an_attendant_sends_is_uploaded_from_the_bucket(client, shop, graph_api, s3):
    session = stage.talk(shop)
    take_over(session, user=recipes.bia(), at=timezone.now())
    client.force_login(recipes.bia())
    assert send(client, session, samples.pdf(), name="boleto.pdf").status_code == 302
    assert len(s3.objects) == 1
    delivery.deliver_pending()
    assert [one.content for one in graph_api.uploads] == [samples.pdf()]
    assert Media.objects.get().uploaded_at
