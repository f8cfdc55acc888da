"""What was counted, as pages show it. A statement or two for a version, whatever its traffic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from django.db.models import QuerySet, Sum
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chatbot.engine.kinds import AnyNode
from chatbot.engine.nodes import FlowDocument
from chatbot.flow_map import MapCounts, NodeCount, exit_label
from chatbot.flow_words import any_title, node_at
from chatbot.labels import EXIT_LABELS
from chatbot.models import FlowCount
from chatbot.usage.tally import (
    FINISHED,
    JUMPED,
    MOVED,
    SILENT,
    STARTED,
    STOPPED,
    UNKNOWN,
    median,
)

Exit = tuple[str, str, str]  # passo, exit, where it led

PSEUDO_WORDS: dict[str, Promise] = {
    UNKNOWN: gettext_lazy("not understood"),
    FINISHED: gettext_lazy("reached an end"),
    SILENT: gettext_lazy("gave up"),
    STOPPED: gettext_lazy("was ended"),
}


@dataclass(frozen=True)
class Taken:
    """An exit, and how many took it. `share`: percent of all who left the passo; `wait`: the median
    of how long it had waited for what made it go on."""

    exit: str
    label: str
    target: str
    leads_to: str
    count: int
    share: int
    wait: timedelta | None


@dataclass(frozen=True)
class StepFigures:
    """One passo. `unknown` counts answers that were not understood; `asked` all answers."""

    place: str
    title: str
    arrived: int
    silent: int
    unknown: int
    answered: int
    wait: timedelta | None
    exits: tuple[Taken, ...]

    @property
    def count(self) -> NodeCount:
        return NodeCount(self.arrived, self.silent)

    @property
    def unknown_rate(self) -> int:
        """Percent of the answers, rounded."""
        return round(100 * self.unknown / self.answered) if self.answered else 0


@dataclass(frozen=True)
class Summary:
    """How the conversations of a version went, as far as they are over. `moved`: those that began
    in another version and came here when this one was published."""

    started: int
    moved: int
    finished: int
    to_people: int
    silent: int
    stopped: int
    unknown: int

    @property
    def lines(self) -> list[tuple[str, int, str]]:
        """(what, how many, percent of those that began or were moved here) of each way in which
        they ended."""
        counts = (
            (_("reached an end"), self.finished),
            (_("went to the team"), self.to_people),
            (_("gave up"), self.silent),
            (_("were ended"), self.stopped),
        )
        return [(what, count, self._percent(count)) for what, count in counts]

    def _percent(self, count: int) -> str:
        came = self.started + self.moved
        return f"{round(100 * count / came)}%" if came else ""


class Figures:
    """A version's counters between two days, both included (in TIME_ZONE)."""

    def __init__(self, version_id: int, document: FlowDocument, since: date, until: date) -> None:
        self.version_id, self.document = version_id, document
        self.since, self.until = since, until

    @cached_property
    def _counts(self) -> dict[Exit, int]:
        return _counts([self.version_id], self.since, self.until)

    @cached_property
    def _times(self) -> dict[Exit, Counter[str]]:
        rows = _rows([self.version_id], self.since, self.until).exclude(seconds={})
        found: dict[Exit, Counter[str]] = defaultdict(Counter)
        for node, exit_name, target, seconds in rows.values_list(
            "node", "exit", "target", "seconds"
        ):
            found[node, exit_name, target] += Counter(seconds)
        return found

    @property
    def is_empty(self) -> bool:
        return not self._counts

    @cached_property
    def map_counts(self) -> MapCounts:
        return _on_map(self._counts)

    @cached_property
    def summary(self) -> Summary:
        of_exit: Counter[str] = Counter()
        to_people = 0
        for (node, exit_name, _target), count in self._counts.items():
            of_exit[exit_name] += count
            if exit_name == FINISHED and getattr(self._node(node), "kind", "") == "handoff":
                to_people += count
        return Summary(
            started=of_exit[STARTED],
            moved=of_exit[MOVED],
            finished=of_exit[FINISHED] - to_people,
            to_people=to_people,
            silent=of_exit[SILENT],
            stopped=of_exit[STOPPED],
            unknown=of_exit[UNKNOWN],
        )

    @cached_property
    def steps(self) -> list[StepFigures]:
        """The passos where somebody was, the most visited first."""
        places = {node for node, _exit, _target in self._counts if node}
        places |= {target for _node, _exit, target in self._counts if target}
        arrived = _arrivals(self._counts)
        found = [self._step(place, arrived[place]) for place in places]
        return sorted(found, key=lambda one: (-one.arrived, one.place))

    def at(self, place: str) -> StepFigures | None:
        return next((one for one in self.steps if one.place == place), None)

    def _step(self, place: str, arrived: int) -> StepFigures:
        own = {key: count for key, count in self._counts.items() if key[0] == place}
        of_exit: Counter[str] = Counter()
        for (_node, exit_name, _target), count in own.items():
            of_exit[exit_name] += count
        onward = {key: count for key, count in own.items() if key[1] not in PSEUDO_WORDS}
        left = sum(onward.values())
        exits = [self._taken(key, count, left) for key, count in onward.items()]
        times: Counter[str] = sum((self._times.get(key, Counter()) for key in own), Counter())
        return StepFigures(
            place=place,
            title=any_title(self.document, place),
            arrived=arrived,
            silent=of_exit[SILENT],
            unknown=of_exit[UNKNOWN],
            answered=left + of_exit[UNKNOWN],
            wait=_stretch(times),
            exits=tuple(sorted(exits, key=lambda one: (-one.count, one.exit))),
        )

    def _taken(self, key: Exit, count: int, left: int) -> Taken:
        place, exit_name, target = key
        node = self._node(place)
        return Taken(
            exit=exit_name,
            label=exit_in_words(node, exit_name),
            target=target,
            leads_to=any_title(self.document, target) if target else "",
            count=count,
            share=round(100 * count / left) if left else 0,
            wait=_stretch(self._times.get(key, Counter())),
        )

    def _node(self, place: str) -> AnyNode | None:
        return node_at(self.document, place)


def exit_in_words(node: AnyNode | None, name: str) -> str:
    """An exit of a passo, or what is none."""
    known = PSEUDO_WORDS.get(name) or EXIT_LABELS.get(name)
    said = str(known) if known else exit_label(node, name) if node else ""
    return said or (_("goes on") if name == "next" else name)


def _rows(version_ids: Iterable[int], since: date, until: date) -> QuerySet[FlowCount]:
    counted = FlowCount.objects.filter(version__in=list(version_ids))
    return counted.filter(day__gte=since, day__lte=until).order_by()


def _counts(version_ids: Iterable[int], since: date, until: date) -> dict[Exit, int]:
    rows = _rows(version_ids, since, until).values_list("node", "exit", "target")
    return {
        (node, exit_name, target): n for node, exit_name, target, n in rows.annotate(Sum("count"))
    }


def _stretch(times: Mapping[str, int]) -> timedelta | None:
    seconds = median(times)
    return None if seconds is None else timedelta(seconds=seconds)


def _arrivals(counts: Mapping[Exit, int]) -> Counter[str]:
    """How many came to each passo, from another one or from outside."""
    arrived: Counter[str] = Counter()
    for (_node, _exit, target), count in counts.items():
        if target:
            arrived[target] += count
    return arrived


def _on_map(counts: Mapping[Exit, int]) -> MapCounts:
    silent: Counter[str] = Counter()
    edges: Counter[tuple[str, str]] = Counter()
    for (node, exit_name, target), count in counts.items():
        if exit_name == SILENT:
            silent[node] += count
        elif target and exit_name not in {STARTED, JUMPED, MOVED}:
            edges[node, target] += count
    arrived = _arrivals(counts)
    nodes = {place: NodeCount(n, silent[place]) for place, n in arrived.items()}
    return MapCounts(nodes, edges)
