"""Role → Django permission. No groups, no rows per person: nothing can drift from the role."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from users.contact import READ_AS, RULES
from users.frozen import Frozen
from users.models import Role, TeamRules, User
from users.permissions import ATTENDANT_PERMISSIONS, role_permissions


class RolePermissionBackend(ModelBackend):
    """Logs in by user name and password; answers what a role may do without a statement."""

    def get_user(self, user_id: int) -> User | None:
        user: User | None = _PERSON.first(pk=user_id)
        return user if self.user_can_authenticate(user) else None

    def get_user_permissions(
        self, user_obj: User | AnonymousUser, obj: Model | None = None
    ) -> set[str]:
        if not isinstance(user_obj, User) or not user_obj.is_active or obj is not None:
            return set()
        granted = None if user_obj.is_superuser else role_permissions(user_obj)
        return set(every_permission() if granted is None else granted)

    def get_group_permissions(
        self, user_obj: User | AnonymousUser, obj: Model | None = None
    ) -> set[str]:
        return set()

    def get_all_permissions(
        self, user_obj: User | AnonymousUser, obj: Model | None = None
    ) -> set[str]:
        return self.get_user_permissions(user_obj, obj)

    def has_perm(self, user_obj: User | AnonymousUser, perm: str, obj: Model | None = None) -> bool:
        if not isinstance(user_obj, User) or not user_obj.is_active or obj is not None:
            return False
        return user_obj.is_admin or perm in (role_permissions(user_obj) or ())

    def has_module_perms(self, user_obj: User | AnonymousUser, app_label: str) -> bool:
        if not isinstance(user_obj, User) or not user_obj.is_active:
            return False
        granted = role_permissions(user_obj) or ()
        return user_obj.is_admin or any(name.startswith(f"{app_label}.") for name in granted)

    def with_perm(
        self,
        perm: Any,
        is_active: bool = True,
        include_superusers: bool = True,
        obj: Model | None = None,
    ) -> QuerySet[User]:
        roles = [Role.ADMIN, *([Role.ATTENDANT] if str(perm) in ATTENDANT_PERMISSIONS else [])]
        people = User.objects.filter(
            Q(role__in=roles) | Q(is_superuser=True) if include_superusers else Q(role__in=roles)
        )
        return people.filter(is_active=is_active) if obj is None else people.none()


def _with_rules() -> QuerySet[User]:
    """People together with what the rules of the team hide: each page asks for it."""
    told = {
        READ_AS + name: Coalesce(Subquery(TeamRules.objects.values(name)[:1]), Value(False))
        for name in RULES.values()
    }
    return User.objects.annotate(**told)


_PERSON = Frozen(lambda _shape, pk: _with_rules().filter(pk=pk))


@cache
def every_permission() -> frozenset[str]:
    """What Django would have a row for: the default and the declared permissions of each model."""
    return frozenset(
        f"{options.app_label}.{codename}"
        for options in (model._meta for model in apps.get_models())
        for codename in (
            *(get_permission_codename(verb, options) for verb in options.default_permissions),
            *(codename for codename, _name in options.permissions),
        )
    )
