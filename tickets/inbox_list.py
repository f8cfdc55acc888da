"""The tickets list as a page: its change list, and what the templates draw besides the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Count, Prefetch
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import Promise, cached_property
from django.utils.text import capfirst, get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads.models import Tag
from sessions_app.models import Channel
from tickets.inbox import WINDOWS, Counts, Filters, Heap, Sort, Tab, counts_for
from tickets.models import (
    Priority,
    SavedView,
    Ticket,
    TicketQuerySet,
    TicketStatus,
)
from users.models import Department, User
from users.permissions import person

if TYPE_CHECKING:
    from datetime import datetime

# What a row of the list does not show, and may be long.
UNSHOWN = ("variables", "handoff", "resolution_note", "rating_comment")


@dataclass(frozen=True)
class Group:
    """Rows under one heading. `count` is of the whole list, not of the page."""

    heap: Heap
    title: str
    note: str
    tickets: list[Ticket]


@dataclass(frozen=True)
class TabLink:
    label: str
    url: str
    count: int | None = None
    tone: str = ""
    is_current: bool = False
    is_view: bool = False


@dataclass(frozen=True)
class Choice:
    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True)
class Chip:
    """A filter and what may be ticked in it."""

    name: str
    title: str
    choices: list[Choice]
    is_set: bool
    is_single: bool = False

    @property
    def summary(self) -> str:
        """What it says when it is closed."""
        chosen = [one.label for one in self.choices if one.is_chosen]
        if not chosen:
            return self.title
        shown = chosen[0] if len(chosen) == 1 else str(len(chosen))
        return _("%(filter)s: %(chosen)s") % {"filter": self.title, "chosen": shown}


@dataclass(frozen=True)
class Page:
    """What stands around the rows. Each part is read once, however many rows there are."""

    user: User
    filters: Filters
    at: datetime
    listed: Mapping[int, int] = field(repr=False)  # rows of the list by heap

    @cached_property
    def counts(self) -> Counts:
        return counts_for(self.user, at=self.at)

    @cached_property
    def departments(self) -> list[Department]:
        return list(Department.objects.visible_to(self.user).active())

    @cached_property
    def own_departments(self) -> list[str]:
        mine = set(self.user.departments.values_list("pk", flat=True))
        return [one.name for one in self.departments if one.pk in mine]

    @cached_property
    def people(self) -> list[User]:
        """Whom a ticket may be given to, with the departments they work in."""
        found = User.objects.visible_to(self.user).active()
        return list(found.prefetch_related(Prefetch("departments", Department.objects.active())))

    @cached_property
    def tags(self) -> list[Tag]:
        return list(Tag.objects.all())

    @cached_property
    def channels(self) -> list[Channel]:
        return list(Channel.objects.visible_to(self.user).only("pk", "name"))

    @cached_property
    def views(self) -> list[SavedView]:
        return list(SavedView.objects.visible_to(self.user).select_related("user"))

    @cached_property
    def own_views(self) -> list[SavedView]:
        return [one for one in self.views if one.user_id == self.user.pk]

    @property
    def tabs(self) -> list[TabLink]:
        """The five groups with their counts, then the saved views."""
        query = self.filters.query()
        views = [Filters.of_query(one.query).query() for one in self.views]
        is_view = query in views
        tabs = [self._tab(tab, is_current=tab == self.filters.grupo and not is_view) for tab in Tab]
        return tabs + [
            TabLink(view.name, f"?{address}", is_current=address == query, is_view=True)
            for view, address in zip(self.views, views, strict=True)
        ]

    @property
    def chips(self) -> list[Chip]:
        asked = self.filters
        statuses = {one.value: _capital(one.label) for one in TicketStatus}
        priorities = {one.value: _capital(one.label) for one in reversed(Priority)}
        chips = [
            _chip("status", _("Status"), statuses, asked.statuses, is_set=True),
            _chip("prioridade", _("Priority"), priorities, asked.prioridade),
            _chip("departamento", _("Department"), _named(self.departments), asked.departamento),
            _chip("canal", _("Channel"), _named(self.channels), asked.canal),
            _chip("etiqueta", _("Tag"), _named(self.tags), asked.etiqueta),
        ]
        if self.user.is_admin:
            people = _named(self.people)
            chips.append(_chip("responsavel", _("Assignee"), people, asked.responsavel))
        if asked.window:
            windows = {name: _capital(label) for name, label in WINDOWS.items()}
            window = _chip("window", _("Window"), windows, (asked.window,), is_single=True)
            chips.append(window)
        return [chip for chip in chips if chip.choices]

    @property
    def priorities(self) -> list[Choice]:
        """To be chosen for the selected tickets."""
        return [Choice(one.value, _capital(one.label), False) for one in reversed(Priority)]

    @property
    def sorts(self) -> list[TabLink]:
        return [
            TabLink(
                str(sort.label),
                f"?{self.filters.query(ordem=sort)}",
                is_current=sort == self.filters.ordem,
            )
            for sort in Sort
        ]

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """What the form of the filters keeps besides its own fields."""
        plain, asked = Filters(), self.filters
        return [
            (name, getattr(asked, name))
            for name in ("grupo", "ordem")
            if getattr(asked, name) != getattr(plain, name)
        ]

    @property
    def subtitle(self) -> str:
        """How much there is, in words."""
        near = self.counts.mine + self.counts.team
        said = ngettext(
            "%(count)d with you or in your team's queue",
            "%(count)d with you or in your team's queue",
            near,
        ) % {"count": near}
        return _("%(near)s · %(all)d in all") % {"near": said, "all": self.counts.all}

    @property
    def cleared(self) -> str:
        return f"?{Filters(grupo=self.filters.grupo, ordem=self.filters.ordem).query()}"

    @property
    def here(self) -> str:
        return f"?{self.filters.query()}"

    @property
    def empty(self) -> tuple[str, str, str, str]:
        """Why there is no row, in a title and a sentence, and what to do: label and address."""
        everywhere = replace(self.filters, grupo=Tab.ALL, status=tuple(TicketStatus.values))
        if self.filters.q and self.filters != everywhere:
            title = _("No ticket here matches your search")
            sentence = _("It may be in another group, or be resolved already.")
            return title, sentence, _("Search in all tickets"), f"?{everywhere.query()}"
        if self.filters.is_narrowed:
            title = _("No ticket matches these filters")
            return title, _("Try fewer filters, or other words."), _("Clear filters"), self.cleared
        why, what = EMPTY[self.filters.grupo]
        others = Tab.MINE if self.filters.grupo == Tab.ALL else Tab.ALL
        label = _("See all tickets") if others == Tab.ALL else _("See my tickets")
        return str(why), str(what), label, f"?{Filters(grupo=others).query()}"

    @property
    def start_url(self) -> str:
        """Where an attendant begins a conversation; empty when this installation has no such page
        or they may not write."""
        if not self.user.has_perm("chatbot.add_messagelog"):
            return ""
        try:
            return reverse("conversation_start_search")
        except NoReverseMatch:
            return ""

    def groups(self, tickets: list[Ticket]) -> list[Group]:
        """The rows of a page under their headings, in the order in which the database gave them."""
        heaps = groupby(tickets, key=lambda ticket: Heap(ticket.heap))  # type: ignore[attr-defined]  # annotated
        return [
            Group(heap, self._title(heap), self._note(heap), list(rows)) for heap, rows in heaps
        ]

    def _tab(self, tab: Tab, *, is_current: bool) -> TabLink:
        count = self.counts.of(tab)
        tones = {Tab.MINE: "hot", Tab.UNASSIGNED: "risk"}
        tone = tones.get(tab, "") if count else ""
        url = f"?{Filters(grupo=tab).query()}"
        return TabLink(str(tab.label), url, count, tone, is_current=is_current)

    def _title(self, heap: Heap) -> str:
        if heap != Heap.QUEUE or (self.user.is_admin and self.filters.grupo != Tab.MINE):
            return str(heap.label)
        names = get_text_list(self.own_departments, _("and"))
        return (
            _("In the queue of %(departments)s") % {"departments": names}
            if names
            else str(heap.label)
        )

    def _note(self, heap: Heap) -> str:
        count = self.listed.get(heap, 0)
        match heap:
            case Heap.WAITING:
                return _("%(count)d · the SLA is paused") % {"count": count}
            case Heap.QUEUE:
                text = ngettext("%(count)d unassigned", "%(count)d unassigned", count)
                return text % {"count": count}
        return str(count)


class InboxList(ChangeList):
    """Filters, groups and pages of its own; search, actions and the rest are the admin's."""

    page: Page

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        self.at, self.filters = timezone.now(), Filters.of(request.GET)
        self.query = self.filters.q
        self.filter_specs, self.has_filters = [], False
        self.has_active_filters = self.filters.is_narrowed
        self.clear_all_filters_qs = f"?{Filters(grupo=self.filters.grupo).query()}"
        asked = self.filters.narrow(
            cast("TicketQuerySet", self.root_queryset), user=person(request), at=self.at
        )
        found, has_duplicates = self.model_admin.get_search_results(request, asked, self.query)
        if has_duplicates:
            found = asked.filter(pk__in=found.order_by().values("pk"))
        return found.order_by(*self.filters.order())

    def get_results(self, request: HttpRequest) -> None:
        """The size of each group is counted, and with it the whole list, by one statement."""
        counted = self.queryset.order_by().values_list("heap").annotate(count=Count("pk"))
        listed = dict(counted)
        self.page = Page(person(request), self.filters, self.at, listed)
        # The leads are many: they are looked up for the rows of the page alone.
        rows = self.queryset.select_related("department", "assignee").prefetch_related("lead")
        rows = rows.defer(*UNSHOWN)
        self.paginator = _Counted(rows, self.list_per_page, total=sum(listed.values()))
        current = self.paginator.get_page(self.page_num)
        self.page_num, self.result_list = current.number, list(current.object_list)
        self.result_count = self.paginator.count
        self.full_result_count, self.show_full_result_count = None, False
        self.can_show_all, self.multi_page = False, self.paginator.num_pages > 1
        self.show_admin_actions = True

    @property
    def groups(self) -> list[Group]:
        return self.page.groups(self.result_list)

    @property
    def since(self) -> str:
        """When the rows were read, for whoever asks for news."""
        return self.at.isoformat()


class _Counted(Paginator):
    """Pages of rows whose number is known already."""

    def __init__(self, rows: Any, per_page: int, *, total: int) -> None:
        super().__init__(rows, per_page)
        self._total = total

    @cached_property
    def count(self) -> int:
        return self._total


EMPTY: dict[Tab, tuple[Promise, Promise]] = {
    Tab.MINE: (
        gettext_lazy("No ticket waits for you"),
        gettext_lazy("You have answered everything, and the queues of your departments are empty."),
    ),
    Tab.UNASSIGNED: (
        gettext_lazy("The queue is empty"),
        gettext_lazy("Every open ticket that you may see has somebody who looks after it."),
    ),
    Tab.ALL: (
        gettext_lazy("No open tickets"),
        gettext_lazy("A ticket begins when the bot hands a conversation to the team."),
    ),
    Tab.AT_RISK: (
        gettext_lazy("No SLA at risk"),
        gettext_lazy("Nothing is late, and nothing is due within 15 minutes."),
    ),
    Tab.SNOOZED: (
        gettext_lazy("Nothing is snoozed"),
        gettext_lazy("A ticket that you put aside until later waits here."),
    ),
}


def _chip(  # noqa: PLR0913  # keyword-only at its end
    name: str,
    title: str,
    labels: Mapping[str, str],
    chosen: tuple[Any, ...],
    *,
    is_set: bool = False,
    is_single: bool = False,
) -> Chip:
    ticked = set(map(str, chosen))
    choices = [Choice(value, label, value in ticked) for value, label in labels.items()]
    return Chip(name, title, choices, is_set or bool(ticked), is_single)


def _capital(label: str | Promise) -> str:
    return capfirst(str(label))


def _named(rows: list[Any]) -> dict[str, str]:
    return {str(row.pk): str(row) for row in rows}
