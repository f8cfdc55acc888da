"""Calls to providers: each has a time limit, shows no secret, and says what its failure means."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import Retry

from chatbot.channels.base import Meaning, SendError

TIMEOUT = (3.0, 10.0)  # seconds to connect, and between bytes of the answer
LONGEST_ANSWER = 1024 * 1024
_LONGEST_CALL = 30.0
_POOL = 10
_MASK = "***"
_SECONDS = re.compile(r"[0-9]{1,4}")

logger = logging.getLogger(__name__)
_local = threading.local()


@dataclass(frozen=True)
class Answer:
    """A complete answer. Providers quote what they were sent: the body is free of our secrets."""

    status: int
    headers: CaseInsensitiveDict[str]
    body: bytes

    def json(self) -> Any:
        """The parsed body, or None when it is not JSON (an error page of a proxy …)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_server_error(self) -> bool:
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def retry_after(self) -> float | None:
        value = self.headers.get("Retry-After", "").strip()
        return float(value) if _SECONDS.fullmatch(value) else None


class _Bearer(requests.auth.AuthBase):
    """Given as `auth`, so that a .netrc on the machine cannot replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def post_json(
    url: str,
    body: dict[str, Any],
    *,
    token: str,
    secrets: Iterable[str] = (),
    timeout: tuple[float, float] = TIMEOUT,
) -> Answer:
    """POST once. Raises SendError when there is no complete answer.

    Not connected: retryable. Connected, but no complete answer: uncertain, it may have been done.
    Connecting is tried again at once, anything later never; redirects are not followed.
    """
    hidden = (token, *secrets)
    began = time.monotonic()
    try:
        answer = _posted(url, body, token, timeout)
    except (requests.RequestException, ValueError) as error:
        failure = _failure(error, hidden)
        logger.warning("POST %s failed: %s", redact(url, hidden), failure)
        raise failure from None
    logger.debug(
        "POST %s: %s in %.0f ms",
        redact(url, hidden),
        answer.status,
        (time.monotonic() - began) * 1000,
    )
    return _without(hidden, answer)


def get_json(
    url: str,
    *,
    token: str,
    secrets: Iterable[str] = (),
    timeout: tuple[float, float] = TIMEOUT,
) -> Answer:
    """GET once. Raises SendError when there is no complete answer; redirects are not followed."""
    hidden = (token, *secrets)
    try:
        with _session().get(
            url, auth=_Bearer(token), timeout=timeout, allow_redirects=False, stream=True
        ) as response:
            answer = Answer(response.status_code, response.headers, _read(response))
    except (requests.RequestException, ValueError) as error:
        failure = _failure(error, hidden)
        logger.warning("GET %s failed: %s", redact(url, hidden), failure)
        raise failure from None
    return _without(hidden, answer)


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets, as they are or as they stand in a URL."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, _MASK).replace(quote(secret, safe=""), _MASK)
    return text


def close() -> None:
    """Close the connections of this thread."""
    session = _local.__dict__.pop("session", None)
    if session is not None:
        session.close()


def _posted(url: str, body: dict[str, Any], token: str, timeout: tuple[float, float]) -> Answer:
    with _session().post(
        url,
        data=json.dumps(body, allow_nan=False).encode(),
        headers={"Content-Type": "application/json"},
        auth=_Bearer(token),
        timeout=timeout,
        allow_redirects=False,
        stream=True,
    ) as response:
        return Answer(response.status_code, response.headers, _read(response))


def _without(hidden: Iterable[str], answer: Answer) -> Answer:
    shown = redact(answer.body.decode("utf-8", "surrogateescape"), hidden)
    return replace(answer, body=shown.encode("utf-8", "surrogateescape"))


def _read(response: requests.Response) -> bytes:
    """The body, at most so long and within so much time: read timeouts only limit each wait."""
    deadline = time.monotonic() + _LONGEST_CALL
    read = bytearray()
    for chunk in response.iter_content(64 * 1024):
        read += chunk
        if len(read) > LONGEST_ANSWER or time.monotonic() > deadline:
            raise requests.ReadTimeout("answer too long")
    return bytes(read)


def _session() -> requests.Session:
    """One per thread: requests does not promise that a Session may be shared."""
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = _local.session = _new_session()
    return session


def _new_session() -> requests.Session:
    connect_only = Retry(
        total=2, connect=2, read=0, status=0, redirect=0, other=0, backoff_factor=0.2
    )
    adapter = HTTPAdapter(max_retries=connect_only, pool_maxsize=_POOL)
    session = requests.Session()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers["User-Agent"] = "Atende"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _failure(error: Exception, hidden: Iterable[str]) -> SendError:
    detail = redact(f"{type(error).__name__}: {error}", hidden)
    if _was_never_sent(error):
        return SendError("connection", detail, retryable=True, meaning=Meaning.OUTAGE)
    if isinstance(error, requests.Timeout):
        return _uncertain("timeout", detail)
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return SendError("request", detail, retryable=False)
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return _uncertain("cut", detail)
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return _uncertain("cut", detail)
    return SendError("request", detail, retryable=False)


def _uncertain(code: str, detail: str) -> SendError:
    return SendError(code, detail, retryable=False, uncertain=True, meaning=Meaning.OUTAGE)


def _was_never_sent(error: Exception) -> bool:
    """Refused, unknown host, no connection in time, or a certificate that is not trusted."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(error)
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)
