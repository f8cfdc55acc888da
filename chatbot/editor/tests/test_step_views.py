import json

import pytest
from django.urls import reverse

from chatbot import flows_service
from chatbot.editor.elements import everything
from chatbot.editor.tests.forms import form_in
from chatbot.engine.nodes import parse_flow
from chatbot.handlers import registry
from chatbot.models import DraftStep
from chatbot.tests import recipes

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
SCRIPT = "<script>alert(1)</script>"


class Editor:
    """An admin at one flow, with a browser that runs no scripts."""

    def __init__(self, client, flow, user):
        self.client, self.flow, self.user = client, flow, user
        client.force_login(user)

    def url(self, name, *args):
        return reverse(name, args=[self.flow.pk, *args])

    def open(self, node_id):
        response = self.client.get(self.url("flow_step", node_id))
        assert response.status_code == 200
        return form_in(response.text, self.url("flow_step", node_id))

    def post(self, node_id, fields, do="save", **headers):
        sent = {**fields, "do": do}
        return self.client.post(self.url("flow_step", node_id), sent, headers=headers)

    def edit(self, node_id, /, **typed):
        """Open the form, type into it, save it; names are written with __ for the dots."""
        fields = self.open(node_id)
        fields |= {name.replace("__", "."): value for name, value in typed.items()}
        response = self.post(node_id, fields)
        assert response.status_code == 302, response.text
        self.flow.refresh_from_db()
        return response

    def press(self, node_id, fields, do):
        """A button that changes the rows; what the form holds then."""
        response = self.post(node_id, fields, do)
        assert response.status_code == 200
        return form_in(response.text, self.url("flow_step", node_id))

    def add(self, kind, title):
        response = self.client.post(
            self.url("flow_step_add"), {"new_kind": kind, "new_title": title}
        )
        assert response.status_code == 302, response.text
        self.flow.refresh_from_db()
        return response.url.rstrip("/").rpartition("/")[2]

    @property
    def nodes(self):
        self.flow.refresh_from_db()
        return parse_flow(self.flow.draft).nodes


@pytest.fixture
def ana():
    return recipes.ana()


@pytest.fixture
def editor(client, ana):
    return Editor(client, recipes.flow(), ana)


@pytest.fixture
def empty(client, ana):
    return Editor(
        client, recipes.flow("geral", draft={"schema": 1, "slug": "geral", "name": "G"}), ana
    )


# --- The flow of the drawing, from nothing


def test_a_whole_flow_is_drawn_by_forms_alone(empty):
    recipes.department("financeiro")
    recipes.department("suporte")
    start = empty.add("start", "Início")
    empty.edit(start, next="+", next__new_kind="menu", next__new_title="Boas-vindas")
    fields = empty.open("boas_vindas")
    fields |= {
        "text": "Sobre o que você quer falar?",
        "options.0.label": "Segunda via",
        "options.0.next": "+",
        "options.0.next.new_kind": "ask",
        "options.0.next.new_title": "Informar CPF",
        "fallback": "Não entendi. Escolha uma das opções.",
        "on_fail": "+",
        "on_fail.new_kind": "handoff",
        "on_fail.new_title": "Para Suporte",
    }
    for number, (label, kind, title) in enumerate(
        [
            ("Cobrança", "menu", "Assunto da cobrança"),
            ("Falar com a equipe", "branch", "Está no horário?"),
        ]
    ):
        fields = empty.press("boas_vindas", fields, "add:options")
        key = fields["options[]"][-1]
        fields |= {
            f"options.{key}.label": label,
            f"options.{key}.next": "+",
            f"options.{key}.next.new_kind": kind,
            f"options.{key}.next.new_title": title,
        }
        assert len(fields["options[]"]) == number + 2
    assert empty.post("boas_vindas", fields).status_code == 302
    empty.edit(
        "informar_cpf",
        text="Qual é o seu CPF?",
        answer="cpf",
        save_as="cpf",
        invalid="Esse CPF não confere.",
        next="+",
        next__new_kind="call",
        next__new_title="Buscar fatura",
        on_fail="para_suporte",
    )
    fields = empty.press(
        "buscar_fatura", {**empty.open("buscar_fatura"), "handler": "find_ticket"}, "show"
    )
    fields |= {
        "args.protocol": "{{ cpf }}",
        "routes.ok": "+",
        "routes.ok.new_kind": "send",
        "routes.ok.new_title": "Enviar boleto",
        "routes.not_found": "para_suporte",
        "routes.error": "+",
        "routes.error.new_kind": "handoff",
        "routes.error.new_title": "Para Financeiro",
    }
    assert empty.post("buscar_fatura", fields).status_code == 302
    empty.edit(
        "enviar_boleto",
        text="Aqui está.",
        media__kind="document",
        media__url="https://exemplo.com/boleto.pdf",
        next="+",
        next__new_kind="end",
        next__new_title="Fim",
    )
    empty.edit("para_financeiro", department="financeiro", text="Protocolo {{ protocol }}.")
    empty.edit("para_suporte", department="suporte", text="Protocolo {{ protocol }}.")
    fields = empty.open("esta_no_horario")
    fields |= {
        "cases.0.when.parts.0.open": "suporte",
        "cases.0.next": "para_suporte",
        "otherwise": "+",
        "otherwise.new_kind": "end",
        "otherwise.new_title": "Fora do horário",
    }
    assert empty.post("esta_no_horario", fields).status_code == 302
    empty.edit("fora_do_horario", text="Atendemos das 8h às 18h.")
    empty.edit(
        "assunto_da_cobranca",
        text="Qual destes assuntos é o seu?",
        options__0__label="Valor diferente",
        options__0__next="para_financeiro",
        fallback="Não entendi.",
        on_fail="para_financeiro",
    )
    empty.flow.refresh_from_db()
    assert [one.text for one in flows_service.check(empty.flow) if one.is_error] == []
    assert len(empty.nodes) == 11
    assert flows_service.publish(empty.flow, user=empty.user).number == 1
    steps = list(DraftStep.objects.order_by("number").values_list("said__code", flat=True))
    assert steps[:2] == ["step_added", "step_changed"]


# --- One form


def test_an_untouched_form_is_no_change(editor):
    flows_service.save_draft(editor.flow, editor.flow.draft, user=None, revision=0)
    before = DraftStep.objects.count()
    editor.edit("nome")
    assert DraftStep.objects.count() == before
    assert editor.flow.draft_revision == 1


def test_what_cannot_be_read_is_said_at_its_field_and_nothing_typed_is_lost(editor):
    fields = editor.open("nome")
    fields |= {"save_as": "Nome Completo", "tries": "muitas", "text": "Qual é?"}
    response = editor.post("nome", fields)
    assert response.status_code == 200
    again = form_in(response.text, editor.url("flow_step", "nome"))
    assert (again["save_as"], again["tries"], again["text"]) == (
        ["Nome Completo"],
        ["muitas"],
        ["Qual é?"],
    )
    assert response.text.count('aria-invalid="true"') == 2
    editor.flow.refresh_from_db()
    assert editor.flow.draft_revision == 0


def test_what_the_check_finds_is_said_at_its_field(editor):
    recipes.channel(kind="whatsapp_cloud")
    editor.add("menu", "Menu")
    editor.edit("menu", text="?", options__0__label="Falar com um atendente já")
    response = editor.client.get(editor.url("flow_step", "menu"))
    row = response.text[response.text.index('id="step-options.0.label-told"') :]
    assert "25" in row[: row.index("</div>")]


@pytest.mark.parametrize(
    ("do", "order"),
    [("up:options.1", ["1", "0"]), ("down:options.0", ["1", "0"]), ("up:options.0", ["0", "1"])],
)
def test_options_are_put_in_order_by_buttons(editor, do, order):
    editor.add("menu", "Menu")
    fields = editor.press("menu", editor.open("menu"), "add:options")
    key = fields["options[]"][1]
    fields |= {"options.0.label": "Um", f"options.{key}.label": "Dois"}
    editor.post("menu", fields)
    fields = editor.press("menu", editor.open("menu"), do)
    assert fields["options[]"] == order
    editor.post("menu", fields)
    labels = [one.label for one in editor.nodes["menu"].options]
    assert labels == (["Dois", "Um"] if order == ["1", "0"] else ["Um", "Dois"])


def test_an_option_that_is_removed_takes_its_fields_along(editor):
    editor.add("menu", "Menu")
    fields = editor.press("menu", editor.open("menu"), "add:options")
    fields |= {"options.0.label": "Um", "options.n1.label": "Dois"}
    fields = editor.press("menu", fields, "remove:options.0")
    editor.post("menu", fields)
    assert [(one.id, one.label) for one in editor.nodes["menu"].options] == [("dois", "Dois")]


def test_a_branch_asks_for_variables_hours_days_and_groups(editor):
    editor.add("branch", "Hora?")
    fields = editor.open("hora")
    fields = editor.press("hora", fields | {"cases.0.when.parts.0.is": "variable"}, "show")
    fields |= {
        "cases.0.when.parts.0.variable": "nome",
        "cases.0.when.parts.0.op": "in",
    }
    fields = editor.press("hora", fields, "show")
    fields["cases.0.when.parts.0.value"] = "Ana\r\nBia"
    fields = editor.press("hora", fields, "add:cases.0.when.parts")
    key = fields["cases.0.when.parts[]"][-1]
    fields = editor.press("hora", fields | {f"cases.0.when.parts.{key}.is": "group"}, "show")
    inner = f"cases.0.when.parts.{key}"
    fields = editor.press("hora", fields | {f"{inner}.is": "any"}, f"add:{inner}.parts")
    first, second = fields[f"{inner}.parts[]"]
    fields |= {f"{inner}.parts.{first}.is": "hours", f"{inner}.parts.{second}.is": "weekday"}
    fields = editor.press("hora", fields, "show")
    fields |= {
        f"{inner}.parts.{first}.from": "08:00",
        f"{inner}.parts.{first}.to": "18:00",
        f"{inner}.parts.{second}.weekday": ["5", "6"],
        "otherwise": "equipe",
    }
    assert editor.post("hora", fields).status_code == 302
    editor.flow.refresh_from_db()
    when = editor.flow.draft["nodes"]["hora"]["cases"][0]["when"]
    assert when == {
        "all": [
            {"variable": "nome", "op": "in", "value": ["Ana", "Bia"]},
            {"any": [{"hours": ["08:00", "18:00"]}, {"weekday": [5, 6]}]},
        ]
    }


def test_a_bad_hour_is_said_in_its_condition(editor):
    editor.add("branch", "Hora?")
    fields = editor.press(
        "hora", editor.open("hora") | {"cases.0.when.parts.0.is": "hours"}, "show"
    )
    fields |= {"cases.0.when.parts.0.from": "8h", "cases.0.when.parts.0.to": "18:00"}
    response = editor.post("hora", fields)
    assert response.status_code == 200
    row = response.text[response.text.index('id="step-cases.0.when.parts.0.from-told"') :]
    assert 'class="err"' in row[: row.index("</div>")]


def test_every_handler_has_a_form(editor):
    for name in registry.registered():
        node_id = editor.add("call", name)
        fields = editor.press(node_id, editor.open(node_id) | {"handler": name}, "show")
        assert editor.post(node_id, fields).status_code == 302
        assert editor.nodes[node_id].handler == name


def test_a_large_branch_is_saved(editor):
    draft = editor.flow.draft
    part = {"variable": "nome", "value": "x"}
    cases = [{"when": {"any": [part] * 8}, "label": f"c{number}"} for number in range(30)]
    draft["nodes"]["muitos"] = {"kind": "branch", "title": "Muitos", "cases": cases}
    flows_service.save_draft(editor.flow, draft, user=None, revision=editor.flow.draft_revision)
    assert len(editor.open("muitos")) > 1000
    editor.edit("muitos", title="Todos")
    assert editor.nodes["muitos"].title == "Todos"


def test_two_rows_with_one_name_are_told_and_nothing_is_lost(editor):
    node_id = editor.add("http", "Consultar")
    fields = editor.open(node_id)
    fields |= {"url": "https://x.example", "headers[]": ["0", "1", "2"]}
    fields |= {"headers.0.name": "X-Um", "headers.0.value": "a"}
    fields |= {"headers.1.name": " X-Um", "headers.1.value": "b"}
    fields |= {"headers.2.name": "X-Dois", "headers.2.value": "c"}
    response = editor.post(node_id, fields)
    assert response.status_code == 200
    form = response.context["form"]
    told = {one.name for one in everything(form.elements) if one.told.errors}
    assert told == {"headers.1.name"}
    assert editor.nodes[node_id].headers == {}


def test_an_id_that_is_taken_is_refused_at_its_field(editor):
    response = editor.post("nome", editor.open("nome") | {"node_id": "equipe"})
    assert response.status_code == 200
    assert "step-node_id-told" in response.text
    assert "nome" in editor.nodes


def test_a_new_id_takes_its_exits_along(editor):
    response = editor.edit("nome", node_id="pergunta")
    assert response.url == editor.url("flow_step", "pergunta")
    assert editor.nodes["inicio"].next == "pergunta"


# --- Making, putting between, copying, deleting


def test_a_step_is_put_on_an_exit(editor):
    url = editor.url("flow_step_insert", "inicio")
    page = editor.client.get(url, {"exit": "next"})
    fields = form_in(page.text, url) | {"new_kind": "send", "new_title": "Aviso"}
    assert editor.client.post(url, fields).url == editor.url("flow_step", "aviso")
    assert editor.nodes["inicio"].next == "aviso"
    assert editor.nodes["aviso"].next == "nome"


def test_the_map_may_ask_for_a_step_at_an_exit_too(editor):
    url = editor.url("flow_step_add")
    sent = {"origin": "nome", "exit": "on_fail", "new_kind": "send", "new_title": "Desculpe"}
    assert editor.client.get(url, {"origin": "nome", "exit": "on_fail"}).status_code == 200
    assert editor.client.post(url, sent).status_code == 302
    assert editor.nodes["nome"].on_fail == "desculpe"


def test_an_exit_that_changed_while_somebody_looked_is_shown_again(editor):
    url = editor.url("flow_step_insert", "inicio")
    fields = form_in(editor.client.get(url, {"exit": "next"}).text, url)
    editor.edit("inicio", next="equipe")
    response = editor.client.post(url, fields | {"new_kind": "send", "new_title": "Aviso"})
    assert response.status_code == 200
    assert "aviso" not in editor.nodes
    assert "Aviso" in response.text


def test_a_copy_is_opened(editor):
    response = editor.client.post(editor.url("flow_step_duplicate", "nome"))
    new_id = response.url.rstrip("/").rpartition("/")[2]
    assert editor.nodes[new_id].text == editor.nodes["nome"].text


def test_what_deleting_cuts_off_is_shown_before_it_is_done(editor):
    url = editor.url("flow_step_delete", "nome")
    page = editor.client.get(url)
    assert "inicio" in page.text
    assert "nome" in editor.nodes
    fields = form_in(page.text, url)
    assert fields["bridge"] == ["1"]
    assert editor.client.post(url, fields).status_code == 302
    assert "nome" not in editor.nodes
    assert editor.nodes["inicio"].next == "equipe"


def test_without_the_bridge_the_exits_stay_unconnected(editor):
    url = editor.url("flow_step_delete", "nome")
    fields = form_in(editor.client.get(url).text, url)
    del fields["bridge"]
    editor.client.post(url, fields)
    assert editor.nodes["inicio"].next == ""


def test_more_than_was_shown_is_never_deleted(editor):
    url = editor.url("flow_step_delete", "nome")
    fields = form_in(editor.client.get(url).text, url)
    editor.edit("nome", text="Outro texto.")
    assert editor.client.post(url, fields).status_code == 200
    assert "nome" in editor.nodes
    assert editor.client.post(url, form_in(editor.client.get(url).text, url)).status_code == 302


# --- Undo and redo


def test_the_last_change_is_undone_and_done_again(editor):
    editor.edit("nome", text="Como você se chama?")
    revision = editor.flow.draft_revision
    editor.client.post(editor.url("flow_undo"), {"revision": revision})
    assert editor.nodes["nome"].text == "Olá! Qual é o seu nome?"
    editor.client.post(editor.url("flow_redo"), {"revision": editor.flow.draft_revision})
    assert editor.nodes["nome"].text == "Como você se chama?"


def test_nothing_is_undone_that_somebody_has_not_seen(editor):
    editor.edit("nome", text="Um")
    seen = editor.flow.draft_revision
    editor.edit("nome", text="Dois")
    editor.client.post(editor.url("flow_undo"), {"revision": seen})
    assert editor.nodes["nome"].text == "Dois"


def test_the_button_says_what_it_undoes(editor):
    editor.edit("nome", title="Pergunta", text="Um")
    page = editor.client.get(editor.url("flow_step", "nome")).text
    assert "“Pergunta” changed" in page or "“Pergunta” alterado" in page


# --- Two editors


def test_work_on_different_steps_is_merged(editor):
    mine = editor.open("nome") | {"text": "Minha pergunta?"}
    editor.edit("equipe", text="Texto do outro.")
    response = editor.post("nome", mine)
    assert response.status_code == 302
    assert editor.nodes["nome"].text == "Minha pergunta?"
    assert editor.nodes["equipe"].text == "Texto do outro."


def test_work_on_the_same_step_is_shown_side_by_side(editor):
    mine = editor.open("nome") | {"text": "Minha pergunta?"}
    editor.edit("nome", text="A pergunta do outro?")
    response = editor.post("nome", mine)
    assert response.status_code == 200
    assert "Minha pergunta?" in response.text
    assert "A pergunta do outro?" in response.text
    assert editor.nodes["nome"].text == "A pergunta do outro?"
    kept = form_in(response.text, editor.url("flow_step", "nome"))
    assert kept["text"] == ["Minha pergunta?"]
    assert editor.post("nome", kept).status_code == 302
    assert editor.nodes["nome"].text == "Minha pergunta?"


def test_single_fields_of_the_other_can_be_taken(editor):
    mine = editor.open("nome") | {"text": "Minha pergunta?", "invalid": "Meu erro."}
    editor.edit("nome", text="A pergunta do outro?", invalid="O erro do outro.")
    fields = form_in(editor.post("nome", mine).text, editor.url("flow_step", "nome"))
    fields = editor.press("nome", fields, "take:text")
    assert (fields["text"], fields["invalid"]) == (["A pergunta do outro?"], ["Meu erro."])
    editor.post("nome", fields)
    assert editor.nodes["nome"].text == "A pergunta do outro?"
    assert editor.nodes["nome"].invalid == "Meu erro."


def test_a_third_save_in_the_meantime_is_a_conflict_again(editor):
    mine = editor.open("nome") | {"text": "Minha pergunta?"}
    editor.edit("nome", text="A do outro?")
    fields = form_in(editor.post("nome", mine).text, editor.url("flow_step", "nome"))
    editor.edit("nome", text="A do terceiro?")
    assert "A do terceiro?" in editor.post("nome", fields).text
    assert editor.nodes["nome"].text == "A do terceiro?"


def test_a_step_that_somebody_deleted_can_be_kept(editor):
    mine = editor.open("nome") | {"text": "Minha pergunta?"}
    url = editor.url("flow_step_delete", "nome")
    editor.client.post(url, form_in(editor.client.get(url).text, url))
    response = editor.post("nome", mine)
    assert response.status_code == 200
    fields = form_in(response.text, editor.url("flow_step", "nome"))
    assert editor.post("nome", fields).status_code == 302
    assert editor.nodes["nome"].text == "Minha pergunta?"


# --- Parts for the page around it


def test_htmx_gets_a_part_and_the_page_is_told(editor):
    fields = editor.open("nome") | {"text": "Outra?", "do": "save"}
    response = editor.client.post(editor.url("flow_step", "nome"), fields, headers=HTMX)
    assert "<html" not in response.text
    told = json.loads(response["HX-Trigger"])["flow-changed"]
    assert told == {"revision": 1, "node": "nome", "by": "panel"}
    assert 'hx-swap-oob="true"' in response.text


@pytest.mark.parametrize("kind", ["menu", "branch", "send", "call", "http", "lead", "flow"])
def test_a_form_takes_as_many_statements_however_large_the_flow_is(
    editor, kind, django_assert_max_num_queries
):
    node_id = editor.add(kind, "Passo")
    for number in range(12):
        editor.add("send", f"Mensagem {number}")
    with django_assert_max_num_queries(14):
        editor.client.get(editor.url("flow_step", node_id), headers=HTMX)


# --- Who may, and what texts may hold


ADDRESSES = [
    ("flow_step", "nome"),
    ("flow_step_add",),
    ("flow_step_insert", "inicio"),
    ("flow_step_duplicate", "nome"),
    ("flow_step_delete", "nome"),
    ("flow_undo",),
    ("flow_redo",),
]


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda one: one[0])
def test_attendants_see_no_flow(client, address):
    flow = recipes.flow()
    client.force_login(recipes.bia())
    url = reverse(address[0], args=[flow.pk, *address[1:]])
    assert client.get(url).status_code in (403, 404, 405)
    assert client.post(url, {"exit": "next", "revision": 0}).status_code in (403, 404)
    flow.refresh_from_db()
    assert flow.draft_revision == 0


@pytest.mark.parametrize(
    "address",
    [("flow_step", "nada"), ("flow_step_insert", "nada"), ("flow_step_delete", "nada")],
    ids=lambda one: one[0],
)
def test_a_step_that_is_not_there_is_not_found(editor, address):
    assert editor.client.get(editor.url(*address)).status_code == 404


def test_texts_with_markup_stay_texts(editor):
    editor.edit("nome", title=SCRIPT, text=SCRIPT, invalid=f'"{SCRIPT}', next="equipe")
    for page in (
        editor.client.get(editor.url("flow_step", "nome")),
        editor.client.get(editor.url("flow_step_delete", "nome")),
        editor.client.get(editor.url("flow_step_insert", "nome"), {"exit": "next"}),
        editor.post("nome", editor.open("nome") | {"save_as": SCRIPT}),
    ):
        assert page.status_code == 200
        assert SCRIPT not in page.text


def test_a_draft_that_cannot_be_read_leads_back_to_the_flow(client, ana):
    flow = recipes.flow(draft={"slug": "oi", "name": "Oi", "nodes": {"a": {"kind": "dance"}}})
    client.force_login(ana)
    response = client.get(reverse("flow_step", args=[flow.pk, "a"]))
    assert response.url == reverse("admin:chatbot_flow_change", args=[flow.pk])
