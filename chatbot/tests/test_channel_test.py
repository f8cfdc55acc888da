"""The page that tests a channel: what it asks, what it says, what it mends, who may see it."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from chatbot.channels import http
from chatbot.incidents import open_incident
from chatbot.models import Incident, IncidentKind, TrafficHour
from chatbot.tests import recipes, stage
from chatbot.tests.webhook import NUMBER, post, say, text, whatsapp_channel
from sessions_app.models import Channel, ChannelKind

pytestmark = pytest.mark.django_db

ACCOUNT = "200000000000001"
TOKEN = "EAAFicticioToken0001"
APP_SECRET = "0123456789abcdef0123456789abcdef"
VERIFY = "verifica-ficticio"
CREDENTIALS = {"app_secret": APP_SECRET, "verify_token": VERIFY, "access_token": TOKEN}
GOOD_NUMBER = {
    "verified_name": "Loja Exemplo",
    "display_phone_number": "+55 11 3000-0000",
    "quality_rating": "GREEN",
    "code_verification_status": "VERIFIED",
    "name_status": "APPROVED",
    "platform_type": "CLOUD_API",
    "throughput": {"level": "STANDARD"},
    "id": NUMBER,
}
APP = {"whatsapp_business_api_data": {"id": "1", "name": "Atende", "link": "https://x"}}
EXPIRED = {"error": {"code": 190, "message": "Error validating access token: expired"}}


@pytest.fixture
def graph(httpserver, settings):
    settings.GRAPH_API_URL = httpserver.url_for("")
    settings.SITE_URL = "https://atende.example.com"
    yield httpserver
    http.close()


@pytest.fixture
def channel():
    return whatsapp_channel(account_id=ACCOUNT, credentials=CREDENTIALS)


@pytest.fixture
def ana(client):
    user = recipes.ana()
    client.force_login(user)
    return user


def answer(graph, path, body, status=200):
    graph.expect_request(f"/v26.0/{path}", method="GET").respond_with_json(body, status=status)


def meta(graph, number=None, **answers):
    """Meta, where all is well unless said otherwise."""
    answer(graph, NUMBER, {**GOOD_NUMBER, **(number or {})})
    for path, body in {
        "phone_numbers": {"data": [{"id": NUMBER}]},
        "subscribed_apps": {"data": [APP]},
        "message_templates": {"data": []},
        **answers,
    }.items():
        answer(graph, f"{ACCOUNT}/{path}", body)


def page(channel):
    return reverse("channel_test", args=[channel.pk])


def run_test(client, channel):
    response = client.post(page(channel))
    assert response.status_code == 200
    return response.context["checks"]


def troubles(checks):
    return [(check.level.value, check.about) for check in checks if check.level != "ok"]


def said(checks, about):
    return " ".join(f"{one.what} {one.advice}" for one in checks if one.about == about)


# --- All is well


def test_a_good_channel_has_nothing_to_mend(client, graph, ana, channel):
    meta(graph)
    say_recently(channel)
    checks = run_test(client, channel)
    assert troubles(checks) == []
    asked = [request.path.removeprefix("/v26.0/") for request, _answer in graph.log]
    assert asked == [
        NUMBER,
        NUMBER,
        f"{ACCOUNT}/phone_numbers",
        f"{ACCOUNT}/subscribed_apps",
        f"{ACCOUNT}/message_templates",
    ]
    assert all(one.headers["Authorization"] == f"Bearer {TOKEN}" for one, _answer in graph.log)
    proof = hmac.new(APP_SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    assert graph.log[1][0].args["appsecret_proof"] == proof


def say_recently(channel):
    recipes.inbound(stage.talk(channel), created_at=timezone.now())


def test_opening_the_page_asks_nobody(client, graph, ana, channel):
    response = client.get(page(channel))
    assert response.status_code == 200
    assert graph.log == []


def test_the_simulator_is_fine_and_asks_nobody(client, graph, ana):
    channel = whatsapp_channel(kind=ChannelKind.SIMULATOR, credentials={}, external_id="")
    assert troubles(run_test(client, channel)) == []
    assert graph.log == []


def test_no_secret_is_on_the_page_even_when_the_provider_quotes_it(client, graph, ana, channel):
    answer(
        graph, NUMBER, {"error": {"code": 190, "message": f"Bad token {TOKEN} {APP_SECRET}"}}, 401
    )
    content = client.post(page(channel)).content.decode()
    assert "190" in content
    for secret in CREDENTIALS.values():
        assert secret not in content


def test_nothing_is_asked_inside_a_transaction(client, graph, ana, channel, monkeypatch):
    meta(graph)
    depths = []
    asked = http.get_json

    def watched(*args, **kwargs):
        depths.append(len(connection.savepoint_ids))
        return asked(*args, **kwargs)

    monkeypatch.setattr(http, "get_json", watched)
    run_test(client, channel)
    assert set(depths) == {0}


# --- What may be wrong here


def test_missing_credentials_are_named_and_nobody_is_asked(client, graph, ana):
    channel = whatsapp_channel(credentials={}, external_id="")
    checks = run_test(client, channel)
    assert ("error", "Credenciais") in named(checks) or ("error", "Credentials") in named(checks)
    assert graph.log == []


def named(checks):
    return set(troubles(checks))


def test_unreadable_credentials_are_said_and_no_more(client, graph, ana, channel, settings):
    settings.FIELD_ENCRYPTION_KEY = ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]
    checks = run_test(client, channel)
    assert any("FIELD_ENCRYPTION_KEY" in check.what for check in checks)
    assert graph.log == []


@pytest.mark.parametrize(
    ("secret", "level"),
    [
        pytest.param("curto", "warning", id="not its form"),
        pytest.param(TOKEN, "error", id="the token instead"),
        pytest.param(APP_SECRET.upper(), "warning", id="capitals"),
    ],
)
def test_an_app_secret_that_cannot_be_one(client, graph, ana, secret, level):
    meta(graph)
    channel = whatsapp_channel(
        account_id=ACCOUNT, credentials={**CREDENTIALS, "app_secret": secret}
    )
    say_recently(channel)
    assert [one for one, _about in troubles(run_test(client, channel))] == [level]


def test_the_webhook_must_be_https(client, graph, ana, channel, settings):
    meta(graph)
    settings.SITE_URL = "http://127.0.0.1:8000"
    say_recently(channel)
    (trouble,) = [one for one in run_test(client, channel) if one.level == "error"]
    assert "http://127.0.0.1:8000/webhook" in trouble.what


def test_the_webhook_is_played_through_the_address_of_that_channel(client, graph, ana, channel):
    meta(graph)
    other = whatsapp_channel(
        slug="loja",
        external_id="100000000000009",
        is_default=False,
        account_id=ACCOUNT,
        credentials={**CREDENTIALS, "verify_token": "outro-token"},
    )
    answer(graph, other.external_id, GOOD_NUMBER)
    checks = run_test(client, other)
    assert "https://atende.example.com/webhook/loja" in said(checks, webhook_label(checks))


def webhook_label(checks):
    return next(check.about for check in checks if "/webhook" in check.what)


def test_without_a_verify_token_the_webhook_does_not_answer(client, graph, ana):
    meta(graph)
    channel = whatsapp_channel(account_id=ACCOUNT, credentials={**CREDENTIALS, "verify_token": ""})
    checks = run_test(client, channel)
    wrong = [one for one in checks if "/webhook" in one.what]
    assert [one.level for one in wrong] == ["error"]


def test_a_pause_is_said_and_taken_off_by_a_button(client, graph, ana, channel):
    Channel.objects.update(
        paused_until=timezone.now() + timedelta(hours=1), pause_reason="190: expired"
    )
    response = client.get(page(channel))
    (paused,) = [one for one in response.context["checks"] if one.mend == "resume"]
    assert "190: expired" in paused.what
    client.post(reverse("channel_mend", args=[channel.pk]), {"what": "resume"})
    channel.refresh_from_db()
    assert (channel.paused_until, channel.pause_reason) == (None, "")


def test_a_wrong_signature_of_late_is_said(client, graph, ana, channel):
    post(client, b"{}", signature="sha256=" + "0" * 64)
    checks = client.get(page(channel)).context["checks"]
    assert [
        one.level
        for one in checks
        if "assinatura" in one.about.lower() or "signature" in one.about.lower()
    ] == ["error"]


# --- What Meta may say


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(401, {"code": 190, "message": "expired"}, id="token expired"),
        pytest.param(403, {"code": 10, "message": "no permission"}, id="permission"),
        pytest.param(403, {"code": 200, "message": "no rights"}, id="rights"),
        pytest.param(400, {"code": 100, "message": "no object"}, id="not its number"),
        pytest.param(400, {"code": 4, "message": "calls"}, id="asked too often"),
        pytest.param(500, {"code": 1, "message": "unknown"}, id="unknown"),
    ],
)
@pytest.mark.usefixtures("ana")
def test_a_refusal_is_put_into_words_with_its_code(client, graph, channel, status, error):
    answer(graph, NUMBER, {"error": error}, status)
    checks = run_test(client, channel)
    wrong = checks[-1]
    assert wrong.level != "ok"
    assert wrong.advice
    assert f"{error['code']}: {error['message']}" in wrong.what
    assert len(graph.log) == 1, "nothing else is asked after a refusal"


@pytest.mark.parametrize("play", ["down", "html", "redirect", "list", "garbage"])
@pytest.mark.usefixtures("ana")
def test_a_provider_that_cannot_be_understood_is_said_too(client, graph, channel, settings, play):
    open_incident(IncidentKind.TOKEN, channel=channel, now=timezone.now())
    request = graph.expect_request(f"/v26.0/{NUMBER}")
    match play:
        case "down":
            settings.GRAPH_API_URL = "http://127.0.0.1:9"
        case "html":
            request.respond_with_data("<html>502</html>", status=502)
        case "redirect":
            request.respond_with_data("", status=302, headers={"Location": "/elsewhere"})
        case "list":
            request.respond_with_data("[1, 2]")
        case "garbage":
            request.respond_with_data(b"\xff\xfe\x00")
    assert run_test(client, channel)[-1].level == "error"
    assert Incident.objects.filter(closed_at=None).exists()


@pytest.mark.parametrize(
    "number",
    [
        pytest.param({"quality_rating": "RED"}, id="quality red"),
        pytest.param({"platform_type": "NOT_APPLICABLE"}, id="not registered"),
        pytest.param({"code_verification_status": "NOT_VERIFIED"}, id="not verified"),
        pytest.param({"name_status": "DECLINED"}, id="name declined"),
    ],
)
def test_a_number_that_cannot_send_is_said(client, graph, ana, channel, number):
    meta(graph, number)
    say_recently(channel)
    assert [level for level, _about in troubles(run_test(client, channel))] == ["error"]


def test_odd_types_in_the_answer_are_no_error_page(client, graph, ana, channel):
    odd = {"verified_name": ["x"], "throughput": 7, "quality_rating": {}, "name_status": None}
    meta(graph, odd, phone_numbers={"data": {"id": 1}}, subscribed_apps={"data": [7, {"a": 1}, {}]})
    assert run_test(client, channel)


def test_a_number_of_another_business_account(client, graph, ana, channel):
    meta(graph, phone_numbers={"data": [{"id": "999"}]})
    say_recently(channel)
    assert [level for level, _about in troubles(run_test(client, channel))] == ["error"]


def test_an_app_secret_of_another_app(client, graph, ana, channel):
    proof = hmac.new(APP_SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    refusal = {"error": {"code": 100, "message": "Invalid appsecret_proof"}}
    graph.expect_request(
        f"/v26.0/{NUMBER}", query_string={"fields": "id", "appsecret_proof": proof}
    ).respond_with_json(refusal, status=400)
    meta(graph)
    say_recently(channel)
    assert [level for level, _about in troubles(run_test(client, channel))] == ["warning"]


def test_without_an_account_id_the_rest_is_left_out(client, graph, ana):
    channel = whatsapp_channel(credentials=CREDENTIALS)
    answer(graph, NUMBER, GOOD_NUMBER)
    say_recently(channel)
    checks = run_test(client, channel)
    assert [level for level, _about in troubles(checks)] == ["warning"]
    assert len(graph.log) == 2


def test_no_app_subscribed_is_said_and_mended_by_a_button(client, graph, ana, channel):
    meta(graph, subscribed_apps={"data": []})
    say_recently(channel)
    (wrong,) = [one for one in run_test(client, channel) if one.level == "error"]
    assert wrong.mend == "subscribe"
    subscribe = graph.expect_request(f"/v26.0/{ACCOUNT}/subscribed_apps", method="POST")
    subscribe.respond_with_json({"success": True})
    response = client.post(reverse("channel_mend", args=[channel.pk]), {"what": "subscribe"})
    assert response.status_code == 302
    assert graph.log[-1][0].method == "POST"


@pytest.mark.parametrize("what", ["subscribe", "", "delete", "resume<script>"])
def test_what_cannot_be_mended_says_so(client, graph, ana, channel, what):
    graph.expect_request(f"/v26.0/{ACCOUNT}/subscribed_apps", method="POST").respond_with_json(
        EXPIRED, status=401
    )
    response = client.post(reverse("channel_mend", args=[channel.pk]), {"what": what})
    (told,) = get_messages(response.wsgi_request)
    assert told.level_tag == "error"
    assert TOKEN not in str(told)


# --- Incidents


def test_a_test_that_succeeds_closes_what_it_proves(client, graph, ana, channel):
    now = timezone.now()
    for kind in (IncidentKind.TOKEN, IncidentKind.NUMBER, IncidentKind.PAYMENT):
        open_incident(kind, channel=channel, now=now)
    open_incident(IncidentKind.NUMBER, channel=channel, about="quality", now=now)
    meta(graph)
    run_test(client, channel)
    left = Incident.objects.filter(closed_at=None).values_list("key", flat=True)
    assert set(left) == {f"payment:{channel.pk}:", f"number:{channel.pk}:quality"}


def test_a_test_that_fails_closes_nothing(client, graph, ana, channel):
    open_incident(IncidentKind.TOKEN, channel=channel, now=timezone.now())
    answer(graph, NUMBER, EXPIRED, 401)
    run_test(client, channel)
    assert Incident.objects.filter(closed_at=None).count() == 1


# --- Who, and the way there


def test_only_admins_test_channels(client, graph, channel):
    assert client.get(page(channel)).status_code == 302
    client.force_login(recipes.bia())
    assert client.get(page(channel)).status_code == 403
    assert client.post(page(channel)).status_code == 403
    mend = client.post(reverse("channel_mend", args=[channel.pk]), {"what": "resume"})
    assert mend.status_code == 403
    assert graph.log == []


def test_a_channel_that_is_not_there(client, ana):
    assert client.get(reverse("channel_test", args=[999])).status_code == 404
    assert client.post(reverse("channel_mend", args=[999])).status_code == 404


def test_mending_needs_a_post(client, ana, channel):
    assert client.get(reverse("channel_mend", args=[channel.pk])).status_code == 405


def test_the_channels_page_shows_address_number_and_last_use(client, ana, settings):
    stage.open_shop(display_number="+55 11 3000-0000")
    channel = Channel.objects.get()
    say(client, text("Oi"))
    content = client.get(reverse("admin:sessions_app_channel_change", args=[channel.pk]))
    shown = content.content.decode()
    assert f'href="{page(channel)}"' in shown
    assert "http://testserver/webhook" in shown
    assert "+55 11 3000-0000" in shown
    assert timezone.localtime().strftime("%d/%m/%Y") in shown


def test_a_use_of_long_ago_is_known_by_the_hour(client, ana, channel):
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
    TrafficHour.objects.create(channel=channel, hour=hour, received=1, sent=0)
    assert client.get(page(channel)).context["use"].received_at == hour
    assert client.get(page(channel)).context["use"].sent_at is None
