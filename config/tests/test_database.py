import os

from django.db import connection


def test_the_run_uses_the_database_it_says():
    vendors = {"sqlite": "sqlite", "pg": "postgresql"}
    assert connection.vendor == vendors[os.environ["TEST_DB"]]
