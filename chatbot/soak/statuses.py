"""What Meta tells afterwards about a message that it accepted."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from chatbot.soak.customers import Crowd, Customer
from chatbot.soak.journal import Call, Journal
from chatbot.soak.plan import PERCENT, Plan
from chatbot.soak.webhooks import Event

Json = dict[str, Any]

EARLY_SECONDS = 3.0  # how long an answer waits for statuses that shall come before it
READ_SHARE = 60
SILENT_WHEN_HIDDEN = 20  # percent of the messages whose answer was lost
RETRYABLE_SHARE = 70
PRICING = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "service"}
FAILURES = {131000: "Something went wrong", 131026: "Message undeliverable"}


@dataclass
class Told:
    """What was decided about one message."""

    is_failing: bool = False
    early: list[asyncio.Event] = field(default_factory=list)

    async def before_answer(self) -> None:
        """Wait until the early ones have been answered, if there are any; not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(EARLY_SECONDS):
                for one in self.early:
                    await one.wait()


class Statuses:
    def __init__(self, plan: Plan, journal: Journal, crowd: Crowd) -> None:
        self._plan = plan
        self._journal = journal
        self._crowd = crowd
        self._has_failed: set[str] = set()
        self.is_calm = False

    def plan(
        self, call: Call, customer: Customer, rng: random.Random, *, after: float, is_first: bool
    ) -> Told:
        """Decide and schedule. `after`: seconds until the answer of the call. Only a message that
        was never refused fails afterwards: its tries are not used up by chance alone."""
        is_hidden = not call.answered
        chance = _Chance(self._plan, rng, self._journal, is_calm=self.is_calm)
        if is_first and call.message not in self._has_failed and chance.of("failed"):
            self._has_failed.add(call.message)
            self._fail(call, customer, rng, after)
            return Told(is_failing=True)
        is_silent = is_hidden and rng.random() * PERCENT < SILENT_WHEN_HIDDEN
        if chance.of("missing") or (is_silent and not self.is_calm):
            return Told()
        return self._progress(call, customer, rng, chance, after)

    def _progress(
        self, call: Call, customer: Customer, rng: random.Random, chance: _Chance, after: float
    ) -> Told:
        names = ["sent", "delivered"] + ["read"] * (rng.random() * PERCENT < READ_SHARE)
        if chance.of("shuffled"):
            rng.shuffle(names)
        names *= 2 if chance.of("twice") else 1
        if chance.of("early"):
            call.is_nameless = chance.of("nameless")
            ours = "" if call.is_nameless else call.ours
            return Told(early=[self._put(call, customer, name, 0.0, ours) for name in names])
        at = after + (rng.uniform(10, 30) if chance.of("late") else rng.uniform(0.05, 0.4))
        for name in names:
            self._put(call, customer, name, at, call.ours)
            at += rng.uniform(0.1, 1.0)
        return Told()

    def _fail(self, call: Call, customer: Customer, rng: random.Random, after: float) -> None:
        code = 131000 if rng.random() * PERCENT < RETRYABLE_SHARE else 131026
        detail = {"details": FAILURES[code]}
        found = {"code": code, "title": FAILURES[code], "error_data": detail}
        if rng.random() < 0.5:  # noqa: PLR2004  # half of them
            self._put(call, customer, "sent", after + 0.1, call.ours)
        self._put(
            call, customer, "failed", after + rng.uniform(0.4, 2.0), call.ours, errors=[found]
        )

    def _put(
        self, call: Call, customer: Customer, name: str, after: float, ours: str, **more: Any
    ) -> asyncio.Event:
        answered = asyncio.Event()

        def done() -> None:
            call.statuses.append(name)
            answered.set()

        status = _status(call, customer, name, ours) | more
        event = Event(call.number, status=status, done=done)
        self._crowd.webhooks.put(event, after=after)
        return answered


class _Chance:
    """Does this fault happen to this message?"""

    def __init__(self, plan: Plan, rng: random.Random, journal: Journal, *, is_calm: bool) -> None:
        self._plan, self._rng, self._journal, self._is_calm = plan, rng, journal, is_calm

    def of(self, name: str) -> bool:
        happens = self._rng.random() * PERCENT < self._plan.faults[name] and not self._is_calm
        if happens:
            self._journal.faults[name] += 1
        return happens


def _status(call: Call, customer: Customer, name: str, ours: str) -> Json:
    found: Json = {
        "id": call.wamid,
        "status": name,
        "timestamp": str(int(time.time())),
        "recipient_id": customer.address.phone,
        "recipient_user_id": customer.address.user_id,
        "biz_opaque_callback_data": ours,
        "pricing": PRICING if name != "failed" else None,
    }
    return {key: value for key, value in found.items() if value}
