"""The way in for somebody new: a link by e-mail that works once, for a few days.

The link belongs to the moment of the invitation (`User.invited_at`): one more invitation, its
withdrawal and its use each make every earlier link worthless. Nobody is active before they have
chosen a password, so an invited admin is no admin yet.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.crypto import constant_time_compare
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _

from users import services
from users.models import Role, User

GOOD_FOR = timedelta(days=3)
_NOT_IN_A_NAME = re.compile(r"[^\w.@+-]")
logger = logging.getLogger(__name__)


class InvitationTokens(PasswordResetTokenGenerator):
    """One token for each invitation, however often its link is shown; good for GOOD_FOR from the
    invitation on, which is longer than the link to a new password."""

    key_salt = "users.invitations"

    def make_token(self, user: Any) -> str:
        return self._made_with(self.secret, user)

    def check_token(self, user: Any, token: str | None) -> bool:
        if user is None or not user.is_invited or not token or is_over(user, timezone.now()):
            return False
        secrets = [self.secret, *self.secret_fallbacks]
        return any(constant_time_compare(self._made_with(one, user), token) for one in secrets)

    def _made_with(self, secret: str | bytes, user: Any) -> str:
        begun = timezone.make_naive(user.invited_at, timezone.get_default_timezone())
        token: str = self._make_token_with_timestamp(user, self._num_seconds(begun), secret)
        return token

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        begun = user.invited_at.isoformat()
        return f"{super()._make_hash_value(user, timestamp)}{begun}{user.is_active}"


tokens = InvitationTokens()


def ends_at(user: User) -> datetime | None:
    """Until when the open invitation is good."""
    if user.invited_at is None:
        return None
    return user.invited_at + GOOD_FOR


def is_over(user: User, at: datetime) -> bool:
    """Was the invitation not taken up in time?"""
    end = ends_at(user)
    return end is not None and end <= at


def link_to(user: User) -> str:
    """The whole address for somebody who is invited. Whoever has it may come in as them."""
    key = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("invitation", kwargs={"uidb64": key, "token": tokens.make_token(user)})
    return settings.SITE_URL.rstrip("/") + path


@transaction.atomic
def invite(  # noqa: PLR0913  # keyword-only
    *,
    email: str,
    fields: Mapping[str, Any],
    role: str = Role.ATTENDANT,
    places: services.Places | None = None,
    at: datetime,
    actor: User,
) -> User:
    """Somebody new, who is to come in by the link. Their user name is the e-mail address, unless
    somebody has it. The mail is sent by `send`, after commit."""
    user = User(role=role, email=email, username=_free_name(email), is_active=False)
    for name, value in fields.items():
        if name not in services.PROFILE_FIELDS:
            raise ValueError(f"not a field of the profile: {name}")
        setattr(user, name, value)
    user.set_unusable_password()
    services.add_user(user, actor=actor)
    (places or services.Places()).write(user)
    return services.begin_invitation(user, at=at, actor=actor)


def send(user: User, *, by: User) -> bool:
    """Mail the link of the open invitation. False: the mail server took it not; the link is good
    all the same."""
    with translation.override(user.language or settings.LANGUAGE_CODE):
        context = {"person": user, "by": by, "link": link_to(user), "ends_at": ends_at(user)}
        subject = _("[Atende] Your invitation to the team")
        text = render_to_string("users/invitation_mail.txt", context)
    try:
        EmailMessage(subject, text, to=[user.email]).send()
    except (OSError, SMTPException):
        logger.warning("the invitation of user %s could not be mailed", user.pk, exc_info=True)
        return False
    return True


def _free_name(email: str) -> str:
    """The address, or with a number behind it where somebody inactive still has it."""
    name, number = _NOT_IN_A_NAME.sub("", email.lower())[:140], 2
    taken = set(User.objects.filter(username__istartswith=name).values_list("username", flat=True))
    taken = {one.lower() for one in taken}
    found = name
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    return found
