"""What people write is text on every page: no element, no attribute, no link, no template."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils.html import escape

from chatbot.models import Flow, FlowVersion, MessageTemplate
from config.tests.walk import world as worlds
from config.tests.walk.pages import pages
from leads.models import Lead, Tag
from sessions_app.models import Channel
from tickets.models import Ticket
from users.models import Department, User
from users.tests.recipes import api

pytestmark = pytest.mark.django_db

# None longer than the shortest column that holds a text (40).
PAYLOADS = {
    "element": "'\"></script></textarea><zq zqa=1>",
    "title": "</title></style></svg>--><zq zqa=1>",
    "attribute": "\" zqa=1 ' zqa='1 autofocus zqa=1 x=`",
    "handler": "\"onfocus=zq() onerror='zq()' autofocus ",
    "emphasis": "*<zq zqa=1>* _\"zqa=1_ ~'zqa='1~",
    "link": "javascript:zq()//https://a.b [x](j:y)",
    "template": "{{7|add:1337000}}{%zq%}{{7*191001}}",  # 1337007, which no id comes to
    "unicode": "\u202e<\u200bzq>%3Czq%3E&lt;zq&gt;＜zq＞",  # noqa: RUF001  # the wide forms
}
ON_EVERY_PAGE = ("element", "attribute", "link", "template")  # the rest in answers to forms
FORBIDDEN_SCHEME = re.compile(r"^[\s\x00-\x20]*(javascript|vbscript|data:text)", re.IGNORECASE)
LINKS = {"href", "src", "action", "formaction", "xlink:href", "poster", "data", "srcdoc"}


class Reader(HTMLParser):
    """What a browser would make of a page; `wrong` is what nobody of us wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.tags = 0

    def handle_starttag(self, tag, attrs):
        self.tags += 1
        if tag.startswith("zq") or tag in {"iframe", "object", "embed", "base"}:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith(("zq", "on", "hx-on")) or (name == "autofocus" and value):
                self.wrong.append(f"{tag} {name}={value}")
            if name in {"style", "srcdoc"}:
                self.wrong.append(f"{tag} {name}")
            if name in LINKS and value and FORBIDDEN_SCHEME.match(value):
                self.wrong.append(f"{tag} {name}={value}")
            if name in {"hx-get", "hx-post"} and value and not value.startswith(("/", "?")):
                self.wrong.append(f"{tag} {name}={value}")

    handle_startendtag = handle_starttag


def wrong_in(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    found = reader.wrong
    if "1337007" in text:
        found = [*found, "a template was rendered"]
    return found


@pytest.fixture(params=PAYLOADS)
def payload(request):
    return PAYLOADS[request.param]


@pytest.fixture
def hostile(payload, monkeypatch):
    """The small company, in which everybody writes the payload everywhere."""
    monkeypatch.setattr(worlds, "mark", lambda _case, _kind: payload)
    world = worlds.World()
    Department.objects.filter(pk=world.sales.pk).update(name=payload)
    Tag.objects.filter(pk=world.tag.pk).update(name=payload)
    Channel.objects.filter(pk=world.channel.pk).update(name=payload, display_number=payload[:20])
    User.objects.filter(pk=world.ana.pk).update(
        first_name=payload, last_name="", signature=payload, email=payload
    )
    Lead.objects.update(company=payload, referral={"headline": payload, "source_url": payload})
    Ticket.objects.update(
        variables={payload: payload},
        handoff={"reason": payload, "steps": [payload], "word": payload, "sensitive": []},
    )
    MessageTemplate.objects.update(components=[{"type": "BODY", "text": payload}], reason=payload)
    draft = json.loads(json.dumps(world.flow.draft).replace("Qual ", "Qual ? "))
    draft["name"] = payload
    draft["nodes"]["nome"]["text"] = draft["nodes"]["nome"]["title"] = payload
    draft["nodes"]["equipe"]["text"] = payload
    if "{{" not in payload:  # what is no variable cannot be read as a flow
        Flow.objects.update(draft=draft, name=payload, description=payload)
        FlowVersion.objects.update(document=draft, note=payload)
    world.ana.refresh_from_db()
    return world


def typed(world, payload):
    """Pages that say back what was asked for."""
    lists = ("tickets_ticket", "leads_lead", "chatbot_messagelog", "users_user", "chatbot_flow")
    for name in lists:
        yield reverse(f"admin:{name}_changelist"), {"q": payload}
        yield reverse(f"admin:{name}_changelist"), {payload: payload, "e": payload, "p": payload}
    yield reverse("search"), {"q": payload}
    yield reverse("conversation_start_search"), {"q": payload, "phone": payload}
    yield reverse("admin:login"), {"next": payload, "expirou": payload}
    yield reverse("admin:index"), {"period": payload}
    yield "/admin/tickets/ticket/", {"grupo": payload, "status": payload, "ordem": payload}
    yield f"/admin/{payload}/", {}
    yield "/admin/leads/lead/x/change/", {"_changelist_filters": payload}
    for session in (world.case("own").session,):
        yield reverse("conversation", args=[session.pk]), {"before": payload}
        yield reverse("conversation_earlier", args=[session.pk]), {"before": "999999"}
        yield reverse("conversation_messages", args=[session.pk]), {"standing": payload}
        yield reverse("conversation_box", args=[session.pk]), {"templates": "1", "next": payload}
    print_page = reverse("admin:tickets_ticket_print", args=[world.case("own").ticket.pk])
    yield print_page, {"notes": "1"}


@pytest.mark.usefixtures("_no_look_at_queries")
@pytest.mark.parametrize("payload", [PAYLOADS[one] for one in ON_EVERY_PAGE], ids=ON_EVERY_PAGE)
def test_no_page_makes_markup_of_what_people_write(hostile, payload, enter):
    admin, attendant = enter(hostile.admin), enter(hostile.ana)
    asked = [(admin, path, {}, {}) for path in pages(hostile)]
    asked += [(admin, path, query, {}) for path, query in typed(hostile, payload)]
    if payload == PAYLOADS["element"]:  # another role has pages of its own: once is enough
        asked += [(attendant, *rest) for _client, *rest in asked]
        asked += [(admin, path, {}, {"hx-request": "true"}) for path in pages(hostile)]
    read, shown, found = 0, 0, []
    for client, path, query, headers in asked:
        response = client.get(path, query, headers=headers)
        if response.status_code >= 500:
            found.append(f"{path}: {response.status_code}")
        is_page = response.get("Content-Type", "").startswith("text/html")
        if is_page and not response.streaming:
            read += 1
            shown += escape(payload) in response.text
            found += [f"{path} {query}: {one}" for one in wrong_in(response.text)]
    assert not found, "\n".join(found)
    assert read > 100
    assert shown > 40  # as text


@pytest.mark.usefixtures("_no_look_at_queries")
def test_no_answer_to_a_form_makes_markup_of_it(hostile, payload, enter):
    """What is typed comes back where it is refused, and in the sentence that tells of it."""
    case, client, found = hostile.case("own"), enter(hostile.ana), []
    ticket, lead, session = case.ticket.pk, case.lead.pk, case.session.pk
    posts = [
        (reverse("admin:leads_lead_field", args=[lead, "name"]), {"name": payload}),
        (reverse("admin:leads_lead_field", args=[lead, "phone"]), {"phone": payload}),
        (reverse("admin:leads_lead_note", args=[lead]), {"text": payload}),
        (reverse("admin:leads_lead_tags", args=[lead]), {"add": payload}),
        (reverse("admin:leads_lead_stage", args=[lead]), {"status": "lost", "reason": payload}),
        (reverse("admin:tickets_ticket_subject", args=[ticket]), {"subject": payload}),
        (reverse("admin:tickets_ticket_tags", args=[ticket]), {"add": payload}),
        (reverse("admin:tickets_ticket_resolve", args=[ticket]), {"note": payload, "tag": payload}),
        (reverse("admin:tickets_ticket_views"), {"name": payload, "query": payload}),
        (reverse("conversation_note", args=[session]), {"ticket": ticket, "text": payload}),
        (reverse("conversation_reply", args=[session]), {"text": payload, "client_id": payload}),
        (reverse("conversation_template", args=[session]), {"template": payload}),
        (reverse("profile"), {"first_name": payload, "language": payload}),
        (reverse("conversation_start", args=[lead]), {"text": payload, "channel": payload}),
        (reverse("admin:login"), {"username": payload, "password": payload, "next": payload}),
    ]
    for htmx in ({}, {"hx-request": "true"}):
        for url, data in posts:
            response = client.post(url, data, headers=htmx)
            assert response.status_code < 500, url
            told = [str(one) for one in get_messages(response.wsgi_request)]
            assert all("<zq" not in one or isinstance(one, str) for one in told)
            trigger = response.get("HX-Trigger", "")
            assert trigger.isascii()
            if response.get("Content-Type", "").startswith("text/html"):
                found += [f"{url}: {one}" for one in wrong_in(response.text)]
        after = client.get(reverse("admin:tickets_ticket_change", args=[ticket]))
        found += [f"after: {one}" for one in wrong_in(after.text)]
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("_no_look_at_queries")
def test_the_api_is_never_read_as_a_page(hostile):
    for url in ("/api/v1/leads/", "/api/v1/tickets/", "/api/v1/messages/", "/api/v1/nowhere/"):
        response = api(hostile.ana).get(url, headers={"accept": "text/html"})
        assert response["X-Content-Type-Options"] == "nosniff"
        if response.status_code != 404:
            assert response["Content-Type"].startswith("application/json")


def test_the_reader_sees_what_it_must_not_overlook():
    assert wrong_in("<p><zq zqa=1>") == ["<zq>", "zq zqa=1"]
    assert wrong_in('<a href=" javascript:zq()">') == ["a href= javascript:zq()"]
    assert wrong_in("<img src=x onerror='zq()'>") == ["img onerror=zq()"]
    assert wrong_in("<script>'</script><zq>") == ["<zq>"]
    assert wrong_in("<p>1337007") == ["a template was rendered"]
    assert wrong_in("<p>&lt;zq&gt; javascript:zq()") == []
