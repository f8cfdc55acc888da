"""Many failed events handled again, in the background: one Task, done by the worker in slices.

How far a job has come is written in the transaction that notes how an event ended, so a worker that
dies loses nothing and repeats nothing: after its lease the job goes on behind the last event noted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot import ledger
from chatbot.models import FailedEvent, FailedEventState, Task, TaskKind, TaskStatus
from chatbot.reprocessing import reprocess
from chatbot.wake import wake_workers
from users.errors import DomainError

SLICE = timedelta(seconds=20)  # far less than the lease of a task
BATCH = 100
COUNTED: dict[str, str] = {
    FailedEventState.DONE: "handled",
    FailedEventState.IGNORED: "handled",
    FailedEventState.SUPERSEDED: "superseded",
    FailedEventState.NEW: "failed",
}


class NothingToProcess(DomainError):
    code = "nothing_to_process"


@dataclass(frozen=True)
class Progress:
    """How far a job has come, for people."""

    total: int
    handled: int
    failed: int
    superseded: int
    elsewhere: int

    @property
    def done(self) -> int:
        return min(self.total, self.handled + self.failed + self.superseded + self.elsewhere)

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 100


def start(
    *,
    wanted: Mapping[str, str] | None = None,
    ids: Sequence[int] = (),
    by: str,
    now: datetime,
) -> tuple[Task, bool]:
    """The job for the events that match `wanted` (see ledger.matching), or for these alone, and
    whether it is new: one that runs for the same thing is returned instead.

    Only events that exist now are meant. Raises NothingToProcess.
    """
    meant: dict[str, Any] = {"ids": sorted(ids)} if ids else {"wanted": dict(wanted or {})}
    key = hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()
    same = Task.objects.filter(kind=TaskKind.REPROCESS, key=key)
    running = same.filter(status=TaskStatus.PENDING).first()
    if running is not None:
        return running, False
    events = _meant(meant)
    last = events.aggregate(last=Max("pk"))["last"]
    if last is None:
        raise NothingToProcess(_("Nothing of this waits to be processed."))
    payload = {**meant, "last": last, "cursor": 0, "total": events.count(), "by": by}
    try:
        with transaction.atomic():
            task = Task.objects.create(
                kind=TaskKind.REPROCESS, key=key, payload=payload, run_at=now
            )
            wake_workers()
    except IntegrityError:
        return same.latest("id"), False
    return task, True


def cancel(task: Task, *, now: datetime) -> bool:
    """Stop after the event that is under way; False when it was over already."""
    running = Task.objects.filter(pk=task.pk, kind=TaskKind.REPROCESS, status=TaskStatus.PENDING)
    over = {"locked_until": None, "done_at": now}
    return running.update(status=TaskStatus.DROPPED, **over) == 1  # writer: tasks' own state


def go_on(task: Task) -> tuple[TaskStatus, str]:
    """Work for one slice; PENDING when there is more. Whoever lost the lease, or was cancelled,
    stops: the row is no longer theirs, and what they return changes nothing."""
    until = monotonic() + SLICE.total_seconds()
    while ids := _next_ids(task):
        for pk in ids:
            if not _process(task, pk):
                return TaskStatus.DROPPED, ""
            if monotonic() > until:
                return TaskStatus.PENDING, ""
    return TaskStatus.DONE, ""


def progress_of(task: Task) -> Progress:
    found = task.payload
    counts = {name: int(found.get(name, 0)) for name in ("handled", "failed", "superseded")}
    elsewhere = int(found.get("elsewhere", 0))
    if task.status == TaskStatus.DONE:  # what is left of the total was settled by others
        elsewhere = max(elsewhere, int(found["total"]) - sum(counts.values()))
    return Progress(total=int(found["total"]), elsewhere=elsewhere, **counts)


def _meant(payload: Mapping[str, Any]) -> QuerySet[FailedEvent]:
    if "ids" in payload:
        events = FailedEvent.objects.filter(pk__in=payload["ids"])
    else:
        events = ledger.matching(payload["wanted"])
    return ledger.processable(events)


def _next_ids(task: Task) -> list[int]:
    place = task.payload
    events = _meant(place).filter(pk__gt=place["cursor"], pk__lte=place["last"])
    return list(events.order_by("pk").values_list("pk", flat=True)[:BATCH])


def _process(task: Task, pk: int) -> bool:
    """One event; False when the job is not the caller's any more."""
    if not _mine(task).exists():  # cancelled, or so slow that somebody else goes on
        return False
    event = FailedEvent.objects.select_related("channel", "message").filter(pk=pk).first()
    place = task.payload  # a note that is rolled back has counted nothing
    steps: list[bool] = []
    if event is not None:
        reprocess(
            event,
            now=timezone.now(),
            by=task.payload["by"],
            noted=lambda noted: steps.append(_advance(task, place, pk, COUNTED[noted.state])),
        )
    if not steps:  # settled, or being tried, by somebody else
        steps.append(_advance(task, place, pk, "elsewhere"))
    return steps[-1]


def _advance(task: Task, place: Mapping[str, Any], pk: int, counted: str) -> bool:
    payload = {**place, "cursor": pk, counted: int(place.get(counted, 0)) + 1}
    mine = Task.objects.filter(
        pk=task.pk, status=TaskStatus.PENDING, locked_until=task.locked_until
    )
    if mine.update(payload=payload) != 1:
        return False
    task.payload = payload
    return True


def _mine(task: Task) -> QuerySet[Task]:
    return Task.objects.filter(
        pk=task.pk, status=TaskStatus.PENDING, locked_until=task.locked_until
    )
