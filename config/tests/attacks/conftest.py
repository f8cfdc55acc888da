"""The small company of the walk, and people of it who try what they must not."""

import pytest
from django.test import Client

from config.tests.walk.quiet import _no_look_at_queries
from config.tests.walk.world import World

__all__ = ["_no_look_at_queries"]


@pytest.fixture
def world():
    return World()


@pytest.fixture
def enter():
    """A browser in which somebody is logged in."""

    def logged_in(user, **options):
        client = Client(**options)
        client.force_login(user, "users.backends.RolePermissionBackend")
        return client

    return logged_in
