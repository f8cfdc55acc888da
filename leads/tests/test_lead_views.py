"""What is done on the page of a lead, with a script and without one."""

import json
from urllib.parse import urlsplit

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from model_bakery import baker

from leads import services
from leads.models import Lead, LeadStatus
from leads.tests.recipes import PHONE, davi, phone
from users.tests.recipes import ana, bia, caio

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
VERBS = ["undo", "stage", "note", "tags", "contact", "reveal"]


def url(verb, lead, *more, **query):
    return reverse(f"admin:leads_lead_{verb}", args=[lead.pk, *more], query=query or None)


def save(client, lead, name, value, headers=HTMX):
    return client.post(url("field", lead, name), {name: value}, headers=headers)


def undo_url(answer):
    return json.loads(answer["HX-Trigger"])["toast"]["undo"]


# --- Who may -----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_who_does_not_see_a_lead_does_nothing_with_it(client, verb):
    lead = davi(attendant=caio())
    client.force_login(bia())
    assert client.post(url(verb, lead), {"status": "lost", "text": "x"}).status_code == 404
    assert save(client, lead, "name", "Outro").status_code == 404
    lead.refresh_from_db()
    assert (lead.name, lead.status, lead.notes.count()) == ("Davi", "new", 0)


@pytest.mark.parametrize("verb", VERBS)
def test_a_merged_lead_stays_as_it_is(client, verb):
    lead = davi(merged_into=davi())
    client.force_login(ana())
    assert client.post(url(verb, lead), {"status": "lost", "text": "x"}).status_code == 403
    assert save(client, lead, "name", "Outro").status_code == 403


@pytest.mark.parametrize("verb", ["undo", "note", "tags", "contact", "reveal"])
def test_nothing_is_done_by_a_link(client, verb):
    client.force_login(ana())
    assert client.get(url(verb, davi())).status_code == 405


def test_who_attends_merges_nobody(client):
    lead = davi(attendant=bia())
    other = davi(attendant=bia())
    client.force_login(bia())
    assert client.get(url("merge", lead)).status_code == 403
    form = {"other": other.pk, "confirmed": "1"}
    assert client.post(url("merge", lead), form).status_code == 403
    other.refresh_from_db()
    assert other.merged_into is None


# --- One field ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "stored"),
    [
        ("name", "Davi Exemplo", "Davi Exemplo"),
        ("email", "Davi@EXAMPLE.com", "Davi@example.com"),
        ("phone", "11 98765-4321", f"+{PHONE}"),
        ("document", "529.982.247-25", "52998224725"),
        ("need", "Bolo\r\nde milho", "Bolo\r\nde milho"),
        ("company", "", ""),
    ],
)
def test_a_field_is_saved_alone(client, name, text, stored):
    lead = davi(company="Padaria", attendant=bia())
    client.force_login(bia())
    answer = save(client, lead, name, text)
    lead.refresh_from_db()
    assert getattr(lead, name) == stored
    assert "lead-saved" in answer.content.decode()
    assert LogEntry.objects.get().object_id == str(lead.pk)


@pytest.mark.parametrize(
    ("name", "text"), [("email", "davi arroba"), ("phone", "não tem"), ("document", "123")]
)
def test_a_refused_value_leaves_the_old_one_and_says_why(client, name, text):
    kept = {"email": "a@example.com", "phone": "+551130000000", "document": "52998224725"}
    lead = davi(**kept)
    client.force_login(ana())
    answer = save(client, lead, name, text)
    page = answer.content.decode()
    lead.refresh_from_db()
    assert getattr(lead, name) == kept[name]
    assert 'role="alert"' in page
    assert text not in page
    assert "HX-Trigger" not in answer
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("name", ["status", "merged_into", "is_simulated", "attributes", "nada"])
def test_other_columns_are_no_fields_of_the_page(client, name):
    client.force_login(ana())
    assert save(client, davi(), name, "lost").status_code == 404


def test_an_attendant_gives_no_lead_away(client):
    lead = davi(attendant=bia())
    client.force_login(bia())
    assert save(client, lead, "attendant", caio().pk).status_code == 404
    client.force_login(ana())
    save(client, lead, "attendant", caio().pk)
    lead.refresh_from_db()
    assert lead.attendant == caio()


def test_the_number_of_the_channel_is_not_edited(client):
    lead = davi(phone(), phone=f"+{PHONE}")
    client.force_login(ana())
    assert save(client, lead, "phone", "11 3000-0000").status_code == 404
    page = client.get(reverse("admin:leads_lead_change", args=[lead.pk])).content.decode()
    assert "+55 11 98765-4321" in page
    assert 'name="phone"' not in page


def test_without_a_script_a_field_leads_back_to_the_page(client):
    lead = davi()
    client.force_login(ana())
    answer = save(client, lead, "document", "529.982.247-25", headers={})
    assert answer.url == reverse("admin:leads_lead_change", args=[lead.pk])


def test_what_stood_there_comes_back_from_the_toast(client):
    lead = davi(attendant=bia())
    client.force_login(bia())
    undo = undo_url(save(client, lead, "name", "Outro"))
    answer = client.post(undo, headers=HTMX)
    lead.refresh_from_db()
    assert (answer.status_code, answer["HX-Refresh"], lead.name) == (204, "true", "Davi")


def test_what_stood_there_is_in_no_address(client):
    lead = davi(document="52998224725")
    client.force_login(ana())
    answer = save(client, lead, "document", "")
    assert "52998224725" not in str(answer.headers)
    assert len(undo_url(answer)) < 80


def test_what_somebody_changed_since_is_not_undone(client):
    lead = davi()
    client.force_login(ana())
    undo = undo_url(save(client, lead, "name", "Outro"))
    save(client, lead, "name", "Terceiro")
    answer = client.post(undo, headers=HTMX)
    lead.refresh_from_db()
    assert lead.name == "Terceiro"
    assert json.loads(answer["HX-Trigger"])["toast"]["undo"] == ""


def test_an_undo_is_good_for_its_lead_alone_and_not_for_ever(client, time_machine):
    lead, other = davi(), davi(name="Outro")
    client.force_login(ana())
    time_machine.move_to(timezone.now(), tick=False)
    undo = undo_url(save(client, lead, "name", "Outro"))
    client.post(f"{url('undo', other)}?{urlsplit(undo).query}")
    client.post(url("undo", lead, change="inventado"))
    time_machine.shift(300)
    client.post(undo)
    lead.refresh_from_db(), other.refresh_from_db()
    assert (lead.name, other.name) == ("Outro", "Outro")


def test_an_undo_belongs_to_who_made_the_change(client):
    lead = davi(attendant=bia())
    client.force_login(ana())
    undo = undo_url(save(client, lead, "attendant", caio().pk))
    client.force_login(caio())
    client.post(undo)
    lead.refresh_from_db()
    assert lead.attendant == caio()


# --- Stage -------------------------------------------------------------------------------------


def test_a_stage_ahead_is_reached_by_a_click(client):
    lead = davi(attendant=bia())
    client.force_login(bia())
    answer = client.post(url("stage", lead), {"status": "qualified"}, headers=HTMX)
    change = lead.status_changes.get()
    assert (change.from_status, change.to_status, change.actor) == ("new", "qualified", bia())
    assert 'aria-current="step"' in answer.content.decode()
    client.post(undo_url(answer))
    lead.refresh_from_db()
    assert (lead.status, lead.status_changes.count()) == (LeadStatus.NEW, 2)


def test_a_stage_behind_is_asked_about_first(client):
    lead = davi(status=LeadStatus.CONVERTED)
    client.force_login(ana())
    asked = client.post(url("stage", lead), {"status": "new"}, headers=HTMX)
    assert asked["HX-Retarget"] == "#lead-dialog"
    assert "<dialog" not in asked.content.decode()
    page = client.post(url("stage", lead), {"status": "new"})
    assert 'name="confirmed"' in page.content.decode()
    lead.refresh_from_db()
    assert lead.status == LeadStatus.CONVERTED
    client.post(url("stage", lead), {"status": "new", "confirmed": "1"})
    lead.refresh_from_db()
    assert lead.status == LeadStatus.NEW


def test_a_lead_is_lost_only_with_a_reason(client):
    lead = davi()
    client.force_login(ana())
    for form in ({}, {"confirmed": "1"}, {"confirmed": "1", "reason": "  "}):
        client.post(url("stage", lead), {"status": "lost", **form})
        lead.refresh_from_db()
        assert lead.status == LeadStatus.NEW
    client.post(url("stage", lead), {"status": "lost", "confirmed": "1", "reason": "Mudou-se"})
    assert lead.status_changes.get().reason == "Mudou-se"
    page = client.get(reverse("admin:leads_lead_change", args=[lead.pk])).content.decode()
    assert "Mudou-se" in page


def test_a_stage_that_there_is_not_is_not_found(client):
    client.force_login(ana())
    assert client.post(url("stage", davi()), {"status": "vip"}).status_code == 404


# --- Notes, tags, privacy ----------------------------------------------------------------------


def test_a_note_is_signed_by_who_writes_it(client):
    lead = davi(attendant=bia())
    client.force_login(bia())
    form = {"text": "Prefere <b>manhã</b>", "author": caio().pk}
    answer = client.post(url("note", lead), form, headers=HTMX)
    note = lead.notes.get()
    assert (note.text, note.author) == ("Prefere <b>manhã</b>", bia())
    assert "lead-changed" in answer["HX-Trigger-After-Settle"]
    assert "manhã" not in answer.content.decode()


def test_an_empty_note_is_refused_in_words(client):
    lead = davi()
    client.force_login(ana())
    page = client.post(url("note", lead), {"text": "  "}, headers=HTMX).content.decode()
    assert 'role="alert"' in page
    assert not lead.notes.exists()


def test_tags_come_and_go(client):
    lead = davi()
    client.force_login(ana())
    client.post(url("tags", lead), {"add": "vip"}, headers=HTMX)
    page = client.post(url("tags", lead), {"add": "<i>novo"}, headers=HTMX).content.decode()
    assert "&lt;i&gt;novo" in page
    client.post(url("tags", lead), {"remove": "vip"})
    assert [tag.name for tag in lead.tags.all()] == ["<i>novo"]


def test_an_attendant_chooses_among_the_tags_there_are(client):
    lead = davi(attendant=bia())
    baker.make("leads.Tag", name="VIP")
    client.force_login(bia())
    client.post(url("tags", lead), {"add": "vip"})
    page = client.post(url("tags", lead), {"add": "inventada"}, headers=HTMX).content.decode()
    assert [tag.name for tag in lead.tags.all()] == ["VIP"]
    assert 'role="alert"' in page


def test_a_document_is_masked_until_it_is_asked_for_and_that_is_kept(client):
    lead = davi(document="52998224725", attendant=bia())
    client.force_login(bia())
    page = client.get(reverse("admin:leads_lead_change", args=[lead.pk])).content.decode()
    assert "•••.982.•••-25" in page
    assert "52998224725" not in page
    assert "529.982.247-25" not in page
    for headers in (HTMX, {}):
        shown = client.post(url("reveal", lead), headers=headers).content.decode()
        assert "529.982.247-25" in shown
    assert LogEntry.objects.filter(user=bia(), object_id=lead.pk).count() == 2


def test_attributes_that_hold_personal_data_are_masked_until_they_are_asked_for(client):
    answers = {"cpf do titular": "529.982.247-25", "contato": "davi@example.com", "rg": "9.876.543"}
    lead = davi(
        attributes={**answers, "cidade": "Recife"}, sensitive_attributes=["rg"], attendant=bia()
    )
    client.force_login(bia())
    where = reverse("admin:leads_lead_change", args=[lead.pk])
    page = client.get(where).content.decode()
    assert "Recife" in page
    assert not [text for text in answers.values() if text in page]
    for name, text in answers.items():
        shown = client.post(url("reveal", lead), {"name": name}, headers=HTMX).content.decode()
        assert text in shown
    page = client.post(url("reveal", lead), {"name": "rg"}, follow=True).content.decode()
    assert "9.876.543" in page
    said = LogEntry.objects.filter(user=bia(), object_id=lead.pk)
    assert said.count() == len(answers) + 1
    assert client.post(url("reveal", lead), {"name": "cidade"}).status_code == 404


def test_offers_are_stopped_and_allowed_again_on_the_page(client):
    lead = davi(attendant=bia())
    client.force_login(bia())
    client.post(url("contact", lead), {"offers": "no", "reason": "não quero"})
    lead.refresh_from_db()
    assert lead.opted_out_at is not None
    client.post(url("contact", lead), {"offers": "yes", "reason": " "})
    lead.refresh_from_db()
    assert lead.opted_out_at is not None
    client.post(url("contact", lead), {"offers": "yes", "reason": "Ligou"})
    lead.refresh_from_db()
    assert lead.opted_out_at is None
    assert [one.origin for one in lead.consents.all()] == ["console", "console"]


# --- Merging -----------------------------------------------------------------------------------


def candidates(client, lead):
    found = client.get(url("merge", lead)).context["candidates"]
    return {one.lead: [str(reason) for reason in one.reasons] for one in found}


def test_a_duplicate_is_found_by_what_both_have(client):
    same = {"email": "davi@example.com", "document": "52998224725"}
    lead = davi(phone(), **{**same, "name": "Davi Exemplo"})
    by_phone = davi(name="", phone="+551187654321")
    by_mail = davi(name="", email="DAVI@example.com")
    by_document = davi(name="", document="52998224725")
    by_name = davi(name="Davi Souza Exemplo")
    davi(name="Davi Outro"), davi(merged_into=lead, **same), davi(is_simulated=True, **same)
    client.force_login(ana())
    assert set(candidates(client, lead)) == {by_phone, by_mail, by_document, by_name}
    assert candidates(client, lead)[by_phone] == [gettext("same phone")]


def test_a_lead_about_whom_nothing_is_known_has_no_duplicates(client):
    lead = davi(name="Davi")
    davi(name="Davi")
    client.force_login(ana())
    assert candidates(client, lead) == {}


def test_the_other_is_found_by_a_search(client):
    lead, other = davi(), davi(name="Otávio Lins")
    client.force_login(ana())
    found = client.get(url("merge", lead, q="lins otá")).context["found"]
    assert list(found) == [other]


@pytest.mark.parametrize(("keep", "name"), [("lead", "Davi"), ("other", "Outro")])
def test_the_chosen_one_stays(client, keep, name):
    lead, other = davi(phone()), davi(name="Outro", email="outro@example.com")
    services.add_note(other, author=None, text="Ligou")
    client.force_login(ana())
    page = client.get(url("merge", lead, other=other.pk, keep=keep)).context
    assert page["winner"].name == name
    client.post(url("merge", lead), {"other": other.pk, "keep": keep})
    assert Lead.objects.live().count() == 2
    form = {"other": other.pk, "keep": keep, "confirmed": "1"}
    answer = client.post(url("merge", lead), form)
    winner = Lead.objects.live().get()
    assert (winner.name, winner.email) == (name, "outro@example.com")
    assert answer.url == reverse("admin:leads_lead_change", args=[winner.pk])
    assert winner.notes.filter(text="Ligou").exists()


@pytest.mark.parametrize("other", ["0", "9" * 30, "x", "-1"])
def test_a_merge_with_nobody_merges_nothing(client, other):
    lead = davi()
    client.force_login(ana())
    answer = client.post(url("merge", lead), {"other": other, "confirmed": "1"})
    assert answer.status_code in (200, 404)
    assert Lead.objects.live().count() == 1


def test_names_of_customers_are_text(client):
    lead = davi(name="<script>alert(1)</script>", company='"><img src=x>')
    other = davi(name="<script>alert(2)</script>")
    client.force_login(ana())
    pages = (
        reverse("admin:leads_lead_change", args=[lead.pk]),
        reverse("admin:leads_lead_changelist"),
        url("merge", lead, q="alert"),
        url("merge", lead, other=other.pk),
    )
    for page in pages:
        text = client.get(page).content.decode()
        assert "alert(" in text
        assert "<script>alert" not in text
        assert "<img src=x>" not in text
