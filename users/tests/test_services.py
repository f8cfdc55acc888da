import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from users import services
from users.errors import DomainError
from users.models import Availability, Department, Role, User
from users.signals import user_deactivated
from users.tests.racing import at_once
from users.tests.recipes import ana, bia, caio, department, root, token

pytestmark = pytest.mark.django_db

AT = timezone.now()


def refusal_of(operation):
    with pytest.raises(DomainError) as refusal:
        operation()
    return refusal.value.code


@pytest.mark.parametrize(
    ("actor", "person", "may"),
    [
        pytest.param(root, root, True, id="superuser, superuser"),
        pytest.param(root, ana, True, id="superuser, admin"),
        pytest.param(ana, root, False, id="admin, superuser"),
        pytest.param(ana, ana, True, id="admin, admin"),
        pytest.param(ana, bia, True, id="admin, attendant"),
        pytest.param(bia, caio, False, id="attendant, attendant"),
        pytest.param(bia, bia, False, id="attendant, self"),
    ],
)
def test_nobody_manages_those_above(actor, person, may):
    assert services.may_manage(actor(), person()) == may


def test_an_admin_who_left_manages_nobody():
    assert not services.may_manage(ana(is_active=False), bia())


def test_an_admin_makes_another_one_but_no_superuser():
    services.change_role(bia(), role=Role.ADMIN, actor=ana())

    assert bia().role == Role.ADMIN
    code = refusal_of(lambda: services.set_superuser(bia(), is_superuser=True, actor=ana()))
    assert code == "not_allowed"


def test_the_last_superuser_who_is_no_admin_stays():
    boss = root(role=Role.ATTENDANT)

    code = refusal_of(lambda: services.set_superuser(boss, is_superuser=False, actor=boss))
    assert code == "last_admin"


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(
            lambda user: services.change_role(user, role=Role.ATTENDANT, actor=user), id="demoted"
        ),
        pytest.param(
            lambda user: services.deactivate_user(user, actor=user, at=AT), id="deactivated"
        ),
    ],
)
def test_the_last_active_admin_stays(leave):
    eva = User.objects.create_user("eva", password="x", role=Role.ADMIN, is_active=False)
    User.objects.create_user("robô", role=Role.ADMIN)  # has no password and cannot log in
    admin = ana()

    assert refusal_of(lambda: leave(admin)) == "last_admin"

    User.objects.filter(pk=eva.pk).update(is_active=True)
    leave(admin)
    admin.refresh_from_db()
    assert not admin.is_admin


def test_deactivation_takes_every_access_and_tells_the_apps_above():
    person = bia(availability=Availability.AVAILABLE)
    row, _text = token(person)
    heard = []

    def listen(sender, user, at, **_rest):
        heard.append((user, at))

    user_deactivated.connect(listen)
    try:
        services.deactivate_user(person, actor=ana(), at=AT)
        services.deactivate_user(person, actor=ana(), at=AT)
    finally:
        user_deactivated.disconnect(listen)

    person.refresh_from_db()
    row.refresh_from_db()
    assert (person.is_active, person.availability) == (False, Availability.OFFLINE)
    assert row.revoked_at == AT
    assert heard == [(person, AT)] * 2  # before, and for what was given to them meanwhile


def test_availability_remembers_since_when():
    person = bia()

    assert services.set_availability(person, availability=Availability.PAUSED, at=AT)
    later = timezone.now()
    assert not services.set_availability(person, availability=Availability.PAUSED, at=later)
    assert person.availability_changed_at == AT


def test_a_field_outside_the_profile_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="is_superuser"):
        services.update_user(bia(), fields={"is_superuser": True}, actor=ana())


def test_a_name_taken_is_refused():
    fields = {"username": bia().username}
    code = refusal_of(lambda: services.create_user(fields=fields, actor=ana()))
    assert code == "username_taken"


@pytest.mark.parametrize("scopes", [[], ["leads"], ["leads:delete"], ["LEADS:read"], [":read"]])
def test_a_token_needs_scopes_that_exist(scopes):
    code = refusal_of(lambda: services.create_token(bia(), name="CRM", scopes=scopes))
    assert code == "bad_scope"


def test_an_admin_makes_no_token_for_a_superuser():
    def escalate():
        services.create_token(root(), name="CRM", scopes=["*:write"], actor=ana())

    assert refusal_of(escalate) == "not_allowed"


def test_a_revoked_token_keeps_its_first_time():
    row, _text = token(bia())
    services.revoke_token(row, at=AT)

    assert services.revoke_token(row, at=timezone.now()).revoked_at == AT


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_admins_who_leave_at_once_do_not_both_leave():
    pair = [ana(), User.objects.create_user("eva", role=Role.ADMIN)]
    together = threading.Barrier(2)

    def leave(user):
        try:
            together.wait()
            services.deactivate_user(user, actor=None, at=AT)
        except DomainError as refusal:
            return refusal.code
        finally:
            connection.close()
        return "left"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(leave, pair)) == ["last_admin", "left"]
    assert User.objects.active().admins().count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("means", ["demote", "deactivate", "both"])
def test_of_two_admins_who_turn_on_each_other_at_once_one_stays(means):
    for number in range(5):
        pair = [
            User.objects.create_user(f"{name}{number}", password="x", role=Role.ADMIN)
            for name in ("ana", "eva")
        ]
        User.objects.exclude(pk__in=[one.pk for one in pair]).update(is_active=False)
        together = threading.Barrier(2)
        acts = {
            "demote": lambda user, actor: services.change_role(
                user, role=Role.ATTENDANT, actor=actor
            ),
            "deactivate": lambda user, actor: services.deactivate_user(user, actor=actor, at=AT),
        }
        chosen = [*acts] if means == "both" else [means, means]

        def turn(place, pair=pair, chosen=chosen, acts=acts, together=together):
            actor, user = (User.objects.get(pk=one.pk) for one in (pair[place], pair[1 - place]))
            try:
                together.wait()
                acts[chosen[place]](user, actor)
            except DomainError as refusal:
                return refusal.code
            finally:
                connection.close()
            return "done"

        with ThreadPoolExecutor(2) as pool:
            outcomes = sorted(pool.map(turn, (0, 1)))
        assert outcomes[0] == "done"
        assert outcomes[1] in {"not_allowed", "last_admin"}
        assert User.objects.active().admins().count() == 1


def test_who_has_no_password_is_invited_instead_of_activated():
    person = User.objects.create_user("robô", is_active=False)
    assert refusal_of(lambda: services.activate_user(person, actor=ana())) == "no_password"


@pytest.mark.parametrize("year", [9999, timezone.now().year + 11])
def test_a_token_does_not_outlive_everybody(year):
    end = timezone.make_aware(datetime(year, 12, 31, 23, 59))  # noqa: DTZ001  # made aware

    def make():
        services.create_token(bia(), name="eterno", scopes=["*:read"], expires_at=end)

    assert refusal_of(make) == "too_far"


def test_what_a_stale_department_says_does_not_count():
    first, second = department("vendas"), department("suporte")
    stale = Department.objects.get(pk=second.pk)
    services.make_fallback(first)
    services.update_department(second, fields={"is_active": False})
    assert refusal_of(lambda: services.make_fallback(stale)) == "inactive"
    stale = Department.objects.get(pk=first.pk)
    Department.objects.filter(pk=second.pk).update(is_active=True)
    services.make_fallback(Department.objects.get(pk=second.pk))
    services.update_department(stale, fields={"is_active": False})
    assert not Department.objects.get(pk=first.pk).is_active


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_two_departments_made_the_fallback_at_once_one_is():
    for number in range(5):
        pair = [department(f"{name}{number}") for name in ("vendas", "suporte")]
        made = at_once(*(partial(services.make_fallback, one) for one in pair))
        assert not [one for one in made if isinstance(one, Exception)]
        assert Department.objects.filter(is_fallback=True).count() == 1
