"""Who the customer is: the lead, the addresses channels know them by, what they agreed to."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Prefetch, Q, Value
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from leads.phones import canonical_phone, parse_typed
from users import contact
from users.masking import hidden_names
from users.permissions import any_of, ticket_scope
from users.text_search import Document, in_any, with_words

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


class Tag(models.Model):
    """A word put on leads and tickets."""

    name = models.CharField(_("name"), max_length=40)
    color = models.CharField(
        _("color"),
        max_length=8,
        choices=[
            ("gray", _("gray")),
            ("teal", _("teal")),
            ("amber", _("amber")),
            ("red", _("red")),
            ("blue", _("blue")),
        ],
        default="gray",
    )

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["name"], name="leads_tag_name")]

    def __str__(self) -> str:
        return self.name


class LeadStatus(models.TextChoices):
    NEW = "new", _("new")
    CONTACTED = "contacted", _("contacted")
    QUALIFIED = "qualified", _("qualified")
    CONVERTED = "converted", _("converted")
    LOST = "lost", _("lost")


class LeadSource(models.TextChoices):
    BOT = "bot", _("bot")
    AD = "ad", _("ad")
    MANUAL = "manual", _("manual")
    IMPORT = "import", _("import")
    API = "api", _("API")


# Codes among what is otherwise written by people.
ORIGINS = {"console": _("console"), "flow": _("flow"), "api": "API", "undone": _("undone")}
CONTACT_PURPOSE = "contact"  # of a consent: being written to unasked
PURPOSES = {CONTACT_PURPOSE: _("offers")}  # the others are words of a flow


def origin_label(origin: str) -> str:
    """Where something was said, for people: a code in words, a channel or a reason as it is."""
    return str(ORIGINS.get(origin, origin))


LEAD_WORDS = Document(
    ("name", "email", "company"), phone="phone"
)  # as in the index leads_lead_words
_PHONE_TYPED = re.compile(r"\s*\+?[\d\s().\-]+")
SHORTEST_PHONE = 8  # digits of a whole number, without its area


class LeadQuerySet(models.QuerySet["Lead"]):
    def live(self) -> LeadQuerySet:
        """Not merged into another lead."""
        return self.filter(merged_into=None)

    def real(self) -> LeadQuerySet:
        """Without the fictitious people of the simulator."""
        return self.filter(is_simulated=False)

    def with_refusals(self) -> LeadQuerySet:
        """With what `opt_out_record` shows, in one more statement for all of them."""
        refused = Consent.objects.filter(purpose=CONTACT_PURPOSE, is_granted=False)
        return self.prefetch_related(Prefetch("consents", refused, to_attr="refusals"))

    def with_phone(self, text: str) -> LeadQuerySet:
        """Known by this number, however it is written: typed by a person, or by a channel."""
        number = canonical_phone((parse_typed(text) or text).removeprefix("+"))
        by_channel = Identity.objects.filter(scheme=Scheme.PHONE, address=number)
        return self.filter(Q(phone=f"+{number}") | Q(pk__in=by_channel.values("lead")))

    def matching(self, text: str) -> LeadQuerySet:
        """Who has these words in name, e-mail or company; by phone, however much of it is given
        and however it is written. Of what is hidden from whoever looks only the whole finds."""
        if contact.hides(contact.PHONE) or contact.hides(contact.EMAIL):
            return self._matching_what_is_shown(text)
        if not _PHONE_TYPED.fullmatch(text):
            return in_any(self, with_words(Lead.objects.all(), LEAD_WORDS, text))
        digits = "".join(one for one in text if one.isdigit())
        by_part = with_words(Lead.objects.all(), LEAD_WORDS, digits)
        if len(digits) < SHORTEST_PHONE:
            return in_any(self, by_part)
        numbers = {canonical_phone((parse_typed(text) or text).removeprefix("+")), digits}
        by_phone = Lead.objects.filter(phone__in=[f"+{number}" for number in numbers])
        by_channel = Lead.objects.filter(
            identities__scheme=Scheme.PHONE, identities__address__in=numbers
        )
        return in_any(self, by_part, by_phone, by_channel)

    def _matching_what_is_shown(self, text: str) -> LeadQuerySet:
        """The index finds by all columns; what it found is looked at again without the hidden
        ones, so that nobody spells an address out by trying its beginnings."""
        shown = replace(
            LEAD_WORDS,
            columns=tuple(filter(contact.is_searchable, LEAD_WORDS.columns)),
            phone="" if contact.hides(contact.PHONE) else LEAD_WORDS.phone,
        )
        words = with_words(Lead.objects.all(), LEAD_WORDS, text)
        found = [with_words(words, shown, text)]
        if _PHONE_TYPED.fullmatch(text) and parse_typed(text):
            found += [Lead.objects.with_phone(text)]
        if "@" in text:
            found += [Lead.objects.filter(email__iexact=text.strip())]
        return in_any(self, *found)

    def visible_to(self, user: User | AnonymousUser) -> LeadQuerySet:
        """Admins see all; attendants the leads they keep and those of tickets they see."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.is_admin:
            return self.all()
        return self.filter(any_of(lead_rules(user)))


def lead_rules(user: User) -> dict[str, Q]:
    """Why an attendant sees a lead, each reason by its name."""
    by_ticket = Lead.objects.filter(ticket_scope(user, "tickets__"), pk=OuterRef("pk"))
    return {"keeps": Q(attendant=user), "ticket": Q(Exists(by_ticket))}


class Lead(models.Model):
    """One person. All but the identities may be missing: WhatsApp may hide even the phone."""

    name = models.CharField(_("name"), max_length=200, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(
        _("phone"),
        max_length=20,
        blank=True,
        help_text=_("In the form +5511900000000."),
    )
    document = models.CharField(_("CPF or CNPJ"), max_length=18, blank=True)
    company = models.CharField(_("company"), max_length=120, blank=True)
    need = models.TextField(_("need"), blank=True)
    status = models.CharField(
        _("status"), max_length=16, choices=LeadStatus.choices, default=LeadStatus.NEW
    )
    source = models.CharField(
        _("source"),
        max_length=16,
        choices=LeadSource.choices,
        default=LeadSource.MANUAL,
    )
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)
    sensitive_attributes = models.JSONField(
        _("sensitive attributes"),
        default=list,
        db_default=Value([], models.JSONField()),
        blank=True,
        editable=False,
        help_text=_("The names of those that a flow filled with a sensitive variable."),
    )
    referral = models.JSONField(
        _("ad referral"),
        default=dict,
        blank=True,
        help_text=_("The first ad that brought this person, as received."),
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="leads", verbose_name=_("tags"))
    attendant = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="kept_leads",
        verbose_name=_("attendant"),
        help_text=_("The person who usually takes care of this lead."),
    )
    opted_out_at = models.DateTimeField(_("opted out at"), null=True, blank=True)
    merged_into = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="merged_leads",
        verbose_name=_("merged into"),
    )
    is_simulated = models.BooleanField(_("simulated"), default=False, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = LeadQuerySet.as_manager()

    class Meta:
        verbose_name = _("lead")
        verbose_name_plural = _("leads")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=LeadStatus.values), name="leads_lead_status"
            ),
        ]
        indexes = [
            models.Index(fields=["status", "-id"], name="leads_lead_status_id"),
            models.Index(fields=["phone"], condition=~Q(phone=""), name="leads_lead_phone"),
            models.Index(fields=["email"], condition=~Q(email=""), name="leads_lead_email"),
        ]

    def __str__(self) -> str:
        return self.name or contact.shown_phone(self.phone) or f"lead {self.pk}"

    @property
    def hidden_attributes(self) -> frozenset[str]:
        """The names of the attributes that a page masks."""
        return hidden_names(self.attributes, self.sensitive_attributes)

    @cached_property
    def channel_number(self) -> str:
        """The number that a channel knows this person by, as E.164; "" where it knows an id."""
        by_phone = self.identities.filter(scheme=Scheme.PHONE).order_by("-id")
        number = by_phone.values_list("address", flat=True).first()
        return f"+{number}" if number else ""

    @property
    def opt_out_record(self) -> Consent | None:
        """When, where and in which words this person stopped offers; None if they have not. With
        `refusals` prefetched (see `with_refusals`) it costs no statement."""
        if self.opted_out_at is None:
            return None
        fetched: list[Consent] | None = getattr(self, "refusals", None)
        if fetched is not None:
            return fetched[0] if fetched else None
        return self.consents.filter(purpose=CONTACT_PURPOSE, is_granted=False).first()


class Scheme(models.TextChoices):
    PHONE = "phone", _("phone")
    BSUID = "bsuid", _("WhatsApp user id")
    PARENT_BSUID = "parent_bsuid", _("WhatsApp parent user id")
    TELEGRAM = "telegram", "Telegram"
    LID = "lid", "LID"
    SIMULATOR = "simulator", _("simulator")


class Identity(models.Model):
    """How a channel knows a lead. `address` is canonical and unique in its scope; `send_to` the
    form last received.

    scope: "" for a phone, the business portfolio for a BSUID, the bot's id for Telegram.
    """

    lead = models.ForeignKey(
        Lead, models.CASCADE, related_name="identities", verbose_name=_("lead")
    )
    scheme = models.CharField(_("scheme"), max_length=16, choices=Scheme.choices)
    scope = models.CharField(_("scope"), max_length=64, blank=True, default="")
    address = models.CharField(_("address"), max_length=160)
    send_to = models.CharField(_("send to"), max_length=160)
    unreachable_at = models.DateTimeField(_("unreachable at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = [
            models.UniqueConstraint(
                fields=["scheme", "scope", "address"], name="leads_identity_address"
            ),
            models.CheckConstraint(condition=~Q(address=""), name="leads_identity_not_empty"),
        ]

    def __str__(self) -> str:
        return self.shown_address

    @property
    def shown_address(self) -> str:
        """As whoever looks may see it: an id says nothing of its owner, a number does."""
        is_phone = self.scheme == Scheme.PHONE
        return contact.shown_phone(self.address) if is_phone else self.address


class LeadStatusChange(models.Model):
    """One move in the funnel; who and why. `actor` None: the bot or a program."""

    lead = models.ForeignKey(
        Lead, models.CASCADE, related_name="status_changes", verbose_name=_("lead")
    )
    from_status = models.CharField(_("from"), max_length=16, choices=LeadStatus.choices, blank=True)
    to_status = models.CharField(_("to"), max_length=16, choices=LeadStatus.choices)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("lead status change")
        verbose_name_plural = _("lead status changes")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.from_status or '–'} → {self.to_status}"

    @property
    def reason_label(self) -> str:
        return origin_label(self.reason)


class Note(models.Model):
    """What the team wrote about a lead. Never sent."""

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="notes", verbose_name=_("lead"))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("author"),
    )
    text = models.TextField(_("text"))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.text[:60]


class Consent(models.Model):
    """LGPD record: what was asked, in which words, and the answer. Rows are only added."""

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="consents", verbose_name=_("lead"))
    purpose = models.CharField(_("purpose"), max_length=60)
    is_granted = models.BooleanField(_("granted"))
    text = models.TextField(_("text shown"), blank=True)
    origin = models.CharField(_("origin"), max_length=60, blank=True)
    recorded_at = models.DateTimeField(_("recorded at"), auto_now_add=True)

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.purpose_label

    @property
    def purpose_label(self) -> str:
        return str(PURPOSES.get(self.purpose, self.purpose))

    @property
    def origin_label(self) -> str:
        return origin_label(self.origin)
