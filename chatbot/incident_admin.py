"""Incidents in the console: read, and closed by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chatbot.incident_words import describe
from chatbot.incidents_watch import close_row
from chatbot.models import Incident
from users.console import ReadOnlyModelAdmin, RelatedFilter
from users.permissions import person


class IncidentStateFilter(admin.SimpleListFilter):
    """Open ones unless asked for others."""

    title = _("status")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("closed", _("closed")), ("all", _("open and closed"))]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": _("open")}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "closed":
                return queryset.exclude(closed_at=None)
            case "all":
                return queryset
        return queryset.filter(closed_at=None)


@admin.register(Incident)
class IncidentAdmin(ReadOnlyModelAdmin):
    """Opened and closed by the program. Closing by hand is for what nobody will report as over; if
    it is not over, it opens again."""

    list_display = ["title", "what", "opened_at", "last_seen_at", "times", "closed_at"]
    list_filter = [
        IncidentStateFilter,
        "kind",
        ("channel", RelatedFilter),
    ]
    list_select_related = ["channel"]
    list_per_page = 50
    show_full_result_count = False
    sortable_by = ("opened_at", "last_seen_at", "closed_at")
    fields = [
        "title",
        "what",
        "advice",
        "where",
        "opened_at",
        "last_seen_at",
        "times",
        "closed_at",
        "notified_at",
    ]
    readonly_fields = ["title", "what", "advice", "where", "times"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        heavy = ("channel__credentials", "channel__settings")
        return super().get_queryset(request).defer(*heavy)

    def get_urls(self) -> list[URLPattern]:
        close = path(
            "<int:incident_id>/close/",
            self.admin_site.admin_view(self.close),
            name="chatbot_incident_close",
        )
        return [close, *super().get_urls()]

    @admin.display(description=_("incident"))
    def title(self, incident: Incident) -> str:
        return describe(incident).title

    @admin.display(description=_("what happened"))
    def what(self, incident: Incident) -> str:
        return describe(incident).what

    @admin.display(description=_("what to do"))
    def advice(self, incident: Incident) -> str:
        return describe(incident).advice

    @admin.display(description=_("where"))
    def where(self, incident: Incident) -> SafeString:
        text = gettext("Open the page where it is mended")
        return format_html('<a href="{}">{}</a>', describe(incident).path, text)

    @admin.display(description=_("how often"))
    def times(self, incident: Incident) -> str:
        return describe(incident).times or "–"

    def close(self, request: HttpRequest, incident_id: int) -> HttpResponse:
        """Ask, then close one."""
        if not person(request).is_admin:
            raise PermissionDenied
        incident = get_object_or_404(self.get_queryset(request), pk=incident_id)
        page = reverse("admin:chatbot_incident_change", args=[incident.pk])
        if request.method == "POST":
            if close_row(incident, now=timezone.now()):
                text = gettext("The incident is closed. It opens again if it goes on.")
                self.message_user(request, text, messages.SUCCESS)
            else:
                text = gettext("The incident was closed already.")
                self.message_user(request, text, messages.WARNING)
            return redirect(page)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Close this incident?"),
            "incident": incident,
            "words": describe(incident),
            "back": page,
        }
        return TemplateResponse(request, "chatbot/incident_close.html", context)
