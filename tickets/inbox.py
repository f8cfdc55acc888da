"""Which tickets the inbox shows, in which groups and order, as its address asks for them.

Every count and page starts at what the person may see; the statements read the index of open
tickets unless settled ones are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Case, Count, F, IntegerField, OrderBy, Q, Value, When
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from sessions_app.models import CLOSING_HOURS, Session
from tickets.models import (
    AT_RISK,
    OPEN_STATUSES,
    Priority,
    Ticket,
    TicketQuerySet,
    TicketStatus,
    snoozed_condition,
)
from users.digits import whole
from users.models import User
from users.text_search import Document, HasWords, in_any, words_of

LONGEST_SEARCH = 200  # characters
MOST_IDS = 50  # ticked in one filter
SAID = Document(("messages__text",))  # as chatbot indexes it, reached from Session
SHORTEST_SAID = 3  # letters of a word that is looked for in messages

WINDOWS: dict[str, Promise] = {
    "1": _("closes within 1 hour"),
    str(CLOSING_HOURS): _("closes within 4 hours"),
    "12": _("closes within 12 hours"),
    "closed": _("closed window"),
    "open": _("open window"),
}


class Tab(models.TextChoices):
    """The parameter `grupo`."""

    MINE = "meus", pgettext_lazy("tickets", "Mine")
    UNASSIGNED = "fila", pgettext_lazy("tickets", "Unassigned")
    ALL = "todos", pgettext_lazy("tickets", "All")
    AT_RISK = "risco", _("SLA at risk")
    SNOOZED = "adiados", pgettext_lazy("tickets", "Snoozed")


class Sort(models.TextChoices):
    """The parameter `ordem`."""

    DUE = "prazo", _("SLA due time")
    NEWEST = "recente", _("Newest message")
    OLDEST = "antiga", _("Oldest message")
    PRIORITY = "prioridade", _("Priority")


class Heap(models.IntegerChoices):
    """What the rows are grouped by, in this order."""

    NOW = 1, _("Answer now")
    WAITING = 2, _("Waiting for the customer")
    QUEUE = 3, _("In the queue")
    LATE = 4, _("SLA missed")
    SOON = 5, _("Due soon")
    SNOOZED = 6, pgettext_lazy("tickets", "Snoozed")
    DONE = 7, _("Resolved or closed")


@dataclass(frozen=True)
class Filters:
    """What an address asks of the inbox; what it does not know or understand is left out.

    `statuses` empty: the open ones. Ids are not checked: one that is not there finds nothing.
    """

    grupo: Tab = Tab.MINE
    q: str = ""
    status: tuple[str, ...] = ()
    prioridade: tuple[str, ...] = ()
    departamento: tuple[int, ...] = ()
    canal: tuple[int, ...] = ()
    etiqueta: tuple[int, ...] = ()
    responsavel: tuple[int, ...] = ()
    window: str = ""
    ordem: Sort = Sort.DUE

    @classmethod
    def of(cls, asked: QueryDict) -> Filters:
        statuses = _known(asked.getlist("status"), TicketStatus.values)
        tab, sort, window = (asked.get(name, "") for name in ("grupo", "ordem", "window"))
        return cls(
            grupo=Tab(tab) if tab in Tab.values else Tab.MINE,
            q=asked.get("q", "").replace("\x00", "").strip()[:LONGEST_SEARCH],
            status=() if statuses == OPEN_STATUSES else statuses,
            prioridade=_known(asked.getlist("prioridade"), Priority.values),
            departamento=_ids(asked.getlist("departamento")),
            canal=_ids(asked.getlist("canal")),
            etiqueta=_ids(asked.getlist("etiqueta")),
            responsavel=_ids(asked.getlist("responsavel")),
            window=window if window in WINDOWS else "",
            ordem=Sort(sort) if sort in Sort.values else Sort.DUE,
        )

    @classmethod
    def of_query(cls, query: str) -> Filters:
        return cls.of(QueryDict(query))

    @property
    def statuses(self) -> tuple[str, ...]:
        return self.status or OPEN_STATUSES

    @property
    def is_narrowed(self) -> bool:
        """By more than its tab."""
        return self != Filters(grupo=self.grupo, ordem=self.ordem)

    def query(self, **changes: Any) -> str:
        """The same address in its one form, with these changes; defaults are not in it."""
        asked, plain = replace(self, **changes), Filters()
        said = QueryDict(mutable=True)
        for one in fields(asked):
            value = getattr(asked, one.name)
            if value != getattr(plain, one.name):
                said.setlist(one.name, list(map(str, _as_list(value))))
        return said.urlencode()

    def narrow(self, tickets: TicketQuerySet, *, user: User, at: datetime) -> TicketQuerySet:
        """Of tickets that `user` may see those asked for, without the search; `heap` and `due_at`
        are annotated."""
        found = tickets.with_due().filter(status__in=self.statuses)
        found = found.filter(_tab_condition(self.grupo, user=user, at=at))
        if self.prioridade:
            found = found.filter(priority__in=self.prioridade)
        if self.departamento:
            found = found.filter(department__in=self.departamento)
        if self.responsavel:
            found = found.filter(assignee__in=self.responsavel)
        if self.etiqueta:
            tagged = Ticket.tags.through.objects.filter(tag__in=self.etiqueta)
            found = found.filter(pk__in=tagged.values("ticket"))
        if self.window:
            found = _in_window(found, self.window, at=at)
        # The simulator's tickets are shown to whoever asks for its channel.
        found = found.filter(session__channel__in=self.canal) if self.canal else found.real()
        return found.annotate(heap=_heap(self.grupo, at=at))

    def order(self) -> list[OrderBy]:
        """Groups stay together, whatever the order within them."""
        newest = F("last_message_at").desc(nulls_last=True)
        due = F("due_at").asc(nulls_last=True)
        last = F("id").desc()
        match self.ordem:
            case Sort.NEWEST:
                order = [newest]
            case Sort.OLDEST:
                order = [F("last_message_at").asc(nulls_first=True)]
            case Sort.PRIORITY:
                order = [_rank().desc(), due, newest]
            case Sort.DUE if self.grupo == Tab.SNOOZED:
                order = [F("snoozed_until").asc(nulls_last=True), newest]
            case Sort.DUE:
                order = [due, newest]
        return [F("heap").asc(), *order, last]


@dataclass(frozen=True)
class Counts:
    """Of the open tickets that a person may see, whatever else the address asks for."""

    mine: int
    unassigned: int
    all: int
    at_risk: int
    snoozed: int
    team: int  # unassigned, in a department of the person

    def of(self, tab: Tab) -> int:
        return {
            Tab.MINE: self.mine,
            Tab.UNASSIGNED: self.unassigned,
            Tab.ALL: self.all,
            Tab.AT_RISK: self.at_risk,
            Tab.SNOOZED: self.snoozed,
        }[tab]


def counts_for(user: User, *, at: datetime) -> Counts:
    """One statement for all tabs."""
    tickets = Ticket.objects.visible_to(user).real().open().with_due()
    return Counts(
        **tickets.aggregate(
            mine=Count("pk", filter=Q(assignee=user) & ~snoozed_condition(at)),
            unassigned=Count("pk", filter=_tab_condition(Tab.UNASSIGNED, user=user, at=at)),
            all=Count("pk"),
            at_risk=Count("pk", filter=_tab_condition(Tab.AT_RISK, user=user, at=at)),
            snoozed=Count("pk", filter=_tab_condition(Tab.SNOOZED, user=user, at=at)),
            team=Count("pk", filter=_in_queue_of(user) & ~snoozed_condition(at)),
        )
    )


@dataclass(frozen=True)
class News:
    """What the page of an inbox does not show yet."""

    tickets: int  # that came
    messages: int  # tickets in which the customer has written


def news_since(filters: Filters, since: datetime, *, user: User, at: datetime) -> News:
    """One statement, without the search."""
    tickets = filters.narrow(Ticket.objects.visible_to(user), user=user, at=at)
    came = Q(queued_at__gt=since) | Q(assignee=user, assigned_at__gt=since)
    said = Q(unread__gt=0, last_message_at__gt=since) & ~came
    found = tickets.aggregate(tickets=Count("pk", filter=came), messages=Count("pk", filter=said))
    return News(**found)


def search(tickets: TicketQuerySet, text: str) -> TicketQuerySet:
    """By what finds the ticket or its lead, or by what was said in its conversation."""
    found = [Ticket.objects.matching(text)]
    words = words_of(text)
    if any(len(word) >= SHORTEST_SAID for word in words):
        # Not an outer join, which would look at every message instead of the index.
        said = Session.objects.filter(HasWords(SAID, words), messages__isnull=False)
        found.append(Ticket.objects.filter(session__in=said.values("pk")))
    return in_any(tickets, *found)


def _tab_condition(tab: Tab, *, user: User, at: datetime) -> Q:
    match tab:
        case Tab.MINE:
            return (Q(assignee=user) | _in_queue_of(user)) & ~snoozed_condition(at)
        case Tab.UNASSIGNED:
            return Q(assignee=None) & ~snoozed_condition(at)
        case Tab.AT_RISK:
            return Q(due_at__lte=at + AT_RISK) & ~snoozed_condition(at)
        case Tab.SNOOZED:
            return snoozed_condition(at)
    return Q()


def _in_queue_of(user: User) -> Q:
    return Q(assignee=None, department__in=user.departments.values("pk"))


def _in_window(tickets: TicketQuerySet, window: str, *, at: datetime) -> TicketQuerySet:
    if window.isdigit():
        return tickets.in_window("closing", at=at, hours=int(window))
    return tickets.in_window(window, at=at)


def _heap(tab: Tab, *, at: datetime) -> Case:
    match tab:
        case Tab.AT_RISK:
            whens = [When(due_at__lt=at, then=Value(Heap.LATE))]
            rest = Heap.SOON
        case _:
            whens = [
                When(~Q(status__in=OPEN_STATUSES), then=Value(Heap.DONE)),
                When(snoozed_condition(at), then=Value(Heap.SNOOZED)),
                When(assignee=None, then=Value(Heap.QUEUE)),
                When(status=TicketStatus.WAITING_CUSTOMER, then=Value(Heap.WAITING)),
            ]
            rest = Heap.NOW
    return Case(*whens, default=Value(rest), output_field=IntegerField())


def _rank() -> Case:
    ranks: Mapping[str, int] = {Priority.HIGH: 3, Priority.MEDIUM: 2, Priority.LOW: 1}
    whens = [When(priority=one, then=Value(rank)) for one, rank in ranks.items()]
    return Case(*whens, default=Value(0), output_field=IntegerField())


def _known(asked: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """In the order of the choices, so that an address has one form."""
    wanted = set(asked)
    return tuple(one for one in known if one in wanted)


def _ids(asked: Iterable[str]) -> tuple[int, ...]:
    known = {one for one in map(whole, asked) if one is not None}
    return tuple(sorted(known)[:MOST_IDS])


def _as_list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, tuple) else [value]
