"""What is wrong with a flow document, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from chatbot.engine import check
from chatbot.engine import findings as checks
from chatbot.engine.golden import Mismatch
from chatbot.engine.issues import Issue
from chatbot.engine.kinds import AnyNode
from chatbot.engine.nodes import FlowDocument, FlowError
from chatbot.flow_map import exit_label

ERROR = "error"
MOST_TOLD = 5  # reasons in one text

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
    "unknown_skill": _("There is no skill called “%(skill)s”."),
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
    "never_returns": _("The sub-flow “%(flow)s” never comes back: what follows is never reached."),
    "missing_else": _("Nothing is said about what happens when no case holds."),
    "dangling_word": _("The word “%(word)s” leads nowhere."),
    "too_many_in_a_row": _("%(count)s in a row without the customer, and the limit is %(limit)s."),
    "text_after_window": _("The customer may have last written %(hours)s hours ago."),
    "over_limit_when_filled": _(
        "%(field)s has up to %(length)s characters and the channel takes "
        "%(limit)s; the longest part is “%(variable)s”."
    ),
    "overlapping_options": _("“%(said)s” may be “%(label)s” or “%(other)s”."),
    "option_is_word": _("“%(word)s” is an option here, and a word that leads elsewhere."),
    "empty_option": _("The option “%(option)s” has no label."),
    "unheard_word": _("The word “%(word)s” can never be heard."),
    "skip_word_taken": _("“%(word)s” works anywhere, so it does not skip this question."),
    "wrong_type": _("“%(variable)s” is %(is)s and is compared as %(wanted)s."),
    "never_equal": _("“%(variable)s” is never “%(value)s”."),
    "dead_case": _("Case %(case)s is never taken: case %(earlier)s takes all that it would."),
    "impossible_case": _("The condition of case %(case)s can never hold."),
    "no_valid_answer": _("No answer is valid: the least allowed is more than the most."),
    "raw_placeholder": _("“%(text)s” would be sent as it is written."),
    "secret_in_text": _("%(field)s seems to hold a secret: %(hint)s."),
    "unknown_secret": _("There is no secret called “%(secret)s”."),
    "secret_shown": _("The secret “%(secret)s” has no value outside a call to another system."),
    "sensitive_in_url": _("“%(variable)s” is sensitive and stands in the address."),
    "silent_end": _("The customer has answered and the conversation ends without a word."),
    "no_answer_to_media": _("Who sends a photo or an audio is not told that only text is read."),
    # Of files, not of the engine.
    "not_json": _("This cannot be read: %(detail)s"),
    "golden_unreadable": _("The conversation “%(name)s” cannot be read."),
    "golden": _(
        "The conversation “%(name)s” goes otherwise at turn %(turn)s: "
        "%(what)s should be %(expected)s and is %(got)s."
    ),
}

# The heading of a finding: what is wrong, and where. Codes that are not here are headed by their
# sentence alone.
TITLES: dict[str, str | Promise] = {
    "missing_start": _("No start"),
    "dangling_exit": _("Exit that leads nowhere: %(step)s"),
    "unreachable": _("Unreachable step: %(step)s"),
    "silent_loop": _("Loop without end: %(step)s"),
    "timed_loop": _("Loop of waits: %(step)s"),
    "unknown_handler": _("Unknown integration: %(step)s"),
    "bad_args": _("Argument that does not fit: %(step)s"),
    "unknown_route": _("Exit that is never used: %(step)s"),
    "missing_route": _("Result without an exit: %(step)s"),
    "missing_error_route": _("Failure without an exit: %(step)s"),
    "unknown_department": _("Unknown department: %(step)s"),
    "unknown_skill": _("Unknown skill: %(step)s"),
    "unknown_flow": _("Unknown sub-flow: %(step)s"),
    "subflow_recursion": _("Flow that runs inside itself: %(step)s"),
    "unknown_variable": _("Variable without a value: %(step)s"),
    "over_channel_limit": _("Too long for the channel: %(step)s"),
    "over_limit_when_filled": _("May get too long for the channel: %(step)s"),
    "too_many_options": _("Too many options: %(step)s"),
    "no_way_to_human": _("No way to a person: %(step)s"),
    "duplicate_labels": _("Equal options: %(step)s"),
    "duplicate_words": _("Word that leads to two steps: “%(word)s”"),
    "missing_fallback": _("No answer to what is not understood: %(step)s"),
    "no_try_limit": _("Question without a limit of tries: %(step)s"),
    "empty_text": _("Step without a text: %(step)s"),
    "unknown_template": _("Unknown message template: %(step)s"),
    "template_value": _("Message template without a value: %(step)s"),
    "unknown_template_value": _("Value that the message template does not have: %(step)s"),
    "bad_url": _("Address that does not work: %(step)s"),
    "never_returns": _("Sub-flow that never comes back: %(step)s"),
    "missing_else": _("Condition without “otherwise”: %(step)s"),
    "dangling_word": _("Word that leads nowhere: “%(word)s”"),
    "too_many_in_a_row": _("Too much at once: %(step)s"),
    "text_after_window": _("Text outside the 24 h window: %(step)s"),
    "overlapping_options": _("Options that overlap: %(step)s"),
    "option_is_word": _("Option that is also a word: %(step)s"),
    "empty_option": _("Option without a label: %(step)s"),
    "unheard_word": _("Word that is never heard: “%(word)s”"),
    "skip_word_taken": _("Word that does not skip: %(step)s"),
    "wrong_type": _("Comparison that does not fit: %(step)s"),
    "never_equal": _("Comparison that never holds: %(step)s"),
    "dead_case": _("Condition that is never reached: %(step)s"),
    "impossible_case": _("Condition that never holds: %(step)s"),
    "no_valid_answer": _("Question that cannot be answered: %(step)s"),
    "raw_placeholder": _("Variable that is not filled in: %(step)s"),
    "secret_in_text": _("Secret in the flow: %(step)s"),
    "unknown_secret": _("Unknown secret: %(step)s"),
    "secret_shown": _("Secret outside a request: %(step)s"),
    "sensitive_in_url": _("Sensitive data in an address: %(step)s"),
    "silent_end": _("End without a word: %(step)s"),
    "no_answer_to_media": _("Media without an answer: %(step)s"),
    "golden": _("Conversation that goes otherwise: %(name)s"),
    "not_json": _("File that cannot be read"),
}
# Where the heading says more: by code and field.
TITLES_OF_FIELDS: dict[tuple[str, str], str | Promise] = {
    ("over_channel_limit", "option"): _("Option too long: “%(label)s”"),
    ("over_channel_limit", "description"): _("Description too long: “%(label)s”"),
    ("over_channel_limit", "list_button"): _("Button of the list too long: “%(label)s”"),
}
# What to do about it.
ADVICE: dict[str, str | Promise] = {
    "missing_start": _("Choose the step with which the flow begins."),
    "dangling_exit": _("Choose the step that it leads to."),
    "unreachable": _("Lead to it from another step, or delete it."),
    "silent_loop": _("Put a question between them, or lead one of them elsewhere."),
    "timed_loop": _("Let the loop end after a few rounds, or wait for an answer."),
    "unknown_handler": _("Choose one of the integrations."),
    "bad_args": _("Fill it in as the integration expects it."),
    "unknown_route": _("Delete the exit."),
    "missing_route": _("Say which step follows this result."),
    "missing_error_route": _("Choose the step for when it fails."),
    "unknown_department": _("Choose an active department."),
    "unknown_skill": _("Choose one of the skills, or make it one."),
    "unknown_flow": _("Choose a flow that has been published."),
    "subflow_recursion": _("Call another flow, or lead to a step of this one."),
    "unknown_variable": _("Set it before, or write what stands there without it: %(filled)s."),
    "over_channel_limit": _("Make it shorter."),
    "over_limit_when_filled": _("Limit the length of that answer, or make the text shorter."),
    "too_many_options": _("Offer fewer, or part them into two questions."),
    "no_way_to_human": _("Add a step that hands over, or a word that leads to it."),
    "duplicate_labels": _("Give each option words of its own."),
    "duplicate_words": _("Keep it in one place: the first one is taken."),
    "missing_fallback": _("Write what to say then; the question alone is asked again."),
    "no_try_limit": _("Set 3 tries and an exit to the team."),
    "empty_text": _("Write the text."),
    "unknown_template": _("Choose an approved template of an active channel."),
    "template_value": _("Fill in the value."),
    "unknown_template_value": _("Delete the value."),
    "never_returns": _("Let the sub-flow come to an end that goes on, or delete what follows."),
    "missing_else": _("Choose the step for “otherwise”."),
    "dangling_word": _("Choose the step that it leads to."),
    "too_many_in_a_row": _("Put a question between them, or do with fewer steps."),
    "text_after_window": _(
        "WhatsApp accepts only a message template after 24 hours: send one first, or wait less."
    ),
    "overlapping_options": _("Change a label or a synonym, so that only one option fits."),
    "option_is_word": _("At this step the option is taken. Rename one of them."),
    "empty_option": _("Write the label: customers would see the id."),
    "unheard_word": _("Change the word, or delete it."),
    "skip_word_taken": _("Choose another word to skip with."),
    "wrong_type": _("Ask for an answer of the right kind, or compare it otherwise."),
    "never_equal": _("Choose one of the values that it can have."),
    "dead_case": _("Change the condition, put it first, or delete it."),
    "impossible_case": _("Change the condition, or delete it."),
    "no_valid_answer": _("Change the least or the most that is allowed."),
    "raw_placeholder": _(
        "Write the name of a variable in small letters, where texts are filled in."
    ),
    "secret_in_text": _("Keep it in the vault and write {{ secret.name }} instead."),
    "unknown_secret": _("Add it to the vault, or choose another."),
    "secret_shown": _("Use it in a header of a call to another system."),
    "sensitive_in_url": _("Send it in the body: addresses are kept in logs."),
    "silent_end": _("Say goodbye, or offer what comes next."),
    "no_answer_to_media": _("Write the answer to media in the settings of the flow."),
}
FIELDS: dict[str, str | Promise] = {
    "text": _("The text"),
    "invalid": _("The answer to what is not valid"),
    "fallback": _("The answer to what is not understood"),
    "ambiguous": _("The question when several fit"),
    "only_text": _("The answer to media"),
    "header": _("The header"),
    "footer": _("The footer"),
    "closed_text": _("The text outside business hours"),
    "option": _("The option “%(label)s”"),
    "description": _("The description “%(label)s”"),
    "list_button": _("The list's button “%(label)s”"),
    "url": _("The address"),
    "headers": _("A header"),
    "body": _("The body"),
    "args": _("An argument"),
    "reason": _("The reason"),
    "value": _("A value"),
    "template": _("A value of the message template"),
    "fields": _("A field of the lead"),
    "consent": _("The consent"),
    "tags": _("A tag"),
    "filename": _("The name of the file"),
    "ref": _("The file"),
}
TYPES: dict[str, str | Promise] = {
    "text": _("a text"),
    "number": _("a number"),
    "date": _("a date"),
    "boolean": _("yes or no"),
    "list": _("a list"),
    "thing": _("a file or a place"),
    "time": _("a time of day"),
}


@dataclass(frozen=True)
class Finding:
    """One thing found. `node` is the passo, if it is one, and `step` what people call it; `path`
    leads there from the start. It may be given to `chatbot.engine.witness` as it is.

    On a page: `title` (what and where) over `detail` (what exactly, and what to do); in a row of
    text: `sentence`. `key` stays while the finding is about the same thing.
    """

    code: str
    severity: str
    node: str
    text: str
    path: tuple[str, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    step: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity == ERROR

    @property
    def key(self) -> str:
        return checks.key_of(self.code, self.node, self.params)

    @property
    def title(self) -> str:
        template = TITLES_OF_FIELDS.get(self._field) or TITLES.get(self.code)
        if template is None:
            return self.text
        shown = str(template)
        if not self.step:
            shown = shown.removesuffix(": %(step)s")
        return shown % {"step": self.step, **self.params}

    @property
    def _field(self) -> tuple[str, str]:
        return self.code, str(self.params.get("field", ""))

    @property
    def _is_about_a_field(self) -> bool:
        return self._field in TITLES_OF_FIELDS

    @property
    def detail(self) -> str:
        """Empty when the title says it all."""
        if self.code not in TITLES:
            return ""
        advice = str(ADVICE.get(self.code, ""))
        if self._is_about_a_field and "number" in self.params:
            where = gettext("Step %(step)s, option %(number)s.")
            advice = where % {"step": self.step, "number": self.params["number"]}
        if advice and self.code == "unknown_variable":
            filled = f"{{{{ {self.params['variable']}|… }}}}"
            advice %= {"filled": filled}
        return f"{self.text} {advice}".strip()

    @property
    def sentence(self) -> str:
        return f"{self.step}: {self.text}" if self.step else self.text

    def as_dict(self) -> dict[str, Any]:
        more = {"key": self.key, "title": self.title, "detail": self.detail}
        return {**asdict(self), **more}


def unreadable(error: FlowError) -> list[Finding]:
    """Why a document cannot be read."""
    return [_of_issue(issue) for issue in error.issues]


def why_unreadable(error: FlowError) -> str:
    """The same as one text, the first of them."""
    found = unreadable(error)
    more = ["…"] if len(found) > MOST_TOLD else []
    return " ".join([*(one.sentence for one in found[:MOST_TOLD]), *more])


def check_document(document: FlowDocument, around: check.Surroundings) -> list[Finding]:
    """Everything the check finds, errors first."""
    flows = {**(around.flows or {}), **document.subflows}
    return [_of_finding(one, document, flows) for one in check.check_flow(document, around)]


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
    return Finding("golden", ERROR, "", str(SENTENCES["golden"]) % params, params=params)


def golden_unreadable(name: str) -> Finding:
    params = {"name": name}
    text = str(SENTENCES["golden_unreadable"]) % params
    return Finding("golden_unreadable", ERROR, "", text, params=params)


def _of_issue(issue: Issue) -> Finding:
    text = str(SENTENCES[issue.code]) % issue.params
    return Finding(issue.code, ERROR, issue.node, text, params=dict(issue.params), step=issue.node)


def _of_finding(
    found: checks.Finding, document: FlowDocument, flows: Mapping[str, FlowDocument]
) -> Finding:
    node, step = _step(found.node, document, flows)
    told = checks.in_words(found.params, FIELDS, TYPES)
    if "exit" in told:
        label = exit_label(node, told["exit"]) if node else ""
        told["exit"] = label or pgettext("exit of a step", "next step")
    text = str(SENTENCES[found.code]) % told
    return Finding(
        found.code, found.severity, found.node, text, found.path, dict(found.params), step
    )


def _step(
    place: str, document: FlowDocument, flows: Mapping[str, FlowDocument]
) -> tuple[AnyNode | None, str]:
    """(the passo, what people call it: its title, after the sub-flow's name if it is in one)."""
    key, slash, node_id = place.rpartition("/")
    within = flows.get(key) if key else document
    node = within.nodes.get(node_id) if within else None
    called = (node.title if node else "") or node_id
    return node, f"{within.name} / {called}" if slash and within else called
