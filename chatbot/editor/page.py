"""A flow's page: what is on air and what is drafted, the map, what the check found, its versions.

Everything is read in a bounded number of statements, whatever the number of passos, versions and
conversations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.db.models import Max
from django.http import QueryDict
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from chatbot.documents import document_of
from chatbot.editor.history import Doable, doable
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.findings import Finding, check_document, unreadable
from chatbot.flow_map import (
    MapCounts,
    MapEdge,
    Mark,
    SeenMap,
    draw,
    in_figures,
    with_counts,
    with_links,
    with_marks,
    with_trail,
)
from chatbot.flow_words import document_or_none
from chatbot.flows_service import prove, surroundings, with_subflows
from chatbot.models import (
    Flow,
    FlowVersion,
    IgnoredFinding,
    Trigger,
)
from chatbot.usage.figures import Figures
from users.digits import whole
from users.models import User

DRAFT = "draft"
VERSIONS_OFFERED = 50
TITLES_NAMED = 3  # in the alert, of the passos with errors
DAYS_COUNTED = 7
STEPS_ON_WAY = 8  # named in the way that leads to a finding

# The kinds of passo that can be added, in the order in which the menu offers them.
NEW_STEPS: tuple[tuple[str, str, Promise], ...] = (
    ("send", "msgs", pgettext_lazy("kind of step", "message")),
    ("menu", "list", gettext_lazy("buttons or list")),
    ("ask", "edit", pgettext_lazy("kind of step", "question")),
    ("branch", "merge", pgettext_lazy("kind of step", "condition")),
    ("handoff", "swap", pgettext_lazy("kind of step", "transfers and opens a ticket")),
    ("set", "note", pgettext_lazy("kind of step", "sets variables")),
    ("lead", "lead", pgettext_lazy("kind of step", "updates the lead")),
    ("call", "bolt", pgettext_lazy("kind of step", "integration")),
    ("http", "plug", pgettext_lazy("kind of step", "call to another system")),
    ("flow", "flow", pgettext_lazy("kind of step", "sub-flow")),
    ("wait", "snooze", pgettext_lazy("kind of step", "wait")),
    ("end", "check-c", pgettext_lazy("kind of step", "end")),
)


def address(name: str, *args: Any, **query: Any) -> str:
    """The address of a page that another part of the program brings; "" where it does not."""
    try:
        path = reverse(name, args=args)
    except NoReverseMatch:
        return ""
    given = {key: value for key, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def draft_differs(flow: Flow) -> bool:
    """Does the flow's own draft say anything else than what is on air? Sub-flows, which a version
    brings with it, are not looked at: it is asked for many flows."""
    if flow.published is None:
        return True
    on_air = flow.published.document
    return bool(flow.draft != {key: on_air[key] for key in on_air if key != "subflows"})


@dataclass(frozen=True)
class Asked:
    """What an address says about the page: `view` of the map, the `document` shown (the draft or
    the key of a version), whether numbers stand on the lines, and whether ignored findings show."""

    view: str = "map"
    document: str = DRAFT
    has_counts: bool = True
    shows_ignored: bool = False
    is_verified: bool = False

    @classmethod
    def read(cls, query: QueryDict) -> Asked:
        document = query.get("document", DRAFT)
        return cls(
            view="table" if query.get("view") == "table" else "map",
            document=document if whole(document) is not None else DRAFT,
            has_counts=query.get("counts") != "off",
            shows_ignored=query.get("ignored") == "show",
            is_verified=query.get("verify") == "1",
        )

    def query(self, **changes: Any) -> str:
        """The address' query with these changes; what is as usual is left out."""
        now: dict[str, str] = {
            "view": "table" if self.view == "table" else "",
            "document": "" if self.document == DRAFT else self.document,
            "counts": "" if self.has_counts else "off",
            "ignored": "show" if self.shows_ignored else "",
        }
        return urlencode({key: value for key, value in (now | changes).items() if value})


@dataclass(frozen=True)
class Version:
    """A published version, as the choice of documents names it."""

    pk: int
    number: int
    is_on_air: bool


@dataclass(frozen=True)
class Found:
    """A finding as the page shows it."""

    finding: Finding
    key: str
    title: str  # of the passo, if it is about one
    way: str
    step_href: str
    try_href: str
    is_ignored: bool = False

    @property
    def severity(self) -> str:
        return self.finding.severity

    @property
    def is_ignorable(self) -> bool:
        return not self.finding.is_error


class FlowPage:
    """What the page shows of one flow to one person; each part is read when it is asked for."""

    def __init__(self, flow: Flow, *, user: User, asked: Asked | None = None) -> None:
        self.flow = flow
        self.user = user
        self.asked = asked or Asked()

    # -- what there is

    @cached_property
    def versions(self) -> list[Version]:
        """The newest ones, newest first."""
        rows = FlowVersion.objects.filter(flow=self.flow).published().order_by("-number")
        known = rows.values_list("pk", "number")[:VERSIONS_OFFERED]
        on_air = self.flow.published_id
        return [Version(pk, number or 0, pk == on_air) for pk, number in known]

    @cached_property
    def next_number(self) -> int:
        if self.versions:
            return self.versions[0].number + 1
        last = self.flow.versions.published().aggregate(last=Max("number"))["last"]
        return (last or 0) + 1

    @cached_property
    def differs(self) -> bool:
        """Would publishing change anything, in the flow or in what it runs?"""
        if self._whole is None or self.flow.published_id is None:
            return True
        try:
            return self._whole != document_of(self.flow.published_id)
        except FlowError:
            return True

    @property
    def draft_name(self) -> str:
        return f"v{self.next_number}"

    @cached_property
    def triggers(self) -> list[Trigger]:
        rows = Trigger.objects.filter(flow=self.flow).select_related("channel", "calendar")
        return list(rows.defer("channel__credentials", "channel__settings"))

    @property
    def channels(self) -> str:
        """Where the flow is started from, in words."""
        active = [one for one in self.triggers if one.is_active]
        if not active:
            return _("no trigger starts it")
        if any(one.channel is None for one in active):
            return _("all channels")
        names = dict.fromkeys(str(one.channel) for one in active)
        said = ngettext("Channel %(names)s", "Channels %(names)s", len(names))
        return said % {"names": get_text_list(list(names), _("and"))}

    # -- the draft, and the document that is shown

    @cached_property
    def draft(self) -> FlowDocument | None:
        """None while it cannot be read."""
        try:
            return parse_flow(self.flow.draft)
        except FlowError:
            return None

    @cached_property
    def _whole(self) -> FlowDocument | None:
        """The draft as it would be published, with the flows that it runs."""
        return with_subflows(self.draft) if self.draft else None

    @cached_property
    def shown_version(self) -> Version | None:
        """The version that is looked at instead of the draft."""
        wanted = self.asked.document
        known = (one for one in self.versions if str(one.pk) == wanted)
        return next(known, None) if wanted != DRAFT else None

    @property
    def is_draft(self) -> bool:
        return self.shown_version is None

    @cached_property
    def document(self) -> FlowDocument | None:
        if self.shown_version is None:
            return self.draft
        try:
            return document_of(self.shown_version.pk)
        except FlowError:
            return None

    def title_of(self, node_id: str) -> str:
        node = self.draft.nodes.get(node_id) if self.draft else None
        return (node.title if node else "") or node_id

    # -- what the check found in the draft

    @cached_property
    def findings(self) -> list[Found]:
        """All of them, errors first; what was ignored last."""
        ignored = set(IgnoredFinding.objects.filter(flow=self.flow).values_list("key", flat=True))
        found = [self._found(one, ignored) for one in self._checked]
        return sorted(found, key=lambda one: one.is_ignored)

    @cached_property
    def _checked(self) -> list[Finding]:
        if self._whole is None:
            return self._unreadable
        if self.asked.is_verified:  # with the golden conversations, as before publishing
            return prove(self.flow, self._whole)
        return check_document(self._whole, surroundings())

    @property
    def _unreadable(self) -> list[Finding]:
        try:
            parse_flow(self.flow.draft)
        except FlowError as error:
            return unreadable(error)
        return []

    def _found(self, finding: Finding, ignored: set[str]) -> Found:
        is_of_step = bool(self.draft and finding.node in self.draft.nodes)
        way = [self.title_of(one.rpartition("/")[2]) for one in finding.path]
        if len(way) > STEPS_ON_WAY:
            way = [*way[:2], "…", *way[-(STEPS_ON_WAY - 3) :]]
        return Found(
            finding=finding,
            key=finding.key,
            title=finding.step,
            way=" → ".join(way) if len(way) > 1 else "",
            step_href=address("flow_step", self.flow.pk, finding.node) if is_of_step else "",
            try_href=address("flow_try", self.flow.pk, version=DRAFT, finding=finding.key)
            if finding.path
            else "",
            is_ignored=not finding.is_error and finding.key in ignored,
        )

    @property
    def seen_findings(self) -> list[Found]:
        shows_all = self.asked.shows_ignored
        return [one for one in self.findings if shows_all or not one.is_ignored]

    @property
    def ignored_count(self) -> int:
        return sum(one.is_ignored for one in self.findings)

    @cached_property
    def severities(self) -> Counter[str]:
        return Counter(one.severity for one in self.findings if not one.is_ignored)

    @property
    def errors(self) -> int:
        return self.severities["error"]

    @property
    def may_publish(self) -> bool:
        return not self.errors and self.differs and self.draft is not None

    @property
    def why_not(self) -> str:
        """Why nothing can be published now; "" when it can."""
        if self.errors:
            said = ngettext(
                "%(count)d error keeps this from being published.",
                "%(count)d errors keep this from being published.",
                self.errors,
            )
            return said % {"count": self.errors}
        return "" if self.differs else _("The draft says the same as what is on air.")

    @property
    def to_mend(self) -> list[Found]:
        """The first error of each passo that has one, and each error that is about none."""
        by_step: dict[str, Found] = {}
        for one in self.findings:
            if one.finding.is_error:
                by_step.setdefault(one.finding.node or one.key, one)
        return list(by_step.values())[:TITLES_NAMED]

    @property
    def more_to_mend(self) -> bool:
        nodes = {one.finding.node or one.key for one in self.findings if one.finding.is_error}
        return len(nodes) > TITLES_NAMED

    # -- the map

    @cached_property
    def counts(self) -> MapCounts | None:
        """What people did in the version on air, or in the one that is looked at; None while
        nothing was counted."""
        figures = self.figures
        return None if figures is None or figures.is_empty else figures.map_counts

    @cached_property
    def figures(self) -> Figures | None:
        """Of the last days; None without a version, or with one that cannot be read any more."""
        version = self.counted_version
        document = document_or_none(version.pk) if version else None
        if version is None or document is None:
            return None
        today = timezone.localdate()
        return Figures(version.pk, document, today - timedelta(days=DAYS_COUNTED - 1), today)

    @property
    def use(self) -> str:
        """How many conversations began in these days, and how many the bot brought to an end."""
        if self.figures is None or not self.figures.summary.started:
            return ""
        sum_ = self.figures.summary
        began = ngettext(
            "%(count)s conversation in %(days)d days",
            "%(count)s conversations in %(days)d days",
            sum_.started,
        ) % {"count": in_figures(sum_.started), "days": DAYS_COUNTED}
        percent = min(100, round(100 * sum_.finished / sum_.started))
        solved = _("%(percent)d%% solved by the bot") % {"percent": percent}
        return f"{began} · {solved}"

    @property
    def counted_version(self) -> Version | None:
        """Whose counts stand on the map."""
        if self.shown_version is not None:
            return self.shown_version
        return next((one for one in self.versions if one.is_on_air), None)

    @cached_property
    def seen(self) -> SeenMap | None:
        """The document that is shown, drawn; None while it cannot be read."""
        if self.document is None:
            return None
        seen = with_trail(draw(self.document))
        if self.asked.has_counts:
            seen = with_counts(seen, self.counts)
        if self.is_draft:
            seen = with_marks(seen, self.marks)
            seen = with_links(seen, self._step_href, self._insert_href, self._delete_href)
        return seen

    @property
    def marks(self) -> Mapping[str, tuple[Mark, tuple[str, ...]]]:
        """What is wrong with each passo; hints leave no mark."""
        found: dict[str, tuple[Mark, tuple[str, ...]]] = {}
        for one in self.findings:
            if one.is_ignored or not one.finding.node or one.severity == "hint":
                continue
            worst, said = found.get(one.finding.node, ("", ()))
            is_error = one.finding.is_error or worst == "error"
            mark: Mark = "error" if is_error else "warning"
            found[one.finding.node] = mark, (*said, one.finding.text)
        return found

    def _step_href(self, node_id: str) -> str:
        return address("flow_step", self.flow.pk, node_id)

    def _delete_href(self, node_id: str) -> str:
        return address("flow_step_delete", self.flow.pk, node_id)

    def _insert_href(self, edge: MapEdge) -> str:
        first = edge.exits[0].name
        return address("flow_step_add", self.flow.pk, origin=edge.origin, exit=first)

    # -- where its parts are

    @property
    def map_query(self) -> str:
        return self.asked.query(view="map")

    @property
    def table_query(self) -> str:
        return self.asked.query(view="table")

    @property
    def counts_query(self) -> str:
        return self.asked.query(counts="off" if self.asked.has_counts else "")

    @property
    def ignored_query(self) -> str:
        return self.asked.query(ignored="" if self.asked.shows_ignored else "show")

    @property
    def table_node_href(self) -> str:
        """Where a passo of a published version leads, up to its id: to its row of the table."""
        path = reverse("admin:chatbot_flow_change", args=[self.flow.pk])
        return f"{path}?{self.table_query}#passo-"

    @property
    def new_steps(self) -> list[tuple[str, str, str]]:
        """(address, icon, words) of each kind of passo that can be added."""
        base = address("flow_step_add", self.flow.pk)
        if not base:
            return []
        return [(f"{base}?kind={kind}", icon, str(words)) for kind, icon, words in NEW_STEPS]

    @property
    def first_step_href(self) -> str:
        """The form of the passo where reading begins."""
        document = self.draft
        if document is None or not document.nodes:
            return ""
        start = document.start if document.start in document.nodes else next(iter(document.nodes))
        return self._step_href(start)

    @property
    def publish_href(self) -> str:
        return address("flow_publish", self.flow.pk)

    @property
    def undo_href(self) -> str:
        return address("flow_undo", self.flow.pk)

    @cached_property
    def history(self) -> Doable:
        """What the buttons undo and do again."""
        return doable(self.flow, self.user)

    @property
    def menu(self) -> list[tuple[str, str, str]]:
        """(address, icon, words) of the other pages of the flow that there are."""
        pages = (
            ("flow_settings", "edit", _("Settings of the flow")),
            ("flow_triggers", "bolt", _("Triggers")),
            ("flow_words", "tag", _("Words that work anywhere")),
            ("flow_variables", "note", _("Variables")),
            ("flow_statistics", "eye", _("What people do")),
            ("flow_goldens", "check-c", _("Test conversations")),
            ("flow_replays", "play", _("Replay conversations")),
            ("flow_import", "out", _("Import")),
            ("flow_export", "down", _("Export")),
        )
        found = [(address(name, self.flow.pk), icon, words) for name, icon, words in pages]
        return [one for one in found if one[0]]
