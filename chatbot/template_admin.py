"""Message templates in the console: the list, one with its preview, writing, submitting, deleting.

What talks to the provider runs outside of any transaction, hence in addresses of its own.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from chatbot import message_templates, template_sync, template_tasks
from chatbot.channels import transport_class
from chatbot.flows_service import flows_with_template
from chatbot.labels import template_category
from chatbot.models import MessageTemplate, TemplateStatus
from chatbot.template_forms import LANGUAGES, TemplateForm
from chatbot.template_parts import preview_of
from sessions_app.models import Channel, ChannelKind
from users.console import RelatedFilter, VisibleModelAdmin, code_filter
from users.errors import DomainError
from users.permissions import person

CHIPS = {
    TemplateStatus.APPROVED: "ok",
    TemplateStatus.PENDING: "info",
    TemplateStatus.APPEAL: "info",
    TemplateStatus.REJECTED: "danger",
    TemplateStatus.DISABLED: "danger",
    TemplateStatus.PAUSED: "warn",
}
QUALITIES: dict[str, tuple[str, Promise]] = {
    "GREEN": ("ok", _("high")),
    "YELLOW": ("warn", _("medium")),
    "RED": ("danger", _("low")),
    "UNKNOWN": ("", _("not known yet")),
}
REASONS = {
    "ABUSIVE_CONTENT": _("WhatsApp found the content abusive."),
    "INVALID_FORMAT": _("The format is not valid: variables, spaces, or examples."),
    "PROMOTIONAL": _("The text is promotional, which its category does not allow."),
    "TAG_CONTENT_MISMATCH": _("The text does not fit the category or the language."),
    "INCORRECT_CATEGORY": _("The category does not fit the text."),
    "SCAM": _("WhatsApp took it for a scam."),
    "132001": _("WhatsApp does not know it, or has not approved it in this language (132001)."),
    "132007": _("The content is against WhatsApp's policy (132007)."),
    "132015": _("Paused because customers reacted badly to it (132015)."),
    "132016": _("Paused too often, and now disabled for good (132016)."),
}


def _language(code: str) -> str:
    return str(dict(LANGUAGES).get(code, code))


def _quality(code: str) -> str:
    return str(QUALITIES[code][1]) if code in QUALITIES else code


class MessageTemplateAdmin(VisibleModelAdmin):
    """Everybody may look at what can be sent; admins write, submit, delete and synchronise."""

    list_display = ["name", "language", "channel", "category_told", "state", "quality_told"]
    list_display_links = ["name"]
    list_filter = [
        "status",
        ("channel", RelatedFilter),
        ("language", code_filter(_language)),
        ("category", code_filter(template_category)),
        ("quality", code_filter(_quality)),
    ]
    list_select_related = ["channel"]
    list_per_page = 50
    search_fields = ["name"]
    ordering = ["name", "language"]
    actions = None

    # -- columns

    @admin.display(description=_("category"), ordering="category")
    def category_told(self, template: MessageTemplate) -> str:
        return template_category(template.category) or "–"

    @admin.display(description=_("status"), ordering="status")
    def state(self, template: MessageTemplate) -> SafeString:
        kind = CHIPS.get(TemplateStatus(template.status), "")
        label = template.get_status_display()
        return format_html('<span class="chip {}">{}</span>', kind, label)

    @admin.display(description=_("quality"), ordering="quality")
    def quality_told(self, template: MessageTemplate) -> SafeString | str:
        if not template.quality:
            return "–"
        kind, label = QUALITIES.get(template.quality, ("", template.quality))
        return format_html('<span class="chip {}">{}</span>', kind, label)

    # -- who may

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It is deleted at the provider first: by the button on its page."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[MessageTemplate]:
        visible = super().get_queryset(request)
        return visible.defer("channel__credentials", "channel__settings")

    # -- addresses

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        own = [
            path("sync/", wrap(require_POST(self.sync_view)), name="template_sync"),
            path("preview/", wrap(require_POST(self.preview_view)), name="template_preview"),
            path("<int:pk>/edit/", wrap(self.edit_view), name="template_edit"),
            path("<int:pk>/submit/", wrap(self.submit_view), name="template_submit"),
            path("<int:pk>/remove/", wrap(self.remove_view), name="template_remove"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        if request.method == "POST" and not person(request).is_admin:
            raise PermissionDenied
        last = self.get_queryset(request).aggregate(at=Max("synced_at"))["at"]
        told = {"synced_at": last, "may_write": person(request).is_admin}
        if person(request).is_admin:
            told["troubles"] = template_tasks.last_trouble()
        return super().changelist_view(request, {**told, **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One template as it is; adding one is a form."""
        if object_id is None:
            return self._write(request, None)
        if request.method == "POST":
            raise PermissionDenied  # nothing is posted to this page
        template = self.get_object(request, object_id)
        if not self.has_view_or_change_permission(request, template):
            raise PermissionDenied
        if template is None:
            raise Http404
        return self._page(request, template)

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._write(request, self._mine(request, pk))

    def sync_view(self, request: HttpRequest) -> HttpResponseRedirect:
        """Ask for the lists of all accounts; a worker does it."""
        self._require_admin(request)
        now, accounts = timezone.now(), set()
        for channel in Channel.objects.visible_to(person(request)).active().exclude(account_id=""):
            if (channel.kind, channel.account_id) not in accounts:
                accounts.add((channel.kind, channel.account_id))
                template_tasks.request_sync(channel, now=now)
        if accounts:
            text = gettext(
                "The templates are being synchronised. Load this page again in a moment."
            )
            self.message_user(request, text, messages.SUCCESS)
        else:
            text = gettext(
                "No channel knows its business account yet. Fill in the account id of the channel, "
                "or wait for its first message."
            )
            self.message_user(request, text, messages.ERROR)
        return redirect("admin:chatbot_messagetemplate_changelist")

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The bubble while somebody writes; stores nothing."""
        self._require_admin(request)
        form = TemplateForm(request.POST, channels=self._channels(request))
        keys = " ".join(one[0] for one in form.examples)
        context = {
            **_drawn(form),
            "examples": form.examples,
            "keys": keys,
            "has_other_examples": keys != request.POST.get("example_keys", ""),
        }
        return TemplateResponse(request, "chatbot/_template_preview.html", context)

    def submit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        template = self._mine(request, pk)
        if request.method == "POST":
            try:
                template = template_sync.submit(template)
            except DomainError as refusal:
                self.message_user(request, refusal.message, messages.ERROR)
            else:
                text = gettext("WhatsApp has the template. Status: %(status)s.")
                told = text % {"status": template.get_status_display()}
                self.message_user(request, told, messages.SUCCESS)
            return redirect("admin:chatbot_messagetemplate_change", pk)
        return self._confirm(
            request,
            template,
            question=gettext("Submit “%(name)s” to WhatsApp?"),
            consequence=gettext(
                "WhatsApp examines it, which takes minutes to a day. Until then it cannot be "
                "changed; name and language are fixed for good."
            ),
            button=gettext("Submit to WhatsApp"),
        )

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        template = self._mine(request, pk)
        if request.method == "POST":
            try:
                is_kept = template_sync.delete(template)
            except DomainError as refusal:
                self.message_user(request, refusal.message, messages.ERROR)
                return redirect("admin:chatbot_messagetemplate_change", pk)
            text = gettext("Deleted. What was sent with it stays in the history.")
            self.message_user(request, text if is_kept else gettext("Draft deleted."))
            return redirect("admin:chatbot_messagetemplate_changelist")
        return self._confirm(
            request,
            template,
            question=gettext("Delete “%(name)s”?"),
            consequence=gettext(
                "It is deleted at WhatsApp too and cannot be sent any more. The same name can be "
                "used again after 30 days."
            ),
            button=gettext("Delete template"),
            is_danger=True,
        )

    # -- pages

    def _page(self, request: HttpRequest, template: MessageTemplate) -> HttpResponse:
        parts = template.parts
        is_admin = person(request).is_admin
        reason = REASONS.get(template.reason.upper(), template.reason)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(template),
            "template": template,
            "state": self.state(template),
            "quality": self.quality_told(template),
            "category": self.category_told(template),
            "previous_category": template_category(template.previous_category),
            "reason": reason,
            "preview": preview_of(parts, {one.key: one.example for one in parts.variables}),
            "variables": [
                (message_templates.label_of(one.key, parts), one) for one in parts.variables
            ],
            "unknown": ", ".join(parts.unknown).lower(),
            "flows": flows_with_template(template.name, template.language) if is_admin else [],
            "is_admin": is_admin,
            "may_edit": is_admin and template.status in message_templates.EDITABLE,
            "may_remove": is_admin and template.status != TemplateStatus.DELETED,
        }
        return TemplateResponse(request, "chatbot/template.html", context)

    def _write(self, request: HttpRequest, template: MessageTemplate | None) -> HttpResponse:
        self._require_admin(request)
        if template is not None and template.status not in message_templates.EDITABLE:
            text = gettext(
                "The template cannot be changed now: WhatsApp is looking at it or uses it."
            )
            self.message_user(request, text, messages.ERROR)
            return redirect("admin:chatbot_messagetemplate_change", template.pk)
        data = request.POST if request.method == "POST" else None
        form = TemplateForm(data, channels=self._channels(request), template=template)
        if data is not None and form.is_valid():
            saved = self._save(form, template)
            if saved is not None:
                text = gettext("The draft is kept. Look at it and submit it to WhatsApp.")
                self.message_user(request, text, messages.SUCCESS)
                return redirect("admin:chatbot_messagetemplate_change", saved.pk)
        context = {
            **self.admin_site.each_context(request),
            **_drawn(form),
            "opts": self.opts,
            "title": str(template) if template else gettext("New message template"),
            "template": template,
            "form": form,
            "examples": form.examples,
            "keys": " ".join(one[0] for one in form.examples),
        }
        return TemplateResponse(request, "chatbot/template_form.html", context)

    def _save(self, form: TemplateForm, template: MessageTemplate | None) -> MessageTemplate | None:
        given = form.cleaned_data
        try:
            return message_templates.save_draft(
                template,
                channel=given["channel"],
                name=given["name"],
                language=given["language"],
                category=given["category"],
                parameter_format=form.parameter_format,
                components=form.components,
            )
        except DomainError as refusal:
            form.add_error(None, refusal.message)
            return None

    def _confirm(  # noqa: PLR0913  # keyword-only
        self,
        request: HttpRequest,
        template: MessageTemplate,
        *,
        question: str,
        consequence: str,
        button: str,
        is_danger: bool = False,
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": question % {"name": template.name},
            "template": template,
            "consequence": consequence,
            "button": button,
            "is_danger": is_danger,
            "back": reverse("admin:chatbot_messagetemplate_change", args=[template.pk]),
        }
        return TemplateResponse(request, "chatbot/template_confirm.html", context)

    def _mine(self, request: HttpRequest, pk: int) -> MessageTemplate:
        self._require_admin(request)
        template = MessageTemplate.objects.visible_to(person(request)).filter(pk=pk).first()
        if template is None:
            raise Http404
        return template

    def _require_admin(self, request: HttpRequest) -> None:
        if not person(request).is_admin:
            raise PermissionDenied

    def _channels(self, request: HttpRequest) -> QuerySet[Channel]:
        """Numbers that have templates; those of one account once would hide which is meant."""
        kinds = [
            kind
            for kind in ChannelKind.values
            if transport_class(kind).capabilities.templates and kind != ChannelKind.SIMULATOR
        ]
        channels = Channel.objects.visible_to(person(request)).active().filter(kind__in=kinds)
        return channels.order_by("-is_default", "name")


def _drawn(form: TemplateForm) -> dict[str, Any]:
    parts = form.parts
    values = {one.key: typed for _field, one, typed in form.examples}
    return {"preview": preview_of(parts, values)}
