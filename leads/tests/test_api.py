import pytest
from rest_framework.test import APIClient

from leads import services
from leads.models import Lead, LeadStatus
from leads.tests.recipes import PHONE, bsuid, davi, phone
from users.tests.recipes import ana, api, bia, caio

pytestmark = pytest.mark.django_db

LEADS = "/api/v1/leads"


def ids_in(response):
    return [row["id"] for row in response.json()["results"]]


@pytest.fixture
def client():
    return api(ana())


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_lead_is_read_with_its_identities_and_tags(client, slash):
    lead = services.update_lead(davi(phone(), bsuid()), add_tags=["vip"])

    body = client.get(f"{LEADS}/{lead.pk}{slash}").json()
    assert (body["name"], body["status"], body["tags"]) == ("Davi", "new", ["vip"])
    assert {one["scheme"] for one in body["identities"]} == {"phone", "bsuid"}


def test_attendants_see_the_leads_they_keep_and_no_other():
    mine, other = davi(attendant=bia()), davi(attendant=caio())
    theirs = api(bia())

    assert ids_in(theirs.get(LEADS)) == [mine.pk]
    for url in (f"{LEADS}/{other.pk}", f"{LEADS}/{other.pk}/notes"):
        assert theirs.get(url).status_code == 404
    for verb in ("opt-out", "opt-in", "notes"):
        assert theirs.post(f"{LEADS}/{other.pk}/{verb}", {"text": "x"}).status_code == 404
    assert theirs.patch(f"{LEADS}/{other.pk}", {"name": "X"}).status_code == 404


@pytest.mark.parametrize(
    ("scopes", "read", "write"),
    [
        (["leads:read"], 200, 403),
        (["leads:write"], 403, 201),
        (["tickets:read", "tickets:write"], 403, 403),
    ],
)
def test_a_token_opens_its_scopes_only(scopes, read, write):
    theirs = api(ana(), *scopes)

    assert theirs.get(LEADS).status_code == read
    assert theirs.post(LEADS, {"name": "Davi"}).status_code == write


def test_a_stranger_gets_nothing(client):
    assert api().get(LEADS).status_code == 401


def test_a_session_works_too_but_not_without_its_csrf_token():
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(ana())
    assert browser.get(LEADS).status_code == 200
    assert browser.post(LEADS, {"name": "Davi"}).status_code == 403


def test_the_list_of_leads_costs_the_same_for_many(client, django_assert_num_queries):
    for number in range(20):
        lead = davi(phone(f"5511987654{number:03d}"), attendant=bia())
        services.update_lead(lead, add_tags=["vip", f"tag{number}"])
    client.get(LEADS)

    with django_assert_num_queries(5):  # token and person, leads, tags, identities, opt-outs
        assert len(ids_in(client.get(LEADS))) == 20


def test_lists_go_on_where_the_page_ended(client):
    leads = [davi().pk for _ in range(5)]

    first = client.get(LEADS, {"page_size": 3})
    second = client.get(first.json()["next"])
    assert ids_in(first) + ids_in(second) == leads[::-1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=qualified", True),
        ("status=qualified&status=lost", True),
        ("status=new", False),
        ("source=ad", True),
        ("source=bot", False),
        ("tag=vip", True),
        ("tag=outra", False),
        ("phone=11 98765-4321", True),
        ("phone=551187654321", True),
        ("phone=11 3333-4444", False),
        ("email=DAVI@example.com", True),
        ("created_after=2020-01-01T00:00:00Z", True),
        ("created_before=2020-01-01T00:00:00Z", False),
        ("opted_out=true", False),
        ("opted_out=false", True),
        ("search=reis", True),
        ("search=silva", False),
        ("attendant=0", False),
    ],
)
def test_leads_are_filtered(client, query, found):
    lead = davi(
        phone(), name="Davi Reis", email="davi@example.com", status="qualified", source="ad"
    )
    services.update_lead(lead, add_tags=["vip"])

    assert ids_in(client.get(f"{LEADS}?{query}")) == ([lead.pk] if found else [])


def test_leads_are_ordered(client):
    second, first = davi(name="Bruno"), davi(name="Alice")

    assert ids_in(client.get(LEADS, {"ordering": "name"})) == [first.pk, second.pk]


def test_simulated_and_merged_people_are_listed_only_when_asked_for(client):
    real, simulated = davi(), davi(is_simulated=True)
    merged = davi(merged_into=real)

    assert ids_in(client.get(LEADS)) == [real.pk]
    assert ids_in(client.get(LEADS, {"shown": "simulated"})) == [simulated.pk]
    assert ids_in(client.get(LEADS, {"shown": "merged"})) == [merged.pk]
    assert client.get(f"{LEADS}/{simulated.pk}").status_code == 200


def test_a_program_adds_a_lead(client):
    body = {
        "name": "Davi",
        "phone": "(11) 98765-4321",
        "email": "davi@example.com",
        "document": "529.982.247-25",
        "status": "contacted",
        "tags": ["vip"],
        "attributes": {"contract": "A-77"},
        "attendant": bia().pk,
    }
    response = client.post(LEADS, body)

    lead = Lead.objects.get()
    assert (response.status_code, response.json()["id"]) == (201, lead.pk)
    assert (lead.phone, lead.document, lead.source) == (f"+{PHONE}", "52998224725", "api")
    assert (lead.attributes, lead.attendant) == ({"contract": "A-77"}, bia())
    assert lead.status_changes.get().actor == ana()


@pytest.mark.parametrize(
    "body",
    [
        {"phone": "não tem"},
        {"document": "123"},
        {"email": "davi arroba"},
        {"status": "nonsense"},
        {"attributes": {"email": "x"}},
        {"attributes": ["x"]},
        {"attendant": 0},
        {"tags": "vip"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(client, body):
    response = client.post(LEADS, body)

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert set(response.json()["fields"]) == set(body)


def test_what_nobody_may_set_is_ignored(client):
    client.post(LEADS, {"name": "Davi", "is_simulated": True, "source": "bot", "opted_out_at": 1})

    lead = Lead.objects.get()
    assert (lead.is_simulated, lead.source, lead.opted_out_at) == (False, "api", None)


@pytest.mark.parametrize(("who", "sees"), [(ana, True), (bia, False)])
def test_attendants_get_the_document_and_sensitive_attributes_masked(who, sees):
    attributes = {"plan": "600", "rg": "9.876.543", "contact": "davi@example.com"}
    lead = davi(
        document="52998224725",
        attributes=attributes,
        sensitive_attributes=["rg"],
        attendant=bia(),
    )
    shown = api(who()).get(f"{LEADS}/{lead.pk}").json()
    assert (shown["document"] == "52998224725") == sees
    assert {name for name in attributes if shown["attributes"][name] == attributes[name]} == (
        set(attributes) if sees else {"plan"}
    )
    response = api(who()).patch(f"{LEADS}/{lead.pk}", {"attributes": shown["attributes"]})
    assert response.status_code == 200
    assert Lead.objects.get().attributes == attributes


def test_a_change_touches_only_what_is_given(client):
    lead = davi(email="davi@example.com", attributes={"city": "Recife", "plan": "600"})
    services.update_lead(lead, add_tags=["vip"])
    body = {"status": "qualified", "reason": "Pediu proposta", "attributes": {"plan": ""}}
    response = client.patch(f"{LEADS}/{lead.pk}", body)

    assert response.json()["email"] == "davi@example.com"
    assert response.json()["attributes"] == {"city": "Recife"}
    assert response.json()["tags"] == ["vip"]
    assert lead.status_changes.get().reason == "Pediu proposta"
    assert client.patch(f"{LEADS}/{lead.pk}", {"tags": ["a", "b"]}).json()["tags"] == ["a", "b"]
    assert client.put(f"{LEADS}/{lead.pk}", {}).status_code == 405
    assert client.delete(f"{LEADS}/{lead.pk}").status_code == 405


def test_an_attendant_changes_a_lead_but_gives_none_away_and_adds_none():
    lead, theirs = davi(attendant=bia()), api(bia())

    assert theirs.patch(f"{LEADS}/{lead.pk}", {"status": "lost"}).status_code == 200
    assert theirs.patch(f"{LEADS}/{lead.pk}", {"attendant": None}).status_code == 403
    assert theirs.post(LEADS, {"name": "Davi"}).status_code == 403
    lead.refresh_from_db()
    assert (lead.status, lead.attendant) == (LeadStatus.LOST, bia())


def test_notes_are_written_and_read():
    lead, theirs = davi(attendant=bia()), api(bia())

    written = theirs.post(f"{LEADS}/{lead.pk}/notes", {"text": "Prefere manhã", "author": 1})
    refused = theirs.post(f"{LEADS}/{lead.pk}/notes", {"text": "  "})

    assert (written.status_code, refused.status_code) == (201, 400)
    row = theirs.get(f"{LEADS}/{lead.pk}/notes").json()["results"][0]
    assert (row["text"], row["author"]) == ("Prefere manhã", bia().pk)


def test_a_lead_opts_out_and_in_again(client):
    lead = davi()

    out = client.post(f"{LEADS}/{lead.pk}/opt-out", {"text": "Pediu por telefone"}).json()
    silent = client.post(f"{LEADS}/{lead.pk}/opt-in")
    back = client.post(f"{LEADS}/{lead.pk}/opt-in", {"text": "Ligou e pediu"}).json()

    assert out["opted_out_at"] is not None
    assert (out["opt_out"]["origin"], out["opt_out"]["text"]) == ("api", "Pediu por telefone")
    assert silent.status_code == 400
    assert (back["opted_out_at"], back["opt_out"]) == (None, None)
    assert [one.text for one in lead.consents.order_by("id")] == [
        "Pediu por telefone",
        "Ligou e pediu (Ana)",
    ]


def test_two_leads_become_one(client):
    winner, loser = davi(bsuid()), davi(phone())
    body = client.post(f"{LEADS}/{winner.pk}/merge", {"lead": loser.pk}).json()

    assert len(body["identities"]) == 2
    again = client.post(f"{LEADS}/{winner.pk}/merge", {"lead": loser.pk})
    assert (again.status_code, again.json()["code"]) == (409, "already_merged")
    assert client.post(f"{LEADS}/{winner.pk}/merge", {"lead": 0}).status_code == 404


def test_an_attendant_merges_nothing():
    winner, loser = davi(attendant=bia()), davi(attendant=bia())

    response = api(bia()).post(f"{LEADS}/{winner.pk}/merge", {"lead": loser.pk})
    assert response.status_code == 403
