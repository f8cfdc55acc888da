"""The form of a passo beside the map, by keyboard; two admins at the same one."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from chatbot import flows_service
from chatbot.models import Flow
from config.tests.browser import desk as people
from config.tests.browser.desk import barriers, sideways
from config.tests.browser.site import wait_for
from config.tests.browser.test_flow_page import NODES


@pytest.fixture
def flow(desk):
    slug = f"passos-{Flow.objects.count()}"
    document = {"schema": 1, "slug": slug, "name": "Passos", "start": "inicio", "nodes": NODES}
    flow = Flow.objects.create(slug=slug, name="Passos")
    return flows_service.save_draft(flow, document, user=None, revision=0)


def open_step(desk, user, flow, node_id, **options):
    page = desk.open(user, reverse("admin:chatbot_flow_change", args=[flow.pk]), **options)
    page.locator(f"[data-map] a[data-node={node_id}]").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#step-heading")).to_be_focused()
    return page


def labels(flow):
    flow.refresh_from_db()
    return [one["label"] for one in flow.draft["nodes"]["menu"]["options"]]


def test_a_step_is_edited_saved_undone_and_closed_by_keyboard(desk, flow):
    page = open_step(desk, people.admin(), flow, "menu")
    assert barriers(page) == []
    page.locator("[id='step-options.1.label']").focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("[id='step-options.1.label']")).to_be_focused()
    page.locator("[id='step-options-add']").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[id='step-options.n2.label']")).to_be_focused()
    page.keyboard.type("Falar com um atendente")
    expect(page.locator("[data-counter='step-options.n2.label']")).to_have_text("22/20")
    page.locator("[id='step-options.n2.next']").select_option("+")
    page.locator("[id='step-options.n2.next.new_title']").fill("Promo")
    page.keyboard.press("Escape")  # asks first: nothing typed is lost
    expect(page.locator("[data-step-form]")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.locator("#step-save")).to_be_focused()
    expect(page.locator("[data-map] a[data-node=promo]").first).to_be_attached()
    assert labels(flow) == ["Equipe", "Boleto", "Falar com um atendente"]
    page.keyboard.press("Control+z")
    expect(page.locator("[id='step-options.n2.label']")).to_have_count(0)
    expect(page.locator("[data-map] a[data-node=promo]")).to_have_count(0)
    assert labels(flow) == ["Boleto", "Equipe"]
    expect(page.locator("#step-heading")).to_be_focused()  # the form was drawn anew
    page.keyboard.press("Escape")
    expect(page.locator("#step-panel article")).to_have_count(0)
    expect(page.locator("[data-map] a[data-node=menu]").first).to_be_focused()


def test_a_variable_is_put_where_the_caret_is(desk, flow):
    page = open_step(desk, people.admin(), flow, "menu", viewport={"width": 390, "height": 800})
    assert sideways(page) == 0
    text = page.locator("#step-text")
    text.fill("Olá, ")
    page.locator("[data-variables='step-text']").click()
    page.keyboard.press("Enter")
    expect(text).to_be_focused()
    expect(text).to_have_value("Olá, {{ nome }}")


def test_two_admins_at_one_step_see_both_texts(desk, flow):
    ana, luana = people.admin("Ana"), people.admin("Luana")
    mine = open_step(desk, ana, flow, "menu")
    theirs = open_step(desk, luana, flow, "menu")
    theirs.locator("#step-text").fill("O texto da Luana")
    theirs.keyboard.press("Control+s")
    expect(theirs.locator("[data-undo-draft]")).to_be_enabled()
    expect(theirs.locator("#step-save")).to_be_focused()
    mine.locator("#step-text").fill("O meu texto")
    mine.keyboard.press("Control+s")
    expect(mine.locator("#step-conflict")).to_be_focused()
    assert barriers(mine) == []
    compared = mine.locator(".step-compare")
    expect(compared).to_contain_text("O texto da Luana")
    expect(compared).to_contain_text("O meu texto")
    mine.locator("[value='take:text']").click()
    expect(mine.locator("#step-text")).to_have_value("O texto da Luana")
    mine.locator("#step-text").fill("Os dois textos")
    mine.keyboard.press("Control+s")
    expect(mine.locator("#step-conflict")).to_have_count(0)
    flow.refresh_from_db()
    assert flow.draft["nodes"]["menu"]["text"] == "Os dois textos"


class Slow:
    """Answers to what the form sends wait until they are let go."""

    def __init__(self, page, flow, node_id="nome"):
        self.held = []
        page.route(f"**{reverse('flow_step', args=[flow.pk, node_id])}", self._hold)

    def _hold(self, route):
        if route.request.method == "POST":
            self.held.append(route)
        else:
            route.continue_()

    def let_go(self, page):
        wait_for(lambda: page.wait_for_timeout(20) or self.held, "the request")
        with page.expect_response(lambda answer: answer.request.method == "POST"):
            self.held.pop().continue_()


def test_what_is_typed_while_the_form_is_drawn_anew_stays(desk, flow):
    page = open_step(desk, people.admin(), flow, "nome")
    slow = Slow(page, flow)
    page.locator("#step-answer").select_option("cpf")
    page.locator("#step-text").fill("Qual é o seu CPF?")
    page.locator("#step-next").select_option("+")
    page.locator("[id='step-next.new_title']").fill("Boleto")
    slow.let_go(page)
    expect(page.locator("#step-answer")).to_have_value("cpf")
    expect(page.locator("#step-text")).to_have_value("Qual é o seu CPF?")
    expect(page.locator("[id='step-next.new_title']")).to_be_focused()
    page.keyboard.type(" novo")
    expect(page.locator("[id='step-next.new_title']")).to_have_value("Boleto novo")


def test_what_is_typed_while_the_form_is_saved_is_the_next_change(desk, flow):
    page = open_step(desk, people.admin(), flow, "nome")
    slow = Slow(page, flow)
    page.locator("#step-text").fill("Como você se chama?")
    page.keyboard.press("Control+s")
    page.keyboard.type(" Diga.")
    slow.let_go(page)
    expect(page.locator("#step-save")).to_be_attached()
    expect(page.locator("#step-text")).to_have_value("Como você se chama? Diga.")
    expect(page.locator("#step-text")).to_be_focused()
    expect(page.locator("[data-unsaved]")).to_be_visible()
    flow.refresh_from_db()
    assert flow.draft["nodes"]["nome"]["text"] == "Como você se chama?"
    page.keyboard.press("Control+s")
    slow.let_go(page)
    expect(page.locator("[data-unsaved]")).to_be_hidden()
    flow.refresh_from_db()
    assert flow.draft["nodes"]["nome"]["text"] == "Como você se chama? Diga."


def test_keys_on_the_map_ask_before_what_is_typed_is_lost(desk, flow):
    page = open_step(desk, people.admin(), flow, "nome")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.locator("#step-text").fill("Como você se chama?")
    for key in ("Insert", "Delete"):
        page.locator("[data-map] a[data-node=nome]").first.focus()
        page.keyboard.press(key)
        expect(page.locator("#step-text")).to_have_value("Como você se chama?")
    assert len(asked) == 2


def test_what_was_given_up_for_a_step_that_cannot_be_loaded_is_still_unsaved(desk, flow):
    page = open_step(desk, people.admin(), flow, "nome")
    desk.expect(503)
    address = reverse("flow_step", args=[flow.pk, "menu"])
    page.route(f"**{address}", lambda route: route.fulfill(status=503))
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#step-text").fill("Como você se chama?")
    page.locator("[data-map] a[data-node=menu]").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-step-form]")).to_have_attribute("data-dirty", "")
    warned = "dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert page.evaluate(f"() => !window.{warned}")
    desk.complaints[:] = [one for one in desk.complaints if "503" not in one]  # htmx says it too


def test_what_is_typed_while_moved_rows_are_saved_stays_in_its_row(desk, flow):
    page = open_step(desk, people.admin(), flow, "menu")
    slow = Slow(page, flow, "menu")
    page.locator("[id='step-options.1.label']").focus()
    page.keyboard.press("Alt+ArrowUp")
    page.keyboard.press("Control+s")
    page.locator("[id='step-options.1.label']").fill("Equipe toda")
    slow.let_go(page)
    expect(page.locator("#step-save")).to_be_attached()
    expect(page.locator("[id='step-options.0.label']")).to_have_value("Equipe toda")
    expect(page.locator("[id='step-options.1.label']")).to_have_value("Boleto")
