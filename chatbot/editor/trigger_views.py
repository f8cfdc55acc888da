"""What starts a flow: the list, the form of a trigger, and the box that tries them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from chatbot.editor.page_views import flow_of
from chatbot.editor.triggers import FlowTriggerForm, TryForm, trigger_in_words
from chatbot.models import Flow, Trigger
from chatbot.requests import StaffRequest


@require_GET
def listed(request: StaffRequest, flow_id: int) -> HttpResponse:
    """The triggers of the flow; with a question (`try`), which trigger of all would win."""
    flow = flow_of(request, flow_id)
    rows = _triggers(flow).select_related("channel", "calendar")
    trying = TryForm(request.GET if "try" in request.GET else None, user=request.user)
    context = {
        "triggers": list(rows.defer("channel__credentials", "channel__settings")),
        "trying": trying,
        "tried": trying.result() if trying.is_bound and trying.is_valid() else None,
    }
    if request.htmx:
        return _answer(request, "chatbot/flow/_tried.html", flow, context)
    return _answer(request, "chatbot/flow/triggers.html", flow, context)


@require_http_methods(["GET", "POST"])
def edit(request: StaffRequest, flow_id: int, trigger_id: int | None = None) -> HttpResponse:
    """One trigger, or a new one. Triggers are no part of the draft: they work once saved."""
    flow = flow_of(request, flow_id)
    trigger = (
        get_object_or_404(_triggers(flow), pk=trigger_id) if trigger_id else Trigger(flow=flow)
    )
    form = FlowTriggerForm(request.POST or None, instance=trigger, user=request.user)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            saved = form.save()
            what = (
                _("Trigger changed: %(trigger)s.")
                if trigger_id
                else _("Trigger added: %(trigger)s.")
            )
            _log(request, flow, what % {"trigger": trigger_in_words(saved)})
        messages.success(request, _("Saved. It works from now on."))
        return redirect("flow_triggers", flow.pk)
    context = {"form": form, "trigger": trigger}
    return _answer(request, "chatbot/flow/trigger.html", flow, context)


@require_http_methods(["GET", "POST"])
def remove(request: StaffRequest, flow_id: int, trigger_id: int) -> HttpResponse:
    flow = flow_of(request, flow_id)
    rows = _triggers(flow).select_related("channel").defer("channel__credentials")
    trigger = get_object_or_404(rows, pk=trigger_id)
    told = trigger_in_words(trigger)
    if request.method == "POST":
        with transaction.atomic():
            trigger.delete()
            _log(request, flow, _("Trigger removed: %(trigger)s.") % {"trigger": told})
        messages.success(request, _("The trigger was removed."))
        return redirect("flow_triggers", flow.pk)
    return _answer(request, "chatbot/flow/trigger_remove.html", flow, {"told": told})


def _triggers(flow: Flow) -> Any:
    return flow.triggers.order_by("-priority", "id")


def _log(request: StaffRequest, flow: Flow, said: str) -> None:
    LogEntry.objects.log_actions(  # door: the history of a flow that the person sees
        request.user.pk, [flow], CHANGE, said, single_object=True
    )


def _answer(
    request: StaffRequest, template: str, flow: Flow, context: dict[str, Any]
) -> TemplateResponse:
    shown = {"flow": flow, "title": flow.name, "part": "triggers", **context}
    return TemplateResponse(request, template, {**admin.site.each_context(request), **shown})
