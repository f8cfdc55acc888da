"""The pages around publishing a flow."""

from django.contrib import admin
from django.urls import path

from chatbot.publishing import views

console = admin.site.admin_view

urlpatterns = [
    path(
        "admin/chatbot/flow/<int:flow_id>/versions/",
        console(views.versions),
        name="flow_versions",
    ),
    path(
        "admin/chatbot/flow/<int:flow_id>/versions/<int:number>/restore/",
        console(views.restore_version),
        name="flow_restore",
    ),
    path(
        "admin/chatbot/flow/<int:flow_id>/publish/",
        console(views.publish),
        name="flow_publish",
    ),
    path(
        "admin/chatbot/flow/<int:flow_id>/publish/moves/<int:move_id>/",
        console(views.progress),
        name="flow_move",
    ),
    path(
        "admin/chatbot/flow/<int:flow_id>/publish/requests/<int:request_id>/",
        console(views.decide),
        name="flow_publish_decide",
    ),
    path(
        "admin/chatbot/flow/<int:flow_id>/split/",
        console(views.split),
        name="flow_split",
    ),
]
