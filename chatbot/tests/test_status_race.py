"""Two statuses of one message at the same time, of which the first makes its id known."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client

from chatbot.models import MessageLog, MessageStatus
from chatbot.tests import stage
from chatbot.tests.webhook import say, status


@pytest.mark.django_db
def test_a_status_counts_that_comes_while_another_makes_the_id_known():
    """Found by a soak: `read` looked for the id before `sent` had stored it, and for our own id
    afterwards, and was dropped."""
    session = stage.talk(stage.open_shop())
    (row,) = stage.queued(session, "Olá", status=MessageStatus.SENDING, attempts=1)
    looked = []

    def learn_meanwhile(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if not looked and "chatbot_messagelog" in sql and sql.startswith("SELECT"):
            looked.append(sql)
            MessageLog.objects.filter(pk=row.pk).update(
                provider_id="wamid.nosso1", status=MessageStatus.SENT
            )
        return result

    told = status("wamid.nosso1", "read", biz_opaque_callback_data=row.callback_data)
    with connection.execute_wrapper(learn_meanwhile):
        assert say(Client(), told).status_code == 200
    assert looked
    assert stage.fresh(row).status == MessageStatus.READ
