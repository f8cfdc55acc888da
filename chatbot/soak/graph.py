"""The Graph API as Meta's pages describe it, with faults by chance.

A call to /messages is checked, held against the limits, and then meets its fate, which the seed,
our own id and the number of the try decide.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chatbot.soak import shape
from chatbot.soak.customers import Crowd, Customer
from chatbot.soak.files import Files
from chatbot.soak.journal import Call, Journal
from chatbot.soak.limits import PAIR_SECONDS, PairLimit, Window
from chatbot.soak.plan import ACCESS_TOKEN, NUMBERS, PERCENT, SPELLS, Plan
from chatbot.soak.statuses import Statuses
from chatbot.soak.wire import Cut, Request, Response, answer

Json = dict[str, Any]

FAULTS = ("error", "page", "hang", "cut", "pair")
REFUSALS = 2  # by chance, of one message: its tries are not used up by chance alone
HTTP = {131000: 500, 131016: 500, 131057: 500, 2: 503, 190: 401, 131026: 400}
CODES = {"token": 190, "account": 80007, "maintenance": 131057, "spam": 131048}
SPELL_SECONDS = {"token": 5.0, "throughput": 1.0}
TITLES = {
    2: "Service temporarily unavailable",
    190: "Error validating access token",
    80007: "Rate limit issues",
    130429: "Rate limit hit",
    131000: "Something went wrong",
    131016: "Service unavailable",
    131048: "Spam rate limit hit",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    131057: "Account in maintenance mode",
}
PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
HANG_SECONDS = 60.0
MEDIAN, SPREAD = 0.06, 0.5  # seconds, of the log-normal latency
SLOW_SHARE, SLOWEST = 1.5, 4.0


class Graph:
    def __init__(self, plan: Plan, journal: Journal, crowd: Crowd, files: Files) -> None:
        self._plan = plan
        self._journal = journal
        self._crowd = crowd
        self._files = files
        self._statuses = Statuses(plan, journal, crowd)
        self._windows: defaultdict[str, Window] = defaultdict(Window)
        self._taken: defaultdict[str, Window] = defaultdict(Window)
        self._pair_windows: defaultdict[str, Window] = defaultdict(lambda: Window(PAIR_SECONDS))
        self._pairs = PairLimit()
        self._tries: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._spells: dict[str, tuple[int, float]] = {}
        self.is_calm = False
        self.under_way = 0

    # -- life

    async def trouble(self) -> None:
        """Stop a number for a while, now and then: some things concern all of its messages."""
        rng = random.Random(f"{self._plan.seed}:spells")
        share = self._plan.faults["throughput"] / PERCENT
        due = self._spells_due(rng)
        next_at = time.monotonic() + (rng.uniform(0.3, 1) / share if share else math.inf)
        while not self.is_calm:
            await asyncio.sleep(0.1)
            progress = self._crowd.over / max(1, self._plan.conversations)
            while due and due[0][0] <= progress:
                self._begin_spell(NUMBERS[0].phone_number_id, due.pop(0)[1])
            if time.monotonic() >= next_at:
                self._begin_spell(rng.choice(NUMBERS).phone_number_id, "throughput")
                next_at = time.monotonic() + rng.uniform(0.5, 1.5) / share / len(NUMBERS)

    def _spells_due(self, rng: random.Random) -> list[tuple[float, str]]:
        names = [name for name in SPELLS for _ in range(int(self._plan.faults[name]))]
        return sorted((rng.uniform(0.1, 0.8), name) for name in names)

    def _begin_spell(self, number: str, name: str) -> None:
        seconds = SPELL_SECONDS.get(name, 3.0)
        self._spells[number] = (CODES.get(name, 130429), time.monotonic() + seconds)
        self._journal.faults[f"{name} (spells)"] += 1

    def calm(self) -> None:
        """No more faults; what is under way goes on."""
        self.is_calm = True
        self._spells.clear()
        self._statuses.is_calm = True

    def count(self) -> None:
        """Write the greatest numbers of calls into the journal."""
        self._journal.most_per_number = {key: one.most for key, one in self._windows.items()}
        self._journal.most_per_pair = max(
            (one.most for one in self._pair_windows.values()), default=0
        )

    # -- the doors

    async def handle(self, request: Request) -> Response:
        with self._counted():
            if request.path.startswith("/files/"):
                return await self._file(request)
            if request.headers.get("authorization") != f"Bearer {ACCESS_TOKEN}":
                self._journal.violations["without the token"] += 1
                return error(190)
            parts = request.path.strip("/").split("/")
            if request.method == "POST" and parts[-1] == "messages":
                return await self._messages(parts[-2], request.json())
            if request.method == "GET":
                return await self._resolve(parts[-1])
            self._journal.violations[f"{request.method} {parts[-1]}"] += 1
            return error(100, "unknown path")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def _resolve(self, file_id: str) -> Response:
        await self._media_trouble()
        found = self._files.resolve(file_id)
        return answer(found) if found else answer({"data": []})

    async def _file(self, request: Request) -> Response:
        await self._media_trouble()
        if request.headers.get("authorization") != f"Bearer {ACCESS_TOKEN}":
            self._journal.violations["a file without the token"] += 1
            return answer({}, 401)
        found = self._files.read(request.path)
        if found is None:
            return answer({}, 404)
        content, mime_type, file_id = found
        self._journal.files[file_id].fetched += 1
        return Response(200, content, mime_type)

    async def _media_trouble(self) -> None:
        await asyncio.sleep(random.uniform(0.01, 0.1))
        if not self.is_calm and random.random() * PERCENT < self._plan.faults["media"]:
            self._journal.faults["media"] += 1
            raise Cut

    # -- messages

    async def _messages(self, number: str, body: Any) -> Response:
        now = time.monotonic()
        if isinstance(body, dict) and body.get("status") == "read":
            return self._mark_read(body)
        self._windows[number].add(now)
        wrong = shape.faults_in(body)
        if wrong:
            self._journal.violations.update(wrong)
            return error(100, wrong[0])
        to = str(body.get("to") or body.get("recipient"))
        customer = self._crowd.who(to)
        if customer is None or customer.number != number:
            self._journal.violations["to nobody who wrote to this number"] += 1
            return error(131026)
        self._pair_windows[f"{number} {customer.id}"].add(now)
        return await self._fate(customer, to, body, now)

    def _mark_read(self, body: Json) -> Response:
        self._journal.receipts += 1
        if body.get("message_id") not in self._journal.said:
            self._journal.violations["read mark for an unknown message"] += 1
        return answer({"success": True})

    async def _fate(self, customer: Customer, to: str, body: Json, now: float) -> Response:
        ours = str(body.get("biz_opaque_callback_data", ""))
        call = Call(
            customer.number, to, customer.id, ours, shown_text(body), time.time(), "refused"
        )
        self._journal.calls.append(call)
        self._tries[call.message] += 1
        rng = random.Random(f"{self._plan.seed}:{call.message}:{self._tries[call.message]}")
        fault = self._fault(rng)
        code = self._limit_code(customer, now) or self._refusal_code(fault, call.message, rng)
        if code:
            call.code = str(code)
            await asyncio.sleep(latency(rng))
            return error(code)
        if fault in {"cut", "page"} and rng.random() < 0.5:  # noqa: PLR2004  # half of them
            call.outcome, call.code, call.answered = "dropped", fault, False
            return await self._end_badly(fault, rng)
        return await self._accept(call, customer, body, fault, rng)

    def _limit_code(self, customer: Customer, now: float) -> int:
        """The limits are asked first, in Meta's order: account and number, then the pair."""
        code, until = self._spells.get(customer.number, (0, 0.0))
        if code and now < until:
            self._journal.faults[f"{code} in a spell"] += 1
            return code
        taken = self._taken[customer.number]
        if taken.count(now) >= self._plan.rate:
            self._journal.faults["130429 by the limit"] += 1
            return 130429
        if not self._pairs.takes(f"{customer.number} {customer.id}", now):
            self._journal.faults["131056 by the limit"] += 1
            return 131056
        taken.add(now)
        return 0

    def _fault(self, rng: random.Random) -> str:
        roll = rng.random() * PERCENT
        if self.is_calm:
            return ""
        for name in FAULTS:
            roll -= self._plan.faults[name]
            if roll < 0:
                return name
        return ""

    def _refusal_code(self, fault: str, message: str, rng: random.Random) -> int:
        if fault not in {"error", "pair"} or self._refusals[message] >= REFUSALS:
            return 0
        self._refusals[message] += 1
        self._journal.faults[fault] += 1
        return 131056 if fault == "pair" else rng.choice((131000, 131016, 2))

    async def _accept(
        self, call: Call, customer: Customer, body: Json, fault: str, rng: random.Random
    ) -> Response:
        call.outcome = "accepted"
        call.wamid = f"wamid.nosso{len(self._journal.calls)}"
        seconds = latency(rng)
        is_hidden = fault in {"hang", "cut", "page"}
        if is_hidden:
            call.code, call.answered = fault, False
        is_first = self._refusals[call.message] == 0
        told = self._statuses.plan(call, customer, rng, after=seconds, is_first=is_first)
        if not told.is_failing:
            heard = asyncio.get_running_loop()
            heard.call_later(seconds + 0.1, customer.hear, body, call.wamid)
        if is_hidden:
            return await self._end_badly(fault, rng)
        await told.before_answer()
        await asyncio.sleep(seconds)
        return answer(accepted(body, call.wamid, customer.address.answered_as))

    async def _end_badly(self, fault: str, rng: random.Random) -> Response:
        self._journal.faults[fault] += 1
        if fault == "page":
            await asyncio.sleep(latency(rng))
            return Response(rng.choice((502, 503)), PAGE, "text/html")
        if fault == "hang":
            await asyncio.sleep(HANG_SECONDS)
        raise Cut


def latency(rng: random.Random) -> float:
    if rng.random() * PERCENT < SLOW_SHARE:
        return rng.uniform(1.0, SLOWEST)
    return rng.lognormvariate(math.log(MEDIAN), SPREAD)


def accepted(body: Json, wamid: str, wa_id: str) -> Json:
    """The success answer; `wa_id` may be another form of the number than was written."""
    contact = {"input": body.get("to") or body["recipient"]}
    contact |= {"wa_id": wa_id} if body.get("to") else {"user_id": body["recipient"]}
    return {
        "messaging_product": "whatsapp",
        "contacts": [contact],
        "messages": [{"id": wamid}],
    }


def error(code: int, details: str = "") -> Response:
    title = TITLES.get(code, "Invalid parameter")
    found = {
        "message": f"(#{code}) {title}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details or title},
        "fbtrace_id": "AsoakFicticio",
    }
    return answer({"error": found}, HTTP.get(code, 400))


def shown_text(body: Json) -> str:
    """The words that the customer reads."""
    content = body.get(str(body["type"]), {})
    shown = content.get("body", content.get("caption", ""))
    return str(shown.get("text", "") if isinstance(shown, dict) else shown)
