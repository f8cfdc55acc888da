"""The text of an API token, `atd_<prefix>_<secret>`: the prefix finds, the secret proves."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

_WRITTEN = re.compile(r"atd_([0-9a-f]{12})_([0-9a-f]{64})")
_SCOPE = re.compile(r"(\*|[a-z]+(-[a-z]+)*):(read|write)")


class TokenText(NamedTuple):
    prefix: str
    secret: str

    def __str__(self) -> str:
        return f"atd_{self.prefix}_{self.secret}"


def generate() -> TokenText:
    return TokenText(prefix=secrets.token_hex(6), secret=secrets.token_hex(32))


def parse(text: str) -> TokenText | None:
    match = _WRITTEN.fullmatch(text)
    return TokenText(*match.groups()) if match else None


def digest(secret: str) -> str:
    """SHA-256 is enough: the secret has 256 random bits, there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_scope(text: str) -> bool:
    """`leads:read`, `tickets:write`, or `*` in place of the resource."""
    return _SCOPE.fullmatch(text) is not None


def allows(scopes: list[str], resource: str, verb: str) -> bool:
    return bool(resource) and not {f"{resource}:{verb}", f"*:{verb}"}.isdisjoint(scopes)
