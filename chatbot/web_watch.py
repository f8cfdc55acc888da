"""What a web process notices beside its answers: wrong signatures, and that no worker runs.

Nothing here may cost a statement for each request, or disturb an answer: whatever fails is logged.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from datetime import datetime, timedelta
from time import monotonic

from django.db import DatabaseError, InterfaceError

from chatbot import incident_mail
from chatbot.incidents import open_incident
from chatbot.incidents_watch import has_worker
from chatbot.models import IncidentKind, Worker
from sessions_app.models import Channel

logger = logging.getLogger(__name__)

WRITE_SECONDS = 10.0  # wrong signatures are written down at most so often in each process
LOOK_SECONDS = 60.0
GRACE = timedelta(minutes=1)  # a worker that is only being started again is no incident


class Watch:
    """One in each process. The first look after a webhook is a minute after the start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._signatures: Counter[int] = Counter()
        self._written_at = float("-inf")
        self._looked_at = monotonic()
        self._missing_since: datetime | None = None

    def note_bad_signature(self, channel: Channel, *, now: datetime) -> None:
        """Count one. The first is written at once, later ones together: who sends wrong bodies at
        will does not make the database write at will."""
        with self._lock:
            self._signatures[channel.pk] += 1
            if monotonic() - self._written_at < WRITE_SECONDS:
                return
            self._written_at = monotonic()
        self._write_signatures(now)

    def look_after_webhook(self, *, now: datetime) -> None:
        """At most once a minute: write what is still counted, and see whether a worker runs. No
        mail is sent from here: the provider is waiting."""
        with self._lock:
            if monotonic() - self._looked_at < LOOK_SECONDS:
                return
            self._looked_at = monotonic()
        self._write_signatures(now)
        try:
            self._is_missing(now)
        except (DatabaseError, InterfaceError):
            logger.exception("nobody knows whether a worker runs")

    def look_for_worker(self, *, now: datetime) -> bool:
        """Does a worker run? When none has for a minute, that is an incident, and told by e-mail
        from here: no worker will. Writes what is still counted of signatures too. Raises what the
        database raises."""
        self._write_signatures(now)
        if not self._is_missing(now):
            return True
        if self._has_lasted(now):
            incident_mail.send_due(now=now, kind=IncidentKind.WORKER)
        return False

    def _is_missing(self, now: datetime) -> bool:
        if has_worker(now):
            self._missing_since = None
            return False
        if self._missing_since is None:
            # A worker that was killed says when; one that signed off, or never was, does not.
            last = Worker.objects.order_by("-beat_at").values_list("beat_at", flat=True).first()
            self._missing_since = now if last is None else min(last, now)
        if self._has_lasted(now):
            open_incident(IncidentKind.WORKER, now=now)
        return True

    def _has_lasted(self, now: datetime) -> bool:
        return self._missing_since is not None and now - self._missing_since >= GRACE

    def _write_signatures(self, now: datetime) -> None:
        with self._lock:
            counted, self._signatures = self._signatures, Counter()
        for channel_id, times in counted.items():
            try:
                channel = Channel(pk=channel_id)
                open_incident(IncidentKind.SIGNATURE, channel=channel, times=times, now=now)
            except (DatabaseError, InterfaceError):
                logger.exception("wrong signatures could not be written down")
                with self._lock:
                    self._signatures[channel_id] += times


watch = Watch()
