import pytest
from django.urls import reverse
from django.utils import timezone
from zeal import zeal_ignore

from chatbot import flows_service
from chatbot.editor.data_forms import initial_settings
from chatbot.engine.nodes import parse_flow
from chatbot.flows_service import FlowRefused
from chatbot.models import Flow, GoldenConversation, PublishRequest, RequestState
from chatbot.publishing import approval
from chatbot.publishing.approval import RequestRefused
from chatbot.publishing.tests import shop
from chatbot.publishing.tests.test_moves import TO_SUBJECT
from chatbot.tests import stage
from users.errors import DomainError
from users.tests.recipes import ana, root

pytestmark = pytest.mark.django_db


@pytest.fixture
def on_air():
    stage.open_shop()
    with zeal_ignore():
        yield shop.open_flow()


@pytest.fixture
def flow(on_air):
    flow = shop.redraw()
    Flow.objects.filter(pk=flow.pk).update(needs_approval=True)
    flow.refresh_from_db()
    return flow


def ask(flow, **more):
    values = {
        "user": ana(),
        "revision": flow.draft_revision,
        "note": "Sem CPF",
        "moves": {},
        "seen": "",
        "at": timezone.now(),
        **more,
    }
    return approval.ask(flow, **values)


def approve(request, user=None, **more):
    user = user or root()
    return approval.approve(request, user=user, answer="Ok", at=timezone.now(), **more)


def test_nobody_publishes_alone(flow, on_air):
    with pytest.raises(DomainError) as refusal:
        flows_service.publish(flow, user=ana())
    assert refusal.value.code == "needs_approval"
    request = ask(flow)
    with pytest.raises(RequestRefused) as own:
        approve(request, ana())
    assert own.value.code == "own_request"
    flow.refresh_from_db()
    assert flow.published == on_air


def test_what_a_second_person_approves_is_published_as_it_was_asked_for(flow, on_air):
    shop.people(cpf=1)
    request = ask(flow, moves={str(on_air.pk): {"cpf": TO_SUBJECT}})
    version = approve(request)
    request.refresh_from_db()
    assert (request.state, request.version, request.answer) == ("approved", version, "Ok")
    assert (version.note, version.published_by) == ("Sem CPF", root())
    assert shop.session_at("cpf").flow_state["version"] == version.pk
    with pytest.raises(RequestRefused):
        approve(request)


def test_a_refusal_says_why_and_the_draft_stays(flow, on_air):
    request = ask(flow)
    with pytest.raises(RequestRefused):
        approval.refuse(request, user=root(), answer=" ", at=timezone.now())
    approval.refuse(request, user=root(), answer="Falta o CPF.", at=timezone.now())
    request.refresh_from_db()
    assert (request.state, request.answer) == (RequestState.REFUSED, "Falta o CPF.")
    assert ask(flow).state == RequestState.PENDING


def test_who_asked_may_withdraw_and_nobody_else(flow):
    request = ask(flow)
    with pytest.raises(RequestRefused):
        approval.withdraw(request, user=root(), at=timezone.now())
    approval.withdraw(request, user=ana(), at=timezone.now())
    request.refresh_from_db()
    assert request.state == RequestState.WITHDRAWN


def test_one_waits_at_a_time(flow):
    ask(flow)
    with pytest.raises(RequestRefused):
        ask(flow)


def test_a_draft_that_changed_since_is_not_published(flow, on_air):
    request = ask(flow)
    later = shop.second()
    later["nodes"]["nome"]["text"] = "Como você se chama?"
    shop.redraw(later)
    request = PublishRequest.objects.select_related("flow").get(pk=request.pk)
    with pytest.raises(RequestRefused):
        approve(request)
    request.refresh_from_db()
    assert request.state == RequestState.OUTDATED
    flow.refresh_from_db()
    assert flow.published == on_air
    assert ask(flow).state == RequestState.PENDING


def test_what_has_errors_cannot_be_asked_for(flow):
    broken = shop.second()
    broken["nodes"]["assunto"]["options"][0]["next"] = ""
    flow = shop.redraw(broken)
    with pytest.raises(FlowRefused):
        ask(flow)


# --- Golden conversations


def keep(flow, *out):
    GoldenConversation.objects.create(
        flow=flow,
        name="Nome",
        conversation={"turns": [{"in": "Oi", "out": list(out), "state": "nome"}]},
    )


def test_a_golden_conversation_that_goes_otherwise_blocks(on_air):
    flow = shop.redraw()
    keep(flow, "Qual é o seu nome?")
    document = parse_flow(flow.draft)
    assert flows_service.mismatches(flow, document) == []
    draft = shop.second()
    draft["nodes"]["nome"]["text"] = "Como você se chama?"
    flow = shop.redraw(draft)
    with pytest.raises(FlowRefused) as refusal:
        shop.put_on_air(flow)
    (found,) = refusal.value.findings
    assert found.code == "golden"
    GoldenConversation.objects.update(is_active=False)
    assert shop.put_on_air(flow).number == 2


@pytest.mark.parametrize(
    "damaged", [{}, {"turns": [{}]}, {"turns": 1}, [], {"turns": [{"in": {}}]}]
)
def test_a_golden_conversation_that_cannot_be_held_blocks_too(on_air, damaged):
    flow = shop.redraw()
    GoldenConversation.objects.create(flow=flow, name="Quebrada", conversation=damaged)
    with pytest.raises(FlowRefused):
        shop.put_on_air(flow)


def test_what_was_looked_at_is_what_is_published(on_air):
    flow = shop.redraw()
    seen = flows_service.fingerprint(flow, flows_service.with_subflows(parse_flow(flow.draft)))
    inner = Flow.objects.get(slug="dentro")
    draft = {**shop.INNER, "name": "Outro nome"}
    flows_service.save_draft(inner, draft, user=None, revision=inner.draft_revision)
    shop.put_on_air(inner)
    with pytest.raises(DomainError) as refusal:
        shop.put_on_air(flow, seen=seen)
    assert refusal.value.code == "looked_at_another"


def test_who_switches_the_approval_off_does_not_publish_alone(client, flow):
    client.force_login(ana())
    settings = initial_settings(flow, parse_flow(flow.draft)) | {"needs_approval": ""}
    given = {name: "" if value in (None, False) else value for name, value in settings.items()}
    address = reverse("flow_settings", args=[flow.pk])
    assert client.post(address, {**given, "revision": flow.draft_revision}).status_code == 302
    flow.refresh_from_db()
    assert not flow.needs_approval
    with pytest.raises(DomainError) as refusal:
        flows_service.publish(flow, user=ana())
    assert refusal.value.code == "needs_approval"
    assert flows_service.publish(flow, user=root()).published_by == root()
    later = shop.second()
    later["nodes"]["nome"]["text"] = "Como você se chama?"
    flow = shop.redraw(later)
    assert flows_service.publish(flow, user=ana()).published_by == ana()
