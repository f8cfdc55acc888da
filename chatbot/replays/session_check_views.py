"""The page of the verification of sessions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.models import JobState, SessionCheck, Worker
from chatbot.replays import session_checks, states
from chatbot.replays.states import UNDER_WAY
from chatbot.replays.views import CHIPS
from chatbot.requests import StaffRequest
from users.console import background
from users.permissions import person

SHOWN = 30


@require_http_methods(["GET", "POST"])
def index(request: StaffRequest) -> HttpResponse:
    """What the last nights found; POST begins one now."""
    _admins_only(request)
    if request.method == "POST":
        _check, is_new = session_checks.start(user=person(request))
        if not is_new:
            messages.info(request, _("This is under way already."))
        return redirect("session_checks")
    context = {
        **admin.site.each_context(request),
        **_state(),
        "title": _("Verification of sessions"),
    }
    return TemplateResponse(request, "chatbot/replays/session_checks.html", context)


@background
@require_GET
def state(request: StaffRequest) -> HttpResponse:
    """The part of the page that moves."""
    _admins_only(request)
    return TemplateResponse(request, "chatbot/replays/_session_checks.html", _state())


@require_POST
def cancel(request: StaffRequest, check_id: int) -> HttpResponse:
    _admins_only(request)
    check = get_object_or_404(SessionCheck, pk=check_id)
    if not states.cancel(check, now=timezone.now()):
        messages.info(request, _("It was over already."))
    return redirect("session_checks")


def _admins_only(request: StaffRequest) -> None:
    if not request.user.is_admin:
        raise PermissionDenied


def _state() -> dict[str, Any]:
    checks = list(
        SessionCheck.objects.select_related("created_by")[:SHOWN]  # door: admins alone
    )
    running = next((one for one in checks if one.state in UNDER_WAY), None)
    last = next((one for one in checks if one.state == JobState.DONE), None)
    return {
        "rows": [(one, CHIPS[JobState(one.state)]) for one in checks],
        "running": running,
        "percent": min(100, 100 * running.done // running.total)
        if running and running.total
        else 0,
        "is_stuck": running is not None and not Worker.objects.alive().exists(),  # door: if any
        "last": last,
    }
