"""A fictitious customer whom staff play in the browser; what they say goes every message's way.

Each run of the simulator is a person of its own (`Address("simulator", "<user>-<nonce>")`), on the
simulator channel. Its rows are marked as simulated, and `clear` removes them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zlib import crc32

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from chatbot import delivery, transcript
from chatbot.channels.simulator.transport import SCHEME, inbound_from_form
from chatbot.conversation import Receipt, receive
from chatbot.documents import document_of
from chatbot.engine.nodes import FlowDocument, Variable
from chatbot.labels import EXIT_LABELS, MATCH_LABELS
from chatbot.models import FlowLog, FlowLogKind, FlowVersion, MessageLog, Trigger, TriggerKind
from leads.models import Identity, Lead
from sessions_app.models import Channel, ChannelKind, Session
from tickets.models import Ticket

CUSTOMER_NAME = "Cliente de teste"  # data, not interface: it is the lead's name
SLUG = "simulador"
LOG_ROWS = 60
NOTHING_SAID = transcript.Transcript()
MASK = "••••••"
PLACE = {"latitude": "-8.05428", "longitude": "-34.8813"}  # Recife


@dataclass(frozen=True)
class Value:
    """A variable as the page shows it."""

    name: str
    label: str
    shown: str
    is_masked: bool = False


@dataclass(frozen=True)
class Passage:
    """One passo that a step went through, and why it left by which exit."""

    title: str
    matched: str
    exit: str


@dataclass(frozen=True)
class LogLine:
    """A row of the flow log in words."""

    pk: int
    seq: int
    kind: str
    label: str
    at: datetime
    start: str
    end: str
    passages: tuple[Passage, ...]
    effects: tuple[str, ...]
    changed: tuple[Value, ...]
    removed: tuple[str, ...]
    milliseconds: float


@dataclass(frozen=True)
class Moment:
    """A bubble, and before the first one of a step the passos that led to it."""

    bubble: transcript.Bubble
    passage: str = ""


@dataclass(frozen=True)
class Scene:
    """Everything that the page shows of one fictitious customer."""

    sessions: tuple[Session, ...] = ()
    talk: transcript.Transcript = NOTHING_SAID
    lines: tuple[LogLine, ...] = ()
    values: tuple[Value, ...] = ()
    node: str = ""
    node_title: str = ""
    flow: str = ""
    ticket: Ticket | None = None

    @property
    def session(self) -> Session | None:
        return self.sessions[0] if self.sessions else None

    @property
    def moments(self) -> list[Moment]:
        paths = {line.pk: f"{line.start} → {line.end}" for line in self.lines if _has_moved(line)}
        return [Moment(one, paths.pop(one.flow_log_id or 0, "")) for one in self.talk.bubbles]

    @property
    def answers(self) -> list[transcript.Bubble]:
        """What was said since the customer last spoke."""
        said: list[transcript.Bubble] = []
        for bubble in self.talk.bubbles:
            said = [] if bubble.is_inbound else [*said, bubble]
        return said

    @property
    def digest(self) -> str:
        """Changes with anything that the page shows."""
        seen = [(s.pk, s.seq, s.owner, s.epoch, s.end_reason) for s in self.sessions]
        ticket = self.ticket and (self.ticket.pk, self.ticket.status)
        return f"{crc32(repr((seen, ticket, self.talk.last_id, self.talk.digest)).encode()):08x}"


def channel() -> Channel:
    """The channel of the simulator, made when it is missing."""
    known = Channel.objects.filter(kind=ChannelKind.SIMULATOR).order_by("pk").first()
    if known is not None:
        return known
    return Channel.objects.get_or_create(
        slug=SLUG, defaults={"kind": ChannelKind.SIMULATOR, "name": _("Simulator")}
    )[0]


def is_ready() -> bool:
    """Is there a published flow that answers whatever is said first?"""
    entries = Trigger.objects.filter(
        Q(channel=None) | Q(channel__kind=ChannelKind.SIMULATOR),
        is_active=True,
        flow__is_active=True,
        flow__published__isnull=False,
    )
    return entries.exclude(kind=TriggerKind.TICKET_CLOSED).exists()


def say(customer: str, form: Mapping[str, str], *, now: datetime) -> Receipt:
    """What the customer said or did, through the front door; the answers are delivered at once."""
    where = channel()
    item = inbound_from_form(form, account=None, customer=customer, name=CUSTOMER_NAME, at=now)
    receipt = receive(where, [item], now=now)
    for session in _sessions_of(customer):
        delivery.deliver_session(session.pk)
    return receipt


def chosen(customer: str, message_id: str, option_id: str) -> dict[str, str]:
    """The form of a tap on an option that this customer was offered; empty when they were not."""
    if not message_id.isdigit():
        return {}
    sessions = _sessions_of(customer)
    row = MessageLog.objects.filter(pk=int(message_id), session__in=sessions).first()
    if row is None:
        return {}
    for option in row.payload.get("options", ()):
        if option.get("id") == option_id:
            return {
                "choice_id": option_id,
                "choice_title": option.get("title", ""),
                "choice_kind": row.kind,
                "reply_to": row.provider_id,
            }
    return {}


def scene(customer: str) -> Scene:
    sessions = _sessions_of(customer)
    if not sessions:
        return Scene()
    session = sessions[0]
    document = _document(session.flow_state.get("version"))
    node = session.current_state
    version = FlowVersion.objects.filter(pk=session.flow_state.get("version"))
    flow = version.select_related("flow").defer("document", "flow__draft").first()
    return Scene(
        sessions=tuple(sessions),
        talk=transcript.latest(sessions),
        lines=tuple(_lines(session)),
        values=tuple(_values(session.context, document)),
        node=node,
        node_title=_title(document, session.flow_state.get("engine", {}).get("flow", ""), node),
        flow=str(flow) if flow else "",
        ticket=Ticket.objects.filter(session=session).order_by("-pk").first(),
    )


@transaction.atomic
def clear() -> dict[str, int]:
    """Remove every simulated conversation with its people and tickets; how many there were."""
    counts = count()
    Ticket.objects.filter(is_simulated=True).delete()
    MessageLog.objects.filter(session__is_simulated=True).delete()
    Session.objects.filter(is_simulated=True).delete()
    Lead.objects.filter(is_simulated=True).delete()
    return counts


def count() -> dict[str, int]:
    return {
        "sessions": Session.objects.filter(is_simulated=True).count(),
        "leads": Lead.objects.filter(is_simulated=True).count(),
        "tickets": Ticket.objects.filter(is_simulated=True).count(),
    }


def _sessions_of(customer: str) -> list[Session]:
    """The conversations of this person, newest first."""
    known = Identity.objects.filter(scheme=SCHEME, address=customer).values("lead")
    mine = Session.objects.filter(lead__in=known, is_simulated=True)
    return list(mine.select_related("lead", "channel").order_by("-pk")[:5])


def _document(version_id: int | None) -> FlowDocument | None:
    if version_id is None:
        return None
    return document_of(version_id)


def _title(document: FlowDocument | None, key: str, node_id: str) -> str:
    """What the flow calls a passo; its id when it has no title."""
    part = document.document(key) if document else None
    node = part.nodes.get(node_id) if part else None
    return (node.title if node else "") or node_id


def _any_title(document: FlowDocument | None, node_id: str) -> str:
    """The title of a passo of the flow or of one of its sub-flows."""
    if document is None or not node_id:
        return node_id
    for part in (document, *document.subflows.values()):
        if node_id in part.nodes:
            return part.nodes[node_id].title or node_id
    return node_id


def _values(context: Mapping[str, Any], document: FlowDocument | None) -> list[Value]:
    return [_value(name, value, document) for name, value in sorted(context.items())]


def _value(name: str, value: Any, document: FlowDocument | None) -> Value:
    known = document.variables.get(name, Variable()) if document else Variable()
    shown = MASK if known.sensitive else _shown(value)
    return Value(name, known.label or name, shown, known.sensitive)


def _shown(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return _("yes") if value else _("no")
        case list() | tuple():
            return ", ".join(map(_shown, value))
        case dict():
            return ", ".join(f"{key}: {_shown(one)}" for key, one in value.items())
    return str(value)


def _lines(session: Session) -> list[LogLine]:
    """The flow log, newest first."""
    rows = FlowLog.objects.filter(session=session).select_related("run").order_by("-seq")[:LOG_ROWS]
    return [_line(row) for row in rows]


def _line(row: FlowLog) -> LogLine:
    document = _document(row.run.version_id if row.run else None)
    return LogLine(
        pk=row.pk,
        seq=row.seq,
        kind=row.kind,
        label=str(FlowLogKind(row.kind).label),
        at=row.created_at,
        start=_any_title(document, row.node),
        end=_any_title(document, row.next_node),
        passages=tuple(_passages(row, document)),
        effects=tuple(_effects(row)),
        changed=tuple(_values(row.context_set, document)),
        removed=tuple(row.context_unset),
        milliseconds=row.duration_us / 1000,
    )


def _has_moved(line: LogLine) -> bool:
    return bool(line.start and line.end) and line.start != line.end


def _passages(row: FlowLog, document: FlowDocument | None) -> list[Passage]:
    return [
        Passage(
            title=_any_title(document, passed.get("node", "")),
            matched=_matched(passed.get("matched", ""), passed.get("exit", "")),
            exit=str(EXIT_LABELS.get(passed.get("exit", ""), "")),
        )
        for passed in row.trace
        if isinstance(passed, dict)
    ]


def _matched(matched: str, exit_name: str) -> str:
    """In words, unless it is the flow's own: an option, a case, a route or a word."""
    is_own = ":" in exit_name or exit_name == "word"
    return matched if is_own else str(MATCH_LABELS.get(matched, matched))


def _effects(row: FlowLog) -> list[str]:
    """What the step asked for, beside saying something."""
    labels = {
        "open_ticket": _("opens a ticket"),
        "update_lead": _("updates the lead"),
        "run_handler": _("runs an integration"),
        "call_http": _("calls another system"),
        "wait": _("waits"),
        "end_session": _("ends the conversation"),
    }
    kinds = [effect.get("kind") for effect in row.effects if isinstance(effect, dict)]
    return [labels[kind] for kind in kinds if kind in labels]
