"""Everything that happened with a person, as one line: conversations, bot runs, tickets, ratings,
changes, notes and consents. Whoever looks sees no more of it than elsewhere.

A page is found by one statement over all kinds (moments and ids alone) and then filled by one
statement a kind, however long the line is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from typing import Any

from django.db.models import (
    Avg,
    Count,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from chatbot.channels.inbound import Kind as MessageKind
from chatbot.facts import departments
from chatbot.labels import preview_label
from chatbot.models import Author, FlowLog, FlowLogKind, FlowRun, FlowVersion, MessageLog
from leads.models import Consent, Lead, LeadStatusChange, Note
from sessions_app.models import EndReason, Owner, Session
from tickets.models import InternalNote, Ticket
from users.models import User

PAGE = 20
LINES = 2  # last messages shown of a conversation
OPENING = timedelta(seconds=5)  # what opens a ticket is stored moments before it
EPOCH, EVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

_CURSOR = re.compile(r"(\d{1,17})\.(\d{1,2})\.(\d{1,18})", re.ASCII)
_REMARKS = (
    MessageKind.REACTION,
    MessageKind.REACTION_REMOVED,
    MessageKind.EDIT,
    MessageKind.REVOKE,
    MessageKind.SYSTEM,
)


class Kind(IntEnum):
    """What an entry is about. The number orders entries of one moment and is part of a cursor."""

    CREATED = 1
    CONSENT = 2
    STATUS = 3
    NOTE = 4
    RUN = 5
    TALK = 6
    TICKET = 7
    RATING = 8


TABS: dict[str, tuple[Promise, tuple[Kind, ...]]] = {
    "": (pgettext_lazy("timeline", "All"), tuple(Kind)),
    "tickets": (gettext_lazy("Tickets"), (Kind.TICKET, Kind.RATING)),
    "bot": (gettext_lazy("Bot"), (Kind.RUN,)),
    "notes": (gettext_lazy("Notes"), (Kind.NOTE,)),
    "changes": (gettext_lazy("Changes"), (Kind.STATUS, Kind.CONSENT, Kind.CREATED)),
}


@dataclass(frozen=True)
class Cursor:
    """The last entry of a page; older ones come after it."""

    moment: datetime
    kind: int
    pk: int

    def __str__(self) -> str:
        return f"{(self.moment - EPOCH) // timedelta(microseconds=1)}.{self.kind}.{self.pk}"

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        match = _CURSOR.fullmatch(text)
        if match is None:
            return None
        micros, kind, pk = map(int, match.groups())
        return cls(EPOCH + timedelta(microseconds=micros), kind, pk)


@dataclass(frozen=True)
class Line:
    by: str
    text: str


@dataclass(frozen=True)
class Run:
    """How a flow went: passos, time, the way out, and the names of what was collected."""

    steps: int
    duration: timedelta
    exit: str
    collected: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    kind: str
    at: datetime
    of: Any  # the row
    day: date | None = None  # set on the first of a day
    messages: int = 0
    lines: tuple[Line, ...] = ()
    run: Run | None = None


@dataclass(frozen=True)
class Timeline:
    entries: tuple[Entry, ...] = ()
    next: str = ""  # cursor of the page after this one
    tab: str = ""
    before: str = ""  # cursor of this page; "" for the first


def timeline(lead: Lead, *, user: User, tab: str = "", before: Cursor | None = None) -> Timeline:
    """The page of the line that begins after `before`, newest first."""
    found = _page(lead, user=user, kinds=TABS[tab][1], before=before)
    shown = found[:PAGE]
    rows = _Rows(shown, lead, user)
    last = shown[-1] if len(found) > PAGE else None
    return Timeline(
        entries=tuple(_entries(shown, rows, before)),
        next=str(last) if last else "",
        tab=tab,
        before=str(before) if before else "",
    )


def summary(lead: Lead, *, user: User) -> dict[str, Any]:
    """How much there was with this person, of what `user` may see; two statements."""
    sessions = Session.objects.visible_to(user).filter(lead=lead)
    tickets = Ticket.objects.visible_to(user).filter(lead=lead)
    rated = tickets.aggregate(count=Count("pk"), rating=Avg("rating"))
    talks = sessions.aggregate(count=Count("pk"), last_at=Max("last_message_at"))
    return {
        "conversations": talks["count"],
        "last_at": talks["last_at"],
        "tickets": rated["count"],
        "rating": rated["rating"],
    }


# --- Which ones --------------------------------------------------------------------------------


def _page(lead: Lead, *, user: User, kinds: Sequence[Kind], before: Cursor | None) -> list[Cursor]:
    sources = _sources(lead, user)
    first, *others = (_ids(kind, *sources[kind], before) for kind in kinds)
    rows = first.union(*others, all=True) if others else first
    newest = rows.order_by("-moment", "-of_kind", "-row")[: PAGE + 1]
    return [Cursor(*row) for row in newest]


def _sources(lead: Lead, user: User) -> dict[Kind, tuple[QuerySet[Any], str | Coalesce]]:
    """Of each kind the rows that `user` may see, and when they happened."""
    tickets = Ticket.objects.visible_to(user).filter(lead=lead)
    sessions = Session.objects.visible_to(user).filter(lead=lead)
    runs = FlowRun.objects.filter(session__in=sessions.order_by().values("pk"))
    return {
        Kind.TICKET: (tickets, Coalesce("last_message_at", "created_at")),
        Kind.RATING: (tickets.filter(rating__isnull=False, rated_at__isnull=False), "rated_at"),
        Kind.RUN: (runs, "started_at"),
        Kind.TALK: (_talks(sessions, tickets), "last_message_at"),
        Kind.NOTE: (Note.objects.filter(lead=lead), "created_at"),
        Kind.STATUS: (
            LeadStatusChange.objects.filter(lead=lead).exclude(from_status=""),
            "created_at",
        ),
        Kind.CONSENT: (Consent.objects.filter(lead=lead), "recorded_at"),
        Kind.CREATED: (Lead.objects.filter(pk=lead.pk), "created_at"),
    }


def _talks(sessions: QuerySet[Session], tickets: QuerySet[Ticket]) -> QuerySet[Session]:
    """Conversations that no run and no ticket tells of already."""
    by_bot = FlowRun.objects.filter(session=OuterRef("pk"))
    by_people = tickets.filter(session=OuterRef("pk"))
    return sessions.filter(~Exists(by_bot), ~Exists(by_people), last_message_at__isnull=False)


def _ids(
    kind: Kind, rows: QuerySet[Any], moment: str | Coalesce, before: Cursor | None
) -> QuerySet[Any]:
    at = F(moment) if isinstance(moment, str) else moment
    marked = rows.order_by().annotate(
        moment=at, of_kind=Value(int(kind), output_field=IntegerField()), row=F("pk")
    )
    if before is not None:
        marked = marked.filter(_older(kind, before))
    return marked.values_list("moment", "of_kind", "row")


def _older(kind: Kind, before: Cursor) -> Q:
    """After `before` in the order newest first: by moment, then kind, then id."""
    if kind > before.kind:
        return Q(moment__lt=before.moment)
    if kind < before.kind:
        return Q(moment__lte=before.moment)
    return Q(moment__lt=before.moment) | Q(moment=before.moment, row__lt=before.pk)


# --- What they say -----------------------------------------------------------------------------


@dataclass
class _Rows:
    """The rows of one page, each kind read in one statement and only if the page has it."""

    found: Sequence[Cursor]
    lead: Lead
    user: User
    rows: dict[int, dict[int, Any]] = field(init=False)
    lines: dict[int, Line] = field(init=False)
    runs: dict[int, Run] = field(init=False)

    def __post_init__(self) -> None:
        tickets = self._read(_tickets(), Kind.TICKET, Kind.RATING)
        talks = self._read(_sessions(), Kind.TALK)
        runs = self._read(_runs(), Kind.RUN)
        self.rows = {
            Kind.TICKET: tickets,
            Kind.RATING: tickets,
            Kind.TALK: talks,
            Kind.RUN: runs,
            Kind.NOTE: self._read(Note.objects.select_related("author"), Kind.NOTE),
            Kind.STATUS: self._read(LeadStatusChange.objects.select_related("actor"), Kind.STATUS),
            Kind.CONSENT: self._read(Consent.objects.all(), Kind.CONSENT),
            Kind.CREATED: {self.lead.pk: self.lead},
        }
        self.lines = _lines([*tickets.values(), *talks.values()], self.lead)
        self.runs = _told(list(runs.values()))

    def _read(self, rows: QuerySet[Any], *kinds: Kind) -> dict[int, Any]:
        pks = [one.pk for one in self.found if one.kind in kinds]
        return rows.in_bulk(pks) if pks else {}

    def lines_of(self, row: Any) -> tuple[Line, ...]:
        ids = (getattr(row, f"line_{number}", None) for number in range(LINES))
        return tuple(self.lines[pk] for pk in ids if pk in self.lines)[::-1]


def _entries(found: Sequence[Cursor], rows: _Rows, before: Cursor | None) -> Iterable[Entry]:
    """Those whose row is still there, with the separators of the days."""
    last = timezone.localdate(before.moment) if before else None
    for one in found:
        row = rows.rows[one.kind].get(one.pk)
        if row is None:
            continue
        day = timezone.localdate(one.moment)
        yield Entry(
            kind=Kind(one.kind).name.lower(),
            at=one.moment,
            of=row,
            day=day if day != last else None,
            messages=getattr(row, "messages_count", None) or 0,
            lines=rows.lines_of(row) if one.kind in (Kind.TICKET, Kind.TALK) else (),
            run=rows.runs.get(one.pk) if one.kind == Kind.RUN else None,
        )
        last = day


def _tickets() -> QuerySet[Ticket]:
    since = ExpressionWrapper(F("created_at") - OPENING, output_field=DateTimeField())
    until = Coalesce("closed_at", "resolved_at", Value(EVER, output_field=DateTimeField()))
    rows = Ticket.objects.select_related("department", "assignee")
    rows = rows.annotate(since=since, until=until)
    span = (OuterRef("since"), OuterRef("until"))
    said = _said().filter(session=OuterRef("session"), created_at__range=span)
    notes = InternalNote.objects.filter(ticket=OuterRef("pk"))
    return _with_lines(rows, said).annotate(notes_count=_count(notes, "ticket"))


def _sessions() -> QuerySet[Session]:
    rows = Session.objects.select_related("channel").defer(
        "context", "flow_state", "channel__credentials", "channel__settings"
    )
    return _with_lines(rows, _said().filter(session=OuterRef("pk")))


def _said() -> QuerySet[MessageLog]:
    """What somebody said, without remarks about it."""
    return MessageLog.objects.exclude(author=Author.SYSTEM).exclude(kind__in=_REMARKS)


def _with_lines(rows: QuerySet[Any], said: QuerySet[MessageLog]) -> QuerySet[Any]:
    """With the ids of the last messages and how many there are."""
    newest = said.order_by("-pk").values("pk")
    lines = {f"line_{n}": Subquery(newest[n : n + 1]) for n in range(LINES)}
    return rows.annotate(messages_count=_count(said, "session"), **lines)


def _count(rows: QuerySet[Any], by: str) -> Subquery:
    counted = rows.order_by().values(by).annotate(number=Count("pk")).values("number")
    return Subquery(counted, output_field=IntegerField())


def _lines(rows: Iterable[Any], lead: Lead) -> dict[int, Line]:
    ids = {getattr(row, f"line_{number}") for row in rows for number in range(LINES)} - {None}
    if not ids:
        return {}
    said = MessageLog.objects.filter(pk__in=ids).select_related("author_user").defer("payload")
    return {one.pk: Line(_by(one, lead), one.text or preview_label(one.kind)) for one in said}


def _by(row: MessageLog, lead: Lead) -> str:
    match row.author:
        case Author.CUSTOMER:
            return next(iter(lead.name.split()), "") or _("Customer")
        case Author.BOT:
            return _("Bot")
    return row.author_user.first_name or str(row.author_user) if row.author_user else _("Team")


# --- Bot runs ----------------------------------------------------------------------------------


def _runs() -> QuerySet[FlowRun]:
    rows = FlowRun.objects.select_related("version__flow", "session")
    return rows.defer(
        "version__document", "version__flow__draft", "session__context", "session__flow_state"
    )


def _told(runs: Sequence[FlowRun]) -> dict[int, Run]:
    """From the log rows of all these runs and what their flows call the variables, each read in
    one statement."""
    if not runs:
        return {}
    logs = FlowLog.objects.filter(
        session__in={run.session_id for run in runs}, run__in=runs, kind=FlowLogKind.STEP
    )
    by_run: dict[int, list[Any]] = {run.pk: [] for run in runs}
    columns = ("run_id", "created_at", "trace", "effects", "context_set")
    for row in logs.order_by("session", "seq").values(*columns):
        by_run[row["run_id"]].append(row)
    labels = _labels({run.version_id for run in runs})
    return {run.pk: _run(run, by_run[run.pk], labels.get(run.version_id, {})) for run in runs}


def _labels(versions: Collection[int]) -> dict[int, dict[str, str]]:
    """What flow versions call their variables; none of a sub-flow's own."""
    declared = FlowVersion.objects.filter(pk__in=versions).values_list("pk", "document__variables")
    return {
        version: {name: one.get("label", "") for name, one in (variables or {}).items()}
        for version, variables in declared
    }


def _run(run: FlowRun, logs: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Run:
    passed = {one["node"] for log in logs for one in log["trace"]}
    collected = dict.fromkeys(name for log in logs for name in log["context_set"])
    last = logs[-1]["created_at"] if logs else run.started_at
    effects = [effect for log in logs for effect in log["effects"]]
    return Run(
        steps=len(passed),
        duration=max(last - run.started_at, timedelta()),
        exit=_exit(run, effects),
        collected=tuple(labels.get(name) or name for name in collected if not name.startswith("_")),
    )


def _exit(run: FlowRun, effects: Iterable[Mapping[str, Any]]) -> str:
    """How it came to an end, in words."""
    handoff = next((one for one in effects if one.get("kind") == "open_ticket"), None)
    if handoff is not None:
        return _passed_to(str(handoff.get("department", "")))
    if run.finished_at is not None:
        return _("came to its end")
    session = run.session
    if session.is_live and session.owner == Owner.BOT and session.epoch == run.epoch:
        return _("still going on")
    if session.end_reason == EndReason.IDLE and session.epoch == run.epoch:
        return _("no answer from the person")
    return _("interrupted")


def _passed_to(slug: str) -> str:
    name = next((one.name for one in departments.rows() if one.slug == slug), "")
    return _("passed to %(department)s") % {"department": name} if name else _("passed to the team")
