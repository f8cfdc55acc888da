"""What integrations have really given: to be given once more to somebody in the simulator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chatbot.engine.replay import REDACTED
from chatbot.models import FlowLog, FlowLogKind, FlowRun

NEWEST = 200  # conversations of the flow that are looked at
ROWS = 500


@dataclass(frozen=True)
class Result:
    """What an integration gives: the route it leaves by, and variables."""

    route: str
    values: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


def last_real(flow_id: int, places: Collection[str]) -> dict[str, Result]:
    """The newest result of each of these passos of a flow in a conversation of a real person, by
    place; those that had none for a long time, and those with erased values, are left out. One
    statement."""
    if not places:
        return {}
    runs = FlowRun.objects.filter(version__flow=flow_id, session__is_simulated=False)
    newest = runs.order_by("-pk").values("session")[:NEWEST]
    rows = FlowLog.objects.filter(
        session__in=newest,
        kind=FlowLogKind.STEP,
        node__in={place.rpartition("/")[2] for place in places},
        run__version__flow=flow_id,
        message__kind="returned",
    )
    found: dict[str, Result] = {}
    for trace, message, at in rows.order_by("-pk").values_list("trace", "message", "created_at")[
        :ROWS
    ]:
        place = str(trace[0].get("node", "")) if trace else ""
        values = message.get("values", {})
        if place in places and REDACTED not in str(values):
            found.setdefault(place, Result(message.get("route", ""), values, at))
    return found
