"""Settings of the test suite; TEST_DB=pg brings a PostgreSQL of its own.

The server must start here: pytest-django reads the settings before any conftest.py. Workers of
xdist inherit TEST_PG_URL and so share the one server, each with its own database.
"""

import os

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

# Nothing of the developer's own environment or `.env` may change what a test sees.
OWN_SETTINGS = """
    DEBUG ALLOWED_HOSTS CSRF_TRUSTED_ORIGINS TRUSTED_PROXIES MEDIA_ROOT EMAIL_URL
    DEFAULT_FROM_EMAIL TIME_ZONE REQUIRE_2FA SESSION_IDLE_MINUTES LOGIN_IDLE_HOURS GRAPH_API_URL
    GRAPH_API_VERSION WHATSAPP_APP_SECRET WHATSAPP_VERIFY_TOKEN WHATSAPP_ACCESS_TOKEN
    WHATSAPP_PHONE_NUMBER_ID METRICS_TOKEN SENTRY_DSN HTTP_NODE_PRIVATE_HOSTS MEDIA_HOSTS
    MEDIA_LARGEST_MB MEDIA_SCANNER
    MEDIA_S3_BUCKET MEDIA_S3_ENDPOINT_URL MEDIA_S3_REGION MEDIA_S3_ACCESS_KEY MEDIA_S3_SECRET_KEY
"""
os.environ.update(dict.fromkeys(OWN_SETTINGS.split(), ""))
os.environ["SECRET_KEY"] = "only-for-tests"
os.environ["FIELD_ENCRYPTION_KEY"] = Fernet.generate_key().decode()
os.environ["SITE_URL"] = "http://testserver"

TEST_DB = os.environ.setdefault("TEST_DB", "sqlite")
if TEST_DB not in {"sqlite", "pg"}:
    raise ImproperlyConfigured(f"TEST_DB must be sqlite or pg, not {TEST_DB!r}.")
if TEST_DB == "pg" and "TEST_PG_URL" not in os.environ:
    from config import postgres_for_tests  # a package of the development lock

    os.environ["TEST_PG_URL"] = postgres_for_tests.start()
os.environ["DATABASE_URL"] = os.environ["TEST_PG_URL"] if TEST_DB == "pg" else "sqlite://:memory:"

from config.settings import *  # noqa: E402, F403  # the environment above must stand first
from config.settings import INSTALLED_APPS, MIDDLEWARE, STORAGES  # noqa: E402  # named for the linters

ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
INSTALLED_APPS = [*INSTALLED_APPS, "zeal"]
MIDDLEWARE = ["zeal.middleware.zeal_middleware", *MIDDLEWARE]  # watches one request at a time
ZEAL_RAISE = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    **STORAGES,
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
