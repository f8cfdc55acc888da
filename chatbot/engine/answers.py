"""From what the customer sent to the value an `ask` keeps, by type of answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from chatbot.engine.dates import parse_date
from chatbot.engine.kinds import Ask
from chatbot.engine.messages import (
    ContactsReceived,
    FormReceived,
    LocationReceived,
    MediaReceived,
    Message,
    TextReceived,
)
from chatbot.engine.numbers import parse_number
from chatbot.engine.render import local_date
from chatbot.engine.values import clean, clean_answer

_EMAIL = re.compile(r"[^\s@<>\"'(),:;\[\]]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}")
_READ = 320  # characters of a typed answer other than a text
_EMAIL_LENGTH = 254
_NOT_ALNUM = re.compile(r"[^0-9A-Za-z]")
_NOT_DIGIT = re.compile(r"[^0-9]")
_CNPJ = re.compile(r"(?i)\b[0-9a-z]{2}\.?[0-9a-z]{3}\.?[0-9a-z]{3}[/ ]?[0-9a-z]{4}[- ]?[0-9]{2}\b")
_CPF_DIGITS = 11


def accepts_media(ask: Ask) -> bool:
    return ask.accepts_media or ask.answer == "file"


def answer_of(ask: Ask, message: Message) -> Any:
    """The value that answers the question, or None. Media that are not accepted are no answer."""
    match message:
        case TextReceived(text=text):
            return _from_text(ask, text, message)
        case FormReceived(values=values):
            given = values.get(ask.save_as)
            return None if given is None else _from_text(ask, str(given), message)
        case MediaReceived() if accepts_media(ask):
            return {
                "media": clean(message.media),
                "ref": clean(message.ref),
                "filename": clean(message.filename),
                "caption": clean_answer(message.caption),
            }
        case LocationReceived() if ask.answer == "location":
            return {
                "latitude": message.latitude,
                "longitude": message.longitude,
                "name": clean_answer(message.name),
                "address": clean_answer(message.address),
            }
        case ContactsReceived(phone=phone) if ask.answer == "phone" and phone:
            return read_phone(phone)
        case _:
            return None


def _from_text(ask: Ask, text: str, message: Message) -> Any:
    text = clean_answer(text)
    if ask.answer == "text":
        return text if text and _is_within(ask, len(text)) else None
    text = text[:_READ]
    if ask.answer == "date":
        day = parse_date(text, local_date(message.facts, message.at), ask.when)
        return day.isoformat() if day else None
    if ask.answer == "number":
        number = parse_number(text)
        return number if number is not None and _is_within(ask, number) else None
    reader = _READERS.get(ask.answer)
    return reader(text) if reader else None


def _is_within(ask: Ask, number: float) -> bool:
    if ask.minimum is not None and number < ask.minimum:
        return False
    return ask.maximum is None or number <= ask.maximum


def read_email(text: str) -> str | None:
    """The one address in the text, its domain in lower case."""
    found = {one.group() for one in _EMAIL.finditer(text)}
    if len(found) != 1:
        return None
    address = found.pop().strip(".")
    user, _, domain = address.rpartition("@")
    return f"{user}@{domain.lower()}" if user and len(address) <= _EMAIL_LENGTH else None


def read_phone(text: str) -> str | None:
    """A valid number as E.164; without a country code it is Brazilian."""
    import phonenumbers  # noqa: PLC0415 - its metadata takes a while to load

    try:
        number = phonenumbers.parse(text[:60], "BR")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def read_cpf(text: str) -> str | None:
    """The eleven digits of a valid CPF."""
    from validate_docbr import CPF  # noqa: PLC0415 - only flows that ask for one need it

    digits = _NOT_DIGIT.sub("", text)
    return digits if len(digits) == _CPF_DIGITS and CPF().validate(digits) else None


def read_cnpj(text: str) -> str | None:
    """The fourteen digits, or letters since 2026, of a valid CNPJ."""
    from validate_docbr import CNPJ  # noqa: PLC0415

    found = _CNPJ.search(text)
    code = _NOT_ALNUM.sub("", found[0]).upper() if found else ""
    return code if code and CNPJ().validate(code) else None


_READERS: dict[str, Callable[[str], str | None]] = {
    "email": read_email,
    "phone": read_phone,
    "cpf": read_cpf,
    "cnpj": read_cnpj,
}
