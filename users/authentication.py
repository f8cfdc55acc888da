"""How a program proves who it is: `Authorization: Bearer atd_<prefix>_<secret>`."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from users import contact, tokens
from users.models import ApiToken, User

KEYWORD = "Bearer"
NOBODY = tokens.digest("")


class ApiTokenAuthentication(BaseAuthentication):
    """`request.auth` is the ApiToken. Every refusal reads the same, whatever was wrong."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        header = get_authorization_header(request).decode("latin-1")
        keyword, _space, written = header.partition(" ")
        if keyword.lower() != KEYWORD.lower():
            return None
        at = timezone.now()
        token = _token_of(written.strip(), at)
        if token is None:
            raise AuthenticationFailed(_("The token is not valid, has expired or was revoked."))
        _note_use(token, at)
        contact.look(token.user)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return KEYWORD


def _token_of(written: str, at: datetime) -> ApiToken | None:
    text = tokens.parse(written)
    if text is None:
        return None
    token = ApiToken.objects.usable(at).select_related("user").filter(prefix=text.prefix).first()
    expected = token.digest if token else NOBODY
    return token if secrets.compare_digest(tokens.digest(text.secret), expected) else None


def _note_use(token: ApiToken, at: datetime) -> None:
    """At most one write a minute, and one writer when many requests notice at once."""
    stale_since = at - ApiToken.LAST_USED_EVERY
    if token.last_used_at is not None and token.last_used_at > stale_since:
        return
    is_stale = Q(last_used_at=None) | Q(last_used_at__lte=stale_since)
    ApiToken.objects.filter(is_stale, pk=token.pk).update(last_used_at=at)
