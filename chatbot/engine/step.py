"""The interpreter: one message in, a new state, context and effects out."""

from __future__ import annotations

from chatbot.engine.consume import consume, fits, word_said, word_that_started
from chatbot.engine.effects import AnyEffect, OpenTicket, Send
from chatbot.engine.enter import enter
from chatbot.engine.kinds import Handoff, Start
from chatbot.engine.limits import NODES_PER_STEP, PATH_LENGTH
from chatbot.engine.messages import Message, Started
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.run import Run, Trouble
from chatbot.engine.state import Context, Outcome, State, Trace
from chatbot.engine.values import clean_answer


def step(flow: FlowDocument, state: State, context: Context, message: Message) -> Outcome:
    """Advance by one message: same arguments, same outcome. No clock, database or network.

    A message that is not what the run waits for leaves everything as it is, without effects.
    Whatever the document and the message hold, the step ends: where it cannot go on, people
    get the conversation, if the document has a handoff; else the run is over.
    """
    if state.done or isinstance(message, Started) is bool(state.node):
        return Outcome(state=state, context=context)
    run = Run(flow, state, context, message)
    try:
        if isinstance(message, Started):
            _follow(run, _begin(run, message))
        elif not _go_on(run):
            return Outcome(state=state, context=context)
    except Trouble as trouble:
        return _give_up(run, context, trouble.reason)
    return run.outcome()


def _begin(run: Run, message: Started) -> str:
    if message.node:
        return message.node
    start = run.node(run.flow.start)
    if not isinstance(start, Start):
        return run.flow.start
    if start.save_as:
        run.remember(start.save_as, clean_answer(message.text))
    target = word_that_started(run.flow, message.text) if start.answers_words else None
    if target is None:
        return run.flow.start
    run.arrive(run.flow.start)
    run.passed("word", message.text)
    return target


def _go_on(run: Run) -> bool:
    """Whether the message led anywhere."""
    node = run.node(run.at)
    if node.awaits != run.awaiting:
        raise Trouble("lost")
    target = word_said(run, node)
    if target is None:
        if not fits(run, node):
            return False
        target = consume(run, node)
    _follow(run, target)
    return True


def _follow(run: Run, target: str | None) -> None:
    """Pass nodes until one waits or the flow ends."""
    for _ in range(NODES_PER_STEP):
        if target is None:
            return
        target = enter(run, run.arrive(target))
    if target is not None:
        raise Trouble("nodes")


def _give_up(run: Run, context: Context, reason: str) -> Outcome:
    """Leave no trace of this step but the way to people; `reason` is a code for the log."""
    flow = run.flow
    passed = Trace(node=run.place, matched=reason, exit="trouble")
    effects: list[AnyEffect] = [Send(text=flow.trouble_text)] if flow.trouble_text.strip() else []
    handoff = flow.nodes.get(flow.way_to_people)
    if not isinstance(handoff, Handoff):
        state = State(path=run.path, done=True)
        return Outcome(state=state, context=context, effects=tuple(effects), trace=(passed,))
    path = (*run.path, flow.way_to_people)[-PATH_LENGTH:]
    effects.append(
        OpenTicket(
            department=handoff.department,
            priority=handoff.priority,
            skills=handoff.skills,
            reason=f"trouble:{reason}",
            node=run.place,
            path=path,
        )
    )
    return Outcome(
        state=State(node=flow.way_to_people, awaiting="ticket", path=path),
        context=context,
        effects=tuple(effects),
        trace=(passed, Trace(node=flow.way_to_people)),
    )
