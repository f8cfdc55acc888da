"""News and trouble of the account: fields whose changes name no conversation and mostly no number.

Meta's docs: "account_update", "account_alerts", "phone_number_quality_update" and "messages,
errors". An event that is not known is news without trouble: logged, never an error.
"""

from __future__ import annotations

from collections.abc import Iterator

from chatbot.channels import reading
from chatbot.channels.base import Meaning, SendError
from chatbot.channels.inbound import AccountNotice, Inbound
from chatbot.channels.whatsapp_cloud import contents, errors
from chatbot.channels.whatsapp_cloud.place import Place

QUALITY, BAN, RESTRICTION, VIOLATION, DISCONNECTED = (
    "quality",
    "ban",
    "restriction",
    "violation",
    "disconnected",
)
# What has an incident of its own.
_MENDED = frozenset({Meaning.TOKEN, Meaning.ACCOUNT, Meaning.PAYMENT, Meaning.NUMBER, Meaning.SPAM})
_BANNED = frozenset({"DISABLE", "SCHEDULE_FOR_DISABLE"})
_GONE = frozenset({"ACCOUNT_DELETED", "PARTNER_REMOVED", "ACCOUNT_OFFBOARDED"})
_DETAIL_LENGTH = 300


def account_errors(place: Place) -> Iterator[Inbound]:
    """`value.errors`: trouble of the number or the account, belonging to no conversation."""
    for original in reading.mappings(place.value, "errors"):
        error = contents.errors({"errors": [original]})[0]
        refusal = errors.failure(error["code"])
        yield AccountNotice(
            place.account,
            None,
            raw=place.raw("errors", original),
            field_name="errors",
            code=error["code"],
            detail=error["detail"] or error["title"],
            is_error=True,
            owner=reading.identifier(place.entry, "id"),
            trouble=_trouble(refusal),
            topic="" if refusal.meaning in _MENDED else f"error {error['code']}",
        )


def number_quality(place: Place) -> Iterator[Inbound]:
    """FLAGGED and DOWNGRADE are trouble; UNFLAGGED and UPGRADE take it back."""
    event = reading.words(place.value, "event")
    limit = reading.words(place.value, "current_limit")
    is_trouble = event in {"FLAGGED", "DOWNGRADE"}
    is_over = event in {"UNFLAGGED", "UPGRADE"}
    yield _notice(
        place,
        number=reading.words(place.value, "display_phone_number"),
        code=event,
        detail=limit,
        trouble="number" if is_trouble or is_over else "",
        topic=QUALITY,
        is_over=is_over,
    )


def account_update(place: Place) -> Iterator[Inbound]:
    """A ban, its end, a restriction, a violation, or an account that is no longer ours."""
    event = reading.words(place.value, "event")
    ban = reading.words(reading.mapping(place.value, "ban_info"), "waba_ban_state")
    violation = reading.words(reading.mapping(place.value, "violation_info"), "violation_type")
    restrictions = [
        reading.words(one, "restriction_type")
        for one in reading.mappings(place.value, "restriction_info")
    ]
    topic = _topic(event, ban, violation, restrictions)
    yield _notice(
        place,
        number=reading.words(place.value, "phone_number"),
        code=event,
        detail=" ".join(filter(None, (ban, violation, *restrictions))),
        trouble="account" if topic else "",
        topic=topic,
        is_over=ban == "REINSTATE",
    )


def account_alerts(place: Place) -> Iterator[Inbound]:
    """Meta's warnings, the same fields inside `alert_info` or beside it; only informational ones
    are no trouble."""
    alert = reading.mapping(place.value, "alert_info") or place.value
    severity = reading.words(alert, "alert_severity")
    kind = reading.words(alert, "alert_type")
    is_over = reading.words(alert, "alert_status") in {"RESOLVED", "INACTIVE"}
    is_trouble = bool(kind) and severity not in {"INFORMATIONAL", "INFO"}
    yield _notice(
        place,
        number="",
        code=kind,
        detail=reading.words(alert, "alert_description"),
        trouble="account" if is_trouble else "",
        topic=f"alert {kind}",
        is_over=is_over,
    )


def _topic(event: str, ban: str, violation: str, restrictions: list[str]) -> str:
    if ban in _BANNED or ban == "REINSTATE":
        return BAN
    if restrictions or event == "ACCOUNT_RESTRICTION":
        return RESTRICTION
    if violation or event == "ACCOUNT_VIOLATION":
        return VIOLATION
    return DISCONNECTED if event in _GONE else ""


def _trouble(refusal: SendError) -> str:
    """A code without a meaning of its own is still trouble of what it concerns."""
    if refusal.meaning is not None and refusal.meaning in _MENDED:
        return refusal.meaning
    return Meaning.NUMBER if refusal.scope == "number" else Meaning.ACCOUNT


def _notice(  # noqa: PLR0913  # keyword-only
    place: Place, *, number: str, code: str, detail: str, trouble: str, topic: str, is_over: bool
) -> AccountNotice:
    return AccountNotice(
        place.account,
        None,
        raw=place.body(place.value),
        field_name=place.field,
        code=code,
        detail=detail[:_DETAIL_LENGTH],
        owner=reading.identifier(place.entry, "id"),
        number=number,
        trouble=trouble,
        topic=topic,
        is_over=is_over,
    )
