"""Flows, logs and the outbox in the console. What was said can be read here, never changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from chatbot import delivery, flows_service
from chatbot import media as fetching
from chatbot.failed_event_admin import FailedEventAdmin
from chatbot.file_names import safe_name
from chatbot.forms import FlowForm, TriggerForm
from chatbot.incident_admin import IncidentAdmin
from chatbot.labels import KIND_LABELS, why_failed
from chatbot.log_admin import LogAdmin, as_json
from chatbot.models import (
    FailedEvent,
    Flow,
    FlowLog,
    FlowRun,
    FlowVersion,
    Media,
    MediaStatus,
    MessageLog,
    MessageStatus,
    MessageTemplate,
    Price,
    Task,
    TaskStatus,
    Trigger,
    Worker,
)
from chatbot.template_admin import MessageTemplateAdmin
from users.console import ReadOnlyModelAdmin, ReadOnlyTabularInline, VisibleModelAdmin
from users.errors import DomainError
from users.permissions import person

__all__ = ["IncidentAdmin"]  # registered by being imported

UNCONFIRMED = "unconfirmed"
WORKER_SILENCE = timedelta(minutes=1)
HEAVY_OF_SESSION = (
    "session__context",
    "session__flow_state",
    "session__channel__credentials",
    "session__channel__settings",
)
TEXT_SHOWN = 80


# --- Flows ----------------------------------------------------------------------------------------


TRIGGER_ROWS: list[str | list[str] | tuple[str, ...]] = [
    ("kind", "priority", "is_active"),
    "keywords",
    ("channel", "calendar", "when_open"),
]


class TriggerInline(admin.StackedInline):
    model = Trigger
    form = TriggerForm
    fields = TRIGGER_ROWS
    extra = 0


class FlowVersionInline(ReadOnlyTabularInline):
    model = FlowVersion
    fields = ["number", "published_at", "published_by", "note"]
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[FlowVersion]:
        versions = super().get_queryset(request).select_related("published_by")
        return versions.defer("document").order_by("-number")


@admin.register(Flow)
class FlowAdmin(VisibleModelAdmin):
    """The draft is edited as JSON here; what customers get changes by publishing alone."""

    form = FlowForm
    list_display = [
        "name",
        "slug",
        "version_on_air",
        "waiting_draft",
        "draft_saved_by",
        "is_active",
    ]
    list_filter = ["is_active"]
    list_select_related = ["published", "draft_saved_by"]
    search_fields = ["name", "slug", "description"]
    ordering = ["name"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["version_on_air", "draft_saved_at", "draft_saved_by", "findings", "stored"]
    fieldsets = [
        (None, {"fields": ["name", "slug", "description", "is_active", "version_on_air"]}),
        (_("Draft"), {"fields": ["findings", "document", "revision"]}),
        (
            _("Draft as it is stored"),
            {"classes": ["collapse"], "fields": ["draft_saved_at", "draft_saved_by", "stored"]},
        ),
    ]
    add_fieldsets = [(None, {"fields": ["name", "slug", "description", "document", "revision"]})]
    inlines = [TriggerInline, FlowVersionInline]
    actions = ["publish"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Flow]:
        return super().get_queryset(request).defer("draft", "published__document")

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Flow | None:
        """Locked while a form is saved: nobody's draft slips in between its check and the save."""
        flow = super().get_object(request, object_id, from_field)
        if flow is not None and request.method == "POST" and connection.in_atomic_block:
            rows = self.get_queryset(request).select_for_update(no_key=True, of=("self",))
            flow = rows.filter(pk=flow.pk).first()
        return flow

    def get_fieldsets(self, request: HttpRequest, obj: Flow | None = None) -> Any:
        return self.fieldsets if obj else self.add_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Flow | None = None) -> Any:
        """Documents name the flow by its slug: it stays."""
        return ["slug", *self.readonly_fields] if obj else self.readonly_fields

    def get_prepopulated_fields(self, request: HttpRequest, obj: Flow | None = None) -> Any:
        return {} if obj else self.prepopulated_fields

    def get_inlines(self, request: HttpRequest, obj: Flow | None) -> Any:
        return self.inlines if obj else []

    def save_model(self, request: HttpRequest, obj: Flow, form: FlowForm, change: bool) -> None:
        changed = [name for name in form.changed_data if name not in ("document", "revision")]
        if not change:
            obj.save()
        elif changed:
            obj.save(update_fields=changed)
        if "document" in form.changed_data or not change:
            flows_service.save_draft(
                obj,
                form.cleaned_data["document"],
                user=person(request),
                revision=obj.draft_revision,
            )

    @admin.display(description=_("on air"))
    def version_on_air(self, flow: Flow) -> str:
        return f"v{flow.published.number}" if flow.published else "–"

    @admin.display(description=_("draft waits"))
    def waiting_draft(self, flow: Flow) -> str:
        """Saved after what is on air was published."""
        saved_at, on_air = flow.draft_saved_at, flow.published
        waits = on_air is None or (saved_at is not None and saved_at > on_air.published_at)
        return gettext("yes") if waits else "–"

    @admin.display(description=_("findings"))
    def findings(self, flow: Flow) -> SafeString | str:
        found = flows_service.check(flow)
        if not found:
            return gettext("Nothing found: the draft can be published.")
        severities = {"error": _("error"), "warning": _("warning"), "hint": _("hint")}
        lines = ((severities[one.severity], one.sentence) for one in found)
        return format_html(
            "<ul>{}</ul>", format_html_join("", "<li><strong>{}</strong> {}</li>", lines)
        )

    @admin.display(description=_("stored draft"))
    def stored(self, flow: Flow) -> SafeString:
        return as_json(flow.draft)

    @admin.action(description=_("Publish the draft"), permissions=["change"])
    def publish(self, request: HttpRequest, flows: QuerySet[Flow]) -> None:
        for flow in flows:
            try:
                version = flows_service.publish(flow, user=person(request))
            except DomainError as refusal:
                self.message_user(request, f"{flow}: {refusal.message}", messages.ERROR)
            else:
                text = gettext("%(flow)s is on air as version %(number)s.")
                told = text % {"flow": flow, "number": version.number}
                self.message_user(request, told, messages.SUCCESS)


@admin.register(FlowVersion)
class FlowVersionAdmin(ReadOnlyModelAdmin):
    visible_through = "flow"
    list_display = ["__str__", "flow", "number", "published_at", "published_by", "note"]
    list_filter = ["flow"]
    list_select_related = ["flow", "published_by"]
    search_fields = ["flow__name", "flow__slug", "note"]
    fields = ["flow", "number", "published_at", "published_by", "note", "shown_document"]
    readonly_fields = ["shown_document"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[FlowVersion]:
        return super().get_queryset(request).defer("document", "flow__draft")

    @admin.display(description=_("document"))
    def shown_document(self, version: FlowVersion) -> SafeString:
        return as_json(version.document)


@admin.register(Trigger)
class TriggerAdmin(VisibleModelAdmin):
    visible_through = "flow"
    form = TriggerForm
    fields = ["flow", *TRIGGER_ROWS]
    list_display = ["kind", "flow", "words", "channel", "calendar", "priority", "is_active"]
    list_filter = ["kind", "is_active", "channel"]
    list_select_related = ["flow", "channel", "calendar"]
    search_fields = ["flow__name", "flow__slug"]
    autocomplete_fields = ["flow"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Trigger]:
        return super().get_queryset(request).defer("flow__draft")

    @admin.display(description=_("keywords"))
    def words(self, trigger: Trigger) -> str:
        return ", ".join(map(str, trigger.keywords))


@admin.register(FlowRun)
class FlowRunAdmin(LogAdmin):
    visible_through = "session"
    list_display = ["id", "session_link", "version", "trigger", "started_at", "finished_at"]
    list_filter = ["version__flow", "started_at", "session__is_simulated"]
    list_select_related = ["session__lead", "session__channel", "version__flow", "trigger__flow"]
    search_fields = ["session__lead__name", "session__lead__phone"]
    heavy = (
        *HEAVY_OF_SESSION,
        "version__document",
        "version__flow__draft",
        "trigger__flow__draft",
    )


# --- Logs -----------------------------------------------------------------------------------------


@admin.register(FlowLog)
class FlowLogAdmin(LogAdmin):
    list_display = ["moment", "session_link", "seq", "kind", "node", "next_node", "duration"]
    list_filter = ["kind", "created_at", "session__is_simulated"]
    list_select_related = ["session__lead", "session__channel"]
    search_fields = ["=node", "=next_node", "session__lead__name", "session__lead__phone"]
    search_help_text = _("Step, or name or phone of the lead.")
    fields = [
        "session_link",
        "seq",
        "kind",
        "run",
        "moment",
        "duration",
        "node",
        "next_node",
        "message",
        "trace",
        "effects",
        "context_set",
        "context_unset",
        "state",
    ]
    readonly_fields = ["session_link", "moment", "duration"]
    heavy = (*HEAVY_OF_SESSION, "message", "effects", "trace", "state", "context_set")

    @admin.display(description=_("duration"))
    def duration(self, row: FlowLog) -> str:
        return f"{row.duration_us / 1000:.1f} ms"


@admin.register(MessageLog)
class MessageLogAdmin(LogAdmin):
    list_display = ["moment", "session_link", "author", "kind_label", "short_text", "how_far"]
    list_filter = [
        "direction",
        "status",
        "author",
        "channel",
        "created_at",
        "session__is_simulated",
    ]
    list_select_related = ["session__lead", "session__channel"]
    search_fields = ["text", "=provider_id", "session__lead__name", "session__lead__phone"]
    search_help_text = _("Text, provider id, or name or phone of the lead.")
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "session_link",
                    "moment",
                    "direction",
                    "author",
                    "author_user",
                    "identity",
                    "kind_label",
                    "text",
                    "shown_payload",
                    "reply_to",
                    "reaction",
                    "flow_log",
                ]
            },
        ),
        (
            _("Delivery"),
            {
                "fields": [
                    "how_far",
                    "explained",
                    "sent_at",
                    "delivered_at",
                    "read_at",
                    "played_at",
                    "failed_at",
                    "edited_at",
                    "revoked_at",
                ]
            },
        ),
        (
            _("More"),
            {
                "classes": ["collapse"],
                "fields": [
                    "channel",
                    "provider_id",
                    "provider_at",
                    "client_id",
                    "epoch",
                    "run_at",
                    "attempts",
                    "error_detail",
                    "pricing",
                ],
            },
        ),
    ]
    readonly_fields = [
        "session_link",
        "moment",
        "kind_label",
        "shown_payload",
        "how_far",
        "explained",
    ]
    heavy = (*HEAVY_OF_SESSION, "payload", "pricing")
    actions = ["send_again"]

    def has_reply_permission(self, request: HttpRequest) -> bool:
        return person(request).has_perm("chatbot.add_messagelog")

    @admin.display(description=_("kind"))
    def kind_label(self, message: MessageLog) -> str:
        return str(KIND_LABELS.get(message.kind, message.kind))

    @admin.display(description=_("status"))
    def how_far(self, message: MessageLog) -> str:
        code = f" ({message.error_code})" if message.error_code else ""
        return f"{message.get_status_display()}{code}"

    @admin.display(description=_("what happened"))
    def explained(self, message: MessageLog) -> str:
        return why_failed(message, message.channel.kind)

    @admin.display(description=_("payload"))
    def shown_payload(self, message: MessageLog) -> SafeString:
        return as_json(message.payload)

    @admin.display(description=_("text"))
    def short_text(self, message: MessageLog) -> str:
        return Truncator(message.text).chars(TEXT_SHOWN)

    @admin.action(description=_("Send again (not confirmed)"), permissions=["reply"])
    def send_again(self, request: HttpRequest, rows: QuerySet[MessageLog]) -> None:
        unconfirmed = rows.filter(status=MessageStatus.FAILED, error_code=UNCONFIRMED)
        count = self.do_to_each(
            request,
            unconfirmed.order_by("id"),
            lambda message: delivery.send_again(message, user=person(request)),
        )
        text = ngettext("%(count)d message sent again.", "%(count)d messages sent again.", count)
        self.tell_count(request, text, count)


@admin.register(Media)
class MediaAdmin(LogAdmin):
    visible_through = "message"
    list_display = ["id", "file_link", "mime_type", "size", "status", "message", "fetched_at"]
    list_filter = ["status"]
    list_select_related = ["message"]
    search_fields = ["filename", "=sha256", "=provider_id"]
    fields = [
        "message",
        "file_link",
        "filename",
        "mime_type",
        "size",
        "sha256",
        "status",
        "error",
        "provider_id",
        "fetched_at",
        "uploaded_at",
    ]
    readonly_fields = ["file_link"]
    heavy = ("message__payload", "message__text")
    actions = ["fetch_again"]

    def has_reply_permission(self, request: HttpRequest) -> bool:
        return person(request).has_perm("chatbot.add_messagelog")

    @admin.display(description=_("file"))
    def file_link(self, media: Media) -> SafeString | str:
        """By way of the conversation's address, which looks who asks."""
        name = safe_name(media.filename) or str(media)
        if not media.file:
            return name
        url = reverse("conversation_media", args=[media.pk])
        return format_html('<a href="{}">{}</a>', url, name)

    @admin.action(description=_("Fetch again"), permissions=["reply"])
    def fetch_again(self, request: HttpRequest, rows: QuerySet[Media]) -> None:
        missing = rows.exclude(status=MediaStatus.STORED).order_by("id")
        count = self.do_to_each(request, missing, fetching.fetch_again)
        text = ngettext(
            "%(count)d file is fetched again.", "%(count)d files are fetched again.", count
        )
        self.tell_count(request, text, count)


# --- The outbox and what went wrong ---------------------------------------------------------------


@admin.register(Task)
class TaskAdmin(LogAdmin):
    list_display = ["id", "kind", "session_link", "status", "run_at", "attempts", "error"]
    list_filter = ["status", "kind", "run_at"]
    list_select_related = ["session__lead", "session__channel"]
    search_fields = ["session__lead__name", "session__lead__phone", "error"]
    exclude = ["session"]
    readonly_fields = ["session_link"]
    heavy = (*HEAVY_OF_SESSION, "payload")
    actions = ["retry"]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return person(request).is_admin

    @admin.action(description=_("Try again"), permissions=["retry"])
    def retry(self, request: HttpRequest, chosen: QuerySet[Task]) -> None:
        """A flow that no longer waits for the answer drops it, so trying again is never wrong."""
        count = (
            chosen.order_by()
            .filter(status=TaskStatus.FAILED, key="")  # what must not run twice is started anew
            .update(
                status=TaskStatus.PENDING,  # writer: a failed task has no other way back
                run_at=timezone.now(),
                locked_until=None,
                attempts=0,
                error="",
                done_at=None,
            )
        )
        text = ngettext("%(count)d task is due again.", "%(count)d tasks are due again.", count)
        self.tell_count(request, text, count)


admin.site.register(FailedEvent, FailedEventAdmin)


admin.site.register(MessageTemplate, MessageTemplateAdmin)


@admin.register(Price)
class PriceAdmin(VisibleModelAdmin):
    """What messages cost from a day on: past prices stay, so that past months keep their cost."""

    list_display = ["category", "valid_from", "amount", "currency", "free_per_month"]
    list_filter = ["category", "currency"]
    search_fields = ["category"]
    ordering = ["category", "-valid_from"]


@admin.register(Worker)
class WorkerAdmin(ReadOnlyModelAdmin):
    list_display = ["name", "is_alive", "started_at", "beat_at"]
    ordering = ["-beat_at"]

    @admin.display(description=_("alive"), boolean=True)
    def is_alive(self, worker: Worker) -> bool:
        return worker.beat_at > timezone.now() - WORKER_SILENCE
