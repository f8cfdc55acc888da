"""What a step asks the shell to do. The engine does nothing itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Effect(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(Effect):
    """One option offered to the customer: `id` comes back in ChoiceReceived."""

    id: str
    title: str
    description: str = ""


class TemplateUse(Effect):
    """An approved message template of the channel, with rendered values by their names."""

    name: str
    language: str
    values: dict[str, str] = Field(default_factory=dict)


class Send(Effect):
    """Say something. Rendered text; the channel's transport decides how options are shown."""

    kind: Literal["send"] = "send"
    text: str = ""
    choices: tuple[Choice, ...] = ()
    presentation: Literal["auto", "buttons", "list", "text"] = "auto"  # a wish: channels degrade
    list_button: str = ""
    header: str = ""
    footer: str = ""
    media: str = ""  # image, audio, video, document; empty for text
    media_url: str = ""  # https link, or the id of a stored Media row in media_ref
    media_ref: str = ""
    filename: str = ""
    # Left out of logs where there is none, as in those that were written before there was any.
    template: TemplateUse | None = Field(default=None, exclude_if=lambda value: value is None)


class OpenTicket(Effect):
    """Hand the conversation to people. The shell answers at once with TicketOpened."""

    kind: Literal["open_ticket"] = "open_ticket"
    department: str = ""  # slug; empty: the fallback department
    priority: Literal["low", "medium", "high"] = "medium"
    reason: str = ""  # why, in the flow's words: shown on the handoff card
    node: str = ""
    path: tuple[str, ...] = ()  # node ids that led here in this run, oldest first
    # Names of what the person needs; left out where there are none, as in older logs.
    skills: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)


class UpdateLead(Effect):
    """Change the lead: only the fields that are given. `status` moves the funnel, never backwards
    by itself."""

    kind: Literal["update_lead"] = "update_lead"
    fields: dict[str, str] = Field(default_factory=dict)  # name, email, phone, need, document…
    status: str = ""
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    consent: str = ""  # purpose
    consent_granted: bool = True
    consent_text: str = ""


class RunHandler(Effect):
    """Run the Python handler `name`; the shell answers with HandlerReturned, at once or (`later`)
    as a Task."""

    kind: Literal["run_handler"] = "run_handler"
    name: str
    args: dict[str, Any] = Field(default_factory=dict)


class CallHttp(Effect):
    """Make an HTTP request outside the transaction; comes back as HandlerReturned(route 'ok' or
    'error')."""

    kind: Literal["call_http"] = "call_http"
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: str
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""
    timeout_seconds: int = 10
    mapping: dict[str, str] = Field(default_factory=dict)  # variable -> dotted path in the answer
    # Headers that name a secret, as `{{ secret.crm }}`: put in when the request is made. Like
    # `retries` left out of logs where there are none, as in those written before there were any.
    secret_headers: dict[str, str] = Field(default_factory=dict, exclude_if=lambda value: not value)
    retries: int = Field(default=0, exclude_if=lambda value: not value)


class Wait(Effect):
    """Come back with TimerFired after `seconds`."""

    kind: Literal["wait"] = "wait"
    seconds: int


class EndSession(Effect):
    """The flow is over and the session ends with it."""

    kind: Literal["end_session"] = "end_session"
    reason: str = "completed"


AnyEffect = Annotated[
    Send | OpenTicket | UpdateLead | RunHandler | CallHttp | Wait | EndSession,
    Field(discriminator="kind"),
]
EFFECT: TypeAdapter[AnyEffect] = TypeAdapter(AnyEffect)
