"""Message templates: Meta's list, submitting, deleting, and what the webhook says of them.

Meta's docs: "Message templates, management API" and the webhook references of
`message_template_status_update`, `…_quality_update`, `…_components_update` and
`template_category_update`. A template belongs to the WhatsApp Business Account (WABA).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from chatbot.channels import reading
from chatbot.channels.base import ListedTemplate, SendError, TemplateDraft
from chatbot.channels.http import Answer
from chatbot.channels.inbound import Inbound, TemplateNews
from chatbot.channels.whatsapp_cloud import sending
from chatbot.channels.whatsapp_cloud.identity import Json
from chatbot.channels.whatsapp_cloud.place import Place

FIELDS = (
    "id,name,language,status,category,components,quality_score,rejected_reason,"
    "parameter_format,previous_category"
)
PAGE = "100"
LONGEST_LIST = 60  # pages; an account may have 6,000 templates

# Meta's words for a status. One that is not here stops the template until we know better.
STATUSES = {
    "APPROVED": "approved",
    "PENDING": "pending",
    "REJECTED": "rejected",
    "PAUSED": "paused",
    "DISABLED": "disabled",
    "IN_APPEAL": "appeal",
    "PENDING_DELETION": "deleted",
    "DELETED": "deleted",
    "LIMIT_EXCEEDED": "disabled",
    "ARCHIVED": "disabled",
}
# Events that are no status of their own: the list says where the template stands.
_ASK = frozenset({"FLAGGED", "UNARCHIVED", "UNLOCKED"})
_PAUSES = {"FIRST_PAUSE": timedelta(hours=3), "SECOND_PAUSE": timedelta(hours=6)}
_NO_REASON = frozenset({"", "NONE"})
_GONE = frozenset({"2593002", "2388023"})  # subcodes: no such template, being deleted


def listed(get: Callable[[dict[str, str]], Answer]) -> list[ListedTemplate]:
    """All pages. A page that cannot be read fails the whole: a template that is missing from the
    list counts as deleted."""
    found: list[ListedTemplate] = []
    params = {"fields": FIELDS, "limit": PAGE}
    for _page in range(LONGEST_LIST):
        page = accepted(get(params))
        if not isinstance(page.get("data"), list):
            raise SendError("answer", "the list of templates cannot be read", retryable=True)
        found += filter(None, map(_listed, reading.mappings(page, "data")))
        paging = reading.mapping(page, "paging")
        after = reading.text(reading.mapping(paging, "cursors"), "after")
        if not after or not paging.get("next"):
            return found
        params = {**params, "after": after}
    raise SendError("answer", "the list of templates has no end", retryable=False)


def body(draft: TemplateDraft) -> Json:
    """What is submitted. Name and language of one that Meta knows are fixed."""
    changeable: Json = {"category": draft.category, "components": draft.components}
    if draft.provider_id:
        return changeable
    return {
        "name": draft.name,
        "language": draft.language,
        "parameter_format": draft.parameter_format,
        **changeable,
    }


def submitted(draft: TemplateDraft, answer: Answer) -> ListedTemplate:
    """What Meta made of it. An edit is answered with `success` alone: it is examined again."""
    found = accepted(answer)
    return ListedTemplate(
        provider_id=reading.words(found, "id") or draft.provider_id,
        name=draft.name,
        language=draft.language,
        status=status_of(reading.text(found, "status") or "PENDING"),
        category=(reading.text(found, "category") or draft.category).upper(),
        components=draft.components,
        parameter_format=draft.parameter_format,
    )


def deleted(answer: Answer) -> None:
    error = reading.mapping(reading.as_mapping(answer.json()), "error")
    if reading.words(error, "error_subcode") not in _GONE:
        accepted(answer)


def accepted(answer: Answer) -> Json:
    """As for a message, with the sentence that Meta means for people where there is one."""
    try:
        return sending.accepted(answer)
    except SendError as failure:
        error = reading.mapping(reading.as_mapping(answer.json()), "error")
        names = ("error_user_title", "error_user_msg")
        told = ". ".join(filter(None, ((reading.text(error, name) or "") for name in names)))
        failure.detail = told[:500] or failure.detail
        raise


def status_of(word: str) -> str:
    return STATUSES.get(word.upper(), "disabled")


def _listed(item: Json) -> ListedTemplate | None:
    provider_id, name = reading.words(item, "id"), reading.text(item, "name")
    language = reading.text(item, "language")
    if not provider_id or not name or not language:
        return None
    word = reading.text(item, "status") or ""
    reason = reading.text(item, "rejected_reason") or ""
    return ListedTemplate(
        provider_id=provider_id,
        name=name,
        language=language,
        status=status_of(word),
        category=(reading.text(item, "category") or "").upper(),
        components=reading.mappings(item, "components"),
        parameter_format=(reading.text(item, "parameter_format") or "POSITIONAL").upper(),
        quality=(reading.text(reading.mapping(item, "quality_score"), "score") or "").upper(),
        previous_category=(reading.text(item, "previous_category") or "").upper(),
        reason=_reason(reason, word),
    )


def _reason(reason: str, word: str) -> str:
    if reason.upper() not in _NO_REASON:
        return reason
    return "" if word.upper() in STATUSES else word


# --- The webhook -------------------------------------------------------------------------------


def news(place: Place) -> Iterator[Inbound]:
    """One change is about one template."""
    reader = _READERS[place.field]
    value, told_at = place.value, reading.time(place.entry, "time")
    names = ("message_template_name", "message_template_language", "reason")
    yield TemplateNews(
        place.account,
        None,
        raw=place.body(value),
        field_name=place.field,
        code=reading.words(value, "event"),
        detail=" ".join(filter(None, (reading.words(value, name) for name in names))),
        business=place.business,
        template_id=reading.words(value, "message_template_id"),
        name=reading.text(value, "message_template_name") or "",
        language=reading.text(value, "message_template_language") or "",
        told_at=told_at,
        **reader(value, told_at),
    )


def _status(value: Json, at: datetime | None) -> dict[str, Any]:
    event = (reading.text(value, "event") or "").upper()
    if event in _ASK or not event:
        return {"must_ask": True}
    if event == "REINSTATED":
        event = "APPROVED"
    pause = _PAUSES.get(reading.text(reading.mapping(value, "other_info"), "title") or "")
    reason = reading.text(value, "reason") or ""
    explained = reading.text(reading.mapping(value, "rejection_info"), "reason")
    return {
        "status": status_of(event),
        "must_ask": event not in STATUSES,
        "reason": (explained or _reason(reason, event))[:300],
        "category": (reading.text(value, "message_template_category") or "").upper(),
        "paused_until": at + pause if at and pause and event == "PAUSED" else None,
    }


def _quality(value: Json, _at: datetime | None) -> dict[str, Any]:
    return {"quality": (reading.text(value, "new_quality_score") or "").upper()}


def _components(_value: Json, _at: datetime | None) -> dict[str, Any]:
    """It tells some of the texts; the list has all of it, with examples."""
    return {"must_ask": True}


def _category(value: Json, _at: datetime | None) -> dict[str, Any]:
    """With `correct_category` the change is only announced: `new_category` is the present one."""
    return {
        "category": (reading.text(value, "new_category") or "").upper(),
        "previous_category": (reading.text(value, "previous_category") or "").upper(),
    }


_READERS: dict[str, Callable[[Json, datetime | None], dict[str, Any]]] = {
    "message_template_status_update": _status,
    "message_template_quality_update": _quality,
    "message_template_components_update": _components,
    "template_category_update": _category,
}
NEWS = tuple(_READERS)
