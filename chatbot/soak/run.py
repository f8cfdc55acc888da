"""One soak from the first process to the report."""

from __future__ import annotations

import json
import random
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import InterfaceError, OperationalError, connection

from chatbot.models import MessageLog, Task, TaskKind, TaskStatus
from chatbot.soak.database import Database
from chatbot.soak.plan import ACCESS_TOKEN, APP_SECRET, NUMBERS, Number, Plan
from chatbot.soak.processes import Fleet, Process
from sessions_app.models import Channel, ChannelKind

TICK = 0.25
START_SECONDS = 60.0
Say = Callable[[str], None]


class SoakFailed(Exception):
    """The run could not be carried out: something did not even start."""


@dataclass
class Facts:
    """What the report says about the run itself. Seconds."""

    traffic: float = 0.0
    settle: float = 0.0
    last_reply: float = 0.0  # of the settling: until nothing was queued any more
    is_settled: bool = False
    kills: dict[str, int] = field(default_factory=dict)
    restarts: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)


class Soak:
    def __init__(self, plan: Plan, folder: Path, database: Database, say: Say) -> None:
        self._plan = plan
        self._folder = folder
        self._database = database
        self._say = say
        self._rng = random.Random(f"{plan.seed}:restarts")
        root = settings.BASE_DIR
        command = [sys.executable, "-m", "chatbot.soak.standin", str(folder)]
        self._stand_in = Process("standin", command, folder, root)
        self._fleet = Fleet(plan, folder, root)
        self._restarting: threading.Thread | None = None
        self.facts = Facts()

    def run(self) -> Facts:
        """Traffic with trouble, then calm until all is settled. The stand-in's journal and the
        database are then there to be compared; all processes but the database's have ended."""
        self._prepare()
        with self._processes():
            self._traffic()
            self._settle()
            self._fleet.stop()  # what workers finish now belongs into the journal
            self._ask("/__journal", post=True)
        return self.facts

    # -- before and after

    def _prepare(self) -> None:
        self._say("preparing the database")
        if connection.introspection.table_names():
            raise SoakFailed("The database is not empty. A soak needs one of its own.")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("load_flows", verbosity=0, stdout=_Silent())
        for number in NUMBERS:
            self._add_channel(number)
        connection.close()

    def _add_channel(self, number: Number) -> None:
        channel = Channel(
            slug=number.slug,
            kind=ChannelKind.WHATSAPP_CLOUD,
            name=number.slug,
            external_id=number.phone_number_id,
            rate_per_second=self._plan.rate,
            # A warning of silence between the calm and the comparison would count as missing.
            idle_minutes=7 * 24 * 60,
            is_default=number is NUMBERS[0],
        )
        channel.take_credentials({"app_secret": APP_SECRET, "access_token": ACCESS_TOKEN})
        channel.save()

    @contextmanager
    def _processes(self) -> Iterator[None]:
        self._say("starting the stand-in, web and workers")
        self._stand_in.start()
        self._fleet.start()
        try:
            self._wait_for(f"{self._plan.graph_url}/__state", "the stand-in")
            self._wait_for(f"{self._plan.web_url}/healthz", "the web processes")
            yield
        finally:
            if self._restarting is not None:
                self._restarting.join()
            self._fleet.stop()
            self._stand_in.kill()

    def _wait_for(self, url: str, what: str) -> None:
        until = monotonic() + START_SECONDS
        while monotonic() < until:
            try:
                with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # on this machine
                    return
            except (OSError, urllib.error.URLError):
                sleep(0.2)
        raise SoakFailed(f"{what} did not start; see the logs in {self._folder}")

    # -- traffic

    def _traffic(self) -> None:
        began = monotonic()
        next_kill = began + self._plan.kill_every
        restarts = self._restarts_due()
        self._ask("/__begin", post=True)
        state = self._ask("/__state")
        while not state["is_done"]:
            sleep(TICK)
            self._fleet.tend()
            if self._plan.kill_every and monotonic() >= next_kill:
                self._fleet.kill_some()
                next_kill = monotonic() + self._plan.kill_every
            if restarts and state["over"] >= restarts[0] * self._plan.conversations:
                restarts.pop(0)
                self._restart()
            if self._plan.minutes and monotonic() - began > self._plan.minutes * 60:
                self._ask("/__stop", post=True)
            state = self._ask("/__state")
            self._show(state, monotonic() - began)
        self.facts.traffic = monotonic() - began
        self.facts.kills = dict(self._fleet.kills)

    def _restarts_due(self) -> list[float]:
        """Shares of the conversations that are over."""
        count = self._plan.database_restarts
        return [(number + 1) / (count + 1) for number in range(count)]

    def _restart(self) -> None:
        """In a thread: meanwhile the processes must be tended."""
        mode = ("immediate", "fast")[len(self.facts.restarts) % 2]

        def work() -> None:
            began = monotonic()
            if self._database.restart(mode):
                self.facts.restarts.append(f"{mode}, {monotonic() - began:.1f} s")

        if self._restarting is not None:
            self._restarting.join()
        self._restarting = threading.Thread(target=work)
        self._restarting.start()

    # -- calm

    def _settle(self) -> None:
        """No faults, no kills: until everything has found its end, or the time is over."""
        self._ask("/__calm", post=True)
        if self._restarting is not None:
            self._restarting.join()
        began = monotonic()
        while monotonic() - began < self._plan.settle_minutes * 60:
            self._fleet.tend()
            state = self._ask("/__state")
            self.facts.left = {**_pending(), "webhook": int(state["waiting"])}
            left = ", ".join(f"{count} {name}" for name, count in self.facts.left.items())
            self._say(f"settling for {monotonic() - began:.0f} s: {left}")
            if self.facts.left["queued"]:
                self.facts.last_reply = monotonic() - began
            if not any(self.facts.left.values()) and not state["under_way"]:
                self.facts.is_settled = True
                break
            sleep(1)
        self.facts.settle = monotonic() - began

    # -- words

    def _show(self, state: dict[str, Any], seconds: float) -> None:
        kills = sum(self._fleet.kills.values())
        self._say(
            f"{seconds:.0f} s  {state['over']}/{self._plan.conversations} conversations over, "
            f"{state['said']} messages in, {state['calls']} calls out, "
            f"{state['said'] / max(1.0, seconds):.0f} messages/s, "
            f"{state['waiting']} webhook items waiting, {kills} kills, "
            f"{len(self.facts.restarts)} restarts"
        )

    def _ask(self, path: str, *, post: bool = False) -> dict[str, Any]:
        """Raises SoakFailed when the stand-in is gone: nothing can be said without it."""
        url = self._plan.graph_url + path
        request = urllib.request.Request(url, data=b"" if post else None)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                found: dict[str, Any] = json.load(response)
        except OSError as error:
            raise SoakFailed(f"the stand-in does not answer: {error}") from error
        return found


def _pending() -> dict[str, int]:
    """What is not at its end yet. Raises nothing while the database comes back."""
    try:
        rows = MessageLog.objects.pending()
        # Synchronising is due again and again.
        tasks = Task.objects.filter(status=TaskStatus.PENDING).exclude(kind=TaskKind.TEMPLATES)
        return {
            "queued": rows.filter(status="queued").count(),
            "sending": rows.filter(status="sending").count(),
            "tasks": tasks.count(),
        }
    except (OperationalError, InterfaceError):
        connection.close()
        return {"queued": 1, "sending": 0, "tasks": 0}


class _Silent:
    def write(self, text: str) -> None:
        """A command's words are no news here."""
