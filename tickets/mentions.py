"""Whom a note names: `@username`, `@First` or `@First Last`, whatever case and accents."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from users.models import User


def mentioned(text: str, *, author: User | None) -> list[User]:
    """The active colleagues whom `author` may see and `text` names. A first name that two of them
    share names nobody; of two names that fit the longer one is meant. No query without an @."""
    if "@" not in text or author is None:
        return []
    people = _by_name(list(User.objects.visible_to(author).active().order_by("pk")))
    names = "|".join(re.escape(name) for name in sorted(people, key=len, reverse=True))
    found = re.finditer(rf"(?<!\w)@({names})(?!\w)", _plain(text))
    return list(dict.fromkeys(people[one[1]] for one in found))


def _by_name(colleagues: Sequence[User]) -> dict[str, User]:
    """Each name that means one person; a user name wins over a first name."""
    firsts = Counter(_plain(one.first_name) for one in colleagues)
    people = {
        _plain(one.first_name): one for one in colleagues if firsts[_plain(one.first_name)] == 1
    }
    people |= {_plain(one.get_full_name()): one for one in colleagues}
    people |= {_plain(one.username): one for one in colleagues}
    return {name: one for name, one in people.items() if name}


def _plain(text: str) -> str:
    """Without accents and case."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(one for one in parts if not unicodedata.combining(one)).casefold().strip()
