import pytest
from django.utils import timezone

from users.models import Availability, Department, Role, User
from users.tests.recipes import ana, api, bia, caio, department, root

pytestmark = pytest.mark.django_db

USERS = "/api/v1/users"
DEPARTMENTS = "/api/v1/departments"


def names_in(response):
    return {row["username"] for row in response.json()["results"]}


@pytest.mark.parametrize("slash", ["", "/"])
def test_an_admin_lists_everyone_an_attendant_the_colleagues(slash):
    bia(), caio()

    assert names_in(api(ana()).get(USERS + slash)) == {"ana", "bia", "caio"}
    assert names_in(api(bia()).get(USERS + slash)) == {"bia"}


def test_somebody_of_another_department_is_not_found():
    assert api(bia()).get(f"{USERS}/{caio().pk}").status_code == 404
    assert api(ana()).get(f"{USERS}/{caio().pk}").status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("role=admin", {"ana"}),
        ("department=suporte", {"caio"}),
        ("availability=available", {"bia"}),
        ("is_active=false", set()),
        ("search=cai", {"caio"}),
    ],
)
def test_people_are_filtered(query, found):
    ana(), bia(availability=Availability.AVAILABLE), caio()

    assert names_in(api(ana()).get(f"{USERS}?{query}")) == found


def test_the_list_of_people_costs_the_same_for_many(django_assert_num_queries):
    for number in range(20):
        User.objects.create_user(f"pessoa{number}").departments.set([department("vendas")])
    client = api(ana())
    client.get(USERS)

    with django_assert_num_queries(5):  # token and person, people, their departments and skills
        client.get(USERS)


def test_an_admin_adds_a_person_who_can_log_in():
    department("vendas")
    body = {
        "username": "duda",
        "password": "uma-senha-longa-77",
        "departments": ["vendas"],
        "signature": "Duda",
    }
    response = api(ana()).post(USERS, body)

    person = User.objects.get(username="duda")
    assert response.status_code == 201
    assert "password" not in response.json()
    assert (person.role, person.is_staff) == (Role.ATTENDANT, True)
    assert person.check_password("uma-senha-longa-77")
    assert person.departments.get().slug == "vendas"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"username": "duda", "password": "123"}, id="weak password"),
        pytest.param({"username": "ana"}, id="name taken"),
        pytest.param({"username": "duda", "role": "boss"}, id="unknown role"),
        pytest.param({"username": "duda", "departments": ["nada"]}, id="unknown department"),
        pytest.param({}, id="nothing"),
    ],
)
def test_a_person_that_makes_no_sense_is_refused(body):
    response = api(ana()).post(USERS, body)

    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_what_nobody_may_set_is_ignored():
    body = {"username": "duda", "is_superuser": True, "is_staff": False, "is_active": False}
    api(ana()).post(USERS, body)

    person = User.objects.get(username="duda")
    assert (person.is_superuser, person.is_staff, person.is_active) == (False, True, True)


@pytest.mark.parametrize("method", ["post", "patch", "delete"])
def test_an_attendant_manages_nobody(method):
    url = USERS if method == "post" else f"{USERS}/{bia().pk}"

    assert getattr(api(bia()), method)(url, {"role": "admin"}).status_code == 403


def test_an_admin_changes_role_departments_and_password():
    department("suporte")
    person = bia()
    body = {"role": "admin", "departments": ["suporte"], "password": "outra-senha-88"}
    response = api(ana()).patch(f"{USERS}/{person.pk}", body)

    person.refresh_from_db()
    assert response.json()["departments"] == ["suporte"]
    assert person.role == Role.ADMIN
    assert person.check_password("outra-senha-88")


@pytest.mark.parametrize(
    "body", [{"role": "attendant"}, {"password": "outra-senha-88"}, {"first_name": "X"}]
)
def test_an_admin_does_not_touch_a_superuser(body):
    response = api(ana()).patch(f"{USERS}/{root().pk}", body)

    assert (response.status_code, response.json()["code"]) == (403, "not_allowed")


def test_the_last_admin_stays():
    client, admin = api(ana()), ana()

    demoted = client.patch(f"{USERS}/{admin.pk}", {"role": "attendant"})
    deleted = client.delete(f"{USERS}/{admin.pk}")

    assert [demoted.json()["code"], deleted.json()["code"]] == ["last_admin"] * 2
    admin.refresh_from_db()
    assert (admin.role, admin.is_active) == (Role.ADMIN, True)


def test_deleting_a_person_takes_the_access_and_keeps_the_row():
    client, person = api(ana()), bia()
    theirs = api(person)

    assert client.delete(f"{USERS}/{person.pk}").status_code == 204
    assert theirs.get(f"{USERS}/me").status_code == 401
    assert client.post(f"{USERS}/{person.pk}/activate").json()["is_active"]
    assert theirs.get(f"{USERS}/me").status_code == 401


def test_everybody_reads_and_changes_their_own_profile():
    client = api(bia())

    assert client.get(f"{USERS}/me").json()["username"] == "bia"
    before = bia().email
    body = {"language": "en", "role": "admin", "capacity": 99, "email": "ladrao@exemplo.com.br"}
    assert client.patch(f"{USERS}/me", body).json()["language"] == "en"
    assert (bia().role, bia().capacity, bia().email) == (Role.ATTENDANT, 5, before)


def test_people_say_themselves_whether_they_are_available():
    person = bia()
    before = timezone.now()
    response = api(person).post(f"{USERS}/{person.pk}/availability", {"availability": "available"})

    person.refresh_from_db()
    assert response.json()["availability"] == "available"
    assert person.availability_changed_at >= before


def test_only_an_admin_sets_the_availability_of_others():
    colleague = User.objects.create_user("eva")
    colleague.departments.set([department("vendas")])
    url, body = f"{USERS}/{colleague.pk}/availability", {"availability": "paused"}

    assert api(bia()).post(url, body).status_code == 403
    assert api(ana()).post(url, body).status_code == 200


def test_everybody_reads_departments_and_admins_change_them():
    sales = department("vendas")

    assert api(bia()).get(DEPARTMENTS).status_code == 200
    assert api(bia()).patch(f"{DEPARTMENTS}/{sales.pk}", {"name": "X"}).status_code == 403
    assert api(ana()).patch(f"{DEPARTMENTS}/{sales.pk}", {"name": "Vendas"}).status_code == 200
    created = api(ana()).post(DEPARTMENTS, {"name": "Obras", "slug": "obras"})
    assert created.status_code == 201
    assert api(ana()).delete(f"{DEPARTMENTS}/{sales.pk}").status_code == 405


def test_there_is_always_one_active_fallback_department():
    client = api(ana())
    old, sales = Department.objects.get(is_fallback=True), department("vendas")

    refused = client.patch(f"{DEPARTMENTS}/{old.pk}", {"is_active": False})
    moved = client.post(f"{DEPARTMENTS}/{sales.pk}/make-fallback")
    allowed = client.patch(f"{DEPARTMENTS}/{old.pk}", {"is_active": False})

    assert refused.json()["code"] == "fallback_department"
    assert (moved.status_code, allowed.status_code) == (200, 200)
    assert Department.objects.get(is_fallback=True) == sales


def test_a_department_is_told_how_long_it_waits_and_what_it_needs():
    body = {
        "warn_silent_after_hours": 20,
        "close_silent_after_hours": 48,
        "reopen_days": 3,
        "required_at_resolution": ["tags", "lead_email"],
    }
    url = f"/api/v1/departments/{department('vendas').pk}"
    assert api(ana()).patch(url, body).json().items() >= body.items()
    assert api(bia()).get(url).json()["reopen_days"] == 3


@pytest.mark.parametrize(
    "body",
    [
        {"warn_silent_after_hours": 20},
        {"warn_silent_after_hours": 48, "close_silent_after_hours": 20},
        {"required_at_resolution": ["shoe_size"]},
        {"required_at_resolution": "tags"},
    ],
)
def test_a_department_that_makes_no_sense_is_refused(body):
    url = f"/api/v1/departments/{department('vendas').pk}"
    assert api(ana()).patch(url, body).status_code == 400


@pytest.mark.parametrize("verb", ["post", "patch"])
def test_a_password_does_not_resemble_its_owner(verb):
    client, body = api(ana()), {"username": "gumercindo", "password": "gumercindo1"}
    url = USERS if verb == "post" else f"{USERS}/{bia().pk}"
    answer = getattr(client, verb)(url, body)
    assert answer.status_code == 400
    assert "password" in answer.json()["fields"]
