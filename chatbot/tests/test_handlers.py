from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, ValidationError

from chatbot.handlers import registry
from chatbot.handlers.registry import (
    BadResult,
    HandlerResult,
    NoArgs,
    UnknownHandler,
    handler,
)
from chatbot.tests import recipes
from tickets.models import TicketStatus

NOON = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


class Score(BaseModel):
    score: int


@pytest.fixture
def empty_registry(monkeypatch):
    monkeypatch.setattr(registry, "_handlers", {})


def run(name, *, session=None, args=None):
    lead = session.lead if session else None
    return registry.get(name).run(session=session, lead=lead, args=args or {}, at=NOON)


def test_a_handler_is_found_by_its_name_with_what_it_declares(empty_registry):
    @handler("rate", label="Rate", args=Score, routes=("good", "bad"), outputs=("stars",))
    def rate(call):
        return HandlerResult("good", {"stars": call.args.score})

    found = registry.get("rate")
    assert found.routes == ("good", "bad", "error")
    assert found.outputs == ("stars",)
    assert not found.later
    assert run("rate", args={"score": "4"}) == HandlerResult("good", {"stars": 4})


def test_a_name_registered_twice_is_a_bug(empty_registry):
    handler("rate", label="Rate", args=NoArgs)(lambda call: HandlerResult())
    with pytest.raises(ValueError, match="rate"):
        handler("rate", label="Rate again", args=NoArgs)(lambda call: HandlerResult())


def test_an_unknown_name_is_refused():
    with pytest.raises(UnknownHandler):
        registry.get("no_such_handler")


def test_arguments_that_do_not_fit_never_reach_the_function(empty_registry):
    handler("rate", label="Rate", args=Score)(lambda call: pytest.fail("it ran"))
    with pytest.raises(ValidationError):
        run("rate", args={"score": "many"})


@pytest.mark.parametrize(
    "result",
    [HandlerResult("elsewhere"), HandlerResult("ok", {"surprise": 1})],
    ids=["route", "variable"],
)
def test_an_undeclared_result_is_a_bug_in_the_handler(empty_registry, result):
    handler("rate", label="Rate", args=NoArgs)(lambda call: result)
    with pytest.raises(BadResult):
        run("rate")


def test_the_shipped_handlers_are_registered_at_start():
    assert {"lead_summary", "open_tickets", "find_ticket"} <= set(registry.registered())


@pytest.mark.django_db
def test_lead_summary_gives_what_is_known_and_names_what_is_missing():
    session = recipes.session(lead=recipes.lead(name="Davi", email="davi@example.com"))
    result = run("lead_summary", session=session, args={"wanted": ["name", "need", "email"]})
    assert result.route == "incomplete"
    assert result.values == {
        "known_name": "Davi",
        "known_email": "davi@example.com",
        "missing": "need",
    }


@pytest.mark.django_db
def test_lead_summary_is_ok_when_nothing_is_missing():
    session = recipes.session(lead=recipes.lead(name="Davi"))
    result = run("lead_summary", session=session, args={"wanted": ["name"]})
    assert result == HandlerResult("ok", {"known_name": "Davi", "missing": ""})


@pytest.mark.django_db
def test_open_tickets_counts_only_the_open_ones_of_this_customer():
    session = recipes.session()
    mine = recipes.ticket(session=session)
    recipes.ticket(session=session, status=TicketStatus.CLOSED)
    recipes.ticket(session=recipes.session())
    result = run("open_tickets", session=session)
    assert result.route == "ok"
    assert result.values == {
        "open_tickets": 1,
        "open_ticket_protocols": mine.protocol,
        "last_open_protocol": mine.protocol,
    }


@pytest.mark.django_db
def test_open_tickets_leaves_by_none_when_there_are_none():
    assert run("open_tickets", session=recipes.session()).route == "none"


@pytest.mark.django_db
def test_find_ticket_finds_the_customers_own_ticket_only():
    session = recipes.session()
    mine = recipes.ticket(session=session)
    of_someone_else = recipes.ticket(session=recipes.session())
    found = run("find_ticket", session=session, args={"protocol": f" {mine.protocol} "})
    assert (found.route, found.values["ticket_status"]) == ("ok", "open")
    other = run("find_ticket", session=session, args={"protocol": of_someone_else.protocol})
    assert other == HandlerResult("not_found")
