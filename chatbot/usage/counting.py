"""Counting, by the worker: each row of a run's log once, however many workers count and whenever
one is killed.

A run remembers up to which number of its session it is counted, in the transaction that raises the
counters, and the row lock of the flow lets one worker at a time do so. A run whose session has
ended is counted for good. Conversations of the simulator are not counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from chatbot.documents import document_of
from chatbot.engine.matching import normalise
from chatbot.engine.nodes import FlowDocument, FlowError
from chatbot.flow_words import node_at, sensitive_names
from chatbot.models import Flow, FlowCount, FlowLog, FlowRun, NotUnderstood
from chatbot.usage.tally import MOVES, Passing, Row, Unknown, bucket, passings, unknowns
from users.masking import is_personal

BATCH = 500  # runs in a transaction
BATCHES = 20  # in one go of the worker, so that its other work comes round
FIELDS = ("run_id", "seq", "kind", "message", "trace", "state", "created_at")
LONGEST = 80  # characters of a text worth a synonym


class Key(NamedTuple):
    version: int
    day: date
    node: str
    exit: str
    target: str


@dataclass
class Tallies:
    """What a batch adds."""

    counts: Counter[Key] = field(default_factory=Counter)
    times: dict[Key, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, version: int, one: Passing) -> None:
        node, exit_name, target = one.node[:130], one.exit[:120], one.target[:130]
        key = Key(version, timezone.localdate(one.at), node, exit_name, target)
        self.counts[key] += 1
        if one.seconds is not None:
            self.times[key][str(bucket(one.seconds))] += 1


def count() -> int:
    """Count what was logged since the last time; how many runs had something new."""
    left_out = FlowRun.objects.filter(is_counted=False, session__is_simulated=True)
    left_out.update(is_counted=True)
    total = 0
    for _batch in range(BATCHES):
        found = _due()
        counted = sum(_count(flow, runs) for flow, runs in found.items())
        total += counted
        if counted < BATCH:
            break
    return total


def _due() -> dict[int, list[int]]:
    """Runs with something to count, by flow."""
    is_new = Q(counted_seq__lt=F("session__seq")) | Q(session__ended_at__isnull=False)
    runs = FlowRun.objects.filter(is_new, is_counted=False).order_by("pk")
    by_flow: dict[int, list[int]] = defaultdict(list)
    for run, flow in runs.values_list("pk", "version__flow_id")[:BATCH]:
        by_flow[flow].append(run)
    return dict(sorted(by_flow.items()))


@transaction.atomic
def _count(flow_id: int, run_ids: Sequence[int]) -> int:
    """Count these runs of a flow, unless somebody else is at it."""
    lock = Flow.objects.filter(pk=flow_id).select_for_update(no_key=True, skip_locked=True)
    if not lock.values("pk").exists():
        return 0
    # Read under the lock, and before the rows: what a session has written by now is all there.
    runs = list(
        FlowRun.objects.filter(pk__in=run_ids, is_counted=False)
        .select_related("session")
        .only("version_id", "counted_seq", "session__seq", "session__ended_at")
        .order_by("pk")
    )
    rows, before = _rows(runs), _rows_before(runs)
    tallies = Tallies()
    texts: list[Unknown] = []
    for run in runs:
        upto = run.session.seq
        new = [row for row in rows.get(run.pk, ()) if row["seq"] <= upto]
        for passing in passings(new, before.get(run.pk)):
            tallies.add(run.version_id, passing)
        texts += _worth_keeping(unknowns(new), run.version_id)
        run.counted_seq, run.is_counted = upto, run.session.ended_at is not None
    _store(tallies)
    _store_texts(flow_id, texts)
    FlowRun.objects.bulk_update(runs, ["counted_seq", "is_counted"])
    return len(runs)


def _rows(runs: Iterable[FlowRun]) -> dict[int, list[Row]]:
    """What each run has logged since it was last counted, oldest first."""
    chosen = {run.pk: run.session_id for run in runs}
    rows = FlowLog.objects.filter(session__in=set(chosen.values()), run__in=list(chosen))
    new = rows.filter(seq__gt=F("run__counted_seq")).order_by("run_id", "seq").values(*FIELDS)
    return {key: list(group) for key, group in groupby(new, key=itemgetter("run_id"))}


def _rows_before(runs: Iterable[FlowRun]) -> dict[int, Row]:
    """Of the runs that are counted in part: the last move that was."""
    begun = [run.pk for run in runs if run.counted_seq]
    if not begun:
        return {}
    moves = FlowLog.objects.filter(
        session=OuterRef("session_id"),
        run=OuterRef("pk"),
        seq__lte=OuterRef("counted_seq"),
        kind__in=MOVES,
    )
    last = Subquery(moves.order_by("-seq").values("pk")[:1])
    keys = FlowRun.objects.filter(pk__in=begun).annotate(last=last).values("last")
    return {row["run_id"]: row for row in FlowLog.objects.filter(pk__in=keys).values(*FIELDS)}


def _store(tallies: Tallies) -> None:
    """Raise the counters. The flow's lock is held, so nobody else touches them."""
    keys = tallies.counts.keys()
    known = FlowCount.objects.filter(
        version__in={key.version for key in keys}, day__in={key.day for key in keys}
    )
    rows = {Key(row.version_id, row.day, row.node, row.exit, row.target): row for row in known}
    added, raised = [], []
    for key in sorted(keys):
        row = rows.get(key)
        if row is None:
            row = FlowCount(
                version_id=key.version,
                day=key.day,
                node=key.node,
                exit=key.exit,
                target=key.target,
            )
            added.append(row)
        else:
            raised.append(row)
        row.count += tallies.counts[key]
        row.seconds = dict(Counter(row.seconds) + tallies.times.get(key, Counter()))
    FlowCount.objects.bulk_create(added, batch_size=BATCH)
    FlowCount.objects.bulk_update(raised, ["count", "seconds"], batch_size=BATCH)


def _worth_keeping(found: Iterable[Unknown], version_id: int) -> Iterable[Unknown]:
    """Short words that are nobody's personal data, at passos that ask for none."""
    document: FlowDocument | None = None
    for one in found:
        if len(one.text) > LONGEST or is_personal(one.text):
            continue
        if document is None:
            try:
                document = document_of(version_id)
            except FlowError:
                return
        asked = getattr(node_at(document, one.node), "save_as", "")
        if asked not in sensitive_names(document):
            yield one


def _store_texts(flow_id: int, texts: Iterable[Unknown]) -> None:
    said: dict[tuple[str, str], list[Unknown]] = defaultdict(list)
    for one in texts:
        text = normalise(one.text)[:200]
        if text:
            said[one.node[:130], text].append(one)
    if not said:
        return
    rows = _known_texts(flow_id, said)
    added, raised = [], []
    for (node, text), heard in sorted(said.items()):
        row = rows.get((node, text))
        if row is None:
            row = NotUnderstood(
                flow_id=flow_id, node=node, text=text, sample=heard[0].text, last_at=heard[0].at
            )
            added.append(row)
        else:
            raised.append(row)
        row.count += len(heard)
        row.last_at = max(row.last_at, *(one.at for one in heard))
    NotUnderstood.objects.bulk_create(added)
    NotUnderstood.objects.bulk_update(raised, ["count", "last_at"], batch_size=BATCH)


def _known_texts(
    flow_id: int, said: Mapping[tuple[str, str], Any]
) -> dict[tuple[str, str], NotUnderstood]:
    nodes, texts = {node for node, _text in said}, {text for _node, text in said}
    known = NotUnderstood.objects.filter(flow=flow_id, node__in=nodes, text__in=texts)
    return {(row.node, row.text): row for row in known}
