"""The program's own settings, but for what makes it quick to start and what must not be shared."""

import os
from pathlib import Path

from config.settings import *  # noqa: F403
from config.settings import STORAGES

STATIC_ROOT = Path(os.environ["BROWSER_STATIC_ROOT"])
STORAGES = {
    **STORAGES,
    # Names with hashes as in production, without the time that compressing them takes.
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AXES_ENABLED = False  # every browser here has the same address
