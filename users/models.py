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
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser


def validate_time_zone(name: str) -> None:
    """Refuse what zoneinfo does not know; empty means the site's TIME_ZONE."""
    if name and name not in available_timezones():
        raise ValidationError(_("“%(name)s” is not a known time zone."), params={"name": name})


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
        """Inside business hours and not a holiday? Uses prefetched rows when there are any."""
        local = at.astimezone(self.zone)
        if any(holiday.date == local.date() for holiday in self.holidays.all()):
            return False
        return any(
            hours.weekday == local.weekday() and hours.opens_at <= local.time() < hours.closes_at
            for hours in self.hours.all()
        )


class Weekday(models.IntegerChoices):
    MONDAY = 0, _("Monday")
    TUESDAY = 1, _("Tuesday")
    WEDNESDAY = 2, _("Wednesday")
    THURSDAY = 3, _("Thursday")
    FRIDAY = 4, _("Friday")
    SATURDAY = 5, _("Saturday")
    SUNDAY = 6, _("Sunday")


class BusinessHours(models.Model):
    """One stretch of one weekday, in the calendar's time zone; several a day are allowed."""

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
            models.CheckConstraint(
                condition=Q(closes_at__gt=F("opens_at")),
                name="users_hours_order",
                violation_error_message=_("The closing time must be after the opening time."),
            ),
            models.CheckConstraint(condition=Q(weekday__lte=6), name="users_hours_weekday"),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens_at:%H:%M}–{self.closes_at:%H:%M}"


class Holiday(models.Model):
    calendar = models.ForeignKey(
        Calendar, models.CASCADE, related_name="holidays", verbose_name=_("calendar")
    )
    date = models.DateField(_("date"))
    name = models.CharField(_("name"), max_length=120)

    class Meta:
        verbose_name = _("holiday")
        verbose_name_plural = _("holidays")
        ordering = ["date"]
        constraints = [
            models.UniqueConstraint(fields=["calendar", "date"], name="users_holiday_date")
        ]

    def __str__(self) -> str:
        return f"{self.date:%d/%m/%Y} {self.name}"


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
        ]

    def __str__(self) -> str:
        return self.name

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
        """Admins see everyone; attendants themselves and the colleagues of their departments."""
        if not isinstance(user, User) or not user.is_active:
            return self.none()
        if user.is_admin:
            return self.all()
        colleagues = User.departments.through.objects.filter(
            department__in=user.departments.values("pk")
        ).values("user")
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
    capacity = models.PositiveSmallIntegerField(
        _("capacity"), default=5, help_text=_("How many open tickets at the same time.")
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
        ]

    def __str__(self) -> str:
        return self.get_full_name() or self.username

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
