"""A finding of the verification, shown in the simulator: a person who does what leads to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from chatbot.engine.golden import pause_before
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.witness import witness_of
from chatbot.findings import Finding, check_document
from chatbot.flow_words import any_title
from chatbot.flows_service import surroundings
from chatbot.models import Flow, FlowVersion, SimulatedPerson, Task, TaskKind, TaskStatus
from chatbot.simulation import acting, passing, people
from chatbot.simulation.recorded import Result
from chatbot.simulation.staging import ASK
from users.errors import DomainError
from users.models import User

Turn = Mapping[str, Any]
MOST = 60  # turns that are played


class NoSuchFinding(DomainError):
    code = "no_such_finding"


def finding_of(document: FlowDocument, key: str) -> Finding:
    """The finding of a document by its key. Raises NoSuchFinding when it has been mended."""
    for found in check_document(document, surroundings()):
        if found.key == key:
            return found
    raise NoSuchFinding(_("This finding is not there any more: the draft has changed."))


def show(
    user: User,
    flow: Flow,
    version: FlowVersion,
    document: FlowDocument,
    finding: Finding,
) -> SimulatedPerson:
    """Somebody new who does what leads to the defect. What integrations give is part of that."""
    witness = witness_of(document, finding)
    person = people.begin(
        user,
        flow,
        version=version,
        results={place: {"do": ASK} for place in _integrations(document)},
        defect={
            "title": finding.title,
            "text": finding.detail,
            "severity": finding.severity,
            "node": finding.node,
            "path": [any_title(document, place) for place in finding.path],
            "is_played": witness.turns is not None,
        },
        context=dict(witness.context),
    )
    for number, turn in enumerate(list(witness.turns or ())[:MOST]):
        _play(person, turn, is_first=number == 0)
    return person


def _play(person: SimulatedPerson, turn: Turn, *, is_first: bool) -> None:
    if not is_first:
        _let_pass(person, pause_before(turn))
    if turn.get("facts"):
        people.change(person, facts={**person.facts, **turn["facts"]})
    given = turn["in"]
    if isinstance(given, str):
        acting.say(person, {"text": given})
    elif "returned" in given:
        _answer(person, given["returned"])
    elif "timer" in given:
        _end_wait(person)
    elif "ticket" not in given:  # the ticket is really opened
        acting.say(person, _form_of(person, given))


def _form_of(person: SimulatedPerson, given: Mapping[str, Any]) -> dict[str, str]:
    if "choice" in given:
        form = acting.tapped_last(person, str(given["choice"]))
        return form | ({"choice_title": given["title"]} if given.get("title") else {})
    if "media" in given:
        about = {"text": given.get("caption", ""), "filename": given.get("filename", "")}
        return {"kind": str(given["media"]), **about}
    if "location" in given:
        place = given["location"] if isinstance(given["location"], Mapping) else given
        return {
            "latitude": str(place.get("latitude", 0)),
            "longitude": str(place.get("longitude", 0)),
            "place": str(place.get("name", "")),
        }
    if "contacts" in given:
        card = given["contacts"] if isinstance(given["contacts"], Mapping) else given
        names = card.get("names") or [acting.FRIEND]
        return {"contact": str(names[0]), "own_phone": str(card.get("phone", ""))}
    return {"values": json.dumps(given.get("form", {}))}


def _answer(person: SimulatedPerson, returned: Mapping[str, Any]) -> None:
    with people.alone(person):
        task = passing.waiting_task(next(iter(people.sessions_of(person)), None))
        if task is not None:
            result = Result(str(returned.get("route", "")), dict(returned.get("values", {})))
            passing.answer(person, task, result)
            passing.catch_up(person)


def _end_wait(person: SimulatedPerson) -> None:
    """To when the wait that is under way is over."""
    sessions = people.sessions_of(person)
    waits = Task.objects.filter(session__in=sessions, kind=TaskKind.WAIT, status=TaskStatus.PENDING)
    task = waits.order_by("run_at").first()
    if task is not None:
        _let_pass(person, task.run_at - people.now_of(person) + timedelta(seconds=1))


def _let_pass(person: SimulatedPerson, by: timedelta) -> None:
    if by > timedelta():
        passing.advance(person, by, seen=person.ahead)


def _integrations(document: FlowDocument) -> list[str]:
    return [
        f"{key}/{node_id}" if key else node_id
        for key, part in (("", document), *document.subflows.items())
        for node_id, node in part.nodes.items()
        if node.awaits in {"handler", "http"}
    ]
