"""People, departments, hours and API tokens in the console."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from auditlog.models import LogEntry
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from users import (
    business_time,
    clients,
    confirming,
    invitations,
    logins,
    people,
    people_views,
    services,
    tokens,
)
from users.console import ReadOnlyModelAdmin, RelatedFilter, VisibleModelAdmin
from users.errors import DomainError
from users.models import (
    ApiToken,
    BusinessHours,
    Calendar,
    Department,
    Distribution,
    Holiday,
    LoginEvent,
    ResolutionField,
    Role,
    Skill,
    TeamRules,
    User,
)
from users.people_forms import PasswordForm, places_of
from users.permissions import person

admin.site.unregister(LogEntry)  # in English; the audit has a page of its own
admin.site.unregister(TOTPDevice)  # in English, and it shows what must be secret
admin.site.unregister(StaticDevice)  # as above
admin.site.unregister(Group)  # a role says what a person may do (users/permissions.py)


class ShownFilter(admin.SimpleListFilter):
    """Who has access or is invited, unless the deactivated are asked for."""

    title = _("access")
    parameter_name = "acesso"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("convidadas", _("invited")), ("desativadas", _("deactivated"))]

    def choices(self, changelist: Any) -> Any:
        team, *others = super().choices(changelist)
        return [{**team, "display": _("the team")}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        is_invited = Q(is_active=False, invited_at__isnull=False)
        match self.value():
            case "convidadas":
                return queryset.filter(is_invited)
            case "desativadas":
                return queryset.filter(is_active=False, invited_at=None)
        return queryset.filter(Q(is_active=True) | is_invited)


class RoleFilter(admin.SimpleListFilter):
    title = _("role")
    parameter_name = "papel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*Role.choices, ("supervisor", _("supervisor"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        if self.value() == "supervisor":
            supervises = queryset.filter(role=Role.ATTENDANT, supervised_departments__isnull=False)
            return supervises.distinct()
        return queryset.filter(role=self.value()) if self.value() else queryset


class PeopleList(ChangeList):
    """With what each person of the page has in hand."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        shown = list(self.result_list)
        if person(request).is_admin:
            found = people.loads(shown, person(request), at=timezone.now())
            for one in shown:
                one.load = found[one.pk]
        self.result_list = shown


def _cell(name: str) -> Callable[[Any, User], SafeString]:
    def cell(_admin: Any, user: User) -> SafeString:
        now = timezone.now()
        shown = {"person": user, "is_over": invitations.is_over(user, now)}
        return render_to_string(f"admin/users/user/_{name}.html", shown)

    return cell


def _column(name: str, title: Any, ordering: str | None = None) -> Any:
    return admin.display(description=title, ordering=ordering)(_cell(name))


@admin.register(User)
class PersonAdmin(VisibleModelAdmin, UserAdmin):
    """Admins manage those who do not stand above them; attendants look up their colleagues. Nobody
    is added with a password: people are invited."""

    confirms = frozenset({"add", "change", "deactivate", "reactivate"})
    change_password_form = PasswordForm
    list_display = ["person", "part", "places", "presence", "load", "today", "last_seen"]
    list_per_page = 50
    list_display_links = None
    list_filter = [
        ShownFilter,
        RoleFilter,
        "availability",
        ("departments", RelatedFilter),
    ]
    show_facets = admin.ShowFacets.ALWAYS
    search_fields = ["username", "first_name", "last_name", "email"]
    search_help_text = _("Name or e-mail")
    ordering = ["first_name", "username"]
    autocomplete_fields = ["departments", "supervised_departments", "skills", "calendar"]
    filter_horizontal = []
    readonly_fields = ["availability_changed_at", "last_login", "date_joined"]
    actions = ["deactivate", "reactivate"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (
            _("Person"),
            {
                "fields": [
                    *("first_name", "last_name", "email"),
                    *("signature", "language", "single_keys"),
                ]
            },
        ),
        (
            _("Work"),
            {
                "fields": [
                    *("role", "departments", "supervised_departments", "skills"),
                    *("capacity", "calendar"),
                ]
            },
        ),
        (
            _("Availability"),
            {"fields": ["availability", "pause_reason", "availability_changed_at"]},
        ),
        (_("Access"), {"fields": ["last_login", "date_joined"]}),
    ]
    superuser_fieldset = (_("Above all admins"), {"fields": ["is_superuser"]})
    colleague_fieldsets = [
        (None, {"fields": ["username", "first_name", "last_name", "email"]}),
        (
            _("Work"),
            {
                "fields": [
                    *("role", "departments", "supervised_departments", "skills"),
                    *("availability", "pause_reason"),
                ]
            },
        ),
    ]

    person = _column("person", _("person"), "first_name")
    part = _column("role", _("role"), "role")
    places = _column("places", pgettext_lazy("column of people", "department"))
    presence = _column("presence", _("availability"), "availability")
    load = _column("load", _("load"))
    today = _column("today", _("today"))
    last_seen = _column("last_seen", _("last access"), "last_active_at")

    def get_list_display(self, request: HttpRequest) -> Any:
        """Attendants see too few of a colleague's tickets to count them."""
        if person(request).is_admin:
            return self.list_display
        return [name for name in self.list_display if name not in {"load", "today"}]

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return PeopleList

    def get_search_fields(self, request: HttpRequest) -> Any:
        return self.search_fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        related = ("departments", "supervised_departments")
        return super().get_queryset(request).prefetch_related(*related)

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "deactivate": ("desativar/", people_views.deactivate),
            "reactivate": ("reativar/", people_views.reactivate),
            "invite_again": ("convidar/", people_views.invite_again),
            "withdraw": ("retirar-convite/", people_views.withdraw),
        }
        console = self.admin_site.admin_view
        own = [
            path(f"<int:user_id>/{route}", console(view), name=f"users_user_{verb}")
            for verb, (route, view) in views.items()
        ]
        return [*own, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return people_views.invite(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """With the team in one line, and the table of roles below it."""
        visible = User.objects.visible_to(person(request))
        told = {
            "summary": people.summary(visible, person(request)),
            "matrix": people_views.matrix(),
        }
        return super().changelist_view(request, {**told, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        user = self.get_object(request, object_id)
        told = {} if user is None else self._access(request, user)
        context = {**told, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def _access(self, request: HttpRequest, user: User) -> dict[str, Any]:
        """What the page shows of somebody's access. The link of an invitation is for those who may
        also set the password."""
        may_manage = services.may_manage(person(request), user)
        is_over = invitations.is_over(user, timezone.now())
        return {
            "may_manage": may_manage,
            "invitation_ends_at": invitations.ends_at(user),
            "invitation_is_over": is_over,
            "invitation_link": (
                invitations.link_to(user) if may_manage and user.is_invited and not is_over else ""
            ),
        }

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
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
        given = {name: form.cleaned_data[name] for name in form.changed_data}
        obj.refresh_from_db()
        _change(obj, given, actor=person(request))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Written with the rest, by the service."""

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # Django's name
        form_url: str = "",
    ) -> Any:
        """Whoever is logged in with the old password is signed out, but for this browser."""
        if request.method != "POST":
            return super().user_change_password(request, id, form_url)
        asked = confirming.ask(request)
        if asked is not None:
            return asked
        before = request.session.session_key
        answer = super().user_change_password(request, id, form_url)
        if isinstance(answer, HttpResponseRedirect):  # it was set
            logins.moved(request, before)
            user = self.get_queryset(request).get(pk=id)
            logins.end_all(user, keep=request.session.session_key, request=request)
        return answer

    @admin.action(description=_("Deactivate"), permissions=["change"])
    def deactivate(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        """Says first what becomes of their tickets."""
        found = list(chosen)
        if not request.POST.get("confirmed"):
            return people_views.confirm_deactivation(request, found)
        people_views.deactivate_all(request, found)
        return None

    @admin.action(description=_("Give access back"), permissions=["change"])
    def reactivate(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        people_views.reactivate_all(request, list(chosen))


def _change(user: User, given: dict[str, Any], *, actor: User) -> None:
    at = timezone.now()
    profile = {name: given[name] for name in given if name in services.PROFILE_FIELDS}
    services.update_user(user, fields=profile, places=places_of(given), actor=actor)
    if "is_superuser" in given:
        services.set_superuser(user, is_superuser=given["is_superuser"], actor=actor)
    if "role" in given:
        services.change_role(user, role=given["role"], actor=actor)
    if "availability" in given or "pause_reason" in given:
        services.set_availability(
            user,
            availability=given.get("availability", user.availability),
            reason=given.get("pause_reason", user.pause_reason),
            at=at,
            actor=actor,
        )


@admin.register(Skill)
class SkillAdmin(VisibleModelAdmin):
    """What people can do and tickets may need."""

    list_display = ["name", "holders"]
    search_fields = ["name"]
    ordering = ["name"]

    @admin.display(description=_("people"))
    def holders(self, skill: Skill) -> int:
        return skill.count  # type: ignore[attr-defined]  # annotated

    def get_queryset(self, request: HttpRequest) -> QuerySet[Skill]:
        active = Count("users", filter=Q(users__is_active=True))
        return super().get_queryset(request).annotate(count=active)


@admin.register(TeamRules)
class TeamRulesAdmin(VisibleModelAdmin):
    """One row, so no list: the page of the rules."""

    fieldsets = [
        (
            _("Customers' data"),
            {
                "fields": ["mask_phone", "mask_email"],
                "description": _(
                    "Admins see all of it. Supervisors are attendants in this. Who searches for a "
                    "whole number or address still finds its lead."
                ),
            },
        ),
        (
            _("Availability"),
            {
                "fields": ["offline_after_minutes"],
                "description": _(
                    "Whoever is available and does nothing for so long gets no more tickets, and "
                    "is told so when they come back. Who is on a break stays on it."
                ),
            },
        ),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: TeamRules | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:users_teamrules_change", args=[1]))


class DepartmentForm(forms.ModelForm):
    required_at_resolution = forms.MultipleChoiceField(
        label=_("Needed to resolve"),
        choices=ResolutionField.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("What must be filled in before a ticket can be resolved."),
    )


@admin.register(Department)
class DepartmentAdmin(VisibleModelAdmin):
    form = DepartmentForm
    list_display = ["name", "slug", "calendar", "is_active", "is_fallback", "shares_tickets"]
    list_filter = ["is_active", "is_fallback", "shares_tickets"]
    list_select_related = ["calendar"]
    search_fields = ["name", "slug"]
    ordering = ["name"]
    autocomplete_fields = ["calendar", "overflow_to"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["is_fallback", "created_at"]
    actions = ["make_fallback"]
    fieldsets = [
        (
            None,
            {"fields": ["name", "slug", "calendar", "is_active", "is_fallback", "shares_tickets"]},
        ),
        (
            _("When a customer does not answer"),
            {
                "fields": ["warn_silent_after_hours", "close_silent_after_hours"],
                "description": _(
                    "Hours on the clock, from our last message. The warning goes out in business "
                    "hours and while WhatsApp accepts free text: in the first 24 hours after the "
                    "customer last wrote."
                ),
            },
        ),
        (
            _("Who gets a ticket"),
            {
                "fields": [
                    "distribution",
                    "prefers_attendant",
                    "accept_minutes",
                    ("overflow_to", "overflow_minutes"),
                    "tells_position",
                ],
                "description": _(
                    "Given out by itself, a ticket goes to somebody who is available, within their "
                    "hours, with the skills that it needs and a free slot: to the lead's own "
                    "attendant, else to who has the least to do, else to who has gone longest "
                    "without receiving. Each decision is kept with its reasons."
                ),
            },
        ),
        (_("The end of a ticket"), {"fields": ["required_at_resolution", "reopen_days"]}),
    ]

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
        self._hint_at_nobody(request, obj)

    def _hint_at_nobody(self, request: HttpRequest, department: Department) -> None:
        """What is given out by itself must find somebody."""
        if department.distribution != Distribution.AUTOMATIC:
            return
        if not department.users.filter(is_active=True, capacity__gt=0).exists():
            text = gettext(
                "Nobody of %(department)s can take tickets: put people with free slots into it, "
                "or its tickets will wait."
            )
            self.message_user(request, text % {"department": department}, messages.WARNING)

    @admin.action(description=_("Make this the fallback department"), permissions=["change"])
    def make_fallback(self, request: HttpRequest, departments: QuerySet[Department]) -> None:
        if len(departments) != 1:
            self.message_user(request, gettext("Choose one department."), messages.ERROR)
            return
        services.make_fallback(departments[0])


# The browser's own: the admin's clock compares the hours of a shop with those of the server.
CLOCKS: dict[type[models.Field[Any, Any]], Any] = {
    models.TimeField: {"widget": forms.TimeInput(attrs={"type": "time"}, format="%H:%M")},
    models.DateField: {"widget": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")},
}


class BusinessHoursInline(admin.TabularInline):
    model = BusinessHours
    extra = 0
    formfield_overrides = CLOCKS


class HolidayInline(admin.TabularInline):
    model = Holiday
    extra = 0
    formfield_overrides = CLOCKS


@admin.register(Calendar)
class CalendarAdmin(VisibleModelAdmin):
    list_display = ["name", "time_zone", "observes_holidays", "holiday_state", "is_open_now"]
    search_fields = ["name"]
    ordering = ["name"]
    fields = ["name", "time_zone", "observes_holidays", "holiday_state", "next_days"]
    readonly_fields = ["next_days"]
    inlines = [BusinessHoursInline, HolidayInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Calendar]:
        return super().get_queryset(request).prefetch_related("hours", "holidays")

    def get_fields(self, request: HttpRequest, obj: Calendar | None = None) -> Any:
        """The preview is of what is saved."""
        return self.fields if obj else [name for name in self.fields if name != "next_days"]

    @admin.display(description=_("open now"), boolean=True)
    def is_open_now(self, calendar: Calendar) -> bool:
        return calendar.is_open(timezone.now())

    @admin.display(description=_("next 7 days"))
    def next_days(self, calendar: Calendar) -> SafeString:
        today = timezone.now().astimezone(calendar.zone).date()
        shown = [(_day(one), _stretches(one)) for one in business_time.days(calendar, today, 7)]
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {}</li>", shown))


def _day(day: business_time.Day) -> str:
    name = date_format(day.date, "D j/n")
    return f"{name} ({day.name})" if day.name else name


def _stretches(day: business_time.Day) -> str:
    """ "08:00–12:00, 13:00–18:00"; one that ends on the next day says so."""
    if not day.stretches:
        return gettext("closed")
    return ", ".join(
        f"{opens:%H:%M}–{closes:%H:%M}" + ("" if closes > opens else " " + gettext("(next day)"))
        for opens, closes in day.stretches
    )


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

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and tokens.lives_too_long(expires_at, timezone.now()):
            raise ValidationError(tokens.TOO_LONG)
        return expires_at

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
    confirms = frozenset({"add"})
    list_display = [
        "name",
        "prefix",
        "user",
        "scope_names",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ]
    list_filter = [("user", RelatedFilter), "expires_at", "revoked_at"]
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
        count = 0
        for token in chosen.select_related("user"):
            try:
                services.revoke_token(token, at=timezone.now(), actor=person(request))
                count += 1
            except DomainError as refusal:
                self.message_user(request, f"{token}: {refusal.message}", messages.ERROR)
        if count:
            said = ngettext("%(count)d token revoked.", "%(count)d tokens revoked.", count)
            self.message_user(request, said % {"count": count}, messages.SUCCESS)


@admin.register(LoginEvent)
class LoginEventAdmin(ReadOnlyModelAdmin):
    """Who logged in, tried to, or left; above it who is locked out now."""

    list_display = ["at", "username", "kind", "ip_address", "browser"]
    list_display_links = None
    list_filter = ["kind", "at"]
    search_fields = ["username", "ip_address"]
    search_help_text = _("User name or IP address")
    date_hierarchy = "at"
    ordering = ["-id"]
    list_per_page = 50
    show_full_result_count = False

    @admin.display(description=_("browser"))
    def browser(self, event: LoginEvent) -> str:
        return clients.browser_in_words(event.user_agent)
