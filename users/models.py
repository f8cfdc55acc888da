"""Who works here: people, their departments and hours, and the tokens of programs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from users import business_time

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser


def validate_time_zone(name: str) -> None:
    """Refuse what zoneinfo does not know; empty means the site's TIME_ZONE."""
    if name and name not in available_timezones():
        raise ValidationError(_("“%(name)s” is not a known time zone."), params={"name": name})


# The states of Brazil, as the holidays library names them.
STATES = (
    *("AC", "AL", "AM", "AP", "BA", "CE", "DF", "ES", "GO", "MA", "MG", "MS", "MT", "PA"),
    *("PB", "PE", "PI", "PR", "RJ", "RN", "RO", "RR", "RS", "SC", "SE", "SP", "TO"),
)


class Calendar(models.Model):
    """Business hours of one or more departments. Without a calendar a department is always open."""

    name = models.CharField(_("name"), max_length=80)
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        validators=[validate_time_zone],
        help_text=_("Empty: the time zone of the site."),
    )
    observes_holidays = models.BooleanField(
        _("closed on holidays"),
        default=True,
        help_text=_("On the public holidays of Brazil and of the state."),
    )
    holiday_state = models.CharField(
        _("state (UF)"),
        max_length=2,
        choices=[(state, state) for state in STATES],
        blank=True,
        help_text=_("Whose holidays count beside the national ones."),
    )

    class Meta:
        verbose_name = _("calendar")
        verbose_name_plural = _("calendars")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["name"], name="users_calendar_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone or settings.TIME_ZONE)

    def is_open(self, at: datetime) -> bool:
        """Inside business hours? Uses prefetched rows when there are any."""
        return business_time.is_open(self, at)


class Weekday(models.IntegerChoices):
    MONDAY = 0, _("Monday")
    TUESDAY = 1, _("Tuesday")
    WEDNESDAY = 2, _("Wednesday")
    THURSDAY = 3, _("Thursday")
    FRIDAY = 4, _("Friday")
    SATURDAY = 5, _("Saturday")
    SUNDAY = 6, _("Sunday")


class BusinessHours(models.Model):
    """One stretch that begins on one weekday, in the calendar's time zone; several a day are
    allowed. One that closes no later than it opens ends on the next day."""

    calendar = models.ForeignKey(
        Calendar, models.CASCADE, related_name="hours", verbose_name=_("calendar")
    )
    weekday = models.PositiveSmallIntegerField(_("weekday"), choices=Weekday.choices)
    opens_at = models.TimeField(_("opens at"))
    closes_at = models.TimeField(_("closes at"))

    class Meta:
        verbose_name = _("business hours")
        verbose_name_plural = _("business hours")
        ordering = ["weekday", "opens_at"]
        constraints = [
            models.CheckConstraint(condition=Q(weekday__lte=6), name="users_hours_weekday"),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens_at:%H:%M}–{self.closes_at:%H:%M}"


class Holiday(models.Model):
    """A day with hours of its own: closed, or open for one stretch, also on a public holiday."""

    calendar = models.ForeignKey(
        Calendar, models.CASCADE, related_name="holidays", verbose_name=_("calendar")
    )
    date = models.DateField(_("date"))
    name = models.CharField(_("name"), max_length=120)
    opens_at = models.TimeField(
        _("opens at"), null=True, blank=True, help_text=_("Empty: closed the whole day.")
    )
    closes_at = models.TimeField(_("closes at"), null=True, blank=True)

    class Meta:
        verbose_name = _("exception")
        verbose_name_plural = _("exceptions")
        ordering = ["date"]
        constraints = [
            models.CheckConstraint(
                condition=Q(opens_at=None, closes_at=None)
                | Q(opens_at__isnull=False, closes_at__isnull=False),
                name="users_holiday_hours",
                violation_error_message=_("Give both times, or none."),
            ),
            models.UniqueConstraint(fields=["calendar", "date"], name="users_holiday_date"),
        ]

    def __str__(self) -> str:
        return f"{self.date:%d/%m/%Y} {self.name}"


class ResolutionField(models.TextChoices):
    """What a department may demand before a ticket of it is resolved."""

    SUBJECT = "subject", _("subject")
    TAGS = "tags", _("at least one tag")
    RESOLUTION_NOTE = "resolution_note", _("how it was resolved")
    LEAD_NAME = "lead_name", _("name of the lead")
    LEAD_EMAIL = "lead_email", _("e-mail of the lead")
    LEAD_DOCUMENT = "lead_document", _("CPF or CNPJ of the lead")


class Distribution(models.TextChoices):
    """How a department's tickets come to its people."""

    MANUAL = "manual", _("people take them")
    AUTOMATIC = "automatic", _("given out by themselves")


class Skill(models.Model):
    """What a person can do and a ticket may need, a language for instance."""

    name = models.CharField(_("name"), max_length=40)

    class Meta:
        verbose_name = _("skill")
        verbose_name_plural = _("skills")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="users_skill_name")]

    def __str__(self) -> str:
        return self.name


class DepartmentQuerySet(models.QuerySet["Department"]):
    def active(self) -> DepartmentQuerySet:
        return self.filter(is_active=True)

    def visible_to(self, user: User | AnonymousUser) -> DepartmentQuerySet:
        """Every active member of staff may know the departments: they transfer to them."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.all()


class Department(models.Model):
    """A group of attendants with a queue of its own."""

    name = models.CharField(_("name"), max_length=80)
    slug = models.SlugField(
        _("slug"),
        max_length=50,
        db_index=False,
        help_text=_("The name that flows use."),
    )
    calendar = models.ForeignKey(
        Calendar,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="departments",
        verbose_name=_("calendar"),
    )
    is_active = models.BooleanField(_("active"), default=True)
    is_fallback = models.BooleanField(
        _("fallback"),
        default=False,
        help_text=_("Receives tickets that name no department. Exactly one has it."),
    )
    shares_tickets = models.BooleanField(
        _("tickets shared"),
        default=False,
        help_text=_("Attendants of this department also see tickets assigned to their colleagues."),
    )
    warn_silent_after_hours = models.PositiveSmallIntegerField(
        _("warn silent customers after"),
        null=True,
        blank=True,
        help_text=_("Hours without an answer while a ticket waits for the customer. Empty: never."),
    )
    close_silent_after_hours = models.PositiveSmallIntegerField(
        _("close after"),
        null=True,
        blank=True,
        help_text=_("Hours without an answer, from our last message. Empty: never."),
    )
    reopen_days = models.PositiveSmallIntegerField(
        _("reopen within"),
        default=7,
        help_text=_(
            "Days in which a customer who writes again reopens their ticket. 0: a new one."
        ),
    )
    required_at_resolution = models.JSONField(
        _("needed to resolve"),
        default=list,
        blank=True,
        help_text=_("What must be filled in before a ticket can be resolved."),
    )
    distribution = models.CharField(
        _("distribution"),
        max_length=12,
        choices=Distribution.choices,
        default=Distribution.MANUAL,
    )
    prefers_attendant = models.BooleanField(
        _("the lead's own attendant first"),
        default=True,
        help_text=_("Who usually takes care of the lead gets the ticket when they can."),
    )
    accept_minutes = models.PositiveSmallIntegerField(
        _("to be accepted within"),
        null=True,
        blank=True,
        help_text=_("Minutes; then the ticket goes back and to the next person. Empty: no limit."),
    )
    overflow_to = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("when nobody can, to"),
        help_text=_("The department that takes the ticket over. Empty: it waits."),
    )
    overflow_minutes = models.PositiveSmallIntegerField(
        _("after"),
        default=10,
        help_text=_("Minutes in which nobody could take it."),
    )
    tells_position = models.BooleanField(
        _("tells the place in the queue"),
        default=False,
        help_text=_("Waiting customers are told their place and an estimate, in business hours."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = DepartmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["name"], name="users_department_name"),
            models.UniqueConstraint(fields=["slug"], name="users_department_slug"),
            models.UniqueConstraint(
                fields=["is_fallback"],
                condition=Q(is_fallback=True),
                name="users_department_one_fallback",
            ),
            models.CheckConstraint(
                condition=Q(is_fallback=False) | Q(is_active=True),
                name="users_department_fallback_active",
            ),
            models.CheckConstraint(
                condition=Q(warn_silent_after_hours=None)
                | Q(warn_silent_after_hours__lt=F("close_silent_after_hours")),
                name="users_department_warns_before_it_closes",
                violation_error_message=_("The warning must come before the end."),
            ),
            models.CheckConstraint(
                condition=Q(distribution__in=Distribution.values),
                name="users_department_distribution",
            ),
            models.CheckConstraint(
                condition=Q(overflow_to=None) | ~Q(overflow_to=F("pk")),
                name="users_department_overflow_elsewhere",
                violation_error_message=_("Choose another department."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """A warning says that the end is near, so there must be one (also a constraint says so as
        far as both times are given)."""
        super().clean()
        if self.warn_silent_after_hours is not None and self.close_silent_after_hours is None:
            text = _("The warning says that the ticket will be closed: say when.")
            raise ValidationError({"close_silent_after_hours": text})

    def is_open(self, at: datetime) -> bool:
        return self.calendar is None or self.calendar.is_open(at)


class Role(models.TextChoices):
    ADMIN = "admin", _("administrator")
    ATTENDANT = "attendant", _("attendant")


class Availability(models.TextChoices):
    AVAILABLE = "available", _("available")
    PAUSED = "paused", _("paused")
    OFFLINE = "offline", _("offline")


class Language(models.TextChoices):
    PT_BR = "pt-br", "Português (Brasil)"
    EN = "en", "English"


class UserQuerySet(models.QuerySet["User"]):
    def active(self) -> UserQuerySet:
        return self.filter(is_active=True)

    def admins(self) -> UserQuerySet:
        return self.filter(Q(role=Role.ADMIN) | Q(is_superuser=True))

    def visible_to(self, user: User | AnonymousUser) -> UserQuerySet:
        """Admins see everyone; attendants themselves, the colleagues of their departments and who
        works in those that they supervise."""
        if not isinstance(user, User) or not user.is_active:
            return self.none()
        if user.is_admin:
            return self.all()
        theirs = Q(department__in=user.departments.values("pk"))
        supervised = Q(department__in=user.supervised_departments.values("pk"))
        colleagues = User.departments.through.objects.filter(theirs | supervised).values("user")
        return self.filter(Q(pk=user.pk) | Q(pk__in=colleagues))


class PersonManager(UserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]  # django-stubs cannot type a manager built from a queryset on a generic base
    """`create_user` makes an attendant who may log in; `create_superuser` an admin."""

    def create_user(
        self,
        username: str,
        email: str | None = None,
        password: str | None = None,
        **extra_fields: Any,
    ) -> User:
        extra_fields.setdefault("is_staff", True)
        return super().create_user(username, email, password, **extra_fields)

    def create_superuser(
        self,
        username: str,
        email: str | None = None,
        password: str | None = None,
        **extra_fields: Any,
    ) -> User:
        extra_fields.setdefault("role", Role.ADMIN)
        return super().create_superuser(username, email, password, **extra_fields)


class User(AbstractUser):
    """A person who logs in. The role decides what they may do (users/permissions.py)."""

    role = models.CharField(_("role"), max_length=16, choices=Role.choices, default=Role.ATTENDANT)
    departments = models.ManyToManyField(
        Department, blank=True, related_name="users", verbose_name=_("departments")
    )
    availability = models.CharField(
        _("availability"),
        max_length=16,
        choices=Availability.choices,
        default=Availability.OFFLINE,
    )
    availability_changed_at = models.DateTimeField(
        _("availability changed at"), null=True, blank=True
    )
    pause_reason = models.CharField(
        _("reason of the break"), max_length=60, blank=True, help_text=_("Lunch, for instance.")
    )
    supervised_departments = models.ManyToManyField(
        Department,
        blank=True,
        related_name="supervisors",
        verbose_name=_("supervises"),
        help_text=_("An attendant sees and reassigns all tickets of these departments."),
    )
    skills = models.ManyToManyField(
        Skill, blank=True, related_name="users", verbose_name=_("skills")
    )
    calendar = models.ForeignKey(
        Calendar,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="users",
        verbose_name=_("working hours"),
        help_text=_("Outside them no ticket is given to this person. Empty: at all hours."),
    )
    last_received_at = models.DateTimeField(
        _("last received at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When distribution last gave this person a ticket."),
    )
    invited_at = models.DateTimeField(
        _("invited at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("As long as the invitation is open; the person is not active until then."),
    )
    offline_by_silence = models.BooleanField(
        _("offline by silence"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("Nobody said so: there was no sign of the person for too long."),
    )
    capacity = models.PositiveSmallIntegerField(
        _("capacity"),
        default=5,
        help_text=_("How many open tickets at the same time. 0: takes none."),
    )
    language = models.CharField(
        _("language"), max_length=8, choices=Language.choices, default=Language.PT_BR
    )
    signature = models.CharField(
        _("signature"),
        max_length=80,
        blank=True,
        help_text=_("Name shown to the customer."),
    )
    single_keys = models.BooleanField(
        _("single-key shortcuts"),
        default=True,
        help_text=_("Off: only shortcuts with Ctrl or Alt."),
    )
    last_active_at = models.DateTimeField(
        _("last active at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("Exact to a minute; pages that only refresh themselves do not count."),
    )

    objects: ClassVar[PersonManager] = PersonManager()

    class Meta(AbstractUser.Meta):  # type: ignore[name-defined]  # the plugin hides it
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ["username"]
        constraints = [
            models.CheckConstraint(condition=Q(role__in=Role.values), name="users_user_role"),
            models.CheckConstraint(
                condition=Q(availability__in=Availability.values),
                name="users_user_availability",
            ),
            models.UniqueConstraint(
                Lower("email"),
                condition=~Q(email="") & (Q(is_active=True) | Q(invited_at__isnull=False)),
                name="users_user_email",
                violation_error_message=_("Somebody else already has this e-mail address."),
            ),
        ]

    def __str__(self) -> str:
        return self.get_full_name() or self.username

    @property
    def is_invited(self) -> bool:
        """May they still come in by the link that was sent to them?"""
        return not self.is_active and self.invited_at is not None

    @property
    def is_admin(self) -> bool:
        return self.is_active and (self.is_superuser or self.role == Role.ADMIN)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self, at: datetime | None = None) -> ApiTokenQuerySet:
        """Neither revoked nor expired, of an active person."""
        at = at or timezone.now()
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=at),
            revoked_at=None,
            user__is_active=True,
        )

    def visible_to(self, user: User | AnonymousUser) -> ApiTokenQuerySet:
        if not isinstance(user, User) or not user.is_active:
            return self.none()
        return self.all() if user.is_admin else self.filter(user=user)


class ApiToken(models.Model):
    """A program's key: `atd_<prefix>_<secret>`, shown once. Only the secret's SHA-256 is stored."""

    LAST_USED_EVERY = timedelta(minutes=1)  # how exact last_used_at is; spares a write per call

    user = models.ForeignKey(
        User, models.CASCADE, related_name="api_tokens", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(_("prefix"), max_length=12)
    digest = models.CharField(_("digest"), max_length=64, editable=False)
    scopes = models.JSONField(
        _("scopes"),
        default=list,
        blank=True,
        help_text=_("For example leads:read, tickets:write, or *:read."),
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["prefix"], name="users_apitoken_prefix")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Login(models.Model):
    """A browser in which somebody is logged in, until it ends or expires."""

    user = models.ForeignKey(User, models.CASCADE, related_name="logins", verbose_name=_("user"))
    session_key = models.CharField(max_length=40, editable=False)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(_("browser"), max_length=300, blank=True)
    started_at = models.DateTimeField(_("since"))
    seen_at = models.DateTimeField(_("last used"))

    class Meta:
        verbose_name = _("login")
        verbose_name_plural = _("logins")
        ordering = ["-seen_at"]
        constraints = [models.UniqueConstraint(fields=["session_key"], name="users_login_key")]

    def __str__(self) -> str:
        return f"{self.user} {self.ip_address or ''}".strip()


class LoginEventKind(models.TextChoices):
    SUCCEEDED = "succeeded", _("logged in")
    FAILED = "failed", _("refused")
    LOCKED = "locked", _("locked out")
    ENDED = "ended", _("logged out")
    ENDED_ELSEWHERE = "ended_elsewhere", _("signed out from elsewhere")
    CODE_REFUSED = "code_refused", _("code refused")
    RECOVERY_CODE = "recovery_code", _("recovery code used")
    CONFIRMED = "confirmed", _("confirmed again")


class LoginEventQuerySet(models.QuerySet["LoginEvent"]):
    def visible_to(self, user: User | AnonymousUser) -> LoginEventQuerySet:
        """Admins see all; everybody their own."""
        if not isinstance(user, User) or not user.is_active:
            return self.none()
        return self.all() if user.is_admin else self.filter(user=user)


class LoginEvent(models.Model):
    """Somebody logged in, tried to, or left. Rows are only added."""

    user = models.ForeignKey(
        User,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="login_events",
        db_index=False,
        verbose_name=_("user"),
    )
    username = models.CharField(_("user name"), max_length=150, help_text=_("As it was typed."))
    kind = models.CharField(_("what"), max_length=16, choices=LoginEventKind.choices)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(_("browser"), max_length=300, blank=True)
    at = models.DateTimeField(_("when"))

    objects = LoginEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("login event")
        verbose_name_plural = _("login history")
        ordering = ["-id"]
        indexes = [models.Index(fields=["user", "-id"], name="users_loginevent_user")]

    def __str__(self) -> str:
        return f"{self.username}: {self.get_kind_display()}"


class TeamRules(models.Model):
    """What holds for everybody who works here: one row."""

    mask_phone = models.BooleanField(
        _("hide phone numbers"),
        default=False,
        help_text=_("From attendants; showing one is logged."),
    )
    mask_email = models.BooleanField(
        _("hide e-mail addresses"),
        default=False,
        help_text=_("From attendants; showing one is logged."),
    )
    offline_after_minutes = models.PositiveSmallIntegerField(
        _("offline after"),
        null=True,
        blank=True,
        default=30,
        help_text=_("Minutes without a sign of the person. Empty: never."),
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("team rules")
        verbose_name_plural = _("team rules")
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="users_teamrules_one_row")]

    def __str__(self) -> str:
        return str(self._meta.verbose_name)

    @classmethod
    def current(cls) -> TeamRules:
        """The row, or what holds until there is one."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)
