from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _


class UsersConfig(AppConfig):
    name = "users"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("people and departments")

    def ready(self) -> None:
        # Once models are loaded; the schema and the receivers register themselves.
        from users import (  # noqa: PLC0415
            activity,  # noqa: F401
            audited,
            confirming,  # noqa: F401
            connections,
            login_history,  # noqa: F401
            logins,  # noqa: F401
            schema,  # noqa: F401
            text_search,
        )

        audited.watch_all()
        connections.trust_quiet_connections()
        connection_created.connect(text_search.give_sqlite_fold)
