"""The start page's figures as they are drawn: words, tones, lengths for SVG attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.urls import reverse
from django.utils.formats import date_format, number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chatbot.templatetags.console import duration, number
from config import charts
from config.home_figures import (
    FUNNEL,
    MOST_PEOPLE,
    Column,
    Figures,
    Funnel,
    GivenUp,
    Load,
    Measure,
    Statuses,
)
from config.home_period import DAY, Period
from leads.models import LeadStatus
from tickets.models import OPEN_STATUSES, TicketStatus

FULL, HIGH = 1.0, 0.85  # shares of a capacity
MANY_LEFT, SOME_LEFT = 0.3, 0.15  # shares of those who came to a passo
BAR_GAP, BAR_WIDTH = 2.0, 300.0
MINUTE = 60


# --- Figures -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trend:
    """How a figure stands against the one before: which way it went, and whether that is good."""

    way: str  # up, down or flat
    tone: str  # good, bad or flat
    text: str


@dataclass(frozen=True)
class Kpi:
    label: str
    value: str
    unit: str = ""
    before: str = ""
    trend: Trend | None = None
    detail: str = ""
    spark: charts.Spark | None = None


def kpis(found: Figures, period: Period) -> list[Kpi]:
    shown = [
        _kpi(_("Conversations"), found.conversations, whole, percent_change, is_good_up=None),
        _kpi(_("Open tickets"), found.open_tickets, whole, plain_change, is_good_up=False),
        _kpi(
            _("First response (median)"), found.first_response, wait, wait_change, is_good_up=False
        ),
        _at_risk(found),
        _rating(found.rating),
    ]
    if found.bot_share is not None:
        share = _kpi(_("Solved by the bot"), found.bot_share, share_text, point_change)
        shown.insert(1, share)
    return shown


Text = Callable[[float], tuple[str, str]]
Change = Callable[[float, float], str]


def _kpi(
    label: str, measure: Measure, text: Text, change: Change, *, is_good_up: bool | None = True
) -> Kpi:
    if measure.now is None:
        return Kpi(label, "–", detail=_("nothing yet"), spark=_spark(measure))
    value, unit = text(measure.now)
    if measure.before is None:
        return Kpi(label, value, unit, spark=_spark(measure))
    before, unit_before = text(measure.before)
    before += "%" if unit_before == "%" else ""
    trend = _trend(measure.now, measure.before, change, is_good_up)
    return Kpi(label, value, unit, before, trend, spark=_spark(measure))


def _trend(now: float, before: float, change: Change, is_good_up: bool | None) -> Trend:
    text = change(now, before)
    if not text:
        return Trend("flat", "flat", _("same"))
    is_up = now > before
    tone = "flat" if is_good_up is None else "good" if is_up == is_good_up else "bad"
    return Trend("up" if is_up else "down", tone, text)


def _spark(measure: Measure) -> charts.Spark:
    return charts.spark(measure.parts, measure.parts_before)


def _at_risk(found: Figures) -> Kpi:
    late = ngettext("%(count)d late", "%(count)d late", found.late) % {"count": found.late}
    return Kpi(_("SLA at risk"), number(found.at_risk), detail=late)


def _rating(measure: Measure) -> Kpi:
    kpi = _kpi(_("Satisfaction"), measure, rating_text, rating_change)
    if measure.now is None:
        return kpi
    count = measure.count
    said = ngettext("%(count)d rating", "%(count)d ratings", count) % {"count": count}
    return Kpi(kpi.label, kpi.value, kpi.unit, kpi.before, kpi.trend, said, kpi.spark)


def whole(value: float) -> tuple[str, str]:
    return number(round(value)), ""


def share_text(value: float) -> tuple[str, str]:
    return str(round(value * 100)), "%"


def wait(seconds: float) -> tuple[str, str]:
    """Under an hour as on a clock: 3:40 min."""
    if seconds >= MINUTE * MINUTE:
        return duration(timedelta(seconds=seconds)), ""
    minutes, rest = divmod(round(seconds), MINUTE)
    return f"{minutes}:{rest:02d}", _("min")


def rating_text(value: float) -> tuple[str, str]:
    return number_format(round(value, 1), 1), _("of 5")


def plain_change(now: float, before: float) -> str:
    difference = abs(round(now) - round(before))
    return number(difference) if difference else ""


def percent_change(now: float, before: float) -> str:
    if not before:
        return plain_change(now, before)
    percent = round(abs(now - before) / before * 100)
    return f"{percent}%" if percent else ""


def point_change(now: float, before: float) -> str:
    points = abs(round(now * 100) - round(before * 100))
    return _("%(points)d p.p.") % {"points": points} if points else ""


def wait_change(now: float, before: float) -> str:
    seconds = abs(round(now) - round(before))
    return duration(timedelta(seconds=seconds), "exact") if seconds else ""


def rating_change(now: float, before: float) -> str:
    difference = abs(round(now, 1) - round(before, 1))
    return number_format(round(difference, 1), 1) if round(difference, 1) else ""


# --- Messages ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    label: str
    values: list[int]


@dataclass(frozen=True)
class Chart:
    """`labels` one a column, empty where there is no room; `rows` the same figures as a table."""

    title: str
    summary: str
    series: list[tuple[str, str]]  # class of the colour, name
    compared: str
    drawn: charts.Columns
    labels: list[str]
    rows: list[Row]


SERIES = {"customers": "f3", "bot": "f2", "team": "f1", "sent": "f1"}


def messages_chart(found: Sequence[Column], period: Period) -> Chart:
    is_counted = any(column.sent for column in found)
    keys = ["customers", "sent"] if is_counted else ["customers", "bot", "team"]
    names = {
        "customers": _("Customers"),
        "bot": _("Bot"),
        "team": _("Attendants"),
        "sent": _("Bot and team"),
    }
    compared = [column.before for column in found]
    stacks = [{SERIES[key]: getattr(column, key) for key in keys} for column in found]
    passed = (period.now - period.begin) / DAY if period.is_today else None
    labels = [_label(column, period) for column in found]
    has_past = any(compared)
    rows = [
        Row(label, [*(getattr(column, key) for key in keys), *([column.before or 0] * has_past)])
        for column, label in zip(found, labels, strict=True)
    ]
    series = [(SERIES[key], names[key]) for key in keys]
    return Chart(
        title=_("Messages by hour") if period.is_today else _("Messages by day"),
        summary=_summary(found, period, labels),
        series=series,
        compared=period.compared_with if has_past else "",
        drawn=charts.columns(stacks, compared, now=passed),
        labels=_sparse(labels),
        rows=rows,
    )


def _label(column: Column, period: Period) -> str:
    return f"{column.at.hour}h" if period.is_today else date_format(column.at, "d/m")


def _sparse(labels: list[str]) -> list[str]:
    """Of many days every third has its date."""
    step = 3 if len(labels) > 24 else 1  # noqa: PLR2004  # hours of a day fit
    return [label if i % step == 0 else "" for i, label in enumerate(labels)]


def _summary(found: Sequence[Column], period: Period, labels: list[str]) -> str:
    total = sum(column.total for column in found)
    if not total:
        return _("No messages yet.")
    most = max(range(len(found)), key=lambda i: found[i].total)
    return _("%(total)s messages; most at %(when)s, with %(count)s.") % {
        "total": number(total),
        "when": labels[most],
        "count": number(found[most].total),
    }


# --- Bars --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StatusRow:
    label: str
    count: int
    percent: int
    colour: str
    url: str
    x: float
    width: float


@dataclass(frozen=True)
class StatusBars:
    rows: list[StatusRow]
    resolution: str


COLOURS = {
    TicketStatus.OPEN: "5",
    TicketStatus.IN_PROGRESS: "1",
    TicketStatus.WAITING_CUSTOMER: "4",
    TicketStatus.RESOLVED: "2",
    TicketStatus.CLOSED: "3",
}


def status_bars(found: Statuses) -> StatusBars:
    rows, x = [], 0.0
    kinds = sum(1 for count in found.counts.values() if count)
    room = BAR_WIDTH - BAR_GAP * max(0, kinds - 1)
    for status, colour in COLOURS.items():
        count = found.counts[status]
        width = room * count / found.total if found.total else 0.0
        rows.append(
            StatusRow(
                label=_status_label(status),
                count=count,
                percent=round(100 * count / found.total) if found.total else 0,
                colour=colour,
                url=reverse(
                    "admin:tickets_ticket_changelist", query={"grupo": "todos", "status": status}
                ),
                x=round(x, 1),
                width=round(width, 1),
            )
        )
        x += width + BAR_GAP if count else 0
    resolution = found.resolution
    said = duration(timedelta(seconds=resolution)) if resolution is not None else ""
    return StatusBars(rows, said)


def _status_label(status: TicketStatus) -> str:
    if status in OPEN_STATUSES:
        return capfirst(str(status.label))
    return {
        TicketStatus.RESOLVED: _("Resolved today"),
        TicketStatus.CLOSED: _("Closed today"),
    }[status]


@dataclass(frozen=True)
class FunnelRow:
    label: str
    count: int
    width: float
    share: str


@dataclass(frozen=True)
class FunnelBars:
    rows: list[FunnelRow]
    share: str
    share_before: str


def funnel_bars(found: Funnel) -> FunnelBars:
    first, rows, last = max(1, found.reached[FUNNEL[0]]), [], 0
    of_last = {
        LeadStatus.CONTACTED: _("%(percent)d%% of the new ones"),
        LeadStatus.QUALIFIED: _("%(percent)d%% of the contacted ones"),
        LeadStatus.CONVERTED: _("%(percent)d%% of the qualified ones"),
    }
    for status in FUNNEL:
        count = found.reached[status]
        said = of_last[status] % {"percent": round(100 * count / last)} if last else ""
        label = capfirst(str(status.label))
        rows.append(FunnelRow(label, count, round(100 * count / first, 1), said))
        last = count
    return FunnelBars(rows, _percent(found.share), _percent(found.share_before))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{round(share * 100)}%"


@dataclass(frozen=True)
class Place:
    row: GivenUp
    percent: str
    width: float
    colour: str
    url: str


def given_up_bars(found: Sequence[GivenUp]) -> list[Place]:
    most = max((one.share for one in found), default=1.0)
    return [
        Place(
            one,
            _percent(one.share),
            round(90 * one.share / most, 1),
            "fd" if one.share >= MANY_LEFT else "fw" if one.share >= SOME_LEFT else "f3",
            reverse("admin:chatbot_flow_change", args=[one.flow_id]),
        )
        for one in found
    ]


@dataclass(frozen=True)
class Person:
    row: Load
    width: float
    colour: str
    url: str


@dataclass(frozen=True)
class LoadBars:
    rows: list[Person]
    more: int
    open: int
    capacity: int


def load_bars(found: Sequence[Load]) -> LoadBars:
    rows = [
        Person(
            one,
            round(100 * one.share, 1),
            "fd" if one.share >= FULL else "fw" if one.share >= HIGH else "f1",
            reverse(
                "admin:tickets_ticket_changelist",
                query={"grupo": "todos", "responsavel": one.user.pk},
            ),
        )
        for one in found[:MOST_PEOPLE]
    ]
    return LoadBars(
        rows,
        max(0, len(found) - MOST_PEOPLE),
        sum(one.open for one in found),
        sum(one.user.capacity for one in found),
    )
