"""What customers and attendants of the demo do. Everything goes through the doors that real
messages and real people use, except the provider, whose part is played here."""

from __future__ import annotations

import hashlib
import io
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from chatbot.attachments import accepted
from chatbot.channels.base import Content
from chatbot.channels.inbound import Address, InboundMessage, Kind, MediaRef, Sender
from chatbot.conversation import receive, resume, send_reply, send_template
from chatbot.demo.files import pdf
from chatbot.demo.names import Contract
from chatbot.demo.play import Play
from chatbot.expiry import expire
from chatbot.media import attach, write_out
from chatbot.models import (
    Media,
    MediaStatus,
    MessageLog,
    MessageStatus,
    Task,
    TaskKind,
    TaskStatus,
)
from leads.models import Identity, Scheme
from sessions_app.models import Channel, Session
from tickets import services as tickets
from tickets.models import Ticket
from users.models import User

PAID = {"billable": True, "pricing_model": "PMP", "type": "regular"}
FREE = {"billable": False, "pricing_model": "PMP", "type": "free_customer_service"}
UNAVAILABLE = "Service unavailable"  # the provider's words
CHOICES = {"buttons": Kind.BUTTON_REPLY, "list": Kind.LIST_REPLY}


class NotReady(Exception):
    """Something that a conversation needs is missing; the message says what."""


@dataclass
class Customer:
    """A person who writes to the company. `phone`: digits, country code first."""

    play: Play
    channel: Channel
    name: str
    phone: str
    contract: Contract
    _session: Session | None = field(default=None, init=False, repr=False)
    _looked_at: datetime | None = field(default=None, init=False, repr=False)

    # -- what they do

    def say(self, text: str, *, reply_to: str = "") -> str:
        """Returns the message's id at the provider, as everything here does."""
        return self._send(Kind.TEXT, text=text, reply_to=reply_to)

    def tap(self, option_id: str) -> str:
        """Choose an option of the last message that offers any."""
        offer = self._sent().filter(payload__has_key="options").latest("pk")
        option = next((one for one in offer.payload["options"] if one["id"] == option_id), None)
        if option is None:
            raise NotReady(f"{self.name} was not offered “{option_id}”")
        return self._send(
            CHOICES.get(offer.kind, Kind.BUTTON_REPLY),
            text=option["title"],
            choice_id=option["id"],
            reply_to=offer.provider_id,
        )

    def send_file(
        self, kind: Kind, content: bytes, *, name: str = "", text: str = "", reply_to: str = ""
    ) -> str:
        media = MediaRef(mime_type="", filename=name)
        sent = self._send(kind, text=text, media=media, reply_to=reply_to)
        self._store(sent, content)
        return sent

    def share_place(self, latitude: float, longitude: float, *, name: str, address: str) -> str:
        place = {"latitude": latitude, "longitude": longitude, "name": name, "address": address}
        return self._send(Kind.LOCATION, text=name, payload={"location": place})

    def share_contact(self, name: str, phone: str) -> str:
        card = {"name": {"formatted_name": name}, "phones": [{"phone": phone, "type": "CELL"}]}
        return self._send(Kind.CONTACTS, text=name, payload={"contacts": [card]})

    def react(self, emoji: str) -> str:
        """To the last thing that was said to them."""
        target = self._sent().exclude(provider_id="").latest("pk").provider_id
        return self._send(Kind.REACTION, text=emoji, target_id=target)

    def correct(self, message: str, text: str) -> str:
        return self._send(Kind.EDIT, text=text, target_id=message)

    def take_back(self, message: str) -> str:
        return self._send(Kind.REVOKE, target_id=message)

    # -- where they stand

    @property
    def session(self) -> Session:
        """Their newest conversation, as it was when this scene first looked."""
        if self._looked_at != self.play.at or self._session is None:
            self._session, self._looked_at = self._newest_session(), self.play.at
        return self._session

    def _newest_session(self) -> Session:
        lead = Identity.objects.filter(scheme=Scheme.PHONE, address=self.phone).values("lead")
        mine = Session.objects.filter(channel=self.channel, lead__in=lead)
        return mine.select_related("lead", "channel").latest("pk")

    @property
    def ticket(self) -> Ticket:
        ticket = tickets.open_ticket_of(self.session)
        if ticket is None:
            raise NotReady(f"{self.name} has no open ticket")
        return ticket

    @property
    def has_ticket(self) -> bool:
        return tickets.open_ticket_of(self.session) is not None

    @property
    def passo(self) -> str:
        """Where the bot waits for them now."""
        self._session = None
        return self.session.current_state

    def go_silent(self) -> None:
        """The bot's time is over: it warns, or ends the conversation."""
        session = self.session
        expire(session.pk, now=self.play.at)
        deliver(self.play, session)

    # -- how it arrives

    def _send(self, kind: Kind, **fields: Any) -> str:
        at = self.play.at
        provider_id = f"wamid.demo.{self.phone}.{at.timestamp():.3f}.{kind}"
        sender = Sender((Address(Scheme.PHONE, self.phone, self.phone),), name=self.name)
        item = InboundMessage(None, at, provider_id=provider_id, kind=kind, sender=sender, **fields)
        if receive(self.channel, [item], now=at).stored != 1:
            raise NotReady(f"“{item.text}” of {self.name} could not be stored.")
        self._session = None
        self._answer_requests()
        deliver(self.play, self.session)
        return provider_id

    def _sent(self) -> Any:
        return MessageLog.objects.outbound().filter(session=self.session)

    def _answer_requests(self) -> None:
        """The company's own program, as the flow's requests would find it."""
        if self.session.flow_state.get("engine", {}).get("awaiting") != "http":
            return
        self._session = None
        while waiting := _pending(self.session, TaskKind.HTTP).first():
            wanted = waiting.payload.get("mapping") or {}
            known = {k: v for k, v in asdict(self.contract).items() if k in wanted}
            resume(waiting, now=self.play.at, route="ok", values=known)
            _done(waiting, at=self.play.at)
        _finish_marks(self.session, at=self.play.at)

    def _store(self, provider_id: str, content: bytes) -> None:
        row = MessageLog.objects.get(channel=self.channel, provider_id=provider_id)
        media = Media.objects.get(message=row)
        kept = write_out(io.BytesIO(content), name=f"media/demo/{row.pk}")
        self.play.files += filter(None, [kept.file, kept.thumbnail])
        Media.objects.filter(pk=media.pk).update(
            status=MediaStatus.STORED,  # writer: the provider's part is played here
            sha256=hashlib.sha256(content).hexdigest(),
            fetched_at=self.play.at,
            **kept.columns,
        )


# --- What the team does ------------------------------------------------------------------------


@dataclass
class Attendant:
    play: Play
    user: User

    def claim(self, customer: Customer) -> None:
        tickets.claim(customer.ticket, user=self.user, at=self.play.at)

    def reply(
        self, customer: Customer, text: str, *, quote: str = "", fate: MessageStatus | None = None
    ) -> MessageLog:
        content = Content(kind="text", text=text, reply_to=quote)
        row = send_reply(customer.session, user=self.user, content=content, at=self.play.at)
        _finish_marks(customer.session, at=self.play.at)
        deliver(self.play, customer.session, fate=fate)
        return row

    def send_file(self, customer: Customer, name: str, content: bytes, *, text: str = "") -> None:
        session = customer.session
        upload = SimpleUploadedFile(name, content)
        with accepted(upload, session) as attachment:
            self.play.files += filter(None, [attachment.kept.file, attachment.kept.thumbnail])
            send_reply(session, user=self.user, text=text, attachment=attachment, at=self.play.at)
        _finish_marks(session, at=self.play.at)
        deliver(self.play, session, fate=MessageStatus.DELIVERED)

    def send_template(self, customer: Customer, name: str, **values: str) -> None:
        numbered = {key.removeprefix("v"): value for key, value in values.items()}
        send_template(
            customer.session,
            user=self.user,
            name=name,
            language="pt_BR",
            values=numbered,
            at=self.play.at,
        )
        _finish_marks(customer.session, at=self.play.at)
        deliver(self.play, customer.session, pricing={**PAID, "category": "utility"})

    def note(self, customer: Customer, text: str) -> None:
        tickets.add_note(customer.ticket, author=self.user, text=text)

    def resolve(
        self, customer: Customer, *, with_survey: bool = True, outcome: str = "", note: str = ""
    ) -> None:
        tickets.resolve(
            customer.ticket,
            actor=self.user,
            then=tickets.Next.BOT if with_survey else tickets.Next.END,
            entry="pesquisa" if with_survey else "",
            outcome=outcome,
            note=note,
            at=self.play.at,
        )
        deliver(self.play, customer.session)


# --- The provider's part -----------------------------------------------------------------------


def deliver(
    play: Play,
    session: Session,
    *,
    fate: MessageStatus | None = None,
    pricing: dict[str, Any] | None = None,
) -> None:
    """What is in the outbox of a conversation gets as far as `fate`, else as far as it would."""
    if fate == MessageStatus.QUEUED:
        return
    waiting = MessageLog.objects.filter(session=session, status=MessageStatus.QUEUED)
    for row in waiting.order_by("pk"):
        _file_of_the_bot(play, row)
        values = _fate(play, row, fate or _usual_fate(play))
        if values["status"] != MessageStatus.FAILED:
            values |= {"pricing": pricing or {**FREE, "category": "service"}, "is_priced": False}
        MessageLog.objects.filter(pk=row.pk).update(**values)


def _usual_fate(play: Play) -> MessageStatus:
    chance = play.rng.random()
    if chance < 0.9:  # shares of what happens
        return MessageStatus.READ
    return MessageStatus.DELIVERED if chance < 0.985 else MessageStatus.SENT


def _fate(play: Play, row: MessageLog, fate: MessageStatus) -> dict[str, Any]:
    sent_at = play.at + timedelta(seconds=0.4)
    read_at = sent_at + play.after(3, 240)
    values: dict[str, Any] = {"status": fate, "attempts": 1}
    if fate == MessageStatus.FAILED:
        return {**values, "failed_at": sent_at, "error_code": "131016", "error_detail": UNAVAILABLE}
    values |= {"provider_id": f"wamid.demo.out.{row.pk}", "sent_at": sent_at}
    if fate == MessageStatus.SENT:
        return values
    values["delivered_at"] = sent_at + timedelta(seconds=1.3)
    if fate == MessageStatus.READ and read_at < play.now:
        return {**values, "read_at": read_at}
    return {**values, "status": MessageStatus.DELIVERED}


def _file_of_the_bot(play: Play, row: MessageLog) -> None:
    """A document that a flow sends by its address: here is what the address would have given."""
    if "media_link" not in row.payload:
        return
    content = pdf("Ventura Fibra", "Segunda via do boleto", row.text)
    kept = write_out(io.BytesIO(content), name=f"media/demo/{row.pk}")
    play.files.append(kept.file)
    attach(
        row,
        kept,
        filename=row.payload.get("filename", ""),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _finish_marks(session: Session, *, at: datetime) -> None:
    """No provider is told that something was read."""
    for task in _pending(session, TaskKind.MARK_READ):
        _done(task, at=at)


def _pending(session: Session, kind: TaskKind) -> Any:
    waiting = Task.objects.filter(session=session, kind=kind, status=TaskStatus.PENDING)
    return waiting.order_by("pk")


def _done(task: Task, *, at: datetime) -> None:
    Task.objects.filter(pk=task.pk).update(
        status=TaskStatus.DONE,  # writer: the worker's part is played here
        done_at=at,
    )
