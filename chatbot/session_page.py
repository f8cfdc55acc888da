"""A session's page: where the person is, what the bot knows, what was said and what the flow did.

Every part costs a bounded number of statements, whatever the length of the conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zlib import crc32

from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chatbot.engine.kinds import Ask
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.replay import REDACTED
from chatbot.flow_map import FlowMap, SeenMap, Trail, map_of, with_trail
from chatbot.flow_words import (
    Value,
    document_or_none,
    node_at,
    sensitive_names,
    shown_of,
    title_of,
    value_of,
    values_of,
    variable_of,
)
from chatbot.models import FlowLog, FlowLogKind, FlowVersion, MessageLog
from chatbot.session_actions import ends_at
from chatbot.session_page_lanes import SHOWN, Lanes, Mark, read_lanes
from chatbot.silence import idle_rule
from sessions_app.models import Owner, Session
from tickets.models import Ticket
from users.masking import masked
from users.models import Department, User

TRAIL_ROWS = 200  # of the log, from the newest: enough for the way through any flow
RECENT = 20  # messages whose delivery a poll looks at
TICKETS_SHOWN = 5
SESSIONS_COUNTED = 100
LOG_ROWS_COPIED = 50
MINUTE = 60
SOON = timedelta(minutes=20)


@dataclass(frozen=True)
class Asked:
    """What an address says about the page: `view` of the map, the `flow` drawn, lanes and marks."""

    view: str = "map"
    flow: str | None = None  # None: the (sub-)flow where the person is
    show: str = "all"
    before: Mark | None = None
    after: Mark | None = None

    @classmethod
    def read(cls, query: QueryDict) -> Asked:
        show = query.get("show", "all")
        return cls(
            view="table" if query.get("view") == "table" else "map",
            flow=query.get("flow"),
            show=show if show in SHOWN else "all",
            before=Mark.read(query.get("before", "")),
            after=Mark.read(query.get("after", "")),
        )

    @property
    def is_past(self) -> bool:
        return self.before is not None or self.after is not None


@dataclass(frozen=True)
class Drawn:
    """The map of one (sub-)flow, and the others of the same version to look at."""

    seen: SeenMap
    others: tuple[FlowMap, ...]


@dataclass(frozen=True)
class Silence:
    """How long a customer has been silent, of how many minutes, and what happens then."""

    minutes: int
    limit: int
    left: int
    is_soon: bool
    consequence: str
    ends_at: datetime

    @property
    def percent(self) -> int:
        return min(100, self.minutes * 100 // self.limit)

    @property
    def extends(self) -> str:
        """The end as a form holds it."""
        return self.ends_at.isoformat()


@dataclass(frozen=True)
class Known:
    """A variable on the page; `is_missing`: asked for, and not answered yet."""

    value: Value
    is_missing: bool = False


@dataclass(frozen=True)
class Related:
    tickets: tuple[Ticket, ...]
    more_tickets: bool
    earlier: int
    is_many: bool


class SessionPage:
    """Everything that the page shows of one session to one person at one time; each part is read
    when it is asked for."""

    def __init__(
        self, session: Session, *, user: User, at: datetime, asked: Asked | None = None
    ) -> None:
        self.session = session
        self.user = user
        self.at = at
        self.asked = asked or Asked()
        stored = session.flow_state
        self.version_id: int | None = stored.get("version")
        self.engine: Mapping[str, Any] = stored.get("engine") or {}

    @property
    def began_today(self) -> bool:
        return timezone.localdate(self.session.started_at) == timezone.localdate(self.at)

    # -- who has it

    @cached_property
    def ticket(self) -> Ticket | None:
        """The open ticket, for who speaks now: its holder is known to whoever sees the session."""
        if self.session.owner == Owner.BOT:
            return None
        mine = Ticket.objects.open().filter(session=self.session)
        return mine.select_related("assignee", "department").defer("variables", "handoff").first()

    @property
    def with_whom(self) -> str:
        """Who speaks with the customer, in words."""
        match self.session.owner:
            case Owner.QUEUE:
                return _("with the queue")
            case Owner.ATTENDANT:
                holder = self.ticket.assignee if self.ticket else None
                return _("with %(person)s") % {"person": holder or _("the team")}
        return {
            "customer": _("waiting for an answer"),
            "wait": _("waiting for its time"),
            "http": _("waiting for another system"),
            "handler": _("waiting for an integration"),
        }.get(self.engine.get("awaiting", ""), _("with the bot"))

    # -- what staff may do

    @cached_property
    def may_change(self) -> bool:
        return self.session.is_live and self.user.has_perm("sessions_app.change_session")

    @property
    def may_end(self) -> bool:
        return self.may_change and self.session.owner == Owner.BOT

    @property
    def may_begin_again(self) -> bool:
        return self.may_end and self.document is not None

    @property
    def may_hand_over(self) -> bool:
        is_with_bot = self.session.is_live and self.session.owner == Owner.BOT
        return is_with_bot and self.user.has_perm("tickets.change_ticket")

    @cached_property
    def departments(self) -> list[Department]:
        return list(Department.objects.visible_to(self.user).active().order_by("name"))

    @property
    def choices(self) -> Iterator[tuple[str, str]]:
        """The passos where the conversation may begin again."""
        drawing = self._map("")
        for node in drawing.nodes if drawing else ():
            yield node.id, node.title

    # -- where the person is

    @cached_property
    def version(self) -> FlowVersion | None:
        if self.version_id is None:
            return None
        versions = FlowVersion.objects.filter(pk=self.version_id).select_related("flow")
        return versions.defer("document", "flow__draft").first()

    @cached_property
    def document(self) -> FlowDocument | None:
        return document_or_none(self.version_id)

    @property
    def place(self) -> str:
        """The passo where the run stands, as traces name it; "" when it stands nowhere."""
        key, node = self.engine.get("flow", ""), self.session.current_state
        return f"{key}/{node}" if key and node else node

    @property
    def node_title(self) -> str:
        return title_of(self.document, self.engine.get("flow", ""), self.session.current_state)

    @cached_property
    def drawn(self) -> Drawn | None:
        """The flow where the person is, or the one that was asked for."""
        here = self.engine.get("flow", "") if self.asked.flow is None else self.asked.flow
        drawing = self._map(here) or self._map("")
        if drawing is None or self.document is None:
            return None
        keys = ["", *sorted(self.document.subflows)]
        others = [one for key in keys if (one := self._map(key)) is not None]
        trail = self._trail(drawing.key)
        return Drawn(with_trail(drawing, trail), tuple(others) if len(others) > 1 else ())

    @cached_property
    def here_since(self) -> datetime | None:
        """When the person came to the passo; None when that was longer ago than the log is read."""
        if not self.session.is_live or not self.session.current_state:
            return None
        since = None
        for row in self._log:
            since = row["created_at"]
            if row["kind"] != FlowLogKind.STEP or row["node"] != row["next_node"]:
                return since
        return since if len(self._log) < TRAIL_ROWS else None

    @property
    def here_for(self) -> timedelta | None:
        return self.at - self.here_since if self.here_since else None

    @property
    def has_just_come(self) -> bool:
        return self.here_for is not None and self.here_for < timedelta(minutes=1)

    @cached_property
    def _log(self) -> list[dict[str, Any]]:
        """The newest rows of the run."""
        rows = FlowLog.objects.filter(session=self.session, run=self.session.flow_state.get("run"))
        names = ("kind", "node", "next_node", "trace", "created_at")
        return list(rows.order_by("-seq").values(*names)[:TRAIL_ROWS])

    def _map(self, key: str) -> FlowMap | None:
        if self.version_id is None or self.document is None:
            return None
        return map_of(self.version_id, key)

    def _trail(self, key: str) -> Trail:
        visited, taken = set(), set()
        for passed in self._passed():
            part, _slash, node_id = str(passed.get("node", "")).rpartition("/")
            if part == key:
                visited.add(node_id)
                taken.add((node_id, str(passed.get("exit", ""))))
        path = self.engine.get("path") or ("",)
        last_key, _slash, last = str(path[-1]).rpartition("/")
        return Trail(
            frozenset(visited),
            frozenset(taken),
            current=self._current_in(key),
            last=last if last_key == key else "",
        )

    def _passed(self) -> Iterable[Mapping[str, Any]]:
        rows = (row["trace"] for row in self._log)
        return (one for trace in rows for one in trace if isinstance(one, dict))

    def _current_in(self, key: str) -> str:
        """The passo where the person is, as this (sub-)flow sees it: inside a sub-flow they are at
        the passo that called it."""
        if not self.session.is_live or self.session.owner != Owner.BOT:
            return ""
        if self.engine.get("flow", "") == key:
            return self.session.current_state
        frames = self.engine.get("stack") or ()
        return next((str(one["node"]) for one in frames if one.get("flow", "") == key), "")

    # -- silence

    @cached_property
    def silence(self) -> Silence | None:
        """None while the bot waits for no customer."""
        session, end = self.session, ends_at(self.session)
        if end is None or session.last_interaction_at is None:
            return None
        limit = max(1, round((end - session.last_interaction_at).total_seconds() / MINUTE))
        left = _minutes(end - self.at)
        return Silence(
            minutes=min(limit, max(0, limit - left)),
            limit=limit,
            left=left,
            is_soon=end - self.at < SOON,
            consequence=self._consequence(end),
            ends_at=end,
        )

    def _consequence(self, end: datetime) -> str:
        """What the bot does about the silence."""
        rule, session = idle_rule(self.session), self.session
        says_bye = rule.end_text.strip() and session.window_is_open(end)
        ending = (
            _("Then the bot says goodbye and ends the session.")
            if says_bye
            else _("Then the session ends without a message.")
        )
        if session.idle_warned_at is not None:
            warned = _("The customer was warned.")
            return f"{warned} {ending}"
        if rule.warn_after is None:
            return ending
        minutes = _minutes(end - rule.grace - self.at)
        warning = ngettext(
            "The bot warns in %(count)d minute.", "The bot warns in %(count)d minutes.", minutes
        )
        return f"{warning % {'count': minutes}} {ending}"

    # -- what is known

    @cached_property
    def variables(self) -> list[Known]:
        """What was collected, and what was asked for and is not there yet."""
        context, document = self.session.context, self.document
        known = [Known(value) for value in values_of(context, document)]
        missing = [name for name in self._asked_for() if context.get(name) in (None, "")]
        names = [name for name in dict.fromkeys(missing) if name not in context]
        for name in names:
            label = variable_of(document, name).label or name
            known.append(Known(Value(name, label, ""), is_missing=True))
        return known

    @property
    def tries(self) -> int:
        return int(self.engine.get("tries") or 0)

    def revealed(self, name: str) -> Value | None:
        """A variable as it is; None when there is none such, or it was erased."""
        value = self.session.context.get(name)
        if name not in self.session.context or value == REDACTED:
            return None
        label = variable_of(self.document, name).label or name
        return Value(name, label, shown_of(name, value, self.document))

    def variable(self, name: str) -> Value | None:
        value = self.session.context.get(name)
        return None if value is None else value_of(name, value, self.document)

    def _asked_for(self) -> list[str]:
        """The variables that questions asked for, where the person passed or is."""
        places = [str(one.get("node", "")) for one in self._passed()]
        nodes = (node_at(self.document, place) for place in [*reversed(places), self.place])
        return [node.save_as for node in nodes if isinstance(node, Ask)]

    # -- what hangs on it

    @cached_property
    def related(self) -> Related:
        mine = Ticket.objects.visible_to(self.user).filter(session=self.session).order_by("-pk")
        found = list(mine.defer("variables", "handoff")[: TICKETS_SHOWN + 1])
        earlier = Session.objects.visible_to(self.user).filter(
            lead=self.session.lead_id, pk__lt=self.session.pk
        )
        count = earlier.order_by()[: SESSIONS_COUNTED + 1].count()
        return Related(
            tickets=tuple(found[:TICKETS_SHOWN]),
            more_tickets=len(found) > TICKETS_SHOWN,
            earlier=min(count, SESSIONS_COUNTED),
            is_many=count > SESSIONS_COUNTED,
        )

    @cached_property
    def lanes(self) -> Lanes:
        asked = self.asked
        return read_lanes(self.session, show=asked.show, before=asked.before, after=asked.after)

    # -- what has changed

    @cached_property
    def digest(self) -> str:
        """Changes with anything that the page shows, and with every minute while time counts. Costs
        one statement."""
        session = self.session
        recent = MessageLog.objects.filter(session=session).order_by("-pk")
        minute = int(self.at.timestamp()) // MINUTE if session.is_live else 0
        seen = (
            (session.seq, session.owner, session.epoch, session.ended_at, session.idle_due_at),
            list(recent.values_list("pk", "status")[:RECENT]),
            minute,
        )
        return f"{crc32(repr(seen).encode()):08x}"

    # -- to copy

    def as_json(self) -> dict[str, Any]:
        """State, variables and the last rows of the log, for a report. Sensitive values are masked
        for everybody: what leaves the page is not logged."""
        session, hidden = self.session, sensitive_names(self.document)
        rows = FlowLog.objects.filter(session=session).order_by("-seq")[:LOG_ROWS_COPIED]
        return {
            "session": session.pk,
            "channel": session.channel.slug,
            "owner": session.owner,
            "epoch": session.epoch,
            "seq": session.seq,
            "current_state": session.current_state,
            "started_at": session.started_at,
            "last_interaction_at": session.last_interaction_at,
            "window_expires_at": session.window_expires_at,
            "idle_due_at": session.idle_due_at,
            "ended_at": session.ended_at,
            "end_reason": session.end_reason,
            "flow": str(self.version) if self.version else None,
            "state": dict(self.engine),
            "context": masked(session.context, hidden),
            "log": [_copied(row, hidden) for row in rows],
        }


def _minutes(stretch: timedelta) -> int:
    """Whole minutes, at least one until it is over."""
    return max(1, round(stretch.total_seconds() / MINUTE)) if stretch > timedelta() else 0


def _copied(row: FlowLog, hidden: frozenset[str]) -> dict[str, Any]:
    """A row without what was said: that is in the conversation, and may hold what is masked."""
    happened = row.message.get("kind", "") if isinstance(row.message, dict) else ""
    return {
        "seq": row.seq,
        "kind": row.kind,
        "at": row.created_at,
        "happened": happened,
        "node": row.node,
        "next_node": row.next_node,
        "trace": row.trace,
        "context_set": masked(row.context_set, hidden),
        "context_unset": row.context_unset,
        "duration_us": row.duration_us,
    }
