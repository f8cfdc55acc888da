"""Everything that is kept about one person, as LGPD lets them ask for it: plain data, no files."""

from __future__ import annotations

from typing import Any

from chatbot.models import Media, MessageLog
from leads.models import Lead
from sessions_app.models import Session
from tickets.models import InternalNote, Ticket

LEAD = (
    *("id", "name", "email", "phone", "document", "company", "need", "status", "source"),
    *("attributes", "referral", "opted_out_at", "created_at", "updated_at"),
)
IDENTITY = ("scheme", "address", "created_at")
CONSENT = ("purpose", "is_granted", "text", "origin", "recorded_at")
STATUS_CHANGE = ("from_status", "to_status", "reason", "created_at")
NOTE = ("text", "created_at")
SESSION = ("id", "channel__name", "started_at", "ended_at", "end_reason", "context")
TICKET = (
    *("protocol", "session_id", "department__name", "status", "priority", "subject"),
    *("variables", "outcome", "resolution_note", "rating", "rating_comment", "rated_at"),
    *("created_at", "resolved_at", "closed_at"),
)
MESSAGE = (
    *("session_id", "direction", "author", "kind", "text", "status", "created_at"),
    *("edited_at", "revoked_at", "reaction"),
)
FILE = ("message__session_id", "filename", "mime_type", "size", "sha256")


def everything_about(lead: Lead) -> dict[str, Any]:
    sessions = Session.objects.filter(lead=lead).order_by("pk")
    tickets = Ticket.objects.filter(lead=lead).order_by("pk")
    messages = MessageLog.objects.filter(session__lead=lead).order_by("session_id", "pk")
    files = Media.objects.filter(message__session__lead=lead).order_by("pk")
    notes = InternalNote.objects.filter(ticket__lead=lead).order_by("pk")
    return {
        "lead": Lead.objects.values(*LEAD).get(pk=lead.pk),
        "tags": [tag.name for tag in lead.tags.all()],
        "addresses": list(lead.identities.order_by("pk").values(*IDENTITY)),
        "consents": list(lead.consents.order_by("pk").values(*CONSENT)),
        "stages": list(lead.status_changes.order_by("pk").values(*STATUS_CHANGE)),
        "notes": list(lead.notes.order_by("pk").values(*NOTE)),
        "conversations": list(sessions.values(*SESSION)),
        "tickets": list(tickets.values(*TICKET)),
        "internal_notes": list(notes.values("ticket__protocol", *NOTE)),
        "messages": list(messages.values(*MESSAGE)),
        "files": list(files.values(*FILE)),
    }
