"""How long ago the customer last wrote when the run comes to a passo: only waits take time.

Messages of the customer begin the count anew; after CALLS_PER_MESSAGE requests, integrations and
waits in a row a run gives up, so that is as far as it is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from chatbot.engine.kinds import WaitNode
from chatbot.engine.limits import CALLS_PER_MESSAGE
from chatbot.engine.whole import Link, Whole

WINDOW = 24 * 3600  # seconds in which WhatsApp takes free text

_Here = tuple[str, int]  # spot, calls since the customer wrote
_Came = tuple[_Here, Link]


@dataclass(frozen=True, slots=True)
class Late:
    """A spot at which the window may be closed; `is_always`: whichever way leads there."""

    spot: str
    seconds: int
    way: tuple[str, ...]
    is_always: bool


def late_spots(whole: Whole) -> list[Late]:
    """In the order in which they are reached."""
    waits = [node.seconds for node in whole.nodes.values() if isinstance(node, WaitNode)]
    if max(waits, default=0) * CALLS_PER_MESSAGE < WINDOW:
        return []
    longest, came = _longest(whole)
    soonest = _soonest(whole)
    found: dict[str, Late] = {}
    for (spot, calls), seconds in longest.items():
        if seconds < WINDOW or (spot in found and found[spot].seconds >= seconds):
            continue
        way = _way(whole, (spot, calls), came)
        found[spot] = Late(spot, seconds, way, soonest[spot] >= WINDOW)
    return [found[spot] for spot in whole.nodes if spot in found]


def _longest(whole: Whole) -> tuple[dict[_Here, int], dict[_Here, _Came]]:
    """The most seconds on the way to each spot, and by which way."""
    first = _within(whole, whole.start, 0)
    seconds: dict[_Here, int] = {first: 0}
    came: dict[_Here, _Came] = {}
    waiting = [first]
    while waiting:
        here = waiting.pop()
        spot, calls = here
        for link in whole.links[spot]:
            there = _within(whole, link.target, 0 if _begins_anew(whole, link) else calls)
            passed = _passed(whole, link, seconds[here])
            if there[1] <= CALLS_PER_MESSAGE and passed > seconds.get(there, -1):
                seconds[there] = passed
                came[there] = (here, link)
                waiting.append(there)
    return seconds, came


def _soonest(whole: Whole) -> dict[str, int]:
    """The fewest seconds on any way to each spot; an interruption may always come at once."""
    seconds = {whole.start: 0}
    waiting = [whole.start]
    while waiting:
        spot = waiting.pop()
        node = whole.nodes[spot]
        for link in whole.links[spot]:
            is_cut_short = isinstance(node, WaitNode) and node.interruptible and not node.on_message
            passed = 0 if is_cut_short else _passed(whole, link, seconds[spot])
            if passed < seconds.get(link.target, WINDOW * 400):
                seconds[link.target] = passed
                waiting.append(link.target)
    return seconds


def _within(whole: Whole, spot: str, calls: int) -> _Here:
    is_call = whole.nodes[spot].awaits in ("wait", "http", "handler")
    return spot, calls + 1 if is_call else calls


def _begins_anew(whole: Whole, link: Link) -> bool:
    """After a message of the customer; a sub-flow of which nothing is known may have asked."""
    return link.by_customer or link.origin in whole.closed


def _passed(whole: Whole, link: Link, so_far: int) -> int:
    if _begins_anew(whole, link):
        return 0
    node = whole.nodes[link.origin]
    return so_far + node.seconds if isinstance(node, WaitNode) else so_far


def _way(whole: Whole, here: _Here, came: dict[_Here, _Came]) -> tuple[str, ...]:
    """From where the count began, and before that the shortest way."""
    spots = [here[0]]
    while here in came:
        here, link = came[here]
        spots.append(here[0])
        if _begins_anew(whole, link):
            break
    spots.reverse()
    return (*whole.way(spots[0])[:-1], *spots)
