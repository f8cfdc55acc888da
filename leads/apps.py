from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LeadsConfig(AppConfig):
    name = "leads"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("leads")

    def ready(self) -> None:
        import_module("leads.audited").watch_all()
