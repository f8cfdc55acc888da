"""A ticket's conversation on paper: what was said and done, and on request the team's notes."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from tickets.models import Ticket
from tickets.wording import answers_of
from users.permissions import person


def urls(of: ModelAdmin[Any]) -> list[URLPattern]:
    view = of.admin_site.admin_view(print_ticket)
    return [path("<int:ticket_id>/print/", view, name="tickets_ticket_print")]


@require_GET
def print_ticket(request: HttpRequest, ticket_id: int) -> HttpResponse:
    """The whole conversation without anything that polls; `?notes=1` with the team's notes.
    Sensitive answers stay masked: paper is passed on."""
    if not person(request).has_perm("tickets.view_ticket"):
        raise PermissionDenied
    visible = Ticket.objects.visible_to(request.user)
    ticket = (
        visible.select_related("lead", "department", "assignee", "session__channel")
        .filter(pk=ticket_id)
        .first()
    )
    if ticket is None:
        raise Http404
    context = {
        "ticket": ticket,
        "answers": answers_of(ticket),
        "with_notes": request.GET.get("notes") == "1",
    }
    return TemplateResponse(request, "tickets/print.html", context)
