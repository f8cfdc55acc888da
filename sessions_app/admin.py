"""Channels and conversations in the console."""

from __future__ import annotations

from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from sessions_app import services
from sessions_app.models import CREDENTIALS, Channel, Owner, Session
from sessions_app.windows import WindowFilter, window_left
from users.console import ReadOnlyModelAdmin, RelatedFilter, VisibleModelAdmin
from users.durations import duration_in_words
from users.permissions import person

PREVIEW_SHOWN = 60
LONGEST_ID = 18  # digits of a bigint
SAFE_METHODS = ("GET", "HEAD")


def secret_field(label: Any) -> forms.CharField:
    """Written, never shown: the page holds no value to read."""
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, required=False, max_length=1000, widget=widget)


class ChannelForm(forms.ModelForm):
    app_secret = secret_field(_("app secret"))
    previous_app_secret = secret_field(_("previous app secret"))
    verify_token = secret_field(_("verify token"))
    access_token = secret_field(_("access token"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in CREDENTIALS:
            if name in self.fields:
                self.fields[name].help_text = self._what_is_stored(name)

    def _what_is_stored(self, name: str) -> str:
        if self.instance.is_unreadable:
            return gettext("Cannot be read with the present encryption key. Type it again.")
        masked = self.instance.masked_credential(name)
        if not masked:
            return gettext("None yet.")
        return gettext("Now: %(masked)s. Leave empty to keep it.") % {"masked": masked}

    def take_credentials(self) -> bool:
        given = {name: self.cleaned_data.get(name, "") for name in CREDENTIALS}
        return self.instance.take_credentials(given)


@admin.register(Channel)
class ChannelAdmin(VisibleModelAdmin):
    """A channel is deactivated, never deleted: conversations were held on it."""

    form = ChannelForm
    confirms = frozenset({"add", "change", "forget_previous_secret"})
    list_display = [
        "name",
        "kind",
        "slug",
        "display_number",
        "is_default",
        "is_active",
        "paused_until",
    ]
    list_filter = ["kind", "is_active", "is_default"]
    search_fields = ["name", "slug", "external_id", "display_number"]
    ordering = ["name"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["is_default", "credentials_state", "created_at"]
    actions = ["make_default", "forget_previous_secret"]
    fieldsets = [
        (None, {"fields": ["name", "kind", "slug", "is_default", "is_active"]}),
        (
            _("Number"),
            {"fields": ["external_id", "account_id", "display_number", "identity_scope"]},
        ),
        (_("Credentials"), {"fields": ["credentials_state", *CREDENTIALS]}),
        (
            _("Sending"),
            {"fields": ["rate_per_second", "idle_minutes", "paused_until", "pause_reason"]},
        ),
        (_("More"), {"fields": ["settings", "created_at"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        return super().get_queryset(request).defer("settings")

    @admin.display(description=_("stored"))
    def credentials_state(self, channel: Channel) -> str:
        if channel.is_unreadable:
            return gettext(
                "The stored credentials cannot be read: FIELD_ENCRYPTION_KEY has changed. "
                "Type all of them again, or put the old key back."
            )
        count = sum(bool(channel.credentials.get(name)) for name in CREDENTIALS)
        text = ngettext("%(count)d credential.", "%(count)d credentials.", count)
        return text % {"count": count}

    def get_readonly_fields(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        """What a channel speaks, and its webhook's address, stay what they are."""
        return [*self.readonly_fields, *(["kind", "slug"] if obj else [])]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        return {} if obj else self.prepopulated_fields

    def has_delete_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        """Only what was changed is written, so that unreadable credentials are not lost."""
        has_new_credentials = form.take_credentials()
        if not change:
            obj.save(force_insert=True)
            return
        changed = [name for name in form.changed_data if name not in CREDENTIALS]
        obj.save(update_fields=[*changed, *(["credentials"] if has_new_credentials else [])])

    @admin.action(description=_("Answer at /webhook (make default)"), permissions=["change"])
    def make_default(self, request: HttpRequest, channels: QuerySet[Channel]) -> None:
        if len(channels) != 1:
            self.message_user(request, gettext("Choose one channel."), messages.ERROR)
            return
        services.make_default(channels[0])
        text = gettext("%(channel)s answers at /webhook.") % {"channel": channels[0]}
        self.message_user(request, text, messages.SUCCESS)

    @admin.action(description=_("Forget the previous app secret"), permissions=["change"])
    def forget_previous_secret(self, request: HttpRequest, channels: QuerySet[Channel]) -> None:
        count = sum(services.forget_previous_secret(channel) for channel in channels)
        text = ngettext("%(count)d secret forgotten.", "%(count)d secrets forgotten.", count)
        self.tell_count(request, text, count)


class StateFilter(admin.SimpleListFilter):
    """Live conversations unless asked for others; those of the simulator have their own list."""

    title = _("situation")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("ended", _("ended")), ("all", _("live and ended")), ("simulated", _("simulated"))]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": _("live")}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "ended":
                return queryset.real().exclude(ended_at=None)
            case "all":
                return queryset.real()
            case "simulated":
                return queryset.filter(is_simulated=True)
        return queryset.real().live()


class SilenceFilter(admin.SimpleListFilter):
    """Whether the bot waits for the customer, and has said so."""

    title = _("silence")
    parameter_name = "silence"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("waiting", _("the bot waits")), ("warned", _("warned of idleness"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        waiting = queryset.filter(idle_due_at__isnull=False)
        match self.value():
            case "waiting":
                return waiting
            case "warned":
                return waiting.filter(idle_warned_at__isnull=False)
        return queryset


@admin.register(Session)
class SessionAdmin(ReadOnlyModelAdmin):
    """Conversations are read here; what happens to them goes through the services."""

    list_display = [
        "lead",
        "channel",
        "with_whom",
        "step",
        "preview",
        "silent_for",
        "window_left",
        "how_it_ended",
    ]
    list_filter = [
        StateFilter,
        WindowFilter,
        "owner",
        SilenceFilter,
        ("channel", RelatedFilter),
        "end_reason",
        "started_at",
    ]
    list_select_related = ["lead", "channel"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["lead__name", "lead__phone", "lead__email"]
    search_help_text = _("Name, phone or e-mail of the lead")
    ordering = ["-id"]
    actions = ["close"]

    def get_list_display(self, request: HttpRequest) -> Any:
        """How they ended is said of those that may have."""
        columns = super().get_list_display(request)
        if request.GET.get(StateFilter.parameter_name):
            return columns
        return [name for name in columns if name != "how_it_ended"]

    @admin.display(description=_("with"), ordering="owner")
    def with_whom(self, session: Session) -> str:
        """The bot, the queue, or who holds the open ticket."""
        holders = [ticket.assignee for ticket in session.open_tickets if ticket.assignee]  # type: ignore[attr-defined]  # prefetched
        return str(holders[0] if holders else Owner(session.owner).label)

    @admin.display(description=_("current node"), ordering="current_state")
    def step(self, session: Session) -> str:
        title = session.step_title or session.current_state  # type: ignore[attr-defined]  # annotated
        return title if session.current_state else "–"

    @admin.display(description=_("without an answer"), ordering="idle_due_at")
    def silent_for(self, session: Session) -> str:
        """How long the bot has been waiting for the customer."""
        since = session.last_interaction_at
        if session.idle_due_at is None or since is None or not session.is_live:
            return "–"
        return duration_in_words(timezone.now() - since)

    @admin.display(description=_("ended"), ordering="ended_at")
    def how_it_ended(self, session: Session) -> str:
        if session.ended_at is None:
            return "–"
        when = date_format(timezone.localtime(session.ended_at), "SHORT_DATETIME_FORMAT")
        return f"{when} · {session.get_end_reason_display()}"

    @admin.display(description=_("last message"), ordering="last_message_at")
    def preview(self, session: Session) -> str:
        """When, and how it begins."""
        if session.last_message_at is None:
            return "–"
        at = timezone.localtime(session.last_message_at)
        is_today = at.date() == timezone.localdate()
        when = date_format(at, "TIME_FORMAT" if is_today else "SHORT_DATE_FORMAT")
        return f"{when} · {Truncator(session.last_message_preview).chars(PREVIEW_SHOWN)}"

    @admin.display(description=_("window"), ordering="window_expires_at")
    def window_left(self, session: Session) -> str:
        return window_left(session, at=timezone.now())

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A page of its own instead of a form: everything on it belongs to the app that runs the
        conversation."""
        session = self._visible_session(request, object_id)
        if session is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]  # not in the stubs
        if request.method not in SAFE_METHODS or not self.has_view_permission(request, session):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": str(session.lead),
            "subtitle": None,
            "opts": self.opts,
            "original": session,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/sessions_app/session/change_form.html", context)

    def _visible_session(self, request: HttpRequest, object_id: str) -> Session | None:
        if not object_id.isascii() or not object_id.isdigit() or len(object_id) > LONGEST_ID:
            return None
        mine = Session.objects.visible_to(request.user).select_related(
            "lead", "channel", "identity"
        )
        lean = mine.defer("channel__credentials", "channel__settings")
        return lean.filter(pk=int(object_id)).first()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        """Without what a list does not show; with who holds it and where it stands."""
        tickets: Any = apps.get_model("tickets", "Ticket")  # of the app above, by name
        open_ones = tickets.objects.open()  # door: of visible sessions, below
        names = ("session_id", "assignee__first_name", "assignee__last_name", "assignee__username")
        holders = open_ones.select_related("assignee").only(*names)
        return (
            super()
            .get_queryset(request)
            .annotate(step_title=KeyTextTransform("title", "flow_state"))
            .prefetch_related(Prefetch("tickets", queryset=holders, to_attr="open_tickets"))
            .defer("context", "flow_state", "channel__credentials", "channel__settings")
        )

    def has_close_permission(self, request: HttpRequest) -> bool:
        return person(request).has_perm("sessions_app.change_session")

    @admin.action(description=_("End (only with the bot)"), permissions=["close"])
    def close(self, request: HttpRequest, sessions: QuerySet[Session]) -> None:
        """One that is with people ends with its ticket."""
        at, live = timezone.now(), sessions.filter(ended_at=None)
        count = self.do_to_each(
            request, live, lambda session: services.close_session(session.pk, at=at)
        )
        text = ngettext("%(count)d conversation ended.", "%(count)d conversations ended.", count)
        self.tell_count(request, text, count)
