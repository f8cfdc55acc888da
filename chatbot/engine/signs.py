"""How each kind of defect shows when a conversation is played.

A sign looks at the moment after a turn (and at those before it). Where no conversation can show the
defect, `reason` says why: nothing leads there, nobody says it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from chatbot.engine.acting import NONSENSE, PHOTO, Turn, right_answer, wrong_answer
from chatbot.engine.effects import CallHttp, OpenTicket, RunHandler
from chatbot.engine.kinds import AnyNode, Ask, Branch, Menu
from chatbot.engine.limits import TEXT_LENGTH
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.replaying import Moment
from chatbot.engine.windows import WINDOW

Shown = Callable[[Moment], bool]
_MANY = 3  # wrong answers after which anybody would have been helped
_ROUNDS = 12  # more than a run goes round without the customer


class Found(Protocol):
    @property
    def code(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def params(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Sign:
    """`lines`: texts worth saying; `last`: what to do at the end of the path; `hidden`: a variable
    to leave without a value; `rounds`: how often to go round the circle at the path's end."""

    is_shown: Shown
    reason: str = ""
    lines: tuple[str, ...] = ()
    last: tuple[Turn, ...] = ()
    hidden: str = ""
    is_long: bool = False
    rounds: int = 0
    is_early: bool = False  # it may show before the path is at its end


def is_at_first_sight(sign: Sign) -> bool:
    return sign.is_early


REASONS = {
    "unreachable": "nothing_leads_there",
    "dead_case": "never_taken",
    "impossible_case": "never_taken",
    "unknown_route": "never_returned",
}


def sign_of(flow: FlowDocument, finding: Found) -> Sign:
    """The sign of a finding."""
    code, params = finding.code, finding.params
    if code in REASONS:
        return Sign(_never, reason=REASONS[code])
    node = _node(flow, finding.node)
    if code == "raw_placeholder" and not finding.node:
        return Sign(_never, reason="said_by_the_program")
    making = _SIGNS.get(code)
    if making is not None:
        return making(finding.node, node, params)
    return Sign(lambda moment: finding.node in moment.around)


def _never(moment: Moment) -> bool:
    return False


def _node(flow: FlowDocument, place: str) -> AnyNode | None:
    key, _slash, node_id = place.rpartition("/")
    document = flow.document(key)
    return document.nodes.get(node_id) if document else None


_Params = Mapping[str, Any]
_Making = Callable[[str, AnyNode | None, _Params], Sign]


def _gives_up(place: str, node: AnyNode | None, params: _Params) -> Sign:
    def is_shown(moment: Moment) -> bool:
        here = not place or any(one.node == place for one in _trace(moment))
        return moment.trouble in ("dead_end", "lost", "stack") and here

    return Sign(is_shown)


def _word_leads_nowhere(place: str, node: AnyNode | None, params: _Params) -> Sign:
    return Sign(
        lambda moment: moment.trouble in ("dead_end", "lost"),
        lines=(params["word"],),
        last=({"in": params["word"]},),
    )


def _missing_start(place: str, node: AnyNode | None, params: _Params) -> Sign:
    def is_shown(moment: Moment) -> bool:
        return moment.trouble in ("dead_end", "lost") or place in moment.around

    return Sign(is_shown)


def _goes_round(place: str, node: AnyNode | None, params: _Params) -> Sign:
    return Sign(lambda moment: moment.trouble in ("nodes", "calls"), rounds=_ROUNDS)


def _goes_round_in_time(place: str, node: AnyNode | None, params: _Params) -> Sign:
    def is_shown(moment: Moment) -> bool:
        visits = 0
        for one in reversed(moment.past):
            visits += one.places.count(place)
            if one.heard_at == one.at:
                break
        return moment.trouble == "calls" or visits > 1

    return Sign(is_shown)


def _too_many(place: str, node: AnyNode | None, params: _Params) -> Sign:
    return Sign(lambda moment: moment.trouble in ("nodes", "calls"), is_early=True)


def _not_returned(place: str, node: AnyNode | None, params: _Params) -> Sign:
    """The route is not known to the flow, which takes the one for failures."""

    def is_shown(moment: Moment) -> bool:
        if moment.trouble:
            return moment.trouble == "dead_end"
        return any(one.node == place and one.exit == "route:error" for one in _trace(moment))

    turn: Turn = {"in": {"returned": {"route": params["route"]}}}
    return Sign(is_shown, last=(turn,))


def _fails(place: str, node: AnyNode | None, params: _Params) -> Sign:
    return Sign(
        lambda moment: moment.trouble in ("dead_end", "lost"),
        last=({"in": {"returned": {"route": "error"}}},),
    )


def _runs_handler(place: str, node: AnyNode | None, params: _Params) -> Sign:
    return Sign(lambda moment: place in moment.around and _asked(moment, RunHandler))


def _calls_out(place: str, node: AnyNode | None, params: _Params) -> Sign:
    return Sign(lambda moment: place in moment.around and _asked(moment, CallHttp))


def _unknown_department(place: str, node: AnyNode | None, params: _Params) -> Sign:
    def is_shown(moment: Moment) -> bool:
        is_asked = isinstance(node, Branch) or _asked(moment, OpenTicket)
        return place in moment.around and is_asked

    return Sign(is_shown)


def _empty_variable(place: str, node: AnyNode | None, params: _Params) -> Sign:
    name = str(params["variable"])

    def is_shown(moment: Moment) -> bool:
        if moment.step is None or place not in moment.around:
            return False
        base = name.partition(".")[0]
        known = (moment.step.known, moment.context)
        return "." in name or any(one.get(base) in (None, "") for one in known)

    return Sign(is_shown, hidden=name)


def _too_long(place: str, node: AnyNode | None, params: _Params) -> Sign:
    limit = int(params["limit"])

    def is_shown(moment: Moment) -> bool:
        return place in moment.around and any(
            len(text) > limit or len(text) == TEXT_LENGTH
            for text in _texts(moment, str(params["field"]))
        )

    return Sign(is_shown, is_long=True, last=_misunderstood(node))


def _too_long_for_channel(place: str, node: AnyNode | None, params: _Params) -> Sign:
    limit = int(params["limit"])

    def is_shown(moment: Moment) -> bool:
        longest = max(map(_units, _texts(moment, str(params["field"]))), default=0)
        return place in moment.around and longest > limit

    return Sign(is_shown, last=_misunderstood(node))


def _too_many_options(place: str, node: AnyNode | None, params: _Params) -> Sign:
    def is_shown(moment: Moment) -> bool:
        return any(len(one.choices) > params["limit"] for one in moment.sends)

    return Sign(lambda moment: place in moment.around and is_shown(moment))


def _no_people(place: str, node: AnyNode | None, params: _Params) -> Sign:
    """Where a person asks for people, and the flow has none."""
    if node is not None and node.awaits == "customer":
        line = "Quero falar com uma pessoa"

        def is_shown(moment: Moment) -> bool:
            said = moment.step.turn["in"] if moment.step else ""
            return said == line and place in moment.around and not _asked(moment, OpenTicket)

        return Sign(is_shown, lines=(line,), last=({"in": line},))
    return Sign(lambda moment: not _asked(moment, OpenTicket))


def _ambiguous(place: str, node: AnyNode | None, params: _Params) -> Sign:
    said = _label_of(node, params)

    def is_shown(moment: Moment) -> bool:
        first = _trace(moment)[:1]
        return _said(moment, said) and any(
            one.node == place and one.matched == "ambiguous" for one in first
        )

    return Sign(is_shown, lines=(said,), last=({"in": said},))


def _label_of(node: AnyNode | None, params: _Params) -> str:
    return str(params["label"])


def _mistaken(place: str, node: AnyNode | None, params: _Params) -> Sign:
    said = str(params["said"])
    label = str(params["label"])
    meant = ""
    if isinstance(node, Menu):
        meant = next((one.id for one in node.options if one.label == label), "")

    def is_shown(moment: Moment) -> bool:
        first = _trace(moment)[:1]
        if not _said(moment, said) or not first or first[0].node != place:
            return False
        return first[0].matched == "ambiguous" or _is_counted(said, first[0].matched, node, meant)

    return Sign(is_shown, lines=(said,), last=({"in": said},))


def _is_counted(said: str, matched: str, node: AnyNode | None, meant: str) -> bool:
    """An option was taken: not the one meant, or one that stands at another number."""
    if not isinstance(node, Menu) or all(one.id != matched for one in node.options):
        return False
    return matched != meant or not said.startswith("quero ")


def _option_not_word(place: str, node: AnyNode | None, params: _Params) -> Sign:
    said = str(params["word"])

    def is_shown(moment: Moment) -> bool:
        return _said(moment, said) and any(
            one.node == place and one.exit.startswith("option:") for one in _trace(moment)[:1]
        )

    return Sign(is_shown, lines=(said,), last=({"in": said},))


def _word_taken(place: str, node: AnyNode | None, params: _Params) -> Sign:
    """The word leads, but not to this passo."""
    said = str(params["word"])

    def is_shown(moment: Moment) -> bool:
        is_word = any(one.exit == "word" for one in _trace(moment))
        return _said(moment, said) and is_word and place not in moment.places

    return Sign(is_shown, lines=(said,), last=({"in": said},))


def _word_not_skipping(place: str, node: AnyNode | None, params: _Params) -> Sign:
    said = str(params["word"])

    def is_shown(moment: Moment) -> bool:
        first = _trace(moment)[:1]
        is_word = any(one.node == place and one.exit == "word" for one in first)
        return _said(moment, said) and is_word

    return Sign(is_shown, lines=(said,), last=({"in": said},))


def _word_unheard(place: str, node: AnyNode | None, params: _Params) -> Sign:
    said = str(params["word"])

    def is_shown(moment: Moment) -> bool:
        is_word = any(one.exit == "word" for one in _trace(moment))
        return moment.step is not None and _said(moment, said) and not is_word

    return Sign(is_shown, lines=(said,), last=({"in": said},))


def _says_it_again(place: str, node: AnyNode | None, params: _Params) -> Sign:
    def is_shown(moment: Moment) -> bool:
        return any(
            one.node == place and one.matched in ("invalid", "fallback")
            for one in _trace(moment)[:1]
        )

    return Sign(is_shown, last=_misunderstood(node)[:1])


def _is_stuck(place: str, node: AnyNode | None, params: _Params) -> Sign:
    allowed = node.tries if isinstance(node, Ask | Menu) else 0

    def is_shown(moment: Moment) -> bool:
        return moment.state.tries >= max(allowed, _MANY) + 2 and place in moment.around

    return Sign(is_shown, last=_misunderstood(node)[:1])


def _says_nothing(place: str, node: AnyNode | None, params: _Params) -> Sign:
    return Sign(lambda moment: place in moment.places)


def _nameless(place: str, node: AnyNode | None, params: _Params) -> Sign:
    def is_shown(moment: Moment) -> bool:
        return any(not one.title.strip() for send in moment.sends for one in send.choices)

    return Sign(is_shown)


def _too_late(place: str, node: AnyNode | None, params: _Params) -> Sign:
    def is_shown(moment: Moment) -> bool:
        is_free = any(one.template is None for one in moment.sends)
        return moment.silence >= WINDOW and is_free and place in moment.around

    return Sign(is_shown)


def _not_taken(place: str, node: AnyNode | None, params: _Params) -> Sign:
    """The branch is passed, and not by that case."""
    exit_name = f"case:{params['case']}"

    def is_shown(moment: Moment) -> bool:
        return any(one.node == place and one.exit not in ("", exit_name) for one in _trace(moment))

    return Sign(is_shown)


def _refuses_all(place: str, node: AnyNode | None, params: _Params) -> Sign:
    last = ({"in": right_answer(node)},) if isinstance(node, Ask) else ()

    def is_shown(moment: Moment) -> bool:
        return any(one.node == place and one.matched == "invalid" for one in _trace(moment)[:1])

    return Sign(is_shown, last=last)


def _ends_mute(place: str, node: AnyNode | None, params: _Params) -> Sign:
    def is_shown(moment: Moment) -> bool:
        since: list[Moment] = []
        for one in reversed(moment.past):
            since.append(one)
            if one.heard_at == one.at:
                break
        is_over = moment.state.done and place in moment.around
        return is_over and not any(one.sends for one in since)

    return Sign(is_shown)


def _ignores_media(place: str, node: AnyNode | None, params: _Params) -> Sign:
    def is_shown(moment: Moment) -> bool:
        return any(one.node == place and one.matched == "only_text" for one in _trace(moment)[:1])

    return Sign(is_shown, last=({"in": PHOTO, "after_minutes": 2},))


def _says_braces(place: str, node: AnyNode | None, params: _Params) -> Sign:
    return Sign(lambda moment: place in moment.around, last=_misunderstood(node))


def _misunderstood(node: AnyNode | None) -> tuple[Turn, ...]:
    """What makes a question say its other sentences."""
    if isinstance(node, Ask):
        return {"in": wrong_answer(node)}, {"in": PHOTO, "after_minutes": 2}
    if isinstance(node, Menu):
        return {"in": NONSENSE}, {"in": PHOTO, "after_minutes": 2}
    return ()


def _trace(moment: Moment) -> list[Any]:
    return list(moment.step.outcome.trace) if moment.step else []


def _asked(moment: Moment, kind: type) -> bool:
    effects = moment.step.outcome.effects if moment.step else ()
    return any(isinstance(one, kind) for one in effects)


def _said(moment: Moment, text: str) -> bool:
    return moment.step is not None and moment.step.turn["in"] == text


def _texts(moment: Moment, field: str) -> list[str]:
    """What was said in that part of the messages."""
    match field:
        case "option":
            return [one.title for send in moment.sends for one in send.choices]
        case "description":
            return [one.description for send in moment.sends for one in send.choices]
        case "header" | "footer" | "list_button":
            return [str(getattr(send, field)) for send in moment.sends]
        case _:
            return [send.text for send in moment.sends]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


_SIGNS: dict[str, _Making] = {
    "missing_start": _missing_start,
    "dangling_exit": _gives_up,
    "missing_else": _gives_up,
    "dangling_word": _word_leads_nowhere,
    "unknown_flow": _gives_up,
    "subflow_recursion": _gives_up,
    "silent_loop": _goes_round,
    "timed_loop": _goes_round_in_time,
    "too_many_in_a_row": _too_many,
    "unknown_handler": _runs_handler,
    "bad_args": _runs_handler,
    "missing_route": _not_returned,
    "missing_error_route": _fails,
    "unknown_department": _unknown_department,
    "unknown_skill": _unknown_department,
    "unknown_variable": _empty_variable,
    "over_channel_limit": _too_long_for_channel,
    "over_limit_when_filled": _too_long,
    "too_many_options": _too_many_options,
    "no_way_to_human": _no_people,
    "duplicate_labels": _ambiguous,
    "overlapping_options": _mistaken,
    "option_is_word": _option_not_word,
    "duplicate_words": _word_taken,
    "unheard_word": _word_unheard,
    "skip_word_taken": _word_not_skipping,
    "missing_fallback": _says_it_again,
    "no_try_limit": _is_stuck,
    "empty_text": _says_nothing,
    "empty_option": _nameless,
    "text_after_window": _too_late,
    "wrong_type": _not_taken,
    "never_equal": _not_taken,
    "no_valid_answer": _refuses_all,
    "silent_end": _ends_mute,
    "no_answer_to_media": _ignores_media,
    "bad_url": _calls_out,
    "unknown_secret": _calls_out,
    "sensitive_in_url": _calls_out,
    "raw_placeholder": _says_braces,
}
