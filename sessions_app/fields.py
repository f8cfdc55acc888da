"""A JSON field whose content is encrypted at rest with FIELD_ENCRYPTION_KEY."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

UNREADABLE = "_unreadable"


@lru_cache(maxsize=4)
def _cipher_of(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("Channel credentials need FIELD_ENCRYPTION_KEY to be set.")
    return MultiFernet([Fernet(key) for key in keys])


def _cipher() -> MultiFernet:
    return _cipher_of(tuple(settings.FIELD_ENCRYPTION_KEY))


class EncryptedJSONField(models.TextField):
    """Stores a dict as a Fernet token. The first key encrypts, all of them decrypt (rotation).

    A value that no key opens reads as {} plus the mark `"_unreadable": True`, so that a lost key
    shows as a channel to repair and not as a crash of every page.
    """

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> dict[str, Any]:
        if not value:
            return {}
        try:
            decoded = json.loads(_cipher().decrypt(value.encode()))
        except InvalidToken:
            return {UNREADABLE: True}
        return decoded if isinstance(decoded, dict) else {}

    def to_python(self, value: Any) -> dict[str, Any]:
        return value if isinstance(value, dict) else {}

    def get_prep_value(self, value: Any) -> str:
        if not value:
            return ""
        return _cipher().encrypt(json.dumps(value).encode()).decode()

    def value_to_string(self, obj: models.Model) -> str:
        """Serialised (dumpdata) as ciphertext: never in clear."""
        return self.get_prep_value(self.value_from_object(obj))
