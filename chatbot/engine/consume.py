"""What each waiting kind of node makes of the message that answers it."""

from __future__ import annotations

from datetime import datetime

from chatbot.engine.answers import accepts_media, answer_of
from chatbot.engine.kinds import AnyNode, Ask, Call, Handoff, Http, Menu, WaitNode
from chatbot.engine.limits import ALBUM_SECONDS
from chatbot.engine.matching import Match, match_exact, match_option, normalise
from chatbot.engine.messages import (
    ChoiceReceived,
    ContactsReceived,
    FormReceived,
    HandlerReturned,
    LocationReceived,
    MediaReceived,
    Message,
    TextReceived,
    TicketOpened,
    TimerFired,
)
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.run import Run, Trouble

CUSTOMER = (
    TextReceived,
    ChoiceReceived,
    MediaReceived,
    LocationReceived,
    ContactsReceived,
    FormReceived,
)
_LONGEST_WORD = 80


def fits(run: Run, node: AnyNode) -> bool:
    """Whether the message is what the run is waiting for; anything else changes nothing."""
    message = run.message
    match run.awaiting:
        case "customer":
            return isinstance(message, CUSTOMER) and not _is_more_of_an_album(run, node)
        case "handler" | "http":
            return isinstance(message, HandlerReturned)
        case "ticket":
            return isinstance(message, TicketOpened)
        case "wait":
            interrupts = isinstance(node, WaitNode) and node.interruptible
            return isinstance(message, TimerFired) or (interrupts and isinstance(message, CUSTOMER))
        case _:
            return False


def word_said(run: Run, node: AnyNode) -> str | None:
    """The node to jump to when the message is a word that works anywhere, else None.

    What is an option of the menu at hand, said exactly, is an answer and not a word. Words of the
    sub-flow come before those of the flow that called it, which leave the sub-flow for good.
    """
    said = _whole_word(run.message)
    if not said or run.awaiting == "ticket":
        return None
    if isinstance(node, Menu) and match_exact(said, node.candidates) != Match():
        return None
    own = run.document.keywords.get(said)
    found = own or run.flow.keywords.get(said)
    if found is None:
        return None
    keyword, target = found
    run.passed("word", keyword)
    run.calls = 0
    if own is None:
        run.key, run.stack = "", ()
    return target


def word_that_started(flow: FlowDocument, text: str) -> str | None:
    """The node of the word that fired the trigger, if it is one."""
    found = flow.keywords.get(normalise(text)) if len(text) <= _LONGEST_WORD else None
    return found[1] if found else None


def consume(run: Run, node: AnyNode) -> str | None:
    """The id of the next node, or None to stay and wait for another answer."""
    if isinstance(run.message, CUSTOMER):
        run.calls = 0
    match node, run.message:
        case Ask() as ask, _:
            return _answer(run, ask)
        case Menu() as menu, _:
            return _pick(run, menu)
        case Call() as call, HandlerReturned() as returned:
            _keep(run, returned)
            route = returned.route if returned.route in call.routes else "error"
            return run.leave(call, f"route:{route}", returned.route)
        case Http() as http, HandlerReturned() as returned:
            _keep(run, returned)
            return run.leave(http, "ok" if returned.route == "ok" else "error", returned.route)
        case Handoff() as handoff, TicketOpened() as opened:
            _confirm(run, handoff, opened)
            return None
        case WaitNode() as wait, _:
            is_early = not isinstance(run.message, TimerFired) and wait.on_message
            return run.leave(wait, "on_message" if is_early else "next")
        case _:
            raise Trouble("lost")


def _answer(run: Run, ask: Ask) -> str | None:
    match run.message:
        case MediaReceived() if not accepts_media(ask):
            return _only_text(run, ask)
        case ChoiceReceived():  # a late tap on an older menu is no answer, and no mistake
            run.say(ask.text)
            run.passed("", "choice")
            return None
        case TextReceived(text=text) if ask.skips and normalise(text) in ask.skips:
            return run.leave(ask, "next", "skip")
    value = answer_of(ask, run.message)
    if value is None:
        return _not_understood(run, ask, "invalid", ask.invalid or ask.text)
    if isinstance(run.message, MediaReceived):
        run.media_at = run.message.at.isoformat()
    run.remember(ask.save_as, value)
    return run.leave(ask, "next", "answer")


def _pick(run: Run, menu: Menu) -> str | None:
    match run.message:
        case MediaReceived():
            return _only_text(run, menu)
        case ChoiceReceived(id=option) if any(one.id == option for one in menu.options):
            found = Match(option)
        case ChoiceReceived(id=option, title=title):
            found = match_option(title or option, menu.candidates)
        case TextReceived(text=text):
            found = match_option(text, menu.candidates)
        case _:
            found = Match()
    if found.id:
        if menu.save_as:
            run.remember(menu.save_as, found.id)
        return run.leave(menu, f"option:{found.id}", found.id)
    if found.among:
        return _not_understood(run, menu, "ambiguous", menu.ambiguous or menu.fallback or menu.text)
    return _not_understood(run, menu, "fallback", menu.fallback or menu.text)


def _only_text(run: Run, node: Ask | Menu) -> str | None:
    run.media_at = run.message.at.isoformat()
    sentence = node.only_text or run.document.only_text_answer or node.text
    return _not_understood(run, node, "only_text", sentence)


def _not_understood(run: Run, node: Ask | Menu, matched: str, sentence: str) -> str | None:
    """Count a try; say the sentence and stay, or leave after the last."""
    run.tries += 1
    if node.tries and node.on_fail and run.tries >= node.tries:
        return run.leave(node, "on_fail", matched)
    if isinstance(node, Menu):
        run.offer(node, sentence)
    else:
        run.say(sentence)
    run.passed("", matched)
    return None


def _keep(run: Run, returned: HandlerReturned) -> None:
    for name in sorted(returned.values):
        run.remember(name, returned.values[name])


def _confirm(run: Run, handoff: Handoff, opened: TicketOpened) -> None:
    is_closed = not opened.is_open_now and handoff.closed_text
    extra = {"protocol": opened.protocol, "department": opened.department}
    run.say(handoff.closed_text if is_closed else handoff.text, extra)
    run.passed("", "closed" if is_closed else "open")
    run.finish()


def _whole_word(message: Message) -> str:
    match message:
        case TextReceived(text=text) | ChoiceReceived(title=text):
            return normalise(text) if len(text) <= _LONGEST_WORD else ""
        case _:
            return ""


def _is_more_of_an_album(run: Run, node: AnyNode) -> bool:
    """Several media in a row get one answer."""
    if not run.media_at or not isinstance(run.message, MediaReceived):
        return False
    if isinstance(node, Ask) and accepts_media(node):
        return False
    try:
        gap = run.message.at - datetime.fromisoformat(run.media_at)
    except (ValueError, TypeError, OverflowError):
        return False
    return abs(gap.total_seconds()) <= ALBUM_SECONDS
