"""The webhook: proves where a body comes from, stores what it says, answers."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from chatbot import conversation, failures, metrics
from chatbot.channels import transport_for
from chatbot.channels.base import BadSignature, Malformed, Transport
from chatbot.web_watch import watch
from sessions_app.models import Channel
from users.frozen import Frozen

logger = logging.getLogger(__name__)

LARGEST_BODY = 4 * 1024 * 1024  # Meta's bodies reach 3 MB
DRAINED = 16 * 1024 * 1024  # how much of a larger body is read away, so that the answer can be read


@csrf_exempt
@login_not_required
@require_http_methods(["GET", "POST"])
def webhook(request: HttpRequest, slug: str = "") -> HttpResponse:
    """`/webhook` is the default channel's, `/webhook/<slug>` any other's.

    POST: 200 (empty) once everything in the body is stored, understood or not; 403 for a wrong
    signature; 413 above 4 MB; 503 when something could not be stored, so that the provider sends it
    again. Never 500. Nothing of an unproven body is kept.
    """
    try:
        channel = _channel(slug)
    except (OperationalError, InterfaceError):
        logger.exception("the database cannot be reached")
        return _answer(503)
    if channel is None:
        return _answer(404)
    try:
        transport = transport_for(channel)
        if request.method == "GET":
            return transport.handshake(request) or _answer(404)
        return _answer(_post(request, channel, transport))
    except Exception:
        logger.exception("a body of channel %s could not be stored", channel.slug)
        return _answer(503)


def _post(request: HttpRequest, channel: Channel, transport: Transport) -> int:
    body = _read(request)
    if body is None:
        logger.warning("channel %s: a body above %s bytes was refused", channel.slug, LARGEST_BODY)
        return 413
    try:
        transport.verify(request, body)
    except BadSignature as error:
        metrics.BAD_SIGNATURES.labels(channel.slug).inc()
        watch.note_bad_signature(channel, now=timezone.now())
        logger.warning("channel %s: a body was refused: %s", channel.slug, error)
        return 403
    now = timezone.now()
    try:
        items = transport.parse(request, body)
    except Malformed as error:
        failures.keep_body(body, channel=channel, error=f"malformed: {error}")
        return 200
    except Exception as error:
        logger.exception("a proven body of channel %s could not be parsed", channel.slug)
        failures.keep_body(body, channel=channel, error=type(error).__name__, cause=error)
        return 200
    receipt = conversation.receive(channel, items, now=now)
    metrics.count(channel.slug, receipt)
    watch.look_after_webhook(now=now)
    return 200 if receipt.is_complete else 503


def _channel(slug: str) -> Channel | None:
    channel: Channel | None = _NAMED.first(slug=slug) if slug else _DEFAULT.first()
    return channel


# A provider asks, not a person.
_NAMED = Frozen(lambda _shape, slug: Channel.objects.filter(slug=slug))  # door: a provider
_DEFAULT = Frozen(lambda _shape: Channel.objects.filter(is_default=True))  # door: a provider


def _read(request: HttpRequest) -> bytes | None:
    """The raw bytes; None for a body that is too large, which is read away as far as is
    reasonable."""
    body = request.read(LARGEST_BODY + 1)
    if len(body) <= LARGEST_BODY:
        return body
    drained = len(body)
    while drained < DRAINED and (chunk := request.read(256 * 1024)):
        drained += len(chunk)
    return None


def _answer(status: int) -> HttpResponse:
    return HttpResponse(status=status, content_type="text/plain")
