from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class UsersConfig(AppConfig):
    name = "users"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("people and departments")

    def ready(self) -> None:
        from users import schema  # noqa: F401, PLC0415  # registers itself once models are loaded
