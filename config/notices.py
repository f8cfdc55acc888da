"""The bell: what a person should know about tickets, read one by one or all at once."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from chatbot.requests import StaffRequest
from config.badges import badges_of
from tickets.models import Notification

IN_MENU, ON_PAGE = 8, 100


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The newest ones as a page, or for htmx as what stands below the bell."""
    staff = cast("StaffRequest", request)
    if staff.htmx:
        return TemplateResponse(request, "admin/includes/notices.html", _newest(staff, IN_MENU))
    context = {
        **admin.site.each_context(request),
        **_newest(staff, ON_PAGE),
        "title": _("Notifications"),
    }
    return TemplateResponse(request, "admin/notices.html", context)


@require_POST
def open_ticket(request: HttpRequest, notice_id: int) -> HttpResponse:
    """Mark one read and go to its ticket."""
    rows = Notification.objects.visible_to(cast("StaffRequest", request).user)
    notice = get_object_or_404(rows, pk=notice_id)
    rows.unread().filter(pk=notice.pk).update(read_at=timezone.now())
    return HttpResponseRedirect(reverse("admin:tickets_ticket_change", args=[notice.ticket_id]))


@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark all read that were on the page (`up_to`): one that came meanwhile stays new."""
    staff = cast("StaffRequest", request)
    up_to = request.POST.get("up_to", "")
    rows = Notification.objects.visible_to(staff.user).unread()
    if up_to.isascii() and up_to.isdigit() and len(up_to) <= len(str(2**63)):
        rows = rows.filter(pk__lte=min(int(up_to), 2**63 - 1))
    rows.update(read_at=timezone.now())
    if not staff.htmx:
        return HttpResponseRedirect(reverse("notices"))
    context = {**_newest(staff, IN_MENU), "badges": badges_of(staff.user), "is_oob": True}
    return TemplateResponse(request, "admin/includes/notices.html", context)


def _newest(request: StaffRequest, most: int) -> dict[str, Any]:
    """One statement."""
    rows = Notification.objects.visible_to(request.user).select_related("ticket__lead", "actor")
    found = list(rows.order_by("-id")[:most])
    return {
        "notices": found,
        "has_unread": any(notice.read_at is None for notice in found),
        "up_to": found[0].pk if found else 0,
    }
