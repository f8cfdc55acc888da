"""What the engine asked for becomes calls of services. One function per effect."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
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
from chatbot.engine.messages import HandlerReturned, Message, TicketOpened
from chatbot.engine.state import Outcome
from chatbot.handlers import registry
from chatbot.models import Task, TaskKind
from chatbot.trouble import is_transient
from leads.services import update_lead
from sessions_app.models import EndReason, Session
from sessions_app.services import end_session
from tickets.models import Priority
from tickets.services import open_ticket

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scene:
    """What every effect needs to know: the locked session, the run and log row that asked, and the
    time.

    `facts` gathers anew: an effect may have changed the lead that the next step asks about.
    """

    session: Session
    run_id: int
    version_id: int
    seq: int
    at: datetime
    facts: Callable[[], dict[str, Any]]


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


def run_handler(call: RunHandler, *, session: Session, at: datetime) -> tuple[str, dict[str, Any]]:
    """(route, values) of a handler, run in a savepoint. Whatever goes wrong inside it is its own
    failure: logged, rolled back, and the flow leaves by the route "error". Only a deadlock or a
    serialisation conflict is raised: the whole item is then done again."""
    try:
        with transaction.atomic():
            result = registry.get(call.name).run(
                session=session, lead=session.lead, args=call.args, at=at
            )
    except (registry.UnknownHandler, ValidationError) as error:
        logger.error("handler %s cannot be run: %s", call.name, error)
        return registry.ERROR, {}
    except Exception as error:
        if is_transient(error):
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
        reason="flow",
    )


def _open_ticket(effect: OpenTicket, scene: Scene, outcome: Outcome) -> TicketOpened:
    document = document_of(scene.version_id)
    variables = document.variables
    ticket = open_ticket(
        scene.session,
        department=effect.department or None,
        priority=Priority(effect.priority),
        subject=effect.reason,
        variables=outcome.context,
        handoff={
            "reason": effect.reason,
            "node": effect.node,
            "path": list(effect.path),
            "version": scene.version_id,
            "flow": document.slug,
            "labels": {name: one.label for name, one in variables.items() if one.label},
            "sensitive": [name for name, one in variables.items() if one.sensitive],
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


def _run_handler(call: RunHandler, scene: Scene) -> HandlerReturned | None:
    if _is_later(call.name):
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
