"""A conversation as it is played turn by turn: what is known after each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chatbot.engine.consume import CUSTOMER
from chatbot.engine.effects import Send
from chatbot.engine.golden import message_of
from chatbot.engine.messages import Message, Started
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.state import Context, Outcome, State
from chatbot.engine.step import step

Turn = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One turn as it went. `known` is the context before it."""

    turn: Turn
    message: Message
    before: State
    known: Context
    outcome: Outcome


@dataclass(frozen=True)
class Moment:
    """Where a conversation stands. `heard_at` is when the customer last wrote."""

    state: State
    context: Context
    at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    heard_at: datetime | None = None
    step: Step | None = None
    earlier: Moment | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """The passos that this turn came to, in order; of very many the last ones. Nothing when
        the run gave up."""
        return () if self.step is None or self.trouble else self.step.outcome.state.path

    @property
    def around(self) -> tuple[str, ...]:
        """The passos that this turn left or came to."""
        if self.step is None:
            return ()
        return tuple(dict.fromkeys(one.node for one in self.step.outcome.trace))

    @property
    def trouble(self) -> str:
        """Why the run gave up in this turn."""
        trace = self.step.outcome.trace if self.step else ()
        return trace[0].matched if trace and trace[0].exit == "trouble" else ""

    @property
    def is_going_on(self) -> bool:
        return not self.state.done and (self.step is None or self.step.outcome.trace != ())

    @property
    def silence(self) -> float:
        """Seconds since the customer last wrote."""
        return (self.at - self.heard_at).total_seconds() if self.heard_at else 0.0

    @property
    def sends(self) -> list[Send]:
        effects = self.step.outcome.effects if self.step else ()
        return [one for one in effects if isinstance(one, Send)]

    @property
    def past(self) -> list[Moment]:
        """The moments after each turn, this one last."""
        moments: list[Moment] = []
        one: Moment | None = self
        while one is not None and one.step is not None:
            moments.append(one)
            one = one.earlier
        return moments[::-1]

    def turns(self) -> list[Turn]:
        return [one.step.turn for one in self.past if one.step]


def after(flow: FlowDocument, moment: Moment, turn: Turn) -> Moment:
    """The moment after a turn. `facts` of a turn hold for it and those after."""
    at = moment.at + timedelta(minutes=turn.get("after_minutes", 1))
    facts = turn.get("facts", moment.facts)
    is_first = moment.step is None
    message = message_of(turn["in"], at, facts, is_first=is_first)
    before = moment.state.model_copy(update={"path": ()})  # so that it holds this turn's passos
    outcome = step(flow, before, moment.context, message)
    is_heard = isinstance(message, (Started, *CUSTOMER))
    return Moment(
        state=outcome.state,
        context=outcome.context,
        at=at,
        facts=facts,
        heard_at=at if is_heard else moment.heard_at,
        step=Step(turn, message, moment.state, moment.context, outcome),
        earlier=moment,
    )
