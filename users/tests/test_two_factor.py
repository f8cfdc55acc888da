import re

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from users import two_factor
from users.models import LoginEvent, LoginEventKind
from users.tests.doors import (
    answered,
    code_of,
    forget_confirmation,
    give_code,
    give_password,
    recovery_codes,
    with_app,
    with_password,
)
from users.tests.recipes import ana, api, bia, caio, root

pytestmark = pytest.mark.django_db

SETUP, PAGE = reverse("two_factor_setup"), reverse("two_factor")


@pytest.fixture
def required(settings):
    settings.REQUIRE_2FA = True


def is_in(client):
    return client.get("/admin/").status_code == 200


def kinds():
    return set(LoginEvent.objects.values_list("kind", flat=True))


# --- Logging in --------------------------------------------------------------------------------


def test_without_an_app_the_password_is_enough(client):
    answer = give_password(client, with_password(bia()))
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert is_in(client)


def test_with_an_app_the_password_alone_opens_nothing(client):
    person = with_password(bia())
    with_app(person)

    assert give_password(client, person)["Location"] == reverse("login_code")
    assert not is_in(client)
    assert client.get("/api/v1/users/me").status_code == 401


def test_the_code_finishes_the_login_and_leads_on(client):
    person = with_password(bia())
    device = with_app(person)
    give_password(client, person, next="/admin/profile/")
    half = client.session.session_key

    answer = give_code(client, code_of(device))

    assert answer["Location"] == "/admin/profile/"
    assert is_in(client)
    assert client.session.session_key != half  # nobody who knew the key before goes on with it


def test_a_wrong_code_is_refused_and_makes_the_next_try_wait(client):
    person = with_password(bia())
    device = with_app(person)
    give_password(client, person)

    first = give_code(client, "000000").context["error"]
    second = give_code(client, code_of(device)).context["error"]
    assert first
    assert second
    assert first != second
    assert not is_in(client)
    assert LoginEventKind.CODE_REFUSED in kinds()
    with time_machine.travel(timezone.now() + timezone.timedelta(seconds=5)):
        give_code(client, code_of(device))
        assert is_in(client)


def test_a_code_opens_once(client):
    person = with_password(bia())
    code = code_of(with_app(person))
    give_password(client, person)
    give_code(client, code)
    client.logout()

    give_password(client, person)
    give_code(client, code)
    assert not is_in(client)


def test_nobody_gets_to_the_code_without_the_password(client):
    device = with_app(bia())
    assert client.get(reverse("login_code"))["Location"] == reverse("admin:login")
    assert give_code(client, code_of(device))["Location"] == reverse("admin:login")


@pytest.mark.parametrize("change", ["password", "deactivated", "time"])
def test_a_half_login_ends_with_what_it_stands_on(client, change):
    person = with_password(bia())
    device = with_app(person)
    give_password(client, person)
    if change == "password":
        person.set_password("outra-senha-longa-9")
    person.is_active = change != "deactivated"
    person.save()
    later = timezone.timedelta(minutes=6 if change == "time" else 0)
    with time_machine.travel(timezone.now() + later):
        assert give_code(client, code_of(device))["Location"] == reverse("admin:login")


# --- Recovery codes ----------------------------------------------------------------------------


def test_a_recovery_code_opens_once_however_it_is_written(client):
    person = with_password(bia())
    with_app(person)
    code = recovery_codes(person)[0]
    give_password(client, person)
    give_code(client, code.upper().replace("-", " "))
    assert is_in(client)
    assert LoginEventKind.RECOVERY_CODE in kinds()
    client.logout()

    give_password(client, person)
    give_code(client, code)
    assert not is_in(client)
    assert two_factor.codes_left(person) == two_factor.RECOVERY_CODES - 1


def test_recovery_codes_are_not_stored_as_they_are():
    person = bia()
    with_app(person)
    codes = {code.replace("-", "") for code in recovery_codes(person)}
    stored = set(StaticToken.objects.values_list("token", flat=True))
    assert len(codes) == len(stored) == two_factor.RECOVERY_CODES
    assert not codes & stored


def test_new_recovery_codes_end_the_old_ones(client):
    person = with_password(bia())
    with_app(person)
    old = recovery_codes(person)[0]
    client.force_login(person)

    page = client.post(reverse("two_factor_codes")).content.decode()
    (new, *_rest) = re.findall(r"<li>([a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4})</li>", page)
    client.logout()
    give_password(client, person)
    give_code(client, old)
    assert not is_in(client)
    with time_machine.travel(timezone.now() + timezone.timedelta(seconds=5)):
        give_code(client, new)
        assert is_in(client)


def test_somebody_elses_recovery_code_opens_nothing(client):
    person, other = with_password(bia()), with_password(caio())
    with_app(person), with_app(other)
    recovery_codes(person)
    code = recovery_codes(other)[0]
    give_password(client, person)
    give_code(client, code)
    assert not is_in(client)


# --- Setting it up -----------------------------------------------------------------------------


def test_setting_up_takes_a_code_of_the_app(client):
    person = with_password(bia())
    client.force_login(person)
    page = client.get(SETUP).content.decode()
    device = TOTPDevice.objects.get(user=person)
    assert "data:image/svg+xml;base64," in page
    assert not device.confirmed

    client.post(SETUP, {"code": "000000"})
    assert not two_factor.has_app(person)
    with time_machine.travel(timezone.now() + timezone.timedelta(seconds=5)):
        answer = client.post(SETUP, {"code": code_of(device)})
    assert two_factor.has_app(person)
    assert len(answer.context["codes"]) == two_factor.RECOVERY_CODES
    assert is_in(client)


def test_setting_up_signs_the_other_browsers_out(client):
    person, other = with_password(bia()), Client()
    client.force_login(person)
    other.force_login(person)
    client.get(SETUP)
    client.post(SETUP, {"code": code_of(TOTPDevice.objects.get(user=person))})
    assert is_in(client)
    assert not is_in(other)


def test_a_second_app_needs_the_first_one_removed(client):
    person = bia()
    with_app(person)
    client.force_login(person)
    assert client.get(SETUP)["Location"] == PAGE


def test_removing_asks_for_password_and_code(client):
    person = with_password(bia())
    device = with_app(person)
    client.force_login(person)
    forget_confirmation(client)
    url = reverse("two_factor_remove")

    asked = client.post(url)
    assert asked.templates[0].name == "users/confirm.html"
    client.post(url, answered(asked))  # without the code
    assert two_factor.has_app(person)
    with time_machine.travel(timezone.now() + timezone.timedelta(seconds=5)):
        client.post(url, answered(asked, code=code_of(device)))
    assert not two_factor.has_app(person)
    assert not StaticToken.objects.exists()


# --- Others ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actor", "person", "may"),
    [
        pytest.param(ana, bia, True, id="admin, attendant"),
        pytest.param(ana, root, False, id="admin, superuser"),
        pytest.param(bia, caio, False, id="attendant, attendant"),
        pytest.param(ana, ana, False, id="oneself by this door"),
    ],
)
def test_who_may_take_away_somebody_elses_app(client, actor, person, may):
    other = person()
    with_app(other)
    client.force_login(actor())
    answer = client.post(reverse("person_two_factor_remove", args=[other.pk]))
    assert answer.status_code == 302 if may else answer.status_code in {403, 404}
    assert two_factor.has_app(other) is not may


def test_who_lost_the_app_is_signed_out_everywhere(client):
    person, thief = bia(), Client()
    with_app(person)
    thief.force_login(person)
    client.force_login(ana())
    client.post(reverse("person_two_factor_remove", args=[person.pk]))
    assert not is_in(thief)


# --- Required ----------------------------------------------------------------------------------


def test_an_admin_without_an_app_is_led_to_set_it_up(client, required):
    give_password(client, with_password(ana()))
    for url in ("/admin/", reverse("profile"), reverse("audit"), reverse("own_tokens")):
        assert client.get(url)["Location"] == SETUP
    for url in ("/api/v1/users/me", "/api/v1/docs/", "/api/v1/schema/"):
        refused = client.get(url)
        assert (refused.status_code, refused.json()["code"]) == (403, "code_needed")
    assert client.get("/admin/", headers={"HX-Request": "true"})["HX-Redirect"] == SETUP
    assert client.get(SETUP).status_code == 200
    assert client.post(reverse("admin:logout")).status_code in {200, 302}


def test_an_admin_who_set_it_up_goes_on(client, required):
    person = with_password(ana())
    give_password(client, person)
    client.get(SETUP)
    client.post(SETUP, {"code": code_of(TOTPDevice.objects.get(user=person))})
    assert is_in(client)


def test_attendants_and_tokens_are_not_asked(client, required):
    give_password(client, with_password(bia()))
    assert is_in(client)
    assert api(ana()).get("/api/v1/users/me").status_code == 200


def test_a_login_from_before_the_app_must_begin_again(client, required):
    person = ana()
    client.force_login(person)
    with_app(person)
    assert client.get("/admin/")["Location"].startswith("/admin/login/")
    assert not Session.objects.filter(session_key=client.session.session_key).exists()


def test_asking_for_codes_costs_no_statement(client, settings):
    """A login that gave its code costs with the rule what it costs without."""
    person = with_password(ana())
    client.force_login(person)
    client.get(SETUP)
    client.post(SETUP, {"code": code_of(TOTPDevice.objects.get(user=person))})
    client.get(reverse("profile"))
    counts = []
    for settings.REQUIRE_2FA in (False, True):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(reverse("profile")).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]
