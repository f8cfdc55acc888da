"""Fixtures of the chatbot's tests."""

from collections.abc import Iterator

import pytest

from chatbot.channels import http
from chatbot.tests import graph_server


@pytest.fixture(autouse=True)
def _empty_storage(settings) -> None:
    """A new storage for each test: no transaction takes back what another one left. Django makes
    its storages anew when the setting changes."""
    settings.STORAGES = dict(settings.STORAGES)


@pytest.fixture
def graph_api(settings) -> Iterator[graph_server.GraphServer]:
    """A stand-in for the Graph API, to which the settings point."""
    with graph_server.running() as server:
        settings.GRAPH_API_URL = server.url
        yield server
        http.close()
