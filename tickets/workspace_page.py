"""How a ticket's page is drawn, whole and in parts, and what every view of it begins with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import HttpResponseClientRedirect

from leads.models import LeadStatus, Tag
from tickets import workspace as workspaces
from tickets import workspace_presence
from tickets.models import Priority, Ticket
from tickets.required import missing_fields
from tickets.wording import answers_of
from tickets.workspace_forms import TransferForm
from users.frozen import Frozen
from users.permissions import person

SORT_COOKIE = "queue_sort"
MOST_TAGS = 500  # offered while somebody types

View = Callable[[HttpRequest, Ticket], HttpResponse]


def on_ticket(permission: str) -> Callable[[View], Callable[..., HttpResponse]]:
    """A view of one ticket: 403 without the permission, 404 when the person may not see it."""

    def wrap(view: View) -> Callable[..., HttpResponse]:
        @wraps(view)
        def wrapped(request: HttpRequest, ticket_id: int) -> HttpResponse:
            if not person(request).has_perm(permission):
                raise PermissionDenied
            ticket = visible_ticket(request, ticket_id)
            if ticket is None:
                raise Http404
            return view(request, ticket)

        return wrapped

    return wrap


seeing, changing = on_ticket("tickets.view_ticket"), on_ticket("tickets.change_ticket")


def visible_ticket(request: HttpRequest, ticket_id: int) -> Ticket | None:
    """With all that its page shows of it; None when there is none that the person may see."""
    user = person(request)
    ticket: Ticket | None = _VISIBLE.first(user.is_admin, user=user, pk=ticket_id)
    return ticket


_VISIBLE = Frozen(
    lambda _is_admin, user, pk: (
        Ticket.objects.visible_to(user)
        .filter(pk=pk)
        .select_related("lead__attendant", "department", "assignee", "session__channel")
    )
)
# door: words, seen with any lead
_ALL_TAGS = Frozen(lambda _shape: Tag.objects.order_by("name")[:MOST_TAGS])
_TAGS = Frozen(lambda _shape, ticket: Tag.objects.filter(tickets=ticket))
_LEAD_TAGS = Frozen(lambda _shape, lead: Tag.objects.filter(leads=lead))


def page_of(request: HttpRequest, ticket: Ticket, **more: Any) -> TemplateResponse:
    at, user = timezone.now(), person(request)
    beside = workspaces.queue_beside(ticket)
    shown = {
        **admin.site.each_context(request),
        **around(request, ticket, at=at),
        "title": ticket.protocol,
        "subtitle": str(ticket.lead),
        "opts": Ticket._meta,
        "queue": workspaces.queue_of(beside, user, sort=sort_of(request), at=at),
        "handoff": workspaces.handoff_of(ticket),
        **more,
    }
    return TemplateResponse(request, "admin/tickets/ticket/change_form.html", shown)


def around(request: HttpRequest, ticket: Ticket, *, at: datetime) -> dict[str, Any]:
    """What the head and the panel of the page show."""
    user = person(request)
    scene = workspace_presence.look(ticket.pk, user, at=at)
    return {
        **panel(request, ticket),
        "original": ticket,
        "ticket": ticket,
        "at": at,
        "is_mine": ticket.assignee_id == user.pk,
        "may_change": user.has_perm("tickets.change_ticket"),
        "state": workspaces.state_of_ticket(ticket),
        "scene": scene,
        "is_snoozed": ticket.is_snoozed(at),
        "moments": workspaces.moments(at),
        "may_wait": workspaces.may_wait(ticket),
        "priorities": Priority.choices,
        "transfer_form": TransferForm(ticket=ticket, user=user),
        "missing": missing_fields(ticket) if ticket.is_open else [],
        "tags": _TAGS.all(ticket=ticket.pk),
        "all_tags": _ALL_TAGS.all(),
    }


def panel(request: HttpRequest, ticket: Ticket) -> dict[str, Any]:
    user = person(request)
    return {
        "lead_statuses": LeadStatus.choices,
        "may_see_lead": user.has_perm("leads.view_lead"),
        "may_change_lead": user.has_perm("leads.change_lead"),
        "lead_tags": _LEAD_TAGS.all(lead=ticket.lead_id),
        "answers": answers_of(ticket),
        "previous": workspaces.previous_tickets(ticket, user),
        "events": workspaces.events_of(ticket),
    }


def answer(
    request: HttpRequest, ticket: Ticket, *, error: str = "", talks: bool = False
) -> HttpResponse:
    """Head and panel as they are now; with `talks` the conversation, too."""
    found = visible_ticket(request, ticket.pk)
    if found is None:
        raise Http404
    ticket = found
    shown = {**around(request, ticket, at=timezone.now()), "error": error, "talks": talks}
    response = TemplateResponse(request, "tickets/workspace/_answer.html", shown)
    response["HX-Trigger-After-Settle"] = "ticket-shown"
    return response


def sort_of(request: HttpRequest) -> str:
    return request.GET.get("sort") or request.COOKIES.get(SORT_COOKIE, "")


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    return HttpResponseClientRedirect(url) if is_htmx(request) else redirect(url)


def is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def still_visible(request: HttpRequest, ticket: Ticket) -> bool:
    return Ticket.objects.visible_to(person(request)).filter(pk=ticket.pk).exists()


def address(ticket: Ticket) -> str:
    return ticket_url("change", ticket.pk)


def inbox() -> str:
    return ticket_url("changelist")


def ticket_url(name: str, *numbers: int) -> str:
    return reverse(f"admin:tickets_ticket_{name}", args=numbers)
