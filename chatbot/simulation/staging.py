"""What the ordinary path of a message must know about a person of the simulator. Nothing is asked
about anybody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chatbot.channels.simulator.transport import SCHEME
from chatbot.engine.state import State
from chatbot.models import FlowVersion, SimulatedPerson
from chatbot.simulation.phones import phone_of
from leads.models import Identity
from sessions_app.models import Session

ASK, RUN, RECORDED, GIVE = "ask", "run", "recorded", "give"
# Python of this program runs as ever; another system is not called unless somebody says so.
USUALLY = {"handler": RUN, "http": ASK}


@dataclass(frozen=True)
class Staging:
    """The world as it is for one simulated person."""

    person: SimulatedPerson

    @property
    def version(self) -> FlowVersion | None:
        """The document that answers them, whatever the triggers say."""
        return self.person.version

    def holds(self, state: State) -> bool:
        """Does the tester say what the integration gives that the run waits for?"""
        return does(self.person, place_of(state), state.awaiting) != RUN

    def over(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The facts with what is different for this person."""
        told = {**facts}
        lead = told.get("lead", {})
        if self.person.has_phone and not lead.get("phone"):
            told["lead"] = {**lead, "phone": phone_of(self.person.address)}
        for name, value in self.person.facts.items():
            known = told.get(name)
            is_part = isinstance(known, Mapping) and isinstance(value, Mapping)
            told[name] = {**(known or {}), **value} if is_part else value
        return told


def staging_of(session: Session) -> Staging | None:
    if not session.is_simulated:
        return None
    person = person_in(session)
    return Staging(person) if person is not None else None


def person_in(session: Session) -> SimulatedPerson | None:
    """Whom somebody plays in this session."""
    addresses = Identity.objects.filter(lead=session.lead_id, scheme=SCHEME).values("address")
    rows = SimulatedPerson.objects.filter(address__in=addresses)
    with_version = rows.select_related("version__flow").defer(
        "version__document", "version__flow__draft", "notices"
    )
    return with_version.order_by("-pk").first()


def is_provider_away(session: Session) -> bool:
    """Has whoever plays this customer cut the line?"""
    person = person_in(session) if session.is_simulated else None
    return person is not None and person.is_provider_away


def on_their_clock(session: Session, at: datetime) -> datetime:
    """A moment of everybody's clock as the customer of this session has it."""
    person = person_in(session) if session.is_simulated else None
    return at + person.ahead if person is not None else at


def does(person: SimulatedPerson, place: str, awaiting: str) -> str:
    """What becomes of the call or http passo at this place: asked, run, recorded or given."""
    chosen = person.results.get(place, {}).get("do")
    return str(chosen or USUALLY.get(awaiting, RUN))


def place_of(state: State) -> str:
    """`node`, or `sub/node`, where a run stands."""
    return f"{state.flow}/{state.node}" if state.flow else state.node
