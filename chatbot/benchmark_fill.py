"""A database as large as after years, written by the database itself (PostgreSQL).

Leads, conversations, tickets and messages in the proportions of a busy company: every lead has one
conversation, every second one a ticket; the newest tickets are open, and the newest conversations
are very long. What flows would have logged is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.hashers import make_password
from django.core.management.color import no_style
from django.db import connection, models, transaction

from chatbot.models import Author, Direction, MessageLog, MessageStatus
from leads.models import Identity, Lead, LeadSource, LeadStatus, LeadStatusChange, Scheme
from sessions_app.models import Channel, ChannelKind, EndReason, Owner, Session
from tickets.models import Priority, SlaPolicy, Ticket, TicketEvent, TicketEventKind, TicketStatus
from users.models import Availability, Department, Role, User

MARK = "benchmark"
ATTENDANTS = 200
DEPARTMENTS = 4
OPEN_EACH = 8  # tickets that an attendant has at the same time
LONG, LONG_SHARE = 5, 0.01  # so many conversations share so much of the messages
UNASSIGNED = 21  # every so many open tickets one waits in its queue; nobody has only such
SECRET = "segredo-ficticio-do-benchmark"  # noqa: S105  # of nobody

FIRST = "ARRAY['Ana','Bruno','Carla','Diego','Elisa','Fábio','Gabriela','Heitor','Iara','Jonas']"
LAST = "ARRAY['Souza','Lima','Dias','Alves','Rocha','Nunes','Prado','Moura','Viana','Lins','Melo']"
ASKED = (
    "ARRAY['Bom dia, minha fatura veio com valor errado','Estou sem sinal desde ontem',"
    "'Quero mudar de plano','Preciso da segunda via do boleto','O técnico não veio hoje',"
    "'Paguei e continua bloqueado','Consegue mudar o vencimento?']"
)
SAID = (
    "ARRAY['Vou verificar e já retorno','Enviei a segunda via','Tenho visita amanhã de manhã',"
    "'Já corrigi a fatura','Pode reiniciar o roteador?','Combinado, obrigado']"
)


class NotPossible(Exception):
    """This database cannot be filled; the message says why."""


@dataclass(frozen=True)
class Size:
    messages: int

    @property
    def leads(self) -> int:
        return max(self.messages // 10, 1)

    @property
    def tickets(self) -> int:
        return max(self.messages // 20, 1)

    @property
    def open_tickets(self) -> int:
        return min(ATTENDANTS * OPEN_EACH, max(self.tickets // 2, 1))


def fill(messages: int) -> Iterator[str]:
    """Make it all, in one transaction; yields the name of each table before it is written."""
    if connection.vendor != "postgresql":
        raise NotPossible("Only PostgreSQL is filled: the database itself makes the rows.")
    if Channel.objects.filter(slug=MARK).exists():
        raise NotPossible("This database has been filled before.")
    size = Size(messages)
    with transaction.atomic():
        yield from _Filler(size).run()
    yield "statistics"
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


class _Filler:
    """`i` is the number of a row in its table, from 1; the newest is the last."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._first = {
            model: (model.objects.aggregate(last=models.Max("pk"))["last"] or 0) + 1
            for model in (Lead, Identity, Session, Ticket)
        }

    def run(self) -> Iterator[str]:
        self._channel = _channel()
        self._departments = [
            Department.objects.create(name=f"Setor {n}", slug=f"{MARK}-{n}")
            for n in range(1, DEPARTMENTS + 1)
        ]
        SlaPolicy.objects.get_or_create(
            department=None,
            priority="",
            is_active=True,
            defaults={"name": "Benchmark", "first_response_minutes": 60, "resolution_minutes": 960},
        )
        self._people = _people(self._departments)
        for work in (
            *(self._leads, self._identities, self._status_changes, self._sessions),
            *(self._tickets, self._events, self._messages),
        ):
            yield work.__name__.strip("_")
            work()
        _reset_sequences()

    def _leads(self) -> None:
        _insert(
            Lead,
            self._size.leads,
            id=f"{self._first[Lead] - 1} + i",
            name=f"({FIRST})[1 + i % 10] || ' ' || ({LAST})[1 + i / 10 % 11] || ' ' || i",
            phone="'+' || " + _phone("i"),
            email="'cliente' || i || '@example.com'",
            status=f"(ARRAY{list(LeadStatus.values)})[1 + i % {len(LeadStatus)}]",
            source=_text(LeadSource.BOT),
            created_at=self._at("i"),
        )

    def _identities(self) -> None:
        _insert(
            Identity,
            self._size.leads,
            id=f"{self._first[Identity] - 1} + i",
            lead=f"{self._first[Lead] - 1} + i",
            scheme=_text(Scheme.PHONE),
            address=_phone("i"),
            send_to=_phone("i"),
        )

    def _status_changes(self) -> None:
        _insert(
            LeadStatusChange,
            self._size.leads,
            lead=f"{self._first[Lead] - 1} + i",
            to_status=_text(LeadStatus.NEW),
            created_at=self._at("i"),
        )

    def _sessions(self) -> None:
        is_open = f"i > {self._size.leads - self._size.open_tickets}"
        owner = (
            f"CASE WHEN NOT ({is_open}) THEN {_text(Owner.BOT)} "
            f"WHEN i % {UNASSIGNED} = 0 THEN {_text(Owner.QUEUE)} "
            f"ELSE {_text(Owner.ATTENDANT)} END"
        )
        _insert(
            Session,
            self._size.leads,
            id=f"{self._first[Session] - 1} + i",
            lead=f"{self._first[Lead] - 1} + i",
            identity=f"{self._first[Identity] - 1} + i",
            channel=str(self._channel.pk),
            owner=owner,
            epoch="1",
            owner_since=self._at("i"),
            started_at=self._at("i"),
            last_interaction_at=self._at("i"),
            window_expires_at=f"{self._at('i')} + interval '24 hours'",
            last_message_at=self._at("i"),
            last_message_preview=f"({SAID})[1 + i % 6]",
            ended_at=f"CASE WHEN {is_open} THEN NULL ELSE {self._at('i')} + interval '2 hours' END",
            end_reason=f"CASE WHEN {is_open} THEN '' ELSE {_text(EndReason.RESOLVED)} END",
        )

    def _tickets(self) -> None:
        """`i` counts tickets; the conversation of each is among the newest."""
        size = self._size
        shift = size.leads - size.tickets
        is_open = f"i > {size.tickets - size.open_tickets}"
        nobody = f"({is_open} AND (i + {shift}) % {UNASSIGNED} = 0)"
        person = f"(ARRAY{[one.pk for one in self._people]})[1 + i % {len(self._people)}]"
        place = f"(ARRAY{[one.pk for one in self._departments]})[1 + i % {DEPARTMENTS}]"
        at = self._at(f"(i + {shift})")
        working = f"(ARRAY{[TicketStatus.IN_PROGRESS.value, TicketStatus.WAITING_CUSTOMER.value]})"
        done = f"(ARRAY{[TicketStatus.RESOLVED.value, TicketStatus.CLOSED.value]})"
        _insert(
            Ticket,
            size.tickets,
            id=f"{self._first[Ticket] - 1} + i",
            protocol=f"to_char({at}, 'YYYYMMDD') || '-B' || lpad(i::text, 7, '0')",
            lead=f"{self._first[Lead] - 1} + i + {shift}",
            session=f"{self._first[Session] - 1} + i + {shift}",
            department=place,
            assignee=f"CASE WHEN {nobody} THEN NULL ELSE {person} END",
            status=(
                f"CASE WHEN {nobody} THEN {_text(TicketStatus.OPEN)} "
                f"WHEN {is_open} THEN {working}[1 + i % 2] ELSE {done}[1 + i % 2] END"
            ),
            priority=f"(ARRAY{list(Priority.values)})[1 + i % {len(Priority)}]",
            subject=f"({ASKED})[1 + i % 7]",
            queued_at=at,
            assigned_at=at,
            first_response_at=f"CASE WHEN {nobody} THEN NULL ELSE {at} + interval '9 minutes' END",
            first_response_due_at=f"{at} + interval '1 hour'",
            resolution_due_at=f"{at} + interval '16 hours'",
            resolved_at=f"CASE WHEN {is_open} THEN NULL ELSE {at} + interval '2 hours' END",
            last_message_at=at,
            last_message_preview=f"({SAID})[1 + i % 6]",
            unread="i % 3",
            created_at=at,
        )

    def _events(self) -> None:
        kinds = f"(ARRAY{[TicketEventKind.OPENED.value, TicketEventKind.CLAIMED.value]})"
        _insert(
            TicketEvent,
            2 * self._size.tickets,
            ticket=f"{self._first[Ticket]} + (i - 1) / 2",
            kind=f"{kinds}[1 + i % 2]",
            created_at=self._at(f"({self._size.leads - self._size.tickets} + (i + 1) / 2)"),
        )

    def _messages(self) -> None:
        """In rounds: each conversation says its first thing, then each its second …; the rest goes
        to the few long ones."""
        size = self._size
        rounds = size.messages - round(size.messages * LONG_SHARE)
        is_long = f"i > {rounds}"
        number = (
            f"(CASE WHEN {is_long} THEN {size.leads} - i % {min(LONG, size.leads)} "
            f"ELSE 1 + (i - 1) % {size.leads} END)"
        )
        turn = f"(CASE WHEN {is_long} THEN i ELSE (i - 1) / {size.leads} END)"
        is_in = f"{turn} % 2 = 0"
        author = (
            f"CASE WHEN {is_in} THEN {_text(Author.CUSTOMER)} "
            f"WHEN {turn} % 4 = 1 THEN {_text(Author.BOT)} ELSE {_text(Author.ATTENDANT)} END"
        )
        at = (
            f"CASE WHEN {is_long} THEN now() - interval '2 hours' - "
            f"({size.messages} - i) * interval '1 second' "
            f"ELSE {self._at(number)} - (9 - {turn}) * interval '1 minute' END"
        )
        _insert(
            MessageLog,
            size.messages,
            channel=str(self._channel.pk),
            session=f"{self._first[Session] - 1} + {number}",
            identity=f"{self._first[Identity] - 1} + {number}",
            direction=f"CASE WHEN {is_in} THEN {_text(Direction.INBOUND)} "
            f"ELSE {_text(Direction.OUTBOUND)} END",
            author=author,
            author_user=f"CASE WHEN {turn} % 4 = 3 THEN "
            f"(ARRAY{[one.pk for one in self._people]})[1 + i % {len(self._people)}] END",
            kind="'text'",
            text=f"CASE WHEN {is_in} THEN ({ASKED})[1 + i % 7] ELSE ({SAID})[1 + i % 6] END "
            "|| ' (' || i || ')'",
            status=f"CASE WHEN {is_in} THEN {_text(MessageStatus.RECEIVED)} "
            f"ELSE {_text(MessageStatus.READ)} END",
            provider_id="'wamid.fill.' || i",
            provider_at=at,
            epoch="1",
            created_at=at,
        )

    def _at(self, number: str) -> str:
        """Evenly through the last year, the last one minutes ago."""
        return (
            f"(now() - interval '5 minutes' - ({self._size.leads} - {number}) "
            f"* (interval '365 days' / {self._size.leads}))"
        )


def _channel() -> Channel:
    channel = Channel(
        slug=MARK, kind=ChannelKind.WHATSAPP_CLOUD, name="Benchmark", external_id=MARK
    )
    channel.take_credentials({"app_secret": SECRET, "verify_token": MARK, "access_token": MARK})
    channel.save()
    return channel


def _people(departments: Sequence[Department]) -> list[User]:
    """Nobody can log in as them: the measuring makes its own sessions."""
    password = make_password(None)
    people = User.objects.bulk_create(
        User(
            username=f"{MARK}-{n:03d}",
            first_name="Atendente",
            last_name=f"{n:03d}",
            password=password,
            is_staff=True,
            availability=Availability.AVAILABLE,
            capacity=OPEN_EACH + 2,
        )
        for n in range(ATTENDANTS)
    )
    User.objects.create(username=f"{MARK}-admin", password=password, role=Role.ADMIN, is_staff=True)
    through = User.departments.through
    through.objects.bulk_create(
        through(user=one, department=departments[n % len(departments)])
        for n, one in enumerate(people)
    )
    return people


def _insert(model: type[models.Model], count: int, **expressions: str) -> None:
    """Fields that are not named get their default; `auto_now` ones the present."""
    columns, parts, values = [], [], []
    for field in model._meta.concrete_fields:
        if field.primary_key and field.name not in expressions:
            continue
        columns.append(connection.ops.quote_name(field.column))
        if field.name in expressions:
            parts.append(expressions[field.name].replace("%", "%%"))
        elif getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
            parts.append("now()")
        else:
            parts.append(f"%s::{field.db_type(connection)}")
            values.append(field.get_db_prep_save(field.get_default(), connection))
    table = connection.ops.quote_name(model._meta.db_table)
    rows = f"SELECT {', '.join(parts)} FROM generate_series(1, %s) AS i"  # noqa: S608  # our own words
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) {rows}", [*values, count])


def _reset_sequences() -> None:
    with connection.cursor() as cursor:
        for line in connection.ops.sequence_reset_sql(
            no_style(), [Lead, Identity, Session, Ticket]
        ):
            cursor.execute(line)


def _phone(number: str) -> str:
    """Of an area that does not exist."""
    return f"'5500' || (900000000 + {number})"


def _text(value: Any) -> str:
    return f"'{value}'"
