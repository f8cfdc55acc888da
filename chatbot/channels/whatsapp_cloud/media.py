"""Files: received ones are resolved and downloaded, ours are uploaded. Meta's docs: "Cloud API,
media".

An address lives five minutes and wants the access token, so the token goes to known hosts alone.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from django.conf import settings
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from chatbot.channels import http, reading
from chatbot.channels.base import Download, SendError
from chatbot.channels.inbound import MediaRef
from chatbot.channels.whatsapp_cloud import errors, sending

ADDRESS_LIVES = timedelta(minutes=4, seconds=30)  # half a minute less than Meta says
_HTTPS_PORT = 443
_NO_SUCH_ID = frozenset({"100", "http_404"})


@dataclass(frozen=True)
class Caller:
    """Where a channel asks, and with what."""

    base: str  # the Graph API with its version
    account: str
    token: str
    secrets: tuple[str, ...] = ()


@contextmanager
def opened(caller: Caller, ref: MediaRef, *, age: timedelta) -> Iterator[Download]:
    """The file, by the address of the webhook while that lives, else by a new one."""
    if ref.url and age < ADDRESS_LIVES and is_trusted(ref.url):
        with http.stream(ref.url, token=caller.token, secrets=caller.secrets) as answer:
            if answer.is_success:
                yield Download(answer.chunks, ref.sha256)
                return
    url, sha256 = _resolve(caller, ref.provider_id)
    with http.stream(url, token=caller.token, secrets=caller.secrets) as answer:
        if not answer.is_success:
            raise _refused(answer.status)
        yield Download(answer.chunks, sha256 or ref.sha256)


def upload(caller: Caller, file: BinaryIO, *, mime_type: str) -> str:
    """The id of the uploaded file, good for 30 days and for this number alone."""
    answer = http.post_file(
        f"{caller.base}/{caller.account}/media",
        file,
        mime_type=mime_type,
        fields={"messaging_product": "whatsapp", "type": mime_type},
        token=caller.token,
        secrets=caller.secrets,
    )
    found = _accepted(answer)
    media_id = reading.identifier(found, "id")
    if not media_id:
        raise SendError("no_id", "uploaded without an id", retryable=True)
    return media_id


def is_trusted(url: str) -> bool:
    """May this address get the access token? Only the Graph API's own host, which is configured,
    and the hosts of MEDIA_HOSTS, by https and at public addresses."""
    try:
        parts, seen = urlsplit(url), parse_url(url)
        port = parts.port
    except (ValueError, LocationParseError):
        return False
    host = (parts.hostname or "").lower()
    # Two readers of one address must agree where it leads.
    if not host or host != (seen.host or "").lower() or "@" in parts.netloc or "\\" in url:
        return False
    graph = urlsplit(settings.GRAPH_API_URL)
    if host == graph.hostname:
        return parts.scheme == graph.scheme and (port == graph.port or _is_loopback(host))
    if host not in settings.MEDIA_HOSTS:
        return False
    if _is_loopback(host):
        return parts.scheme in {"http", "https"}
    return parts.scheme == "https" and port in {None, _HTTPS_PORT} and _is_public(host)


def _resolve(caller: Caller, media_id: str) -> tuple[str, str]:
    """A fresh address and the hash. Named with the number: Meta then gives only media of it."""
    if not media_id:
        raise SendError("media_expired", "only an address was given", retryable=False)
    query = f"phone_number_id={quote(caller.account, safe='')}"
    url = f"{caller.base}/{quote(media_id, safe='')}?{query}"
    answer = http.get_json(url, token=caller.token, secrets=caller.secrets)
    try:
        found = _accepted(answer)
    except SendError as error:
        if error.code in _NO_SUCH_ID:
            raise SendError("media_expired", error.detail, retryable=False) from None
        raise
    fresh = reading.text(found, "url") or ""
    if not is_trusted(fresh):
        host = urlsplit(fresh).hostname if fresh.startswith("http") else ""
        raise SendError("media_host", f"host {host or '?'} is not in MEDIA_HOSTS", retryable=False)
    return fresh, reading.text(found, "sha256") or ""


def _accepted(answer: http.Answer) -> dict[str, object]:
    """As for a message, but nothing is uncertain: both calls may be made again."""
    try:
        return sending.accepted(answer)
    except SendError as error:
        if not error.uncertain:
            raise
        raise SendError(error.code, error.detail, retryable=True) from None


def _refused(status: int) -> SendError:
    """404: the address has just died, the next try gets another one."""
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return errors.failure("190", f"http_{status} for a file")
    may_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {
        HTTPStatus.NOT_FOUND,
        HTTPStatus.GONE,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
    return SendError(f"http_{status}", "the file was not given", retryable=may_pass)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_public(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, _HTTPS_PORT, proto=socket.IPPROTO_TCP)
    except OSError:
        return True  # not a private address; the call itself will say that it cannot be reached
    return all(ipaddress.ip_address(one[4][0]).is_global for one in found)
