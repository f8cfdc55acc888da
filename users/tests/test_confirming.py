import pytest
import time_machine
from axes.models import AccessAttempt
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from users.confirming import LASTS
from users.models import ApiToken, Department, LoginEvent, LoginEventKind
from users.tests.doors import answered, forget_confirmation, with_password
from users.tests.recipes import ana, api, bia

pytestmark = pytest.mark.django_db

NEW = reverse("own_token_new")
FORM = {"name": "relatórios", "scopes": ["leads:read", "tickets:read"], "expires_on": ""}


@pytest.fixture
def admin(client):
    person = with_password(ana())
    client.force_login(person)
    forget_confirmation(client)
    return person


def is_asked(response):
    return "users/confirm.html" in [one.name for one in response.templates]


def test_a_fresh_login_is_not_asked(client):
    client.force_login(ana())
    assert client.get(NEW).status_code == 200
    with time_machine.travel(timezone.now() + LASTS):
        assert is_asked(client.get(NEW))


def test_what_was_posted_goes_on_after_the_password(client, admin):
    asked = client.post(NEW, FORM)
    assert is_asked(asked)
    assert not ApiToken.objects.exists()

    client.post(NEW, answered(asked))

    token = ApiToken.objects.get()
    assert (token.name, token.scopes) == ("relatórios", ["leads:read", "tickets:read"])
    assert LoginEvent.objects.filter(kind=LoginEventKind.CONFIRMED, user=admin).exists()


def test_a_page_is_led_to_after_the_password(client, admin):
    asked = client.get(f"{NEW}?a=1")
    answer = client.post(f"{NEW}?a=1", answered(asked))
    assert answer["Location"] == f"{NEW}?a=1"
    assert not is_asked(client.get(NEW))


def test_a_wrong_password_does_nothing_and_loses_nothing(client, admin):
    again = client.post(NEW, answered(client.post(NEW, FORM), password="errada"))
    assert is_asked(again)
    assert not ApiToken.objects.exists()
    client.post(NEW, answered(again))
    assert ApiToken.objects.count() == 1


def test_guessing_there_locks_out(client, admin):
    asked = client.post(NEW, {**FORM, "name": "segredo-carregado"})
    statuses = [client.post(NEW, answered(asked, password="errada")).status_code for _ in range(6)]
    assert statuses[-1] == 429
    assert "segredo-carregado" not in "".join(
        AccessAttempt.objects.values_list("post_data", flat=True)
    )
    assert client.post(NEW, answered(asked)).status_code == 429  # the right one, too late
    assert not ApiToken.objects.exists()


def test_somebody_elses_password_is_not_enough(client, admin):
    other = bia()
    other.set_password("a-senha-da-bia-123")
    other.save()
    client.post(NEW, answered(client.post(NEW, FORM), password="a-senha-da-bia-123"))
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("person", {"username": "bia", "role": "admin"}),
        ("people", {"action": "deactivate", "_selected_action": ["0"]}),
        ("password", {"password1": "x", "password2": "x"}),
        ("department", {"post": "yes"}),
        ("departments", {"action": "delete_selected", "_selected_action": ["0"]}),
        ("channel", {"name": "x"}),
        ("secret", {"name": "crm", "new_value": "x"}),
        ("token", {"name": "x"}),
        ("audit", None),
    ],
)
def test_dangerous_acts_ask_again(client, admin, url, form):
    person = bia()
    department = Department.objects.exclude(is_fallback=True).first()
    urls = {
        "person": reverse("admin:users_user_change", args=[person.pk]),
        "people": reverse("admin:users_user_changelist"),
        "password": reverse("admin:auth_user_password_change", args=[person.pk]),
        "department": reverse("admin:users_department_delete", args=[department.pk]),
        "departments": reverse("admin:users_department_changelist"),
        "channel": reverse("admin:sessions_app_channel_add"),
        "secret": reverse("admin:chatbot_secret_add"),
        "token": reverse("admin:users_apitoken_add"),
        "audit": reverse("audit_export"),
    }
    answer = client.get(urls[url]) if form is None else client.post(urls[url], form)
    assert is_asked(answer)
    assert "no-store" in answer["Cache-Control"]
    person.refresh_from_db()
    assert (person.role, person.is_active) == ("attendant", True)
    assert Department.objects.filter(pk=department.pk).exists()


def test_the_api_asks_a_browser_for_a_fresh_login_and_a_token_for_nothing(client, admin):
    url = f"/api/v1/users/{bia().pk}/"
    browser = APIClient()
    browser.force_login(admin)
    forget_confirmation(browser)

    refused = browser.patch(url, {"role": "admin"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_confirmed")
    assert browser.get(url).status_code == 200
    assert api(admin).patch(url, {"capacity": 3}).status_code == 200


def test_the_page_carries_markup_as_text(client, admin):
    page = client.post(NEW, {**FORM, "name": '"><script>alert(1)</script>'}).content.decode()
    assert "<script>alert" not in page


def test_another_address_is_never_led_to(client, admin):
    asked = client.get(f"{NEW}?next=//evil.example/")
    answer = client.post(f"{NEW}?next=//evil.example/", answered(asked))
    assert answer["Location"].startswith(NEW)


@pytest.mark.parametrize(
    "actions", [["deactivate", ""], ["reactivate", "deactivate"], ["reactivate"]]
)
def test_a_second_action_beside_it_hides_none(client, admin, actions):
    person = bia()
    given = {"action": actions, "index": "0", "confirmed": "1", "_selected_action": [person.pk]}
    assert is_asked(client.post(reverse("admin:users_user_changelist"), given))
    person.refresh_from_db()
    assert person.is_active
