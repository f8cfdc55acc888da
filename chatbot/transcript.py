"""What was said in a conversation, with the team's notes and what happened between, ready for a
page. Reads a bounded number of rows, whatever the length of the conversation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import F, Max, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from chatbot.models import Direction, MessageLog
from chatbot.transcript_bubbles import (
    REMARKS,
    Bubble,
    Delivery,
    bubbles_of,
    chosen_in,
    delivery_of,
    is_remark,
    mark_of,
)
from chatbot.transcript_notices import Event, Note, beginning_of, events_of, note_of, turns_of
from sessions_app.models import Session
from tickets.models import InternalNote, Ticket, TicketEvent
from users.digits import whole
from users.frozen import Frozen
from users.models import User
from users.permissions import ticket_scope

PAGE = 50  # messages of one reading
NOTICES = 100  # notes, and events, of one reading
LONGEST_MARKS = 2000  # characters
RECENT = 20  # messages that each poll looks at again
# What a reply brings about (the claim of its ticket) is logged just after it, and stands before it.
BY_A_REPLY = timedelta(seconds=3)
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


Moment = Bubble | Note | Event


@dataclass(frozen=True)
class Shown:
    """What a page shows already. `marks`: of recent messages but for remarks, by id; None: nobody
    says."""

    message: int = 0
    note: int = 0
    event: int = 0
    marks: dict[int, str] | None = None


@dataclass(frozen=True)
class Transcript:
    """`earlier` names where the messages before begin: a session, and an id in it if it is the same
    one. `changed` are messages that the page shows and that look different now, `moved` those that
    have only come further."""

    moments: tuple[Moment, ...] = ()
    earlier: tuple[int, int | None] | None = None
    shown: Shown = Shown()
    changed: tuple[Bubble, ...] = ()
    moved: tuple[Delivery, ...] = ()

    @property
    def bubbles(self) -> tuple[Bubble, ...]:
        return tuple(one for one in self.moments if isinstance(one, Bubble))

    @property
    def has_earlier(self) -> bool:
        return self.earlier is not None

    @property
    def has_news(self) -> bool:
        return bool(self.moments or self.changed or self.moved)

    @property
    def last_id(self) -> int:
        return self.shown.message

    @property
    def marks(self) -> str:
        """As the address of a poll carries them."""
        return ".".join(f"{pk}-{mark}" for pk, mark in (self.shown.marks or {}).items())


# --- Sessions, and what a poll reads of them ---------------------------------------------------


def marks_in(told: str) -> dict[int, str]:
    """What `Transcript.marks` says, from an address that anybody may have written."""
    pairs = (one.partition("-") for one in told[:LONGEST_MARKS].split("."))
    known = ((whole(pk), mark) for pk, _dash, mark in pairs)
    return {pk: mark for pk, mark in known if pk is not None}


def watched_by(user: User) -> QuerySet[Session]:
    """Sessions that `user` may see, each with how far its notes and events go (`last_note`,
    `last_event`) and with its open ticket (`ticket_id`, `assignee_id`): all in one statement."""
    open_ticket = Ticket.objects.open().filter(session=OuterRef("pk"))
    return (
        Session.objects.visible_to(user)
        .select_related("lead", "channel", "identity")
        .defer("channel__credentials", "context")
        .annotate(
            last_note=_last(InternalNote.objects.filter(ticket_scope_of(user)), user),
            last_event=_last(TicketEvent.objects.filter(ticket_scope_of(user)), user),
            ticket_id=Subquery(open_ticket.values("pk")[:1]),
            assignee_id=Subquery(open_ticket.values("assignee")[:1]),
        )
    )


def watched(session_id: int, user: User) -> Session | None:
    """One of `watched_by`; None if there is none such. One statement."""
    found: Session | None = _WATCHED.first(user.is_admin, user=user, session=session_id)
    return found


def glanced_at(session_id: int, user: User) -> Session | None:
    """As `watched`, with no more of the session than a poll without news must know."""
    found: Session | None = _GLANCED.first(user.is_admin, user=user, session=session_id)
    return found


def ticket_scope_of(user: User) -> Q:
    """Of a row that hangs on a ticket: may the person see the ticket?"""
    return Q() if user.is_admin else ticket_scope(user, "ticket__")


def _last(rows: QuerySet[InternalNote] | QuerySet[TicketEvent], user: User) -> Subquery:
    """The highest id among what hangs on tickets of this lead and channel."""
    mine = rows.filter(
        ticket__lead=OuterRef("lead"), ticket__session__channel=OuterRef("channel")
    ).order_by()
    return Subquery(mine.values("ticket__lead").annotate(last=Max("pk")).values("last"))


_WATCHED = Frozen(lambda _is_admin, user, session: watched_by(user).filter(pk=session))
_GLANCED = Frozen(
    lambda _is_admin, user, session: (
        watched_by(user)
        .filter(pk=session)
        .select_related(None)
        .only("owner", "ended_at", "window_expires_at")
    )
)


# --- Readings ----------------------------------------------------------------------------------


def latest(sessions: Collection[Session], *, before: int | None = None) -> Transcript:
    """The last messages of these sessions, or the last ones before an id, and nothing else."""
    rows = _rows_of(sessions)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    newest = list(rows.order_by("-pk")[: PAGE + 1])
    shown = newest[:PAGE][::-1]
    has_more = len(newest) > PAGE
    return Transcript(
        moments=tuple(bubbles_of(shown)),
        earlier=(shown[0].session_id, shown[0].pk) if has_more else None,
        shown=Shown(message=shown[-1].pk if shown else 0, marks=_marks(shown)),
    )


def opening(session: Session, viewer: User) -> Transcript:
    """The end of the conversation, as a page opens with it. `session` is one of `watched_by`."""
    rows, has_more = _page(session, before=None)
    now = timezone.now()
    notices = [*_notices(session, viewer, rows, since=_begin(rows, has_more, session))]
    notices += turns_of(session, now)
    return Transcript(
        moments=_joined(rows, notices, unread=session.unread),
        earlier=_earlier_than(session, viewer, rows, has_more),
        shown=Shown(
            message=rows[-1].pk if rows else 0,
            note=session.last_note or 0,  # type: ignore[attr-defined]  # annotated
            event=session.last_event or 0,  # type: ignore[attr-defined]  # annotated
            marks=_marks(rows),
        ),
    )


def earlier(session: Session, viewer: User, *, before: int | None) -> Transcript:
    """What stands before a message of this session; without one, the end of an earlier session."""
    rows, has_more = _page(session, before=before)
    since = _begin(rows, has_more, session)
    notices = [*_notices(session, viewer, rows, since=since, until=_end(session, before))]
    if before is None:
        notices += turns_of(session, timezone.now())
    return Transcript(
        moments=_joined(rows, notices),
        earlier=_earlier_than(session, viewer, rows, has_more),
    )


def is_as_shown(session: Session, shown: Shown) -> bool:
    """Has nothing been said or written since, and does every recent message stand where it stood?
    One statement. `session` is one of `glanced_at`."""
    is_noted = (session.last_note or 0) > shown.note or (session.last_event or 0) > shown.event  # type: ignore[attr-defined]  # annotated
    if is_noted:
        return False
    recent = [_Recent(*row) for row in _MARKED.all(session=session.pk)]
    if recent and recent[0].pk > shown.message:
        return False
    if shown.marks is None:
        return True
    return all(shown.marks.get(row.pk) == mark_of(row) for row in recent if not is_remark(row))


class _Recent(NamedTuple):
    """What the mark of a message is made from."""

    pk: int
    author: str
    kind: str
    status: str
    payload: dict[str, Any]
    reaction: str
    edited_at: datetime | None
    revoked_at: datetime | None
    error_code: str


_MARKED = Frozen(
    lambda _shape, session: (
        MessageLog.objects.filter(session=session)
        .order_by("-pk")
        .values_list(*_Recent._fields)[:RECENT]
    )
)


def news(session: Session, viewer: User, *, shown: Shown) -> Transcript:
    """What has come since. One statement when nothing was said or written and no message moved.
    `session` is one of `watched_by`."""
    mine = _rows_of([session])
    # One more than is compared: whoever spoke before the first of them.
    recent = _ENDING.all(session=session)[::-1]
    new = [row for row in recent if row.pk > shown.message]
    if len(new) > RECENT:
        new = list(mine.filter(pk__gt=shown.message).order_by("pk")[:PAGE])
    known = [row for row in recent if row.pk <= shown.message]
    changed, moved = _differences(known, new, shown.marks)
    notices = _news_between(session, viewer, shown)
    return Transcript(
        moments=_joined(new, notices, known=known),
        shown=Shown(
            message=new[-1].pk if new else shown.message,
            note=max(shown.note, session.last_note or 0),  # type: ignore[attr-defined]  # annotated
            event=max(shown.event, session.last_event or 0),  # type: ignore[attr-defined]  # annotated
            marks=_marks([*known, *new]),
        ),
        changed=changed,
        moved=moved,
    )


_ENDING = Frozen(lambda _shape, session: _rows_of([session]).order_by("-pk")[: RECENT + 1])


def again(session: Session, pk: int) -> tuple[Bubble, ...]:
    """One message, as a page that shows it has to draw it now."""
    return tuple(bubbles_of(list(_rows_of([session]).filter(pk=pk))))


# --- Messages ----------------------------------------------------------------------------------


def _rows_of(sessions: Collection[Session]) -> QuerySet[MessageLog]:
    rows = MessageLog.objects.filter(session__in=sessions).select_related("author_user")
    return rows.annotate(channel_kind=F("channel__kind"))


def _page(session: Session, *, before: int | None) -> tuple[list[MessageLog], bool]:
    """The last messages before an id, and whether there are more."""
    if before is None:
        newest = _NEWEST.all(session=session.pk)
    else:
        newest = list(_rows_of([session]).filter(pk__lt=before).order_by("-pk")[: PAGE + 1])
    return newest[:PAGE][::-1], len(newest) > PAGE


_NEWEST = Frozen(lambda _shape, session: _rows_of([session]).order_by("-pk")[: PAGE + 1])


def _marks(rows: Sequence[MessageLog]) -> dict[int, str]:
    return {row.pk: mark_of(row) for row in rows[-RECENT:] if not is_remark(row)}


def _differences(
    known: Sequence[MessageLog], new: Sequence[MessageLog], marks: dict[int, str] | None
) -> tuple[tuple[Bubble, ...], tuple[Delivery, ...]]:
    """What the page shows and has to draw anew: whole bubbles, or only how far they have come."""
    if marks is None:
        return (), ()
    now = _marks(known)
    differing = {pk for pk, mark in now.items() if marks.get(pk) != mark}
    further = {pk for pk in differing if _rest(now[pk]) == _rest(marks.get(pk, "?-?"))}
    before, after = chosen_in(known), chosen_in([*known, *new])
    recent = {row.pk for row in known[-RECENT:]}
    answered = {pk for pk, option in after.items() if option != before.get(pk)} & recent
    anew = (differing - further) | answered
    bubbles = bubbles_of(known, later=new) if anew else ()
    moved = (
        row for row in known if row.pk in further - anew and row.direction == Direction.OUTBOUND
    )
    return tuple(one for one in bubbles if one.pk in anew), tuple(map(delivery_of, moved))


def _rest(mark: str) -> str:
    return mark.partition("-")[2]


# --- Notes and events --------------------------------------------------------------------------


def _notices(
    session: Session,
    viewer: User,
    rows: Sequence[MessageLog],
    *,
    since: datetime,
    until: datetime | Subquery | None = None,
) -> Iterator[Note | Event]:
    """Those of the lead's tickets on this channel, from a time up to another."""
    if until is None:
        values = {"viewer": viewer, "lead": session.lead_id, "channel": session.channel_id}
        yield from map(note_of, _NOTES.all(viewer.is_admin, since=since, **values))
        yield from events_of(_EVENTS.all(viewer.is_admin, since=since, **values))
    else:
        span = Q(created_at__gte=since, created_at__lt=until)
        place = viewer, session.lead_id, session.channel_id
        yield from map(note_of, _notes(InternalNote.objects.filter(span), *place))
        yield from events_of(list(_events(TicketEvent.objects.filter(span), *place)))
    if since == session.started_at:
        yield beginning_of(session)


def _news_between(session: Session, viewer: User, shown: Shown) -> list[Note | Event]:
    found: list[Note | Event] = []
    if (session.last_note or 0) > shown.note:  # type: ignore[attr-defined]  # annotated
        notes = InternalNote.objects.filter(pk__gt=shown.note)
        found += map(note_of, _notes(notes, viewer, session.lead_id, session.channel_id))
    if (session.last_event or 0) > shown.event:  # type: ignore[attr-defined]  # annotated
        events = TicketEvent.objects.filter(pk__gt=shown.event)
        rows = _events(events, viewer, session.lead_id, session.channel_id)
        found += events_of(list(rows))
    return found


def _notes(
    rows: QuerySet[InternalNote], viewer: User, lead: int, channel: int
) -> QuerySet[InternalNote]:
    mine = _hanging(rows, viewer, lead, channel)
    return mine.select_related("author").prefetch_related("mentions")[:NOTICES]


def _events(
    rows: QuerySet[TicketEvent], viewer: User, lead: int, channel: int
) -> QuerySet[TicketEvent]:
    return _hanging(rows, viewer, lead, channel).select_related("actor")[:NOTICES]


def _hanging(rows: QuerySet, viewer: User, lead: int, channel: int) -> QuerySet:
    return rows.filter(
        ticket_scope_of(viewer), ticket__lead=lead, ticket__session__channel=channel
    ).order_by("-pk")


_NOTES = Frozen(
    lambda _is_admin, viewer, lead, channel, since: _notes(
        InternalNote.objects.filter(created_at__gte=since), viewer, lead, channel
    )
)
_EVENTS = Frozen(
    lambda _is_admin, viewer, lead, channel, since: _events(
        TicketEvent.objects.filter(created_at__gte=since), viewer, lead, channel
    )
)


def _begin(rows: Sequence[MessageLog], has_more: bool, session: Session) -> datetime:
    """From when on a page shows notes and events: those before are on the page before."""
    return rows[0].created_at if has_more else session.started_at


def _end(session: Session, before: int | None) -> datetime | Subquery | None:
    if before is not None:
        return Subquery(MessageLog.objects.filter(pk=before).values("created_at")[:1])
    later = _sessions_like(session).filter(pk__gt=session.pk).order_by("pk")
    return later.values_list("started_at", flat=True).first()


def _earlier_than(
    session: Session, viewer: User, rows: Sequence[MessageLog], has_more: bool
) -> tuple[int, int | None] | None:
    if has_more:
        return session.pk, rows[0].pk
    values = {"lead": session.lead_id, "channel": session.channel_id}
    found = _BEFORE.first(viewer.is_admin, viewer=viewer, session=session.pk, **values)
    return (found[0], None) if found is not None else None


_BEFORE = Frozen(
    lambda _is_admin, viewer, session, lead, channel: (
        Session.objects.filter(lead=lead, channel=channel, pk__lt=session)
        .filter(pk__in=Session.objects.visible_to(viewer).values("pk"))
        .order_by("-pk")
        .values_list("pk")[:1]
    )
)


def _sessions_like(session: Session) -> QuerySet[Session]:
    return Session.objects.filter(lead=session.lead_id, channel=session.channel_id)


# --- Together ----------------------------------------------------------------------------------


def _joined(
    rows: Sequence[MessageLog],
    notices: Iterable[Note | Event],
    *,
    known: Sequence[MessageLog] = (),
    unread: int = 0,
) -> tuple[Moment, ...]:
    """Messages in the order of their ids, notes and events where their time puts them."""
    bubbles = list(bubbles_of(rows, known))
    waiting = sorted(notices, key=lambda one: _time_of(one, bubbles))
    moments: list[Moment] = []
    for bubble in bubbles:
        while waiting and _time_of(waiting[0], bubbles) < bubble.at:
            moments.append(waiting.pop(0))
        moments.append(bubble)
    return tuple(_separated([*moments, *waiting], known, unread=unread))


def _time_of(notice: Note | Event, bubbles: Sequence[Bubble]) -> datetime:
    """Where a notice stands: the beginning of the session before all of it, a claim that a reply
    brought about before the reply."""
    if isinstance(notice, Event) and notice.is_beginning:
        return BEFORE_ALL
    if isinstance(notice, Event) and notice.is_claim and notice.actor_id is not None:
        for bubble in bubbles:
            if (
                bubble.author_id == notice.actor_id
                and bubble.at <= notice.at <= bubble.at + BY_A_REPLY
            ):
                return bubble.at - timedelta(microseconds=1)
    return notice.at


def _separated(
    moments: Sequence[Moment], known: Sequence[MessageLog], *, unread: int
) -> Iterator[Moment]:
    """With the first of each day marked, and the first of so many unread messages."""
    day = timezone.localdate(known[-1].created_at) if known else None
    first_unread = _first_unread(moments, unread)
    previous: Moment | None = None
    for moment in moments:
        today = timezone.localdate(moment.at)
        is_first = moment is first_unread
        told = replace(moment, day=today if today != day else None, new=unread if is_first else 0)
        if isinstance(told, Bubble):
            follows = previous is None or isinstance(previous, Bubble)
            is_continued = told.is_continued and follows and not (told.day or is_first)
            told = replace(told, is_continued=is_continued)
        yield told
        day, previous = today, moment


def _first_unread(moments: Sequence[Moment], unread: int) -> Moment | None:
    theirs = [one for one in moments if isinstance(one, Bubble) and _counts(one)]
    return theirs[-unread:][0] if unread and theirs else None


def _counts(bubble: Bubble) -> bool:
    return bubble.is_inbound and bubble.kind not in REMARKS
