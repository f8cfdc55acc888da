"""Pages of replays and of the verification of sessions."""

from django.contrib import admin
from django.urls import path

from chatbot.replays import session_check_views, views

console = admin.site.admin_view

urlpatterns = [
    path("admin/chatbot/flow/<int:flow_id>/replays/", console(views.index), name="flow_replays"),
    path(
        "admin/chatbot/flow/<int:flow_id>/replays/<int:replay_id>/",
        console(views.page),
        name="flow_replay",
    ),
    path(
        "admin/chatbot/flow/<int:flow_id>/replays/<int:replay_id>/state/",
        console(views.state),
        name="flow_replay_state",
    ),
    path(
        "admin/chatbot/flow/<int:flow_id>/replays/<int:replay_id>/cancel/",
        console(views.cancel),
        name="flow_replay_cancel",
    ),
    path(
        "admin/chatbot/flow/<int:flow_id>/replays/<int:replay_id>/<int:difference_id>/",
        console(views.difference),
        name="flow_replay_difference",
    ),
    path(
        "admin/chatbot/session-checks/", console(session_check_views.index), name="session_checks"
    ),
    path(
        "admin/chatbot/session-checks/state/",
        console(session_check_views.state),
        name="session_checks_state",
    ),
    path(
        "admin/chatbot/session-checks/<int:check_id>/cancel/",
        console(session_check_views.cancel),
        name="session_check_cancel",
    ),
]
