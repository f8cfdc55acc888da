from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from chatbot.models import Worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker():
    now = timezone.now()
    return Worker.objects.create(name="host:1", started_at=now, beat_at=now)


def test_healthz_asks_the_database_nothing(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready_with_database_migrations_and_worker(client, worker):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "checks": {"database": "ok", "migrations": "ok", "worker": "ok"},
    }


def test_not_ready_without_a_worker(client):
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["worker"] == "no heartbeat in the last minute"


def test_not_ready_when_the_worker_fell_silent(client, worker):
    Worker.objects.update(beat_at=timezone.now() - timedelta(seconds=61))
    assert client.get("/readyz").status_code == 503


def test_not_ready_before_migrations_are_applied(client, worker, monkeypatch):
    monkeypatch.setattr("config.health.MigrationExecutor.migration_plan", lambda self, to: [1, 2])
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["migrations"] == "2 not applied"


def test_not_ready_without_a_database(client, monkeypatch):
    def gone():
        raise OperationalError("gone")

    monkeypatch.setattr(connection, "cursor", gone)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "does not answer"}


@pytest.mark.parametrize(
    ("token", "header", "status"),
    [
        pytest.param("", "Bearer ", 404, id="no token set"),
        pytest.param("s3cret-token", "", 401, id="no token given"),
        pytest.param("s3cret-token", "Bearer other", 401, id="wrong token"),
        pytest.param("s3cret-token", "Bearer s3cret-token", 200, id="right token"),
    ],
)
def test_metrics_are_for_the_bearer_of_the_token(client, settings, token, header, status):
    settings.METRICS_TOKEN = token
    response = client.get("/metrics", headers={"Authorization": header})
    assert response.status_code == status
    assert (b"python_info" in response.content) is (status == 200)
