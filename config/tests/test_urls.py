import pytest
from django.core.management import call_command

from config.api import router
from users.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana(client):
    user = User.objects.create_superuser(username="ana")
    client.force_login(user)
    return user


def test_the_root_leads_to_the_console(client):
    response = client.get("/")
    assert (response.status_code, response["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("prefix", [prefix for prefix, _, _ in router.registry])
def test_api_lists_accept_both_forms_without_a_redirect(client, ana, prefix, slash):
    assert client.get(f"/api/v1/{prefix}{slash}").status_code == 200


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_api_asks_a_stranger_for_a_token(client, slash):
    response = client.get(f"/api/v1/schema{slash}")
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_the_docs_work_offline_and_under_the_policy(client, ana):
    response = client.get("/api/v1/docs/")
    page = response.content.decode()
    assert "//cdn" not in page
    assert "<script>" not in page
    policy = response["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "unsafe" not in policy.split("script-src")[1].split(";")[0]


def test_the_docs_send_a_stranger_to_the_login_page(client):
    response = client.get("/api/v1/docs/")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_the_schema_is_valid_and_says_all():
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")
