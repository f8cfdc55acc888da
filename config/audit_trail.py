"""The audit as it is read: what was kept of acts (users.audit) and the events of tickets, as one
list by time, in the reader's language. Two statements a page, however long it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from auditlog.models import LogEntry
from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime, parse_time
from django.utils.formats import date_format, time_format
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sessions_app.models import Session
from tickets.models import Ticket, TicketEvent
from tickets.wording import event_in_words
from users import audit
from users.digits import whole

AT_ONCE = 50
KINDS: dict[str, str | Promise] = {
    "created": gettext_lazy("created"),
    "changed": gettext_lazy("changed"),
    "deleted": gettext_lazy("deleted"),
    "seen": gettext_lazy("shown or exported"),
    "tickets": gettext_lazy("work on tickets"),
}
ACTIONS = {
    "created": LogEntry.Action.CREATE,
    "changed": LogEntry.Action.UPDATE,
    "deleted": LogEntry.Action.DELETE,
    "seen": LogEntry.Action.ACCESS,
}
LOG, EVENT = 1, 0  # which comes first of two at the same moment
LONGEST_SEARCH = 100


@dataclass(frozen=True)
class Change:
    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Entry:
    """One act: who did what to what, from where."""

    at: datetime
    source: int
    pk: int
    who: str
    what: str
    kind: str
    subject: str
    subject_kind: str
    url: str
    changes: tuple[Change, ...]
    details: str
    address: str

    @property
    def place(self) -> tuple[datetime, int, int]:
        return self.at, self.source, self.pk


@dataclass(frozen=True)
class Question:
    """What of the audit is asked for; as an address says it (`question_of`)."""

    text: str = ""
    who: int | None = None
    kind: str = ""
    model: type[models.Model] | None = None
    row: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def is_narrow(self) -> bool:
        return self != Question()


@dataclass(frozen=True)
class Page:
    entries: list[Entry]
    next: str


def question_of(given: Any) -> Question:
    """What cannot be read narrows nothing."""
    kind, name = given.get("kind", ""), given.get("object", "")
    return Question(
        text=given.get("q", "").replace("\0", "").strip()[:LONGEST_SEARCH],
        who=whole(given.get("who", "")),
        kind=kind if kind in KINDS else "",
        model=next((one for one in subjects() if one._meta.label_lower == name), None),
        row=given.get("row", "").replace("\0", "")[:40],
        since=_day(given.get("since", "")),
        until=_day(given.get("until", "")),
    )


def subjects() -> list[type[models.Model]]:
    """What acts are kept about, by name."""
    kept: set[type[models.Model]] = {*audit.watched_models(), Ticket, Session}
    return sorted(kept, key=lambda model: str(model._meta.verbose_name).lower())


def page(question: Question, *, before: str = "", most: int = AT_ONCE) -> Page:
    """The newest entries, or those before the place that an earlier page named."""
    place = _place_of(before)
    found = [*_log_entries(question, place, most + 1), *_events(question, place, most + 1)]
    found.sort(key=lambda entry: entry.place, reverse=True)
    is_more = len(found) > most
    shown = found[:most]
    return Page(shown, _written(shown[-1]) if is_more else "")


def every(question: Question, *, most: int) -> Iterator[Entry]:
    """Entry by entry, read in pages."""
    before, count = "", 0
    while count < most:
        one = page(question, before=before, most=min(500, most - count))
        yield from one.entries
        count += len(one.entries)
        before = one.next
        if not before:
            return


# --- Reading -----------------------------------------------------------------------------------


def _log_entries(question: Question, place: Any, most: int) -> list[Entry]:
    if question.kind == "tickets":
        return []
    rows: QuerySet[LogEntry] = LogEntry.objects.select_related("actor", "content_type")
    if question.kind:
        rows = rows.filter(action=ACTIONS[question.kind])
    if question.who is not None:
        rows = rows.filter(actor=question.who)
    if question.model is not None:
        meta = question.model._meta
        rows = rows.filter(
            content_type__app_label=meta.app_label, content_type__model=meta.model_name
        )
        if question.row:
            rows = rows.filter(object_pk=question.row)
    if question.text:
        rows = rows.filter(Q(object_repr__icontains=question.text) | _named("actor", question.text))
    rows = _within(rows, "timestamp", question)
    rows = _before(rows, "timestamp", LOG, place)
    return [_entry_of_log(row) for row in rows.order_by("-timestamp", "-id")[:most]]


def _events(question: Question, place: Any, most: int) -> list[Entry]:
    """What people did with tickets. Ids follow time, so no other index is needed."""
    if question.kind not in {"", "tickets"} or question.model not in {None, Ticket}:
        return []
    rows = TicketEvent.objects.filter(actor__isnull=False).select_related("actor", "ticket__lead")
    if question.who is not None:
        rows = rows.filter(actor=question.who)
    if question.model is not None and question.row:
        row = whole(question.row)
        rows = rows.filter(ticket=row) if row is not None else rows.none()
    if question.text:
        said = Q(ticket__protocol__icontains=question.text)
        said |= Q(ticket__lead__name__icontains=question.text)
        rows = rows.filter(said | _named("actor", question.text))
    rows = _within(rows, "created_at", question)
    rows = _before(rows, "created_at", EVENT, place)
    return [_entry_of_event(row) for row in rows.order_by("-id")[:most]]


def _named(path: str, text: str) -> Q:
    names = ("username", "first_name", "last_name")
    found = Q()
    for name in names:
        found |= Q(**{f"{path}__{name}__icontains": text})
    return found


def _within(rows: Any, name: str, question: Question) -> Any:
    if question.since is not None:
        rows = rows.filter(**{f"{name}__gte": _midnight(question.since)})
    if question.until is not None:
        rows = rows.filter(**{f"{name}__lt": _midnight(question.until + timedelta(days=1))})
    return rows


def _before(rows: Any, name: str, source: int, place: Any) -> Any:
    if place is None:
        return rows
    at, other, pk = place
    if source > other:  # stands before the others of that moment, all of which were shown
        return rows.filter(**{f"{name}__lt": at})
    if source < other:
        return rows.filter(**{f"{name}__lte": at})
    return rows.filter(Q(**{f"{name}__lt": at}) | Q(**{name: at, "pk__lt": pk}))


def _place_of(written: str) -> tuple[datetime, int, int] | None:
    moment, _comma, rest = written.partition(",")
    source, _comma, pk = rest.partition(",")
    try:
        at = parse_datetime(moment.replace(" ", "+"))
    except ValueError:
        return None
    numbers = whole(source), whole(pk)
    if at is None or timezone.is_naive(at) or None in numbers:
        return None
    return at, numbers[0], numbers[1]  # type: ignore[return-value]  # neither is None


def _written(entry: Entry) -> str:
    return f"{entry.at.isoformat()},{entry.source},{entry.pk}"


# --- In words ----------------------------------------------------------------------------------


def _entry_of_log(row: LogEntry) -> Entry:
    told: dict[str, Any] = row.additional_data or {}
    model: Any = row.content_type.model_class()
    act = told.get(audit.ACT, "")
    kind = next(name for name, action in ACTIONS.items() if action == row.action)
    is_gone = row.action == LogEntry.Action.DELETE
    return Entry(
        at=row.timestamp,
        source=LOG,
        pk=row.pk,
        who=_who(row.actor, row.actor_email),
        what=str(audit.ACTS.get(act) or KINDS[kind]),
        kind=kind,
        subject=row.object_repr,
        subject_kind=capfirst(str(model._meta.verbose_name if model else row.content_type.model)),
        url="" if is_gone or not row.object_pk else _url(model, row.object_pk),
        changes=tuple(_change(model, name, values) for name, values in (row.changes or {}).items()),
        details=_details(told),
        address=row.remote_addr or "",
    )


def _entry_of_event(event: TicketEvent) -> Entry:
    return Entry(
        at=event.created_at,
        source=EVENT,
        pk=event.pk,
        who=_who(event.actor, None),
        what=event.get_kind_display(),
        kind="tickets",
        subject=f"{event.ticket.protocol} {event.ticket.lead}".strip(),
        subject_kind=capfirst(str(Ticket._meta.verbose_name)),
        url=_url(Ticket, event.ticket_id),
        changes=(),
        details=event_in_words(event),
        address="",
    )


def _who(actor: Any, email: str | None) -> str:
    return str(actor) if actor is not None else email or _("somebody who was removed")


def _url(model: Any, pk: Any) -> str:
    if model is None or model not in admin.site._registry:
        return ""
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[pk])


def _details(told: dict[str, Any]) -> str:
    """What belongs to the act: which value was shown, what was exported, by which token. What the
    program named itself was kept as a msgid."""
    words = []
    if told.get("value"):
        words.append(_(str(told["value"])))
    if told.get("what"):
        words.append(_(str(told["what"])))
    if told.get("count"):
        words.append(str(told["count"]))
    if told.get("names"):
        words.append(str(told["names"]))
    if told.get("other"):
        words.append(_("with %(other)s") % {"other": told["other"]})
    if told.get("format"):
        words.append(str(told["format"]).upper())
    if told.get("query"):
        words.append(_("filters: %(filters)s") % {"filters": told["query"]})
    if told.get("token"):
        words.append(_("by the token %(token)s") % {"token": told["token"]})
    return " · ".join(words)


def _change(model: Any, name: str, values: Any) -> Change:
    try:
        field = model._meta.get_field(name) if model else None
    except FieldDoesNotExist:
        field = None
    label = capfirst(str(field.verbose_name)) if field is not None else name
    before, after = (*values, None, None)[:2] if isinstance(values, list) else (None, values)
    return Change(label, _shown(field, before), _shown(field, after))


def _shown(field: Any, value: Any) -> str:
    match value:
        case None | "" | []:
            return "–"
        case bool():
            return _("yes") if value else _("no")
        case list():
            return ", ".join(_shown(field, one) for one in value)
        case dict():
            return ", ".join(f"{name}: {_shown(None, one)}" for name, one in value.items())
    if field is not None and field.choices:
        return str(dict(field.flatchoices).get(value, value))
    return _moment(field, str(value))


def _moment(field: Any, value: str) -> str:
    """Times as they are written here; anything else as it is."""
    try:
        if isinstance(field, models.DateTimeField) and (at := parse_datetime(value)):
            return date_format(timezone.localtime(at), "SHORT_DATETIME_FORMAT")
        if isinstance(field, models.DateField) and (day := parse_date(value)):
            return date_format(day, "SHORT_DATE_FORMAT")
        if isinstance(field, models.TimeField) and (clock := parse_time(value)):
            return time_format(clock, "TIME_FORMAT")
    except ValueError:
        return value
    return value


def _day(text: str) -> date | None:
    """None also for the first and the last day there is, which have none beside them."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return day if day is not None and date.min < day < date.max else None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime(day.year, day.month, day.day))  # noqa: DTZ001  # made aware
