"""Find, link, change and merge leads: the only writer of what is known about a customer.

A lead is locked after the session and the ticket it is changed for.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, Protocol

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from leads import columns
from leads.models import (
    CONTACT_PURPOSE,
    Consent,
    Identity,
    Lead,
    LeadStatus,
    LeadStatusChange,
    Note,
    Scheme,
    Tag,
)
from leads.signals import leads_merging
from users import audit
from users.errors import DomainError
from users.frozen import Frozen
from users.models import User

logger = logging.getLogger(__name__)

# Identities are inserted in this order by everyone, so that two inserts cannot wait for each other.
INSERT_ORDER = list(Scheme.values)
# Whose lead it is when a message's addresses are known under different leads.
IDENTITY_ORDER = (Scheme.BSUID, Scheme.PARENT_BSUID)
# Which of its addresses a message is answered at.
ANSWER_ORDER = (Scheme.PHONE, Scheme.BSUID)
# The bot moves forward along this line only; people may set any status.
FUNNEL = (LeadStatus.NEW, LeadStatus.CONTACTED, LeadStatus.QUALIFIED, LeadStatus.CONVERTED)

Key = tuple[str, str, str]


class LeadRefusal(DomainError):
    """The lead cannot be changed like that."""

    code = "lead_refused"


class AddressLike(Protocol):
    """How a channel knows a person: `address` is canonical, `send_to` as received."""

    @property
    def scheme(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def send_to(self) -> str: ...


@dataclass(frozen=True)
class Resolved:
    """Whose message it is, and the identity to answer at (one of that message's addresses)."""

    lead: Lead
    identity: Identity
    created: bool


# --- Whose message is it ---------------------------------------------------------------------


def resolve_lead(
    *,
    addresses: Sequence[AddressLike],
    name: str,
    source: str,
    is_simulated: bool = False,
    at: datetime,
) -> Resolved:
    """The lead that these addresses of one message belong to; a new one when none is known.

    One read, and no write when there is nothing to learn: an unknown address of a known person
    (the message itself is the evidence), a new form to send to, a name or phone still missing.
    Addresses known under different leads are not merged: the BSUID says who it is.
    Of two that create at once, the loser rolls back to its savepoint and reads the winner's.
    Runs in the caller's transaction.
    """
    by_key = _by_key(addresses)
    if not by_key:
        raise ValueError("a message without an address belongs to nobody")
    known = _known(by_key)
    if not known:
        created = _create(by_key, name=name, source=source, is_simulated=is_simulated)
        if created is not None:
            return _resolved(*created, by_key, created=True)
        known = _known(by_key)
    lead = _whose(known)
    identities = [identity for identity in known if identity.lead_id == lead.pk]
    _note_reachable(identities, by_key, at=at)
    identities += _add_missing(lead, by_key, known)
    _complete(lead, name=columns.as_name(name), phone=_phone_of(identities))
    return _resolved(lead, identities, by_key, created=False)


def known_lead(addresses: Sequence[AddressLike]) -> Lead | None:
    """The lead that has one of these addresses, as a message would find it; makes none."""
    by_key = _by_key(addresses)
    known = _known(by_key) if by_key else []
    return _whose(known) if known else None


def preferred_of(lead: Lead, addresses: Sequence[AddressLike]) -> Identity | None:
    """Which of these addresses the lead is answered at; None when it has none of them."""
    by_key = _by_key(addresses)
    mine = [one for one in (_known(by_key) if by_key else []) if one.lead_id == lead.pk]
    return _preferred(mine, ANSWER_ORDER) if mine else None


def told(addresses: Iterable[AddressLike]) -> dict[str, str]:
    """These addresses as named values of a frozen query (see `having`)."""
    return _values_of(_by_key(addresses))


def having(values: Mapping[str, str]) -> Q:
    """The condition on Identity that it is one of the addresses told."""
    return reduce(
        or_,
        (
            Q(
                scheme=values[f"scheme{number}"],
                scope=values[f"scope{number}"],
                address=values[f"address{number}"],
            )
            for number in range(len(values) // 3)
        ),
    )


def _values_of(keys: Iterable[Key]) -> dict[str, str]:
    return {
        f"{name}{number}": value
        for number, key in enumerate(keys)
        for name, value in zip(("scheme", "scope", "address"), key, strict=True)
    }


def _by_key(addresses: Iterable[AddressLike]) -> dict[Key, AddressLike]:
    return {(one.scheme, one.scope, one.address): one for one in addresses if one.address}


def _known(by_key: Iterable[Key]) -> list[Identity]:
    """The identities at these addresses, each with its lead (the winner's, if it was merged)."""
    values = _values_of(by_key)
    identities: list[Identity] = _AT.all(len(values), **values)
    for identity in identities:
        while identity.lead.merged_into is not None:
            identity.lead = identity.lead.merged_into
    return identities


_AT = Frozen(
    lambda _count, **values: (
        Identity.objects.filter(having(values)).select_related("lead").order_by("pk")
    )
)


def _create(
    by_key: Mapping[Key, AddressLike], *, name: str, source: str, is_simulated: bool
) -> tuple[Lead, list[Identity]] | None:
    """The new lead and all its identities in one savepoint; None when somebody was faster."""
    phone = next((one.address for one in by_key.values() if one.scheme == Scheme.PHONE), "")
    try:
        with transaction.atomic():
            lead = Lead.objects.create(
                name=columns.as_name(name),
                phone=columns.as_e164(phone),
                source=source,
                is_simulated=is_simulated,
            )
            identities = Identity.objects.bulk_create(_new_identities(lead, by_key.values()))
            LeadStatusChange.objects.create(lead=lead, to_status=LeadStatus.NEW)
    except IntegrityError:
        if not _known(by_key):
            raise
        return None
    return lead, identities


def _new_identities(lead: Lead, addresses: Iterable[AddressLike]) -> list[Identity]:
    return [
        Identity(
            lead=lead,
            scheme=one.scheme,
            scope=one.scope,
            address=one.address,
            send_to=one.send_to or one.address,
        )
        for one in sorted(addresses, key=_insert_order)
    ]


def _insert_order(address: AddressLike) -> tuple[int, str, str]:
    return INSERT_ORDER.index(address.scheme), address.scope, address.address


def _whose(known: Sequence[Identity]) -> Lead:
    lead = _preferred(known, IDENTITY_ORDER).lead
    others = sorted({identity.lead_id for identity in known} - {lead.pk})
    if others:
        logger.warning("one message names lead %s and also %s: not merged", lead.pk, others)
    return lead


def _preferred(identities: Sequence[Identity], schemes: Sequence[str]) -> Identity:
    """The first identity of the first of these schemes; else the first of all."""
    for scheme in schemes:
        for identity in identities:
            if identity.scheme == scheme:
                return identity
    return identities[0]


def _resolved(
    lead: Lead, identities: Sequence[Identity], by_key: Mapping[Key, AddressLike], *, created: bool
) -> Resolved:
    position = {key: index for index, key in enumerate(by_key)}
    as_received = sorted(identities, key=lambda identity: position[_key(identity)])
    return Resolved(lead, _preferred(as_received, ANSWER_ORDER), created)


def _key(identity: Identity) -> Key:
    return identity.scheme, identity.scope, identity.address


def _note_reachable(
    identities: Sequence[Identity], by_key: Mapping[Key, AddressLike], *, at: datetime
) -> None:
    """Keep the form last received; who wrote since can be reached."""
    for identity in identities:
        send_to = by_key[_key(identity)].send_to or identity.send_to
        is_back = identity.unreachable_at is not None and identity.unreachable_at <= at
        if identity.send_to != send_to or is_back:
            identity.send_to = send_to
            identity.unreachable_at = None if is_back else identity.unreachable_at
            identity.save(update_fields=["send_to", "unreachable_at"])


def _add_missing(
    lead: Lead, by_key: Mapping[Key, AddressLike], known: Sequence[Identity]
) -> list[Identity]:
    """Add the addresses that nobody has; one that another lead just got stays there."""
    taken = {_key(identity) for identity in known}
    missing = [address for key, address in by_key.items() if key not in taken]
    added: list[Identity] = []
    for identity in _new_identities(lead, missing):
        try:
            with transaction.atomic():
                identity.save(force_insert=True)
            added.append(identity)
        except IntegrityError:
            winners = _known([_key(identity)])
            added += [winner for winner in winners if winner.lead_id == lead.pk]
    return added


def _phone_of(identities: Sequence[Identity]) -> str:
    phones = [identity.address for identity in identities if identity.scheme == Scheme.PHONE]
    return columns.as_e164(phones[0]) if phones else ""


def _complete(lead: Lead, **found: str) -> None:
    """Fill columns that are still empty, and only if they still are when we write."""
    for field, value in found.items():
        if value and not getattr(lead, field):
            Lead.objects.filter(**{"pk": lead.pk, field: ""}).update(**{field: value})
            setattr(lead, field, value)


@transaction.atomic
def link_identities(
    lead: Lead, addresses: Sequence[AddressLike], *, at: datetime
) -> list[Identity]:
    """Add addresses that the provider says belong to this person (a changed number); returns them.

    One that belongs to another lead stays there. The old ones stay as aliases. The phone attribute
    follows a new number, unless a person gave us one that no channel knows.
    """
    by_key = _by_key(addresses)
    known = _known(by_key) if by_key else []
    others = sorted({identity.lead_id for identity in known} - {lead.pk})
    if others:
        logger.warning("lead %s: an address to link belongs to lead %s: not moved", lead.pk, others)
    lock_lead(lead)
    channel_phones = set(
        lead.identities.filter(scheme=Scheme.PHONE).values_list("address", flat=True)
    )
    added = _add_missing(lead, by_key, known)
    phone = _phone_of(added)
    if phone and (not lead.phone or lead.phone.removeprefix("+") in channel_phones):
        lead.phone = phone
        lead.save(update_fields=["phone", "updated_at"])
    return added


def learn_addresses(addresses: Sequence[AddressLike], *, at: datetime) -> None:
    """Several addresses of one person, named together by the provider: the ones still missing are
    added. One read when there is nothing to learn; nobody is made for people we do not know."""
    by_key = _by_key(addresses)
    known = _known(by_key) if len(by_key) > 1 else []
    if known and len(known) < len(by_key):
        link_identities(_whose(known), addresses, at=at)


def tell_of_conflict(lead: Lead, addresses: Sequence[AddressLike]) -> None:
    """The provider says that addresses of other leads are this person's: a note on this one, once,
    for people to merge them. Nothing is merged without a person."""
    by_key = _by_key(addresses)
    others = {one.lead.pk: one.lead for one in (_known(by_key) if by_key else [])}
    others.pop(lead.pk, None)
    for other in others.values():
        text = _("The channel says that this person is also %(lead)s (lead %(number)s).") % {
            "lead": other,
            "number": other.pk,
        }
        if not lead.notes.filter(text=text).exists():
            add_note(lead, author=None, text=text)


# --- What we know about them -----------------------------------------------------------------


@transaction.atomic
def create_lead(  # noqa: PLR0913  # keyword-only
    *,
    fields: Mapping[str, str],
    source: str,
    status: str = LeadStatus.NEW,
    tags: Sequence[str] = (),
    attendant: User | None = None,
    actor: User | None = None,
) -> Lead:
    """A lead that a person or a program adds; channels make theirs with `resolve_lead`."""
    lead = Lead(source=source, status=_known_status(status), attendant=attendant)
    _set_fields(lead, fields, may_clear=True)
    lead.save(force_insert=True)
    lead.status_changes.create(to_status=lead.status, actor=actor)
    lead.tags.add(*get_or_create_tags(tags))
    return lead


@transaction.atomic
def update_lead(  # noqa: PLR0913  # keyword-only
    lead: Lead,
    *,
    fields: Mapping[str, str] | None = None,
    status: str = "",
    tags: Sequence[str] | None = None,
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
    consent: str = "",
    consent_granted: bool = True,
    consent_text: str = "",
    sensitive: Collection[str] = (),
    actor: User | None = None,
    reason: str = "",
) -> Lead:
    """Change what is given. Never raises on what a customer wrote.

    A field that is no column, or a text that its column cannot hold (an e-mail that is none), is
    kept in `attributes`, where pages mask those that are named in `sensitive`. Without `actor` (the
    bot) an empty text clears nothing and the status only moves forward. `tags` replaces all of
    them.
    """
    lock_lead(lead)
    before = lead.attributes
    changed = _set_fields(lead, fields or {}, may_clear=actor is not None)
    if "attributes" in changed:
        _tell_attributes(lead, before)
    changed += _note_sensitive(lead, sensitive)
    changed += _set_status(lead, status, actor=actor, reason=reason) if status else []
    if changed:
        lead.save(update_fields=[*changed, "updated_at"])
    if tags is not None:
        lead.tags.set(get_or_create_tags(tags))
    if add_tags:
        lead.tags.add(*get_or_create_tags(name for name in add_tags if columns.clean(name)))
    if remove_tags:
        lead.tags.remove(*Tag.objects.filter(_named(remove_tags)))
    if consent:
        record_consent(lead, consent, is_granted=consent_granted, text=consent_text, origin=reason)
    return lead


@transaction.atomic
def set_attendant(lead: Lead, *, attendant: User | None, actor: User | None) -> Lead:
    """Say who usually takes care of this lead, and so may always see it. Admins say it."""
    if actor is not None and not actor.is_admin:
        raise LeadRefusal(
            _("Only administrators say who takes care of a lead."), code="not_allowed", status=403
        )
    lead.attendant = attendant
    lead.save(update_fields=["attendant", "updated_at"])
    return lead


@transaction.atomic
def record_consent(
    lead: Lead, purpose: str, *, is_granted: bool, text: str = "", origin: str = ""
) -> Consent:
    return lead.consents.create(
        purpose=columns.clean(purpose)[:60],
        is_granted=is_granted,
        text=columns.clean(text),
        origin=columns.clean(origin)[:60],
    )


@transaction.atomic
def record_referral(lead: Lead, referral: Mapping[str, Any]) -> bool:
    """Keep the first ad that brought this person; True if it is this one."""
    if not referral or lead.referral:
        return False
    is_first = Lead.objects.filter(pk=lead.pk, referral={}).update(referral=dict(referral)) == 1
    lead.refresh_from_db(fields=["referral"])
    return is_first


@transaction.atomic
def opt_out(lead: Lead, *, text: str, origin: str, at: datetime) -> bool:
    """Stop writing to them unasked; False if they had before. `text` is what they wrote."""
    if not Lead.objects.filter(pk=lead.pk, opted_out_at=None).update(opted_out_at=at):
        return False
    lead.opted_out_at = at
    audit.changed(lead, {"opted_out_at": None}, {"opted_out_at": at})
    record_consent(lead, CONTACT_PURPOSE, is_granted=False, text=text, origin=origin)
    return True


@transaction.atomic
def opt_in(lead: Lead, *, text: str, origin: str, at: datetime) -> bool:
    """They agree to be written to again; False if they had not opted out."""
    if not Lead.objects.filter(pk=lead.pk, opted_out_at__lte=at).update(opted_out_at=None):
        return False
    audit.changed(lead, {"opted_out_at": lead.opted_out_at}, {"opted_out_at": None})
    lead.opted_out_at = None
    record_consent(lead, CONTACT_PURPOSE, is_granted=True, text=text, origin=origin)
    return True


def opt_in_by_staff(lead: Lead, *, reason: str, actor: User, origin: str, at: datetime) -> bool:
    """One of the team takes an opt-out back: only with a reason (how the person agreed), which
    stands in the consent with who gave it. False if they had not opted out."""
    if not columns.clean(reason):
        raise LeadRefusal(
            _("Say how this person agreed to be written to again."),
            code="reason_required",
            status=400,
        )
    return opt_in(lead, text=f"{columns.clean(reason)} ({actor})", origin=origin, at=at)


@transaction.atomic
def add_note(lead: Lead, *, author: User | None, text: str) -> Note:
    if not columns.clean(text):
        raise LeadRefusal(_("The note is empty."), code="empty_note", status=400)
    return lead.notes.create(author=author, text=columns.clean(text))


def get_or_create_tags(names: Iterable[str]) -> list[Tag]:
    """The tags of these names, whatever their case, in three statements at most.

    Of two that create the same tag at once, one wins. Raises LeadRefusal for a name of nothing.
    """
    written = (columns.clean(name)[:40].strip() for name in names)
    wanted = list({name.casefold(): name for name in written}.values())
    if not wanted:
        return []
    if not all(wanted):
        raise LeadRefusal(_("The tag has no name."), code="empty_tag", status=400)
    Tag.objects.bulk_create([Tag(name=name) for name in _unknown(wanted)], ignore_conflicts=True)
    return list(Tag.objects.filter(_named(wanted)))


def usable_tags(names: list[str], *, actor: User) -> list[str]:
    """These names, if the actor may use them: who may not make tags takes those there are."""
    written = [cleaned for name in names if (cleaned := columns.clean(name)[:40].strip())]
    if written and not actor.has_perm("leads.add_tag") and _unknown(written):
        raise LeadRefusal(
            _("There is no tag of this name. An administrator can make it."),
            code="unknown_tag",
            status=400,
        )
    return names


def _tell_attributes(lead: Lead, before: Mapping[str, str]) -> None:
    """The audit keeps which ones a person changed, without the values: any may be sensitive."""
    names = before.keys() | lead.attributes.keys()
    differing = sorted(name for name in names if before.get(name) != lead.attributes.get(name))
    audit.acted(lead, audit.ATTRIBUTES, names=", ".join(differing))


def _note_sensitive(lead: Lead, names: Collection[str]) -> list[str]:
    """Keep in memory which attributes are sensitive; returns the columns to save."""
    named = {*lead.sensitive_attributes, *(columns.clean(name)[:60] for name in names)}
    kept = sorted(named & lead.attributes.keys())
    if kept == lead.sensitive_attributes:
        return []
    lead.sensitive_attributes = kept
    return ["sensitive_attributes"]


def _unknown(names: Sequence[str]) -> list[str]:
    known = Tag.objects.filter(_named(names)).values_list("name", flat=True)
    seen = {name.casefold() for name in known}
    return [name for name in names if name.casefold() not in seen]


def _named(names: Iterable[str]) -> Q:
    return reduce(or_, (Q(name__iexact=columns.clean(name)) for name in names))


def lock_lead(lead: Lead) -> None:
    """Lock the row and read it again into `lead`, until the transaction ends."""
    locked = Lead.objects.select_for_update(no_key=True, of=("self",))
    lead.refresh_from_db(from_queryset=locked)


def _set_fields(lead: Lead, fields: Mapping[str, str], *, may_clear: bool) -> list[str]:
    """Set columns and attributes in memory; returns the columns to save."""
    changed = []
    attributes = dict(lead.attributes)
    for field, text in fields.items():
        if not columns.clean(text) and not may_clear:
            continue
        value = columns.as_column(field, text) if field in columns.CLEANERS else None
        if value is None and columns.clean(text):
            attributes[columns.clean(field)[:60]] = columns.clean(text)
            continue
        attributes.pop(field, None)
        if value is None:
            continue
        if getattr(lead, field) != value:
            setattr(lead, field, value)
            changed.append(field)
    if attributes != lead.attributes:
        lead.attributes = attributes
        changed.append("attributes")
    return changed


def _set_status(lead: Lead, status: str, *, actor: User | None, reason: str) -> list[str]:
    """Move the locked lead in the funnel and log it; returns the columns to save."""
    if status == lead.status or (actor is None and not _is_forward(lead.status, status)):
        return []
    lead.status_changes.create(
        from_status=lead.status,
        to_status=_known_status(status),
        actor=actor,
        reason=columns.clean(reason)[:200],
    )
    lead.status = status
    return ["status"]


def _is_forward(current: str, status: str) -> bool:
    line = [str(step) for step in FUNNEL]
    return current in line and status in line and line.index(status) > line.index(current)


def _known_status(status: str) -> LeadStatus:
    if status not in LeadStatus.values:
        raise LeadRefusal(
            _("“%(status)s” is not a lead status.") % {"status": status},
            code="unknown_status",
            status=400,
        )
    return LeadStatus(status)


# --- Two leads, one person -------------------------------------------------------------------


@transaction.atomic
def merge_leads(winner: Lead, loser: Lead, *, actor: User | None) -> Lead:
    """Make `loser` a part of `winner`: identities, history and tags move, empty fields are filled.

    Sessions and tickets belong to the apps above: they move theirs on `leads_merging`, which is
    sent first because sessions and tickets are locked before leads.
    """
    leads_merging.send(sender=Lead, winner=winner, loser=loser, actor=actor)
    _lock_both(winner, loser)
    _check_mergeable(winner, loser)
    for related in (loser.identities, loser.notes, loser.consents, loser.status_changes):
        related.update(lead=winner)
    winner.tags.add(*loser.tags.all())
    loser.merged_leads.update(merged_into=winner)
    changed = _fill_from(winner, loser)
    if _is_forward(winner.status, loser.status):
        changed += _set_status(winner, loser.status, actor=actor, reason=_merged(loser))
    winner.save(update_fields=[*changed, "updated_at"])
    loser.merged_into = winner
    loser.save(update_fields=["merged_into", "updated_at"])
    add_note(winner, author=actor, text=_merged(loser))
    audit.acted(winner, audit.MERGED, other=str(loser))
    return winner


def _lock_both(winner: Lead, loser: Lead) -> None:
    for lead in sorted((winner, loser), key=lambda lead: lead.pk):
        lock_lead(lead)


def _check_mergeable(winner: Lead, loser: Lead) -> None:
    if winner.pk == loser.pk:
        raise LeadRefusal(_("A lead cannot be merged into itself."), code="same_lead")
    if winner.merged_into_id or loser.merged_into_id:
        raise LeadRefusal(_("One of the two was already merged."), code="already_merged")
    if winner.is_simulated != loser.is_simulated:
        raise LeadRefusal(
            _("A simulated lead cannot be merged with a real one."), code="simulated_lead"
        )


def _fill_from(winner: Lead, loser: Lead) -> list[str]:
    """Copy what `winner` lacks, in memory (an opt-out counts for both); returns what to save."""
    single = (*columns.CLEANERS, "referral", "attendant_id", "opted_out_at")
    changed = [name for name in single if not getattr(winner, name) and getattr(loser, name)]
    for name in changed:
        setattr(winner, name, getattr(loser, name))
    winner.attributes = {**loser.attributes, **winner.attributes}
    changed = [*(name.removesuffix("_id") for name in changed), "attributes"]
    return [*changed, *_note_sensitive(winner, loser.sensitive_attributes)]


def _merged(loser: Lead) -> str:
    return _("Merged with %(lead)s (no. %(id)s).") % {"lead": loser, "id": loser.pk}
