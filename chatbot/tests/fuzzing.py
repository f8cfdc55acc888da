"""What must hold for any body at all, as checks; `python -m chatbot.tests.fuzz` runs very many.

A check raises AssertionError (or whatever escaped from the code under test) and otherwise says what
became of the body, as words to count.
"""

from __future__ import annotations

import json
import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any
from unittest import mock

import time_machine
from django.db.models import CharField, Count, F, Value
from django.db.models.functions import Cast, Concat
from django.test import Client
from django.utils import timezone
from requests.structures import CaseInsensitiveDict
from zeal import zeal_ignore

from chatbot import conversation, failures, transcript, verification
from chatbot.channels import transport_for
from chatbot.channels.base import Malformed, Recipient, SendError
from chatbot.channels.http import Answer
from chatbot.channels.inbound import EchoMessage, Inbound, InboundMessage, Kind
from chatbot.channels.whatsapp_cloud import sending
from chatbot.channels.whatsapp_cloud.parsing import parse_body
from chatbot.cleaning import clean
from chatbot.models import (
    Direction,
    FailedEvent,
    FailedEventState,
    FlowLog,
    MessageLog,
    MessageStatus,
)
from chatbot.reprocessing import reprocess
from chatbot.tests import stage
from chatbot.tests.mutations import ANSWERS, BEGAN, MESSAGES, NUMBERS, Mutator
from chatbot.tests.webhook import NUMBER, post, whatsapp_channel
from leads.models import Lead
from sessions_app.models import Channel, Owner, Session
from tickets.models import Ticket
from tickets.services import Next, close_ticket
from users.errors import DomainError
from users.tests.recipes import ana

# A body of 4 MB with thousands of items takes some seconds at most, also on a slow machine.
LONGEST = 20.0
SETTLE_EVERY = 20
CLOSE_EVERY = 200


@dataclass
class Failure:
    index: int
    why: str
    body: bytes


@dataclass
class Tally:
    """What became of many bodies."""

    bodies: int = 0
    octets: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    slowest: float = 0.0
    slowest_index: int = -1

    def add(self, other: Tally) -> None:
        self.bodies += other.bodies
        self.octets += other.octets
        self.outcomes += other.outcomes
        self.failures += other.failures
        if other.slowest > self.slowest:
            self.slowest, self.slowest_index = other.slowest, other.slowest_index


Check = Callable[[int, bytes], Counter[str]]


def run(mutator: Mutator, indexes: Iterator[int] | range, check: Check) -> Tally:
    """Every body of these indexes through `check`; what it raises is a failure, kept with its
    body."""
    tally = Tally()
    for index in indexes:
        body = mutator.body(index)
        began = process_time()
        try:
            tally.outcomes += check(index, body)
        except Exception as error:
            tally.failures.append(Failure(index, f"{type(error).__name__}: {error}"[:500], body))
        took = process_time() - began
        if took > LONGEST:
            tally.failures.append(Failure(index, f"took {took:.1f} s", body))
        if took > tally.slowest:
            tally.slowest, tally.slowest_index = took, index
        tally.bodies += 1
        tally.octets += len(body)
    return tally


@dataclass(frozen=True)
class Work:
    """Part of a run, for one process."""

    what: str
    seed: int
    indexes: range

    @property
    def mutator(self) -> Mutator:
        return Mutator(self.seed, ANSWERS if self.what == "answers" else MESSAGES)

    def do(self) -> Tally:
        check = {"parse": check_parse, "answers": check_answer}.get(self.what)
        return run(self.mutator, self.indexes, check or Shop().check)


# --- parse -------------------------------------------------------------------------------------


def check_parse(_index: int, body: bytes) -> Counter[str]:
    """Items or Malformed; each item stands alone, can be kept, and is the same again."""
    try:
        items = parse_body(body)
    except Malformed:
        return Counter(malformed=1)
    assert items, "a body without items and without Malformed"
    for item in items:
        check_item(item)
    return Counter(f"item {type(item).__name__}" for item in items) + Counter(parsed=1)


def check_item(item: Inbound) -> None:
    raw = json.dumps(item.raw, allow_nan=False).encode()
    assert parse_body(raw) == [item], "raw does not parse to the item again"
    assert pickle.loads(pickle.dumps(item)) == item  # noqa: S301  # our own
    stored = failures.as_stored(item)
    text = json.dumps(stored, allow_nan=False, ensure_ascii=False)
    text.encode()  # no lone surrogate is left
    assert "\\u0000" not in text, "a NUL in what is kept"
    again = failures.item_of(FailedEvent(item=json.loads(text)))
    if clean(item.raw) == item.raw:
        assert again == item, "what is kept is not the item"
    assert item.at is None or item.at.tzinfo is not None
    if isinstance(item, InboundMessage):
        assert item.sender.addresses
        assert item.provider_id.isascii()


# --- Answers of the provider -------------------------------------------------------------------

TO = Recipient("phone", "5511990000001")
STATUSES = (200, 200, 200, 201, 204, 301, 400, 400, 401, 403, 404, 408, 413, 429, 500, 502, 503)
PAGES = (b"", b"<html><h1>502 Bad Gateway</h1></html>", b"OK", b"null", b"[]", b'""', b"\xff\xfe")
RETRY_AFTER = ("", "", "", "5", "-1", "1e9", "99999", "Wed, 21 Oct 2026 07:28:00 GMT", "\xb2")


def check_answer(index: int, body: bytes) -> Counter[str]:
    """Any answer is an accepted message or one SendError whose words agree."""
    rng = random.Random(f"answer:{index}")  # noqa: S311  # no secret
    body = rng.choice(PAGES) if rng.random() < 0.03 else body
    headers = CaseInsensitiveDict({"Retry-After": rng.choice(RETRY_AFTER)})
    answer = Answer(rng.choice(STATUSES), headers, body)
    try:
        sent = sending.sent(answer, TO, by_link=rng.random() < 0.5)
    except SendError as error:
        check_error(error)
        return Counter({f"error {error.code[:8]}": 1})
    assert sent.provider_id.isascii()
    assert sent.provider_id
    assert clean(sent.pacing) == sent.pacing
    assert all(scheme in {"phone", "bsuid", "parent_bsuid"} for scheme, *_rest in sent.aliases)
    return Counter(sent=1)


def check_error(error: SendError) -> None:
    assert [error.retryable, error.uncertain, error.is_stop].count(True) <= 1
    assert error.scope in {"message", "pair", "number", "account", "template"}
    for text in (error.code, error.detail):
        assert isinstance(text, str)
        assert clean(text) == text, "a text that no database takes"
    assert error.code
    for tries in range(1, 8):
        timedelta(seconds=error.delay(tries))
        assert error.delay(tries) >= 0


# --- The webhook -------------------------------------------------------------------------------


class Shop:
    """A running installation: two numbers, the shipped flows, an outbox that gets delivered, and
    people who close their tickets."""

    @classmethod
    def open(cls) -> Shop:
        stage.open_shop()
        whatsapp_channel(slug="segunda", external_id=NUMBERS[2], is_default=False)
        return cls()

    def __init__(self) -> None:
        self.client = Client()
        self.channel = Channel.objects.get(is_default=True)
        self.known = {one.external_id: one.pk for one in Channel.objects.all()}

    def check(self, index: int, body: bytes) -> Counter[str]:
        """Posted at its own second of a clock that goes with the index."""
        with time_machine.travel(datetime.fromtimestamp(BEGAN + index, tz=UTC), tick=True):
            outcomes = self._post(body)
            if index % SETTLE_EVERY == 0:
                deliver_all()
            if index % CLOSE_EVERY == 0:
                close_tickets()
        return outcomes

    def _post(self, body: bytes) -> Counter[str]:
        before = _swallowed()
        kept: list[conversation.Receipt] = []
        # A body's items are handled one by one on purpose, each in a transaction of its own.
        with mock.patch.object(conversation, "receive", _remembering(kept)), zeal_ignore():
            answer = post(self.client, body)
        assert answer.status_code == 200, f"answered {answer.status_code}"
        assert answer.content == b""
        assert _swallowed() == before, f"swallowed {_last_swallowed()}"
        if not kept:
            return Counter({"answered 200": 1, "body malformed": 1})
        self._account_for(body, kept[0])
        counts = {f"items {key}": value for key, value in vars(kept[0]).items() if value}
        return Counter({"answered 200": 1, **counts})

    def _account_for(self, body: bytes, receipt: conversation.Receipt) -> None:
        """Each item of the body is stored, was there already, is kept, or is to be ignored."""
        items = transport_for(self.channel).parse(None, body)
        counted = receipt.stored + receipt.duplicates + receipt.kept + receipt.ignored
        assert counted == len(items), f"{len(items)} items, {receipt}"
        for kinds, direction in (
            (InboundMessage, Direction.INBOUND),
            (EchoMessage, Direction.OUTBOUND),
        ):
            wanted = {
                (self.known.get(item.account or NUMBER), item.provider_id)
                for item in items
                if isinstance(item, kinds) and self._is_to_be_stored(item)
            }
            if wanted:
                rows = MessageLog.objects.filter(
                    direction=direction, provider_id__in=[one for _channel, one in wanted]
                ).values_list("channel_id", "provider_id")
                assert wanted <= set(rows), f"lost: {sorted(wanted - set(rows))[:3]}"

    def _is_to_be_stored(self, item: InboundMessage | EchoMessage) -> bool:
        is_known = item.account is None or item.account in self.known
        is_about_another = isinstance(item, EchoMessage) and item.kind in {
            Kind.EDIT,
            Kind.REVOKE,
            Kind.REACTION,
            Kind.REACTION_REMOVED,
        }
        return is_known and item.kind != Kind.GROUP_TEXT and not is_about_another


def _remembering(receipts: list[conversation.Receipt]) -> Callable[..., conversation.Receipt]:
    receive = conversation.receive

    def remember(*args: Any, **more: Any) -> conversation.Receipt:
        receipts.append(receive(*args, **more))
        return receipts[-1]

    return remember


def _swallowed() -> int:
    """Events that an exception led to: the row is kept, but the code was not ready for it."""
    return FailedEvent.objects.exclude(details="").count()


def _last_swallowed() -> str:
    event = FailedEvent.objects.exclude(details="").latest("pk")
    return f"{event.error} {event.details}"


def deliver_all() -> None:
    """The outbox goes out: each row with an id that later statuses may name."""
    MessageLog.objects.filter(status=MessageStatus.QUEUED).update(
        status=MessageStatus.SENT,
        attempts=F("attempts") + 1,
        sent_at=timezone.now(),
        provider_id=Concat(Value("wamid.out."), Cast("pk", CharField())),
    )


def close_tickets() -> None:
    """What another process of the run closes at the same moment is closed too."""
    for ticket in Ticket.objects.open():
        with suppress(DomainError):
            then = Next.BOT if ticket.pk % 2 else Next.END
            close_ticket(ticket, actor=None, then=then)


def findings_in_database() -> list[str]:
    """What is half-written: nothing, in a database that only whole transactions have touched."""
    return [
        *_found("a lead without identity", Lead.objects.filter(identities=None, merged_into=None)),
        *_found("a message without session or lead", MessageLog.objects.filter(session__lead=None)),
        *_found(
            "an inbound message without identity",
            MessageLog.objects.inbound().filter(identity=None),
        ),
        *_found(
            "two live sessions",
            Session.objects.live()
            .values("lead", "channel")
            .annotate(number=Count("pk"))
            .filter(number__gt=1),
        ),
        *_found(
            "a session with people and no open ticket",
            Session.objects.live()
            .exclude(owner=Owner.BOT)
            .exclude(tickets__in=Ticket.objects.open()),
        ),
        *_found(
            "a session with the bot and an open ticket",
            Session.objects.filter(owner=Owner.BOT, tickets__in=Ticket.objects.open()),
        ),
        *_deviations(),
        *_unreadable(),
    ]


def _found(what: str, rows: Any) -> list[str]:
    number = rows.count()
    return [f"{number} × {what}: {list(rows[:3])}"] if number else []


def _deviations() -> list[str]:
    pks = Session.objects.values_list("pk", flat=True)
    return [f"log differs: {one}" for _pk, one in verification.verify(pks) if one is not None]


def _unreadable() -> list[str]:
    """Every conversation can be shown."""
    wrong = []
    viewer = ana()
    for session in transcript.watched_by(viewer):
        try:
            transcript.opening(session, viewer)
            transcript.news(session, viewer, shown=transcript.Shown(marks={}))
        except Exception as error:
            wrong.append(f"session {session.pk} cannot be shown: {type(error).__name__} {error}")
    return wrong


def try_again_all() -> Counter[str]:
    """Everything that was kept, handled once more: nothing raises, nothing is half-written."""
    kept = FailedEvent.objects.filter(state=FailedEventState.NEW)
    return Counter(
        f"again: {reprocess(event, now=timezone.now())}" for event in kept.iterator(chunk_size=100)
    )


def size_of_database() -> dict[str, int]:
    models = (Lead, Session, MessageLog, FlowLog, Ticket, FailedEvent)
    return {model.__name__: model.objects.count() for model in models}


def save(tally: Tally, folder: Path, name: str) -> None:
    """Each failing body as a file named by what it came from."""
    folder.mkdir(parents=True, exist_ok=True)
    for failure in tally.failures:
        (folder / f"{name}-{failure.index}.body").write_bytes(failure.body)
