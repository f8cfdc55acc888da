"""What becomes of the conversations under way when a version goes on air: they stay on theirs, go
on at the same passo of the new one or at another, or end with a message.

Each one is moved in a transaction of its own, under its lock, from the passo where it stands at
that moment. How far the work has come is written in the same transaction, so whoever dies or works
beside another repeats nothing and skips nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Literal, get_args

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, IntegerField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot.channels.base import Content
from chatbot.documents import document_of
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.state import State
from chatbot.models import FlowVersion, JobState, SessionMove, Task, TaskKind, TaskStatus
from chatbot.sendable import why_not
from chatbot.trouble import is_transient
from chatbot.turn import Turn
from chatbot.wake import wake_workers
from sessions_app.models import EndReason, Session, SessionQuerySet
from sessions_app.services import lock_session
from users.digits import whole
from users.errors import DomainError
from users.models import User

logger = logging.getLogger(__name__)

AT_ONCE = 50  # conversations moved while whoever publishes waits for the page
PATIENCE = timedelta(seconds=5)  # … and for how long at most
SLICE = timedelta(seconds=20)  # far less than the lease of a task
HEAD_START = timedelta(seconds=15)  # before a worker takes over what the page has begun
BATCH = 100
TRIES = 3
LONGEST_TEXT = 1000

Do = Literal["stay", "same", "map", "end"]
Json = dict[str, Any]


class MovesRefused(DomainError):
    """A choice for the conversations under way that cannot be carried out."""

    code = "moves_refused"
    status = 400


class _Overtaken(Exception):
    """Somebody else has noted this conversation, or a later one, first."""


@dataclass(frozen=True)
class Choice:
    """What happens to the conversations at one passo: `node` is where they go on (map), `text` what
    they are told (end)."""

    do: Do = "stay"
    node: str = ""
    text: str = ""

    def as_dict(self) -> Json:
        values = {"do": self.do, "node": self.node, "text": self.text}
        return {name: value for name, value in values.items() if value}


# Version → place of the passo → what happens there. Whatever is not named stays.
Choices = Mapping[int, Mapping[str, Choice]]

STAY = Choice()


@dataclass(frozen=True)
class Progress:
    """How far a move has come, for people."""

    total: int
    moved: int
    ended: int
    stayed: int
    failed: int
    is_over: bool

    @property
    def done(self) -> int:
        return min(self.total, self.moved + self.ended + self.stayed + self.failed)

    @property
    def percent(self) -> int:
        return 100 if self.is_over or not self.total else 100 * self.done // self.total


# --- What may be chosen ------------------------------------------------------------------------


def can_stand(document: FlowDocument, place: str) -> bool:
    """Can a conversation wait at this place for its customer, as it waited there before?"""
    key, _slash, node_id = place.rpartition("/")
    part = document.document(key)
    node = part.nodes.get(node_id) if part is not None else None
    return node is not None and node.awaits == "customer"


def read_choices(given: Any, document: FlowDocument) -> Choices:
    """The choices of a request, those that change nothing left out. Raises MovesRefused for one
    that the new document cannot carry out."""
    if not isinstance(given, Mapping):
        raise MovesRefused(_("The choices for the conversations under way cannot be read."))
    found: dict[int, dict[str, Choice]] = {}
    for version, places in given.items():
        key = whole(str(version))
        if key is None or not isinstance(places, Mapping):
            raise MovesRefused(_("The choices for the conversations under way cannot be read."))
        chosen = {place: _read(place, one, document) for place, one in places.items()}
        moving = {place: one for place, one in chosen.items() if one.do != "stay"}
        if moving:
            found[key] = moving
    return found


def as_json(choices: Choices) -> Json:
    return {
        str(version): {place: one.as_dict() for place, one in places.items()}
        for version, places in choices.items()
    }


def _read(place: str, given: Any, document: FlowDocument) -> Choice:
    if not isinstance(given, Mapping) or given.get("do") not in get_args(Do):
        raise MovesRefused(_("The choices for the conversations under way cannot be read."))
    choice = Choice(given["do"], str(given.get("node", "")), str(given.get("text", "")).strip())
    about = {"place": place, "node": choice.node, "limit": LONGEST_TEXT}
    if choice.do == "same" and not can_stand(document, place):
        raise MovesRefused(_("In the new version nobody can wait at the step “%(place)s”.") % about)
    if choice.do == "map" and choice.node not in document.nodes:
        raise MovesRefused(_("The new version has no step “%(node)s” to go on at.") % about)
    if choice.do == "end" and not choice.text:
        raise MovesRefused(_("Write what is said to whom the conversation is ended for."))
    if len(choice.text) > LONGEST_TEXT or "\x00" in choice.text:
        raise MovesRefused(_("The message at the end has at most %(limit)d characters.") % about)
    return choice


# --- The work ----------------------------------------------------------------------------------


def under_way(version_ids: list[int]) -> SessionQuerySet:
    """The live conversations that the bot holds in these versions; those of the simulator apart."""
    mine = Session.objects.with_bot().real().filter(flow_state__version__in=version_ids)
    epoch = Cast(KT("flow_state__epoch"), IntegerField())
    running = mine.annotate(run_epoch=epoch).filter(run_epoch=F("epoch"))
    return running.filter(flow_state__engine__done=False)


def plan(
    version: FlowVersion, choices: Choices, *, user: User | None, at: datetime
) -> SessionMove | None:
    """Note in the transaction that publishes `version` what is to be done; None when nothing is. A
    worker does what `begin` leaves."""
    if not choices:
        return None
    move = SessionMove.objects.create(
        version=version,
        choices=as_json(choices),
        total=under_way(list(choices)).count(),
        created_by=user,
        created_at=at,
    )
    Task.objects.create(
        kind=TaskKind.MOVE,
        key=f"move:{move.pk}",
        payload={"move": move.pk},
        run_at=at + HEAD_START,
    )
    return move


def begin(move: SessionMove) -> None:
    """Move the first ones at once, and leave the others to a worker. Never raises: what is
    published is published."""
    until = monotonic() + PATIENCE.total_seconds()
    try:
        is_done = _work(move, until=until, limit=AT_ONCE)
    except (OperationalError, InterfaceError):
        logger.exception("move %s could not be begun at once", move.pk)
        return
    if not is_done:
        mine = Task.objects.filter(key=f"move:{move.pk}", status=TaskStatus.PENDING)
        mine.update(run_at=timezone.now())
        wake_workers()


def go_on(task: Task) -> tuple[TaskStatus, str]:
    """Work for one slice; PENDING when there is more, also while the database is not there."""
    move = SessionMove.objects.filter(pk=task.payload["move"]).first()
    if move is None:
        return TaskStatus.DROPPED, ""
    try:
        is_done = _work(move, until=monotonic() + SLICE.total_seconds())
    except (OperationalError, InterfaceError) as error:
        logger.exception("move %s has to wait", move.pk)
        return TaskStatus.PENDING, type(error).__name__
    return (TaskStatus.DONE if is_done else TaskStatus.PENDING), ""


def progress_of(move: SessionMove) -> Progress:
    return Progress(
        total=move.total,
        moved=move.moved,
        ended=move.ended,
        stayed=move.stayed,
        failed=move.failed,
        is_over=move.state == JobState.DONE,
    )


def _work(move: SessionMove, *, until: float, limit: int | None = None) -> bool:
    """Whether all is done."""
    if move.state == JobState.DONE:
        return True
    choices = _stored(move)
    SessionMove.objects.filter(pk=move.pk, state=JobState.WAITING).update(  # writer: the job's own
        state=JobState.RUNNING
    )
    count = 0
    while ids := _next_ids(move, choices):
        for pk in ids:
            if monotonic() > until or count == limit:
                return False
            count += 1
            if not _one(move, choices, pk):
                move.refresh_from_db()
                break
    SessionMove.objects.filter(pk=move.pk).exclude(state=JobState.DONE).update(  # writer: as above
        state=JobState.DONE, finished_at=timezone.now()
    )
    move.refresh_from_db()
    return True


def _stored(move: SessionMove) -> Choices:
    return {
        int(version): {place: Choice(**one) for place, one in places.items()}
        for version, places in move.choices.items()
    }


def _next_ids(move: SessionMove, choices: Choices) -> list[int]:
    rest = under_way(list(choices)).filter(pk__gt=move.last_session)
    return list(rest.order_by("pk").values_list("pk", flat=True)[:BATCH])


def _one(move: SessionMove, choices: Choices, session_id: int) -> bool:
    """One conversation; False when somebody else is at this work and has come further."""
    for attempt in range(1, TRIES + 1):
        try:
            _move(move, choices, session_id)
        except _Overtaken:
            return False
        except (OperationalError, InterfaceError) as error:
            if attempt == TRIES or not is_transient(error):
                raise
        except Exception:
            logger.exception("session %s could not be moved", session_id)
            return _note_failure(move, session_id)
        else:
            move.last_session = session_id
            return True
    raise AssertionError("unreachable")


def _note_failure(move: SessionMove, session_id: int) -> bool:
    """It stays where it was."""
    try:
        with transaction.atomic():
            _note(move, session_id, "failed")
    except _Overtaken:
        return False
    move.last_session = session_id
    return True


@transaction.atomic
def _move(move: SessionMove, choices: Choices, session_id: int) -> None:
    session = lock_session(session_id)
    turn = Turn(session, now=timezone.now())
    outcome = ""
    if session.is_live and turn.is_running:
        places = choices.get(session.flow_state["version"])
        if places is not None:
            choice = places.get(place_of(session), STAY)
            outcome = "stayed" if not _carry_out(turn, choice, move.version_id) else _OF[choice.do]
    _note(move, session_id, outcome)


_OF: dict[Do, str] = {"stay": "stayed", "same": "moved", "map": "moved", "end": "ended"}


def place_of(session: Session) -> str:
    """Where the conversation stands, as paths call it."""
    key = session.flow_state["engine"].get("flow", "")
    return f"{key}/{session.current_state}" if key else session.current_state


def _carry_out(turn: Turn, choice: Choice, version_id: int) -> bool:
    """False when the conversation stays where it is after all: it waits for a result that only its
    own run understands, its sub-flow is called from elsewhere now, or nothing may be said to its
    customer any more."""
    session = turn.session
    state = State.model_validate(session.flow_state["engine"])
    match choice.do:
        case "end":
            _end(turn, choice.text, version_id)
            return True
        case "same" if state.awaiting == "customer" and _fits(document_of(version_id), state):
            due = session.idle_due_at
            turn.move_to(version_id, state=state, at=turn.now)
            turn.save([])
            _keep_waiting(session, due)
            return True
        case "map" if state.awaiting == "customer" and session.window_is_open(turn.now):
            turn.move_to(version_id, node=choice.node, at=turn.now)
            turn.save(["idle_warned_at"])
            return True
    return False


def _fits(document: FlowDocument, state: State) -> bool:
    """Is there such a place, and the way back out of its sub-flow?"""
    inside = [*(frame.flow for frame in state.stack[1:]), state.flow]
    for frame, called in zip(state.stack, inside, strict=True) if state.stack else ():
        part = document.document(frame.flow)
        caller = part.nodes.get(frame.node) if part is not None else None
        if caller is None or getattr(caller, "flow", None) != called:
            return False
    return can_stand(document, f"{state.flow}/{state.node}" if state.flow else state.node)


def _keep_waiting(session: Session, due: datetime | None) -> None:
    """The customer noticed nothing: the time they have to answer runs on."""
    if due is not None:
        session.idle_due_at = due
        session.save(update_fields=["idle_due_at"])


def _end(turn: Turn, text: str, version_id: int) -> None:
    session = turn.session
    run_id = session.flow_state["run"]
    if why_not(session, kind="text", at=turn.now) is None:
        turn.say([Content(kind="text", text=text)])
        turn.save([])
    turn.end({"kind": "version", "version": version_id}, EndReason.CLOSED)
    waiting = Task.objects.filter(session=session, run=run_id, status=TaskStatus.PENDING)
    waiting.update(status=TaskStatus.DROPPED, done_at=turn.now)  # writer: nobody waits any more


def _note(move: SessionMove, session_id: int, outcome: str) -> None:
    """Count it, in the transaction of the move itself. Raises _Overtaken, which rolls it back."""
    counted = {outcome: F(outcome) + 1} if outcome else {}
    here = SessionMove.objects.filter(pk=move.pk, last_session__lt=session_id)
    unchanged = here.filter(last_session=move.last_session)
    if unchanged.update(last_session=session_id, **counted) != 1:
        raise _Overtaken
