"""Nobody raises themselves, and no id that is sent along opens a row that is out of sight."""

from uuid import uuid4

import pytest
from django.contrib import admin
from django.urls import reverse

from config.api import router
from config.tests.walk.asking import rows_of
from config.tests.walk.rules import ADMIN, MODELS
from leads.models import Lead, Tag
from sessions_app.models import Channel
from tickets.models import InternalNote, Ticket
from users.models import ApiToken, Availability, Department, Role, User
from users.services import create_token
from users.tests.recipes import api

pytestmark = pytest.mark.django_db
POWER = {
    "role": "admin",
    "is_superuser": True,
    "is_staff": True,
    "is_active": True,
    "capacity": 99,
    "departments": ["financas"],
    "supervised_departments": ["financas"],
    "user_permissions": [1],
    "groups": [1],
    "date_joined": "2001-01-01T00:00:00Z",
    "password": "uma-senha-bem-longa",
}


def standing(user):
    """What a person may do and see."""
    user = User.objects.get(pk=user.pk)
    flags = (user.role, user.is_superuser, user.is_staff, user.is_active, user.capacity)
    departments = sorted(user.departments.values_list("slug", flat=True))
    supervised = sorted(user.supervised_departments.values_list("slug", flat=True))
    return (*flags, user.password, departments, supervised)


def as_form(world):
    """The same wishes as a browser would post them."""
    finance = world.finance.pk
    power = {**POWER, "departments": [finance], "supervised_departments": [finance]}
    return {
        **{name: "on" if value is True else value for name, value in power.items()},
        **{"first_name": "Ana", "language": "pt-br", "username": "ana"},
    }


# --- Oneself and others ---------------------------------------------------------------------------


def test_an_attendant_gets_no_power_by_their_profile(world, enter):
    before = standing(world.ana)
    response = enter(world.ana).post(reverse("profile"), as_form(world))
    assert response.status_code == 302
    assert standing(world.ana) == before
    assert api(world.ana).patch("/api/v1/users/me/", POWER, format="json").status_code == 200
    assert standing(world.ana) == before


@pytest.mark.parametrize("whom", ["ana", "caio", "bia", "admin", "root"])
def test_an_attendant_changes_no_person(world, enter, whom):
    person = getattr(world, whom)
    before = standing(person)
    client, program = enter(world.ana), api(world.ana)
    change = reverse("admin:users_user_change", args=[person.pk])
    password = reverse("admin:auth_user_password_change", args=[person.pk])
    new = {"password1": "uma-senha-bem-longa", "password2": "uma-senha-bem-longa"}
    assert client.post(change, as_form(world)).status_code in {302, 403}
    assert client.post(password, new).status_code in {302, 403}
    url = f"/api/v1/users/{person.pk}/"
    assert program.patch(url, POWER, format="json").status_code in {403, 404}
    assert program.delete(url).status_code in {403, 404}
    assert program.post(f"{url}activate/").status_code in {403, 404}
    assert standing(person) == before


def test_an_attendant_says_of_nobody_else_that_they_are_available(world):
    said = {"availability": "available"}
    for person in (world.caio, world.bia, world.admin):
        url = f"/api/v1/users/{person.pk}/availability/"
        assert api(world.ana).post(url, said, format="json").status_code in {403, 404}
        person.refresh_from_db()
        assert person.availability == Availability.OFFLINE


def test_an_attendant_makes_nobody(world, enter):
    count = User.objects.count()
    body = {"username": "novo", **POWER}
    assert api(world.ana).post("/api/v1/users/", body, format="json").status_code == 403
    assert enter(world.ana).post(reverse("admin:users_user_add"), body).status_code == 403
    assert User.objects.count() == count


def test_an_admin_raises_nobody_above_themselves(world, enter):
    client, program = enter(world.admin), api(world.admin)
    for person in (world.admin, world.ana):
        change = reverse("admin:users_user_change", args=[person.pk])
        client.post(change, {**as_form(world), "username": person.username, "role": "admin"})
        program.patch(f"/api/v1/users/{person.pk}/", POWER, format="json")
        assert not User.objects.get(pk=person.pk).is_superuser
    body = {"username": "novo", "is_superuser": True, "is_staff": True, "role": "admin"}
    assert program.post("/api/v1/users/", body, format="json").status_code == 201
    assert not User.objects.get(username="novo").is_superuser


def test_an_admin_does_nothing_to_whoever_stands_above_them(world, enter):
    root, before = world.root, standing(world.root)
    client, program = enter(world.admin), api(world.admin)
    url = f"/api/v1/users/{root.pk}/"
    for body in ({"role": "attendant"}, {"password": "uma-senha-bem-longa"}, {"email": "a@b.cc"}):
        assert program.patch(url, body, format="json").status_code == 403
    assert program.delete(url).status_code == 403
    assert program.post(f"{url}availability/", {"availability": "paused"}).status_code == 403
    password = reverse("admin:auth_user_password_change", args=[root.pk])
    new = {"password1": "uma-senha-bem-longa", "password2": "uma-senha-bem-longa"}
    assert client.post(password, new).status_code == 403
    change = reverse("admin:users_user_change", args=[root.pk])
    assert client.post(change, as_form(world)).status_code == 403
    chosen = {"action": "deactivate", "_selected_action": [root.pk]}
    client.post(reverse("admin:users_user_changelist"), chosen)
    assert standing(root) == before
    assert User.objects.get(pk=root.pk).email == "root@empresa.test"


def test_an_admin_makes_no_token_that_speaks_for_whoever_stands_above_them(world, enter):
    count = ApiToken.objects.filter(user=world.root).count()
    form = {"user": world.root.pk, "name": "x", "scopes": "*:write"}
    enter(world.admin).post(reverse("admin:users_apitoken_add"), form)
    assert ApiToken.objects.filter(user=world.root).count() == count


def test_what_is_refused_in_part_is_refused_as_a_whole(world):
    """A role that may not be given leaves the name as it was, too."""
    body = {"first_name": "Outra", "role": "attendant"}
    User.objects.filter(pk=world.root.pk).update(is_active=False)
    url = f"/api/v1/users/{world.admin.pk}/"
    assert api(world.admin).patch(url, body, format="json").status_code == 409
    world.admin.refresh_from_db()
    assert (world.admin.first_name, world.admin.role) == ("Admin", Role.ADMIN)
    lead = world.case("own").lead
    body = {"name": "Outro", "attendant": world.ana.pk}
    response = api(world.ana).patch(f"/api/v1/leads/{lead.pk}/", body, format="json")
    assert response.status_code == 403
    assert Lead.objects.get(pk=lead.pk).name == lead.name


def test_nobody_comes_to_see_more_by_keeping_a_lead(world, enter):
    """Whoever keeps a lead sees all of its conversations, so attendants do not say who does."""
    lead = world.case("own").lead
    field = reverse("admin:leads_lead_field", args=[lead.pk, "attendant"])
    assert enter(world.ana).post(field, {"attendant": world.ana.pk}).status_code == 404
    change = reverse("admin:leads_lead_change", args=[lead.pk])
    enter(world.ana).post(change, {"name": lead.name, "attendant": world.ana.pk})
    assert Lead.objects.get(pk=lead.pk).attendant is None


def test_an_attendant_makes_no_tag_by_the_api(world):
    count = Tag.objects.count()
    case = world.case("own")
    for url in (f"/api/v1/leads/{case.lead.pk}/", f"/api/v1/tickets/{case.ticket.pk}/"):
        response = api(world.ana).patch(url, {"tags": ["inventada"]}, format="json")
        assert (response.status_code, response.json()["code"]) == (400, "unknown_tag")
        assert api(world.ana).patch(url, {"tags": ["tagown"]}, format="json").status_code == 200
    assert Tag.objects.count() == count


def test_an_attendant_imports_no_flow(world, enter):
    """Neither a new one nor onto one that is there."""
    before = rows_of(type(world.flow))
    body = {"text": '{"schema": 1}', "do": "save", "name": "Minha"}
    client = enter(world.ana)
    assert client.post(reverse("flow_import_new"), body).status_code == 403
    assert client.post(reverse("flow_import", args=[world.flow.pk]), body).status_code == 404
    assert rows_of(type(world.flow)) == before


# --- Ids that are sent along ----------------------------------------------------------------------


def test_a_message_of_another_conversation_is_not_reached_through_ones_own(world, enter):
    own, far = world.case("own"), world.case("far")
    client = enter(world.ana)
    names = {"conversation_why": "message", "conversation_send_again": "failed"}
    for name, row in {**names, "conversation_discard": "failed"}.items():
        url = reverse(name, args=[own.session.pk, far[row].pk])
        ask = client.get if name == "conversation_why" else client.post
        assert ask(url).status_code == 404, name
    far["failed"].refresh_from_db()
    assert far["failed"].status == "failed"


def test_a_note_does_not_land_on_another_ticket(world, enter):
    own, far = world.case("own"), world.case("far")
    count = InternalNote.objects.count()
    url = reverse("conversation_note", args=[own.session.pk])
    for ticket in (far.ticket, world.case("split").ticket, world.case("queue").ticket):
        body = {"ticket": ticket.pk, "text": "Oi"}
        assert enter(world.ana).post(url, body).status_code == 404
    assert InternalNote.objects.count() == count


def test_a_ticket_is_given_to_nobody_who_is_out_of_sight(world, enter):
    ticket = world.case("own").ticket
    program, url = api(world.ana), f"/api/v1/tickets/{ticket.pk}"
    assert program.post(f"{url}/assign/", {"user": world.bia.pk}).status_code == 400
    body = {"department": "financas", "user": world.bia.pk}
    assert program.post(f"{url}/transfer/", body).status_code == 400
    assert program.patch(f"{url}/", {"assignee": world.bia.pk}).status_code == 200
    assert Ticket.objects.get(pk=ticket.pk).assignee == world.ana


def test_a_session_that_is_out_of_sight_is_not_written_in(world):
    far = world.case("far").session
    body = {"session": far.pk, "text": "Oi", "client_id": str(uuid4())}
    assert api(world.ana).post("/api/v1/messages/", body, format="json").status_code == 400
    assert api(world.ana).post("/api/v1/tickets/", {"session": far.pk}).status_code == 400


def test_an_action_on_chosen_rows_leaves_out_those_out_of_sight(world, enter):
    """Every action of every list, with rows of others ticked."""
    client, tried = enter(world.ana), 0
    for model, model_admin in admin.site._registry.items():
        kind, name = MODELS[model._meta.label_lower]
        if not model_admin.actions:
            continue
        row = getattr(world, name, None) or world.case("far")[name]
        before = rows_of(type(row))
        for action in model_admin.actions:
            action_name = action if isinstance(action, str) else action.__name__
            ticked = {"action": action_name, "_selected_action": [row.pk], "index": "0"}
            wishes = {"priority": "high", "assign_to": world.ana.pk, "tags": [world.tag.pk]}
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            response = client.post(url, {**ticked, **wishes, "reason": "x", "how": "end"})
            assert response.status_code in {200, 302, 403}, action_name
            assert rows_of(type(row)) == before, action_name
            if kind == ADMIN:
                assert response.status_code == 403, action_name
            tried += 1
    assert tried > 15


# --- Fields that nobody asked for -----------------------------------------------------------------

# What a PATCH of an admin may change of each resource; everything else of the row stays.
WRITABLE = {
    "leads": (
        Lead,
        {"name", "email", "phone", "document", "company", "need", "status", "attributes"},
    ),
    "tickets": (Ticket, {"subject", "priority"}),
    "channels": (
        Channel,
        {
            *("name", "external_id", "account_id", "display_number", "identity_scope"),
            *("settings", "rate_per_second", "idle_minutes", "is_active"),
            *("paused_until", "pause_reason", "credentials"),
        },
    ),
    "departments": (
        Department,
        {
            *("name", "slug", "calendar", "is_active", "shares_tickets", "reopen_days"),
            *("warn_silent_after_hours", "close_silent_after_hours", "required_at_resolution"),
        },
    ),
    "users": (
        User,
        {
            *("username", "first_name", "last_name", "email", "role", "capacity", "language"),
            *("signature", "password"),
        },
    ),
}
SET_BY_ITSELF = {"updated_at"}


def wish(field):
    """Another value than there can be, of the right kind."""
    kind = field.get_internal_type()
    if "Integer" in kind or "AutoField" in kind or "ForeignKey" in kind:
        return 77
    if "Boolean" in kind:
        return True
    if "Date" in kind:
        return "2001-01-01T00:00:00Z"
    return {"tomado": 1} if "JSON" in kind else "tomado"


def test_every_resource_that_can_be_changed_is_tried():
    changed = {
        prefix
        for prefix, viewset, _name in router.registry
        if hasattr(viewset, "partial_update") and "patch" in viewset.http_method_names
    }
    assert changed == set(WRITABLE)


@pytest.mark.parametrize("prefix", WRITABLE)
def test_a_field_that_is_not_offered_is_never_applied(world, prefix):
    model, writable = WRITABLE[prefix]
    rows = {"leads": world.case("own").lead, "tickets": world.case("own").ticket}
    others = {"channels": world.channel, "departments": world.sales, "users": world.ana}
    row = {**rows, **others}[prefix]
    fixed = {
        field.attname: field
        for field in model._meta.concrete_fields
        if field.name not in writable | SET_BY_ITSELF
    }
    before = {name: getattr(model.objects.get(pk=row.pk), name) for name in fixed}
    body = {field.name: wish(field) for field in fixed.values()}
    body |= {name: wish(field) for name, field in fixed.items()}
    body.pop("attendant", None)  # an admin says it: of the lead alone, and not by its column
    body.pop("kind", None)  # told that it cannot change
    body.pop("slug", None) if prefix == "channels" else None
    response = api(world.root).patch(f"/api/v1/{prefix}/{row.pk}/", body, format="json")
    assert response.status_code in {200, 400}
    after = {name: getattr(model.objects.get(pk=row.pk), name) for name in fixed}
    assert after == before


def test_a_new_row_takes_no_field_that_is_not_offered(world):
    program = api(world.root)
    lead = {"name": "Nova", "is_simulated": True, "merged_into": 1, "opted_out_at": "2001-01-01"}
    made = program.post("/api/v1/leads/", {**lead, "id": 7777}, format="json")
    assert made.status_code == 201
    found = Lead.objects.get(pk=made.json()["id"])
    assert found.pk != 7777
    assert (found.is_simulated, found.merged_into, found.opted_out_at) == (False, None, None)
    department = {"slug": "nova", "name": "Nova", "is_fallback": True}
    assert program.post("/api/v1/departments/", department, format="json").status_code == 201
    assert not Department.objects.get(slug="nova").is_fallback
    channel = {"slug": "novo", "name": "Novo", "kind": "whatsapp_cloud", "is_default": True}
    assert program.post("/api/v1/channels/", channel, format="json").status_code == 201
    assert not Channel.objects.get(slug="novo").is_default


def test_a_reply_is_signed_by_whoever_sends_it(world):
    body = {
        "session": world.case("own").session.pk,
        "text": "Oi",
        "client_id": str(uuid4()),
        "author": "bot",
        "author_user": world.root.pk,
        "status": "sent",
        "direction": "in",
        "channel": world.other_channel.pk,
    }
    said = api(world.ana).post("/api/v1/messages/", body, format="json")
    assert said.status_code == 201, said.json()
    told = said.json()
    assert (told["author"], told["author_user"]) == ("attendant", world.ana.pk)
    assert (told["direction"], told["channel"]) == ("out", world.channel.pk)
    assert told["status"] == "queued"


# --- What an address spells out -------------------------------------------------------------------

ORACLES = [
    ("leads_lead", "document__startswith", "5"),
    ("leads_lead", "attendant__password__startswith", "m"),
    ("leads_lead", "attributes__bairro__startswith", "mk"),
    ("leads_identity", "lead__document__startswith", "5"),
    ("users_user", "password__startswith", "m"),
    ("users_user", "api_tokens__digest__startswith", "a"),
    ("users_user", "email__startswith", "a"),
    ("tickets_ticketevent", "actor__password__startswith", "m"),
    ("chatbot_messagelog", "session__context__cpf__startswith", "5"),
    ("chatbot_messagelog", "author_user__password__startswith", "m"),
    ("chatbot_flowlog", "context_set__plano__startswith", "mk"),
    ("sessions_app_session", "lead__document__startswith", "5"),
    ("sessions_app_session", "context__cpf__startswith", "5"),
    ("tickets_cannedresponse", "department__users__password__startswith", "m"),
]


@pytest.mark.parametrize(("model", "lookup", "value"), ORACLES)
def test_no_address_asks_a_list_for_a_column_that_it_does_not_show(
    world, enter, model, lookup, value
):
    """Else whoever asks often enough reads what is masked, letter by letter."""
    url = reverse(f"admin:{model}_changelist")
    for user in (world.ana, world.admin):
        assert enter(user).get(url, {lookup: value}).status_code == 400


def test_a_filter_of_the_api_that_is_not_offered_changes_nothing(world):
    program, url = api(world.ana), "/api/v1/leads/"
    every = program.get(url).json()["results"]
    for lookup in ("document", "document__startswith", "attendant__password__startswith"):
        assert program.get(url, {lookup: "0"}).json()["results"] == every
    for order in ("document", "-document", "attendant__password"):
        ordered = program.get(url, {"ordering": order}).json()["results"]
        assert [row["id"] for row in ordered] == [row["id"] for row in every]


def test_a_token_opens_no_more_than_its_scopes(world):
    case = world.case("own")
    _row, text = create_token(world.ana, name="x", scopes=["leads:read"])
    headers = {"Authorization": f"Bearer {text}"}
    program = api()
    assert program.get("/api/v1/leads/", headers=headers).status_code == 200
    for prefix, _viewset, _name in router.registry:
        if prefix != "leads":
            assert program.get(f"/api/v1/{prefix}/", headers=headers).status_code == 403, prefix
    url = f"/api/v1/leads/{case.lead.pk}/"
    assert program.patch(url, {"name": "X"}, headers=headers).status_code == 403
    assert program.get(reverse("admin:index"), headers=headers).status_code == 302
