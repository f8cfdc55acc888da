"""Who has a ticket's page open, and who is writing there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from tickets.models import Presence, Ticket
from tickets.workspace import STATE_COLUMNS, state_of
from users.frozen import Frozen
from users.models import User

# The page says every 15 seconds that it is there: two of these may get lost.
AWAY_AFTER = timedelta(seconds=40)
SILENT_AFTER = timedelta(seconds=20)
OVER_AFTER = timedelta(minutes=10)

_VISITOR = (
    "presences__user_id",
    "presences__user__first_name",
    "presences__user__last_name",
    "presences__user__username",
    "presences__seen_at",
    "presences__writing_at",
)


@dataclass(frozen=True)
class Visitor:
    user: User
    is_writing: bool


@dataclass(frozen=True)
class Scene:
    """Who else looks at a ticket, and the mark of how it stands (`workspace.state_of`)."""

    visitors: tuple[Visitor, ...]
    state: str

    @property
    def digest(self) -> str:
        shown = [(one.user.pk, one.is_writing) for one in self.visitors]
        return f"{crc32(repr(shown).encode()):x}"


def beat(ticket_id: int, user: User, *, is_writing: bool, at: datetime) -> Scene | None:
    """Say that `user` is here; who else is. None of a ticket that they may not see: nothing is
    written then. Two statements; of two beats at once one row remains."""
    scene = look(ticket_id, user, at=at)
    if scene is not None:
        Presence.objects.bulk_create(
            [
                Presence(
                    ticket_id=ticket_id,
                    user=user,
                    seen_at=at,
                    writing_at=at if is_writing else None,
                )
            ],
            update_conflicts=True,
            unique_fields=["ticket", "user"],
            update_fields=["seen_at", "writing_at"] if is_writing else ["seen_at"],
        )
    return scene


def look(ticket_id: int, user: User, *, at: datetime) -> Scene | None:
    """The ticket and its visitors in one statement."""
    found = _SCENE.all(user.is_admin, user=user, ticket=ticket_id)
    if not found:
        return None
    width = len(STATE_COLUMNS)
    visitors = (_visitor(row[width:], user, at) for row in found)
    return Scene(tuple(one for one in visitors if one is not None), state_of(found[0][:width]))


_SCENE = Frozen(
    lambda _is_admin, user, ticket: (
        Ticket.objects.visible_to(user)
        .filter(pk=ticket)
        .order_by("presences__pk")
        .values_list(*STATE_COLUMNS, *_VISITOR)
    )
)


def drop_old_presences(*, now: datetime) -> int:
    """Forget pages that were closed a while ago. Safe beside beats: these write the time anew."""
    deleted, _by_model = Presence.objects.filter(seen_at__lt=now - OVER_AFTER).delete()
    return deleted


def _visitor(row: Sequence[Any], user: User, at: datetime) -> Visitor | None:
    pk, first_name, last_name, username, seen_at, writing_at = row
    if pk is None or pk == user.pk or seen_at <= at - AWAY_AFTER:
        return None
    return Visitor(
        user=User(pk=pk, first_name=first_name, last_name=last_name, username=username),
        is_writing=writing_at is not None and writing_at > at - SILENT_AFTER,
    )
