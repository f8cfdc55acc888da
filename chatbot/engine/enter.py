"""What each kind of node does when the run comes to it."""

from __future__ import annotations

from typing import Any

from chatbot.engine.conditions import holds
from chatbot.engine.effects import (
    CallHttp,
    EndSession,
    OpenTicket,
    RunHandler,
    Send,
    TemplateUse,
    UpdateLead,
    Wait,
)
from chatbot.engine.kinds import (
    AnyNode,
    Ask,
    Assignment,
    Branch,
    Call,
    End,
    Handoff,
    Http,
    LeadNode,
    Menu,
    SendNode,
    SetNode,
    Start,
    SubFlow,
    Template,
    WaitNode,
)
from chatbot.engine.limits import STACK_DEPTH
from chatbot.engine.numbers import to_number
from chatbot.engine.render import (
    around_secrets,
    first_word,
    in_header,
    in_json,
    in_url,
    names_secret,
    variable_named,
)
from chatbot.engine.run import Run, Trouble
from chatbot.engine.state import Frame
from chatbot.engine.values import as_text, storable

_LONGEST_LIST = 100
_LONGEST_BODY = 65536


def enter(run: Run, node: AnyNode) -> str | None:
    """Do what the node says; the id of the next node, or None where the step ends."""
    match node:
        case Ask() | Menu() | Call() | Http() | Handoff() | WaitNode():
            _wait_at(run, node)
            return None
        case Branch():
            return _choose(run, node)
        case SubFlow():
            return _descend(run, node)
        case End():
            return _end(run, node)
        case Start() | SendNode() | SetNode() | LeadNode():
            _do(run, node)
            return run.leave(node, "next")


def _wait_at(run: Run, node: Ask | Menu | Call | Http | Handoff | WaitNode) -> None:
    match node:
        case Ask():
            run.say(node.text)
            run.wait_for("customer")
        case Menu():
            run.offer(node, node.text)
            run.wait_for("customer")
        case Call():
            args = {name: storable(run.value_of(value)) for name, value in node.args.items()}
            run.call("handler", RunHandler(name=node.handler, args=args))
        case Http():
            run.call("http", _request(run, node))
        case WaitNode():
            run.call("wait", Wait(seconds=node.seconds))
        case Handoff():
            run.effects.append(ticket(run, node))
            run.wait_for("ticket")


def _do(run: Run, node: Start | SendNode | SetNode | LeadNode) -> None:
    match node:
        case SendNode():
            _send(run, node)
        case SetNode():
            for assignment in node.values:
                _assign(run, assignment)
        case LeadNode():
            _update_lead(run, node)
        case Start():
            pass


def _send(run: Run, node: SendNode) -> None:
    media = node.media
    if node.template is not None:
        run.effects.append(Send(template=_filled(run, node.template)))
        return
    if media is None:
        run.say(node.text)
        return
    run.effects.append(
        Send(
            text=run.render(node.text),
            footer=run.render(node.footer),
            media=media.kind,
            media_url=run.render(media.url, shown=False, escape=in_url),
            media_ref=run.render(media.ref, shown=False),
            filename=run.render(media.filename),
        )
    )


def _filled(run: Run, template: Template) -> TemplateUse:
    """Values on one line: providers refuse line breaks, tabs and rows of spaces in them."""
    return TemplateUse(
        name=template.name,
        language=template.language,
        values={name: " ".join(run.render(text).split()) for name, text in template.values.items()},
    )


def _choose(run: Run, branch: Branch) -> str:
    known = run.known()
    for number, case in enumerate(branch.cases, 1):
        if holds(case.when, known, run.facts):
            return run.leave(branch, f"case:{number}", case.label)
    return run.leave(branch, "otherwise")


def _assign(run: Run, assignment: Assignment) -> None:
    name, value = assignment.name, assignment.value
    now = run.context.get(name)
    match assignment.op:
        case "set":
            run.remember(name, run.value_of(value))
        case "copy":
            run.remember(name, run.known().get(variable_named(value)))
        case "add" | "subtract":
            amount = to_number(run.value_of(value)) or 0
            sign = 1 if assignment.op == "add" else -1
            run.remember(name, (to_number(now) or 0) + sign * amount)
        case "append":
            items = now if isinstance(now, list) else [] if now in (None, "") else [now]
            run.remember(name, [*items, run.value_of(value)][-_LONGEST_LIST:])
        case "clear":
            run.forget(name)
        case "lower" | "upper" | "title" | "first_word":
            run.remember(name, _reshaped(as_text(now, shown=False), assignment.op))


def _reshaped(text: str, operation: str) -> str:
    match operation:
        case "lower":
            return text.lower()
        case "upper":
            return text.upper()
        case "title":
            return text.title()
        case _:
            return first_word(text)


def _update_lead(run: Run, node: LeadNode) -> None:
    rendered = {name: run.render(text, shown=False) for name, text in node.fields.items()}
    fields = {name: text.strip() for name, text in rendered.items() if text.strip()}
    given: dict[str, Any] = {}
    if node.consent:
        given = {
            "consent": node.consent.purpose,
            "consent_granted": node.consent.granted,
            "consent_text": run.render(node.consent.text),
        }
    run.effects.append(
        UpdateLead(
            fields=fields,
            status=node.status,
            add_tags=tuple(run.render(tag, shown=False) for tag in node.add_tags),
            remove_tags=tuple(run.render(tag, shown=False) for tag in node.remove_tags),
            **given,
        )
    )
    run.learn_lead({**fields, "status": node.status} if node.status else fields)


def _request(run: Run, node: Http) -> CallHttp:
    is_json = node.body.lstrip()[:1] in ("{", "[")
    secret = {name for name, value in node.headers.items() if names_secret(value)}
    return CallHttp(
        method=node.method,
        url=run.render(node.url, shown=False, escape=in_url),
        headers={
            name: run.render(value, shown=False, escape=in_header)
            for name, value in node.headers.items()
            if name not in secret
        },
        secret_headers={name: _beside_secrets(run, node.headers[name]) for name in sorted(secret)},
        body=run.render(
            node.body, shown=False, escape=in_json if is_json else None, limit=_LONGEST_BODY
        ),
        timeout_seconds=node.timeout_seconds,
        retries=node.retries,
        mapping=dict(node.mapping),
    )


def _beside_secrets(run: Run, header: str) -> str:
    """The header with everything but its secrets. What a variable holds can name none: it loses its
    braces."""
    return "".join(
        part if names_secret(part) else run.render(part, shown=False, escape=_without_braces)
        for part in around_secrets(header)
    )


def _without_braces(value: str) -> str:
    return in_header(value).translate({ord("{"): None, ord("}"): None})


def ticket(run: Run, node: Handoff) -> OpenTicket:
    """The ticket that this handoff asks for."""
    return OpenTicket(
        department=node.department,
        priority=node.priority,
        skills=node.skills,
        reason=run.render(node.reason),
        node=run.place,
        path=run.path,
    )


def _descend(run: Run, node: SubFlow) -> str:
    sub = run.flow.subflows.get(node.flow)
    if sub is None:
        raise Trouble("lost")
    if len(run.stack) >= STACK_DEPTH:
        raise Trouble("stack")
    run.passed("enter")
    run.push(Frame(flow=run.key, node=run.at))
    run.key = node.flow
    return sub.start


def _end(run: Run, node: End) -> str | None:
    run.say(node.text)
    if not node.end_session and run.stack:
        run.passed("return")
        frame = run.pop()
        run.key, run.at = frame.flow, frame.node
        return run.leave(run.node(run.at), "next")
    run.passed()
    run.finish()
    if node.end_session:
        run.effects.append(EndSession())
    return None
