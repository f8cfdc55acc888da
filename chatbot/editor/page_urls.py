"""Addresses of a flow's page and of the pages around it."""

from collections.abc import Callable

from django.contrib import admin
from django.http import HttpResponseBase
from django.urls import URLPattern, path

from chatbot.editor import creation_views, data_views, page_views, trigger_views


def _of_flow(rest: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
    where = f"admin/chatbot/flow/<int:flow_id>/{rest}/"
    return path(where, admin.site.admin_view(view), name=name)


urlpatterns = [
    _of_flow("parts", page_views.parts, "flow_parts"),
    _of_flow("ignore", page_views.ignore, "flow_finding_ignore"),
    _of_flow("variables", data_views.variables, "flow_variables"),
    _of_flow("words", data_views.words, "flow_words"),
    _of_flow("settings", data_views.settings, "flow_settings"),
    _of_flow("triggers", trigger_views.listed, "flow_triggers"),
    _of_flow("triggers/new", trigger_views.edit, "flow_trigger_add"),
    _of_flow("triggers/<int:trigger_id>", trigger_views.edit, "flow_trigger"),
    _of_flow("triggers/<int:trigger_id>/remove", trigger_views.remove, "flow_trigger_remove"),
    _of_flow("import", creation_views.import_file, "flow_import"),
    _of_flow("export", creation_views.export, "flow_export"),
    path(
        "admin/chatbot/flow/import/",
        admin.site.admin_view(creation_views.import_file),
        name="flow_import_new",
    ),
]
