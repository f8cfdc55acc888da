"""What the inbox asks for besides its list: news, saved views, the next ticket, a file.

Each is wrapped in `admin_view`, and starts at what the person may see.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.dateparse import parse_datetime
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from tickets import inbox_bulk
from tickets.inbox import Filters, news_since
from tickets.models import SavedView, Ticket
from tickets.next_ticket import next_ticket
from users import audit, contact
from users.console import background
from users.models import User
from users.permissions import person
from users.spreadsheets import as_csv

LIST = "admin:tickets_ticket_changelist"
MOST_VIEWS = 30  # of one person
LONGEST_QUERY = 1000  # characters of SavedView.query
ROWS_AT_ONCE = 500  # read from the database for a file


def urls(site: ModelAdmin[Any]) -> list[URLPattern]:
    wrap = site.admin_site.admin_view
    undo = require_POST(partial(inbox_bulk.undo, site=site))
    return [
        path("newcount/", wrap(newcount), name="tickets_ticket_newcount"),
        path("views/", wrap(save_view), name="tickets_ticket_views"),
        path("views/<int:view_id>/", wrap(change_view), name="tickets_ticket_view"),
        path("next/", wrap(partial(next_one, site=site)), name="tickets_ticket_next"),
        path("undo/", wrap(undo), name="tickets_ticket_bulk_undo"),
        path("export/", wrap(partial(export, site=site)), name="tickets_ticket_export"),
    ]


@background
@require_GET
def newcount(request: HttpRequest) -> HttpResponse:
    """What has come since the page was drawn (`since`); 204 when that is what it `shown` last.

    One statement. The list itself stays as it is until somebody asks for it.
    """
    _require_view(request)
    since, filters = _moment(request.GET.get("since", "")), Filters.of(request.GET)
    if since is None:
        return HttpResponse(status=204)
    news = news_since(filters, since, user=person(request), at=timezone.now())
    shown = f"{news.tickets}-{news.messages}"
    if request.GET.get("shown", "0-0") == shown:
        return HttpResponse(status=204)
    context = {
        "news": news,
        "shown": shown,
        "since": request.GET["since"],
        "filters": filters,
        "query": filters.query(),
    }
    return TemplateResponse(request, "tickets/inbox/_news.html", context)


def next_one(request: HttpRequest, *, site: ModelAdmin[Any]) -> HttpResponse:
    """Take the ticket that is next and open it. Whoever comes by a link is asked to press a
    button: a page that a browser fetches ahead takes no ticket."""
    if not site.has_change_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        context = {**site.admin_site.each_context(request), "title": _("Next ticket")}
        return TemplateResponse(request, "tickets/inbox/next.html", context)
    ticket = next_ticket(person(request), timezone.now())
    if ticket is None:
        text = _("There is nothing to do now: nobody waits for you or in your queues.")
        messages.info(request, text)
        return HttpResponseRedirect(reverse(LIST))
    return HttpResponseRedirect(reverse("admin:tickets_ticket_change", args=[ticket.pk]))


class ViewForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    is_shared = forms.BooleanField(label=gettext_lazy("Share with the team"), required=False)


@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the filters of an address under a name; the same name again: these filters from now
    on."""
    _require_view(request)
    user, query = person(request), Filters.of_query(request.POST.get("query", "")).query()
    form = ViewForm(request.POST)
    own = SavedView.objects.visible_to(user).filter(user=user)
    if not form.is_valid():
        messages.error(request, _("Give the view a name of at most 60 characters."))
    elif len(query) > LONGEST_QUERY:
        messages.error(request, _("These are too many filters for a saved view."))
    elif own.exclude(name=form.cleaned_data["name"]).count() >= MOST_VIEWS:
        messages.error(request, _("You have %(count)d views. Delete one.") % {"count": MOST_VIEWS})
    else:
        own.update_or_create(
            user=user,
            name=form.cleaned_data["name"],
            defaults={"query": query, "is_shared": _may_share(request, form)},
        )
        messages.success(request, _("The view was saved."))
    return HttpResponseRedirect(f"{reverse(LIST)}?{query}")


@require_POST
def change_view(request: HttpRequest, view_id: int) -> HttpResponse:
    """Rename, share or delete a view of one's own."""
    _require_view(request)
    user = person(request)
    own = SavedView.objects.visible_to(user).filter(user=user)
    view, form = get_object_or_404(own, pk=view_id), ViewForm(request.POST)
    if "delete" in request.POST:
        view.delete()
        messages.success(request, _("The view was deleted."))
    elif not form.is_valid():
        messages.error(request, _("Give the view a name of at most 60 characters."))
    else:
        _rename(request, view, form)
    query = Filters.of_query(request.POST.get("query", "")).query()
    return HttpResponseRedirect(f"{reverse(LIST)}?{query}")


def _rename(request: HttpRequest, view: SavedView, form: ViewForm) -> None:
    view.name, view.is_shared = form.cleaned_data["name"], _may_share(request, form)
    try:
        with transaction.atomic():
            view.save(update_fields=["name", "is_shared"])
    except IntegrityError:
        messages.error(request, _("You have another view with this name."))
    else:
        messages.success(request, _("The view was saved."))


@require_GET
def export(request: HttpRequest, *, site: ModelAdmin[Any]) -> StreamingHttpResponse:
    """The list as its address asks for it, as a file for a spreadsheet, written as it is read."""
    _require_view(request)
    rows = site.get_changelist_instance(request).queryset.select_related(
        "lead", "department", "assignee"
    )
    audit.exported(Ticket, query=request.GET.urlencode())
    name = f"tickets-{timezone.localdate():%Y-%m-%d}.csv"
    lines = as_csv(_lines(rows, get_language(), person(request)))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _lines(rows: Any, language: str | None, user: User) -> Iterator[list[object]]:
    """In the person's language and as they may see it, although their request is over when the
    file is written."""
    with translation.override(language):
        heads = _heads()
    yield heads
    for ticket in rows.iterator(chunk_size=ROWS_AT_ONCE):
        with translation.override(language), contact.seen_by(user):
            line = _line(ticket)
        yield line


def _heads() -> list[object]:
    return [
        _("Protocol"),
        _("Lead"),
        _("Phone"),
        _("Department"),
        _("Assignee"),
        _("Status"),
        _("Priority"),
        _("Subject"),
        _("Unread"),
        _("Last message at"),
        _("Opened at"),
        _("Resolved at"),
    ]


def _line(ticket: Ticket) -> list[object]:
    return [
        ticket.protocol,
        str(ticket.lead),
        contact.shown_phone(ticket.lead.phone),
        ticket.department,
        ticket.assignee or "",
        ticket.get_status_display(),
        ticket.get_priority_display(),
        ticket.subject,
        ticket.unread,
        _local(ticket.last_message_at),
        _local(ticket.created_at),
        _local(ticket.resolved_at),
    ]


def _local(moment: datetime | None) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M}" if moment else ""


def _require_view(request: HttpRequest) -> None:
    if not person(request).has_perm("tickets.view_ticket"):
        raise PermissionDenied


def _may_share(request: HttpRequest, form: ViewForm) -> bool:
    return form.cleaned_data["is_shared"] and person(request).is_admin


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment is not None and timezone.is_aware(moment) else None
