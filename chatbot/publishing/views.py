"""The pages around publishing: versions, the impact sheet, four eyes, dividing the traffic."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot import flows_service
from chatbot.models import Flow, FlowVersion, PublishRequest, SessionMove
from chatbot.publishing import approval
from chatbot.publishing import split as splits
from chatbot.publishing.sheet import Sheet
from chatbot.publishing.versions import Versions, restore
from chatbot.requests import StaffRequest
from users.console import background
from users.digits import COUNT, whole
from users.errors import DomainError

POLL_ENDS = 286  # htmx asks no more
NOTE_LENGTH = 300


# --- Versions ----------------------------------------------------------------------------------


@require_GET
def versions(request: StaffRequest, flow_id: int) -> HttpResponse:
    """The card alone for htmx, else a page of its own."""
    flow = _flow(request, flow_id)
    shown = Versions(flow, request.GET)
    if request.htmx:
        context = {"flow": flow, "versions": shown}
        return TemplateResponse(request, "chatbot/publishing/_versions.html", context)
    title = _("Versions")
    return _page(request, "chatbot/publishing/versions.html", flow, title, versions=shown)


@require_POST
def restore_version(request: StaffRequest, flow_id: int, number: int) -> HttpResponse:
    """The version's document becomes the draft; that can be undone like any change of it."""
    flow = _flow(request, flow_id)
    try:
        restore(flow, number, user=request.user, revision=_number(request.POST.get("revision")))
    except FlowVersion.DoesNotExist as error:
        raise Http404 from error
    except DomainError as refusal:
        messages.error(request, refusal.message)
    else:
        said = _("v%(number)d is the draft now. Customers get nothing of it until it is published.")
        messages.success(request, said % {"number": number})
    return HttpResponseRedirect(reverse("admin:chatbot_flow_change", args=[flow.pk]))


@require_GET
@background
def progress(request: StaffRequest, flow_id: int, move_id: int) -> HttpResponse:
    """How far the live conversations have been moved."""
    flow = _flow(request, flow_id)
    moves = SessionMove.objects.filter(version__flow=flow).select_related("version")  # door: above
    move = get_object_or_404(moves.defer("version__document"), pk=move_id)
    response = TemplateResponse(
        request, "chatbot/publishing/_move.html", {"flow": flow, "move": move}
    )
    if move.finished_at is not None:
        response.status_code = POLL_ENDS
    return response


# --- The impact sheet --------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def publish(request: StaffRequest, flow_id: int) -> HttpResponse:
    """What publishing would do, and doing it: at once, or by asking a second person. A refusal
    keeps everything that was chosen."""
    flow = _flow(request, flow_id)
    if request.method == "POST":
        sheet = Sheet(flow, request.POST)
        try:
            return _ask(request, sheet) if flow.needs_approval else _publish(request, sheet)
        except DomainError as refusal:
            messages.error(request, refusal.message)
            flow.refresh_from_db(fields=["draft", "draft_revision", "published"])
            sheet = Sheet(flow, request.POST)
    else:
        sheet = Sheet(flow)
    title = _("Publish %(version)s") % {"version": sheet.next_label}
    return _page(request, "chatbot/publishing/sheet.html", flow, title, sheet=sheet)


def _publish(request: StaffRequest, sheet: Sheet) -> HttpResponse:
    version = flows_service.publish(
        sheet.flow,
        user=request.user,
        note=sheet.note.strip()[:NOTE_LENGTH],
        revision=_number(request.POST.get("revision")),
        moves=sheet.moves(),
        seen=request.POST.get("seen", ""),
    )
    return _published(request, sheet.flow, version)


def _ask(request: StaffRequest, sheet: Sheet) -> HttpResponse:
    approval.ask(
        sheet.flow,
        user=request.user,
        revision=_number(request.POST.get("revision")),
        note=sheet.note.strip()[:NOTE_LENGTH],
        moves=sheet.moves(),
        seen=request.POST.get("seen", ""),
        at=timezone.now(),
    )
    messages.success(request, _("Another admin must approve it now. The draft is not on air yet."))
    return HttpResponseRedirect(reverse("flow_publish", args=[sheet.flow.pk]))


def _published(request: StaffRequest, flow: Flow, version: FlowVersion) -> HttpResponse:
    """To the sheet while conversations are being moved, else to the flow."""
    messages.success(request, _("%(version)s is on air.") % {"version": version.label})
    is_moving = SessionMove.objects.filter(version=version).exists()  # door: of a visible flow
    name = "flow_publish" if is_moving else "admin:chatbot_flow_change"
    return HttpResponseRedirect(reverse(name, args=[flow.pk]))


@require_POST
def decide(request: StaffRequest, flow_id: int, request_id: int) -> HttpResponse:
    """A second person approves or refuses what the first asked for, or the first withdraws it."""
    flow = _flow(request, flow_id)
    rows = PublishRequest.objects.visible_to(request.user).filter(flow=flow)
    asked = get_object_or_404(rows.select_related("flow"), pk=request_id)
    answer, at = request.POST.get("answer", "").strip()[:NOTE_LENGTH], timezone.now()
    try:
        match request.POST.get("do"):
            case "approve":
                seen = request.POST.get("seen", "")
                version = approval.approve(
                    asked, user=request.user, answer=answer, seen=seen, at=at
                )
                return _published(request, flow, version)
            case "refuse":
                approval.refuse(asked, user=request.user, answer=answer, at=at)
                messages.success(request, _("Refused. Whoever asked reads your answer here."))
            case "withdraw":
                approval.withdraw(asked, user=request.user, at=at)
                messages.success(request, _("The request is withdrawn."))
            case _:
                raise Http404
    except DomainError as refusal:
        messages.error(request, refusal.message)
    return HttpResponseRedirect(reverse("flow_publish", args=[flow.pk]))


# --- Dividing the traffic ----------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def split(request: StaffRequest, flow_id: int) -> HttpResponse:
    """Give a part of the new conversations another version, and end that."""
    flow = _flow(request, flow_id)
    if request.method == "POST":
        try:
            _change_split(request, flow)
        except DomainError as refusal:
            messages.error(request, refusal.message)
        return HttpResponseRedirect(reverse("flow_split", args=[flow.pk]))
    published = flow.versions.published().select_related("published_by").defer("document")
    on_air = flow.published.number if flow.published else None
    others = published.exclude(number=on_air).order_by("-number")[:50]
    earlier = flow.splits.exclude(ended_at=None).select_related("control", "challenger")
    context = {
        "split": splits.of_flow(flow),
        "others": others,
        "earlier": earlier.defer("control__document", "challenger__document")[:10],
    }
    title = _("Divide the traffic")
    return _page(request, "chatbot/publishing/split.html", flow, title, **context)


def _change_split(request: StaffRequest, flow: Flow) -> None:
    now = timezone.now()
    if request.POST.get("do") == "end":
        if splits.end(flow, user=request.user, at=now):
            messages.success(request, _("Everybody gets the version on air again."))
        return
    wanted = _number(request.POST.get("version"))
    challenger = flow.versions.published().filter(number=wanted).first()
    if challenger is None:
        raise splits.SplitRefused(_("Choose a version other than the one on air."), status=400)
    share = _number(request.POST.get("share"))
    splits.start(flow, challenger=challenger, share=share, user=request.user, at=now)
    said = _("%(share)d%% of new conversations get %(version)s from now on.")
    messages.success(request, said % {"share": share, "version": challenger.label})


# --- What all of them need ---------------------------------------------------------------------


def _flow(request: StaffRequest, flow_id: int) -> Flow:
    flows = Flow.objects.visible_to(request.user).select_related("published", "draft_saved_by")
    return get_object_or_404(flows, pk=flow_id)


def _page(
    request: StaffRequest, template: str, flow: Flow, title: str, **more: Any
) -> TemplateResponse:
    context = {
        **admin.site.each_context(request),
        "title": title,
        "flow": flow,
        "opts": Flow._meta,
        **more,
    }
    return TemplateResponse(request, template, context)


def _number(text: object) -> int:
    """0 where there is none."""
    return whole(text, most=COUNT) or 0
