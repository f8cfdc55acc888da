"""The simulator, on its own and of each flow; test conversations."""

from django.contrib import admin
from django.urls import path

from chatbot.simulation import golden_views, views

console = admin.site.admin_view

ACTIONS = {
    "state": ("state", views.state),
    "say": ("say", views.say),
    "start-over": ("start_over", views.start_over),
    "again": ("again", views.again),
    "travel": ("travel", views.travel_on),
    "line": ("line", views.line),
    "result": ("result", views.result),
    "choose": ("choose", views.choose),
}
OWN = "admin/chatbot/simulator/"
OF_FLOW = "admin/chatbot/flow/<int:flow_id>/"

urlpatterns = [
    path(OWN, console(views.page), name="simulator"),
    path(f"{OWN}clear/", console(views.clear), name="simulator_clear"),
    path(f"{OF_FLOW}simulator/", console(views.page), name="flow_simulator"),
    path(f"{OF_FLOW}simulator/keep/", console(views.keep), name="flow_simulator_keep"),
    path(f"{OF_FLOW}try/", console(views.try_finding), name="flow_try"),
    path(f"{OF_FLOW}goldens/", console(golden_views.page), name="flow_goldens"),
    path(
        f"{OF_FLOW}goldens/<int:golden_id>/change/",
        console(golden_views.change),
        name="flow_golden_change",
    ),
    path(
        f"{OF_FLOW}goldens/<int:golden_id>/accept/",
        console(golden_views.accept),
        name="flow_golden_accept",
    ),
    path(
        f"{OF_FLOW}goldens/<int:golden_id>/delete/",
        console(golden_views.delete),
        name="flow_golden_delete",
    ),
]
for word, (name, view) in ACTIONS.items():
    urlpatterns += [
        path(f"{OWN}{word}/", console(view), name=f"simulator_{name}"),
        path(f"{OF_FLOW}simulator/{word}/", console(view), name=f"flow_simulator_{name}"),
    ]
