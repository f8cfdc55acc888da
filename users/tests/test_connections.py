import pytest
from django.db import close_old_connections, connection

from users.connections import trust_a_quiet_connection


@pytest.fixture
def request_begins(settings, monkeypatch):
    """As for each request: old connections are closed, then the quiet ones are trusted."""
    monkeypatch.setitem(connection.settings_dict, "CONN_HEALTH_CHECKS", True)
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
    connection.close()
    connection.ensure_connection()

    def begin():
        close_old_connections()
        trust_a_quiet_connection()

    return begin


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_quiet_connection_is_not_asked(request_begins):
    assert connection.health_check_enabled
    request_begins()
    assert connection.health_check_done


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_ended_is_replaced(request_begins):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    other = connection.copy("other")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()
    request_begins()
    assert not connection.health_check_done
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() != (pid,)
