"""Meta's error codes in words. What each does to the message and the channel stands in errors.py.

Meta's docs: "Cloud API, error codes". Many of their own texts speak to developers, in English: they
are kept as the detail of a message and shown to admins only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from chatbot.channels.explanation import REPORT, TRIED_AGAIN, Action, Explanation
from chatbot.channels.whatsapp_cloud import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

TOKEN = Explanation(
    _("WhatsApp does not accept the access token of the channel."),
    _("The channel is paused and its queue is kept. An administrator must enter a new token."),
    Action.OPERATOR,
)
PERMISSION = Explanation(
    _("The access token of the channel lacks a permission."),
    _(
        "The channel is paused and its queue is kept. An administrator must allow messaging and "
        "management of WhatsApp for the token in Meta’s settings."
    ),
    Action.OPERATOR,
)
PAYMENT = Explanation(
    _("WhatsApp cannot charge the account: the payment method is missing or refused."),
    _(
        "The channel is paused and its queue is kept. An administrator must correct the payment "
        "method in Meta’s settings."
    ),
    Action.OPERATOR,
)
NOT_REGISTERED = Explanation(
    _("The channel’s number is not registered at WhatsApp."),
    _(
        "The channel is paused and its queue is kept. An administrator must register the number "
        "in Meta’s settings."
    ),
    Action.OPERATOR,
)
PIN = Explanation(
    _("The PIN of the channel’s number is wrong or has to be confirmed again."),
    _(
        "The channel is paused and its queue is kept. An administrator must confirm the number "
        "with its PIN in Meta’s settings."
    ),
    Action.OPERATOR,
)
OUTAGE = Explanation(_("WhatsApp is in trouble and took no message."), TRIED_AGAIN, Action.RETRY)
TOO_FAST = Explanation(
    _("More was sent than WhatsApp takes at once from this account."), TRIED_AGAIN, Action.RETRY
)
BAD_CALL = Explanation(_("WhatsApp did not accept the form of the message."), REPORT, Action.BUG)
MARKETING_API = Explanation(
    _("This account may not send marketing messages this way."),
    _("Nothing was sent. An administrator must look at the marketing settings at Meta."),
    Action.OPERATOR,
)
USERNAME = Explanation(
    _("WhatsApp refused something about the company’s username."),
    _("Nothing was sent. An administrator must look at the username in Meta’s settings."),
    Action.OPERATOR,
)
TEMPLATE_VALUES = Explanation(
    _("The values of the message template have not the form that it needs."),
    _("Nothing was sent. Correct the values; if they are right, an administrator must look."),
    Action.BUG,
)


def _each(said: Explanation, codes: Iterable[int]) -> dict[int, Explanation]:
    return dict.fromkeys(codes, said)


SENTENCES: dict[int, Explanation] = {
    **_each(TOKEN, (0, 104, 190)),
    **_each(PERMISSION, (3, 10, 131005, *range(200, 300))),
    **_each(PAYMENT, (131042, 131044)),
    134011: Explanation(
        _("The payment terms of WhatsApp are not accepted yet."),
        _(
            "The channel is paused and its queue is kept. An administrator must accept the terms "
            "in Meta’s settings."
        ),
        Action.OPERATOR,
    ),
    368: Explanation(
        _("WhatsApp has restricted the account because of its policy."),
        _(
            "The channel is paused and its queue is kept. An administrator must look at the "
            "account quality at Meta and ask for a review."
        ),
        Action.OPERATOR,
    ),
    131031: Explanation(
        _("WhatsApp has locked the account."),
        _(
            "The channel is paused and its queue is kept. An administrator must have it unlocked "
            "at Meta."
        ),
        Action.OPERATOR,
    ),
    33: Explanation(
        _("The channel’s number does not exist at WhatsApp any more."),
        _(
            "The channel is paused and its queue is kept. An administrator must correct the id of "
            "the number in the channel."
        ),
        Action.OPERATOR,
    ),
    131037: Explanation(
        _("The name that customers see for this number is not approved yet."),
        _(
            "The channel is paused and its queue is kept. An administrator must have the name "
            "approved at Meta."
        ),
        Action.OPERATOR,
    ),
    **_each(NOT_REGISTERED, (131045, 133000, 133010)),
    **_each(PIN, (133005, 133006, 133008, 133009)),
    133015: Explanation(
        _("The channel’s number was removed from WhatsApp a moment ago."),
        _(
            "The channel is paused and its queue is kept. An administrator must wait five minutes "
            "and register the number again."
        ),
        Action.OPERATOR,
    ),
    133016: Explanation(
        _("The number was registered and removed too often: WhatsApp locks it for 72 hours."),
        _("The channel is paused and its queue is kept. An administrator must wait that long."),
        Action.OPERATOR,
    ),
    132007: Explanation(
        _("The message template is against WhatsApp’s policy."),
        _("Nothing was sent. Choose another one; an administrator must correct this one."),
        Action.OPERATOR,
    ),
    132015: Explanation(
        _("WhatsApp has paused the message template because of its quality."),
        _("Nothing was sent. Choose another one; an administrator should improve this one."),
        Action.OPERATOR,
    ),
    132016: Explanation(
        _("WhatsApp has disabled the message template for good."),
        _("Nothing was sent. Choose another one; an administrator must replace this one."),
        Action.OPERATOR,
    ),
    132001: Explanation(
        _("The message template does not exist in this language, or is not approved."),
        _("Nothing was sent. Choose another one; an administrator must synchronise them."),
        Action.OPERATOR,
    ),
    130497: Explanation(
        _("WhatsApp does not let this company write to the customer’s country."),
        _("Nothing was sent. Use another channel; an administrator must look at Meta’s settings."),
        Action.OPERATOR,
    ),
    131030: Explanation(
        _("This is a test number, and the customer is not on its list."),
        _("Nothing was sent. An administrator must add them at Meta or use a real number."),
        Action.OPERATOR,
    ),
    131063: Explanation(
        _("Marketing templates are switched off for this account."),
        _("Nothing was sent. An administrator must switch them on at Meta."),
        Action.OPERATOR,
    ),
    131064: Explanation(
        _("WhatsApp limits the account because its templates are in the wrong category."),
        _("Nothing was sent. An administrator must correct the categories at Meta."),
        Action.OPERATOR,
    ),
    132068: Explanation(
        _("WhatsApp has blocked the form in this message."),
        _("Nothing was sent. An administrator must correct the form at Meta."),
        Action.OPERATOR,
    ),
    132069: Explanation(
        _("WhatsApp lets the form in this message go out ten times an hour at most."),
        _("It is tried again by itself after an hour. An administrator should look at the form."),
        Action.OPERATOR,
    ),
    **_each(MARKETING_API, (134100, 134101, 134102)),
    136024: Explanation(
        _("The number cannot be verified this way."),
        _("Nothing was sent. An administrator must verify it in another way at Meta."),
        Action.OPERATOR,
    ),
    **_each(USERNAME, range(147001, 147006)),
    **_each(TOO_FAST, (4, 80007)),
    130429: Explanation(
        _("More was sent than WhatsApp takes at once from this number."), TRIED_AGAIN, Action.RETRY
    ),
    131056: Explanation(
        _("Too many messages went to this customer in a short time."), TRIED_AGAIN, Action.RETRY
    ),
    131048: Explanation(
        _("WhatsApp holds the number back: too many customers blocked it or complained."),
        _(
            "It is tried again by itself after an hour. An administrator must stop bulk sending "
            "and look at the number’s quality at Meta."
        ),
        Action.OPERATOR,
    ),
    131057: Explanation(
        _("WhatsApp is just changing the account, which takes a minute."),
        TRIED_AGAIN,
        Action.RETRY,
    ),
    **_each(OUTAGE, (1, 2, 131000, 131016, 133004)),
    135000: Explanation(
        _("WhatsApp failed on this message without saying why."), TRIED_AGAIN, Action.RETRY
    ),
    **_each(BAD_CALL, (100, 131008, 131009, 131055)),
    **_each(TEMPLATE_VALUES, (132000, 132008, 132012, 132018)),
    132005: Explanation(
        _("The message template is too long with these values."),
        _("Nothing was sent. Shorten the values and send it again."),
        Action.BUG,
    ),
    131051: Explanation(_("WhatsApp does not support this kind of message."), REPORT, Action.BUG),
    130403: Explanation(
        _("The company has blocked this customer at WhatsApp."),
        _("Nothing was sent. Unblock the customer in the WhatsApp app to write to them."),
        Action.STOP,
    ),
    130472: Explanation(
        _("WhatsApp holds marketing messages back from this customer as part of an experiment."),
        _("Nothing was sent or charged. Wait until the customer writes."),
        Action.STOP,
    ),
    131021: Explanation(
        _("This is the company’s own number."),
        _("Nothing was sent. Write to another number."),
        Action.STOP,
    ),
    131026: Explanation(
        _(
            "WhatsApp cannot deliver to this customer: there is no WhatsApp at this number, it is "
            "too old, or the customer has blocked the company."
        ),
        _("Nothing arrived. Check the number, or reach the customer in another way."),
        Action.STOP,
    ),
    131047: Explanation(
        _("The customer last wrote more than 24 hours ago."),
        _("Nothing was sent. Send a message template, or wait for the customer to write."),
        Action.STOP,
    ),
    131049: Explanation(
        _("This customer has got as many marketing messages as WhatsApp allows for now."),
        _("Nothing was sent. Try again after a day at the earliest, or wait until they write."),
        Action.STOP,
    ),
    131050: Explanation(
        _("The customer has asked at WhatsApp not to receive offers."),
        _("Nothing was sent. Send no marketing to this customer any more."),
        Action.STOP,
    ),
    131052: Explanation(
        _("WhatsApp could not fetch the file that the customer sent."),
        _("Ask the customer to send it again."),
        Action.STOP,
    ),
    131053: Explanation(
        _("WhatsApp did not take the file: its type, content or size is not accepted."),
        _("Nothing was sent. Check the file, and send it in another format or smaller."),
        Action.STOP,
    ),
    131062: Explanation(
        _("This message needs the customer’s phone number, which WhatsApp hides."),
        _("Nothing was sent. Ask the customer for their number, or send another message."),
        Action.STOP,
    ),
    137000: Explanation(
        _("The customer’s account at WhatsApp has changed since the last message."),
        _("Nothing was sent. Wait until the customer writes."),
        Action.STOP,
    ),
}


def explain(code: str) -> Explanation | None:
    """What one of Meta's codes means; None for a code that we do not know."""
    number = errors.number_of(code)
    return None if number is None else SENTENCES.get(number)
