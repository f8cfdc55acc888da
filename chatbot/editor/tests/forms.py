"""The form of a passo as a browser without scripts sends it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class _Forms(HTMLParser):
    """The fields of every form of a page, as they would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, list[str]]]] = []
        self._select = self._area = ""
        self._chosen: list[str] | None = None
        self._first = ""
        self._text: list[str] = []

    def handle_starttag(self, tag: str, pairs: Any) -> None:
        given = dict(pairs)
        match tag:
            case "form":
                self.forms.append((given.get("action", ""), {}))
            case "input":
                self._input(given)
            case "select":
                self._select, self._chosen, self._first = given.get("name", ""), [], ""
            case "option" if self._chosen is not None:
                value = given.get("value", "")
                self._first = self._first or value
                if "selected" in given:
                    self._chosen.append(value)
            case "textarea":
                self._area, self._text = given.get("name", ""), []

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self._select:
            self._put(self._select, (self._chosen or [self._first])[0])
            self._select, self._chosen = "", None
        if tag == "textarea" and self._area:
            self._put(self._area, "".join(self._text).removeprefix("\n"))
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text.append(data)

    def _input(self, given: dict[str, Any]) -> None:
        kind = given.get("type", "text")
        if kind in ("checkbox", "radio") and "checked" not in given:
            return
        if given.get("name"):
            self._put(given["name"], given.get("value") or "")

    def _put(self, name: str, value: str) -> None:
        if self.forms:
            self.forms[-1][1].setdefault(name, []).append(value)


def form_in(html: str, action: str) -> dict[str, list[str]]:
    """The fields of the form with that address."""
    parser = _Forms()
    parser.feed(html)
    found = [fields for where, fields in parser.forms if where == action]
    assert found, [where for where, _fields in parser.forms]
    fields = found[-1]
    fields.pop("csrfmiddlewaretoken", None)
    return fields
