"""The console's pages of what was said and of the simulator; the webhook."""

from django.contrib import admin
from django.urls import path, re_path

from chatbot import channel_views, conversation_views, costs_views, simulator_views, views

console = admin.site.admin_view

urlpatterns = [
    # With and without the closing slash, and never a redirect: a redirected POST becomes a GET.
    re_path(r"^webhook/?$", views.webhook, name="webhook"),
    re_path(r"^webhook/(?P<slug>[-\w]+)/?$", views.webhook, name="webhook_channel"),
    path(
        "admin/chatbot/conversation/<int:session_id>/",
        console(conversation_views.page),
        name="conversation",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/messages/",
        console(conversation_views.new_messages),
        name="conversation_messages",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/earlier/",
        console(conversation_views.earlier_messages),
        name="conversation_earlier",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/reply/",
        console(conversation_views.reply),
        name="conversation_reply",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/send-again/<int:message_id>/",
        console(conversation_views.send_again),
        name="conversation_send_again",
    ),
    path(
        "admin/chatbot/media-file/<int:media_id>/",
        console(conversation_views.media),
        name="conversation_media",
    ),
    path(
        "admin/chatbot/channel/<int:channel_id>/test/",
        console(channel_views.test),
        name="channel_test",
    ),
    path(
        "admin/chatbot/channel/<int:channel_id>/mend/",
        console(channel_views.mend),
        name="channel_mend",
    ),
    path("admin/chatbot/costs/", console(costs_views.page), name="costs"),
    path("admin/chatbot/costs/export/", console(costs_views.export), name="costs_export"),
    path("admin/chatbot/simulator/", console(simulator_views.page), name="simulator"),
    path("admin/chatbot/simulator/state/", console(simulator_views.state), name="simulator_state"),
    path("admin/chatbot/simulator/say/", console(simulator_views.say), name="simulator_say"),
    path(
        "admin/chatbot/simulator/start-over/",
        console(simulator_views.start_over),
        name="simulator_start_over",
    ),
    path("admin/chatbot/simulator/clear/", console(simulator_views.clear), name="simulator_clear"),
]
