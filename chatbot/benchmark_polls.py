"""Which requests an open page repeats, read from its own markup: `data-poll` with htmx's
attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

# Tags that say something here: to parse the whole of each page would take the load's own time.
TELLING = re.compile(r"<[^<>]*\b(?:data-poll|data-beat|csrfmiddlewaretoken)\b[^<>]*>")
EVERY = re.compile(r"every (\d+)s")
BEAT = "data-beat"  # fields that go along with a heartbeat


@dataclass(frozen=True)
class Poll:
    """`key`: the element's id; what comes back under it replaces the address."""

    key: str
    method: str
    path: str
    seconds: int
    has_beat: bool = False


@dataclass
class Polls:
    """What one page repeats, and the fields it sends with it."""

    polls: dict[str, Poll] = field(default_factory=dict)
    beat: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def read(self, html: str) -> None:
        """A page, or a piece of one that has just come: what it says is newer."""
        reader = _Reader(self)
        for tag in TELLING.findall(html):
            reader.feed(tag)


class _Reader(HTMLParser):
    def __init__(self, found: Polls) -> None:
        super().__init__()
        self._found = found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        one = {name: value or "" for name, value in attrs}
        if one.get("name") == "csrfmiddlewaretoken":
            self._found.token = one.get("value", "")
        if BEAT in one and one.get("name"):
            self._found.beat[one["name"]] = one.get("value", "")
        if "data-poll" in one:
            self._poll(one)

    def _poll(self, one: dict[str, str]) -> None:
        every = EVERY.search(one.get("hx-trigger", ""))
        path = one.get("hx-get") or one.get("hx-post")
        if every and path:
            method = "GET" if "hx-get" in one else "POST"
            key = one.get("id") or path.partition("?")[0]
            has_beat = BEAT in one.get("hx-include", "")
            self._found.polls[key] = Poll(key, method, path, int(every[1]), has_beat)
