"""Where logins are kept: in the database as Django does it, read by a statement written once.

The engine of `SESSION_ENGINE`; every request of a person begins here.
"""

from __future__ import annotations

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from users.frozen import Frozen

_LIVE = Frozen(lambda _shape, key, at: Session.objects.filter(session_key=key, expire_date__gt=at))


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        found: Session | None = _LIVE.first(key=self.session_key, at=timezone.now())
        if found is None:
            self._session_key = None
        return found
