"""Where the verification must be silent, and what it must not overlook: ways, sub-flows, counts."""

from typing import Any

import pytest

from chatbot.engine import check_menus
from chatbot.engine.bounds import OUTSIDE, THING, Bounds
from chatbot.engine.check import Finding, KnownHandler, Surroundings, check_flow
from chatbot.engine.check_menus import overlaps
from chatbot.engine.kinds import Option
from chatbot.engine.nodes import parse_flow
from chatbot.engine.tests.documents import ASK, END, HANDOFF, MENU, document
from chatbot.engine.whole import MOST_SPOTS, Whole
from chatbot.engine.witness import shows, witness_of

WORDS = [{"keywords": ["atendente"], "next": "equipe"}]
SAFE_ASK = {**ASK, "on_fail": "equipe", "maximum": 80}
AROUND = Surroundings(
    handlers={"save": KnownHandler(outputs=("saldo",))}, departments=("vendas",), flows={}
)
HTTP = {"kind": "http", "url": "https://x.io/a", "ok": "fim", "error": "conta"}


def found(first: dict[str, Any], **rest: Any) -> list[Finding]:
    rest.setdefault("words", WORDS)
    return check_flow(parse_flow(document(first, **rest)), AROUND)


def codes(first: dict[str, Any], **rest: Any) -> set[str]:
    return {one.code for one in found(first, **rest)}


def say(text: str, then: str = "fim") -> dict[str, Any]:
    return {"kind": "send", "text": text, "next": then}


def branch(when: dict[str, Any], then: str = "fim", otherwise: str = "equipe") -> dict[str, Any]:
    return {"kind": "branch", "cases": [{"when": when, "next": then}], "otherwise": otherwise}


def count(step: Any = 1) -> dict[str, Any]:
    return {"kind": "set", "values": [{"name": "n", "op": "add", "value": step}], "next": "de_novo"}


@pytest.mark.parametrize(
    "guard",
    [
        branch({"variable": "n", "op": "lt", "value": 3}, "passo"),
        branch({"variable": "n", "op": "ge", "value": 3}, "equipe", "passo"),
    ],
    ids=["goes on while small", "leaves when large"],
)
def test_a_loop_that_counts_its_rounds_ends(guard: dict[str, Any]) -> None:
    assert codes(HTTP, nodes={"conta": count(), "de_novo": guard}) == set()


@pytest.mark.parametrize(
    ("counting", "guard", "code"),
    [
        (
            count("{{ n }}"),
            branch({"variable": "n", "op": "lt", "value": 3}, "passo"),
            "silent_loop",
        ),
        (count(0), branch({"variable": "n", "op": "lt", "value": 3}, "passo"), "silent_loop"),
        (count(), branch({"variable": "m", "op": "lt", "value": 3}, "passo"), "silent_loop"),
        (count(), branch({"variable": "n", "op": "lt", "value": 30}, "passo"), "too_many_in_a_row"),
    ],
    ids=["adds what it is", "adds nothing", "asks for another", "too many rounds"],
)
def test_a_loop_that_does_not_count_or_counts_too_far_is_found(
    counting: dict[str, Any], guard: dict[str, Any], code: str
) -> None:
    assert code in codes(HTTP, nodes={"conta": counting, "de_novo": guard})


@pytest.mark.parametrize(
    "when",
    [
        {"variable": "x", "op": "filled"},
        {"all": [{"variable": "x", "value": "sim"}, {"first_contact": True}]},
        {"any": [{"variable": "x", "op": "gt", "value": 1}, {"variable": "x", "op": "filled"}]},
        {"none": [{"variable": "x", "op": "empty"}]},
    ],
)
def test_a_condition_that_needs_a_value_vouches_for_it(when: dict[str, Any]) -> None:
    nodes = {"eco": say("{{ x }}"), "y": {**SAFE_ASK, "save_as": "x", "next": "passo"}}
    words = [*WORDS, {"keywords": ["x"], "next": "y"}]
    findings = found(branch(when, "eco"), nodes=nodes, words=words)
    assert [one for one in findings if one.node == "eco"] == []


def test_a_condition_that_needs_none_does_not() -> None:
    nodes = {"eco": say("{{ x }}"), "y": {**SAFE_ASK, "save_as": "x", "next": "passo"}}
    words = [*WORDS, {"keywords": ["x"], "next": "y"}]
    findings = found(branch({"variable": "x", "op": "empty"}, "eco"), nodes=nodes, words=words)
    assert [one.node for one in findings if one.code == "unknown_variable"] == ["eco"]


def sub(first: dict[str, Any], slug: str = "sub", **rest: Any) -> dict[str, Any]:
    return document(first, slug=slug, **{"words": WORDS, **rest})


CALLING = {"kind": "flow", "flow": "sub", "next": "fim"}


def test_what_stands_in_a_sub_flow_is_named_by_it_and_reached_through_its_caller() -> None:
    inside = sub({**SAFE_ASK, "next": "sumiu"})
    nodes = {"fim": END}
    [finding, *_rest] = found(CALLING, subflows={"sub": inside}, nodes=nodes)
    assert (finding.code, finding.node) == ("dangling_exit", "sub/passo")
    assert finding.path == ("inicio", "passo", "sub/inicio", "sub/passo")


def test_a_variable_of_the_caller_is_known_in_the_sub_flow_and_the_other_way() -> None:
    inside = sub({**SAFE_ASK, "save_as": "y", "text": "{{ x }}?", "next": "fim", "on_fail": "fim"})
    nodes = {
        "x": {**SAFE_ASK, "save_as": "x", "next": "chama", "maximum": 20},
        "chama": {**CALLING, "next": "eco"},
        "eco": say("{{ x }}"),
    }
    first = say("Oi", "x")
    assert codes(first, nodes=nodes, subflows={"sub": inside}) == set()
    bare = {**nodes, "eco": say("{{ y }}")}
    [finding] = found(first, nodes=bare, subflows={"sub": inside})
    assert (finding.code, finding.node) == ("unknown_variable", "eco")
    assert finding.path[-3:] == ("sub/passo", "sub/fim", "eco")


def test_a_sub_flow_that_ends_with_people_needs_nothing_after_it() -> None:
    inside = sub(HANDOFF)
    inside["words"] = []
    del inside["nodes"]["fim"], inside["nodes"]["equipe"]
    calling = {"kind": "flow", "flow": "sub", "next": ""}
    words = [*WORDS, {"keywords": ["fim"], "next": "fim"}]
    first = {**SAFE_ASK, "next": "chama"}
    assert codes(first, nodes={"chama": calling}, words=words, subflows={"sub": inside}) == set()


def test_who_calls_twice_returns_to_where_it_came_from() -> None:
    """A loop through a sub-flow that only another caller could take is none."""
    inside = sub(say("Um momento", "fim"))
    nodes = {
        "um": {**CALLING, "next": "pergunta"},
        "pergunta": {**SAFE_ASK, "next": "dois"},
        "dois": {**CALLING, "next": "um"},
    }
    words = [*WORDS, {"keywords": ["fim"], "next": "fim"}]
    found_here = codes(say("Oi", "um"), nodes=nodes, subflows={"sub": inside}, words=words)
    assert found_here & {"silent_loop", "timed_loop"} == set()


def test_a_graph_stays_within_bounds_however_often_sub_flows_are_called() -> None:
    calls = {
        f"c{n}": {"kind": "flow", "flow": "b", "next": f"c{n + 1}" if n < 80 else "fim"}
        for n in range(81)
    }
    inner = {
        f"d{n}": {"kind": "flow", "flow": "c", "next": f"d{n + 1}" if n < 80 else "fim"}
        for n in range(81)
    }
    flow = parse_flow(
        document(
            say("Oi", "c0"),
            nodes=calls,
            words=WORDS,
            subflows={
                "b": sub(say("Oi", "d0"), "b", nodes=inner),
                "c": sub(SAFE_ASK, "c"),
            },
        )
    )
    whole = Whole(flow, {})
    assert len(whole.nodes) < MOST_SPOTS + 200
    assert {"b/d80", "c/passo"} <= set(whole.places.values())


@pytest.mark.parametrize(
    ("waits", "severity"),
    [
        ([80000, 80000], "error"),
        ([86400], "error"),
        ([86399], None),
        ([80000, "ask", 80000], None),
    ],
    ids=["together", "exactly", "just before", "an answer between"],
)
def test_only_silence_of_24_hours_closes_the_window(waits: list[Any], severity: str | None) -> None:
    nodes: dict[str, Any] = {}
    for number, wait in enumerate(waits):
        following = f"w{number + 1}" if number + 1 < len(waits) else "eco"
        nodes[f"w{number}"] = (
            {**SAFE_ASK, "next": following}
            if wait == "ask"
            else {"kind": "wait", "seconds": wait, "next": following}
        )
    nodes["eco"] = say("Ainda aí?", "pergunta")
    nodes["pergunta"] = {**SAFE_ASK, "next": "fim"}
    findings = [
        one for one in found(say("Oi", "w0"), nodes=nodes) if one.code == "text_after_window"
    ]
    assert {one.severity for one in findings} == ({severity} if severity else set())
    assert [one.node for one in findings] == (["eco", "pergunta"] if severity else [])


@pytest.mark.parametrize(
    ("phrases", "is_overlap"),
    [
        ((("Vendas",), ("Vendas online",)), False),
        ((("Boleto",), ("Boleto atrasado",)), False),
        ((("Conta",), ("Contas",)), True),
        ((("Comprar", "dois"), ("Vender",)), True),
        ((("Comprar", "um"), ("Vender", "dois")), False),
        ((("Falar de vendas",), ("Falar com vendas",)), True),
        ((("Sim", "s"), ("Não", "n")), False),
    ],
)
def test_options_overlap_when_a_sentence_fits_both(
    phrases: tuple[tuple[str, ...], ...], is_overlap: bool
) -> None:
    options = tuple(
        Option(id=f"o{n}", label=label, synonyms=synonyms)
        for n, (label, *synonyms) in enumerate(phrases)
    )
    assert bool(overlaps(options)) is is_overlap


@pytest.mark.parametrize(
    ("node", "is_secret"),
    [
        ({**HTTP, "headers": {"Authorization": "Bearer {{ secret.crm }}"}}, False),
        ({**HTTP, "headers": {"Authorization": "Bearer a1b2c3d4e5f6a7b8"}}, True),
        ({**HTTP, "headers": {"Content-Type": "application/json; charset=utf-8"}}, False),
        ({**HTTP, "url": "https://x.io/a?token=a1b2c3d4e5f6"}, True),
        ({**HTTP, "url": "https://ana:s3nha123@x.io/a"}, True),
        ({**HTTP, "url": "https://hooks.x.io/T0A1b2C3d4E5f6G7h8I9j0K1l2M3"}, True),
        (say("Sua senha chega por e-mail."), False),
        (say("Senha: Acesso2026"), True),
        (say("Veja https://docs.x.io/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"), False),
        (say("Chave PIX 123e4567-e89b-12d3-a456-426614174000"), False),
        (say("sk_live_4eC39HqLyjWDarjtT1zdp7dc"), True),
    ],
)
def test_what_looks_like_a_key_is_a_secret(node: dict[str, Any], is_secret: bool) -> None:
    node = {**node, "error": "equipe"} if node["kind"] == "http" else node
    findings = [one for one in found(node) if one.code == "secret_in_text"]
    assert bool(findings) is is_secret
    assert all("4eC39" not in one.text and "a1b2c3d4e5f6" not in one.text for one in findings)


@pytest.mark.parametrize(
    ("ask", "when", "code"),
    [
        ({"answer": "number"}, {"op": "ge", "value": 18}, None),
        ({"answer": "number"}, {"op": "ge", "value": "18"}, None),
        ({"answer": "number"}, {"value": "dezoito"}, "wrong_type"),
        ({"answer": "date"}, {"op": "lt", "value": "2026-11-12"}, None),
        ({"answer": "date"}, {"op": "lt", "value": 5}, "wrong_type"),
        ({"answer": "text"}, {"op": "contains", "value": "boleto"}, None),
        ({"answer": "text"}, {"value": "18"}, None),
        ({"answer": "text"}, {"op": "lt", "value": 18}, "wrong_type"),
        ({"answer": "file"}, {"value": "foto"}, "wrong_type"),
        ({"answer": "file"}, {"op": "filled"}, None),
    ],
)
def test_a_condition_compares_a_variable_as_what_it_is(
    ask: dict[str, Any], when: dict[str, Any], code: str | None
) -> None:
    asking = {**SAFE_ASK, **ask, "next": "se"}
    nodes = {"se": branch({"variable": "nome", **when})}
    assert codes(asking, nodes=nodes) & {"wrong_type", "never_equal"} == ({code} - {None})


def test_what_an_integration_gives_may_be_anything() -> None:
    call = {"kind": "call", "handler": "save", "routes": {"ok": "se", "error": "equipe"}}
    nodes = {"se": branch({"variable": "saldo", "op": "lt", "value": 5})}
    assert codes(call, nodes=nodes) == set()


def test_bounds_follow_what_the_flow_limits() -> None:
    flow = parse_flow(
        document(
            {**ASK, "maximum": 10},
            nodes={
                "foto": {**ASK, "answer": "file", "save_as": "foto"},
                "menu": MENU,
                "muda": {
                    "kind": "set",
                    "values": [
                        {"name": "dupla", "value": "{{ nome }} {{ nome }}"},
                        {"name": "copia", "op": "copy", "value": "dupla"},
                        {"name": "cresce", "value": "{{ cresce }}a"},
                    ],
                    "next": "fim",
                },
            },
            variables={"dado": {"given": True}, "dia": {"given": True, "type": "date"}},
        )
    )
    bounds = Bounds([flow], outside=("saldo",))
    known = {name: bounds.of(name) for name in ("nome", "foto", "assunto", "dupla", "copia")}
    assert known == {"nome": 10, "foto": THING, "assunto": 7, "dupla": 21, "copia": 21}
    assert (bounds.of("cresce"), bounds.of("dado"), bounds.of("dia")) == (4096, OUTSIDE, 10)
    assert bounds.longest("Oi {{ nome }}, {{ saldo|-- }}") == (3 + 10 + 2 + OUTSIDE, "saldo")


def test_a_witness_says_why_there_is_none() -> None:
    flow = parse_flow(document(SAFE_ASK, words=WORDS, nodes={"promo": {**MENU, "fallback": ""}}))
    reasons = {one.code: witness_of(flow, one).reason for one in check_flow(flow, AROUND)}
    assert reasons == dict.fromkeys(("unreachable", "missing_fallback"), "nothing_leads_there")


def test_a_witness_chooses_facts_answers_and_results_by_which_it_comes_there() -> None:
    first = branch({"all": [{"open": "vendas"}, {"weekday": [6]}, {"tag": "vip"}]}, "idade")
    nodes = {
        "idade": {**SAFE_ASK, "answer": "number", "save_as": "idade", "next": "se"},
        "se": branch({"variable": "idade", "op": "gt", "value": 64}, "chama"),
        "chama": {"kind": "call", "handler": "save", "routes": {"ok": "saldo", "error": "equipe"}},
        "saldo": branch({"variable": "saldo", "op": "lt", "value": 0}, "eco"),
        "eco": say("Oi, {{ apelido }}"),
    }
    flow = parse_flow(document(first, words=WORDS, nodes=nodes))
    [finding] = check_flow(flow, AROUND)
    witness = witness_of(flow, finding)
    assert witness.follows
    assert witness.turns
    assert witness.turns[0]["facts"]["weekday"] == 6
    assert int(witness.turns[1]["in"]) > 64
    assert witness.turns[2]["in"]["returned"]["values"]["saldo"] < 0
    assert shows(flow, finding, witness.turns)


def test_a_menu_with_more_words_than_anybody_could_wait_for_is_not_compared(monkeypatch):
    monkeypatch.setattr(check_menus, "overlaps", lambda _options: pytest.fail("compared"))
    options = [
        {
            "id": f"o{number}",
            "label": f"Opção {number}",
            "synonyms": [f"palavra {number} {other}" for other in range(100)],
            "next": "fim",
        }
        for number in range(30)
    ]
    nodes = {
        "inicio": {"kind": "start", "next": "menu"},
        "menu": {"kind": "menu", "text": "?", "options": options},
        "fim": {"kind": "end"},
    }
    document = {"slug": "x", "name": "X", "start": "inicio", "nodes": nodes}
    codes = {one.code for one in check_flow(parse_flow(document))}
    assert "overlapping_options" not in codes
