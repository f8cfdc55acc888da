"""Message templates in the console: list, page, form with preview, submitting, and the picker in a
conversation whose window has closed."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chatbot.models import MessageLog, MessageTemplate, Task, TaskKind, TemplateStatus
from chatbot.tests import recipes, stage
from chatbot.tests.test_message_templates import ACCOUNT, BODY, template
from chatbot.tests.webhook import whatsapp_channel
from leads.services import opt_out
from sessions_app.models import EndReason, Owner

pytestmark = pytest.mark.django_db

LIST = "admin:chatbot_messagetemplate_changelist"
ADD = "admin:chatbot_messagetemplate_add"
PAGE = "admin:chatbot_messagetemplate_change"


@pytest.fixture
def channel(db):
    return whatsapp_channel(account_id=ACCOUNT)


def form(channel, **fields):
    return {
        "channel": channel.pk,
        "name": "lembrete_consulta",
        "language": "pt_BR",
        "category": "UTILITY",
        "header_kind": "",
        "body": "Oi {{1}}, sua consulta é {{2}}.",
        "footer": "Clínica Exemplo",
        "quick_replies": "Confirmar\nRemarcar",
        "example:1": "Ana",
        "example:2": "amanhã",
        **fields,
    }


def written(client, channel, **fields):
    answer = client.post(reverse(ADD), form(channel, **fields))
    errors = {}
    if answer.status_code == 200:
        errors = {name: list(found) for name, found in answer.context["form"].errors.items()}
    return answer, errors


def test_a_draft_has_the_components_that_the_provider_wants(client, channel):
    client.force_login(recipes.ana())
    answer, errors = written(
        client,
        channel,
        header_kind="TEXT",
        header_text="Consulta {{1}}",
        url_text="Ver",
        url="https://exemplo.com/c/{{1}}",
        **{"example:header.1": "42", "example:button.2": "42"},
    )
    assert (answer.status_code, errors) == (302, {})
    row = MessageTemplate.objects.get()
    assert (row.status, row.parameter_format, row.category) == ("draft", "POSITIONAL", "UTILITY")
    assert row.components == [
        {
            "type": "HEADER",
            "format": "TEXT",
            "text": "Consulta {{1}}",
            "example": {"header_text": ["42"]},
        },
        {
            "type": "BODY",
            "text": "Oi {{1}}, sua consulta é {{2}}.",
            "example": {"body_text": [["Ana", "amanhã"]]},
        },
        {"type": "FOOTER", "text": "Clínica Exemplo"},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "QUICK_REPLY", "text": "Confirmar"},
                {"type": "QUICK_REPLY", "text": "Remarcar"},
                {
                    "type": "URL",
                    "text": "Ver",
                    "url": "https://exemplo.com/c/{{1}}",
                    "example": ["https://exemplo.com/c/42"],
                },
            ],
        },
    ]


def test_names_of_variables_make_a_named_template(client, channel):
    client.force_login(recipes.ana())
    body = "Oi {{nome}}, até {{dia}}."
    _answer, errors = written(
        client, channel, body=body, **{"example:nome": "Ana", "example:dia": "sexta"}
    )
    assert errors == {}
    row = MessageTemplate.objects.get()
    assert row.parameter_format == "NAMED"
    assert row.components[0]["example"]["body_text_named_params"][0] == {
        "param_name": "nome",
        "example": "Ana",
    }


WRONG = {
    "name": ({"name": "Lembrete Ação"}, "name"),
    "body empty": ({"body": " "}, "body"),
    "body long": ({"body": "x" * 1025}, "body"),
    "gap": ({"body": "Oi {{1}} e {{3}}."}, "body"),
    "begins": ({"body": "{{1}}, oi {{2}}."}, "body"),
    "ends": ({"body": "Oi {{1}}, até {{2}}"}, "body"),
    "side by side": ({"body": "Oi {{1}} {{2}}."}, "body"),
    "half": ({"body": "Oi {{1} tudo."}, "body"),
    "mixed": ({"body": "Oi {{1}}, {{nome}}."}, "body"),
    "footer": ({"footer": "Até {{1}}"}, "footer"),
    "footer long": ({"footer": "x" * 61}, "footer"),
    "header long": ({"header_kind": "TEXT", "header_text": "x" * 61}, "header_text"),
    "header two": ({"header_kind": "TEXT", "header_text": "{{1}} a {{2}}"}, "header_text"),
    "no handle": ({"header_kind": "IMAGE"}, "header_handle"),
    "label long": ({"quick_replies": "x" * 26}, "quick_replies"),
    "same label": ({"quick_replies": "Sim\nSim"}, "quick_replies"),
    "eleven": ({"quick_replies": "\n".join(f"b{n}" for n in range(11))}, "quick_replies"),
    "url": ({"url": "exemplo.com", "url_text": "Ver"}, "url"),
    "no label": ({"url": "https://exemplo.com"}, "url_text"),
    "phone": ({"phone_number": "ligue", "phone_text": "Ligar"}, "phone_number"),
    "no example": ({"example:2": ""}, "__all__"),
    "example": ({"example:2": "a     b"}, "__all__"),
}


@pytest.mark.parametrize(("fields", "where"), WRONG.values(), ids=WRONG)
def test_what_the_provider_would_refuse_is_said_at_its_field(client, channel, fields, where):
    client.force_login(recipes.ana())
    answer, errors = written(client, channel, **fields)
    assert answer.status_code == 200
    assert where in errors
    assert not MessageTemplate.objects.exists()
    assert form(channel, **fields)["quick_replies"].split("\n")[0] in answer.content.decode()


def test_a_name_that_is_taken_is_refused_and_the_text_kept(client, channel):
    template(channel, name="lembrete_consulta")
    client.force_login(recipes.ana())
    answer, errors = written(client, channel)
    assert "__all__" in errors
    assert "sua consulta" in answer.content.decode()


def test_the_preview_fills_examples_and_brings_fields_for_new_variables(client, channel):
    client.force_login(recipes.ana())
    page = client.post(reverse("admin:template_preview"), form(channel)).content.decode()
    assert '<var class="tvar is-filled">Ana</var>' in page
    assert 'name="example:2"' in page
    same = {**form(channel), "example_keys": "example:1 example:2"}
    again = client.post(reverse("admin:template_preview"), same).content.decode()
    assert 'name="example:2"' not in again


def test_a_preview_of_anything_is_no_trouble_and_no_markup(client, channel):
    client.force_login(recipes.ana())
    evil = {"body": "<script>alert(1)</script> {{1}} {% now 'Y' %} {0}", "channel": "x"}
    page = client.post(reverse("admin:template_preview"), evil)
    assert page.status_code == 200
    assert "<script>alert" not in page.content.decode()


def test_a_draft_is_submitted_after_a_question(client, channel, graph_api):
    row = template(channel, status=TemplateStatus.DRAFT, provider_id="")
    client.force_login(recipes.ana())
    url = reverse("admin:template_submit", args=[row.pk])
    assert client.get(url).status_code == 200
    assert graph_api.requests == []
    client.post(url)
    row.refresh_from_db()
    assert row.status == "pending"


def test_a_rejected_one_is_corrected_with_its_name_fixed(client, channel):
    row = template(channel, status=TemplateStatus.REJECTED, reason="INVALID_FORMAT")
    client.force_login(recipes.ana())
    url = reverse("admin:template_edit", args=[row.pk])
    page = client.get(url).content.decode()
    assert "tudo certo?" in page
    client.post(url, form(channel, name="outro", body="Oi {{1}}, tudo bem?"))
    row.refresh_from_db()
    assert (row.name, row.status, row.parts.body) == ("retorno", "draft", "Oi {{1}}, tudo bem?")


def test_an_approved_one_is_not_edited(client, channel):
    row = template(channel)
    client.force_login(recipes.ana())
    assert (
        client.post(reverse("admin:template_edit", args=[row.pk]), form(channel)).status_code == 302
    )
    row.refresh_from_db()
    assert row.status == "approved"


def test_it_is_deleted_after_a_question(client, channel, graph_api):
    row = template(channel)
    client.force_login(recipes.ana())
    url = reverse("admin:template_remove", args=[row.pk])
    assert client.get(url).status_code == 200
    client.post(url)
    row.refresh_from_db()
    assert row.status == "deleted"


def test_the_button_asks_for_the_lists(client, channel):
    client.force_login(recipes.ana())
    assert client.post(reverse("admin:template_sync")).status_code == 302
    assert Task.objects.get().kind == TaskKind.TEMPLATES


def test_the_page_says_why_in_words_and_where_it_is_used(client, channel):
    row = template(channel, status=TemplateStatus.PAUSED, reason="132015")
    nodes = {
        "inicio": {"kind": "start", "next": "modelo"},
        "modelo": {
            "kind": "send",
            "template": {"name": "retorno", "values": {"1": "x"}},
            "next": "fim",
        },
        "fim": {"kind": "end"},
    }
    stage.put_on_air(nodes, slug="avisos")
    client.force_login(recipes.ana())
    answer = client.get(reverse(PAGE, args=[row.pk]))
    assert [flow.slug for flow in answer.context["flows"]] == ["avisos"]
    assert "132015" in answer.context["reason"]
    assert len(answer.context["reason"]) > len("132015")


WRITING = ["template_sync", "template_preview"]
OF_ONE = ["template_edit", "template_submit", "template_remove"]


@pytest.mark.parametrize("name", [*WRITING, *OF_ONE])
def test_writing_is_for_admins(client, channel, name):
    row = template(channel, status=TemplateStatus.DRAFT)
    url = reverse(f"admin:{name}", args=[row.pk] if name in OF_ONE else [])
    assert client.post(url).status_code == 302  # to the login page
    client.force_login(recipes.bia())
    assert client.post(url).status_code == 403


def test_an_attendant_reads_the_approved_ones(client, channel):
    seen, hidden = template(channel), template(channel, name="x", status=TemplateStatus.DRAFT)
    client.force_login(recipes.bia())
    assert client.get(reverse(PAGE, args=[seen.pk])).status_code == 200
    assert client.get(reverse(PAGE, args=[hidden.pk])).status_code == 404
    assert client.get(reverse(ADD)).status_code == 403
    page = client.get(reverse(LIST)).content.decode()
    assert reverse("admin:template_sync") not in page


# --- The picker


@pytest.fixture
def davi(channel):
    """A conversation of Bia's whose window has closed."""
    past = timezone.now() - timedelta(hours=1)
    session = stage.talk(channel, window_expires_at=past, owner=Owner.ATTENDANT)
    recipes.ticket(session=session, assignee=recipes.bia())
    return session


def url(name, session):
    return reverse(name, args=[session.pk])


def test_after_the_window_the_form_offers_templates(client, channel, davi):
    template(channel)
    template(channel, name="inacabado", status=TemplateStatus.DRAFT)
    client.force_login(recipes.bia())
    page = client.get(url("conversation", davi)).content.decode()
    assert "retorno" in page
    assert "inacabado" not in page
    assert url("conversation_template", davi) in page


def test_the_picker_costs_the_same_for_many_templates(client, channel, davi):
    template(channel)
    client.force_login(recipes.bia())
    client.get(url("conversation", davi))
    with CaptureQueriesContext(connection) as few:
        client.get(url("conversation", davi))
    for number in range(20):
        template(channel, name=f"modelo_{number}")
    with CaptureQueriesContext(connection) as many:
        client.get(url("conversation", davi))
    assert len(many) == len(few)


def test_a_picked_template_brings_its_fields_with_what_is_known(client, channel, davi):
    body = [{"type": "BODY", "text": "Oi {{nome}}, até {{dia}}."}]
    row = template(channel, components=body, parameter_format="NAMED")
    client.force_login(recipes.bia())
    answer = client.get(url("conversation_template", davi), {"template": row.pk})
    fields = {one.name: one.value for one in answer.context["picker"].chosen.fields}
    assert fields == {"value:nome": "Davi", "value:dia": ""}


def test_a_template_is_sent_once_with_its_values(client, channel, davi):
    row = template(channel)
    client.force_login(recipes.bia())
    sent = {"template": row.pk, "value:1": "Davi", "client_id": str(uuid4())}
    for _click in range(2):
        assert client.post(url("conversation_template", davi), sent).status_code == 302
    message = MessageLog.objects.get()
    assert (message.text, message.author_user) == ("Oi Davi, tudo certo?", recipes.bia())


def test_what_is_missing_is_said_and_what_was_typed_kept(client, channel, davi):
    row = template(channel, components=[{"type": "BODY", "text": "Oi {{1}}, até {{2}}."}])
    client.force_login(recipes.bia())
    sent = {"template": row.pk, "value:1": "Davi", "value:2": "", "text": "meu texto"}
    page = client.post(
        url("conversation_template", davi), sent, headers={"HX-Request": "true"}
    ).content.decode()
    assert 'role="alert"' in page
    assert 'value="Davi"' in page
    assert "meu texto" in page


def test_a_text_that_came_too_late_stands_beside_the_templates(client, channel, davi):
    template(channel)
    client.force_login(recipes.bia())
    page = client.post(
        url("conversation_reply", davi), {"text": "Ainda aí?"}, headers={"HX-Request": "true"}
    ).content.decode()
    assert "Ainda aí?</textarea>" in page
    assert url("conversation_template", davi) in page


def test_marketing_is_not_offered_to_who_opted_out_and_the_form_says_so(client, channel, davi):
    template(channel, category="MARKETING")
    opt_out(davi.lead, text="parar", origin="whatsapp", at=timezone.now())
    client.force_login(recipes.bia())
    page = client.get(url("conversation", davi)).content.decode()
    assert "disabled" in page.split('name="template"')[1].split("</label>")[0]
    assert "“parar”" in page


def test_in_an_ended_conversation_a_template_leads_to_the_new_one(client, channel, davi):
    row = template(channel)
    davi.ended_at, davi.end_reason = timezone.now(), EndReason.RESOLVED
    davi.save(update_fields=["ended_at", "end_reason"])
    client.force_login(recipes.bia())
    sent = {"template": row.pk, "value:1": "Davi"}
    answer = client.post(url("conversation_template", davi), sent, headers={"HX-Request": "true"})
    new = MessageLog.objects.get().session
    assert answer["HX-Redirect"] == url("conversation", new)


@pytest.mark.parametrize("name", ["conversation_template", "conversation_template_preview"])
def test_the_picker_is_for_who_may_see_the_conversation(client, channel, davi, name):
    row = template(channel)
    client.force_login(recipes.caio())
    assert client.post(url(name, davi), {"template": row.pk}).status_code == 404


def test_a_preview_shows_what_is_typed(client, channel, davi):
    row = template(channel, components=BODY)
    client.force_login(recipes.bia())
    typed = {"template": row.pk, "value:1": "<b>Davi</b>"}
    page = client.post(url("conversation_template_preview", davi), typed).content.decode()
    assert "&lt;b&gt;Davi&lt;/b&gt;" in page
