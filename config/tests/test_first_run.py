import socket
import stat

import pytest

from config import env, first_run
from users.models import Role, User


@pytest.fixture
def env_file(tmp_path, monkeypatch):
    """A place without `.env`, and an environment that says nothing yet."""
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEY", "SITE_URL", "ALLOWED_HOSTS"):
        monkeypatch.setenv(name, "")
    file = tmp_path / ".env"
    monkeypatch.setattr(first_run, "ENV_FILE", file)
    return file


def read(file):
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_env_file_is_written_once(env_file):
    first_run._write_env_file(8000)
    written = env_file.read_text()
    first_run._write_env_file(9000)
    assert env_file.read_text() == written
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


def test_env_file_holds_good_values(env_file, monkeypatch):
    first_run._write_env_file(8123)
    values = read(env_file)
    monkeypatch.setenv("FIELD_ENCRYPTION_KEY", values["FIELD_ENCRYPTION_KEY"])
    assert len(env.fernet_keys("FIELD_ENCRYPTION_KEY")) == 1
    assert len(values["SECRET_KEY"]) >= 50
    assert values["SITE_URL"] == "http://127.0.0.1:8123"
    assert values["ALLOWED_HOSTS"] == "127.0.0.1,localhost"


def test_what_the_environment_says_is_kept(env_file, monkeypatch):
    monkeypatch.setenv("SITE_URL", "https://atende.example")
    first_run._write_env_file(8000)
    assert read(env_file)["SITE_URL"] == "https://atende.example"


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8001"),
        ("https://atende.example", "https://atende.example"),
    ],
)
def test_a_local_address_follows_the_port(monkeypatch, site, expected):
    monkeypatch.setenv("SITE_URL", site)
    first_run._follow_port(8001)
    assert env.text("SITE_URL") == expected


def test_a_taken_port_is_said_in_words():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(SystemExit, match=f"Port {port} cannot be used"):
            first_run._refuse_taken(port)


@pytest.mark.django_db
def test_the_first_admin_gets_a_password_once(capsys):
    username, password = first_run._admin()
    admin = User.objects.get()
    assert (username, admin.role) == ("admin", Role.ADMIN)
    assert admin.check_password(password)
    assert first_run._admin() == ("admin", None)


def test_the_password_is_shown_only_when_it_is_new(capsys, monkeypatch):
    monkeypatch.setenv("SITE_URL", "http://127.0.0.1:8000")
    first_run._print_address("admin", "abc-123")
    assert "abc-123" in capsys.readouterr().out
    first_run._print_address("admin", None)
    shown = capsys.readouterr().out
    assert "http://127.0.0.1:8000/" in shown
    assert "admin" in shown
    assert "Password" not in shown
