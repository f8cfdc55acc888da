"""When a silent customer is warned, and when their session is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from chatbot.documents import document_of
from sessions_app.models import Owner, Session


@dataclass(frozen=True)
class IdleRule:
    """After how long a silent customer is warned (None: not at all) and the session ends."""

    warn_after: timedelta | None
    end_after: timedelta
    warning_text: str = ""
    end_text: str = ""

    @property
    def grace(self) -> timedelta:
        """From the warning to the end."""
        return self.end_after - (self.warn_after or timedelta())


def idle_rule(session: Session) -> IdleRule:
    """The channel's limit, else the running flow's, else the site's."""
    version_id = session.flow_state.get("version")
    minutes = session.channel.idle_minutes
    if version_id is None:
        return IdleRule(None, timedelta(minutes=minutes or settings.SESSION_IDLE_MINUTES))
    idle = document_of(version_id).idle
    end_after = timedelta(minutes=minutes or idle.minutes or settings.SESSION_IDLE_MINUTES)
    warn_after = end_after - timedelta(minutes=idle.warning_minutes)
    has_warning = idle.warning_text.strip() and idle.warning_minutes and warn_after > timedelta()
    return IdleRule(
        warn_after if has_warning else None, end_after, idle.warning_text, idle.end_text
    )


def next_idle_action(session: Session, *, since: datetime) -> datetime | None:
    """When the bot next warns of silence or ends the session; None while it waits for no customer.

    The time counts from `since`, when the bot last had its say: a message that reached us late must
    not be answered and ended in one breath.
    """
    if session.owner != Owner.BOT or session.last_interaction_at is None:
        return None
    if session.flow_state.get("awaiting"):
        return None
    rule = idle_rule(session)
    if session.idle_warned_at is not None:
        return since + rule.grace
    return since + (rule.end_after if rule.warn_after is None else rule.warn_after)


def is_over(session: Session, at: datetime) -> bool:
    """Has the customer been silent for longer than the limit, with the bot waiting for them?"""
    due = session.idle_due_at
    if session.owner != Owner.BOT or due is None:
        return False
    rule = idle_rule(session)
    has_grace = session.idle_warned_at is None and rule.warn_after is not None
    return at > (due + rule.grace if has_grace else due)


def is_to_be_warned(session: Session, now: datetime) -> bool:
    """Is the next idle action of the session a warning (else its end)?"""
    has_warning = session.idle_warned_at is None and idle_rule(session).warn_after is not None
    return has_warning and session.window_is_open(now)
