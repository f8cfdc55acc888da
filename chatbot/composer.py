"""What stands under a conversation: the boxes for a reply and for a note, and what they offer.

Drafts, canned responses, colleagues to mention, the service window's time. What is sent goes
through `conversation.send_reply`; what is noted, through the tickets' services.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from chatbot.channels import transport_class
from chatbot.engine.render import flatten, placeholders, render
from chatbot.template_picker import picker
from sessions_app.models import LONGEST_WINDOW, WINDOW_MARGIN, Session
from sessions_app.services import lock_session
from tickets.models import CannedResponse, Draft, DraftKind, InternalNote, Ticket
from tickets.services import add_note
from users import contact
from users.frozen import Frozen
from users.masking import hidden_names
from users.models import User

CANNED_OFFERED = 200
PEOPLE_OFFERED = 100
LONGEST_DRAFT = 8000
SAME_NOTE = timedelta(minutes=1)  # the same words again within it are a second click
OPEN, CLOSED, ENDED = "open", "closed", "ended"


# --- How things stand --------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """The service window: until when free text is taken, and how much of it is left."""

    state: str
    until: datetime | None
    percent: int = 100
    minutes: int | None = None

    @property
    def level(self) -> str:
        """How urgent an answer is: "", "warn" under four hours, "danger" under thirty minutes."""
        if self.minutes is None or self.state != OPEN:
            return ""
        return "danger" if self.minutes < 30 else "warn" if self.minutes < 240 else ""  # noqa: PLR2004  # minutes

    @property
    def clock(self) -> str:
        """What is left, or how long ago it closed."""
        minutes = abs(self.minutes or 0)
        if minutes < 60:  # noqa: PLR2004  # minutes
            return _("%(minutes)d min") % {"minutes": minutes}
        about = {"hours": minutes // 60, "minutes": minutes % 60}
        return _("%(hours)d h %(minutes)d min") % about


def window_of(session: Session, now: datetime) -> Window:
    if not session.is_live:
        return Window(ENDED, None)
    if session.window_expires_at is None:
        return Window(OPEN, None)
    until = session.window_expires_at - WINDOW_MARGIN
    left = until - now
    percent = min(100, max(0, round(left / timedelta(hours=LONGEST_WINDOW) * 100)))
    state = OPEN if session.window_is_open(now) else CLOSED
    return Window(state, until, percent, int(left.total_seconds() // 60))


def standing(session: Session, now: datetime) -> str:
    """Changes when the composer of an open page has to: the window, who speaks, who has it.
    `session` is one of `transcript.watched_by`."""
    assignee = session.assignee_id or 0  # type: ignore[attr-defined]  # annotated
    return f"{window_of(session, now).state}-{session.owner}-{assignee}"


def assignee_of(session: Session) -> User | None:
    """Who has the open ticket of one of `transcript.watched_by`."""
    pk = session.assignee_id  # type: ignore[attr-defined]  # annotated
    return _PERSON.first(pk=pk) if pk else None


_PERSON = Frozen(lambda _shape, pk: User.objects.filter(pk=pk))


# --- Drafts ------------------------------------------------------------------------------------


def drafts_of(ticket: Ticket | None, user: User) -> dict[str, str]:
    """What this person has begun to write in the ticket, by kind."""
    if ticket is None:
        return {}
    return dict(_DRAFTS.all(ticket=ticket.pk, user=user.pk))


_DRAFTS = Frozen(
    lambda _shape, ticket, user: Draft.objects.filter(ticket=ticket, user=user).values_list(
        "kind", "text"
    )
)


def keep_draft(ticket: Ticket, user: User, kind: DraftKind, text: str) -> bool:
    """Keep what is being written, in place of what was; an empty text forgets it. The last writer
    wins. False: the text is longer than is kept."""
    if len(text) > LONGEST_DRAFT:
        return False
    if text.strip():
        values = {"text": text}
        Draft.objects.update_or_create(ticket=ticket, user=user, kind=kind, defaults=values)
    else:
        forget_draft(ticket, user, kind)
    return True


def forget_draft(ticket: Ticket, user: User, kind: DraftKind) -> None:
    Draft.objects.filter(ticket=ticket, user=user, kind=kind).delete()


# --- Notes -------------------------------------------------------------------------------------


@transaction.atomic
def write_note(ticket: Ticket, *, author: User, text: str) -> InternalNote:
    """A note of the ticket's page. The same words of the same author a moment later are a second
    click: the first note."""
    session = lock_session(ticket.session_id)
    since = timezone.now() - SAME_NOTE
    same = InternalNote.objects.filter(ticket=ticket, author=author, text=text.strip())
    already = same.filter(created_at__gte=since).first()
    if already is not None:
        return already
    return add_note(ticket, author=author, text=text, session=session)


def people_of(ticket: Ticket, user: User) -> list[User]:
    """Colleagues known to `user` who can see the ticket, other than `user`."""
    members = Q(departments=ticket.department_id)
    sees = Q(pk=ticket.assignee_id) | Q(pk__in=User.objects.admins().values("pk"))
    sees |= Q(supervised_departments=ticket.department_id)
    if ticket.assignee_id is None or ticket.department.shares_tickets:
        sees |= members
    found = User.objects.visible_to(user).active().filter(sees).exclude(pk=user.pk).distinct()
    return list(found.order_by("first_name", "last_name", "username")[:PEOPLE_OFFERED])


# --- Canned responses --------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """A canned response with its variables filled in. `missing`: names nothing is known for; their
    placeholders stay in the text, for the attendant to replace."""

    pk: int
    shortcut: str
    title: str
    text: str
    department: str
    missing: tuple[str, ...]

    @cached_property
    def found_by(self) -> str:
        return " ".join((self.shortcut, self.title, self.text)).casefold()


def canned_for(session: Session, ticket: Ticket | None, user: User) -> list[Ready]:
    """What this person may use here, ready to be sent."""
    rows = CannedResponse.objects.visible_to(user).active().select_related("department")
    values = values_for(session, ticket, user)
    return [_ready(row, values) for row in rows.order_by("shortcut")[:CANNED_OFFERED]]


def values_for(session: Session, ticket: Ticket | None, user: User) -> dict[str, str]:
    """What a canned response may name: the person, the attendant, the ticket, and what the bot
    collected except for what the ticket's page masks."""
    lead = session.lead
    # A hidden value stays a placeholder: what is filled in stands before the attendant's eyes.
    of_lead = {contact.PHONE: lead.phone, contact.EMAIL: lead.email}
    shown = {name: "" if contact.hides(name) else value for name, value in of_lead.items()}
    known: dict[str, Any] = {
        "nome": next(iter(lead.name.split()), ""),
        "nome_completo": lead.name,
        "telefone": shown["phone"],
        "email": shown["email"],
        "atendente": user.signature or user.first_name or str(user),
        "protocolo": ticket.protocol if ticket else "",
        "departamento": ticket.department.name if ticket else "",
        "canal": session.channel.name,
    }
    facts = {"lead": {"name": lead.name, **shown}}
    return {
        name: value
        for name, value in flatten({**_collected(ticket), **known}, facts).items()
        if value
    }


def _collected(ticket: Ticket | None) -> Mapping[str, Any]:
    if ticket is None:
        return {}
    options = ticket.handoff.get("options", {})
    hidden = hidden_names({**options, **ticket.variables}, ticket.handoff.get("sensitive", ()))
    known = {**ticket.variables, **options}
    return {name: one for name, one in known.items() if name not in hidden}


def _ready(row: CannedResponse, values: Mapping[str, str]) -> Ready:
    named = dict(placeholders(row.text))
    missing = [
        name for name, has_default in named.items() if not has_default and name not in values
    ]
    kept = {name: f"{{{{ {name} }}}}" for name in missing}
    return Ready(
        pk=row.pk,
        shortcut=row.shortcut,
        title=row.title,
        text=render(row.text, {**values, **kept}),
        department=row.department.name if row.department else "",
        missing=tuple(missing),
    )


# --- The boxes ---------------------------------------------------------------------------------


def box_of(  # noqa: PLR0913  # keyword-only
    session: Session,
    user: User,
    *,
    with_templates: bool = False,
    chosen: str = "",
    values: Mapping[str, str] | None = None,
    at: datetime,
) -> dict[str, Any]:
    """What the box to answer in shows: a text field while the window is open, else, or when asked
    for, the message templates (`chosen` is the picked one's id, `values` what was typed)."""
    window = window_of(session, at)
    takes_text = window.state == OPEN and not with_templates
    return {
        "session": session,
        "may_reply": True,
        "window": window,
        "is_text_taken": takes_text,
        "picker": None if takes_text else picker(session, chosen=chosen, values=values, at=at),
        "may_return": window.state == OPEN,
        "client_id": uuid4(),
        "file_rules": file_rules(session),
        "signature": user.signature,
    }


def ticket_of(session: Session, user: User) -> Ticket | None:
    """The open ticket of the session, if this person sees it."""
    mine = Ticket.objects.visible_to(user).open().select_related("department", "assignee")
    return mine.filter(session=session).first()


def file_rules(session: Session) -> str:
    """What the channel takes, as JSON for the page: kind, types (null: any), largest bytes."""
    rules = transport_class(session.channel.kind).capabilities.files
    # A WebP is a picture to most people; a sticker is sent on purpose only.
    told = [
        {
            "kind": rule.kind,
            "types": sorted(rule.types) if rule.types else None,
            "most": rule.largest,
        }
        for rule in rules
        if rule.kind != "sticker"
    ]
    return json.dumps(told)


def signed(text: str, user: User) -> str:
    """The text under the name that this person shows to customers."""
    return f"*{user.signature}:*\n{text}" if user.signature and text.strip() else text
