"""The recorded rows of runs, as the engine reads them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from chatbot.models import FlowLog, FlowRun

FIELDS = (
    "run_id",
    "seq",
    "kind",
    "message",
    "effects",
    "trace",
    "state",
    "next_node",
    "context_set",
    "context_unset",
)

Row = dict[str, Any]


def rows_of(runs: Iterable[FlowRun]) -> dict[int, list[Row]]:
    """The log of each run, oldest first; one statement."""
    chosen = {run.pk: run.session_id for run in runs}
    rows = FlowLog.objects.filter(session__in=set(chosen.values()), run__in=list(chosen))
    named = rows.order_by("run_id", "seq").values(*FIELDS)
    return {key: list(group) for key, group in groupby(named, key=itemgetter("run_id"))}
