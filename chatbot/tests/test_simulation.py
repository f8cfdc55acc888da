"""The simulator with time travel, through its pages: on drafts and versions, at any time."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from zeal import zeal_ignore

from chatbot import delivery, tasks, worker
from chatbot.documents import asks_for_tags, document_of
from chatbot.facts import departments
from chatbot.findings import SENTENCES
from chatbot.flows_service import check
from chatbot.labels import EXIT_LABELS
from chatbot.models import (
    FlowLog,
    FlowVersion,
    GoldenConversation,
    MessageLog,
    SimulatedPerson,
    Task,
    TaskStatus,
)
from chatbot.simulation import goldens, recorded, witnesses
from chatbot.tests import recipes, trial
from chatbot.verification import verify
from leads.models import Lead
from sessions_app.models import EndReason, Session
from users.models import Holiday
from users.tests.recipes import root

pytestmark = pytest.mark.django_db

SITE = ZoneInfo("America/Sao_Paulo")


@pytest.fixture(autouse=True)
def _nothing_kept():
    departments.forget()
    document_of.cache_clear()
    asks_for_tags.cache_clear()


@pytest.fixture
def at(client):
    """Ana at the simulator of a draft."""
    client.force_login(recipes.ana())
    return trial.Trial(client, trial.flow())


@pytest.fixture
def hours():
    """Sales are there from Monday to Friday, but for one Wednesday."""
    calendar = recipes.department("vendas").calendar
    if calendar is None:
        calendar = recipes.baker.make("users.Calendar", name="Comercial")
        department = recipes.department("vendas")
        department.calendar = calendar
        department.save()
    calendar.hours.all().delete()
    for weekday in range(5):
        calendar.hours.create(weekday=weekday, opens_at="09:00", closes_at="18:00")
    departments.forget()
    return calendar


def log_times():
    return list(FlowLog.objects.order_by("seq").values_list("created_at", flat=True))


# --- What answers ------------------------------------------------------------------------------


def test_a_draft_answers_and_is_not_on_air(at):
    page = at.say("Oi")
    assert "Como posso ajudar?" in page
    version = FlowVersion.objects.get()
    assert (version.number, version.revision) == (None, 3)
    at.flow.refresh_from_db()
    assert at.flow.published is None
    assert at.session.is_simulated
    assert FlowLog.objects.count() == at.session.seq
    assert list(verify([at.session.pk])) == [(at.session.pk, None)]


def test_the_same_draft_is_one_version_and_another_draft_another(at):
    at.say("Oi")
    at.do("start_over", version="draft")
    at.say("Oi")
    assert FlowVersion.objects.count() == 1
    nodes = {**trial.NODES, "menu": {**trial.NODES["menu"], "text": "Diga."}}
    at.flow.draft = trial.document(nodes=nodes)
    at.flow.draft_revision = 4
    at.flow.save()
    page = at.page()
    assert "draft has changed" in page or "rascunho mudou" in page
    at.say("xyz")
    assert at.texts[-1] == "Não entendi."
    at.do("start_over", version="draft")
    assert "Diga." in at.say("Oi")
    assert set(FlowVersion.objects.values_list("revision", flat=True)) == {3, 4}


def test_sub_flows_are_those_on_air_and_never_their_drafts(at):
    sub = recipes.flow("sub", draft=recipes.document("sub", text="Do rascunho."))
    sub.published = recipes.version(sub, document=recipes.document("sub", text="No ar."))
    sub.save()
    nodes = {
        "inicio": {"kind": "start", "next": "chama"},
        "chama": {"kind": "flow", "flow": "sub", "next": "equipe"},
        "equipe": trial.NODES["equipe"],
    }
    at.flow.draft = trial.document(nodes=nodes)
    at.flow.save()
    assert "No ar." in at.say("Oi")
    newer = recipes.document("sub", text="Mais novo.")
    sub.published = recipes.version(sub, number=2, document=newer)
    sub.save()
    at.do("start_over", version="draft")
    assert "Mais novo." in at.say("Oi")


def test_any_version_can_be_tried(at):
    old = recipes.version(at.flow, document=recipes.document("prova", text="Antigo."))
    at.do("start_over", version=str(old.pk))
    assert "Antigo. Qual é o seu nome?" in at.say("Oi")
    other = recipes.version(recipes.flow("outro"))
    response = at.client.post(
        reverse("flow_simulator_start_over", args=[at.flow.pk]), {"version": other.pk}
    )
    assert response.status_code == 404


def test_drafts_are_for_admins(client):
    flow = trial.flow()
    client.force_login(recipes.bia())
    for name in ("flow_simulator", "flow_simulator_state", "flow_try", "flow_goldens"):
        assert client.get(reverse(name, args=[flow.pk])).status_code == 404
    for name in ("say", "start_over", "travel", "line", "again", "result", "choose", "keep"):
        url = reverse(f"flow_simulator_{name}", args=[flow.pk])
        assert client.post(url, {"text": "Oi"}).status_code == 404
    assert not SimulatedPerson.objects.exists()


def test_a_form_without_a_script_returns_to_its_page_and_nowhere_else(at):
    url = reverse("flow_simulator_say", args=[at.flow.pk])
    beside = reverse("admin:chatbot_flow_change", args=[at.flow.pk])
    assert at.client.post(url, {"text": "Oi", "next": beside}).url == beside
    own = reverse("flow_simulator", args=[at.flow.pk])
    for elsewhere in ("https://evil.example/", "//evil.example", "javascript:x"):
        assert at.client.post(url, {"text": "Oi", "next": elsewhere}).url == own


# --- Time --------------------------------------------------------------------------------------


def test_a_wait_ends_at_its_own_moment_and_silence_counts_from_there(at):
    at.say("Oi")
    begun = at.session.started_at
    at.tap("Esperar")
    page = at.advance(25)
    assert "Passou um dia." in at.texts[-1]
    fired = FlowLog.objects.get(message__kind="timer")
    assert abs(fired.created_at - begun - timedelta(days=1)) < timedelta(minutes=1)
    session = at.session
    assert session.end_reason == EndReason.IDLE
    # The window is closed: where the warning cannot be said, the conversation ends instead.
    assert session.ended_at - fired.created_at == timedelta(minutes=25)
    assert session.ended_at > timezone.now()
    assert log_times() == sorted(log_times())
    assert page.count('class="sys"') >= 3


def test_silence_is_warned_of_and_ends_the_conversation_in_order(at):
    at.say("Oi")
    said = MessageLog.objects.outbound().get().created_at
    at.advance(20, "min")
    assert len(at.texts) == 1
    at.advance(2)
    assert at.texts[1:] == ["Ainda está aí?", "Até logo."]
    rows = MessageLog.objects.outbound().order_by("pk")
    after = [row.created_at - said for row in rows]
    assert after == [timedelta(), timedelta(minutes=25), timedelta(minutes=30)]
    assert {row.status for row in rows} == {"sent"}
    assert [row.sent_at for row in rows[1:]] == [row.created_at for row in rows[1:]]
    assert at.session.end_reason == EndReason.IDLE
    at.say("Oi de novo")
    assert Session.objects.count() == 2
    assert at.session.started_at > timezone.now() + timedelta(hours=2)


def test_what_the_bot_says_after_the_window_fails_as_in_production(at):
    at.say("Oi")
    at.tap("Esperar")
    at.advance(25)
    late = MessageLog.objects.outbound().filter(text__contains="Passou um dia.")
    assert set(late.values_list("status", "error_code")) == {("failed", "window_closed")}


def test_a_double_click_moves_the_clock_once(at):
    at.say("Oi")
    seen = at.seen()
    for _click in range(2):
        at.do("travel", amount="1", unit="h", seen=seen)
    assert at.person.ahead == timedelta(hours=1)
    at.advance(1)
    assert at.person.ahead == timedelta(hours=2)


@pytest.mark.parametrize("amount", ["", "0", "-3", "abc", "1e999", "nan"])
def test_a_time_that_is_none_is_refused_and_nothing_is_lost(at, amount):
    at.say("Oi")
    page = at.do("travel", amount=amount, unit="h")
    assert 'class="error"' in page
    assert "Como posso ajudar?" in page
    assert at.person.ahead == timedelta()


def test_on_a_saturday_the_flow_sees_a_saturday(at):
    at.do("travel", to="saturday")
    at.say("Oi")
    page = at.tap("Que dia é")
    assert "É fim de semana." in page
    heard = FlowLog.objects.filter(message__kind="choice").latest("seq").message
    assert heard["facts"]["weekday"] == 5
    assert heard["facts"]["now"][11:16] == "10:00"


def test_out_of_hours_and_on_a_holiday_nobody_is_there(at, hours):
    at.do("travel", to="closed")
    at.say("Oi")
    assert "Estamos fechados." in at.tap("Que dia é") or "É fim de semana." in at.texts[-2]
    day = timezone.localdate() + timedelta(days=1)
    while day.weekday() > 3:
        day += timedelta(days=1)
    Holiday.objects.create(calendar=hours, date=day, name="Dia da padroeira")
    hours.observes_holidays = False
    hours.save()
    departments.forget()
    at.do("start_over", version="draft")
    page = at.do("travel", to="holiday")
    assert "Dia da padroeira" in page
    clock = timezone.now() + at.person.ahead
    assert clock.astimezone(SITE).date() == day
    at.say("Oi")
    assert "Estamos fechados." in at.tap("Que dia é")


def test_without_hours_it_is_never_out_of_hours(at):
    assert 'class="error"' in at.do("travel", to="closed")


def test_starting_over_is_now_again(at):
    at.advance(25)
    at.do("start_over", version="draft")
    assert at.person.ahead == timedelta()


def test_time_passes_for_this_person_alone(at, client):
    at.say("Oi")
    first = at.session
    client.force_login(root())
    other = trial.Trial(client, at.flow)
    other.say("Oi")
    other.advance(25)
    first.refresh_from_db()
    assert first.is_live
    assert other.session.end_reason == EndReason.IDLE


def test_the_worker_leaves_simulated_time_alone(at):
    at.say("Oi")
    at.tap("Esperar")
    SimulatedPerson.objects.update(ahead=timedelta(days=-3))
    Task.objects.update(run_at=timezone.now() - timedelta(days=2))
    Session.objects.update(idle_due_at=timezone.now() - timedelta(days=2))
    before = at.session.seq
    assert tasks.run_due(limit=10) == 0
    delivery.deliver_pending()
    worker.periodic()
    assert at.session.seq == before
    assert at.session.is_live
    assert Task.objects.get().status == TaskStatus.PENDING


def test_the_page_lets_happen_what_has_become_due_and_says_nothing_otherwise(at):
    at.say("Oi")
    at.tap("Esperar")
    state = reverse("flow_simulator_state", args=[at.flow.pk])
    seen = at.client.get(reverse("flow_simulator", args=[at.flow.pk])).context["panel"].seen
    assert at.client.get(state, {"seen": seen}).status_code == 204
    Task.objects.update(run_at=timezone.now() - timedelta(seconds=1))
    with zeal_ignore():  # each happening in a transaction of its own
        page = at.client.get(state, {"seen": seen}).content.decode()
    assert "Passou um dia." in page


def test_a_circle_of_waits_is_stopped(at):
    nodes = {
        "inicio": {"kind": "start", "next": "espera"},
        "espera": {"kind": "wait", "seconds": 60, "next": "espera"},
        "equipe": trial.NODES["equipe"],
    }
    at.flow.draft = trial.document(nodes=nodes)
    at.flow.save()
    at.say("Oi")
    at.advance(25)
    assert at.person.notices[-1]["code"] in {"too_much", "waited"} or at.session.owner == "queue"


# --- The provider and the person ---------------------------------------------------------------


def test_while_the_provider_is_away_nothing_is_delivered(at):
    at.say("Oi")
    page = at.do("line", is_away="1")
    page = at.tap("Meus dados")
    assert 'class="failbar' in page
    assert set(MessageLog.objects.filter(status="failed").values_list("error_code", flat=True)) == {
        "provider_away"
    }
    at.do("line", is_away="0")
    at.say("Oi")
    assert MessageLog.objects.outbound().latest("pk").status == "sent"


def test_a_message_that_comes_twice_changes_nothing(at):
    at.say("Oi")
    before = (at.session.seq, MessageLog.objects.count())
    at.do("again")
    assert (at.session.seq, MessageLog.objects.count()) == before
    assert at.person.notices[-1]["code"] == "repeated"


def test_with_and_without_a_phone_number(at):
    at.say("Oi")
    assert "Telefone +55819" in at.tap("Meus dados")
    assert Lead.objects.get().phone.startswith("+5581900000")
    at.do("start_over", version="draft", no_phone="1")
    at.say("Oi")
    assert "Sem telefone." in at.tap("Meus dados")
    assert Lead.objects.latest("pk").phone == ""


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        *((one, one) for one in ("image", "audio", "voice", "video", "document", "sticker")),
        ("location", "location"),
        ("contact", "contacts"),
        ("own_phone", "contacts"),
    ],
)
def test_everything_that_a_customer_can_send(at, what, kind):
    at.say("Oi")
    at.say(what=what)
    assert MessageLog.objects.inbound().latest("pk").kind == kind


def test_an_old_list_can_be_tapped_again(at):
    at.say("Oi")
    old = MessageLog.objects.filter(kind="list").first()
    at.say("xyz")
    at.tap("Pedido")
    at.say(choice=f"{old.pk}:dia")
    assert MessageLog.objects.inbound().latest("pk").kind == "list_reply"
    assert at.texts[-1] == "Qual é o número?"


# --- Integrations ------------------------------------------------------------------------------


@pytest.fixture
def asked(at, monkeypatch):
    """The run waits for the other system, which must not be called."""
    monkeypatch.setattr(tasks, "run_request", lambda _payload: pytest.fail("it was called"))
    at.say("Oi")
    at.tap("Pedido")
    at.say("77")
    return at


def test_another_system_is_not_called_and_the_page_asks_for_its_result(asked):
    page = asked.page()
    assert "Consultar pedido" in page
    assert 'name="value-situacao"' in page
    assert asked.session.flow_state["engine"]["awaiting"] == "http"
    asked.advance(2)
    assert asked.session.flow_state["engine"]["awaiting"] == "http"
    task = Task.objects.get(kind="http")
    form = {"task": task.pk, "how": "give", "route": "ok", "value-situacao": "Enviado"}
    page = asked.do("result", **form, **{"value-parcelas": "3"})
    assert "Enviado, em 3 vezes." in page
    returned = FlowLog.objects.get(message__kind="returned").message
    assert returned["values"] == {"situacao": "Enviado", "parcelas": 3}
    assert asked.session.context["parcelas"] == 3


def test_a_result_that_is_given_twice_counts_once(asked):
    task = Task.objects.get(kind="http")
    for _click in range(2):
        asked.do("result", task=task.pk, how="give", route="error")
    assert FlowLog.objects.filter(message__kind="returned").count() == 1
    assert FlowLog.objects.filter(message__kind="dropped").count() == 0


def test_the_same_result_from_now_on(asked):
    task = Task.objects.get(kind="http")
    form = {"task": task.pk, "how": "give", "route": "ok", "value-situacao": "Pago"}
    asked.do("result", always="1", **form)
    asked.tap("Pedido")
    asked.say("78")
    assert FlowLog.objects.filter(message__kind="returned").count() == 2


def test_the_last_real_result(asked):
    real = recipes.session()
    version = recipes.version(asked.flow)
    run = recipes.run(real, version)
    recipes.flow_log(
        real,
        1,
        run=run,
        node="pedido",
        trace=[{"node": "pedido"}],
        message={"kind": "returned", "route": "ok", "values": {"situacao": "De verdade"}},
    )
    page = asked.page()
    assert f"{EXIT_LABELS['ok']}, situacao = De verdade" in page
    assert f">{EXIT_LABELS['error']}</option>" in page
    asked.do("choose", place="pedido", how="recorded")
    assert "De verdade, em" in asked.texts[-2] or "De verdade, em" in asked.texts[-1]


def test_results_with_erased_values_are_no_results(asked):
    real = recipes.session()
    run = recipes.run(real, recipes.version(asked.flow))
    message = {"kind": "returned", "route": "ok", "values": {"situacao": recorded.REDACTED}}
    recipes.flow_log(real, 1, run=run, node="pedido", trace=[{"node": "pedido"}], message=message)
    assert recorded.last_real(asked.flow.pk, ["pedido"]) == {}


def test_another_system_is_called_when_somebody_says_so(asked, monkeypatch):
    calls = []

    def run_request(payload):
        calls.append(payload["url"])
        return "ok", {"situacao": "Do ERP", "parcelas": 2}

    monkeypatch.setattr(tasks, "run_request", run_request)
    asked.do("result", task=Task.objects.get(kind="http").pk, how="run")
    assert calls == ["https://erp.example/pedidos/77"]
    assert "Do ERP, em 2 vezes." in asked.page()


def test_attendants_call_no_other_system(client, monkeypatch):
    monkeypatch.setattr(tasks, "run_request", lambda _payload: pytest.fail("it was called"))
    flow = trial.flow()
    flow.published = recipes.version(flow)
    flow.save()
    flow.triggers.create(kind="catch_all")
    client.force_login(recipes.bia())
    at = trial.Trial(client, None)
    at.say("Oi")
    at.tap("Pedido")
    at.say("77")
    assert 'value="run"' not in re_form(at.page(), "result")
    at.do("result", task=Task.objects.get(kind="http").pk, how="run")
    assert at.session.flow_state["engine"]["awaiting"] == "http"
    at.do("result", task=Task.objects.get(kind="http").pk, how="give", route="ok")
    assert at.session.flow_state["engine"]["awaiting"] == "customer"


def re_form(page, action):
    begin = page.index(reverse(f"simulator_{action}"))
    return page[begin : page.index("</form>", begin)]


def test_an_integration_of_this_program_runs_unless_it_is_chosen_otherwise(at):
    at.say("Oi")
    at.tap("Meus dados")
    assert not Task.objects.exists()
    at.do("choose", place="dados", how="ask")
    at.tap("Meus dados")
    assert at.session.flow_state["engine"]["awaiting"] == "handler"
    task = Task.objects.get()
    at.do("result", task=task.pk, how="give", route="incomplete")
    assert "Sem telefone." in at.texts[-1] or "Sem telefone." in at.texts[-2]
    at.do("choose", place="dados", how="give", route="ok", **{"value-known_phone": "555"})
    assert "Telefone 555." in at.tap("Meus dados")


# --- A finding ---------------------------------------------------------------------------------


class Witness:
    context = {"vindo_de": "teste"}

    def __init__(self, turns):
        self.turns = turns


def test_a_finding_is_shown_by_what_leads_to_it(at, monkeypatch):
    nodes = {**trial.NODES, "conta": {**trial.NODES["conta"], "next": ""}}
    at.flow.draft = trial.document(nodes=nodes)
    at.flow.save()
    turns = [
        {"in": "Oi", "facts": {"lead": {"phone": ""}}},
        {"in": {"choice": "lead"}},
        {"in": {"returned": {"route": "incomplete"}}},
        {"in": {"choice": "esperar"}},
        {"in": {"timer": True}, "after_minutes": 5},
        {"in": {"choice": "pedido"}},
        {"in": "77"},
        {"in": {"returned": {"route": "ok", "values": {"situacao": "Pago", "parcelas": 1}}}},
    ]
    monkeypatch.setattr(witnesses, "witness_of", lambda _document, _finding: Witness(turns))
    finding = next(one for one in check(at.flow) if one.code == "dangling_exit")
    with zeal_ignore():  # each turn in a transaction of its own
        response = at.client.get(
            reverse("flow_try", args=[at.flow.pk]),
            {"version": "draft", "finding": finding.key},
        )
    assert response.url == reverse("flow_simulator", args=[at.flow.pk])
    page = at.page()
    for text in ("Sem telefone.", "Passou um dia.", "Protocolo", finding.title):
        assert text in page
    last = FlowLog.objects.filter(message__kind="returned").latest("seq")
    assert "trouble" in {passed["exit"] for passed in last.trace}
    assert at.person.ahead > timedelta(days=1)
    assert FlowLog.objects.first().session.context["vindo_de"] == "teste"


def test_a_finding_that_was_mended_is_not_shown(at):
    url = reverse("flow_try", args=[at.flow.pk])
    page = at.client.get(url, {"finding": "gone"}, follow=True).content.decode()
    assert 'class="error"' in page
    assert not SimulatedPerson.objects.exists()


def test_another_site_cannot_start_anybody(at):
    url = reverse("flow_try", args=[at.flow.pk])
    at.client.get(url, {"finding": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert not SimulatedPerson.objects.exists()


# --- Test conversations ------------------------------------------------------------------------


@pytest.fixture
def kept(at):
    """A long conversation, kept: integrations, a wait, a Saturday, a handoff."""
    at.say("Oi")
    at.tap("Pedido")
    at.say("77")
    task = Task.objects.get(kind="http")
    form = {"route": "ok", "value-situacao": "Enviado", "value-parcelas": "3"}
    at.do("result", task=task.pk, how="give", **form)
    at.do("travel", to="saturday")
    at.say("Oi")
    at.tap("Que dia é")
    at.tap("Esperar")
    at.advance(24.2)
    at.say("xyz")
    at.say(what="image")
    at.do("keep", name="Pedido no sábado")
    return at


def goldens_page(at, **query):
    return at.client.get(reverse("flow_goldens", args=[at.flow.pk]), query).content.decode()


def test_a_kept_conversation_is_held_alike(kept):
    golden = GoldenConversation.objects.get()
    assert golden.flow == kept.flow
    assert golden.created_by == recipes.ana()
    assert "is-failing" not in goldens_page(kept)
    given = [turn["in"] for turn in golden.conversation["turns"]]
    assert {"timer": True} in given


def test_a_conversation_with_results_chosen_and_people_called(at):
    at.say("Oi")
    at.tap("Meus dados")
    at.tap("Pedido")
    at.say("77")
    at.do("result", task=Task.objects.get(kind="http").pk, how="give", route="error")
    assert at.session.owner == "queue"
    page = at.do("keep", name="Erro")
    assert 'class="success"' in page
    turns = GoldenConversation.objects.get().conversation["turns"]
    kinds = {"choice", "returned", "ticket"}
    came = [one["in"] for one in turns if not isinstance(one["in"], str)]
    given = [next(iter(one.keys() & kinds)) for one in came]
    assert given == ["choice", "returned", "choice", "returned", "ticket"]
    assert "is-failing" not in goldens_page(at)


def test_what_goes_otherwise_is_shown_side_by_side_and_taken_after_asking(kept):
    nodes = {**trial.NODES, "sabado": {**trial.NODES["sabado"], "text": "Folga!"}}
    golden = GoldenConversation.objects.get()
    kept.flow.draft = trial.document(nodes=nodes)
    kept.flow.save()
    page = goldens_page(kept)
    for text in ("is-failing", "É fim de semana.", "Folga!"):
        assert text in page
    accept = reverse("flow_golden_accept", args=[kept.flow.pk, golden.pk])
    shown = kept.client.get(accept)
    assert "Folga!" in shown.content.decode()
    seen = {"seen": shown.context["seen"]}
    assert "is-failing" in goldens_page(kept)
    nodes["sabado"]["text"] = "Folga geral!"
    kept.flow.draft = trial.document(nodes=nodes)
    kept.flow.save()
    refused = kept.client.post(accept, seen, follow=True).content.decode()
    assert 'class="error"' in refused
    assert "É fim de semana." in goldens_page(kept)
    kept.client.post(accept, {"seen": kept.client.get(accept).context["seen"]})
    assert "is-failing" not in goldens_page(kept)


def test_test_conversations_are_renamed_switched_off_and_removed(kept):
    golden = GoldenConversation.objects.get()
    kept.do("keep", name="Outra")
    change = reverse("flow_golden_change", args=[kept.flow.pk, golden.pk])
    page = kept.client.post(change, {"name": "Outra"}, follow=True).content.decode()
    assert 'class="error"' in page
    GoldenConversation.objects.filter(pk=golden.pk).update(conversation={"turns": []})
    goldens.rename(golden, "Sábado")  # read before somebody took the new answers
    assert GoldenConversation.objects.get(pk=golden.pk).conversation["turns"] == []
    kept.client.post(change, {"name": "Sábado"})
    kept.client.post(change, {"is_active": "0"})
    golden.refresh_from_db()
    assert (golden.name, golden.is_active) == ("Sábado", False)
    delete = reverse("flow_golden_delete", args=[kept.flow.pk, golden.pk])
    kept.client.get(delete)
    assert GoldenConversation.objects.count() == 2
    kept.client.post(delete)
    assert GoldenConversation.objects.get().name == "Outra"


@pytest.mark.parametrize("number", ["²", "9" * 30])
def test_a_number_that_is_none_shows_the_draft(kept, number):
    assert "is-failing" not in goldens_page(kept, version=number)
    kept.do("say", choice=f"{number}:sim")
    kept.do("start_over", version=number)


def test_a_draft_that_cannot_be_read_is_told_in_words(kept):
    kept.flow.draft = {"schema": 1, "slug": "x"}
    kept.flow.save()
    missing = str(SENTENCES["missing_field"]) % {"field": "name"}
    assert missing in goldens_page(kept)


def test_nothing_said_cannot_be_kept_nor_a_name_twice(at):
    assert 'class="error"' in at.do("keep", name="Nada")
    at.say("Oi")
    at.do("keep", name="Oi")
    assert 'class="error"' in at.do("keep", name="Oi")
    assert 'class="error"' in at.do("keep", name="  ")
    assert GoldenConversation.objects.count() == 1


def test_a_damaged_conversation_is_said_to_be_so(at):
    recipes.baker.make(GoldenConversation, flow=at.flow, name="x", conversation={"turns": [{}]})
    assert "is-failing" in goldens_page(at)


# --- The end of it -----------------------------------------------------------------------------


def test_clearing_removes_tried_drafts_and_keeps_test_conversations(kept):
    published = recipes.version(kept.flow, number=9)
    kept.client.post(reverse("simulator_clear"))
    assert list(FlowVersion.objects.all()) == [published]
    assert not SimulatedPerson.objects.exists()
    assert not Session.objects.exists()
    assert not Task.objects.exists()
    assert GoldenConversation.objects.count() == 1


def test_the_page_costs_the_same_however_long_the_conversation(at):
    at.say("Oi")
    at.page()
    with CaptureQueriesContext(connection) as few:
        at.page()
    for _time in range(3):
        at.tap("Meus dados")
        at.say("xyz")
    at.advance(0.1)
    with CaptureQueriesContext(connection) as many:
        at.page()
    assert len(many) == len(few)
