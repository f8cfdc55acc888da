"""What holds for every test: no network, the right database, a browser or a word about it."""

import math
import os
import shutil
import socket
from ipaddress import ip_address

import hypothesis
import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")

# A busy machine is not a bug: time decides nothing in a property test.
hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

# Playwright's synchronous API runs an event loop beside the ORM.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


class NetworkBlocked(RuntimeError):
    """A test reached for something outside this machine."""


@pytest.fixture(autouse=True)
def _language_of_the_site():
    """A page of somebody who reads English leaves its language behind."""
    from django.utils import translation  # noqa: PLC0415  # not before settings

    translation.activate("pt-br")


@pytest.fixture(autouse=True)
def _watches_begin_anew():
    """What a process remembers of wrong signatures, workers, counted hours, mail servers, opening
    hours, splits and the figures of the start page. The look after a webhook, once a minute, is
    for the tests that are about it."""
    from django.core.cache import cache  # noqa: PLC0415  # not before settings

    from chatbot import facts, incident_mail, traffic, web_watch  # noqa: PLC0415
    from chatbot.publishing import split  # noqa: PLC0415

    cache.clear()
    facts.departments.forget()
    split.running.forget()
    vars(web_watch.watch).update(vars(web_watch.Watch()), _looked_at=math.inf)
    incident_mail.pause.until = traffic.folded.at = -math.inf


def pytest_configure(config: pytest.Config) -> None:
    _block_network()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _restore_after_flush(items)
    if os.environ["TEST_DB"] == "sqlite":
        _deselect(config, items, "postgres")
    if chromium() is None and os.environ.get("REQUIRE_BROWSER") != "1":
        _skip(items, "browser", "Chromium is not installed (apt-get install chromium)")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where the browser is; without one a `browser` test has been skipped, or fails here."""
    path = chromium()
    assert path is not None, "REQUIRE_BROWSER=1, but there is no Chromium on this machine"
    return path


def _restore_after_flush(items: list[pytest.Item]) -> None:
    """Give every test that commits the rows that migrations made.

    All or none: a test without it leaves new content types behind, with which the rows of the
    next one collide.
    """
    for item in items:
        marker = item.get_closest_marker("django_db")
        if marker and marker.kwargs.get("transaction"):
            options = {**marker.kwargs, "serialized_rollback": True}
            item.add_marker(pytest.mark.django_db(**options), append=False)


def _deselect(config: pytest.Config, items: list[pytest.Item], marker: str) -> None:
    """Take the tests out of the run: a skip that is always there hides one that is not."""
    dropped = [item for item in items if item.get_closest_marker(marker)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]


def _skip(items: list[pytest.Item], marker: str, reason: str) -> None:
    for item in items:
        if item.get_closest_marker(marker):
            item.add_marker(pytest.mark.skip(reason=reason))


def chromium() -> str | None:
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def _block_network() -> None:
    """Let sockets of this process reach this machine and nothing else."""
    connect, connect_ex, getaddrinfo = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def guarded_connect(self, address):
        _refuse_remote(self.family, address)
        return connect(self, address)

    def guarded_connect_ex(self, address):
        _refuse_remote(self.family, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host, *args, **kwargs):
        _refuse_remote(socket.AF_INET, (host,))
        return getaddrinfo(host, *args, **kwargs)

    socket.socket.connect = guarded_connect
    socket.socket.connect_ex = guarded_connect_ex
    socket.getaddrinfo = guarded_getaddrinfo


def _refuse_remote(family: int, address) -> None:
    if family not in {socket.AF_INET, socket.AF_INET6} or _is_local(address[0]):
        return
    raise NetworkBlocked(f"tests must not use the network: {address[0]}")


def _is_local(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if not name or name == "localhost" or name == socket.gethostname():
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
