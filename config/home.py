"""The start page: what needs somebody now, how it goes, and how to begin.

Each card is a fragment that keeps itself fresh (`card`); the page shows all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from zlib import crc32

from django.conf import settings
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from django.views.decorators.http import require_GET

from chatbot.incident_words import Words, describe
from chatbot.models import (
    FailedEvent,
    FailedEventState,
    Incident,
    MessageStatus,
    PublishRequest,
    RequestState,
)
from chatbot.requests import StaffRequest
from chatbot.web_watch import watch
from config import home_figures as figures
from config import home_views as views
from config.home_period import Period, period_of
from sessions_app.models import CLOSING_HOURS, Channel, ChannelKind
from tickets.models import AT_RISK, Ticket
from users import audit
from users.console import background
from users.models import User
from users.spreadsheets import as_csv

NOON, EVENING = 12, 18
INCIDENTS_SHOWN = 5
SOON, LATER, SELDOM = 30, 60, 300  # seconds: how long figures are kept, and how often asked for


@dataclass(frozen=True)
class Trouble:
    """An open incident. Attendants get `words.short` alone: mending it is not their work."""

    incident: Incident
    words: Words


@dataclass(frozen=True)
class Card:
    """One thing that needs somebody: how many, in words, a line that says more, and where it is."""

    label: str
    count: int
    detail: str
    url: str
    tone: str = "danger"
    icon: str = "erro"

    @property
    def is_trouble(self) -> bool:
        return self.tone == "danger"


@dataclass(frozen=True)
class Part:
    """A fragment of the page: what it shows, and every how many seconds it is asked for anew."""

    compute: Callable[[StaffRequest, Period], dict[str, Any]]
    seconds: int
    may_see: Callable[[User], bool] = lambda user: True


# --- The page and its parts --------------------------------------------------------------------


def start_page(request: StaffRequest) -> dict[str, Any]:
    now = timezone.localtime()
    watch.look_for_worker(now=now)
    period = period_of(request.GET.get("period", ""), now)
    channels = Channel.objects.visible_to(request.user).active()
    return {
        "greeting": _greeting(now, request.user.get_short_name() or request.user.get_username()),
        "now": now,
        "period": period,
        "periods": [period_of(key, now) for key in ("today", "7", "30")],
        "parts": {
            name.replace("-", "_"): _drawn(request, name, period)
            for name, part in PARTS.items()
            if part.may_see(request.user)
        },
        "is_only_simulated": not channels.exclude(kind=ChannelKind.SIMULATOR).exists(),
        "webhook_url": f"{settings.SITE_URL}/webhook",
    }


@background
@require_GET
def card(request: HttpRequest, name: str) -> HttpResponse:
    """One part anew, or 204 while it is as `seen` says."""
    staff = cast("StaffRequest", request)
    part = PARTS.get(name)
    if part is None or not part.may_see(staff.user):
        raise Http404
    period = period_of(request.GET.get("period", ""), timezone.localtime())
    drawn = _drawn(staff, name, period, seen=request.GET.get("seen", ""))
    return HttpResponse(drawn) if drawn else HttpResponse(status=204)


def _drawn(
    request: StaffRequest, name: str, period: Period, *, seen: str = ""
) -> SafeString | None:
    """A part with the address that it is asked for anew at; None when it is what was seen."""
    part, file = PARTS[name], name.replace("-", "_")
    context = {**part.compute(request, period), "period": period, "user": request.user}
    body = render_to_string(f"admin/home/{file}.html", context)
    digest = f"{crc32(body.encode()):x}"
    if digest == seen:
        return None
    frame = {"name": name, "body": body, "digest": digest, "period": period, "part": part}
    return render_to_string("admin/home/part.html", frame)


# --- What needs attention ----------------------------------------------------------------------


def _attention(request: StaffRequest, period: Period) -> dict[str, Any]:
    midnight = period_of("today", period.now).begin
    cards = [
        *_late(request, period.now),
        *_at_risk(request, period.now),
        *_closing_windows(request, period.now),
        *_undelivered(request, midnight),
        *_failed_events(request),
        *_to_approve(request),
    ]
    return {"cards": cards, **_incidents(request)}


def _incidents(request: StaffRequest) -> dict[str, Any]:
    """The newest open ones, and how many more there are."""
    rows = Incident.objects.visible_to(request.user).open().select_related("channel")
    found = list(rows.defer("channel__credentials", "channel__settings"))
    shown = [Trouble(one, describe(one)) for one in found[:INCIDENTS_SHOWN]]
    if not request.user.is_admin:
        sentences = list(dict.fromkeys(one.words.short for one in shown))
        return {"sentences": sentences}
    return {"troubles": shown, "more_troubles": len(found) - len(shown)}


def _greeting(now: datetime, name: str) -> str:
    if now.hour < NOON:
        return _("Good morning, %(name)s") % {"name": name}
    if now.hour < EVENING:
        return _("Good afternoon, %(name)s") % {"name": name}
    return _("Good evening, %(name)s") % {"name": name}


def _late(request: StaffRequest, now: datetime) -> list[Card]:
    late = Ticket.objects.visible_to(request.user).real().late(now)
    count = late.count()
    if not count:
        return []
    worst = late.with_due().select_related("lead").order_by("due_at", "id").first()
    label = ngettext("%(count)d late", "%(count)d late", count) % {"count": count}
    if worst is None or count > 1:
        detail = _("first %(ticket)s") % {"ticket": _named(worst)} if worst else ""
        return [Card(label, count, detail, _inbox(grupo="risco"), icon="sla")]
    url = reverse("admin:tickets_ticket_change", args=[worst.pk])
    return [Card(label, count, _named(worst), url, icon="sla")]


def _at_risk(request: StaffRequest, now: datetime) -> list[Card]:
    count = Ticket.objects.visible_to(request.user).real().at_risk(now).count()
    if not count:
        return []
    label = ngettext("%(count)d at risk", "%(count)d at risk", count) % {"count": count}
    minutes = int(AT_RISK.total_seconds()) // 60
    detail = _("due within %(minutes)d min") % {"minutes": minutes}
    return [Card(label, count, detail, _inbox(grupo="risco"), tone="warn", icon="sla")]


def _closing_windows(request: StaffRequest, now: datetime) -> list[Card]:
    """Own tickets whose customer waits for an answer that soon only a template could give."""
    mine = Ticket.objects.visible_to(request.user).real().open().filter(assignee=request.user)
    count = mine.unanswered().in_window("closing", at=now).count()
    if not count:
        return []
    label = ngettext("%(count)d window closes", "%(count)d windows close", count)
    url = _inbox(grupo="todos", responsavel=request.user.pk, window=CLOSING_HOURS)
    return [Card(label % {"count": count}, count, _("of your tickets, with nobody's answer"), url)]


def _undelivered(request: StaffRequest, midnight: datetime) -> list[Card]:
    count = figures.cached(
        "undelivered", request.user, SOON, lambda: figures.undelivered(request.user, midnight)
    )
    if not count:
        return []
    label = ngettext("%(count)d failure", "%(count)d failures", count) % {"count": count}
    url = reverse("admin:chatbot_messagelog_changelist")
    url = f"{url}?status__exact={MessageStatus.FAILED}"
    return [Card(label, count, _("messages of today that a channel refused"), url)]


def _failed_events(request: StaffRequest) -> list[Card]:
    """Only for who may look at them: they hold what customers sent, whoever they are."""
    if not request.user.has_perm("chatbot.view_failedevent"):
        return []
    count = FailedEvent.objects.filter(state=FailedEventState.NEW).count()
    if not count:
        return []
    label = ngettext("%(count)d event", "%(count)d events", count) % {"count": count}
    url = reverse("admin:chatbot_failedevent_changelist")
    url = f"{url}?state__exact={FailedEventState.NEW}"
    return [Card(label, count, _("received and not yet handled"), url)]


def _to_approve(request: StaffRequest) -> list[Card]:
    """Drafts that somebody else asks to be published."""
    asked = PublishRequest.objects.visible_to(request.user).filter(state=RequestState.PENDING)
    still = asked.filter(revision=F("flow__draft_revision")).exclude(requested_by=request.user)
    found = list(still.order_by("id").values_list("flow", "flow__name"))
    if not found:
        return []
    label = ngettext("%(count)d flow to approve", "%(count)d flows to approve", len(found))
    url = reverse("flow_publish", args=[found[0][0]])
    names = ", ".join(name for _flow, name in found)
    return [Card(label % {"count": len(found)}, len(found), names, url, tone="warn", icon="flow")]


def _inbox(**query: object) -> str:
    return reverse("admin:tickets_ticket_changelist", query=query)


def _named(ticket: Ticket) -> str:
    return f"#{ticket.protocol.rpartition('-')[2]} {ticket.lead}"


# --- Figures -----------------------------------------------------------------------------------


def _figures(request: StaffRequest, period: Period) -> dict[str, Any]:
    user = request.user
    name = f"figures-{period.key}"
    found = figures.cached(name, user, LATER, lambda: figures.figures(user, period))
    return {"kpis": views.kpis(found, period)}


def _messages(request: StaffRequest, period: Period) -> dict[str, Any]:
    user = request.user
    name = f"messages-{period.key}"
    found = figures.cached(name, user, SELDOM, lambda: figures.messages(user, period))
    return {"chart": views.messages_chart(found, period)}


def _statuses(request: StaffRequest, period: Period) -> dict[str, Any]:
    user = request.user
    found = figures.cached("status", user, LATER, lambda: figures.statuses(user, period))
    return {"statuses": views.status_bars(found)}


def _funnel(request: StaffRequest, period: Period) -> dict[str, Any]:
    user = request.user
    found = figures.cached("funnel", user, SELDOM, lambda: figures.funnel(user, period))
    return {"funnel": views.funnel_bars(found)}


def _given_up(request: StaffRequest, period: Period) -> dict[str, Any]:
    user = request.user
    found = figures.cached("given-up", user, SELDOM, lambda: figures.given_up(user, period))
    return {"places": views.given_up_bars(found)}


def _load(request: StaffRequest, period: Period) -> dict[str, Any]:
    user = request.user
    found = figures.cached("load", user, LATER, lambda: figures.load(user))
    return {"load": views.load_bars(found)}


PARTS = {
    "attention": Part(_attention, SOON),
    "figures": Part(_figures, LATER),
    "messages": Part(_messages, SELDOM),
    "status": Part(_statuses, LATER),
    "funnel": Part(_funnel, SELDOM),
    "given-up": Part(_given_up, SELDOM, lambda user: user.has_perm("chatbot.view_flow")),
    "load": Part(_load, LATER),
}


# --- The file ----------------------------------------------------------------------------------


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The same figures for a spreadsheet."""
    staff = cast("StaffRequest", request)
    period = period_of(request.GET.get("period", ""), timezone.localtime())
    what = gettext_noop("figures of the start page")
    audit.exported(Ticket, what=what, query=request.GET.urlencode())
    lines = list(as_csv(_lines(staff, period)))  # now, in the person's language
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = f"inicio-{period.key}-{timezone.localdate():%Y-%m-%d}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _lines(request: StaffRequest, period: Period) -> Iterator[list[object]]:
    yield [_("Figure"), capfirst(period.label), capfirst(period.compared_with)]
    for kpi in _figures(request, period)["kpis"]:
        yield [kpi.label, f"{kpi.value} {kpi.unit}".strip(), kpi.before]
    yield []
    chart = _messages(request, period)["chart"]
    yield [chart.title, *(name for _key, name in chart.series)]
    for row in chart.rows:
        yield [row.label, *row.values]
    yield []
    for row in _statuses(request, period)["statuses"].rows:
        yield [row.label, row.count]
    yield []
    for row in _funnel(request, period)["funnel"].rows:
        yield [row.label, row.count]
    if PARTS["given-up"].may_see(request.user):
        yield []
        for place in _given_up(request, period)["places"]:
            yield [place.row.title, place.row.flow, place.percent]
    yield []
    for person in _load(request, period)["load"].rows:
        yield [str(person.row.user), person.row.open, person.row.user.capacity]
