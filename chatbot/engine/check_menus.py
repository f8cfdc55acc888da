"""Options: does each have a name of its own, in every way in which customers may say it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from chatbot.engine.findings import ChannelLimits, Finding, Severity
from chatbot.engine.ground import Desk, Ground
from chatbot.engine.kinds import Menu, Option
from chatbot.engine.matching import (
    Candidate,
    candidate,
    likeness,
    match_option,
    normalise,
    number_of,
)
from chatbot.engine.texts import Field
from chatbot.engine.whole import audible

_COMPARED = 4_000_000  # pairs of words in all menus of a flow: half a minute


def check_menu(desk: Desk, ground: Ground) -> Iterator[Finding]:
    if not isinstance(desk.node, Menu):
        return
    menu = desk.node
    for option in menu.options:
        if not option.label.strip():
            yield desk.finding("empty_option", "error", option=option.id)
    yield from _same(desk, menu)
    yield from _overlapping(desk, menu, ground)
    yield from _words(desk, menu, ground)
    if menu.presentation != "text":
        shown: dict[str, Finding] = {}
        for channel in ground.around.channels:
            for finding in _limits(desk, menu, channel):
                shown.setdefault(finding.key, finding)
        yield from shown.values()


def _same(desk: Desk, menu: Menu) -> Iterator[Finding]:
    labels = Counter(normalise(option.label) for option in menu.options)
    phrases = Counter(phrase for one in menu.candidates for phrase in one.phrases)
    for phrase, count in phrases.items():
        if count > 1:
            severity: Severity = "error" if labels[phrase] > 1 else "warning"
            yield desk.finding("duplicate_labels", severity, label=phrase)


def _overlapping(desk: Desk, menu: Menu, ground: Ground) -> Iterator[Finding]:
    """Each word is held against each: not where a flow has so many that nobody could wait."""
    words = sum(len(phrase.split()) for one in menu.candidates for phrase in one.phrases)
    if words**2 * len(ground.places) > _COMPARED:
        return
    labels = {option.id: option.label for option in menu.options}
    for said, option, other in overlaps(menu.options):
        about = {"said": said, "label": labels[option], "other": labels[other]}
        yield desk.finding("overlapping_options", "warning", **about)


@lru_cache(maxsize=1024)
def overlaps(options: tuple[Option, ...]) -> tuple[tuple[str, str, str], ...]:
    """(what may be said, the option it is said for, another that it may be), each pair of options
    once. Kept: a flow is checked on each save, and most of its menus stay as they are."""
    candidates = tuple(candidate(one.id, one.label, one.synonyms) for one in options)
    phrases = Counter(phrase for one in candidates for phrase in one.phrases)
    words = {
        one.id: {word for phrase in one.phrases for word in phrase.split()} for one in candidates
    }
    told: dict[frozenset[str], tuple[str, str, str]] = {}
    for option in options:
        others = {word for one, its in words.items() if one != option.id for word in its}
        for phrase in dict.fromkeys((option.label, *option.synonyms)):
            if phrases[normalise(phrase)] != 1:
                continue
            said, other = _mistaken(candidates, option.id, phrase, others)
            if other:
                told.setdefault(frozenset((option.id, other)), (said, option.id, other))
    return tuple(told.values())


def _mistaken(
    candidates: tuple[Candidate, ...], option: str, phrase: str, others: set[str]
) -> tuple[str, str]:
    """(what a customer may say, the other option that it may stand for): as a number, or in a
    sentence, where slips of the pen are forgiven."""
    number = number_of(phrase)
    if number is not None and 0 < number <= len(candidates):
        numbered = candidates[number - 1].id
        return (phrase, numbered) if numbered != option else ("", "")
    words = set(normalise(phrase).split())
    if words.isdisjoint(others) and not any(likeness(a, b) for a in words for b in others):
        return "", ""
    said = f"quero {phrase}"
    found = match_option(said, candidates)
    mistaken = [one for one in (found.id, *found.among) if one and one != option]
    return (said, mistaken[0]) if mistaken else ("", "")


def _words(desk: Desk, menu: Menu, ground: Ground) -> Iterator[Finding]:
    """Options that are words which lead elsewhere: at this menu the option is meant."""
    leading: dict[str, tuple[str, str]] = {}
    for document in (desk.document, ground.flow):
        for word in document.words:
            for keyword in word.keywords:
                target = word.next if document is desk.document else f"/{word.next}"
                leading.setdefault(audible(keyword), (keyword, target))
    for option, one in zip(menu.options, menu.candidates, strict=True):
        for phrase in one.phrases:
            keyword, target = leading.get(phrase, ("", option.next))
            if target != option.next and phrase != normalise(option.id):
                yield desk.finding("option_is_word", "warning", word=keyword, label=option.label)


def _limits(desk: Desk, menu: Menu, channel: ChannelLimits) -> Iterator[Finding]:
    if not channel.buttons and not channel.list_rows:
        return
    as_buttons = menu.presentation == "buttons" or (
        menu.presentation == "auto" and len(menu.options) <= channel.buttons
    )
    most = channel.buttons if as_buttons else channel.list_rows
    if len(menu.options) > most:
        yield desk.finding("too_many_options", "error", count=len(menu.options), limit=most)
    title = channel.button_title if as_buttons else channel.list_row_title
    for number, option in enumerate(menu.options, 1):
        field = ("option", option.label)
        yield from _over(desk, field, title, "error", number=number)
        if not as_buttons:
            field = ("description", option.description)
            yield from _over(desk, field, channel.list_row_description, "warning", number=number)
    if not as_buttons:
        yield from _over(desk, ("list_button", menu.list_button), channel.list_button, "error")


def _over(
    desk: Desk, field: Field, limit: int, severity: Severity, **params: Any
) -> Iterator[Finding]:
    name, text = field
    length = _units(text)
    if limit and length > limit:
        about = {"field": name, "label": text, "length": length, "limit": limit, **params}
        yield desk.finding("over_channel_limit", severity, **about)


def _units(text: str) -> int:
    """UTF-16 units, the narrower way in which providers count."""
    return len(text.encode("utf-16-le")) // 2
