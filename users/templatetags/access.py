"""Parts of pages about the access of other people."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils import timezone

from users import clients, lockout, logins, services, two_factor
from users.models import User

register = template.Library()


@register.inclusion_tag("users/_person_access.html", takes_context=True)
def person_access(context: dict[str, Any], user: User) -> dict[str, Any]:
    """Where somebody is logged in, and whether with two steps, for whoever may manage them."""
    actor = context["request"].user
    is_shown = actor.is_admin and actor.pk != user.pk and services.may_manage(actor, user)
    if not is_shown:
        return {"is_shown": False}
    rows = [
        {"login": login, "browser": clients.browser_in_words(login.user_agent)}
        for login in logins.live_of(user, timezone.now())
    ]
    return {
        "is_shown": True,
        "person": user,
        "logins": rows,
        "has_app": two_factor.has_app(user),
        "csrf_token": context["csrf_token"],
    }


@register.inclusion_tag("users/_locked_out.html", takes_context=True)
def locked_out(context: dict[str, Any]) -> dict[str, Any]:
    """Who is locked out now, with the button that lets them in; for admins."""
    rows = lockout.locked_out(timezone.now()) if context["request"].user.is_admin else []
    return {"rows": rows, "csrf_token": context["csrf_token"]}
