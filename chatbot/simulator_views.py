"""The simulator's pages. Every form works without a script; htmx only saves the reload."""

from __future__ import annotations

from secrets import token_hex
from typing import Any
from uuid import uuid4

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from chatbot import simulator
from chatbot.requests import StaffRequest
from tickets.models import Ticket

NONCE = "simulator_person"
SAID = ("text", "kind", "filename", "latitude", "longitude", "message_id", "reply_to")


@require_GET
def page(request: StaffRequest) -> HttpResponse:
    context = {**admin.site.each_context(request), **_context(request), "title": _("Simulator")}
    return TemplateResponse(request, "chatbot/simulator.html", context)


@require_GET
def state(request: StaffRequest) -> HttpResponse:
    """What has changed since the page last looked: an answer of the team, a wait that is over."""
    context = _context(request)
    if context["scene"].digest == request.GET.get("seen"):
        return HttpResponse(status=204)
    return TemplateResponse(request, "chatbot/_simulator_parts.html", {**context, "is_oob": True})


@require_POST
def say(request: StaffRequest) -> HttpResponse:
    form = {name: request.POST[name] for name in SAID if name in request.POST}
    if "place" in request.POST:
        form |= simulator.PLACE
    if "choice" in request.POST:
        message_id, _colon, option_id = request.POST["choice"].partition(":")
        form |= simulator.chosen(_customer(request), message_id, option_id)
    if _says_something(form):
        receipt = simulator.say(_customer(request), form, now=timezone.now())
        if not receipt.is_complete:
            messages.error(request, _("The message could not be stored. Try again."))
    return _answer(request)


@require_POST
def start_over(request: StaffRequest) -> HttpResponse:
    """Another fictitious person: the present conversation stays as it is."""
    request.session[NONCE] = token_hex(6)
    return _answer(request)


def clear(request: StaffRequest) -> HttpResponse:
    """Ask, then remove what every simulation of everybody has left."""
    if not request.user.is_admin:
        raise PermissionDenied
    if request.method == "POST":
        simulator.clear()
        request.session[NONCE] = token_hex(6)
        messages.success(request, _("The simulator's conversations were removed."))
        return redirect("simulator")
    context = {
        **admin.site.each_context(request),
        "title": _("Clear the simulator's conversations?"),
        "counts": simulator.count(),
    }
    return TemplateResponse(request, "chatbot/simulator_clear.html", context)


def _answer(request: StaffRequest) -> HttpResponse:
    if not request.htmx:
        return redirect("simulator")
    context = {**_context(request), "is_oob": True}
    return TemplateResponse(request, "chatbot/_simulator_parts.html", context)


def _context(request: StaffRequest) -> dict[str, Any]:
    scene = simulator.scene(_customer(request))
    ticket = scene.ticket
    may_open = ticket and Ticket.objects.visible_to(request.user).filter(pk=ticket.pk).exists()
    return {
        "scene": scene,
        "is_ready": simulator.is_ready(),
        "is_ticket_visible": bool(may_open),
        # One id for each thing that can be sent from this page: a double click is one message.
        "text_id": uuid4(),
        "choice_message_id": uuid4(),
        "extra_id": uuid4(),
    }


def _customer(request: StaffRequest) -> str:
    """The address of the person that this member of staff plays now."""
    nonce = request.session.get(NONCE)
    if nonce is None:
        nonce = request.session[NONCE] = token_hex(6)
    return f"{request.user.pk}-{nonce}"


def _says_something(form: dict[str, str]) -> bool:
    return (
        bool(form.get("text", "").strip())
        or form.keys() & {"kind", "choice_id", "latitude"} != set()
    )
