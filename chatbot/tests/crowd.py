"""Many recorded conversations at once: the engine plays them, the rows are written in bulk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from chatbot.documents import document_of
from chatbot.engine.messages import Started, TextReceived, TicketOpened
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.state import State
from chatbot.engine.step import step
from chatbot.models import FlowLog, FlowLogKind, FlowRun, FlowVersion
from leads.models import Lead
from sessions_app.models import Channel, EndReason, Session

BEGIN = datetime(2026, 10, 1, 11, tzinfo=UTC)
DAYS = 40
TURNS = 8
BATCH = 2000


def hold(
    version: FlowVersion, channel: Channel, count: int, *, words: list[str], seed: int
) -> None:
    """So many conversations with the version, of people who say any of these words or go silent."""
    random, document = Random(seed), document_of(version.pk)  # noqa: S311  # a test that can be run again
    for begin in range(0, count, BATCH):
        _batch(version, channel, document, min(BATCH, count - begin), words, random)


def _batch(
    version: FlowVersion,
    channel: Channel,
    document: FlowDocument,
    count: int,
    words: list[str],
    random: Random,
) -> None:
    leads = Lead.objects.bulk_create(Lead(name="Davi") for _one in range(count))
    began = [BEGIN + timedelta(seconds=random.randrange(DAYS * 86400)) for _one in leads]
    sessions = Session.objects.bulk_create(
        Session(lead=lead, channel=channel, last_interaction_at=at)
        for lead, at in zip(leads, began, strict=True)
    )
    runs = FlowRun.objects.bulk_create(
        FlowRun(session=session, version=version, epoch=0, started_at=at)
        for session, at in zip(sessions, began, strict=True)
    )
    logs: list[FlowLog] = []
    for session, run, at in zip(sessions, runs, began, strict=True):
        rows = list(_rows(document, at, words, random))
        logs += (
            FlowLog(session=session, run=run, seq=number, **row)
            for number, row in enumerate(rows, start=1)
        )
        session.seq = len(rows)
        if rows[-1]["kind"] == FlowLogKind.END:
            session.ended_at, session.end_reason = rows[-1]["created_at"], EndReason.IDLE
    FlowLog.objects.bulk_create(logs, batch_size=BATCH)
    Session.objects.bulk_update(sessions, ["seq", "ended_at", "end_reason"], batch_size=500)


def _rows(
    document: FlowDocument, at: datetime, words: list[str], random: Random
) -> Iterator[dict[str, Any]]:
    state, context = State(), {}
    yield {"kind": FlowLogKind.START, "created_at": at, "state": state.model_dump(mode="json")}
    happening: Any = Started(at=at)
    for _turn in range(TURNS):
        outcome = step(document, state, context, happening)
        state, context = outcome.state, outcome.context
        yield {
            "kind": FlowLogKind.STEP,
            "created_at": at,
            "message": happening.model_dump(mode="json"),
            "trace": [one.model_dump(mode="json") for one in outcome.trace],
            "state": state.model_dump(mode="json"),
        }
        if state.done:
            return
        if state.awaiting == "ticket":
            happening = TicketOpened(at=at, protocol="20261001-0001", is_open_now=True)
            continue
        at += timedelta(seconds=random.expovariate(1 / 45))
        if random.random() < 0.1:
            break
        happening = TextReceived(at=at, text=random.choice(words))
    yield {
        "kind": FlowLogKind.END,
        "created_at": at + timedelta(minutes=30),
        "message": {"kind": "idle"},
        "state": state.model_dump(mode="json"),
    }
