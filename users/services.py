"""What happens to people and tokens. Nobody raises anyone above themselves; one admin stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from users import audit, logins, tokens
from users.errors import DomainError
from users.models import ApiToken, Availability, Department, Role, Skill, TeamRules, User
from users.signals import user_deactivated

PROFILE_FIELDS = frozenset(
    {
        *("username", "first_name", "last_name", "email", "signature"),
        *("capacity", "calendar", "language", "single_keys"),
    }
)

LONGEST_REASON = 60
SAID = ("availability", "pause_reason")  # what the audit keeps when an admin says it for others
EMAIL_CONSTRAINT = "users_user_email"


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


@dataclass(frozen=True)
class Places:
    """Where somebody works, what they supervise and what they can do; None: as it is."""

    departments: Iterable[Department] | None = None
    supervised: Iterable[Department] | None = None
    skills: Iterable[Skill] | None = None

    def write(self, user: User) -> None:
        if self.departments is not None:
            user.departments.set(self.departments)
        if self.supervised is not None:
            user.supervised_departments.set(self.supervised)
        if self.skills is not None:
            user.skills.set(self.skills)


@transaction.atomic
def create_user(
    *,
    fields: Mapping[str, Any],
    role: str = Role.ATTENDANT,
    password: str | None = None,
    places: Places | None = None,
    actor: User | None,
) -> User:
    """A person who may log in to the console; without a password, once one is set."""
    user = User(role=role, **_profile(fields))
    user.set_password(password)
    add_user(user, actor=actor)
    (places or Places()).write(user)
    return user


@transaction.atomic
def add_user(user: User, *, actor: User | None) -> User:
    """Save somebody who is not saved yet."""
    _check_may_manage(actor, user)
    user.is_staff = True
    with unique_person():
        user.save(force_insert=True)
    return user


@transaction.atomic
def update_user(
    user: User,
    *,
    fields: Mapping[str, Any],
    places: Places | None = None,
    actor: User | None,
) -> User:
    """Change the profile, also one's own; role, availability and access have their functions."""
    if actor is None or actor.pk != user.pk:
        _check_may_manage(actor, user)
    for name, value in _profile(fields).items():
        setattr(user, name, value)
    if fields:
        with unique_person():
            user.save(update_fields=list(fields))
    (places or Places()).write(user)
    return user


@transaction.atomic
def change_role(user: User, *, role: str, actor: User | None) -> User:
    """Make an attendant an admin or the other way round."""
    user.refresh_from_db(fields=["role"])
    if role == user.role:
        return user
    _lock_admins(user, actor)
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
    logins.end_all(user)
    return user


@transaction.atomic
def set_superuser(user: User, *, is_superuser: bool, actor: User | None) -> User:
    """Put somebody above all admins, or take them down again. Only superusers can."""
    _check_may_manage(actor, User(is_superuser=True))
    _lock_admins(user, actor)
    _check_may_manage(actor, User(is_superuser=True))
    if not is_superuser and user.role != Role.ADMIN:
        _check_admin_left(without=user)
    user.is_superuser = is_superuser
    user.save(update_fields=["is_superuser"])
    return user


@transaction.atomic
def deactivate_user(user: User, *, actor: User | None, at: datetime) -> User:
    """Take away the access: no login, no running session, no token; offline. History stays.

    What they had in hand returns to its queue: the apps above do it on `user_deactivated`, which
    is sent before, so that conversations are locked before people, and once more for what was
    given to them meanwhile. An open invitation is withdrawn.
    """
    _check_may_manage(actor, user)
    if not User.objects.filter(pk=user.pk, is_active=True).exists():
        withdraw_invitation(user, actor=actor)
        return user
    user_deactivated.send(sender=User, user=user, at=at)
    _lock_admins(user, actor)
    _check_admin_left(without=user)
    if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        return user
    user.is_active = False
    audit.changed(user, {"is_active": True}, {"is_active": False})
    set_availability(user, availability=Availability.OFFLINE, at=at)
    for token in ApiToken.objects.filter(user=user, revoked_at=None):
        revoke_token(token, at=at)
    logins.end_all(user)
    user_deactivated.send(sender=User, user=user, at=at)
    return user


@transaction.atomic
def activate_user(user: User, *, actor: User | None) -> User:
    """Give the access back; revoked tokens stay revoked. Who has no password is invited instead."""
    _lock_admins(user, actor)
    if not user.has_usable_password():
        raise DomainError(
            _("%(name)s has no password yet. Send them an invitation instead.") % {"name": user},
            code="no_password",
        )
    user.is_active, user.invited_at = True, None
    with unique_person():
        user.save(update_fields=["is_active", "invited_at"])
    return user


@transaction.atomic
def begin_invitation(user: User, *, at: datetime, actor: User | None) -> User:
    """From now on they come in by the link that belongs to this moment, and by no earlier one."""
    _check_may_manage(actor, user)
    is_open = Q(invited_at=None) | Q(invited_at__lt=at)
    with unique_person():
        begun = User.objects.filter(is_open, pk=user.pk, is_active=False).update(invited_at=at)
    if not begun:
        raise DomainError(
            _("%(name)s has access already, or was invited just now.") % {"name": user},
            code="not_invitable",
        )
    user.refresh_from_db(fields=["invited_at"])
    audit.acted(user, audit.INVITED)
    return user


@transaction.atomic
def withdraw_invitation(user: User, *, actor: User | None) -> bool:
    """The link that was sent opens nothing any more. False: there was no open invitation."""
    _check_may_manage(actor, user)
    withdrawn = User.objects.filter(pk=user.pk, is_active=False).exclude(invited_at=None)
    changed = withdrawn.update(invited_at=None)
    user.invited_at = None
    if changed:
        audit.acted(user, audit.UNINVITED)
    return bool(changed)


@transaction.atomic
def accept_invitation(user: User, *, password: str, first_name: str, last_name: str) -> User:
    """Whoever was invited comes in with a name and a password: once, if the invitation that
    `user` was read with is still the open one."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise DomainError(" ".join(error.messages), code="weak_password", status=400) from error
    user.set_password(password)
    values = {
        "password": user.password,
        "first_name": first_name,
        "last_name": last_name,
        "is_active": True,
        "invited_at": None,
    }
    invited = User.objects.filter(pk=user.pk, is_active=False, invited_at=user.invited_at)
    with unique_person():
        accepted = invited.exclude(invited_at=None).update(**values)
    if not accepted:
        raise DomainError(_("This invitation is not open any more."), code="invitation_closed")
    user.refresh_from_db()
    audit.acted(user, audit.JOINED, by=user)
    return user


@transaction.atomic
def set_availability(
    user: User,
    *,
    availability: str,
    at: datetime,
    reason: str = "",
    actor: User | None = None,
) -> bool:
    """May this person get tickets now? They say so themselves, or an admin; a break may have a
    `reason`. False: no change."""
    if actor is not None and actor.pk != user.pk:
        _check_may_manage(actor, user)
    reason = reason.strip()[:LONGEST_REASON] if availability == Availability.PAUSED else ""
    values = {"availability": availability, "pause_reason": reason, "offline_by_silence": False}
    changed = User.objects.filter(pk=user.pk).exclude(**values)
    before = {name: getattr(user, name) for name in SAID}
    count = changed.update(**values, availability_changed_at=at)
    user.refresh_from_db(fields=[*values, "availability_changed_at"])
    if actor is not None and actor.pk != user.pk:
        audit.changed(user, before, {name: values[name] for name in SAID})
    return bool(count)


def put_silent_offline(*, now: datetime) -> int:
    """Whoever is available and has given no sign for as long as the team allows is offline. How
    many there were; they are told when they come back."""
    minutes = TeamRules.current().offline_after_minutes
    if minutes is None:
        return 0
    since = now - timedelta(minutes=minutes)
    is_silent = Q(last_active_at=None) | Q(last_active_at__lt=since)
    said_it_long_ago = Q(availability_changed_at=None) | Q(availability_changed_at__lt=since)
    people = User.objects.active().filter(availability=Availability.AVAILABLE)
    count: int = people.filter(is_silent, said_it_long_ago).update(
        availability=Availability.OFFLINE, availability_changed_at=now, offline_by_silence=True
    )
    return count


@transaction.atomic
def make_fallback(department: Department) -> Department:
    """From now on this one receives the tickets that name no department."""
    _lock_departments(department)
    if not department.is_active:
        raise DomainError(_("An inactive department cannot be the fallback."), code="inactive")
    for older in Department.objects.filter(is_fallback=True).exclude(pk=department.pk):
        older.is_fallback = False
        older.save(update_fields=["is_fallback"])
    department.is_fallback = True
    department.save(update_fields=["is_fallback"])
    return department


@transaction.atomic
def update_department(department: Department, *, fields: Mapping[str, Any]) -> Department:
    """Change name, slug, calendar, activity or sharing. The fallback stays active, and so does a
    department with open tickets."""
    if fields.get("is_active") is False:
        _lock_departments(department)
        _check_may_close(department)
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
    if expires_at is not None and tokens.lives_too_long(expires_at, timezone.now()):
        raise DomainError(str(tokens.TOO_LONG), code="too_far", status=400)
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
def revoke_token(token: ApiToken, *, at: datetime, actor: User | None = None) -> ApiToken:
    """From now on the token opens nothing. Cannot be undone. One's own, or of somebody whom
    `actor` may manage (NotAllowed)."""
    if actor is not None and actor.pk != token.user_id:
        _check_may_manage(actor, token.user)
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=at):
        audit.changed(token, {"revoked_at": None}, {"revoked_at": at})
    token.refresh_from_db(fields=["revoked_at"])
    return token


def _profile(fields: Mapping[str, Any]) -> dict[str, Any]:
    refused = set(fields) - PROFILE_FIELDS
    if refused:
        raise ValueError(f"not a field of the profile: {', '.join(sorted(refused))}")
    return dict(fields)


@contextmanager
def unique_person() -> Iterator[None]:
    """What the database refuses in it is said as a sentence."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if EMAIL_CONSTRAINT in str(error):
            text = _("Somebody else already has this e-mail address.")
            raise DomainError(text, code="email_taken") from error
        raise DomainError(_("This user name is taken."), code="username_taken") from error


def _lock_departments(department: Department) -> None:
    """Lock all of them, which are few, in id order; afterwards whether this one is active and the
    fallback is as stored. Two who choose a fallback go one after the other by this."""
    rows = Department.objects.order_by("pk").select_for_update(no_key=True, of=("self",))
    locked = {one.pk: one for one in rows}
    stored = locked[department.pk]
    department.is_fallback, department.is_active = stored.is_fallback, stored.is_active


def _check_may_close(department: Department) -> None:
    """What waits in the queue of a department that is not active would be forgotten."""
    if department.is_fallback:
        raise DomainError(
            _("This department is the fallback. Make another one the fallback first."),
            code="fallback_department",
        )
    tickets: Any = department.tickets  # of the app above
    count = tickets.real().open().count() if department.is_active else 0
    if count:
        text = ngettext(
            "%(department)s has %(count)d open ticket. Transfer or resolve it first.",
            "%(department)s has %(count)d open tickets. Transfer or resolve them first.",
            count,
        )
        told = {"department": department, "count": count}
        raise DomainError(text % told, code="has_open_tickets")


def _check_may_manage(actor: User | None, user: User) -> None:
    if not may_manage(actor, user):
        raise NotAllowed(_("You may not manage people who stand above you."))


def _lock_admins(user: User, actor: User | None) -> None:
    """Lock all active admins and `user`, in id order, and look again whether the actor may manage
    them: another admin may have just taken the right away. Afterwards `user` is as it is stored.

    Two who demote or deactivate each other at once go one after the other by this.
    """
    admins = Q(is_active=True) & (Q(role=Role.ADMIN) | Q(is_superuser=True))
    rows = User.objects.filter(admins | Q(pk=user.pk)).order_by("pk")
    locked = {one.pk: one for one in rows.select_for_update(no_key=True, of=("self",))}
    if actor is not None:
        _check_may_manage(locked.get(actor.pk, User()), locked[user.pk])
    user.refresh_from_db(fields=["role", "is_superuser", "is_active", "password"])


def _check_admin_left(*, without: User) -> None:
    """Refuse if `without` is the last active admin who can log in; admins are locked."""
    others = User.objects.active().admins().exclude(pk=without.pk)
    # Who has no password, an integration for instance, cannot log in.
    others = others.exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)
    if without.is_admin and not others.exists():
        raise LastAdmin(_("This is the last active administrator. Make somebody else one first."))
