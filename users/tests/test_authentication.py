from datetime import timedelta

import pytest
from django.utils import timezone

from users.models import ApiToken
from users.tests.recipes import ana, api, bia, token

pytestmark = pytest.mark.django_db

ME = "/api/v1/users/me"
NOW = timezone.now()


def ask(client, header, url=ME):
    return client.get(url, headers={"Authorization": header})


def test_a_token_speaks_for_its_person(client):
    _row, text = token(bia(), "users:read")

    response = ask(client, f"bearer  {text}")
    assert response.status_code == 200
    assert response.json()["username"] == "bia"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"revoked_at": NOW}, id="revoked"),
        pytest.param({"expires_at": NOW - timedelta(seconds=1)}, id="expired"),
        pytest.param({"digest": "0" * 64}, id="another secret"),
        pytest.param({"prefix": "0" * 12}, id="another prefix"),
    ],
)
def test_a_token_that_is_no_good_is_refused(client, fields):
    _row, text = token(bia(), **fields)

    response = ask(client, f"Bearer {text}")
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer x", "Bearer atd_1_2", "Bearer atd_\x80_ÿ", "Bearer a b c", "Token abc", ""],
)
def test_a_header_that_is_no_token_is_refused(client, header):
    assert ask(client, header).status_code == 401


def test_the_token_of_somebody_who_left_is_refused(client):
    person = bia()
    _row, text = token(person)
    person.is_active = False
    person.save(update_fields=["is_active"])

    assert ask(client, f"Bearer {text}").status_code == 401


def test_a_token_in_the_address_is_no_token(client):
    _row, text = token(bia())
    assert client.get(f"{ME}?token={text}&access_token={text}").status_code == 401


def test_the_last_use_is_written_once_a_minute(client, time_machine, django_assert_num_queries):
    time_machine.move_to(NOW, tick=False)
    row, text = token(bia())
    ask(client, f"Bearer {text}")
    row.refresh_from_db()
    assert row.last_used_at == NOW

    time_machine.shift(30)
    with django_assert_num_queries(5):  # token with its person, person again, departments
        ask(client, f"Bearer {text}")
    row.refresh_from_db()
    assert row.last_used_at == NOW

    time_machine.shift(31)
    ask(client, f"Bearer {text}")
    row.refresh_from_db()
    assert row.last_used_at == NOW + timedelta(seconds=61)


def test_only_the_digest_of_the_secret_is_stored():
    row, text = token(bia())
    stored = ApiToken.objects.values().get()

    assert text.startswith(f"atd_{row.prefix}_")
    assert text.rpartition("_")[2] not in str(stored)


@pytest.mark.parametrize(
    ("scopes", "read", "write"),
    [
        (["departments:read"], 200, 403),
        (["departments:write"], 403, 201),
        (["*:read"], 200, 403),
        (["*:write"], 403, 201),
        (["leads:read", "leads:write"], 403, 403),
    ],
)
def test_a_token_opens_its_scopes_only(scopes, read, write):
    client = api(ana(), *scopes)
    url = "/api/v1/departments"

    assert client.get(url).status_code == read
    assert client.post(url, {"name": "Obras", "slug": "obras"}).status_code == write


def test_a_scope_gives_no_more_than_the_role():
    body = {"name": "Obras", "slug": "obras"}
    assert api(bia(), "*:write").post("/api/v1/departments", body).status_code == 403


def test_a_session_needs_staff_and_a_token_against_forgery(client):
    client.force_login(bia())
    assert client.get(ME).status_code == 200

    outsider = bia()
    outsider.is_staff = False
    outsider.save(update_fields=["is_staff"])
    assert client.get(ME).status_code == 403


def test_a_stranger_is_asked_for_a_token(client):
    response = client.get(ME)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
