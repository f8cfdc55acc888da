"""One step under way: what it has learnt and said so far. Lives inside `step()` only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatbot.engine.effects import AnyEffect, Choice, Send
from chatbot.engine.kinds import FACT_NAMES, AnyNode, Awaiting, Menu, Node
from chatbot.engine.limits import CALLS_PER_MESSAGE, PATH_LENGTH, TEXT_LENGTH, VARIABLES
from chatbot.engine.messages import Message
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.render import flatten, known_values, only_placeholder, render
from chatbot.engine.state import Context, Frame, Outcome, State, Trace
from chatbot.engine.values import clean, is_name, storable


class Trouble(Exception):
    """The step cannot go on: a limit is reached, or the document has no such node."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Run:
    def __init__(
        self, flow: FlowDocument, state: State, context: Context, message: Message
    ) -> None:
        self.flow = flow
        self.message = message
        self.facts: Mapping[str, Any] = message.facts
        self.context = dict(context)
        self.key = state.flow
        self.at = state.node
        self.stack = state.stack
        self.tries = state.tries
        self.awaiting: Awaiting = state.awaiting
        self.path = state.path
        self.calls = state.handler_calls
        self.media_at = state.media_at
        self.is_done = state.done
        self.effects: list[AnyEffect] = []
        self.trace: list[Trace] = []
        self._flat: dict[bool, dict[str, str]] = {}

    def outcome(self) -> Outcome:
        return Outcome(
            state=self._state(),
            context=self.context,
            effects=tuple(self.effects),
            trace=tuple(self.trace),
        )

    def _state(self) -> State:
        if self.is_done:
            return State(path=self.path, done=True)
        return State(
            flow=self.key,
            node=self.at,
            stack=self.stack,
            tries=self.tries,
            awaiting=self.awaiting,
            path=self.path,
            handler_calls=self.calls,
            media_at=self.media_at,
        )

    # moving

    @property
    def document(self) -> FlowDocument:
        document = self.flow.document(self.key)
        if document is None:
            raise Trouble("lost")
        return document

    @property
    def place(self) -> str:
        """The node's id in paths and traces: `sub/node` inside a sub-flow."""
        return f"{self.key}/{self.at}" if self.key else self.at

    def node(self, node_id: str) -> AnyNode:
        node = self.document.nodes.get(node_id)
        if node is None:
            raise Trouble("lost" if node_id else "dead_end")
        return node

    def arrive(self, node_id: str) -> AnyNode:
        node = self.node(node_id)
        self.at = node_id
        self.tries = 0
        self.path = (*self.path, self.place)[-PATH_LENGTH:]
        return node

    def leave(self, node: Node, exit_name: str, matched: str = "") -> str:
        """The node that the exit leads to."""
        self.passed(exit_name, matched)
        return node.target(exit_name)

    def passed(self, exit_name: str = "", matched: str = "") -> None:
        self.trace.append(Trace(node=self.place, matched=clean(matched, 200), exit=exit_name))

    def wait_for(self, awaiting: Awaiting) -> None:
        """The step ends here, until something answers."""
        self.awaiting = awaiting
        self.passed()

    def call(self, awaiting: Awaiting, effect: AnyEffect) -> None:
        """Ask the shell for something that answers by itself: a bounded number of times."""
        if self.calls >= CALLS_PER_MESSAGE:
            raise Trouble("calls")
        self.calls += 1
        self.effects.append(effect)
        self.wait_for(awaiting)

    def push(self, frame: Frame) -> None:
        self.stack = (*self.stack, frame)

    def pop(self) -> Frame:
        frame = self.stack[-1]
        self.stack = self.stack[:-1]
        return frame

    def finish(self) -> None:
        self.is_done = True

    # knowing

    def remember(self, name: str, value: Any) -> None:
        """Store a variable; a name that no variable may have is left out."""
        if not is_name(name) or name in FACT_NAMES:
            return
        if name not in self.context and len(self.context) >= VARIABLES:
            raise Trouble("variables")
        self.context[name] = storable(value)
        self._flat.clear()

    def forget(self, name: str) -> None:
        self.context.pop(name, None)
        self._flat.clear()

    def learn_lead(self, fields: Mapping[str, str]) -> None:
        """Let the rest of this step see what it has just asked to change."""
        lead = self.facts.get("lead")
        known = dict(lead) if isinstance(lead, Mapping) else {}
        self.facts = {**self.facts, "lead": {**known, **fields}}
        self._flat.clear()

    def known(self) -> dict[str, Any]:
        return known_values(self.context, self.facts)

    def value_of(self, template: Any) -> Any:
        """A literal as it is; text rendered; a lone placeholder as the value with its type."""
        if isinstance(template, Mapping):
            return {str(key): self.value_of(one) for key, one in template.items()}
        if isinstance(template, list | tuple):
            return [self.value_of(one) for one in template]
        if not isinstance(template, str):
            return template
        name = only_placeholder(template)
        if name:
            value = self.known().get(name)
            return "" if value is None else value
        return self.render(template, shown=False)

    # saying

    def render(
        self,
        text: str,
        *,
        shown: bool = True,
        extra: Mapping[str, str] | None = None,
        escape: Callable[[str], str] | None = None,
        limit: int = TEXT_LENGTH,
    ) -> str:
        if "{{" not in text:
            return text
        if shown not in self._flat:
            self._flat[shown] = flatten(self.context, self.facts, shown=shown)
        values = {**self._flat[shown], **extra} if extra else self._flat[shown]
        return render(text, values, escape, limit)

    def say(self, text: str, extra: Mapping[str, str] | None = None) -> None:
        rendered = self.render(text, extra=extra)
        if rendered.strip():
            self.effects.append(Send(text=rendered))

    def offer(self, menu: Menu, text: str) -> None:
        """Say a text with the options of the menu."""
        choices: tuple[Choice, ...] = menu.choices
        self.effects.append(
            Send(
                text=self.render(text),
                choices=choices,
                presentation=menu.presentation,
                list_button=menu.list_button,
                header=self.render(menu.header),
                footer=self.render(menu.footer),
            )
        )
