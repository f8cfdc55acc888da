"""A JSON field whose content is encrypted at rest with FIELD_ENCRYPTION_KEY."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


@lru_cache(maxsize=4)
def _cipher(keys: str) -> MultiFernet:
    names = [key.strip() for key in keys.split(",") if key.strip()]
    if not names:
        raise ImproperlyConfigured(
            "FIELD_ENCRYPTION_KEY is empty: channel credentials cannot be stored."
        )
    try:
        return MultiFernet([Fernet(name) for name in names])
    except ValueError as error:
        raise ImproperlyConfigured(
            "FIELD_ENCRYPTION_KEY must be a Fernet key (32 bytes, url-safe base64)."
        ) from error


class EncryptedJSONField(models.TextField):  # type: ignore[type-arg]  # django-stubs: TextField is generic only for checkers
    """Stores a dict as a Fernet token. The first key encrypts; all of a comma-separated list decrypt (rotation).

    A value that no key opens reads as {} plus the mark `"_unreadable": True`, so that a lost key shows as a
    channel to repair and not as a crash of every page.
    """

    def from_db_value(
        self, value: str | None, expression: Any, connection: Any
    ) -> dict[str, Any]:
        if not value:
            return {}
        try:
            decoded = json.loads(
                _cipher(settings.FIELD_ENCRYPTION_KEY).decrypt(value.encode())
            )
        except InvalidToken:
            return {"_unreadable": True}
        return decoded if isinstance(decoded, dict) else {}

    def to_python(self, value: Any) -> dict[str, Any]:
        return value if isinstance(value, dict) else {}

    def get_prep_value(self, value: Any) -> str:
        if not value:
            return ""
        return (
            _cipher(settings.FIELD_ENCRYPTION_KEY)
            .encrypt(json.dumps(value).encode())
            .decode()
        )

    def value_to_string(self, obj: models.Model) -> str:
        """Serialised (dumpdata) as ciphertext: never in clear."""
        return self.get_prep_value(self.value_from_object(obj))
