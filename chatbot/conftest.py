"""Fixtures of the chatbot's tests."""

from collections.abc import Iterator

import pytest
from django.core.files.storage import default_storage, storages
from django.utils.functional import empty

from chatbot.channels import http
from chatbot.tests import graph_server


@pytest.fixture(autouse=True)
def _empty_storage() -> Iterator[None]:
    """Files that a test leaves are gone with it: no transaction rolls a storage back."""
    yield
    storages._storages.pop("default", None)
    default_storage._wrapped = empty


@pytest.fixture
def graph_api(settings) -> Iterator[graph_server.GraphServer]:
    """A stand-in for the Graph API, to which the settings point."""
    with graph_server.running() as server:
        settings.GRAPH_API_URL = server.url
        yield server
        http.close()
