"""Personal values (a CPF, for instance) outside the places where showing one is logged.

Hidden is what stands under a name that somebody declared sensitive (a flow, for its variables), and
whatever reads as a CPF, a CNPJ, an e-mail address or a phone number, since customers also write
those where a flow asked for something else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from phonenumbers import NumberParseException, is_valid_number, parse
from validate_docbr import CNPJ, CPF

MASK = "••••••"
CPF_LENGTH, CNPJ_LENGTH = 11, 14
LANDLINE = 10  # so many digits and nothing between them: more likely the number of a contract
COUNTRY = "BR"  # of numbers without a country code

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+?[0-9 ().-]{10,24}")
_BETWEEN = re.compile(r"[\s./-]")


def masked(value: Any, names: Collection[str]) -> Any:
    """`value` with everything hidden in it, however deep, replaced by MASK; `names`: the declared
    ones."""
    if isinstance(value, Mapping):
        return {
            key: MASK if key in names and one not in (None, "") else masked(one, names)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(one, names) for one in value]
    return MASK if is_personal(value) else value


def hidden_names(values: Mapping[str, Any], declared: Collection[str]) -> frozenset[str]:
    """Which of these values a page hides, by their names."""
    return frozenset(name for name, one in values.items() if name in declared or _holds(one))


def is_personal(value: Any) -> bool:
    """Is this text a CPF, a CNPJ, an e-mail address or a phone number, and nothing else?"""
    if not isinstance(value, str):
        return False
    text = value.strip()
    if "@" in text:
        return _EMAIL.fullmatch(text) is not None
    return is_document(_bare(text)) or _is_phone(text)


def hint(text: str) -> str:
    """Enough of a CPF or CNPJ to compare it with what somebody says; nothing of anything else."""
    bare = _bare(text)
    if not is_document(bare):
        return MASK if text else ""
    if len(bare) == CPF_LENGTH:
        return f"•••.{bare[3:6]}.•••-{bare[9:]}"
    return f"••.{bare[2:5]}.•••/••••-{bare[12:]}"


def _holds(value: Any) -> bool:
    """Is anything in it personal, however deep?"""
    if isinstance(value, Mapping):
        return any(map(_holds, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds, value))
    return is_personal(value)


def _bare(text: str) -> str:
    return _BETWEEN.sub("", text).upper()


def is_document(bare: str) -> bool:
    """Is it a CPF or a CNPJ, which may hold letters, without punctuation?"""
    return (len(bare) == CPF_LENGTH and CPF().validate(bare)) or (
        len(bare) == CNPJ_LENGTH and CNPJ().validate(bare)
    )


def _is_phone(text: str) -> bool:
    if _PHONE.fullmatch(text) is None or (text.isdigit() and len(text) == LANDLINE):
        return False
    try:
        return is_valid_number(parse(text, COUNTRY))
    except NumberParseException:
        return False
