"""Several people at one draft at once, on PostgreSQL with real threads."""

from functools import partial

import pytest
from django.test import Client
from django.urls import reverse

from chatbot import flows_service
from chatbot.editor.tests.forms import form_in
from chatbot.flows_service import DraftConflict
from chatbot.models import DraftStep, Flow
from chatbot.tests import recipes
from users.tests.racing import at_once

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


def test_of_two_saves_at_once_one_becomes_a_step():
    flow = recipes.flow()
    saves = [
        partial(
            flows_service.save_draft,
            Flow.objects.get(pk=flow.pk),
            recipes.document(text=f"Texto {number}."),
            user=None,
            revision=0,
            said={"code": "step_changed", "step": "nome"},
        )
        for number in range(4)
    ]
    outcomes = at_once(*saves)
    assert sum(isinstance(one, DraftConflict) for one in outcomes) == 3
    flow.refresh_from_db()
    assert [one.after for one in DraftStep.objects.all()] == [flow.draft]


def test_undoing_twice_at_once_undoes_one_step():
    flow = recipes.flow()
    for text in ("Um.", "Dois."):
        flow.refresh_from_db()
        flows_service.save_draft(
            flow, recipes.document(text=text), user=None, revision=flow.draft_revision
        )
    seen = Flow.objects.get(pk=flow.pk).draft_revision
    undos = [
        partial(flows_service.undo, Flow.objects.get(pk=flow.pk), user=None, revision=seen)
        for _number in range(3)
    ]
    outcomes = at_once(*undos)
    assert sum(isinstance(one, DraftStep) for one in outcomes) == 1
    assert DraftStep.objects.filter(is_undone=True).count() == 1


def test_two_people_who_save_different_steps_at_once_both_keep_their_work():
    flow, ana = recipes.flow(), recipes.ana()

    def sender(node_id, text):
        client = Client()
        client.force_login(ana)
        url = reverse("flow_step", args=[flow.pk, node_id])
        fields = form_in(client.get(url).text, url) | {"text": text, "do": "save"}
        return partial(client.post, url, fields)

    sends = [sender("nome", "Como se chama?"), sender("equipe", "Já chamei.")]
    assert [one.status_code for one in at_once(*sends)] == [302, 302]
    flow.refresh_from_db()
    assert flow.draft["nodes"]["nome"]["text"] == "Como se chama?"
    assert flow.draft["nodes"]["equipe"]["text"] == "Já chamei."
    assert flow.draft_revision == 2


def test_steps_added_at_once_get_ids_of_their_own():
    flow, ana = recipes.flow(), recipes.ana()

    def add():
        client = Client()
        client.force_login(ana)
        url = reverse("flow_step_add", args=[flow.pk])
        return client.post(url, {"new_kind": "send", "new_title": "Aviso"}).status_code

    assert at_once(add, add, add) == [302, 302, 302]
    flow.refresh_from_db()
    assert {"aviso", "aviso_2", "aviso_3"} <= set(flow.draft["nodes"])
