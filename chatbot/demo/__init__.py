"""A believable company with a month of conversations, for a first look and for pictures.

Everything is made by the same services as the real thing, under a moved clock; the rows count like
real ones. Its channels have no credentials and are paused, so nothing ever leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from chatbot import pricing
from chatbot.channels.inbound import Unusable
from chatbot.conversation import receive
from chatbot.demo import names, versions
from chatbot.demo.acts import Customer
from chatbot.demo.company import OFFLINE, PEOPLE, Company, found
from chatbot.demo.month import DAYS, Month
from chatbot.demo.play import Play, Story
from chatbot.demo.today import NAMES, SALES, WITH_BOT, Today, introduce
from chatbot.facts import departments
from chatbot.incidents import close_incident, open_incident
from chatbot.media import remove_files
from chatbot.models import IncidentKind, MessageLog
from chatbot.silent_tickets import mind_silent_tickets
from leads.models import Lead
from leads.services import opt_out
from sessions_app.models import Channel, Session
from tickets import services as tickets
from tickets.models import Notification, Ticket

__all__ = [
    "CUSTOMERS",
    "DAYS",
    "PEOPLE",
    "SEED",
    "Made",
    "counts",
    "has_real_data",
    "is_made",
    "seed",
]

SEED = 20261112
CUSTOMERS = 340
KNOWN = (*NAMES, *WITH_BOT)  # whom today's stories are about
MARIANA = ("5581900000142", "Mariana Azevedo")
HER_CONTRACT = names.Contract(
    cpf="99948205910",
    contrato="VF-203.118",
    plano="Fibra 600 Mega",
    valor_fatura="R$ 189,90",
    vencimento="dia 20",
    linha_digitavel="34191.790010 10435.100470 91020.150008",
)
NEWS_LAST = timedelta(hours=4)  # older notices have been read


@dataclass(frozen=True)
class Made:
    """What is there."""

    customers: int = 0
    conversations: int = 0
    messages: int = 0
    tickets: int = 0


def is_made() -> bool:
    return Channel.objects.filter(settings__demo=True).exists()


def has_real_data() -> bool:
    """Has anybody written here who is not made up?"""
    return Lead.objects.real().exists() or Ticket.objects.real().exists()


def seed(
    *, password: str, seed: int = SEED, days: int = DAYS, now: datetime | None = None
) -> Iterator[float]:
    """Make everything, whole or not at all; yields how much of it is done (0 to 1)."""
    play = Play(now=now or timezone.now(), seed=seed)
    begin = play.ago(days=days)
    try:
        with transaction.atomic():
            company = _open_company(play, password)
            people = _customers(play, company)
            _begin_stories(play, company, people, days=days)
            for at in play.run():
                yield min(max((at - begin) / (play.now - begin), 0.0), 1.0)
            _finish(company)
    except BaseException:
        remove_files(play.files)
        raise
    finally:
        departments.forget()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def _open_company(play: Play, password: str) -> Company:
    company = found(now=play.now, password=password)
    departments.forget()
    versions.publish_all(play, company)
    return company


def _customers(play: Play, company: Company) -> list[Customer]:
    """Those of today's stories first."""
    rng = play.rng
    phones = {MARIANA[0]}
    others = names.unused_names(rng, set(KNOWN))[: CUSTOMERS - len(KNOWN)]
    people = []
    for number, name in enumerate((*KNOWN, *others)):
        is_sale = name in SALES or (number >= len(KNOWN) and rng.random() < 0.2)
        channel = company.channels["vendas" if is_sale else "atendimento"]
        phone, contract = names.phone(rng, phones), names.contract(rng)
        if name == MARIANA[1]:
            phone, contract = MARIANA[0], HER_CONTRACT
        people.append(Customer(play, channel, name, phone, contract))
    return people


def _begin_stories(play: Play, company: Company, people: list[Customer], *, days: int) -> None:
    by_name = {one.name: one for one in people[: len(KNOWN)]}
    Month(play, company, people[len(KNOWN) :]).fill(days=days)
    Today(play, company, by_name).begin()
    play.begin(_introduce(company, by_name[MARIANA[1]]), play.ago(days=80))
    play.begin(_trouble(play, company), play.ago(days=min(days, 6)))
    play.begin(_hours(play), play.ago(days=days))


def _introduce(company: Company, mariana: Customer) -> Story:
    introduce(mariana, company["Luana"], ("cliente ativo", "600 Mega"))
    yield from ()


def _trouble(play: Play, company: Company) -> Story:
    """What goes wrong in a month: the provider away for some minutes, an event that nobody can
    read, customers who want no offers, a template that was stopped."""
    channel = company.channels["atendimento"]
    open_incident(IncidentKind.CIRCUIT, channel=channel, now=play.at, facts={"code": "131016"})
    yield timedelta(minutes=12)
    close_incident(IncidentKind.CIRCUIT, channel=channel, now=play.at)
    unreadable = Unusable(None, play.at, reason="message without sender", raw={"messages": [{}]})
    receive(channel, [unreadable], now=play.at)
    yield timedelta(hours=30)
    for lead in Lead.objects.real().order_by("pk")[40:90:16]:
        opt_out(lead, text="parar", origin=channel.slug, at=play.at)
    yield timedelta(hours=9)
    open_incident(
        IncidentKind.TEMPLATE,
        channel=channel,
        about="promo_novembro",
        now=play.at,
        facts={"name": "promo_novembro", "language": "pt_BR", "status": "paused"},
    )


def _hours(play: Play) -> Story:
    """What the worker looks at from time to time."""
    while True:
        tickets.wake_due(now=play.at)
        mind_silent_tickets(now=play.at)
        yield timedelta(hours=3)


def _finish(company: Company) -> None:
    """Who was here when, and what the month cost."""
    pricing.count_priced()
    for one in PEOPLE:
        user = company.people[one.username]
        away = timedelta(minutes=one.since_minutes) if one.availability == OFFLINE else timedelta()
        user.last_login = user.last_active_at = timezone.now() - away
        user.save(update_fields=["last_login", "last_active_at"])
    now = timezone.now()
    old = Notification.objects.filter(created_at__lt=now - NEWS_LAST)
    old.filter(user__in=company.people.values()).update(read_at=now - NEWS_LAST)


def counts() -> Made:
    """What the demo's channels hold now."""
    channels = Channel.objects.filter(settings__demo=True)
    sessions = Session.objects.filter(channel__in=channels)
    return Made(
        customers=Lead.objects.filter(sessions__in=sessions).distinct().count(),
        conversations=sessions.count(),
        messages=MessageLog.objects.filter(channel__in=channels).count(),
        tickets=Ticket.objects.filter(session__in=sessions).count(),
    )
