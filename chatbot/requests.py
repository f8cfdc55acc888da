"""What a console page may rely on, beyond any request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    from users.models import User


class StaffRequest(HttpRequest):
    """A request that `admin_view` let through: somebody of the team is logged in."""

    user: User
    htmx: HtmxDetails
