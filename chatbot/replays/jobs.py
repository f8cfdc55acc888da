"""Replays: recorded conversations of a flow held again with another document, by the worker.

How far a replay has come is written with what it found, in one transaction that checks that it is
still wanted: a worker that dies loses a batch and repeats it, and no conversation counts twice.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.engine.rehearsal import Rehearsal, rehearse
from chatbot.flows_service import with_subflows
from chatbot.models import (
    Flow,
    FlowRun,
    FlowVersion,
    JobState,
    Replay,
    ReplayDifference,
    Task,
    TaskKind,
    TaskStatus,
)
from chatbot.replays import states
from chatbot.replays.rows import rows_of
from chatbot.replays.states import SLICE
from chatbot.wake import wake_workers
from users.errors import DomainError
from users.models import User

BATCH = 50
LARGEST_SAMPLE = 10_000


class ReplayRefused(DomainError):
    code = "replay_refused"


@dataclass(frozen=True)
class Wanted:
    """Which conversations: of a period (end excluded), of these versions (none named: all), at most
    `sample` of them by chance (None: all)."""

    since: datetime
    until: datetime
    versions: tuple[int, ...] = ()
    sample: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "versions": list(self.versions),
            "sample": self.sample,
        }

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Wanted:
        return cls(
            since=datetime.fromisoformat(stored["since"]),
            until=datetime.fromisoformat(stored["until"]),
            versions=tuple(stored["versions"]),
            sample=stored["sample"],
        )


def runs_of(flow: Flow, wanted: Wanted) -> QuerySet[FlowRun]:
    """The runs of real people that are meant, without the sample."""
    runs = FlowRun.objects.filter(
        version__flow=flow,
        started_at__gte=wanted.since,
        started_at__lt=wanted.until,
        session__is_simulated=False,
    )
    return runs.filter(version__in=wanted.versions) if wanted.versions else runs


@transaction.atomic
def start(
    flow: Flow, wanted: Wanted, *, user: User | None, version: FlowVersion | None = None
) -> Replay:
    """Begin a replay of the draft as it is now, or of a version. Raises ReplayRefused when the
    draft cannot be read, or nobody said anything in the period."""
    document, title = _document_of(flow, version)
    found = runs_of(flow, wanted).count()
    total = min(found, wanted.sample or found)
    if not total:
        raise ReplayRefused(_("There is no conversation in this period."))
    replay = Replay.objects.create(
        flow=flow,
        document=document.as_dict(),
        title=title,
        wanted=wanted.as_json(),
        total=total,
        created_by=user,
    )
    payload = {"replay": replay.pk}
    Task.objects.create(
        kind=TaskKind.REPLAY, key=f"replay {replay.pk}", payload=payload, run_at=timezone.now()
    )
    wake_workers()
    return replay


def go_on(task: Task) -> tuple[TaskStatus, str]:
    """Work for one slice; PENDING when there is more."""
    until = monotonic() + SLICE.total_seconds()
    replay = Replay.objects.select_related("flow").filter(pk=task.payload["replay"]).first()
    if replay is None or not states.begin(replay):
        return TaskStatus.DROPPED, ""
    document = document_of_replay(replay.pk)
    for batch in _batches(replay):
        if not _play(replay, document, batch):
            return TaskStatus.DROPPED, ""
        if monotonic() > until:
            return TaskStatus.PENDING, ""
    states.finish(replay, now=timezone.now())
    return TaskStatus.DONE, ""


def give_up(task: Task, *, error: str, now: datetime) -> None:
    """The task has failed for good: say so on the replay."""
    replay = Replay.objects.filter(pk=task.payload["replay"]).first()
    if replay is not None:
        states.fail(replay, error=error, now=now)


def rehearsed(difference: ReplayDifference) -> Rehearsal:
    """The whole conversation again, for looking at it."""
    run = difference.run
    rows = rows_of([run]).get(run.pk, [])
    return rehearse(document_of_replay(difference.replay_id), rows)


def _document_of(flow: Flow, version: FlowVersion | None) -> tuple[FlowDocument, str]:
    if version is not None:
        return parse_flow(version.document), version.label
    try:
        draft = parse_flow(flow.draft)
    except FlowError as error:
        raise ReplayRefused(_("The draft cannot be read: mend it first.")) from error
    return with_subflows(draft), _("draft")


@lru_cache(maxsize=8)
def document_of_replay(replay_id: int) -> FlowDocument:
    """A replay's document never changes."""
    document = Replay.objects.values_list("document", flat=True).get(pk=replay_id)
    return parse_flow(document)


def _batches(replay: Replay) -> Iterator[list[FlowRun]]:
    """The runs that are left, in the order of their ids."""
    wanted = Wanted.of(replay.wanted)
    runs = runs_of(replay.flow, wanted).order_by("pk")
    chosen = _sample(runs, wanted, seed=replay.pk) if wanted.sample else None
    while True:
        left = runs.filter(pk__gt=replay.last_run)
        if chosen is not None:
            ids = [pk for pk in chosen if pk > replay.last_run][:BATCH]
            batch = list(left.filter(pk__in=ids)) if ids else []
        else:
            batch = list(left[:BATCH])
        if not batch:
            return
        yield batch


def _sample(runs: QuerySet[FlowRun], wanted: Wanted, *, seed: int) -> list[int]:
    """The same runs each time: by chance, seeded with the replay."""
    ids = list(runs.values_list("pk", flat=True))
    size = min(len(ids), wanted.sample or len(ids))
    return sorted(random.Random(seed).sample(ids, size))  # noqa: S311  # no secret depends on it


def _play(replay: Replay, document: FlowDocument, batch: Sequence[FlowRun]) -> bool:
    """Replay a batch and write what came out; False when the replay is not wanted any more."""
    recorded = rows_of(batch)
    found = [(run, rehearse(document, recorded.get(run.pk, []))) for run in batch]
    counts = Counter(replay.counts)
    counts.update(rehearsal.verdict for _run, rehearsal in found)
    progress = {"last_run": batch[-1].pk, "counts": dict(counts)}
    with transaction.atomic():
        mine = Replay.objects.filter(pk=replay.pk, state=JobState.RUNNING, last_run=replay.last_run)
        if mine.update(**progress, done=F("done") + len(batch)) != 1:
            return False
        ReplayDifference.objects.bulk_create(
            _difference(replay, run, one) for run, one in found if one.verdict != "same"
        )
    replay.last_run, replay.counts = batch[-1].pk, dict(counts)
    return True


def _difference(replay: Replay, run: FlowRun, rehearsal: Rehearsal) -> ReplayDifference:
    return ReplayDifference(
        replay=replay,
        session_id=run.session_id,
        run=run,
        outcome=rehearsal.verdict,
        seq=rehearsal.seq,
        node=rehearsal.node[:80],
        details={"reason": rehearsal.reason} if rehearsal.reason else {},
    )
