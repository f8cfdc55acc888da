"""What becomes due for a simulated person, done in order, each at its own moment of their clock.

The worker leaves all of this alone: their clock is not the worker's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from chatbot import delivery, tasks
from chatbot.documents import document_of
from chatbot.engine.state import State
from chatbot.expiry import expire
from chatbot.flow_words import title_of
from chatbot.models import FlowLog, FlowVersion, SimulatedPerson, Task, TaskKind, TaskStatus
from chatbot.silence import is_to_be_warned
from chatbot.simulation import people
from chatbot.simulation.recorded import Result, last_real
from chatbot.simulation.staging import ASK, GIVE, RECORDED, RUN, does, place_of
from sessions_app.models import Owner, Session

MOST = 200  # happenings of one stretch of time: a flow may wait and wait in a circle
LONGEST = timedelta(days=400)  # that a clock is moved at once
LONGEST_REQUEST = 10  # seconds: whoever tries it waits for the page

Due = tuple[datetime, Callable[[datetime], object]]


def catch_up(person: SimulatedPerson, *, until: datetime | None = None) -> None:
    """Let happen what is due by `until` (None: by their clock). The caller is alone with the
    person."""
    until = until or people.now_of(person)
    for _number in range(MOST):
        sessions = people.sessions_of(person)
        found = [due for one in sessions for due in _due_in(person, one) if due[0] <= until]
        at, happen = min(found, key=lambda due: due[0], default=(until, None))
        if happen is not None:
            happen(at)
        for session in sessions:
            delivery.deliver_session(session.pk, now=at)
        if happen is None:
            return
    people.note(person, "too_much", until, count=MOST)


def advance(person: SimulatedPerson, by: timedelta, *, seen: timedelta) -> bool:
    """Move their clock on from where the page showed it (`seen`), and let happen what falls into
    that time. False when it has been moved meanwhile: of a double click the second does nothing.
    """
    by = min(max(by, timedelta()), LONGEST)
    with people.alone(person):
        untouched = SimulatedPerson.objects.filter(pk=person.pk, ahead=seen)
        if untouched.update(ahead=seen + by) != 1:
            return False
        before, person.ahead = people.now_of(person), seen + by
        now = people.now_of(person)
        seconds = round(by.total_seconds())
        people.note(person, "advanced", before, seconds=seconds, to=now.isoformat())
        catch_up(person, until=now)
    return True


def waiting_task(session: Session | None) -> Task | None:
    """The integration whose result the run of this session waits for."""
    if session is None or not session.is_live or session.owner != Owner.BOT:
        return None
    awaited = session.flow_state.get("awaiting")
    if not awaited:
        return None
    pending = Task.objects.filter(session=session, status=TaskStatus.PENDING)
    asked = pending.filter(kind__in=(TaskKind.HTTP, TaskKind.HANDLER))
    return asked.filter(run=awaited["run"], seq=awaited["seq"]).order_by("pk").first()


def answer(person: SimulatedPerson, task: Task, result: Result, *, how: str = GIVE) -> bool:
    """The tester says what the integration gives; False when nobody waits for it any more. The
    caller is alone with the person."""
    return _give(person, task, people.now_of(person), lambda: result, how)


def answer_really(person: SimulatedPerson, task: Task) -> bool:
    """The handler is run, or the request made, this once."""
    now = people.now_of(person)
    return _give(person, task, now, partial(_ask_really, task, now), RUN)


# --- What is due -------------------------------------------------------------------------------


def _due_in(person: SimulatedPerson, session: Session) -> Iterator[Due]:
    if not session.is_live:
        return
    if session.owner == Owner.BOT and session.idle_due_at is not None:
        yield session.idle_due_at, partial(_fall_silent, person, session)
    pending = Task.objects.filter(session=session, status=TaskStatus.PENDING)
    awaited = waiting_task(session)
    for task in pending.filter(kind__in=tasks.FLOWS_WAIT_FOR).order_by("run_at", "pk"):
        happen = _ending(person, session, task, is_awaited=task == awaited)
        if happen is not None:
            yield max(task.run_at, _latest(session)), happen


def _ending(
    person: SimulatedPerson, session: Session, task: Task, *, is_awaited: bool
) -> Callable[[datetime], object] | None:
    """How a wait ends by itself; None while the tester is asked what it ends with."""
    if task.kind == TaskKind.WAIT:
        return partial(_wake, person, task)
    if not is_awaited:
        return partial(_drop, task)
    place = place_of(State.model_validate(session.flow_state["engine"]))
    how = does(person, place, "http" if task.kind == TaskKind.HTTP else "handler")
    if how == RUN:
        return lambda at: _give(person, task, at, partial(_ask_really, task, at), RUN)
    result = _chosen(person, session, place) if how != ASK else None
    return partial(_give, person, task, ask=lambda: result, how=how) if result else None


def _chosen(person: SimulatedPerson, session: Session, place: str) -> Result | None:
    chosen = person.results[place]
    if chosen["do"] == RECORDED:
        version = FlowVersion.objects.only("flow").get(pk=session.flow_state["version"])
        return last_real(version.flow_id, [place]).get(place)
    return Result(str(chosen.get("route", "")), dict(chosen.get("values", {})))


def _latest(session: Session) -> datetime:
    """Nothing happens before what has happened already."""
    rows = FlowLog.objects.filter(session=session).order_by("-seq")
    return rows.values_list("created_at", flat=True).first() or session.started_at


# --- What happens ------------------------------------------------------------------------------


def _fall_silent(person: SimulatedPerson, session: Session, at: datetime) -> None:
    code = "silent" if is_to_be_warned(session, at) else "ended"
    people.note(person, code, at)
    expire(session.pk, now=at)


def _wake(person: SimulatedPerson, task: Task, at: datetime) -> None:
    if _take(task):
        people.note(person, "waited", at)
        tasks.answer(task, now=at)


def _drop(task: Task, at: datetime) -> None:
    """Nobody waits for it any more: the log says so, as in production."""
    if _take(task):
        tasks.answer(task, now=at)


def _ask_really(task: Task, at: datetime) -> Result:
    if task.kind == TaskKind.HTTP:
        seconds = min(int(task.payload.get("timeout_seconds") or LONGEST_REQUEST), LONGEST_REQUEST)
        task.payload = {**task.payload, "timeout_seconds": seconds}
    return Result(**tasks.answer_of(task, now=at))


def _give(
    person: SimulatedPerson, task: Task, at: datetime, ask: Callable[[], Result], how: str
) -> bool:
    """Of two who would end the wait one asks, too."""
    if not _take(task):
        return False
    result = ask()
    people.note(person, "answered", at, title=_title_of(task), route=result.route, how=how)
    return tasks.answer(task, now=at, route=result.route, values=result.values)


def _title_of(task: Task) -> str:
    session = Session.objects.get(tasks=task)
    state = State.model_validate(session.flow_state["engine"])
    return title_of(document_of(session.flow_state["version"]), state.flow, state.node)


def _take(task: Task) -> bool:
    """Of two who would end the same wait one does."""
    mine = Task.objects.filter(pk=task.pk, status=TaskStatus.PENDING, attempts=task.attempts)
    return mine.update(attempts=task.attempts + 1) == 1
