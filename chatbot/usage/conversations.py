"""Which conversations took an exit: read from the log of runs, the newest first.

The log has no index by exit. A page looks through a bounded number of runs and says where the next
one begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from chatbot.models import FlowLog, FlowRun
from chatbot.usage.tally import Row, passings
from sessions_app.models import Session
from users.models import User

SHOWN = 20
LOOKED_THROUGH = 1000
AT_ONCE = 250
FIELDS = ("run_id", "kind", "message", "trace", "state", "created_at")


@dataclass(frozen=True)
class Wanted:
    """What a conversation must have done. `exit` "" means any, `target` "" anywhere."""

    node: str
    exit: str = ""
    target: str = ""

    def is_met_by(self, rows: list[Row]) -> bool:
        return any(
            one.node == self.node
            and self.exit in ("", one.exit)
            and (not self.target or one.target == self.target)
            for one in passings(rows)
        )


@dataclass(frozen=True)
class Found:
    """`older`: pass it on for the next page; None when there is nothing more."""

    runs: tuple[FlowRun, ...]
    looked_through: int
    older: int | None


def find(  # noqa: PLR0913  # keyword-only
    version_id: int,
    wanted: Wanted,
    *,
    user: User,
    since: date,
    until: date,
    below: int | None = None,
) -> Found:
    """The conversations that began in these days, as far as `user` sees them."""
    runs = _runs(version_id, user, since, until)
    found: list[FlowRun] = []
    looked = 0
    while len(found) < SHOWN and looked < LOOKED_THROUGH:
        rows = runs.filter(pk__lt=below) if below is not None else runs
        some = list(rows[:AT_ONCE])
        logs = _logs(some)
        for run in some:
            below, looked = run.pk, looked + 1
            if wanted.is_met_by(logs.get(run.pk, [])):
                found.append(run)
                if len(found) == SHOWN:
                    break
        if len(some) < AT_ONCE and len(found) < SHOWN:
            return Found(tuple(found), looked, None)
    return Found(tuple(found), looked, below)


def _runs(version_id: int, user: User, since: date, until: date) -> QuerySet[FlowRun]:
    sessions = Session.objects.visible_to(user).filter(is_simulated=False)
    runs = FlowRun.objects.filter(
        version=version_id,
        session__in=sessions,
        started_at__gte=_midnight(since),
        started_at__lt=_midnight(min(until, date.max - timedelta(days=1)) + timedelta(days=1)),
    )
    return runs.select_related("session__lead", "session__channel").order_by("-pk")


def _logs(runs: list[FlowRun]) -> dict[int, list[Row]]:
    chosen = {run.pk: run.session_id for run in runs}
    rows = FlowLog.objects.filter(session__in=set(chosen.values()), run__in=list(chosen))
    logs: dict[int, list[Row]] = {}
    for row in rows.order_by("session_id", "seq").values(*FIELDS):
        logs.setdefault(row["run_id"], []).append(row)
    return logs


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
