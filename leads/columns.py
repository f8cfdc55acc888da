"""What a person wrote, as a value that a column of Lead can hold. Never raises on their text."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from leads.models import Lead
from leads.phones import parse_typed
from users.masking import is_document

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NOT_IN_DOCUMENTS = re.compile(r"[^0-9A-Z]")
_PHONE_KEY = re.compile(r"[0-9]{7,15}")


def clean(text: str) -> str:
    """Text that every database takes, trimmed."""
    return _UNSTORABLE.sub("\ufffd", text).strip()


def as_name(text: str) -> str:
    """A profile name, cut to what the column holds."""
    return clean(text)[: _length_of("name")]


def as_e164(canonical: str) -> str:
    """The phone attribute for a canonical phone address; empty when it is none."""
    return f"+{canonical}" if _PHONE_KEY.fullmatch(canonical) else ""


def as_column(field: str, text: str) -> str | None:
    """The value for the column `field`; None when this text is not such a value."""
    value = CLEANERS[field](clean(text)) if text.strip() else ""
    limit = _length_of(field)
    return None if value is None or (limit and len(value) > limit) else value


def _email(text: str) -> str | None:
    try:
        validate_email(text)
    except ValidationError:
        return None
    local, _at, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"


def _document(text: str) -> str | None:
    """CPF or CNPJ without punctuation; a CNPJ may hold letters."""
    bare = _NOT_IN_DOCUMENTS.sub("", text.upper())
    return bare if is_document(bare) else None


def _unchanged(text: str) -> str | None:
    return text


CLEANERS: dict[str, Callable[[str], str | None]] = {
    "name": _unchanged,
    "email": _email,
    "phone": parse_typed,
    "document": _document,
    "company": _unchanged,
    "need": _unchanged,
}


def _length_of(field: str) -> int | None:
    return getattr(Lead._meta.get_field(field), "max_length", None)
