from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.utils import timezone
from model_bakery import baker

from chatbot import doctor
from chatbot.doctor import Level
from chatbot.models import FailedEvent, Flow, MessageStatus, Trigger, Worker
from chatbot.tests import recipes
from sessions_app.models import Channel, ChannelKind
from users.models import Department

pytestmark = pytest.mark.django_db

CREDENTIALS = {"access_token": "a", "app_secret": "b", "verify_token": "c"}


@pytest.fixture
def healthy():
    """Everything that a site with a WhatsApp number needs."""
    now = timezone.now()
    recipes.ana()
    call_command("load_flows", stdout=StringIO())
    baker.make(Worker, name="w", started_at=now, beat_at=now)
    return recipes.channel(slug="whatsapp", is_default=True, credentials=CREDENTIALS)


def answers():
    """What the doctor says about each question that is not simply well."""
    return {one.about: one for one in doctor.examine() if one.level is not Level.OK}


def test_a_healthy_installation_has_nothing_to_mend(healthy):
    out = StringIO()
    call_command("doctor", stdout=out)
    assert answers() == {}
    lines = out.getvalue().splitlines()
    assert len(lines) > 8
    assert all(line.startswith("ok ") for line in lines)


def test_an_error_fails_the_command_and_says_what_to_do(healthy):
    Worker.objects.all().delete()
    out = StringIO()
    with pytest.raises(CommandError, match="1 error"):
        call_command("doctor", stdout=out)
    assert "manage.py worker" in out.getvalue()


def no_worker():
    Worker.objects.update(beat_at=timezone.now() - timedelta(minutes=5))


def no_default_channel():
    Channel.objects.update(is_default=False)


def default_channel_off():
    Channel.objects.update(is_active=False)


def simulator_only():
    Channel.objects.update(kind=ChannelKind.SIMULATOR)


def lost_key():
    Channel.objects.update(credentials={"_unreadable": True})


def missing_secret():
    Channel.objects.update(credentials={"access_token": "a", "verify_token": "c"})


def paused():
    later = timezone.now() + timedelta(hours=1)
    Channel.objects.update(paused_until=later, pause_reason="billing")


def nothing_on_air():
    Flow.objects.update(is_active=False)


def nothing_starts():
    Trigger.objects.update(is_active=False)


def no_fallback():
    Department.objects.filter(is_fallback=True).update(is_fallback=False)


def no_admin():
    recipes.ana().delete()


def late_message():
    due = timezone.now() - timedelta(minutes=10)
    session = recipes.session(channel=Channel.objects.get())
    recipes.outbound(session, status=MessageStatus.QUEUED, run_at=due)


def failed_event():
    baker.make(FailedEvent, error="falhou")


@pytest.mark.parametrize(
    ("trouble", "about", "level"),
    [
        (no_worker, "worker", "error"),
        (no_default_channel, "default channel", "error"),
        (default_channel_off, "default channel", "error"),
        (simulator_only, "default channel", "warning"),
        (lost_key, "channel whatsapp", "error"),
        (missing_secret, "channel whatsapp", "error"),
        (paused, "channel whatsapp", "warning"),
        (nothing_on_air, "flows", "error"),
        (nothing_starts, "flows", "warning"),
        (no_fallback, "fallback department", "error"),
        (no_admin, "admins", "error"),
        (late_message, "outbox", "warning"),
        (failed_event, "failed events", "warning"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_trouble_is_found_alone_with_its_cure(healthy, trouble, about, level):
    trouble()
    found = answers()
    assert list(found) == [about]
    assert found[about].level == level
    assert found[about].cure


def test_debug_is_warned_of(healthy, settings):
    settings.DEBUG = True
    assert answers()["debug"].level is Level.WARNING


def test_files_that_were_not_collected_are_an_error(healthy, settings, tmp_path):
    backend = "whitenoise.storage.CompressedManifestStaticFilesStorage"
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    assert "collectstatic" in answers()["static files"].cure


def test_a_database_that_does_not_answer_ends_the_examination(monkeypatch):
    def cursor():
        raise DatabaseError("connection refused\nsecond line")

    monkeypatch.setattr(connection, "cursor", cursor)
    *_settings, last = doctor.examine()
    assert (last.about, last.level, last.state) == ("database", Level.ERROR, "connection refused")


def test_migrations_that_are_missing_end_the_examination(monkeypatch):
    monkeypatch.setattr(
        "chatbot.doctor.MigrationExecutor.migration_plan", lambda self, targets: [1, 2]
    )
    *_others, last = doctor.examine()
    assert (last.about, last.level, last.state) == ("migrations", Level.ERROR, "2 not applied")
