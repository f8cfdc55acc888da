"""Leads and what belongs to them in the console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from leads import columns, lead_page, lead_views, services
from leads.models import (
    PURPOSES,
    Consent,
    Identity,
    Lead,
    LeadStatus,
    LeadStatusChange,
    Note,
    Tag,
    origin_label,
)
from leads.phones import spaced
from users import contact
from users.console import ReadOnlyModelAdmin, RelatedFilter, VisibleModelAdmin, code_filter
from users.permissions import person

CONSOLE = "console"  # the origin of what is recorded here
PAGE_FIELDS = ("name", "email", "phone", "company", "need", "attendant", "document")
STAGE_COLORS: dict[str, str] = {
    LeadStatus.NEW: "info",
    LeadStatus.CONTACTED: "warn",
    LeadStatus.QUALIFIED: "accent",
    LeadStatus.CONVERTED: "ok",
    LeadStatus.LOST: "",
}


class LeadForm(forms.ModelForm):
    class Meta:
        labels = {"attendant": _("Kept by")}

    def clean_phone(self) -> str:
        return self._column("phone", _("This is not a phone number."))

    def clean_document(self) -> str:
        return self._column("document", _("This is neither a CPF nor a CNPJ."))

    def _column(self, field: str, refusal: Any) -> str:
        value = columns.as_column(field, self.cleaned_data[field])
        if value is None:
            raise ValidationError(refusal)
        return value


class LeadActionForm(ActionForm):
    """Beside the list's actions: why somebody may be written to again."""

    reason = forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=200,
        widget=forms.TextInput(
            attrs={"class": "inp", "placeholder": _("how they agreed, to opt in again")}
        ),
    )


class ShownFilter(admin.SimpleListFilter):
    """Real people unless asked for; the simulator's and the merged ones have their own lists."""

    title = _("shown")
    parameter_name = "shown"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("simulated", _("simulated")), ("merged", _("merged"))]

    def choices(self, changelist: Any) -> Any:
        everyone, *others = super().choices(changelist)
        return [{**everyone, "display": _("real people")}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "simulated":
                return queryset.live().filter(is_simulated=True)
            case "merged":
                return queryset.exclude(merged_into=None)
        return queryset.live().real()


@admin.register(Lead)
class LeadAdmin(VisibleModelAdmin):
    """A stock list, and a stock form for a new lead. The page of a lead is made by `lead_page` and
    `lead_views` around the same form."""

    form = LeadForm
    list_display = [
        "__str__",
        "number",
        "address",
        "stage",
        "tag_names",
        "attendant",
        "created_at",
    ]
    list_filter = [
        ShownFilter,
        "status",
        "source",
        ("tags", RelatedFilter),
        ("attendant", RelatedFilter),
        ("opted_out_at", admin.EmptyFieldListFilter),
        "created_at",
    ]
    list_select_related = ["attendant"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["name", "email", "phone", "company"]
    search_help_text = _("Name, e-mail, phone or company")
    ordering = ["-id"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["tags"]
    add_fieldsets = [
        (None, {"fields": ["name", "email", "phone", "document", "company", "need"]}),
        (_("Funnel"), {"fields": ["status", "attendant", "tags"]}),
    ]
    action_form = LeadActionForm
    actions = ["opt_out", "opt_in"]

    # Neither column sorts: the order of what is hidden would tell how it begins.
    @admin.display(description=_("phone"))
    def number(self, lead: Lead) -> SafeString:
        shown = contact.shown_phone(lead.phone)
        return format_html('<span class="num nowrap">{}</span>', spaced(shown))

    @admin.display(description=_("e-mail"))
    def address(self, lead: Lead) -> str:
        return contact.shown_email(lead.email)

    @admin.display(description=_("stage"), ordering="status")
    def stage(self, lead: Lead) -> SafeString:
        """Where the person stands, and that they want no offers."""
        color, label = STAGE_COLORS.get(lead.status, ""), lead.get_status_display()
        chip = format_html('<span class="chip {}">{}</span>', color, label)
        if lead.opted_out_at is None:
            return chip
        return format_html('{} <span class="chip warn">{}</span>', chip, _("No offers"))

    @admin.display(description=_("tags"))
    def tag_names(self, lead: Lead) -> str:
        return ", ".join(tag.name for tag in lead.tags.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lead]:
        return super().get_queryset(request).prefetch_related("tags")

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """Merged leads are no choice in a form."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        is_choice = request.path.endswith("/autocomplete/")
        return (found.filter(merged_into=None) if is_choice else found), may_repeat

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "field": ("campo/<slug:name>/", lead_views.field),
            "undo": ("desfazer/", lead_views.undo),
            "stage": ("etapa/", lead_views.stage),
            "note": ("nota/", lead_views.note),
            "tags": ("etiquetas/", lead_views.tags),
            "contact": ("contato/", lead_views.contact),
            "reveal": ("mostrar/", lead_views.reveal),
            "merge": ("juntar/", lead_views.merge),
        }
        console = self.admin_site.admin_view
        own = [
            path(f"<int:lead_id>/{route}", console(view), name=f"leads_lead_{verb}")
            for verb, (route, view) in views.items()
        ]
        return [*own, *super().get_urls()]

    def one_by_one(self, request: HttpRequest, lead: Lead) -> tuple[str, ...]:
        """The fields that this person may change on the lead's page. The number that a channel
        knows them by comes from there; who takes care of a lead is for admins to say."""
        is_admin, is_typed = person(request).is_admin, lead.phone != lead.channel_number
        named = {"attendant": is_admin, "phone": is_typed or not lead.phone}
        return tuple(name for name in PAGE_FIELDS if named.get(name, True))

    def get_fieldsets(self, request: HttpRequest, obj: Lead | None = None) -> Any:
        """The page shows elsewhere, masked, the CPF or CNPJ and what is hidden from the person."""
        if obj is None:
            return self.add_fieldsets
        elsewhere = {"document", *filter(contact.hides, contact.RULES)}
        names = [name for name in self.one_by_one(request, obj) if name not in elsewhere]
        return [(None, {"fields": names})]

    def get_readonly_fields(self, request: HttpRequest, obj: Lead | None = None) -> Any:
        """Attendants may not see the person who takes care of a lead."""
        return [] if person(request).is_admin else ["attendant"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """A small box for the need, and no links to other pages around the choice of a person."""
        field = super().formfield_for_dbfield(db_field, request, **options)
        if db_field.name == "attendant" and field is not None:
            field.widget = field.widget.widget
        if db_field.name == "need" and field is not None:
            field.widget.attrs["rows"] = 2
        return field

    def render_change_form(  # noqa: PLR0913, PLR0917  # as Django calls it
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Lead | None = None,
    ) -> Any:
        if obj is not None:
            context |= lead_page.page_of(obj, person(request))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def has_change_permission(self, request: HttpRequest, obj: Lead | None = None) -> bool:
        """One that was merged is history: the other goes on."""
        is_merged = obj is not None and obj.merged_into_id is not None
        return not is_merged and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Lead | None = None) -> bool:
        """Two that are one are merged; nothing said is deleted here."""
        return False

    def save_model(self, request: HttpRequest, obj: Lead, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in form.changed_data}
        fields = {name: given[name] for name in given if name in columns.CLEANERS}
        if not change:
            created = services.create_lead(
                fields=fields,
                source="manual",
                status=form.cleaned_data["status"],
                attendant=form.cleaned_data.get("attendant"),
                actor=person(request),
            )
            obj.pk = created.pk
            obj.refresh_from_db()
            return
        if fields:
            services.update_lead(obj, fields=fields, actor=person(request))
        if "attendant" in given:
            services.set_attendant(obj, attendant=given["attendant"], actor=person(request))

    @admin.action(description=_("Opt out of messages"), permissions=["change"])
    def opt_out(self, request: HttpRequest, leads: QuerySet[Lead]) -> None:
        at = timezone.now()
        count = sum(services.opt_out(lead, text="", origin=CONSOLE, at=at) for lead in leads)
        text = ngettext("%(count)d lead opted out.", "%(count)d leads opted out.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    @admin.action(description=_("Opt in again"), permissions=["change"])
    def opt_in(self, request: HttpRequest, leads: QuerySet[Lead]) -> None:
        """Only with a reason, typed beside the action."""
        at, reason, done = timezone.now(), request.POST.get("reason", ""), []
        self.do_to_each(
            request,
            leads,
            lambda lead: done.append(
                services.opt_in_by_staff(
                    lead, reason=reason, actor=person(request), origin=CONSOLE, at=at
                )
            ),
        )
        count = sum(done)
        text = ngettext("%(count)d lead opted in.", "%(count)d leads opted in.", count)
        self.tell_count(request, text, count)


@admin.register(Tag)
class TagAdmin(VisibleModelAdmin):
    list_display = ["name", "color"]
    list_filter = ["color"]
    search_fields = ["name"]
    ordering = ["name"]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The rows between tag and lead have no name to show: their count says enough."""
        _named, counts, missing, protected = super().get_deleted_objects(objs, request)
        return [str(tag) for tag in objs], counts, missing, protected


@admin.register(Identity)
class IdentityAdmin(ReadOnlyModelAdmin):
    visible_through = "lead"
    fields = ["lead", "scheme", "scope", "shown", "unreachable_at", "created_at"]
    readonly_fields = ["shown"]
    list_display = ["shown", "scheme", "scope", "lead", "unreachable_at", "created_at"]
    list_filter = ["scheme", ("unreachable_at", admin.EmptyFieldListFilter)]
    list_select_related = ["lead"]
    search_fields = ["address", "send_to", "lead__name"]
    ordering = ["-id"]

    @admin.display(description=_("address"))
    def shown(self, identity: Identity) -> str:
        return identity.shown_address


@admin.register(LeadStatusChange)
class LeadStatusChangeAdmin(ReadOnlyModelAdmin):
    visible_through = "lead"
    fields = ["created_at", "lead", "from_status", "to_status", "actor", "why"]
    readonly_fields = ["why"]
    list_display = ["created_at", "lead", "from_status", "to_status", "actor", "why"]
    list_filter = ["to_status", "created_at"]
    list_select_related = ["lead", "actor"]
    search_fields = ["lead__name", "reason"]
    ordering = ["-id"]

    @admin.display(description=_("reason"))
    def why(self, change: LeadStatusChange) -> str:
        return origin_label(change.reason)


@admin.register(Note)
class NoteAdmin(ReadOnlyModelAdmin):
    visible_through = "lead"
    list_display = ["created_at", "lead", "author", "text"]
    list_filter = ["created_at"]
    list_select_related = ["lead", "author"]
    search_fields = ["text", "lead__name"]
    ordering = ["-id"]


def _purpose(code: str) -> str:
    return str(PURPOSES.get(code, code))


@admin.register(Consent)
class ConsentAdmin(ReadOnlyModelAdmin):
    visible_through = "lead"
    fields = ["recorded_at", "lead", "what_for", "is_granted", "text", "from_where"]
    readonly_fields = ["what_for", "from_where"]
    list_display = ["recorded_at", "lead", "what_for", "is_granted", "from_where"]
    list_filter = [("purpose", code_filter(_purpose)), "is_granted", "recorded_at"]
    list_select_related = ["lead"]
    search_fields = ["lead__name", "text"]
    ordering = ["-id"]

    @admin.display(description=_("purpose"), ordering="purpose")
    def what_for(self, consent: Consent) -> str:
        return consent.purpose_label

    @admin.display(description=_("origin"))
    def from_where(self, consent: Consent) -> str:
        return consent.origin_label
