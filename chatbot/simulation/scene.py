"""Everything that a page shows of a simulated person, read in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from django.db.models import Q
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from chatbot import transcript
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.state import State
from chatbot.flow_words import (
    LogLine,
    Value,
    document_or_none,
    lines_of,
    title_of,
    values_of,
)
from chatbot.models import (
    Flow,
    FlowLog,
    FlowVersion,
    SimulatedPerson,
    Task,
    Trigger,
    TriggerKind,
)
from chatbot.simulation import people
from chatbot.simulation.integrations import Integration, integrations_of
from chatbot.simulation.notices import Line, line_of, span_in_words
from chatbot.simulation.passing import waiting_task
from chatbot.simulation.staging import place_of
from chatbot.transcript_bubbles import Bubble
from sessions_app.models import ChannelKind, Session
from tickets.models import Ticket

LOG_ROWS = 60
NOTHING_SAID = transcript.Transcript()


@dataclass(frozen=True)
class Moment:
    """A bubble, with the lines before it, and before the first one of a step the passos that led
    to it. The last moment may have lines alone."""

    bubble: Bubble | None
    passage: str = ""
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Scene:
    person: SimulatedPerson | None = None
    sessions: tuple[Session, ...] = ()
    talk: transcript.Transcript = NOTHING_SAID
    lines: tuple[LogLine, ...] = ()
    values: tuple[Value, ...] = ()
    node: str = ""
    node_title: str = ""
    version: FlowVersion | None = None
    document: FlowDocument | None = None
    ticket: Ticket | None = None
    task: Task | None = None
    notices: tuple[dict[str, Any], ...] = field(default=())

    @property
    def session(self) -> Session | None:
        return self.sessions[0] if self.sessions else None

    @property
    def flow(self) -> str:
        return str(self.version) if self.version else ""

    @property
    def now(self) -> datetime:
        now = people.now_of(self.person) if self.person else timezone.now()
        return timezone.localtime(now)

    @property
    def ahead(self) -> str:
        """How far the clock is before everybody's; empty when it is not."""
        ahead = self.person.ahead if self.person else timedelta()
        return span_in_words(round(ahead.total_seconds())) if ahead else ""

    @property
    def ahead_seconds(self) -> str:
        """As a form names what it saw, to the microsecond."""
        return str(self.person.ahead.total_seconds()) if self.person else "0"

    @cached_property
    def integrations(self) -> list[Integration]:
        """Those of the document that answers, else of the one that will."""
        if self.document is None or self.version is None:
            return []
        return integrations_of(self.document, self.version.flow_id, self.person)

    @cached_property
    def awaited(self) -> Integration | None:
        """The one whose result the tester is asked for."""
        if self.task is None or self.session is None:
            return None
        place = place_of(State.model_validate(self.session.flow_state["engine"]))
        return next((one for one in self.integrations if one.place == place), None)

    @property
    def moments(self) -> list[Moment]:
        return list(self._moments())

    def _moments(self) -> Iterator[Moment]:
        paths = {line.pk: f"{line.start} → {line.end}" for line in self.lines if line.has_moved}
        bubbles = self.talk.bubbles
        oldest = bubbles[0].pk if self.talk.has_earlier else 0
        waiting = [one for one in self.notices if int(one["after"]) >= oldest]
        day = None
        for bubble in bubbles:
            before = [one for one in waiting if int(one["after"]) < bubble.pk]
            waiting = waiting[len(before) :]
            today = timezone.localdate(bubble.at)
            shown = replace(bubble, day=today if today != day else None)
            day = today
            path = paths.pop(bubble.flow_log_id or 0, "")
            yield Moment(shown, path, tuple(map(line_of, before)))
        if waiting:
            yield Moment(None, lines=tuple(map(line_of, waiting)))

    @property
    def answers(self) -> list[Bubble]:
        """What was said since the customer last spoke."""
        said: list[Bubble] = []
        for bubble in self.talk.bubbles:
            said = [] if bubble.is_inbound else [*said, bubble]
        return said

    @property
    def digest(self) -> str:
        """Changes with anything that the page shows, but for the clock that goes on."""
        seen = [(s.pk, s.seq, s.owner, s.epoch, s.end_reason) for s in self.sessions]
        ticket = self.ticket and (self.ticket.pk, self.ticket.status)
        task = self.task and self.task.pk
        person = self.person and (self.person.pk, self.person.ahead, len(self.notices))
        known = (seen, ticket, task, person, self.talk.last_id, self.talk.marks)
        return f"{crc32(repr(known).encode()):08x}"


def scene_of(person: SimulatedPerson | None, *, version: FlowVersion | None = None) -> Scene:
    """`version`: what will answer somebody who has not said anything yet."""
    sessions = people.sessions_of(person) if person else []
    if person is None or not sessions:
        chosen = version or (person.version if person else None)
        document = document_or_none(chosen.pk) if chosen else None
        notices = tuple(person.notices) if person else ()
        return Scene(person, version=chosen, document=document, notices=notices)
    session = sessions[0]
    version_id = session.flow_state.get("version")
    document = document_or_none(version_id)
    node = session.current_state
    versions = FlowVersion.objects.filter(pk=version_id).select_related("flow")
    ticket = Ticket.objects.filter(session=session).order_by("-pk").first()
    return Scene(
        person=person,
        sessions=tuple(sessions),
        talk=transcript.latest(sessions),
        lines=tuple(_lines(session)),
        values=tuple(values_of(session.context, document)),
        node=node,
        node_title=title_of(document, session.flow_state.get("engine", {}).get("flow", ""), node),
        version=versions.defer("document", "flow__draft").first(),
        document=document,
        ticket=ticket,
        task=waiting_task(session),
        notices=tuple(person.notices),
    )


def is_ready() -> bool:
    """Is there a published flow that answers whatever is said first?"""
    entries = Trigger.objects.filter(
        Q(channel=None) | Q(channel__kind=ChannelKind.SIMULATOR),
        is_active=True,
        flow__is_active=True,
        flow__published__isnull=False,
    )
    return entries.exclude(kind=TriggerKind.TICKET_CLOSED).exists()


def _lines(session: Session) -> list[LogLine]:
    """The flow log, newest first."""
    rows = FlowLog.objects.filter(session=session).select_related("run").order_by("-seq")[:LOG_ROWS]
    return lines_of(list(rows))


@dataclass(frozen=True)
class Choice:
    """A document that somebody new can be started on."""

    value: str
    label: str
    is_chosen: bool = False


def choices_of(flow: Flow, chosen: FlowVersion | None) -> list[Choice]:
    """The draft and the newest versions."""
    is_draft = chosen is None or chosen.number is None
    rows = flow.versions.published().only("number", "flow").order_by("-number")[:20]
    found = [Choice("draft", _("draft"), is_draft)]
    for row in rows:
        label = f"v{row.number}"
        if row.pk == flow.published_id:
            label = _("%(version)s, on air") % {"version": label}
        is_chosen = chosen is not None and chosen.pk == row.pk
        found.append(Choice(str(row.pk), label, is_chosen))
    return found
