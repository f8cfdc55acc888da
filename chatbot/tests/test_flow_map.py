"""The drawn flow: whatever the document, nothing overlaps, every exit is there, ways lead right."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path

import pytest
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from chatbot.engine.nodes import parse_flow
from chatbot.engine.tests.documents import document, flow_with
from chatbot.engine.tests.strategies import documents
from chatbot.flow_map import Trail, draw, with_trail
from chatbot.flow_map_layout import HEIGHT, WIDTH, Link, lay_out

SHIPPED = sorted((Path(__file__).parents[1] / "flows").glob("*.json"))


def graphs(most=30):
    """(names, links): any graph, with circles, loops and boxes apart."""
    return st.integers(1, most).flatmap(
        lambda count: st.sets(
            st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=3 * count
        ).map(lambda pairs: (names_of(count), links_of(pairs)))
    )


def names_of(count):
    return [f"n{number}" for number in range(count)]


def links_of(pairs):
    return [Link(f"n{one}", f"n{other}", label_width=40) for one, other in sorted(pairs)]


def assert_well_drawn(names, links, layout):
    boxes = layout.boxes
    assert boxes.keys() == set(names)
    assert len(layout.lines) == len(links)
    in_columns = {}
    for box in boxes.values():
        in_columns.setdefault(box.x, []).append(box.y)
        assert 0 <= box.x <= layout.width - WIDTH
        assert 0 <= box.y <= layout.height - HEIGHT
    for ys in in_columns.values():
        assert all(lower - upper > HEIGHT for upper, lower in pairwise(sorted(ys)))
    assert all(right - left > WIDTH for left, right in pairwise(sorted(in_columns)))
    for link, line in zip(links, layout.lines, strict=True):
        origin, target = boxes[link.origin], boxes[link.target]
        if link.origin == link.target:
            assert line.is_loop
        elif line.is_back:
            assert target.x < origin.x
        else:
            assert target.x > origin.x
            assert line.d.startswith(f"M{origin.x + WIDTH} {origin.middle}C")
            assert line.d.endswith(f" {target.x} {target.middle}")


@given(graphs())
def test_boxes_never_overlap_and_lines_lead_right_unless_they_close_a_circle(graph):
    names, links = graph
    assert_well_drawn(names, links, lay_out(names, links))


@given(graphs(most=12))
def test_a_graph_is_always_drawn_alike(graph):
    names, links = graph
    assert lay_out(names, links) == lay_out(names, links)


@given(graphs(most=15))
def test_without_a_circle_no_line_goes_back(graph):
    names, links = graph
    forward = [one for one in links if int(one.origin[1:]) < int(one.target[1:])]
    assert not any(line.is_back for line in lay_out(names, forward).lines)


@pytest.mark.parametrize("count", [1, 2, 60, 200])
def test_a_flow_of_any_size_is_drawn(count):
    chance = random.Random(count)  # noqa: S311  # a graph, not a secret
    pairs = {(chance.randrange(count), chance.randrange(count)) for _ in range(2 * count)}
    chain = {(number, number + 1) for number in range(count - 1)}
    names, links = names_of(count), links_of(pairs | chain)
    assert_well_drawn(names, links, lay_out(names, links))


def test_nothing_is_drawn_of_nothing():
    assert lay_out([], []).boxes == {}


# --- Flows ---------------------------------------------------------------------------------------


@given(documents())
def test_every_connected_exit_of_any_flow_is_on_its_map(written):
    flow = parse_flow(json.loads(json.dumps(written)))
    drawing = draw(flow)
    shown = {(one.origin, one.target, exit_.name) for one in drawing.edges for exit_ in one.exits}
    connected = {
        (node_id, exit_.target, exit_.name)
        for node_id, node in flow.nodes.items()
        for exit_ in node.exits()
        if exit_.target in flow.nodes
    }
    assert shown == connected
    assert {node.id for node in drawing.nodes} == flow.nodes.keys()


def test_the_order_of_the_stored_json_changes_nothing():
    written = json.loads(SHIPPED[0].read_text())["flow"]
    shuffled = {**written, "nodes": dict(sorted(written["nodes"].items(), reverse=True))}
    assert draw(parse_flow(written)) == draw(parse_flow(shuffled))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_flows_are_drawn_from_their_start(path):
    flow = parse_flow(json.loads(path.read_text())["flow"])
    drawing = draw(flow)
    start = next(node for node in drawing.nodes if node.id == flow.start)
    assert start.x == min(node.x for node in drawing.nodes)


def menu(*targets, **more):
    options = [
        {"id": f"o{number}", "label": f"Opção {number}", "next": target}
        for number, target in enumerate(targets, 1)
    ]
    return {"kind": "menu", "text": "?", "options": options, **more}


def test_exits_to_the_same_passo_share_a_line_and_are_all_named():
    drawing = draw(flow_with(menu("fim", "fim", "equipe")))
    [shared] = [edge for edge in drawing.edges if edge.target == "fim"]
    assert shared.all_labels == "Opção 1, Opção 2"
    assert shared.label == "Opção 1 +1"


def test_a_passo_may_lead_to_itself():
    drawing = draw(flow_with(menu("passo", "fim")))
    [loop] = [edge for edge in drawing.edges if edge.origin == edge.target]
    assert (loop.target, loop.is_loop) == ("passo", True)


def test_a_passo_that_only_a_word_reaches_says_the_word():
    written = document(menu("fim"), words=[{"keywords": ["atendente", "pessoa"], "next": "equipe"}])
    drawing = draw(parse_flow(written))
    people = next(node for node in drawing.nodes if node.id == "equipe")
    assert (people.words, people.is_reachable) == (("atendente", "pessoa"), True)


def test_what_nothing_leads_to_is_marked():
    drawing = draw(flow_with(menu("fim")))
    alone = {node.id for node in drawing.nodes if not node.is_reachable}
    assert alone == {"equipe"}


@pytest.mark.parametrize(
    ("node", "detail"),
    [
        (menu("fim", "fim"), "buttons · 2 options"),
        (menu("fim", "fim", "fim", "fim"), "list · 4 options"),
        ({"kind": "ask", "text": "?", "answer": "cpf", "save_as": "cpf"}, "question · CPF"),
        ({"kind": "wait", "seconds": 600}, "wait · 10 min"),
        ({"kind": "handoff"}, "transfers and opens a ticket"),
    ],
    ids=["buttons", "list", "ask", "wait", "handoff"],
)
def test_a_passo_says_what_kind_it_is(node, detail):
    with override("en"):
        drawing = draw(flow_with(node))
    assert next(one.detail for one in drawing.nodes if one.id == "passo") == detail


def test_the_way_that_was_taken_stands_out_and_the_rest_fades():
    drawing = draw(flow_with(menu("fim", "equipe")))
    trail = Trail(
        visited=frozenset({"inicio", "passo"}),
        taken=frozenset({("inicio", "next"), ("passo", "option:o1")}),
        current="fim",
    )
    seen = with_trail(drawing, trail)
    situations = {one.node.id: one.situation for one in seen.nodes}
    assert situations == {"inicio": "done", "passo": "done", "fim": "cur", "equipe": "todo"}
    taken = {(one.edge.origin, one.edge.target) for one in seen.edges if one.is_taken}
    assert taken == {("inicio", "passo"), ("passo", "fim")}
    assert seen.edges[-1].is_taken  # drawn over the others
