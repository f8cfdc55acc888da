"""The pages on which an attendant begins a conversation: whom, on which channel, with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from chatbot.message_templates import usable_on
from chatbot.models import MessageTemplate
from chatbot.requests import StaffRequest
from chatbot.start_conversation import (
    Opening,
    Way,
    departments_of,
    known_person,
    start_conversation,
    start_with_number,
    ways_to,
)
from chatbot.template_picker import picker, values_in
from leads.models import Lead
from leads.phones import parse_typed
from sessions_app.models import Session
from tickets.models import Ticket
from users.errors import DomainError
from users.models import Department

MOST = 20  # leads that a search shows


@dataclass(frozen=True)
class Person:
    """To whom: a lead whom the attendant sees, or just a number. `lead` is what may be shown of
    them, `real` who it is, if anybody knows."""

    lead: Lead
    real: Lead
    number: str = ""


@require_http_methods(["GET", "POST"])
def start(request: StaffRequest, lead_id: int) -> HttpResponse:
    """Begin a conversation with a lead."""
    _require_writer(request)
    lead = get_object_or_404(Lead.objects.visible_to(request.user).live(), pk=lead_id)
    return _compose(request, Person(lead, lead))


@require_http_methods(["GET", "POST"])
def search(request: StaffRequest) -> HttpResponse:
    """Look for the lead, or type a number that may be nobody's yet."""
    _require_writer(request)
    text, typed = request.GET.get("q", "").strip(), _given(request, "phone")
    number = parse_typed(typed or text) or ""
    if typed and number:
        return _to_number(request, number)
    visible = Lead.objects.visible_to(request.user)
    found = visible.live().real().matching(text).order_by("-id")[:MOST] if text else []
    context = {
        **admin.site.each_context(request),
        "title": _("New ticket"),
        "query": text,
        "found": found,
        "number": number,
    }
    return TemplateResponse(request, "chatbot/start_search.html", context)


def _to_number(request: StaffRequest, number: str) -> HttpResponse:
    """A lead whom the attendant does not see stays a number until they have the conversation."""
    known = known_person(number)
    visible = Lead.objects.visible_to(request.user)
    if known is not None and visible.filter(pk=known.pk).exists():
        if request.method == "GET":
            return redirect("conversation_start", known.pk)
        return _compose(request, Person(known, known, number))
    shown = Lead(phone=number, opted_out_at=known.opted_out_at if known else None)
    return _compose(request, Person(shown, known or shown, number))


def _compose(request: StaffRequest, person: Person) -> HttpResponse:
    """The form; posted without `preview` it is sent."""
    ways = ways_to(person.real, at=timezone.now())
    way = _chosen(ways, _given(request, "channel"))
    departments = departments_of(request.user)
    department = _chosen_department(departments, _given(request, "department"))
    error = ""
    if request.method == "POST" and way is not None and "preview" not in request.POST:
        try:
            ticket = _send(request, person, way, department)
        except DomainError as refusal:
            error = refusal.message
        else:
            return redirect("admin:tickets_ticket_change", ticket.pk)
    context = {
        **admin.site.each_context(request),
        "title": _("Start a conversation"),
        "lead": person.lead,
        "number": person.number,
        "is_new": person.real.pk is None,
        "ways": ways,
        "way": way,
        "holder": way.ticket if way is not None and way.is_taken_from(request.user) else None,
        "mine": _own_ticket(request, way),
        "departments": departments,
        "department": department,
        "picker": _picker(request, person, way),
        "text": request.POST.get("text", ""),
        "name": request.POST.get("name", ""),
        "client_id": _client_id(request) or uuid4(),
        "error": error,
    }
    return TemplateResponse(request, "chatbot/start_conversation.html", context)


def _send(request: StaffRequest, person: Person, way: Way, department: Department | None) -> Ticket:
    """On the channel that was chosen, or on none: the form shows another one then."""
    if _given(request, "channel") not in ("", str(way.channel.pk)):
        raise DomainError(
            _("The channel that you chose cannot be used any more. Look at this one, then send."),
            code="no_channel",
        )
    common: dict[str, Any] = {
        "channel": way.channel,
        "user": request.user,
        "department": department,
        "opening": _opening(request, way),
        "client_id": _client_id(request),
        "at": timezone.now(),
    }
    if person.number:
        name = request.POST.get("name", "")
        return start_with_number(person.number, name=name, **common)
    return start_conversation(person.real, **common)


def _opening(request: StaffRequest, way: Way) -> Opening:
    if way.is_window_open:
        return Opening(text=request.POST.get("text", ""))
    template = _template(request, way)
    if template is None:
        raise DomainError(_("Choose a template."), code="no_template", status=400)
    return Opening(
        template=template.name, language=template.language, values=values_in(request.POST)
    )


def _template(request: StaffRequest, way: Way) -> MessageTemplate | None:
    wanted = _given(request, "template")
    known = {str(one.pk): one for one in usable_on(way.channel)}
    return known.get(wanted)


def _picker(request: StaffRequest, person: Person, way: Way | None) -> Any:
    """The templates, where only they may go. What was typed counts once there is something."""
    if way is None or way.is_window_open:
        return None
    values = values_in(request.POST)
    return picker(
        Session(lead=person.lead, channel=way.channel),
        chosen=_given(request, "template"),
        values=values or None,
        at=timezone.now(),
    )


def _own_ticket(request: StaffRequest, way: Way | None) -> Ticket | None:
    is_mine = way is not None and way.ticket is not None
    ticket = way.ticket if is_mine and way is not None else None
    return ticket if ticket is not None and ticket.assignee_id == request.user.pk else None


def _chosen(ways: list[Way], wanted: str) -> Way | None:
    asked = (way for way in ways if str(way.channel.pk) == wanted)
    return next(asked, ways[0] if ways else None)


def _chosen_department(departments: list[Department], wanted: str) -> Department | None:
    asked = (one for one in departments if str(one.pk) == wanted)
    return next(asked, departments[0] if departments else None)


def _given(request: StaffRequest, name: str) -> str:
    return (request.POST if request.method == "POST" else request.GET).get(name, "").strip()


def _client_id(request: StaffRequest) -> UUID | None:
    try:
        return UUID(request.POST.get("client_id", ""))
    except ValueError:
        return None


def _require_writer(request: StaffRequest) -> None:
    if not request.user.has_perm("chatbot.add_messagelog"):
        raise PermissionDenied
