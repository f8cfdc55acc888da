"""Flows as files, in JSON or YAML: `{"flow": …, "golden": […]}`, as `load_flows` reads them.

What is read comes from anywhere: its size and depth are bounded, YAML has no anchors, aliases or
tags, and nothing is read in two ways (no key twice, and of YAML's plain words only true, false,
null and numbers are anything but texts).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from django.utils.translation import gettext as _

from chatbot.engine.golden import MOST_TURNS, mismatch_of
from chatbot.engine.graph import Graph
from chatbot.engine.limits import DOCUMENT_DEPTH
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.findings import unreadable
from users.errors import DomainError

MOST_BYTES = 1_000_000
MOST_GOLDEN = 500
LONGEST_NAME = 120  # of a golden conversation
DEEPEST = DOCUMENT_DEPTH + 10  # `golden` and `flow` stand around what the engine looks at
FORMATS = {"json": "application/json", "yaml": "application/yaml"}
YAML_WIDTH = 100
DIGITS = "-0123456789"

Json = dict[str, Any]


class BadFile(DomainError):
    """A file that is no flow; `reasons` says why, in sentences."""

    code = "bad_file"

    def __init__(self, *reasons: str) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True)
class Package:
    """What a file holds: a flow, and the conversations that it must hold."""

    document: FlowDocument
    golden: tuple[Json, ...] = ()

    def as_json(self) -> str:
        """For the way through a form and back."""
        return json.dumps(_content(self), ensure_ascii=False)


def read(content: bytes | str) -> Package:
    """The flow in a file, JSON or YAML. Raises BadFile."""
    return _package(parsed(content))


def parsed(content: bytes | str) -> Any:
    """What a file says, JSON or YAML, as plain values. Raises BadFile."""
    if isinstance(content, bytes):
        if len(content) > MOST_BYTES:
            raise BadFile(_too_large())
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise BadFile(_("The file is not text in UTF-8.")) from None
    if len(content.encode("utf-8", "replace")) > MOST_BYTES:
        raise BadFile(_too_large())
    if not content.strip():
        raise BadFile(_("The file is empty."))
    is_json = content.lstrip().startswith(("{", "["))
    plain = _from_json(content) if is_json else _from_yaml(content)
    _refuse_what_is_no_text(plain)
    return plain


def write(package: Package, fmt: str) -> str:
    """The file that `read` reads."""
    content = _content(package)
    if fmt == "yaml":
        return str(
            yaml.dump(
                content,
                Dumper=_Dumper,
                allow_unicode=True,
                sort_keys=False,
                width=YAML_WIDTH,
                default_flow_style=False,
            )
        )
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _content(package: Package) -> Json:
    """In the order in which people read it: the start first, then where it leads."""
    document = package.document.as_dict()
    if "nodes" in document:
        order = Graph(package.document).in_order()
        document["nodes"] = {node_id: document["nodes"][node_id] for node_id in order}
    content: Json = {"flow": document}
    if package.golden:
        content["golden"] = list(package.golden)
    return content


def _package(plain: Any) -> Package:
    if not isinstance(plain, Mapping):
        raise BadFile(_("There is no flow in this file."))
    known = plain if "flow" in plain else {"flow": plain}
    more = sorted(set(map(str, known)) - {"flow", "golden"})
    if more:
        raise BadFile(_("The file has more than a flow: %(names)s.") % {"names": ", ".join(more)})
    try:
        document = parse_flow(known["flow"])
    except FlowError as error:
        raise BadFile(*(one.sentence for one in unreadable(error))) from error
    return Package(document, _golden(known.get("golden", []), document))


def _golden(golden: Any, document: FlowDocument) -> tuple[Json, ...]:
    if not isinstance(golden, list):
        raise BadFile(_("“golden” is not a list of conversations."))
    if len(golden) > MOST_GOLDEN:
        raise BadFile(_("More than %(count)d conversations.") % {"count": MOST_GOLDEN})
    names: set[str] = set()
    for number, one in enumerate(golden, 1):
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
            raise BadFile(_("Conversation %(number)d has no name.") % {"number": number})
        if name in names:
            raise BadFile(_("Two conversations are called “%(name)s”.") % {"name": name})
        names.add(name)
        turns = one.get("turns")
        if isinstance(turns, list) and len(turns) > MOST_TURNS:
            about = {"name": name, "count": MOST_TURNS}
            raise BadFile(_("The conversation “%(name)s” has more than %(count)d turns.") % about)
        if not is_playable(document, one):
            raise BadFile(_("The conversation “%(name)s” cannot be read.") % {"name": name})
    return tuple(golden)


def is_playable(document: FlowDocument, conversation: Any) -> bool:
    """Is it a conversation at all, whatever comes of it?"""
    if not isinstance(conversation, dict) or not isinstance(conversation.get("turns"), list):
        return False
    turns = conversation["turns"]
    if not 0 < len(turns) <= MOST_TURNS:
        return False
    if not all(isinstance(one, dict) and "in" in one for one in turns):
        return False
    try:
        mismatch_of(document, conversation)
    except (AttributeError, KeyError, OverflowError, StopIteration, TypeError, ValueError):
        return False
    return True


def _too_large() -> str:
    return _("The file is larger than %(kilobytes)d kB.") % {"kilobytes": MOST_BYTES // 1000}


# --- JSON --------------------------------------------------------------------------------------


def _from_json(content: str) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        about = {"line": error.lineno, "column": error.colno}
        raise BadFile(
            _("This is not JSON: look at line %(line)d, column %(column)d.") % about
        ) from None
    except RecursionError:
        raise BadFile(_("The file is nested too deeply.")) from None
    except ValueError:  # a number with thousands of digits
        raise BadFile(_("The file has a number that cannot be read.")) from None


def _once(pairs: Sequence[tuple[str, Any]]) -> Json:
    found: Json = {}
    for key, value in pairs:
        if key in found:
            raise BadFile(_twice(key))
        found[key] = value
    return found


def _no_constant(constant: str) -> Any:
    raise BadFile(_("%(value)s is no number.") % {"value": constant})


def _twice(key: Any) -> str:
    return _("“%(key)s” is there twice.") % {"key": key}


# --- YAML --------------------------------------------------------------------------------------


class _Loader(yaml.CSafeLoader):
    """YAML with nothing that surprises: `no`, `12:30` and `2026-11-12` are texts."""

    yaml_implicit_resolvers: dict[Any, Any] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        found: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise BadFile(_("“%(key)s” is no name: put it in quotes.") % {"key": key})
            if key in found:
                raise BadFile(_twice(key))
            found[key] = self.construct_object(value_node, deep=True)
        return found


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


_resolve("bool", r"^(?:true|false)$", "tf")
_resolve("null", r"^(?:null|~|)$", "n~\0")
_resolve("int", r"^-?(?:0|[1-9][0-9]*)$", DIGITS)
_resolve("float", r"^-?(?:0|[1-9][0-9]*)(?=[.eE])(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", DIGITS)
_Loader.yaml_implicit_resolvers.setdefault("", []).append(
    ("tag:yaml.org,2002:null", re.compile(r"^$"))
)


def _from_yaml(content: str) -> Any:
    try:
        _look_through(content)
        return yaml.load(content, Loader=_Loader)  # noqa: S506  # a CSafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        about = {"line": mark.line + 1 if mark else 1, "column": mark.column + 1 if mark else 1}
        raise BadFile(
            _("This is not YAML: look at line %(line)d, column %(column)d.") % about
        ) from None
    except yaml.YAMLError:
        raise BadFile(_("This is neither JSON nor YAML.")) from None
    except ValueError:
        raise BadFile(_("The file has a number that cannot be read.")) from None


def _look_through(content: str) -> None:
    """Before anything is built of it: one document, no anchor or alias, no tag, not too deep."""
    depth = documents = 0
    for event in yaml.parse(content, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise BadFile(_("The file uses anchors or aliases (& and *), which are not read."))
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None):
            raise BadFile(_("The file uses tags (!), which are not read."))
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise BadFile(_("The file is nested too deeply."))
        if documents > 1:
            raise BadFile(_("The file has more than one document (---)."))


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    """Texts of several lines as they are read."""
    style = "|" if "\n" in text and text.strip() == text and "\t" not in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


# --- What no database takes --------------------------------------------------------------------


def _refuse_what_is_no_text(parsed: Any) -> None:
    """NUL, half characters and numbers that are none; and what is nested too deeply."""
    waiting: list[tuple[Any, int]] = [(parsed, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadFile(_("The file is nested too deeply."))
        if isinstance(value, Mapping):
            waiting += [(one, depth + 1) for pair in value.items() for one in pair]
        elif isinstance(value, list):
            waiting += [(one, depth + 1) for one in value]
        elif isinstance(value, str):
            if "\x00" in value or not _is_whole(value):
                raise BadFile(_("The file has a character that cannot be stored."))
        elif isinstance(value, float) and not math.isfinite(value):
            raise BadFile(_("The file has a number that cannot be read."))


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
