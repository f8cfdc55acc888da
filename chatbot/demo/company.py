"""Ventura Fibra, an internet provider in Recife that does not exist: who works there and what they
have at hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.hashers import make_password
from django.utils import timezone

from chatbot.flow_files import load_shipped
from chatbot.models import MessageTemplate
from leads.models import Tag
from sessions_app.models import Channel, ChannelKind
from tickets.models import CannedResponse, Priority, SlaPolicy
from users.models import Availability, Calendar, Department, Role, User

FLOWS = Path(__file__).parent / "flows"
MARK = "demo"  # in Channel.settings: what was made here
ZONE = "America/Recife"
MAIL = "ventura.example"
NEVER = timedelta(days=3650)
SHIFT = timedelta(hours=4)

Json = dict[str, Any]


@dataclass(frozen=True)
class Person:
    username: str
    first: str
    last: str
    departments: tuple[str, ...]
    availability: Availability
    since_minutes: int
    capacity: int
    role: Role = Role.ATTENDANT

    @property
    def email(self) -> str:
        return f"{self.username}@{MAIL}"


AVAILABLE, PAUSED, OFFLINE = Availability.AVAILABLE, Availability.PAUSED, Availability.OFFLINE
EVERYWHERE = ("financeiro", "suporte", "comercial")
PEOPLE = (
    Person("rafael.nogueira", "Rafael", "Nogueira", ("financeiro",), AVAILABLE, 71, 8),
    Person("camila.prado", "Camila", "Prado", ("financeiro",), AVAILABLE, 77, 8),
    Person("tiago.bastos", "Tiago", "Bastos", ("suporte",), AVAILABLE, 95, 8),
    Person("luana.ferraz", "Luana", "Ferraz", ("comercial",), PAUSED, 12, 6, Role.ADMIN),
    Person("diego.sampaio", "Diego", "Sampaio", ("suporte",), OFFLINE, 660, 8),
    Person("nadia.albuquerque", "Nádia", "Albuquerque", EVERYWHERE, AVAILABLE, 42, 0, Role.ADMIN),
    Person("wesley.matos", "Wesley", "Matos", ("comercial",), OFFLINE, 8600, 6),
)
DEPARTMENTS = (
    # slug, name, calendar, hours of warning and closing
    ("financeiro", "Financeiro", "Horário comercial", (20, 48)),
    ("suporte", "Suporte técnico", "Suporte todos os dias", (None, 72)),
    ("comercial", "Comercial", "Horário comercial", (22, 72)),
)
HOURS: dict[str, list[tuple[Sequence[int], time, time]]] = {
    "Horário comercial": [(range(5), time(8), time(18)), ([5], time(8), time(13))],
    "Suporte todos os dias": [(range(7), time(6), time(23))],
}
TAGS = (
    ("cobrança", "amber"),
    ("cliente ativo", "teal"),
    ("600 Mega", "blue"),
    ("1 Giga", "blue"),
    ("upgrade", "blue"),
    ("sem sinal", "red"),
    ("visita técnica", "gray"),
    ("cancelamento", "red"),
    ("contratação", "teal"),
    ("empresa", "gray"),
)
CANNED = (
    # shortcut, title, text, department
    (
        "boleto",
        "Segunda via",
        "Segue a segunda via do seu boleto, {{ lead.first_name }}. Qualquer dúvida, é só chamar.",
        "financeiro",
    ),
    (
        "boleto-pago",
        "Comprovante recebido",
        "Recebi o comprovante. A baixa leva até 1 dia útil, e o acesso volta antes disso.",
        "financeiro",
    ),
    ("boleto-pix", "Pagar por Pix", "Se preferir, pague pelo Pix copia e cola:", None),
    (
        "vencimento",
        "Mudar o vencimento",
        "Mudei o vencimento para o dia 10. A próxima fatura já vem com a data nova.",
        "financeiro",
    ),
    ("saudacao", "Saudação", "Oi, {{ lead.first_name }}! Como posso ajudar?", None),
    (
        "visita",
        "Marcar visita",
        "Tenho visita técnica amanhã, entre 8h e 12h. Fica bom para você?",
        "suporte",
    ),
    (
        "reiniciar",
        "Reiniciar o roteador",
        "Tire o roteador da tomada, espere 30 segundos e ligue de novo. A luz ficou verde?",
        "suporte",
    ),
    ("planos", "Planos", "Temos 300 Mega, 600 Mega e 1 Giga, sem fidelidade.", "comercial"),
    ("ate-logo", "Encerrar", "Combinado, {{ lead.first_name }}. Bom dia e até logo.", None),
)
POLICIES = (
    # name, department, priority, minutes to answer, minutes to resolve
    ("Padrão", None, "", 60, 1440),
    ("Financeiro", "financeiro", "", 30, 960),
    ("Financeiro, alta", "financeiro", Priority.HIGH, 30, 240),
    ("Suporte, alta", "suporte", Priority.HIGH, 30, 360),
    ("Comercial", "comercial", "", 60, 960),
)
TEMPLATES: tuple[tuple[str, str, str, list[str], str], ...] = (
    # name, category, text, buttons, status
    (
        "retomada_atendimento",
        "UTILITY",
        "Oi, {{1}}! Sobre a sua {{2}}, ficou alguma dúvida? Responda por aqui que eu continuo.",
        [],
        "approved",
    ),
    (
        "visita_tecnica",
        "UTILITY",
        "Sua visita está marcada para {{1}}, entre {{2}}. Confirma?",
        ["Confirmo", "Preciso remarcar"],
        "approved",
    ),
    (
        "pesquisa_csat",
        "UTILITY",
        "Seu atendimento terminou. De 1 a 5, que nota você dá?",
        [],
        "approved",
    ),
    (
        "fatura_disponivel",
        "UTILITY",
        "Oi, {{1}}! A fatura de {{2}} já está disponível.",
        ["Receber boleto"],
        "approved",
    ),
    (
        "promo_novembro",
        "MARKETING",
        "Fibra 1 Giga por R$ 119,90 em novembro. Quer saber mais?",
        ["Quero", "Agora não"],
        "paused",
    ),
    ("aviso_manutencao", "UTILITY", "Manutenção no seu bairro em {{1}}.", [], "pending"),
    ("boas_vindas", "MARKETING", "Bem-vindo à Ventura Fibra, {{1}}!", [], "rejected"),
)


@dataclass
class Company:
    departments: dict[str, Department] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)

    def staff_of(self, department: str) -> list[User]:
        """Who answers there, in the order above."""
        names = [one.username for one in PEOPLE if department in one.departments and one.capacity]
        return [self.people[name] for name in names]

    def __getitem__(self, first_name: str) -> User:
        """By the first name, as stories call them."""
        return next(one for one in self.people.values() if one.first_name == first_name)


def found(*, now: datetime, password: str) -> Company:
    """Make everything that is there before the first customer writes."""
    company = Company()
    load_shipped()
    calendars = {name: _calendar(name, now) for name in HOURS}
    for slug, name, calendar, hours in DEPARTMENTS:
        company.departments[slug] = _department(slug, name, calendars[calendar], hours)
    _people(company, now=now, password=password)
    for slug, name, number in (
        ("atendimento", "Atendimento", "+55 81 90000-0100"),
        ("vendas", "Vendas", "+55 81 90000-0200"),
    ):
        company.channels[slug] = _channel(slug, name, number, now)
    Tag.objects.bulk_create(
        [Tag(name=name, color=color) for name, color in TAGS], ignore_conflicts=True
    )
    _library(company)
    return company


def read_flow(slug: str) -> Json:
    document: Json = json.loads((FLOWS / f"{slug}.json").read_text(encoding="utf-8"))
    return document


def _calendar(name: str, now: datetime) -> Calendar:
    """Open the whole day on the weekday of now and of some hours before: a look at the demo at
    night should find people at work."""
    calendar = Calendar.objects.create(name=name, time_zone=ZONE, holiday_state="PE")
    lately = {(now - hours).astimezone(calendar.zone).weekday() for hours in (timedelta(), SHIFT)}
    for days, opens_at, closes_at in HOURS[name]:
        for day in days:
            if day not in lately:
                calendar.hours.create(weekday=day, opens_at=opens_at, closes_at=closes_at)
    for day in lately:
        calendar.hours.create(weekday=day, opens_at=time(0), closes_at=time(23, 59, 59))
    if not calendar.is_open(now):  # a public holiday
        today = now.astimezone(calendar.zone).date()
        hours = {"opens_at": time(0), "closes_at": time(23, 59)}
        calendar.holidays.create(date=today, name="Plantão", **hours)
    return calendar


def _department(
    slug: str, name: str, calendar: Calendar, hours: tuple[int | None, int]
) -> Department:
    warn, close = hours
    values = {
        "name": name,
        "calendar": calendar,
        "shares_tickets": True,
        "warn_silent_after_hours": warn,
        "close_silent_after_hours": close,
    }
    return Department.objects.update_or_create(slug=slug, defaults=values)[0]


def _people(company: Company, *, now: datetime, password: str) -> None:
    digest = make_password(password)  # once: it takes its time on purpose
    for one in PEOPLE:
        user = User.objects.create(
            username=one.username,
            first_name=one.first,
            last_name=one.last,
            email=one.email,
            password=digest,
            role=one.role,
            is_staff=True,
            availability=one.availability,
            availability_changed_at=now - timedelta(minutes=one.since_minutes),
            capacity=one.capacity,
            signature=f"{one.first}, da Ventura Fibra",
            date_joined=now - timedelta(days=400),
        )
        user.departments.set(company.departments[slug] for slug in one.departments)
        company.people[one.username] = user


def _channel(slug: str, name: str, number: str, now: datetime) -> Channel:
    """Without credentials and paused for years: nothing that is written here leaves."""
    return Channel.objects.create(
        slug=f"{MARK}-{slug}",
        kind=ChannelKind.WHATSAPP_CLOUD,
        name=name,
        external_id=f"{MARK}-{slug}",
        account_id=MARK,
        display_number=number,
        settings={MARK: True},
        paused_until=now + NEVER,
        pause_reason="Demonstração: nada é enviado.",
    )


def _library(company: Company) -> None:
    for shortcut, title, text, department in CANNED:
        CannedResponse.objects.get_or_create(
            shortcut=shortcut,
            department=company.departments.get(department or ""),
            defaults={"title": title, "text": text},
        )
    for name, department, priority, first, resolution in POLICIES:
        SlaPolicy.objects.get_or_create(
            department=company.departments.get(department or ""),
            priority=priority,
            is_active=True,
            defaults={
                "name": name,
                "first_response_minutes": first,
                "resolution_minutes": resolution,
            },
        )
    channel = company.channels["atendimento"]
    MessageTemplate.objects.bulk_create(
        MessageTemplate(
            channel=channel,
            name=name,
            category=category,
            status=status,
            components=_components(text, buttons),
            provider_id=f"{MARK}-{name}",
            submitted_at=timezone.now(),
            synced_at=timezone.now(),
            reason="INVALID_FORMAT" if status == "rejected" else "",
        )
        for name, category, text, buttons, status in TEMPLATES
    )


def _components(text: str, buttons: list[str]) -> list[Json]:
    """In the provider's form, with an example for each variable."""
    examples = [
        one for number, one in enumerate(("Mariana", "fatura"), 1) if f"{{{number}}}" in text
    ]
    body: Json = {"type": "BODY", "text": text}
    if examples:
        body["example"] = {"body_text": [examples]}
    made = [body]
    if buttons:
        labels = [{"type": "QUICK_REPLY", "text": one} for one in buttons]
        made.append({"type": "BUTTONS", "buttons": labels})
    return made
