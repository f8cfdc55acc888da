"""What kind of trouble a database has."""

from __future__ import annotations

QUERY_CANCELED = "57014"
TRANSIENT = frozenset({"40001", "40P01"})  # serialisation failure, deadlock: tried again at once


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of a database error; "" for any other."""
    return getattr(error.__cause__, "sqlstate", None) or ""


def is_transient(error: BaseException) -> bool:
    """Did the database fail this to get out of a conflict? Done again, the same work succeeds."""
    return sqlstate(error) in TRANSIENT
