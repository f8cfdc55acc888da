"""Can this number send and receive? Each question with its answer and what to do about it.

Meta's docs: "Business phone numbers", "Webhooks, overview" (the two steps of subscribing) and
"Access tokens". Nothing here is stored, and no secret is shown: an answer that quotes one comes
back from `http` without it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _

from chatbot.channels import http, reading
from chatbot.channels.base import Check, CheckLevel, Meaning, SendError
from chatbot.channels.whatsapp_cloud import sending
from sessions_app.models import CREDENTIALS, Channel

SUBSCRIBE = "subscribe"
TIMEOUT = (3.0, 6.0)
NUMBER_FIELDS = (
    "verified_name,display_phone_number,quality_rating,code_verification_status,name_status,"
    "throughput,platform_type"
)
_SECRET = re.compile(r"[0-9a-f]{32}")
_NAMES_OK = frozenset({"", "APPROVED", "AVAILABLE_WITHOUT_REVIEW", "NONE"})
_NO_ANSWER = frozenset({"connection", "timeout", "cut", "request"})
_TOKEN_CODES = frozenset({"0", "102", "190", "463", "467"})
_TOO_MANY = frozenset({"4", "17", "32", "613", "80007", "http_429"})
_INVALID = "100"
_UNREADABLE = "answer"
_LARGEST_PAGE = 100


def diagnose(channel: Channel, webhook_path: str) -> list[Check]:
    """Every question in turn; those to Meta end with the first one that it does not answer."""
    return [*_local(channel, webhook_path), *_remote(_Graph(channel))]


def mend(channel: Channel, what: str) -> None:
    """Subscribe the app of the token to the business account: without it nothing arrives."""
    if what != SUBSCRIBE or not channel.account_id:
        raise SendError("mend", what, retryable=False)
    graph = _Graph(channel)
    sending.accepted(http.post_json(graph.url(_subscriptions(channel)), {}, **graph.access))


# --- What is known here ------------------------------------------------------------------------


def _local(channel: Channel, webhook_path: str) -> Iterator[Check]:
    yield from _credentials(channel)
    yield _app_secret(channel)
    yield _webhook(channel, webhook_path)


def _credentials(channel: Channel) -> Iterator[Check]:
    about = _("Credentials")
    missing = [
        label
        for name, label in (
            ("access_token", _("access token")),
            ("app_secret", _("app secret")),
            ("verify_token", _("verify token")),
        )
        if not _credential(channel, name)
    ]
    if missing:
        what = _("Missing: %(names)s.") % {"names": ", ".join(missing)}
        yield _error(about, what, _("Type them in on the channel's page. Meta's app shows them."))
    else:
        yield _ok(about, _("Token, app secret and verify token are there."))
    if not channel.external_id.isdecimal():
        what = _("There is no phone number id, or it is not made of digits.")
        advice = _(
            "Copy the phone number id (not the number itself) from WhatsApp, API setup, in Meta's "
            "developer console to “external id”."
        )
        yield _error(_("Phone number id"), what, advice)


def _app_secret(channel: Channel) -> Check:
    about = _("App secret")
    secret = _credential(channel, "app_secret")
    if not secret:
        return _error(about, _("None."), _("Without it every body of the webhook is refused."))
    if secret in {_credential(channel, "access_token"), _credential(channel, "verify_token")}:
        what = _("It is the same as the access token or the verify token.")
        return _error(about, what, _("Copy it from App settings, Basic, in Meta's console."))
    if not _SECRET.fullmatch(secret):
        what = _("It does not look like one: Meta's have 32 characters, 0 to 9 and a to f.")
        return _warning(about, what, _("Copy it from App settings, Basic, in Meta's console."))
    return _ok(about, _("It has the right form."))


def _webhook(channel: Channel, path: str) -> Check:
    """Meta's GET, played through this site's own address table."""
    about = _("Webhook")
    url = f"{settings.SITE_URL}{path}"
    token = _credential(channel, "verify_token")
    if not token or not _answers_handshake(path, token):
        what = _("%(url)s does not answer Meta's check with this verify token.") % {"url": url}
        return _error(
            about, what, _("Type in the verify token, the same here and in Meta's console.")
        )
    if not settings.SITE_URL.startswith("https://"):
        what = _("%(url)s answers, but Meta calls only https addresses.") % {"url": url}
        advice = _("Put the site behind https with a valid certificate, and set SITE_URL to it.")
        return _error(about, what, advice)
    return _ok(about, _("%(url)s answers Meta's check. Give Meta this address.") % {"url": url})


def _answers_handshake(path: str, token: str) -> bool:
    challenge = secrets.token_hex(8)
    request = HttpRequest()
    request.method, request.path = "GET", path
    query = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": challenge}
    request.GET = QueryDict(urlencode(query))
    try:
        match = resolve(path)
    except Resolver404:
        return False
    response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    return response.status_code == HTTPStatus.OK and response.content == challenge.encode()


# --- What Meta says ----------------------------------------------------------------------------


@dataclass
class _Graph:
    """Meta's API, asked with the channel's token."""

    channel: Channel

    @property
    def access(self) -> dict[str, Any]:
        known = (_credential(self.channel, name) for name in CREDENTIALS)
        token = _credential(self.channel, "access_token")
        return {"token": token, "secrets": tuple(filter(None, known)), "timeout": TIMEOUT}

    def url(self, path: str, **query: str) -> str:
        base = "/".join((settings.GRAPH_API_URL.rstrip("/"), settings.GRAPH_API_VERSION, path))
        return f"{base}?{urlencode(query)}" if query else base

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """The answer's JSON. Raises SendError."""
        return sending.accepted(http.get_json(self.url(path, **query), **self.access))


def _remote(graph: _Graph) -> Iterator[Check]:
    channel = graph.channel
    if not _credential(channel, "access_token") or not channel.external_id.isdecimal():
        return
    try:
        found = graph.get(channel.external_id, fields=NUMBER_FIELDS)
        if reading.words(found, "id") != channel.external_id:
            raise SendError(_UNREADABLE, retryable=False)
    except SendError as error:
        yield _refusal(_("Access token"), error)
        return
    yield Check(
        CheckLevel.OK,
        _("Access token"),
        _("Meta accepts it for this number."),
        proves=Meaning.TOKEN,
    )
    yield from _number(found)
    try:
        yield from _secret_of_app(graph)
        yield from _account(graph)
    except SendError as error:
        yield _refusal(_("Business account"), error)


def _number(found: dict[str, Any]) -> Iterator[Check]:
    about = _("Number")
    shown = reading.words(found, "display_phone_number") or "?"
    name = reading.words(found, "verified_name") or "?"
    troubles = list(_number_troubles(found))
    for what, advice in troubles:
        yield _error(about, what, advice)
    if not troubles:
        what = _("%(number)s, “%(name)s”.") % {"number": shown, "name": name}
        yield Check(CheckLevel.OK, about, what, proves=Meaning.NUMBER)
    quality = reading.words(found, "quality_rating")
    if quality in {"RED", "YELLOW"}:
        what = _("Meta rates the quality of the number %(rating)s.") % {"rating": quality}
        advice = _("Customers block or report it. Send less that nobody asked for.")
        make = _error if quality == "RED" else _warning
        yield make(_("Quality"), what, advice)
    level = reading.words(reading.mapping(found, "throughput"), "level")
    if level:
        yield _ok(_("Throughput"), level)


def _number_troubles(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if reading.words(found, "platform_type") == "NOT_APPLICABLE":
        yield (
            _("The number is not registered for the Cloud API."),
            _("Register it in WhatsApp Manager, or with POST /register and its six-digit PIN."),
        )
    elif reading.words(found, "code_verification_status") == "NOT_VERIFIED":
        yield (
            _("The number was never confirmed with a code."),
            _("Confirm it in WhatsApp Manager by SMS or call."),
        )
    name_status = reading.words(found, "name_status")
    if name_status not in _NAMES_OK:
        yield (
            _("The name shown to customers is not approved (%(status)s).")
            % {"status": name_status},
            _("Correct the name in WhatsApp Manager and wait for its approval."),
        )


def _secret_of_app(graph: _Graph) -> Iterator[Check]:
    """`appsecret_proof` is refused when the secret is not of the token's app."""
    token = _credential(graph.channel, "access_token")
    secret = _credential(graph.channel, "app_secret")
    if not secret:
        return
    proof = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    try:
        graph.get(graph.channel.external_id, fields="id", appsecret_proof=proof)
    except SendError as error:
        if error.code != _INVALID:
            raise
        what = _("Meta says that it is not the secret of the app that the token belongs to.")
        advice = _(
            "If the webhook belongs to another app than the token, this is right. Else copy the "
            "secret again: with a wrong one every body is refused."
        )
        yield _warning(_("App secret"), what, advice)
    else:
        yield _ok(_("App secret"), _("It belongs to the token's app."))


def _account(graph: _Graph) -> Iterator[Check]:
    channel = graph.channel
    about = _("Business account")
    if not channel.account_id:
        what = _("Its id is not known, so subscription and templates cannot be looked at.")
        advice = _(
            "Copy the WhatsApp business account id from WhatsApp, API setup, in Meta's developer "
            "console to “account id” on the channel's page."
        )
        yield _warning(about, what, advice)
        return
    numbers = graph.get(
        f"{channel.account_id}/phone_numbers", fields="id", limit=str(_LARGEST_PAGE)
    )
    ids = {reading.words(one, "id") for one in reading.mappings(numbers, "data")}
    if channel.external_id in ids or len(ids) >= _LARGEST_PAGE:
        yield _ok(about, _("The number belongs to it."))
    else:
        what = _("The number does not belong to this business account.")
        yield _error(about, what, _("Correct “account id” or “external id” on the channel's page."))
    yield _subscription(graph)
    graph.get(f"{channel.account_id}/message_templates", fields="id", limit="1")
    yield _ok(_("Message templates"), _("The token may read them."))


def _subscription(graph: _Graph) -> Check:
    about = _("Subscription")
    apps = reading.mappings(graph.get(_subscriptions(graph.channel)), "data")
    names = [
        reading.words(reading.mapping(one, "whatsapp_business_api_data"), "name") or "?"
        for one in apps
    ]
    if names:
        what = _("Subscribed: %(apps)s.") % {"apps": ", ".join(names)}
        return _ok(about, what)
    what = _("No app is subscribed to the business account: nothing arrives.")
    advice = _("Subscribe it here; in Meta's console the field “messages” must be chosen too.")
    return Check(CheckLevel.ERROR, about, what, advice, mend=SUBSCRIBE)


def _subscriptions(channel: Channel) -> str:
    return f"{channel.account_id}/subscribed_apps"


def _refusal(about: str, error: SendError) -> Check:
    """Why Meta did not answer the question, in words."""
    said = f" ({error.code}: {error.detail[:200]})" if error.detail else f" ({error.code})"
    if error.code in {*_NO_ANSWER, _UNREADABLE} or error.code.startswith(("http_3", "http_5")):
        what = _("Meta cannot be reached from here.") + said
        return _error(about, what, _("Look at this server's network, then test again."))
    if error.code in _TOKEN_CODES:
        what = _("Meta refuses the token: it has expired or was taken back.") + said
        advice = _(
            "In Meta's business settings make a token of a system user that never expires, with "
            "whatsapp_business_messaging and whatsapp_business_management, and type it in."
        )
        return _error(about, what, advice)
    if error.code in _TOO_MANY:
        what = _("Meta was asked too often.") + said
        return _warning(about, what, _("Test again in an hour."))
    if error.code in {_INVALID, "33"}:
        what = _("Meta does not know this id, or the token may not see it.") + said
        advice = _(
            "Compare the ids on the channel's page with Meta's console, and give the system user "
            "access to this business account."
        )
        return _error(about, what, advice)
    what = _("The token may not do this.") + said
    advice = _(
        "Give it whatsapp_business_messaging and whatsapp_business_management, and the system user "
        "access to this business account."
    )
    return _error(about, what, advice)


def _credential(channel: Channel, name: str) -> str:
    value = channel.credentials.get(name, "")
    return value if isinstance(value, str) else ""


def _ok(about: str, what: str) -> Check:
    return Check(CheckLevel.OK, about, what)


def _warning(about: str, what: str, advice: str) -> Check:
    return Check(CheckLevel.WARNING, about, what, advice)


def _error(about: str, what: str, advice: str) -> Check:
    return Check(CheckLevel.ERROR, about, what, advice)
