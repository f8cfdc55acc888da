"""Pages of what people do in a flow."""

from django.contrib import admin
from django.urls import path

from chatbot.usage import views

console = admin.site.admin_view

urlpatterns = [
    path(
        "admin/chatbot/flow/<int:flow_id>/statistics/", console(views.page), name="flow_statistics"
    ),
    path(
        "admin/chatbot/flow/<int:flow_id>/statistics/conversations/",
        console(views.conversations),
        name="flow_usage_conversations",
    ),
    path(
        "admin/chatbot/flow/<int:flow_id>/statistics/<int:text_id>/",
        console(views.synonym),
        name="flow_synonym",
    ),
]
