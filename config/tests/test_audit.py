import csv
import io
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from auditlog.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chatbot.models import Secret
from chatbot.tests import recipes
from config import audit_trail
from leads import services as lead_services
from leads.models import Lead
from sessions_app.models import Channel
from tickets import services as ticket_services
from users import audit
from users.models import ApiToken, Department, Role
from users.tests.doors import answered, forget_confirmation, with_password
from users.tests.recipes import ana, api, bia, department, token

pytestmark = pytest.mark.django_db

AUDIT, EXPORT = reverse("audit"), reverse("audit_export")
CPF = "529.982.247-25"


@pytest.fixture
def admin(client):
    person = ana()
    client.force_login(person)
    LogEntry.objects.all().delete()
    return person


def last(model=None):
    rows = LogEntry.objects.order_by("-id")
    return (rows if model is None else rows.filter(content_type__model=model)).first()


def shown(client, **query):
    return client.get(AUDIT, query).context["entries"]


# --- What is kept ------------------------------------------------------------------------------


def test_a_change_is_kept_with_who_before_after_when_and_where(client, admin):
    unit = department("vendas")
    url = f"/api/v1/departments/{unit.pk}/"
    client.patch(url, {"name": "Comercial"}, content_type="application/json")

    entry = last("department")
    assert entry.actor == admin
    assert entry.changes == {"name": ["vendas", "Comercial"]}
    assert entry.remote_addr == "127.0.0.1"
    assert timezone.now() - entry.timestamp < timedelta(minutes=1)


def test_an_address_that_a_client_makes_up_is_not_kept(client, admin):
    unit = department("vendas")
    headers = {"X-Forwarded-For": "198.51.100.7"}
    form = {"name": "Comercial"}
    url = f"/api/v1/departments/{unit.pk}/"
    client.patch(url, form, content_type="application/json", headers=headers)
    assert last("department").remote_addr == "127.0.0.1"


def test_an_act_by_token_names_the_token():
    unit, program = department("vendas"), api(ana())
    LogEntry.objects.all().delete()
    program.patch(f"/api/v1/departments/{unit.pk}/", {"name": "Comercial"})
    entry = last("department")
    assert entry.actor == ana()
    assert entry.additional_data["token"].startswith("integração")


def test_role_and_access_of_people_are_kept_and_no_hash(client, admin):
    person = bia()
    url = f"/api/v1/users/{person.pk}/"
    change = {"role": Role.ADMIN, "password": "uma-senha-bem-nova-31", "departments": []}
    client.patch(url, change, content_type="application/json")
    client.delete(url)

    kept = {}
    for entry in LogEntry.objects.filter(content_type__model="user").order_by("id"):
        kept.update(entry.changes)
    assert kept["role"] == ["attendant", "admin"]
    assert kept["password"] == [audit.HIDDEN, audit.HIDDEN]
    assert kept["departments"] == [["vendas"], None]
    assert kept["is_active"] == [True, False]
    everything = str(list(LogEntry.objects.values_list("changes", flat=True)))
    assert "md5$" not in everything
    assert "bem-nova" not in everything


def test_credentials_and_secrets_are_kept_as_changed(client, admin):
    channel = recipes.channel()
    url = f"/api/v1/channels/{channel.pk}/"
    form = {"credentials": {"access_token": "EAA-muito-secreto-123456"}}
    client.patch(url, form, content_type="application/json")
    assert last("channel").changes == {"credentials": [audit.HIDDEN, audit.HIDDEN]}
    client.post(reverse("admin:chatbot_secret_add"), {"name": "crm", "new_value": "s3gredo"})
    assert Secret.objects.get().name == "crm"
    assert last("secret").changes["value"] == [None, audit.HIDDEN]
    everything = str(list(LogEntry.objects.values()))
    assert "secreto" not in everything
    assert "s3gredo" not in everything


def test_leads_are_kept_with_the_document_masked(client, admin):
    lead = recipes.lead(name="Davi")
    url = f"/api/v1/leads/{lead.pk}/"
    change = {"name": "Davi Souza", "document": CPF, "status": "qualified"}
    client.patch(url, change, content_type="application/json")
    updates = LogEntry.objects.filter(content_type__model="lead", action=LogEntry.Action.UPDATE)
    entry = updates.order_by("id").last()
    assert entry.changes["name"] == ["Davi", "Davi Souza"]
    assert entry.changes["status"][1] == "qualified"
    assert "529982247" not in str(list(LogEntry.objects.values_list("changes", flat=True)))
    assert "982" in entry.changes["document"][1]


def test_tokens_are_kept_made_and_revoked(client, admin):
    form = {"name": "painel", "scopes": ["leads:read"], "expires_on": ""}
    client.post(reverse("own_token_new"), form)
    made = last("apitoken")
    assert made.action == LogEntry.Action.CREATE
    assert made.changes["scopes"] == [None, ["leads:read"]]
    assert "digest" not in made.changes
    client.post(reverse("own_token_revoke", args=[ApiToken.objects.get().pk]))
    assert last("apitoken").changes["revoked_at"][0] is None


def test_the_default_channel_and_the_fallback_tell_both_rows(client, admin):
    first, second = recipes.channel(), recipes.channel()
    Channel.objects.filter(pk=first.pk).update(is_default=True)
    client.post(f"/api/v1/channels/{second.pk}/make-default/")
    kept = LogEntry.objects.filter(content_type__model="channel")
    assert {entry.object_id for entry in kept} == {first.pk, second.pk}
    unit = department("vendas")
    client.post(f"/api/v1/departments/{unit.pk}/make-fallback/")
    assert LogEntry.objects.filter(content_type__model="department").count() == 2


def test_merging_opting_out_and_tags_are_kept(client, admin):
    winner, loser = recipes.lead(name="Ana B"), recipes.lead(name="Ana Braga")
    form = {"other": loser.pk, "confirmed": "on"}
    client.post(reverse("admin:leads_lead_merge", args=[winner.pk]), form)
    acts = [(entry.additional_data or {}).get("act") for entry in LogEntry.objects.all()]
    assert audit.MERGED in acts
    client.post(f"/api/v1/leads/{winner.pk}/opt-out/", content_type="application/json")
    assert "opted_out_at" in last("lead").changes
    client.patch(f"/api/v1/leads/{winner.pk}/", {"tags": ["vip"]}, content_type="application/json")
    assert last("lead").changes == {"tags": [None, ["vip"]]}


def test_every_reveal_is_kept(client, admin):
    lead = recipes.lead(name="Davi", document="52998224725")
    client.post(reverse("admin:leads_lead_reveal", args=[lead.pk]))
    entry = last("lead")
    assert entry.action == LogEntry.Action.ACCESS
    assert entry.additional_data["act"] == audit.REVEALED
    assert entry.additional_data["value"]
    (row,) = shown(client, kind="seen")
    assert row.who == str(admin)


def test_every_export_is_kept(client, admin):
    lead = recipes.lead()
    client.post(reverse("lead_export", args=[lead.pk]))
    client.get(reverse("home_export"))
    client.get(reverse("costs_export"))
    client.get(reverse("admin:tickets_ticket_export"), {"q": "ana"})
    client.get(EXPORT, {"q": "ana"})
    kept = LogEntry.objects.filter(additional_data__act=audit.EXPORTED)
    assert kept.count() == 5
    assert set(kept.values_list("actor", flat=True)) == {admin.pk}
    queries = [(entry.additional_data or {}).get("query") for entry in kept]
    assert queries.count("q=ana") == 2


def test_the_bot_and_commands_leave_nothing():
    lead = recipes.lead(name="")
    lead_services.update_lead(lead, fields={"name": "Davi"})
    department("vendas").save()
    recipes.session()
    assert not LogEntry.objects.exists()


def test_who_is_not_watched_costs_nothing(django_assert_num_queries):
    lead = recipes.lead()
    lead.name = "Davi"
    with django_assert_num_queries(1):
        lead.save(update_fields=["name"])


# --- What is shown -----------------------------------------------------------------------------


def test_acts_and_work_on_tickets_are_one_list_by_time(client, admin):
    ticket = recipes.ticket(department=department("vendas"))
    ticket_services.claim(ticket, user=bia(), at=timezone.now())
    client.patch(
        f"/api/v1/departments/{department('vendas').pk}/",
        {"name": "Comercial"},
        content_type="application/json",
    )
    rows = shown(client)
    assert rows[0].subject == "Comercial"
    assert rows[0].changes[0].after == "Comercial"
    assert any(ticket.protocol in row.subject for row in rows)
    assert [row.at for row in rows] == sorted((row.at for row in rows), reverse=True)
    assert {row.kind for row in shown(client, kind="tickets")} == {"tickets"}


def test_values_are_in_words(client, admin):
    person = bia()
    client.patch(f"/api/v1/users/{person.pk}/", {"role": "admin"}, content_type="application/json")
    client.delete(f"/api/v1/users/{person.pk}/")
    changes = {one.label: one for row in shown(client) for one in row.changes}
    labels = {str(person._meta.get_field(name).verbose_name).capitalize() for name in ("role",)}
    assert labels <= set(changes)
    role = changes[labels.pop()]
    assert (role.before, role.after) == (Role.ATTENDANT.label, Role.ADMIN.label)
    assert not {"True", "False"} & {one.after for one in changes.values()}


def test_the_list_narrows_by_person_kind_object_period_and_text(client, admin):
    for name in ("Alfa", "Beta"):
        unit = Department.objects.create(name=name.lower(), slug=name.lower())
        client.patch(
            f"/api/v1/departments/{unit.pk}/", {"name": name}, content_type="application/json"
        )
    token(bia())
    assert {row.subject for row in shown(client, q="alf")} == {"Alfa"}
    assert len(shown(client, who=admin.pk)) == 2
    assert shown(client, who=bia().pk) == []
    assert len(shown(client, object="users.department", kind="changed")) == 2
    assert shown(client, object="leads.lead") == []
    today = timezone.localdate()
    assert len(shown(client, since=today.isoformat(), until=today.isoformat())) == 2
    assert shown(client, until=(today - timedelta(days=1)).isoformat()) == []
    unit = Department.objects.get(name="Alfa")
    assert len(shown(client, object="users.department", row=unit.pk)) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"who": "x"}, {"kind": "nothing"}, {"object": "auth.nothing"}, {"since": "32/13/x"},
        {"since": "2026-13-40"}, {"before": "x,y,z"}, {"before": "2026-01-01T00:00:00,1,1"},
        {"q": "a\0b"}, {"row": "1 OR 1=1"}, {"who": "9" * 40}, {"before": "9999999999999"},
    ],
)  # fmt: skip
def test_an_address_that_makes_no_sense_is_answered(client, admin, query):
    assert client.get(AUDIT, query).status_code == 200


def test_pages_follow_each_other_without_loss(client, admin, monkeypatch):
    unit = department("vendas")
    for number in range(7):
        client.patch(
            f"/api/v1/departments/{unit.pk}/",
            {"name": f"n{number}"},
            content_type="application/json",
        )
    at = LogEntry.objects.first().timestamp
    LogEntry.objects.update(timestamp=at)  # also of one moment
    ticket = recipes.ticket(department=unit)
    ticket_services.claim(ticket, user=bia(), at=timezone.now())
    ticket.events.update(created_at=at)
    found, before = [], ""
    while True:
        page = audit_trail.page(audit_trail.Question(), before=before, most=2)
        found += [(entry.source, entry.pk) for entry in page.entries]
        before = page.next
        if not before:
            break
    people = ticket.events.exclude(actor=None).count()
    assert len(found) == len(set(found)) == 7 + people


def test_the_page_costs_the_same_for_many(client, admin):
    def statements():
        with CaptureQueriesContext(connection) as captured:
            client.get(AUDIT)
        return len(captured)

    unit = department("vendas")
    url = f"/api/v1/departments/{unit.pk}/"
    client.patch(url, {"name": "n"}, content_type="application/json")
    few = statements()
    for number in range(20):
        client.patch(url, {"name": f"n{number}"}, content_type="application/json")
        ticket = recipes.ticket(department=unit)
        ticket_services.claim(ticket, user=bia(), at=timezone.now())
    assert statements() == few <= 12


def test_only_admins_read_it_and_nobody_writes(client):
    client.force_login(bia())
    assert client.get(AUDIT).status_code == 403
    assert client.get(EXPORT).status_code == 403
    client.force_login(ana())
    assert client.post(AUDIT).status_code == 405
    assert Client().get(AUDIT).status_code == 302


def test_the_history_of_an_object_leads_there(client, admin):
    unit = department("vendas")
    page = client.get(reverse("admin:users_department_history", args=[unit.pk])).content.decode()
    assert f"{AUDIT}?object=users.department&amp;row={unit.pk}" in page


def test_names_are_text_on_the_page(client, admin):
    unit = department("vendas")
    client.patch(
        f"/api/v1/departments/{unit.pk}/",
        {"name": "<script>alert(1)</script>"},
        content_type="application/json",
    )
    assert "<script>alert" not in client.get(AUDIT).content.decode()


# --- Files -------------------------------------------------------------------------------------


def file_of(client, **query):
    answer = client.get(EXPORT, query)
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_the_file_has_what_the_list_has_and_no_formula(client, admin):
    unit = department("vendas")
    client.patch(
        f"/api/v1/departments/{unit.pk}/",
        {"name": "=HYPERLINK(1)"},
        content_type="application/json",
    )
    text = file_of(client, object="users.department").decode("utf-8-sig")
    head, row = list(csv.reader(io.StringIO(text), delimiter=";"))
    assert len(head) == len(row) == 8
    assert row[1] == str(admin)
    assert "'=HYPERLINK" in row[4]


def test_a_workbook_too(client, admin):
    client.patch(
        f"/api/v1/departments/{department('vendas').pk}/",
        {"name": "Comercial"},
        content_type="application/json",
    )
    assert file_of(client, format="xlsx")[:2] == b"PK"


def test_taking_it_away_asks_who_is_there_and_then_gives_the_file(client):
    client.force_login(with_password(ana()))
    forget_confirmation(client)
    asked = client.get(EXPORT, {"format": "csv", "q": "ana"})
    url = f"{EXPORT}?format=csv&q=ana"
    coming = client.post(url, answered(asked))
    assert "users/coming.html" in [one.name for one in coming.templates]
    address = urlsplit(coming.context["address"])
    assert address.path == EXPORT
    assert parse_qs(address.query) == {"format": ["csv"], "q": ["ana"]}
    assert client.get(url)["Content-Disposition"].endswith('.csv"')
    assert Lead.objects.count() == 0


def test_days_without_a_day_beside_them_narrow_nothing(client, admin):
    for day in ("9999-12-31", "0001-01-01"):
        assert client.get(AUDIT, {"since": day, "until": day}).status_code == 200
        assert not audit_trail.question_of({"until": day}).is_narrow


def test_a_person_changes_attributes_and_the_audit_names_them(client, admin):
    lead = recipes.lead()
    url = f"/api/v1/leads/{lead.pk}"
    given = {"attributes": {"plano": "ouro", "cpf da mãe": CPF}}
    client.patch(url, given, content_type="application/json")
    told = last("lead").additional_data
    assert (told[audit.ACT], told["names"]) == (audit.ATTRIBUTES, "cpf da mãe, plano")
    assert CPF not in str(LogEntry.objects.values())


def test_what_the_program_named_is_said_in_the_readers_language(client, admin):
    client.get(EXPORT)
    assert last().additional_data["what"] == "audit"
    lead = recipes.lead(document=CPF)
    client.post(reverse("admin:leads_lead_reveal", args=[lead.pk]))
    assert last("lead").additional_data["value"] == "CPF or CNPJ"
    assert "CPF ou CNPJ" in shown(client)[0].details


def test_hidden_values_that_the_api_gives_out_are_kept_once_an_answer(admin):
    for name in ("Davi", "Lia"):
        recipes.lead(name=name, document=CPF)
    plain = recipes.lead(name="Rui")
    reader, program = api(bia()), api(admin)
    LogEntry.objects.all().delete()
    reader.get("/api/v1/leads")
    program.get(f"/api/v1/leads/{plain.pk}")
    assert not LogEntry.objects.exists()

    program.get("/api/v1/leads")
    told = LogEntry.objects.get().additional_data
    assert (told[audit.ACT], told["count"]) == (audit.EXPORTED, 2)
    known = Lead.objects.get(name="Lia")
    program.get(f"/api/v1/leads/{known.pk}")
    assert last().object_id == known.pk
    assert last().additional_data[audit.ACT] == audit.REVEALED
