"""New flows and files: what is made, what is mapped, what is refused and loses nothing."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from model_bakery import baker

from chatbot import flows_service
from chatbot.editor import creation, exchange
from chatbot.editor.mapping import names_in, with_names
from chatbot.engine.nodes import parse_flow
from chatbot.models import Flow, GoldenConversation
from chatbot.tests import recipes
from chatbot.tests.recipes import ana
from users.models import Department

pytestmark = pytest.mark.django_db

GOLDEN = {"name": "Começo", "turns": [{"in": "Oi", "state": "nome"}]}


@pytest.fixture
def admin(client):
    client.force_login(ana())
    return client


@pytest.fixture
def flow():
    flow = recipes.flow()
    flows_service.save_draft(flow, recipes.document(), user=None, revision=0)
    return flow


def foreign(**more):
    """A document that names what is not here."""
    document = recipes.document("fora")
    document["nodes"] |= {
        "equipe": {"kind": "handoff", "department": "cobranca"},
        "aberto": {
            "kind": "branch",
            "cases": [{"when": {"any": [{"open": "cobranca"}]}, "next": "equipe"}],
            "otherwise": "chama",
        },
        "chama": {"kind": "call", "handler": "outra", "routes": {"ok": "sub", "error": "equipe"}},
        "sub": {"kind": "flow", "flow": "menor", "next": "modelo"},
        "modelo": {"kind": "send", "template": {"name": "aviso"}, "next": "equipe"},
    }
    return document | more


def file_of(document, golden=(), name="fluxo.json"):
    content = json.dumps({"flow": document, "golden": list(golden)})
    return SimpleUploadedFile(name, content.encode())


def named(field, page):
    """The name of the select that stands for something missing."""
    return next(one.field for one in page.context["arriving"].missing if one.name[1] == field)


# -- new flows


def new(client, **fields):
    given = {"name": "Cobrança de março", "source": "nothing", **fields}
    return client.post(reverse("admin:chatbot_flow_add"), given)


def test_a_flow_begins_with_its_entry_and_a_slug_made_of_its_name(admin):
    answer = new(admin)
    flow = Flow.objects.get(slug="cobranca-de-marco")
    assert answer["Location"] == reverse("admin:chatbot_flow_change", args=[flow.pk])
    document = parse_flow(flow.draft)
    assert list(document.nodes) == [document.start]
    assert (document.name, flow.published) == ("Cobrança de março", None)


def test_slugs_are_never_taken_twice():
    made = [creation.create(name="Oi", document=creation.empty_document(), user=ana()).slug]
    made += [creation.create(name="Oi", document=creation.empty_document(), user=ana()).slug]
    made += [creation.create(name="☎", document=creation.empty_document(), user=ana()).slug]
    assert made == ["oi", "oi-2", "fluxo"]
    assert len(creation.slug_for("x" * 90)) == 50


def test_a_flow_begins_with_one_that_comes_with_the_program(admin):
    new(admin, source="shipped", shipped="pesquisa")
    flow = Flow.objects.get(slug="cobranca-de-marco")
    assert len(flow.draft["nodes"]) > 3
    assert flow.golden_conversations.exists()


def test_a_flow_begins_with_a_copy(admin, flow):
    creation.keep_golden(flow, [GOLDEN], user=None)
    new(admin, source="copy", copied=flow.pk)
    copied = Flow.objects.get(slug="cobranca-de-marco")
    assert copied.draft["nodes"] == flow.draft["nodes"]
    assert copied.golden_conversations.get().name == "Começo"


@pytest.mark.parametrize("fields", [{"name": ""}, {"source": "copy"}, {"source": "shipped"}])
def test_what_is_missing_is_said(admin, fields):
    assert new(admin, **fields).status_code == 200
    assert not Flow.objects.exists()


# -- files into flows


def test_a_file_is_shown_before_it_becomes_the_draft(admin, flow):
    given = {"file": file_of(recipes.document("outro", text="Novo!"), [GOLDEN])}
    page = admin.post(reverse("flow_import", args=[flow.pk]), given)
    flow.refresh_from_db()
    assert page.status_code == 200
    assert flow.draft_revision == 1
    text = page.context["arriving"].package.as_json()
    given = {"text": text, "do": "save", "golden": "on", "revision": flow.draft_revision}
    answer = admin.post(reverse("flow_import", args=[flow.pk]), given)
    flow.refresh_from_db()
    assert answer.status_code == 302
    assert flow.draft["nodes"]["nome"]["text"].startswith("Novo!")
    assert (flow.draft["slug"], flow.draft["name"], flow.published) == ("oi", "Oi", None)
    assert GoldenConversation.objects.get().conversation == GOLDEN


def test_names_that_mean_nothing_here_are_mapped_created_or_left(admin, flow):
    recipes.department("vendas")
    menor = recipes.document("menor")
    given = {"file": file_of(foreign(subflows={"menor": menor}))}
    page = admin.post(reverse("flow_import", args=[flow.pk]), given)
    missing = {one.name[1]: dict(one.choices) for one in page.context["arriving"].missing}
    assert list(missing) == ["cobranca", "outra", "aviso|pt_BR", "menor"]
    assert "to:vendas" in missing["cobranca"]
    assert "create" in missing["menor"]
    assert page.context["arriving"].errors
    chosen = {
        named("cobranca", page): "create",
        named("menor", page): "create",
        named("outra", page): "to:save_rating",
    }
    text = page.context["arriving"].package.as_json()
    given = {"text": text, "revision": 1, **chosen}
    url = reverse("flow_import", args=[flow.pk])
    checked = admin.post(url, {**given, "do": "check"}).context["arriving"]
    assert not Department.objects.filter(slug="cobranca").exists()
    codes = {one.code for one in checked.findings}
    assert not codes & {"unknown_department", "unknown_flow"}
    assert "unknown_template" in codes
    admin.post(url, {**given, "do": "save"})
    flow.refresh_from_db()
    assert Department.objects.get(slug="cobranca").is_active
    assert Flow.objects.get(slug="menor").published is None
    assert flow.draft["nodes"]["sub"]["flow"] == "menor"
    assert "subflows" not in flow.draft


def test_a_department_of_another_name_is_put_everywhere(admin, flow):
    recipes.department("vendas")
    page = admin.post(reverse("flow_import", args=[flow.pk]), {"file": file_of(foreign())})
    text = page.context["arriving"].package.as_json()
    given = {"text": text, "do": "save", "revision": 1, named("cobranca", page): "to:vendas"}
    admin.post(reverse("flow_import", args=[flow.pk]), given)
    flow.refresh_from_db()
    assert "cobranca" not in json.dumps(flow.draft)
    assert flow.draft["nodes"]["equipe"]["department"] == "vendas"


def test_somebody_who_saved_first_is_told_and_nothing_is_created(admin, flow):
    given = {"file": file_of(foreign())}
    page = admin.post(reverse("flow_import", args=[flow.pk]), given)
    flows_service.save_draft(flow, recipes.document(text="Deles"), user=None, revision=1)
    text = page.context["arriving"].package.as_json()
    chosen = {named("cobranca", page): "create"}
    given = {"text": text, "do": "save", "revision": 1, **chosen}
    answer = admin.post(reverse("flow_import", args=[flow.pk]), given)
    assert answer.status_code == 200
    assert answer.context["conflict"]
    assert answer.context["revision"] == 2
    assert not Department.objects.filter(slug="cobranca").exists()
    flow.refresh_from_db()
    assert flow.draft["nodes"]["nome"]["text"].startswith("Deles")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"a: &a [*a]", b"x" * (exchange.MOST_BYTES + 5)]
)
def test_a_file_that_cannot_be_read_changes_nothing(admin, flow, content):
    given = {"file": SimpleUploadedFile("x.json", content), "text": ""}
    answer = admin.post(reverse("flow_import", args=[flow.pk]), given)
    assert answer.status_code == 200
    assert answer.context["reasons"]
    flow.refresh_from_db()
    assert flow.draft_revision == 1


def test_a_text_that_cannot_be_read_stays_in_the_box(admin, flow):
    answer = admin.post(reverse("flow_import", args=[flow.pk]), {"text": "flow: [meu texto"})
    assert "flow: [meu texto" in answer.content.decode()


def test_a_new_flow_is_made_of_a_file_after_it_was_shown(admin):
    page = new(admin, source="file", file=file_of(recipes.document("fora"), [GOLDEN]))
    assert not Flow.objects.exists()
    given = {"text": page.context["arriving"].package.as_json(), "name": "Meu", "do": "save"}
    answer = admin.post(reverse("flow_import_new"), {**given, "golden": "on"})
    flow = Flow.objects.get()
    assert answer["Location"] == reverse("admin:chatbot_flow_change", args=[flow.pk])
    assert (flow.slug, flow.name, flow.draft["slug"]) == ("meu", "Meu", "meu")
    assert flow.golden_conversations.count() == 1


def test_a_bad_file_for_a_new_flow_keeps_the_name(admin):
    page = new(admin, source="file", file=SimpleUploadedFile("x.yaml", b"a: [", "text/yaml"))
    assert page.status_code == 200
    assert "Cobrança de março" in page.content.decode()


# -- flows into files


@pytest.mark.parametrize("fmt", exchange.FORMATS)
def test_what_is_exported_is_imported_again(admin, flow, fmt):
    creation.keep_golden(flow, [GOLDEN], user=None)
    answer = admin.get(reverse("flow_export", args=[flow.pk], query={"format": fmt}))
    assert f"oi-rascunho.{fmt}" in answer["Content-Disposition"]
    package = exchange.read(answer.content)
    assert package.document.as_dict() == flow.draft
    assert package.golden == (GOLDEN,)


def test_a_version_is_exported_with_the_flows_it_runs(admin, flow):
    nodes = {"inicio": {"kind": "start", "next": "fim"}, "fim": {"kind": "end"}}
    short = {"schema": 1, "slug": "outro", "name": "Outro", "start": "inicio", "nodes": nodes}
    flows_service.publish(recipes.flow("outro", draft=short), user=None)
    document = recipes.document()
    document["nodes"]["inicio"]["next"] = "sub"
    document["nodes"]["sub"] = {"kind": "flow", "flow": "outro", "next": "nome"}
    flows_service.save_draft(flow, document, user=None, revision=1)
    version = flows_service.publish(flow, user=None)
    asked = {"format": "json", "document": version.pk, "subflows": "on"}
    answer = admin.get(reverse("flow_export", args=[flow.pk], query=asked))
    assert "oi-v1.json" in answer["Content-Disposition"]
    assert list(exchange.read(answer.content).document.subflows) == ["outro"]


def test_another_flows_version_is_not_exported(admin, flow):
    other = recipes.version(recipes.flow("outro"))
    asked = {"format": "json", "document": other.pk}
    assert admin.get(reverse("flow_export", args=[flow.pk], query=asked)).status_code == 404


# -- names


def test_every_name_is_found_and_changed():
    document = foreign()
    names = names_in(document)
    assert [one for _sort, one in names] == ["cobranca", "outra", "aviso|pt_BR", "menor"]
    assert names["department", "cobranca"] == ("equipe", "aberto")
    mapping = {name: f"novo_{name[1]}" for name in names}
    mapping["template", "aviso|pt_BR"] = "novo|en_US"
    changed = with_names(document, mapping)
    assert parse_flow(changed)
    assert names_in(changed).keys() == {(sort, mapping[sort, one]) for sort, one in names}
    assert document == foreign()


def test_a_department_whose_name_is_taken_is_refused_in_words(admin, flow):
    baker.make(Department, slug="financeiro", name="cobranca")
    url = reverse("flow_import", args=[flow.pk])
    page = admin.post(url, {"file": file_of(foreign())})
    text = page.context["arriving"].package.as_json()
    given = {"text": text, "revision": 1, named("cobranca", page): "create", "do": "save"}
    (refusal,) = admin.post(url, given).context["refusals"]
    assert "cobranca" in refusal
    flow.refresh_from_db()
    assert flow.draft_revision == 1
