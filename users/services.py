"""What happens to people and tokens. Nobody raises anyone above themselves; one admin stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from users import tokens
from users.errors import DomainError
from users.models import ApiToken, Availability, Department, Role, User
from users.signals import user_deactivated

PROFILE_FIELDS = frozenset(
    {"username", "first_name", "last_name", "email", "capacity", "language", "signature"}
)


class NotAllowed(DomainError):
    """The actor may not do this to that person."""

    code = "not_allowed"
    status = 403


class LastAdmin(DomainError):
    """Without this person nobody could manage the system."""

    code = "last_admin"


def rank(user: User) -> int:
    """Who stands above whom: attendant, admin, superuser."""
    if user.is_superuser:
        return 2
    return 1 if user.role == Role.ADMIN else 0


def may_manage(actor: User | None, user: User) -> bool:
    """Admins manage those who do not stand above them. `actor` None: a command on the server."""
    return actor is None or (actor.is_admin and rank(user) <= rank(actor))


@transaction.atomic
def create_user(
    *,
    fields: Mapping[str, Any],
    role: str = Role.ATTENDANT,
    password: str | None = None,
    departments: Iterable[Department] = (),
    actor: User | None,
) -> User:
    """A person who may log in to the console; without a password, once one is set."""
    user = User(role=role, **_profile(fields))
    user.set_password(password)
    try:
        with transaction.atomic():
            add_user(user, actor=actor)
    except IntegrityError as error:
        raise DomainError(_("This user name is taken."), code="username_taken") from error
    user.departments.set(departments)
    return user


def add_user(user: User, *, actor: User | None) -> User:
    """Save somebody who is not saved yet."""
    _check_may_manage(actor, user)
    user.is_staff = True
    user.save(force_insert=True)
    return user


@transaction.atomic
def update_user(
    user: User,
    *,
    fields: Mapping[str, Any],
    departments: Iterable[Department] | None = None,
    actor: User | None,
) -> User:
    """Change the profile, also one's own; role, availability and access have their functions."""
    if actor is None or actor.pk != user.pk:
        _check_may_manage(actor, user)
    for name, value in _profile(fields).items():
        setattr(user, name, value)
    if fields:
        user.save(update_fields=list(fields))
    if departments is not None:
        user.departments.set(departments)
    return user


@transaction.atomic
def change_role(user: User, *, role: str, actor: User | None) -> User:
    """Make an attendant an admin or the other way round."""
    user.refresh_from_db(fields=["role", "is_superuser", "is_active"])
    if role == user.role:
        return user
    _check_may_manage(actor, user)
    _check_may_manage(actor, User(role=role, is_superuser=user.is_superuser))
    if role != Role.ADMIN:
        _check_admin_left(without=user)
    user.role = role
    user.save(update_fields=["role"])
    return user


@transaction.atomic
def set_password(user: User, *, password: str, actor: User | None) -> User:
    """Set a new password; sessions begun with the old one end."""
    _check_may_manage(actor, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    return user


@transaction.atomic
def set_superuser(user: User, *, is_superuser: bool, actor: User | None) -> User:
    """Put somebody above all admins, or take them down again. Only superusers can."""
    _check_may_manage(actor, User(is_superuser=True))
    if not is_superuser and user.role != Role.ADMIN:
        _check_admin_left(without=user)
    user.is_superuser = is_superuser
    user.save(update_fields=["is_superuser"])
    return user


@transaction.atomic
def deactivate_user(user: User, *, actor: User | None, at: datetime) -> User:
    """Take away the access: no login, no running session, no token; offline. History stays.

    What they had in hand returns to its queue: the apps above do it on `user_deactivated`.
    """
    _check_may_manage(actor, user)
    _check_admin_left(without=user)
    if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        return user
    user.is_active = False
    set_availability(user, availability=Availability.OFFLINE, at=at)
    user.api_tokens.filter(revoked_at=None).update(revoked_at=at)
    user_deactivated.send(sender=User, user=user, at=at)
    return user


@transaction.atomic
def activate_user(user: User, *, actor: User | None) -> User:
    """Give the access back; revoked tokens stay revoked."""
    _check_may_manage(actor, user)
    user.is_active = True
    user.save(update_fields=["is_active"])
    return user


@transaction.atomic
def set_availability(
    user: User, *, availability: str, at: datetime, actor: User | None = None
) -> bool:
    """May this person get tickets now? They say so themselves, or an admin; False: no change."""
    if actor is not None and actor.pk != user.pk:
        _check_may_manage(actor, user)
    changed = (
        User.objects.filter(pk=user.pk)
        .exclude(availability=availability)
        .update(availability=availability, availability_changed_at=at)
    )
    user.refresh_from_db(fields=["availability", "availability_changed_at"])
    return bool(changed)


@transaction.atomic
def make_fallback(department: Department) -> Department:
    """From now on this one receives the tickets that name no department."""
    if not department.is_active:
        raise DomainError(_("An inactive department cannot be the fallback."), code="inactive")
    Department.objects.filter(is_fallback=True).exclude(pk=department.pk).update(is_fallback=False)
    department.is_fallback = True
    department.save(update_fields=["is_fallback"])
    return department


@transaction.atomic
def update_department(department: Department, *, fields: Mapping[str, Any]) -> Department:
    """Change name, slug, calendar, activity or sharing. The fallback stays active."""
    if department.is_fallback and fields.get("is_active") is False:
        raise DomainError(
            _("This department is the fallback. Make another one the fallback first."),
            code="fallback_department",
        )
    for name, value in fields.items():
        setattr(department, name, value)
    department.save(update_fields=list(fields))
    return department


@transaction.atomic
def create_token(
    user: User,
    *,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
    actor: User | None = None,
) -> tuple[ApiToken, str]:
    """A new token and its text, which is nowhere to be read again."""
    if actor is not None and actor.pk != user.pk:
        _check_may_manage(actor, user)
    unknown = [scope for scope in scopes if not tokens.is_scope(scope)]
    if unknown or not scopes:
        raise DomainError(
            _("Not a scope: %(scopes)s. Scopes look like leads:read or *:write.")
            % {"scopes": ", ".join(unknown) or "–"},
            code="bad_scope",
            status=400,
        )
    text = tokens.generate()
    token = ApiToken.objects.create(
        user=user,
        name=name,
        prefix=text.prefix,
        digest=tokens.digest(text.secret),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    return token, str(text)


@transaction.atomic
def revoke_token(token: ApiToken, *, at: datetime) -> ApiToken:
    """From now on the token opens nothing. Cannot be undone."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=at)
    token.refresh_from_db(fields=["revoked_at"])
    return token


def _profile(fields: Mapping[str, Any]) -> dict[str, Any]:
    refused = set(fields) - PROFILE_FIELDS
    if refused:
        raise ValueError(f"not a field of the profile: {', '.join(sorted(refused))}")
    return dict(fields)


def _check_may_manage(actor: User | None, user: User) -> None:
    if not may_manage(actor, user):
        raise NotAllowed(_("You may not manage people who stand above you."))


def _check_admin_left(*, without: User) -> None:
    """Refuse if `without` is the last active admin. Locks admins: two cannot both go at once."""
    admins = User.objects.active().admins().select_for_update(no_key=True, of=("self",))
    remaining = {admin.pk for admin in admins.order_by("pk")}
    if remaining == {without.pk}:
        raise LastAdmin(_("This is the last active administrator. Make somebody else one first."))
