"""How fast a channel may send, over all workers: a token bucket and a circuit breaker in one row.

Slots are handed out one after the other (`SendPace.next_at`), a little more slowly than the
provider allows. A throttle of the provider moves the next slot away and halves the rate, which
then grows back. A provider that is not there gets one message at a time, ever more rarely, until
one goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from time import sleep

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from chatbot.incidents import close_incident, open_incident
from chatbot.models import IncidentKind, SendPace
from sessions_app.models import Channel
from users.frozen import Frozen, save

HORIZON = timedelta(seconds=0.5)  # no slot is handed out further ahead: a worker may die with it
LATE = timedelta(seconds=0.1)  # a slot that was missed by more is lost: no catching up
BEFORE = timedelta(seconds=0.03)  # what comes before the call may begin so much earlier
# Of the provider's rate, which also counts what customers send. The rest is for them, and for
# calls that arrive late on a busy machine: in no second does the provider see more than its rate.
SHARE = 0.8
RECOVERY = timedelta(minutes=1)  # from nothing back to the full rate
SLOWEST = 1.0  # a second
TROUBLES = 5  # failures in a row after which the provider counts as not there
FIRST_PROBE, LAST_PROBE = 2.0, 60.0  # seconds until the first message is risked; at the most
PATIENCE = timedelta(seconds=15)  # for a slot, in one thread


class NoSlot(Exception):
    """The channel may not send for now."""


@dataclass(frozen=True)
class Slot:
    """When one call may begin. `troubles`: how many calls had failed in a row when it was given."""

    at: datetime
    troubles: int = 0


def reserve(channel: Channel, *, wanted: int, now: datetime) -> list[Slot]:
    """Up to `wanted` slots that nobody else gets, within HORIZON; fewer, or none, when the channel
    is busy or held back. Commits at once: a slot that is not used is lost, never used twice."""
    with transaction.atomic():
        pace = _locked(channel, now)
        step = timedelta(seconds=_step(pace, channel, now))
        first = max(now, pace.next_at)
        if first > now + HORIZON:
            return []
        count = min(wanted, 1 + int((now + HORIZON - first) / step))
        pace.next_at = first + count * step
        save(pace, ["next_at"])
    return [Slot(first + number * step, pace.troubles) for number in range(count)]


def wait(channel: Channel, slot: Slot | None) -> Slot:
    """Wait for the slot; one that has been missed, or None, is exchanged for another.

    Raises NoSlot when there is none to be had in reasonable time.
    """
    until = timezone.now() + PATIENCE
    while True:
        now = timezone.now()
        if slot is not None and now <= slot.at + LATE:
            sleep(max(0.0, (slot.at - now).total_seconds()))
            return slot
        if now > until:
            raise NoSlot
        slot = next(iter(reserve(channel, wanted=1, now=now)), None)
        if slot is None:
            if not SendPace.objects.filter(
                channel=channel, next_at__lte=now + 2 * HORIZON
            ).exists():
                raise NoSlot
            sleep(HORIZON.total_seconds() / 4)


def wait_almost(channel: Channel, slot: Slot | None) -> Slot:
    """Until so shortly before the slot that what precedes the call can be done meanwhile."""
    if slot is None:
        slot = wait(channel, None)
    sleep(max(0.0, (slot.at - BEFORE - timezone.now()).total_seconds()))
    return slot


def may_send(now: datetime, soon: datetime, *, to_channel: str = "channel") -> Q:
    """The condition that a row's channel has a slot to give: neither paused nor held back. `soon`
    is HORIZON after `now`."""
    return ~Q(**{f"{to_channel}__paused_until__gt": now}) & (
        Q(**{f"{to_channel}__pace": None}) | Q(**{f"{to_channel}__pace__next_at__lte": soon})
    )


# --- What comes back ---------------------------------------------------------------------------


def hold_back(channels: list[int], *, until: datetime, now: datetime, slow_down: bool) -> None:
    """Give out no slot of these channels before `until`; `slow_down`: at half the rate after it."""
    for channel in Channel.objects.filter(pk__in=channels).order_by("pk"):
        with transaction.atomic():
            pace = _locked(channel, now)
            if slow_down:
                pace.slowed_to = max(SLOWEST, _rate(pace, channel, now) / 2)
                pace.slowed_at = until
            pace.next_at = max(pace.next_at, until)
            pace.save(update_fields=["next_at", "slowed_to", "slowed_at"])


def note_trouble(
    channel: Channel, slot: Slot | None = None, *, now: datetime, reason: str, is_over: bool = False
) -> bool:
    """The provider was not there for a call, or (`is_over`) refuses everything until it is mended.
    True while the circuit is open: then it is not the message's fault.

    Once it is open only the message that is risked counts (`slot`): those that were under way when
    it opened say nothing new.
    """
    with transaction.atomic():
        pace = _locked(channel, now)
        was_open = pace.troubles >= TROUBLES
        if not was_open:
            pace.troubles = TROUBLES if is_over else pace.troubles + 1
        elif slot is not None and slot.troubles >= TROUBLES:
            pace.troubles += 1
        opens = pace.troubles >= TROUBLES
        if opens:
            pace.next_at = max(pace.next_at, now + timedelta(seconds=_probe_seconds(pace)))
        pace.save(update_fields=["troubles", "next_at"])
    if opens and not is_over and not was_open:
        open_incident(IncidentKind.CIRCUIT, channel=channel, facts={"code": reason}, now=now)
    return opens


def forgive(channel: Channel, *, now: datetime) -> None:
    """Let the channel go on at once, as if nothing had been wrong: somebody has mended it."""
    SendPace.objects.filter(channel=channel).update(
        next_at=now, troubles=0, slowed_to=None, slowed_at=None
    )
    close_incident(IncidentKind.CIRCUIT, channel=channel, now=now)


def is_open(channel: Channel) -> bool:
    """Does the provider count as not there?"""
    return SendPace.objects.filter(channel=channel, troubles__gte=TROUBLES).exists()


def note_success(channel: Channel, slot: Slot | None, *, now: datetime) -> bool:
    """A call was accepted; True when that ended a time of trouble. Costs nothing otherwise."""
    if slot is None or slot.troubles == 0:
        return False
    troubled = SendPace.objects.filter(channel=channel, troubles__gt=0)
    if troubled.filter(troubles__gte=TROUBLES).update(troubles=0, next_at=now):
        close_incident(IncidentKind.CIRCUIT, channel=channel, now=now)
        return True
    troubled.update(troubles=0)
    return False


# --- The row -----------------------------------------------------------------------------------


def _locked(channel: Channel, now: datetime) -> SendPace:
    pace: SendPace | None = _LOCKED.first(channel=channel.pk)
    if pace is not None:
        return pace
    try:
        with transaction.atomic():
            return SendPace.objects.create(channel=channel, next_at=now)
    except IntegrityError:
        return _rows(channel.pk).get()


def _rows(channel_id: int) -> QuerySet[SendPace]:
    locked = SendPace.objects.select_for_update(no_key=True, of=("self",))
    return locked.filter(channel=channel_id)


_LOCKED = Frozen(lambda _shape, channel: _rows(channel))


def _step(pace: SendPace, channel: Channel, now: datetime) -> float:
    """Seconds between two slots."""
    if pace.troubles >= TROUBLES:
        return _probe_seconds(pace)
    return 1.0 / (_rate(pace, channel, now) * SHARE)


def _rate(pace: SendPace, channel: Channel, now: datetime) -> float:
    """The channel's rate; after a throttle less, growing back in a straight line."""
    full = float(max(1, channel.rate_per_second))
    if pace.slowed_to is None or pace.slowed_at is None:
        return full
    grown = max(0.0, (now - pace.slowed_at) / RECOVERY) * full
    return min(full, pace.slowed_to + grown)


def _probe_seconds(pace: SendPace) -> float:
    doublings = min(pace.troubles - TROUBLES, 10)
    return float(min(LAST_PROBE, FIRST_PROBE * 2.0**doublings))
