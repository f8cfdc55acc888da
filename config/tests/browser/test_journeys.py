"""A day at the desk, from end to end: the customer's telephone on one side, people on the other."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from playwright.sync_api import expect

from chatbot.models import MessageLog, MessageStatus, MessageTemplate, TemplateStatus
from chatbot.tests.webhook import NUMBER
from config.tests.browser import desk as people
from config.tests.browser.desk import barriers, sideways
from config.tests.browser.site import wait_for
from config.tests.browser.workplace import PHONE, Workplace, workplace
from sessions_app.models import Channel, Session
from tickets.models import CannedResponse, InternalNote, Ticket, TicketStatus


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
def waiting(davi, department):
    """A ticket that nobody has."""
    return people.ticket_of(davi, department)


@pytest.fixture
def hers(davi, department, bia):
    """A ticket that Bia has."""
    return people.ticket_of(davi, department, holder=bia)


def fresh(ticket: Ticket) -> Ticket:
    return Ticket.objects.get(pk=ticket.pk)


# --- Getting to work ---------------------------------------------------------------------------


def test_the_next_ticket_is_taken(desk, bia, waiting):
    page = desk.open(bia, reverse("admin:tickets_ticket_changelist"))
    page.get_by_role("button", name=_("Next ticket")).first.click()
    page.get_by_role("heading", level=1, name="Davi Rocha").wait_for()
    at = Workplace(page)
    if fresh(waiting).assignee_id is None:
        at.claim()
    at.status_is(TicketStatus.IN_PROGRESS.label)
    wait_for(lambda: fresh(waiting).assignee == bia, "the ticket in her hands")


def test_a_ticket_is_found_by_its_protocol(desk, bia, waiting):
    page = desk.open(bia, reverse("admin:index"))
    page.keyboard.press("Control+k")
    page.keyboard.type(waiting.protocol)
    page.get_by_role("option").filter(has_text=waiting.protocol).first.click()
    page.get_by_role("heading", level=1, name="Davi Rocha").wait_for()


# --- Talking -----------------------------------------------------------------------------------


def test_an_answer_arrives_and_its_ticks_move(desk, bia, davi, hers):
    at = workplace(desk, bia, hers)
    at.shows("Preciso de ajuda")
    at.reply("Bom dia, Davi!")
    at.shows("Bom dia, Davi!")
    expect(at.box).to_have_value("")
    davi.receives("Bom dia, Davi!")
    davi.confirm("Bom dia, Davi!", "delivered")
    label = MessageStatus.DELIVERED.label
    expect(at.message("Bom dia, Davi!")).to_contain_text(str(label), ignore_case=True)
    davi.confirm("Bom dia, Davi!", "read")
    label = MessageStatus.READ.label
    expect(at.message("Bom dia, Davi!")).to_contain_text(str(label), ignore_case=True)
    davi.say("Obrigado")
    at.shows("Obrigado")
    assert davi.received.count("Bom dia, Davi!") == 1


def test_the_page_stays_at_the_end_of_a_long_conversation(desk, bia, davi, hers):
    """What is on its way stands below what was said, and nothing jumps when it has gone."""
    for number in range(12):
        davi.say(f"Mensagem {number}")
    at = workplace(desk, bia, hers)
    at.shows("Mensagem 11")
    expect(at.box).to_be_in_viewport()
    expect(at.message("Mensagem 0")).not_to_be_in_viewport()
    distance = "Math.abs(document.querySelector('.conv .scroller').scrollTop)"
    assert at.page.evaluate(distance) == 0
    at.reply("Estou aqui")
    davi.receives("Estou aqui")
    expect(at.page.locator(".outbox")).to_be_hidden()
    expect(at.message("Estou aqui")).to_be_in_viewport()
    assert at.page.evaluate(distance) < 2
    outbox = "getComputedStyle(document.querySelector('.outbox').parentElement).display"
    assert at.page.evaluate(outbox) == "block"


def test_a_double_click_sends_once(desk, bia, davi, hers):
    at = workplace(desk, bia, hers)
    at.box.fill("Só uma vez")
    at.button("Send").or_(at.page.locator(".composer button[type=submit]:visible")).first.dblclick()
    davi.receives("Só uma vez")
    at.page.wait_for_timeout(800)
    assert davi.received.count("Só uma vez") == 1


def test_a_note_stays_with_the_team(desk, bia, davi, hers):
    at = workplace(desk, bia, hers)
    at.note("Cliente antigo, cuidado")
    at.shows("Cliente antigo, cuidado")
    at.page.reload()
    at.shows("Cliente antigo, cuidado")
    assert InternalNote.objects.get(ticket=hers).author == bia
    assert not any("Cliente antigo" in one for one in davi.received)


def test_a_canned_response_is_chosen_by_its_shortcut(desk, bia, davi, department, hers):
    CannedResponse.objects.create(
        shortcut=f"ola-{department.pk}",
        title="Olá",
        text="Olá, {{ lead.first_name }}! Em que posso ajudar?",
        department=department,
    )
    at = workplace(desk, bia, hers)
    at.box.click()
    at.page.keyboard.type(f"/ola-{department.pk}")
    at.page.get_by_role("option").filter(has_text="Em que posso ajudar").wait_for()
    at.page.keyboard.press("Enter")
    expect(at.box).to_have_value("Olá, Davi! Em que posso ajudar?")
    at.box.press("Control+Enter")
    davi.receives("Olá, Davi! Em que posso ajudar?")


def test_a_draft_is_kept_on_the_server(desk, bia, hers):
    at = workplace(desk, bia, hers)
    at.box.press_sequentially("Ainda estou escrevendo")
    expect(at.page.get_by_text(_("draft saved")).first).to_be_visible()
    elsewhere = workplace(desk, bia, hers)
    expect(elsewhere.box).to_have_value("Ainda estou escrevendo")


# --- Moving a ticket ---------------------------------------------------------------------------


def test_a_transfer_takes_its_note_along(desk, bia, hers):
    other = people.department()
    people.attendant("Eva", other)  # attendants give nothing where nobody works
    at = workplace(desk, bia, hers)
    sheet = at.open_sheet("Transfer")
    sheet.get_by_role("combobox").select_option(label=str(other.name))
    sheet.get_by_role("textbox").fill("É com vocês agora")
    at.button("Transfer", sheet).click()
    wait_for(lambda: fresh(hers).department == other, "the other department")
    assert fresh(hers).assignee is None
    assert InternalNote.objects.filter(ticket=hers, text="É com vocês agora").exists()


def test_what_was_done_in_error_is_undone(desk, bia, hers):
    at = workplace(desk, bia, hers)
    sheet = at.open_sheet("Snooze")
    sheet.locator(".choices button").first.click()
    wait_for(lambda: fresh(hers).snoozed_until, "the snooze")
    at.button("Undo").or_(at.page.locator("#toasts [data-undo]")).first.click()
    wait_for(lambda: fresh(hers).snoozed_until is None, "the undo")


def test_a_snoozed_ticket_wakes_when_the_customer_writes(desk, bia, davi, hers):
    at = workplace(desk, bia, hers)
    sheet = at.open_sheet("Snooze")
    sheet.locator(".choices button").first.click()
    wait_for(lambda: fresh(hers).snoozed_until, "the snooze")
    davi.say("Voltei antes")
    at.shows("Voltei antes")
    assert fresh(hers).snoozed_until is None


def test_a_ticket_is_resolved_and_the_rating_shows(desk, bia, davi, hers):
    at = workplace(desk, bia, hers)
    at.reply("Resolvido!")
    davi.receives("Resolvido!")
    at.button("More ways to resolve", at.head).click()
    sheet = at.page.locator(".sheet:popover-open")
    sheet.get_by_label(_("Ask the customer for a rating")).check()
    at.button("Resolve", sheet).click()
    wait_for(lambda: fresh(hers).status == TicketStatus.RESOLVED, "the end of the ticket")
    davi.receives("De 1 a 5")
    davi.say("5")
    davi.receives("comentário")
    davi.say("Resolveu na hora")
    wait_for(lambda: fresh(hers).rating == 5, "the rating")
    at.page.reload()
    expect(at.page.get_by_text("Resolveu na hora").first).to_be_visible()


# --- Together ----------------------------------------------------------------------------------


def test_of_two_who_claim_at_once_one_is_told_who_has_it(desk, bia, department, waiting):
    desk.expect(409)
    caio = people.attendant("Caio", department)
    ones, others = workplace(desk, bia, waiting), workplace(desk, caio, waiting)
    for at in (ones, others):
        at.button("Claim", at.head).wait_for()
    ones.claim()
    ones.status_is(TicketStatus.IN_PROGRESS.label)
    others.claim()
    expect(others.page.get_by_text("Bia").first).to_be_visible()
    assert fresh(waiting).assignee == bia


def test_an_answer_that_has_not_seen_a_colleagues_is_held(desk, bia, davi, department, hers):
    """Both look at the same page; one is faster, and the page of the other does not know yet."""
    desk.expect(409)
    ana = people.admin()
    hers_open = workplace(desk, bia, hers)
    hers_open.shows("Preciso de ajuda")
    late = workplace(desk, ana, hers)
    late.shows("Preciso de ajuda")
    late.page.route("**/messages/*", lambda route: route.fulfill(status=204))  # it hears no news
    hers_open.reply("Já respondi eu")
    davi.receives("Já respondi eu")
    late.reply("E eu também")
    expect(late.page.get_by_text("E eu também").or_(late.box).first).to_be_visible()
    late.shows("Já respondi eu")
    assert "E eu também" not in davi.received


def test_somebody_who_looks_is_seen(desk, bia, department, hers):
    caio = people.attendant("Caio", department)
    department.shares_tickets = True
    department.save(update_fields=["shares_tickets"])
    at = workplace(desk, bia, hers)
    workplace(desk, caio, hers)
    expect(at.page.locator("#visitors")).to_contain_text("Caio", timeout=25_000)


# --- When things are not as they should be -----------------------------------------------------


def test_outside_the_window_a_template_goes(desk, bia, davi, hers):
    Session.objects.filter(pk=hers.session_id).update(
        window_expires_at=timezone.now() - timedelta(hours=1)
    )
    MessageTemplate.objects.create(
        channel=Channel.objects.get(external_id=NUMBER),
        name=f"retomada_{hers.pk}",
        category="UTILITY",
        status=TemplateStatus.APPROVED,
        components=[
            {
                "type": "BODY",
                "text": "Oi, {{1}}! Podemos continuar?",
                "example": {"body_text": [["Davi"]]},
            }
        ],
    )
    at = workplace(desk, bia, hers)
    expect(at.box).to_have_count(0)
    at.page.get_by_role("radio", name=f"retomada_{hers.pk}").check()
    at.page.locator(".composer").get_by_role("textbox").last.fill("Davi")
    at.button("Send template").or_(
        at.page.locator(".composer button[type=submit]:visible")
    ).first.click()
    wait_for(
        lambda: (
            MessageLog.objects.filter(session__lead=davi.lead, kind="template")
            .exclude(provider_id="")
            .exists()
        ),
        "the template at the provider",
    )
    davi.say("Podemos sim")
    at.shows("Podemos sim")
    expect(at.box).to_be_visible()


def test_what_the_provider_refuses_is_shown_and_goes_again(desk, bia, davi, hers):
    at = workplace(desk, bia, hers)
    for address in (davi.phone, f"+{davi.phone}"):
        desk.site.graph.fail("error_100_invalid_parameter.json", to=address, times=None)
    at.reply("Vai dar certo")
    row = MessageLog.objects.filter(session=hers.session, text="Vai dar certo")
    wait_for(lambda: row.filter(status=MessageStatus.FAILED).exists(), "the refusal")
    label = MessageStatus.FAILED.label
    expect(at.message("Vai dar certo")).to_contain_text(str(label), ignore_case=True)
    desk.site.graph.reset()
    at.button("Send again", at.message("Vai dar certo")).or_(
        at.message("Vai dar certo").get_by_role("button").first
    ).first.click()
    davi.receives("Vai dar certo")


def test_without_the_server_the_text_is_kept_and_sent_later(desk, bia, davi, hers):
    at = workplace(desk, bia, hers)
    at.shows("Preciso de ajuda")
    with desk.without_network(at.page):
        at.reply("Escrito sem rede")
        retry = at.page.get_by_role("button", name=_("Try again"))
        retry.first.wait_for()
        expect(at.page.get_by_text("Escrito sem rede")).to_be_visible()
    retry.first.click()
    davi.receives("Escrito sem rede")
    assert davi.received.count("Escrito sem rede") == 1


# --- On a phone, in the dark, by keyboard ------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_is_enough(desk, bia, davi, hers, theme):
    at = workplace(desk, bia, hers, theme=theme, **PHONE)
    at.shows("Preciso de ajuda")
    assert sideways(at.page) == 0
    at.box.fill("Do telefone")
    at.page.locator(".composer button[type=submit]:visible").click()
    davi.receives("Do telefone")
    at.shows("Do telefone")
    assert barriers(at.page) == []


def test_the_keyboard_is_enough(desk, bia, davi, waiting):
    at = workplace(desk, bia, waiting)
    at.button("Claim", at.head).wait_for()
    at.press("a")
    wait_for(lambda: fresh(waiting).assignee == bia, "the claim by key")
    at.status_is(TicketStatus.IN_PROGRESS.label)
    at.press("r")
    expect(at.box).to_be_focused()
    at.page.keyboard.type("Sem o mouse")
    at.press("Control+Enter")
    davi.receives("Sem o mouse")
    at.press("Escape")
    at.press("n")
    at.page.keyboard.type("Anotado")
    at.press("Control+Enter")
    wait_for(lambda: InternalNote.objects.filter(ticket=waiting).exists(), "the note by key")
    at.press("Escape")
    at.press("e")
    wait_for(lambda: fresh(waiting).status == TicketStatus.RESOLVED, "the end by key")
    at.status_is(TicketStatus.RESOLVED.label)
    at.press("z")
    wait_for(lambda: fresh(waiting).is_open, "the undo by key")


def test_why_the_bot_said_something_is_explained(desk, bia, davi, hers):
    at = workplace(desk, bia, hers)
    bot = at.thread.locator(".bot").first
    bot.hover()
    bot.get_by_role("link", name=_("Why did the bot say this?")).click()
    dialog = at.page.get_by_role("dialog")
    expect(dialog).to_contain_text(_("What matched"))
    assert barriers(at.page) == []
