"""What each kind of node does, one fact at a time."""

from typing import Any

import pytest

from chatbot.engine.messages import (
    ContactsReceived,
    FormReceived,
    LocationReceived,
    Started,
    TextReceived,
)
from chatbot.engine.state import State
from chatbot.engine.step import step
from chatbot.engine.tests.documents import (
    ASK,
    AT,
    END,
    FACTS,
    HANDOFF,
    MENU,
    Talk,
    document,
    flow_with,
)


def test_a_run_goes_from_the_start_until_a_node_waits() -> None:
    talk = Talk(flow_with({"kind": "send", "text": "Olá, {{ lead.first_name }}", "next": "nome"},
                          nodes={"nome": ASK}))  # fmt: skip
    assert talk.texts == ["Olá, Davi", "Nome?"]
    assert (talk.state.node, talk.state.awaiting) == ("nome", "customer")
    assert talk.state.path == ("inicio", "passo", "nome")


def test_the_start_keeps_the_text_that_fired_it() -> None:
    nodes = {"inicio": {"kind": "start", "save_as": "primeira", "next": "passo"}}
    assert Talk(flow_with(ASK, nodes=nodes), "quero um plano").context == {
        "primeira": "quero um plano"
    }


def test_a_first_message_may_be_a_word_that_works_anywhere() -> None:
    words = [{"keywords": ["Atendente"], "next": "equipe"}]
    assert Talk(flow_with(ASK, words=words), "atendente!").state.node == "equipe"
    deaf = {"inicio": {"kind": "start", "next": "passo", "answers_words": False}}
    assert Talk(flow_with(ASK, words=words, nodes=deaf), "atendente").state.node == "passo"


def test_an_answer_is_kept_and_the_flow_ends() -> None:
    talk = Talk(flow_with(ASK)).say(" Davi ")
    assert talk.context == {"nome": "Davi"}
    assert talk.texts == ["Fim"]
    assert talk.state.done
    assert talk.state.node == ""


def test_nothing_happens_after_the_end() -> None:
    talk = Talk(flow_with(ASK)).say("Davi")
    before = talk.state
    talk.say("Oi")
    assert (talk.state, talk.outcome.effects) == (before, ())


def test_wrong_answers_are_counted_until_the_way_out() -> None:
    flow = flow_with({**ASK, "answer": "email", "tries": 3, "on_fail": "equipe"})
    talk = Talk(flow).say("a")
    assert (talk.texts, talk.state.tries) == (["Hein?"], 1)
    talk.say("b").say("c")
    assert talk.state.awaiting == "ticket"


def test_without_a_way_out_the_question_stays() -> None:
    talk = Talk(flow_with({**ASK, "answer": "email", "tries": 1}))
    for _ in range(5):
        talk.say("a")
    assert (talk.state.node, talk.texts) == ("passo", ["Hein?"])


def test_a_word_to_skip_goes_on_without_an_answer() -> None:
    talk = Talk(flow_with({**ASK, "skip_words": ["Pular"]})).say("pular.")
    assert talk.state.done
    assert talk.context == {}


def test_media_at_a_question_get_one_sentence_however_many_come() -> None:
    talk = Talk(flow_with({**ASK, "only_text": "Só texto"})).show()
    assert (talk.texts, talk.state.tries) == (["Só texto"], 1)
    talk.show(after=2)
    assert (talk.texts, talk.state.tries) == ([], 1)
    talk.show(after=600)
    assert (talk.texts, talk.state.tries) == (["Só texto"], 2)


def test_the_document_says_what_media_get_where_the_node_does_not() -> None:
    assert Talk(flow_with(ASK, only_text_answer="Escreva")).show().texts == ["Escreva"]


def test_the_rest_of_an_album_is_not_scolded_at_the_next_question() -> None:
    flow = flow_with({**ASK, "answer": "file", "next": "nome"}, nodes={"nome": ASK})
    talk = Talk(flow).show()
    assert talk.state.node == "nome"
    assert talk.show(after=1).texts == []
    assert talk.say("Davi").state.done


@pytest.mark.parametrize("said", ["vendas", "1", "Véndas!", "comprar", "vendsa"])
def test_a_menu_takes_id_number_label_synonym_and_typo(said: str) -> None:
    assert Talk(flow_with(MENU)).say(said).context == {"assunto": "vendas"}


def test_a_tap_chooses_by_id_and_a_stale_one_by_its_title() -> None:
    assert Talk(flow_with(MENU)).tap("suporte").context == {"assunto": "suporte"}
    assert Talk(flow_with(MENU)).tap("velho", "Vendas").context == {"assunto": "vendas"}


def test_a_menu_offers_its_options_in_order_with_every_answer() -> None:
    talk = Talk(flow_with(MENU))
    send = talk.outcome.effects[0]
    assert [(one.id, one.title) for one in send.choices] == [
        ("vendas", "Vendas"),
        ("suporte", "Suporte técnico"),
    ]
    talk.say("banana")
    assert talk.texts == ["Não entendi"]
    assert talk.outcome.effects[0].choices == send.choices


def test_an_ambiguous_answer_asks_which_and_counts_as_a_try() -> None:
    talk = Talk(flow_with(MENU)).say("vendas ou suporte")
    assert (talk.texts, talk.state.tries, talk.state.node) == (["Qual das duas?"], 1, "passo")
    assert talk.say("vendas ou suporte").say("vendas ou suporte").state.awaiting == "ticket"


def test_a_tap_on_an_older_menu_repeats_the_question_without_a_try() -> None:
    talk = Talk(flow_with(ASK)).tap("vendas", "Vendas")
    assert (talk.texts, talk.state.tries, talk.context) == (["Nome?"], 0, {})


def test_what_is_no_text_is_not_understood_by_a_menu() -> None:
    for message in (
        LocationReceived(at=AT, latitude=1, longitude=2),
        ContactsReceived(at=AT, names=("Bia",)),
        FormReceived(at=AT, values={"a": 1}),
    ):
        assert Talk(flow_with(MENU)).hear(message).texts == ["Não entendi"]


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"variable": "n", "op": "ge", "value": 18}, True),
        ({"variable": "n", "op": "lt", "value": "18"}, False),
        ({"variable": "n", "op": "gt", "value": 17.5}, True),
        ({"variable": "n", "op": "le", "value": 18}, True),
        ({"variable": "n", "value": "18,0"}, True),
        ({"variable": "cidade", "value": "sao paulo"}, True),
        ({"variable": "cidade", "op": "ne", "value": "Recife"}, True),
        ({"variable": "cidade", "op": "contains", "value": "PAULO"}, True),
        ({"variable": "cidade", "op": "contains", "value": "pau"}, False),
        ({"variable": "cidade", "op": "in", "value": ["Recife", "São Paulo"]}, True),
        ({"variable": "cidade", "op": "gt", "value": 3}, False),
        ({"variable": "dia", "op": "gt", "value": "2026-01-01"}, True),
        ({"variable": "sim", "value": True}, True),
        ({"variable": "lista", "op": "contains", "value": "b"}, True),
        ({"variable": "sim", "value": "true"}, True),
        ({"variable": "sim", "value": False}, False),
        ({"variable": "nada", "value": ""}, True),
        ({"variable": "dez", "op": "gt", "value": "2026-01-01"}, False),
        ({"variable": "dez", "value": "DEZ letras"}, True),
        ({"variable": "nada", "op": "empty"}, True),
        ({"variable": "cidade", "op": "filled"}, True),
        ({"variable": "lead.status", "value": "new"}, True),
        ({"variable": "channel.kind", "value": "simulator"}, True),
        ({"open": "vendas"}, True),
        ({"open": "suporte"}, False),
        ({"open": ""}, True),
        ({"tag": "VIP"}, True),
        ({"tag": "novo"}, False),
        ({"weekday": [3, 4]}, True),
        ({"hours": ["08:00", "10:00"]}, False),
        ({"hours": ["10:00", "18:00"]}, True),
        ({"hours": ["22:00", "10:30"]}, True),
        ({"first_contact": True}, True),
        ({"all": [{"tag": "vip"}, {"open": "vendas"}]}, True),
        ({"all": [{"tag": "vip"}, {"open": "suporte"}]}, False),
        ({"any": [{"tag": "x"}, {"open": "vendas"}]}, True),
        ({"none": [{"tag": "x"}, {"open": "suporte"}]}, True),
    ],
)
def test_a_branch_takes_the_first_case_that_holds(when: dict[str, Any], holds: bool) -> None:
    known = {"n": 18, "cidade": "São Paulo", "dia": "2026-11-12", "sim": True, "lista": ["a", "b"]}
    known["dez"] = "dez letras"
    branch = {"kind": "branch", "cases": [{"when": when, "next": "nome"}], "otherwise": "fim"}
    flow = flow_with(branch, nodes={"nome": ASK})
    outcome = step(flow, State(), known, Started(at=AT, facts=FACTS))
    assert bool(outcome.state.node) is holds


@pytest.mark.parametrize("facts", [{}, {"now": "x", "lead": 3, "open_departments": None}])
def test_conditions_hold_for_nothing_when_facts_are_missing(facts: dict[str, Any]) -> None:
    conditions = [{"open": ""}, {"tag": "a"}, {"weekday": [0]}, {"hours": ["00:00", "23:59"]}]
    cases = [{"when": one, "next": "nome"} for one in conditions]
    flow = flow_with({"kind": "branch", "cases": cases, "otherwise": "fim"}, nodes={"nome": ASK})
    assert step(flow, State(), {}, Started(at=AT, facts=facts)).state.done


def test_variables_are_set_one_after_the_other() -> None:
    values = [
        {"name": "a", "value": "Davi da Silva"},
        {"name": "b", "op": "copy", "value": "a"},
        {"name": "b", "op": "upper"},
        {"name": "c", "op": "copy", "value": "a"},
        {"name": "c", "op": "first_word"},
        {"name": "d", "op": "add", "value": 2},
        {"name": "d", "op": "subtract", "value": "{{ meio }}"},
        {"name": "e", "op": "append", "value": 1},
        {"name": "e", "op": "append", "value": "{{ c }}"},
        {"name": "f", "value": "{{ a }}!"},
        {"name": "g", "value": True},
        {"name": "f", "op": "lower"},
        {"name": "f", "op": "title"},
        {"name": "a", "op": "clear"},
        {"name": "h", "op": "copy", "value": "{{ lead.status }}"},
    ]
    flow = flow_with({"kind": "set", "values": values, "next": "fim"})
    outcome = step(flow, State(), {"meio": 0.5}, Started(at=AT, facts=FACTS))
    assert outcome.context == {
        "meio": 0.5,
        "b": "DAVI DA SILVA",
        "c": "Davi",
        "d": 1.5,
        "e": [1, "Davi"],
        "f": "Davi Da Silva!",
        "g": True,
        "h": "new",
    }


def test_the_lead_is_changed_with_what_is_known_and_seen_at_once() -> None:
    lead = {
        "kind": "lead",
        "fields": {"name": "Bia {{ sobrenome }}", "email": "{{ email }}"},
        "status": "contacted",
        "add_tags": ["novo"],
        "consent": {"purpose": "marketing", "granted": False, "text": "Aceita?"},
        "next": "dizer",
    }
    say = {"kind": "send", "text": "{{ lead.first_name }} {{ lead.status }}", "next": "fim"}
    talk = Talk(flow_with(lead, nodes={"dizer": say}))
    update = talk.outcome.effects[0]
    assert update.model_dump() == {
        "kind": "update_lead",
        "fields": {"name": "Bia"},
        "status": "contacted",
        "add_tags": ("novo",),
        "remove_tags": (),
        "consent": "marketing",
        "consent_granted": False,
        "consent_text": "Aceita?",
    }
    assert talk.texts == ["Bia contacted", "Fim"]


CALL = {
    "kind": "call",
    "handler": "find",
    "args": {
        "cpf": "{{ cpf }}",
        "texto": "n {{ n }}",
        "n": "{{ n }}",
        "fixo": [1, "{{ n }}", {"b": "{{ n }}!"}],
    },
    "routes": {"ok": "fim", "error": "equipe"},
}


def test_a_call_ends_the_step_and_goes_on_by_the_route_returned() -> None:
    talk = Talk(flow_with({"kind": "set", "values": [{"name": "n", "value": 7}], "next": "chamar"},
                          nodes={"chamar": CALL}))  # fmt: skip
    run = talk.outcome.effects[-1]
    assert run.args == {"cpf": "", "texto": "n 7", "n": 7, "fixo": [1, 7, {"b": "7!"}]}
    assert (talk.state.awaiting, talk.state.handler_calls) == ("handler", 1)
    talk.answer("ok", valor=3, **{"NÃO": 1, "lead": 2})
    assert talk.state.done
    assert talk.context == {"n": 7, "valor": 3}


def test_an_unknown_route_is_an_error() -> None:
    assert Talk(flow_with(CALL)).answer("talvez").state.node == "equipe"


HTTP = {
    "kind": "http",
    "method": "POST",
    "url": "https://api.exemplo.com/{{ id }}?q=1",
    "headers": {"X-Id": "{{ id }}"},
    "body": '{"nome": "{{ nome }}"}',
    "mapping": {"valor": "a.b"},
    "ok": "fim",
    "error": "equipe",
}


def test_a_request_is_escaped_for_each_place() -> None:
    flow = flow_with(HTTP)
    context = {"id": "../x\r\ny", "nome": 'A"\n'}
    outcome = step(flow, State(), context, Started(at=AT, facts=FACTS))
    call = outcome.effects[-1]
    assert call.url == "https://api.exemplo.com/..%2Fx%0D%0Ay?q=1"
    assert call.headers == {"X-Id": "../xy"}
    assert call.body == '{"nome": "A\\"\\n"}'
    assert outcome.state.awaiting == "http"


@pytest.mark.parametrize(("route", "ends"), [("ok", True), ("error", False), ("500", False)])
def test_a_request_leaves_by_ok_or_error(route: str, ends: bool) -> None:
    assert Talk(flow_with(HTTP)).answer(route, valor=1).state.done is ends


def test_a_handoff_says_the_protocol_once_the_ticket_is_open() -> None:
    talk = Talk(flow_with({**HANDOFF, "department": "vendas", "priority": "high", "reason": "Oi"}))
    ticket = talk.outcome.effects[0]
    assert (ticket.department, ticket.priority, ticket.reason) == ("vendas", "high", "Oi")
    assert (ticket.node, ticket.path) == ("passo", ("inicio", "passo"))
    assert talk.texts == []
    assert talk.open_ticket().texts == ["Protocolo P-1"]
    assert talk.state.done


def test_a_closed_department_has_its_own_text() -> None:
    assert Talk(flow_with(HANDOFF)).open_ticket(is_open=False).texts == ["Fechado"]
    same = {**HANDOFF, "closed_text": ""}
    assert Talk(flow_with(same)).open_ticket(is_open=False).texts == ["Protocolo P-1"]


WAIT = {"kind": "wait", "seconds": 60, "next": "fim"}


def test_a_wait_goes_on_when_its_time_has_come() -> None:
    talk = Talk(flow_with(WAIT))
    assert talk.kinds == ["wait"]
    assert talk.say("alô").outcome.effects == ()
    assert talk.fire().state.done


def test_a_wait_may_be_interrupted() -> None:
    assert Talk(flow_with({**WAIT, "interruptible": True})).say("alô").texts == ["Fim"]
    flow = flow_with({**WAIT, "interruptible": True, "on_message": "nome"}, nodes={"nome": ASK})
    assert Talk(flow).say("alô").state.node == "nome"
    assert Talk(flow).fire().state.done


def test_an_end_may_end_the_session() -> None:
    assert Talk(flow_with({**END, "end_session": True})).kinds == ["send", "end_session"]


SUB = document(ASK, slug="sub", words=[{"keywords": ["voltar"], "next": "passo"}])
CALLING = {"kind": "flow", "flow": "sub", "next": "depois"}
AFTER = {"kind": "send", "text": "De volta, {{ nome }}", "next": "fim"}


def sub_flow(**rest: Any) -> Talk:
    return Talk(flow_with(CALLING, nodes={"depois": AFTER}, subflows={"sub": SUB}, **rest))


def test_a_sub_flow_runs_and_returns_with_its_variables() -> None:
    talk = sub_flow()
    assert (talk.state.flow, talk.state.node, len(talk.state.stack)) == ("sub", "passo", 1)
    assert talk.state.path[-1] == "sub/passo"
    talk.say("Davi")
    assert talk.texts == ["Fim", "De volta, Davi", "Fim"]
    assert talk.state.done


def test_words_of_a_sub_flow_stay_inside_and_those_of_the_caller_leave_it() -> None:
    talk = sub_flow(words=[{"keywords": ["menu"], "next": "depois"}])
    talk.say("voltar")
    assert (talk.state.flow, len(talk.state.stack)) == ("sub", 1)
    talk.say("menu")
    assert talk.texts == ["De volta, ", "Fim"]
    assert talk.state.done


WORDS = [{"keywords": ["sair", "Tchau!"], "next": "fim"}]


@pytest.mark.parametrize("said", ["sair", " SAIR. ", "tchau", "Sáir"])
@pytest.mark.parametrize("node", [ASK, MENU, WAIT, CALL, HTTP], ids=lambda one: one["kind"])
def test_a_word_works_anywhere(node: dict[str, Any], said: str) -> None:
    talk = Talk(flow_with(node, words=WORDS)).say(said)
    assert talk.texts == ["Fim"]
    assert talk.state.done


@pytest.mark.parametrize("said", ["sairr", "quero sair", "s a i r", "sair" + " " * 5000])
def test_a_word_must_be_the_whole_message(said: str) -> None:
    talk = Talk(flow_with(ASK, words=WORDS)).say(said)
    assert talk.context == {"nome": said.strip()[:4096]}


def test_an_option_said_exactly_is_an_answer_and_not_a_word() -> None:
    words = [{"keywords": ["vendas"], "next": "equipe"}]
    assert Talk(flow_with(MENU, words=words)).say("Vendas").context == {"assunto": "vendas"}


def test_a_word_is_deaf_while_the_ticket_is_being_opened() -> None:
    talk = Talk(flow_with(HANDOFF, words=WORDS)).say("sair")
    assert talk.state.awaiting == "ticket"


@pytest.mark.parametrize(
    ("node", "acts"),
    [
        (ASK, [Talk.answer, Talk.fire, Talk.open_ticket]),
        (CALL, [Talk.fire, Talk.open_ticket, Talk.show, lambda talk: talk.say("oi")]),
        (HTTP, [Talk.fire, Talk.open_ticket, Talk.show, lambda talk: talk.say("oi")]),
        (WAIT, [Talk.answer, Talk.open_ticket, Talk.show, lambda talk: talk.say("oi")]),
        (HANDOFF, [Talk.answer, Talk.fire, Talk.show, lambda talk: talk.say("oi")]),
    ],
)
def test_what_is_not_awaited_changes_nothing(node: dict[str, Any], acts: list[Any]) -> None:
    talk = Talk(flow_with(node))
    before = talk.state, talk.context
    for act in acts:
        act(talk)
        assert (talk.state, talk.context) == before
        assert talk.outcome.effects == ()


def test_a_second_start_and_a_message_before_the_first_change_nothing() -> None:
    talk = Talk(flow_with(ASK))
    before = talk.state
    assert talk.hear(Started(at=AT, facts=FACTS)).state == before
    early = step(flow_with(ASK), State(), {}, TextReceived(at=AT, text="Oi"))
    assert early.state == State()


def test_the_trace_tells_why_each_node_was_left() -> None:
    talk = Talk(flow_with(MENU)).say("compra")
    passed = [(one.node, one.matched, one.exit) for one in talk.outcome.trace]
    assert passed == [("passo", "vendas", "option:vendas"), ("fim", "", "")]
    talk = Talk(flow_with(MENU)).say("???")
    assert [(one.matched, one.exit) for one in talk.outcome.trace] == [("fallback", "")]


def test_a_flow_may_begin_with_any_node() -> None:
    assert Talk(flow_with(ASK, start="passo")).texts == ["Nome?"]


def test_clocks_that_cannot_be_compared_make_no_album() -> None:
    talk = Talk(flow_with({**ASK, "only_text": "Só texto"})).show()
    talk.state = talk.state.model_copy(update={"media_at": "2026-11-12T13:05:00"})
    assert talk.show(after=1).texts == ["Só texto"]
