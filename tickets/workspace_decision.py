"""Why a ticket is with whom, and what it needs, on the ticket's page: read when it is asked for."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from tickets import services
from tickets.distribution.words import told, weights_in_words
from tickets.models import Ticket
from tickets.workspace_page import address, changing, is_htmx, seeing
from users.digits import whole
from users.errors import DomainError
from users.models import Skill
from users.permissions import person

SHOWN = 4


@require_GET
@seeing
def decision(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    return _part(request, ticket)


@require_POST
@changing
def change_skills(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    """Those that are ticked and no others."""
    chosen = {number for number in map(whole, request.POST.getlist("skills")) if number is not None}
    skills = list(Skill.objects.filter(pk__in=chosen))  # door: words, seen by everybody
    error = ""
    if len(skills) != len(chosen) or len(chosen) != len(set(request.POST.getlist("skills"))):
        error = _("There is no such skill.")
    else:
        try:
            services.set_skills(ticket, skills=skills, actor=person(request))
        except DomainError as refusal:
            error = refusal.message
    if is_htmx(request):
        return _part(request, ticket, error=error, is_saved=not error)
    if error:
        messages.error(request, error)
    return redirect(address(ticket))


def _part(
    request: HttpRequest, ticket: Ticket, *, error: str = "", is_saved: bool = False
) -> HttpResponse:
    rows = ticket.decisions.select_related("chosen", "department")[:SHOWN]
    needed = set(ticket.skills.values_list("pk", flat=True))
    every = Skill.objects.all()  # door: words, seen by everybody
    shown = {
        "ticket": ticket,
        "decisions": [told(row) for row in rows],
        "weights": weights_in_words(),
        "skills": [(skill, skill.pk in needed) for skill in every],
        "may_change": person(request).has_perm("tickets.change_ticket"),
        "error": error,
        "is_saved": is_saved,
    }
    return TemplateResponse(request, "tickets/workspace/_decision.html", shown)
