"""One site and one browser for all tests of a process: each test brings people of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
PATIENCE = 20_000  # milliseconds: the whole site runs on the same machine, beside other tests
# Nothing in the background may reach for the network.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.hookimpl(tryfirst=True)  # before a run on SQLite looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With a browser, and on PostgreSQL as in production."""
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.postgres)


@pytest.fixture(scope="session")
def site(tmp_path_factory, django_db_blocker) -> Iterator:
    from config.tests.browser import site as sites  # noqa: PLC0415  # not before the collection

    with sites.running(tmp_path_factory.mktemp("site")) as running:
        with django_db_blocker.unblock(), sites.database_of(running):
            from chatbot.tests.webhook import whatsapp_channel  # noqa: PLC0415

            whatsapp_channel(rate_per_second=1000)
        yield running


@pytest.fixture(scope="package")  # its event loop must not outlive these tests in their process
def chromium(chromium_path) -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def desk(site, chromium, django_db_blocker) -> Iterator:
    """Opens pages; fails the test at its end for whatever a browser or the site complained of."""
    from config.tests.browser import desk as desks  # noqa: PLC0415
    from config.tests.browser import site as sites  # noqa: PLC0415

    known = len(site.errors())
    with django_db_blocker.unblock(), sites.database_of(site):
        opened = desks.Desk(site, chromium)
        yield opened
        for context in chromium.contexts:
            context.close()
    site.graph.reset()
    assert opened.complaints == []
    assert site.errors()[known:] == []
