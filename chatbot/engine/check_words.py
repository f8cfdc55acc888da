"""Words that work anywhere: does each lead somewhere, and can it be heard?"""

from __future__ import annotations

from collections.abc import Iterator

from chatbot.engine.findings import Finding
from chatbot.engine.ground import Ground
from chatbot.engine.kinds import Ask, Menu, Start
from chatbot.engine.matching import normalise
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.whole import audible


def check_words(ground: Ground) -> Iterator[Finding]:
    for key, document in ground.whole.documents():
        prefix = f"{key}/" if key else ""
        yield from _of_document(ground, document, prefix)
    for desk in ground.desks:
        if isinstance(desk.node, Ask):
            words = {**ground.flow.keywords, **desk.document.keywords}
            for word in desk.node.skip_words:
                if normalise(word) in words:
                    yield desk.finding("skip_word_taken", "warning", word=word)


def _of_document(ground: Ground, document: FlowDocument, prefix: str) -> Iterator[Finding]:
    listening = _listening(ground, document, prefix)
    path = next(iter(listening.values()), ())
    leading: dict[str, str] = {}
    for word in document.words:
        target = f"{prefix}{word.next}" if word.next in document.nodes else ""
        if not target:
            about = {"word": word.keywords[0]}
            yield Finding("dangling_word", "error", prefix.rstrip("/"), path, about)
        for keyword in word.keywords:
            about = {"word": keyword}
            said = audible(keyword)
            if not said or not _can_be_heard(said, listening, ground):
                yield Finding("unheard_word", "warning", target, path, about)
            elif leading.setdefault(said, word.next) != word.next:
                yield Finding("duplicate_words", "warning", target, path, about)


def _listening(ground: Ground, document: FlowDocument, prefix: str) -> dict[str, tuple[str, ...]]:
    """The passos of the document at which its words are heard: those that wait for the customer
    first, then those that wait for something else, then the start."""
    found: dict[str, tuple[str, ...]] = {}
    for desk in sorted(ground.desks, key=lambda one: one.node.awaits != "customer"):
        if not ground.spots.get(desk.place):
            continue
        if prefix and desk.document is not document:
            continue
        hears = desk.node.awaits not in ("", "ticket")
        if isinstance(desk.node, Start) and not prefix:
            hears = desk.node.answers_words and desk.place == ground.flow.start
        if hears or (not prefix and ground.spots[desk.place] in ground.whole.closed):
            found[desk.place] = desk.path
    return found


def _can_be_heard(said: str, listening: dict[str, tuple[str, ...]], ground: Ground) -> bool:
    """At a menu, what is an option of it is no word."""
    return any(not _is_option(said, ground.desk(place).node) for place in listening)


def _is_option(said: str, node: object) -> bool:
    return isinstance(node, Menu) and any(said in one.phrases for one in node.candidates)
