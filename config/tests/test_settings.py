"""The settings are loaded in a process of their own: what they say depends on the environment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parents[2]
SHOW = """
import json, sys
from config import settings
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=str))
"""
NEEDED = {"SECRET_KEY": "x" * 60, "FIELD_ENCRYPTION_KEY": Fernet.generate_key().decode()}


def load(*names, **environment):
    """Run the settings under exactly this environment; `.env` cannot interfere (empty wins)."""
    unset = dict.fromkeys(["DEBUG", "SITE_URL", "ALLOWED_HOSTS", "DATABASE_URL", *NEEDED], "")
    return subprocess.run(
        [sys.executable, "-c", SHOW, *names],
        cwd=ROOT,
        env={**unset, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def values(*names, **environment):
    result = load(*names, **NEEDED, **environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("site", "secure"), [("https://atende.example", True), ("http://127.0.0.1:8000", False)]
)
def test_https_follows_from_the_address(site, secure):
    names = ["SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"]
    found = values(*names, "SECURE_HSTS_SECONDS", SITE_URL=site)
    assert [found[name] for name in names] == [secure] * 3
    assert bool(found["SECURE_HSTS_SECONDS"]) is secure


def test_hosts_and_origins_default_to_the_address():
    found = values("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", SITE_URL="https://atende.example/")
    assert found == {
        "ALLOWED_HOSTS": ["atende.example"],
        "CSRF_TRUSTED_ORIGINS": ["https://atende.example"],
    }


def test_debug_is_off_unless_set():
    assert values("DEBUG") == {"DEBUG": False}


def test_sqlite_keeps_what_it_has_confirmed():
    database = values("DATABASES")["DATABASES"]["default"]
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "synchronous=FULL" in database["OPTIONS"]["init_command"]


def test_postgresql_keeps_its_connections_without_a_pool():
    found = values("DATABASES", DATABASE_URL="postgres://a:b@db.example:5432/atende")
    database = found["DATABASES"]["default"]
    assert database["CONN_MAX_AGE"] is None
    assert database["CONN_HEALTH_CHECKS"] is True
    assert "pool" not in database.get("OPTIONS", {})


@pytest.mark.parametrize("missing", ["SECRET_KEY", "SENTRY"])
def test_what_is_missing_is_said_in_words(missing):
    without = {name: value for name, value in NEEDED.items() if name != missing}
    sentry = {"SENTRY_DSN": "https://key@sentry.example/1"} if missing == "SENTRY" else {}
    result = load("DEBUG", **without, **sentry)
    assert result.returncode == 1
    assert "ImproperlyConfigured" in result.stderr
    assert missing.lower() in result.stderr.lower()
