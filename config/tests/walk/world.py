"""A small company of which everybody must see a part and nothing else.

Every row that is somebody's has a marker in each of its texts: `mk`, its case, what it is. A case
is one ticket with its lead and conversation:

    own    of Ana, in sales            mate   of Caio, her colleague there
    queue  nobody's, in sales          far    of Bia, in finance
    pool   nobody's, in finance        split  of Bia, about the lead of `own`
    kept   of Bia, about a lead that Ana keeps
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.files.base import ContentFile
from django.db import models
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice
from model_bakery import baker

from chatbot.models import (
    Author,
    DraftStep,
    FailedEvent,
    Flow,
    FlowRun,
    GoldenConversation,
    Incident,
    IncidentKind,
    Media,
    MediaStatus,
    MessageStatus,
    MessageTemplate,
    NotUnderstood,
    Price,
    PublishRequest,
    Replay,
    ReplayDifference,
    Secret,
    SessionCheck,
    SessionMove,
    SimulatedPerson,
    Task,
    TaskKind,
    TemplateStatus,
    Trigger,
    TriggerKind,
    Worker,
)
from chatbot.tests import recipes
from leads.models import Consent, Identity, Lead, LeadStatusChange, Note, Tag
from sessions_app.models import Owner, Session
from tickets.models import (
    AssignmentDecision,
    CannedResponse,
    Draft,
    DraftKind,
    InternalNote,
    Notification,
    NotificationKind,
    SavedView,
    SlaPolicy,
    Ticket,
    TicketEvent,
    TicketEventKind,
    TicketStatus,
)
from users.models import (
    ApiToken,
    Calendar,
    Department,
    Login,
    LoginEvent,
    Role,
    Skill,
    TeamRules,
    User,
)

CASES = ("own", "mate", "queue", "far", "pool", "split", "kept")
OF_LEAD = ("lead", "leadnote", "mail", "need", "attribute", "consent", "reason", "tagged")
OF_SESSION = ("message", "said", "context", "step", "file", "failed")
OF_TICKET = ("subject", "note", "event", "decision", "outcome", "handed", "resolution", "rating")
OF_PERSON = ("draft", "view", "notice")
OF_ACCESS = ("token", "browser")
EVENING = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)


@dataclass
class Case:
    """One ticket and what hangs on it; `marks` are the texts that tell where they come from."""

    name: str
    lead: Lead
    session: Session
    ticket: Ticket
    owner: User | None
    rows: dict[str, models.Model] = field(default_factory=dict)

    def __getitem__(self, name: str) -> models.Model:
        return self.rows[name]


@dataclass(frozen=True)
class Sight:
    """What a role sees: names of cases, by the kind of row."""

    lead: frozenset[str] = frozenset()
    session: frozenset[str] = frozenset()
    ticket: frozenset[str] = frozenset()
    mine: frozenset[str] = frozenset()
    canned: frozenset[str] = frozenset()
    person: frozenset[str] = frozenset()
    access: frozenset[str] = frozenset()

    def marks(self, leads_of: dict[str, str]) -> frozenset[str]:
        """The markers that this role may come across."""
        seen = {mark(leads_of[case], kind) for case in self.lead for kind in OF_LEAD}
        seen |= {mark(case, kind) for case in self.session for kind in OF_SESSION}
        seen |= {mark(case, kind) for case in self.ticket for kind in OF_TICKET}
        seen |= {mark(case, kind) for case in self.mine for kind in OF_PERSON}
        seen |= {mark(case, "canned") for case in self.canned}
        seen |= {mark(case, kind) for case in self.access for kind in OF_ACCESS}
        return frozenset(seen)


def mark(case: str, kind: str) -> str:
    """One word, so that searches by words find it."""
    return f"mk{case}{kind}x"


ALL = frozenset(CASES)
EVERYTHING = Sight(ALL, ALL, ALL, frozenset(), ALL, ALL, ALL)
# Written down, not asked of the program: what attendants of the two departments see.
SIGHTS = {
    "ana": Sight(
        lead=frozenset({"own", "queue", "kept", "split"}),
        session=frozenset({"own", "queue", "kept"}),
        ticket=frozenset({"own", "queue"}),
        mine=frozenset({"own"}),
        canned=frozenset({"own"}),
        person=frozenset({"own", "mate"}),
        access=frozenset({"own"}),
    ),
    "bia": Sight(
        lead=frozenset({"far", "pool", "split", "own", "kept"}),
        session=frozenset({"far", "pool", "split", "kept"}),
        ticket=frozenset({"far", "pool", "split", "kept"}),
        mine=frozenset({"far"}),
        canned=frozenset({"far"}),
        person=frozenset({"far"}),
        access=frozenset({"far"}),
    ),
    "admin": EVERYTHING,
    "root": EVERYTHING,
}


class World:
    """Makes all of it; `value` gives the number that an address needs."""

    def __init__(self) -> None:
        self.at = timezone.now()
        self.sales = recipes.department("vendas", name="Vendas")
        self.finance = recipes.department("financas", name="Financas")
        self.calendar = baker.make(Calendar, name="Comercial")
        self._people()
        self._bot()
        self.cases: dict[str, Case] = {}
        self._case("own", self.sales, self.ana)
        self._case("mate", self.sales, self.caio)
        self._case("queue", self.sales, None)
        self._case("far", self.finance, self.bia)
        self._case("pool", self.finance, None)
        self._case("split", self.finance, self.bia, lead=self.cases["own"].lead)
        self._case("kept", self.finance, self.bia)
        Lead.objects.filter(pk=self.cases["kept"].lead.pk).update(attendant=self.ana)
        self._personal("own", self.ana)
        self._personal("mate", self.caio)
        self._personal("far", self.bia)
        self._work_on_flows()
        self._operations()

    # --- What is asked ---------------------------------------------------------------------------

    @property
    def leads_of(self) -> dict[str, str]:
        """The case under whose name the lead of a case was made."""
        return {name: "own" if name == "split" else name for name in CASES}

    def sight(self, role: str) -> Sight:
        if role in SIGHTS:
            return SIGHTS[role]
        if role == "sara":
            return self._supervisor()
        return Sight()

    def case(self, name: str) -> Case:
        return self.cases[name]

    def _supervisor(self) -> Sight:
        """Follows from the tickets that are hers to see, however far that rule goes."""
        seen = set(Ticket.objects.visible_to(self.sara).values_list("pk", flat=True))
        tickets = frozenset(one.name for one in self.cases.values() if one.ticket.pk in seen)
        leads = {self.cases[name].lead.pk for name in tickets}
        people = set(User.objects.visible_to(self.sara).values_list("pk", flat=True))
        canned = set(CannedResponse.objects.visible_to(self.sara).values_list("pk", flat=True))
        return Sight(
            lead=frozenset(one.name for one in self.cases.values() if one.lead.pk in leads),
            session=tickets,
            ticket=tickets,
            canned=frozenset(
                name for name in ("own", "far") if self.cases[name]["canned"].pk in canned
            ),
            person=frozenset(
                name for name in ("own", "mate", "far") if self.cases[name].owner.pk in people
            ),
        )

    # --- How it is made --------------------------------------------------------------------------

    def _people(self) -> None:
        def person(username: str, *departments: Department, **fields: Any) -> User:
            fields = {"is_staff": True, "first_name": username.title(), **fields}
            made = baker.make(User, username=username, email=f"{username}@empresa.test", **fields)
            made.departments.set(departments)
            return made

        self.ana = person("ana", self.sales)
        self.caio = person("caio", self.sales)
        self.bia = person("bia", self.finance)
        self.sara = person("sara")
        self.sara.supervised_departments.set([self.finance])
        self.admin = person("admin", role=Role.ADMIN)
        self.root = person("root", role=Role.ADMIN, is_superuser=True)
        self.stale = person("stale", self.sales)
        self.guest = person("guest", self.sales, is_staff=False)
        self.gone = person("gone", is_active=False)
        self.invited = person("invited", is_active=False, invited_at=self.at)
        self.skill = baker.make(Skill, name="Espanhol")
        self.team_rules = TeamRules.objects.get_or_create(pk=1)[0]

    def _bot(self) -> None:
        self.channel = recipes.channel(slug="loja", name="Loja", account_id="waba")
        self.other_channel = recipes.channel(slug="cobranca", name="Cobranca")
        self.flow = recipes.flow("oi", draft_revision=1)
        self.version = recipes.version(self.flow)
        self.version2 = recipes.version(self.flow, 2)
        Flow.objects.filter(pk=self.flow.pk).update(published=self.version2)
        self.flow.refresh_from_db()

    def _case(
        self, name: str, department: Department, assignee: User | None, *, lead: Lead | None = None
    ) -> None:
        number = f"55119870{len(self.cases):05d}"
        channel = self.channel if lead is None else self.other_channel
        if lead is None:
            lead = baker.make(
                Lead,
                name=f"{mark(name, 'lead')} Silva",
                email=f"{mark(name, 'mail')}@cliente.test",
                need=mark(name, "need"),
                phone=f"+{number}",
                document="52998224725",
                attributes={"bairro": mark(name, "attribute")},
            )
            lead.tags.add(baker.make(Tag, name=f"tag{name}"))
        identity = baker.make(Identity, lead=lead, scheme="phone", address=number, send_to=number)
        session = baker.make(
            Session,
            lead=lead,
            channel=channel,
            identity=identity,
            owner=Owner.ATTENDANT if assignee else Owner.QUEUE,
            epoch=1,
            seq=1,
            context={"plano": mark(name, "context"), "cpf": "529.982.247-25"},
            flow_state={"sensitive": ["cpf"]},
            last_message_at=self.at,
            last_message_preview=mark(name, "message"),
            last_interaction_at=self.at,
            window_expires_at=self.at + timedelta(hours=20),
        )
        ticket = recipes.ticket(
            session=session,
            lead=lead,
            department=department,
            assignee=assignee,
            assigned_at=self.at if assignee else None,
            status=TicketStatus.IN_PROGRESS if assignee else TicketStatus.OPEN,
            subject=mark(name, "subject"),
            outcome=mark(name, "outcome"),
            resolution_note=mark(name, "resolution"),
            rating_comment=mark(name, "rating"),
            queued_at=self.at,
            variables={"plano": mark(name, "handed"), "cpf": "529.982.247-25"},
            handoff={"reason": mark(name, "handed"), "sensitive": ["cpf"], "steps": ["Início"]},
            last_message_at=self.at,
            last_message_preview=mark(name, "message"),
            unread=1,
        )
        case = Case(name, lead, session, ticket, assignee)
        self.cases[name] = case
        case.rows |= {
            "lead": lead,
            "session": session,
            "ticket": ticket,
            "identity": identity,
            **self._about_lead(name, lead),
            **self._about_session(name, session),
            **self._about_ticket(name, ticket, assignee),
        }
        entries = LogEntry.objects
        said = mark(self.leads_of[name], "lead")
        entries.log_actions(self.admin.pk, [lead], CHANGE, said, single_object=True)

    def _about_lead(self, name: str, lead: Lead) -> dict[str, models.Model]:
        """Of a case that shares its lead these rows are the lead's, too: the same markers."""
        name = self.leads_of[name]
        return {
            "leadnote": baker.make(Note, lead=lead, author=self.admin, text=mark(name, "leadnote")),
            "consent": baker.make(Consent, lead=lead, purpose="x", text=mark(name, "consent")),
            "statuschange": baker.make(
                LeadStatusChange, lead=lead, to_status="new", reason=mark(name, "reason")
            ),
        }

    def _about_session(self, name: str, session: Session) -> dict[str, models.Model]:
        run = baker.make(FlowRun, session=session, version=self.version, epoch=1)
        log = recipes.flow_log(
            session,
            1,
            run=run,
            node="nome",
            next_node="equipe",
            message={"kind": "text", "text": mark(name, "step")},
            context_set={"plano": mark(name, "context")},
        )
        inbound = recipes.inbound(session, mark(name, "message"), provider_at=self.at)
        said = recipes.outbound(
            session, mark(name, "said"), status=MessageStatus.SENT, flow_log=log, epoch=1
        )
        failed = recipes.outbound(
            session,
            mark(name, "failed"),
            author=Author.ATTENDANT,
            status=MessageStatus.FAILED,
            error_code="unconfirmed",
            failed_at=self.at,
        )
        media = baker.make(
            Media,
            message=inbound,
            mime_type="image/png",
            filename=f"{mark(name, 'file')}.png",
            status=MediaStatus.STORED,
            sha256=name,
            size=4,
        )
        media.file.save(f"{name}.png", ContentFile(b"\x89PNG"))
        media.thumbnail.save(f"{name}.webp", ContentFile(b"RIFF"))
        task = baker.make(Task, kind=TaskKind.HTTP, session=session, run_at=EVENING)
        return {
            "run": run,
            "log": log,
            "message": said,
            "inbound": inbound,
            "failed": failed,
            "media": media,
            "task": task,
        }

    def _about_ticket(
        self, name: str, ticket: Ticket, assignee: User | None
    ) -> dict[str, models.Model]:
        return {
            "note": baker.make(
                InternalNote, ticket=ticket, author=self.admin, text=mark(name, "note")
            ),
            "event": baker.make(
                TicketEvent,
                ticket=ticket,
                kind=TicketEventKind.TRANSFERRED,
                actor=assignee,
                details={"note": mark(name, "event"), "to_department": mark(name, "event")},
            ),
            "decision": baker.make(
                AssignmentDecision,
                ticket=ticket,
                chosen=assignee,
                policy="fewest_open",
                reason=mark(name, "decision"),
            ),
        }

    def _personal(self, name: str, user: User) -> None:
        case = self.cases[name]
        department = case.ticket.department
        token = baker.make(ApiToken, user=user, name=mark(name, "token"), prefix=f"{name:0>12}")
        browser = {"user_agent": mark(name, "browser"), "ip_address": "192.0.2.1"}
        if name != "own":  # so that setting one up is asked for, too
            baker.make(TOTPDevice, user=user, confirmed=True)
        case.rows |= {
            "user": user,
            "canned": baker.make(
                CannedResponse,
                shortcut=f"oi-{name}",
                title=mark(name, "canned"),
                text=mark(name, "canned"),
                department=department,
            )
            if name != "mate"
            else None,
            "view": baker.make(SavedView, user=user, name=mark(name, "view"), query="grupo=todos"),
            "notice": baker.make(
                Notification,
                user=user,
                ticket=case.ticket,
                kind=NotificationKind.MENTIONED,
                details={"text": mark(name, "notice")},
            ),
            "draft": baker.make(
                Draft, ticket=case.ticket, user=user, kind=DraftKind.REPLY, text=mark(name, "draft")
            ),
            "token": token,
            "login": baker.make(
                Login,
                user=user,
                session_key=f"key{name}",
                started_at=self.at,
                seen_at=self.at,
                **browser,
            ),
            "loginevent": baker.make(
                LoginEvent,
                user=user,
                username=user.username,
                kind="succeeded",
                at=self.at,
                **browser,
            ),
        }

    def _work_on_flows(self) -> None:
        flow, far = self.flow, self.cases["far"]
        self.trigger = baker.make(Trigger, flow=flow, kind=TriggerKind.KEYWORD, keywords=["oi"])
        self.golden = baker.make(
            GoldenConversation, flow=flow, name="Feliz", conversation={"turns": []}
        )
        self.replay = baker.make(Replay, flow=flow, document=flow.draft, title="rascunho")
        self.difference = baker.make(
            ReplayDifference,
            replay=self.replay,
            session=far.session,
            run=far["run"],
            outcome="path",
        )
        self.check = baker.make(SessionCheck)
        self.not_understood = baker.make(
            NotUnderstood, flow=flow, node="nome", text="oi", sample="Oi", count=3, last_at=self.at
        )
        self.move = baker.make(SessionMove, version=self.version2)
        self.publish_request = baker.make(
            PublishRequest, flow=flow, revision=1, requested_by=self.root
        )
        baker.make(DraftStep, flow=flow, number=1, before=flow.draft, after=flow.draft)
        baker.make(SimulatedPerson, user=self.admin, address="sim-admin")

    def _operations(self) -> None:
        self.incident = baker.make(
            Incident,
            kind=IncidentKind.values[-1],
            key="prova",
            opened_at=self.at,
            last_seen_at=self.at,
        )
        self.failed_event = baker.make(FailedEvent, error="não se leu", channel=self.channel)
        self.job = baker.make(Task, kind=TaskKind.values[-1], run_at=EVENING)
        self.template = baker.make(
            MessageTemplate,
            channel=self.channel,
            name="lembrete",
            status=TemplateStatus.APPROVED,
            category="UTILITY",
            components=[{"type": "BODY", "text": "Olá"}],
        )
        self.rejected_template = baker.make(
            MessageTemplate, channel=self.channel, name="recusado", status="rejected"
        )
        self.secret = baker.make(Secret, name="chave", note="segredo da loja")
        self.price = baker.make(Price, category="outra", valid_from=date(2026, 1, 1), amount=1)
        self.worker = baker.make(Worker, name="w1", started_at=self.at, beat_at=self.at)
        self.sla = baker.make(
            SlaPolicy, department=self.sales, name="Padrão", first_response_minutes=10
        )
        self.tag = Tag.objects.get(name="tagown")

    def remember(self) -> None:
        """How every table looks now, to be compared with after somebody was refused."""
        from config.tests.walk.asking import rows_of  # noqa: PLC0415  # it imports this module

        models_ = {model._meta.db_table: model for model in apps.get_models()}
        for model in list(models_.values()):
            for one in model._meta.many_to_many:
                through = one.remote_field.through
                models_[through._meta.db_table] = through
        self.snapshot = {table: rows_of(model) for table, model in models_.items()}
