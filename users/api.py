"""People and departments in the API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from users import services
from users.models import (
    Availability,
    Calendar,
    Department,
    Language,
    ResolutionField,
    Role,
    Skill,
    User,
    UserQuerySet,
)
from users.permissions import person


class DepartmentSerializer(serializers.ModelSerializer):
    required_at_resolution = serializers.ListField(
        child=serializers.ChoiceField(choices=ResolutionField.choices),
        required=False,
        help_text="What must be filled in before a ticket can be resolved.",
    )
    calendar = serializers.SlugRelatedField(
        slug_field="name",
        queryset=Calendar.objects.all(),  # door: only admins write
        allow_null=True,
        required=False,
    )

    class Meta:
        model = Department
        fields = [
            "id",
            "name",
            "slug",
            "calendar",
            "is_active",
            "is_fallback",
            "shares_tickets",
            "warn_silent_after_hours",
            "close_silent_after_hours",
            "reopen_days",
            "required_at_resolution",
            "created_at",
        ]
        read_only_fields = ["is_fallback", "created_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The warning comes before the end, as the model says."""
        times = ("warn_silent_after_hours", "close_silent_after_hours")
        given = {name: attrs.get(name, getattr(self.instance, name, None)) for name in times}
        meant = Department(**given)
        try:
            meant.clean()
            meant.validate_constraints(exclude={"name", "slug", "is_fallback"})
        except DjangoValidationError as error:
            raise serializers.ValidationError(serializers.as_serializer_error(error)) from error
        return attrs


class DepartmentViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    viewsets.GenericViewSet,
):
    """Everybody reads departments; admins change them. One is deactivated, never deleted."""

    scope = "departments"
    needs: str | None = None
    serializer_class = DepartmentSerializer
    http_method_names = ["get", "post", "patch", "head", "options"]
    filterset_fields = ["is_active", "is_fallback", "slug"]
    search_fields = ["name", "slug"]
    ordering_fields = ["id", "name"]

    def get_queryset(self) -> Any:
        return Department.objects.visible_to(self.request.user).select_related("calendar")

    def perform_update(self, serializer: Any) -> None:
        services.update_department(serializer.instance, fields=serializer.validated_data)

    @extend_schema(request=None, responses=DepartmentSerializer)
    @action(detail=True, methods=["post"], url_path="make-fallback")
    def make_fallback(self, request: Request, pk: str | None = None) -> Response:
        """From now on this one receives the tickets that name no department."""
        department = services.make_fallback(self.get_object())
        return Response(self.get_serializer(department).data)


class UserSerializer(serializers.ModelSerializer):
    """What anybody who sees this person may know."""

    name = serializers.SerializerMethodField()
    departments: Any = serializers.SlugRelatedField(slug_field="slug", many=True, read_only=True)
    supervises: Any = serializers.SlugRelatedField(
        source="supervised_departments", slug_field="slug", many=True, read_only=True
    )
    skills: Any = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)
    invited = serializers.BooleanField(source="is_invited", read_only=True)

    class Meta:
        model = User
        fields = [
            "id",
            "username",
            "name",
            "first_name",
            "last_name",
            "email",
            "role",
            "departments",
            "supervises",
            "skills",
            "availability",
            "pause_reason",
            "availability_changed_at",
            "capacity",
            "language",
            "signature",
            "is_active",
            "invited",
        ]
        read_only_fields = fields

    @extend_schema_field(str)
    def get_name(self, user: User) -> str:
        return str(user)


class UserWriteSerializer(serializers.ModelSerializer):
    """What admins set. Being a superuser cannot be set here."""

    departments: Any = serializers.SlugRelatedField(
        slug_field="slug",
        many=True,
        queryset=Department.objects.all(),  # door: only admins write
        required=False,
    )
    supervises: Any = serializers.SlugRelatedField(
        slug_field="slug",
        many=True,
        queryset=Department.objects.all(),  # door: only admins write
        required=False,
        help_text="Departments whose tickets an attendant sees and reassigns.",
    )
    skills: Any = serializers.SlugRelatedField(
        slug_field="name",
        many=True,
        queryset=Skill.objects.all(),  # door: only admins write
        required=False,
    )
    role = serializers.ChoiceField(choices=Role.choices, required=False)
    language = serializers.ChoiceField(choices=Language.choices, required=False)
    password = serializers.CharField(write_only=True, required=False, trim_whitespace=False)

    class Meta:
        model = User
        fields = [
            "username",
            "first_name",
            "last_name",
            "email",
            "role",
            "departments",
            "supervises",
            "skills",
            "capacity",
            "language",
            "signature",
            "password",
        ]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The password must not resemble who it is for, as they will be."""
        if "password" in attrs:
            names = ("username", "first_name", "last_name", "email")
            told = {name: attrs.get(name, getattr(self.instance, name, "")) for name in names}
            try:
                validate_password(attrs["password"], User(**told))
            except DjangoValidationError as error:
                raise serializers.ValidationError({"password": error.messages}) from error
        return attrs


class MyProfileSerializer(serializers.ModelSerializer):
    """What everybody sets for themselves. Not the e-mail address: a link to a new password goes
    there, so a token that may change it could take the person's place."""

    language = serializers.ChoiceField(choices=Language.choices, required=False)

    class Meta:
        model = User
        fields = ["first_name", "last_name", "language", "signature"]


class AvailabilitySerializer(serializers.Serializer):
    availability = serializers.ChoiceField(choices=Availability.choices)
    reason = serializers.CharField(
        max_length=60, required=False, allow_blank=True, help_text="Of a break."
    )


class UserFilter(filters.FilterSet):
    department = filters.CharFilter(field_name="departments__slug", label="slug")

    class Meta:
        model = User
        fields = ["role", "availability", "is_active", "department"]


class UserViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """Attendants read their colleagues; admins manage everyone who does not stand above them."""

    scope = "users"
    needs: str | None = None
    confirms = frozenset({"create", "partial_update", "destroy", "activate"})
    serializer_class = UserSerializer
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    filterset_class = UserFilter
    search_fields = ["username", "first_name", "last_name", "email"]
    ordering_fields = ["id", "username", "first_name"]

    def get_queryset(self) -> UserQuerySet:
        return User.objects.visible_to(self.request.user).prefetch_related(
            "departments", "supervised_departments", "skills"
        )

    @extend_schema(request=UserWriteSerializer, responses={201: UserSerializer})
    def create(self, request: Request) -> Response:
        given = self._given(UserWriteSerializer)
        user = services.create_user(
            role=given.pop("role", Role.ATTENDANT),
            password=given.pop("password", None),
            places=_places(given),
            fields=given,
            actor=person(request),
        )
        return Response(UserSerializer(user).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=UserWriteSerializer, responses=UserSerializer)
    @transaction.atomic
    def partial_update(self, request: Request, pk: str | None = None) -> Response:
        """All of what is given, or nothing when a part of it is refused."""
        user, actor = self.get_object(), person(request)
        given = self._given(UserWriteSerializer, user)
        role, password = given.pop("role", None), given.pop("password", None)
        places = _places(given)
        with transaction.atomic():  # all of it, or nothing
            services.update_user(user, fields=given, places=places, actor=actor)
            if password is not None:
                services.set_password(user, password=password, actor=actor)
            if role is not None:
                services.change_role(user, role=role, actor=actor)
        return self._shown(user)

    def perform_destroy(self, instance: User) -> None:
        """A person is deactivated, never deleted: their work stays signed."""
        services.deactivate_user(instance, actor=person(self.request), at=timezone.now())

    @extend_schema(request=None, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, pk: str | None = None) -> Response:
        """Give somebody the access back."""
        return self._shown(services.activate_user(self.get_object(), actor=person(request)))

    @extend_schema(request=AvailabilitySerializer, responses=UserSerializer)
    @action(detail=True, methods=["post"], needs="users.view_user")
    def availability(self, request: Request, pk: str | None = None) -> Response:
        """May this person get tickets now? Everybody says so themselves; admins for others."""
        user = self.get_object()
        given = self._given(AvailabilitySerializer)
        services.set_availability(user, **given, at=timezone.now(), actor=person(request))
        return self._shown(user)

    @extend_schema(responses=UserSerializer)
    @action(detail=False, methods=["get"], needs="", pagination_class=None, filterset_class=None)
    def me(self, request: Request) -> Response:
        """Who I am."""
        return self._shown(person(request))

    @extend_schema(request=MyProfileSerializer, responses=UserSerializer)
    @me.mapping.patch
    def change_me(self, request: Request) -> Response:
        """Change my own profile."""
        user = person(request)
        services.update_user(user, fields=self._given(MyProfileSerializer, user), actor=user)
        return self._shown(user)

    def _given(self, serializer_class: Any, user: User | None = None) -> dict[str, Any]:
        serializer = serializer_class(user, data=self.request.data, partial=user is not None)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def _shown(self, user: User) -> Response:
        return Response(UserSerializer(self.get_queryset().get(pk=user.pk)).data)


def _places(given: dict[str, Any]) -> services.Places:
    """Taken out of what was given."""
    return services.Places(
        departments=given.pop("departments", None),
        supervised=given.pop("supervises", None),
        skills=given.pop("skills", None),
    )
