"""Calls to providers: each has a time limit, shows no secret, and says what its failure means."""

from __future__ import annotations

import json
import logging
import re
import secrets as random
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from tempfile import TemporaryFile
from typing import Any, BinaryIO
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util import Retry

from chatbot.channels.base import Meaning, SendError

TIMEOUT = (3.0, 10.0)  # seconds to connect, and between bytes of the answer
LONGEST_ANSWER = 1024 * 1024
_LONGEST_CALL = 30.0
LONGEST_TRANSFER = 120.0  # seconds for a whole file, in either direction
_CHUNK = 64 * 1024
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


@dataclass(frozen=True)
class Stream:
    """An answer whose body is still coming. `chunks` raises SendError when it stops coming, or
    takes longer than LONGEST_TRANSFER."""

    status: int
    headers: CaseInsensitiveDict[str]
    chunks: Iterator[bytes]

    @property
    def is_success(self) -> bool:
        return self.status == HTTPStatus.OK


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
    return _call("POST", url, _Call(token, tuple(secrets), timeout), body=body)


def get_json(
    url: str,
    *,
    token: str,
    secrets: Iterable[str] = (),
    params: dict[str, str] | None = None,
    timeout: tuple[float, float] = TIMEOUT,
) -> Answer:
    """GET once. Raises SendError as `post_json` does; nothing is done by it, whatever happens."""
    return _call("GET", url, _Call(token, tuple(secrets), timeout), params=params)


def delete(
    url: str,
    *,
    token: str,
    secrets: Iterable[str] = (),
    params: dict[str, str] | None = None,
    timeout: tuple[float, float] = TIMEOUT,
) -> Answer:
    """DELETE once. Raises SendError as `post_json` does."""
    return _call("DELETE", url, _Call(token, tuple(secrets), timeout), params=params)


@dataclass(frozen=True)
class _Call:
    token: str
    secrets: tuple[str, ...]
    timeout: tuple[float, float]


def _call(
    method: str,
    url: str,
    how: _Call,
    *,
    body: dict[str, Any] | None = None,
    params: dict[str, str] | None = None,
) -> Answer:
    hidden = (how.token, *how.secrets)
    began = time.monotonic()
    try:
        answer = _answered(method, url, how, body=body, params=params)
    except (requests.RequestException, ValueError) as error:
        failure = _failure(error, hidden)
        logger.warning("%s %s failed: %s", method, redact(url, hidden), failure)
        raise failure from None
    logger.debug(
        "%s %s: %s in %.0f ms",
        method,
        redact(url, hidden),
        answer.status,
        (time.monotonic() - began) * 1000,
    )
    return _without(hidden, answer)


def post_file(  # noqa: PLR0913  # keyword-only
    url: str,
    file: BinaryIO,
    *,
    mime_type: str,
    fields: dict[str, str],
    token: str,
    secrets: Iterable[str] = (),
) -> Answer:
    """POST a form with one file, from the disk. Raises SendError, never an uncertain one: an upload
    that nobody uses hurts nobody."""
    hidden = (token, *secrets)
    return _repeatable(url, hidden, lambda: _uploaded(url, file, mime_type, fields, token))


@contextmanager
def stream(url: str, *, token: str, secrets: Iterable[str] = ()) -> Iterator[Stream]:
    """GET a file piece by piece. Redirects are not followed: the header with the token would go
    along. Raises SendError, never an uncertain one."""
    hidden = (token, *secrets)
    try:
        response = _session().get(
            url,
            headers={"Accept-Encoding": "identity"},
            auth=_Bearer(token),
            timeout=TIMEOUT,
            allow_redirects=False,
            stream=True,
        )
    except (requests.RequestException, ValueError) as error:
        raise _again(_failure(error, hidden)) from None
    with response:
        yield Stream(response.status_code, response.headers, _chunks(response, hidden))


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


def _answered(
    method: str,
    url: str,
    how: _Call,
    *,
    body: dict[str, Any] | None,
    params: dict[str, str] | None,
) -> Answer:
    with _session().request(
        method,
        url,
        params=params,
        data=None if body is None else json.dumps(body, allow_nan=False).encode(),
        headers=None if body is None else {"Content-Type": "application/json"},
        auth=_Bearer(how.token),
        timeout=how.timeout,
        allow_redirects=False,
        stream=True,
    ) as response:
        return Answer(response.status_code, response.headers, _read(response))


def _uploaded(
    url: str, file: BinaryIO, mime_type: str, fields: dict[str, str], token: str
) -> Answer:
    """requests would hold the whole form in memory, so it is written out first. The file's name is
    ours: what a person called it travels with the message."""
    boundary = random.token_hex(16)
    with TemporaryFile() as form:
        for name, value in fields.items():
            form.write(_part(boundary, f'name="{name}"') + f"\r\n{value}\r\n".encode())
        form.write(_part(boundary, 'name="file"; filename="file"'))
        form.write(f"Content-Type: {mime_type}\r\n\r\n".encode())
        shutil.copyfileobj(file, form, _CHUNK)
        form.write(f"\r\n--{boundary}--\r\n".encode())
        form.seek(0)
        with _session().post(
            url,
            data=form,
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
            auth=_Bearer(token),
            timeout=(TIMEOUT[0], LONGEST_TRANSFER),
            allow_redirects=False,
            stream=True,
        ) as response:
            return Answer(response.status_code, response.headers, _read(response))


def _part(boundary: str, disposition: str) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n".encode()


def _chunks(response: requests.Response, hidden: Iterable[str]) -> Iterator[bytes]:
    """As they come: `iter_content` would wait for a full piece, and no wait of it is limited as a
    whole."""
    deadline = time.monotonic() + LONGEST_TRANSFER
    promised, got = response.headers.get("Content-Length", ""), 0
    try:
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            got += len(chunk)
            yield chunk
            if time.monotonic() > deadline:
                raise SendError("timeout", "the file came too slowly", retryable=True)
    except (HTTPError, OSError) as error:
        raise SendError("cut", redact(repr(error), hidden), retryable=True) from None
    if promised.isdigit() and got != int(promised):
        raise SendError("cut", f"{got} of {promised} bytes came", retryable=True)


def _repeatable(url: str, hidden: Iterable[str], call: Callable[[], Answer]) -> Answer:
    try:
        answer = call()
    except (requests.RequestException, ValueError) as error:
        failure = _again(_failure(error, hidden))
        logger.warning("POST %s failed: %s", redact(url, hidden), failure)
        raise failure from None
    return _without(hidden, answer)


def _again(failure: SendError) -> SendError:
    """What may be done twice without harm is done again instead of being uncertain."""
    if not failure.uncertain:
        return failure
    return SendError(failure.code, failure.detail, retryable=True, meaning=failure.meaning)


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
