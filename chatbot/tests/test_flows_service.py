import copy

import pytest

from chatbot import flows_service
from chatbot.engine.nodes import parse_flow
from chatbot.flows_service import DraftConflict, FlowRefused
from chatbot.models import FlowVersion
from chatbot.tests import recipes
from users.errors import DomainError

pytestmark = pytest.mark.django_db


def with_subflow(slug: str, subflow: str):
    """A flow that runs another one after its question."""
    document = recipes.document(slug)
    document["nodes"]["nome"]["next"] = "outro"
    document["nodes"]["outro"] = {"kind": "flow", "flow": subflow, "next": "equipe"}
    return document


def subflow(slug: str, text: str = "Só um instante."):
    return {
        "schema": 1,
        "slug": slug,
        "name": slug.title(),
        "start": "inicio",
        "nodes": {
            "inicio": {"kind": "start", "next": "fala"},
            "fala": {"kind": "send", "text": text, "next": "fim"},
            "fim": {"kind": "end"},
        },
    }


def with_department(slug: str):
    document = recipes.document()
    document["nodes"]["equipe"]["department"] = slug
    return document


# --- Drafts


def test_a_draft_is_saved_with_its_author_and_a_new_revision():
    flow, ana = recipes.flow(), recipes.ana()
    document = recipes.document(text="Bom dia!")
    flows_service.save_draft(flow, document, user=ana, revision=0)
    flow.refresh_from_db()
    assert flow.draft == parse_flow(document).as_dict()
    assert (flow.draft_revision, flow.draft_saved_by) == (1, ana)
    assert flow.draft_saved_at is not None


def test_the_second_of_two_saves_is_refused_and_neither_text_is_lost():
    flow = recipes.flow()
    theirs, mine = recipes.document(text="Bom dia!"), recipes.document(text="Boa noite!")
    flows_service.save_draft(flow, theirs, user=None, revision=0)
    with pytest.raises(DraftConflict) as refusal:
        flows_service.save_draft(flow, mine, user=None, revision=0)
    flow.refresh_from_db()
    assert flow.draft == refusal.value.stored == parse_flow(theirs).as_dict()
    assert refusal.value.submitted == parse_flow(mine).as_dict()
    assert refusal.value.revision == 1


def test_an_unfinished_draft_can_be_kept():
    flow = recipes.flow()
    unfinished = {"schema": 1, "slug": "oi", "name": "Oi", "nodes": {"inicio": {"kind": "start"}}}
    flows_service.save_draft(flow, unfinished, user=None, revision=0)
    assert any(finding.is_error for finding in flows_service.check(flow))


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([], "flow_has_errors"),
        ({"slug": "oi", "name": "Oi", "nodes": {"a": {"kind": "dance"}}}, "flow_has_errors"),
        (recipes.document("outro"), "other_flow"),
    ],
    ids=["no object", "unknown kind", "slug of another flow"],
)
def test_what_cannot_be_read_is_no_draft(document, code):
    flow = recipes.flow()
    with pytest.raises(DomainError) as refusal:
        flows_service.save_draft(flow, document, user=None, revision=0)
    assert refusal.value.code == code
    flow.refresh_from_db()
    assert flow.draft_revision == 0


# --- Publishing


def test_publishing_puts_the_draft_on_air_as_the_next_version():
    flow, ana = recipes.flow(), recipes.ana()
    first = flows_service.publish(flow, user=ana, note="começo")
    flow.refresh_from_db()
    flows_service.save_draft(flow, recipes.document(text="Bom dia!"), user=ana, revision=0)
    second = flows_service.publish(flow, user=ana)
    flow.refresh_from_db()
    assert (first.number, second.number) == (1, 2)
    assert (first.note, first.published_by) == ("começo", ana)
    assert flow.published == second
    first.refresh_from_db()
    assert first.document == parse_flow(recipes.document()).as_dict()


def test_publishing_what_is_on_air_already_makes_no_version():
    flow = recipes.flow()
    first = flows_service.publish(flow, user=None)
    assert flows_service.publish(flow, user=None) == first
    assert FlowVersion.objects.count() == 1


def test_a_flow_with_errors_stays_off_air_and_is_told_why():
    flow = recipes.flow(draft={**recipes.document(), "start": ""})
    with pytest.raises(FlowRefused) as refusal:
        flows_service.publish(flow, user=None)
    assert "missing_start" in {finding.code for finding in refusal.value.findings}
    flow.refresh_from_db()
    assert flow.published is None


def test_a_draft_that_changed_since_it_was_looked_at_is_not_published():
    flow = recipes.flow()
    flows_service.save_draft(flow, recipes.document(text="Bom dia!"), user=None, revision=0)
    with pytest.raises(DraftConflict):
        flows_service.publish(flow, user=None, revision=0)


def test_a_department_must_exist_and_be_active():
    flow = recipes.flow(draft=with_department("vendas"))
    with pytest.raises(FlowRefused):
        flows_service.publish(flow, user=None)
    recipes.department("vendas")
    assert flows_service.publish(flow, user=None).number == 1


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"handler": "no_such_handler"}, "unknown_handler"),
        ({"handler": "find_ticket"}, "bad_args"),
        ({"handler": "lead_summary", "args": {"wanted": ["shoe size"]}}, "bad_args"),
    ],
    ids=["unknown", "missing argument", "argument out of range"],
)
def test_a_call_must_fit_a_registered_handler(call, code):
    draft = recipes.document()
    draft["nodes"]["nome"]["next"] = "busca"
    routes = dict.fromkeys(("ok", "not_found", "incomplete", "error"), "equipe")
    draft["nodes"]["busca"] = {"kind": "call", "routes": routes, **call}
    found = flows_service.check(recipes.flow(draft=draft))
    assert code in {finding.code for finding in found if finding.is_error}


def test_a_text_longer_than_a_channel_of_this_site_takes_is_found():
    draft = recipes.document()
    draft["nodes"]["nome"] |= {
        "kind": "menu",
        "options": [{"id": "a", "label": "x" * 30, "next": "equipe"}],
    }
    draft["nodes"]["nome"] = {
        key: draft["nodes"]["nome"][key] for key in ("kind", "text", "options")
    }
    recipes.channel(kind="whatsapp_cloud")
    codes = {finding.code for finding in flows_service.check(recipes.flow(draft=draft))}
    assert "over_channel_limit" in codes


# --- Sub-flows


def test_a_version_brings_the_published_documents_of_all_its_subflows():
    inner = recipes.flow("inner", draft=subflow("inner"))
    flows_service.publish(inner, user=None)
    middle = recipes.flow("middle", draft=with_subflow("middle", "inner"))
    flows_service.publish(middle, user=None)
    outer = recipes.flow("outer", draft=with_subflow("outer", "middle"))
    version = flows_service.publish(outer, user=None)
    assert set(version.document["subflows"]) == {"inner", "middle"}
    assert not any(one.get("subflows") for one in version.document["subflows"].values())
    parse_flow(version.document)


def test_a_published_version_keeps_the_subflow_it_was_published_with():
    inner = recipes.flow("inner", draft=subflow("inner", "Um"))
    flows_service.publish(inner, user=None)
    outer = recipes.flow("outer", draft=with_subflow("outer", "inner"))
    version = flows_service.publish(outer, user=None)
    before = copy.deepcopy(version.document)
    inner.refresh_from_db()
    flows_service.save_draft(inner, subflow("inner", "Dois"), user=None, revision=0)
    flows_service.publish(inner, user=None)
    version.refresh_from_db()
    assert version.document == before
    assert flows_service.publish(outer, user=None).number == 2


def test_a_subflow_that_is_not_on_air_cannot_be_published_with():
    recipes.flow("inner", draft=subflow("inner"))
    outer = recipes.flow("outer", draft=with_subflow("outer", "inner"))
    with pytest.raises(FlowRefused) as refusal:
        flows_service.publish(outer, user=None)
    assert {finding.code for finding in refusal.value.findings} == {"unknown_flow"}


def test_a_flow_cannot_run_inside_itself():
    outer = recipes.flow("outer", draft=with_subflow("outer", "outer"))
    with pytest.raises(FlowRefused) as refusal:
        flows_service.publish(outer, user=None)
    assert {finding.code for finding in refusal.value.findings} == {"subflow_recursion"}
