"""What is wrong with a flow document, in the reader's language."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from chatbot.engine import check
from chatbot.engine.golden import Mismatch
from chatbot.engine.issues import Issue
from chatbot.engine.nodes import FlowDocument, FlowError

ERROR = "error"

# The engine knows no gettext: its English sentences stand here once more, for the catalogue.
SENTENCES: dict[str, str | Promise] = {
    "not_an_object": _("The flow is not a JSON object."),
    "too_deep": _("The flow is nested too deeply."),
    "unknown_schema": _("The flow was written for another version of the program."),
    "missing_field": _("“%(field)s” is missing."),
    "unknown_field": _("“%(field)s” is not a setting of this step."),
    "unknown_kind": _("“%(value)s” is not a kind of step."),
    "too_long": _("“%(field)s” is too long: at most %(limit)s."),
    "too_short": _("“%(field)s” needs at least %(limit)s."),
    "bad_name": _("“%(value)s” cannot be a name: small letters, digits and _ only."),
    "reserved_name": _("“%(value)s” is a name that the program fills itself."),
    "duplicate_option": _("Two options have the same id."),
    "template_with_text": _("A message template says it all: no text, file or footer beside it."),
    "nested_subflows": _("A sub-flow cannot bring sub-flows of its own."),
    "bad_value": _("“%(field)s” has a value that does not fit."),
    "missing_start": _("The flow has no start step."),
    "dangling_exit": _("The exit “%(exit)s” leads nowhere."),
    "unreachable": _("No button, condition or step leads here."),
    "silent_loop": _("These steps can go round without ever waiting for the customer."),
    "timed_loop": _("These steps can go round without the customer ever answering."),
    "unknown_handler": _("There is no integration called “%(handler)s”."),
    "bad_args": _("The argument “%(argument)s” of the integration is missing or does not fit."),
    "unknown_route": _("The integration never leaves by “%(route)s”."),
    "missing_route": _("The integration may leave by “%(route)s”, which leads nowhere."),
    "missing_error_route": _("Nothing is said about what happens when this fails."),
    "unknown_department": _("There is no department called “%(department)s”."),
    "unknown_flow": _("There is no flow called “%(flow)s”."),
    "subflow_recursion": _("This flow would run inside itself: %(flows)s."),
    "unknown_variable": _("“%(variable)s” has no value on this way here."),
    "over_channel_limit": _("%(field)s has %(length)s characters and the channel takes %(limit)s."),
    "too_many_options": _("%(count)s options, and the channel shows %(limit)s."),
    "no_way_to_human": _("From here there is no way to a person."),
    "duplicate_labels": _("“%(label)s” stands for more than one option."),
    "duplicate_words": _("The word “%(word)s” leads to more than one step."),
    "missing_fallback": _("Nothing is said when the answer is not understood."),
    "no_try_limit": _("There is no limit of tries: who answers wrongly is stuck."),
    "empty_text": _("There is nothing to say."),
    "unknown_template": _("There is no approved message template “%(template)s” in %(language)s."),
    "template_value": _("The message template “%(template)s” needs a value for “%(value)s”."),
    "unknown_template_value": _("The message template “%(template)s” has no value “%(value)s”."),
    "bad_url": _("The address must begin with https:// and a fixed host."),
    # Of files, not of the engine.
    "not_json": _("This is not JSON: %(detail)s"),
    "golden": _(
        "The conversation “%(name)s” goes otherwise at turn %(turn)s: "
        "%(what)s should be %(expected)s and is %(got)s."
    ),
}


@dataclass(frozen=True)
class Finding:
    """One thing found. `node` is the passo, if it is one; `path` leads there from the start."""

    code: str
    severity: str
    node: str
    text: str
    path: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        return self.severity == ERROR

    @property
    def sentence(self) -> str:
        return f"{self.node}: {self.text}" if self.node else self.text

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def unreadable(error: FlowError) -> list[Finding]:
    """Why a document cannot be read."""
    return [_of_issue(issue) for issue in error.issues]


def check_document(document: FlowDocument, around: check.Surroundings) -> list[Finding]:
    """Everything the check finds, errors first."""
    return [_of_finding(one) for one in check.check_flow(document, around)]


def not_json(detail: str) -> Finding:
    return Finding("not_json", ERROR, "", str(SENTENCES["not_json"]) % {"detail": detail})


def golden_mismatch(name: str, mismatch: Mismatch) -> Finding:
    """A golden conversation that goes otherwise: the document or the conversation is wrong."""
    params = {
        "name": name,
        "turn": mismatch.turn,
        "what": mismatch.what,
        "expected": mismatch.expected,
        "got": mismatch.got,
    }
    return Finding("golden", ERROR, "", str(SENTENCES["golden"]) % params)


def _of_issue(issue: Issue) -> Finding:
    text = str(SENTENCES[issue.code]) % issue.params
    return Finding(issue.code, ERROR, issue.node, text)


def _of_finding(found: check.Finding) -> Finding:
    text = str(SENTENCES[found.code]) % found.params
    return Finding(found.code, found.severity, found.node, text, found.path)
