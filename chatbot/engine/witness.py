"""A finding acted out: what a customer would have to do, as turns of a golden conversation.

The turns are found by searching the engine's own outcomes: `step` is run on everything that may
come next (`chatbot.engine.acting`), first along the finding's path, then by any way. What is found
is no guess: playing the turns shows the defect (`shows`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from itertools import count, pairwise
from typing import Any, Protocol

from chatbot.engine.acting import Cast, Turn, merged
from chatbot.engine.kinds import Branch
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.replaying import Moment, after
from chatbot.engine.signs import Sign, is_at_first_sight, sign_of
from chatbot.engine.solving import facts_for
from chatbot.engine.state import Context, State
from chatbot.engine.whole import Whole
from chatbot.engine.windows import WINDOW

_BEGIN = datetime.fromisoformat("2026-11-12T10:00:00-03:00")  # as golden conversations do
_STEPS = 3000  # of the engine, along the path and again by any way
_LONGEST = 60  # turns


class Found(Protocol):
    """A finding, as the engine or the shell has it."""

    @property
    def code(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def path(self) -> tuple[str, ...]: ...
    @property
    def params(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Witness:
    """`turns` is None where no behaviour of customers shows the defect; `reason` says why.
    `context` is what whoever starts the flow gives; `follows` whether the turns go by the path."""

    turns: list[Turn] | None
    context: Context
    reason: str = ""
    follows: bool = False


def play_witness(flow: FlowDocument, finding: Found) -> list[Turn] | None:
    """Turns that lead along the finding's path to the defect; None where nothing does."""
    return witness_of(flow, finding).turns


def shows(flow: FlowDocument, finding: Found, turns: Sequence[Turn]) -> bool:
    """Whether playing the turns comes upon the defect."""
    sign = sign_of(flow, finding)
    cast = _cast(flow, finding, sign)
    moment = Moment(State(), cast.context(), _BEGIN)
    for turn in turns:
        moment = after(flow, moment, turn)
        if sign.is_shown(moment):
            return True
    return False


def witness_of(flow: FlowDocument, finding: Found) -> Witness:
    """The turns, or why there are none."""
    sign = sign_of(flow, finding)
    cast = _cast(flow, finding, sign)
    context = cast.context()
    if sign.reason:
        return Witness(None, context, sign.reason)
    search = _Search(flow, finding, sign, cast)
    if finding.node and not search.knows(finding.node):
        return Witness(None, context, "nothing_leads_there")
    for follows in (True, False):
        moment = search.run(follows=follows)
        if moment is not None:
            return Witness(moment.turns(), context, follows=follows)
    return Witness(None, context, "not_played")


def _cast(flow: FlowDocument, finding: Found, sign: Sign) -> Cast:
    return Cast(flow, is_long=sign.is_long, lines=sign.lines, hidden=sign.hidden)


class _Search:
    def __init__(self, flow: FlowDocument, finding: Found, sign: Sign, cast: Cast) -> None:
        self._flow = flow
        self._sign = sign
        self._cast = cast
        self._whole = Whole(flow, {})
        self._path = _goal_path(finding, sign)
        self._far = self._distances(finding.node)
        self._variants = [facts for one in self._branches() for facts in one][:8]

    def knows(self, place: str) -> bool:
        return place in self._far

    def run(self, *, follows: bool) -> Moment | None:
        """The first moment that shows the defect, nearest first."""
        order = count()
        begin = Moment(State(), self._cast.context(), _BEGIN, facts=self._cast.facts())
        waiting = [(0, 0, next(order), 0, begin)]
        seen: set[str] = set()
        steps = 0
        while waiting and steps < _STEPS:
            _left, length, _order, done, moment = heappop(waiting)
            for turn in self._turns(moment, done, follows=follows):
                steps += 1
                following = after(self._flow, moment, turn)
                now = self._progress(done, following) if follows else 0
                if now is None:
                    continue
                if self._sign.is_shown(following) and (
                    not follows or self._is_there(now, following)
                ):
                    return following
                key = _key(following, now)
                if key in seen or length > _LONGEST or not following.is_going_on:
                    continue
                seen.add(key)
                left = len(self._path) - now if follows else self._left(following)
                heappush(waiting, (left, length + 1, next(order), now, following))
        return None

    def _turns(self, moment: Moment, done: int, *, follows: bool) -> Iterator[Turn]:
        is_first = moment.step is None
        told = list(self._cast.first_turns() if is_first else self._cast.turns(moment.state))
        if done >= len(self._path) and self._sign.last:
            told = [*self._sign.last, *told]
        variants = self._facts_ahead(done) if follows else self._variants if is_first else []
        for turn in told:
            for facts in (*variants, {}):
                merged_facts = merged(moment.facts, facts)
                yield {**turn, "facts": merged_facts} if merged_facts else turn

    def _facts_ahead(self, done: int) -> list[dict[str, Any]]:
        """Facts by which the branches that come next are left as the path goes on."""
        wanted: list[dict[str, Any]] = [{}]
        for place, following in pairwise(self._path[done:]):
            spot = self._spot(place)
            node = self._whole.nodes.get(spot)
            if node is None or node.awaits:
                if place != self._path[done]:
                    break
                continue
            if isinstance(node, Branch):
                ways = [
                    facts
                    for link in self._whole.links[spot]
                    if self._whole.places[link.target] == following
                    for facts in facts_for(node, link.exit)
                ]
                wanted = [merged(one, facts) for one in wanted for facts in ways[:6]][:12] or wanted
        return [one for one in wanted if one]

    def _progress(self, done: int, moment: Moment) -> int | None:
        """How much of the path is behind us; None off the path."""
        for place in moment.places:
            if done == len(self._path):
                break
            if place != self._path[done]:
                return None
            done += 1
        return done

    def _is_there(self, done: int, moment: Moment) -> bool:
        return done == len(self._path) or moment.trouble != "" or is_at_first_sight(self._sign)

    def _left(self, moment: Moment) -> int:
        return min((self._far.get(place, 999) for place in moment.around), default=999)

    def _distances(self, goal: str) -> dict[str, int]:
        """Places → links to the finding's place, counted backwards."""
        whole = self._whole
        near = [spot for spot, place in whole.places.items() if place == goal]
        far = dict.fromkeys(near, 0)
        waiting = list(near)
        for spot in waiting:
            for link in whole.into(spot):
                if link.origin not in far:
                    far[link.origin] = far[spot] + 1
                    waiting.append(link.origin)
        places: dict[str, int] = {}
        for spot, distance in far.items():
            place = whole.places[spot]
            places[place] = min(distance, places.get(place, distance))
        return places

    def _branches(self) -> Iterator[list[dict[str, Any]]]:
        for node in self._whole.nodes.values():
            if isinstance(node, Branch):
                for exit_ in node.exits():
                    yield [one for one in facts_for(node, exit_.name)[:2] if one]

    def _spot(self, place: str) -> str:
        return next((spot for spot, one in self._whole.places.items() if one == place), "")


def _goal_path(finding: Found, sign: Sign) -> tuple[str, ...]:
    """The path; a circle at its end is gone round until the run gives up."""
    path = tuple(finding.path)
    if sign.rounds and path and path.count(path[-1]) > 1:
        begin = path.index(path[-1])
        path += path[begin + 1 :] * sign.rounds
    return path


def _key(moment: Moment, done: int) -> str:
    state = moment.state.model_dump(mode="json", exclude={"path", "media_at"})
    known = json.dumps([state, moment.context], sort_keys=True, default=str)
    return f"{done}|{moment.silence >= WINDOW}|{known}"
