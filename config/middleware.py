"""The one place that decides whether a forwarded header may be believed."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse

FORWARDED_HEADERS = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)


class TrustedProxyMiddleware:
    """Believe X-Forwarded-* from a peer in TRUSTED_PROXIES, and drop it from anybody else.

    Stands first, so that everything behind it (redirect to https, lockout by address, URLs in
    signatures) may read REMOTE_ADDR, the scheme and the host as they are.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _is_trusted(request.META.get("REMOTE_ADDR", "")):
            request.META["REMOTE_ADDR"] = _client_address(request.META)
        else:
            for header in FORWARDED_HEADERS:
                request.META.pop(header, None)
        return self.get_response(request)


def _client_address(meta: dict[str, str]) -> str:
    """The nearest address that is not a proxy of ours.

    Read from the right: what stands further left was written by the client and proves nothing.
    """
    hops = [hop.strip() for hop in meta.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    hops = [hop for hop in hops if _address(hop)]
    outside = (hop for hop in reversed(hops) if not _is_trusted(hop))
    return next(outside, hops[-1] if hops else meta["REMOTE_ADDR"])


def _is_trusted(hop: str) -> bool:
    address = _address(hop)
    return address is not None and any(address in network for network in settings.TRUSTED_PROXIES)


def _address(hop: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(hop)
    except ValueError:
        return None
