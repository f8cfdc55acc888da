"""Many attendants with a ticket open each while messages come in, on one machine.

`python -m chatbot.benchmark_attendants FOLDER`, in an environment that `manage.py benchmark
attendants` made: PostgreSQL, web, worker and a stand-in for the provider are started here.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter, sleep, time
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import django

from chatbot.benchmark_polls import Poll, Polls
from chatbot.soak.plan import Plan
from chatbot.soak.wire import Link, Request, Response, answer, serve

FILE = "attendants.json"
PATIENCE = 60.0
INBOX = "/admin/tickets/ticket/"
BY_THE_LIST = 0.25  # how often somebody goes to the next ticket by way of the list
STRANGERS = 300  # people who talk to the bot
LINKS = 24  # for webhooks: the provider keeps as many connections as it likes
WARM_UP = 100.0  # seconds in which pages open one after the other, and nothing is counted
ERROR = 400
SHARES = (0.5, 0.95, 0.99, 1.0)

_accepted = itertools.count(1)


@dataclass
class Options:
    attendants: int = 200
    rate: float = 50.0
    seconds: float = 60.0
    messages: int = 20_000
    web: int = 2
    workers: int = 1
    bot: float = 20.0
    stay: float = 120.0

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Options:
        return cls(**json.loads((folder / FILE).read_text()))


@dataclass
class Seen:
    """Times in milliseconds by kind of request; what was not answered well, by what it was."""

    times: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    cpu: dict[str, float] = field(default_factory=dict)  # seconds a second
    is_counting: bool = False

    def note(self, kind: str, began: float, status: int) -> None:
        if not self.is_counting:
            return
        self.times[kind].append((perf_counter() - began) * 1000)
        if status >= ERROR:
            self.errors[f"{kind}: {status}"] += 1

    def trouble(self, kind: str, error: BaseException) -> None:
        if self.is_counting:
            self.errors[f"{kind}: {type(error).__name__}"] += 1


@dataclass(frozen=True)
class Person:
    """An attendant who is logged in, and the pages they go to in turn."""

    cookie: str
    pages: tuple[str, ...]


class Browser:
    """The connections of one person to the site: kept, and used again by whatever asks next, as a
    browser does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[Link] = []

    async def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes = b""
    ) -> tuple[int, bytes]:
        """Once more when the server has just closed a connection that was kept."""
        link = self._free.pop() if self._free else Link("127.0.0.1", self._port)
        try:
            try:
                return await link.ask(method, path, headers, body, timeout=PATIENCE)
            except (ConnectionError, EOFError):
                return await link.ask(method, path, headers, body, timeout=PATIENCE)
        finally:
            self._free.append(link)

    async def close(self) -> None:
        for link in self._free:
            await link.close()


@dataclass
class Replies:
    """Messages to the bot that wait for its first answer: when each was sent, by phone."""

    sent: dict[str, float] = field(default_factory=dict)


# --- The program -------------------------------------------------------------------------------


def main() -> int:
    django.setup()
    folder = Path(sys.argv[1])
    plan, options = Plan.load(folder), Options.load(folder)
    try:
        with _program(plan, options, folder) as pids:
            seen = asyncio.run(_measure(plan, options, pids))
    except KeyboardInterrupt:
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(_report(options, seen) + "\n")
    return int(bool(seen.errors))


@contextmanager
def _program(plan: Plan, options: Options, folder: Path) -> Iterator[dict[str, list[int]]]:
    from chatbot import benchmark  # noqa: PLC0415  # these need the settings
    from chatbot.soak.database import database_of  # noqa: PLC0415
    from chatbot.soak.processes import Process, web_command  # noqa: PLC0415

    root = Path.cwd()
    database = database_of(plan, folder)
    manage = [sys.executable, "manage.py"]
    web = Process("web", web_command(plan), folder, root)
    workers = [
        Process(f"worker{number}", [*manage, "worker", "--threads", "4"], folder, root)
        for number in range(options.workers)
    ]
    try:
        database.start()
        _say("filling the database")
        for command in (
            ["migrate", "--verbosity", "0"],
            ["load_flows"],
            ["collectstatic", "--noinput", "--verbosity", "0"],
            ["benchmark", "fill", "--yes", "--messages", str(options.messages)],
        ):
            subprocess.run([*manage, *command], check=True, capture_output=True, timeout=3600)
        for process in (web, *workers):
            process.start()
        _wait_for(f"{plan.web_url}/healthz")
        database_main = benchmark.database_pid()
        yield {
            "web": [web.pid],
            "workers": [one.pid for one in workers],
            "PostgreSQL": [database_main] if database_main else [],
            "load and stand-in": [os.getpid()],
        }
    finally:
        for process in (web, *workers):
            process.stop()
        from django.db import connection  # noqa: PLC0415

        connection.close()
        database.stop()


def _wait_for(url: str) -> None:
    until = monotonic() + PATIENCE
    while monotonic() < until:
        try:
            with urlopen(url, timeout=2):  # noqa: S310  # our own address
                return
        except OSError:
            sleep(0.2)
    raise SystemExit("The site does not answer; its log is gone with its folder.")


# --- People and messages -----------------------------------------------------------------------


async def _measure(plan: Plan, options: Options, pids: dict[str, list[int]]) -> Seen:
    people = await asyncio.to_thread(_people, options.attendants)
    phones = await asyncio.to_thread(_phones)
    seen, replies = Seen(), Replies()
    server = await serve(plan.graph_port, partial(_accept, replies, seen))
    _say(f"{len(people)} attendants open their tickets")
    tasks = [asyncio.create_task(_attend(plan, one, seen, options.stay)) for one in people]
    tasks.append(asyncio.create_task(_write(plan, options, phones, seen, replies)))
    await asyncio.sleep(WARM_UP)
    before = _cpu(pids)
    seen.is_counting = True
    _say(f"measuring for {options.seconds:.0f} s")
    await asyncio.sleep(options.seconds)
    seen.is_counting = False
    after = _cpu(pids)
    seen.cpu = {name: (after[name] - before[name]) / options.seconds for name in pids}
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    broken = [one for one in ended if isinstance(one, Exception)]
    seen.errors.update(f"ended early: {type(one).__name__}: {one}" for one in broken)
    server.close()
    return seen


def _cpu(pids: dict[str, list[int]]) -> dict[str, float]:
    """Seconds so far. The load stands above the others, so only its own process counts for it."""
    from chatbot.benchmark import cpu_seconds  # noqa: PLC0415

    own = os.getpid()
    return {
        name: sum(_own_seconds() if one == own else cpu_seconds(one) for one in group)
        for name, group in pids.items()
    }


def _own_seconds() -> float:
    used = os.times()
    return used.user + used.system


def _people(count: int) -> list[Person]:
    from django.conf import settings  # noqa: PLC0415
    from django.contrib.auth import (  # noqa: PLC0415
        BACKEND_SESSION_KEY,
        HASH_SESSION_KEY,
        SESSION_KEY,
    )
    from django.contrib.sessions.backends.db import SessionStore  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415

    from chatbot.benchmark_fill import MARK  # noqa: PLC0415
    from tickets.models import Ticket  # noqa: PLC0415
    from users.models import Role, User  # noqa: PLC0415

    found = []
    attendants = User.objects.filter(username__startswith=MARK, role=Role.ATTENDANT)
    for user in attendants.order_by("pk")[:count]:
        mine = Ticket.objects.open().filter(assignee=user).order_by("-pk")
        tickets = list(mine.values_list("pk", flat=True))
        if not tickets:
            continue
        store = SessionStore()
        store[SESSION_KEY] = str(user.pk)
        store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
        store[HASH_SESSION_KEY] = user.get_session_auth_hash()
        store.create()
        pages = tuple(reverse("admin:tickets_ticket_change", args=[one]) for one in tickets)
        found.append(Person(f"{settings.SESSION_COOKIE_NAME}={store.session_key}", pages))
    return found


def _phones() -> list[str]:
    """Of customers with an open ticket: what they write shows on somebody's page."""
    from chatbot.benchmark_fill import MARK  # noqa: PLC0415
    from tickets.models import Ticket  # noqa: PLC0415

    rows = Ticket.objects.open().filter(session__channel__slug=MARK)
    return list(rows.values_list("session__identity__address", flat=True))


async def _attend(plan: Plan, person: Person, seen: Seen, seconds: float) -> None:
    """Open one ticket after the other, now and then by way of the list, stay about so many
    `seconds` on each, and ask for what is new there at the intervals that the page itself names."""
    rng = random.Random(person.cookie)
    browser = Browser(plan.web_port)
    await asyncio.sleep(rng.random() * WARM_UP * 0.9)
    for path in itertools.cycle(person.pages):
        if rng.random() < BY_THE_LIST:
            await _open(browser, INBOX, person, Polls(), seen)
        polls = Polls()
        if not await _open(browser, path, person, polls, seen):
            await asyncio.sleep(5)
            continue
        stay = seconds * rng.uniform(0.5, 1.5)
        repeated = [_repeat(browser, person, polls, key, seen, rng) for key in polls.polls]
        try:
            async with asyncio.timeout(stay):
                await asyncio.gather(*repeated)
        except TimeoutError:
            pass


async def _open(browser: Browser, path: str, person: Person, polls: Polls, seen: Seen) -> bool:
    kind = "page: list of tickets" if path == INBOX else "page: a ticket"
    began = perf_counter()
    try:
        status, body = await browser.ask("GET", path, {"Cookie": person.cookie})
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        seen.trouble(kind, error)
        return False
    seen.note(kind, began, status)
    polls.read(body.decode())
    return status < ERROR


async def _repeat(  # noqa: PLR0913, PLR0917  # one page's poll
    browser: Browser, person: Person, polls: Polls, key: str, seen: Seen, rng: random.Random
) -> None:
    await asyncio.sleep(rng.random() * polls.polls[key].seconds)
    while True:
        poll = polls.polls[key]
        began = perf_counter()
        await _poll(browser, person, polls, poll, seen)
        await asyncio.sleep(max(poll.seconds - (perf_counter() - began), 0))


async def _poll(browser: Browser, person: Person, polls: Polls, poll: Poll, seen: Seen) -> None:
    headers = {
        "Cookie": f"{person.cookie}; csrftoken={polls.token}",
        "HX-Request": "true",
        "X-CSRFToken": polls.token,
    }
    body = b""
    if poll.method == "POST":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(polls.beat if poll.has_beat else {}).encode()
    name = f"poll: {poll.key.rstrip('0123456789-')} ({poll.seconds} s)"
    began = perf_counter()
    try:
        status, text = await browser.ask(poll.method, poll.path, headers, body)
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        seen.trouble(name, error)
        return
    seen.note(name, began, status)
    if text and status < ERROR:
        polls.read(text.decode())


async def _write(
    plan: Plan, options: Options, phones: list[str], seen: Seen, replies: Replies
) -> None:
    """Messages at an even rate, whether the earlier ones have been answered or not: `bot` percent
    to the bot, by people of whom each writes every so often, the others in open tickets."""
    free: asyncio.Queue[Link] = asyncio.Queue()
    for _number in range(LINKS):
        free.put_nowait(Link("127.0.0.1", plan.web_port))
    under_way: set[asyncio.Task[None]] = set()
    began, number, to_bot = monotonic(), 0, 0
    while True:
        await asyncio.sleep(max(began + number / options.rate - monotonic(), 0))
        if to_bot < number * options.bot / 100:
            phone, is_to_bot = f"5500{800_000_000 + to_bot % STRANGERS}", True
            to_bot += 1
        else:
            phone, is_to_bot = phones[number * 7919 % len(phones)], False
        task = asyncio.create_task(_webhook(free, phone, number, is_to_bot, seen, replies))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        number += 1


async def _webhook(  # noqa: PLR0913, PLR0917  # one message
    free: asyncio.Queue[Link],
    phone: str,
    number: int,
    is_to_bot: bool,
    seen: Seen,
    replies: Replies,
) -> None:
    from chatbot.benchmark_fill import MARK, SECRET  # noqa: PLC0415

    body = _body(MARK, phone, number, "menu" if is_to_bot else f"Mensagem {number}")
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}
    began = perf_counter()
    if is_to_bot:
        replies.sent.setdefault(phone, began)
    link = await free.get()
    try:
        status = await link.post(f"/webhook/{MARK}", body, headers, PATIENCE)
        seen.note("webhook", began, status)
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        seen.trouble("webhook", error)
    finally:
        free.put_nowait(link)


def _body(account: str, phone: str, number: int, text: str) -> bytes:
    message = {
        "from": phone,
        "id": f"wamid.attendants.{number}",
        "timestamp": str(int(time())),
        "type": "text",
        "text": {"body": text},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": account},
        "contacts": [{"profile": {"name": "Cliente"}, "wa_id": phone}],
        "messages": [message],
    }
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def _accept(replies: Replies, seen: Seen, request: Request) -> Response:
    """The provider: takes everything."""
    body: Any = request.json() or {}
    began = replies.sent.pop(str(body.get("to", "")).lstrip("+"), None)
    if began is not None:
        seen.note("message to reply", began, 200)
    sent = {"messages": [{"id": f"wamid.accepted.{next(_accepted)}"}]}
    return answer(sent if "to" in body else {"success": True})


# --- What was seen -----------------------------------------------------------------------------


def _report(options: Options, seen: Seen) -> str:
    total = sum(map(len, seen.times.values()))
    lines = [
        f"{options.attendants} attendants, {options.rate:.0f} messages/s, {options.web} web "
        f"processes, {options.workers} worker, {options.messages:,} messages before; "
        f"{options.seconds:.0f} s, {options.stay:.0f} s on a ticket, "
        f"{total / options.seconds:.0f} requests/s",
        f"{'ms':<26} {'count':>7} {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8}",
    ]
    for kind, times in sorted(seen.times.items()):
        ordered = sorted(times)
        shown = [ordered[min(int(share * len(ordered)), len(ordered) - 1)] for share in SHARES]
        lines.append(f"{kind:<26} {len(ordered):>7}" + "".join(f" {one:>8.1f}" for one in shown))
    shares = "  ".join(f"{name} {used * 100:.0f} %" for name, used in seen.cpu.items())
    lines.append(f"of one core: {shares}")
    errors = [f"error: {what} × {count}" for what, count in seen.errors.most_common()]
    return "\n".join([*lines, *(errors or ["no error"])])


def _say(text: str) -> None:
    sys.stderr.write(f"{text} …\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
