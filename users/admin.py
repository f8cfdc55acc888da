"""People, departments, hours and API tokens in the console."""

from __future__ import annotations

import re
from typing import Any

from auditlog.models import LogEntry
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from users import services, tokens
from users.console import VisibleModelAdmin
from users.models import ApiToken, BusinessHours, Calendar, Department, Holiday, User
from users.permissions import person

admin.site.unregister(LogEntry)  # in English, and each page has its history
admin.site.unregister(Group)  # a role says what a person may do (users/permissions.py)


@admin.register(User)
class PersonAdmin(VisibleModelAdmin, UserAdmin):
    """Admins manage those who do not stand above them; attendants look up their colleagues."""

    list_display = [
        "username",
        "full_name",
        "role",
        "department_names",
        "availability",
        "capacity",
        "is_active",
        "last_login",
    ]
    list_filter = [
        "role",
        "availability",
        ("departments", admin.RelatedOnlyFieldListFilter),
        "is_active",
    ]
    search_fields = ["username", "first_name", "last_name", "email"]
    ordering = ["username"]
    autocomplete_fields = ["departments"]
    filter_horizontal = []
    readonly_fields = ["availability_changed_at", "last_login", "date_joined"]
    actions = ["deactivate"]
    add_fieldsets = [
        (None, {"fields": ["username", "usable_password", "password1", "password2"]}),
        (_("Work"), {"fields": ["role", "departments"]}),
    ]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (_("Person"), {"fields": ["first_name", "last_name", "email", "signature", "language"]}),
        (
            _("Work"),
            {
                "fields": [
                    "role",
                    "departments",
                    "availability",
                    "availability_changed_at",
                    "capacity",
                ]
            },
        ),
        (_("Access"), {"fields": ["is_active", "last_login", "date_joined"]}),
    ]
    superuser_fieldset = (_("Above all admins"), {"fields": ["is_superuser"]})
    colleague_fieldsets = [
        (None, {"fields": ["username", "first_name", "last_name", "email"]}),
        (_("Work"), {"fields": ["role", "departments", "availability"]}),
    ]

    @admin.display(description=_("name"), ordering="first_name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @admin.display(description=_("departments"))
    def department_names(self, user: User) -> str:
        return ", ".join(department.name for department in user.departments.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("departments")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        if not self.has_change_permission(request, obj):
            return self.colleague_fieldsets  # no password: its hash would be shown as it is
        is_superuser = person(request).is_superuser
        return [*self.fieldsets, *([self.superuser_fieldset] if is_superuser else [])]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and (
            obj is None or services.may_manage(person(request), obj)
        )

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """People are deactivated: their work stays signed."""
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not change:
            services.add_user(obj, actor=person(request))
            return
        given = {name: form.cleaned_data[name] for name in form.changed_data}
        obj.refresh_from_db()
        _change(obj, given, actor=person(request))

    @admin.action(description=_("Deactivate"), permissions=["change"])
    def deactivate(self, request: HttpRequest, people: QuerySet[User]) -> None:
        for user in people:
            services.deactivate_user(user, actor=person(request), at=timezone.now())
        count = len(people)
        text = ngettext("%(count)d person deactivated.", "%(count)d people deactivated.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)


def _change(user: User, given: dict[str, Any], *, actor: User) -> None:
    at = timezone.now()
    profile = {name: given[name] for name in given if name in services.PROFILE_FIELDS}
    services.update_user(user, fields=profile, actor=actor)
    if "is_superuser" in given:
        services.set_superuser(user, is_superuser=given["is_superuser"], actor=actor)
    if "role" in given:
        services.change_role(user, role=given["role"], actor=actor)
    if "availability" in given:
        services.set_availability(user, availability=given["availability"], at=at, actor=actor)
    if given.get("is_active") is True:
        services.activate_user(user, actor=actor)
    if given.get("is_active") is False:
        services.deactivate_user(user, actor=actor, at=at)


@admin.register(Department)
class DepartmentAdmin(VisibleModelAdmin):
    list_display = ["name", "slug", "calendar", "is_active", "is_fallback", "shares_tickets"]
    list_filter = ["is_active", "is_fallback", "shares_tickets"]
    list_select_related = ["calendar"]
    search_fields = ["name", "slug"]
    ordering = ["name"]
    autocomplete_fields = ["calendar"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["is_fallback", "created_at"]
    actions = ["make_fallback"]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Department | None = None) -> Any:
        """Flows name the slug: it is suggested once and does not follow the name."""
        return {} if obj else self.prepopulated_fields

    def has_delete_permission(self, request: HttpRequest, obj: Department | None = None) -> bool:
        """One at a time, and never the fallback."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and obj is not None and not obj.is_fallback

    def save_model(self, request: HttpRequest, obj: Department, form: Any, change: bool) -> None:
        if not change:
            super().save_model(request, obj, form, change)
            return
        given = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_department(obj, fields=given)

    @admin.action(description=_("Make this the fallback department"), permissions=["change"])
    def make_fallback(self, request: HttpRequest, departments: QuerySet[Department]) -> None:
        if len(departments) != 1:
            self.message_user(request, gettext("Choose one department."), messages.ERROR)
            return
        services.make_fallback(departments[0])


class BusinessHoursInline(admin.TabularInline):
    model = BusinessHours
    extra = 0


class HolidayInline(admin.TabularInline):
    model = Holiday
    extra = 0


@admin.register(Calendar)
class CalendarAdmin(VisibleModelAdmin):
    list_display = ["name", "time_zone"]
    search_fields = ["name"]
    ordering = ["name"]
    inlines = [BusinessHoursInline, HolidayInline]


class ApiTokenForm(forms.ModelForm):
    scopes = forms.CharField(
        label=_("scopes"),
        help_text=_(
            "Separated by spaces, for example: leads:read tickets:write. *:read reads everything."
        ),
    )

    class Meta:
        model = ApiToken
        fields = ["user", "name", "scopes", "expires_at"]

    def clean_scopes(self) -> list[str]:
        scopes = re.split(r"[\s,;]+", self.cleaned_data["scopes"].strip())
        unknown = [scope for scope in scopes if not tokens.is_scope(scope)]
        if unknown:
            raise ValidationError(
                _("Not a scope: %(scopes)s."), params={"scopes": ", ".join(unknown)}
            )
        return scopes


@admin.register(ApiToken)
class ApiTokenAdmin(VisibleModelAdmin):
    """A token is made and revoked here, never changed; its text is shown once."""

    form = ApiTokenForm
    list_display = [
        "name",
        "prefix",
        "user",
        "scope_names",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ]
    list_filter = [("user", admin.RelatedOnlyFieldListFilter), "expires_at", "revoked_at"]
    list_select_related = ["user"]
    search_fields = ["name", "prefix", "user__username"]
    autocomplete_fields = ["user"]
    actions = ["revoke"]

    @admin.display(description=_("scopes"))
    def scope_names(self, token: ApiToken) -> str:
        return " ".join(token.scopes)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        if obj is None:
            return ["user", "name", "scopes", "expires_at"]
        return [*self.list_display, "created_at"]

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        return {"user": request.user.pk, **super().get_changeform_initial_data(request)}

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        given = form.cleaned_data
        token, text = services.create_token(
            given["user"],
            name=given["name"],
            scopes=given["scopes"],
            expires_at=given["expires_at"],
            actor=person(request),
        )
        obj.pk = token.pk
        obj.refresh_from_db()
        shown_once = gettext("Copy the token now, it is not shown again: %(token)s")
        self.message_user(request, shown_once % {"token": text}, messages.WARNING)

    @admin.action(description=_("Revoke"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> None:
        for token in chosen:
            services.revoke_token(token, at=timezone.now())
