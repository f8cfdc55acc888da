"""Fictitious people who write, read what they get, and answer it.

All that a customer decides comes from the seed and the customer's own number; what happens when
depends on the program. Each text of one's own carries customer and message number.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatbot.soak.files import IMAGE, VOICE, Files
from chatbot.soak.journal import Journal, Said
from chatbot.soak.plan import NUMBERS, PERCENT, Plan
from chatbot.soak.webhooks import Event, Webhooks

Json = dict[str, Any]

FIRST_SUBSCRIBER = 70_000_000
AREAS = (11, 21, 31, 41, 51, 61, 71, 81, 91)
MOST_TURNS = 9
CHATTER = 55  # messages of one who does not wait for answers: more than the pair limit allows
CHATTER_SECONDS = 0.15
PEOPLE = "protocolo"  # whoever is told one has been given to the team
# How a customer is known, in percent of them.
WITHOUT_NINTH_DIGIT, USER_ID_ONLY, PHONE_ONLY, OTHER_FORM_IN_ANSWER = 12, 5, 20, 10
# What is sent instead of, or beside, the expected words, in percent of the messages.
UNSUPPORTED, REACTIONS, EDITS, TYPED_CHOICES = 1, 1, 1, 15


@dataclass(frozen=True)
class Address:
    """`phone` as WhatsApp writes it (perhaps without the ninth digit); "" for who hides it."""

    phone: str
    user_id: str
    answered_as: str  # the wa_id in the answer of a send

    @property
    def keys(self) -> set[str]:
        """Every form in which this person may be written to."""
        digits = self.phone
        other = digits[:4] + digits[5:] if len(digits) == 13 else f"{digits[:4]}9{digits[4:]}"  # noqa: PLR2004
        phones = {f"+{digits}", f"+{other}"} if digits else set()
        return phones | ({self.user_id} if self.user_id else set())


def address_of(number: int, rng: random.Random) -> Address:
    area, subscriber = AREAS[number % len(AREAS)], FIRST_SUBSCRIBER + number
    with_digit, without = f"55{area}9{subscriber}", f"55{area}{subscriber}"
    user_id = f"BR.{10**15 + number}"
    roll = rng.random() * PERCENT
    if roll < USER_ID_ONLY:
        return Address("", user_id, "")
    phone = without if roll < USER_ID_ONLY + WITHOUT_NINTH_DIGIT else with_digit
    answered_as = without if rng.random() * PERCENT < OTHER_FORM_IN_ANSWER else phone
    has_user_id = rng.random() * PERCENT >= PHONE_ONLY
    return Address(phone, user_id if has_user_id else "", answered_as)


class Customer:
    """One person and one conversation."""

    def __init__(self, number: int, crowd: Crowd, *, chatters: bool = False) -> None:
        self.id = number
        self.crowd = crowd
        self.rng = random.Random(f"{crowd.plan.seed}:customer:{number}")
        shares = [one.share for one in NUMBERS]
        self.number = self.rng.choices(NUMBERS, shares)[0].phone_number_id
        self.address = address_of(number, self.rng)
        self.name = f"Cliente {number}"
        self.chatters = chatters
        self.turns = CHATTER if chatters else _turns(self.rng, crowd.plan.turns)
        self.said: list[str] = []
        self.heard: str = ""
        self.question: Json = {}
        self.is_with_people = False
        self.is_over = False
        self._timer: asyncio.TimerHandle | None = None

    # -- what happens

    def begin(self) -> None:
        self._speak()

    def hear(self, body: Json, wamid: str) -> None:
        """A message has reached the phone."""
        self.heard = wamid
        if PEOPLE in _text(body):
            self.is_with_people = True
            self.turns = min(self.turns, 1)  # one more word to them, which nobody answers here
        if body.get("type") in {"text", "interactive"}:
            self.question = body
        if not self.is_over and not self.chatters:
            self._later(self.rng.uniform(0.3, 1.5), self._go_on)

    def stop(self) -> None:
        self._end()

    def _go_on(self) -> None:
        if self.turns > 0:
            self._speak()
        else:
            self._end()

    def _speak(self) -> None:
        """Says what comes next, then waits for an answer; not for ever."""
        self.turns -= 1
        roll, files = self.rng.random() * PERCENT, self.crowd.plan.files
        if self._is_by_chance("swapped") and self.turns > 0:
            self._say_two()
        elif self.said and roll < files / 2:
            self._say_file("audio", VOICE, {"voice": True})
        elif self.said and roll < files:
            self._say_file("image", IMAGE, {"caption": self._tagged("Veja a foto")})
        elif self.said and roll < files + UNSUPPORTED:
            self._say("unsupported", {"errors": [UNKNOWN_TYPE]})
        else:
            self._say_gesture(roll)
            self._say_answer()
        self._later(self._patience(), self._go_on)

    def _patience(self) -> float:
        if self.chatters and self.turns:
            return CHATTER_SECONDS
        return 1.0 if self.is_with_people else self.crowd.plan.patience

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, do)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.is_over:
            self.is_over = True
            self.crowd.ended()

    # -- what is said

    def _say_answer(self) -> None:
        if self.chatters and self.said:
            return self._say_text("menu")
        options = _options(self.question)
        if options and self.said:
            choice = self.rng.choice(options)
            if self.rng.random() * PERCENT < TYPED_CHOICES:
                return self._say_text(choice["title"])
            return self._say_choice(choice)
        return self._say_text(self._words())

    def _words(self) -> str:
        shown = _text(self.question)
        if "e-mail" in shown:
            return f"c{self.id}.n{len(self.said) + 1}@exemplo.com.br"
        if "seu nome" in shown:
            return self._tagged("Davi Exemplo")
        return self._tagged("Preciso de ajuda com o pedido" if self.said else "Oi")

    def _tagged(self, words: str) -> str:
        return f"{words} c{self.id} n{len(self.said) + 1}"

    def _say_text(self, text: str, *, after: float = 0.0) -> None:
        self._say("text", {"text": {"body": text}}, text=text, after=after)

    def _say_choice(self, choice: Json) -> None:
        kind = "list_reply" if _is_list(self.question) else "button_reply"
        content = {"type": kind, kind: {"id": choice["id"], "title": choice["title"]}}
        self._say("interactive", {"interactive": content}, text=choice["title"])

    def _say_file(self, kind: str, mime_type: str, more: Json) -> None:
        found = self.crowd.add_file(mime_type)
        self._say(kind, {kind: {**found, **more}}, text=more.get("caption", ""))

    def _say_gesture(self, roll: float) -> None:
        """Things that are never answered."""
        if roll > PERCENT - REACTIONS and self.heard:
            self._say("reaction", {"reaction": {"message_id": self.heard, "emoji": "👍"}})
        elif roll > PERCENT - REACTIONS - EDITS and self.said:
            changed = {"type": "text", "text": {"body": self._tagged("Corrigindo")}}
            content = {"original_message_id": self.said[-1], "message": changed}
            self._say("edit", {"edit": content})

    def _say_two(self) -> None:
        """Two at once, of which the second arrives first."""
        self.turns -= 1
        self._say_text(self._tagged("Primeiro isto"), after=0.4)
        self._say_text(self._tagged("Depois isto"))

    def _say(self, kind: str, content: Json, *, text: str = "", after: float = 0.0) -> None:
        wamid = f"wamid.c{self.id}.{len(self.said) + 1}"
        self.said.append(wamid)
        message = {
            **self._sender(),
            "id": wamid,
            "timestamp": str(int(time.time())),
            "type": kind,
            **content,
        }
        said = Said(wamid, self.number, self.id, kind, text, time.time())
        self.crowd.journal.said[wamid] = said
        self._deliver(said, message, after)
        if self._is_by_chance("duplicate"):
            again = self.rng.choice((0.0, self.rng.uniform(2, 12)))
            self.crowd.journal.faults["duplicate"] += 1
            self._deliver(said, message, after + again)

    def _deliver(self, said: Said, message: Json, after: float) -> None:
        def posted() -> None:
            said.deliveries += 1

        def done() -> None:
            said.acknowledged_at = said.acknowledged_at or time.time()

        contact = self.contact()
        event = Event(self.number, message, contact=contact, done=done, posted=posted)
        self.crowd.webhooks.put(event, after=after)

    def _sender(self) -> Json:
        found = {"from": self.address.phone, "from_user_id": self.address.user_id}
        return {name: value for name, value in found.items() if value}

    def contact(self) -> Json:
        found = {"wa_id": self.address.phone, "user_id": self.address.user_id}
        known = {name: value for name, value in found.items() if value}
        return {"profile": {"name": self.name}, **known}

    def _is_by_chance(self, fault: str) -> bool:
        return self.rng.random() * PERCENT < self.crowd.faults[fault]


class Crowd:
    """All customers: so many at once, the next one when one is done."""

    def __init__(self, plan: Plan, journal: Journal, webhooks: Webhooks, files: Files) -> None:
        self.plan = plan
        self.journal = journal
        self.webhooks = webhooks
        self.faults = plan.faults
        self._files = files
        self.customers: list[Customer] = []
        self._by_key: dict[str, Customer] = {}
        self.over = 0
        self.is_stopped = False

    async def arrive(self) -> None:
        """Start conversations until all have been, never more than `at_once` at a time."""
        every = max(1, self.plan.conversations // max(1, self.plan.chatterers))
        for number in range(self.plan.conversations):
            while not self.is_stopped and len(self.customers) - self.over >= self.plan.at_once:
                await asyncio.sleep(0.02)
            if self.is_stopped:
                return
            chatters = self.plan.chatterers > 0 and number % every == every // 2
            self._add(Customer(number, self, chatters=chatters))
            await asyncio.sleep(0.005)

    def _add(self, customer: Customer) -> None:
        self.customers.append(customer)
        self._by_key.update(dict.fromkeys(customer.address.keys, customer))
        self.journal.customers.append(
            {
                "id": customer.id,
                "number": customer.number,
                "keys": sorted(customer.address.keys),
                "chatters": customer.chatters,
            }
        )
        customer.begin()

    def stop(self) -> None:
        """Nobody says anything any more."""
        self.is_stopped = True
        for customer in self.customers:
            customer.stop()

    def ended(self) -> None:
        self.over += 1

    @property
    def is_done(self) -> bool:
        has_all = len(self.customers) == self.plan.conversations or self.is_stopped
        return has_all and self.over == len(self.customers)

    def who(self, address: str) -> Customer | None:
        return self._by_key.get(address)

    def add_file(self, mime_type: str) -> Json:
        return dict(self._files.add(len(self.journal.files) + 1, mime_type))


UNKNOWN_TYPE = {
    "code": 131051,
    "title": "Message type unknown",
    "message": "Message type unknown",
    "error_data": {"details": "Message type is currently not supported."},
}


def _turns(rng: random.Random, mean: float) -> int:
    """At least one; the rest as often as a coin says, with that mean."""
    turns = 1
    while turns < MOST_TURNS and rng.random() < 1 - 1 / max(1.0, mean):
        turns += 1
    return turns


def _text(body: Json) -> str:
    found = body.get("text") or body.get("interactive", {}).get("body", {})
    return str(found.get("body") or found.get("text") or "")


def _is_list(body: Json) -> bool:
    return bool(body.get("interactive", {}).get("type") == "list")


def _options(body: Json) -> list[Json]:
    action = body.get("interactive", {}).get("action", {})
    buttons = [one["reply"] for one in action.get("buttons", [])]
    return buttons + [row for section in action.get("sections", []) for row in section["rows"]]
