"""The language of a page is the person's own setting, never the browser's."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation


class UserLanguageMiddleware:
    """Stands right after AuthenticationMiddleware.

    Without a session cookie nobody is logged in, and `request.user` is not touched: the webhook
    runs no statement here.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with translation.override(_language(request), deactivate=True):
            return self.get_response(request)


def _language(request: HttpRequest) -> str:
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
        return settings.LANGUAGE_CODE
    return request.user.language or settings.LANGUAGE_CODE
