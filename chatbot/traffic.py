"""How much each channel receives and sends by the hour, and whether its silence is unusual."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import inf
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Max, Q
from django.db.models.functions import TruncHour

from chatbot.models import Direction, MessageLog, MessageStatus, TrafficHour
from sessions_app.models import Channel, ChannelKind
from users.models import Holiday

HOUR = timedelta(hours=1)
WEEKS = 4
KEPT = timedelta(weeks=WEEKS, days=2)  # how far back hours are counted
SETTLED = timedelta(minutes=5)  # after its end an hour's rows are all committed
FOLD_SECONDS = 300.0
FOLD_HOURS = 24  # counted in one go: what an old installation must catch up is spread over many

SHORTEST = timedelta(minutes=15)
LONGEST = timedelta(hours=24)
USUAL_LEAST = 20  # messages
HOLIDAY_TIMES = 5
WEEKS_LEAST = 3


class _Clock:
    """When this process last folded."""

    def __init__(self) -> None:
        self.at = -inf

    def is_due(self) -> bool:
        return monotonic() - self.at >= FOLD_SECONDS

    def tick(self) -> None:
        self.at = monotonic()


folded = _Clock()


# --- Counting ----------------------------------------------------------------------------------


def fold(*, now: datetime) -> None:
    """Count the hours that have ended since the last one counted, and that one again; at most every
    five minutes in each process, at most a day of hours in one go.

    Counting an hour again gives the same row, so several workers may do it at once. Every active
    channel gets a row for each hour, so that nothing received is known from nothing counted.
    """
    if not folded.is_due():
        return
    folded.tick()
    channels = list(_real_channels().values_list("pk", flat=True))
    end = _hour(now - SETTLED)
    begin = _first_to_count(end)
    if not channels or begin >= end:
        return
    last = min(end, begin + FOLD_HOURS * HOUR)
    counted = {(row["channel"], row["hour"]): row for row in _counts(begin, last)}
    TrafficHour.objects.bulk_create(
        [
            _row(pk, hour, counted.get((pk, hour), {}))
            for pk in channels
            for hour in _hours(begin, last)
        ],
        update_conflicts=True,
        unique_fields=["channel", "hour"],
        update_fields=["received", "sent", "failed"],
    )
    TrafficHour.objects.filter(hour__lt=end - KEPT).delete()


def _first_to_count(end: datetime) -> datetime:
    newest = TrafficHour.objects.aggregate(newest=Max("hour"))["newest"]
    return end - KEPT if newest is None else max(newest, end - KEPT)


def _counts(begin: datetime, end: datetime) -> Iterable[dict[str, Any]]:
    """By channel and hour, in one statement over a range of time."""
    sent = Q(direction=Direction.OUTBOUND, sent_at__isnull=False)
    failed = Q(direction=Direction.OUTBOUND, status=MessageStatus.FAILED)
    rows = MessageLog.objects.filter(created_at__gte=begin, created_at__lt=end)
    return (
        rows.order_by()
        .values("channel", hour=TruncHour("created_at", tzinfo=UTC))
        .annotate(
            received=Count("pk", filter=Q(direction=Direction.INBOUND)),
            sent=Count("pk", filter=sent),
            failed=Count("pk", filter=failed),
        )
    )


def _row(channel_id: int, hour: datetime, found: dict[str, Any]) -> TrafficHour:
    counts = {name: found.get(name, 0) for name in ("received", "sent", "failed")}
    return TrafficHour(channel_id=channel_id, hour=hour, **counts)


# --- Silence -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Silence:
    """Nothing was received since then, where so many messages were usual."""

    since: datetime
    usual: int


def heard_last(newest: Any) -> dict[int, datetime]:
    """When each active channel last received anything (a status of a message of ours too), as far
    as the `newest` rows of the log and the counted hours say. A channel that never received
    anything is not in it."""
    found: dict[int, datetime] = {}
    for row in (
        newest.order_by()
        .values("channel")
        .annotate(
            received=Max("created_at", filter=Q(direction=Direction.INBOUND)),
            delivered=Max("delivered_at"),
            read=Max("read_at"),
        )
    ):
        times = [row[name] for name in ("received", "delivered", "read") if row[name]]
        if times:
            found[row["channel"]] = max(times)
    real = set(_real_channels().values_list("pk", flat=True))
    for channel_id in real - found.keys():
        hours = TrafficHour.objects.filter(channel=channel_id, received__gt=0).order_by("-hour")
        hour = hours.values_list("hour", flat=True).first()
        if hour is not None:
            found[channel_id] = hour + HOUR
    return {channel_id: at for channel_id, at in found.items() if channel_id in real}


def unusual_silence(channel: Channel, *, since: datetime, now: datetime) -> Silence | None:
    """Is it unusual that this channel has received nothing from `since` until `now`?

    The stretch (its last 24 hours, when it is longer) is compared with the same stretch of the
    week, by the clock of TIME_ZONE, in each of the last four weeks; an hour that lies in it only in
    part counts in part. It is unusual when

    * it lasts at least 15 minutes, and
    * at least three of those weeks have been counted in full (a new installation is
      left alone), and
    * leaving out the quietest of four (a holiday, an outage), each of them brought at least 20
      messages; with a holiday of any calendar in the stretch, at least 100.

    So a night, when next to nothing is usual, raises nothing by itself; a silence that began in the
    night does once twenty messages would have come in the morning. With 20 messages expected at
    random, none comes by chance about twice in a thousand million stretches.
    """
    start = max(since, now - LONGEST)
    if now - start < SHORTEST:
        return None
    weeks = _received_in_weeks(channel, start, now)
    if len(weeks) < WEEKS_LEAST:
        return None
    usual = sorted(weeks)[1] if len(weeks) == WEEKS else min(weeks)
    least = USUAL_LEAST * (HOLIDAY_TIMES if _has_holiday(start, now) else 1)
    if usual < least or _was_heard_since(channel, start):
        return None
    return Silence(since, round(usual))


def _received_in_weeks(channel: Channel, start: datetime, end: datetime) -> list[float]:
    """What each earlier week brought in this stretch; only weeks of which every hour is known."""
    stretches = [
        (_weeks_before(start, week), _weeks_before(end, week)) for week in range(1, WEEKS + 1)
    ]
    hours_of = [list(_hours(_hour(begin), finish)) for begin, finish in stretches]
    wanted = [hour for hours in hours_of for hour in hours]
    rows = TrafficHour.objects.filter(channel=channel, hour__in=wanted)
    received = dict(rows.values_list("hour", "received"))
    found = []
    for hours, (begin, finish) in zip(hours_of, stretches, strict=True):
        if all(hour in received for hour in hours):
            parts = (received[hour] * _share(hour, begin, finish) for hour in hours)
            found.append(sum(parts))
    return found


def _share(hour: datetime, begin: datetime, end: datetime) -> float:
    """How much of the hour lies between."""
    inside = min(hour + HOUR, end) - max(hour, begin)
    return max(0.0, inside / HOUR)


def _weeks_before(at: datetime, weeks: int) -> datetime:
    """The same time of the clock on the same day of the week."""
    local = at.astimezone(ZoneInfo(settings.TIME_ZONE))
    return (local - timedelta(weeks=weeks)).astimezone(UTC)


def _has_holiday(start: datetime, end: datetime) -> bool:
    zone = ZoneInfo(settings.TIME_ZONE)
    days: tuple[date, date] = (start.astimezone(zone).date(), end.astimezone(zone).date())
    return Holiday.objects.filter(date__range=days).exists()


def _was_heard_since(channel: Channel, at: datetime) -> bool:
    """Asked only before an alarm: `heard_last` does not see everything on a busy site."""
    inbound = MessageLog.objects.filter(channel=channel, direction=Direction.INBOUND)
    return inbound.filter(created_at__gt=at).exists()


# --- Shared ------------------------------------------------------------------------------------


def _real_channels() -> Any:
    return Channel.objects.active().exclude(kind=ChannelKind.SIMULATOR)


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _hours(begin: datetime, end: datetime) -> Iterable[datetime]:
    while begin < end:
        yield begin
        begin += HOUR
