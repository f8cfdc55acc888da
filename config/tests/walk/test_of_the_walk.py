"""The walk itself: what it must not overlook."""

import pytest
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from config.tests.walk import rules, walking
from config.tests.walk.routes import routes
from config.tests.walk.rules import MODELS, RULES, STAFF, TICKET, Rule
from config.tests.walk.walking import Walk, without_csrf
from config.tests.walk.world import World
from tickets.models import Ticket
from users.permissions import ATTENDANT_PERMISSIONS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_no_look_at_queries")]

# --- A site with holes, beside the real one -------------------------------------------------------


def unprotected(request):
    return HttpResponse("Tudo")


def leaking(request, ticket_id):
    """Looks at the row without asking whose it is."""
    return HttpResponse(Ticket.objects.get(pk=ticket_id).subject)


def counting(request):
    """Tells of all tickets in a list that everybody may open."""
    return JsonResponse({"subjects": list(Ticket.objects.values_list("subject", flat=True))})


def writing(request):
    """Changes something by being looked at."""
    Ticket.objects.update(subject="Outro")
    return HttpResponse("Feito")


console = admin.site.admin_view
urlpatterns = [
    path("nova/", unprotected, name="new_one"),
    path("aberta/", login_not_required(unprotected), name="open_one"),
    path("vaza/<int:ticket_id>/", console(leaking), name="leaking_one"),
    path("conta/", console(counting), name="counting_one"),
    path("sem-prova/", csrf_exempt(writing), name="exempt_one"),
    path("escreve/", console(writing), name="writing_one"),
    path("", include("config.urls")),
]
HOLES = __name__


def walked(monkeypatch, role, name, rule=None):
    """Only this route of the site with holes; under a rule, if one is declared for it."""
    if rule is not None:
        monkeypatch.setitem(RULES, name, rule)
    found = [one for one in routes(HOLES) if one.name == name]
    assert found
    monkeypatch.setattr(walking, "routes", lambda _urlconf: found)
    return Walk(World(), role).go().problems


@pytest.fixture
def _site_with_holes(settings):
    settings.ROOT_URLCONF = HOLES


holes = pytest.mark.usefixtures("_site_with_holes")


@holes
def test_a_route_without_a_rule_is_named_with_what_to_write(monkeypatch):
    (problem,) = walked(monkeypatch, "outsider", "new_one")
    assert problem.startswith("no rule: new_one (/nova/): add _(OPEN | STAFF | ADMIN")
    assert "config/tests/walk/rules.py" in problem


@holes
def test_a_model_admin_without_a_rule_is_named_with_what_to_write(monkeypatch):
    monkeypatch.delitem(MODELS, "tickets.ticket")
    (problem,) = walked(monkeypatch, "outsider", "admin:tickets_ticket_changelist")
    assert 'add "tickets.ticket": (ADMIN | STAFF' in problem


@holes
def test_a_view_that_anybody_may_open_is_found(monkeypatch):
    problems = walked(monkeypatch, "outsider", "open_one", Rule(STAFF, ("GET",)))
    assert "outsider GET open_one [own]: 200, but stranger" in problems


@holes
def test_a_view_that_skips_the_visible_rows_is_found(monkeypatch):
    problems = walked(monkeypatch, "ana", "leaking_one", Rule(STAFF, ("GET",), TICKET))
    assert "ana GET leaking_one [far]: 200, but hidden" in problems
    assert "ana GET leaking_one [far]: shows mkfarsubjectx" in problems
    assert not any("GET leaking_one [own]" in problem for problem in problems)


@holes
def test_a_list_that_holds_too_much_is_found(monkeypatch):
    problems = walked(monkeypatch, "bia", "counting_one", Rule(STAFF, ("GET",)))
    (shown,) = [problem for problem in problems if "shows" in problem and " GET " in problem]
    assert "mkownsubjectx" in shown
    assert "mkfarsubjectx" not in shown


@holes
def test_a_page_that_writes_by_being_looked_at_is_found(monkeypatch):
    problems = walked(monkeypatch, "admin", "writing_one", Rule(STAFF, ("GET",)))
    assert "admin GET writing_one [far]: passes, but changed tickets_ticket" in problems


@holes
def test_a_post_that_needs_no_csrf_token_is_found(monkeypatch):
    names = ("writing_one", "exempt_one")
    for name in names:
        monkeypatch.setitem(RULES, name, Rule(STAFF, ("POST",)))
    found = [one for one in routes(HOLES) if one.name in names]
    monkeypatch.setattr(walking, "routes", lambda _urlconf: found)
    (problem,) = without_csrf(World(), "admin").problems
    assert "exempt_one without a token: 200 ['tickets_ticket']" in problem


# --- The tables ----------------------------------------------------------------------------------


def test_no_rule_stands_for_a_route_that_is_gone():
    names = {route.name for route in routes()}
    assert set(RULES) <= names
    bodies = set(rules.BODIES) | {name for name, _method in rules.ODD}
    assert bodies <= names


def test_no_rule_stands_for_a_model_that_has_no_page():
    assert set(MODELS) == {model._meta.label_lower for model in admin.site._registry}


def test_the_table_of_models_and_the_permissions_of_attendants_agree():
    looked_at = {label for label, (kind, _row) in MODELS.items() if kind != rules.ADMIN}
    allowed = {
        model._meta.label_lower
        for model in admin.site._registry
        if f"{model._meta.app_label}.view_{model._meta.model_name}" in ATTENDANT_PERMISSIONS
    }
    assert looked_at == allowed


def test_sights_that_are_written_down_are_those_of_the_program():
    world = World()
    for role in ("ana", "bia", "admin"):
        user, sight = getattr(world, role), world.sight(role)
        for kind in ("lead", "session", "ticket", "person", "canned"):
            name = {"person": "user"}.get(kind, kind)
            rows = {case: one.rows.get(name) for case, one in world.cases.items()}
            made = {case: row for case, row in rows.items() if row is not None}
            model = type(next(iter(made.values())))
            seen = set(model.objects.visible_to(user).values_list("pk", flat=True))
            expected = {row.pk for case, row in made.items() if case in getattr(sight, kind)}
            assert {row.pk for row in made.values()} & seen == expected, (role, kind)
