import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from config import env

NAME = "ATENDE_TEST_VALUE"


@pytest.fixture
def given(monkeypatch):
    return lambda value: monkeypatch.setenv(NAME, value)


@pytest.mark.parametrize(
    ("value", "answer"),
    [("on", True), ("True", True), ("1", True), ("off", False), ("0", False), ("", False)],
)
def test_flag_reads_on_and_off(given, value, answer):
    given(value)
    assert env.flag(NAME) is answer


@pytest.mark.parametrize(
    ("read", "value"),
    [
        pytest.param(env.flag, "maybe", id="flag"),
        pytest.param(lambda name: env.number(name, 30), "soon", id="number"),
        pytest.param(lambda name: env.number(name, 30, at_least=1), "0", id="too small"),
        pytest.param(env.networks, "10.0.0.1,proxy", id="networks"),
        pytest.param(lambda name: env.http_url(name, ""), "atende.example", id="no scheme"),
        pytest.param(lambda name: env.http_url(name, ""), "ftp://atende.example", id="ftp"),
        pytest.param(lambda name: env.time_zone(name, "UTC"), "Brasilia", id="time zone"),
        pytest.param(env.fernet_keys, "c2hvcnQ=", id="short key"),
        pytest.param(env.required, " ", id="required"),
    ],
)
def test_a_bad_value_is_refused_by_name(given, read, value):
    given(value)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        read(NAME)


def test_a_bad_key_is_not_shown(given):
    given("my-secret-key")
    with pytest.raises(ImproperlyConfigured) as refused:
        env.fernet_keys(NAME)
    assert "my-secret-key" not in str(refused.value)


def test_empty_means_default(given):
    given("")
    assert env.number(NAME, 30) == 30
    assert env.http_url(NAME, "http://127.0.0.1:8000/") == "http://127.0.0.1:8000"
    assert env.words(NAME) == []


def test_two_keys_rotate(given):
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    given(",".join(keys))
    assert env.fernet_keys(NAME) == keys


def test_the_environment_wins_over_the_file(given, tmp_path, monkeypatch):
    monkeypatch.delenv("ATENDE_TEST_OTHER", raising=False)
    file = tmp_path / ".env"
    file.write_text(f"{NAME}=from file\nATENDE_TEST_OTHER=from file\n")
    given("from environment")
    env.load(file)
    assert env.text(NAME) == "from environment"
    assert env.text("ATENDE_TEST_OTHER") == "from file"
    monkeypatch.delenv("ATENDE_TEST_OTHER")


def test_a_command_is_read_as_a_shell_would_and_never_by_one(monkeypatch):
    monkeypatch.setenv("SCANNER", "clamdscan --fdpass 'with space' $HOME; rm")
    assert env.command("SCANNER") == ["clamdscan", "--fdpass", "with space", "$HOME;", "rm"]
    monkeypatch.setenv("SCANNER", "")
    assert env.command("SCANNER") == []
    monkeypatch.setenv("SCANNER", "scan 'open")
    with pytest.raises(ImproperlyConfigured, match="SCANNER"):
        env.command("SCANNER")
