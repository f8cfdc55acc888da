import json
from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command

from chatbot import flow_files
from chatbot.tests import flow_corpus, recipes

GOLDEN = {
    "name": "diz o nome",
    "turns": [
        {"in": "Oi", "out": ["Olá! Qual é o seu nome?"], "state": "nome"},
        {"in": "Davi", "out": [], "state": "equipe", "context": {"nome": "Davi"}},
    ],
}


def check_flows(*arguments):
    """(output, whether the command failed)."""
    out = StringIO()
    try:
        call_command("check_flows", *map(str, arguments), stdout=out)
    except CommandError:
        return out.getvalue(), True
    return out.getvalue(), False


@pytest.fixture
def file(tmp_path):
    def write(content, name="oi.json"):
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_shipped_flows_have_no_finding_and_keep_their_golden_conversations():
    output, failed = check_flows("--json")
    reports = json.loads(output)
    assert not failed
    assert len(reports) == len(flow_files.shipped_files())
    assert all(report["ok"] and not report["findings"] for report in reports)
    assert all(report["conversations"] for report in reports)


def test_every_shipped_file_is_called_like_its_flow():
    documents = flow_files.shipped_documents()
    assert {name: one.slug for name, one in documents.items()} == {name: name for name in documents}


def test_a_file_without_errors_passes(file):
    output, failed = check_flows(file({"flow": recipes.document(), "golden": [GOLDEN]}))
    assert not failed
    assert "1 golden conversation" in output


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not_json"),
        ([], "not_an_object"),
        ({**recipes.document(), "start": ""}, "missing_start"),
        (
            {
                "flow": recipes.document(text="Bom dia!"),
                "golden": [GOLDEN],
            },
            "golden",
        ),
        ({"flow": recipes.document(), "golden": [{"name": "a"}, 3]}, "golden_unreadable"),
    ],
    ids=[
        "not JSON",
        "no document",
        "defect",
        "golden conversation goes otherwise",
        "no golden conversation",
    ],
)
def test_a_file_with_an_error_fails_and_is_named(file, content, told):
    output, failed = check_flows(file(content))
    assert failed
    assert "oi.json" in output
    assert told in output


def test_a_file_may_be_yaml(file, tmp_path):
    content = yaml.safe_dump({"flow": recipes.document(), "golden": [GOLDEN]}, allow_unicode=True)
    assert not check_flows(file(content, "oi.yaml"))[1]
    output, failed = check_flows(file("a: [", "ruim.yml"))
    assert failed
    assert "not_json" in output
    assert len(json.loads(check_flows("--json", tmp_path)[0])) == 2


def test_a_finding_shows_the_way_that_leads_to_it(file):
    document = recipes.document()
    document["nodes"]["nome"]["next"] = ""
    output, failed = check_flows(file(document))
    assert failed
    assert "dangling_exit" in output
    assert "inicio → nome" in output
    (report,) = json.loads(check_flows("--json", file(document))[0])
    found = next(one for one in report["findings"] if one["code"] == "dangling_exit")
    assert found["path"] == ["inicio", "nome"]
    assert found["key"]
    assert found["title"]
    assert found["detail"]


def test_the_whole_corpus_is_checked_as_files():
    folder = Path(flow_corpus.__file__).parent
    reports = json.loads(check_flows("--json", folder)[0])
    assert len(reports) == len(flow_corpus.FILES)


def test_a_folder_stands_for_its_files(file, tmp_path):
    file(recipes.document())
    file({**recipes.document("b"), "start": ""}, "b.json")
    output, failed = check_flows("--json", tmp_path)
    assert failed
    assert [report["ok"] for report in json.loads(output)] == [False, True]


def test_a_subflow_is_found_beside_the_flow_that_calls_it(file, tmp_path):
    outer = recipes.document("outer")
    outer["nodes"]["nome"]["next"] = "outro"
    outer["nodes"]["outro"] = {"kind": "flow", "flow": "oi", "next": "equipe"}
    path = file(outer, "outer.json")
    _output, failed_alone = check_flows(path)
    file(recipes.document())
    _output, failed_together = check_flows(tmp_path)
    assert (failed_alone, failed_together) == (True, False)


def test_a_path_that_is_not_there_is_said(tmp_path):
    with pytest.raises(CommandError, match="no file"):
        call_command("check_flows", str(tmp_path / "nothing.json"))


@pytest.mark.django_db
def test_the_departments_of_the_site_count_when_they_are_asked_for(file):
    document = recipes.document()
    document["nodes"]["equipe"]["department"] = "vendas"
    path = file(document)
    assert not check_flows(path)[1]
    assert check_flows(path, "--site")[1]
    recipes.department("vendas")
    assert not check_flows(path, "--site")[1]
