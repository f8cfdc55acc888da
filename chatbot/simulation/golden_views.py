"""Test conversations of a flow: held with the draft or a version, changed, removed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.documents import document_of
from chatbot.engine.nodes import FlowDocument, FlowError
from chatbot.findings import why_unreadable
from chatbot.models import Flow, FlowVersion, GoldenConversation
from chatbot.requests import StaffRequest
from chatbot.simulation import goldens
from chatbot.simulation.scene import choices_of
from users.digits import whole
from users.errors import DomainError


@require_GET
def page(request: StaffRequest, flow_id: int) -> HttpResponse:
    """Every test conversation, held with the draft, or with the version that is asked for."""
    flow = _flow(request, flow_id)
    version = _version(flow, request.GET.get("version", ""))
    try:
        document = _document(flow, version)
        held = goldens.hold(goldens.goldens_of(flow), document)
    except FlowError as error:
        messages.error(request, why_unreadable(error))
        held = []
    context = {
        "flow": flow,
        "title": _("Test conversations"),
        "held": held,
        "failing": sum(1 for one in held if one.golden.is_active and not one.is_ok),
        "version": version,
        "choices": choices_of(flow, version),
    }
    return _answer(request, "chatbot/goldens.html", context)


@require_POST
def change(request: StaffRequest, flow_id: int, golden_id: int) -> HttpResponse:
    """Another name, or taken out of what must hold before publishing."""
    golden = _golden(request, flow_id, golden_id)
    try:
        if "name" in request.POST:
            goldens.rename(golden, request.POST["name"])
        if "is_active" in request.POST:
            goldens.set_active(golden, is_active=request.POST["is_active"] == "1")
    except DomainError as refusal:
        messages.error(request, str(refusal))
    return redirect("flow_goldens", flow_id)


@require_http_methods(["GET", "POST"])
def accept(request: StaffRequest, flow_id: int, golden_id: int) -> HttpResponse:
    """Ask, then take what the draft says now for what must be said."""
    golden = _golden(request, flow_id, golden_id)
    try:
        if request.method == "POST":
            goldens.accept(golden, seen=request.POST.get("seen", ""))
            messages.success(request, _("“%(name)s” has the new answers.") % {"name": golden.name})
            return redirect("flow_goldens", flow_id)
        document = goldens.draft_of(golden.flow)
        changes = goldens.differences(golden, document)
    except FlowError as error:
        messages.error(request, why_unreadable(error))
        return redirect("flow_goldens", flow_id)
    except DomainError as refusal:
        messages.error(request, str(refusal))
        return redirect("flow_goldens", flow_id)
    context = {
        "flow": golden.flow,
        "golden": golden,
        "title": _("Take the new answers?"),
        "changes": changes,
        "seen": goldens.fingerprint(golden, document),
    }
    return _answer(request, "chatbot/golden_accept.html", context)


@require_http_methods(["GET", "POST"])
def delete(request: StaffRequest, flow_id: int, golden_id: int) -> HttpResponse:
    golden = _golden(request, flow_id, golden_id)
    if request.method == "POST":
        golden.delete()
        messages.success(request, _("“%(name)s” was removed.") % {"name": golden.name})
        return redirect("flow_goldens", flow_id)
    context = {
        "flow": golden.flow,
        "golden": golden,
        "title": _("Remove the test conversation?"),
        "turns": ngettext("%(count)s turn", "%(count)s turns", goldens.turns_of(golden))
        % {"count": goldens.turns_of(golden)},
    }
    return _answer(request, "chatbot/golden_delete.html", context)


def _answer(request: StaffRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context})


def _flow(request: StaffRequest, flow_id: int) -> Flow:
    return get_object_or_404(Flow.objects.visible_to(request.user), pk=flow_id)


def _golden(request: StaffRequest, flow_id: int, golden_id: int) -> GoldenConversation:
    mine = GoldenConversation.objects.visible_to(request.user).select_related("flow")
    return get_object_or_404(mine, pk=golden_id, flow=flow_id)


def _version(flow: Flow, asked: str) -> FlowVersion | None:
    """None: the draft."""
    key = whole(asked)
    return get_object_or_404(flow.versions, pk=key) if key is not None else None


def _document(flow: Flow, version: FlowVersion | None) -> FlowDocument:
    if version is not None:
        return document_of(version.pk)
    return goldens.draft_of(flow)
