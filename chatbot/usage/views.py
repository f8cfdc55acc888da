"""The pages of what people really do in a flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from chatbot.documents import document_of
from chatbot.editor.page_views import flow_of
from chatbot.engine.nodes import FlowDocument, FlowError
from chatbot.flow_map import MapEdge, SeenMap, draw, with_counts, with_trail, with_ways
from chatbot.flow_words import any_node, any_title
from chatbot.flows_service import DraftConflict, FlowRefused
from chatbot.models import Flow, FlowVersion, NotUnderstood
from chatbot.requests import StaffRequest
from chatbot.usage import synonyms
from chatbot.usage.conversations import Wanted, find
from chatbot.usage.figures import Figures, StepFigures, exit_in_words
from chatbot.usage.forms import PRESETS, UsageForm
from chatbot.usage.synonyms import SynonymRefused
from users.digits import whole
from users.permissions import person

TEXTS_SHOWN = 30


@dataclass(frozen=True)
class StepRow:
    """A passo in one version, and in the one beside it."""

    place: str
    title: str
    now: StepFigures | None
    other: StepFigures | None
    href: str


@require_GET
def page(request: StaffRequest, flow_id: int) -> HttpResponse:
    """How many took which way, where they gave up and what was not understood."""
    flow = flow_of(request, flow_id)
    today = timezone.localdate()
    form = UsageForm(request.GET, flow=flow, today=today)
    context: dict[str, Any] = {
        **_context(request, flow, _("What people do")),
        "form": form,
        "presets": [(days, _preset(form, days, today)) for days in PRESETS],
        "part": "usage",
    }
    if form.is_valid() and form.cleaned_data["version"]:
        context |= _figures(flow, form)
    is_settled = request.GET.get("settled") == "1"
    context["is_settled"] = is_settled
    context["texts"] = synonyms.heard(
        flow, person(request), is_settled=is_settled, most=TEXTS_SHOWN
    )
    return TemplateResponse(request, "chatbot/usage/page.html", context)


@require_GET
def conversations(request: StaffRequest, flow_id: int) -> HttpResponse:
    """The conversations that took a way, the newest first."""
    flow = flow_of(request, flow_id)
    form = UsageForm(request.GET, flow=flow, today=timezone.localdate())
    if not form.is_valid() or not form.cleaned_data["version"]:
        return HttpResponseRedirect(reverse("flow_statistics", args=[flow.pk]))
    asked, version = form.cleaned_data, form.cleaned_data["version"]
    wanted = Wanted(*(request.GET.get(name, "")[:130] for name in ("node", "exit", "target")))
    found = find(
        version.pk,
        wanted,
        user=person(request),
        since=asked["since"],
        until=asked["until"],
        below=whole(request.GET.get("below", "")),
    )
    document = _document(version)
    more = {**_query(form), **_way(wanted)}
    context = {
        **_context(request, flow, _("Conversations")),
        "version": version,
        "asked": asked,
        "found": found,
        "step": any_title(document, wanted.node) if document else wanted.node,
        "way": _way_in_words(wanted, document),
        "back": _href("flow_statistics", flow, _query(form)),
        "older": _href("flow_usage_conversations", flow, {**more, "below": str(found.older)})
        if found.older is not None
        else "",
    }
    return TemplateResponse(request, "chatbot/usage/conversations.html", context)


@require_POST
def synonym(request: StaffRequest, flow_id: int, text_id: int) -> HttpResponse:
    """Make the text a synonym of the chosen option, set it aside, or take it up again."""
    flow, user = flow_of(request, flow_id), person(request)
    rows = NotUnderstood.objects.visible_to(user).filter(flow=flow)
    row = get_object_or_404(rows, pk=text_id)
    option = request.POST.get("option", "")
    if "again" in request.POST:
        synonyms.settle(row, is_settled=False)
    elif "ignore" in request.POST:
        synonyms.settle(row)
        messages.success(request, _("“%(text)s” is set aside.") % {"text": row.sample})
    elif not option:
        messages.error(request, _("Choose the option that the text means."))
    else:
        _add(request, row, option)
    back = request.POST.get("query", "")[:500]
    address = reverse("flow_statistics", args=[flow.pk])
    return HttpResponseRedirect(
        f"{address}?{back}#not-understood" if back else f"{address}#not-understood"
    )


def _add(request: StaffRequest, row: NotUnderstood, option: str) -> None:
    try:
        changed = synonyms.add(row, option, user=person(request))
    except DraftConflict:
        messages.error(request, _("Somebody has just changed the draft. Try again."))
    except (SynonymRefused, FlowRefused) as refusal:
        messages.error(request, refusal.message)
    else:
        told = _("“%(text)s” is a synonym in the draft of “%(flow)s” now. Publish it to use it.")
        messages.success(request, told % {"text": row.sample, "flow": changed.name})


def _figures(flow: Flow, form: UsageForm) -> dict[str, Any]:
    asked = form.cleaned_data
    version, other = asked["version"], asked["other"]
    now = _of_version(version, asked["since"], asked["until"])
    beside = _of_version(other, asked["since"], asked["until"]) if other else None
    if now is None:
        return {"is_unreadable": True}
    query = _query(form)

    def way(**wanted: str) -> str:
        return _href("flow_usage_conversations", flow, {**query, **wanted})

    return {
        "version": version,
        "other": other,
        "figures": now,
        "beside": beside,
        "steps": _steps(now, beside, way),
        "seen": None if now.is_empty else _map(now, way),
        "way": way,
        "query": urlencode(query),
    }


def _of_version(version: FlowVersion, since: date, until: date) -> Figures | None:
    document = _document(version)
    return None if document is None else Figures(version.pk, document, since, until)


def _document(version: FlowVersion) -> FlowDocument | None:
    try:
        return document_of(version.pk)
    except FlowError:
        return None


def _steps(now: Figures, beside: Figures | None, way: Callable[..., str]) -> list[StepRow]:
    """The passos of both versions, in the order of the one."""
    places = [one.place for one in now.steps]
    if beside is not None:
        places += [one.place for one in beside.steps if one.place not in set(places)]
    rows = []
    for place in places:
        own = now.at(place)
        other = beside.at(place) if beside else None
        title = (own or other).title if own or other else place  # type: ignore[union-attr]  # one of them is there
        rows.append(StepRow(place, title, own, other, way(node=place)))
    return rows


def _map(figures: Figures, way: Callable[..., str]) -> SeenMap:
    seen = with_counts(with_trail(draw(figures.document)), figures.map_counts)

    def of_edge(edge: MapEdge) -> str:
        return way(node=edge.origin, target=edge.target)

    return with_ways(seen, lambda node: f"#passo-{node}", of_edge)


def _query(form: UsageForm) -> dict[str, str]:
    """What the address of the page says, with what is usual said as well."""
    asked = form.cleaned_data
    found = {
        "version": str(asked["version"].pk) if asked.get("version") else "",
        "other": str(asked["other"].pk) if asked.get("other") else "",
        "since": asked["since"].isoformat(),
        "until": asked["until"].isoformat(),
    }
    return {name: value for name, value in found.items() if value}


def _preset(form: UsageForm, days: int, today: date) -> str:
    chosen = {name: form.data.get(name, "") for name in ("version", "other")}
    since = today - timedelta(days=days - 1)
    query = {**chosen, "since": since.isoformat(), "until": today.isoformat()}
    return urlencode({name: value for name, value in query.items() if value})


def _way(wanted: Wanted) -> dict[str, str]:
    said = {"node": wanted.node, "exit": wanted.exit, "target": wanted.target}
    return {name: value for name, value in said.items() if value}


def _way_in_words(wanted: Wanted, document: FlowDocument | None) -> str:
    """Which exit, and where it led."""
    node = any_node(document, wanted.node)
    label = exit_in_words(node, wanted.exit) if wanted.exit else ""
    target = any_title(document, wanted.target) if wanted.target else ""
    return " → ".join(filter(None, [label, target]))


def _href(name: str, flow: Flow, query: dict[str, str]) -> str:
    address = reverse(name, args=[flow.pk])
    return f"{address}?{urlencode(query)}" if query else address


def _context(request: StaffRequest, flow: Flow, title: str) -> dict[str, Any]:
    return {**admin.site.each_context(request), "flow": flow, "title": title}
