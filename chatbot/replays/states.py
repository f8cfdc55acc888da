"""From waiting to its end: what replays and checks of sessions have in common.

Each step is one conditional update, so a job ends once, whoever cancels it while whoever works.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from chatbot.models import JobState, Replay, SessionCheck

SLICE = timedelta(seconds=20)  # far less than the lease of a task
UNDER_WAY = (JobState.WAITING, JobState.RUNNING)

Job = Replay | SessionCheck


def begin(job: Job) -> bool:
    """Whether it is still wanted; `job` is as stored afterwards."""
    _in(job, JobState.WAITING).update(state=JobState.RUNNING, started_at=timezone.now())
    job.refresh_from_db()
    return job.state == JobState.RUNNING


def cancel(job: Job, *, now: datetime) -> bool:
    """Stop after what is being worked on; False when it was over already."""
    return _in(job, *UNDER_WAY).update(state=JobState.CANCELLED, finished_at=now) == 1


def finish(job: Job, *, now: datetime) -> bool:
    """False when it was cancelled meanwhile."""
    return _in(job, JobState.RUNNING).update(state=JobState.DONE, finished_at=now) == 1


def fail(job: Job, *, error: str, now: datetime) -> None:
    """Its task has failed for good."""
    _in(job, *UNDER_WAY).update(state=JobState.FAILED, error=error[:500], finished_at=now)


def _in(job: Job, *states: JobState) -> QuerySet[Job]:
    found: QuerySet[Job] = type(job)._default_manager.filter(pk=job.pk, state__in=states)
    return found
