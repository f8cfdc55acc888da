"""A recorded conversation held again with another document: where it goes otherwise, and how.

The rows are those of one run (see `replay`). Nothing is asked of the world: each message keeps its
time and its facts, handlers and requests answer what they answered then, and a wait lasts as long
as it did. As long as both ways are the same the recorded messages are taken one by one, whatever
they are; from the first other way on only what the customer said is, and what the document asks
for is answered from the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import ValidationError

from chatbot.engine.effects import (
    EFFECT,
    AnyEffect,
    CallHttp,
    OpenTicket,
    RunHandler,
    Send,
    Wait,
)
from chatbot.engine.messages import MESSAGE, HandlerReturned, Message, TicketOpened, TimerFired
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.replay import REDACTED, fields_of, is_redacted
from chatbot.engine.state import Context, Outcome, State
from chatbot.engine.step import step

Verdict = Literal["same", "text", "path", "dead_end", "earlier", "later", "unplayed"]

AT_ONCE = frozenset(("returned", "ticket_opened", "timer"))  # nobody said these
ANSWERS = 64  # in a row, without the customer saying anything: then the document goes round
_UNKNOWN_PROTOCOL = "00000000-0000"


@dataclass(frozen=True, slots=True)
class Said:
    """What one side of a turn did: the texts and options it sent, the passos it went through."""

    texts: tuple[str, ...] = ()
    path: tuple[tuple[str, str], ...] = ()  # (place, exit)
    hands_over: bool = False
    trouble: str = ""
    asked: str = ""  # what the record has no answer to
    node: str = ""  # where it came to rest; empty once it is over
    others: tuple[str, ...] = ()  # the other effects, as JSON

    @property
    def what(self) -> tuple[Any, ...]:
        return self.texts, self.path, self.node, self.others


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing the customer said, and what came of it then and now. `seq` is the recorded row."""

    seq: int
    said: Mapping[str, Any]
    at: str
    then: Said
    now: Said

    @property
    def is_same(self) -> bool:
        return self.then.what == self.now.what


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How it came out. `seq` and `node`: where the two ways part, the passo as it was recorded;
    None and "" when they never do."""

    verdict: Verdict
    turns: tuple[Turn, ...] = ()
    seq: int | None = None
    node: str = ""
    reason: str = ""


def rehearse(document: FlowDocument, rows: Iterable[Any]) -> Rehearsal:
    """Hold the conversation again. Whatever rows and document hold, it ends and nothing is raised;
    a record with an erased message, or none, cannot be replayed."""
    recorded = [fields_of(row) for row in rows]
    reason = _unplayable(recorded)
    if reason:
        return Rehearsal("unplayed", reason=reason)
    try:
        turns = tuple(_Stage(document, recorded).play())
    except (ValidationError, KeyError, TypeError):  # written by a program that thought otherwise
        return Rehearsal("unplayed", reason="unreadable")
    return _judged(turns)


def _unplayable(rows: Sequence[Mapping[str, Any]]) -> str:
    steps = [row for row in rows if _is_step(row)]
    if not steps:
        return "nothing_recorded"
    if any(is_redacted(row["message"]) for row in steps):
        return "erased"
    if any(REDACTED in value for row in rows for value in _strings_set(row)):
        return "erased"
    return ""


def _strings_set(row: Mapping[str, Any]) -> Iterable[str]:
    return (one for one in (row.get("context_set") or {}).values() if isinstance(one, str))


def _is_step(row: Mapping[str, Any]) -> bool:
    return row["kind"] == "step" and bool(row.get("message"))


@dataclass
class _Record:
    """What handlers and requests answered, by what was asked: each answer is used once, the last
    one again."""

    answers: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> _Record:
        record = cls()
        asked: list[str] = []
        for row in rows:
            message = row.get("message") or {}
            if message.get("kind") == "returned":
                for key in asked:
                    record.answers.setdefault(key, []).append(message)
                asked = []
            if message.get("kind") == "ticket_opened" and not record.protocol:
                record.protocol = message
            asked = _questions(row.get("effects") or (), str(row.get("next_node") or "")) or asked
        return record

    def answer(self, effect: AnyEffect, node: str) -> Mapping[str, Any] | None:
        for key in _keys(effect.model_dump(mode="json"), node):
            known = self.answers.get(key)
            if known:
                return known.pop(0) if len(known) > 1 else known[0]
        return None


def _questions(effects: Iterable[Mapping[str, Any]], node: str) -> list[str]:
    """The keys of what a step asked a handler or another system."""
    asked = (one for one in effects if one.get("kind") in ("run_handler", "call_http"))
    return next((_keys(effect, node) for effect in asked), [])


def _keys(effect: Mapping[str, Any], node: str) -> list[str]:
    """From the most exact to the least: the same question, the same passo, the same handler."""
    about = effect.get("name") or f"{effect.get('method')} {str(effect.get('url')).split('?')[0]}"
    exact = json.dumps(
        [about, effect.get("args"), effect.get("url"), effect.get("body")], sort_keys=True
    )
    return [exact, f"node {node} {effect['kind']}", f"about {about}"]


class _Stage:
    """Both ways side by side, turn by turn."""

    def __init__(self, document: FlowDocument, rows: Sequence[Mapping[str, Any]]) -> None:
        self._document = document
        self._rows = rows
        self._record = _Record.of(rows)
        self._state, self._context = State(), Context()
        self._has_parted = False
        self._waits_until: datetime | None = None

    def play(self) -> Iterable[Turn]:
        for turn in _turns(self._rows):
            for row in turn.before:
                self._take_over(row)
            first = turn.steps[0]
            now = self._then_alone(turn) if self._has_parted else self._together(turn)
            then = _as_recorded(turn.steps)
            played = Turn(
                int(first["seq"]), first["message"], str(first["message"].get("at", "")), then, now
            )
            if not self._has_parted and _parts(then, now):
                self._has_parted = True
            yield played

    def _take_over(self, row: Mapping[str, Any]) -> None:
        """A row that is no step: the start, a jump or an edit of staff."""
        unset = frozenset(row.get("context_unset") or ())
        kept = {} if row["kind"] == "start" else self._context
        self._context = {name: value for name, value in kept.items() if name not in unset}
        self._context |= row.get("context_set") or {}
        if row["kind"] in ("start", "jump") and row.get("state"):
            self._state = State.model_validate(row["state"])

    def _together(self, turn: _Recorded) -> Said:
        """Take the recorded messages one by one, as long as the document waits for them."""
        outcomes: list[Outcome] = []
        for before, row in zip((None, *turn.steps), turn.steps, strict=False):
            message = MESSAGE.validate_python(row["message"])
            if before and not self._is_welcome(message, before, outcomes[-1]):
                outcomes += self._answers(outcomes[-1], message.at, message.facts)
                break
            outcomes.append(self._step(message))
            for between in turn.after.get(int(row["seq"]), ()):
                self._take_over(between)
        return self._said(self._settled(outcomes, turn))

    def _is_welcome(self, message: Message, before: Mapping[str, Any], last: Outcome) -> bool:
        """Does the document wait for this message, as the answer to the question that was asked?"""
        if not _is_awaited(self._state, message):
            return False
        if not isinstance(message, HandlerReturned):
            return True
        then = _questions(before.get("effects") or (), str(before.get("next_node") or ""))
        effects = [one.model_dump(mode="json") for one in last.effects]
        return then == [] or bool(set(then) & set(_questions(effects, last.state.node)))

    def _settled(self, outcomes: list[Outcome], turn: _Recorded) -> list[Outcome]:
        """What the document asks for beyond what was recorded, unless it was never answered then
        either."""
        last = outcomes[-1]
        if not _asks(last) or _same_questions(last, turn.steps[-1]):
            return outcomes
        at = MESSAGE.validate_python(turn.steps[-1]["message"])
        return [*outcomes, *self._answers(last, at.at, at.facts)]

    def _then_alone(self, turn: _Recorded) -> Said:
        """The ways have parted: what the customer said, and the answers of the record."""
        raw = turn.steps[0]["message"]
        if raw.get("kind") in AT_ONCE:  # it belonged to the other way
            return self._said([])
        message = MESSAGE.validate_python(raw)
        outcomes: list[Outcome] = []
        due = self._waits_until
        if due is not None and due <= message.at and self._state.awaiting == "wait":
            fired = TimerFired(at=due, facts=message.facts)
            outcomes.append(self._step(fired))
            outcomes += self._answers(outcomes[-1], due, message.facts)
        outcomes.append(self._step(message))
        outcomes += self._answers(outcomes[-1], message.at, message.facts)
        return self._said(outcomes)

    def _answers(self, outcome: Outcome, at: datetime, facts: Mapping[str, Any]) -> list[Outcome]:
        """What follows at once from what a step asked for."""
        found: list[Outcome] = []
        for _ in range(ANSWERS):
            message = self._answer(outcome, at, dict(facts))
            if message is None:
                break
            outcome = self._step(message)
            found.append(outcome)
        return found

    def _answer(self, outcome: Outcome, at: datetime, facts: dict[str, Any]) -> Message | None:
        for effect in outcome.effects:
            match effect:
                case RunHandler() | CallHttp():
                    known = self._record.answer(effect, outcome.state.node)
                    if known is None:
                        return None
                    route, values = known.get("route", "error"), dict(known.get("values") or {})
                    return HandlerReturned(at=at, facts=facts, route=route, values=values)
                case OpenTicket():
                    known = self._record.protocol
                    return TicketOpened(
                        at=at,
                        facts=facts,
                        protocol=str(known.get("protocol") or _UNKNOWN_PROTOCOL),
                        department=str(known.get("department") or effect.department),
                        is_open_now=bool(known.get("is_open_now", True)),
                    )
                case Wait():
                    self._waits_until = at + timedelta(seconds=effect.seconds)
        return None

    def _step(self, message: Message) -> Outcome:
        outcome = step(self._document, self._state, self._context, message)
        self._state, self._context = outcome.state, outcome.context
        return outcome

    def _said(self, outcomes: Sequence[Outcome]) -> Said:
        effects = [effect for outcome in outcomes for effect in outcome.effects]
        trace = [one for outcome in outcomes for one in outcome.trace]
        return Said(
            texts=tuple(_text_of(one.model_dump(mode="json")) for one in effects if _is_send(one)),
            path=tuple((one.node, one.exit) for one in trace),
            hands_over=any(isinstance(one, OpenTicket) for one in effects),
            trouble=next((one.matched for one in trace if one.exit == "trouble"), ""),
            asked=self._unanswered(outcomes),
            node=_place(self._state),
            others=tuple(_other(one.model_dump(mode="json")) for one in effects if _is_other(one)),
        )

    def _unanswered(self, outcomes: Sequence[Outcome]) -> str:
        if not outcomes or outcomes[-1].state.awaiting not in ("handler", "http"):
            return ""
        return outcomes[-1].state.node


@dataclass(frozen=True)
class _Recorded:
    """The rows from one thing the customer said to the next: those that are no steps before it, its
    steps, and what came between these."""

    before: tuple[Mapping[str, Any], ...]
    steps: tuple[Mapping[str, Any], ...]
    after: Mapping[int, tuple[Mapping[str, Any], ...]]


def _turns(rows: Sequence[Mapping[str, Any]]) -> Iterable[_Recorded]:
    before: list[Mapping[str, Any]] = []
    steps: list[Mapping[str, Any]] = []
    between: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        if _is_step(row):
            if steps and row["message"].get("kind") not in AT_ONCE:
                yield _recorded(before, steps, between)
                before, steps, between = [], [], {}
            steps.append(row)
        elif row["kind"] in ("start", "jump") and steps:
            yield _recorded(before, steps, between)
            before, steps, between = [row], [], {}
        elif steps:
            between.setdefault(int(steps[-1]["seq"]), []).append(row)
        else:
            before.append(row)
    if steps:
        yield _recorded(before, steps, between)


def _recorded(
    before: Sequence[Mapping[str, Any]],
    steps: Sequence[Mapping[str, Any]],
    between: Mapping[int, Sequence[Mapping[str, Any]]],
) -> _Recorded:
    return _Recorded(tuple(before), tuple(steps), {seq: tuple(one) for seq, one in between.items()})


def _as_recorded(steps: Sequence[Mapping[str, Any]]) -> Said:
    effects = [effect for row in steps for effect in row.get("effects") or ()]
    trace = [one for row in steps for one in row.get("trace") or ()]
    last = State.model_validate(steps[-1]["state"]) if steps[-1].get("state") else State()
    return Said(
        texts=tuple(_text_of(one) for one in effects if one.get("kind") == "send"),
        path=tuple((one["node"], one.get("exit", "")) for one in trace),
        hands_over=any(one.get("kind") == "open_ticket" for one in effects),
        trouble=next((one["matched"] for one in trace if one.get("exit") == "trouble"), ""),
        node=_place(last),
        others=tuple(_recorded_other(one) for one in effects if one.get("kind") != "send"),
    )


def _judged(turns: tuple[Turn, ...]) -> Rehearsal:
    """The first difference says where; what it led to says how bad it is."""
    first = next((one for one in turns if not one.is_same), None)
    if first is None:
        return Rehearsal("same", turns)
    verdict = _verdict(turns, first)
    return Rehearsal(verdict, turns, first.seq, _parting(first), _why(turns))


def _verdict(turns: Sequence[Turn], first: Turn) -> Verdict:
    if any(one.now.trouble and not one.then.trouble for one in turns):
        return "dead_end"
    then = next((number for number, one in enumerate(turns) if one.then.hands_over), None)
    now = next((number for number, one in enumerate(turns) if one.now.hands_over), None)
    if now is not None and (then is None or now < then):
        return "earlier"
    if then is not None and (now is None or now > then):
        return "unplayed" if any(one.now.asked for one in turns) else "later"
    if any(_parts(one.then, one.now) for one in turns):
        return "path"
    return "text"


def _why(turns: Sequence[Turn]) -> str:
    """The trouble it ran into, or the passo whose answer was never recorded."""
    trouble = next((one.now.trouble for one in turns if one.now.trouble), "")
    return trouble or next((one.now.asked for one in turns if one.now.asked), "")


def _parting(turn: Turn) -> str:
    """The last passo that both ways have in common, from the left."""
    common = ""
    for then, now in zip(turn.then.path, turn.now.path, strict=False):
        if then[0] != now[0]:
            break
        common = then[0]
        if then != now:
            break
    return common or (turn.then.path[0][0] if turn.then.path else turn.then.node)


def _parts(then: Said, now: Said) -> bool:
    """Another way, not only other words."""
    return (then.path, then.node, then.others) != (now.path, now.node, now.others)


def _is_awaited(state: State, message: Message) -> bool:
    match message:
        case HandlerReturned():
            return state.awaiting in ("handler", "http")
        case TicketOpened():
            return state.awaiting == "ticket"
        case TimerFired():
            return state.awaiting == "wait"
    return True


def _asks(outcome: Outcome) -> bool:
    return any(isinstance(one, RunHandler | CallHttp | OpenTicket) for one in outcome.effects)


def _same_questions(outcome: Outcome, row: Mapping[str, Any]) -> bool:
    mine = [_other(one.model_dump(mode="json")) for one in outcome.effects if _is_other(one)]
    effects = row.get("effects") or ()
    theirs = [_recorded_other(one) for one in effects if one.get("kind") != "send"]
    return mine == theirs


def _is_send(effect: AnyEffect) -> bool:
    return isinstance(effect, Send)


def _is_other(effect: AnyEffect) -> bool:
    return not isinstance(effect, Send)


def _text_of(send: Mapping[str, Any]) -> str:
    """What the customer reads: text, options, files and templates, one a line."""
    lines = [str(send.get("header") or ""), str(send.get("text") or "")]
    lines += [f"[{one['title']}]" for one in send.get("choices") or ()]
    lines += [str(send.get("footer") or "")]
    if send.get("media"):
        lines.append(f"({send['media']}) {send.get('media_url') or send.get('filename') or ''}")
    if send.get("template"):
        lines.append(json.dumps(send["template"], sort_keys=True, ensure_ascii=False))
    return "\n".join(line for line in lines if line)


def _other(effect: Mapping[str, Any]) -> str:
    return json.dumps(effect, sort_keys=True, ensure_ascii=False)


def _recorded_other(effect: Mapping[str, Any]) -> str:
    """With the fields that effects have today: the row may be older than one of them."""
    return _other(EFFECT.validate_python(effect).model_dump(mode="json"))


def _place(state: State) -> str:
    if not state.node:
        return ""
    return f"{state.flow}/{state.node}" if state.flow else state.node
