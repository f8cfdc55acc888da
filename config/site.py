"""The console: which pages it has, in which groups they stand, and what the start page counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

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
            "users.department": "dept",
            "users.calendar": "calendar",
            "users.apitoken": "key",
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


class ConsoleSite(admin.AdminSite):
    """The console where attendants and admins work."""

    site_header = "Atende"
    site_title = "Atende"
    site_url = None
    index_title = _("Home")
    index_template = "admin/index.html"
    enable_nav_sidebar = True

    def get_app_list(
        self, request: HttpRequest, app_label: str | None = None
    ) -> list[dict[str, Any]]:
        """One app's models as they are; without an app, all of them in the sidebar's sections."""
        apps = super().get_app_list(request, app_label)
        return apps if app_label else in_sections(apps, request)

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
    sections = []
    for section in SECTIONS:
        known = ((models.pop(key, None), icon) for key, icon in section.models.items())
        found = [_item(model, icon, request.path) for model, icon in known if model]
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


def _item(model: dict[str, Any], icon: str, path: str) -> dict[str, Any]:
    return {**model, "icon": icon, "is_current": path.startswith(model["admin_url"])}


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
