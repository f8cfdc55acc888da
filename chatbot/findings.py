"""What is wrong with a flow document, in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from chatbot.engine.issues import Issue
from chatbot.engine.nodes import FlowDocument, FlowError

ERROR, WARNING, HINT = "error", "warning", "hint"

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
    "nested_subflows": _("A sub-flow cannot bring sub-flows of its own."),
    "bad_value": _("“%(field)s” has a value that does not fit."),
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


def unreadable(error: FlowError) -> list[Finding]:
    """Why a document cannot be read."""
    return [_of_issue(issue) for issue in error.issues]


def check_document(document: FlowDocument) -> list[Finding]:
    """Everything the check finds, with the handlers, departments and channels of this site."""
    return []


def _of_issue(issue: Issue) -> Finding:
    text = str(SENTENCES[issue.code]) % issue.params
    return Finding(issue.code, ERROR, issue.node, text)
