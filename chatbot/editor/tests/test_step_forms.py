from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings

from chatbot import demo, flow_files
from chatbot.editor.known import Known
from chatbot.editor.raw import Raw
from chatbot.editor.step_codecs import CODECS, codecs_of
from chatbot.editor.step_forms import StepForm
from chatbot.engine.kinds import AnyNode
from chatbot.engine.nodes import parse_flow
from chatbot.engine.tests.strategies import documents

DEMO = Path(demo.__file__).parent / "flows"
KINDS = {one.model_fields["kind"].default: one for one in get_args(get_args(AnyNode)[0])}


class World:
    """What a form knows without a site around it."""

    departments = flows = tags = secrets = templates = handlers = facts = compared = ()
    limits: dict = {}

    def __init__(self, document):
        self.document = document
        self.variables = []
        self.targets = (("", (("", "–"), ("+", "novo"))),)

    def handler(self, name):
        return Known.handler(self, name)

    def outputs_of(self, name):
        return ()

    def values_of(self, name):
        return ()

    def template_text(self, key):
        return ""

    def template_values(self, key):
        return ()


def untouched(document, node_id):
    """The passo after its form was opened and saved without a change."""
    flow = parse_flow(document)
    node = flow.as_dict()["nodes"][node_id]
    known = World(flow)
    form = StepForm(flow, node_id, node, known)
    names = {name: form.raw.all(name) for name in form.raw.names()}
    again = StepForm(flow, node_id, node, known, Raw(names))
    return again.saved_into(flow.as_dict())[0]["nodes"][node_id], as_the_form_writes_it(node)


def as_the_form_writes_it(node):
    """The form of a branch writes "all of these: one" as the one, and what a value is "one of" as
    a list: both say the same."""
    if node["kind"] != "branch":
        return node
    cases = [{**case, "when": _alone(_listed(case["when"]))} for case in node["cases"]]
    return {**node, "cases": cases}


def _alone(condition):
    parts = condition.get("all", ())
    is_one = len(parts) == 1 and not {"all", "any", "none"} & set(parts[0])
    return parts[0] if is_one else condition


def _listed(condition):
    for key in ("all", "any", "none"):
        if key in condition:
            return {key: [_listed(part) for part in condition[key]]}
    value = condition.get("value")
    if condition.get("op") == "in" and isinstance(value, str | int | float) and value != "":
        return {**condition, "value": [value]}
    return condition


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_form_of_a_kind_has_all_of_its_settings(kind):
    settings_of_kind = set(KINDS[kind].model_fields) - {"kind"}
    assert set(codecs_of(kind)) == settings_of_kind
    assert kind in CODECS


def is_tidy(value):
    """Without texts that a form trims: blank ones, and ones with blanks around them."""
    if isinstance(value, dict):
        return all(map(is_tidy, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_tidy, value)) and "" not in value
    return not isinstance(value, str) or value == value.strip()


@settings(deadline=None)
@given(documents())
def test_a_form_that_nobody_changed_changes_nothing(document):
    for node_id, node in document["nodes"].items():
        if is_tidy(node.get("options", ())) and "" not in node.get("args", {}).values():
            after, before = untouched(document, node_id)
            assert after == before


@pytest.mark.parametrize(
    "path",
    [*flow_files.shipped_files(), *sorted(DEMO.glob("*.json"))],
    ids=lambda path: path.stem,
)
def test_no_shipped_flow_is_changed_by_looking_at_its_steps(path):
    document = flow_files.read_file(path)[0].as_dict()
    for node_id in document["nodes"]:
        after, before = untouched(document, node_id)
        assert after == before
