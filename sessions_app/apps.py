from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SessionsConfig(AppConfig):
    name = "sessions_app"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("sessions")

    def ready(self) -> None:
        import_module("sessions_app.audited").watch_all()
