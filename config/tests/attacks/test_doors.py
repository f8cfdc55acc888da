"""Logins, tokens, addresses to go on to, and what a request says of itself."""

import secrets
from unittest import mock

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from users import authentication
from users.models import User
from users.services import create_token

pytestmark = pytest.mark.django_db
PASSWORD = "uma-senha-bem-longa"
LOGIN = "/admin/login/"
ELSEWHERE = [
    "https://mal.example/",
    "//mal.example/",
    "///mal.example",
    "/\\mal.example",
    "\\\\mal.example",
    "https:mal.example",
    "http:///mal.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "https://testserver@mal.example/",
    "https://testserver.mal.example/",
    "\thttps://mal.example",
    "/%0d%0aLocation:%20https://mal.example",
]


@pytest.fixture
def ana(world):
    world.ana.set_password(PASSWORD)
    world.ana.save(update_fields=["password"])
    return world.ana


def log_in(client, user, password=PASSWORD, **more):
    return client.post(LOGIN, {"username": user.username, "password": password, **more})


def stays(response):
    """Leads nowhere but to a path of this site."""
    to = response.get("Location", "") or response.get("HX-Redirect", "")
    return to == "" or (to.startswith("/") and not to.startswith(("//", "/\\")) and "\n" not in to)


# --- Where one is led to --------------------------------------------------------------------------


@pytest.mark.parametrize("to", ELSEWHERE)
def test_nobody_is_led_away_after_logging_in(ana, client, to):
    response = log_in(client, ana, next=to)
    assert response.status_code == 302
    assert stays(response)
    again = client.get(LOGIN, {"next": to})
    assert stays(again)


@pytest.mark.parametrize("to", ELSEWHERE)
def test_no_form_leads_away(world, enter, to):
    client, session = enter(world.ana), world.case("own").session
    posts = [
        (reverse("availability"), {"availability": "paused"}),
        (reverse("conversation_reply", args=[session.pk]), {"text": ""}),
        (reverse("conversation_send_again", args=[session.pk, world.case("own")["failed"].pk]), {}),
        (reverse("notice", args=[world.case("own")["notice"].pk]), {}),
        (reverse("admin:tickets_ticket_views"), {"name": "x", "query": to}),
        (reverse("admin:tickets_ticket_bulk_undo"), {}),
    ]
    for url, data in posts:
        for headers in ({}, {"hx-request": "true"}):
            sent = {**data, "next": to}
            response = client.post(url, sent, headers={**headers, "referer": to})
            assert response.status_code < 500
            assert stays(response), url


@pytest.mark.parametrize("to", ELSEWHERE[:4])
def test_whoever_must_log_in_again_is_led_back_here(client, to):
    headers = {"hx-request": "true", "hx-current-url": to, "referer": to}
    response = client.get(reverse("admin:index"), headers=headers)
    assert "mal.example" not in response.get("HX-Redirect", "")


# --- Hosts and headers ----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["mal.example", "testserver.mal.example", "testserver:80@mal"])
def test_a_request_to_another_host_is_refused(client, host):
    for url in ("/", LOGIN, "/api/v1/users/me", "/healthz"):
        assert client.get(url, headers={"host": host}).status_code == 400


def test_a_forwarded_host_is_not_believed(client):
    headers = {"x-forwarded-host": "mal.example", "forwarded": "host=mal.example"}
    response = client.get(LOGIN, headers=headers)
    assert response.status_code == 200
    assert "mal.example" not in response.text


def test_no_page_takes_its_own_address_from_the_request(world, enter):
    """Addresses that leave the site are made of SITE_URL."""
    response = enter(world.admin).get(reverse("admin:index"), headers={"host": "localhost"})
    assert response.status_code == 200
    assert "http://localhost" not in response.text


def test_every_page_says_that_it_stands_in_no_frame_and_runs_no_script_of_its_own(world, enter):
    for response in (enter(world.admin).get(reverse("admin:index")), Client().get(LOGIN)):
        policy = response["Content-Security-Policy"]
        assert response["X-Frame-Options"] == "DENY"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "unsafe" not in policy
        for part in ("default-src 'self'", "object-src 'none'", "frame-ancestors 'none'"):
            assert part in policy


# --- Logins ---------------------------------------------------------------------------------------


def test_a_login_gets_a_key_that_nobody_knew_before(ana, client):
    client.get(LOGIN)
    session = client.session
    session["planted"] = True
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    planted = session.session_key
    assert log_in(client, ana).status_code == 302
    now = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert now != planted
    stranger = Client()
    stranger.cookies[settings.SESSION_COOKIE_NAME] = planted
    assert stranger.get(reverse("admin:index")).status_code == 302


def test_a_key_that_somebody_made_up_is_not_taken(ana, client):
    client.cookies[settings.SESSION_COOKIE_NAME] = made_up = "a" * 32
    log_in(client, ana)
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != made_up


def test_a_login_ends_for_good(ana, client):
    log_in(client, ana)
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.post(reverse("admin:logout"))
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    assert client.get(reverse("admin:index")).status_code == 302


def test_a_new_password_ends_the_logins_of_the_old_one(ana, client):
    log_in(client, ana)
    ana.set_password("outra-senha-bem-longa")
    ana.save(update_fields=["password"])
    assert client.get(reverse("admin:index")).status_code == 302


def test_cookies_are_not_for_scripts_nor_for_other_sites(ana, client):
    log_in(client, ana)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert client.cookies[settings.CSRF_COOKIE_NAME]["samesite"] == "Lax"


def test_who_guesses_passwords_is_locked_out(ana, client):
    for _number in range(settings.AXES_FAILURE_LIMIT):
        log_in(client, ana, "errada")
    locked = log_in(client, ana)
    assert locked.status_code == 429
    assert client.get(reverse("admin:index")).status_code == 302


def test_a_forged_address_does_not_escape_the_lock(ana, client):
    for number in range(settings.AXES_FAILURE_LIMIT + 1):
        headers = {"x-forwarded-for": f"10.0.0.{number}", "x-real-ip": f"10.0.1.{number}"}
        sent = {"username": "ana", "password": "errada"}
        response = client.post(LOGIN, sent, headers=headers)
    assert response.status_code == 429


def test_a_wrong_password_and_an_unknown_name_read_the_same(ana, client):
    wrong = log_in(client, ana, "errada")
    unknown = client.post(LOGIN, {"username": "ninguem", "password": "errada"})
    told = [one.context["form"].non_field_errors() for one in (wrong, unknown)]
    assert told[0]
    assert list(told[0]) == list(told[1])
    assert wrong.status_code == unknown.status_code


def test_a_form_of_another_site_logs_nobody_in(ana):
    client = Client(enforce_csrf_checks=True)
    assert log_in(client, ana).status_code == 403


@pytest.mark.parametrize("url", ["/admin/", "/admin/tickets/ticket/", "/api/v1/leads/"])
def test_no_page_of_somebody_is_kept_by_a_proxy(world, enter, url):
    response = enter(world.admin).get(url)
    kept = response.get("Cache-Control", "")
    assert "private" in kept or "no-store" in kept or "Cookie" in response.get("Vary", "")


# --- Tokens ---------------------------------------------------------------------------------------

ME = "/api/v1/users/me/"


@pytest.fixture
def token(world):
    return create_token(world.ana, name="x", scopes=["*:read", "*:write"])[1]


def asked(client, header):
    with CaptureQueriesContext(connection) as statements:
        response = client.get(ME, headers={"authorization": header})
    return response, len(statements)


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "authorization"])
def test_a_token_in_an_address_a_body_or_a_cookie_is_none(world, client, token, name):
    assert client.get(f"{ME}?{name}={token}").status_code == 401
    assert client.get(f"{ME}?{name}=Bearer+{token}").status_code == 401
    body = {name: token, "name": "X"}
    url = f"/api/v1/leads/{world.case('own').lead.pk}/"
    assert client.patch(url, body, content_type="application/json").status_code == 401
    client.cookies[name] = token
    assert client.get(ME).status_code == 401


def test_an_unknown_token_costs_what_a_wrong_secret_costs(client, token):
    """So the time that a refusal takes says nothing about which part was right."""
    start, _prefix, _secret = token.split("_")
    wrong = f"Bearer {token[:-64]}{'0' * 64}"
    unknown = f"Bearer {start}_{'0' * 12}_{'0' * 64}"
    with mock.patch.object(
        authentication.secrets, "compare_digest", wraps=secrets.compare_digest
    ) as compared:
        (first, count), (second, other) = asked(client, wrong), asked(client, unknown)
    assert (first.status_code, second.status_code) == (401, 401)
    assert first.content == second.content
    assert count == other == 1
    assert compared.call_count == 2
    lengths = {len(part) for call in compared.call_args_list for part in call.args}
    assert lengths == {64}


def test_tokens_are_not_guessed_by_pattern(world):
    texts = {create_token(world.ana, name="x", scopes=["*:read"])[1] for _number in range(20)}
    parts = [text.split("_") for text in texts]
    assert len({secret for _start, _prefix, secret in parts}) == 20
    assert {len(secret) for _start, _prefix, secret in parts} == {64}  # 256 random bits


def test_a_token_is_written_down_nowhere(world, token):
    secret = token.split("_")[2]
    from config.tests.walk.asking import rows_of  # noqa: PLC0415
    from users.models import ApiToken  # noqa: PLC0415

    assert secret not in str(rows_of(ApiToken))
    assert secret not in str(rows_of(User))


def test_a_token_needs_no_csrf_and_a_cookie_does(world, enter, token):
    lead = world.case("own").lead
    url, body = f"/api/v1/leads/{lead.pk}/", {"need": "Outra"}
    cookie = enter(world.ana, enforce_csrf_checks=True)
    assert cookie.patch(url, body, content_type="application/json").status_code == 403
    program = Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {token}"})
    assert program.patch(url, body, content_type="application/json").status_code == 200


def test_another_site_reads_nothing_of_the_api(world, token):
    client = Client(headers={"authorization": f"Bearer {token}", "origin": "https://mal.example"})
    response = client.get(ME)
    assert not [name for name in response.headers if name.lower().startswith("access-control")]
