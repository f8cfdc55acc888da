"""How a log line looks, and what never appears in one."""

import logging
import re

from django.conf import settings

MARK = "[hidden]"
SHORTEST_SECRET = 8  # a shorter one would blank ordinary words
SECRET_SETTINGS = (
    "SECRET_KEY",
    "WHATSAPP_APP_SECRET",
    "WHATSAPP_VERIFY_TOKEN",
    "WHATSAPP_ACCESS_TOKEN",
    "METRICS_TOKEN",
)
# A name that announces a secret, then the separator, an optional scheme, and the secret itself.
NAMED_SECRET = re.compile(
    r"""(?ix)
    ( \b(?: authorization | access_token | app_secret | verify_token | password | secret
          | token | api_?key | x-hub-signature(?:-256)? | cookie | sessionid | csrftoken )
      ["']? \s* [:=] \s* ["']? (?: (?:bearer|basic|token) \s+ )? )
    [^\s"',;&}\])]+
    """
)
BARE_BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}")
# Tokens of Graph ("EAA…") and our own ("atd_…") are known by their shape wherever they stand.
SHAPED_TOKEN = re.compile(r"\b(?:EAA[A-Za-z0-9]{20,}|atd_\w{16,})")


def redact(line: str) -> str:
    """Replace everything in `line` that is, or looks like, a secret."""
    for name in SECRET_SETTINGS:
        value = getattr(settings, name, "")
        if len(value) >= SHORTEST_SECRET:
            line = line.replace(value, MARK)
    line = NAMED_SECRET.sub(rf"\1{MARK}", line)
    line = BARE_BEARER.sub(rf"\1{MARK}", line)
    return SHAPED_TOKEN.sub(MARK, line)


class RedactingFormatter(logging.Formatter):
    """Redacts the finished line: message, arguments, exception and stack alike."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
