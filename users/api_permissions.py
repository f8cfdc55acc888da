"""Who may call the API. Imports no view: the REST framework reads this module while it loads."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.request import Request

from users import confirming, tokens
from users.models import ApiToken

METHOD_VERBS = {"PUT": "change", "PATCH": "change", "DELETE": "delete"}


class HasScope(IsAuthenticated):
    """The token's scope (a session needs staff instead), and the permission of the person's role.

    A view names its resource in `scope` ("leads"). The permission is the method's verb on the
    model of `get_queryset()`: view, add, change, delete; a POST on one record is a change. A view
    or an @action that needs another one says so in `needs` ("leads.add_note"; "" for none), which
    the viewset declares as `needs: str | None = None`. Actions that stand in its `confirms` ask the
    login of a browser to be a fresh one (users.confirming); a token was made for what it does.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        return (
            super().has_permission(request, view)
            and _caller_may(request, view)
            and _role_may(request, view)
            and _is_fresh(request, view)
        )


def _caller_may(request: Request, view: Any) -> bool:
    if not isinstance(request.auth, ApiToken):
        return bool(request.user.is_staff)
    verb = "read" if request.method in SAFE_METHODS else "write"
    return tokens.allows(request.auth.scopes, getattr(view, "scope", ""), verb)


def _role_may(request: Request, view: Any) -> bool:
    needed = getattr(view, "needs", None)
    if needed is None:
        needed = _permission_of(request, view)
    return not needed or request.user.has_perm(needed)


def _is_fresh(request: Request, view: Any) -> bool:
    """Raises NotConfirmed otherwise, which says what to do."""
    is_dangerous = getattr(view, "action", None) in getattr(view, "confirms", ())
    if is_dangerous and not isinstance(request.auth, ApiToken):
        confirming.need(request._request)
    return True


def _permission_of(request: Request, view: Any) -> str:
    if not hasattr(view, "get_queryset"):
        return ""
    options = view.get_queryset().model._meta
    return f"{options.app_label}.{_verb(request, view)}_{options.model_name}"


def _verb(request: Request, view: Any) -> str:
    method = request.method or ""
    if method in SAFE_METHODS:
        return "view"
    if method == "POST":
        return "change" if getattr(view, "detail", False) else "add"
    return METHOD_VERBS.get(method, "change")
