"""Each check finds its planted defect, shows a way to it, and is silent on a clean flow."""

from typing import Any

import pytest

from chatbot.engine.check import MESSAGES, Finding, KnownHandler, Limits, Surroundings, check_flow
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.engine.tests.documents import ASK, END, HANDOFF, MENU, document

WORDS = [{"keywords": ["atendente"], "next": "equipe"}]
SAFE_ASK = {**ASK, "on_fail": "equipe", "maximum": 80}
SAVE = KnownHandler(
    args={
        "properties": {
            "nome": {"type": "string"},
            "idade": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "campos": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1},
            "fixo": {"const": "a"},
            "lugar": {"$ref": "#/$defs/Lugar"},
        },
        "required": ["nome"],
        "additionalProperties": False,
        "$defs": {
            "Lugar": {
                "type": "object",
                "properties": {"rua": {"type": "string"}},
                "required": ["rua"],
            }
        },
    },
    routes=("ok", "none", "error"),
    outputs=("saldo",),
)
AROUND = Surroundings(
    handlers={"save": SAVE}, departments=("vendas",), flows={}, skills=("inglês",)
)
CALL = {
    "kind": "call",
    "handler": "save",
    "args": {"nome": "Davi"},
    "routes": {"ok": "fim", "none": "fim", "error": "equipe"},
}
HTTP = {"kind": "http", "url": "https://x.io/a", "ok": "fim", "error": "equipe"}
LONG = "x" * 25


def flow(first: dict[str, Any], **rest: Any) -> FlowDocument:
    rest.setdefault("words", WORDS)
    return parse_flow(document(first, **rest))


def found(first: dict[str, Any], around: Surroundings = AROUND, **rest: Any) -> list[Finding]:
    findings = check_flow(flow(first, **rest), around)
    assert all(one.text for one in findings)
    return findings


def menu(**changes: Any) -> dict[str, Any]:
    return {**MENU, **changes}


def options(*labels: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"o{n}", "label": label, "next": "fim", **more} for n, label in enumerate(labels)
    ]


def say(text: str, then: str = "fim") -> dict[str, Any]:
    return {"kind": "send", "text": text, "next": then}


def branch(when: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "branch", "cases": [{"when": when, "next": "fim"}], "otherwise": "equipe"}


@pytest.mark.parametrize(
    "node",
    [
        SAFE_ASK,
        MENU,
        CALL,
        HTTP,
        say("Olá, {{ lead.name }} {{ today }}"),
        branch({"all": [{"open": "vendas"}, {"variable": "lead.status", "value": "new"}]}),
        {**CALL, "args": {"nome": "{{ lead.name }}", "idade": None, "lugar": {"rua": "A"}}},
        {**CALL, "args": {"nome": "Davi", "idade": "{{ lead.phone }}", "campos": ["a"]}},
        {"kind": "wait", "seconds": 5, "next": "fim"},
        {"kind": "lead", "fields": {"name": "{{ lead.name }}"}, "next": "fim"},
        menu(options=options(*"abcdefghij", description="algo"), presentation="list"),
        menu(options=options(*(LONG * 4 + str(n) for n in range(20))), presentation="text"),
    ],
    ids=lambda one: one["kind"],
)
def test_a_clean_flow_has_no_findings(node: dict[str, Any]) -> None:
    assert found(node) == []


@pytest.mark.parametrize(
    ("node", "code", "severity"),
    [
        ({**SAFE_ASK, "next": ""}, "dangling_exit", "error"),
        ({**SAFE_ASK, "next": "sumiu"}, "dangling_exit", "error"),
        ({**SAFE_ASK, "on_fail": "sumiu"}, "dangling_exit", "error"),
        (branch({"open": ""}) | {"otherwise": ""}, "missing_else", "error"),
        (say("a", "passo"), "silent_loop", "error"),
        (
            {**CALL, "routes": {"ok": "passo", "none": "fim", "error": "fim"}},
            "silent_loop",
            "error",
        ),
        ({**HTTP, "error": "passo"}, "silent_loop", "error"),
        ({"kind": "wait", "seconds": 5, "next": "passo"}, "timed_loop", "warning"),
        ({**CALL, "handler": "sumiu"}, "unknown_handler", "error"),
        ({**CALL, "args": {}}, "bad_args", "error"),
        ({**CALL, "args": {"nome": 3}}, "bad_args", "error"),
        ({**CALL, "args": {"nome": "a", "outro": 1}}, "bad_args", "error"),
        ({**CALL, "args": {"nome": "a", "idade": True}}, "bad_args", "error"),
        ({**CALL, "args": {"nome": "a", "campos": []}}, "bad_args", "error"),
        ({**CALL, "args": {"nome": "a", "campos": ["c"]}}, "bad_args", "error"),
        ({**CALL, "args": {"nome": "a", "lugar": {}}}, "bad_args", "error"),
        ({**CALL, "args": {"nome": "a", "fixo": "b"}}, "bad_args", "error"),
        ({**CALL, "routes": {"ok": "fim", "error": "fim"}}, "missing_route", "error"),
        ({**CALL, "routes": {**CALL["routes"], "x": "fim"}}, "unknown_route", "warning"),
        ({**CALL, "routes": {"ok": "fim", "none": "fim"}}, "missing_error_route", "error"),
        ({**HTTP, "error": ""}, "missing_error_route", "error"),
        ({**HTTP, "url": "ftp://x.io"}, "bad_url", "error"),
        ({**HTTP, "url": "https://{{ host }}/a"}, "bad_url", "error"),
        ({**HANDOFF, "department": "sumiu"}, "unknown_department", "error"),
        ({**HANDOFF, "skills": ["Inglês", "élfico"]}, "unknown_skill", "warning"),
        (branch({"any": [{"open": "sumiu"}]}), "unknown_department", "error"),
        (say("{{ nunca }}"), "unknown_variable", "error"),
        (say("{{ protocol }}"), "unknown_variable", "error"),
        ({**HANDOFF, "reason": "{{ protocol }}"}, "unknown_variable", "error"),
        (branch({"variable": "nunca", "value": 1}), "unknown_variable", "error"),
        ({**CALL, "args": {"nome": "{{ nunca }}"}}, "unknown_variable", "error"),
        (menu(options=options(LONG, "b")), "over_channel_limit", "error"),
        (menu(options=options("a" * 21, "b")), "over_channel_limit", "error"),
        (menu(options=options("a" * 19 + "😀", "b")), "over_channel_limit", "error"),
        (menu(options=options(*"abcd", LONG)), "over_channel_limit", "error"),
        (menu(options=options(*"abcd", description="d" * 73)), "over_channel_limit", "warning"),
        (menu(options=options(*"abcd"), list_button="x" * 21), "over_channel_limit", "error"),
        (menu(text="x" * 1025), "over_channel_limit", "warning"),
        (menu(header="x" * 61), "over_channel_limit", "warning"),
        (menu(footer="x" * 61), "over_channel_limit", "warning"),
        (menu(options=options(*"abcd"), presentation="buttons"), "too_many_options", "error"),
        (menu(options=options(*"abcdefghijk")), "too_many_options", "error"),
        (menu(options=options("Um", "um!")), "duplicate_labels", "error"),
        (menu(options=options("a", "b", synonyms=["igual"])), "duplicate_labels", "warning"),
        (menu(fallback=""), "missing_fallback", "warning"),
        ({**SAFE_ASK, "invalid": " "}, "missing_fallback", "warning"),
        (menu(tries=0), "no_try_limit", "warning"),
        ({**SAFE_ASK, "on_fail": ""}, "no_try_limit", "warning"),
        (menu(text=" "), "empty_text", "error"),
        ({**SAFE_ASK, "text": ""}, "empty_text", "error"),
        (say(" "), "empty_text", "error"),
        ({**say("a"), "media": {"kind": "image"}}, "empty_text", "error"),
        ({"kind": "flow", "flow": "", "next": "fim"}, "unknown_flow", "error"),
        ({"kind": "flow", "flow": "sumiu", "next": "fim"}, "unknown_flow", "error"),
        ({"kind": "flow", "flow": "teste", "next": "fim"}, "subflow_recursion", "error"),
    ],
)
def test_a_planted_defect_is_found_where_it_is(
    node: dict[str, Any], code: str, severity: str
) -> None:
    findings = [one for one in found(node) if one.code == code]
    assert findings
    assert findings[0].severity == severity
    assert findings[0].node == "passo"
    assert findings[0].path[:2] == ("inicio", "passo")


def test_a_flow_must_begin_with_a_start() -> None:
    for start in ("", "sumiu", "passo"):
        assert found(SAFE_ASK, start=start)[0].code == "missing_start"


def test_what_nothing_leads_to_is_unreachable() -> None:
    findings = found(SAFE_ASK, nodes={"promo": say("Oi")})
    assert [(one.code, one.node, one.path) for one in findings] == [
        ("unreachable", "promo", ("promo",))
    ]


def test_words_reach_nodes_and_lead_somewhere() -> None:
    words = [*WORDS, {"keywords": ["promo"], "next": "promo"}]
    assert found(SAFE_ASK, words=words, nodes={"promo": say("Oi")}) == []
    lost = found(SAFE_ASK, words=[*WORDS, {"keywords": ["promo"], "next": "sumiu"}])
    assert [(one.code, one.params) for one in lost] == [("dangling_word", {"word": "promo"})]
    twice = found(SAFE_ASK, words=[*WORDS, {"keywords": ["Atendente!"], "next": "fim"}])
    assert [one.code for one in twice] == ["duplicate_words"]


def test_a_loop_that_asks_is_no_silent_loop() -> None:
    assert found({**SAFE_ASK, "next": "eco"}, nodes={"eco": say("{{ nome }}", "passo"), "fim": END,
        "sair": END}, words=[*WORDS, {"keywords": ["sair"], "next": "sair"},
        {"keywords": ["fim"], "next": "fim"}]) == []  # fmt: skip


def test_the_witness_of_a_loop_goes_round_once() -> None:
    nodes = {"b": say("b", "c"), "c": say("c", "b"), "passo2": END}
    words = [*WORDS, {"keywords": ["x"], "next": "passo2"}]
    loops = [
        one for one in found(say("a", "b"), nodes=nodes, words=words) if one.code == "silent_loop"
    ]
    assert [one.path for one in loops] == [("inicio", "passo", "b", "c", "b")]


def test_without_a_handoff_there_is_no_way_to_a_person() -> None:
    findings = found(ASK | {"on_fail": "fim"}, words=[], nodes={"equipe": END})
    assert ("no_way_to_human", "inicio") in [(one.code, one.node) for one in findings]


def test_a_question_that_never_leads_to_people_is_named() -> None:
    nodes = {"outra": {**ASK, "on_fail": "fim"}}
    findings = found({**MENU, "options": options("a", "b", next="outra")}, words=[], nodes=nodes)
    assert [(one.code, one.node, one.path) for one in findings] == [
        ("no_way_to_human", "outra", ("inicio", "passo", "outra"))
    ]


def test_a_variable_missing_on_one_way_shows_that_way() -> None:
    nodes = {
        "nome": {**SAFE_ASK, "next": "eco"},
        "eco": say("Olá, {{ nome }}"),
        "direto": say("Sem nome", "eco"),
    }
    first = branch({"first_contact": True}) | {"otherwise": "nome"}
    first["cases"][0]["next"] = "direto"
    [finding] = found(first, nodes=nodes)
    assert (finding.code, finding.severity, finding.node) == ("unknown_variable", "warning", "eco")
    assert finding.path == ("inicio", "passo", "direto", "eco")


@pytest.mark.parametrize(
    "setter",
    [
        {"kind": "set", "values": [{"name": "x", "value": 1}], "next": "eco"},
        {**SAFE_ASK, "save_as": "x", "next": "eco", "on_fail": "equipe"},
        menu(save_as="x", options=options("a", next="eco")),
        {**CALL, "routes": {"ok": "eco", "none": "fim", "error": "equipe"}, "args": {"nome": "a"}},
        {**HTTP, "mapping": {"x": "a.b"}, "ok": "eco"},
    ],
    ids=lambda one: one["kind"],
)
def test_what_a_node_sets_is_known_after_it(setter: dict[str, Any]) -> None:
    name = "saldo" if setter["kind"] == "call" else "x"
    nodes = {"eco": say(f"{{{{ {name} }}}}")}
    extra = {"words": [*WORDS, {"keywords": ["fim"], "next": "fim"}]}
    assert found(setter, nodes=nodes, **extra) == []


def test_what_may_not_be_set_is_not_known() -> None:
    skipping = {**SAFE_ASK, "skip_words": ["pular"], "next": "eco"}
    assert [one.code for one in found(skipping, nodes={"eco": say("{{ nome }}")})] == [
        "unknown_variable"
    ]
    cleared = {
        "kind": "set",
        "values": [{"name": "x", "value": 1}, {"name": "y", "op": "copy", "value": "x"},
                   {"name": "x", "op": "clear"}],
        "next": "eco",
    }  # fmt: skip
    [finding] = found(cleared, nodes={"eco": say("{{ x }} {{ y }}")})
    assert finding.params == {"variable": "x"}


def test_given_variables_are_known() -> None:
    assert found(say("{{ ticket }}"), variables={"ticket": {"given": True}}) == []
    around = Surroundings({}, ("vendas",), {}, variables=("ticket",))
    assert found(say("{{ ticket }}"), around) == []


def test_an_unknown_world_is_not_checked() -> None:
    nowhere = Surroundings()
    calling = {**CALL, "handler": "x", "routes": {"ok": "eco", "error": "fim"}}
    assert found(calling, nowhere, nodes={"eco": say("{{ qualquer }}")}) == []
    words = [*WORDS, {"keywords": ["fim"], "next": "fim"}]
    assert found({**HANDOFF, "department": "x"}, nowhere, words=words) == []


SUB = parse_flow(document(SAFE_ASK, slug="sub", words=WORDS))
MUTE = parse_flow(document(say("Oi"), slug="mudo", words=WORDS))


def test_a_sub_flow_that_asks_breaks_a_silent_loop() -> None:
    around = Surroundings({}, (), {"sub": SUB, "mudo": MUTE})
    asking = {"kind": "flow", "flow": "sub", "next": "passo"}
    silent = {"kind": "flow", "flow": "mudo", "next": "passo"}
    assert "silent_loop" not in {one.code for one in found(asking, around)}
    assert "silent_loop" in {one.code for one in found(silent, around)}


def test_sub_flows_that_call_each_other_are_a_recursion() -> None:
    one = parse_flow(document({"kind": "flow", "flow": "dois", "next": "fim"}, slug="um"))
    two = parse_flow(document({"kind": "flow", "flow": "um", "next": "fim"}, slug="dois"))
    around = Surroundings({}, (), {"um": one, "dois": two})
    findings = check_flow(one, around)
    [finding] = [it for it in findings if it.code == "subflow_recursion"]
    assert finding.params == {"flows": "um → dois → um"}


def test_a_recursion_further_down_is_not_blamed_on_this_flow() -> None:
    one = parse_flow(document({"kind": "flow", "flow": "dois", "next": "fim"}, slug="um"))
    two = parse_flow(
        document(
            {"kind": "flow", "flow": "tres", "next": "mais"},
            slug="dois",
            nodes={"mais": {"kind": "flow", "flow": "tres", "next": "fim"}},
        )
    )
    three = parse_flow(document(SAFE_ASK, slug="tres", words=WORDS))
    around = Surroundings({}, (), {"dois": two, "tres": three})
    assert "subflow_recursion" not in {it.code for it in check_flow(one, around)}


def test_a_sub_flow_of_an_unknown_world_is_taken_to_be_right() -> None:
    node = {"kind": "flow", "flow": "longe", "next": "eco"}
    nodes = {"eco": say("{{ qualquer }}", "passo")}
    words = [*WORDS, {"keywords": ["fim"], "next": "fim"}]
    assert found(node, Surroundings(), nodes=nodes, words=words) == []


def test_a_sub_flow_that_begins_with_a_question_waits() -> None:
    sub = parse_flow(document(SAFE_ASK, slug="sub", words=WORDS, start="passo"))
    around = Surroundings({}, (), {"sub": sub})
    asking = {"kind": "flow", "flow": "sub", "next": "passo"}
    assert "silent_loop" not in {one.code for one in found(asking, around)}


def test_variables_set_inside_a_sub_flow_are_known_after_it() -> None:
    calling = {"kind": "flow", "flow": "sub", "next": "eco"}
    nodes = {"eco": say("{{ nome }}")}
    assert found(calling, Surroundings({}, (), {"sub": SUB}), nodes=nodes) == []
    setting = {"kind": "set", "values": [{"name": "a", "value": 1}], "next": "pedir"}
    asking = {**HTTP, "mapping": {"b": "x"}}
    sub = parse_flow(document(setting, slug="sub", nodes={"pedir": asking}))
    nodes = {"eco": say("{{ a }} {{ b }}")}
    assert found(calling, Surroundings({}, (), {"sub": sub}), nodes=nodes) == []


def test_a_channel_without_buttons_has_no_limits_for_them() -> None:
    plain = Limits(buttons=0, list_rows=0, button_title=0)
    around = Surroundings({}, (), {}, channels=(plain,))
    assert found(menu(options=options(LONG * 3, "b")), around) == []


def test_errors_come_first() -> None:
    ranks = [one.severity for one in found({**SAFE_ASK, "invalid": "", "next": ""})]
    assert ranks == sorted(ranks, key=["error", "warning", "hint"].index)
    assert {"error", "warning"} <= set(ranks)


def test_every_finding_has_a_sentence() -> None:
    names = (
        "exit handler argument route department flow flows variable field length limit count label"
        " word template language value hours said other option is wanted case earlier text hint"
        " secret skill"
    )
    assert all(text % dict.fromkeys(names.split(), "x") for text in MESSAGES.values())


def test_an_empty_flow_is_only_without_a_start() -> None:
    empty = parse_flow({"schema": 1, "slug": "vazio", "name": "Vazio"})
    assert [one.code for one in check_flow(empty)] == ["missing_start"]


TEMPLATE = {"kind": "send", "template": {"name": "retorno", "values": {"1": "x"}}, "next": "fim"}
KNOWN = {("retorno", "pt_BR"): {"1": True, "button.0": False}}


def of_template(template: dict[str, Any], known: Any = KNOWN) -> list[tuple[str, str]]:
    flow = parse_flow(
        {
            "schema": 1,
            "slug": "modelo",
            "name": "Modelo",
            "start": "inicio",
            "nodes": {
                "inicio": {"kind": "start", "next": "modelo"},
                "modelo": {**TEMPLATE, "template": template},
                "fim": {"kind": "handoff"},
            },
        }
    )
    around = Surroundings(templates=known)
    return [(one.code, one.severity) for one in check_flow(flow, around)]


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ({"name": "retorno", "values": {"1": "x"}}, []),
        ({"name": "retorno", "values": {"1": "x", "button.0": "y"}}, []),
        ({"name": "outro"}, [("unknown_template", "error")]),
        ({"name": "retorno", "language": "en_US"}, [("unknown_template", "error")]),
        ({"name": "retorno"}, [("template_value", "error")]),
        ({"name": "retorno", "values": {"1": " "}}, [("template_value", "error")]),
        (
            {"name": "retorno", "values": {"1": "x", "2": "y"}},
            [("unknown_template_value", "error")],
        ),
        ({"name": "retorno", "values": {"1": "{{ idade }}"}}, [("unknown_variable", "error")]),
    ],
)
def test_a_template_must_be_known_with_its_values(
    template: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    assert of_template(template) == found


def test_templates_that_are_not_known_are_not_checked() -> None:
    assert of_template({"name": "outro"}, None) == []


def test_a_template_stands_alone_in_its_passo() -> None:
    with pytest.raises(FlowError) as refused:
        parse_flow(
            {
                "schema": 1,
                "slug": "m",
                "name": "M",
                "nodes": {"a": {**TEMPLATE, "text": "e mais"}},
            }
        )
    assert [one.code for one in refused.value.issues] == ["template_with_text"]
