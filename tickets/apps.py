from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TicketsConfig(AppConfig):
    name = "tickets"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("tickets")

    def ready(self) -> None:
        import_module("tickets.receivers")
        import_module("tickets.audited").watch_all()
