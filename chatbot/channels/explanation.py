"""Error codes in words, for attendants and admins: what happened, and what to do.

Here are the codes that no provider gives: those of the outbox and of the calls. Each transport adds
its provider's (`Transport.explain`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class Action(StrEnum):
    """Who has to act."""

    RETRY = "retry"  # nobody: it is tried again by itself, a limited number of times
    STOP = "stop"  # whoever wrote: this message will not go as it is
    OPERATOR = "operator"  # an admin, on the channel or at the provider
    BUG = "bug"  # whoever maintains the program


@dataclass(frozen=True)
class Explanation:
    what: str | _StrPromise
    advice: str | _StrPromise
    action: Action

    @property
    def sentence(self) -> str:
        return f"{self.what} {self.advice}".strip()


TRIED_AGAIN = _("It is tried again by itself a few times; after that, send it again.")
LOOK_FIRST = _("Look whether the customer got it before you send it again.")
REPORT = _("Nothing was sent. Ask an administrator to report the code and the details.")

OWN: dict[str, Explanation] = {
    "stale": Explanation(
        _("It waited too long, and the conversation has gone on."),
        _("Nothing was sent. Write again if it is still needed."),
        Action.STOP,
    ),
    "window_closed": Explanation(
        _("The customer last wrote more than 24 hours ago."),
        _("Nothing was sent. Send a message template, or wait for the customer to write."),
        Action.STOP,
    ),
    "provider_away": Explanation(
        _("The provider could not be reached."),
        _("In the simulator this lasts until you switch it back."),
        Action.STOP,
    ),
    "unconfirmed": Explanation(
        _("Nobody knows whether it arrived."),
        LOOK_FIRST,
        Action.STOP,
    ),
    "timeout": Explanation(
        _("The provider did not answer in time: nobody knows whether it arrived."),
        LOOK_FIRST,
        Action.STOP,
    ),
    "cut": Explanation(
        _("The connection broke before the answer: nobody knows whether it arrived."),
        LOOK_FIRST,
        Action.STOP,
    ),
    "no_id": Explanation(
        _("The provider's answer could not be read: nobody knows whether it arrived."),
        LOOK_FIRST,
        Action.STOP,
    ),
    "internal": Explanation(
        _("Something failed here while it was sent: nobody knows whether it arrived."),
        LOOK_FIRST,
        Action.BUG,
    ),
    "connection": Explanation(
        _("The provider could not be reached."),
        TRIED_AGAIN,
        Action.RETRY,
    ),
    "http_429": Explanation(
        _("More was sent than the provider takes at once."),
        TRIED_AGAIN,
        Action.RETRY,
    ),
    "request": Explanation(_("The call to the provider could not be made."), REPORT, Action.BUG),
    "content": Explanation(
        _("The message lacks something, or this channel has no messages of this kind."),
        _("Nothing was sent. Correct it and write again."),
        Action.STOP,
    ),
    "no_address": Explanation(
        _("There is no address to send to: it was erased, or never known."),
        _("Nothing was sent. Wait until the customer writes."),
        Action.STOP,
    ),
    "opted_out": Explanation(
        _("The customer has asked not to receive offers."),
        _("Nothing was sent. Send a template of another category, or wait until they write."),
        Action.STOP,
    ),
    "template_unknown": Explanation(
        _("This message template does not exist on the channel."),
        _("Nothing was sent. Choose another one, or synchronise the templates."),
        Action.STOP,
    ),
    "template_deleted": Explanation(
        _("This message template does not exist any more."),
        _("Nothing was sent. Choose another one."),
        Action.STOP,
    ),
    "template_not_approved": Explanation(
        _("This message template is not approved yet."),
        _("Nothing was sent. Choose another one, or wait for the approval."),
        Action.STOP,
    ),
    "template_paused": Explanation(
        _("This message template is paused because of its quality."),
        _("Nothing was sent. Choose another one."),
        Action.STOP,
    ),
    "template_disabled": Explanation(
        _("This message template is disabled for good."),
        _("Nothing was sent. Choose another one."),
        Action.STOP,
    ),
    "template_rejected": Explanation(
        _("This message template was rejected."),
        _("Nothing was sent. Choose another one, or correct and submit it again."),
        Action.STOP,
    ),
    "template_parts": Explanation(
        _("This message template has parts that cannot be filled here."),
        _("Nothing was sent. Choose another one."),
        Action.STOP,
    ),
    "no_media": Explanation(
        _("The file of this message is not kept, or the channel takes no files."),
        _("Nothing was sent. Choose the file and send it again."),
        Action.STOP,
    ),
    "storage": Explanation(
        _("The file of this message cannot be read from the storage here."),
        TRIED_AGAIN,
        Action.RETRY,
    ),
    "upload_forgotten": Explanation(
        _("The provider does not have the uploaded file any more."),
        _("It is uploaded and sent again by itself."),
        Action.RETRY,
    ),
    "template_values": Explanation(
        _("A value of the message template is missing or has a form that is not accepted."),
        _("Nothing was sent. Correct the values and send it again."),
        Action.STOP,
    ),
}
SERVER_ERROR = Explanation(
    _("The provider is in trouble: nobody knows whether it arrived."), LOOK_FIRST, Action.STOP
)
REFUSED_CALL = Explanation(_("The provider refused the call."), REPORT, Action.BUG)
# Refused before any call: the detail names the template, its value or the time.
SAY_THEMSELVES = frozenset({"opted_out", *(code for code in OWN if code.startswith("template_"))})
# Decided here: no provider has said anything.
DECIDED_HERE = SAY_THEMSELVES | {
    *("stale", "window_closed", "no_address", "no_media", "unconfirmed", "provider_away"),
}
UNKNOWN = Explanation(
    _("The provider refused the message."),
    _("Ask an administrator to look at the details before you send it again."),
    Action.STOP,
)


def explain(code: str, detail: str = "") -> Explanation:
    """The explanation of one of our own codes; of any other, that it is a refusal. `detail` is
    what is stored with the code."""
    if detail and code in SAY_THEMSELVES:
        return Explanation(detail, "", OWN[code].action)
    if code in OWN:
        return OWN[code]
    if code.startswith(("http_5", "http_408")):
        return SERVER_ERROR
    return REFUSED_CALL if code.startswith("http_") else UNKNOWN
