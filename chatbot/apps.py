import importlib

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from chatbot.handlers import registry


class ChatbotConfig(AppConfig):
    name = "chatbot"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("chatbot")

    def ready(self) -> None:
        registry.autodiscover()
        importlib.import_module("chatbot.receivers")
        importlib.import_module("chatbot.audited").watch_all()
