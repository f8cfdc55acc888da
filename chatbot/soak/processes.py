"""The program as a platform runs it: web and worker processes that are started again when they
die."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chatbot.soak.plan import Plan

PATIENCE = 60


class Process:
    """One program in a group of its own; what it prints goes to a file."""

    def __init__(self, name: str, command: list[str], folder: Path, root: Path) -> None:
        self.name = name
        self._command = command
        self._log = folder / f"{name}.log"
        self._root = root
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._running.pid if self._running is not None else 0

    @property
    def is_running(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                self._command,
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """The whole group, as when its container goes."""
        if self._running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._running.wait(PATIENCE)

    def stop(self) -> None:
        if self._running is None or not self.is_running:
            return
        self._running.terminate()
        try:
            self._running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def children(self) -> list[int]:
        with suppress(OSError):
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
            return [int(one) for one in text.split()]
        return []


class Fleet:
    """Web and workers. Who is killed is drawn from the seed."""

    def __init__(self, plan: Plan, folder: Path, root: Path) -> None:
        self._rng = random.Random(f"{plan.seed}:kills")
        self.web = Process("web", web_command(plan), folder, root)
        self.workers = [
            Process(f"worker{number}", worker_command(plan), folder, root)
            for number in range(plan.workers)
        ]
        self.kills: Counter[str] = Counter()

    @property
    def all(self) -> list[Process]:
        return [self.web, *self.workers]

    def start(self) -> None:
        for process in self.all:
            process.start()

    def tend(self) -> None:
        """Start again what has died."""
        for process in self.all:
            if not process.is_running:
                process.kill()  # what is left of its group
                process.start()

    def kill_some(self) -> None:
        """One web process, now and then with its master; and one worker."""
        children = self.web.children()
        if not children or self._rng.random() < 0.2:  # noqa: PLR2004  # a fifth of the kills
            self._kill("web master", self.web.kill)
        else:
            victim = self._rng.choice(children)
            self._kill("web process", lambda: os.kill(victim, signal.SIGKILL))
        self._kill("worker", self._rng.choice(self.workers).kill)

    def stop(self) -> None:
        for process in self.all:
            process.stop()

    def _kill(self, name: str, kill: Callable[[], None]) -> None:
        with suppress(ProcessLookupError):
            kill()
            self.kills[name] += 1


def web_command(plan: Plan) -> list[str]:
    bind = f"127.0.0.1:{plan.web_port}"
    return [sys.executable, "-m", "gunicorn", "--bind", bind, "config.wsgi"]


def worker_command(plan: Plan) -> list[str]:
    threads = ["--threads", str(plan.threads)]
    if plan.waits.changed:
        waits = json.dumps(plan.waits.changed)
        return [sys.executable, "-m", "chatbot.soak.hurried", waits, *threads]
    return [sys.executable, "manage.py", "worker", *threads]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
