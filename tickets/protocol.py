"""The number that the customer is told: AAAAMMDD-NNNN, without gaps within a day."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

# One statement on both databases, so that two openings at once never read the same number.
NEXT_NUMBER = """
    INSERT INTO tickets_protocolcounter (day, n) VALUES (%s, 1)
    ON CONFLICT (day) DO UPDATE SET n = tickets_protocolcounter.n + 1
    RETURNING n
"""


def next_protocol(at: datetime) -> str:
    """Take the next number of the day. The counter's row stays locked until the transaction ends:
    nothing that is not locked yet may be locked after this.
    """
    day = at.astimezone(ZoneInfo(settings.TIME_ZONE)).date()
    with connection.cursor() as cursor:
        cursor.execute(NEXT_NUMBER, [day.isoformat()])
        (number,) = cursor.fetchone()
    return f"{day:%Y%m%d}-{number:04d}"
