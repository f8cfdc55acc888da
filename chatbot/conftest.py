"""Fixtures of the chatbot's tests."""

from collections.abc import Iterator

import pytest

from chatbot.channels import http
from chatbot.documents import asks_for_tags, document_of
from chatbot.replays.jobs import document_of_replay
from chatbot.tests import graph_server


@pytest.fixture(autouse=True)
def _empty_storage(settings) -> None:
    """A new storage for each test: no transaction takes back what another one left. Django makes
    its storages anew when the setting changes."""
    settings.STORAGES = dict(settings.STORAGES)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Documents are remembered by the key of their version, which another test gives anew."""
    document_of.cache_clear()
    asks_for_tags.cache_clear()
    document_of_replay.cache_clear()


@pytest.fixture
def graph_api(settings) -> Iterator[graph_server.GraphServer]:
    """A stand-in for the Graph API, to which the settings point."""
    with graph_server.running() as server:
        settings.GRAPH_API_URL = server.url
        yield server
        http.close()
