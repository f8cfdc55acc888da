"""Everything due later that is no message: waits, requests, slow handlers, marks as read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from chatbot import conversation, reprocess_jobs
from chatbot.apply import run_handler
from chatbot.channels import transport_for
from chatbot.channels.base import SendError
from chatbot.engine.effects import RunHandler
from chatbot.http_request import ERROR, run_request
from chatbot.leases import claim, free
from chatbot.models import Task, TaskKind, TaskStatus
from sessions_app.models import Session

logger = logging.getLogger(__name__)

TRIES = 5
LEASE = timedelta(seconds=120)  # longer than the longest request of an http passo


def due(now: datetime) -> QuerySet[Task]:
    return (
        Task.objects.filter(status=TaskStatus.PENDING, run_at__lte=now)
        .filter(free(now))
        .order_by("run_at", "id")
    )


def claim_due(*, limit: int, now: datetime) -> list[Task]:
    return claim(due(now), limit=limit, now=now, lease=LEASE)


def run_task(task: Task) -> str:
    """Do one claimed task and record what became of it; returns its new status.

    The work is done with no transaction open. A task whose worker dies is done again after its
    lease: handlers and requests may run twice, their result counts once. When a result is there
    and the flow stumbles over it, only the flow is tried again.
    """
    mine = Task.objects.filter(
        pk=task.pk, status=TaskStatus.PENDING, locked_until=task.locked_until
    )
    if mine.update(attempts=F("attempts") + 1) != 1:
        return ""
    task.attempts += 1
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
        later = now + timedelta(seconds=2**task.attempts)
        mine.update(run_at=later, locked_until=None, error=error[:500])
    else:
        done = {"locked_until": None, "error": error[:500], "done_at": now}
        with transaction.atomic():
            mine.update(status=status, **done)  # writer: tasks belong to this module
            if status == TaskStatus.FAILED and task.kind != TaskKind.MARK_READ:
                conversation.give_up(task, now=now)
    return status


def _run(task: Task) -> tuple[TaskStatus, str]:
    match task.kind:
        case TaskKind.MARK_READ:
            return _mark_read(task)
        case TaskKind.WAIT:
            return _resume(task)
        case TaskKind.HTTP:
            return _resume(task, **_result_of(task, lambda: run_request(task.payload)))
        case TaskKind.HANDLER:
            return _resume(task, **_result_of(task, lambda: _run_handler(task)))
        case TaskKind.REPROCESS:
            return reprocess_jobs.go_on(task)
    return TaskStatus.FAILED, f"nobody runs tasks of kind {task.kind}"


def _result_of(task: Task, work: Callable[[], tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """What the work gave, kept on the task: a request is not made again for a later failure."""
    if "result" not in task.payload:
        route, values = work()
        task.payload = {**task.payload, "result": {"route": route, "values": values}}
        task.save(update_fields=["payload"])
    result: dict[str, Any] = task.payload["result"]
    return result


def _run_handler(task: Task) -> tuple[str, dict[str, Any]]:
    """A slow handler runs without the session lock: what it reads may have changed when it answers,
    which is why its answer is only taken while the run still waits for it."""
    session = Session.objects.select_related("lead", "channel").filter(tasks=task).first()
    if session is None:
        return ERROR, {}
    call = RunHandler.model_validate(task.payload)
    return run_handler(call, session=session, at=timezone.now())


def _resume(task: Task, **result: Any) -> tuple[TaskStatus, str]:
    taken = conversation.resume(task, now=timezone.now(), **result)
    return (TaskStatus.DONE, "") if taken else (TaskStatus.DROPPED, "")


def _mark_read(task: Task) -> tuple[TaskStatus, str]:
    session = Session.objects.select_related("channel").get(tasks=task)
    transport_for(session.channel).mark_read(task.payload["provider_id"])
    return TaskStatus.DONE, ""


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
