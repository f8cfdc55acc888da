"""The only writers of a session's owner and end; what moves its times forward.

Locks are taken in the order session, ticket, lead, counter: a session is locked before anything
that hangs on it. What takes a session runs in the transaction in which the caller locked it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from leads.models import Identity, Lead
from leads.services import AddressLike, having, told
from sessions_app.models import Channel, EndReason, Owner, Session, SessionQuerySet
from users import audit
from users.errors import DomainError
from users.frozen import Frozen

PREVIEW_LENGTH = 160
RACES = 3  # how often a live session may end between our insert and our read before we give up


class SessionConflict(DomainError):
    """The session is not any more as the caller saw it: ended, or with another owner."""

    code = "session_conflict"


def lock_session(pk: int) -> Session:
    """The session, locked until the transaction ends. Its lead, channel and identity are read when
    they are asked for, hence after the lock: a join would show them as they were before a wait."""
    session: Session | None = _BY_KEY.first(pk=pk)
    if session is None:
        raise Session.DoesNotExist
    return session


def lock_live_session(*, lead_id: int, channel_id: int) -> Session | None:
    """The live session of this lead on this channel, locked; None when there is none."""
    return _locked().live().filter(lead_id=lead_id, channel_id=channel_id).first()


def lock_live_sessions_of(addresses: Iterable[AddressLike], *, channel_id: int) -> list[Session]:
    """The live sessions on this channel of whoever has one of these addresses, locked in the order
    of their ids, in one statement: usually one or none."""
    values = told(addresses)
    return _LIVE_OF.all(len(values), channel=channel_id, **values)


def lock_sessions_of(leads: Iterable[Lead]) -> list[Session]:
    """Every session of these leads, live or ended, locked in id order."""
    return list(_locked().filter(lead__in=leads).order_by("pk"))


@transaction.atomic
def open_session(
    *, lead: Lead, channel: Channel, identity: Identity | None, at: datetime
) -> Session:
    """The live session of this lead on this channel, made when there is none; locked either way.

    Of two that insert at once one wins, the other waits for it and reads the winner's.
    """
    for attempt in range(1, RACES + 1):
        session = lock_live_session(lead_id=lead.pk, channel_id=channel.pk)
        if session is not None:
            return session
        try:
            with transaction.atomic():
                return _insert_session(lead=lead, channel=channel, identity=identity, at=at)
        except IntegrityError:
            if attempt == RACES:
                raise
    raise AssertionError("unreachable")


def hand_over(session: Session, *, to: Owner, at: datetime) -> Session:
    """Make `to` the one who may speak. The one function that changes the owner of a session.

    The caller holds the row lock. `epoch` rises exactly when the speaker changes between bot and
    people, which kills the flow run and silences what the bot had queued. Nothing happens when
    `to` is already the owner.
    """
    if session.owner == to and session.is_live:
        return session
    is_other_speaker = (session.owner == Owner.BOT) != (to == Owner.BOT)
    epoch = session.epoch + 1 if is_other_speaker else session.epoch
    values: dict[str, Any] = {
        "owner": to,
        "epoch": epoch,
        "owner_since": at,
        "idle_due_at": None,
        "idle_warned_at": None,
    }
    if to == Owner.BOT:
        values["unread"] = 0
    _update_unchanged(session, values)
    return session


def end_session(session: Session, *, reason: EndReason, at: datetime) -> Session:
    """End a session that is with the bot; one that has ended stays as it is.

    With people it is their ticket that ends it (`tickets.services.close_ticket`).
    """
    if not session.is_live:
        return session
    if session.owner != Owner.BOT:
        raise SessionConflict(
            _("This conversation is with the team. Resolve or close its ticket instead."),
            code="session_with_people",
        )
    try:
        _update_unchanged(session, {"ended_at": at, "end_reason": reason})
    except SessionConflict:
        session.refresh_from_db()
        if session.is_live:
            raise
    return session


@transaction.atomic
def close_session(session_id: int, *, at: datetime) -> Session:
    """A person ends a conversation that is with the bot."""
    return end_session(lock_session(session_id), reason=EndReason.CLOSED, at=at)


@transaction.atomic
def make_default(channel: Channel) -> Channel:
    """From now on this channel answers at /webhook, and no other."""
    for older in Channel.objects.filter(is_default=True).exclude(pk=channel.pk):
        older.is_default = False
        older.save(update_fields=["is_default"])
    channel.is_default = True
    channel.save(update_fields=["is_default"])
    return channel


def resume_sending(channel: Channel) -> bool:
    """Take the pause off; False when there was none. What the pause was for may put it on again."""
    paused = Channel.objects.filter(pk=channel.pk, paused_until__isnull=False)
    if not paused.update(paused_until=None, pause_reason=""):
        return False
    audit.changed(channel, {"paused_until": channel.paused_until}, {"paused_until": None})
    return True


def forget_previous_secret(channel: Channel) -> bool:
    """A replaced app secret is not valid any more; False when there was none."""
    credentials = {
        name: text for name, text in channel.credentials.items() if name != "previous_app_secret"
    }
    if credentials == channel.credentials:
        return False
    channel.credentials = credentials
    channel.save(update_fields=["credentials"])
    return True


def note_inbound(  # noqa: PLR0913  # keyword-only
    session: Session,
    *,
    at_provider: datetime,
    now: datetime,
    preview: str,
    identity: Identity | None,
    window_hours: int | None,
) -> list[str]:
    """Count in a message of the customer, in memory; returns the fields to save.

    `window_hours` is how long the channel then allows free text, None where there is no such rule.
    """
    changed = touch_window(session, at_provider=at_provider, now=now, window_hours=window_hours)
    if identity is not None:
        session.identity = identity
    if session.owner != Owner.BOT:
        session.unread += 1
    session.idle_warned_at = None
    return [
        *changed,
        *_set_last_message(session, at=now, preview=preview),
        "identity",
        "unread",
        "idle_warned_at",
    ]


def note_outbound(
    session: Session, *, at: datetime, preview: str, by_person: bool = False
) -> list[str]:
    """Count in a message of ours, in memory; returns the fields to save.

    A person's answer (`by_person`) also means that somebody has read what the customer wrote.
    """
    changed = _set_last_message(session, at=at, preview=preview)
    if by_person:
        session.unread = 0
        changed.append("unread")
    return changed


def touch_window(
    session: Session, *, at_provider: datetime, now: datetime, window_hours: int | None
) -> list[str]:
    """Move the customer's last sign of life and the service window forward, in memory.

    Never back (a late delivery), and never past what the provider can know now (its clock may be
    ahead). Returns the fields to save.
    """
    at = min(at_provider, now)
    session.last_interaction_at = _later(session.last_interaction_at, at)
    if window_hours is None:
        return ["last_interaction_at"]
    session.window_expires_at = _later(
        session.window_expires_at, at + timedelta(hours=window_hours)
    )
    return ["last_interaction_at", "window_expires_at"]


def take_times_of(session: Session, other: Session) -> list[str]:
    """Let `session` count what was written in `other`, in memory; returns the fields to save."""
    names = ["last_interaction_at", "window_expires_at"]
    for name in names:
        theirs = getattr(other, name)
        if theirs is not None:
            setattr(session, name, _later(getattr(session, name), theirs))
    return names


def cut_preview(text: str) -> str:
    """One line of a message for lists."""
    return Truncator(" ".join(text.split())).chars(PREVIEW_LENGTH)


def _locked() -> SessionQuerySet:
    return Session.objects.select_for_update(no_key=True, of=("self",))


_BY_KEY = Frozen(lambda _shape, pk: _locked().filter(pk=pk))
_LIVE_OF = Frozen(
    lambda _count, channel, **values: (
        _locked()
        .live()
        .filter(lead__in=Identity.objects.filter(having(values)).values("lead"), channel_id=channel)
        .order_by("id")
    )
)


def _insert_session(
    *, lead: Lead, channel: Channel, identity: Identity | None, at: datetime
) -> Session:
    return Session.objects.create(
        lead=lead,
        channel=channel,
        identity=identity,
        started_at=at,
        owner_since=at,
        window_expires_at=_window_of_earlier(lead, channel),
        is_simulated=channel.is_simulator,
    )


def _window_of_earlier(lead: Lead, channel: Channel) -> datetime | None:
    """The service window belongs to lead and channel: a new session goes on with it."""
    earlier = Session.objects.filter(lead=lead, channel=channel).order_by("-id")
    return earlier.values_list("window_expires_at", flat=True).first()


def _update_unchanged(session: Session, values: dict[str, Any]) -> None:
    """Write `values` if the row still is as the instance says; the instance follows."""
    unchanged = Session.objects.live().filter(
        pk=session.pk, owner=session.owner, epoch=session.epoch
    )
    if unchanged.update(**values) != 1:
        raise SessionConflict(
            _("The conversation has changed in the meantime. Look at it again and repeat.")
        )
    for name, value in values.items():
        setattr(session, name, value)


def _set_last_message(session: Session, *, at: datetime, preview: str) -> list[str]:
    session.last_message_at = _later(session.last_message_at, at)
    session.last_message_preview = cut_preview(preview)
    return ["last_message_at", "last_message_preview"]


def _later(known: datetime | None, new: datetime) -> datetime:
    return new if known is None else max(known, new)
