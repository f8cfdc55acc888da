"""One locked session while something happens in it. The only caller of the engine's `step()`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from time import perf_counter_ns
from typing import Any

from django.utils.translation import gettext as _

from chatbot.apply import Scene, apply
from chatbot.channels.base import Content
from chatbot.channels.inbound import InboundMessage
from chatbot.documents import asks_for_tags, document_of
from chatbot.engine.effects import Send
from chatbot.engine.expects import Expected, expected
from chatbot.engine.messages import Message, Started
from chatbot.engine.replay import delta
from chatbot.engine.state import Outcome, State
from chatbot.engine.step import step
from chatbot.facts import gather, with_tags
from chatbot.flow_words import sensitive_names, title_of
from chatbot.happenings import happening_of
from chatbot.history import early_of
from chatbot.labels import preview_label
from chatbot.models import (
    Author,
    Direction,
    Flow,
    FlowLog,
    FlowLogKind,
    FlowRun,
    FlowVersion,
    MessageLog,
    Trigger,
    TriggerKind,
)
from chatbot.outbox import content_of, rows_for
from chatbot.publishing.split import version_for
from chatbot.returning import means_same_case
from chatbot.sentences import sentence
from chatbot.silence import next_idle_action
from chatbot.simulation.staging import Staging, staging_of
from chatbot.triggers import Occasion, find_trigger
from chatbot.wake import wake_workers
from sessions_app.models import EndReason, Owner, Session
from sessions_app.services import end_session, note_outbound
from tickets.services import note_inbound, open_ticket, reopen_for_customer
from users.frozen import insert, save
from users.models import User

RESUME = "resume"  # entry of a ticket closed only to let the interrupted run go on
ROUNDS = 16  # steps within one message: handlers and a ticket answer at once
STATE_FIELDS = (
    "seq",
    "current_state",
    "context",
    "flow_state",
    "idle_due_at",
    "idle_warned_at",
)


@dataclass
class Turn:
    """One locked session while something happens in it: runs the flow, collects what is to be
    written.

    `save()` writes all of it at once: log rows, messages, then the session.
    """

    session: Session
    now: datetime
    is_first_contact: bool = False
    logs: list[FlowLog] = field(default_factory=list)
    rows: list[MessageLog] = field(default_factory=list)

    # -- entry points

    def hear(self, item: InboundMessage, *, at: datetime) -> None:
        """A customer's message: it goes to the live run, reopens the ticket that has just ended, or
        starts the flow that a trigger names. With no flow to answer it people get the
        conversation."""
        if self.is_running:
            self.advance(happening_of(item, at=at, facts=self.facts(at)))
            return
        tried = self._staging.version if self._staging else None
        occasion = _occasion(item, at, self.is_first_contact)
        trigger = None if tried else find_trigger(self.session.channel, occasion)
        if self._goes_on_with_ticket(item, trigger):
            return
        if tried is not None and self._staging is not None:
            given = self._staging.person.context
            self.start(tried.flow, version=tried, text=item.text or "", at=at, context=given)
            return
        if trigger is None:
            open_ticket(
                self.session,
                subject=_("No flow answered"),
                handoff={"reason": "no_flow"},
                at=self.now,
            )
            return
        self.start(trigger.flow, trigger=trigger, text=item.text or "", at=at)

    def expects(self, item: InboundMessage, at: datetime) -> Expected:
        """Is this text something that the flow offers: an option at hand, a word that works
        anywhere, or, with no flow running, a word that starts one?"""
        session = self.session
        if session.owner != Owner.BOT:
            return ""
        if self.is_running:
            stored = session.flow_state
            state = State.model_validate(stored["engine"])
            document = document_of(stored["version"])
            return expected(document, state, item.text or "", item.choice_id)
        trigger = find_trigger(session.channel, _occasion(item, at, self.is_first_contact))
        starts = {TriggerKind.KEYWORD, TriggerKind.TEMPLATE_BUTTON}
        return "word" if trigger is not None and trigger.kind in starts else ""

    def start(  # noqa: PLR0913  # keyword-only
        self,
        flow: Flow,
        *,
        version: FlowVersion | None = None,
        trigger: Trigger | None = None,
        text: str = "",
        at: datetime,
        context: dict[str, Any] | None = None,
    ) -> None:
        """Begin a run of a published flow, in the version that is on air or that a split gives this
        person; `trigger` None: a person chose it. Its first row resets the variables to `context`.
        `version`: one that is tried, instead of the one on air."""
        version_id: int | None
        if version is not None:
            version_id, split_id = version.pk, None
        else:
            version_id, split_id = version_for(flow, self.session.lead_id)
        if version_id is None:
            raise ValueError(f"flow {flow.slug} is not published")
        self.session.context = dict(context or {})
        self._begin_run(
            version_id,
            State(),
            trigger_id=trigger.pk if trigger else None,
            split_id=split_id,
            told={"kind": "start"},
        )
        self.advance(Started(at=at, facts=self.facts(at), text=text))

    def move_to(
        self, version_id: int, *, state: State | None = None, node: str = "", at: datetime
    ) -> None:
        """Go on in another version of the flow, in a run of its own whose first row brings the
        variables along: waiting at `state`, or at the passo `node` as if it came there now. What
        the old run waited for is not welcome any more."""
        session = self.session
        stored, came_from = session.flow_state, session.current_state
        before = State.model_validate(stored["engine"])
        trigger = FlowRun.objects.filter(pk=stored["run"]).values_list("trigger", flat=True)
        place = f"{before.flow}/{came_from}" if before.flow else came_from
        self._begin_run(
            version_id,
            state or State(path=before.path),
            trigger_id=trigger.first(),
            told={
                "kind": "moved",
                "from": stored["version"],
                "node": place,
                "title": stored.get("title", ""),
            },
            came_from=came_from,
        )
        if state is None:
            session.idle_warned_at = None
            self.advance(Started(at=at, facts=self.facts(at), node=node))

    def _begin_run(  # noqa: PLR0913  # keyword-only
        self,
        version_id: int,
        state: State,
        *,
        trigger_id: int | None,
        split_id: int | None = None,
        told: dict[str, Any],
        came_from: str = "",
    ) -> None:
        """A run and its first row, which holds all variables. The session stands at `state`."""
        session = self.session
        run = FlowRun.objects.create(
            session=session,
            version_id=version_id,
            trigger_id=trigger_id,
            split_id=split_id,
            epoch=session.epoch,
            started_at=self.now,
        )
        document = document_of(version_id)
        session.current_state = state.node
        session.flow_state = {
            **early_of(session),
            "run": run.pk,
            "version": version_id,
            "epoch": session.epoch,
            "engine": state.model_dump(mode="json"),
            "title": title_of(document, state.flow, state.node),
            "sensitive": sorted(sensitive_names(document)),
        }
        self.log(
            FlowLogKind.START,
            message={**told, "version": version_id, "trigger": trigger_id},
            node=came_from,
            context_set=session.context,
        )

    def advance(self, happening: Message) -> None:
        """Step, apply, and step again while the answer comes at once (a handler, the opened
        ticket)."""
        following: Message | None = happening
        for _round in range(ROUNDS):
            if following is None:
                return
            following = self._step(following)
        raise RuntimeError("the flow does not come to rest")

    def revive(self) -> None:
        """Let the run that people interrupted go on: the conversation came back to the bot as it
        was."""
        stored = self.session.flow_state
        if "run" in stored:
            FlowRun.objects.filter(pk=stored["run"]).update(epoch=self.session.epoch)
            self.session.flow_state = {**stored, "epoch": self.session.epoch}

    def begin_again_at(self, node: str, *, by: User, at: datetime) -> None:
        """Let the run go on at another passo of its flow, as if it came there now. What it waited
        for is not welcome any more; variables stay. Two rows: the jump, and the step from there."""
        session = self.session
        stored = {name: value for name, value in session.flow_state.items() if name != "awaiting"}
        before = State.model_validate(stored["engine"])
        state = State(path=before.path).model_dump(mode="json")
        came_from = session.current_state
        session.flow_state = {**stored, "epoch": session.epoch, "engine": state}
        session.current_state = ""
        session.idle_warned_at = None
        FlowRun.objects.filter(pk=stored["run"]).update(epoch=session.epoch, finished_at=None)
        told = {"kind": "jump", "node": node, "user": by.pk, "by": str(by)}
        self.log(FlowLogKind.JUMP, message=told, state=state, node=came_from, next_node="")
        self.advance(Started(at=at, facts=self.facts(at), node=node))

    def end_idle(self) -> None:
        """End a session whose customer has gone silent, and log it. Saves by itself."""
        self.end({"kind": "idle"}, EndReason.IDLE)

    def end(self, told: dict[str, Any], reason: EndReason) -> None:
        """End the session and log why. Saves by itself."""
        if "engine" in self.session.flow_state:
            self.log(FlowLogKind.END, message=told)
            self._write()
            self.session.save(update_fields=["seq"])
        end_session(self.session, reason=reason, at=self.now)

    def say(
        self,
        contents: Sequence[Content],
        author: Author = Author.BOT,
        *,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Queue something outside a flow, under the present epoch; `extra` is kept with it."""
        self._queue(contents, author=author, extra=extra)

    def say_once(self, key: str) -> None:
        """A fixed sentence, unless it was the last thing we said: several such messages get one
        answer."""
        last = MessageLog.objects.filter(session=self.session, direction=Direction.OUTBOUND)
        if last.order_by("-id").values_list("payload__sentence", flat=True).first() == key:
            return
        text = sentence(key, self.session.channel)
        self._queue([Content(kind="text", text=text)], author=Author.BOT, extra={"sentence": key})

    def save(self, changed: Iterable[str]) -> None:
        """Write everything the turn collected, then the session in one UPDATE."""
        self._write()
        session = self.session
        fields = [*changed, *self._preview()]
        if self.logs or fields:
            session.idle_due_at = next_idle_action(session, since=self.now)
            fields += STATE_FIELDS
        if fields:
            save(session, dict.fromkeys(fields))
        if self.rows:
            wake_workers()

    # -- state

    @property
    def is_running(self) -> bool:
        """A run is live only while the bot owns the session under the epoch it began with."""
        stored = self.session.flow_state
        return (
            self.session.owner == Owner.BOT
            and stored.get("epoch") == self.session.epoch
            and not stored.get("engine", {"done": True}).get("done")
        )

    def _goes_on_with_ticket(self, item: InboundMessage, trigger: Trigger | None) -> bool:
        """Has the message reopened the customer's last ticket? They are told that it has."""
        session = self.session
        if self.is_first_contact or not means_same_case(item, trigger, session.channel):
            return False
        ticket = reopen_for_customer(session, at=self.now)
        if ticket is None:
            return False
        preview = item.text or preview_label(item.kind.value)
        note_inbound(session, preview=preview, at=self.now)
        is_open = ticket.department.is_open(self.now)
        text = sentence("reopened" if is_open else "reopened_closed", session.channel)
        self.say([Content(kind="text", text=text)], Author.SYSTEM)
        return True

    def facts(self, at: datetime) -> dict[str, Any]:
        session = self.session
        facts = gather(
            lead=session.lead,
            channel=session.channel,
            at=at,
            is_first_contact=self.is_first_contact,
        )
        if asks_for_tags(session.flow_state["version"]):
            facts = with_tags(facts, session.lead)
        return self._staging.over(facts) if self._staging else facts

    @cached_property
    def _staging(self) -> Staging | None:
        """How the world is for a person of the simulator; None for everybody else."""
        return staging_of(self.session)

    def _step(self, happening: Message) -> Message | None:
        session = self.session
        stored = session.flow_state
        before = State.model_validate(stored["engine"])
        started = perf_counter_ns()
        document = document_of(stored["version"])
        outcome = step(document, before, session.context, happening)
        duration_us = (perf_counter_ns() - started) // 1000
        log = self._log_step(before, outcome, happening, duration_us)
        session.context = outcome.context
        session.current_state = outcome.state.node
        title = title_of(document, outcome.state.flow, outcome.state.node)
        session.flow_state = {**stored, "engine": log.state, "title": title}
        self._await(before, outcome)
        answer = self._apply(outcome, happening.at)
        sends = [effect for effect in outcome.effects if isinstance(effect, Send)]
        contents = [content_of(send, session.channel) for send in sends]
        self._queue(contents, author=Author.BOT, log=log)
        if outcome.state.done:
            FlowRun.objects.filter(pk=stored["run"], finished_at=None).update(finished_at=self.now)
        return answer

    def _apply(self, outcome: Outcome, at: datetime) -> Message | None:
        if all(isinstance(effect, Send) for effect in outcome.effects):
            return None
        session = self.session
        scene = Scene(
            session=session,
            run_id=session.flow_state["run"],
            version_id=session.flow_state["version"],
            seq=session.seq,
            at=self.now,
            facts=lambda: self.facts(at),
            is_held=self._staging is not None and self._staging.holds(outcome.state),
        )
        return apply(outcome, scene)

    def _await(self, before: State, outcome: Outcome) -> None:
        """Which (run, seq) a result must name to be welcome: kept while the run waits for the same
        thing."""
        stored = self.session.flow_state
        if outcome.state.awaiting not in {"handler", "http", "wait"}:
            stored.pop("awaiting", None)
        elif "awaiting" not in stored or outcome.effects or outcome.state.node != before.node:
            stored["awaiting"] = {"run": stored["run"], "seq": self.session.seq}

    # -- rows

    def _log_step(
        self, before: State, outcome: Outcome, happening: Message, duration_us: int
    ) -> FlowLog:
        changed, gone = delta(self.session.context, outcome.context)
        return self.log(
            FlowLogKind.STEP,
            message=happening.model_dump(mode="json"),
            effects=[effect.model_dump(mode="json") for effect in outcome.effects],
            trace=[passed.model_dump(mode="json") for passed in outcome.trace],
            state=outcome.state.model_dump(mode="json"),
            node=before.node,
            next_node=outcome.state.node,
            context_set=changed,
            context_unset=gone,
            duration_us=duration_us,
        )

    def log(self, kind: FlowLogKind, **values: Any) -> FlowLog:
        session = self.session
        session.seq += 1
        values.setdefault("state", session.flow_state.get("engine", {}))
        values.setdefault("node", session.current_state)
        values.setdefault("next_node", session.current_state)
        log = FlowLog(
            session=session,
            seq=session.seq,
            kind=kind,
            run_id=session.flow_state.get("run"),
            created_at=self.now,
            **values,
        )
        self.logs.append(log)
        return log

    def _queue(
        self,
        contents: Iterable[Content],
        *,
        author: Author,
        log: FlowLog | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.rows += rows_for(
            self.session, contents, author=author, at=self.now, flow_log=log, extra=extra
        )

    def _write(self) -> None:
        """Logs first: the messages point at them."""
        new_logs = [log for log in self.logs if log.pk is None]
        if new_logs:
            insert(new_logs)
        new_rows = [row for row in self.rows if row.pk is None]
        for row in new_rows:
            if row.flow_log is not None:
                row.flow_log_id = row.flow_log.pk  # it had no key yet when the row was made
        if new_rows:
            insert(new_rows)

    def _preview(self) -> list[str]:
        if not self.rows:
            return []
        preview = self.rows[-1].text or preview_label(self.rows[-1].kind)
        return note_outbound(self.session, at=self.now, preview=preview)


def _occasion(item: InboundMessage, at: datetime, is_first_contact: bool) -> Occasion:
    referral = item.payload.get("referral")
    referral = referral if isinstance(referral, dict) else {}
    return Occasion(
        at=at,
        text=item.text or "",
        choice_id=item.choice_id,
        ad_id=str(referral.get("source_id") or ""),
        is_first_contact=is_first_contact,
        has_referral=bool(referral),
    )
