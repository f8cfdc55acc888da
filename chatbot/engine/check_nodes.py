"""What can be wrong with one node, whatever stands around it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chatbot.engine.bounds import longest_answer
from chatbot.engine.check_args import bad_arguments
from chatbot.engine.conditions import departments_asked
from chatbot.engine.conditions_alike import earlier_takes_all
from chatbot.engine.findings import Finding, Surroundings, is_known
from chatbot.engine.ground import Desk, Ground
from chatbot.engine.kinds import Ask, Branch, Call, Handoff, Http, Menu, SendNode, SubFlow, Template

_URL = re.compile(r"https?://[^\s/{}@?#]+(?:[/?#]\S.*|/)?", re.DOTALL)
_OWN_CODE = ("error", "route:error", "otherwise")  # exits that have a finding of their own


def check_node(desk: Desk, ground: Ground) -> Iterator[Finding]:
    """The findings of a node by itself."""
    around = ground.around
    yield from _exits(desk, ground)
    match desk.node:
        case Menu() as menu:
            if not menu.fallback.strip():
                yield desk.finding("missing_fallback", "warning")
            yield from _tries(desk, menu)
        case Ask() as ask:
            yield from _ask(desk, ask)
        case Branch() as branch:
            yield from _branch(desk, branch, around)
        case Call() as call:
            yield from _call(desk, call, around)
        case Http() as http:
            yield from _http(desk, http)
        case Handoff() as handoff:
            yield from _handoff(desk, handoff, around)
        case SendNode(template=template) if template is not None:
            yield from _template(desk, template, around)


def _exits(desk: Desk, ground: Ground) -> Iterator[Finding]:
    if isinstance(desk.node, SubFlow) and _never_returns(desk, ground):
        return
    for exit_ in desk.node.exits():
        is_open = exit_.optional and not exit_.target
        if exit_.target in desk.document.nodes or is_open:
            continue
        if exit_.name not in _OWN_CODE or exit_.target:
            yield desk.finding("dangling_exit", "error", exit=exit_.name)
        elif exit_.name == "otherwise":
            yield desk.finding("missing_else", "error")
        else:
            yield desk.finding("missing_error_route", "error")


def _never_returns(desk: Desk, ground: Ground) -> bool:
    """Whether the sub-flow always ends with people, or with the whole conversation."""
    spot = ground.spots.get(desk.place)
    return spot is not None and not ground.whole.returns(spot)


def _tries(desk: Desk, node: Ask | Menu) -> Iterator[Finding]:
    if not node.tries or not node.on_fail:
        yield desk.finding("no_try_limit", "warning")


def _ask(desk: Desk, ask: Ask) -> Iterator[Finding]:
    if not ask.invalid.strip():
        yield desk.finding("missing_fallback", "warning")
    if _takes_nothing(ask):
        yield desk.finding("no_valid_answer", "error")
    yield from _tries(desk, ask)


def _takes_nothing(ask: Ask) -> bool:
    if ask.answer not in ("text", "number") or ask.accepts_media:
        return False
    least, most = ask.minimum, ask.maximum
    if ask.answer == "text":
        least, most = max(1, least or 1), longest_answer(ask)
    return least is not None and most is not None and least > most


def _branch(desk: Desk, branch: Branch, around: Surroundings) -> Iterator[Finding]:
    for number, case in enumerate(branch.cases, 1):
        for department in departments_asked(case.when):
            yield from _department(desk, department, around)
        earlier = earlier_takes_all([one.when for one in branch.cases[:number]])
        if earlier == number:
            yield desk.finding("impossible_case", "warning", case=number)
        elif earlier:
            yield desk.finding("dead_case", "warning", case=number, earlier=earlier)


def _handoff(desk: Desk, handoff: Handoff, around: Surroundings) -> Iterator[Finding]:
    yield from _department(desk, handoff.department, around)
    for skill in handoff.skills:
        if not is_known(skill.lower(), around.skills):
            yield desk.finding("unknown_skill", "warning", skill=skill)


def _department(desk: Desk, department: str, around: Surroundings) -> Iterator[Finding]:
    if department and not is_known(department, around.departments):
        yield desk.finding("unknown_department", "error", department=department)


def _template(desk: Desk, use: Template, around: Surroundings) -> Iterator[Finding]:
    if around.templates is None:
        return
    known = around.templates.get((use.name, use.language))
    if known is None:
        about = {"template": use.name, "language": use.language}
        yield desk.finding("unknown_template", "error", **about)
        return
    for value, is_needed in known.items():
        if is_needed and not use.values.get(value, "").strip():
            yield desk.finding("template_value", "error", template=use.name, value=value)
    for value in use.values:
        if value not in known:
            yield desk.finding("unknown_template_value", "error", template=use.name, value=value)


def _call(desk: Desk, call: Call, around: Surroundings) -> Iterator[Finding]:
    if "error" not in call.routes:
        yield desk.finding("missing_error_route", "error")
    if around.handlers is None:
        return
    handler = around.handlers.get(call.handler)
    if handler is None:
        yield desk.finding("unknown_handler", "error", handler=call.handler)
        return
    for argument in bad_arguments(call.args, handler.args):
        yield desk.finding("bad_args", "error", argument=argument)
    for route in handler.routes:
        if route != "error" and route not in call.routes:
            yield desk.finding("missing_route", "error", route=route)
    for route in sorted(call.routes):
        if route != "error" and route not in handler.routes:
            yield desk.finding("unknown_route", "warning", route=route)


def _http(desk: Desk, http: Http) -> Iterator[Finding]:
    if not _URL.fullmatch(http.url.strip()):
        yield desk.finding("bad_url", "error")
