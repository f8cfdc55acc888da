"""Trouble that people should know about: opened when it is seen, closed when it is over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, F

from chatbot.models import Incident, IncidentKind
from sessions_app.models import Channel

logger = logging.getLogger(__name__)


def open_incident(  # noqa: PLR0913  # keyword-only
    kind: IncidentKind,
    *,
    now: datetime,
    channel: Channel | None = None,
    about: str = "",
    facts: Mapping[str, Any] | None = None,
    times: int = 1,
) -> bool:
    """Say that there is trouble; True when it is news, False when the same is open already.

    The same is: this kind, on this channel, `about` the same thing (a template's name, an unknown
    number). The open row then counts `times` more (0: what may be the same telling, delivered
    twice) and keeps the newest `facts`. Of two that open at
    once one wins, the other counts. Runs in the caller's transaction, if there is one.
    """
    key = key_of(kind, channel, about)
    if _count(key, facts, times=times, now=now):
        return False
    try:
        with transaction.atomic():
            Incident.objects.create(
                kind=kind,
                channel=channel,
                key=key,
                facts=dict(facts or {}),
                count=max(1, times),
                opened_at=now,
                last_seen_at=now,
            )
    except IntegrityError:
        _count(key, facts, times=times, now=now)
        return False
    logger.error("incident opened: %s (channel %s) %s", kind, channel and channel.pk, about)
    return True


def close_incident(
    kind: IncidentKind, *, now: datetime, channel: Channel | None = None, about: str = ""
) -> bool:
    """The trouble is over; False when it was not open."""
    still_open = Incident.objects.filter(key=key_of(kind, channel, about), closed_at=None)
    if still_open.update(closed_at=now) == 0:
        return False
    logger.warning("incident closed: %s (channel %s) %s", kind, channel and channel.pk, about)
    return True


def count_open() -> dict[str, int]:
    """How many of each kind are open; kinds without any are there with 0."""
    found = Incident.objects.open().order_by().values_list("kind").annotate(Count("pk"))
    return {**dict.fromkeys(IncidentKind.values, 0), **dict(found)}


def key_of(kind: str, channel: Channel | None, about: str = "") -> str:
    return f"{kind}:{channel.pk if channel else ''}:{about}"[:200]


def _count(key: str, facts: Mapping[str, Any] | None, *, times: int, now: datetime) -> int:
    values: dict[str, Any] = {"count": F("count") + times, "last_seen_at": now}
    if facts:
        values["facts"] = dict(facts)
    return Incident.objects.filter(key=key, closed_at=None).update(**values)
