"""Both sides of a run: what the stand-in saw, and what the database says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from chatbot.models import Direction, FlowLog, FlowLogKind, MessageLog, MessageStatus
from chatbot.soak.journal import Call, Journal
from chatbot.soak.plan import Plan
from chatbot.soak.run import Facts

Row = dict[str, Any]
SHOWN = 20

_COMMON = ("pk", "session_id", "session__lead_id", "text", "kind", "payload", "epoch", "created_at")
_IN = (*_COMMON, "provider_id")
_OUT = (*_COMMON, "author", "status", "error_code", "flow_log_id", "provider_id", "attempts")


@dataclass(frozen=True)
class Result:
    """One line of the report. is_ok None: figures only. details: one line each."""

    name: str
    is_ok: bool | None
    figures: str
    details: list[str] = field(default_factory=list)


def verdict(name: str, figures: str, wrong: Iterable[str], listed: Iterable[str] = ()) -> Result:
    """PASS when nothing is wrong; `listed` is shown in either case."""
    found = list(wrong)
    return Result(name, not found, figures, [*found, *listed])


@dataclass
class Evidence:
    plan: Plan
    journal: Journal
    facts: Facts

    @cached_property
    def inbound(self) -> dict[str, list[Row]]:
        """Rows by the provider's id."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in _rows(Direction.INBOUND, _IN):
            found[row["provider_id"]].append(row)
        return found

    @cached_property
    def outbound(self) -> dict[int, Row]:
        return {row["pk"]: row for row in _rows(Direction.OUTBOUND, _OUT)}

    @cached_property
    def decided_at(self) -> dict[tuple[int, Any], list[Row]]:
        """Our rows by session and the moment of the turn that wrote them."""
        found: dict[tuple[int, Any], list[Row]] = defaultdict(list)
        for row in self.outbound.values():
            found[row["session_id"], row["created_at"]].append(row)
        return found

    @cached_property
    def stepped_at(self) -> set[tuple[int, Any]]:
        """Sessions and moments in which the flow made a step."""
        rows = FlowLog.objects.filter(kind=FlowLogKind.STEP).order_by()
        return set(rows.values_list("session_id", "created_at"))

    @cached_property
    def silent_files(self) -> Counter[tuple[int, Any]]:
        """By session and moment: steps about a file that rightly said nothing, since one answer is
        enough for several files in a row."""
        answered = {row["flow_log_id"] for row in self.outbound.values()}
        steps = FlowLog.objects.filter(kind=FlowLogKind.STEP, message__kind="media").order_by()
        rows = steps.values_list("pk", "session_id", "created_at")
        return Counter((session, at) for pk, session, at in rows if pk not in answered)

    @cached_property
    def calls(self) -> dict[int, list[Call]]:
        """Calls by the message they were for."""
        found: dict[int, list[Call]] = defaultdict(list)
        for call in self.journal.calls:
            if ours_of(call) is not None:
                found[ours_of(call) or 0].append(call)
        return found

    def arrived(self, pk: int) -> list[Call]:
        """The calls that put this message on the customer's phone."""
        calls = self.calls.get(pk, ())
        return [call for call in calls if call.outcome == "accepted" and not call.is_failed]

    @cached_property
    def wanted(self) -> list[Row]:
        """Rows that should have gone out."""
        silenced = MessageStatus.SUPERSEDED
        return [row for row in self.outbound.values() if row["status"] != silenced]


def ours_of(call: Call) -> int | None:
    """The row that a call was for; None when it did not say."""
    digits = call.message.removeprefix("m")
    return int(digits) if call.message.startswith("m") and digits.isdigit() else None


def _rows(direction: Direction, fields: tuple[str, ...]) -> Iterable[Row]:
    rows = MessageLog.objects.filter(direction=direction).order_by("pk")
    return rows.values(*fields).iterator(chunk_size=5000)


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
