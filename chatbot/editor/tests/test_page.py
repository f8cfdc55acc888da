"""The page of a flow: what it shows, what it costs, and who sees it."""

from __future__ import annotations

import json
import re

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker

from chatbot import flows_service
from chatbot.editor.page import Asked, FlowPage, draft_differs
from chatbot.engine.nodes import parse_flow
from chatbot.flow_map import MapCounts, NodeCount, draw, with_counts, with_marks, with_trail
from chatbot.models import FlowVersion, GoldenConversation, IgnoredFinding, Trigger
from chatbot.tests import recipes
from chatbot.tests.recipes import ana, bia

pytestmark = pytest.mark.django_db

PAGE = "admin:chatbot_flow_change"
HTMX = {"headers": {"hx-request": "true"}}


@pytest.fixture
def flow():
    """On air, with a warning: a question without a limit of tries."""
    document = recipes.document()
    document["nodes"]["nome"]["tries"] = 0
    flow = recipes.flow(draft=document)
    flows_service.save_draft(flow, document, user=ana(), revision=0)
    flows_service.publish(flow, user=ana())
    flow.refresh_from_db()
    return flow


def url(name, flow, **query):
    return reverse(name, args=[flow.pk], query=query or None)


def shown(client, flow, **query):
    answer = client.get(url(PAGE, flow, **query))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def draft_of(flow, **nodes):
    document = json.loads(json.dumps(flow.draft))
    document["nodes"] |= nodes
    return document


def save(flow, document):
    flows_service.save_draft(flow, document, user=ana(), revision=flow.draft_revision)


def page_of(flow, **asked):
    flow.refresh_from_db()
    return FlowPage(flow, user=ana(), asked=Asked(**asked))


def short(text="Oi"):
    """A flow that says something and returns."""
    nodes = {
        "inicio": {"kind": "start", "next": "diz"},
        "diz": {"kind": "send", "text": text, "next": "fim"},
        "fim": {"kind": "end"},
    }
    return {"schema": 1, "slug": "outro", "name": "Outro", "start": "inicio", "nodes": nodes}


def broken(flow):
    """With a passo that nothing leads to."""
    document = draft_of(flow, promo={"kind": "send", "text": "Promo", "next": "nome", "title": "P"})
    save(flow, document)


# -- what it says


def test_a_draft_that_says_the_same_is_no_draft(client, flow):
    client.force_login(ana())
    page = shown(client, flow)
    assert 'chip ok">v1' in page
    assert 'chip warn">v2' not in page
    assert not page_of(flow).may_publish


def test_a_draft_that_differs_is_named_by_the_number_it_would_get(client, flow):
    save(flow, recipes.document(text="Bom dia!"))
    client.force_login(ana())
    assert 'chip warn">v2' in shown(client, flow)
    assert page_of(flow).may_publish


def test_a_sub_flow_that_a_version_brought_with_it_is_no_difference(flow):
    other = recipes.flow("outro", draft=short())
    flows_service.publish(other, user=None)
    run = {"kind": "flow", "flow": "outro", "next": "nome"}
    document = draft_of(flow, antes=run)
    document["nodes"]["inicio"]["next"] = "antes"
    save(flow, document)
    flows_service.publish(flow, user=None)
    flow.refresh_from_db()
    assert flow.published.document["subflows"]
    assert not page_of(flow).differs
    assert not draft_differs(flow)
    save(other, short("Outro texto"))
    flows_service.publish(other, user=None)
    assert page_of(flow).differs  # what it runs would be another one


def test_errors_are_named_and_keep_the_draft_from_being_published(client, flow):
    broken(flow)
    client.force_login(ana())
    page = page_of(flow)
    assert (page.errors, page.may_publish) == (1, False)
    assert [one.title for one in page.to_mend] == ["P"]
    alert = re.search(r'id="flow-alert".*?</div>', shown(client, flow), re.DOTALL)[0]
    assert page.to_mend[0].title in alert


def test_a_draft_that_cannot_be_read_leaves_the_page_and_its_versions(client, flow):
    flow.draft = {"schema": 99}
    flow.save(update_fields=["draft"])
    client.force_login(ana())
    page = shown(client, flow)
    version = flow.published_id
    assert page_of(flow).errors
    assert f'value="{version}"' in page
    assert 'data-node="nome"' in shown(client, flow, document=version)


def test_a_version_is_shown_as_it_was_published_and_cannot_be_edited(client, flow):
    save(flow, draft_of(flow, novo={"kind": "end", "title": "Novo"}))
    client.force_login(ana())
    assert 'data-node="novo"' in shown(client, flow)
    page = shown(client, flow, document=flow.published_id)
    assert 'data-node="novo"' not in page
    assert "data-step-open" not in re.search(r"<svg class=\"g\".*?</svg>", page, re.DOTALL)[0]


@pytest.mark.parametrize("document", ["999999999", "x", "-1", "٣", "1" * 40])
def test_an_address_of_nothing_shows_the_draft(client, flow, document):
    client.force_login(ana())
    assert 'value="draft" selected' in shown(client, flow, document=document)


def test_another_flows_version_is_not_shown(client, flow):
    other = recipes.version(recipes.flow("outro", draft=recipes.document("outro")))
    assert page_of(flow, document=str(other.pk)).is_draft


def test_map_and_table_say_the_same_without_a_script(client, flow):
    broken(flow)
    client.force_login(ana())
    map_, table = shown(client, flow), shown(client, flow, view="table")
    for node_id in ("inicio", "nome", "equipe", "promo"):
        assert f'data-node="{node_id}"' in map_
        assert f'id="passo-{node_id}"' in table


def test_the_channels_are_those_of_active_triggers(flow):
    page = page_of(flow)
    baker.make(Trigger, flow=flow, kind="catch_all", channel=recipes.channel(name="Vendas"))
    assert page.channels.endswith("Vendas")
    baker.make(Trigger, flow=flow, kind="catch_all", is_active=False)
    assert page_of(flow).channels.endswith("Vendas")
    baker.make(Trigger, flow=flow, kind="catch_all")
    assert "Vendas" not in page_of(flow).channels


# -- findings


def warning_of(flow):
    return next(one for one in page_of(flow).findings if one.severity == "warning")


def test_a_warning_is_ignored_until_it_is_about_something_else(client, flow):
    client.force_login(ana())
    found = warning_of(flow)
    client.post(url("flow_finding_ignore", flow), {"key": found.key})
    assert IgnoredFinding.objects.get().user == ana()
    page = page_of(flow)
    assert found.key not in {one.key for one in page.seen_findings}
    assert page.ignored_count == 1
    assert found.finding.title in shown(client, flow, ignored="show")
    client.post(url("flow_finding_ignore", flow), {"key": found.key, "again": "1"})
    assert page_of(flow).ignored_count == 0


def test_an_error_cannot_be_ignored(client, flow):
    broken(flow)
    error = page_of(flow).findings[0]
    client.force_login(ana())
    client.post(url("flow_finding_ignore", flow), {"key": error.key})
    assert not IgnoredFinding.objects.exists()
    baker.make(IgnoredFinding, flow=flow, key=error.key)
    assert page_of(flow).errors == 1


def test_ignoring_twice_is_ignoring_once(client, flow):
    client.force_login(ana())
    key = warning_of(flow).key
    for _ in range(2):
        client.post(url("flow_finding_ignore", flow), {"key": key})
    assert IgnoredFinding.objects.count() == 1


def test_verifying_holds_the_golden_conversations_too(client, flow):
    turns = [{"in": "Oi", "out": ["Outra coisa"]}]
    baker.make(GoldenConversation, flow=flow, name="Começo", conversation={"turns": turns})
    client.force_login(ana())
    assert "golden" not in {one.finding.code for one in page_of(flow).findings}
    verified = page_of(flow, is_verified=True)
    assert verified.findings[0].finding.code == "golden"
    assert not verified.may_publish
    answer = client.get(url("flow_parts", flow, verify="1"), **HTMX)
    assert "toast" in answer.headers["HX-Trigger"]
    assert 'id="flow-findings"' in answer.content.decode()


# -- the map


def test_counts_stand_on_lines_and_below_passos():
    seen = with_trail(draw(parse_flow(recipes.document())))
    nodes = {"inicio": NodeCount(1412, 0), "nome": NodeCount(1000, 310), "equipe": NodeCount(5, 1)}
    counted = with_counts(seen, MapCounts(nodes, {("inicio", "nome"): 1412, ("nome", "equipe"): 9}))
    by_id = {one.node.id: one for one in counted.nodes}
    assert (by_id["nome"].foot.heat, by_id["nome"].foot.rate) == (5, 31)
    assert by_id["inicio"].foot is None
    assert by_id["equipe"].foot is None
    assert "1.412" in by_id["inicio"].detail
    widths = {one.edge.origin: (one.count, one.width) for one in counted.edges}
    assert widths == {"inicio": (1412, 9.0), "nome": (9, 1.2)}
    assert "31" in counted.summary


@pytest.mark.parametrize(
    ("dropped", "heat"), [(0, 1), (74, 1), (75, 2), (150, 3), (225, 4), (300, 5), (1000, 5)]
)
def test_heat_rises_with_who_gives_up(dropped, heat):
    assert NodeCount(1000, dropped).heat == heat


def test_counts_of_a_sub_flow_are_found_by_its_place():
    seen = with_trail(draw(parse_flow(recipes.document()), key="oi"))
    counts = MapCounts({"oi/nome": NodeCount(3, 1)}, {("oi/inicio", "oi/nome"): 3})
    counted = with_counts(seen, counts)
    assert [one.count for one in counted.nodes if one.node.id == "nome"] == [NodeCount(3, 1)]
    assert 3 in [one.count for one in counted.edges]


def test_without_counts_the_map_is_as_it_was():
    seen = with_trail(draw(parse_flow(recipes.document())))
    assert with_counts(seen, None) is seen
    assert not with_marks(seen, {}).has_counts


def test_marks_are_on_the_map_and_in_words(client, flow):
    broken(flow)
    client.force_login(ana())
    seen = page_of(flow).seen
    marks = {one.node.id: one.mark for one in seen.nodes}
    assert marks["promo"] == "error"
    assert marks["nome"] == "warning"
    assert 'class="nd error alone"' in shown(client, flow)


# -- who, and what it costs


PAGES = [
    "flow_parts",
    "flow_variables",
    "flow_words",
    "flow_settings",
    "flow_triggers",
    "flow_trigger_add",
    "flow_import",
    "flow_export",
]


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_of_a_flow_are_the_admins(client, flow, name):
    client.force_login(ana())
    assert client.get(url(name, flow), **HTMX).status_code == 200
    client.force_login(bia())
    assert client.get(url(name, flow), **HTMX).status_code == 404
    client.logout()
    assert client.get(url(name, flow)).status_code == 302


def test_an_attendant_sees_no_flow_and_makes_none(client, flow):
    client.force_login(bia())
    assert client.get(url(PAGE, flow)).status_code in (403, 404)
    assert client.get(reverse("admin:chatbot_flow_add")).status_code == 403
    answer = client.post(url("flow_finding_ignore", flow), {"key": warning_of(flow).key})
    assert answer.status_code == 404


def statements(client, flow, **query):
    cache.clear()  # the sidebar's counts, kept for some seconds
    with CaptureQueriesContext(connection) as captured:
        shown(client, flow, **query)
    return len(captured)


@pytest.mark.parametrize("view", ["map", "table"])
def test_the_page_costs_the_same_whatever_there_is(client, flow, view):
    client.force_login(ana())
    shown(client, flow, view=view)  # the version on air is read once in a process
    few = statements(client, flow, view=view)
    many = {f"n{n}": {"kind": "send", "text": "x", "next": f"n{n + 1}"} for n in range(40)}
    many["n40"] = {"kind": "end"}
    save(flow, draft_of(flow, **many))
    for number in range(2, 12):
        recipes.version(flow, number, published_at=timezone.now())
        baker.make(Trigger, flow=flow, kind="catch_all", channel=recipes.channel())
        session = recipes.session()
        recipes.run(session, FlowVersion.objects.filter(flow=flow).first())
        baker.make(IgnoredFinding, flow=flow, key=f"k{number}")
    assert statements(client, flow, view=view) == few
