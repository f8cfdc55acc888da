"""The team: its list, its roles, who leaves and comes back, who takes a break."""

from __future__ import annotations

from datetime import timedelta

import pytest
from auditlog.models import LogEntry
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from users import people, services
from users.backends import RolePermissionBackend, every_permission
from users.errors import DomainError
from users.models import Availability, Department, Role, Skill, TeamRules, User
from users.permissions import ATTENDANT_PERMISSIONS, TABLE, Reach
from users.services import Places, put_silent_offline
from users.tests.recipes import ana, api, bia, caio, department, eva, root, suporte, token

pytestmark = pytest.mark.django_db

LIST = "admin:users_user_changelist"
AT = timezone.now()


def said(response) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def page(user: User, verb: str) -> str:
    return reverse(f"admin:users_user_{verb}", args=[user.pk])


# --- The list ----------------------------------------------------------------------------------


def test_the_head_counts_people_with_access_and_their_places(client):
    ana(capacity=0, availability=Availability.AVAILABLE), bia(capacity=3), caio(is_active=False)
    client.force_login(ana())
    summary = client.get(reverse(LIST)).context["summary"]
    assert summary == people.Summary(people=2, available=1, open=0, capacity=3)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, {"ana", "bia", "eva", "novo"}),
        ({"acesso": "convidadas"}, {"novo"}),
        ({"acesso": "desativadas"}, {"caio"}),
        ({"papel": "supervisor"}, {"eva"}),
        ({"papel": "admin"}, {"ana"}),
        ({"availability__exact": "paused"}, {"bia"}),
        ({"q": "bia"}, {"bia"}),
    ],
)
def test_people_are_filtered(client, query, names):
    ana(), bia(availability=Availability.PAUSED), caio(is_active=False), eva()
    User.objects.create_user("novo", is_active=False, invited_at=AT)
    client.force_login(ana())
    shown = client.get(reverse(LIST), query).context["cl"].result_list
    assert {one.username for one in shown} == names


def test_an_attendant_sees_the_colleagues_without_their_load(client):
    bia()
    client.force_login(eva())
    answer = client.get(reverse(LIST))
    assert "Carga" not in answer.content.decode()
    assert "load" not in answer.context["cl"].list_display


def test_the_list_costs_the_same_for_many(client):
    client.force_login(ana())
    caio(), eva()  # of two departments, so that there is a filter by them
    client.get(reverse(LIST))
    with_few = _statements(client)
    for number in range(15):
        one = User.objects.create_user(f"p{number}", capacity=2)
        one.departments.set([department("vendas")])
        one.supervised_departments.set([department("suporte")])
    assert _statements(client) == with_few


def _statements(client) -> int:
    with CaptureQueriesContext(connection) as found:
        client.get(reverse(LIST))
    return len(found)


# --- Roles -------------------------------------------------------------------------------------


def test_what_the_table_shows_is_what_the_backend_answers():
    backend = RolePermissionBackend()
    supervisor, admin, attendant = eva(), ana(), bia()
    for group in TABLE:
        for line in group.lines:
            for user, reach in (
                (attendant, line.attendant),
                (supervisor, line.supervisor),
                (admin, line.admin),
            ):
                for permission in line.permissions:
                    has = backend.has_perm(user, permission)
                    assert has == (reach != Reach.NO), (permission, user)


def test_every_permission_of_the_table_exists():
    named = {one for group in TABLE for line in group.lines for one in line.permissions}
    assert named <= every_permission()
    assert named > ATTENDANT_PERMISSIONS


def test_the_page_of_roles_is_the_table(client):
    client.force_login(bia())
    matrix = client.get(reverse("roles")).context["matrix"]
    assert [len(group["lines"]) for group in matrix] == [len(group.lines) for group in TABLE]
    assert matrix[0]["lines"][0][1] == [Reach.OWN, Reach.SUPERVISED, Reach.ALL]


def test_a_rule_of_the_team_changes_the_table(client):
    client.force_login(ana())

    def phones() -> list[Reach]:
        lines = client.get(reverse("roles")).context["matrix"][1]["lines"]
        return next(cells for _name, cells in lines if Reach.YES in cells and cells[0] != Reach.NO)

    assert phones() == [Reach.YES] * 3
    TeamRules.objects.update(mask_phone=True, mask_email=True)
    assert phones() == [Reach.LOGGED, Reach.LOGGED, Reach.YES]


# --- Leaving and coming back -------------------------------------------------------------------


def test_an_admin_who_is_no_superuser_touches_no_superuser(client):
    boss = root()
    client.force_login(ana())
    for verb in ("deactivate", "reactivate", "invite_again", "withdraw"):
        assert client.post(page(boss, verb)).status_code == 403
    given = {"action": "deactivate", "_selected_action": [boss.pk], "confirmed": "1"}
    answer = client.post(reverse(LIST), given)
    assert said(answer)
    assert root().is_active
    assert api(ana()).patch(f"/api/v1/users/{boss.pk}", {"role": "attendant"}).status_code == 403
    assert root().role == Role.ADMIN


@pytest.mark.parametrize("verb", ["deactivate", "reactivate", "invite_again", "withdraw"])
def test_attendants_do_nothing_with_people(client, verb):
    client.force_login(eva())
    assert client.post(page(bia(), verb)).status_code == 403
    assert bia().is_active


@pytest.mark.parametrize("field", ["is_superuser", "is_staff", "is_active", "invited_at"])
def test_the_api_gives_nobody_more_than_the_caller_has(field):
    person = bia()
    before = getattr(person, field)
    api(ana()).patch(f"/api/v1/users/{person.pk}", {field: True, "first_name": "Bea"})
    api(bia()).patch("/api/v1/users/me", {field: True, "role": "admin", "departments": []})
    person.refresh_from_db()
    assert (getattr(person, field), person.role) == (before, Role.ATTENDANT)
    assert person.departments.exists()


def test_a_refused_change_through_the_api_changes_nothing_at_all():
    boss = ana()
    given = {"first_name": "X", "role": "attendant"}
    assert api(boss).patch(f"/api/v1/users/{boss.pk}", given).status_code == 409
    assert ana().first_name == "Ana"


def test_an_admin_just_demoted_demotes_nobody():
    stale = ana()
    root()
    services.change_role(ana(), role=Role.ATTENDANT, actor=root())
    with pytest.raises(DomainError) as refusal:
        services.change_role(bia(), role=Role.ADMIN, actor=stale)
    assert refusal.value.code == "not_allowed"


def test_who_comes_back_has_access_and_no_old_token(client):
    person = bia()
    token(person)
    services.deactivate_user(person, actor=ana(), at=AT)
    client.force_login(ana())
    client.post(page(person, "reactivate"))
    assert bia().is_active
    assert not bia().api_tokens.filter(revoked_at=None).exists()


def test_people_come_back_together(client):
    chosen = [bia(is_active=False).pk, caio(is_active=False).pk]
    client.force_login(ana())
    client.post(
        reverse(LIST, query={"acesso": "desativadas"}),
        {"action": "reactivate", "_selected_action": chosen},
    )
    assert User.objects.active().filter(pk__in=chosen).count() == 2


def test_two_active_people_have_no_address_in_common():
    bia(email="bia@empresa.example")
    with pytest.raises(DomainError) as refusal:
        services.update_user(caio(), fields={"email": "BIA@empresa.example"}, actor=ana())
    assert refusal.value.code == "email_taken"
    services.deactivate_user(bia(), actor=ana(), at=AT)
    services.update_user(caio(), fields={"email": "BIA@empresa.example"}, actor=ana())
    with pytest.raises(DomainError):
        services.activate_user(bia(), actor=ana())


def test_places_and_skills_are_set_by_form_and_api(client):
    skill = Skill.objects.create(name="Inglês")
    services.update_user(
        bia(), fields={}, places=Places(supervised=[suporte()], skills=[skill]), actor=ana()
    )
    shown = api(ana()).get(f"/api/v1/users/{bia().pk}").json()
    assert (shown["supervises"], shown["skills"]) == (["suporte"], ["Inglês"])
    given = {"supervises": [], "skills": ["Inglês"], "departments": ["suporte"]}
    shown = api(ana()).patch(f"/api/v1/users/{bia().pk}", given).json()
    assert (shown["supervises"], shown["departments"]) == ([], ["suporte"])


# --- Rules of the team -------------------------------------------------------------------------


def test_the_rules_have_one_page_and_only_admins_get_there(client):
    address = reverse("admin:users_teamrules_changelist")
    client.force_login(bia())
    assert client.get(address).status_code == 403
    client.force_login(ana())
    answer = client.get(address, follow=True)
    assert answer.status_code == 200
    change = reverse("admin:users_teamrules_change", args=[1])
    client.post(change, {"mask_phone": "on", "offline_after_minutes": ""})
    rules = TeamRules.current()
    assert (rules.mask_phone, rules.mask_email, rules.offline_after_minutes) == (True, False, None)
    assert client.get(reverse("admin:users_teamrules_add")).status_code == 403


# --- Availability ------------------------------------------------------------------------------


def test_a_break_has_a_reason_until_it_ends(client):
    client.force_login(bia())
    address = reverse("availability")
    client.post(address, {"availability": "paused", "reason": "Almoço"})
    assert (bia().availability, bia().pause_reason) == (Availability.PAUSED, "Almoço")
    assert "Almoço" in client.get(reverse("admin:index")).content.decode()
    client.post(address, {"availability": "available", "reason": "Almoço"})
    assert (bia().availability, bia().pause_reason) == (Availability.AVAILABLE, "")


def test_an_admin_says_it_for_others_and_a_colleague_does_not():
    person = bia()
    address = f"/api/v1/users/{person.pk}/availability"
    given = {"availability": "paused", "reason": "Treinamento"}
    assert api(ana()).post(address, given).json()["pause_reason"] == "Treinamento"
    assert api(eva()).post(address, given).status_code == 403


@pytest.mark.parametrize(
    ("fields", "goes"),
    [
        pytest.param({}, True, id="silent"),
        pytest.param({"last_active_at": None}, True, id="never seen"),
        pytest.param({"last_active_at": AT}, False, id="seen"),
        pytest.param({"availability_changed_at": AT}, False, id="said so just now"),
        pytest.param({"availability": Availability.PAUSED}, False, id="on a break"),
    ],
)
def test_who_gives_no_sign_goes_offline(fields, goes):
    long_ago = AT - timedelta(hours=1)
    silent = {
        "availability": Availability.AVAILABLE,
        "last_active_at": long_ago,
        "availability_changed_at": long_ago,
    }
    bia(**{**silent, **fields})
    assert put_silent_offline(now=AT) == goes
    assert (bia().availability == Availability.OFFLINE, bia().offline_by_silence) == (goes, goes)
    assert put_silent_offline(now=AT) == 0


def test_nobody_goes_offline_where_there_is_no_limit():
    TeamRules.objects.update_or_create(pk=1, defaults={"offline_after_minutes": None})
    bia(availability=Availability.AVAILABLE)
    assert put_silent_offline(now=AT) == 0


@pytest.mark.parametrize("answer", ["available", "offline"])
def test_who_comes_back_is_told_until_they_say_how_things_stand(client, answer):
    bia(availability=Availability.AVAILABLE)
    put_silent_offline(now=timezone.now())
    client.force_login(bia())
    assert "went-offline" in client.get(reverse("admin:index")).content.decode()
    part = client.post(
        reverse("availability"), {"availability": answer}, headers={"HX-Request": "true"}
    )
    assert 'hx-swap-oob="delete"' in part.content.decode()
    assert bia().availability == answer
    assert "went-offline" not in client.get(reverse("admin:index")).content.decode()


def test_departments_are_no_secret_but_people_without_a_common_one_are():
    assert Department.objects.visible_to(bia()).count() == Department.objects.count()
    assert not User.objects.visible_to(bia()).filter(pk=caio().pk).exists()


def test_the_audit_keeps_when_an_admin_says_it_for_others():
    person = bia()
    for who in (person, ana()):
        for said in ("available", "offline"):
            url = f"/api/v1/users/{person.pk}/availability"
            api(who).post(url, {"availability": said})
    rows = LogEntry.objects.filter(object_id=person.pk, actor=ana()).order_by("pk")
    changes = [row.changes["availability"] for row in rows if "availability" in row.changes]
    assert changes == [["offline", "available"], ["available", "offline"]]
    assert not LogEntry.objects.filter(actor=person, changes__has_key="availability").exists()
