"""What the log of a run says about its passos. Pure: rows go in, what is to be counted comes out.

Of each step every exit that was taken counts once, with the place that it led to. What is no exit
of a passo stands in brackets: how a conversation came in, and how it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from chatbot.flow_words import NOT_UNDERSTOOD
from chatbot.models import FlowLogKind

STARTED = "(start)"
JUMPED = "(jump)"
MOVED = "(moved)"  # from another version, where it had begun
UNKNOWN = "(not understood)"
FINISHED = "(finished)"  # the flow reached an end of its own, a ticket included
SILENT = "(idle)"  # the person did not answer any more
STOPPED = "(stopped)"  # somebody else ended the conversation
MOVES = (FlowLogKind.START, FlowLogKind.JUMP, FlowLogKind.STEP)

# Upper ends, in seconds, of the stretches in which waiting times are counted.
BUCKETS = (
    *(1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 90, 120, 180, 300, 480, 720, 1200, 1800, 2700),
    *(3600, 2 * 3600, 4 * 3600, 8 * 3600, 12 * 3600, 86400, 2 * 86400, 4 * 86400, 8 * 86400),
)

Row = Mapping[str, Any]


class Passing(NamedTuple):
    """One thing to count. `seconds`: how long the passo had been waiting for what made it go on;
    None where it did not wait."""

    at: datetime
    node: str
    exit: str
    target: str = ""
    seconds: float | None = None


class Unknown(NamedTuple):
    """What a customer wrote and a passo did not understand."""

    at: datetime
    node: str
    text: str


def passings(rows: Iterable[Row], before: Row | None = None) -> Iterator[Passing]:
    """What the rows of one run add, oldest first; `before`: its last row of MOVES before them."""
    for row in rows:
        if row["kind"] == FlowLogKind.STEP:
            yield from _of_step(row, before)
        elif _is_moved(row) and (place := _place(row["state"])):
            yield Passing(row["created_at"], "", MOVED, place)
        elif row["kind"] == FlowLogKind.END and (place := _place(row["state"])):
            is_idle = row["message"].get("kind") == "idle"
            yield Passing(row["created_at"], place, SILENT if is_idle else STOPPED)
        if row["kind"] in MOVES:
            before = row


def unknowns(rows: Iterable[Row]) -> Iterator[Unknown]:
    """The texts among the rows of a run that were not understood."""
    for row in rows:
        said = row["message"]
        if row["kind"] != FlowLogKind.STEP or not row["trace"] or said.get("kind") != "text":
            continue
        first = row["trace"][0]
        if first["matched"] in NOT_UNDERSTOOD and said.get("text"):
            yield Unknown(row["created_at"], first["node"], str(said["text"]))


def bucket(seconds: float) -> int:
    """Which stretch of BUCKETS a waiting time falls in; one more than there are for longer ones."""
    return next((i for i, end in enumerate(BUCKETS) if seconds <= end), len(BUCKETS))


def median(times: Mapping[str, int]) -> float | None:
    """Seconds, from counts by bucket: as exact as the bucket that the median falls in."""
    total = sum(times.values())
    if not total:
        return None
    middle, seen = total / 2, 0
    for number, count in sorted((int(key), count) for key, count in times.items()):
        if seen + count >= middle:
            begin = BUCKETS[number - 1] if number else 0
            end = BUCKETS[number] if number < len(BUCKETS) else begin
            return begin + (end - begin) * (middle - seen) / count
        seen += count
    return None


def _of_step(row: Row, before: Row | None) -> Iterator[Passing]:
    trace, at = row["trace"], row["created_at"]
    if not trace:
        return
    if entry := _entry(before):
        yield Passing(at, "", entry, trace[0]["node"])
    waited = _waited(row, before)
    for number, one in enumerate(trace):
        target = trace[number + 1]["node"] if number + 1 < len(trace) else ""
        seconds = waited if number == 0 else None
        if number == 0 and one["matched"] in NOT_UNDERSTOOD:
            yield Passing(at, one["node"], UNKNOWN)
        if one["exit"] or target:
            yield Passing(at, one["node"], one["exit"], target, seconds)
        elif row["state"].get("done"):
            yield Passing(at, one["node"], FINISHED, "", seconds)


def _entry(before: Row | None) -> str:
    """How the conversation came to the passo where a step begins; "" when it was there already."""
    if before is None or before["kind"] == FlowLogKind.STEP:
        return ""
    if _is_moved(before):
        return "" if _place(before["state"]) else MOVED  # where it waits at once it is counted
    return JUMPED if before["kind"] == FlowLogKind.JUMP else STARTED


def _is_moved(row: Row) -> bool:
    is_start: bool = row["kind"] == FlowLogKind.START
    return is_start and row["message"].get("kind") == "moved"


def _waited(row: Row, before: Row | None) -> float | None:
    """Since the last move; what is answered in the same moment is not waited for. How long somebody
    waited who was moved meanwhile, the run that was left knows alone."""
    if before is None or _is_moved(before):
        return None
    if before["state"].get("awaiting") not in {"customer", "http", "wait"}:
        return None
    seconds: float = (row["created_at"] - before["created_at"]).total_seconds()
    return max(0.0, seconds)


def _place(state: Mapping[str, Any]) -> str:
    """Where a run stands, as a trace names it; "" when it is over or has not begun."""
    if state.get("done") or not state.get("node"):
        return ""
    return f"{state['flow']}/{state['node']}" if state.get("flow") else str(state["node"])
