"""What every page of a person depends on: their language, what it may show them, how long nobody
used the login, and whether it still owes a code."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.middleware import get_user
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _

from users import activity, contact, two_factor
from users.models import User

EXPIRED = "expirou"  # in the address of the login page
API = "/api/"


class UserLanguageMiddleware:
    """Stands right after AuthenticationMiddleware.

    Without a session cookie nobody is logged in, and `request.user` is not touched: the webhook
    runs no statement here.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language, who = _language(request), _who(request)
        with translation.override(language, deactivate=True), contact.seen_by(who):
            return self.get_response(request)


class LoginIdleMiddleware:
    """Ends a login that nobody has used for LOGIN_IDLE_HOURS, and tells htmx to take the whole page
    to the login where a plain request would be led there. Stands after UserLanguageMiddleware and
    before LoginRequiredMiddleware.

    Views marked `@background` are no use. Views that need no login go on as a stranger's; others
    lead to the login page, and back from there. Without a session cookie (webhook, API tokens) no
    statement is run.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_led_away = response.status_code == HTTPStatus.FOUND and _is_htmx(request)
        if is_led_away and response["Location"].startswith(resolve_url(settings.LOGIN_URL)):
            return _to_login(request, {})
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if not _is_logged_in(request):
            return None
        at = timezone.now()
        if activity.is_expired(request, at):
            logout(request)
            needs_login = getattr(view, "login_required", True)
            return _to_login(request, {EXPIRED: "1"}) if needs_login else None
        if not getattr(view, "is_background", False):
            activity.note(request, at)
        return None


class TwoFactorMiddleware:
    """With REQUIRE_2FA an admin goes nowhere before the login has given a code: to the page that
    sets an app up, or, with an app, back to the login. Stands behind LoginIdleMiddleware.

    Views marked `@without_code` are that page's own. A login that gave its code costs no statement.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if not settings.REQUIRE_2FA or not _is_logged_in(request):
            return None
        is_api = request.path.startswith(API)  # its views ask by themselves who is there
        needs_login = is_api or getattr(view, "login_required", True)
        is_open = getattr(view, "is_without_code", False) or request.path == reverse("admin:logout")
        if not needs_login or is_open or not two_factor.is_owed(request):
            return None
        if is_api:
            said = _("Log in to the console with the code of your app first.")
            return JsonResponse({"code": "code_needed", "detail": said}, status=403)
        if two_factor.has_app(request.user):  # type: ignore[arg-type]  # somebody is logged in
            logout(request)
            return _to_login(request, {})
        if _is_htmx(request):
            return HttpResponse(status=401, headers={"HX-Redirect": reverse("two_factor_setup")})
        return HttpResponseRedirect(reverse("two_factor_setup"))


def _who(request: HttpRequest) -> User | None:
    """Whoever is logged in; an API token says later whom it stands for."""
    return request.user if _is_logged_in(request) else None  # type: ignore[return-value]  # not anonymous


def _language(request: HttpRequest) -> str:
    if not _is_logged_in(request):
        return settings.LANGUAGE_CODE
    if hasattr(request, "session"):
        request.user = get_user(request)  # no promise any more: a page asks a thousand times
    return request.user.language or settings.LANGUAGE_CODE  # type: ignore[union-attr]  # not anonymous


def _is_logged_in(request: HttpRequest) -> bool:
    return settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated


def _is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def _to_login(request: HttpRequest, query: dict[str, str]) -> HttpResponse:
    """What was asked for by a link is where the login leads back to; of a form, the page it stood
    on. htmx takes the whole page there."""
    query = {**query, REDIRECT_FIELD_NAME: _page(request)}
    address = f"{resolve_url(settings.LOGIN_URL)}?{urlencode(query)}"
    if not _is_htmx(request):
        return HttpResponseRedirect(address)
    return HttpResponse(status=401, headers={"HX-Redirect": address})


def _page(request: HttpRequest) -> str:
    if request.method in {"GET", "HEAD"} and not _is_htmx(request):
        return request.get_full_path()
    shown = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    hosts = {request.get_host()}
    if not url_has_allowed_host_and_scheme(shown, hosts, require_https=request.is_secure()):
        return reverse("admin:index")
    parts = urlsplit(shown)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
