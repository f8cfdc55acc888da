"""`{{ name }}` in texts: one substitution over a flat dict, which can do nothing else.

`{{ name|texto }}` gives the text when the value is missing or empty. What a value holds is never
looked at again, and what is not a placeholder stays as it was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from chatbot.engine.limits import TEXT_LENGTH
from chatbot.engine.values import as_text, clean

_PLACEHOLDER = re.compile(
    r"\{\{\s*([a-z_][a-z0-9_]{0,39}(?:\.[a-z_][a-z0-9_]{0,39})?)\s*"
    r"(?:\|\s*([^{}]{0,80}?)\s*)?\}\}"
)
_SECRET = re.compile(r"(\{\{\s*secret\.[a-z_][a-z0-9_]{0,39}\s*\}\})")


def render(
    text: str,
    values: Mapping[str, str],
    escape: Callable[[str], str] | None = None,
    limit: int = TEXT_LENGTH,
) -> str:
    """The text with its placeholders filled, cut at `limit`. Never fails."""
    if "{{" not in text:
        return text[:limit]

    def fill(found: re.Match[str]) -> str:
        value = values.get(found[1]) or found[2] or ""
        return escape(value) if escape else value

    return clean(_PLACEHOLDER.sub(fill, text), limit)


def flatten(
    context: Mapping[str, Any], facts: Mapping[str, Any], *, shown: bool = True
) -> dict[str, str]:
    """Everything a text may name, as strings. A variable never hides a fact."""
    known = known_values(context, facts)
    return {name: as_text(value, shown=shown) for name, value in known.items()}


def known_values(context: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Variables, their parts (`foto.filename`) and the facts, by the names that texts and
    conditions use: `lead.name`, `channel.kind`, `weekday`, `today`…"""
    known = dict(context)
    for name, value in context.items():
        if isinstance(value, Mapping):
            known |= _parts(name, value)
    lead = _mapping(facts.get("lead"))
    known |= _parts("lead", lead) | _parts("channel", _mapping(facts.get("channel")))
    known["lead.first_name"] = first_word(as_text(lead.get("name")))
    known["first_contact"] = bool(facts.get("first_contact"))
    known["weekday"] = facts.get("weekday")
    now = local_time(facts)
    if now:
        known |= {"today": now.date().isoformat(), "now": now.strftime("%H:%M")}
    return known


def _parts(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}.{key}": one for key, one in value.items()}


def local_time(facts: Mapping[str, Any]) -> datetime | None:
    """The department's clock, as the shell told it."""
    try:
        return datetime.fromisoformat(str(facts.get("now")))
    except ValueError:
        return None


def local_date(facts: Mapping[str, Any], at: datetime) -> date:
    return (local_time(facts) or at).date()


def first_word(text: str) -> str:
    return next(iter(text.split()), "")


def placeholders(text: str) -> Iterator[tuple[str, bool]]:
    """(name, whether it has a default) of each placeholder."""
    for found in _PLACEHOLDER.finditer(text):
        yield found[1], found[2] is not None


def defaults(text: str) -> Iterator[tuple[str, str]]:
    """(name, the text for when there is no value) of each placeholder."""
    for found in _PLACEHOLDER.finditer(text):
        yield found[1], found[2] or ""


def leftovers(text: str) -> str:
    """The text without its placeholders: what stays as it was written."""
    return _PLACEHOLDER.sub("", text)


def literal_length(text: str) -> int:
    """The length of a text when every placeholder is empty."""
    return len(_PLACEHOLDER.sub(lambda found: found[2] or "", text))


def only_placeholder(text: str) -> str:
    """The name, when the text is one placeholder and nothing else."""
    found = _PLACEHOLDER.fullmatch(text.strip())
    return found[1] if found and found[2] is None else ""


def variable_named(value: Any) -> str:
    """The name in a setting that names a variable, written as `nome` or as `{{ nome }}`."""
    text = as_text(value, shown=False)
    return only_placeholder(text) or text.strip()


def names_secret(text: str) -> bool:
    """Does it name a secret of the site?"""
    return _SECRET.search(text) is not None


def around_secrets(text: str) -> list[str]:
    """The text in parts: each secret that it names, and what stands between them."""
    return _SECRET.split(text)


def in_url(value: str) -> str:
    return quote(value, safe="")


def in_json(value: str) -> str:
    return json.dumps(value)[1:-1]


def in_header(value: str) -> str:
    return "".join(one for one in value if one.isprintable())


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
