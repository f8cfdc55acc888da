"""The console: which pages it has, in which groups they stand, and what the start page counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise, SimpleLazyObject
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

if TYPE_CHECKING:
    from chatbot.requests import StaffRequest


@dataclass(frozen=True)
class Section:
    """A group of the sidebar. `models` maps "app.model" to the icon it is drawn with."""

    key: str
    name: Promise
    models: dict[str, str]


SECTIONS = (
    Section(
        "service",
        _("Customer service"),
        {
            "tickets.ticket": "inbox",
            "sessions_app.session": "session",
            "leads.lead": "lead",
        },
    ),
    Section(
        "bot",
        _("Chatbot"),
        {
            "chatbot.simulator": "phone",
            "chatbot.flow": "flow",
            "chatbot.trigger": "bolt",
            "chatbot.secret": "lock",
            "sessions_app.channel": "channel",
            "chatbot.messagelog": "msgs",
            "chatbot.flowlog": "log",
            "chatbot.failedevent": "alert",
            "chatbot.incident": "bell",
            "chatbot.costs": "money",
        },
    ),
    Section(
        "team",
        _("Team"),
        {
            "users.user": "users",
            "users.roles": "shield",
            "users.department": "dept",
            "users.skill": "star",
            "users.calendar": "calendar",
            "users.apitoken": "key",
            "users.teamrules": "lock",
            "users.whosees": "eye",
            "users.audit": "hist",
            "users.loginevent": "shield",
        },
    ),
    Section(
        "library",
        _("Library"),
        {
            "tickets.cannedresponse": "reply",
            "chatbot.messagetemplate": "tpl",
            "leads.tag": "tag",
            "tickets.slapolicy": "sla",
        },
    ),
)
REST_ICON = "file"
BADGES = {"tickets.ticket": "tickets", "sessions_app.session": "sessions"}  # config.badges counts
GO = {"tickets.ticket": "t", "leads.lead": "l"}  # the key after G that leads there


class ConsoleSite(admin.AdminSite):
    """The console where attendants and admins work."""

    site_header = "Atende"
    site_title = "Atende"
    site_url = None
    index_title = _("Home")
    index_template = "admin/index.html"
    enable_nav_sidebar = True
    empty_value_display = "–"

    def get_app_list(
        self, request: HttpRequest, app_label: str | None = None
    ) -> list[dict[str, Any]]:
        """One app's models as they are; without an app, all of them in the sidebar's sections."""
        apps = super().get_app_list(request, app_label)
        return apps if app_label else in_sections(apps, request)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """With the sidebar's counts, which a page that draws no sidebar does not ask for."""
        from config.badges import badges_of  # noqa: PLC0415  # models: not while apps are loading

        badges = SimpleLazyObject(lambda: badges_of(cast("StaffRequest", request).user))
        return {**super().each_context(request), "badges": badges}

    @method_decorator(never_cache)
    @login_not_required
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """In two steps for those who have an app (users.login_views)."""
        from users.login_views import ConsoleLogin  # noqa: PLC0415  # models: not while apps load

        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        context = {
            **self.each_context(request),
            "title": _("Log in"),
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            **(extra_context or {}),
        }
        if REDIRECT_FIELD_NAME not in {**request.GET, **request.POST}:
            context[REDIRECT_FIELD_NAME] = reverse("admin:index")
        view = ConsoleLogin.as_view(extra_context=context, template_name="admin/login.html")
        return cast("HttpResponse", view(request))

    def password_change(  # type: ignore[override]  # the stubs forget the redirect
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        from django.contrib.admin.forms import AdminPasswordChangeForm  # noqa: PLC0415  # models

        from users.login_views import PasswordChange  # noqa: PLC0415  # models: as above

        view = PasswordChange.as_view(
            form_class=AdminPasswordChangeForm,
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return cast("HttpResponse", view(request))

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        from config.home import start_page  # noqa: PLC0415  # models: not while apps are loading

        context = start_page(cast("StaffRequest", request))
        return super().index(request, {**context, **(extra_context or {})})


def in_sections(apps: list[dict[str, Any]], request: HttpRequest) -> list[dict[str, Any]]:
    """The models that the person may see, grouped as people work; what has no place folds away."""
    models = {
        f"{app['app_label']}.{model['object_name']}".lower(): model
        for app in apps
        for model in app["models"]
        if model["admin_url"]
    }
    models["chatbot.simulator"] = _page(_("simulator"), "Simulator", "simulator")
    if request.user.has_perm("chatbot.view_messagecount"):
        models["chatbot.costs"] = _page(_("costs"), "Costs", "costs")
    if request.user.has_perm("users.view_user"):
        models["users.roles"] = _page(_("roles and permissions"), "Roles", "roles")
    if request.user.has_perm("users.change_user"):
        models["users.whosees"] = _page(_("what does this person see?"), "WhoSees", "who_sees")
    if request.user.has_perm("auditlog.view_logentry"):
        models["users.audit"] = _page(_("audit"), "Audit", "audit")
    sections = []
    for section in SECTIONS:
        known = ((key, models.pop(key, None), icon) for key, icon in section.models.items())
        found = [_item(model, icon, request.path, key) for key, model, icon in known if model]
        sections.append(_section(section.key, section.name, found))
    rest = sorted(models.values(), key=lambda model: str(model["name"]).lower())
    found = [_item(model, REST_ICON, request.path) for model in rest]
    sections.append(_section("more", _("More records"), found, is_folded=True))
    return [section for section in sections if section["models"]]


def _page(name: Promise, object_name: str, url_name: str) -> dict[str, Any]:
    """A page that belongs to no model, as an item of the sidebar."""
    return {
        "name": name,
        "object_name": object_name,
        "admin_url": reverse(url_name),
        "add_url": None,
        "view_only": True,
        "perms": {},
    }


def _item(model: dict[str, Any], icon: str, path: str, key: str = "") -> dict[str, Any]:
    return {
        **model,
        "icon": icon,
        "badge": BADGES.get(key, ""),
        "go": GO.get(key, ""),
        "is_current": path.startswith(model["admin_url"]),
    }


def _section(
    key: str, name: Promise, models: list[dict[str, Any]], *, is_folded: bool = False
) -> dict[str, Any]:
    return {
        "name": name,
        "app_label": key,
        "app_url": "",
        "has_module_perms": True,
        "models": models,
        "is_folded": is_folded,
        "is_current": any(model["is_current"] for model in models),
    }
