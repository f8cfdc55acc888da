"""Flows, logs and the outbox in the console. What was said can be read here, never changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Field, Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from chatbot import delivery
from chatbot import media as fetching
from chatbot.costs import category_label
from chatbot.editor import creation_views, page_views
from chatbot.editor.page import draft_differs
from chatbot.editor.triggers import trigger_in_words
from chatbot.failed_event_admin import FailedEventAdmin
from chatbot.file_names import safe_name
from chatbot.flow_words import task_without_sensitive, without_sensitive
from chatbot.forms import TriggerForm
from chatbot.incident_admin import IncidentAdmin
from chatbot.labels import KIND_LABELS, preview_label, why_failed
from chatbot.log_admin import LogAdmin, as_json
from chatbot.models import (
    WORKER_SILENCE,
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
    Secret,
    Task,
    TaskStatus,
    Trigger,
    Worker,
)
from chatbot.template_admin import MessageTemplateAdmin
from chatbot.templatetags.console import since
from chatbot.vault_admin import SecretAdmin
from users import contact
from users.console import ReadOnlyModelAdmin, RelatedFilter, VisibleModelAdmin, code_filter
from users.masking import masked
from users.permissions import person

if TYPE_CHECKING:
    from chatbot.requests import StaffRequest

__all__ = ["IncidentAdmin"]  # registered by being imported

UNCONFIRMED = "unconfirmed"
HEAVY_OF_SESSION = (
    "session__context",
    "session__flow_state",
    "session__channel__credentials",
    "session__channel__settings",
)
TEXT_SHOWN = 80


# --- Flows ----------------------------------------------------------------------------------------


@admin.register(Flow)
class FlowAdmin(VisibleModelAdmin):
    """The list of flows. A flow's page, and what is edited there, are `chatbot.editor`'s: drafts
    are saved and published through services alone."""

    list_display = ["name", "state", "started_by", "last_saved", "is_active"]
    list_filter = ["is_active"]
    list_select_related = ["published", "draft_saved_by"]
    list_per_page = 50
    search_fields = ["name", "slug", "description"]
    ordering = ["name"]
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Flow]:
        triggers = Trigger.objects.select_related("channel").defer(  # door: of the flows listed
            "channel__credentials", "channel__settings"
        )
        flows = super().get_queryset(request)
        return flows.prefetch_related(Prefetch("triggers", triggers))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        staff = cast("StaffRequest", request)
        if object_id is None:
            if not self.has_add_permission(request):
                raise PermissionDenied
            return creation_views.new(staff)
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        if not object_id.isascii() or not object_id.isdigit():
            raise Http404
        return page_views.page(staff, int(object_id))

    def has_delete_permission(self, request: HttpRequest, obj: Flow | None = None) -> bool:
        """What was on air once is kept with its conversations."""
        is_kept = obj is not None and obj.published_id is not None
        return not is_kept and super().has_delete_permission(request, obj)

    @admin.display(description=_("versions"))
    def state(self, flow: Flow) -> SafeString:
        """What is on air, and whether a draft waits."""
        chips = []
        if flow.published is not None:
            on_air = gettext("%(version)s on air") % {"version": flow.published.label}
            chips.append(("ok", on_air))
        if draft_differs(flow):
            chips.append(("warn", gettext("draft waits")))
        return format_html_join(" ", '<span class="chip {}">{}</span>', chips)

    @admin.display(description=_("started by"))
    def started_by(self, flow: Flow) -> SafeString | str:
        told = [trigger_in_words(one) for one in flow.triggers.all() if one.is_active]
        return format_html_join("", "<div>{}</div>", ((one,) for one in told)) if told else "–"

    @admin.display(description=_("draft saved"), ordering="draft_saved_at")
    def last_saved(self, flow: Flow) -> SafeString | str:
        if flow.draft_saved_at is None:
            return "–"
        told = format_html("{}", since(flow.draft_saved_at))
        return format_html("{}, {}", told, flow.draft_saved_by) if flow.draft_saved_by else told


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
        versions = super().get_queryset(request).filter(number__isnull=False)
        return versions.defer("document", "flow__draft")

    @admin.display(description=_("document"))
    def shown_document(self, version: FlowVersion) -> SafeString:
        return as_json(version.document)


@admin.register(Trigger)
class TriggerAdmin(VisibleModelAdmin):
    visible_through = "flow"
    form = TriggerForm
    fields = [
        *("flow", "kind", "keywords", "priority", "is_active"),
        *("channel", "calendar", "when_open"),
    ]
    list_display = ["kind", "flow", "words", "channel", "calendar", "priority", "is_active"]
    list_filter = ["kind", "is_active", ("channel", RelatedFilter)]
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


def _shown(name: str) -> Callable[[Any, FlowLog], SafeString]:
    """A column of stored JSON, to be read."""

    @admin.display(description=cast("Field[Any, Any]", FlowLog._meta.get_field(name)).verbose_name)
    def shown(_admin: Any, row: FlowLog) -> SafeString:
        return as_json(getattr(row, name))

    return shown


SHOWN_OF_STEP = (
    *("shown_message", "shown_trace", "shown_effects"),
    *("shown_set", "shown_unset", "shown_state"),
)


@admin.register(FlowLog)
class FlowLogAdmin(LogAdmin):
    list_display = ["moment", "session_link", "seq", "kind", "node", "next_node", "duration"]
    list_filter = ["kind", "created_at", "session__is_simulated"]
    list_select_related = ["session__lead", "session__channel"]
    search_fields = ["=node", "=next_node", "session__lead__name", "session__lead__phone"]
    search_help_text = _("Step, or name or phone of the lead")
    fields = [
        "session_link",
        "seq",
        "kind",
        "run",
        "moment",
        "duration",
        "node",
        "next_node",
        *SHOWN_OF_STEP,
    ]
    readonly_fields = ["session_link", "moment", "duration", *SHOWN_OF_STEP]
    shown_message = _shown("message")
    shown_trace = _shown("trace")
    shown_effects = _shown("effects")
    shown_set = _shown("context_set")
    shown_unset = _shown("context_unset")
    shown_state = _shown("state")
    heavy = (*HEAVY_OF_SESSION, "message", "effects", "trace", "state", "context_set")

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> FlowLog | None:
        """With sensitive variables masked, for admins too: showing one is logged on the session's
        page alone. Nobody saves the row."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            for name, value in without_sensitive(row).items():
                setattr(row, name, value)
        return row

    @admin.display(description=_("duration"))
    def duration(self, row: FlowLog) -> str:
        return f"{number_format(round(row.duration_us / 1000, 1), 1)} ms"


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
    search_help_text = _("Text, provider id, or name or phone of the lead")
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
        is_masked = any(map(contact.hides, contact.RULES))
        return as_json(masked(message.payload, ()) if is_masked else message.payload)

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
    list_display = ["id", "file_link", "mime_type", "how_big", "status", "message", "fetched_at"]
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
        name = safe_name(media.filename) or preview_label(media.message.kind)
        if not media.file:
            return name
        url = reverse("conversation_media", args=[media.pk])
        return format_html('<a href="{}">{}</a>', url, name)

    @admin.display(description=_("size"))
    def how_big(self, media: Media) -> str:
        return filesizeformat(media.size) if media.size is not None else "–"

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
    exclude = ["session", "payload"]
    readonly_fields = ["session_link", "shown_payload"]
    heavy = (*HEAVY_OF_SESSION, "payload")
    actions = ["retry"]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return person(request).is_admin

    @admin.display(description=_("payload"))
    def shown_payload(self, task: Task) -> SafeString:
        """Masked for admins too, as a row of the flow log is."""
        return as_json(task_without_sensitive(task))

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


admin.site.register(Secret, SecretAdmin)


@admin.register(Price)
class PriceAdmin(VisibleModelAdmin):
    """What messages cost from a day on: past prices stay, so that past months keep their cost."""

    list_display = ["in_words", "valid_from", "amount", "currency", "free_per_month"]
    list_filter = [("category", code_filter(category_label)), "currency"]
    search_fields = ["category"]
    ordering = ["category", "-valid_from"]

    @admin.display(description=_("category"), ordering="category")
    def in_words(self, price: Price) -> str:
        return category_label(price.category)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyModelAdmin):
    list_display = ["name", "is_alive", "started_at", "beat_at"]
    ordering = ["-beat_at"]

    @admin.display(description=_("alive"), boolean=True)
    def is_alive(self, worker: Worker) -> bool:
        return worker.beat_at > timezone.now() - WORKER_SILENCE
