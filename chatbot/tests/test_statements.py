"""What a message costs in statements: few, and none more with the length of the conversation."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatbot.delivery import claim_due, deliver, deliver_pending, with_slots
from chatbot.facts import departments
from chatbot.tests.webhook import button, say, status, text, whatsapp_channel

PLAIN_ANSWER = 8  # channel, duplicate, lock, identity, inbound, log, outbound, session
FIRST_MESSAGE = 21
# claim and lease, slot (2), session, row, earlier rows, `sending`, pair, `sent`, early statuses,
# early reactions, outcome
SENDING = 13

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _site():
    departments.forget()
    call_command("load_flows", verbosity=0)
    whatsapp_channel()


def statements(client, *values):
    """The statements of one POST, without those that begin, mark and end transactions."""
    with CaptureQueriesContext(connection) as captured:
        assert say(client, *values).status_code == 200
    return without_marks(captured)


def without_marks(captured):
    marks = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")
    return [one["sql"] for one in captured if not one["sql"].startswith(marks)]


def test_a_plain_menu_answer_takes_eight_statements(client):
    say(client, text("Oi"))
    assert len(statements(client, text("quero falar com a lua"))) == PLAIN_ANSWER
    assert len(statements(client, button("orcamento", "Pedir orçamento"))) == PLAIN_ANSWER


def test_sending_a_message_takes_thirteen_statements(client, graph_api):
    say(client, text("Oi"))
    deliver_pending()
    say(client, text("menu"))
    with CaptureQueriesContext(connection) as captured:
        claimed = claim_due(limit=8, now=timezone.now())
        for row, slot in with_slots(claimed, now=timezone.now()):
            deliver(row, slot)
    assert len(graph_api.messages) == 2
    looks_first = connection.vendor == "sqlite"  # before it opens a transaction
    assert len(without_marks(captured)) == SENDING + looks_first


def test_the_first_message_of_a_new_contact_takes_no_more_than_twenty_one(client):
    say(client, text("Oi", phone="5511990000009"))  # departments and document are known now
    assert len(statements(client, text("Oi"))) <= FIRST_MESSAGE


def test_a_long_conversation_costs_no_more_than_a_short_one(client):
    say(client, text("Oi"))
    for number in range(5):
        say(client, text("menu", message_id=f"wamid.longa.{number}"))
    assert len(statements(client, text("menu"))) == PLAIN_ANSWER


def test_a_duplicate_takes_two_statements(client):
    value = text("Oi")
    say(client, value)
    assert len(statements(client, value)) == 2


def test_no_statement_of_the_webhook_is_about_people_or_browser_sessions(client):
    say(client, text("Oi"))
    about = statements(client, text("menu"), status("wamid.desconhecida", "read"))
    assert not [sql for sql in about if "users_user" in sql or "django_session" in sql]
