"""A flow's page, its parts as they change, and what is decided there about findings."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from chatbot.editor.page import Asked, FlowPage
from chatbot.models import Flow, IgnoredFinding
from chatbot.requests import StaffRequest
from users.console import toast


@require_GET
def page(request: StaffRequest, flow_id: int) -> HttpResponse:
    """The whole page."""
    flow_page = _page(request, flow_id)
    whole = {**admin.site.each_context(request), "title": flow_page.flow.name}
    return _answer(request, "admin/chatbot/flow/change_form.html", flow_page, **whole)


@require_GET
def parts(request: StaffRequest, flow_id: int) -> HttpResponse:
    """What changes with the draft, or with what is asked; without a script, the whole page."""
    flow_page = _page(request, flow_id)
    if not request.htmx:
        return _to_page(flow_page)
    response = _answer(request, "chatbot/flow/_parts.html", flow_page, is_oob=True)
    if flow_page.asked.is_verified:
        toast(response, _verdict(flow_page))
    return response


@require_POST
def ignore(request: StaffRequest, flow_id: int) -> HttpResponse:
    """Live with a warning or a hint, or be told of it again (`again`)."""
    flow_page = _page(request, flow_id)
    key = request.POST.get("key", "")
    if "again" in request.POST:
        IgnoredFinding.objects.visible_to(request.user).filter(
            flow=flow_page.flow, key=key
        ).delete()
    elif any(one.key == key and one.is_ignorable for one in flow_page.findings):
        IgnoredFinding.objects.get_or_create(  # door: of a flow that the person sees
            flow=flow_page.flow, key=key, defaults={"user": request.user}
        )
    else:
        messages.info(request, _("This finding is not there any more."))
    if not request.htmx:
        return _to_page(flow_page, "#flow-findings")
    fresh = _page(request, flow_id)
    return _answer(request, "chatbot/flow/_parts.html", fresh, is_oob=True)


def flow_of(request: StaffRequest, flow_id: int) -> Flow:
    """The flow, with what is on air, for whoever may see it."""
    mine = Flow.objects.visible_to(request.user)
    return get_object_or_404(mine.select_related("published", "draft_saved_by"), pk=flow_id)


def _page(request: StaffRequest, flow_id: int) -> FlowPage:
    query = request.POST if request.method == "POST" else request.GET
    return FlowPage(flow_of(request, flow_id), user=request.user, asked=Asked.read(query))


def _answer(
    request: StaffRequest, template: str, flow_page: FlowPage, **more: Any
) -> TemplateResponse:
    context = {"page": flow_page, "flow": flow_page.flow, **more}
    return TemplateResponse(request, template, context)


def _to_page(flow_page: FlowPage, anchor: str = "") -> HttpResponseRedirect:
    path = reverse("admin:chatbot_flow_change", args=[flow_page.flow.pk])
    query = flow_page.asked.query()
    return HttpResponseRedirect(f"{path}?{query}{anchor}" if query else f"{path}{anchor}")


def _verdict(flow_page: FlowPage) -> str:
    if flow_page.errors:
        return flow_page.why_not
    open_ones = sum(flow_page.severities.values())
    if not open_ones:
        return _("Nothing found: the draft can be published.")
    said = ngettext(
        "%(count)d finding, none that keeps the draft from being published.",
        "%(count)d findings, none that keeps the draft from being published.",
        open_ones,
    )
    return said % {"count": open_ones}
