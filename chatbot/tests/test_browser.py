"""The console in a real browser: what only a browser notices."""

import re
import threading
from collections.abc import Iterator
from datetime import time

import pytest
from django.core.management import call_command
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from chatbot import tasks
from chatbot.documents import asks_for_tags, document_of
from chatbot.facts import departments
from chatbot.models import MessageLog
from chatbot.tests import media_samples as samples
from chatbot.tests import recipes
from chatbot.tests.webhook import message, say, whatsapp_channel
from sessions_app.models import Session
from tickets import services as tickets
from tickets.models import Ticket
from users.models import Calendar

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

PASSWORD = "um-segredo-de-teste"
REPLY = "form[data-compose=reply] textarea"
SEND = "form[data-compose=reply] button[type=submit]"
PROTOCOL = re.compile(r"\d{8}-\d{4}")
# Nothing in the background may reach for the network.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def site(live_server, transactional_db):
    departments.forget()
    document_of.cache_clear()
    asks_for_tags.cache_clear()
    call_command("load_flows", verbosity=0)
    ana = recipes.ana()
    ana.set_password(PASSWORD)
    ana.save()
    yield live_server.url
    _wait_for_the_server()


def _wait_for_the_server() -> None:
    """Each connection of the browser has a thread with a database connection of its own, which
    must be closed before PostgreSQL lets the test database go."""
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(timeout=10)


@pytest.fixture
def browser(chromium_path, site) -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield chromium
        chromium.close()
        # Beside Playwright's event loop the test had a connection of its own.
        connections.close_all()


@pytest.fixture
def open_page(browser, site):
    """A logged-in page; whatever the browser complained about fails the test at its end."""
    complaints: list[str] = []

    def open_it(path: str, theme: str = "light", **options):
        context = browser.new_context(locale="en-US", color_scheme=theme, **options)
        page = context.new_page()
        page.on("console", lambda said: _note(said.type, said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{site}{reverse('admin:login')}?next={path}")
        page.fill("input[name=username]", "ana")
        page.fill("input[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{site}{path}")
        return page

    def _note(kind: str, text: str) -> None:
        if kind in {"error", "warning"} or "Content Security" in text:
            complaints.append(text)

    yield open_it
    assert complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_simulated_customer_reaches_a_person(open_page, theme):
    page = open_page(reverse("simulator"), theme)
    page.fill("input[name=text]", "Oi")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Falar com a equipe").click()
    protocol = page.locator("#simulator-panels a", has_text=PROTOCOL)
    protocol.wait_for()
    assert protocol.inner_text() == Ticket.objects.get().protocol
    assert PROTOCOL.search(page.locator("#simulator-thread").inner_text())
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(245, 245, 242)", "dark": "rgb(15, 19, 18)"}[theme]


def test_the_keyboard_is_enough(open_page):
    page = open_page(reverse("simulator"))
    page.keyboard.type("Oi")  # the box has the focus when the page opens
    page.keyboard.press("Enter")
    option = page.get_by_role("button", name="Tirar uma dúvida")
    option.wait_for()
    while not option.evaluate("one => one === document.activeElement"):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Qual é a sua dúvida?").first.wait_for()


def test_what_is_typed_while_an_answer_comes_is_kept(open_page):
    page = open_page(reverse("simulator"))
    page.fill("input[name=text]", "Oi")
    page.keyboard.press("Enter")
    page.keyboard.type("já escrevendo")
    page.get_by_text("Como posso ajudar?").first.wait_for()
    assert page.input_value("input[name=text]") == "já escrevendo"


def test_two_messages_in_a_hurry_are_two_messages(open_page):
    page = open_page(reverse("simulator"))
    for word in ("Oi", "menu"):
        page.keyboard.type(word)
        page.keyboard.press("Enter")
    page.locator("#simulator-thread .msg.in", has_text="menu").wait_for()
    assert list(MessageLog.objects.inbound().order_by("pk").values_list("text", flat=True)) == [
        "Oi",
        "menu",
    ]


def test_the_simulator_needs_no_script(open_page):
    page = open_page(reverse("simulator"), java_script_enabled=False)
    page.fill("input[name=text]", "Oi")
    page.click("button[aria-label]:near(input[name=text])")
    page.get_by_role("button", name="Falar com a equipe").click()
    assert PROTOCOL.search(page.locator("#simulator-panels").inner_text())


def test_an_attendant_answers_and_the_customer_sees_it(open_page):
    page = open_page(reverse("simulator"))
    page.keyboard.type("Oi")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Falar com a equipe").click()
    page.locator("#simulator-panels a", has_text=PROTOCOL).click()
    page.locator(REPLY).fill("Bom dia, aqui é a Ana.")
    page.keyboard.press("Control+Enter")
    page.locator(".thread .attendant", has_text="Bom dia").wait_for()
    assert page.input_value(REPLY) == ""
    assert page.locator(".thread .attendant").count() == 1


def test_an_answer_that_is_clicked_twice_is_sent_once_and_keeps_to_the_policy(open_page):
    page = open_page(reverse("simulator"))
    page.keyboard.type("Oi")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Falar com a equipe").click()
    page.locator("#simulator-panels a", has_text=PROTOCOL).click()
    page.locator(REPLY).fill("Bom dia, aqui é a Ana.")
    page.locator(SEND).dblclick()
    page.locator(".thread .attendant", has_text="Bom dia").wait_for()
    page.wait_for_timeout(500)  # what htmx settles
    assert page.locator(".thread .attendant").count() == 1
    assert MessageLog.objects.filter(text__startswith="Bom dia").count() == 1


def test_the_title_of_an_inline_row_does_not_stand_on_its_fields(open_page):
    calendar = Calendar.objects.create(name="Comercial")
    calendar.hours.create(weekday=0, opens_at=time(8), closes_at=time(18))
    page = open_page(reverse("admin:users_calendar_change", args=[calendar.pk]))
    row = page.locator("#hours-group tr.has_original").first
    title = row.locator("td.original p").bounding_box()
    field = row.locator("td.field-weekday select").bounding_box()
    assert title["y"] + title["height"] <= field["y"]


@pytest.fixture
def ticket_with_files(site, graph_api, client):
    """A ticket whose customer sent one file of each kind that a browser shows, and one lie."""
    whatsapp_channel()
    kinds = [
        ("image", samples.picture(), "image/jpeg"),
        ("audio", samples.sample("voice.ogg"), "audio/ogg; codecs=opus"),
        ("audio", samples.sample("sound.mp3"), "audio/mpeg"),
        ("audio", samples.sample("sound.m4a"), "audio/mp4"),
        ("audio", samples.sample("sound.aac"), "audio/aac"),
        ("video", samples.sample("video.mp4"), "video/mp4"),
        ("sticker", samples.sticker(), "image/webp"),
        ("sticker", samples.sticker(is_animated=True), "image/webp"),
        ("document", samples.pdf(), "application/pdf"),
        ("image", b"<!DOCTYPE html><script>alert(1)</script>", "image/jpeg"),
    ]
    for kind, content, mime_type in kinds:
        given = graph_api.keep(content, mime_type)
        assert say(client, message({"type": kind, kind: given})).status_code == 200
    assert tasks.run_due(limit=20) == len(kinds)
    session = Session.objects.get()
    tickets.take_over(session, user=recipes.ana(), at=timezone.now())
    return Ticket.objects.get()


PLAYED = """async () => {
  const played = [];
  for (const one of document.querySelectorAll("audio, video")) {
    one.muted = true;
    await one.play();
    one.currentTime = one.duration / 2;
    await new Promise((done) => { one.onseeked = done; });
    played.push(one.currentTime > 0);
  }
  return played;
}"""


def test_what_a_customer_sent_is_seen_and_heard(open_page, ticket_with_files):
    page = open_page(reverse("admin:tickets_ticket_change", args=[ticket_with_files.pk]))
    shown = page.locator(".thread .media img, .thread img.sticker")
    assert shown.count() == 3
    for one in shown.all():
        one.scroll_into_view_if_needed()
        one.evaluate("one => one.decode()")
        assert one.evaluate("one => one.naturalWidth") > 100
    assert page.evaluate(PLAYED) == [True] * 5
    assert page.locator(".thread .doc").count() == 2  # the PDF, and the page that posed as a photo
    with page.expect_popup() as opened:
        page.locator(".thread a.media").click()
    picture = opened.value
    picture.wait_for_load_state()
    assert picture.evaluate("document.images[0].naturalWidth") == 640
    with page.expect_download() as saved:
        page.locator(".thread .doc a").last.click()
    assert b"alert" in saved.value.path().read_bytes()


def test_a_file_that_comes_later_appears_by_itself(open_page, ticket_with_files, graph_api, client):
    given = graph_api.keep(samples.picture("PNG"), "image/png")
    say(client, message({"type": "image", "image": given}))
    page = open_page(reverse("admin:tickets_ticket_change", args=[ticket_with_files.pk]))
    page.locator(".doc.is-expected").wait_for()
    tasks.run_due(limit=1)
    page.locator(".thread .media img").nth(1).wait_for(timeout=15_000)
    assert page.locator(".doc.is-expected").count() == 0


@pytest.mark.parametrize("has_script", [True, False], ids=["htmx", "no script"])
def test_an_attendant_sends_a_file(open_page, ticket_with_files, graph_api, has_script):
    path = reverse("admin:tickets_ticket_change", args=[ticket_with_files.pk])
    page = open_page(path, java_script_enabled=has_script)
    too_large = samples.picture("PNG") + bytes(6 * 1024 * 1024)
    file = {"name": "foto.png", "mimeType": "image/png", "buffer": too_large}
    page.set_input_files("input[type=file]", file)
    page.fill(REPLY, "Veja a foto")
    if has_script:  # the page knows that it only fits as a document
        assert page.locator(".chosen input").is_checked()
    else:
        page.click(SEND)
        page.locator(".messagelist .error").wait_for()
        assert page.input_value(REPLY) == "Veja a foto"
        page.set_input_files("input[type=file]", file)
        page.check("input[name=kind]")
    page.click(SEND)
    page.locator(".thread .out[id]", has_text="Veja a foto").wait_for()
    row = MessageLog.objects.outbound().latest("pk")
    assert (row.kind, row.media.get().filename) == ("document", "foto.png")
    assert page.evaluate("document.querySelector('input[type=file]').files.length") == 0
