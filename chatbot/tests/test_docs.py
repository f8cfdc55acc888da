"""The documentation names what there is, and its examples work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from django.conf import settings
from django.core.management import get_commands
from pydantic import TypeAdapter

from chatbot.engine.check import check_flow
from chatbot.engine.conditions import Condition
from chatbot.engine.kinds import AnyNode
from chatbot.engine.nodes import parse_flow

README = (settings.BASE_DIR / "README.md").read_text()
FLOWS = (settings.BASE_DIR / "docs" / "flows.md").read_text()
DECISIONS = (settings.BASE_DIR / "docs" / "decisions.md").read_text()
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", FLOWS, re.DOTALL)]


def test_the_example_flow_is_one_that_may_be_published():
    flows = [parse_flow(one) for one in EXAMPLES if "nodes" in one]
    assert len(flows) == 1
    assert [one.code for one in check_flow(flows[0]) if one.severity == "error"] == []


def test_the_example_conditions_are_conditions():
    conditions = [one for one in EXAMPLES if "nodes" not in one]
    assert conditions
    for one in conditions:
        TypeAdapter(Condition).validate_python(one)


def test_every_kind_of_passo_is_documented():
    union = get_args(AnyNode)[0]
    kinds = {node.model_fields["kind"].default for node in get_args(union)}
    assert kinds
    assert [kind for kind in kinds if f"| `{kind}` |" not in FLOWS] == []


def test_every_command_of_ours_is_in_the_readme():
    ours = {name for name, app in get_commands().items() if app == "chatbot"}
    assert ours
    assert [name for name in ours if f"`{name}" not in README] == []


@pytest.mark.parametrize("file", ["config/settings.py", "gunicorn.conf.py"])
def test_every_setting_is_in_the_readme(file):
    source = (settings.BASE_DIR / file).read_text()
    names = set(re.findall(r'env\.\w+\("([A-Z_0-9]+)"', source)) | {"EMAIL_URL"}
    assert [name for name in names if f"`{name}`" not in README] == []


def test_every_setting_of_the_readme_is_read():
    rows = re.findall(r"^\| ((?:`[A-Z_0-9]+`(?:, )?)+) \|", README, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([A-Z_0-9]+)`", row)}
    read = "".join(
        (settings.BASE_DIR / name).read_text()
        for name in ("config/settings.py", "gunicorn.conf.py", "config/first_run.py")
    )
    assert named
    assert [name for name in named if f'"{name}"' not in read] == []


def test_every_dependency_has_its_reason():
    lines = (settings.BASE_DIR / "requirements.in").read_text().splitlines()
    names = [re.split(r"[\[<>=~ ]", line)[0] for line in lines if line[:1].isalpha()]
    assert names
    assert [name for name in names if name.lower() not in DECISIONS.lower()] == []


def test_what_the_readme_links_to_is_there():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not Path(settings.BASE_DIR / link).exists()] == []
