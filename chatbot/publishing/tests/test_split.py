from collections import Counter

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from zeal import zeal_ignore

from chatbot.documents import document_of
from chatbot.models import Flow, FlowRun, Split
from chatbot.publishing import split as splits
from chatbot.publishing.split import SplitRefused, bucket, version_for
from chatbot.publishing.tests import shop
from chatbot.tests import stage
from chatbot.tests.webhook import say, text
from sessions_app.models import Session
from users.tests.recipes import ana

pytestmark = pytest.mark.django_db


@pytest.fixture
def versions():
    """(the one on air, the other one)."""
    stage.open_shop()
    first = shop.open_flow()
    second = shop.put_on_air(shop.redraw())
    with zeal_ignore():  # one conversation after the other
        yield second, first
    splits.running.forget()


@pytest.fixture
def flow(versions):
    return Flow.objects.get(slug=shop.SLUG)


def divide(flow, versions, share=30, challenger=None):
    """As if committed."""
    split = splits.start(
        flow,
        challenger=challenger or versions[1],
        share=share,
        user=ana(),
        at=timezone.now(),
    )
    splits.running.forget()
    return split


def test_without_a_split_everybody_gets_what_is_on_air(flow, versions):
    assert version_for(flow, 1) == (versions[0].pk, None)


def test_the_share_is_kept_and_the_same_person_always_gets_the_same(flow, versions):
    split = divide(flow, versions)
    got = [version_for(flow, lead) for lead in range(10_000)]
    assert got == [version_for(flow, lead) for lead in range(10_000)]
    counts = Counter(version for version, _split in got)
    assert counts[versions[1].pk] == pytest.approx(3000, abs=150)
    assert {of for _version, of in got} == {split.pk}


def test_another_split_deals_anew():
    first = [bucket(1, lead) < 50 for lead in range(1000)]
    other = [bucket(2, lead) < 50 for lead in range(1000)]
    assert sum(one != two for one, two in zip(first, other, strict=True)) > 400


def test_a_conversation_begins_and_ends_on_the_version_it_was_given(flow, versions):
    split = divide(flow, versions, share=99)
    say(Client(), text("Oi"))
    run = FlowRun.objects.get()
    assert (run.version, run.split) == (versions[1], split)
    say(Client(), text("Davi"))
    say(Client(), text("Boleto"))
    assert Session.objects.get().current_state == "cpf"  # which only that version asks for


def test_a_split_costs_the_webhook_no_statement(flow, versions):
    def statements(phone):
        with CaptureQueriesContext(connection) as counted:
            say(Client(), text("Oi", phone=phone))
        return len(counted)

    say(Client(), text("Oi", phone="5511990000001"))  # what a process keeps is read
    for version in versions:  # chance decides whose document the third one needs
        document_of(version.pk)
    without = statements("5511990000002")
    divide(flow, versions)
    version_for(flow, 1)
    assert statements("5511990000003") == without


def test_when_it_ends_everybody_gets_what_is_on_air(flow, versions):
    divide(flow, versions)
    assert splits.end(flow, user=ana(), at=timezone.now())
    splits.running.forget()
    assert version_for(flow, 1) == (versions[0].pk, None)
    assert not splits.end(flow, user=ana(), at=timezone.now())


def test_publishing_ends_it_also_for_who_still_remembers_it(flow, versions):
    divide(flow, versions, share=99)
    version_for(flow, 1)
    third = shop.second()
    third["nodes"]["nome"]["text"] = "Como você se chama?"
    version = shop.put_on_air(shop.redraw(third))
    assert Split.objects.get().ended_at is not None
    flow.refresh_from_db()
    assert version_for(flow, 1) == (version.pk, None)


@pytest.mark.parametrize("share", [0, 100, 101])
def test_a_share_must_leave_something_to_both(flow, versions, share):
    with pytest.raises(SplitRefused):
        divide(flow, versions, share=share)


def test_there_is_one_at_a_time_between_two_published_versions(flow, versions):
    with pytest.raises(SplitRefused):
        divide(flow, versions, challenger=versions[0])
    divide(flow, versions)
    with pytest.raises(SplitRefused):
        divide(flow, versions)
