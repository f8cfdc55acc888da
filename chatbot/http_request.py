"""The request of an `http` passo: outside any transaction, to public addresses only, with small
answers."""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from urllib3.exceptions import HTTPError  # while a body is read

from chatbot import vault

logger = logging.getLogger(__name__)

OK, ERROR = "ok", "error"
LARGEST_ANSWER = 1024 * 1024
CONNECT_SECONDS = 3.0


# Too many requests, and what says that the other side cannot at the moment.
NOT_NOW = frozenset({429, 500, 502, 503, 504})


class Unanswered(Exception):
    """Nobody answered, or the other system cannot now."""


class Refused(Exception):
    """The request is not made at all: its address is not allowed."""


def run_request(payload: dict[str, Any], *, may_wait: bool = False) -> tuple[str, dict[str, Any]]:
    """(route, values) of a `CallHttp`: "ok" with the mapped values of a 2xx JSON answer, else
    "error".

    Never raises for what the address or the answer is, except Unanswered with `may_wait`: asking
    again later may help. Redirects are not followed.
    """
    try:
        check_address(payload["url"])
        answer = _call(payload, vault.filled(payload.get("secret_headers") or {}))
    except (Unanswered, requests.ConnectionError, requests.Timeout, HTTPError) as error:
        logger.warning("an http passo got no answer: %s", type(error).__name__)
        if may_wait:
            raise Unanswered(type(error).__name__) from None
        return ERROR, {}
    except (Refused, vault.MissingSecret, requests.RequestException, ValueError) as error:
        logger.warning("an http passo failed: %s", type(error).__name__)
        return ERROR, {}
    mapping = payload.get("mapping") or {}
    return OK, {
        name: value for name, path in mapping.items() if (value := _at(answer, path)) is not None
    }


def check_address(url: str) -> None:
    """Raise Refused unless `url` is http(s) and every address of its host is public (or listed in
    HTTP_NODE_PRIVATE_HOSTS): a flow must not reach what only this server may reach."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Refused(url)
    if parts.hostname in settings.HTTP_NODE_PRIVATE_HOSTS:
        return
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise Refused(parts.hostname) from error
    if not all(ipaddress.ip_address(one[4][0]).is_global for one in found):
        raise Refused(parts.hostname)


def _call(payload: dict[str, Any], secret_headers: dict[str, str]) -> Any:
    headers = {"Accept": "application/json", **payload.get("headers", {}), **secret_headers}
    with requests.request(
        payload["method"],
        payload["url"],
        headers=headers,
        data=(payload.get("body") or "").encode(),
        timeout=(CONNECT_SECONDS, float(payload.get("timeout_seconds") or 10)),
        allow_redirects=False,
        stream=True,
    ) as response:
        if response.status_code in NOT_NOW:
            raise Unanswered(f"status {response.status_code}")
        if response.status_code // 100 != 2:  # noqa: PLR2004  # HTTP's class of success
            raise ValueError(f"status {response.status_code}")
        body = response.raw.read(LARGEST_ANSWER + 1, decode_content=True)
    if len(body) > LARGEST_ANSWER:
        raise ValueError("the answer is too large")
    return json.loads(body) if body else {}


def _at(answer: Any, path: str) -> Any:
    """The scalar at a dotted path ("items.0.price"); None when there is none."""
    for part in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(part)
        elif isinstance(answer, list) and part.isdigit() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            return None
    return answer if isinstance(answer, str | int | float | bool) else None
