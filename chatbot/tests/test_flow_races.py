"""Several people and processes at the flows at once, on PostgreSQL with real threads."""

from functools import partial

import pytest

from chatbot import flow_files, flows_service
from chatbot.flows_service import DraftConflict
from chatbot.models import Flow, FlowVersion, Trigger
from chatbot.tests import recipes
from users.tests.racing import at_once

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


def test_of_several_saves_at_once_one_wins_and_the_others_are_told():
    flow = recipes.flow()
    saves = [
        partial(
            flows_service.save_draft,
            Flow.objects.get(pk=flow.pk),
            recipes.document(text=f"Texto {number}."),
            user=None,
            revision=0,
        )
        for number in range(5)
    ]
    outcomes = at_once(*saves)
    flow.refresh_from_db()
    winners = [one for one in outcomes if isinstance(one, Flow)]
    assert sum(isinstance(one, DraftConflict) for one in outcomes) == 4
    assert [one.draft for one in winners] == [flow.draft]
    assert flow.draft_revision == 1


def test_publishing_one_draft_several_times_at_once_makes_one_version():
    flow = recipes.flow()
    outcomes = at_once(*[partial(flows_service.publish, flow, user=None)] * 5)
    flow.refresh_from_db()
    assert {one.pk for one in outcomes} == {flow.published_id}
    assert FlowVersion.objects.count() == 1


def test_no_number_is_given_twice_while_drafts_change():
    flow = recipes.flow()

    def save_and_publish(number):
        while True:
            current = Flow.objects.get(pk=flow.pk)
            text = recipes.document(text=f"Texto {number}.")
            try:
                flows_service.save_draft(current, text, user=None, revision=current.draft_revision)
            except DraftConflict:
                continue
            return flows_service.publish(current, user=None)

    outcomes = at_once(*[partial(save_and_publish, number) for number in range(5)])
    assert all(isinstance(one, FlowVersion) for one in outcomes), outcomes
    numbers = sorted(FlowVersion.objects.values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))


def test_two_releases_at_once_install_each_flow_once():
    outcomes = at_once(*[flow_files.load_shipped] * 4)
    shipped = flow_files.shipped_documents()
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert Flow.objects.published().count() == len(shipped)
    assert FlowVersion.objects.count() == len(shipped)
    assert Trigger.objects.count() == len(flow_files.SHIPPED_TRIGGERS)
