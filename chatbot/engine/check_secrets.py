"""Secrets and personal data where they do not belong: keys written into texts, and sensitive
variables in an address, which other systems keep in their logs.

What looks like a key is never repeated in a finding: only its kind and how it begins.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import log2

from chatbot.engine.findings import Finding
from chatbot.engine.ground import Desk, Ground
from chatbot.engine.kinds import Ask, Http, SendNode
from chatbot.engine.render import leftovers, names_secret, placeholders
from chatbot.engine.texts import changed_by, filled_by, fixed_in

SECRET = "secret"  # noqa: S105 - the name by which requests call the vault: {{ secret.name }}
_KEYS = re.compile(
    r"\b(?:sk_(?:live|test)_|rk_live_|sk-|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abprs]-|APP_USR-|"
    r"SG\.|EAA|AIza|ya29\.)[A-Za-z0-9._-]{16,}|\bAKIA[0-9A-Z]{16}\b|\$aact_[A-Za-z0-9_:+/=-]{16,}|"
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_SCHEMES = re.compile(r"(?i)\b(?:bearer|basic|token)\s+[A-Za-z0-9._~+/=-]{12,}")
_NAMED = re.compile(
    r"(?i)\b(?:api[_-]?key|apikey|x-api-key|access[_-]?token|auth[_-]?token|token|secret|"
    r"client[_-]?secret|senha|password|passwd|pwd)[\"']?\s*[=:]\s*[\"']?([^\s\"'&,;{}]{8,})"
)
_IN_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@{}]{4,}@")
_HEADERS = re.compile(r"(?i)authorization|api[_-]?key|token|secret|password|x-auth")
_LINK = re.compile(r"https?://\S+")
_WORD = re.compile(r"[A-Za-z0-9_+/=-]{24,}")
_BITS = 3.7  # of chance a character; names and words have less
_SHOWN = 4


def check_secrets(ground: Ground) -> Iterator[Finding]:
    sensitive = _sensitive(ground)
    for desk in ground.desks:
        yield from _in_texts(desk)
        yield from _named(desk, ground)
        if isinstance(desk.node, Http):
            for name, _default in placeholders(desk.node.url):
                if name.partition(".")[0] in sensitive:
                    yield desk.finding("sensitive_in_url", "warning", variable=name)


def _sensitive(ground: Ground) -> set[str]:
    """What the flow says is sensitive, and documents of people whatever it says."""
    said = {
        name
        for _key, document in ground.whole.documents()
        for name, one in document.variables.items()
        if one.sensitive or one.type == "cpf"
    }
    asked = {
        node.save_as for node in ground.nodes() if isinstance(node, Ask) and node.answer == "cpf"
    }
    return said | asked


def _in_texts(desk: Desk) -> Iterator[Finding]:
    node, told = desk.node, set()
    is_request = isinstance(node, Http)
    if isinstance(node, Http):
        for name, value in node.headers.items():
            literal = leftovers(value).strip()
            if _HEADERS.search(name) and len(literal) >= 8 and not _is_scheme(literal):  # noqa: PLR2004
                told.add("headers")
                yield _found(desk, "headers", literal, certain=True)
    for field, text in (*filled_by(node), *fixed_in(node), *changed_by(node)):
        if field in told:
            continue
        literal = leftovers(text)
        certain = _certain(literal)
        guessed = "" if certain or _is_medium(desk, field) else _guessed(literal, is_request)
        if certain or guessed:
            told.add(field)
            is_sure = bool(certain) and is_request
            yield _found(desk, field, certain or guessed, certain=is_sure)


def _is_scheme(literal: str) -> bool:
    return literal.lower() in ("bearer", "basic", "token")


def _is_medium(desk: Desk, field: str) -> bool:
    """Addresses and ids of files have names made by chance."""
    return isinstance(desk.node, SendNode) and field in ("url", "ref")


def _found(desk: Desk, field: str, secret: str, *, certain: bool) -> Finding:
    severity = "error" if certain else "warning"
    hint = f"{secret[:_SHOWN]}… ({len(secret)})"
    if severity == "error":
        return desk.finding("secret_in_text", "error", field=field, hint=hint)
    return desk.finding("secret_in_text", "warning", field=field, hint=hint)


def _certain(text: str) -> str:
    for pattern in (_KEYS, _SCHEMES, _IN_ADDRESS):
        found = pattern.search(text)
        if found and _is_mixed(found[0]):
            return found[0]
    named = _NAMED.search(text)
    return named[1] if named and _is_mixed(named[1]) else ""


def _is_mixed(text: str) -> bool:
    has_digit = any(one.isdigit() for one in text)
    return (has_digit and any(one.isalpha() for one in text)) or "PRIVATE KEY" in text


def _guessed(text: str, is_request: bool) -> str:
    """A word that looks as if chance had made it; links for customers may hold such."""
    looked_at = text if is_request else _LINK.sub("", text)
    for found in _WORD.finditer(looked_at):
        word = found[0]
        kinds = (str.islower, str.isupper, str.isdigit)
        if all(any(map(kind, word)) for kind in kinds) and _chance(word) >= _BITS:
            return word
    return ""


def _chance(word: str) -> float:
    shares = [count / len(word) for count in Counter(word).values()]
    return -sum(share * log2(share) for share in shares)


def _named(desk: Desk, ground: Ground) -> Iterator[Finding]:
    """Secrets of the vault, by name: `{{ secret.crm }}` in a header of a request."""
    node = desk.node
    headers = node.headers.values() if isinstance(node, Http) else ()
    allowed = [("headers", text) for text in headers if names_secret(text)]
    for field, text in (*filled_by(node), *changed_by(node)):
        for name, _default in placeholders(text):
            base, _dot, secret = name.partition(".")
            if base != SECRET or not secret:
                continue
            if (field, text) not in allowed:
                yield desk.finding("secret_shown", "error", secret=secret)
            elif ground.around.secrets is not None and secret not in ground.around.secrets:
                yield desk.finding("unknown_secret", "error", secret=secret)
