"""Proof that nothing was lost: a FlowLog folds to the stored session, and runs again alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import transaction

from chatbot.documents import document_of
from chatbot.engine import replay
from chatbot.engine.state import State
from chatbot.models import FlowLog, FlowLogKind, FlowRun
from sessions_app.models import Session
from sessions_app.services import lock_session

CHUNK = 500  # sessions whose rows are read with one statement
FOLDED = ("seq", "kind", "state", "context_set", "context_unset")
RUN_AGAIN = (*FOLDED, "message", "effects", "run_id")

Row = dict[str, Any]


@dataclass(frozen=True)
class Deviation:
    """Where a session is not what its log says. `seq` is the log row; None: the stored session."""

    session_id: int
    what: str
    stored: Any
    computed: Any
    seq: int | None = None


def verify(session_ids: Iterable[int]) -> Iterator[tuple[int, Deviation | None]]:
    """Fold the log of every session and compare: (session id, what differs first)."""
    for ids in _chunks(session_ids):
        sessions = Session.objects.in_bulk(ids)
        rows = _rows_by_session(ids, FOLDED)
        for session in sessions.values():
            deviation = _compare(session, rows.get(session.pk, []))
            yield session.pk, deviation and _look_again(session.pk)


def rerun(session_id: int) -> Deviation | None:
    """Run the stored messages of a session again, each run on the version it began with."""
    rows = _rows_by_session([session_id], RUN_AGAIN).get(session_id, [])
    versions = dict(FlowRun.objects.filter(session=session_id).values_list("pk", "version"))
    for run_id, of_run in groupby(rows, key=itemgetter("run_id")):
        if run_id is None:
            continue
        engine_rows = [_as_engine_row(row) for row in of_run]
        found = replay.rerun(document_of(versions[run_id]), engine_rows)
        if found is not None:
            return Deviation(session_id, found.what, found.stored, found.computed, found.seq)
    return None


def steps_of(session_id: int) -> int:
    """How many messages `rerun` runs again."""
    return FlowLog.objects.filter(session=session_id, kind=FlowLogKind.STEP).count()


@transaction.atomic
def _look_again(session_id: int) -> Deviation | None:
    """Under the lock: the session may have gone on between reading it and reading its rows."""
    session = lock_session(session_id)
    rows = _rows_by_session([session_id], FOLDED).get(session_id, [])
    return _compare(session, rows)


def _compare(session: Session, rows: list[Row]) -> Deviation | None:
    if not _is_whole(rows, session.seq):
        return Deviation(session.pk, "seq", session.seq, [row["seq"] for row in rows])
    state, context = replay.fold(rows)
    stored_state = session.flow_state.get("engine") or State().model_dump(mode="json")
    pairs = (
        ("current_state", session.current_state, state.node),
        ("context", session.context, context),
        ("state", stored_state, state.model_dump(mode="json")),
    )
    for what, stored, computed in pairs:
        if not replay.same(stored, computed):
            return Deviation(session.pk, what, stored, computed)
    return None


def _is_whole(rows: list[Row], last: int) -> bool:
    """Every row up to the last is there. Old ones may be archived, up to the start of a run."""
    if not rows:
        return last == 0
    first = rows[0]["seq"]
    is_gapless = [row["seq"] for row in rows] == list(range(first, last + 1))
    return is_gapless and (first == 1 or rows[0]["kind"] == FlowLogKind.START)


def _as_engine_row(row: Row) -> Row:
    """Only a step's message is the engine's; other kinds keep the shell's own words there."""
    return row if row["kind"] == FlowLogKind.STEP else {**row, "message": None}


def _rows_by_session(ids: list[int], fields: tuple[str, ...]) -> dict[int, list[Row]]:
    rows = FlowLog.objects.filter(session__in=ids).order_by("session_id", "seq")
    named = rows.values("session_id", *fields)
    return {key: list(group) for key, group in groupby(named, key=itemgetter("session_id"))}


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    chunk: list[int] = []
    for one in ids:
        chunk.append(one)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
