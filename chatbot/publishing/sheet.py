"""The impact sheet: everything that somebody should know before a draft goes on air."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from django.utils.translation import gettext as _

from chatbot import flows_service
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.findings import Finding, unreadable
from chatbot.flow_words import title_of
from chatbot.models import Flow, FlowVersion, GoldenConversation, PublishRequest, SessionMove, Split
from chatbot.publishing import approval, impact
from chatbot.publishing import split as splits
from chatbot.publishing.impact import Standing, Target
from chatbot.publishing.words import Difference, difference

DO_WORDS = {
    "stay": lambda: _("stay on their version"),
    "same": lambda: _("go on at the same step"),
    "map": lambda: _("go on at another step"),
    "end": lambda: _("end with a message"),
}


@dataclass(frozen=True)
class Row:
    """The conversations at one passo, and what is chosen for them; "" is what is chosen for all."""

    standing: Standing
    chosen: str
    node: str
    text: str

    @property
    def choices(self) -> list[tuple[str, str]]:
        return [(one, DO_WORDS[one]()) for one in self.standing.may]


@dataclass(frozen=True)
class Group:
    """The conversations of one version."""

    version: FlowVersion
    rows: tuple[Row, ...]
    total: int


class Sheet:
    """The sheet of a flow's draft; `given` is what a form says, so that nothing chosen is lost."""

    def __init__(self, flow: Flow, given: Mapping[str, str] | None = None) -> None:
        self.flow = flow
        self._given = given or {}

    # -- what would go on air

    @cached_property
    def document(self) -> FlowDocument | None:
        """None where the draft cannot be read."""
        try:
            return flows_service.with_subflows(parse_flow(self.flow.draft))
        except FlowError:
            return None

    @cached_property
    def on_air(self) -> FlowVersion | None:
        return self.flow.published

    @cached_property
    def is_new(self) -> bool:
        """Would anything change?"""
        if self.on_air is None or self.document is None:
            return True
        return self.on_air.document != self.document.as_dict()

    @property
    def next_label(self) -> str:
        newest = self.flow.versions.published().order_by("-number").first()
        return f"v{(newest.number or 0) + 1 if newest else 1}"

    @property
    def seen(self) -> str:
        return flows_service.fingerprint(self.flow, self.document) if self.document else ""

    @cached_property
    def difference(self) -> Difference | None:
        """None for a flow that was never on air."""
        if self.on_air is None or self.document is None:
            return None
        return difference(parse_flow(self.on_air.document), self.document)

    # -- what is wrong with it

    @cached_property
    def findings(self) -> list[Finding]:
        """Of the check; those that block first."""
        if self.document is None:
            try:
                parse_flow(self.flow.draft)
            except FlowError as error:
                return unreadable(error)
        return flows_service.check(self.flow)

    @property
    def errors(self) -> list[Finding]:
        return [one for one in self.findings if one.is_error]

    @property
    def remarks(self) -> list[Finding]:
        """What does not block."""
        return [one for one in self.findings if not one.is_error]

    @cached_property
    def golden_count(self) -> int:
        return GoldenConversation.objects.filter(flow=self.flow, is_active=True).count()

    @cached_property
    def mismatches(self) -> list[Finding]:
        if self.document is None:
            return []
        return flows_service.mismatches(self.flow, self.document)

    @property
    def golden_held(self) -> int:
        return self.golden_count - len(self.mismatches)

    @property
    def is_blocked(self) -> bool:
        return bool(self.errors or self.mismatches)

    # -- whom it meets

    @cached_property
    def standings(self) -> list[Standing]:
        return impact.standing(self.flow, self.document) if self.document else []

    @property
    def total(self) -> int:
        return sum(one.count for one in self.standings)

    @property
    def gone(self) -> int:
        """How many stand at a passo that the draft does not have."""
        return sum(one.count for one in self.standings if one.is_gone)

    @property
    def groups(self) -> list[Group]:
        grouped = groupby(self.standings, key=lambda one: one.version)
        found = []
        for version, ones in grouped:
            rows = tuple(self._row(one) for one in ones)
            total = sum(one.standing.count for one in rows)
            found.append(Group(version, rows, total))
        return found

    def _row(self, standing: Standing) -> Row:
        chosen = self._given.get(f"do:{standing.key}", "")
        return Row(
            standing=standing,
            chosen=chosen if chosen in standing.may else "",
            node=self._given.get(f"node:{standing.key}", ""),
            text=self._given.get(f"text:{standing.key}", ""),
        )

    @cached_property
    def targets(self) -> list[Target]:
        return list(impact.targets(self.document)) if self.document else []

    @property
    def for_all(self) -> Row | None:
        """What is chosen for everybody who is not chosen for apart."""
        if not self.standings:
            return None
        first = self.standings[0]
        everybody = Standing(
            first.version, "", "", "", self.total, ("stay", "same", "map", "end"), is_gone=False
        )
        chosen = self._given.get("do:all", "stay")
        node, text = self._given.get("node:all", ""), self._given.get("text:all", "")
        return Row(everybody, chosen, node, text)

    @property
    def note(self) -> str:
        return self._given.get("note", "")

    def moves(self) -> dict[str, dict[str, Any]]:
        """The choices as SessionMove keeps them, also for a passo that people have left since."""
        found: dict[str, dict[str, Any]] = {}
        for name, do in self._given.items():
            head, _colon, key = name.partition(":")
            version, _colon, place = key.partition(":")
            if head == "do" and place and do:
                found.setdefault(version, {})[place] = self._choice(do, key)
        do = self._given.get("do:all", "stay")
        for one in self.standings:
            places = found.setdefault(str(one.version.pk), {})
            if one.place not in places and do in one.may:
                places[one.place] = self._choice(do, "all")
        return found

    def _choice(self, do: str, key: str) -> dict[str, str]:
        choice = {"do": do}
        if do == "map":
            choice["node"] = self._given.get(f"node:{key}", "")
        if do == "end":
            choice["text"] = self._given.get(f"text:{key}", "")
        return choice

    # -- what is under way

    @cached_property
    def move(self) -> SessionMove | None:
        moves = SessionMove.objects.filter(version=self.flow.published_id)
        return moves.select_related("version").defer("version__document").first()

    @cached_property
    def split(self) -> Split | None:
        return splits.of_flow(self.flow)

    @cached_property
    def request(self) -> PublishRequest | None:
        """That waits for a second person."""
        return approval.waiting_for(self.flow)

    @cached_property
    def last_request(self) -> PublishRequest | None:
        """One that came to nothing since the version on air was published."""
        if self.request is not None:
            return None
        found = approval.last_of(self.flow)
        if found is None or found.state not in {"refused", "outdated"}:
            return None
        is_news = self.on_air is None or found.requested_at > self.on_air.published_at
        return found if is_news else None

    def asked_moves(self) -> list[str]:
        """What a request wants done with the conversations, in words."""
        if self.request is None:
            return []
        lines = []
        for version, places in self.request.moves.items():
            named = {one.place: one for one in self.standings if str(one.version.pk) == version}
            for place, choice in places.items():
                standing = named.get(place)
                title = standing.title if standing else place
                about = {"step": title, "what": self._in_words(choice)}
                lines.append(_("%(step)s: %(what)s") % about)
        return lines

    def _in_words(self, choice: Mapping[str, str]) -> str:
        words = DO_WORDS[choice["do"]]()
        if choice["do"] == "map":
            return f"{words} ({title_of(self.document, '', choice['node'])})"
        return f"{words} (“{choice['text']}”)" if choice["do"] == "end" else words
