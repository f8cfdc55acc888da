"""Where a run stands, and what one step leaves behind."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chatbot.engine.effects import AnyEffect

Context = dict[str, Any]


class Frame(BaseModel):
    """Where a sub-flow returns to: the `flow` node of the calling document."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flow: str  # key of the document that called; "" is the root document
    node: str


class State(BaseModel):
    """The engine's whole memory besides the context, stored as JSON in
    `Session.flow_state["engine"]`.

    `node` is the waiting node's id ("" once done), `awaiting` what it waits for: the customer, or
    an answer of the shell that comes back as a message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flow: str = ""  # key of the (sub-)flow document we are in; "" is the root document
    node: str = ""
    stack: tuple[Frame, ...] = ()
    tries: int = 0
    awaiting: Literal["", "customer", "handler", "http", "wait", "ticket"] = ""
    path: tuple[str, ...] = ()  # ids of the nodes visited in this run, newest last, capped
    handler_calls: int = 0  # since the last customer message; limits loops through the shell
    media_at: str = ""  # ISO time of the last media that was answered: an album gets one answer
    done: bool = False


class Trace(BaseModel):
    """One node passed during a step: what 'why did the bot say this' shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: str
    matched: str = ""  # option id, condition index, word, "fallback", route …
    exit: str = ""


class Outcome(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State
    context: Context
    effects: tuple[AnyEffect, ...] = ()
    trace: tuple[Trace, ...] = Field(default=())
