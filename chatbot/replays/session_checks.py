"""All sessions compared with their logs, every night and on demand, by the worker."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from chatbot import verification
from chatbot.incidents import close_incident, open_incident
from chatbot.models import IncidentKind, JobState, SessionCheck, Task, TaskKind, TaskStatus
from chatbot.replays import states
from chatbot.replays.states import SLICE, UNDER_WAY
from chatbot.verification import Deviation
from chatbot.wake import wake_workers
from sessions_app.models import Session
from users.models import User

NIGHT = time(3)  # in TIME_ZONE: when few people write
LATEST = time(6)  # a site that was down at night does not begin in the morning
EVERY = timedelta(hours=12)
SHOWN = 100  # deviations that are kept
VALUE_SHOWN = 300  # characters


def start(*, user: User | None = None) -> tuple[SessionCheck, bool]:
    """Begin to verify every session, and whether it is new: the one that is under way is returned
    instead."""
    running = SessionCheck.objects.filter(state__in=UNDER_WAY)
    try:
        with transaction.atomic():
            check = SessionCheck.objects.create(total=Session.objects.count(), created_by=user)
            payload = {"check": check.pk}
            Task.objects.create(
                kind=TaskKind.VERIFY,
                key=f"check {check.pk}",
                payload=payload,
                run_at=timezone.now(),
            )
            wake_workers()
    except IntegrityError:
        known = running.first()
        return (known, False) if known else start(user=user)
    return check, True


def start_at_night(now: datetime) -> None:
    """Once every night, by whichever worker looks first."""
    local = now.astimezone(ZoneInfo(settings.TIME_ZONE)).time()
    if not NIGHT <= local < LATEST:
        return
    recent = SessionCheck.objects.filter(created_by=None, created_at__gt=now - EVERY)
    if not recent.exists():
        start()


def go_on(task: Task) -> tuple[TaskStatus, str]:
    """Work for one slice; PENDING when there is more."""
    until = monotonic() + SLICE.total_seconds()
    check = SessionCheck.objects.filter(pk=task.payload["check"]).first()
    if check is None or not states.begin(check):
        return TaskStatus.DROPPED, ""
    while ids := _next_ids(check):
        if not _verify(check, ids):
            return TaskStatus.DROPPED, ""
        if monotonic() > until:
            return TaskStatus.PENDING, ""
    _finish(check, now=timezone.now())
    return TaskStatus.DONE, ""


def give_up(task: Task, *, error: str, now: datetime) -> None:
    """The task has failed for good: say so, and let another one begin."""
    check = SessionCheck.objects.filter(pk=task.payload["check"]).first()
    if check is not None:
        states.fail(check, error=error, now=now)


def _next_ids(check: SessionCheck) -> list[int]:
    left = Session.objects.filter(pk__gt=check.last_session).order_by("pk")
    return list(left.values_list("pk", flat=True)[: verification.CHUNK])


def _verify(check: SessionCheck, ids: list[int]) -> bool:
    """Whether the check is still wanted afterwards."""
    deviations = [one for _pk, one in verification.verify(ids) if one is not None]
    check.found = [*check.found, *map(_as_json, deviations)][:SHOWN]
    check.done += len(ids)
    check.different += len(deviations)
    mine = SessionCheck.objects.filter(
        pk=check.pk, state=JobState.RUNNING, last_session=check.last_session
    )
    check.last_session = ids[-1]
    progress = {
        name: getattr(check, name) for name in ("found", "done", "different", "last_session")
    }
    return mine.update(**progress) == 1


def _finish(check: SessionCheck, *, now: datetime) -> None:
    if not states.finish(check, now=now):
        return
    if check.different:
        facts = {"count": check.different, "check": check.pk}
        open_incident(IncidentKind.LOG, now=now, facts=facts)
    else:
        close_incident(IncidentKind.LOG, now=now)


def _as_json(deviation: Deviation) -> dict[str, Any]:
    """Enough to find it; values may be long, and are shown to admins alone."""
    return {
        "session": deviation.session_id,
        "what": deviation.what,
        "stored": repr(deviation.stored)[:VALUE_SHOWN],
        "computed": repr(deviation.computed)[:VALUE_SHOWN],
    }
