"""Dangerous acts ask again who is there: the password, and the code of those who have an app.

It holds for ten minutes, and a login counts. The page that asks carries what was posted along, so
that nothing has to be done twice; it posts to the address that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

from django.contrib import admin
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from users import audit, login_history, two_factor
from users.errors import DomainError
from users.models import LoginEventKind
from users.permissions import person

View = TypeVar("View", bound=Callable[..., Any])

LASTS = timedelta(minutes=10)
CONFIRMED_AT = "confirmed_at"  # in the login session: seconds since 1970
ASKED, PASSWORD, CODE = "confirm_asked", "confirm_password", "confirm_code"
ACT, PAGE = "act", "page"  # what was asked for: a form that was posted, or an address
OURS = (ASKED, PASSWORD, CODE, "csrfmiddlewaretoken")
LONGEST_PASSWORD = 4096  # as Django's own forms take it


def is_confirmed(request: HttpRequest, at: datetime) -> bool:
    """Has whoever is there said who they are within the last ten minutes?"""
    last = request.session.get(CONFIRMED_AT)
    return last is not None and 0 <= at.timestamp() - last < LASTS.total_seconds()


def confirmed(*, download: bool = False) -> Callable[[View], View]:
    """Only for whoever has confirmed who they are. `download`: a GET gives a file, so the page that
    asked stays and says that it is coming. Stands inside `admin_view`."""

    def decorate(view: View) -> View:
        @wraps(view)
        @sensitive_post_parameters(PASSWORD, CODE)
        def asking(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return ask(request, download=download) or view(request, *args, **kwargs)

        return asking  # type: ignore[return-value]  # a wrapper of the view

    return decorate


def ask(request: HttpRequest, *, download: bool = False) -> HttpResponse | None:
    """The page that asks who is there; None: it is known, and `request.POST` holds what was posted
    in the first place."""
    asked = request.POST.get(ASKED) if request.method == "POST" else None
    if asked is None:
        return None if is_confirmed(request, timezone.now()) else _page(request)
    try:
        _check(request)
    except DomainError as refusal:
        return _page(request, refusal.message)
    if asked == PAGE:
        return _lead_on(request, download=download)
    request.POST = _carried(request)  # type: ignore[assignment]  # the stubs forbid it, Django does not
    return None


def need(request: HttpRequest) -> None:
    """For programs that use the login of a browser. Raises NotConfirmed."""
    if not is_confirmed(request, timezone.now()):
        raise NotConfirmed(_("Confirm in the console who you are, and try again."))


class NotConfirmed(DomainError):
    """The login is too old for what was asked."""

    code = "not_confirmed"
    status = 403


@receiver(user_logged_in)
def begin(request: HttpRequest | None, **_signal: Any) -> None:
    """Whoever has just logged in has said who they are."""
    if request is not None and hasattr(request, "session"):
        request.session[CONFIRMED_AT] = int(timezone.now().timestamp())


def _check(request: HttpRequest) -> None:
    """Wrong passwords count as those of a login do, and lock out as they do."""
    user = person(request)
    password, code = request.POST.get(PASSWORD, ""), request.POST.get(CODE, "")
    posted, request.POST = request.POST, QueryDict()  # axes keeps what is posted
    given = {"username": user.get_username(), "password": password[:LONGEST_PASSWORD]}
    try:
        with audit.quiet():  # a hash that is only written anew is no new password
            found = authenticate(request, **given)
    finally:
        request.POST = posted
    if found is None or found.pk != user.pk:
        raise DomainError(_("This is not your password."), code="wrong_password")
    if two_factor.has_app(user):
        two_factor.check(request, user, code)
    request.session[CONFIRMED_AT] = int(timezone.now().timestamp())
    login_history.record(LoginEventKind.CONFIRMED, request, user=user)


def _page(request: HttpRequest, error: str = "") -> HttpResponse:
    is_act = request.method == "POST" and request.POST.get(ASKED) != PAGE
    carried = _carried(request) if is_act else QueryDict()
    context = {
        **admin.site.each_context(request),
        "title": _("Confirm that it is you"),
        "error": error,
        "asked": ACT if is_act else PAGE,
        "carried": [(name, value) for name, values in carried.lists() for value in values],
        "loses_files": bool(request.FILES),
        "needs_code": two_factor.has_app(person(request)),
        "address": request.get_full_path(),
    }
    answer = TemplateResponse(request, "users/confirm.html", context)
    add_never_cache_headers(answer)
    return answer


def _lead_on(request: HttpRequest, *, download: bool) -> HttpResponse:
    """To the page that was asked for, which is at the same address."""
    address = request.get_full_path()
    if not download:
        return HttpResponseRedirect(address)
    context = {
        **admin.site.each_context(request),
        "title": _("The file is coming"),
        "address": address,
    }
    return TemplateResponse(request, "users/coming.html", context)


def _carried(request: HttpRequest) -> QueryDict:
    posted = request.POST.copy()
    for name in OURS:
        posted.pop(name, None)
    return posted
