"""Leads and what belongs to them in the console."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from leads import columns, services
from leads.models import (
    Consent,
    Identity,
    Lead,
    LeadStatusChange,
    Note,
    Tag,
    origin_label,
)
from users.console import ReadOnlyModelAdmin, ReadOnlyTabularInline, VisibleModelAdmin
from users.permissions import person

CONSOLE = "console"  # the origin of what is recorded here
SHORTEST_PHONE = 8


class LeadForm(forms.ModelForm):
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
        widget=forms.TextInput(attrs={"placeholder": _("how they agreed, to opt in again")}),
    )


class IdentityInline(ReadOnlyTabularInline):
    model = Identity
    fields = ["scheme", "address", "send_to", "unreachable_at", "created_at"]


class StatusChangeInline(ReadOnlyTabularInline):
    model = LeadStatusChange
    fields = ["created_at", "from_status", "to_status", "actor", "why"]

    @admin.display(description=_("reason"))
    def why(self, change: LeadStatusChange) -> str:
        return origin_label(change.reason)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LeadStatusChange]:
        return super().get_queryset(request).select_related("actor")


class ConsentInline(ReadOnlyTabularInline):
    model = Consent
    fields = ["recorded_at", "purpose", "is_granted", "text", "from_where"]

    @admin.display(description=_("origin"))
    def from_where(self, consent: Consent) -> str:
        return consent.origin_label


class NoteInline(admin.TabularInline):
    """A note is added, never rewritten."""

    model = Note
    extra = 1
    fields = ["text", "author", "created_at"]
    readonly_fields = ["author", "created_at"]
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Note]:
        return super().get_queryset(request).select_related("author")

    def has_change_permission(self, request: HttpRequest, obj: Lead | None = None) -> bool:
        return False


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
    form = LeadForm
    list_display = [
        "__str__",
        "phone",
        "email",
        "status",
        "source",
        "tag_names",
        "attendant",
        "created_at",
    ]
    list_filter = [
        ShownFilter,
        "status",
        "source",
        ("tags", admin.RelatedOnlyFieldListFilter),
        ("attendant", admin.RelatedOnlyFieldListFilter),
        ("opted_out_at", admin.EmptyFieldListFilter),
        "created_at",
    ]
    list_select_related = ["attendant"]
    search_fields = ["name", "email", "phone", "company"]
    search_help_text = _("Name, e-mail, phone or company.")
    ordering = ["-id"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["attendant", "tags"]
    readonly_fields = [
        "source",
        "attributes",
        "referral",
        "opt_out_told",
        "merged_into",
        "created_at",
        "updated_at",
    ]
    fieldsets = [
        (None, {"fields": ["name", "email", "phone", "document", "company", "need"]}),
        (_("Funnel"), {"fields": ["status", "source", "attendant", "tags"]}),
        (_("Privacy"), {"fields": ["opt_out_told"]}),
        (
            _("More"),
            {"fields": ["attributes", "referral", "merged_into", "created_at", "updated_at"]},
        ),
    ]
    inlines = [NoteInline, IdentityInline, StatusChangeInline, ConsentInline]
    action_form = LeadActionForm
    actions = ["opt_out", "opt_in"]

    @admin.display(description=_("offers"))
    def opt_out_told(self, lead: Lead) -> str:
        """The chip of an opt-out, as conversations show it too."""
        return render_to_string("leads/_opt_out.html", {"lead": lead})

    @admin.display(description=_("tags"))
    def tag_names(self, lead: Lead) -> str:
        return ", ".join(tag.name for tag in lead.tags.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lead]:
        return super().get_queryset(request).prefetch_related("tags")

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """A number is found however it is written; merged leads are no choice in a form."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if sum(character.isdigit() for character in search_term) >= SHORTEST_PHONE:
            found |= queryset.with_phone(search_term)
        is_choice = request.path.endswith("/autocomplete/")
        return (found.filter(merged_into=None) if is_choice else found), may_repeat

    def get_readonly_fields(self, request: HttpRequest, obj: Lead | None = None) -> Any:
        """Who takes care of a lead is for admins to say: attendants may not see that person."""
        readonly = [*super().get_readonly_fields(request, obj)]
        return readonly if person(request).is_admin else [*readonly, "attendant"]

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
        services.update_lead(
            obj, fields=fields, status=given.get("status", ""), actor=person(request)
        )
        if "attendant" in given:
            services.set_attendant(obj, attendant=given["attendant"], actor=person(request))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Notes are the only rows that are written below a lead."""
        for note in formset.save(commit=False):
            services.add_note(form.instance, author=person(request), text=note.text)

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
    list_display = ["address", "scheme", "scope", "lead", "unreachable_at", "created_at"]
    list_filter = ["scheme", ("unreachable_at", admin.EmptyFieldListFilter)]
    list_select_related = ["lead"]
    search_fields = ["address", "send_to", "lead__name"]
    ordering = ["-id"]


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


@admin.register(Consent)
class ConsentAdmin(ReadOnlyModelAdmin):
    visible_through = "lead"
    fields = ["recorded_at", "lead", "purpose", "is_granted", "text", "from_where"]
    readonly_fields = ["from_where"]
    list_display = ["recorded_at", "lead", "purpose", "is_granted", "from_where"]
    list_filter = ["purpose", "is_granted", "recorded_at"]
    list_select_related = ["lead"]
    search_fields = ["lead__name", "text"]
    ordering = ["-id"]

    @admin.display(description=_("origin"))
    def from_where(self, consent: Consent) -> str:
        return consent.origin_label
