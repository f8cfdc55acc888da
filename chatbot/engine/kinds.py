"""The kinds of node, a closed set: texts, settings and exits as data.

A new kind = model here + `case` in consume or enter + exits() + check + editor label + test.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from chatbot.engine.conditions import Condition
from chatbot.engine.effects import Choice
from chatbot.engine.matching import Candidate, candidate, normalise

# What `render` fills itself: no variable may be called so.
FACT_NAMES = frozenset(
    ("lead", "channel", "protocol", "department", "first_contact", "weekday", "today", "now")
)

Awaiting = Literal["", "customer", "handler", "http", "wait", "ticket"]
# Far more than anybody draws, and little enough to hold one against the other.
MOST_NODES = 1000
MOST_WORDS = 100
MOST_SYNONYMS = 100  # of an option, and words that skip a question

AnswerType = Literal["text", "number", "email", "phone", "cpf", "cnpj", "date", "location", "file"]
LeadStatus = Literal["", "new", "contacted", "qualified", "converted", "lost"]


def _sayable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("NUL")
    return text


def _free_name(name: str) -> str:
    if name in FACT_NAMES:
        raise ValueError("reserved name")
    return name


def _storable(value: Any) -> Any:
    """A value however deep, without what no database takes: NUL and half characters."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            _sayable(one).encode()
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
    return value


Text = Annotated[str, Field(max_length=4096), AfterValidator(_sayable)]
Line = Annotated[str, Field(max_length=200), AfterValidator(_sayable)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$")]
Target = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_-]{0,59})?$")]  # empty: not connected yet
OptionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Name = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,39}$"), AfterValidator(_free_name)]


class Exit(NamedTuple):
    """A way out of a node. An optional one may stay unconnected."""

    name: str
    target: str
    optional: bool = False


class Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Node(Document):
    awaits: ClassVar[Awaiting] = ""

    title: Line = ""  # what the editor and the logs call this passo

    def exits(self) -> tuple[Exit, ...]:
        """Every way out, in the order it is drawn."""
        return ()

    def target(self, exit_name: str) -> str:
        """The node an exit leads to; empty when it is not connected."""
        return self._targets.get(exit_name, "")

    @cached_property
    def _targets(self) -> dict[str, str]:
        return {one.name: one.target for one in self.exits()}


class Passing(Node):
    """A node with one way out."""

    next: Target = ""

    def exits(self) -> tuple[Exit, ...]:
        return (Exit("next", self.next),)


class Start(Passing):
    """Where a run begins. `save_as` keeps the text that fired the trigger; `answers_words` lets
    that text be a word that works anywhere, such as `atendente`."""

    kind: Literal["start"] = "start"
    save_as: Name | Literal[""] = ""
    answers_words: bool = True


class Media(Document):
    """`url` (https) or `ref` (a stored Media row); both may hold placeholders."""

    kind: Literal["image", "audio", "video", "document"]
    url: Text = ""
    ref: Line = ""
    filename: Line = ""


class Template(Document):
    """A message template by name and language; `values` by the names of its variables (`1`,
    `nome`, `header`, `button.0`), with placeholders."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(_[A-Za-z]{2,4})?$")] = "pt_BR"
    values: dict[Line, Text] = Field(default_factory=dict)


class SendNode(Passing):
    """Say something and go on: a text, media, or a message template, which says it all."""

    kind: Literal["send"] = "send"
    text: Text = ""
    media: Media | None = None
    footer: Line = ""
    template: Template | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> SendNode:
        if self.template and (self.text or self.media or self.footer):
            raise ValueError("template with text")
        return self


class Ask(Passing):
    """Ask a question and keep the answer in the variable `save_as`.

    A wrong answer gets `invalid`; after `tries` wrong answers (0: no limit) the run leaves by
    `on_fail`. `minimum` and `maximum` bound a number, or the length of a text.
    """

    awaits: ClassVar[Awaiting] = "customer"

    kind: Literal["ask"] = "ask"
    text: Text
    answer: AnswerType = "text"
    save_as: Name
    invalid: Text = ""
    tries: Annotated[int, Field(ge=0, le=20)] = 3
    on_fail: Target = ""
    accepts_media: bool = False
    only_text: Text = ""  # what media get here; empty: the document's only_text_answer
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    when: Literal["", "past", "future"] = ""  # of a date; today is both
    # "pular": go on and leave the variable as it is
    skip_words: Annotated[tuple[Line, ...], Field(max_length=MOST_SYNONYMS)] = ()

    def exits(self) -> tuple[Exit, ...]:
        return Exit("next", self.next), Exit("on_fail", self.on_fail, optional=True)

    @cached_property
    def skips(self) -> frozenset[str]:
        return frozenset(normalise(word) for word in self.skip_words)


class Option(Document):
    """`id` comes back from a tap; the order of the options is the order shown."""

    id: OptionId
    label: Line
    description: Line = ""
    synonyms: Annotated[tuple[Line, ...], Field(max_length=MOST_SYNONYMS)] = ()
    next: Target = ""


class Menu(Node):
    """Offer options. What is not understood gets `fallback` and the options again, what fits
    two options gets `ambiguous`; both count as a try. The id chosen is kept in `save_as`."""

    awaits: ClassVar[Awaiting] = "customer"

    kind: Literal["menu"] = "menu"
    text: Text
    options: Annotated[tuple[Option, ...], Field(min_length=1, max_length=30)]
    presentation: Literal["auto", "buttons", "list", "text"] = "auto"
    list_button: Line = "Ver opções"
    header: Line = ""
    footer: Line = ""
    save_as: Name | Literal[""] = ""
    fallback: Text = ""
    ambiguous: Text = ""
    only_text: Text = ""
    tries: Annotated[int, Field(ge=0, le=20)] = 3
    on_fail: Target = ""

    def exits(self) -> tuple[Exit, ...]:
        chosen = (Exit(f"option:{option.id}", option.next) for option in self.options)
        return *chosen, Exit("on_fail", self.on_fail, optional=True)

    @model_validator(mode="after")
    def _has_unique_ids(self) -> Menu:
        if len({option.id for option in self.options}) < len(self.options):
            raise ValueError("duplicate option id")
        return self

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """The options as they are offered."""
        return tuple(
            Choice(id=one.id, title=one.label, description=one.description) for one in self.options
        )

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(candidate(one.id, one.label, one.synonyms) for one in self.options)


class Case(Document):
    when: Condition
    next: Target = ""
    label: Line = ""


class Branch(Node):
    """The first case whose condition holds is taken, else `otherwise`."""

    kind: Literal["branch"] = "branch"
    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=30)]
    otherwise: Target = ""

    def exits(self) -> tuple[Exit, ...]:
        cases = (Exit(f"case:{number}", case.next) for number, case in enumerate(self.cases, 1))
        return *cases, Exit("otherwise", self.otherwise)


class Assignment(Document):
    """`set` stores a value (text with placeholders, number, yes or no), `copy` the variable that
    `value` names; `add` and `subtract` count; `append` makes a list; the rest reshape the text of
    the variable itself."""

    name: Name
    op: Literal[
        "set", "copy", "add", "subtract", "append", "clear", "lower", "upper", "title", "first_word"
    ] = "set"
    value: Text | bool | int | FiniteFloat | None = ""


class SetNode(Passing):
    """Change variables, one after the other."""

    kind: Literal["set"] = "set"
    values: Annotated[tuple[Assignment, ...], Field(min_length=1, max_length=30)]


class Consent(Document):
    """LGPD: what was agreed to, and the words that were shown."""

    purpose: Line
    granted: bool = True
    text: Text = ""


class LeadNode(Passing):
    """Change the lead: fields (rendered; empty ones are left alone), status, tags, consent."""

    kind: Literal["lead"] = "lead"
    fields: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,39}$")], Text] = Field(
        default_factory=dict
    )
    status: LeadStatus = ""
    add_tags: tuple[Line, ...] = ()
    remove_tags: tuple[Line, ...] = ()
    consent: Consent | None = None


class Call(Node):
    """Run a Python handler and leave by the route it returns; its values become variables."""

    awaits: ClassVar[Awaiting] = "handler"

    kind: Literal["call"] = "call"
    handler: Line
    args: dict[Line, Annotated[Any, AfterValidator(_storable)]] = Field(default_factory=dict)
    routes: dict[Line, Target] = Field(default_factory=dict)

    def exits(self) -> tuple[Exit, ...]:
        return tuple(Exit(f"route:{route}", self.routes[route]) for route in sorted(self.routes))


class Http(Node):
    """Make an HTTP request; `mapping` says which variable takes which dotted path of the answer.

    Values are percent-encoded in `url` and escaped in a JSON `body`. A header may name a secret of
    the site, `{{ secret.crm }}`. `retries`: how often it is tried again when nobody answers, or the
    other system says that it cannot now.
    """

    awaits: ClassVar[Awaiting] = "http"

    kind: Literal["http"] = "http"
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: Text
    headers: dict[Line, Text] = Field(default_factory=dict)
    body: Text = ""
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 10
    retries: Annotated[int, Field(ge=0, le=5)] = 0
    mapping: dict[Name, Line] = Field(default_factory=dict)
    ok: Target = ""
    error: Target = ""

    def exits(self) -> tuple[Exit, ...]:
        return Exit("ok", self.ok), Exit("error", self.error)


class Handoff(Node):
    """Open a ticket and give the conversation to people; the run is over. `text`, or
    `closed_text` outside the department's hours, is sent once `{{ protocol }}` is known."""

    awaits: ClassVar[Awaiting] = "ticket"

    kind: Literal["handoff"] = "handoff"
    department: Line = ""  # slug; empty: the fallback department
    priority: Literal["low", "medium", "high"] = "medium"
    reason: Text = ""
    text: Text = ""
    closed_text: Text = ""
    # Names; left out where there are none, as in documents from before there were any.
    skills: tuple[Line, ...] = Field(default=(), exclude_if=lambda value: not value)


class SubFlow(Passing):
    """Run another flow and come back; variables are shared."""

    kind: Literal["flow"] = "flow"
    flow: Target = ""


class WaitNode(Passing):
    """Let time pass. `interruptible`: a message of the customer ends the wait early, by
    `on_message` when it is connected. Words that work anywhere always do."""

    awaits: ClassVar[Awaiting] = "wait"

    kind: Literal["wait"] = "wait"
    seconds: Annotated[int, Field(ge=1, le=30 * 24 * 3600)]
    interruptible: bool = False
    on_message: Target = ""

    def exits(self) -> tuple[Exit, ...]:
        return Exit("next", self.next), Exit("on_message", self.on_message, optional=True)


class End(Node):
    """The end of the flow, or of a sub-flow, which returns; `end_session` ends everything."""

    kind: Literal["end"] = "end"
    text: Text = ""
    end_session: bool = False


AnyNode = Annotated[
    Start
    | SendNode
    | Ask
    | Menu
    | Branch
    | SetNode
    | LeadNode
    | Call
    | Http
    | Handoff
    | SubFlow
    | WaitNode
    | End,
    Field(discriminator="kind"),
]
