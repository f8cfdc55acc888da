"""The API's router: every viewset of every app, under /api/v1/."""

from rest_framework.routers import SimpleRouter

from chatbot import api as chatbot
from leads.api import LeadViewSet
from sessions_app.api import ChannelViewSet, SessionViewSet
from tickets.api import TicketViewSet
from users.api import DepartmentViewSet, UserViewSet


class EitherSlashRouter(SimpleRouter):
    """Addresses with and without the closing slash: a redirected POST would become a GET."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"  # the constructor would turn it into "/"


router = EitherSlashRouter()
router.register("messages", chatbot.MessageViewSet, basename="message")
router.register("message-templates", chatbot.MessageTemplateViewSet, basename="message-template")
router.register("flow-logs", chatbot.FlowLogViewSet, basename="flow-log")
router.register("flows", chatbot.FlowViewSet, basename="flow")
router.register("leads", LeadViewSet, basename="lead")
router.register("sessions", SessionViewSet, basename="session")
router.register("tickets", TicketViewSet, basename="ticket")
router.register("channels", ChannelViewSet, basename="channel")
router.register("departments", DepartmentViewSet, basename="department")
router.register("users", UserViewSet, basename="user")
