"""Proof that a request comes from Meta. Meta's docs: "Webhooks, create an endpoint"."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from chatbot.channels.base import BadSignature

HEADER = "X-Hub-Signature-256"
_PREFIX = "sha256="
_LENGTH = len(_PREFIX) + hashlib.sha256().digest_size * 2


def check(header: str, body: bytes, app_secrets: Iterable[str]) -> None:
    """Compare the header with the HMAC-SHA256 of the raw bytes under any of the app secrets.

    Several secrets are valid while one is being rotated. The bytes are hashed as they came:
    serialising parsed JSON again gives other bytes. Raises BadSignature.
    """
    secrets = [secret for secret in app_secrets if secret]
    if not secrets:
        raise BadSignature("the channel has no app secret (WHATSAPP_APP_SECRET)")
    if not header:
        raise BadSignature(f"no {HEADER} header")
    if len(header) != _LENGTH or not header.startswith(_PREFIX):
        raise BadSignature(f"{HEADER} is not sha256= and 64 hexadecimal digits")
    given = header.removeprefix(_PREFIX).encode("utf-8", "replace")
    matches = [hmac.compare_digest(given, _digest(secret, body)) for secret in secrets]
    if not any(matches):
        raise BadSignature(f"{HEADER} does not match the body under the app secret")


def equal(given: str, configured: str) -> bool:
    """Equal, in constant time; an empty configured value equals nothing."""
    if not configured:
        return False
    return hmac.compare_digest(given.encode("utf-8", "replace"), configured.encode("utf-8"))


def _digest(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
