"""Can this installation do its job? An answer per question, each with what to do about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.core import checks
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from chatbot.channels import UnknownKind, transport_for
from chatbot.incident_words import describe
from chatbot.models import (
    FailedEvent,
    FailedEventState,
    Flow,
    Incident,
    MessageLog,
    MessageStatus,
    Task,
    TaskStatus,
    Trigger,
    TriggerKind,
    Worker,
)
from sessions_app.models import Channel, ChannelKind
from users.models import Department, User

LATE = timedelta(minutes=5)
UNREADABLE = "_unreadable"
NEEDED_CREDENTIALS: dict[str, tuple[str, ...]] = {
    ChannelKind.WHATSAPP_CLOUD: ("access_token", "app_secret", "verify_token"),
}


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Diagnosis:
    """What was looked at, how it is, and what to do when it is not well."""

    level: Level
    about: str
    state: str
    cure: str = ""


def examine(*, now: datetime | None = None) -> Iterator[Diagnosis]:
    """Every question in turn. Without a database, or with an old one, only the first ones."""
    now = now or timezone.now()
    yield from _settings()
    database = _database()
    yield database
    if database.level is Level.ERROR:
        return
    migrations = _migrations()
    yield migrations
    if migrations.level is Level.ERROR:
        return
    for look in _LOOKS:
        yield from look(now)


def _settings() -> Iterator[Diagnosis]:
    """Django's own checks, those for a deployment included unless this is a developer's machine."""
    is_local = settings.DEBUG or not settings.SITE_URL.startswith("https://")
    found = [
        one
        for one in checks.run_checks(include_deployment_checks=not is_local)
        if one.level >= checks.WARNING and not one.is_silenced()
    ]
    for one in found:
        level = Level.ERROR if one.is_serious() else Level.WARNING
        yield Diagnosis(level, "settings", f"{one.id}: {one.msg}", str(one.hint or ""))
    if not found:
        yield _ok("settings", f"Django's checks find nothing; the site is {settings.SITE_URL}")
    if settings.DEBUG:
        yield _warning("debug", "DEBUG is on", "Take DEBUG out of the environment of a real site.")


def _database() -> Diagnosis:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return _error("database", reason, "Look at DATABASE_URL, and whether the server runs.")
    return _ok("database", f"{connection.vendor} answers")


def _migrations() -> Diagnosis:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        return _error("migrations", f"{len(plan)} not applied", "Run: manage.py migrate")
    return _ok("migrations", "all applied")


def _worker(now: datetime) -> Iterator[Diagnosis]:
    alive = Worker.objects.alive(now).count()
    if alive:
        yield _ok("worker", f"{alive} running")
        return
    last = Worker.objects.order_by("-beat_at").first()
    heard = f"last heard of {last.beat_at:%Y-%m-%d %H:%M} UTC" if last else "never heard of one"
    yield _error("worker", heard, "Start: manage.py worker. Nothing is delivered without it.")


def _outbox(now: datetime) -> Iterator[Diagnosis]:
    late = now - LATE
    messages = MessageLog.objects.filter(status=MessageStatus.QUEUED, run_at__lt=late).count()
    tasks = Task.objects.filter(status=TaskStatus.PENDING, run_at__lt=late).count()
    if messages or tasks:
        state = f"{messages} messages and {tasks} tasks are more than five minutes late"
        yield _warning("outbox", state, "Look at the worker's log and at paused channels.")
    else:
        yield _ok("outbox", "nothing is late")


def _default_channel(now: datetime) -> Iterator[Diagnosis]:
    channel = Channel.objects.filter(is_default=True).first()
    if channel is None:
        cure = "Run: manage.py sync_default_channel"
        yield _error("default channel", "there is none: /webhook answers 404", cure)
    elif not channel.is_active:
        cure = "Activate it in the console, or make another one the default."
        yield _error("default channel", f"{channel} is not active", cure)
    elif channel.is_simulator:
        cure = "Fine for a trial. For WhatsApp set the WHATSAPP_* variables; see README.md."
        yield _warning("default channel", "it is the simulator, which has no webhook", cure)
    else:
        yield _ok("default channel", f"{channel} ({channel.get_kind_display()})")


def _channels(now: datetime) -> Iterator[Diagnosis]:
    for channel in Channel.objects.active():
        yield _channel(channel, now)


def _channel(channel: Channel, now: datetime) -> Diagnosis:
    about = f"channel {channel.slug}"
    try:
        transport_for(channel)
    except UnknownKind:
        return _error(about, f"no program for the kind {channel.kind}", "Deactivate the channel.")
    if UNREADABLE in channel.credentials:
        cure = "Put the old key last in FIELD_ENCRYPTION_KEY, or type the credentials in again."
        return _error(about, "its credentials cannot be decrypted", cure)
    needed = NEEDED_CREDENTIALS.get(channel.kind, ())
    missing = [name for name in needed if not channel.credentials.get(name)]
    if missing:
        cure = "Type them in on the channel's page."
        return _error(about, f"missing credentials: {', '.join(missing)}", cure)
    if channel.paused_until is not None and channel.paused_until > now:
        cure = "Mend the reason, then take the pause off the channel."
        return _warning(about, f"sending is paused: {channel.pause_reason}", cure)
    return _ok(about, "ready")


def _flows(now: datetime) -> Iterator[Diagnosis]:
    if not Flow.objects.published().exists():
        yield _error("flows", "none is on air: the bot says nothing", "Run: manage.py load_flows")
        return
    starts = Trigger.objects.filter(
        kind=TriggerKind.CATCH_ALL,
        is_active=True,
        flow__is_active=True,
        flow__published__isnull=False,
    )
    if not starts.exists():
        cure = "Give a published flow a trigger of the kind “any message”."
        state = "no flow answers any message: conversations go straight to the queue"
        yield _warning("flows", state, cure)
        return
    yield _ok("flows", "one answers any message")


def _people(now: datetime) -> Iterator[Diagnosis]:
    if Department.objects.active().filter(is_fallback=True).exists():
        yield _ok("fallback department", "there is one")
    else:
        cure = "Make one department the fallback, in the console: a handoff needs somewhere to go."
        yield _error("fallback department", "there is none that is active", cure)
    if not User.objects.admins().active().exists():
        yield _error("admins", "there is none", "Run: manage.py createsuperuser")


def _failed_events(now: datetime) -> Iterator[Diagnosis]:
    waiting = FailedEvent.objects.filter(state=FailedEventState.NEW).count()
    if waiting:
        cure = "Look at them in the console, or run: manage.py process_failed"
        yield _warning("failed events", f"{waiting} wait to be looked at", cure)
    else:
        yield _ok("failed events", "none")


def _incidents(now: datetime) -> Iterator[Diagnosis]:
    found = list(Incident.objects.open().select_related("channel").defer("channel__credentials"))
    for one in found:
        words = describe(one)
        yield _warning(f"incident {one.pk}", f"{words.title}. {words.what}", words.advice)
    if not found:
        yield _ok("incidents", "none is open")


def _static_files(now: datetime) -> Iterator[Diagnosis]:
    storage: Any = staticfiles_storage
    if not isinstance(storage, ManifestFilesMixin):
        yield _ok("static files", "served as they are")
    elif storage.read_manifest() is None:
        cure = "Run: manage.py collectstatic --noinput. Every page fails without it."
        yield _error("static files", "not collected", cure)
    else:
        yield _ok("static files", "collected")


def _media_files(now: datetime) -> Iterator[Diagnosis]:
    """Only a folder can be looked at without writing to it."""
    location = getattr(default_storage, "location", "")
    if not isinstance(location, str) or not location:
        yield _ok("media", "kept elsewhere")
        return
    folder = next(path for path in (Path(location), *Path(location).parents) if path.exists())
    if os.access(folder, os.W_OK):
        yield _ok("media", "the folder can be written to")
    else:
        cure = "Give the program's user the right to write to MEDIA_ROOT."
        yield _error("media", "the folder cannot be written to", cure)


_LOOKS: tuple[Callable[[datetime], Iterator[Diagnosis]], ...] = (
    _worker,
    _outbox,
    _default_channel,
    _channels,
    _flows,
    _people,
    _failed_events,
    _incidents,
    _static_files,
    _media_files,
)


def _ok(about: str, state: str) -> Diagnosis:
    return Diagnosis(Level.OK, about, state)


def _warning(about: str, state: str, cure: str) -> Diagnosis:
    return Diagnosis(Level.WARNING, about, state, cure)


def _error(about: str, state: str, cure: str) -> Diagnosis:
    return Diagnosis(Level.ERROR, about, state, cure)
