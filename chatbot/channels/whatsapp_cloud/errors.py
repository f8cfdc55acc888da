"""What each error code means for the message and for the channel.

Meta's docs: "Cloud API, error codes". The same code may come in the answer to a send or later in a
`failed` status; HTTP status and title decide nothing, throttling is HTTP 400. Codes are listed by
what is to be done; a code that is not listed fails its message, unless the answer calls it
transient or is a 5xx with Graph's JSON error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from chatbot.channels.base import Meaning, SendError


@dataclass(frozen=True)
class Rule:
    """See SendError, whose words these are."""

    retryable: bool = False
    retry_after: float | None = None
    scope: str = "message"
    is_stop: bool = False
    needs_operator: bool = False
    growth: float = 2.0
    max_tries: int = 5
    meaning: Meaning | None = None


FAIL = Rule()
FAIL_CUSTOMER = Rule(meaning=Meaning.CUSTOMER)
FAIL_AND_TELL = Rule(needs_operator=True)
RETRY = Rule(retryable=True, retry_after=1)
OUTAGE = replace(RETRY, meaning=Meaning.OUTAGE)
STOP_ACCOUNT = Rule(scope="account", is_stop=True, meaning=Meaning.ACCOUNT)
STOP_TOKEN = replace(STOP_ACCOUNT, meaning=Meaning.TOKEN)
STOP_PAYMENT = replace(STOP_ACCOUNT, meaning=Meaning.PAYMENT)
STOP_NUMBER = Rule(scope="number", is_stop=True, meaning=Meaning.NUMBER)
STOP_TEMPLATE = Rule(scope="template", is_stop=True, meaning=Meaning.TEMPLATE)
SLOW_ACCOUNT = Rule(retryable=True, retry_after=60, scope="account", meaning=Meaning.THROTTLE)


def _each(rule: Rule, codes: Iterable[int]) -> dict[int, Rule]:
    return dict.fromkeys(codes, rule)


RULES: dict[int, Rule] = {
    # Token, permission, policy, payment: a person must act before anything goes.
    **_each(STOP_TOKEN, (0, 3, 10, 104, 190, 131005, *range(200, 300))),
    **_each(STOP_ACCOUNT, (368, 131031)),
    **_each(STOP_PAYMENT, (131042, 131044, 134011)),
    # The number: deleted, not registered, its name not approved, its PIN wrong.
    **_each(STOP_NUMBER, (33, 131037, 131045, 133000, 133005, 133006, 133008, 133009)),
    **_each(STOP_NUMBER, (133010, 133015, 133016)),
    # The message template: against policy, paused, disabled.
    **_each(STOP_TEMPLATE, (132007, 132015, 132016)),
    # This message only, and a person should know: setup, or country not allowed.
    **_each(FAIL_AND_TELL, (130497, 131030, 131063, 131064, 132001, 132068, 136024)),
    **_each(FAIL_AND_TELL, (134100, 134101, 134102, *range(147001, 147006))),
    # Too fast. 4 and 80007 concern the account, 130429 the number, 131056 this customer only.
    **_each(SLOW_ACCOUNT, (4, 80007)),
    130429: Rule(retryable=True, retry_after=2, scope="number", meaning=Meaning.THROTTLE),
    131048: Rule(
        retryable=True,
        retry_after=3600,
        scope="number",
        needs_operator=True,
        max_tries=2,
        meaning=Meaning.SPAM,
    ),
    131056: Rule(retryable=True, retry_after=1, scope="pair", growth=4, meaning=Meaning.THROTTLE),
    132069: Rule(retryable=True, retry_after=3600, needs_operator=True, max_tries=3),
    # Passing trouble on Meta's side.
    1: replace(RETRY, max_tries=3),
    2: replace(OUTAGE, retry_after=4, max_tries=7),
    131000: replace(OUTAGE, max_tries=3),
    131016: replace(OUTAGE, retry_after=4, max_tries=7),
    131057: Rule(retryable=True, retry_after=90, scope="number", growth=1),
    133004: OUTAGE,
    135000: replace(RETRY, max_tries=2),
    # Refused for good: our mistake, or the customer's side.
    131026: replace(FAIL, meaning=Meaning.UNREACHABLE),
    131050: replace(FAIL, meaning=Meaning.OPTED_OUT),
    **_each(FAIL_CUSTOMER, (130403, 130472, 131021, 131047, 131049, 131062)),
    **_each(FAIL, (100, 131008, 131009, 131051, 131052, 131053, 131055)),
    **_each(FAIL, (132000, 132005, 132008, 132012)),
    **_each(FAIL, (132018, 137000)),
}

_CODE = re.compile(r"[0-9]{1,9}")
MEDIA_UPLOAD_FAILED = 131053
_LINK_NOT_FETCHED = replace(RETRY, retry_after=5, max_tries=2)


def failure(
    code: str,
    detail: str = "",
    *,
    is_transient: bool = False,
    by_link: bool = False,
    retry_after: float | None = None,
) -> SendError:
    """The error for a Graph code. by_link: the message named its media by a link."""
    rule = _rule(code, is_transient=is_transient, by_link=by_link)
    return SendError(
        code,
        detail,
        retryable=rule.retryable,
        retry_after=rule.retry_after if retry_after is None else retry_after,
        scope=rule.scope,
        is_stop=rule.is_stop,
        needs_operator=rule.needs_operator,
        growth=rule.growth,
        max_tries=rule.max_tries,
        meaning=rule.meaning,
    )


def number_of(code: str) -> int | None:
    """Meta's codes are small numbers; None for anything else."""
    return int(code) if _CODE.fullmatch(code) else None


def _rule(code: str, *, is_transient: bool, by_link: bool) -> Rule:
    number = number_of(code)
    if number == MEDIA_UPLOAD_FAILED and by_link:
        return _LINK_NOT_FETCHED  # Meta could not fetch it: that may pass
    if number in RULES:
        return RULES[number]
    return OUTAGE if is_transient else FAIL
