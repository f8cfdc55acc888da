"""Golden conversations: what a flow must say, as data beside the flow.

    {"name": "...", "facts": {...}, "context": {...}, "at": "2026-11-12T10:00:00-03:00",
     "turns": [{"in": "Oi", "out": ["Olá", {"text": "…", "choices": ["sim", "nao"]}],
                "state": "menu", "context": {"nome": "Davi"}, "effects": [{"kind": …}]}]}

The first turn starts the run. `in` is a text, or `choice` (id), `media` (kind), `location`,
`contacts`, `form`, `returned` (route, values), `ticket` (protocol), `timer`. Each turn comes a
minute after the one before, or `after_minutes` or `after_seconds` later, and may have `facts` of
its own. What a turn does not mention is not looked at: `out` lists all messages, `effects` all
other effects, each compared by the keys it names.

`recorded` makes one of what a log kept; `answered_anew` lets the flow fill in what must come out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chatbot.engine.effects import EFFECT, Send
from chatbot.engine.messages import (
    MESSAGE,
    ChoiceReceived,
    ContactsReceived,
    FormReceived,
    HandlerReturned,
    LocationReceived,
    MediaReceived,
    Message,
    Started,
    TextReceived,
    TicketOpened,
)
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.replay import REDACTED
from chatbot.engine.state import Context, Outcome, State, Trace
from chatbot.engine.step import step

MOST_TURNS = 200

_BEGIN = "2026-11-12T10:00:00-03:00"  # a Thursday morning
_MINUTE = 60
_TO_THE_MINUTE = len("2026-11-12T10:00")
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
    outcomes: list[Outcome] = []
    mismatch = _first_mismatch(flow, conversation, outcomes.append)
    return Played(mismatch, tuple(outcomes))


def mismatch_of(flow: FlowDocument, conversation: Mapping[str, Any]) -> Mismatch | None:
    """The same without keeping what came of each turn."""
    return _first_mismatch(flow, conversation, lambda _outcome: None)


def _first_mismatch(
    flow: FlowDocument, conversation: Mapping[str, Any], keep: Callable[[Outcome], None]
) -> Mismatch | None:
    for number, (turn, outcome) in enumerate(_turns(flow, conversation), 1):
        keep(outcome)
        mismatch = _mismatch(number, turn, outcome)
        if mismatch:
            return mismatch
    return None


def answered_anew(flow: FlowDocument, conversation: Mapping[str, Any]) -> dict[str, Any]:
    """The conversation with what the flow makes of it now, wherever a turn says what comes out."""
    turns = [{**turn, **_now(turn, outcome)} for turn, outcome in _turns(flow, conversation)]
    return {**conversation, "turns": turns}


class Unrecordable(ValueError):
    """What a log kept cannot be held once more; `reason`: begun_again, erased, nothing."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def recorded(
    steps: Iterable[tuple[Mapping[str, Any], Sequence[Any]]], context: Mapping[str, Any]
) -> dict[str, Any]:
    """A golden conversation of the steps of one run, each as its log row keeps it (message,
    effects); `context` is what the run began with. To the second: what comes sooner is not kept
    apart. Raises Unrecordable."""
    kept = list(steps)
    if not kept:
        raise Unrecordable("nothing")
    if REDACTED in str(kept) or REDACTED in str(context):
        raise Unrecordable("erased")
    messages = [MESSAGE.validate_python(message) for message, _effects in kept]
    moments = [_local(message) for message in messages]
    known = [_facts_of(message, at) for message, at in zip(messages, moments, strict=True)]
    facts = _common(known)
    turns: list[dict[str, Any]] = []
    before = moments[0] - timedelta(minutes=1)
    for number, message in enumerate(messages):
        sends = [EFFECT.validate_python(one) for one in kept[number][1]]
        turn: dict[str, Any] = {"in": _given(message, is_first=number == 0)}
        seconds = round((moments[number] - before).total_seconds())
        if seconds != _MINUTE:
            turn["after_seconds"] = seconds
        own = {name: one for name, one in known[number].items() if facts.get(name) != one}
        if own:
            turn["facts"] = own
        turn["out"] = [_as_told(one) for one in sends if isinstance(one, Send)]
        turns.append(turn)
        before = moments[number]
    begin = moments[0] - timedelta(minutes=1)
    return {"at": begin.isoformat(), "facts": facts, "context": dict(context), "turns": turns}


def _turns(
    flow: FlowDocument, conversation: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], Outcome]]:
    """Each turn with what the flow makes of it."""
    state, context = State(), dict(conversation.get("context", {}))
    at = datetime.fromisoformat(conversation.get("at", _BEGIN))
    for number, turn in enumerate(conversation["turns"], 1):
        at += pause_before(turn)
        facts = {**conversation.get("facts", {}), **turn.get("facts", {})}
        message = message_of(turn["in"], at, facts, is_first=number == 1)
        outcome = step(flow, state, context, message)
        yield turn, outcome
        state, context = outcome.state, outcome.context


def pause_before(turn: Mapping[str, Any]) -> timedelta:
    """How long after the turn before it comes."""
    if "after_seconds" in turn:
        return timedelta(seconds=turn["after_seconds"])
    return timedelta(minutes=turn.get("after_minutes", 1))


def message_of(given: Any, at: datetime, facts: Mapping[str, Any], *, is_first: bool) -> Message:
    """The message that a turn's `in` stands for."""
    known: dict[str, Any] = {"now": at.isoformat(), "weekday": at.weekday(), **facts}
    raw: dict[str, Any] = {"at": at, "facts": known}
    if isinstance(given, str):
        kind = "started" if is_first else "text"
        return MESSAGE.validate_python({**raw, "kind": kind, "text": given})
    key = next((one for one in given if one in _OF_INPUT), None)
    if key is None:
        raise ValueError("a turn without anything that comes in")
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


def _now(turn: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """What the turn mentions, as it comes out now."""
    got = told(outcome)
    now = {what: got[what] for what in ("out", "effects", "state") if what in turn}
    if "context" in turn:
        now["context"] = {name: outcome.context.get(name) for name in turn["context"]}
    return now


def _given(message: Message, *, is_first: bool) -> Any:  # noqa: PLR0911  # one a kind
    """The `in` of a turn that stands for this message."""
    if isinstance(message, Started) != is_first or (isinstance(message, Started) and message.node):
        raise Unrecordable("begun_again")
    rest = message.model_dump(mode="json", exclude_defaults=True, exclude={"at", "facts", "kind"})
    match message:
        case Started(text=text) | TextReceived(text=text):
            return text
        case ChoiceReceived(id=choice):
            return {"choice": choice, **_without(rest, "id")}
        case MediaReceived(media=media):
            return {"media": media, **_without(rest, "media")}
        case LocationReceived():
            return {"location": rest}
        case ContactsReceived():
            return {"contacts": rest}
        case FormReceived(values=values):
            return {"form": values}
        case HandlerReturned():
            return {"returned": rest}
        case TicketOpened():
            return {"ticket": rest}
    return {"timer": True}


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: one for key, one in values.items() if key != name}


def _local(message: Message) -> datetime:
    """When it was, to the second, on the clock of its facts."""
    try:
        zone = datetime.fromisoformat(str(message.facts["now"])).tzinfo
    except (KeyError, ValueError):
        zone = None
    return message.at.astimezone(zone or message.at.tzinfo).replace(microsecond=0)


def _facts_of(message: Message, at: datetime) -> dict[str, Any]:
    """Without what follows from the time."""
    facts = dict(message.facts)
    if facts.get("weekday") == at.weekday():
        del facts["weekday"]
    if str(facts.get("now", ""))[:_TO_THE_MINUTE] == at.isoformat()[:_TO_THE_MINUTE]:
        del facts["now"]
    return facts


def _common(known: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each fact that every turn has, the value that most turns have."""
    names = [name for name in known[0] if all(name in one for one in known)]
    return {name: _most_common([one[name] for one in known]) for name in names}


def _most_common(values: Sequence[Any]) -> Any:
    most, _count = Counter(map(repr, values)).most_common(1)[0]
    return next(value for value in values if repr(value) == most)


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
