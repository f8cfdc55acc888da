"""Each rule takes a path inside the project and its text, and yields (line, what is wrong).

A line may say why it is an exception: `# door: …` or `# writer: …`, with the reason.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

Finding = tuple[int, str]

DOORS = re.compile(r"(^|_)(api|views|admin)$")
MANAGERS = {"objects", "_default_manager", "_base_manager"}

GUARDED = {"owner", "status", "ended_at"}
WRITERS = {"chatbot/conversation.py", "chatbot/delivery.py", "chatbot/apply.py"}

STEP_CALLERS = {
    "chatbot/turn.py",
    "chatbot/engine/golden.py",  # plays the golden conversations of a flow
    "chatbot/engine/rehearsal.py",  # holds a recorded conversation again, on paper
    "chatbot/engine/replaying.py",  # plays what a witness does, on paper
    "chatbot/engine/replay.py",
}

INLINE = re.compile(r"""\s(style|on[a-z]+)\s*=\s*["']""", re.IGNORECASE)


def doors(path: Path, source: str) -> Iterator[Finding]:
    """What staff and programs see goes through `Model.objects.visible_to(user)`."""
    if not _is_door(path):
        return
    tree = ast.parse(source)
    visible = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "visible_to"
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr not in MANAGERS or node in visible:
            continue
        if not _is_excused(source, node, "door"):
            yield node.lineno, f".{node.attr} without visible_to; or say # door: why"


def pure_step(path: Path, source: str) -> Iterator[Finding]:
    """Only a conversation, a replay and the tests may advance a flow."""
    if path.as_posix() in STEP_CALLERS or _is_test(path):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _called_name(node) == "step":
            yield node.lineno, "step() is called by chatbot.turn alone"


def writers(path: Path, source: str) -> Iterator[Finding]:
    """Owner, status and end of a row change in the services that guard the transition."""
    is_service = path.name == "services.py" or path.parent.name == "services"
    if is_service or path.as_posix() in WRITERS or not _holds_rows(path):
        return
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt | ast.expr) or _is_excused(source, node, "writer"):
            continue
        for name in GUARDED.intersection(_written_names(node)):
            yield node.lineno, f"{name} is written by services alone; or say # writer: why"


def inline(path: Path, source: str) -> Iterator[Finding]:
    """The content security policy would drop it without a word."""
    for number, line in enumerate(source.splitlines(), start=1):
        if match := INLINE.search(line):
            yield number, f"inline {match[1]}= in a template"


RULES: dict[str, Callable[[Path, str], Iterator[Finding]]] = {
    "doors": doors,
    "pure-step": pure_step,
    "writers": writers,
    "inline": inline,
}


def _is_door(path: Path) -> bool:
    names = (path.stem, *path.parent.parts)
    return not _is_test(path) and any(DOORS.search(name) for name in names)


def _is_test(path: Path) -> bool:
    return "tests" in path.parts or path.name == "conftest.py"


def _holds_rows(path: Path) -> bool:
    """The engine and the errors have a status of their own, which is in no table."""
    return not (
        _is_test(path)
        or "migrations" in path.parts
        or path.name == "errors.py"
        or path.as_posix().startswith("chatbot/engine/")
    )


def _called_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _written_names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Assign(targets=targets):
            for target in targets:
                yield from _attributes(target)
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target, value=ast.expr()):
            yield from _attributes(target)
        case ast.Call(func=ast.Attribute(attr="update" | "bulk_update"), keywords=keywords):
            yield from (keyword.arg for keyword in keywords if keyword.arg)
        case ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=str(name)), *_]):
            yield name


def _attributes(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Attribute(attr=name):
            yield name
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part in parts:
                yield from _attributes(part)


def _is_excused(source: str, node: ast.expr | ast.stmt, word: str) -> bool:
    """Is there `# word: reason` on one of the node's lines?"""
    lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
    return any(re.search(rf"#\s*{word}:\s*\S", line) for line in lines)
