"""Traffic between two versions of a flow: who gets which is the same at every conversation."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from time import monotonic

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from chatbot.models import Flow, FlowVersion, Split
from users import audit
from users.errors import DomainError
from users.models import User

KNOWN_FOR = timedelta(seconds=15).total_seconds()
ALL = 100


class SplitRefused(DomainError):
    """A split that cannot be, as things stand."""

    code = "split_refused"


class _Running:
    """The splits under way, read again every few seconds: there are few, they change rarely, and
    a conversation must not pay a statement for them."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._by_flow: dict[int, Split] = {}
        self._read_at: float | None = None

    def of(self, flow_id: int) -> Split | None:
        if self._read_at is None or monotonic() - self._read_at > KNOWN_FOR:
            self._by_flow = {one.flow_id: one for one in Split.objects.filter(ended_at=None)}
            self._read_at = monotonic()
        return self._by_flow.get(flow_id)


running = _Running()


def version_for(flow: Flow, lead_id: int) -> tuple[int | None, int | None]:
    """(version, split) for a conversation that begins now: what is on air, unless a split gives
    this person the other version. (None, None) when nothing is on air.

    What a process remembers of a split counts only while the version on air is still the one that
    was divided: with a new version the split is over everywhere at once.
    """
    split = running.of(flow.pk)
    if split is None or split.control_id != flow.published_id:
        return flow.published_id, None
    gets_other = bucket(split.pk, lead_id) < split.share
    return (split.challenger_id if gets_other else split.control_id), split.pk


def bucket(split_id: int, lead_id: int) -> int:
    """0 to 99: where a person falls in a split, whenever and wherever it is asked."""
    digest = hashlib.sha256(f"{split_id}:{lead_id}".encode()).digest()
    return int.from_bytes(digest[:8]) % ALL


def of_flow(flow: Flow) -> Split | None:
    """The split under way."""
    running_now = Split.objects.filter(flow=flow, ended_at=None)
    return (
        running_now.select_related("started_by", "control", "challenger")
        .defer("control__document", "challenger__document")
        .first()
    )


@transaction.atomic
def start(flow: Flow, *, challenger: FlowVersion, share: int, user: User, at: datetime) -> Split:
    """From now on `share` percent of the people whose conversation begins get `challenger`, the
    others what is on air. Raises SplitRefused."""
    flow = Flow.objects.select_for_update(no_key=True).get(pk=flow.pk)
    if flow.published_id is None or challenger.number is None or challenger.flow_id != flow.pk:
        raise SplitRefused(_("Both versions must have been published."))
    if challenger.pk == flow.published_id:
        raise SplitRefused(_("Choose a version other than the one on air."))
    if not 1 <= share < ALL:
        raise SplitRefused(_("The share must be between 1% and 99%."), status=400)
    try:
        with transaction.atomic():
            split = Split.objects.create(
                flow=flow,
                control_id=flow.published_id,
                challenger=challenger,
                share=share,
                started_by=user,
                started_at=at,
            )
    except IntegrityError as error:
        raise SplitRefused(_("The traffic is divided already. End that first.")) from error
    transaction.on_commit(running.forget, robust=True)
    return split


def end(flow: Flow, *, user: User | None, at: datetime) -> bool:
    """Everybody gets the version on air again; False when there was no split. Conversations under
    way end on the version they began with."""
    under_way = Split.objects.filter(flow=flow, ended_at=None)
    ended = list(under_way.defer("flow__draft"))
    count = under_way.update(ended_at=at, ended_by=user)  # writer: a split belongs to this module
    for split in ended if count else ():
        audit.changed(split, {"ended_at": None}, {"ended_at": at})
    transaction.on_commit(running.forget, robust=True)
    return bool(count)
