"""Channels and conversations in the API."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from sessions_app import services
from sessions_app.models import CREDENTIALS, Channel, EndReason, Owner, Session
from sessions_app.windows import WindowFilterSet
from users import api_seen
from users.filters import IdFilter
from users.permissions import person


class CredentialsSerializer(serializers.Serializer):
    """What is left out, or empty, stays as it is."""

    app_secret = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    previous_app_secret = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=1000,
        help_text="Still valid while the app secret is being replaced.",
    )
    verify_token = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    access_token = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class ChannelSerializer(serializers.ModelSerializer):
    """Credentials go in and never come out; settings are for admins."""

    credentials = CredentialsSerializer(write_only=True, required=False)
    credentials_set = serializers.SerializerMethodField(help_text="Which credentials there are.")

    class Meta:
        model = Channel
        fields = [
            "id",
            "slug",
            "kind",
            "name",
            "external_id",
            "account_id",
            "display_number",
            "identity_scope",
            "credentials",
            "credentials_set",
            "settings",
            "rate_per_second",
            "idle_minutes",
            "is_default",
            "is_active",
            "paused_until",
            "pause_reason",
            "created_at",
        ]
        read_only_fields = ["is_default", "created_at"]

    def get_credentials_set(self, channel: Channel) -> list[str]:
        return [name for name in CREDENTIALS if channel.credentials.get(name)]

    def to_representation(self, instance: Channel) -> dict[str, Any]:
        shown = super().to_representation(instance)
        if not person(self.context["request"]).is_admin:
            del shown["settings"], shown["credentials_set"]
        return shown

    def create(self, validated_data: dict[str, Any]) -> Channel:
        channel = Channel()
        _fill(channel, validated_data)
        channel.save(force_insert=True)
        return channel

    def update(self, instance: Channel, validated_data: dict[str, Any]) -> Channel:
        """What a channel speaks, and its webhook's address, stay what they are."""
        fixed = {"kind", "slug"} & validated_data.keys()
        if any(validated_data[name] != getattr(instance, name) for name in fixed):
            raise serializers.ValidationError({name: _("This cannot change.") for name in fixed})
        instance.save(update_fields=_fill(instance, validated_data))
        return instance


def _fill(channel: Channel, given: dict[str, Any]) -> list[str]:
    """Set what is given; returns what to save."""
    values = dict(given)
    credentials = values.pop("credentials", {})
    for name, value in values.items():
        setattr(channel, name, value)
    return [*values, *(["credentials"] if channel.take_credentials(credentials) else [])]


class ChannelViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    viewsets.GenericViewSet,
):
    """Everybody reads channels; admins change them. One is deactivated, never deleted."""

    scope = "channels"
    confirms = frozenset({"create", "partial_update"})
    serializer_class = ChannelSerializer
    http_method_names = ["get", "post", "patch", "head", "options"]
    filterset_fields = ["kind", "is_active", "is_default", "slug"]
    search_fields = ["name", "slug", "external_id", "display_number"]
    ordering_fields = ["id", "name"]

    @property
    def needs(self) -> str | None:
        return "" if self.request.method in SAFE_METHODS else None

    def get_queryset(self) -> Any:
        return Channel.objects.visible_to(self.request.user)

    @extend_schema(request=None, responses=ChannelSerializer)
    @action(detail=True, methods=["post"], url_path="make-default")
    def make_default(self, request: Request, pk: str | None = None) -> Response:
        """From now on this channel answers at /webhook, and no other."""
        return Response(self.get_serializer(services.make_default(self.get_object())).data)


class SessionSerializer(serializers.ModelSerializer):
    lead_name = serializers.CharField(source="lead.__str__", read_only=True)
    channel: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True)

    class Meta:
        model = Session
        fields = [
            "id",
            "lead",
            "lead_name",
            "channel",
            "owner",
            "owner_since",
            "epoch",
            "seq",
            "current_state",
            "started_at",
            "last_interaction_at",
            "window_expires_at",
            "ended_at",
            "end_reason",
            "last_message_at",
            "last_message_preview",
            "unread",
            "is_simulated",
        ]
        read_only_fields = fields


class SessionDetailSerializer(SessionSerializer):
    """With the variables that the bot has collected; attendants get sensitive ones masked."""

    context: Any = serializers.SerializerMethodField()

    class Meta(SessionSerializer.Meta):
        fields = [*SessionSerializer.Meta.fields, "context"]
        read_only_fields = fields

    @extend_schema_field(serializers.DictField())
    def get_context(self, session: Session) -> dict[str, Any]:
        reader = person(self.context["request"])
        hidden = session.flow_state.get("sensitive", session.context.keys())
        if reader.is_admin and not session.context.keys().isdisjoint(hidden):
            api_seen.note(self.context["request"], session)
        return session.context_for(reader)


class SessionFilter(WindowFilterSet):
    live = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull", label=_("live"))
    owner = filters.MultipleChoiceFilter(choices=Owner.choices)
    end_reason = filters.MultipleChoiceFilter(choices=EndReason.choices)
    channel = filters.CharFilter(field_name="channel__slug", label=_("channel"))
    lead = IdFilter(field_name="lead_id", label=_("lead"))
    started = filters.IsoDateTimeFromToRangeFilter(field_name="started_at", label=_("started"))

    class Meta:
        model = Session
        fields = [
            "live",
            "owner",
            "end_reason",
            "channel",
            "lead",
            "started",
            "window",
            "window_hours",
        ]


SIMULATED = OpenApiParameter("simulated", bool, description="Those of the simulator instead.")


@extend_schema_view(
    list=extend_schema(parameters=[SIMULATED]),
    retrieve=extend_schema(responses=SessionDetailSerializer),
)
class SessionViewSet(
    api_seen.TellsWhatIsSeen,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet,
):
    """Conversations. People take one by opening a ticket for it, and leave it by closing that."""

    scope = "sessions"
    needs: str | None = None
    serializer_class = SessionSerializer
    filterset_class = SessionFilter
    search_fields = ["lead__name", "lead__phone"]
    ordering_fields = ["id", "started_at", "window_expires_at"]

    def get_queryset(self) -> Any:
        visible = Session.objects.visible_to(self.request.user).select_related("lead", "channel")
        sessions = visible.defer("channel__credentials", "channel__settings")
        if self.action != "list":
            return sessions
        is_simulated = self.request.query_params.get("simulated") == "true"
        return sessions.defer("context", "flow_state").filter(is_simulated=is_simulated)

    def get_serializer_class(self) -> Any:
        return SessionDetailSerializer if self.action == "retrieve" else SessionSerializer

    @extend_schema(request=None, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str | None = None) -> Response:
        """End a conversation that is with the bot; with people, close its ticket instead."""
        session = services.close_session(self.get_object().pk, at=timezone.now())
        return Response(self.get_serializer(session).data)
