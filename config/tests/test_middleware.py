from ipaddress import ip_network

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from config.middleware import TrustedProxyMiddleware

PROXY, CLIENT, LIAR = "10.0.0.1", "203.0.113.7", "198.51.100.9"


@pytest.fixture(autouse=True)
def one_network_of_proxies(settings):
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]


def seen(remote, forwarded_for):
    """The request as the rest of the program sees it."""
    request = RequestFactory().get(
        "/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded_for, HTTP_X_FORWARDED_PROTO="https"
    )
    TrustedProxyMiddleware(lambda request: HttpResponse())(request)
    return request


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        pytest.param(CLIENT, CLIENT, id="one proxy"),
        pytest.param(f"{CLIENT}, 10.0.0.2", CLIENT, id="two proxies"),
        pytest.param(f"{LIAR}, {CLIENT}", CLIENT, id="client lies"),
        pytest.param("10.0.0.9", "10.0.0.9", id="client inside"),
        pytest.param("unknown", PROXY, id="not an address"),
        pytest.param("", PROXY, id="empty"),
    ],
)
def test_a_proxy_of_ours_is_believed(forwarded_for, address):
    request = seen(PROXY, forwarded_for)
    assert request.META["REMOTE_ADDR"] == address
    assert request.is_secure()


def test_nobody_else_is_believed():
    request = seen(LIAR, CLIENT)
    assert request.META["REMOTE_ADDR"] == LIAR
    assert "HTTP_X_FORWARDED_FOR" not in request.META
    assert not request.is_secure()


def test_a_socket_without_address_is_not_believed():
    assert not seen("", CLIENT).is_secure()
