"""Everything due later that is no message: waits, requests, slow handlers, marks as read,
message templates."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from chatbot import conversation, media, reprocess_jobs, template_sync
from chatbot.apply import run_handler
from chatbot.channels import transport_for
from chatbot.channels.base import SendError
from chatbot.engine.effects import RunHandler
from chatbot.http_request import ERROR, Unanswered, run_request
from chatbot.leases import claim, free
from chatbot.models import Task, TaskKind, TaskStatus
from chatbot.publishing import moves
from chatbot.replays import jobs as replays
from chatbot.replays import session_checks
from sessions_app.models import Session

logger = logging.getLogger(__name__)

TRIES = 5
LEASE = timedelta(seconds=120)  # longer than the longest request of an http passo
# What takes longer than that: a download, a look of the scanner, and storing the file.
EXTRA_LEASE = {TaskKind.MEDIA: timedelta(minutes=3)}
FLOWS_WAIT_FOR = frozenset({TaskKind.WAIT, TaskKind.HTTP, TaskKind.HANDLER})
ASKS_NOBODY = frozenset({TaskKind.MARK_READ, TaskKind.MEDIA})  # no flow waits for these
# Work of many parts, done in slices: each call goes on where the last one stopped.
SLICES: dict[str, Callable[[Task], tuple[TaskStatus, str]]] = {
    TaskKind.REPROCESS: reprocess_jobs.go_on,
    TaskKind.REPLAY: replays.go_on,
    TaskKind.VERIFY: session_checks.go_on,
    TaskKind.MOVE: moves.go_on,
}
# Whoever looks at the job is told that it has failed.
JOBS: dict[str, Callable[..., None]] = {
    TaskKind.REPLAY: replays.give_up,
    TaskKind.VERIFY: session_checks.give_up,
}


def due(now: datetime) -> QuerySet[Task]:
    """What flows of the simulator wait for is left out: it is due by each person's own clock
    (`chatbot.simulation.passing`)."""
    simulated = Session.objects.filter(is_simulated=True, pk=OuterRef("session"))
    return (
        Task.objects.filter(status=TaskStatus.PENDING, run_at__lte=now)
        .filter(free(now))
        .exclude(Exists(simulated), kind__in=FLOWS_WAIT_FOR)
        .order_by("run_at", "id")
    )


def claim_due(*, limit: int, now: datetime, files: int | None = None) -> list[Task]:
    """Lease up to `limit` due tasks, with at most `files` downloads among them: those may take
    minutes, and must not hold every thread that messages wait for."""
    if files is None:
        return claim(due(now), limit=limit, now=now, lease=LEASE)
    quick = claim(due(now).exclude(kind=TaskKind.MEDIA), limit=limit, now=now, lease=LEASE)
    left = min(files, limit - len(quick))
    if left <= 0:
        return quick
    slow = claim(due(now).filter(kind=TaskKind.MEDIA), limit=left, now=now, lease=LEASE)
    return [*quick, *slow]


def run_task(task: Task) -> str:
    """Do one claimed task and record what became of it; returns its new status.

    The work is done with no transaction open. A task whose worker dies is done again after its
    lease: handlers and requests may run twice, their result counts once. When a result is there
    and the flow stumbles over it, only the flow is tried again.
    """
    if not _begin(task):
        return ""
    mine = Task.objects.filter(
        pk=task.pk, status=TaskStatus.PENDING, locked_until=task.locked_until
    )
    try:
        status, error = _run(task)
    except SendError as failure:
        status, error = _retry_or_fail(task, failure.retryable), str(failure)
    except Exception as failure:
        logger.exception("task %s failed", task.pk)
        status, error = _retry_or_fail(task, True), type(failure).__name__
    now = timezone.now()
    if status == TaskStatus.PENDING and not error:  # there is more of it: others have their turn
        mine.update(run_at=now, locked_until=None, attempts=0, error="")
    elif status == TaskStatus.PENDING:
        later = now + _wait(task)
        mine.update(run_at=later, locked_until=None, error=error[:500])
    else:
        done = {"locked_until": None, "error": error[:500], "done_at": now}
        with transaction.atomic():
            mine.update(status=status, **done)  # writer: tasks belong to this module
            if status == TaskStatus.FAILED and task.kind in JOBS:
                JOBS[task.kind](task, error=error, now=now)
            elif status == TaskStatus.FAILED and task.kind not in ASKS_NOBODY:
                conversation.give_up(task, now=now)
    return status


def _begin(task: Task) -> bool:
    """Count the try, if the task is still the caller's."""
    mine = Task.objects.filter(
        pk=task.pk, status=TaskStatus.PENDING, locked_until=task.locked_until
    )
    until = task.locked_until
    if until is not None:
        until += EXTRA_LEASE.get(TaskKind(task.kind), timedelta())
    if mine.update(attempts=F("attempts") + 1, locked_until=until) != 1:
        return False
    task.attempts, task.locked_until = task.attempts + 1, until
    return True


def _run(task: Task) -> tuple[TaskStatus, str]:  # noqa: PLR0911  # one a kind
    match task.kind:
        case TaskKind.MARK_READ:
            return _mark_read(task)
        case TaskKind.MEDIA:
            return _fetch(task)
        case TaskKind.WAIT:
            return _resume(task)
        case TaskKind.HTTP | TaskKind.HANDLER:
            return _ask(task)
        case TaskKind.TEMPLATES:
            return template_sync.run(task)
        case kind if kind in SLICES:
            return SLICES[kind](task)
    return TaskStatus.FAILED, f"nobody runs tasks of kind {task.kind}"


def _ask(task: Task) -> tuple[TaskStatus, str]:
    """A request that nobody answers is made again as often as its passo says, ever later. What the
    session does not wait for any more is not asked at all."""
    if "result" not in task.payload and not conversation.is_awaited(task):
        return _resume(task)
    if task.kind == TaskKind.HTTP and task.attempts <= int(task.payload.get("retries", 0)):
        try:
            _result_of(task, lambda: run_request(task.payload, may_wait=True))
        except Unanswered as nothing:
            return TaskStatus.PENDING, str(nothing)
    return _resume(task, **answer_of(task, now=timezone.now()))


def answer_of(task: Task, *, now: datetime) -> dict[str, Any]:
    """The route and values of an http passo or of a handler, asked for with no transaction open."""
    if task.kind == TaskKind.HTTP:
        return _result_of(task, lambda: run_request(task.payload))
    return _result_of(task, lambda: _run_handler(task, now=now))


def answer(task: Task, *, now: datetime, **result: Any) -> bool:
    """Let the session of a claimed task go on at `now` with what it waits for; False when it does
    not wait any more. For whoever keeps another clock than the worker."""
    taken = conversation.resume(task, now=now, **result)
    status = TaskStatus.DONE if taken else TaskStatus.DROPPED
    mine = Task.objects.filter(pk=task.pk, status=TaskStatus.PENDING)
    mine.update(status=status, locked_until=None, done_at=now)  # writer: tasks belong here
    return taken


def _result_of(task: Task, work: Callable[[], tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """What the work gave, kept on the task: a request is not made again for a later failure."""
    if "result" not in task.payload:
        route, values = work()
        task.payload = {**task.payload, "result": {"route": route, "values": values}}
        task.save(update_fields=["payload"])
    result: dict[str, Any] = task.payload["result"]
    return result


def _run_handler(task: Task, *, now: datetime) -> tuple[str, dict[str, Any]]:
    """A slow handler runs without the session lock: what it reads may have changed when it answers,
    which is why its answer is only taken while the run still waits for it."""
    session = Session.objects.select_related("lead", "channel").filter(tasks=task).first()
    if session is None:
        return ERROR, {}
    call = RunHandler.model_validate(task.payload)
    return run_handler(call, session=session, at=now)


def _resume(task: Task, **result: Any) -> tuple[TaskStatus, str]:
    taken = conversation.resume(task, now=timezone.now(), **result)
    return (TaskStatus.DONE, "") if taken else (TaskStatus.DROPPED, "")


def _mark_read(task: Task) -> tuple[TaskStatus, str]:
    session = Session.objects.select_related("channel").get(tasks=task)
    transport, message = transport_for(session.channel), task.payload["provider_id"]
    if not task.payload.get("is_writing"):
        transport.mark_read(message)
        return TaskStatus.DONE, ""
    try:
        transport.mark_read(message, is_writing=True)
    except SendError as failure:  # soon the answer itself is there
        return TaskStatus.DROPPED, str(failure)
    return TaskStatus.DONE, ""


def _fetch(task: Task) -> tuple[TaskStatus, str]:
    now = timezone.now()
    error, again = media.fetch(task.payload["media"], attempts=task.attempts, now=now)
    if again:
        return TaskStatus.PENDING, error
    return (TaskStatus.FAILED if error else TaskStatus.DONE), error


def _wait(task: Task) -> timedelta:
    """Until the next try."""
    if task.kind == TaskKind.MEDIA:
        return media.wait_after(task.attempts)
    return timedelta(seconds=2**task.attempts)


def _retry_or_fail(task: Task, may_retry: bool) -> TaskStatus:
    """Again after a while, up to the limit."""
    if may_retry and task.attempts < TRIES:
        return TaskStatus.PENDING
    return TaskStatus.FAILED


def run_due(*, limit: int) -> int:
    """Run what is due, once, in the caller's thread (for cron); how many were run."""
    for count in range(limit):
        claimed = claim_due(limit=1, now=timezone.now())
        if not claimed:
            return count
        run_task(claimed[0])
    return limit
