"""The request of an `http` passo: outside any transaction, to public addresses only, with small
answers."""

from __future__ import annotations

import json
import logging
from typing import Any

import requests
from urllib3.exceptions import HTTPError  # while a body is read

from chatbot import vault
from chatbot.engine.values import storable
from chatbot.public_http import Refused, TookTooLong, answer_to
from users.digits import whole

logger = logging.getLogger(__name__)

OK, ERROR = "ok", "error"
LARGEST_ANSWER = 1024 * 1024
SECONDS = 10  # of a passo that says nothing


# Too many requests, and what says that the other side cannot at the moment.
NOT_NOW = frozenset({429, 500, 502, 503, 504})


class Unanswered(Exception):
    """Nobody answered, or the other system cannot now."""


def run_request(payload: dict[str, Any], *, may_wait: bool = False) -> tuple[str, dict[str, Any]]:
    """(route, values) of a `CallHttp`: "ok" with the mapped values of a 2xx JSON answer, else
    "error".

    Never raises for what the address or the answer is, except Unanswered with `may_wait`: asking
    again later may help. Redirects are not followed. All of it takes the passo's seconds and three
    more to connect, at most.
    """
    try:
        answer = _call(payload, vault.filled(payload.get("secret_headers") or {}))
        return OK, _mapped(answer, payload.get("mapping") or {})
    except (
        Unanswered,
        TookTooLong,
        requests.ConnectionError,
        requests.Timeout,
        HTTPError,
    ) as error:
        logger.warning("an http passo got no answer: %s", type(error).__name__)
        if may_wait:
            raise Unanswered(type(error).__name__) from None
    except (
        Refused,
        vault.MissingSecret,
        requests.RequestException,
        ValueError,
        RecursionError,  # an answer nested without end
    ) as error:
        logger.warning("an http passo failed: %s", type(error).__name__)
    return ERROR, {}


def _call(payload: dict[str, Any], secret_headers: dict[str, str]) -> Any:
    request = requests.Request(
        payload["method"],
        payload["url"],
        headers={"Accept": "application/json", **payload.get("headers", {}), **secret_headers},
        data=(payload.get("body") or "").encode(),
    )
    seconds = float(payload.get("timeout_seconds") or SECONDS)
    with answer_to(request, seconds=seconds) as (response, end):
        if response.status_code in NOT_NOW:
            raise Unanswered(f"status {response.status_code}")
        if response.status_code // 100 != 2:  # noqa: PLR2004  # HTTP's class of success
            raise ValueError(f"status {response.status_code}")
        body = response.raw.read(LARGEST_ANSWER + 1, decode_content=True)
        if end.is_over:  # what ends with the connection looks whole
            raise TookTooLong
    if len(body) > LARGEST_ANSWER:
        raise ValueError("the answer is too large")
    return json.loads(body) if body else {}


def _mapped(answer: Any, mapping: dict[str, str]) -> dict[str, Any]:
    """As the database can keep it."""
    found = {name: storable(_at(answer, path)) for name, path in mapping.items()}
    return {name: value for name, value in found.items() if value is not None}


def _at(answer: Any, path: str) -> Any:
    """The scalar at a dotted path ("items.0.price"); None when there is none."""
    for part in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(part)
        elif isinstance(answer, list):
            place = whole(part)
            answer = answer[place] if place is not None and place < len(answer) else None
        else:
            return None
    return answer if isinstance(answer, str | int | float | bool) else None
