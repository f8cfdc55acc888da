"""Requests to public addresses only, that end in time.

What a name is resolved to is judged once, and the connection goes to those very addresses: a name
server that answers something else a moment later changes nothing. TLS and the Host header keep the
name. No proxies and no `.netrc`: a request goes where it was judged to go, with what it was given.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import Timer
from typing import Any

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError
from urllib3.util import Url, parse_url
from urllib3.util.connection import create_connection

CONNECT_SECONDS = 3.0
PORTS = {"http": 80, "https": 443}
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# What Python calls global and is a way to somewhere else: 6to4, Teredo, IPv4-compatible, NAT64 of a
# site, site-local.
_DETOURS = tuple(
    ip_network(one)
    for one in ("2002::/16", "2001::/32", "::/96", "64:ff9b:1::/48", "fec0::/10", "fc00::/7")
)


class Refused(Exception):
    """The request is not made at all: its address is not allowed."""


class TookTooLong(Exception):
    """The whole request was not over in its time."""


@contextmanager
def answer_to(
    request: requests.Request, *, seconds: float
) -> Iterator[tuple[requests.Response, _End]]:
    """The answer, its body unread, and the end of the time that all of it has. Redirects are not
    followed. Raises Refused, and what `requests` raises."""
    session = requests.Session()
    session.trust_env = False
    prepared = session.prepare_request(request)
    url = _read(str(prepared.url))
    addresses = _addresses_of(url)
    with _End(CONNECT_SECONDS + seconds) as end, session:
        session.mount(f"{url.scheme}://", _Pinned(addresses, end))
        with session.send(
            prepared,
            timeout=(CONNECT_SECONDS, seconds),
            allow_redirects=False,
            stream=True,
            verify=os.environ.get("REQUESTS_CA_BUNDLE") or True,
        ) as response:
            yield response, end


def is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if any(address in detour for detour in _DETOURS):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _read(url: str) -> Url:
    """By the same parser that connects. A backslash, a user name or a control character would be
    read differently by others, and no address needs them."""
    if "\\" in url or not url.isprintable() or " " in url:
        raise Refused("an address with strange characters")
    try:
        parts = parse_url(url)
    except ValueError as error:
        raise Refused("not an address") from error
    if parts.scheme not in PORTS or not parts.host or parts.auth is not None:
        raise Refused("not an address of the web")
    return parts


def _addresses_of(url: Url) -> list[str]:
    """All public, or of a host listed in HTTP_NODE_PRIVATE_HOSTS: a flow must not reach what only
    this server may reach."""
    host, port = str(url.host).strip("[]"), url.port or PORTS[str(url.scheme)]
    try:
        found = socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise Refused(host) from error
    addresses = list(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))
    if host not in settings.HTTP_NODE_PRIVATE_HOSTS and not all(
        is_public(ip_address(one)) for one in addresses
    ):
        raise Refused(host)
    return addresses


class _End:
    """When the time is over the connection is cut, whoever is waiting for a byte of it: time-outs
    of sockets begin anew with each byte."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._held: list[socket.socket] = []
        self._timer = Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _End:
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        for one in self._held:
            one.close()
        if self.is_over:
            raise TookTooLong

    def hold(self, connected: socket.socket) -> None:
        """A second handle of the connection: TLS takes the first one away."""
        self._held.append(connected.dup())
        if self.is_over:
            self._cut()

    def _cut(self) -> None:
        self.is_over = True
        for one in self._held:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class _Pinned(HTTPAdapter):
    """Connects to these addresses, whatever the name is resolved to by now."""

    def __init__(self, addresses: Sequence[str], end: _End) -> None:
        self._addresses, self._end = addresses, end
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _pinned(pool.ConnectionCls, self._addresses, self._end)
        return pool


def _pinned(base: Any, addresses: Sequence[str], end: _End) -> Any:
    class Connection(base):  # HTTPConnection or HTTPSConnection
        def _new_conn(self) -> socket.socket:
            why: Exception = OSError("no address")
            for address in addresses:
                if end.is_over:
                    break
                try:
                    connected = create_connection(
                        (address, self.port), self.timeout, socket_options=self.socket_options
                    )
                except OSError as error:
                    why = error
                    continue
                end.hold(connected)
                return connected
            raise NewConnectionError(self, type(why).__name__) from why

    return Connection
