"""For tests that ask for thousands of pages."""

import pytest


@pytest.fixture
def _no_look_at_queries(settings):
    """That no page asks once per row is for other tests to show; looking costs time here."""
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if not one.startswith("zeal.")]
