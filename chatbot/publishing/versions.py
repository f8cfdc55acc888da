"""The versions of a flow: what was on air, how two of them differ, and taking one up again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.utils.translation import gettext as _

from chatbot import flows_service
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.models import Flow, FlowVersion, PublishRequest, SessionMove, Split
from chatbot.publishing import approval
from chatbot.publishing import split as splits
from chatbot.publishing.words import Difference, difference
from users.digits import whole
from users.models import User

PER_PAGE = 8
DRAFT = "draft"
FROM, TO, PAGE = "from", "to", "versions"  # names in addresses


@dataclass(frozen=True)
class Entry:
    """The draft or a version, as a line of the list. `key` names it in addresses."""

    key: str
    label: str
    by: User | None
    at: datetime | None
    note: str = ""
    is_on_air: bool = False
    is_draft: bool = False


class Versions:
    """The card: a page of the list, and two of them compared. The number of statements does not
    depend on how many there are."""

    def __init__(self, flow: Flow, asked: Mapping[str, str]) -> None:
        self.flow = flow
        self._asked = asked

    # -- the list

    @cached_property
    def page(self) -> Page[FlowVersion]:
        rows = self.flow.versions.published().select_related("published_by").defer("document")
        return Paginator(rows.order_by("-number"), PER_PAGE).get_page(self._asked.get(PAGE))

    @property
    def entries(self) -> list[Entry]:
        listed = [self._entry(version) for version in self.page]
        return [self.draft, *listed] if self.page.number == 1 else listed

    @cached_property
    def draft(self) -> Entry:
        """The number that it would get stands before it once it differs from what is on air."""
        number = max(self.numbers, default=0) + 1
        label = f"v{number} · {_('draft')}" if self.has_draft else _("draft")
        flow = self.flow
        return Entry(DRAFT, label, flow.draft_saved_by, flow.draft_saved_at, is_draft=True)

    @cached_property
    def numbers(self) -> list[int]:
        """Of all versions, newest first."""
        rows = self.flow.versions.published().order_by("-number")
        return [number for number in rows.values_list("number", flat=True) if number is not None]

    @cached_property
    def on_air(self) -> int | None:
        """The number of the version on air."""
        return self.flow.published.number if self.flow.published else None

    @cached_property
    def has_draft(self) -> bool:
        """Would publishing change anything?"""
        if self.flow.published is None:
            return True
        try:
            return self._document(DRAFT) != parse_flow(self.flow.published.document)
        except FlowError:
            return True

    def _entry(self, version: FlowVersion) -> Entry:
        return Entry(
            key=str(version.number),
            label=version.label,
            by=version.published_by,
            at=version.published_at,
            note=version.note,
            is_on_air=version.pk == self.flow.published_id,
        )

    # -- two of them

    @cached_property
    def before(self) -> str:
        """What is compared with `after`: as asked for, else what is on air, or what was."""
        if asked := self._known(FROM):
            return asked
        older = [one for one in self.numbers if self.after == DRAFT or one < int(self.after)]
        on_air = self.on_air
        if on_air in older:
            return str(on_air)
        return str(older[0]) if older else self.after

    @cached_property
    def after(self) -> str:
        if asked := self._known(TO):
            return asked
        return DRAFT if self.has_draft or self.on_air is None else str(self.on_air)

    def _known(self, name: str) -> str:
        """The key that an address gives under this name, as entries have it; "" when there is no
        such entry."""
        asked = self._asked.get(name, "")
        number = whole(asked)
        if number is not None:
            return str(number) if number in self.numbers else ""
        return DRAFT if asked == DRAFT else ""

    @property
    def before_label(self) -> str:
        return self.label_of(self.before)

    @property
    def after_label(self) -> str:
        return self.label_of(self.after)

    def label_of(self, key: str) -> str:
        return self.draft.label if key == DRAFT else f"v{key}"

    @property
    def choices(self) -> list[tuple[str, str]]:
        """(key, label) of all that can be compared, newest first."""
        return [(DRAFT, self.draft.label), *((str(one), f"v{one}") for one in self.numbers)]

    @cached_property
    def difference(self) -> Difference | None:
        """None where one of the two cannot be read."""
        try:
            return difference(self._document(self.before), self._document(self.after))
        except FlowError:
            return None

    @property
    def may_restore(self) -> bool:
        return self.before != DRAFT

    @cached_property
    def _stored(self) -> dict[str, Any]:
        wanted = [int(one) for one in (self.before, self.after) if one != DRAFT]
        rows = self.flow.versions.filter(number__in=wanted).values_list("number", "document")
        return {str(number): document for number, document in rows}

    def _document(self, key: str) -> FlowDocument:
        if key == DRAFT:
            return self._draft
        return parse_flow(self._stored[key])

    @cached_property
    def _draft(self) -> FlowDocument:
        """As it would be published."""
        return flows_service.with_subflows(parse_flow(self.flow.draft))

    # -- what is under way

    @cached_property
    def move(self) -> SessionMove | None:
        """Of the live conversations, to what is on air."""
        moves = SessionMove.objects.filter(version=self.flow.published_id)
        return moves.select_related("version").defer("version__document").first()

    @cached_property
    def split(self) -> Split | None:
        return splits.of_flow(self.flow)

    @cached_property
    def request(self) -> PublishRequest | None:
        return approval.waiting_for(self.flow)


def restore(flow: Flow, number: int, *, user: User, revision: int) -> Flow:
    """The document of a version becomes the draft, as any change of the draft does. Raises
    FlowVersion.DoesNotExist, and what `save_draft` raises."""
    version = flow.versions.published().get(number=number)
    document = {name: value for name, value in version.document.items() if name != "subflows"}
    said = {"code": "restored", "version": f"v{number}"}
    return flows_service.save_draft(flow, document, user=user, revision=revision, said=said)
