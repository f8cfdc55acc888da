"""Who may get a channel's access token."""

import pytest

from chatbot.channels.whatsapp_cloud import media

PUBLIC, PRIVATE = "157.240.12.35", "10.0.0.7"


@pytest.fixture
def resolves(monkeypatch):
    """Names lead to these addresses, without a network."""

    def to(*addresses):
        found = [(2, 1, 6, "", (address, 443)) for address in addresses]
        monkeypatch.setattr(media.socket, "getaddrinfo", lambda *_args, **_more: found)

    to(PUBLIC)
    return to


@pytest.mark.parametrize(
    "url",
    [
        "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
        "https://LOOKASIDE.fbsbx.com:443/a",
        "https://graph.facebook.com/v26.0/1",
    ],
)
def test_the_hosts_of_the_settings_get_the_token(resolves, url):
    assert media.is_trusted(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "lookaside.fbsbx.com/a",
        "http://lookaside.fbsbx.com/a",
        "https://lookaside.fbsbx.com:8443/a",
        "https://lookaside.fbsbx.com.example.com/a",
        "https://example.com/lookaside.fbsbx.com",
        "https://lookaside.fbsbx.com@example.com/a",
        "https://example.com\\@lookaside.fbsbx.com/a",
        "https://lookaside.fbsbx.com\\.example.com/a",
        "https://example.com#@lookaside.fbsbx.com/",
        "https://[::1]/a",
        "https://127.0.0.1/a",
        "https://169.254.169.254/latest",
        "https://graph.facebook.com:8443/v26.0/1",
        "http://graph.facebook.com/v26.0/1",
        "https://lookaside.fbsbx.com:abc/",
        "ftp://lookaside.fbsbx.com/a",
        "file:///etc/passwd",
    ],
)
def test_nobody_else_gets_it(resolves, url):
    assert not media.is_trusted(url)


def test_a_known_name_at_a_private_address_does_not_get_it(resolves):
    resolves(PUBLIC, PRIVATE)
    assert not media.is_trusted("https://lookaside.fbsbx.com/a")


def test_a_stand_in_on_this_machine_may_have_another_port(resolves, settings):
    settings.GRAPH_API_URL = "http://127.0.0.1:9400"
    assert media.is_trusted("http://127.0.0.1:9401/file")
    assert not media.is_trusted("http://localhost:9401/file")
    settings.MEDIA_HOSTS = ["localhost"]
    assert media.is_trusted("http://localhost:9401/file")
