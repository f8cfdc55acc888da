"""What lists, searches, filters, counts and choices give away about rows that are out of sight."""

import re

import pytest
from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.db.models import ForeignKey, ManyToManyField
from django.urls import reverse

from chatbot.models import MessageLog
from config.api import router
from config.badges import badges_of
from config.tests.walk.asking import Asker
from config.tests.walk.rules import ADMIN, MODELS, STAFF
from config.tests.walk.world import OF_LEAD, OF_SESSION, OF_TICKET, World, mark
from leads.models import Lead
from sessions_app.models import Session
from tickets.models import Notification, Ticket

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_no_look_at_queries")]
ATTENDANTS = ("ana", "bia", "sara")
FAR = {"ana": "far", "bia": "mate", "sara": "mate"}  # a case that the role must not see


@pytest.fixture(params=ATTENDANTS)
def asker(request):
    return Asker(World(), request.param)


@pytest.fixture
def world(asker):
    asker.world.remember()
    return asker.world


@pytest.fixture
def sight(asker, world):
    return world.sight(asker.role)


def leaks(asker, answer):
    return sorted(answer.marks - asker.world.sight(asker.role).marks(asker.world.leads_of))


# --- Lists of the console -------------------------------------------------------------------------


def visible_keys(world, sight, label):
    """The keys of the world's rows that stand for a model and that this role sees; None: all."""
    kind, name = MODELS[label]
    if kind in {STAFF, ADMIN}:
        return None
    rows = {case: one.rows.get(name) for case, one in world.cases.items()}
    return {row.pk for case, row in rows.items() if row and case in getattr(sight, kind)}


def every_key(world, label):
    rows = (one.rows.get(MODELS[label][1]) for one in world.cases.values())
    return {row.pk for row in rows if row}


def changelists():
    for model in admin.site._registry:
        label = model._meta.label_lower
        if label in MODELS and MODELS[label][0] not in {STAFF, ADMIN}:
            yield model


def addresses_of(world, role, model_admin):
    """The list as it opens, in each order, searched for and filtered by what is out of sight."""
    far = world.case(FAR[role])
    yield ""
    yield "?_facets=True"
    yield f"?q={mark(FAR[role], 'lead')}"
    yield f"?q={far.ticket.protocol}"
    for number in range(1, len(model_admin.list_display) + 1):
        yield f"?o=-{number}"
    fields = {field.name: field for field in model_admin.model._meta.get_fields()}
    for name, row in (("lead", far.lead), ("session", far.session), ("ticket", far.ticket)):
        if name in fields:
            yield f"?{name}__id__exact={row.pk}"
            yield f"?{name}={row.pk}"


@pytest.mark.parametrize("model", list(changelists()), ids=lambda model: model._meta.label)
def test_a_list_has_no_row_and_no_count_of_what_is_out_of_sight(asker, world, sight, model):
    model_admin = admin.site.get_model_admin(model)
    keys = visible_keys(world, sight, model._meta.label_lower)
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    opened = 0
    for query in addresses_of(world, asker.role, model_admin):
        answer = asker.ask("GET", url + query)
        assert leaks(asker, answer) == [], query
        context = getattr(answer.response, "context_data", None)
        if answer.status != 200 or not context or "cl" not in context:
            continue
        opened += 1
        listed = {row.pk for row in context["cl"].result_list}
        hidden = every_key(world, model._meta.label_lower) - keys
        assert not listed & hidden, query
        total = model._base_manager.count()
        assert context["cl"].result_count <= total - len(hidden), query
    assert opened


# --- Choices --------------------------------------------------------------------------------------


def completed_fields():
    """Every relation by which a form could complete to a model whose rows are not everybody's."""
    for model in admin.site._registry:
        for field in (*model._meta.fields, *model._meta.many_to_many):
            if not isinstance(field, ForeignKey | ManyToManyField):
                continue
            target = admin.site._registry.get(field.remote_field.model)
            if isinstance(target, ModelAdmin) and target.search_fields:
                yield model, field


@pytest.mark.filterwarnings("ignore::django.core.paginator.UnorderedObjectListWarning")
def test_completing_a_word_offers_nothing_that_is_out_of_sight(asker, world, sight):
    asked = 0
    for model, field in completed_fields():
        for term in ("", "mk"):
            query = {
                "app_label": model._meta.app_label,
                "model_name": model._meta.model_name,
                "field_name": field.name,
                "term": term,
            }
            answer = asker.ask("GET", reverse("admin:autocomplete"), data=query)
            asked += 1
            assert leaks(asker, answer) == [], query
            if answer.status == 200:
                label = field.remote_field.model._meta.label_lower
                keys = visible_keys(world, sight, label)
                found = {int(one["id"]) for one in answer.response.json()["results"]}
                assert keys is None or not found & (every_key(world, label) - keys), query
    assert asked > 20


# --- The API --------------------------------------------------------------------------------------

# Which rows of the world a list of the API is about.
RESOURCES = {
    "messages": ("session", "message"),
    "flow-logs": ("session", "log"),
    "leads": ("lead", "lead"),
    "sessions": ("session", "session"),
    "tickets": ("ticket", "ticket"),
    "users": ("person", "user"),
}
EVERYBODYS = {"message-templates", "channels", "departments"}
ADMINS_ALONE = {"flows"}


def test_each_resource_is_told_apart():
    prefixes = {prefix for prefix, _viewset, _name in router.registry}
    assert prefixes == {*RESOURCES, *EVERYBODYS, *ADMINS_ALONE}


def filters_of(viewset):
    return list(viewset.filterset_class.base_filters)


@pytest.mark.parametrize("prefix", RESOURCES)
def test_a_filter_an_order_or_a_search_gives_nothing_that_is_out_of_sight(
    asker, world, sight, prefix
):
    kind, name = RESOURCES[prefix]
    viewset = next(one for found, one, _name in router.registry if found == prefix)
    far = world.case(FAR[asker.role])
    seen = getattr(sight, kind)
    rows = {case: one.rows[name].pk for case, one in world.cases.items() if name in one.rows}
    hidden = set(rows.values()) - {key for case, key in rows.items() if case in seen}
    values = {
        "lead": far.lead.pk,
        "session": far.session.pk,
        "assignee": far.ticket.assignee_id,
        "attendant": far.ticket.assignee_id,
        "protocol": far.ticket.protocol,
        "department": far.ticket.department.slug,
        "phone": far.lead.phone,
        "email": far.lead.email,
        "tag": f"tag{far.name}",
        "run": far["run"].pk,
    }
    queries = [{}, {"search": mark(far.name, "lead")}, {"search": far.ticket.protocol}]
    queries += [{name: values[name]} for name in filters_of(viewset) if name in values]
    orders = [f"{sign}{name}" for name in viewset.ordering_fields for sign in ("", "-")]
    queries += [{"ordering": order} for order in orders]
    queries += [{"ordering": "session__lead__name"}, {"lead__name": mark(far.name, "lead")}]
    for query in queries:
        answer = asker.ask("GET", f"/api/v1/{prefix}/", data=query)
        assert answer.status in {200, 400}, query
        assert leaks(asker, answer) == [], query
        if answer.status != 200:
            continue
        found = answer.response.json()
        listed = {row["id"] for row in found["results"]}
        assert not listed & hidden, query
        assert found["next"] is None, query  # so these are all


# --- Search, counts, files ------------------------------------------------------------------------


def test_no_search_finds_what_is_out_of_sight(asker, world):
    far = world.case(FAR[asker.role])
    words = [mark(far.name, kind) for kind in (*OF_LEAD, *OF_SESSION, *OF_TICKET)]
    for word in ["mk", far.ticket.protocol, far.lead.phone, far.lead.phone[-8:], *words]:
        for headers in ({}, {"hx-request": "true"}):
            answer = asker.ask("GET", reverse("search"), data={"q": word}, headers=headers)
            assert leaks(asker, answer) == [], word
            found = re.findall(r"/(?:ticket|lead|conversation)/(\d+)/", answer.text)
            if word.startswith(f"mk{far.name}"):
                assert not found, word
    start = asker.ask("GET", reverse("conversation_start_search"), data={"q": "mk"})
    assert leaks(asker, start) == []


def test_counts_are_of_what_is_seen(asker, world, sight):
    """Counted here by the list of the world, there by the program."""
    user = asker.user
    mine = [one for one in world.cases.values() if one.owner == user and one.name in sight.ticket]
    badges = badges_of(user)
    assert badges.tickets == len(mine)
    assert badges.sessions == len(sight.ticket)
    assert badges.notices == len(sight.mine)
    assert Ticket.objects.visible_to(user).count() == len(sight.ticket)
    assert Session.objects.visible_to(user).count() == len(sight.session)
    assert Lead.objects.visible_to(user).count() == len({world.leads_of[one] for one in sight.lead})
    assert MessageLog.objects.visible_to(user).count() == 3 * len(sight.session)
    assert Notification.objects.visible_to(user).count() == len(sight.mine)


def test_cards_and_files_of_the_start_page_hold_nothing_that_is_out_of_sight(asker, world):
    from config.home import PARTS  # noqa: PLC0415  # models

    for name in PARTS:
        for period in ("today", "7", "30"):
            answer = asker.ask("GET", reverse("home_card", args=[name]), data={"period": period})
            assert answer.status in {200, 404}
            assert leaks(asker, answer) == [], name
    assert leaks(asker, asker.ask("GET", reverse("home_export"))) == []
    exported = asker.ask("GET", reverse("admin:tickets_ticket_export"), data={"grupo": "todos"})
    lines = [line for line in exported.text.splitlines() if line.startswith("2026")]
    assert leaks(asker, exported) == []
    assert len(lines) == len(world.sight(asker.role).ticket)


@pytest.mark.parametrize("group", ["meus", "fila", "todos", "risco", "adiados", "resolvidos"])
def test_no_tab_of_the_inbox_counts_or_shows_what_is_out_of_sight(asker, world, sight, group):
    url = reverse("admin:tickets_ticket_changelist")
    answer = asker.ask("GET", url, data={"grupo": group, "status": ["open", "in_progress"]})
    assert leaks(asker, answer) == []
    for other in (world.sales, world.finance):
        column, htmx = reverse("admin:tickets_ticket_queue"), {"hx-request": "true"}
        beside = asker.ask("GET", column, data={"of": other.pk}, headers=htmx)
        assert leaks(asker, beside) == []
