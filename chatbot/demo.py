"""Fictitious conversations for a first look: made by the same services as real ones.

They are on the simulator's channel, so they are marked, count nowhere, and go with its "clear".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from chatbot import delivery, simulator
from chatbot.channels.simulator.transport import SCHEME, inbound_from_form
from chatbot.conversation import receive, send_reply
from leads.models import Identity, Lead, LeadStatus
from leads.services import update_lead
from sessions_app.models import Session
from tickets import services as tickets
from tickets.models import Priority
from users.models import User

MARK = "demo"

Act = Callable[[Session, User], None]


class NotReady(Exception):
    """Something that a conversation needs is missing; the message says what."""


@dataclass(frozen=True)
class Story:
    """A customer, what they say to the bot, what the team does then, and what they say after."""

    slug: str
    name: str
    says: tuple[str, ...]
    team: tuple[Act, ...] = field(default=(), repr=False)
    after: tuple[str, ...] = ()

    @property
    def customer(self) -> str:
        return f"{MARK}-{self.slug}"


def seed(*, user: User, dry_run: bool = False) -> Iterator[tuple[Story, bool]]:
    """Tell every story that has not been told; (story, whether it is new). `user` is the team."""
    if not simulator.is_ready():
        raise NotReady("No published flow answers. Run: manage.py load_flows")
    known = Identity.objects.filter(scheme=SCHEME, address__startswith=f"{MARK}-")
    told = set(known.values_list("address", flat=True))
    for story in STORIES:
        is_new = story.customer not in told
        if is_new and not dry_run:
            _tell(story, user)
        yield story, is_new


@transaction.atomic
def _tell(story: Story, user: User) -> None:
    """Whole or not at all, so that a second try does not find half a conversation."""
    _say(story, story.says)
    for act in story.team:
        act(_session_of(story), user)
        delivery.deliver_session(_session_of(story).pk)
    _say(story, story.after)


def _say(story: Story, texts: tuple[str, ...]) -> None:
    channel = simulator.channel()
    for text in texts:
        now = timezone.now()
        item = inbound_from_form(
            {"text": text}, account=None, customer=story.customer, name=story.name, at=now
        )
        receipt = receive(channel, [item], now=now)
        if not receipt.stored:
            raise NotReady(f"“{text}” of {story.name} could not be stored.")
        delivery.deliver_session(_session_of(story).pk)


def _session_of(story: Story) -> Session:
    lead = Lead.objects.filter(identities__scheme=SCHEME, identities__address=story.customer)
    return Session.objects.filter(lead__in=lead).select_related("lead").latest("pk")


def _claim(session: Session, user: User) -> None:
    ticket = tickets.open_ticket_of(session)
    if ticket is not None:
        tickets.claim(ticket, user=user)


def _reply(text: str) -> Act:
    def act(session: Session, user: User) -> None:
        send_reply(session, user=user, text=text, at=timezone.now())

    return act


def _make_urgent(session: Session, user: User) -> None:
    ticket = tickets.open_ticket_of(session)
    if ticket is not None:
        tickets.set_priority(ticket, priority=Priority.HIGH, actor=user)


def _note(text: str) -> Act:
    def act(session: Session, user: User) -> None:
        ticket = tickets.open_ticket_of(session)
        if ticket is not None:
            tickets.add_note(ticket, author=user, text=text)

    return act


def _resolve(then: tickets.Next) -> Act:
    def act(session: Session, user: User) -> None:
        ticket = tickets.open_ticket_of(session)
        if ticket is not None:
            tickets.resolve(ticket, actor=user, then=then)

    return act


def _qualify(session: Session, user: User) -> None:
    update_lead(session.lead, status=LeadStatus.QUALIFIED, actor=user)


STORIES = (
    Story(
        "ana-souza",
        "Ana Souza",
        (
            "Oi",
            "Pedir orçamento",
            "Concordo",
            "Ana Souza",
            "ana.souza@example.com",
            "Internet para um escritório de 12 pessoas",
        ),
    ),
    Story(
        "bruno-lima",
        "Bruno Lima",
        (
            "Bom dia",
            "1",
            "sim",
            "Bruno Lima",
            "pular",
            "Trocar o plano da loja por um mais rápido",
        ),
        (
            _claim,
            _qualify,
            _reply("Bom dia, Bruno! Qual é o endereço da loja?"),
        ),
        ("Rua das Flores, 120, Recife",),
    ),
    Story(
        "carla-dias",
        "Carla Dias",
        ("Oi", "atendente", "Estou sem sinal desde ontem"),
        (
            _claim,
            _make_urgent,
            _note("Segunda queda neste mês: oferecer visita técnica."),
            _reply("Oi, Carla. Já abri o chamado, a visita é hoje às 15h. Pode ser?"),
        ),
        ("Pode sim, obrigada!",),
    ),
    Story(
        "diego-alves",
        "Diego Alves",
        ("Olá", "Tirar uma dúvida"),
    ),
    Story(
        "elisa-rocha",
        "Elisa Rocha",
        ("Oi", "2", "Vocês instalam no sábado?"),
        (
            _claim,
            _reply("Instalamos sim, Elisa, das 8h às 12h."),
            _resolve(tickets.Next.BOT),
        ),
        ("5",),
    ),
    Story(
        "fabio-nunes",
        "Fábio Nunes",
        ("Oi", "orçamento", "não concordo", "encerrar"),
    ),
)
