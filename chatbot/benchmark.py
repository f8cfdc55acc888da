"""Signed WhatsApp messages posted at a running server, and what they cost it."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, time
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import RequestFactory

from chatbot import views
from sessions_app.models import Channel

TEXTS = ("Oi", "1", "sim", "Davi Exemplo", "davi@exemplo.com.br", "Preciso de um orçamento")
FIRST_PHONE = 5511900000000
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass
class Load:
    """What to post: `messages` in all, by `contacts` people, `concurrency` at the same time."""

    channel: Channel
    messages: int
    contacts: int
    concurrency: int
    run: str = field(default_factory=lambda: secrets.token_hex(4))

    def body(self, number: int) -> bytes:
        """The number-th body: contacts take turns, so that one contact's messages are far apart."""
        contact = number % self.contacts
        phone = str(FIRST_PHONE + contact)
        message = {
            "from": phone,
            "id": f"wamid.bench.{self.run}.{number}",
            "timestamp": str(int(time())),
            "type": "text",
            "text": {"body": TEXTS[number // self.contacts % len(TEXTS)]},
        }
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"phone_number_id": self.channel.external_id},
            "contacts": [{"profile": {"name": f"Benchmark {contact}"}, "wa_id": phone}],
            "messages": [message],
        }
        change = {"field": "messages", "value": value}
        entry = {"id": "1", "changes": [change]}
        return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()

    def headers(self, body: bytes) -> dict[str, str]:
        key = str(self.channel.credentials.get("app_secret", "")).encode()
        digest = hmac.new(key, body, hashlib.sha256).hexdigest()
        return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}


@dataclass
class Result:
    """Times in milliseconds; `cpu_us` per message, None where it cannot be read."""

    seconds: float
    statuses: Counter[int]
    times: list[float]
    cpu_us: dict[str, float]

    @property
    def per_second(self) -> float:
        return sum(self.statuses.values()) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def post(url: str, load: Load, *, progress: Callable[[int], None], pids: dict[str, int]) -> Result:
    """Post everything with keep-alive connections, one request in flight each.

    A connection that the server closes is opened again and its request repeated (the webhook takes
    it as a duplicate). Raises OSError when the server cannot be reached at all.
    """
    numbers = iter(range(load.messages))
    lock = threading.Lock()
    result = Result(0.0, Counter(), [], {})
    failures: list[BaseException] = []

    def take() -> int | None:
        with lock:
            return next(numbers, None)

    def work() -> None:
        try:
            with _client(url) as send:
                while not failures and (number := take()) is not None:
                    body = load.body(number)
                    began = perf_counter()
                    status = send(body, load.headers(body))
                    took = (perf_counter() - began) * 1000
                    with lock:
                        result.statuses[status] += 1
                        result.times.append(took)
                        progress(len(result.times))
        except BaseException as error:
            failures.append(error)

    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    began = perf_counter()
    threads = [threading.Thread(target=work) for _ in range(load.concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    result.seconds = perf_counter() - began
    for name, pid in pids.items():
        result.cpu_us[name] = (cpu_seconds(pid) - before[name]) * 1e6 / load.messages
    return result


def statements(load: Load) -> dict[str, int]:
    """SQL statements of one message each, counted in this process through the same view: of a new
    contact's first message and of a plain answer. BEGIN and COMMIT come on top."""
    counted = Load(load.channel, messages=2, contacts=1, concurrency=1)
    phone = FIRST_PHONE + secrets.randbelow(10**6) + 10**6
    found: list[int] = []
    for number in range(counted.messages):
        body = counted.body(number).replace(str(FIRST_PHONE).encode(), str(phone).encode())
        request = RequestFactory().post(
            "/webhook",
            body,
            content_type="application/json",
            headers={"X-Hub-Signature-256": counted.headers(body)["X-Hub-Signature-256"]},
        )
        request.user = AnonymousUser()
        with _counting() as count:
            response = views.webhook(request, load.channel.slug)
        if response.status_code != http.client.OK:
            raise ValueError(f"the webhook answered {response.status_code}")
        found.append(count[0])
    return {"first message of a contact": found[0], "plain answer": found[-1]}


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its descendants so far, from /proc; 0 where there is none."""
    total = 0.0
    for one in [pid, *_descendants(pid)]:
        with suppress(OSError):
            parts = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += (int(parts[11]) + int(parts[12])) / TICKS
    return total


def listening_pid(port: int) -> int | None:
    """The oldest process that listens on this local port (its parent, for a server that forks)."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                cells = line.split()
                if cells[3] == "0A" and int(cells[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{cells[9]}]")
    holders = [pid for pid in _pids() if inodes & _sockets(pid)]
    return min(holders) if holders else None


def database_pid() -> int | None:
    """PostgreSQL's main process, when it runs on this machine."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    return _parent(backend)


@contextmanager
def _counting() -> Iterator[list[int]]:
    count = [0]

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        count[0] += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield count


@contextmanager
def _client(url: str) -> Iterator[Callable[[bytes, dict[str, str]], int]]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    link = kind(parts.hostname or "127.0.0.1", parts.port, timeout=60)

    def send(body: bytes, headers: dict[str, str]) -> int:
        for attempt in (1, 2):
            try:
                link.request("POST", parts.path or "/webhook", body, headers)
                response = link.getresponse()
                response.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                link.close()
                if attempt == 2:  # noqa: PLR2004  # the second and last
                    raise
            else:
                return response.status
        raise AssertionError("unreachable")

    try:
        yield send
    finally:
        link.close()


def _pids() -> list[int]:
    with suppress(OSError):
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return []


def _sockets(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(path))
    return found


def _parent(pid: int) -> int | None:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def _descendants(pid: int) -> list[int]:
    children: dict[int | None, list[int]] = {}
    for one in _pids():
        children.setdefault(_parent(one), []).append(one)
    found, level = [], [pid]
    while level:
        level = [child for one in level for child in children.get(one, [])]
        found += level
    return found
