"""The worker process: delivers, runs tasks, and does what is due from time to time."""

from __future__ import annotations

import logging
import os
import secrets
import select
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db import (
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
)
from django.utils import timezone

from chatbot import delivery, incidents_watch, pricing, statuses, tasks
from chatbot.expiry import expire_sessions
from chatbot.models import MessageLog, Task, TaskKind, Worker
from chatbot.queue_news import tell_places
from chatbot.replays.session_checks import start_at_night
from chatbot.silent_tickets import mind_silent_tickets
from chatbot.template_tasks import sync_templates_due
from chatbot.usage import counting as usage
from chatbot.wake import CHANNEL
from sessions_app.models import Channel, ChannelKind
from tickets import distribution
from tickets import services as tickets
from tickets.workspace_presence import drop_old_presences
from users.connections import trust_a_quiet_connection
from users.services import put_silent_offline

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25
BEAT_SECONDS = 10.0
PERIODIC_SECONDS = 20.0
GIVE_OUT_SECONDS = 0.5
DEAD_AFTER = timedelta(days=1)  # a worker that said nothing for so long is forgotten


class WorkerLoop:
    """Claims what is due for as many threads as are free, until it is told to stop.

    Tasks get at most half of the threads, of these downloads at most half, and one channel at most
    three quarters while there are others: what is slow delays itself and nobody else.

    Stopping: nothing new is claimed, what is under way is finished. What a kill leaves behind is
    free again when its lease ends, except one row a thread that may be `sending`.
    """

    def __init__(self, *, threads: int) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._threads = threads
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._busy: dict[Future[Any], Any] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        """Work until `stop()`. Trouble of the database is waited out."""
        started = timezone.now()
        beat_at = periodic_at = given_out_at = float("-inf")
        looking = giving_out = _done()
        listener = _start_listener(self._wake, self._stop)
        # Two threads more: for the periodic work, which may wait for a mail server, and for giving
        # tickets out, which must wait for nothing.
        with ThreadPoolExecutor(self._threads + 2, thread_name_prefix="work") as pool:
            while not self._stop.is_set():
                try:
                    now = monotonic()
                    if now - beat_at >= BEAT_SECONDS:
                        self._beat(started)
                        beat_at = now
                    if now - periodic_at >= PERIODIC_SECONDS and looking.done():
                        looking = pool.submit(_in_thread, periodic)
                        periodic_at = now
                    if now - given_out_at >= GIVE_OUT_SECONDS and giving_out.done():
                        giving_out = pool.submit(_in_thread, give_out)
                        given_out_at = now
                    found = self._claim(pool)
                except (OperationalError, InterfaceError):
                    logger.exception("the database cannot be used: waiting")
                    connection.close()
                    found = False
                    self._stop.wait(1)
                if not found:
                    self._wake.wait(POLL_SECONDS)
                    self._wake.clear()
        if listener is not None:
            listener.join(timeout=2)
        self._leave()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()

    def _claim(self, pool: ThreadPoolExecutor) -> bool:
        """Hand out what is due; False when there was nothing, or no thread to do it."""
        busy = self._busy_rows()
        free = self._threads - len(busy)
        if free <= 0:
            return False
        now = timezone.now()
        rows = delivery.claim_due(limit=free, now=now, without=self._full_channels(busy))
        for row, slot in delivery.with_slots(rows, now=now):
            self._submit(pool, delivery.deliver, row, slot)
        doing = Counter(row.kind for row in busy if isinstance(row, Task))
        left = min(free - len(rows), max(1, self._threads // 2) - doing.total())
        files = max(1, self._threads // 4) - doing[TaskKind.MEDIA]
        later: list[Task] = tasks.claim_due(limit=left, now=now, files=files) if left > 0 else []
        for task in later:
            self._submit(pool, tasks.run_task, task)
        return bool(rows or later)

    def _full_channels(self, busy: list[Any]) -> list[int]:
        """The channels that have as many threads as one may have while others wait."""
        most = max(1, self._threads * 3 // 4)
        counts = Counter(row.channel_id for row in busy if isinstance(row, MessageLog))
        full = [channel for channel, count in counts.items() if count >= most]
        others = Channel.objects.active().exclude(kind=ChannelKind.SIMULATOR).exclude(pk__in=full)
        return full if full and others.exists() else []

    def _submit(
        self, pool: ThreadPoolExecutor, work: Callable[..., Any], row: Any, *more: Any
    ) -> None:
        future = pool.submit(_in_thread, work, row, *more)
        with self._lock:
            self._busy[future] = row
        future.add_done_callback(self._done)

    def _done(self, future: Future[Any]) -> None:
        with self._lock:
            self._busy.pop(future, None)
        self._wake.set()  # the next row of the same conversation may be due now

    def _busy_rows(self) -> list[Any]:
        with self._lock:
            return list(self._busy.values())

    def _beat(self, started: Any) -> None:
        now = timezone.now()
        Worker.objects.update_or_create(
            name=self.name, defaults={"started_at": started, "beat_at": now}
        )
        Worker.objects.filter(beat_at__lt=now - DEAD_AFTER).delete()

    def _leave(self) -> None:
        try:
            Worker.objects.filter(name=self.name).delete()
        except (OperationalError, InterfaceError):
            logger.warning("the worker could not sign off: the database cannot be used")


PERIODIC: tuple[Callable[[datetime], Any], ...] = (
    lambda now: expire_sessions(now=now),
    lambda now: tickets.wake_due(now=now),
    lambda now: mind_silent_tickets(now=now),
    lambda now: tell_places(now=now),
    lambda now: delivery.settle_unconfirmed(now=now),
    lambda now: statuses.settle_early_statuses(now=now),
    lambda now: statuses.drop_old_early_statuses(now=now),
    lambda _now: pricing.count_priced(),
    lambda now: incidents_watch.look(now=now),
    lambda now: sync_templates_due(now=now),
    lambda now: drop_old_presences(now=now),
    lambda _now: usage.count(),
    lambda now: put_silent_offline(now=now),
    start_at_night,
)


def periodic() -> None:
    """What is due from time to time; each part on its own, so that one failing does not stop the
    other."""
    now = timezone.now()
    for work in PERIODIC:
        try:
            work(now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("periodic work failed")


def give_out() -> None:
    """The tickets of departments that give them out by themselves."""
    distribution.tick(timezone.now())


def stop_on_signals(loop: WorkerLoop) -> None:
    """SIGTERM and SIGINT end the loop after what is under way."""

    def stop(_number: int, _frame: Any) -> None:
        loop.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _done() -> Future[None]:
    nothing: Future[None] = Future()
    nothing.set_result(None)
    return nothing


def _in_thread(work: Callable[..., Any], *about: Any) -> None:
    """One piece of work in a thread of the pool, with a connection that is still good."""
    close_old_connections()
    trust_a_quiet_connection()
    try:
        work(*about)
    except (OperationalError, InterfaceError):
        logger.exception("the database failed while %s was under way", about or work.__name__)
        connection.close()
    except Exception:
        logger.exception("%s failed", about or work.__name__)


def _start_listener(wake: threading.Event, stop: threading.Event) -> threading.Thread | None:
    """PostgreSQL: a connection of its own that waits for NOTIFY. Elsewhere polling is all there
    is."""
    if connection.vendor != "postgresql":
        return None
    thread = threading.Thread(target=_listen, args=(wake, stop), name="listen", daemon=True)
    thread.start()
    return thread


def _listen(wake: threading.Event, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            raw = connection.connection
            while not stop.is_set():
                ready, _write, _errors = select.select([raw.fileno()], [], [], 1.0)
                if ready and list(raw.notifies(timeout=0)):
                    wake.set()
        except (OperationalError, InterfaceError, OSError, ValueError):
            logger.warning("lost the connection that listens for work: polling goes on")
            connection.close()
            stop.wait(2)
    connections.close_all()
