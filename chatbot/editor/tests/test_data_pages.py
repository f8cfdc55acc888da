"""Variables, words, settings, triggers: saved in the draft or at once, and never over others."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from model_bakery import baker

from chatbot import flows_service
from chatbot.editor.data_forms import SettingsForm
from chatbot.models import Trigger
from chatbot.tests import recipes
from chatbot.tests.recipes import ana
from users.models import Calendar

pytestmark = pytest.mark.django_db


@pytest.fixture
def flow(client):
    flow = recipes.flow()
    flows_service.save_draft(flow, recipes.document(), user=None, revision=0)
    client.force_login(ana())
    return flow


def url(name, flow, *args, **query):
    return reverse(name, args=[flow.pk, *args], query=query or None)


def rows(prefix, *forms, initial=0, **more):
    named = {
        f"{prefix}-{n}-{key}": one for n, form in enumerate(forms) for key, one in form.items()
    }
    about = {f"{prefix}-TOTAL_FORMS": len(forms), f"{prefix}-INITIAL_FORMS": initial}
    return {**named, **about, **more}


def posted(client, flow, name, data, revision=None):
    flow.refresh_from_db()
    given = flow.draft_revision if revision is None else revision
    return client.post(url(name, flow), {**data, "revision": given})


def stored(flow):
    flow.refresh_from_db()
    return flow.draft


# -- variables


def test_variables_are_listed_with_where_they_are_set_and_read(client, flow):
    document = recipes.document()
    document["nodes"]["equipe"]["text"] = "{{ nome }}, um momento."
    flows_service.save_draft(flow, document, user=None, revision=1)
    page = client.get(url("flow_variables", flow)).content.decode()
    assert "#passo-nome" in page
    assert "#passo-equipe" in page


def test_what_is_said_about_a_variable_is_stored_in_the_draft(client, flow):
    forms = [
        {"name": "nome", "label": "Nome", "type": "text", "sensitive": "on"},
        {"name": "protocolo", "label": "", "type": "any", "given": "on"},
    ]
    answer = posted(client, flow, "flow_variables", rows("v", *forms, initial=1))
    assert answer.status_code == 302
    assert stored(flow)["variables"] == {
        "nome": {"label": "Nome", "sensitive": True},
        "protocolo": {"type": "any", "given": True},
    }


def test_a_variable_that_nobody_described_leaves_nothing_in_the_draft(client, flow):
    forms = [{"name": "nome", "label": "", "type": "text"}, {"name": "", "type": "text"}]
    posted(client, flow, "flow_variables", rows("v", *forms, initial=1))
    assert "variables" not in stored(flow)
    assert flow.draft_revision == 1


@pytest.mark.parametrize("name", ["Nome", "1x", "lead", "a b", "x" * 41])
def test_a_name_that_cannot_be_is_refused_and_kept_in_the_form(client, flow, name):
    forms = [{"name": "nome", "label": "N", "type": "text"}, {"name": name, "type": "text"}]
    answer = posted(client, flow, "flow_variables", rows("v", *forms, initial=1))
    assert answer.status_code == 200
    assert f'value="{name}"' in answer.content.decode()
    assert "variables" not in stored(flow)


def test_a_name_is_there_once(client, flow):
    forms = [{"name": "nome", "label": "N", "type": "text"}]
    forms += [{"name": "novo", "label": one, "type": "text"} for one in "ab"]
    assert posted(client, flow, "flow_variables", rows("v", *forms, initial=1)).status_code == 200
    assert "variables" not in stored(flow)


def test_a_variable_that_nothing_uses_can_be_removed(client, flow):
    document = recipes.document() | {"variables": {"velha": {"label": "Velha"}}}
    flows_service.save_draft(flow, document, user=None, revision=1)
    forms = [
        {"name": "nome", "label": "", "type": "text"},
        {"name": "velha", "label": "Velha", "type": "text", "DELETE": "on"},
    ]
    posted(client, flow, "flow_variables", rows("v", *forms, initial=2))
    assert "variables" not in stored(flow)


# -- words


def test_words_lead_to_passos(client, flow):
    forms = [{"keywords": "menu, início ,menu", "next": "nome"}, {"keywords": "", "next": ""}]
    posted(client, flow, "flow_words", rows("w", *forms))
    assert stored(flow)["words"] == [{"keywords": ["menu", "início"], "next": "nome"}]
    page = client.get(url("flow_words", flow)).content.decode()
    assert 'value="menu, início"' in page


def test_words_are_removed(client, flow):
    document = recipes.document() | {"words": [{"keywords": ["oi"], "next": "nome"}]}
    flows_service.save_draft(flow, document, user=None, revision=1)
    forms = [{"keywords": "oi", "next": "nome", "DELETE": "on"}]
    posted(client, flow, "flow_words", rows("w", *forms, initial=1))
    assert "words" not in stored(flow)


@pytest.mark.parametrize(
    "form",
    [
        {"keywords": "x" * 300, "next": "nome"},
        {"keywords": "oi", "next": "nada"},
        {"keywords": ",".join(f"w{n}" for n in range(40)), "next": "nome"},
    ],
)
def test_words_that_cannot_be_stored_stay_in_the_form(client, flow, form):
    answer = posted(client, flow, "flow_words", rows("w", form))
    assert answer.status_code == 200
    assert form["keywords"] in answer.content.decode()
    assert "words" not in stored(flow)


def test_the_second_of_two_editors_keeps_their_words_and_sees_the_others(client, flow):
    theirs = recipes.document() | {"words": [{"keywords": ["deles"], "next": "nome"}]}
    flows_service.save_draft(flow, theirs, user=None, revision=1)
    mine = rows("w", {"keywords": "meus", "next": "equipe"})
    answer = posted(client, flow, "flow_words", mine, revision=1)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "deles" in page
    assert "meus" in page
    assert stored(flow)["words"][0]["keywords"] == ["deles"]
    assert 'name="revision" value="2"' in page
    posted(client, flow, "flow_words", mine, revision=2)
    assert stored(flow)["words"] == [{"keywords": ["meus"], "next": "equipe"}]


def test_saving_one_part_again_keeps_what_others_did_elsewhere(client, flow):
    theirs = recipes.document(text="Bom dia!")
    flows_service.save_draft(flow, theirs, user=None, revision=1)
    mine = rows("w", {"keywords": "meus", "next": "equipe"})
    posted(client, flow, "flow_words", mine, revision=1)
    posted(client, flow, "flow_words", mine, revision=2)
    assert stored(flow)["nodes"]["nome"]["text"].startswith("Bom dia!")


# -- settings


SETTINGS = {
    "name": "Olá",
    "description": "Recebe",
    "is_active": "on",
    "idle_minutes": "",
    "warning_minutes": "10",
    "warning_text": "Ainda aí?\r\nResponda.",
    "end_text": "",
    "only_text_answer": "Só texto.",
    "trouble_text": "Ops",
}


def test_settings_of_the_flow_count_at_once_and_its_texts_are_the_drafts(client, flow):
    answer = posted(client, flow, "flow_settings", SETTINGS)
    assert answer.status_code == 302
    draft = stored(flow)
    assert (flow.name, flow.description, flow.is_active) == ("Olá", "Recebe", True)
    assert draft["name"] == "Olá"
    assert draft["idle"] == {"warning_minutes": 10, "warning_text": "Ainda aí?\nResponda."}
    told = LogEntry.objects.get(object_id=str(flow.pk)).get_change_message()
    assert str(SettingsForm.base_fields["description"].label) in told
    assert "description" not in told


def test_settings_are_not_half_saved_when_somebody_was_first(client, flow):
    flows_service.save_draft(flow, recipes.document(text="X"), user=None, revision=1)
    answer = posted(client, flow, "flow_settings", SETTINGS, revision=1)
    assert answer.status_code == 200
    assert "Só texto." in answer.content.decode()
    flow.refresh_from_db()
    assert (flow.name, flow.description) == ("Oi", "")


def test_a_setting_out_of_bounds_is_refused(client, flow):
    answer = posted(client, flow, "flow_settings", {**SETTINGS, "idle_minutes": "0"})
    assert answer.status_code == 200
    assert flow.draft_revision == 1


def test_a_draft_that_cannot_be_read_leads_back_to_the_page(client, flow):
    flow.draft = {"schema": 9}
    flow.save(update_fields=["draft"])
    for name in ("flow_variables", "flow_words", "flow_settings"):
        assert client.get(url(name, flow)).status_code == 302


# -- triggers


def test_a_trigger_is_added_changed_and_removed_and_the_history_says_so(client, flow):
    given = {"kind": "keyword", "keywords": "boleto, fatura", "priority": "5", "when_open": "on"}
    client.post(url("flow_trigger_add", flow), {**given, "is_active": "on"})
    trigger = flow.triggers.get()
    assert (trigger.keywords, trigger.priority) == (["boleto", "fatura"], 5)
    client.post(url("flow_trigger", flow, trigger.pk), {**given, "kind": "catch_all"})
    trigger.refresh_from_db()
    assert (trigger.kind, trigger.keywords, trigger.is_active) == ("catch_all", [], False)
    assert client.get(url("flow_trigger_remove", flow, trigger.pk)).status_code == 200
    assert flow.triggers.exists()
    client.post(url("flow_trigger_remove", flow, trigger.pk))
    assert not flow.triggers.exists()
    assert LogEntry.objects.filter(object_id=str(flow.pk)).count() == 3


@pytest.mark.parametrize("kind", ["keyword", "template_button"])
def test_a_trigger_that_would_never_fire_is_refused(client, flow, kind):
    given = {"kind": kind, "keywords": " , ", "priority": "0"}
    assert client.post(url("flow_trigger_add", flow), given).status_code == 200
    assert not flow.triggers.exists()


def test_another_flows_trigger_is_not_edited_here(client, flow):
    other = baker.make(Trigger, flow=recipes.flow("outro"), kind="catch_all")
    for name in ("flow_trigger", "flow_trigger_remove"):
        assert client.post(url(name, flow, other.pk), {}).status_code == 404
    assert Trigger.objects.filter(pk=other.pk).exists()


def tried(client, flow, channel, **given):
    asked = {"try": "1", "channel": channel.pk, "text": "", **given}
    answer = client.get(url("flow_triggers", flow, **asked), headers={"hx-request": "true"})
    return answer.context["tried"]


def test_the_box_says_which_trigger_would_win(client, flow):
    flows_service.publish(flow, user=None)
    other = recipes.flow("outro", draft=recipes.document("outro"))
    flows_service.publish(other, user=None)
    channel = recipes.channel()
    any_ = baker.make(Trigger, flow=flow, kind="catch_all")
    word = baker.make(Trigger, flow=other, kind="keyword", keywords=["boleto"])
    button = baker.make(Trigger, flow=flow, kind="template_button", keywords=["pagar"])
    ad = baker.make(Trigger, flow=flow, kind="referral", keywords=["77"])
    closed = baker.make(Trigger, flow=other, kind="ticket_closed")
    found = tried(client, flow, channel, text="Boleto!")
    assert (found.winner, found.beaten) == (word, (any_,))
    assert tried(client, flow, channel, text="oi").winner == any_
    assert tried(client, flow, channel, happening="button", code="pagar").winner == button
    assert tried(client, flow, channel, happening="ad", code="77").winner == ad
    assert tried(client, flow, channel, happening="ad", code="78").winner == any_
    assert tried(client, flow, channel, happening="closed").winner == closed


def test_the_box_knows_the_hour(client, flow):
    flows_service.publish(flow, user=None)
    calendar = baker.make(Calendar, name="Comercial")
    baker.make(Trigger, flow=flow, kind="catch_all", calendar=calendar, when_open=True)
    found = tried(client, flow, recipes.channel(), at="2026-11-15T03:00")
    assert found.winner is None


def test_a_question_that_makes_no_sense_is_told(client, flow):
    answer = client.get(url("flow_triggers", flow, **{"try": "1", "channel": "x", "at": "ontem"}))
    assert answer.status_code == 200
    assert answer.context["trying"].errors
