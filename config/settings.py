"""Every setting, read from the environment (or `.env`) and checked as it is read.

`.env.example` explains each variable. Only this file reads them.
"""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from config import env, media_storage

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env.load(BASE_DIR / ".env")

# --- Where the site stands -------------------------------------------------------------------

DEBUG = env.flag("DEBUG")
SECRET_KEY = env.required("SECRET_KEY")
FIELD_ENCRYPTION_KEY = env.fernet_keys("FIELD_ENCRYPTION_KEY")

SITE_URL = env.http_url("SITE_URL", default="http://127.0.0.1:8000")
SITE_HOST = urlsplit(SITE_URL).hostname or ""
IS_HTTPS = SITE_URL.startswith("https://")

ALLOWED_HOSTS = env.words("ALLOWED_HOSTS") or [SITE_HOST]
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS") or [SITE_URL]
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")

# TrustedProxyMiddleware drops these headers unless one of our proxies sent them.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
USE_X_FORWARDED_HOST = bool(TRUSTED_PROXIES)

SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # asked from inside, over plain http
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if IS_HTTPS else 0
SESSION_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_SECURE = IS_HTTPS
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains: other hosts of the domain are not ours to decide
    "security.W021",  # HSTS preload: the same
]

# --- Program ---------------------------------------------------------------------------------

INSTALLED_APPS = [
    "config.apps.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "auditlog",
    "django_htmx",
    "users",
    "leads",
    "sessions_app",
    "tickets",
    "chatbot",
]

# Nothing here may run a statement on the webhook. There is no LocaleMiddleware on purpose: it
# would make the console English for an English browser.
MIDDLEWARE = [
    "config.middleware.TrustedProxyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "users.middleware.UserLanguageMiddleware",
    "users.middleware.LoginIdleMiddleware",
    "users.middleware.TwoFactorMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "users.audit.AuditMiddleware",
    "axes.middleware.AxesMiddleware",  # last: it answers a locked-out login
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    },
]

# A body above the webhook's own limit of 4 MB must be refused by the webhook (413), not by Django.
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
# The form of a step sends every field of every row: a branch of 30 cases with all their conditions
# has more than Django's 1,000.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 4000

# --- Stored things ---------------------------------------------------------------------------

DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'atende.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # FULL, so that a 200 to the provider means the message is on the disk.
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
        ),
    }
else:
    # No pool: together with a kept connection it makes every request fail.
    DATABASES["default"].update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
    # Of `users.frozen` alone: what the ORM sends otherwise is never prepared.
    DATABASES["default"].setdefault("OPTIONS", {})["prepare_threshold"] = 0
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MEDIA_ROOT = Path(env.text("MEDIA_ROOT", str(VAR_DIR / "media")))
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": media_storage.backend(
        bucket=env.text("MEDIA_S3_BUCKET"),
        endpoint_url=env.text("MEDIA_S3_ENDPOINT_URL"),
        region=env.text("MEDIA_S3_REGION"),
        access_key=env.text("MEDIA_S3_ACCESS_KEY"),
        secret_key=env.text("MEDIA_S3_SECRET_KEY"),
    ),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- People ----------------------------------------------------------------------------------

AUTH_USER_MODEL = "users.User"
SESSION_ENGINE = "users.login_store"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "users.backends.RolePermissionBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 10}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
PASSWORD_RESET_TIMEOUT = 3600  # seconds in which the link of the mail opens
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
LOGIN_IDLE_HOURS = env.number("LOGIN_IDLE_HOURS", default=12, at_least=1)
REQUIRE_2FA = env.flag("REQUIRE_2FA")
OTP_TOTP_ISSUER = "Atende"  # what an app writes above the codes

AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "lockout.html"
AXES_ENABLE_ADMIN = False  # its pages are in English; the login history has a button instead
AXES_DISABLE_ACCESS_LOG = True  # the login history says it

AUDITLOG_DISABLE_REMOTE_ADDR = True  # it would believe any X-Forwarded-For

LANGUAGE_CODE = "pt-br"
LANGUAGES = [("pt-br", _("Portuguese (Brazil)")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
FORMAT_MODULE_PATH = "config.formats"
USE_I18N = True
TIME_ZONE = env.time_zone("TIME_ZONE", default="America/Sao_Paulo")
USE_TZ = True

# --- Pages -----------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:", "blob:"],
        "media-src": [SELF, "blob:"],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [NONE],
    }
}

# --- API -------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "users.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["users.api_permissions.HasScope"],
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "users.api_search.ShownSearchFilter",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_PAGINATION_CLASS": "config.pagination.IdCursorPagination",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "config.exceptions.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Atende",
    "DESCRIPTION": "Leads, sessions, tickets, messages and flows.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "FlowLogKind": "chatbot.models.FlowLogKind",
        "LeadStatus": "leads.models.LeadStatus",
        "MediaStatus": "chatbot.models.MediaStatus",
        "MessageStatus": "chatbot.models.MessageStatus",
        "TicketStatus": "tickets.models.TicketStatus",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAdminUser"],
    "SERVE_AUTHENTICATION": [
        "users.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Conversations ---------------------------------------------------------------------------

SESSION_IDLE_MINUTES = env.number("SESSION_IDLE_MINUTES", default=30, at_least=1)
GRAPH_API_URL = env.http_url("GRAPH_API_URL", default="https://graph.facebook.com")
GRAPH_API_VERSION = env.text("GRAPH_API_VERSION", default="v26.0")
# Hosts on private addresses that `http` passos may call; all other private addresses are refused.
HTTP_NODE_PRIVATE_HOSTS = env.words("HTTP_NODE_PRIVATE_HOSTS")
# Besides the Graph API's own host, these alone get a channel's token when a file is fetched.
MEDIA_HOSTS = env.words("MEDIA_HOSTS") or ["lookaside.fbsbx.com"]
MEDIA_LARGEST_BYTES = env.number("MEDIA_LARGEST_MB", default=100, at_least=1) * 1024 * 1024
MEDIA_SCANNER = env.command("MEDIA_SCANNER")
# Only `sync_default_channel` reads these; afterwards the channel's row counts.
WHATSAPP_APP_SECRET = env.text("WHATSAPP_APP_SECRET")
WHATSAPP_VERIFY_TOKEN = env.text("WHATSAPP_VERIFY_TOKEN")
WHATSAPP_ACCESS_TOKEN = env.text("WHATSAPP_ACCESS_TOKEN")
WHATSAPP_PHONE_NUMBER_ID = env.text("WHATSAPP_PHONE_NUMBER_ID")

# --- Mail, metrics, logs, errors -------------------------------------------------------------

globals().update(env.email("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 10  # seconds; the worker writes mails between its other work
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", default=f"Atende <atende@{SITE_HOST}>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

METRICS_TOKEN = env.text("METRICS_TOKEN")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "config.logs.RedactingFormatter",
            "format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s",
            "datefmt": "%Y-%m-%d %H:%M:%S %z",
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Django brings handlers of its own here (console, mail to ADMINS): one way out is enough.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        # A page that is refused or missing is no trouble of ours: no traceback for each.
        "django.request": {"level": "ERROR"},
        "axes": {"level": "WARNING"},
    },
}

SENTRY_DSN = env.text("SENTRY_DSN")
if SENTRY_DSN:
    try:
        import sentry_sdk
    except ImportError as error:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set but sentry-sdk is not installed: pip install sentry-sdk"
        ) from error
    # Local variables and bodies hold what customers wrote.
    sentry_sdk.init(
        dsn=SENTRY_DSN,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
    )
