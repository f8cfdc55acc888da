"""Phone numbers as keys: one number has one canonical form, however it was written.

WhatsApp ids of some countries exist in two forms for the same line: Brazilian mobiles with and
without the ninth digit, Mexican ones with and without `1` after the country code, Argentine ones
with and without `9`. A Brazilian landline (first digit 2 to 5) has one form only, and no mobile
number is ever matched with it.
"""

from __future__ import annotations

import re

import phonenumbers

# (a number in either form: country and area code, subscriber; what stands between them in the
# canonical form, and in the other form)
_FORMS = (
    (re.compile(r"(55\d{2})9?([6-9]\d{7})"), "9", ""),
    (re.compile(r"(52)1?(\d{10})"), "", "1"),
    (re.compile(r"(54)9?(\d{10})"), "9", ""),
)

_TYPED = re.compile(r"\+?\(?\d[\d \t().\-\u00a0\u2010-\u2015]{6,30}\d")
_NOT_DIGITS = re.compile(r"[^0-9]")
_TYPED_TEXT_LIMIT = 500


def canonical_phone(digits: str) -> str:
    """The one form of an international number used as a key: digits only, country code first."""
    return phone_variants(digits)[0]


def phone_variants(digits: str) -> tuple[str, ...]:
    """Every form in which the same line may be known, the canonical one first."""
    number = _NOT_DIGITS.sub("", digits)
    for pattern, canonical, other in _FORMS:
        match = pattern.fullmatch(number)
        if match:
            before, after = match.groups()
            return before + canonical + after, before + other + after
    return (number,)


def other_form(digits: str) -> str | None:
    """The other form of the same line, where it has two: nobody can tell which one WhatsApp
    uses."""
    given = _NOT_DIGITS.sub("", digits)
    return next((form for form in phone_variants(given) if form != given), None)


def parse_typed(text: str) -> str | None:
    """The number in what a person in Brazil typed, as E.164; None when there is no valid one.

    Understands a missing country code, a leading 0 with or without a carrier code, punctuation,
    words around the number, and a mobile written without its ninth digit.
    """
    match = _TYPED.search(text[:_TYPED_TEXT_LIMIT])
    if match is None:
        return None
    try:
        number = phonenumbers.parse(match.group(), "BR")
    except phonenumbers.NumberParseException:
        return None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    candidates = (written, "+" + canonical_phone(written))
    return next((candidate for candidate in candidates if _is_valid(candidate)), None)


def spaced(e164: str) -> str:
    """A stored number as people read it; what is none stays as it is."""
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _is_valid(e164: str) -> bool:
    return phonenumbers.is_valid_number(phonenumbers.parse(e164))
