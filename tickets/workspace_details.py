"""Single fields on a ticket's page, saved as they change, and answers that are shown on request."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leads.models import Lead, Tag
from leads.services import update_lead
from tickets import services
from tickets.errors import TicketRefused
from tickets.models import Ticket
from tickets.wording import answers_of, revealed
from tickets.workspace_forms import SubjectForm, TagForm
from tickets.workspace_page import address, changing, is_htmx, page_of, panel, seeing
from users.console import log_reveal
from users.errors import DomainError
from users.permissions import person


def tags_named(name: str) -> list[Tag]:
    """The tag of that name: attendants use the words that admins have made."""
    if not name:
        return []
    found = Tag.objects.filter(name__iexact=name)[:1]  # door: words, seen with any lead
    if not found:
        raise TicketRefused(_("There is no tag “%(name)s”.") % {"name": name})
    return list(found)


@require_POST
@changing
def change_subject(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    form = SubjectForm(request.POST)
    error = "" if form.is_valid() else _("The subject is too long.")
    if not error:
        subject = form.cleaned_data["subject"]
        services.update_details(ticket, subject=subject, actor=person(request))
    return _field(request, ticket, "_subject", error)


@require_POST
@seeing
def change_lead(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    """Status and tags of the lead, each by itself and saved at once."""
    user = person(request)
    if not user.has_perm("leads.change_lead"):
        raise PermissionDenied
    lead = get_object_or_404(Lead.objects.visible_to(user), pk=ticket.lead_id)
    status, form = request.POST.get("status", ""), TagForm(request.POST)
    error = ""
    try:
        if not form.is_valid():
            raise TicketRefused(_("There is no such tag."))
        add = [tag.name for tag in tags_named(form.cleaned_data["add"])]
        remove = [form.cleaned_data["remove"]] if form.cleaned_data["remove"] else []
        update_lead(
            lead, status=status, add_tags=add, remove_tags=remove, actor=user, reason="console"
        )
    except DomainError as refusal:
        error = refusal.message
    ticket.lead = Lead.objects.visible_to(user).select_related("attendant").get(pk=lead.pk)
    return _field(request, ticket, "_lead_status" if status else "_lead_tags", error)


def _field(request: HttpRequest, ticket: Ticket, template: str, error: str) -> HttpResponse:
    """One field with what is stored now, and whether it was saved."""
    if not is_htmx(request):
        if error:
            messages.error(request, error)
        return redirect(address(ticket))
    shown = {
        **panel(request, ticket),
        "ticket": ticket,
        "original": ticket,
        "may_change": person(request).has_perm("tickets.change_ticket"),
        "error": error,
        "is_saved": not error,
    }
    return TemplateResponse(request, f"tickets/workspace/{template}.html", shown)


@require_POST
@seeing
def reveal(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    """A masked answer as it was given; the history of the ticket says who looked."""
    name = request.POST.get("name", "")
    value = revealed(ticket, name)
    if value is None:
        raise Http404
    log_reveal(request, ticket, name=name)
    if not is_htmx(request):
        return page_of(request, ticket, shown_name=name, shown_value=value)
    answer = next(one for one in answers_of(ticket) if one.name == name)
    shown = {"ticket": ticket, "answer": answer, "shown_name": name, "shown_value": value}
    return TemplateResponse(request, "tickets/workspace/_answer_row.html", shown)
