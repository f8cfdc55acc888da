"""The page of a flow, by mouse and by keyboard."""

import copy
import json

import pytest
from django.urls import reverse
from django.utils.translation import gettext as _
from playwright.sync_api import expect

from chatbot import flows_service
from chatbot.models import Flow, IgnoredFinding
from config.tests.browser import desk as people
from config.tests.browser.desk import barriers

NODES = {
    "inicio": {"kind": "start", "title": "Início", "next": "menu"},
    "menu": {
        "kind": "menu",
        "title": "Boas-vindas",
        "text": "Sobre o quê?",
        "options": [
            {"id": "a", "label": "Boleto", "next": "nome"},
            {"id": "b", "label": "Equipe", "next": "equipe"},
        ],
        "fallback": "Não entendi.",
        "on_fail": "equipe",
    },
    "nome": {
        "kind": "ask",
        "title": "Informar nome",
        "text": "Qual é o seu nome?",
        "save_as": "nome",
        "invalid": "De novo, com letras.",
        "tries": 0,
        "next": "equipe",
    },
    "equipe": {"kind": "handoff", "title": "Equipe", "text": "Já chamei."},
}


@pytest.fixture
def flow(desk):
    """On air, and a draft in which nothing leads to a passo."""
    slug = f"pagina-{Flow.objects.count()}"
    document = {"schema": 1, "slug": slug, "name": "Página", "start": "inicio", "nodes": NODES}
    flow = Flow.objects.create(slug=slug, name="Página")
    flows_service.save_draft(flow, document, user=None, revision=0)
    flows_service.publish(flow, user=None)
    draft = copy.deepcopy(document)
    draft["nodes"]["promo"] = {
        "kind": "send",
        "title": "Promo novembro",
        "text": "Fibra",
        "next": "menu",
    }
    flows_service.save_draft(flow, draft, user=None, revision=1)
    return flow


@pytest.fixture
def page(desk, flow):
    return desk.open(people.admin(), reverse("admin:chatbot_flow_change", args=[flow.pk]))


def focused(page):
    return page.evaluate("document.activeElement.dataset.node")


def walk(page, *keys):
    for key in keys:
        page.keyboard.press(key)
    return focused(page)


def test_arrow_keys_walk_along_the_lines(page):
    page.locator("a[data-node=inicio]").focus()
    assert walk(page, "ArrowRight") == "menu"
    assert walk(page, "ArrowRight") in ("nome", "equipe")
    assert walk(page, "ArrowLeft") == "menu"
    assert walk(page, "Home") == "inicio"


def test_map_and_table_change_in_place_and_the_marks_are_in_both(page):
    promo = page.locator("a[data-node=promo]")
    expect(promo).to_have_accessible_name(f"Promo novembro, {_message()}, {_('has errors')}")
    page.get_by_role("link", name=_("Table"), exact=True).click()
    row = page.locator("#passo-promo")
    expect(row).to_contain_text(_("error"))
    assert barriers(page) == []
    page.get_by_role("link", name=_("Map"), exact=True).click()
    expect(promo).to_be_visible()


def _message():
    from chatbot.kind_words import WORDS  # noqa: PLC0415  # in the language of the site

    return str(WORDS["send"])


def test_errors_keep_it_from_being_published_and_are_named(page):
    button = page.get_by_role("button", name=_("Publish %(version)s") % {"version": "v2"})
    expect(button).to_be_disabled()
    expect(page.locator("#flow-alert")).to_contain_text("Promo novembro")


def test_a_warning_is_ignored_and_told_again(page, flow):
    findings = page.locator("#flow-findings")
    before = findings.get_by_role("listitem").count()
    findings.get_by_role("button", name=_("Ignore: %(what)s").partition(":")[0]).first.click()
    expect(findings.get_by_role("listitem")).to_have_count(before - 1)
    assert IgnoredFinding.objects.filter(flow=flow).count() == 1
    findings.get_by_role("link", name=_("Show ignored (%(count)s)") % {"count": 1}).click()
    findings.get_by_role("button", name=_("Warn again: %(what)s").partition(":")[0]).click()
    expect(findings.get_by_role("listitem")).to_have_count(before)


def test_a_version_is_looked_at_beside_the_draft(page):
    page.get_by_label(_("What is shown")).select_option(index=1)
    expect(page.locator("a[data-node=promo]")).to_have_count(0)
    page.get_by_label(_("What is shown")).select_option(index=0)
    expect(page.locator("a[data-node=promo]")).to_have_count(1)


def test_a_file_becomes_the_draft_after_it_was_shown(page, flow, desk):
    document = {**flow.draft, "nodes": NODES}
    content = json.dumps({"flow": document}).encode()
    page.goto(f"{desk.site.url}{reverse('flow_import', args=[flow.pk])}")
    chosen = {"name": "fluxo.json", "mimeType": "application/json", "buffer": content}
    page.get_by_label(_("JSON or YAML file")).set_input_files(chosen)
    page.get_by_role("button", name=_("See what it has")).click()
    assert barriers(page) == []
    page.get_by_role("button", name=_("Save as the draft")).click()
    page.locator("#flow-map-card").wait_for()
    expect(page.locator("a[data-node=promo]")).to_have_count(0)
    flow.refresh_from_db()
    assert "promo" not in flow.draft["nodes"]
