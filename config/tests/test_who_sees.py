"""The page that says why somebody sees something says what `visible_to` does."""

from __future__ import annotations

import pytest
from django.urls import reverse

from config import who_sees
from leads.models import Lead, lead_rules
from leads.tests.recipes import davi
from sessions_app.models import Session, session_rules
from sessions_app.tests import recipes as sessions
from tickets.models import Ticket
from tickets.tests import recipes
from users.models import Department, User
from users.permissions import ticket_rules
from users.tests.recipes import ana, bia, caio, department, eva, root, suporte

pytestmark = pytest.mark.django_db


def shared() -> Department:
    one = department("dividido", shares_tickets=True)
    bia().departments.add(one)
    return one


def granted(explained) -> set[str]:
    return {answer.name for answer in explained.answers if answer.grants}


CASES = {
    "assigned": lambda: recipes.ticket(assignee=bia(), department=suporte()),
    "unassigned": lambda: recipes.ticket(department=department("vendas")),
    "shared": lambda: recipes.ticket(assignee=caio(), department=shared()),
    "none": lambda: recipes.ticket(assignee=caio(), department=suporte()),
}


@pytest.mark.parametrize("name", CASES)
def test_the_rule_that_grants_a_ticket_is_named(name):
    bia()
    ticket = CASES[name]()
    first, session, lead = who_sees.explain(bia(), ticket)
    assert granted(first) == ({name} if name != "none" else set())
    assert first.sees == session.sees == lead.sees == (name != "none")
    assert granted(session) == granted(lead) == ({"ticket"} if name != "none" else set())


@pytest.mark.parametrize(
    ("who", "names"),
    [(eva, {"supervised"}), (ana, {"admin"}), (root, {"admin"}), (caio, {"assigned"})],
)
def test_supervisors_admins_and_holders_see_it_for_their_own_reason(who, names):
    ticket = recipes.ticket(assignee=caio(), department=suporte())
    (explained, *_rest) = who_sees.explain(who(), ticket)
    assert granted(explained) == names
    assert explained.sees


def test_who_has_no_access_sees_nothing_and_the_page_says_so():
    ticket = recipes.ticket(assignee=bia())
    User.objects.filter(username="bia").update(is_active=False)
    for explained in who_sees.explain(User.objects.get(username="bia"), ticket):
        assert [answer.name for answer in explained.answers] == ["inactive"]
        assert not explained.sees


def test_who_keeps_a_lead_sees_it_and_its_conversations():
    session = sessions.session(davi(attendant=bia()))
    for explained in who_sees.explain(bia(), session):
        assert granted(explained) == {"keeps"}
        assert explained.sees
    assert not any(one.sees for one in who_sees.explain(caio(), session))


def test_every_rule_has_a_sentence_and_together_they_are_what_is_seen():
    person = eva()
    for case in CASES.values():
        case()
    asked = {
        who_sees.TICKET: (Ticket, ticket_rules(person)),
        who_sees.SESSION: (Session, session_rules(person)),
        who_sees.LEAD: (Lead, lead_rules(person)),
    }
    for kind, (model, rules) in asked.items():
        assert set(who_sees.RULES[kind]) == set(rules)
        for record in model.objects.all():
            of_it = model.objects.filter(pk=record.pk)
            grants = any(of_it.filter(rule).exists() for rule in rules.values())
            assert grants == model.objects.visible_to(person).filter(pk=record.pk).exists()


def test_the_page_is_for_admins_and_finds_by_protocol_and_number(client):
    ticket = recipes.ticket(assignee=bia())
    address = reverse("who_sees")
    client.force_login(bia())
    assert client.get(address).status_code == 403
    client.force_login(ana())
    assert client.get(address, {"person": bia().pk}).status_code == 200
    for kind, number in (
        ("ticket", ticket.protocol),
        ("session", ticket.session_id),
        ("lead", ticket.lead_id),
    ):
        shown = client.get(address, {"person": bia().pk, "kind": kind, "number": number})
        assert shown.context["explained"][0].sees
    for kind, number in (("ticket", "x"), ("lead", "9" * 30), ("session", "-1"), ("x", "1")):
        shown = client.get(address, {"person": bia().pk, "kind": kind, "number": number})
        assert shown.context["form"].errors
        assert not shown.context["explained"]
