"""People with fixed roles: Ana is an admin, Bia attends in sales, Caio in support, which Eva, who
attends in sales, supervises."""

from __future__ import annotations

from typing import Any

from model_bakery import baker
from rest_framework.test import APIClient

from users.models import ApiToken, Department, Role, User
from users.services import create_token


def department(slug: str, **fields: Any) -> Department:
    return Department.objects.get_or_create(slug=slug, defaults={"name": slug, **fields})[0]


def ana(**fields: Any) -> User:
    return _person("ana", role=Role.ADMIN, **fields)


def bia(**fields: Any) -> User:
    return _person("bia", department("vendas"), **fields)


def caio(**fields: Any) -> User:
    return _person("caio", department("suporte"), **fields)


def eva(**fields: Any) -> User:
    """An attendant of sales who supervises support."""
    person = _person("eva", department("vendas"), **fields)
    person.supervised_departments.add(department("suporte"))
    return person


def suporte() -> Department:
    """The department where Caio works."""
    return caio().departments.get()


def root(**fields: Any) -> User:
    """Whoever installed the program."""
    return _person("root", **{"role": Role.ADMIN, "is_superuser": True, **fields})


def token(user: User, *scopes: str, **fields: Any) -> tuple[ApiToken, str]:
    row, plaintext = create_token(user, name="integração", scopes=scopes or ["*:read", "*:write"])
    ApiToken.objects.filter(pk=row.pk).update(**fields) if fields else None
    return row, plaintext


def api(user: User | None = None, *scopes: str) -> APIClient:
    """A program that acts for `user`; for nobody without one."""
    if user is None:
        return APIClient()
    _row, plaintext = token(user, *scopes)
    return APIClient(headers={"Authorization": f"Bearer {plaintext}"})


def _person(username: str, *departments: Department, **fields: Any) -> User:
    fields = {"is_staff": True, "first_name": username.title(), **fields}
    person = User.objects.filter(username=username).first()
    if person is None:
        person = baker.make(User, username=username, **fields)
        person.departments.set(departments)
    return person
