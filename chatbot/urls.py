"""The console's pages of what was said and of the simulator; the webhook."""

from collections.abc import Callable

from django.contrib import admin
from django.http import HttpResponseBase
from django.urls import path, re_path

from chatbot import (
    channel_views,
    conversation_views,
    costs_views,
    lead_views,
    session_page_views,
    start_conversation_views,
    views,
)
from chatbot.editor import page_urls
from chatbot.editor import urls as editor_urls
from chatbot.publishing import urls as publishing
from chatbot.replays import urls as replays
from chatbot.simulation import urls as simulation
from chatbot.usage import urls as usage

console = admin.site.admin_view


def console_file(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Says by itself what a browser may keep."""
    return admin.site.admin_view(view, cacheable=True)


urlpatterns = [
    # With and without the closing slash, and never a redirect: a redirected POST becomes a GET.
    re_path(r"^webhook/?$", views.webhook, name="webhook"),
    re_path(r"^webhook/(?P<slug>[-\w]+)/?$", views.webhook, name="webhook_channel"),
    path(
        "admin/chatbot/conversation/start/",
        console(start_conversation_views.search),
        name="conversation_start_search",
    ),
    path(
        "admin/chatbot/conversation/start/<int:lead_id>/",
        console(start_conversation_views.start),
        name="conversation_start",
    ),
    path(
        "admin/chatbot/lead/<int:lead_id>/timeline/",
        console(lead_views.timeline),
        name="lead_timeline",
    ),
    path(
        "admin/chatbot/lead/<int:lead_id>/export/",
        console(lead_views.export),
        name="lead_export",
    ),
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
        "admin/chatbot/conversation/<int:session_id>/template/",
        console(conversation_views.template),
        name="conversation_template",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/template/preview/",
        console(conversation_views.template_preview),
        name="conversation_template_preview",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/send-again/<int:message_id>/",
        console(conversation_views.send_again),
        name="conversation_send_again",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/discard/<int:message_id>/",
        console(conversation_views.discard),
        name="conversation_discard",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/why/<int:message_id>/",
        console(conversation_views.why_said),
        name="conversation_why",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/box/",
        console(conversation_views.reply_box),
        name="conversation_box",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/note/",
        console(conversation_views.note),
        name="conversation_note",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/draft/",
        console(conversation_views.draft),
        name="conversation_draft",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/canned/",
        console(conversation_views.canned),
        name="conversation_canned",
    ),
    path(
        "admin/chatbot/conversation/<int:session_id>/people/",
        console(conversation_views.people),
        name="conversation_people",
    ),
    path(
        "admin/chatbot/media-file/<int:media_id>/",
        console_file(conversation_views.media),
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
    path(
        "admin/chatbot/media-file/<int:media_id>/thumbnail/",
        console_file(conversation_views.thumbnail),
        name="conversation_thumbnail",
    ),
    path(
        "admin/chatbot/media-file/<int:media_id>/attachment/",
        console(conversation_views.attachment),
        name="conversation_attachment",
    ),
    path(
        "admin/chatbot/media-file/<int:media_id>/fetch-again/",
        console(conversation_views.fetch_again),
        name="conversation_fetch_again",
    ),
    path(
        "admin/chatbot/session/<int:session_id>/live/",
        console(session_page_views.live),
        name="session_live",
    ),
    path(
        "admin/chatbot/session/<int:session_id>/where/",
        console(session_page_views.where),
        name="session_where",
    ),
    path(
        "admin/chatbot/session/<int:session_id>/history/",
        console(session_page_views.history),
        name="session_history",
    ),
    path(
        "admin/chatbot/session/<int:session_id>/copy/",
        console(session_page_views.copy),
        name="session_copy",
    ),
    path(
        "admin/chatbot/session/<int:session_id>/reveal/",
        console(session_page_views.reveal),
        name="session_reveal",
    ),
    path(
        "admin/chatbot/session/<int:session_id>/end/",
        console(session_page_views.end),
        name="session_end",
    ),
    path(
        "admin/chatbot/session/<int:session_id>/extend/",
        console(session_page_views.extend),
        name="session_extend",
    ),
    path(
        "admin/chatbot/session/<int:session_id>/begin-again/",
        console(session_page_views.begin_again),
        name="session_begin_again",
    ),
    path(
        "admin/chatbot/session/<int:session_id>/hand-over/",
        console(session_page_views.hand_over),
        name="session_hand_over",
    ),
    *simulation.urlpatterns,
    *replays.urlpatterns,
    *usage.urlpatterns,
    *publishing.urlpatterns,
    *page_urls.urlpatterns,
    *editor_urls.urlpatterns,
]
