from django.contrib import admin
from django.utils.translation import gettext_lazy as _


class ConsoleSite(admin.AdminSite):
    """The console where attendants and admins work."""

    site_header = "Atende"
    site_title = "Atende"
    index_title = _("Console")
