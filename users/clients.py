"""From where a request comes: its address, and its browser in words."""

from __future__ import annotations

import re
from ipaddress import ip_address

from django.http import HttpRequest
from django.utils.translation import gettext as _

LONGEST_AGENT = 300  # as the columns that keep it
# Of several that match the first counts: browsers name those that they descend from, too.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def address_of(request: HttpRequest) -> str | None:
    """The client's address as TrustedProxyMiddleware has settled it; None when there is none."""
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def agent_of(request: HttpRequest) -> str:
    """What the browser says of itself, as long as a column takes it."""
    return _UNPRINTABLE.sub(" ", request.META.get("HTTP_USER_AGENT", ""))[:LONGEST_AGENT]


def browser_in_words(agent: str) -> str:
    """ "Chrome · Windows"; a program that is no browser by the first word of its name."""
    if not agent.strip():
        return _("unknown")
    browser = next((name for sign, name in BROWSERS if f"{sign}/" in agent), "")
    system = next((name for sign, name in SYSTEMS if sign in agent), "")
    words = [word for word in (browser, system) if word]
    return " · ".join(words) or agent.split(maxsplit=1)[0][:40]
