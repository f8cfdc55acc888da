"""What was said beside what the flow did, in the order of time: one page of a history that may be
long, read from two tables with a statement each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chatbot.channels.inbound import Kind
from chatbot.flow_words import FAILING_EXITS, LogLine, lines_of
from chatbot.labels import KIND_LABELS, preview_label, why_failed
from chatbot.models import Author, Direction, FlowLog, MessageLog, MessageStatus
from sessions_app.models import Session
from users.digits import whole

PAGE = 50
SHOWN = ("all", "messages", "flow", "errors")
FAILED = (MessageStatus.FAILED, MessageStatus.SUPERSEDED)
NOTHING_BELOW = 0

Row = MessageLog | FlowLog


@dataclass(frozen=True)
class Mark:
    """A place between two rows: a message's id and a log row's number. None: no bound."""

    message: int | None = None
    seq: int | None = None

    def __str__(self) -> str:
        return f"{self.message or ''}-{self.seq or ''}"

    @classmethod
    def read(cls, text: str) -> Mark | None:
        """The mark that an address holds; None when it holds none."""
        first, dash, second = text.partition("-")
        parts = first, second
        if not dash or any(part and whole(part) is None for part in parts):
            return None
        return cls(*(int(part) if part else None for part in parts))


@dataclass(frozen=True)
class Said:
    """A message, short enough for a lane."""

    pk: int
    author: str
    by: str
    text: str
    chips: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True)
class LaneLine:
    at: datetime
    day: date | None = None  # set on the first of a day
    said: Said | None = None
    steps: tuple[LogLine, ...] = ()


@dataclass(frozen=True)
class Lanes:
    """One page. `earlier` and `later` are the marks of the pages beside it, None where there is
    nothing more."""

    lines: tuple[LaneLine, ...]
    show: str
    earlier: Mark | None
    later: Mark | None
    is_latest: bool


def read_lanes(
    session: Session, *, show: str = "all", before: Mark | None = None, after: Mark | None = None
) -> Lanes:
    """The rows just before a mark, just after one, or the last ones."""
    if after is not None:
        return _page_after(session, show, after)
    return _page_before(session, show, before)


def _page_before(session: Session, show: str, before: Mark | None) -> Lanes:
    bound = before or Mark()
    messages = _messages(session, show).order_by("-pk")
    logs = _logs(session, show).order_by("-seq")
    if bound.message is not None:
        messages = messages.filter(pk__lt=bound.message)
    if bound.seq is not None:
        logs = logs.filter(seq__lt=bound.seq)
    found = _merged(messages[: PAGE + 1], logs[: PAGE + 1], is_backward=True)
    rows = found[:PAGE][::-1]
    first, last = _ends(rows, bound)
    is_latest = before is None
    return Lanes(
        lines=tuple(_lines(rows, session)),
        show=show,
        earlier=first if len(found) > PAGE else None,
        later=None if is_latest else last,
        is_latest=is_latest,
    )


def _page_after(session: Session, show: str, after: Mark) -> Lanes:
    messages = _messages(session, show).filter(pk__gt=after.message or NOTHING_BELOW)
    logs = _logs(session, show).filter(seq__gt=after.seq or NOTHING_BELOW)
    found = _merged(
        messages.order_by("pk")[: PAGE + 1], logs.order_by("seq")[: PAGE + 1], is_backward=False
    )
    if len(found) <= PAGE:
        return _page_before(session, show, None)
    rows = found[:PAGE]
    bound = Mark((after.message or NOTHING_BELOW) + 1, (after.seq or NOTHING_BELOW) + 1)
    first, last = _ends(rows, bound)
    return Lanes(tuple(_lines(rows, session)), show, earlier=first, later=last, is_latest=False)


def _ends(rows: Sequence[Row], bound: Mark) -> tuple[Mark, Mark]:
    """The marks just before the first of the rows and just after the last one. Where a table has no
    row among them, what bounded the page bounds the next one."""
    pks = [row.pk for row in rows if isinstance(row, MessageLog)]
    seqs = [row.seq for row in rows if isinstance(row, FlowLog)]
    first = Mark(min(pks, default=bound.message), min(seqs, default=bound.seq))
    last = Mark(
        max(pks, default=(bound.message or 1) - 1),
        max(seqs, default=(bound.seq or 1) - 1),
    )
    return first, last


def _messages(session: Session, show: str) -> Any:
    rows = MessageLog.objects.filter(session=session).select_related("author_user")
    if show == "flow":
        return rows.none()
    return rows.filter(status__in=FAILED) if show == "errors" else rows


def _logs(session: Session, show: str) -> Any:
    rows = FlowLog.objects.filter(session=session).select_related("run")
    if show == "messages":
        return rows.none()
    if show != "errors":
        return rows
    return rows.filter(Q(state__tries__gt=0) | Q(trace__0__exit__in=FAILING_EXITS))


def _merged(
    messages: Iterable[MessageLog], logs: Iterable[FlowLog], *, is_backward: bool
) -> list[Row]:
    """Both in one order. Within a table the stored order stays, whatever the clocks said."""
    sides: list[list[Row]] = [list(messages), list(logs)]
    places = [0, 0]
    merged: list[Row] = []
    while any(place < len(side) for place, side in zip(places, sides, strict=True)):
        heads = [
            (_moment(side[place]), number)
            for number, (place, side) in enumerate(zip(places, sides, strict=True))
            if place < len(side)
        ]
        number = (max(heads) if is_backward else min(heads))[1]
        merged.append(sides[number][places[number]])
        places[number] += 1
    return merged


def _moment(row: Row) -> tuple[datetime, int]:
    """What one turn writes has one time: what came in, then the steps, then what went out."""
    if isinstance(row, FlowLog):
        return row.created_at, 1
    return row.created_at, 0 if row.direction == Direction.INBOUND else 2


def _lines(rows: Sequence[Row], session: Session) -> Iterator[LaneLine]:
    """A step stands beside the message that led to it."""
    day: date | None = None
    in_words = {
        line.pk: line for line in lines_of([row for row in rows if isinstance(row, FlowLog)])
    }
    for said, steps in _grouped(rows):
        at = said.created_at if said else steps[0].created_at
        today = timezone.localdate(at)
        yield LaneLine(
            at=at,
            day=today if today != day else None,
            said=_said(said, session) if said else None,
            steps=tuple(in_words[step.pk] for step in steps),
        )
        day = today


def _grouped(rows: Sequence[Row]) -> list[tuple[MessageLog | None, list[FlowLog]]]:
    groups: list[tuple[MessageLog | None, list[FlowLog]]] = []
    for row in rows:
        if isinstance(row, MessageLog):
            groups.append((row, []))
            continue
        said, steps = groups[-1] if groups else (None, [])
        is_answer = said is not None and said.direction == Direction.INBOUND
        at = steps[-1].created_at if steps else said.created_at if said else None
        if groups and at == row.created_at and (is_answer or said is None):
            steps.append(row)
        else:
            groups.append((None, [row]))
    return groups


def _said(row: MessageLog, session: Session) -> Said:
    is_failed = row.status == MessageStatus.FAILED
    failure = why_failed(row, session.channel.kind) or _("not delivered") if is_failed else ""
    return Said(
        pk=row.pk,
        author=row.author,
        by=_by(row),
        text=row.text or preview_label(row.kind),
        chips=tuple(_chips(row)),
        failure=failure,
    )


def _by(row: MessageLog) -> str:
    if row.author == Author.ATTENDANT:
        return str(row.author_user) if row.author_user else _("Answered on the phone")
    return str(Author(row.author).label)


def _chips(row: MessageLog) -> Iterator[str]:
    options = row.payload.get("options")
    count = len(options) if isinstance(options, list) else 0
    match row.kind:
        case Kind.BUTTONS if count:
            yield ngettext("%(count)d button", "%(count)d buttons", count) % {"count": count}
        case Kind.LIST if count:
            said = ngettext("list, %(count)d option", "list, %(count)d options", count)
            yield said % {"count": count}
        case Kind.BUTTON_REPLY:
            yield _("button")
        case Kind.LIST_REPLY:
            yield _("list")
        case Kind.TEXT:
            pass
        case _ if row.text and row.kind in KIND_LABELS:
            yield str(KIND_LABELS[row.kind])
    if row.status == MessageStatus.SUPERSEDED:
        yield str(MessageStatus.SUPERSEDED.label)
