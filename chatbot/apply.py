"""What the engine asked for becomes calls of services. One function per effect."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from pydantic import ValidationError

from chatbot.documents import document_of
from chatbot.engine.effects import (
    CallHttp,
    EndSession,
    OpenTicket,
    RunHandler,
    UpdateLead,
    Wait,
)
from chatbot.engine.kinds import Handoff
from chatbot.engine.messages import HandlerReturned, Message, TicketOpened
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.render import flatten, placeholders, render
from chatbot.engine.state import Outcome
from chatbot.flow_words import node_at, option_label, sensitive_fields, sensitive_names, variable_of
from chatbot.handlers import registry
from chatbot.models import Task, TaskKind
from chatbot.read_marks import mark_read
from chatbot.trouble import is_transient
from leads.services import update_lead
from sessions_app.models import EndReason, Session
from sessions_app.services import end_session
from tickets.models import Priority
from tickets.services import open_ticket
from users import audit

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scene:
    """What every effect needs to know: the locked session, the run and log row that asked, and the
    time.

    `facts` gathers anew: an effect may have changed the lead that the next step asks about.
    `is_held`: somebody who tries the flow says what its integration gives.
    """

    session: Session
    run_id: int
    version_id: int
    seq: int
    at: datetime
    facts: Callable[[], dict[str, Any]]
    is_held: bool = False


@audit.quiet()  # the bot's work, whoever resolved the ticket or tries the flow
def apply(outcome: Outcome, scene: Scene) -> Message | None:
    """Do everything a step asked for but say its texts. Returns what happens next at once: the
    answer of a handler or the opened ticket; None when the run waits for somebody else."""
    answer: Message | None = None
    for effect in outcome.effects:
        match effect:
            case UpdateLead() as update:
                _update_lead(update, scene)
            case OpenTicket() as ticket:
                answer = _open_ticket(ticket, scene, outcome)
            case RunHandler() as call:
                answer = _run_handler(call, scene)
            case CallHttp() as request:
                _later(TaskKind.HTTP, scene, payload=request.model_dump(mode="json"))
            case Wait() as wait:
                _later(TaskKind.WAIT, scene, payload={}, delay=timedelta(seconds=wait.seconds))
            case EndSession():
                end_session(scene.session, reason=EndReason.COMPLETED, at=scene.at)
    return answer


@audit.quiet()
def run_handler(call: RunHandler, *, session: Session, at: datetime) -> tuple[str, dict[str, Any]]:
    """(route, values) of a handler, run in a savepoint. Whatever goes wrong inside it is its own
    failure: logged, rolled back, and the flow leaves by the route "error". Only a deadlock, a
    serialisation conflict or a lost connection is raised: the whole item is then done again."""
    try:
        with transaction.atomic():
            result = registry.get(call.name).run(
                session=session, lead=session.lead, args=call.args, at=at
            )
    except (registry.UnknownHandler, ValidationError) as error:
        logger.error("handler %s cannot be run: %s", call.name, error)
        return registry.ERROR, {}
    except Exception as error:
        if is_transient(error) or connection.needs_rollback:  # not even rolled back: it is gone
            raise
        logger.exception("handler %s failed", call.name)
        return registry.ERROR, {}
    return result.route, result.values


def _update_lead(update: UpdateLead, scene: Scene) -> None:
    update_lead(
        scene.session.lead,
        fields=update.fields,
        status=update.status,
        add_tags=update.add_tags,
        remove_tags=update.remove_tags,
        consent=update.consent,
        consent_granted=update.consent_granted,
        consent_text=update.consent_text,
        sensitive=sensitive_fields(document_of(scene.version_id)),
        reason="flow",
    )


def _open_ticket(effect: OpenTicket, scene: Scene, outcome: Outcome) -> TicketOpened:
    document = document_of(scene.version_id)
    context = outcome.context
    options = _named(context, lambda name: option_label(document, name, context[name]))
    reason = _reason(effect, document, {**context, **options}, scene)
    ticket = open_ticket(
        scene.session,
        department=effect.department or None,
        priority=Priority(effect.priority),
        skills=effect.skills,
        subject=reason,
        variables=context,
        handoff={
            "reason": reason,
            "node": effect.node,
            "path": list(effect.path),
            "steps": _titles(effect.path, document),
            "word": _word_said(outcome),
            "version": scene.version_id,
            "flow": document.slug,
            "labels": _named(context, lambda name: variable_of(document, name).label),
            "options": options,
            "sensitive": sorted(sensitive_names(document)),
        },
        at=scene.at,
    )
    return TicketOpened(
        at=scene.at,
        facts=scene.facts(),
        protocol=ticket.protocol,
        department=ticket.department.name,
        is_open_now=ticket.department.is_open(scene.at),
    )


def _reason(
    effect: OpenTicket, document: FlowDocument, named: Mapping[str, Any], scene: Scene
) -> str:
    """Why people are asked, for people: with the options as they are called (`named`), where the
    engine has their ids."""
    node = node_at(document, effect.node)
    if not isinstance(node, Handoff) or not any(placeholders(node.reason)):
        return effect.reason
    return render(node.reason, flatten(named, scene.facts()))


def _named(names: Iterable[str], label_of: Callable[[str], str]) -> dict[str, str]:
    """By name what each is called, if it is called anything."""
    return {name: label for name in names if (label := label_of(name))}


def _titles(path: Sequence[str], document: FlowDocument) -> list[str]:
    """The passos of a path as people call them; without a title, by their ids."""
    return [_node_title(place, document) or place for place in path]


def _node_title(place: str, document: FlowDocument) -> str:
    key, _slash, node_id = place.rpartition("/")
    within = document.document(key)
    node = within.nodes.get(node_id) if within is not None else None
    return node.title if node is not None else ""


def _word_said(outcome: Outcome) -> str:
    """The word by which the customer asked for people in this step, if it was one."""
    words = (passed.matched for passed in outcome.trace if passed.exit == "word")
    return next(words, "")


def _run_handler(call: RunHandler, scene: Scene) -> HandlerReturned | None:
    if scene.is_held or _is_later(call.name):
        _later(TaskKind.HANDLER, scene, payload=call.model_dump(mode="json"))
        return None
    route, values = run_handler(call, session=scene.session, at=scene.at)
    return HandlerReturned(at=scene.at, facts=scene.facts(), route=route, values=values)


def _is_later(name: str) -> bool:
    try:
        return registry.get(name).later
    except registry.UnknownHandler:
        return False


def _later(
    kind: TaskKind, scene: Scene, *, payload: dict[str, Any], delay: timedelta = timedelta()
) -> None:
    Task.objects.create(
        kind=kind,
        session=scene.session,
        run_id=scene.run_id,
        seq=scene.seq,
        payload=payload,
        run_at=scene.at + delay,
    )
    if kind != TaskKind.WAIT:  # somebody sits and waits for the answer
        mark_read(scene.session, at=scene.at, is_writing=True)
