"""The boxes under a conversation: what was written outlives whatever happens to the page."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.translation import gettext as _
from playwright.sync_api import expect

from chatbot.models import MessageTemplate, TemplateStatus
from chatbot.tests.webhook import NUMBER
from config.tests.browser import desk as people
from config.tests.browser.desk import barriers
from config.tests.browser.site import wait_for
from config.tests.browser.workplace import workplace
from sessions_app.models import Channel, Session
from tickets.models import Draft, InternalNote, Ticket, TicketStatus


@pytest.fixture
def department(desk):
    return people.department()


@pytest.fixture
def bia(department):
    return people.attendant("Bia", department)


@pytest.fixture
def davi(desk):
    return people.customer(desk.site)


@pytest.fixture
def hers(davi, department, bia):
    """A ticket that Bia has."""
    return people.ticket_of(davi, department, holder=bia)


def fresh(ticket: Ticket) -> Ticket:
    return Ticket.objects.get(pk=ticket.pk)


def close_window(ticket: Ticket) -> None:
    past = timezone.now() - timedelta(hours=1)
    Session.objects.filter(pk=ticket.session_id).update(window_expires_at=past)


def outbox(page):
    return page.locator(".outbox [data-waiting]")


def fail_replies(page):
    page.route("**/reply/", lambda route: route.fulfill(status=500, body=""))


def test_one_writes_on_after_resolving_and_reopening(desk, bia, davi, hers):
    """Both draw box and thread anew, and the second as another session."""
    at = workplace(desk, bia, hers)
    at.shows("Preciso de ajuda")
    at.box.fill("Só mais uma coisa")
    at.button("Resolve", at.head).click()
    at.status_is(TicketStatus.RESOLVED.label)
    kept = at.page.get_by_label(_("Your text, kept"))
    expect(kept).to_have_value("Só mais uma coisa")
    at.press("n")
    expect(at.page.get_by_role("textbox", name=_("Internal note"))).to_be_focused()
    at.page.keyboard.type("Anotado depois")
    at.press("Control+Enter")
    wait_for(lambda: InternalNote.objects.filter(ticket=hers).exists(), "the note")
    at.button("Reopen", at.head).click()
    at.status_is(TicketStatus.OPEN.label)
    assert fresh(hers).session_id != hers.session_id
    at.press("Escape", "r")
    expect(at.box).to_have_value("Só mais uma coisa")
    at.box.press("Control+Enter")
    davi.receives("Só mais uma coisa")
    at.shows("Só mais uma coisa")
    expect(at.box).to_have_value("")


def test_what_was_not_sent_waits_where_no_text_is_taken(desk, bia, hers):
    desk.expect(500)
    at = workplace(desk, bia, hers)
    at.shows("Preciso de ajuda")
    fail_replies(at.page)
    at.reply("Ficou para trás")
    expect(outbox(at.page).get_by_role("button", name=_("Try again"))).to_be_visible()
    close_window(hers)
    at.page.reload()
    expect(at.box).to_have_count(0)
    expect(outbox(at.page)).to_contain_text("Ficou para trás")
    at.page.reload()
    outbox(at.page).get_by_role("button", name=_("Edit")).click()
    expect(outbox(at.page)).to_have_count(0)
    expect(at.page.locator("textarea[id^=kept-]")).to_have_value("Ficou para trás")


def test_a_reply_that_failed_leaves_no_draft_behind(desk, bia, davi, hers):
    desk.expect(500)
    at = workplace(desk, bia, hers)
    at.shows("Preciso de ajuda")
    at.box.press_sequentially("Não foi")
    expect(at.page.get_by_text(_("draft saved")).first).to_be_visible()
    fail_replies(at.page)
    at.box.press("Control+Enter")
    expect(outbox(at.page)).to_contain_text("Não foi")
    wait_for(lambda: not Draft.objects.filter(ticket=hers).exists(), "no draft")
    at.page.reload()
    expect(outbox(at.page)).to_contain_text("Não foi")
    expect(at.box).to_have_value("")
    outbox(at.page).get_by_role("button", name=_("Discard")).click()
    at.page.reload()
    at.shows("Preciso de ajuda")
    expect(outbox(at.page)).to_have_count(0)
    expect(at.box).to_have_value("")


def test_what_one_person_wrote_is_not_shown_to_the_next(desk, bia, department, hers):
    """On a machine that both use."""
    desk.expect(500)
    at = workplace(desk, bia, hers)
    at.shows("Preciso de ajuda")
    fail_replies(at.page)
    at.reply("Só da Bia")
    expect(outbox(at.page)).to_contain_text("Só da Bia")
    state = at.page.context.storage_state()
    state.pop("cookies")
    other = workplace(desk, people.admin(), hers, storage_state=state)
    other.shows("Preciso de ajuda")
    expect(outbox(other.page)).to_have_count(0)
    again = workplace(desk, bia, hers, storage_state=state)
    expect(outbox(again.page)).to_contain_text("Só da Bia")


def test_news_leave_a_begun_template_alone(desk, bia, davi, hers):
    close_window(hers)
    body = {
        "type": "BODY",
        "text": "Oi, {{1}}! Podemos continuar?",
        "example": {"body_text": [["Davi"]]},
    }
    MessageTemplate.objects.create(
        channel=Channel.objects.get(external_id=NUMBER),
        name=f"retomada_{hers.pk}",
        category="UTILITY",
        status=TemplateStatus.APPROVED,
        components=[body],
    )
    at = workplace(desk, bia, hers)
    at.page.get_by_role("radio", name=f"retomada_{hers.pk}").check()
    value = at.page.locator(".composer").get_by_role("textbox").last
    value.fill("Davi Rocha")
    davi.say("Voltei")
    at.shows("Voltei")
    expect(value).to_have_value("Davi Rocha")
    expect(at.page.get_by_role("link", name=_("Back to text"))).to_be_visible()
    assert barriers(at.page) == []
    at.page.get_by_role("link", name=_("Back to text")).click()
    expect(at.box).to_be_visible()
