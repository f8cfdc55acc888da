from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from chatbot.tests import recipes
from config.api import router
from users import tokens
from users.models import ApiToken
from users.tests.recipes import ana, bia, token

pytestmark = pytest.mark.django_db

OWN, NEW = reverse("own_tokens"), reverse("own_token_new")


def made(client, **changes):
    form = {"name": "painel", "scopes": ["leads:read"], "expires_on": "", **changes}
    return client.post(NEW, form)


def test_the_form_offers_the_scopes_of_the_api():
    scopes = {viewset.scope for _prefix, viewset, _name in router.registry}
    assert {one.scope for one in tokens.RESOURCES} == scopes


def test_a_token_is_shown_once_and_works(client):
    client.force_login(bia())
    answer = made(client)
    text = answer.context["text"]

    assert text in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert text not in client.get(OWN).content.decode()
    program = APIClient(headers={"Authorization": f"Bearer {text}"})
    assert program.get("/api/v1/leads/").status_code == 200
    assert program.get("/api/v1/tickets/").status_code == 403
    assert client.get(OWN).context["rows"][0]["token"].last_used_at is not None


def test_a_token_sees_no_more_than_its_owner(client):
    hidden = recipes.lead(name="De outra pessoa")
    client.force_login(bia())
    text = made(client).context["text"]
    program = APIClient(headers={"Authorization": f"Bearer {text}"})
    assert program.get(f"/api/v1/leads/{hidden.pk}/").status_code == 404


def test_ninety_days_are_suggested_and_the_day_counts_to_its_end(client):
    client.force_login(bia())
    day = client.get(NEW).context["form"].initial["expires_on"]
    assert day == timezone.localdate() + timedelta(days=90)
    made(client, expires_on=day.isoformat())
    assert timezone.localtime(ApiToken.objects.get().expires_at).date() == day


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": ""}, id="no name"),
        pytest.param({"scopes": []}, id="no scope"),
        pytest.param({"scopes": ["everything:write"]}, id="no such scope"),
        pytest.param({"scopes": ["*:write"]}, id="all at once"),
        pytest.param({"expires_on": "2020-01-01"}, id="a day that is over"),
        pytest.param({"expires_on": "amanhã"}, id="no day"),
    ],
)
def test_a_form_that_is_no_good_makes_no_token_and_loses_nothing(client, changes):
    client.force_login(bia())
    answer = made(client, **changes)
    assert answer.context["form"].errors
    assert not ApiToken.objects.exists()
    if "name" not in changes:
        assert 'value="painel"' in answer.content.decode()


def test_revoking_is_for_ones_own(client):
    mine, others = token(bia())[0], token(ana())[0]
    client.force_login(bia())
    assert client.post(reverse("own_token_revoke", args=[mine.pk])).status_code == 302
    assert client.post(reverse("own_token_revoke", args=[others.pk])).status_code == 404
    mine.refresh_from_db()
    others.refresh_from_db()
    assert mine.revoked_at is not None
    assert others.revoked_at is None


def test_the_list_costs_the_same_for_many(client, django_assert_max_num_queries):
    for _number in range(10):
        token(bia())
    client.force_login(bia())
    with django_assert_max_num_queries(8):
        client.get(OWN)


def test_a_token_that_never_ends_is_a_mistake(client):
    client.force_login(bia())
    assert "expires_on" in made(client, expires_on="9999-12-31").context["form"].errors
    assert not ApiToken.objects.exists()
