"""The versions card, the impact sheet, four eyes and the split, as people use them."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from zeal import zeal_ignore

from chatbot import flows_service
from chatbot.models import Flow, FlowVersion, GoldenConversation, PublishRequest, SessionMove, Split
from chatbot.publishing import moves
from chatbot.publishing.tests import shop
from chatbot.publishing.tests.test_moves import FAREWELL, sound, work
from chatbot.publishing.versions import Versions
from chatbot.templatetags.publishing import flow_versions
from chatbot.tests import stage
from users.tests.recipes import ana, api, bia, root

pytestmark = pytest.mark.django_db


@pytest.fixture
def on_air():
    stage.open_shop()
    with zeal_ignore():  # each conversation in a transaction of its own
        yield shop.open_flow()


@pytest.fixture
def flow(on_air):
    return shop.redraw()


@pytest.fixture
def page(client, flow):
    """GET or POST of a page of the flow, as Ana."""
    client.force_login(ana())

    def go(name, *more, post=None, **headers):
        address = reverse(name, args=[flow.pk, *more]) if not name.startswith("/") else name
        if post is None:
            return client.get(address, headers=headers)
        return client.post(address, post, headers=headers)

    go.client = client
    return go


def text_of(response):
    return response.content.decode()


def said(response):
    return [str(one) for one in response.wsgi_request._messages]


def form(flow, **more):
    """What the sheet sends."""
    response_of = {"revision": flow.draft_revision, "seen": "", "note": "", "do:all": "stay"}
    return {**response_of, **{name.replace("__", ":"): one for name, one in more.items()}}


# --- Who may see them


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("flow_versions", []),
        ("flow_restore", [1]),
        ("flow_publish", []),
        ("flow_move", [1]),
        ("flow_publish_decide", [1]),
        ("flow_split", []),
    ],
)
def test_they_are_the_admins_work(client, flow, name, more):
    client.force_login(bia())
    address = reverse(name, args=[flow.pk, *more])
    method = client.post if name in {"flow_restore", "flow_publish_decide"} else client.get
    assert method(address).status_code == 404


# --- Versions


def many_versions(count):
    for number in range(count):
        draft = shop.second()
        draft["nodes"]["nome"]["text"] = f"Qual é o seu nome ({number})?"
        shop.put_on_air(shop.redraw(draft), note=f"nota {number}")


def test_the_draft_stands_on_top_then_the_versions_newest_first(page, flow):
    shown = text_of(page("flow_versions"))
    assert shown.index("v2 · ") < shown.index("v1")
    assert "CPF" in shown


def test_any_two_versions_are_compared_by_address(page, flow):
    many_versions(2)
    address = reverse("flow_versions", args=[flow.pk])
    shown = text_of(page(f"{address}?from=2&to=3"))
    assert "nome (<del>0</del>)" in shown
    assert "nome (<ins>1</ins>)" in shown
    fragment = text_of(page(f"{address}?from=1&to=3", **{"HX-Request": "true"}))
    assert "<html" not in fragment
    assert fragment.lstrip().startswith("<section")


@pytest.mark.parametrize(
    "asked",
    ["from=99", "from=x&to=-1", "from=²", "from=001", "to=0001", "versions=999", "to=9" + "9" * 30],
)
def test_an_address_that_makes_no_sense_shows_the_usual(page, flow, asked):
    address = reverse("flow_versions", args=[flow.pk])
    assert page(f"{address}?{asked}").status_code == 200


def test_the_card_costs_the_same_however_many_versions_there_are(flow):
    def statements():
        fresh = Flow.objects.select_related("published", "draft_saved_by").get(pk=flow.pk)
        request = RequestFactory().get("/")
        request.user = ana()
        with CaptureQueriesContext(connection) as counted:
            card = flow_versions({"request": request}, fresh)["versions"]
            assert card.entries
            assert card.difference is not None
            assert card.choices
            assert (card.move, card.split, card.request) == (None, None, None)
        return len(counted)

    many_versions(2)
    few = statements()
    many_versions(15)
    assert statements() == few
    assert Versions(Flow.objects.get(pk=flow.pk), {}).page.paginator.num_pages == 3


def test_a_version_is_restored_as_the_draft_and_customers_notice_nothing(page, flow, on_air):
    many_versions(1)
    flow.refresh_from_db()
    revision = flow.draft_revision
    response = page("flow_restore", 1, post={"revision": revision})
    assert response.url == reverse("admin:chatbot_flow_change", args=[flow.pk])
    flow.refresh_from_db()
    assert "cpf" in flow.draft["nodes"]
    assert "subflows" not in flow.draft
    assert (flow.draft_revision, flow.published.number) == (revision + 1, 2)


def test_a_draft_that_somebody_saved_meanwhile_is_not_replaced(page, flow):
    response = page("flow_restore", 1, post={"revision": flow.draft_revision - 1})
    assert len(said(response)) == 1
    flow.refresh_from_db()
    assert "cpf" not in flow.draft["nodes"]


def test_a_version_that_is_not_there_cannot_be_restored(page, flow):
    assert page("flow_restore", 9, post={"revision": flow.draft_revision}).status_code == 404


# --- The sheet


def test_the_sheet_says_what_changes_who_waits_where_and_what_is_gone(page, flow):
    shop.people(cpf=3, nome=2, espera=1)
    shown = text_of(page("flow_publish"))
    assert "CPF" in shown
    sheet = page("flow_publish").context["sheet"]
    assert (sheet.total, sheet.gone) == (6, 3)
    assert [row.standing.title for row in sheet.groups[0].rows] == ["CPF", "Nome", "Espera"]
    assert sheet.difference.removed == 1


def test_publishing_from_the_sheet_moves_each_as_chosen(page, flow, on_air):
    shop.people(cpf=2, nome=1, assunto=1)
    sheet = page("flow_publish").context["sheet"]
    chosen = {
        f"do:{on_air.pk}:cpf": "end",
        f"text:{on_air.pk}:cpf": FAREWELL["text"],
        f"do:{on_air.pk}:assunto": "stay",
        f"do:{on_air.pk}:nome": "",
        "do:all": "same",
    }
    response = page("flow_publish", post={**form(flow, seen=sheet.seen, note="Sem CPF"), **chosen})
    assert response.url == reverse("flow_publish", args=[flow.pk])
    version = FlowVersion.objects.get(flow=flow, number=2)
    assert (version.note, version.published_by) == ("Sem CPF", ana())
    assert not shop.session_at("cpf").is_live
    assert shop.session_at("nome").flow_state["version"] == version.pk
    assert shop.session_at("assunto").flow_state["version"] == on_air.pk
    sound()


def test_a_refused_form_keeps_what_was_chosen(page, flow, on_air):
    shop.people(cpf=1)
    chosen = {f"do:{on_air.pk}:cpf": "map", f"node:{on_air.pk}:cpf": ""}
    response = page("flow_publish", post={**form(flow, note="Minha nota"), **chosen})
    assert response.status_code == 200
    assert len(said(response)) == 1
    assert response.context["sheet"].groups[0].rows[0].chosen == "map"
    assert "Minha nota" in text_of(response)
    flow.refresh_from_db()
    assert flow.published == on_air


def test_a_draft_that_changed_since_the_sheet_was_shown_is_not_published(page, flow, on_air):
    data = form(flow)
    later = shop.second()
    later["nodes"]["nome"]["text"] = "Como você se chama?"
    shop.redraw(later)
    response = page("flow_publish", post=data)
    assert len(said(response)) == 1
    flow.refresh_from_db()
    assert flow.published == on_air


def test_errors_and_golden_conversations_block(page, flow, on_air):
    GoldenConversation.objects.create(
        flow=flow,
        name="Saudação",
        conversation={"turns": [{"in": "Oi", "out": ["Olá!"]}]},
    )
    response = page("flow_publish")
    assert response.context["sheet"].is_blocked
    assert "Saudação" in text_of(response)
    assert "disabled" in text_of(response)
    assert len(said(page("flow_publish", post=form(flow)))) == 1
    flow.refresh_from_db()
    assert flow.published == on_air


def test_a_draft_that_cannot_be_read_is_said(page, flow):
    Flow.objects.filter(pk=flow.pk).update(draft={"slug": "prova", "nodes": 1})
    response = page("flow_publish")
    assert response.status_code == 200
    assert response.context["sheet"].errors
    assert page("flow_versions").status_code == 200


def test_a_flow_that_was_never_on_air_goes_on_air_for_the_first_time(page, on_air):
    fresh = Flow.objects.create(
        slug="nova", name="Nova", draft={**shop.INNER, "slug": "nova", "name": "Nova"}
    )
    address = reverse("flow_publish", args=[fresh.pk])
    assert page(address).status_code == 200
    page(address, post={"revision": 0, "do:all": "stay"})
    fresh.refresh_from_db()
    assert fresh.published.number == 1
    assert page(reverse("flow_versions", args=[fresh.pk])).status_code == 200


def test_nothing_is_to_be_published_when_the_draft_is_on_air(page, flow):
    shop.put_on_air(flow)
    assert not page("flow_publish").context["sheet"].is_new


def test_the_progress_is_shown_until_all_are_moved(page, flow, on_air, monkeypatch):
    shop.people(nome=3)
    monkeypatch.setattr(moves, "AT_ONCE", 1)
    page("flow_publish", post=form(flow, do__all="same"))
    move = SessionMove.objects.get()
    shown = page("flow_move", move.pk)
    assert shown.status_code == 200
    assert "1 de 3" in text_of(shown) or "1 of 3" in text_of(shown)
    assert "hx-get" in text_of(page("flow_versions"))
    work()
    assert page("flow_move", move.pk).status_code == 286


# --- Four eyes


@pytest.fixture
def needs_two(flow):
    Flow.objects.filter(pk=flow.pk).update(needs_approval=True)
    flow.refresh_from_db()
    return flow


def test_one_asks_another_approves(page, needs_two, on_air):
    shop.people(cpf=1)
    choice = {f"do:{on_air.pk}:cpf": "map", f"node:{on_air.pk}:cpf": "assunto"}
    page("flow_publish", post={**form(needs_two, note="Sem CPF"), **choice})
    request = PublishRequest.objects.get()
    assert (request.state, request.note) == ("pending", "Sem CPF")
    mine = text_of(page("flow_publish"))
    assert 'value="withdraw"' in mine
    assert 'value="approve"' not in mine
    assert reverse("flow_publish", args=[needs_two.pk]) not in text_of(page("/admin/"))
    page.client.force_login(root())
    theirs = text_of(page("flow_publish"))
    assert 'value="approve"' in theirs
    assert "Assunto" in theirs
    assert "Ana" in text_of(page("flow_versions"))
    address = reverse("flow_publish", args=[needs_two.pk])
    assert address in text_of(page("/admin/"))
    page("flow_publish_decide", request.pk, post={"do": "approve"})
    needs_two.refresh_from_db()
    assert needs_two.published.number == 2
    assert shop.session_at("cpf").current_state == "assunto"


def test_a_refusal_is_read_by_who_asked(page, needs_two):
    page("flow_publish", post=form(needs_two))
    request = PublishRequest.objects.get()
    page.client.force_login(root())
    page("flow_publish_decide", request.pk, post={"do": "refuse", "answer": "Falta o CPF."})
    page.client.force_login(ana())
    assert "Falta o CPF." in text_of(page("flow_publish"))


def test_an_outdated_request_says_so(page, needs_two):
    page("flow_publish", post=form(needs_two))
    later = shop.second()
    later["nodes"]["nome"]["text"] = "Como você se chama?"
    shop.redraw(later)
    assert page("flow_publish").context["sheet"].last_request.state == "outdated"
    request = PublishRequest.objects.get()
    page.client.force_login(root())
    response = page("flow_publish_decide", request.pk, post={"do": "approve"})
    assert len(said(response)) == 1
    needs_two.refresh_from_db()
    assert needs_two.published.number == 1


def test_who_asked_withdraws(page, needs_two):
    page("flow_publish", post=form(needs_two))
    request = PublishRequest.objects.get()
    page("flow_publish_decide", request.pk, post={"do": "withdraw"})
    request.refresh_from_db()
    assert request.state == "withdrawn"
    assert page("flow_publish_decide", request.pk, post={"do": "dance"}).status_code == 404


# --- The split


def test_the_traffic_is_divided_and_united_again(page, flow):
    shop.put_on_air(flow)
    assert page("flow_split").status_code == 200
    page("flow_split", post={"version": "1", "share": "20"})
    split = Split.objects.get()
    assert (split.challenger.number, split.control.number, split.share) == (1, 2, 20)
    assert "20%" in text_of(page("flow_split"))
    assert "20%" in text_of(page("flow_versions"))
    page("flow_split", post={"do": "end"})
    split.refresh_from_db()
    assert split.ended_by == ana()
    assert "v2 / v1" in text_of(page("flow_split"))


@pytest.mark.parametrize(
    "given", [{}, {"version": "9", "share": "20"}, {"version": "1", "share": "x"}]
)
def test_a_split_that_cannot_be_is_refused(page, flow, given):
    shop.put_on_air(flow)
    assert len(said(page("flow_split", post=given))) == 1
    assert not Split.objects.exists()


# --- For programs


def test_a_program_reads_difference_and_impact_and_publishes_with_moves(flow, on_air):
    shop.people(cpf=1)
    program = api(ana())
    base = f"/api/v1/flows/{shop.SLUG}/"
    changes = program.get(f"{base}difference/").json()
    assert {one["place"]: one["op"] for one in changes}["cpf"] == "removed"
    (standing,) = program.get(f"{base}impact/").json()
    assert (standing["place"], standing["count"], standing["is_gone"]) == ("cpf", 1, True)
    chosen = {str(standing["version"]): {"cpf": {"do": "end", "text": "Tchau."}}}
    wrong = {str(standing["version"]): {"cpf": {"do": "same"}}}
    assert program.post(f"{base}publish/", {"moves": wrong}, format="json").status_code == 400
    answer = program.post(f"{base}publish/", {"moves": chosen}, format="json")
    assert answer.status_code == 201
    assert not shop.session_at("cpf").is_live


def test_a_program_is_told_when_a_second_person_is_needed(needs_two):
    answer = api(ana()).post(f"/api/v1/flows/{shop.SLUG}/publish/", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "needs_approval")
    assert flows_service.lock(needs_two).published.number == 1
