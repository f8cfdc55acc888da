import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group, Permission

from users.backends import RolePermissionBackend, every_permission
from users.permissions import ATTENDANT_PERMISSIONS
from users.tests.recipes import ana, bia, caio, root

pytestmark = pytest.mark.django_db


def test_the_role_decides_without_a_statement(django_assert_num_queries):
    admin, attendant, boss = ana(), bia(), root()

    with django_assert_num_queries(0):
        assert attendant.has_perm("tickets.change_ticket")
        assert not attendant.has_perm("chatbot.change_flow")
        assert attendant.has_module_perms("leads")
        assert not attendant.has_module_perms("axes")
        assert attendant.get_all_permissions() == ATTENDANT_PERMISSIONS
        for person in (admin, boss):
            assert person.has_perm("chatbot.change_flow")
            assert person.has_module_perms("axes")
            assert person.get_all_permissions() == every_permission()


def test_a_list_of_all_permissions_is_what_django_has_rows_for():
    rows = Permission.objects.values_list("content_type__app_label", "codename")
    assert {f"{app}.{codename}" for app, codename in rows} == every_permission()


def test_what_an_attendant_may_do_exists():
    assert every_permission() >= ATTENDANT_PERMISSIONS


@pytest.mark.parametrize("person", [ana, bia, root])
def test_who_left_may_do_nothing(person):
    user = person(is_active=False)

    assert not user.has_perm("leads.view_lead")
    assert not user.has_module_perms("leads")
    assert user.get_all_permissions() == set()


def test_a_stranger_may_do_nothing():
    assert not AnonymousUser().has_perm("leads.view_lead")
    assert not RolePermissionBackend().has_module_perms(AnonymousUser(), "leads")


def test_a_group_gives_nothing():
    group = Group.objects.create(name="chefes")
    group.permissions.set(Permission.objects.all())
    attendant = bia()
    attendant.groups.add(group)
    attendant.user_permissions.set(Permission.objects.all())

    assert not attendant.has_perm("users.change_user")


@pytest.mark.parametrize(
    ("permission", "names"),
    [
        ("leads.view_lead", {"ana", "bia", "caio", "root"}),
        ("users.change_user", {"ana", "root"}),
    ],
)
def test_people_are_found_by_what_they_may_do(permission, names):
    ana(), bia(), caio(), root()
    backend = "users.backends.RolePermissionBackend"

    people = get_user_model().objects.with_perm(permission, backend=backend)
    assert {user.username for user in people} == names
