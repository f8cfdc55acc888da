"""The contract between the conversation and a channel's protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from chatbot.channels import explanation
from chatbot.channels.content import (
    Capabilities,
    Content,
    FileRule,
    ListedTemplate,
    Option,
    TemplateDraft,
)
from chatbot.channels.degrade import degrade, merge
from chatbot.channels.explanation import Explanation
from chatbot.cleaning import clean_text

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from chatbot.channels.inbound import Inbound, MediaRef
    from sessions_app.models import Channel

__all__ = [
    "BadSignature",
    "Capabilities",
    "Check",
    "CheckLevel",
    "Content",
    "Download",
    "FileRule",
    "ListedTemplate",
    "Malformed",
    "Meaning",
    "Option",
    "Recipient",
    "SendError",
    "Sent",
    "TemplateDraft",
    "Transport",
    "degrade",
    "merge",
]


LONGEST_BACKOFF = 300.0
UPLOAD_FORGOTTEN = "upload_forgotten"  # a SendError's code: the uploaded file must be uploaded anew


class BadSignature(Exception):
    """The body was not proven to come from the provider.

    The message is for the log, never for the answer.
    """


class Malformed(Exception):
    """The body was proven but cannot be parsed at all; kept as a FailedEvent with its raw bytes."""


class Meaning(StrEnum):
    """What a failure tells about more than its message."""

    OUTAGE = "outage"  # the provider is not there: not reached, or failing by itself
    THROTTLE = "throttle"  # faster than the provider allows, in the error's scope
    UNREACHABLE = "unreachable"  # nobody at this address
    OPTED_OUT = "opted_out"  # this person wants no marketing
    CUSTOMER = "customer"  # something else on the receiver's side
    TOKEN = "token"  # noqa: S105  # the access token is not accepted
    ACCOUNT = "account"  # the account is restricted
    PAYMENT = "payment"
    NUMBER = "number"  # the sending number may not send
    SPAM = "spam"  # too many people complained
    TEMPLATE = "template"  # the message template is stopped


# The receiver's side, and no trouble of ours.
OF_THE_CUSTOMER = frozenset({Meaning.UNREACHABLE, Meaning.OPTED_OUT, Meaning.CUSTOMER})


class SendError(Exception):
    """The provider refused, or could not be reached before anything was sent.

    code: the provider's code as text, or "timeout", "connection", "http_500" …
    retryable: will trying again help?
    retry_after: seconds before the next try, when known; `delay()` gives it for any try.
    scope: what the trouble concerns: "message", "pair", "number", "account", "template".
    uncertain: it may have been accepted; never send blindly again.
    is_stop: nothing of this scope will go before a person mends something: pause the scope, keep
        the queue, burn no try. A throttle has the same scope but is retryable instead.
    needs_operator: a person should be told, whatever becomes of the message.
    growth, max_tries: each wait is `growth` times the last; after `max_tries` it has failed.
    meaning: what the trouble is about, where that matters beyond this message (see Meaning).

    Exactly one of retryable, uncertain, is_stop may be true; if none is, the message has failed.
    """

    def __init__(  # noqa: PLR0913  # each is one fact about the refusal, all by keyword
        self,
        code: str,
        detail: str = "",
        *,
        retryable: bool,
        retry_after: float | None = None,
        scope: str = "message",
        uncertain: bool = False,
        is_stop: bool = False,
        needs_operator: bool = False,
        growth: float = 2.0,
        max_tries: int = 5,
        meaning: Meaning | None = None,
    ) -> None:
        # Providers quote what they were sent, and what they write is stored.
        self.code = clean_text(code)
        self.detail = clean_text(detail)
        super().__init__(f"{self.code}: {self.detail}")
        self.retryable = retryable
        self.retry_after = retry_after
        self.scope = scope
        self.uncertain = uncertain
        self.is_stop = is_stop
        self.needs_operator = needs_operator or is_stop
        self.growth = growth
        self.max_tries = max_tries
        self.meaning = meaning

    def delay(self, tries: int) -> float:
        """Seconds to wait after this many tries (1 after the first), without jitter."""
        first = 1.0 if self.retry_after is None else self.retry_after
        grown: float = first * self.growth ** max(0, min(tries, 20) - 1)
        return max(first, min(grown, LONGEST_BACKOFF))


@dataclass(frozen=True)
class Recipient:
    """Where to send: `scheme` and the form last received. Opaque outside the transport."""

    scheme: str
    send_to: str


@dataclass(frozen=True)
class Sent:
    """The provider accepted. `aliases` are other addresses of the same person that the answer
    revealed, as (scheme, address, send_to)."""

    provider_id: str
    aliases: tuple[tuple[str, str, str], ...] = ()
    pacing: str = ""  # the provider holds a template back for now, in its own word


class CheckLevel(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Check:
    """One question about a channel, its answer in words, and what to do when it is not well.

    mend: what `Transport.mend` can do about it, "" when a person must.
    proves: the meaning of a SendError that a good answer proves to be over.
    """

    level: CheckLevel
    about: str
    what: str
    advice: str = ""
    mend: str = ""
    proves: Meaning | None = None


@dataclass(frozen=True)
class Download:
    """A file on its way from the provider. `sha256` is the provider's claim, as hex or base64.

    `chunks` may be read once, and raises SendError when the rest does not come.
    """

    chunks: Iterator[bytes]
    sha256: str = ""


class Transport(ABC):
    """One channel's protocol. Holds no state but its channel row; one per request or batch."""

    kind: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    # Schemes of addresses (leads.models.Scheme) that one may write to first, the best one first.
    reaches: ClassVar[tuple[str, ...]] = ()

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def handshake(self, request: HttpRequest) -> HttpResponse | None:
        """The answer to the provider's GET check, or None when this protocol has none."""
        return None

    @abstractmethod
    def verify(self, request: HttpRequest, body: bytes) -> None:
        """Prove the origin over the raw bytes, in constant time. Raises BadSignature."""

    @abstractmethod
    def parse(self, request: HttpRequest, body: bytes) -> Sequence[Inbound]:
        """Every item of the body, in its order. Raises Malformed only when nothing can be read."""

    @abstractmethod
    def send(self, to: Recipient, content: Content, *, callback_data: str) -> Sent:
        """Call the provider once, with a timeout. Raises SendError."""

    def mark_read(self, provider_id: str, *, is_writing: bool = False) -> None:
        """Show the customer that we read, and with `is_writing` that an answer is on its way; quiet
        when the channel cannot. Raises SendError."""
        return None

    def fetch_media(self, ref: MediaRef, *, age: timedelta) -> AbstractContextManager[Download]:
        """Open a file that a customer sent so long ago. Raises SendError, also on entering."""
        raise SendError("no_media", "the channel has no files", retryable=False)

    def upload_media(self, file: BinaryIO, *, mime_type: str) -> str:
        """Give the provider a file to send; its id there. Doing so twice is harmless, so no
        SendError that this raises is `uncertain`."""
        raise SendError("no_media", "the channel takes no files", retryable=False)

    def failure(self, code: str, detail: str = "", *, by_link: bool = False) -> SendError:
        """What a code that came later, in a `failed` status, means; it is not raised. `by_link`:
        the message named its file by an address."""
        return SendError(code, detail, retryable=False)

    @classmethod
    def explain(cls, code: str, detail: str = "") -> Explanation:
        """An error code, the provider's or our own, in words for whoever reads the conversation.
        `detail` is what is stored with the code."""
        return explanation.explain(code, detail)

    def diagnose(self, webhook_path: str) -> Sequence[Check]:
        """Ask the provider, within a time limit, whether this channel can do its job. Shows no
        secret and raises nothing for what is wrong: that is an answer too. `webhook_path` is where
        this site takes the channel's bodies."""
        return ()

    def mend(self, what: str) -> None:
        """Do what a Check offered as `mend`. Raises SendError."""
        raise SendError("mend", what, retryable=False)

    def business_of(self, item: Inbound) -> str:
        """The provider's account that owns the number which an item came to; "" when not said."""
        return ""

    def list_templates(self) -> list[ListedTemplate]:
        """Every message template of the channel's account. Raises SendError."""
        raise _no_templates()

    def submit_template(self, draft: TemplateDraft) -> ListedTemplate:
        """Give a message template to the provider, for approval; one that it knows already is
        replaced. Raises SendError, whose detail says what the provider dislikes."""
        raise _no_templates()

    def delete_template(self, *, name: str, provider_id: str) -> None:
        """Delete one language of a message template. Quiet when it is gone already. Raises
        SendError."""
        raise _no_templates()


def _no_templates() -> SendError:
    return SendError("no_templates", "the channel has no message templates", retryable=False)
