"""Golden conversations: what a flow must say, as data beside the flow.

    {"name": "...", "facts": {...}, "context": {...}, "at": "2026-11-12T10:00:00-03:00",
     "turns": [{"in": "Oi", "out": ["Olá", {"text": "…", "choices": ["sim", "nao"]}],
                "state": "menu", "context": {"nome": "Davi"}, "effects": [{"kind": …}]}]}

The first turn starts the run. `in` is a text, or `choice` (id), `media` (kind), `location`,
`contacts`, `form`, `returned` (route, values), `ticket` (protocol), `timer`. Each turn comes a
minute after the one before, or `after_minutes` later. What a turn does not mention is not looked
at: `out` lists all messages, `effects` all other effects, each compared by the keys it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chatbot.engine.effects import Send
from chatbot.engine.messages import MESSAGE, Message
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.state import Context, Outcome, State, Trace
from chatbot.engine.step import step

_BEGIN = "2026-11-12T10:00:00-03:00"  # a Thursday morning
_OF_INPUT = {
    "choice": ("choice", "id"),
    "media": ("media", "media"),
    "timer": ("timer", ""),
    "returned": ("returned", ""),
    "ticket": ("ticket_opened", ""),
    "location": ("location", ""),
    "contacts": ("contacts", ""),
    "form": ("form", "values"),
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first thing that went otherwise: turn number (from 1), what, and both values."""

    turn: int
    what: str
    expected: Any
    got: Any


@dataclass(frozen=True, slots=True)
class Played:
    """A conversation as it went: the mismatch, if any, and every node and exit passed."""

    mismatch: Mismatch | None
    outcomes: tuple[Outcome, ...]

    @property
    def trace(self) -> tuple[Trace, ...]:
        return tuple(one for outcome in self.outcomes for one in outcome.trace)


def play(flow: FlowDocument, conversation: Mapping[str, Any]) -> Played:
    """Hold the conversation with the flow; stops at the first turn that goes otherwise."""
    state, context = State(), dict(conversation.get("context", {}))
    at = datetime.fromisoformat(conversation.get("at", _BEGIN))
    outcomes: list[Outcome] = []
    for number, turn in enumerate(conversation["turns"], 1):
        at += timedelta(minutes=turn.get("after_minutes", 1))
        facts = {**conversation.get("facts", {}), **turn.get("facts", {})}
        message = message_of(turn["in"], at, facts, is_first=number == 1)
        outcome = step(flow, state, context, message)
        outcomes.append(outcome)
        mismatch = _mismatch(number, turn, outcome)
        if mismatch:
            return Played(mismatch, tuple(outcomes))
        state, context = outcome.state, outcome.context
    return Played(None, tuple(outcomes))


def message_of(given: Any, at: datetime, facts: Mapping[str, Any], *, is_first: bool) -> Message:
    """The message that a turn's `in` stands for."""
    known: dict[str, Any] = {"now": at.isoformat(), "weekday": at.weekday(), **facts}
    raw: dict[str, Any] = {"at": at, "facts": known}
    if isinstance(given, str):
        kind = "started" if is_first else "text"
        return MESSAGE.validate_python({**raw, "kind": kind, "text": given})
    key = next(one for one in given if one in _OF_INPUT)
    kind, field = _OF_INPUT[key]
    rest = {name: one for name, one in given.items() if name != key}
    if field:
        rest[field] = given[key]
    elif isinstance(given[key], Mapping):
        rest |= given[key]
    return MESSAGE.validate_python({**raw, "kind": kind, **rest})


def told(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a turn would write it: what to compare, and what a new golden one records."""
    said = [_as_told(one) for one in outcome.effects if isinstance(one, Send)]
    others = [one for one in outcome.effects if not isinstance(one, Send)]
    return {
        "out": said,
        "state": outcome.state.node,
        "context": outcome.context,
        "effects": [one.model_dump(mode="json", exclude_defaults=False) for one in others],
    }


def _as_told(send: Send) -> Any:
    if not send.choices and not send.media and not send.template:
        return send.text
    shown = send.model_dump(mode="json", exclude_defaults=True)
    shown |= {"text": send.text}
    if send.choices:
        shown["choices"] = [choice.id for choice in send.choices]
    return shown


def _mismatch(number: int, turn: Mapping[str, Any], outcome: Outcome) -> Mismatch | None:
    got = told(outcome)
    for what in ("out", "effects", "state"):
        if what in turn and not _covers(turn[what], got[what]):
            return Mismatch(number, what, turn[what], got[what])
    missing = _missing(turn.get("context", {}), outcome.context)
    return Mismatch(number, "context", turn["context"], missing) if missing else None


def _missing(wanted: Mapping[str, Any], context: Context) -> dict[str, Any]:
    absent = object()
    return {
        name: context.get(name)
        for name, value in wanted.items()
        if context.get(name, absent) != value
    }


def _covers(wanted: Any, got: Any) -> bool:
    """Lists match one by one, objects by the keys that are wanted, the rest is equal."""
    if isinstance(wanted, Mapping):
        return isinstance(got, Mapping) and all(
            key in got and _covers(value, got[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return len(wanted) == len(got) and all(map(_covers, wanted, got))
    return bool(wanted == got)
