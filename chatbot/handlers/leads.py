"""What a flow may ask about the lead."""

from __future__ import annotations

from typing import Annotated, Literal

from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel, ConfigDict, Field

from chatbot.handlers.registry import HandlerCall, HandlerResult, handler

LeadField = Literal["name", "email", "phone", "company", "need"]


class LeadSummary(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    wanted: Annotated[tuple[LeadField, ...], Field(min_length=1)] = ("name", "email", "need")


@handler(
    "lead_summary",
    label=_("What is known of the lead"),
    args=LeadSummary,
    routes=("ok", "incomplete"),
    outputs=(
        "known_name",
        "known_email",
        "known_phone",
        "known_company",
        "known_need",
        "missing",
    ),
)
def lead_summary(call: HandlerCall[LeadSummary]) -> HandlerResult:
    """Give the wanted fields that are known, so that a flow does not ask a second time.

    Leaves by "incomplete" when one of them is not; `missing` names the first of those.
    """
    known = {name: getattr(call.lead, name) for name in call.args.wanted}
    values = {f"known_{name}": value for name, value in known.items() if value}
    missing = next((name for name, value in known.items() if not value), "")
    return HandlerResult("incomplete" if missing else "ok", {**values, "missing": missing})
