from io import StringIO

import pytest
from django.core.management import call_command

from chatbot import flow_files, flows_service
from chatbot.engine.nodes import parse_flow
from chatbot.models import Flow, FlowVersion, Trigger
from chatbot.tests import recipes

pytestmark = pytest.mark.django_db

SHIPPED = {"atendimento", "fora_do_horario", "pesquisa"}


def load_flows(*arguments):
    out = StringIO()
    call_command("load_flows", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def newer_atendimento(monkeypatch):
    """The program now comes with another text than the one that was installed."""
    newer = recipes.document("atendimento", text="Bom dia!")
    monkeypatch.setattr(flow_files, "shipped_documents", lambda: {"atendimento": parse_flow(newer)})
    return parse_flow(newer).as_dict()


def test_an_empty_installation_gets_every_shipped_flow_on_air():
    load_flows()
    on_air = Flow.objects.published().values_list("slug", flat=True)
    assert set(on_air) == SHIPPED
    assert set(FlowVersion.objects.values_list("number", flat=True)) == {1}


def test_the_greeting_is_started_by_any_message_and_the_survey_by_people_alone():
    load_flows()
    started = set(Trigger.objects.values_list("flow__slug", "kind", "priority"))
    assert started == {("atendimento", "catch_all", 0)}


def test_loading_again_changes_nothing():
    load_flows()
    before = list(Flow.objects.values()), list(Trigger.objects.values())
    answer = load_flows()
    assert (list(Flow.objects.values()), list(Trigger.objects.values())) == before
    assert answer.count("nothing to do") == len(SHIPPED)


def test_one_flow_can_be_loaded_alone():
    load_flows("pesquisa")
    assert list(Flow.objects.values_list("slug", flat=True)) == ["pesquisa"]


def test_a_newer_shipped_flow_arrives_as_a_draft_and_stays_off_air(newer_atendimento):
    with pytest.MonkeyPatch.context() as undo:
        undo.setattr(flow_files, "shipped_documents", lambda: {"atendimento": installed()})
        load_flows()
    answer = load_flows()
    flow = Flow.objects.get(slug="atendimento")
    assert "waits as a draft" in answer
    assert flow.draft == newer_atendimento
    assert flow.published.document == installed().as_dict()


def test_a_draft_that_somebody_changed_is_kept(newer_atendimento):
    with pytest.MonkeyPatch.context() as undo:
        undo.setattr(flow_files, "shipped_documents", lambda: {"atendimento": installed()})
        load_flows()
    flow = Flow.objects.get(slug="atendimento")
    mine = recipes.document("atendimento", text="Boa noite!")
    flows_service.save_draft(flow, mine, user=None, revision=flow.draft_revision)
    answer = load_flows()
    flow.refresh_from_db()
    assert "left out" in answer
    assert flow.draft == parse_flow(mine).as_dict()


def test_a_shipped_flow_that_was_on_air_before_is_not_offered_again(newer_atendimento):
    load_flows()
    flow = Flow.objects.get(slug="atendimento")
    mine = recipes.document("atendimento", text="Boa noite!")
    flows_service.save_draft(flow, mine, user=None, revision=flow.draft_revision)
    flows_service.publish(flow, user=None)
    assert "nothing to do" in load_flows()


def installed():
    return parse_flow(recipes.document("atendimento"))
