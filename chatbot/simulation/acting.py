"""What a simulated person does, through the front door of every message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatbot.channels.inbound import Address, InboundMessage, Kind, Sender
from chatbot.channels.simulator.transport import SCHEME, inbound_from_form
from chatbot.conversation import Receipt, receive
from chatbot.models import Direction, MessageLog, SimulatedPerson
from chatbot.simulation import passing, people
from chatbot.simulation.phones import phone_of
from leads.services import update_lead
from users.digits import whole

PLACE = {"latitude": "-8.05428", "longitude": "-34.8813", "place": "Recife"}
FRIEND = "Rita Nunes"  # whose card is shared
MEDIA = ("image", "audio", "voice", "video", "document", "sticker")
FILENAMES = {"document": "comprovante.pdf"}


def say(person: SimulatedPerson, form: Mapping[str, str]) -> Receipt:
    """What the person said or did (see `inbound_from_form`), after what was due before it; the
    answers are delivered at once."""
    with people.alone(person):
        passing.catch_up(person)
        now = people.now_of(person)
        item = inbound_from_form(
            form,
            account=None,
            customer=person.address,
            name=people.CUSTOMER_NAME,
            at=now,
        )
        receipt = receive(people.channel(), [item], now=now)
        _give_phone(person)
        passing.catch_up(person, until=now)
    return receipt


def say_again(person: SimulatedPerson) -> Receipt | None:
    """The provider brings the last message once more; None when there was none."""
    with people.alone(person):
        row = _inbound(person).order_by("-pk").first()
        if row is None:
            return None
        now = people.now_of(person)
        people.note(person, "repeated", now, text=row.text[:80])
        return receive(people.channel(), [_as_it_came(row, person)], now=now)


def sent(person: SimulatedPerson, what: str) -> dict[str, str]:
    """The form of something that is no text: a file, a place, somebody's card, their own card."""
    match what:
        case "location":
            return dict(PLACE)
        case "contact":
            return {"contact": FRIEND}
        case "own_phone":
            return {"contact": people.CUSTOMER_NAME, "own_phone": phone_of(person.address)}
    return {"kind": what, "filename": FILENAMES.get(what, "")} if what in MEDIA else {}


def tapped(person: SimulatedPerson, message_id: str, option_id: str) -> dict[str, str]:
    """The form of a tap on an option that this person was offered, however long ago; empty when
    they were not."""
    key = whole(message_id)
    row = _outbound(person).filter(pk=key).first() if key is not None else None
    return _tap(row, option_id) if row is not None else {}


def tapped_last(person: SimulatedPerson, option_id: str) -> dict[str, str]:
    """The same on the newest message that offers the option; where none does, as if one had."""
    rows = _outbound(person).filter(kind__in=("buttons", "list")).order_by("-pk")[:20]
    found = (form for row in rows if (form := _tap(row, option_id)))
    return next(found, {"choice_id": option_id, "choice_kind": "buttons"})


def _tap(row: MessageLog, option_id: str) -> dict[str, str]:
    for option in row.payload.get("options", ()):
        if option.get("id") == option_id:
            return {
                "choice_id": option_id,
                "choice_title": option.get("title", ""),
                "choice_kind": row.kind,
                "reply_to": row.provider_id,
            }
    return {}


def _give_phone(person: SimulatedPerson) -> None:
    """What WhatsApp mostly tells with the first message. Not as an address, which would be the
    same person on every channel."""
    session = next(iter(people.sessions_of(person)), None)
    if person.has_phone and session is not None and not session.lead.phone:
        update_lead(session.lead, fields={"phone": phone_of(person.address)}, reason="simulator")


def _as_it_came(row: MessageLog, person: SimulatedPerson) -> InboundMessage:
    return InboundMessage(
        None,
        row.provider_at or row.created_at,
        provider_id=row.provider_id,
        sender=Sender(
            (Address(SCHEME, person.address, person.address),), name=people.CUSTOMER_NAME
        ),
        reply_to=row.reply_to,
        kind=Kind(row.kind),
        text=row.text,
        choice_id=str(row.payload.get("choice_id", "")),
        payload={name: value for name, value in row.payload.items() if name != "media"},
    )


def _inbound(person: SimulatedPerson) -> Any:
    sessions = people.sessions_of(person)
    return MessageLog.objects.filter(session__in=sessions, direction=Direction.INBOUND)


def _outbound(person: SimulatedPerson) -> Any:
    sessions = people.sessions_of(person)
    return MessageLog.objects.filter(session__in=sessions, direction=Direction.OUTBOUND)


def cut_line(person: SimulatedPerson, *, is_away: bool) -> None:
    """Whether the provider is there for this person."""
    if person.is_provider_away == is_away:
        return
    people.change(person, is_provider_away=is_away)
    people.note(person, "away" if is_away else "back", people.now_of(person))
