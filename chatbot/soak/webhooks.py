"""From Meta to the program: signed bodies, several at a time, again until they are answered 200."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from chatbot.soak.journal import Journal
from chatbot.soak.plan import APP_SECRET, NUMBERS, PERCENT
from chatbot.soak.wire import Link

Json = dict[str, Any]

LINKS = 12
PATIENCE = 20.0  # seconds until an answer must be there
LONGEST_WAIT = 10.0  # between two tries
OK = 200
_SLUGS = {number.phone_number_id: number.slug for number in NUMBERS}


@dataclass(eq=False)
class Event:
    """One message or status. `done` is called when the program has answered 200 for it."""

    number: str
    message: Json | None = None
    status: Json | None = None
    contact: Json | None = None
    done: Callable[[], None] = lambda: None
    posted: Callable[[], None] = lambda: None
    tries: int = 0


class Webhooks:
    """Bodies to the program. Nothing is forgotten: what is not answered with 200 comes again, with
    growing pauses, perhaps in another body."""

    def __init__(self, port: int, journal: Journal, *, batch: float, rng: random.Random) -> None:
        self._journal = journal
        self._batch = batch / PERCENT
        self._rng = rng
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._links = [Link("127.0.0.1", port) for _ in range(LINKS)]
        self._tasks: set[asyncio.Task[None]] = set()
        self.waiting = 0  # events that are not answered with 200 yet

    async def __aenter__(self) -> Webhooks:
        self._tasks = {asyncio.create_task(self._work(link)) for link in self._links}
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._links:
            await link.close()

    def put(self, event: Event, *, after: float = 0.0) -> None:
        if not event.tries:
            self.waiting += 1
        asyncio.get_running_loop().call_later(after, self._queue.put_nowait, event)

    async def _work(self, link: Link) -> None:
        while True:
            events = [await self._queue.get()]
            if self._rng.random() < self._batch:
                events += self._more()
            await self._post(link, events)

    def _more(self) -> list[Event]:
        """What else is there to go, up to nine: of any customer and any number."""
        most = self._rng.randint(2, 9)
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]

    async def _post(self, link: Link, events: list[Event]) -> None:
        body = body_of(events)
        for event in events:
            event.posted()
        began = perf_counter()
        try:
            path = f"/webhook/{_SLUGS[events[0].number]}"
            status = await link.post(path, body, signed(body), PATIENCE)
        except TimeoutError:
            outcome = "timeout"
        except (OSError, EOFError, ValueError):
            outcome = "no connection"
        else:
            outcome = str(status)
        self._journal.answers[outcome] += 1
        if outcome == str(OK):
            self._journal.milliseconds.append(round((perf_counter() - began) * 1000, 1))
            self.waiting -= len(events)
            for event in events:
                event.done()
            return
        for event in events:
            event.tries += 1
            pause = min(LONGEST_WAIT, 0.5 * 2 ** min(event.tries, 6))
            self.put(event, after=pause * self._rng.uniform(0.8, 1.2))


def signed(body: bytes) -> dict[str, str]:
    digest = hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}


def body_of(events: list[Event]) -> bytes:
    """One body for all of them: a change for each number."""
    by_number: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_number[event.number].append(event)
    changes = [{"field": "messages", "value": _value(*each)} for each in by_number.items()]
    entry = {"id": "800000000000001", "changes": changes}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def _value(number: str, events: list[Event]) -> Json:
    value: Json = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551130000000", "phone_number_id": number},
    }
    parts = {
        "contacts": [event.contact for event in events if event.contact is not None],
        "messages": [event.message for event in events if event.message is not None],
        "statuses": [event.status for event in events if event.status is not None],
    }
    return {**value, **{name: part for name, part in parts.items() if part}}
