"""Tickets and what belongs to them in the console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from sessions_app.windows import WindowFilter, window_left
from tickets import services
from tickets.models import (
    OPEN_STATUSES,
    AssignmentDecision,
    CannedResponse,
    InternalNote,
    Priority,
    SlaPolicy,
    Ticket,
    TicketEvent,
)
from tickets.services import Next
from tickets.wording import collected, event_in_words
from users.console import ReadOnlyModelAdmin, ReadOnlyTabularInline, VisibleModelAdmin
from users.models import Department
from users.permissions import person

PREVIEW_SHOWN = 60


class StateFilter(admin.SimpleListFilter):
    """What somebody has to do, unless asked for more; the simulator's tickets stand apart."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("mine", _("with me")),
            ("unassigned", _("with nobody")),
            ("late", _("SLA missed")),
            ("snoozed", _("snoozed")),
            ("done", _("resolved or closed")),
            ("all", _("all")),
            ("simulated", _("simulated")),
        ]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": _("open")}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: PLR0911  # a table
        at, real = timezone.now(), queryset.real()
        match self.value():
            case "mine":
                return real.open().awake(at).filter(assignee=person(request))
            case "unassigned":
                return real.open().awake(at).unassigned()
            case "late":
                return real.open().late(at)
            case "snoozed":
                return real.open().filter(snoozed_until__gt=at)
            case "done":
                return real.exclude(status__in=OPEN_STATUSES)
            case "all":
                return real
            case "simulated":
                return queryset.filter(is_simulated=True)
        return real.open()


class TicketWindowFilter(WindowFilter):
    prefix = "session__"


class DepartmentForm(forms.Form):
    department = forms.ModelChoiceField(
        label=_("Department"),
        required=False,
        queryset=Department.objects.active(),  # door: everybody may know the departments
    )


class TicketActionForm(ActionForm, DepartmentForm):
    """Beside the list's actions: where "Transfer" goes."""


class NoteInline(admin.TabularInline):
    """A note is added, never rewritten, and never sent."""

    model = InternalNote
    extra = 1
    fields = ["text", "author", "created_at"]
    readonly_fields = ["author", "created_at"]
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[InternalNote]:
        return super().get_queryset(request).select_related("author")

    def has_change_permission(self, request: HttpRequest, obj: Ticket | None = None) -> bool:
        return False


class EventInline(ReadOnlyTabularInline):
    model = TicketEvent
    fields = ["created_at", "kind", "actor", "in_words"]

    @admin.display(description=_("details"))
    def in_words(self, event: TicketEvent) -> str:
        return event_in_words(event)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TicketEvent]:
        return super().get_queryset(request).select_related("actor")


class DecisionInline(ReadOnlyTabularInline):
    model = AssignmentDecision
    fields = ["created_at", "chosen", "policy", "reason", "candidates"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AssignmentDecision]:
        return super().get_queryset(request).select_related("chosen")


@admin.register(Ticket)
class TicketAdmin(VisibleModelAdmin):
    """The bot and the services open tickets. Here one says what the case is about; who has it and
    how it stands change by the actions alone."""

    list_display = [
        "protocol",
        "lead",
        "subject",
        "priority",
        "status",
        "department",
        "assignee",
        "preview",
        "unread",
        "queued_at",
        "first_response_due_at",
        "window_left",
    ]
    list_filter = [
        StateFilter,
        TicketWindowFilter,
        "status",
        "priority",
        ("department", admin.RelatedOnlyFieldListFilter),
        ("assignee", admin.RelatedOnlyFieldListFilter),
        ("tags", admin.RelatedOnlyFieldListFilter),
        ("snoozed_until", admin.EmptyFieldListFilter),
        "created_at",
    ]
    list_select_related = ["lead", "department", "assignee", "session"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["protocol", "subject", "lead__name", "lead__phone", "lead__email"]
    search_help_text = _("Protocol, subject, or name, phone or e-mail of the lead.")
    ordering = ["-id"]
    autocomplete_fields = ["tags"]
    fieldsets = [
        (None, {"fields": ["protocol", "lead", "session", "subject", "tags"]}),
        (_("Work"), {"fields": ["status", "priority", "department", "assignee"]}),
        (_("From the bot"), {"fields": ["collected", "handoff_reason"]}),
        (
            _("Times"),
            {
                "fields": [
                    "created_at",
                    "queued_at",
                    "assigned_at",
                    "first_response_due_at",
                    "first_response_at",
                    "resolution_due_at",
                    "snoozed_until",
                    "resolved_at",
                    "closed_at",
                    "outcome",
                ]
            },
        ),
    ]
    editable = ("subject", "tags")
    inlines = [NoteInline, EventInline, DecisionInline]
    action_form = TicketActionForm
    actions = [
        "claim",
        "release",
        "transfer",
        "resolve_and_end",
        "resolve_to_bot",
        "reopen",
        "make_high",
        "make_medium",
        "make_low",
    ]

    @admin.display(description=_("last message"), ordering="last_message_at")
    def preview(self, ticket: Ticket) -> str:
        return Truncator(ticket.last_message_preview).chars(PREVIEW_SHOWN)

    @admin.display(description=_("window"), ordering="session__window_expires_at")
    def window_left(self, ticket: Ticket) -> str:
        return window_left(ticket.session, at=timezone.now())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ticket]:
        """Without what a list does not show of the conversation."""
        tickets = super().get_queryset(request)
        return tickets.defer("session__context", "session__flow_state")

    @admin.display(description=_("collected variables"))
    def collected(self, ticket: Ticket) -> SafeString | str:
        answers = collected(ticket)
        if not answers:
            return "–"
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {}</li>", answers))

    @admin.display(description=_("why the bot handed over"))
    def handoff_reason(self, ticket: Ticket) -> str:
        return str(ticket.handoff.get("reason") or "–")

    def get_readonly_fields(self, request: HttpRequest, obj: Ticket | None = None) -> Any:
        shown = [name for _title, options in self.fieldsets for name in options["fields"]]
        return [name for name in shown if name not in self.editable]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Ticket | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Ticket, form: Any, change: bool) -> None:
        """The form itself saves the tags after this."""
        if "subject" in form.changed_data:
            services.update_details(obj, subject=obj.subject, actor=person(request))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Notes are the only rows that are written below a ticket."""
        for note in formset.save(commit=False):
            services.add_note(form.instance, author=person(request), text=note.text)

    @admin.action(description=_("Claim"), permissions=["change"])
    def claim(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        user = person(request)
        count = self._in_order(request, tickets, lambda one: services.claim(one, user=user))
        text = ngettext("%(count)d ticket is yours.", "%(count)d tickets are yours.", count)
        self.tell_count(request, text, count)

    @admin.action(description=_("Release to the queue"), permissions=["change"])
    def release(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        actor = person(request)
        count = self._in_order(request, tickets, lambda one: services.release(one, actor=actor))
        text = ngettext(
            "%(count)d ticket is in the queue.", "%(count)d tickets are in the queue.", count
        )
        self.tell_count(request, text, count)

    @admin.action(description=_("Transfer to the department"), permissions=["change"])
    def transfer(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        form = DepartmentForm(request.POST)
        department = form.cleaned_data["department"] if form.is_valid() else None
        if department is None:
            self.message_user(request, gettext("Choose a department."), messages.ERROR)
            return
        actor = person(request)
        count = self._in_order(
            request,
            tickets,
            lambda one: services.transfer(one, department=department, actor=actor),
        )
        text = ngettext("%(count)d ticket transferred.", "%(count)d tickets transferred.", count)
        self.tell_count(request, text, count)

    @admin.action(description=_("Resolve and end the conversation"), permissions=["change"])
    def resolve_and_end(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        self._resolve(request, tickets, then=Next.END)

    @admin.action(description=_("Resolve and return to the bot"), permissions=["change"])
    def resolve_to_bot(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        self._resolve(request, tickets, then=Next.BOT)

    @admin.action(description=_("Reopen"), permissions=["change"])
    def reopen(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        actor = person(request)
        count = self._in_order(request, tickets, lambda one: services.reopen(one, actor=actor))
        text = ngettext("%(count)d ticket reopened.", "%(count)d tickets reopened.", count)
        self.tell_count(request, text, count)

    @admin.action(description=_("Priority: high"), permissions=["change"])
    def make_high(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        self._set_priority(request, tickets, Priority.HIGH)

    @admin.action(description=_("Priority: medium"), permissions=["change"])
    def make_medium(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        self._set_priority(request, tickets, Priority.MEDIUM)

    @admin.action(description=_("Priority: low"), permissions=["change"])
    def make_low(self, request: HttpRequest, tickets: QuerySet[Ticket]) -> None:
        self._set_priority(request, tickets, Priority.LOW)

    def _resolve(self, request: HttpRequest, tickets: QuerySet[Ticket], *, then: Next) -> None:
        actor = person(request)
        count = self._in_order(
            request, tickets, lambda one: services.resolve(one, then=then, actor=actor)
        )
        text = ngettext("%(count)d ticket resolved.", "%(count)d tickets resolved.", count)
        self.tell_count(request, text, count)

    def _set_priority(
        self, request: HttpRequest, tickets: QuerySet[Ticket], priority: Priority
    ) -> None:
        actor = person(request)
        count = self._in_order(
            request,
            tickets,
            lambda one: services.set_priority(one, priority=priority, actor=actor),
        )
        text = ngettext(
            "%(count)d ticket has this priority now.",
            "%(count)d tickets have this priority now.",
            count,
        )
        self.tell_count(request, text, count)

    def _in_order(
        self, request: HttpRequest, tickets: QuerySet[Ticket], act: Callable[[Ticket], Any]
    ) -> int:
        return self.do_to_each(request, tickets.order_by("id"), act)


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
    visible_through = "ticket"
    list_display = ["created_at", "ticket", "chosen", "policy", "reason"]
    list_filter = ["policy", "created_at"]
    list_select_related = ["ticket", "chosen"]
    search_fields = ["ticket__protocol", "reason"]
    ordering = ["-id"]


@admin.register(CannedResponse)
class CannedResponseAdmin(VisibleModelAdmin):
    list_display = ["shortcut", "title", "department", "is_active"]
    list_filter = ["is_active", ("department", admin.RelatedOnlyFieldListFilter)]
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
    list_filter = ["is_active", "priority", ("department", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["department"]
    search_fields = ["name"]
    ordering = ["name"]
    autocomplete_fields = ["department"]
