"""The page of one ticket, and the parts of it that ask for news."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from tickets import workspace as workspaces
from tickets import workspace_actions as actions
from tickets import workspace_decision, workspace_presence
from tickets import workspace_details as details
from tickets.models import Ticket
from tickets.workspace_page import (
    SORT_COOKIE,
    answer,
    inbox,
    is_htmx,
    page_of,
    seeing,
    sort_of,
    ticket_url,
    visible_ticket,
)
from users.console import background
from users.digits import whole
from users.permissions import person

YEAR = 365 * 24 * 3600


def urls(of: ModelAdmin[Any]) -> list[URLPattern]:
    """Stand before the admin's own, whose last one takes every path for the id of a ticket."""

    def at(route: str, name: str, view: Any) -> URLPattern:
        return path(route, of.admin_site.admin_view(view), name=f"tickets_ticket_{name}")

    verbs = {
        "head": head,
        "context": context,
        "presence": presence,
        "claim": actions.claim,
        "transfer": actions.transfer,
        "priority": actions.set_priority,
        "snooze": actions.snooze,
        "waiting": actions.wait_for_customer,
        "resolve": actions.resolve,
        "reopen": actions.reopen,
        "release": actions.release,
        "tags": actions.change_tags,
        "subject": details.change_subject,
        "lead": details.change_lead,
        "reveal": details.reveal,
        "decision": workspace_decision.decision,
        "skills": workspace_decision.change_skills,
    }
    return [
        at("queue/", "queue", queue),
        *(at(f"<int:ticket_id>/{verb}/", verb, view) for verb, view in verbs.items()),
        at("<int:ticket_id>/undo/<int:event_id>/", "undo", actions.undo),
    ]


def page(request: HttpRequest, object_id: str) -> HttpResponse | None:
    """The workspace of a ticket; None when there is none that the person may see."""
    if not person(request).has_perm("tickets.view_ticket"):
        raise PermissionDenied
    key = whole(object_id)
    ticket = None if key is None else visible_ticket(request, key)
    if ticket is None:
        return None
    workspaces.note_opened(ticket, person(request))
    return page_of(request, ticket)


@require_GET
@background
@seeing
def head(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    """The head once more, and the panel with it: somebody else has moved the ticket."""
    return answer(request, ticket)


@require_GET
@seeing
def context(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    """More of the panel: earlier tickets of the lead, or earlier events of this one."""
    older, before = request.GET.get("older", ""), _number(request, "before")
    if before is None or older not in ("tickets", "events"):
        raise Http404
    if older == "tickets":
        found = workspaces.previous_tickets(ticket, person(request), before=before)
    else:
        found = workspaces.events_of(ticket, before=before)
    template = f"tickets/workspace/_{'previous' if older == 'tickets' else 'events'}.html"
    shown = {"ticket": ticket, "previous": found, "events": found}
    return TemplateResponse(request, template, shown)


@require_GET
@background
def queue(request: HttpRequest) -> HttpResponse:
    """The column on the left; 204 while it looks as the page already shows it. At most two
    statements: what comes in on the ticket before one's eyes is read. A browser without scripts
    that chose another order is led back."""
    user = person(request)
    if not user.has_perm("tickets.view_ticket"):
        raise PermissionDenied
    sort, current = sort_of(request), _number(request, "current")
    found = workspaces.queue_of(request.GET.get("of", ""), user, sort=sort, at=timezone.now())
    seen = next((one for one in found.tickets if one.pk == current and one.unread), None)
    if seen is not None and seen.assignee_id == user.pk:
        workspaces.mark_read(seen.pk, user)
        seen.unread = 0
    if found.digest == request.GET.get("shown"):
        return HttpResponse(status=204)
    response: HttpResponse
    if is_htmx(request):
        shown = {"queue": found, "current": current, "at": timezone.now()}
        response = TemplateResponse(request, "tickets/workspace/_queue.html", shown)
    else:
        response = redirect(ticket_url("change", current) if current else inbox())
    if request.GET.get("sort") in workspaces.SORTS:
        response.set_cookie(SORT_COOKIE, sort, max_age=YEAR, httponly=True, samesite="Lax")
    return response


@require_POST
@background
def presence(request: HttpRequest, ticket_id: int) -> HttpResponse:
    """Each page says every 15 seconds that it is open; the answer says who else has it open, or
    nothing (204) while that is as shown. An old `state` makes the page ask for its head again."""
    user = person(request)
    if not user.has_perm("tickets.view_ticket"):
        raise PermissionDenied
    is_writing = bool(request.POST.get("writing"))
    scene = workspace_presence.beat(ticket_id, user, is_writing=is_writing, at=timezone.now())
    if scene is None:
        raise Http404
    if scene.digest == request.POST.get("shown"):
        response = HttpResponse(status=204)
    else:
        response = TemplateResponse(request, "tickets/workspace/_visitors.html", {"scene": scene})
    if scene.state != request.POST.get("state", scene.state):
        response["HX-Trigger"] = "ticket-moved"
    return response


def _number(request: HttpRequest, name: str) -> int | None:
    return whole(request.GET.get(name))
