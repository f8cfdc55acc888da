"""Tickets and what belongs to them in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from tickets import distribution_views, inbox_bulk, inbox_views, print_views, workspace_views
from tickets.distribution.words import told, weights_in_words
from tickets.inbox import search
from tickets.inbox_list import InboxList
from tickets.models import (
    AssignmentDecision,
    CannedResponse,
    InternalNote,
    SlaPolicy,
    Ticket,
    TicketEvent,
)
from tickets.wording import event_in_words
from users.console import ReadOnlyModelAdmin, RelatedFilter, VisibleModelAdmin


@admin.register(Ticket)
class TicketAdmin(VisibleModelAdmin):
    """The bot and the services open tickets; they change by actions alone. The list is
    tickets/inbox_list.py, the page of one ticket tickets/workspace_views.py."""

    list_per_page = 50
    show_full_result_count = False
    search_fields = ["protocol", "subject", "lead__name", "lead__phone", "lead__email"]
    search_help_text = _("Protocol, subject, or name, phone or e-mail of the lead")
    ordering = ["-id"]
    actions = inbox_bulk.ACTIONS

    def get_urls(self) -> list[Any]:
        return [
            *inbox_views.urls(self),
            *workspace_views.urls(self),
            *print_views.urls(self),
            *super().get_urls(),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[InboxList]:
        return InboxList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        if request.method == "POST":
            request.POST = inbox_bulk.as_action(request)  # type: ignore[assignment]  # a copy
            return super().changelist_view(request, extra_context)
        undo = inbox_bulk.undo_offered(request)
        return super().changelist_view(request, {"undo": undo, **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ticket]:
        """Without what a list does not show of the conversation."""
        tickets = super().get_queryset(request)
        return tickets.defer("session__context", "session__flow_state")

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found = search(queryset, search_term) if search_term.strip() else queryset
        return found, False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The workspace stands in for the form: what is changed there is changed by its actions."""
        page = workspace_views.page(request, object_id)
        if page is not None:
            return page
        return self._get_obj_does_not_exist_redirect(  # type: ignore[attr-defined]  # not in stubs
            request, self.opts, object_id
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Ticket | None = None) -> bool:
        return False


@admin.register(TicketEvent)
class TicketEventAdmin(ReadOnlyModelAdmin):
    visible_through = "ticket"
    list_display = ["created_at", "ticket", "kind", "actor", "in_words"]
    list_filter = ["kind", "created_at"]
    list_select_related = ["ticket", "actor"]
    search_fields = ["ticket__protocol", "ticket__lead__name"]
    ordering = ["-id"]
    fields = ["created_at", "ticket", "kind", "actor", "in_words"]
    readonly_fields = ["in_words"]

    @admin.display(description=_("details"))
    def in_words(self, event: TicketEvent) -> str:
        return event_in_words(event)


@admin.register(InternalNote)
class InternalNoteAdmin(ReadOnlyModelAdmin):
    """Notes are written on their ticket's page."""

    visible_through = "ticket"
    list_display = ["created_at", "ticket", "author", "text"]
    list_filter = ["created_at"]
    list_select_related = ["ticket", "author"]
    search_fields = ["text", "ticket__protocol", "ticket__lead__name"]
    ordering = ["-id"]


@admin.register(AssignmentDecision)
class AssignmentDecisionAdmin(ReadOnlyModelAdmin):
    """Why which ticket went to whom."""

    visible_through = "ticket"
    list_display = ["at", "ticket", "department", "outcome", "chosen", "decided_by"]
    list_filter = ["outcome", ("department", RelatedFilter), "at"]
    list_select_related = ["ticket", "chosen", "department"]
    search_fields = ["ticket__protocol"]
    ordering = ["-id"]
    fields = ["at", "ticket", "department", "outcome", "chosen", "decided_by", "needs", "people"]
    readonly_fields = ["decided_by", "needs", "people"]

    def get_urls(self) -> list[Any]:
        return [*distribution_views.urls(self), *super().get_urls()]

    @admin.display(description=_("because"))
    def decided_by(self, row: AssignmentDecision) -> str:
        return told(row).sentence

    @admin.display(description=_("skills needed"))
    def needs(self, row: AssignmentDecision) -> str:
        return told(row).needs

    @admin.display(description=_("people"))
    def people(self, row: AssignmentDecision) -> SafeString:
        """Everybody who was looked at, in a table."""
        lines = told(row).lines
        return render_to_string(
            "tickets/decision.html", {"lines": lines, "weights": weights_in_words()}
        )


@admin.register(CannedResponse)
class CannedResponseAdmin(VisibleModelAdmin):
    list_display = ["shortcut", "title", "department", "is_active"]
    list_filter = ["is_active", ("department", RelatedFilter)]
    list_select_related = ["department"]
    search_fields = ["shortcut", "title", "text"]
    ordering = ["shortcut"]
    autocomplete_fields = ["department"]


@admin.register(SlaPolicy)
class SlaPolicyAdmin(VisibleModelAdmin):
    list_display = [
        "name",
        "department",
        "priority",
        "first_response_minutes",
        "resolution_minutes",
        "is_active",
    ]
    list_filter = ["is_active", "priority", ("department", RelatedFilter)]
    list_select_related = ["department"]
    search_fields = ["name"]
    ordering = ["name"]
    autocomplete_fields = ["department"]
