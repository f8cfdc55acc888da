"""What was said, why, and the flows: `messages`, `flow-logs`, `flows`.

Posting a message is an attendant's reply; logs are read-only; flows are the admins' work.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from chatbot import flows_service
from chatbot.attachments import Attachment, accepted
from chatbot.conversation import send_reply, send_template
from chatbot.flow_words import without_sensitive
from chatbot.labels import why_failed
from chatbot.models import (
    Direction,
    Flow,
    FlowLog,
    FlowLogKind,
    FlowVersion,
    Media,
    MessageLog,
    MessageStatus,
    MessageTemplate,
    TemplateStatus,
)
from chatbot.publishing.sheet import Sheet
from chatbot.publishing.versions import Versions
from sessions_app.models import Session
from users import contact
from users.errors import DomainError
from users.filters import IdFilter
from users.masking import masked
from users.permissions import person

LONGEST_REPLY = 4096
DRAFT_CONFLICT = OpenApiResponse(description="Somebody saved first, or the flow has errors.")


class MediaSerializer(serializers.ModelSerializer[Media]):
    class Meta:
        model = Media
        fields = ["id", "mime_type", "filename", "size", "sha256", "status", "error"]


class MessageSerializer(serializers.ModelSerializer[MessageLog]):
    lead = serializers.IntegerField(source="session.lead_id", read_only=True)
    media = MediaSerializer(many=True, read_only=True)
    error_text = serializers.SerializerMethodField()

    class Meta:
        model = MessageLog
        fields = [
            "id",
            "session",
            "lead",
            "channel",
            "direction",
            "author",
            "author_user",
            "kind",
            "text",
            "payload",
            "media",
            "status",
            "provider_id",
            "provider_at",
            "reply_to",
            "client_id",
            "flow_log",
            "reaction",
            "error_code",
            "error_text",
            "error_detail",
            "sent_at",
            "delivered_at",
            "read_at",
            "played_at",
            "failed_at",
            "edited_at",
            "revoked_at",
            "created_at",
        ]
        read_only_fields = fields

    def to_representation(self, instance: MessageLog) -> dict[str, Any]:
        """What a channel said of a message names the customer's number, too."""
        shown = super().to_representation(instance)
        if any(map(contact.hides, contact.RULES)):
            shown["payload"] = masked(instance.payload, ())
        return shown

    def get_error_text(self, message: MessageLog) -> str:
        """What happened and what to do, for people, in the caller's language."""
        return why_failed(message, message.session.channel.kind) if message.error_code else ""


@extend_schema_field(OpenApiTypes.INT)
class VisibleSession(serializers.PrimaryKeyRelatedField):
    """A session that the caller sees; any other does not exist for them."""

    def get_queryset(self) -> QuerySet[Session]:
        return Session.objects.visible_to(self.context["request"].user)


class TemplateUseSerializer(serializers.Serializer[Any]):
    """An approved message template of the session's channel. `values` by the names of its
    variables, as `message-templates` lists them."""

    name = serializers.CharField(max_length=512)
    language = serializers.CharField(max_length=16, default="pt_BR")
    values = serializers.DictField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=2000),
        default=dict,
    )


class ReplySerializer(serializers.Serializer[Any]):
    """A `text`, or a message `template`. `client_id` is the caller's own: repeated with the same
    one, a reply is sent once."""

    session = VisibleSession()
    text = serializers.CharField(max_length=LONGEST_REPLY, required=False)
    template = TemplateUseSerializer(required=False)
    client_id = serializers.UUIDField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("text" in attrs) == ("template" in attrs):
            raise serializers.ValidationError(_("Give either a text or a template."))
        return attrs


class FileReplySerializer(ReplySerializer):
    """The same with a file, as `multipart/form-data`; `text` is its caption. Without `kind` the
    file's content decides as what it is sent. A file over the channel's limits is refused with what
    to do instead."""

    text = serializers.CharField(max_length=LONGEST_REPLY, allow_blank=True, default="")
    file = serializers.FileField(max_length=300)
    kind = serializers.ChoiceField(
        choices=["image", "audio", "voice", "video", "document", "sticker"],
        allow_blank=True,
        default="",
    )


class CreatedFilter(django_filters.FilterSet):
    """What all rows of a conversation can be filtered by. Rows of a simulator are left out unless
    they or one session are asked for."""

    session = IdFilter(field_name="session_id")
    created_after = django_filters.IsoDateTimeFilter("created_at", "gte")
    created_before = django_filters.IsoDateTimeFilter("created_at", "lt")
    simulated = django_filters.BooleanFilter("session__is_simulated")

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = super().filter_queryset(queryset)
        asked = self.form.cleaned_data
        if asked["simulated"] is None and asked["session"] is None:
            return found.filter(session__is_simulated=False)
        return found


class MessageFilter(CreatedFilter):
    lead = IdFilter(field_name="session__lead_id")
    channel = IdFilter(field_name="channel_id")
    direction = django_filters.ChoiceFilter(choices=Direction.choices)
    status = django_filters.MultipleChoiceFilter(choices=MessageStatus.choices)
    kind = django_filters.CharFilter()


class FlowLogFilter(CreatedFilter):
    run = IdFilter(field_name="run_id")
    kind = django_filters.MultipleChoiceFilter(choices=FlowLogKind.choices)


class ConversationRows(viewsets.ReadOnlyModelViewSet[Any]):
    """Rows of conversations. Filters are for lists: a row that is named is given as it is."""

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.detail else super().filter_queryset(queryset)


class MessageViewSet(ConversationRows):
    """What was said, by the customer, the bot and the team."""

    scope = "messages"
    needs: str | None = None
    queryset = MessageLog.objects.none()  # door: tells the schema the model, nothing else
    serializer_class = MessageSerializer
    filterset_class = MessageFilter
    parser_classes = (JSONParser, MultiPartParser)
    ordering_fields = ("id",)

    def get_queryset(self) -> QuerySet[MessageLog]:
        visible = MessageLog.objects.visible_to(self.request.user)
        return visible.select_related("session__channel").prefetch_related("media")

    @extend_schema(
        request={
            "application/json": ReplySerializer,
            "multipart/form-data": FileReplySerializer,
        },
        responses={
            201: MessageSerializer,
            200: OpenApiResponse(MessageSerializer, description="Sent before with this client_id."),
            409: OpenApiResponse(description="The conversation cannot be written in now."),
        },
    )
    def create(self, request: Request) -> Response:
        """Reply to the customer. Whoever writes takes the conversation over from the bot. Outside
        the service window only a message template is taken."""
        kind = FileReplySerializer if request.FILES else ReplySerializer
        reply = kind(data=request.data, context=self.get_serializer_context())
        reply.is_valid(raise_exception=True)
        given = reply.validated_data
        earlier = self._sent_with(given)
        if earlier is not None:
            return Response(self.get_serializer(earlier).data)
        message = self._send(given)
        return Response(self.get_serializer(message).data, status=status.HTTP_201_CREATED)

    def _send(self, reply: dict[str, Any]) -> MessageLog:
        how: dict[str, Any] = {
            "user": person(self.request),
            "client_id": reply["client_id"],
            "at": timezone.now(),
        }
        if "template" in reply:
            return send_template(reply["session"], **reply["template"], **how)
        with _file_of(reply) as file:
            return send_reply(reply["session"], text=reply["text"], attachment=file, **how)

    def _sent_with(self, reply: dict[str, Any]) -> MessageLog | None:
        """A template sent into a conversation that had ended stands in the one it began."""
        session = reply["session"]
        same = self.get_queryset().filter(client_id=reply["client_id"])
        if "template" in reply:
            same = same.filter(session__lead=session.lead_id, channel=session.channel_id)
        else:
            same = same.filter(session=session)
        return same.first()


class MessageTemplateSerializer(serializers.ModelSerializer[MessageTemplate]):
    channel: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    values = serializers.SerializerMethodField(
        help_text="The names of its values; true where one is needed."
    )

    class Meta:
        model = MessageTemplate
        fields = [
            "id",
            "channel",
            "name",
            "language",
            "category",
            "status",
            "components",
            "values",
            "quality",
            "paused_until",
            "reason",
            "synced_at",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.DictField(child=serializers.BooleanField()))
    def get_values(self, template: MessageTemplate) -> dict[str, bool]:
        return {one.key: one.is_needed for one in template.parts.variables}


class MessageTemplateFilter(django_filters.FilterSet):
    status = django_filters.MultipleChoiceFilter(choices=TemplateStatus.choices)
    name = django_filters.CharFilter()
    language = django_filters.CharFilter()
    category = django_filters.CharFilter(lookup_expr="iexact")
    channel = django_filters.CharFilter(field_name="channel__slug")


class MessageTemplateViewSet(viewsets.ReadOnlyModelViewSet[MessageTemplate]):
    """What may be sent outside the service window. Attendants see the approved ones."""

    scope = "message-templates"
    needs: str | None = None
    queryset = MessageTemplate.objects.none()  # door: tells the schema the model, nothing else
    serializer_class = MessageTemplateSerializer
    filterset_class = MessageTemplateFilter
    search_fields = ("name",)
    ordering_fields = ("id", "name")

    def get_queryset(self) -> QuerySet[MessageTemplate]:
        return (
            MessageTemplate.objects.visible_to(self.request.user)
            .select_related("channel")
            .defer("channel__credentials", "channel__settings")
        )


class FlowLogSerializer(serializers.ModelSerializer[FlowLog]):
    class Meta:
        model = FlowLog
        fields = [
            "id",
            "session",
            "seq",
            "kind",
            "run",
            "node",
            "next_node",
            "message",
            "effects",
            "trace",
            "state",
            "context_set",
            "context_unset",
            "duration_us",
            "created_at",
        ]
        read_only_fields = fields

    def to_representation(self, instance: FlowLog) -> dict[str, Any]:
        """Attendants get sensitive variables masked, wherever the row holds them by name."""
        shown = super().to_representation(instance)
        if person(self.context["request"]).is_admin:
            return shown
        return {**shown, **without_sensitive(instance)}


class FlowLogViewSet(ConversationRows):
    """Why it was said: every step of the flow."""

    scope = "flow-logs"
    needs: str | None = None
    queryset = FlowLog.objects.none()  # door: tells the schema the model, nothing else
    serializer_class = FlowLogSerializer
    filterset_class = FlowLogFilter
    ordering_fields = ("id",)

    def get_queryset(self) -> QuerySet[FlowLog]:
        return FlowLog.objects.visible_to(self.request.user).select_related("run")


class FlowSerializer(serializers.ModelSerializer[Flow]):
    """`published` is the number of the version that customers get, null before the first one."""

    published = serializers.IntegerField(source="published.number", read_only=True, default=None)

    class Meta:
        model = Flow
        fields = [
            "id",
            "slug",
            "name",
            "description",
            "is_active",
            "published",
            "draft_revision",
            "draft_saved_at",
            "created_at",
        ]
        read_only_fields = fields


class FlowDetailSerializer(FlowSerializer):
    draft = serializers.DictField(read_only=True)

    class Meta(FlowSerializer.Meta):
        fields = [*FlowSerializer.Meta.fields, "draft"]
        read_only_fields = fields


class DraftSerializer(serializers.Serializer[Any]):
    """`revision` is the `draft_revision` that the edit began with."""

    draft = serializers.DictField()
    revision = serializers.IntegerField(min_value=0)


class PublishSerializer(serializers.Serializer[Any]):
    """With `revision` only the draft that was looked at is published. `moves` says what happens to
    the conversations under way: {id of their version: {passo: {"do": "stay", "same", "map" or
    "end", "node": where they go on, "text": what they are told}}}; those not named stay."""

    revision = serializers.IntegerField(min_value=0, allow_null=True, default=None)
    note = serializers.CharField(max_length=300, allow_blank=True, default="")
    moves = serializers.DictField(
        child=serializers.DictField(child=serializers.DictField(child=serializers.CharField())),
        allow_null=True,
        default=None,
    )


class StandingSerializer(serializers.Serializer[Any]):
    """Conversations that wait at one passo: how many, and what `moves` may say about them."""

    version = serializers.IntegerField(source="version.pk")
    version_number = serializers.IntegerField(source="version.number")
    place = serializers.CharField()
    title = serializers.CharField()
    count = serializers.IntegerField()
    may = serializers.ListField(child=serializers.CharField())
    is_gone = serializers.BooleanField()


class DifferenceSerializer(serializers.Serializer[Any]):
    """What differs in one passo, or (`place` empty) in the flow as a whole."""

    op = serializers.ChoiceField(choices=["added", "removed", "changed"])
    place = serializers.CharField()
    title = serializers.CharField()
    clauses = serializers.ListField(child=serializers.CharField())


class FlowVersionSerializer(serializers.ModelSerializer[FlowVersion]):
    document = serializers.DictField(read_only=True)

    class Meta:
        model = FlowVersion
        fields = ["id", "number", "note", "published_at", "published_by", "document"]
        read_only_fields = fields


class FindingSerializer(serializers.Serializer[Any]):
    severity = serializers.CharField()
    code = serializers.CharField()
    node = serializers.CharField()
    text = serializers.CharField()
    path = serializers.ListField(child=serializers.CharField())


class FlowViewSet(viewsets.ReadOnlyModelViewSet[Flow]):
    """Conversations as data, addressed by their slug."""

    scope = "flows"
    needs: str | None = None
    queryset = Flow.objects.none()  # door: tells the schema the model, nothing else
    serializer_class = FlowDetailSerializer
    filterset_fields = ("is_active",)
    search_fields = ("name", "slug")
    ordering_fields = ("id", "name")
    lookup_field = "slug"

    def get_queryset(self) -> QuerySet[Flow]:
        flows = Flow.objects.visible_to(self.request.user).select_related("published")
        return flows.defer("draft", "published__document")

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return FlowSerializer if self.action == "list" else FlowDetailSerializer

    @extend_schema(
        request=DraftSerializer,
        responses={200: FlowDetailSerializer, 409: DRAFT_CONFLICT},
    )
    @action(detail=True, methods=["put"])
    def draft(self, request: Request, slug: str) -> Response:
        """Replace the draft; customers get nothing of it."""
        given = _valid(DraftSerializer, request)
        flow = flows_service.save_draft(
            self.get_object(),
            given["draft"],
            user=person(request),
            revision=given["revision"],
            said={"code": "json_edited"},
        )
        return Response(self.get_serializer(flow).data)

    @extend_schema(responses=FindingSerializer(many=True), filters=False)
    @action(detail=True, pagination_class=None)
    def check(self, request: Request, slug: str) -> Response:
        """What keeps the draft from being published (errors), and what else is found."""
        found = flows_service.check(self.get_object())
        return Response(FindingSerializer(found, many=True).data)

    @extend_schema(
        request=PublishSerializer,
        responses={201: FlowVersionSerializer, 409: DRAFT_CONFLICT},
    )
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, slug: str) -> Response:
        """Put the draft on air. What is on air already is answered with its version."""
        given = _valid(PublishSerializer, request)
        version = flows_service.publish(
            self.get_object(),
            user=person(request),
            note=given["note"],
            revision=given["revision"],
            moves=given["moves"],
        )
        answer = FlowVersionSerializer(version).data
        return Response(answer, status=status.HTTP_201_CREATED)

    @extend_schema(responses=StandingSerializer(many=True), filters=False)
    @action(detail=True, pagination_class=None)
    def impact(self, request: Request, slug: str) -> Response:
        """Who is talking to the bot in this flow, by version and passo, and what may happen to
        them when the draft is published."""
        found = Sheet(self.get_object()).standings
        return Response(StandingSerializer(found, many=True).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("from", str, description="A version's number, or draft."),
            OpenApiParameter("to", str, description="A version's number, or draft."),
        ],
        responses=DifferenceSerializer(many=True),
        filters=False,
    )
    @action(detail=True, pagination_class=None)
    def difference(self, request: Request, slug: str) -> Response:
        """How two versions differ; unless said otherwise, what is on air and the draft."""
        found = Versions(self.get_object(), request.query_params).difference
        if found is None:
            raise DomainError(_("One of the two cannot be read."), code="unreadable")
        return Response(DifferenceSerializer(found.parts, many=True).data)

    @extend_schema(responses=FlowVersionSerializer(many=True), filters=False)
    @action(detail=True, filter_backends=[])
    def versions(self, request: Request, slug: str) -> Response:
        """What was on air, newest first."""
        versions: QuerySet[Any] = self.get_object().versions.published().order_by("-id")
        page = self.paginate_queryset(versions)
        return self.get_paginated_response(FlowVersionSerializer(page, many=True).data)


def _file_of(given: dict[str, Any]) -> AbstractContextManager[Attachment | None]:
    if "file" not in given:
        return nullcontext()
    return accepted(given["file"], given["session"], kind=given["kind"])


def _valid(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data
