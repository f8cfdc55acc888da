"""What stands under a conversation: replies that are held, notes, drafts, canned responses, files,
and what a poll costs."""

import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker

from chatbot import delivery
from chatbot.models import Author, MessageLog, MessageStatus
from chatbot.tests import recipes
from sessions_app.models import EndReason, Owner, Session
from tickets import services as tickets
from tickets.models import CannedResponse, Draft, DraftKind, InternalNote, TicketStatus
from users.errors import DomainError
from users.models import User

pytestmark = pytest.mark.django_db

AUTHENTICATION = 2  # the session cookie and its user
HTMX = {"HX-Request": "true"}


@pytest.fixture
def session():
    until = timezone.now() + timedelta(hours=20)
    return recipes.session(owner=Owner.QUEUE, window_expires_at=until)


@pytest.fixture
def ticket(session):
    return recipes.ticket(session=session, department=recipes.department("vendas"))


@pytest.fixture
def bia(client, ticket):
    client.force_login(recipes.bia())
    return client


def url(name, session, *more, **query):
    return reverse(f"conversation_{name}", args=[session.pk, *more], query=query or None)


def seen(session, **fields):
    """What a page that has just been opened says it shows."""
    last = MessageLog.objects.filter(session=session).order_by("-pk").first()
    ticket = tickets.open_ticket_of(session)
    assignee = ticket.assignee_id if ticket else None
    shown = {"seen_message": last.pk if last else 0, "seen_assignee": assignee or 0}
    return {"client_id": str(uuid4()), **shown, **fields}


def say(client, session, text="Bom dia.", **fields):
    form = {"text": text, **fields}
    return client.post(url("reply", session), form, headers=HTMX)


def a_colleague(**fields):
    colleague = baker.make(User, first_name="Dora", username="dora", **fields)
    colleague.departments.add(recipes.department("vendas"))
    return colleague


# --- Replies -----------------------------------------------------------------------------------


def test_an_answer_brings_its_bubble_and_says_who_sent_it(bia, session):
    form = seen(session)
    page = say(bia, session, **form).content.decode()
    assert f'data-client="{form["client_id"]}"' in page
    assert "Bom dia." in page


def test_a_reply_that_has_not_seen_a_colleagues_is_held_and_shown_the_news(bia, session, ticket):
    form = seen(session)
    dora = a_colleague()
    tickets.claim(ticket, user=dora)
    recipes.outbound(session, "Já respondi.", author=Author.ATTENDANT, author_user=dora)
    tickets.release(ticket, actor=dora)
    answer = say(bia, session, "Eu também.", **form)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert 'data-refusal="reply_held"' in page
    assert "data-insist" in page
    assert "Dora" in page
    assert "Já respondi." in page  # the news
    assert not MessageLog.objects.filter(text="Eu também.").exists()


def test_a_held_reply_is_sent_once_its_author_has_read_the_news(bia, session, ticket):
    form = seen(session)
    recipes.outbound(session, "Do celular.", author=Author.ATTENDANT)  # on the company's phone
    assert say(bia, session, "Eu.", **form).status_code == 409
    again = {**seen(session), "client_id": form["client_id"]}
    for _click in range(2):
        assert say(bia, session, "Eu.", **again).status_code == 200
    assert MessageLog.objects.filter(text="Eu.").count() == 1


def test_a_reply_to_a_ticket_that_left_ones_hands_is_held(bia, session, ticket):
    tickets.claim(ticket, user=recipes.bia())
    form = seen(session)
    tickets.release(ticket, actor=recipes.ana())
    answer = say(bia, session, **form)
    assert answer.status_code == 409
    assert "data-insist" in answer.content.decode()
    assert say(bia, session, **seen(session)).status_code == 200


def test_a_reply_to_a_colleagues_ticket_names_who_has_it_and_cannot_insist(bia, session, ticket):
    form = seen(session)
    shared = ticket.department
    shared.shares_tickets = True
    shared.save()
    tickets.claim(ticket, user=a_colleague())
    answer = say(bia, session, **form)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Dora" in page
    assert "data-insist" not in page


def test_ones_own_message_from_another_tab_holds_nothing_back(bia, session, ticket):
    form = seen(session)
    assert say(bia, session, "Um.", **seen(session)).status_code == 200
    assert say(bia, session, "Dois.", **form).status_code == 200


def test_a_quote_travels_with_the_answer(bia, session):
    asked = recipes.inbound(session, "Qual o valor?")
    assert say(bia, session, "129,90.", reply_to=asked.pk).status_code == 200
    row = MessageLog.objects.outbound().get()
    assert row.reply_to == asked.provider_id
    page = bia.get(reverse("conversation", args=[session.pk])).content.decode()
    assert f'href="#message-{asked.pk}"' in page


def test_a_message_of_another_person_is_not_quoted(bia, session):
    other = recipes.inbound(recipes.session(), "De outra pessoa")
    assert say(bia, session, "Oi.", reply_to=other.pk).status_code == 200
    assert MessageLog.objects.outbound().get().reply_to == ""


def test_a_signature_stands_above_the_text_when_it_is_asked_for(bia, session):
    User.objects.filter(username="bia").update(signature="Bia, Vendas")
    assert say(bia, session, "Bom dia.", sign="1").status_code == 200
    assert MessageLog.objects.outbound().get().text == "*Bia, Vendas:*\nBom dia."


def test_a_window_that_closes_while_one_writes_keeps_the_text_beside_the_templates(bia, session):
    Session.objects.update(window_expires_at=timezone.now())
    answer = say(bia, session, "Ainda aí?", **seen(session))
    page = answer.content.decode()
    assert answer.status_code == 409
    assert 'data-refusal="window_closed"' in page
    assert f'id="box-{session.pk}"' in page
    assert "Ainda aí?" in page


def test_without_a_script_a_refused_text_comes_back_as_a_draft(bia, session, ticket):
    recipes.outbound(session, "Do celular.", author=Author.ATTENDANT)
    form = {**seen(session), "seen_message": 0, "text": "Minha resposta."}
    answer = bia.post(url("reply", session), form, follow=True)
    assert "Minha resposta." in answer.content.decode()
    assert not MessageLog.objects.filter(text="Minha resposta.").exists()


def test_a_file_that_the_channel_does_not_take_says_so(bia, session):
    empty = SimpleUploadedFile("nada.txt", b"")
    answer = bia.post(url("reply", session), {"file": empty}, headers=HTMX)
    assert answer.status_code == 400
    assert 'data-refusal="file_empty"' in answer.content.decode()


# --- Another ticket than the page's --------------------------------------------------------------


@pytest.fixture
def earlier(session):
    """A ticket of Bia's that is resolved, in a conversation that goes on without her."""
    about = {"assignee": recipes.bia(), "department": recipes.department("vendas")}
    past = {"status": TicketStatus.RESOLVED, "resolved_at": timezone.now(), **about}
    return recipes.ticket(session=session, **past)


def test_a_ticket_in_another_queue_is_not_taken_from_an_earlier_ones_page(client, session, earlier):
    waits = recipes.ticket(session=session, department=recipes.department("suporte"))
    client.force_login(recipes.bia())
    answer = say(client, session, ticket=earlier.pk)
    assert answer.status_code == 409
    assert 'data-refusal="in_other_queue"' in answer.content.decode()
    waits.refresh_from_db()
    assert waits.assignee is None
    assert not MessageLog.objects.exists()


def test_a_reply_forgets_the_draft_of_the_page_that_it_is_sent_from(client, session, earlier):
    Session.objects.update(owner=Owner.BOT)
    client.force_login(recipes.bia())
    Draft.objects.create(ticket=earlier, user=recipes.bia(), kind="reply", text="Bom dia.")
    page = client.get(reverse("admin:tickets_ticket_change", args=[earlier.pk])).content.decode()
    assert re.search(rf'name="ticket"\s+value="{earlier.pk}"\s+form="reply-{session.pk}"', page)
    assert say(client, session, ticket=earlier.pk).status_code == 200
    assert not Draft.objects.exists()


def test_a_refused_reply_is_kept_in_the_ticket_of_its_page(client, session, earlier):
    recipes.ticket(session=session, department=recipes.department("suporte"))
    client.force_login(recipes.bia())
    client.post(url("reply", session), {"text": "Ainda aí?", "ticket": earlier.pk})
    kept = Draft.objects.get()
    assert (kept.ticket, kept.kind, kept.text) == (earlier, DraftKind.REPLY, "Ainda aí?")


def test_a_refused_reply_is_not_kept_in_a_ticket_that_one_does_not_see(client, session, earlier):
    waits = recipes.ticket(session=session, department=recipes.department("suporte"))
    client.force_login(recipes.bia())
    client.post(url("reply", session), {"text": "Ainda aí?", "ticket": waits.pk})
    assert not Draft.objects.exists()


def test_a_refused_note_is_kept_as_a_note(bia, session, ticket, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise DomainError("Não agora.")

    monkeypatch.setattr("chatbot.composer.write_note", refuse)
    bia.post(url("note", session), {"text": "Só para nós", "ticket": ticket.pk})
    kept = Draft.objects.get()
    assert (kept.kind, kept.text) == (DraftKind.NOTE, "Só para nós")


# --- A message that failed ---------------------------------------------------------------------


def test_a_failed_message_in_a_colleagues_ticket_is_not_ones_own_to_send(bia, session, ticket):
    ticket.department.shares_tickets = True
    ticket.department.save()
    tickets.claim(ticket, user=a_colleague())
    failed = {"status": MessageStatus.FAILED, "author": Author.ATTENDANT}
    row = recipes.outbound(session, error_code="131016", **failed)
    answer = bia.post(url("send_again", session, row.pk), headers=HTMX)
    assert answer.status_code == 409
    assert "Dora" in answer.content.decode()
    assert MessageLog.objects.get() == row


def test_a_failed_message_that_was_set_aside_asks_nobody_any_more(bia, session):
    row = recipes.outbound(session, status=MessageStatus.FAILED, error_code="131016")
    page = url("discard", session, row.pk)
    assert page in bia.get(reverse("conversation", args=[session.pk])).content.decode()
    answer = bia.post(page, {"after": row.pk, "marks": ""}, headers=HTMX)
    assert answer.status_code == 200
    assert f'id="body-{row.pk}"' in answer.content.decode()
    shown = bia.get(reverse("conversation", args=[session.pk])).content.decode()
    assert page not in shown
    assert "Bia" in shown
    assert LogEntry.objects.filter(object_id=str(row.pk), user=recipes.bia()).count() == 1
    assert bia.post(page, headers=HTMX).status_code == 409  # the second click
    with pytest.raises(delivery.CannotSendAgain):
        delivery.send_again(row, user=recipes.bia())


def test_a_message_sent_again_is_drawn_anew(bia, session):
    row = recipes.outbound(session, "De novo", status=MessageStatus.FAILED, error_code="131016")
    again = url("send_again", session, row.pk)
    page = bia.post(again, {"after": row.pk, "marks": ""}, headers=HTMX).content.decode()
    assert f'id="body-{row.pk}"' in page
    assert page.count("De novo") == 2
    assert again not in page


# --- Notes -------------------------------------------------------------------------------------


def test_a_note_is_kept_for_the_team_and_never_sent(bia, session, ticket):
    form = {"ticket": ticket.pk, "text": "Cliente antigo"}
    for _click in range(2):
        page = bia.post(url("note", session), form, headers=HTMX).content.decode()
    assert "Cliente antigo" in page
    assert InternalNote.objects.get().author == recipes.bia()
    assert not MessageLog.objects.exists()


def test_a_note_mentions_colleagues_who_see_the_ticket(bia, session, ticket):
    a_colleague(last_name="Lima")
    baker.make(User, first_name="Caio", last_name="Reis")  # of no department: he does not see it
    form = {"ticket": ticket.pk, "text": "@Dora Lima e @Caio Reis, confiram"}
    bia.post(url("note", session), form, headers=HTMX)
    assert [str(one) for one in InternalNote.objects.get().mentions.all()] == ["Dora Lima"]
    page = bia.get(url("people", session, ticket=ticket.pk)).content.decode()
    assert "Dora Lima" in page
    assert "Caio" not in page


@pytest.mark.parametrize("name", ["note", "draft"])
def test_nothing_is_written_into_a_ticket_of_somebody_else(bia, session, name):
    other = recipes.ticket(department=recipes.department("vendas"))
    form = {"ticket": other.pk, "text": "x", "kind": "reply"}
    assert bia.post(url(name, session), form).status_code == 404
    assert not InternalNote.objects.exists()
    assert not Draft.objects.exists()


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("post", "reply"),
        ("post", "note"),
        ("post", "draft"),
        ("get", "canned"),
        ("get", "people"),
        ("get", "box"),
        ("get", "messages"),
        ("get", "earlier"),
    ],
)
def test_what_one_may_not_see_is_not_there(client, session, ticket, method, name):
    client.force_login(recipes.caio())
    answer = getattr(client, method)(url(name, session), {"ticket": ticket.pk, "text": "x"})
    assert answer.status_code == 404


# --- Drafts ------------------------------------------------------------------------------------


def test_a_draft_is_kept_by_person_and_kind_and_gone_once_sent(bia, session, ticket):
    for kind, text in [("reply", "Bom"), ("reply", "Bom dia"), ("note", "Ver lote 14")]:
        form = {"ticket": ticket.pk, "kind": kind, "text": text}
        assert bia.post(url("draft", session), form).status_code == 204
    assert sorted(Draft.objects.values_list("kind", "text")) == [
        ("note", "Ver lote 14"),
        ("reply", "Bom dia"),
    ]
    page = bia.get(reverse("conversation", args=[session.pk])).content.decode()
    assert "Bom dia</textarea>" in page
    assert "Ver lote 14</textarea>" in page
    say(bia, session, "Bom dia!")
    assert [one.kind for one in Draft.objects.all()] == [DraftKind.NOTE]


def test_an_emptied_draft_is_forgotten_and_a_huge_one_refused(bia, session, ticket):
    form = {"ticket": ticket.pk, "kind": "reply"}
    bia.post(url("draft", session), {**form, "text": "x"})
    assert bia.post(url("draft", session), {**form, "text": "x" * 9000}).status_code == 413
    assert bia.post(url("draft", session), {**form, "text": ""}).status_code == 204
    assert not Draft.objects.exists()
    assert bia.post(url("draft", session), {**form, "kind": "x"}).status_code == 404


def test_a_colleagues_draft_is_not_ones_own(client, session, ticket):
    Draft.objects.create(ticket=ticket, user=a_colleague(), kind="reply", text="Rascunho da Dora")
    client.force_login(recipes.bia())
    page = client.get(reverse("conversation", args=[session.pk])).content.decode()
    assert "Rascunho da Dora" not in page


# --- Canned responses --------------------------------------------------------------------------


def canned(text, shortcut="oi", **fields):
    return CannedResponse.objects.create(shortcut=shortcut, title="Olá", text=text, **fields)


def test_a_canned_response_comes_with_its_variables_filled_in(bia, session, ticket):
    ticket.variables = {"contrato": "VF-203", "cpf": "111.444.777-35"}
    ticket.handoff = {"sensitive": ["cpf"]}
    ticket.save()
    canned("Oi, {{ nome }}! {{atendente}}, {{ protocolo }}, {{ contrato }}. {{ cpf }} {{ lote }}")
    page = bia.get(url("canned", session)).content.decode()
    expected = f"Oi, Davi! Bia, {ticket.protocol}, VF-203. {{{{ cpf }}}} {{{{ lote }}}}"
    assert f'data-text="{expected}"' in page
    assert 'data-missing="cpf, lote"' in page
    assert "111.444" not in page


def test_a_canned_response_fills_in_nothing_that_the_tickets_page_masks(bia, session, ticket):
    ticket.variables = {"obs": "111.444.777-35", "doc": "111.444.777-35", "menu": "a"}
    ticket.handoff = {"options": {"doc": "Pessoa", "menu": "Segunda via", "voto": "Ruim"},
                      "sensitive": ["voto"]}  # fmt: skip
    ticket.save()
    canned("{{ obs }} {{ doc }} {{ voto }} {{ menu }}")
    page = bia.get(url("canned", session)).content.decode()
    assert 'data-text="{{ obs }} {{ doc }} {{ voto }} Segunda via"' in page


def test_a_value_in_a_canned_response_is_never_looked_at_again(bia, session):
    session.lead.name = "{{protocolo}}<b>"
    session.lead.save()
    canned("Oi, {{ nome }}.")
    page = bia.get(url("canned", session)).content.decode()
    assert 'data-text="Oi, {{protocolo}}&lt;b&gt;."' in page


def test_canned_responses_are_everybodys_or_ones_departments(bia, session, ticket):
    canned("De todos", "todos")
    canned("De vendas", "vendas", department=ticket.department)
    canned("De suporte", "suporte", department=recipes.department("suporte"))
    canned("Fora de uso", "velha", is_active=False)
    page = bia.get(url("canned", session)).content.decode()
    assert [one for one in ("De todos", "De vendas", "De suporte", "Fora") if one in page] == [
        "De todos",
        "De vendas",
    ]


def test_canned_responses_cost_the_same_however_many_there_are(
    bia, session, django_assert_max_num_queries
):
    for number in range(30):
        canned("Oi", f"oi-{number}", department=recipes.department("vendas"))
    with django_assert_max_num_queries(3 + AUTHENTICATION):
        bia.get(url("canned", session))


# --- Polls -------------------------------------------------------------------------------------


def shown_by(page):
    """The address that a page polls."""
    start = page.index('hx-get="', page.index('class="poller"')) + len('hx-get="')
    return page[start : page.index('"', start)].replace("&amp;", "&")


def test_an_open_ticket_without_news_costs_two_statements(
    bia, session, ticket, django_assert_num_queries
):
    for number in range(30):
        recipes.inbound(session, str(number))
        recipes.outbound(session, str(number))
        tickets.add_note(ticket, author=recipes.bia(), text=f"Nota {number}")
    tickets.claim(ticket, user=recipes.bia())
    poll = shown_by(bia.get(reverse("conversation", args=[session.pk])).content.decode())
    with django_assert_num_queries(2 + AUTHENTICATION):
        assert bia.get(poll).status_code == 204


def whose_turn_it_is(ticket):
    tickets.set_status(ticket, status=TicketStatus.WAITING_CUSTOMER, actor=recipes.bia())


def a_line_goes_out(ticket):
    lines = MessageLog.objects.filter(author=Author.SYSTEM)
    lines.update(status=MessageStatus.SENT)
    whose_turn_it_is(ticket)


@pytest.mark.parametrize("happens", [whose_turn_it_is, a_line_goes_out])
def test_what_is_not_drawn_is_read_once(bia, session, ticket, django_assert_num_queries, happens):
    recipes.inbound(session)
    recipes.outbound(session, author=Author.SYSTEM)
    tickets.claim(ticket, user=recipes.bia())
    poll = shown_by(bia.get(reverse("conversation", args=[session.pk])).content.decode())
    happens(ticket)
    answer = bia.get(poll)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "<li" not in page
    assert page.count("hx-swap-oob") == 1
    with django_assert_num_queries(2 + AUTHENTICATION):
        assert bia.get(shown_by(page)).status_code == 204


def test_a_line_between_the_bubbles_that_goes_out_is_no_news(
    bia, session, ticket, django_assert_num_queries
):
    line = recipes.outbound(session, author=Author.SYSTEM)
    poll = shown_by(bia.get(reverse("conversation", args=[session.pk])).content.decode())
    MessageLog.objects.filter(pk=line.pk).update(status=MessageStatus.SENT)
    with django_assert_num_queries(2 + AUTHENTICATION):
        assert bia.get(poll).status_code == 204


def test_a_poll_brings_notes_events_and_who_has_the_ticket(bia, session, ticket):
    poll = shown_by(bia.get(reverse("conversation", args=[session.pk])).content.decode())
    dora = a_colleague()
    ticket.department.shares_tickets = True
    ticket.department.save()
    tickets.add_note(ticket, author=dora, text="Fica comigo")
    tickets.claim(ticket, user=dora)
    page = bia.get(poll).content.decode()
    assert "Fica comigo" in page
    assert 'id="event-' in page
    assert f'id="hint-{session.pk}"' in page
    assert f'value="{dora.pk}"' in page  # whom the next reply has seen
    assert bia.get(shown_by(page)).status_code == 204


@pytest.mark.parametrize(
    ("before", "after", "brings"),
    [(20, -1, "data-templates"), (-1, 20, 'data-compose="reply"')],
    ids=["closes", "opens"],
)
def test_a_poll_exchanges_the_box_when_the_window_does(bia, session, before, after, brings):
    def move(hours):
        Session.objects.update(window_expires_at=timezone.now() + timedelta(hours=hours))

    move(before)
    poll = shown_by(bia.get(reverse("conversation", args=[session.pk])).content.decode())
    move(after)
    page = bia.get(poll).content.decode()
    assert f'id="box-{session.pk}"' in page
    assert brings in page
    assert bia.get(shown_by(page)).status_code == 204


def test_polls_stop_when_the_session_has_ended(bia, session, ticket):
    poll = shown_by(bia.get(reverse("conversation", args=[session.pk])).content.decode())
    tickets.resolve(ticket, actor=recipes.bia(), then=tickets.Next.END)
    page = bia.get(poll).content.decode()
    assert 'id="poller-' in page
    assert "hx-get=" not in page[page.index('class="poller"') : page.index("seen_message")]


def test_a_page_of_the_conversation_costs_the_same_however_long_it_is(
    bia, session, ticket, django_assert_num_queries
):
    page = reverse("conversation", args=[session.pk])

    def fill():
        for number in range(60):
            recipes.inbound(session, str(number))
            tickets.add_note(ticket, author=recipes.bia(), text=f"Nota {number}")

    fill()
    bia.get(page)
    with CaptureQueriesContext(connection) as once:
        bia.get(page)
    fill()
    with django_assert_num_queries(len(once)):
        bia.get(page)


def test_earlier_messages_come_in_pages_with_a_link_to_the_next(bia, session):
    for number in range(120):
        recipes.inbound(session, f"nº {number}.")
    page = bia.get(reverse("conversation", args=[session.pk])).content.decode()
    assert "nº 70." in page
    assert "nº 69." not in page
    start = page.index('hx-get="', page.index('class="earlier"')) + len('hx-get="')
    address = page[start : page.index('"', start)].replace("&amp;", "&")
    earlier = bia.get(address).content.decode()
    assert "nº 69." in earlier
    assert "nº 20." in earlier
    assert 'class="earlier"' in earlier
    assert f'id="earlier-{session.pk}"' in earlier


def test_the_last_earlier_page_leads_to_the_session_before(bia, session, ticket):
    past = session
    Session.objects.update(ended_at=timezone.now(), end_reason=EndReason.RESOLVED)
    recipes.inbound(past, "Da outra vez")
    now = recipes.session(lead=past.lead, channel=past.channel, identity=past.identity)
    recipes.ticket(session=now, department=ticket.department)
    recipes.inbound(now, "Voltei")
    page = bia.get(reverse("conversation", args=[now.pk])).content.decode()
    assert "Da outra vez" not in page
    assert reverse("conversation", args=[past.pk]) in page  # without a script
    earlier = bia.get(url("earlier", past, thread=now.pk)).content.decode()
    assert "Da outra vez" in earlier


# --- Texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("de *R$ 129,90*, certo", "de <b>R$ 129,90</b>, certo"),
        ("_ok_ e ~não~", "<i>ok</i> e <s>não</s>"),
        ("2*3*4 snake_case_name", "2*3*4 snake_case_name"),
        ("*<script>*", "<b>&lt;script&gt;</b>"),
        ("um\ndois", "um<br>dois"),
    ],
)
def test_emphasis_is_shown_as_the_customer_sees_it(bia, session, said, shown):
    recipes.inbound(session, said)
    assert shown in bia.get(reverse("conversation", args=[session.pk])).content.decode()


def test_the_page_knows_what_the_channel_takes(bia, session):
    page = bia.get(reverse("conversation", args=[session.pk])).content.decode()
    start = page.index('data-files="') + len('data-files="')
    rules = json.loads(page[start : page.index('"', start)].replace("&quot;", '"'))
    assert {"kind": "document", "types": None, "most": 100 * 1024 * 1024} in rules
