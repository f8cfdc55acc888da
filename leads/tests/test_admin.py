import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker

from leads import services
from leads.models import Lead, LeadStatus
from leads.tests.recipes import PHONE, bsuid, davi, phone
from users.tests.recipes import ana, bia, caio

pytestmark = pytest.mark.django_db

LIST = "admin:leads_lead_changelist"
CHANGE = "admin:leads_lead_change"


def shown(response):
    return list(response.context["cl"].result_list)


def posted(client, lead, **changes):
    """Post the lead's form as the page would send it, with these changes."""
    url = reverse(CHANGE, args=[lead.pk])
    page = client.get(url)
    form = page.context["adminform"].form
    values = {name: form.get_initial_for_field(form.fields[name], name) for name in form.fields}
    values.update(changes)
    return client.post(url, {name: value for name, value in values.items() if value is not None})


def test_attendants_see_the_leads_they_keep_and_no_other(client):
    mine, other = davi(attendant=bia()), davi(attendant=caio())
    client.force_login(bia())

    assert shown(client.get(reverse(LIST))) == [mine]
    assert client.get(reverse(CHANGE, args=[mine.pk])).status_code == 200
    assert client.get(reverse(CHANGE, args=[other.pk])).status_code == 302
    assert client.post(reverse(CHANGE, args=[other.pk]), {"name": "X"}).status_code == 302
    other.refresh_from_db()
    assert other.name == "Davi"


def test_searching_and_choosing_show_no_more_than_the_list(client):
    mine, _other = davi(attendant=bia()), davi(attendant=caio())
    client.force_login(bia())

    assert shown(client.get(reverse(LIST), {"q": "Davi"})) == [mine]
    history = reverse("admin:leads_lead_history", args=[_other.pk])
    assert client.get(history).status_code == 302


@pytest.mark.parametrize("model", ["identity", "note", "leadstatuschange", "consent"])
def test_what_belongs_to_a_lead_is_seen_with_the_lead(client, model):
    for keeper in (bia(), caio()):
        lead = davi(phone(f"55119876543{keeper.pk:02d}"), attendant=keeper)
        services.update_lead(lead, status="contacted", consent="contato")
        services.add_note(lead, author=keeper, text="Prefere manhã")
    url = reverse(f"admin:leads_{model}_changelist")

    client.force_login(bia())
    assert [row.lead.attendant for row in shown(client.get(url))] == [bia()]
    row = shown(client.get(url))[0]
    change = reverse(f"admin:leads_{model}_change", args=[row.pk])
    assert client.get(change).status_code == 200
    assert client.post(change, {}).status_code == 403
    client.force_login(ana())
    assert len(shown(client.get(url))) == 2
    assert client.post(change, {}).status_code == 403


def test_the_list_of_leads_costs_the_same_for_many(client, django_assert_max_num_queries):
    for number in range(20):
        lead = davi(phone(f"5511987654{number:03d}"), attendant=bia())
        services.update_lead(lead, add_tags=["vip", f"tag{number}"])
    client.force_login(ana())

    with django_assert_max_num_queries(16):
        client.get(reverse(LIST))


def test_a_lead_page_costs_the_same_for_a_long_history(client, django_assert_max_num_queries):
    lead = davi(phone(), bsuid())
    for number in range(10):
        services.add_note(lead, author=bia() if number % 2 else caio(), text=f"Nota {number}")
        status = LeadStatus.LOST if number % 2 else LeadStatus.NEW
        services.update_lead(lead, status=status, actor=bia() if number % 2 else caio())
    client.force_login(ana())

    with django_assert_max_num_queries(25):
        assert client.get(reverse(CHANGE, args=[lead.pk])).status_code == 200


def test_simulated_and_merged_people_have_lists_of_their_own(client):
    real, simulated = davi(), davi(is_simulated=True)
    merged = davi(merged_into=real)
    client.force_login(ana())

    assert shown(client.get(reverse(LIST))) == [real]
    assert shown(client.get(reverse(LIST), {"shown": "simulated"})) == [simulated]
    assert shown(client.get(reverse(LIST), {"shown": "merged"})) == [merged]


@pytest.mark.parametrize("text", ["11 98765-4321", "(11) 8765-4321", "+55 11 98765 4321", PHONE])
def test_a_number_is_found_however_it_is_written(client, text):
    lead = davi(phone())
    davi(phone("5511999990000"))
    client.force_login(ana())

    assert shown(client.get(reverse(LIST), {"q": text})) == [lead]


@pytest.mark.parametrize(("field", "text"), [("phone", "não tem"), ("email", "davi arroba")])
def test_a_person_is_told_what_is_not_valid(client, field, text):
    client.force_login(ana())
    page = posted(client, davi(), **{field: text})

    assert field in page.context["adminform"].form.errors


def test_an_attendant_cannot_give_a_lead_away(client):
    lead = davi(attendant=bia())
    client.force_login(bia())

    posted(client, lead, attendant=caio().pk)

    lead.refresh_from_db()
    assert lead.attendant == bia()


def test_an_admin_adds_a_lead(client):
    client.force_login(ana())
    fields = {"name": "Davi", "phone": "11 98765-4321", "status": "contacted"}
    client.post(reverse("admin:leads_lead_add"), {**fields, "attendant": bia().pk})

    lead = Lead.objects.get()
    assert (lead.phone, lead.source, lead.attendant) == (f"+{PHONE}", "manual", bia())
    assert lead.status_changes.get().actor == ana()


def test_nobody_deletes_a_lead(client):
    client.force_login(ana())
    assert client.post(reverse("admin:leads_lead_delete", args=[davi().pk])).status_code == 403


@pytest.mark.parametrize(("action", "is_out"), [("opt_out", True), ("opt_in", False)])
def test_people_are_opted_out_and_in_by_an_action(client, action, is_out):
    leads = [davi(opted_out_at=None if is_out else "2026-01-01T12:00:00Z") for _ in range(3)]
    client.force_login(ana())
    form = {"action": action, "_selected_action": [lead.pk for lead in leads], "reason": "Ligou"}
    response = client.post(reverse(LIST), form)

    for lead in leads:
        lead.refresh_from_db()
        assert (lead.opted_out_at is not None) == is_out
        assert lead.consents.get().is_granted != is_out
    assert list(get_messages(response.wsgi_request))


def test_nobody_is_opted_in_again_without_a_reason(client):
    lead = davi(opted_out_at="2026-01-01T12:00:00Z")
    client.force_login(ana())
    client.post(reverse(LIST), {"action": "opt_in", "_selected_action": [lead.pk], "reason": " "})
    lead.refresh_from_db()
    assert lead.opted_out_at is not None
    assert not lead.consents.exists()


def test_the_page_of_a_lead_says_when_where_and_how_they_opted_out(client):
    lead = davi()
    services.opt_out(lead, text="não quero <b>mais</b>", origin="whatsapp", at=timezone.now())
    client.force_login(ana())
    page = client.get(reverse("admin:leads_lead_change", args=[lead.pk])).content.decode()
    assert "não quero &lt;b&gt;mais&lt;/b&gt;" in page
    assert "whatsapp" in page


def test_only_visible_leads_are_offered_where_one_is_chosen(client):
    visible = davi(name="Davi um", attendant=bia())
    davi(name="Davi dois", attendant=caio()), davi(name="Davi três", merged_into=visible)
    baker.make("tickets.Ticket", lead=visible, assignee=bia())
    client.force_login(bia())
    query = {
        "app_label": "tickets",
        "model_name": "ticket",
        "field_name": "lead",
        "term": "Davi",
    }
    results = client.get(reverse("admin:autocomplete"), query).json()["results"]

    assert [row["text"] for row in results] == ["Davi um"]


def test_deleting_a_tag_asks_in_words(client):
    lead = davi()
    lead.tags.add(tag := baker.make("leads.Tag", name="VIP"))
    client.force_login(ana())
    page = client.get(reverse("admin:leads_tag_delete", args=[tag.pk])).content.decode()
    assert "VIP" in page
    assert "object (" not in page


def test_the_whole_form_saves_the_page_without_a_script(client):
    lead = davi(document="52998224725", status=LeadStatus.QUALIFIED, attendant=bia())
    client.force_login(ana())
    posted(client, lead, phone="11 98765-4321", company="Padaria", need="Bolo")

    lead.refresh_from_db()
    assert (lead.phone, lead.company, lead.need) == (f"+{PHONE}", "Padaria", "Bolo")
    assert (lead.document, lead.status, lead.attendant) == ("52998224725", "qualified", bia())


def test_a_merged_lead_is_shown_as_history(client):
    winner = davi(name="Davi que fica")
    merged = davi(merged_into=winner)
    client.force_login(ana())
    page = client.get(reverse(CHANGE, args=[merged.pk])).content.decode()
    assert reverse(CHANGE, args=[winner.pk]) in page
    assert reverse("admin:leads_lead_merge", args=[merged.pk]) not in page
    assert client.post(reverse(CHANGE, args=[merged.pk]), {"name": "X"}).status_code == 403


@pytest.mark.parametrize(
    "text", ["davi exem", "exemplo davi", "987654321", "(11) 98765", "davi@example.com", "padaria"]
)
def test_every_word_of_a_search_is_looked_for(client, text):
    fields = {"email": "davi@example.com", "company": "Padaria Sol", "phone": f"+{PHONE}"}
    lead = davi(**{**fields, "name": "Davi Exemplo"})
    davi(name="Davi Outro")
    client.force_login(ana())
    assert shown(client.get(reverse(LIST), {"q": text})) == [lead]
