"""What can be wrong with one node, whatever stands around it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from chatbot.engine.check_args import bad_arguments
from chatbot.engine.conditions import departments_asked
from chatbot.engine.findings import ChannelLimits, Finding, Severity, Surroundings, is_known
from chatbot.engine.graph import Graph
from chatbot.engine.kinds import (
    AnyNode,
    Ask,
    Branch,
    Call,
    End,
    Handoff,
    Http,
    Menu,
    SendNode,
    SubFlow,
    Template,
)
from chatbot.engine.matching import normalise
from chatbot.engine.render import literal_length

_URL = re.compile(r"https?://[^\s/{}@?#]+(?:[/?#]\S.*|/)?", re.DOTALL)


class _Desk:
    """Writes findings about one node."""

    def __init__(self, graph: Graph, node_id: str) -> None:
        self.node_id = node_id
        self.path = graph.witness(node_id)

    def finding(self, code: str, severity: Severity, **params: Any) -> Finding:
        return Finding(code, severity, self.node_id, self.path, params)


def check_node(graph: Graph, node_id: str, around: Surroundings) -> Iterator[Finding]:
    """The findings of a node by itself."""
    desk = _Desk(graph, node_id)
    match graph.flow.nodes[node_id]:
        case Menu() as menu:
            return _menu(desk, menu, around)
        case Ask() as ask:
            return _ask(desk, ask, around)
        case Branch() as branch:
            return _branch(desk, branch, around)
        case Call() as call:
            return _call(desk, call, around)
        case Http() as http:
            return _http(desk, http)
        case node:
            return _saying(desk, node, around)


def _saying(desk: _Desk, node: AnyNode, around: Surroundings) -> Iterator[Finding]:
    match node:
        case SendNode() as send:
            yield from _send(desk, send, around)
        case Handoff() as handoff:
            yield from _department(desk, handoff.department, around)
            yield from _length(desk, "text", handoff.text, around)
            yield from _length(desk, "closed_text", handoff.closed_text, around)
        case End() as end:
            yield from _length(desk, "text", end.text, around)
        case SubFlow() as sub if not sub.flow:
            yield desk.finding("unknown_flow", "error", flow="")


def _branch(desk: _Desk, branch: Branch, around: Surroundings) -> Iterator[Finding]:
    for case in branch.cases:
        for department in departments_asked(case.when):
            yield from _department(desk, department, around)


def _menu(desk: _Desk, menu: Menu, around: Surroundings) -> Iterator[Finding]:
    if not menu.text.strip():
        yield desk.finding("empty_text", "error")
    if not menu.fallback.strip():
        yield desk.finding("missing_fallback", "warning")
    yield from _tries(desk, menu)
    yield from _same_labels(desk, menu)
    if menu.presentation == "text":
        return
    shown: dict[tuple[str, tuple[tuple[str, Any], ...]], Finding] = {}
    for channel in around.channels:
        for finding in _menu_limits(desk, menu, channel):
            shown.setdefault((finding.code, tuple(sorted(finding.params.items()))), finding)
    yield from shown.values()


def _tries(desk: _Desk, node: Ask | Menu) -> Iterator[Finding]:
    if not node.tries or not node.on_fail:
        yield desk.finding("no_try_limit", "warning")


def _same_labels(desk: _Desk, menu: Menu) -> Iterator[Finding]:
    labels = Counter(normalise(option.label) for option in menu.options)
    phrases = Counter(phrase for one in menu.candidates for phrase in one.phrases)
    for phrase, count in phrases.items():
        if count > 1:
            severity: Severity = "error" if labels[phrase] > 1 else "warning"
            yield desk.finding("duplicate_labels", severity, label=phrase)


def _menu_limits(desk: _Desk, menu: Menu, channel: ChannelLimits) -> Iterator[Finding]:
    if not channel.buttons and not channel.list_rows:
        return
    as_buttons = menu.presentation == "buttons" or (
        menu.presentation == "auto" and len(menu.options) <= channel.buttons
    )
    most = channel.buttons if as_buttons else channel.list_rows
    if len(menu.options) > most:
        yield desk.finding("too_many_options", "error", count=len(menu.options), limit=most)
    title = channel.button_title if as_buttons else channel.list_row_title
    for option in menu.options:
        yield from _over(desk, f"“{option.label}”", _units(option.label), title, "error")
        if not as_buttons:
            limit = channel.list_row_description
            length = _units(option.description)
            yield from _over(desk, f"“{option.description}”", length, limit, "warning")
    yield from _over(desk, "text", literal_length(menu.text), channel.body_length, "warning")
    if menu.header:
        yield from _over(desk, "header", literal_length(menu.header), channel.header, "warning")
    if menu.footer:
        yield from _over(desk, "footer", literal_length(menu.footer), channel.footer, "warning")
    if not as_buttons:
        button = f"“{menu.list_button}”"
        yield from _over(desk, button, _units(menu.list_button), channel.list_button, "error")


def _ask(desk: _Desk, ask: Ask, around: Surroundings) -> Iterator[Finding]:
    if not ask.text.strip():
        yield desk.finding("empty_text", "error")
    if not ask.invalid.strip():
        yield desk.finding("missing_fallback", "warning")
    yield from _tries(desk, ask)
    yield from _length(desk, "text", ask.text, around)


def _send(desk: _Desk, send: SendNode, around: Surroundings) -> Iterator[Finding]:
    if send.template is not None:
        yield from _template(desk, send.template, around)
        return
    if send.media is None:
        if not send.text.strip():
            yield desk.finding("empty_text", "error")
        yield from _length(desk, "text", send.text, around)
        return
    if not send.media.url.strip() and not send.media.ref.strip():
        yield desk.finding("empty_text", "error")
    limit = min((one.caption_length for one in around.channels), default=0)
    yield from _over(desk, "text", literal_length(send.text), limit, "warning")


def _template(desk: _Desk, use: Template, around: Surroundings) -> Iterator[Finding]:
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


def _length(desk: _Desk, field: str, text: str, around: Surroundings) -> Iterator[Finding]:
    limit = min((one.text_length for one in around.channels), default=0)
    yield from _over(desk, field, literal_length(text), limit, "warning")


def _over(
    desk: _Desk, field: str, length: int, limit: int, severity: Severity
) -> Iterator[Finding]:
    """A limit of 0 says that the channel has no such part: what is there goes into the text."""
    if limit and length > limit:
        yield desk.finding("over_channel_limit", severity, field=field, length=length, limit=limit)


def _units(text: str) -> int:
    """UTF-16 units, the narrower way in which providers count."""
    return len(text.encode("utf-16-le")) // 2


def _department(desk: _Desk, department: str, around: Surroundings) -> Iterator[Finding]:
    if department and not is_known(department, around.departments):
        yield desk.finding("unknown_department", "error", department=department)


def _call(desk: _Desk, call: Call, around: Surroundings) -> Iterator[Finding]:
    if not call.routes.get("error"):
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


def _http(desk: _Desk, http: Http) -> Iterator[Finding]:
    if not http.error:
        yield desk.finding("missing_error_route", "error")
    if not _URL.fullmatch(http.url.strip()):
        yield desk.finding("bad_url", "error")
