"""What people write, in a real browser: no dialog, nothing that the policy had to stop, no element
that somebody smuggled in."""

import re

import pytest
from django.urls import reverse

from chatbot.models import MessageLog
from config.tests.browser import desk as people
from leads.models import Lead, Tag
from leads.services import add_note
from tickets import services
from tickets.models import CannedResponse, Ticket

PAYLOADS = (
    "<script>alert('zq')</script>",
    "\"'><img src=x onerror=alert('zq') class=zq>",
    "</textarea></title></script><svg onload=alert('zq') class=zq>",
    "javascript:alert('zq')",
    "*<b class=zq onmouseover=alert('zq')>oi</b>* [x](javascript:alert('zq'))",
    "{{ 7|add:1337000 }} ${alert('zq')} <a href=javascript:alert('zq') class=zq>x</a>",
)
SMUGGLED = ".zq, [onerror], [onload], [onmouseover], a[href^='javascript:' i]"


@pytest.fixture
def written(desk):
    """A ticket about which everybody has written the payloads everywhere."""
    department = people.department()
    bia = people.attendant("Bia", department)
    customer = people.customer(desk.site)
    ticket = people.ticket_of(customer, department, holder=bia)
    for text in PAYLOADS:
        customer.say(text)
        services.add_note(ticket, author=bia, text=text)
        add_note(ticket.lead, author=bia, text=text)
        shortcut = f"zq-{ticket.pk}-{len(text)}"
        CannedResponse.objects.create(
            shortcut=shortcut, title=text[:80], text=text, department=department
        )
    every = " ".join(PAYLOADS)
    tag = Tag.objects.create(name=f"{PAYLOADS[1][:30]}{ticket.pk}")
    ticket.tags.add(tag)
    ticket.lead.tags.add(tag)
    Ticket.objects.filter(pk=ticket.pk).update(subject=every[:200])
    Lead.objects.filter(pk=ticket.lead.pk).update(
        name=PAYLOADS[1], company=PAYLOADS[2][:120], need=every
    )
    type(department).objects.filter(pk=department.pk).update(name=PAYLOADS[2][:80])
    return bia, ticket


def test_no_payload_comes_to_life(desk, written):
    bia, ticket = written
    page = desk.open(bia, reverse("admin:tickets_ticket_change", args=[ticket.pk]))
    dialogs = []
    page.on("dialog", lambda one: (dialogs.append(one.message), one.dismiss()))
    page.get_by_text(PAYLOADS[0]).first.wait_for()
    message = MessageLog.objects.filter(session=ticket.session).latest("pk")
    session = ticket.session_id
    addresses = [
        reverse("admin:tickets_ticket_change", args=[ticket.pk]),
        reverse("admin:tickets_ticket_changelist"),
        reverse("admin:tickets_ticket_print", args=[ticket.pk]) + "?notes=1",
        reverse("admin:leads_lead_change", args=[ticket.lead_id]),
        reverse("admin:leads_lead_changelist"),
        reverse("admin:sessions_app_session_change", args=[session]),
        reverse("conversation", args=[session]),
        reverse("admin:chatbot_messagelog_change", args=[message.pk]),
        reverse("admin:tickets_cannedresponse_changelist"),
        reverse("search") + "?q=alert",
    ]
    for address in addresses:
        page.goto(f"{desk.site.url}{address}")
        assert page.locator(SMUGGLED).count() == 0, address
        assert "1337007" not in page.content(), address
        assert re.search("zq", page.content()), address
    page.goto(f"{desk.site.url}{addresses[0]}")
    box = page.locator("textarea[name=text]").first
    box.click()
    box.fill("/zq")  # the list of canned responses is made by a script
    page.wait_for_timeout(500)
    assert page.locator(SMUGGLED).count() == 0
    assert dialogs == []
