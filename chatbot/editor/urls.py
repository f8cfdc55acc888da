"""The addresses of the editor of passos."""

from django.contrib import admin
from django.urls import path

from chatbot.editor import step_views

console = admin.site.admin_view
FLOW = "admin/chatbot/flow/<int:flow_id>"

urlpatterns = [
    path(f"{FLOW}/steps/add/", console(step_views.add), name="flow_step_add"),
    path(f"{FLOW}/step/<slug:node_id>/", console(step_views.step), name="flow_step"),
    path(
        f"{FLOW}/step/<slug:node_id>/duplicate/",
        console(step_views.duplicate),
        name="flow_step_duplicate",
    ),
    path(
        f"{FLOW}/step/<slug:node_id>/insert/", console(step_views.insert), name="flow_step_insert"
    ),
    path(
        f"{FLOW}/step/<slug:node_id>/delete/", console(step_views.delete), name="flow_step_delete"
    ),
    path(f"{FLOW}/undo/", console(step_views.undo), name="flow_undo"),
    path(f"{FLOW}/redo/", console(step_views.redo), name="flow_redo"),
]
