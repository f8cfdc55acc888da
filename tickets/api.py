"""Tickets in the API: one action per verb."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from leads.services import get_or_create_tags, usable_tags
from sessions_app.models import Session
from sessions_app.windows import WindowFilterSet
from tickets import services
from tickets.models import InternalNote, Priority, Ticket, TicketEvent, TicketStatus
from tickets.services import Next
from tickets.sla import ClockState, clock
from users import api_seen
from users.filters import IdFilter
from users.masking import masked
from users.models import Department, User
from users.permissions import person


class TicketSerializer(serializers.ModelSerializer):
    lead_name = serializers.CharField(source="lead.__str__", read_only=True)
    department: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    assignee_name = serializers.SerializerMethodField()
    tags: Any = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)
    sla_state = serializers.SerializerMethodField(
        help_text="Of the clock that counts now: of an open ticket the nearest due time."
    )
    sla_due_at = serializers.SerializerMethodField(
        help_text="Moves on when the clock, paused now, goes on."
    )

    class Meta:
        model = Ticket
        fields = [
            "id",
            "protocol",
            "lead",
            "lead_name",
            "session",
            "department",
            "assignee",
            "assignee_name",
            "status",
            "priority",
            "subject",
            "tags",
            "outcome",
            "resolution_note",
            "queued_at",
            "assigned_at",
            "first_response_at",
            "first_response_due_at",
            "resolution_due_at",
            "sla_paused_at",
            "sla_state",
            "sla_due_at",
            "snoozed_until",
            "snoozed_until_reply",
            "silence_warned_at",
            "resolved_at",
            "closed_at",
            "rating",
            "rating_comment",
            "rated_at",
            "last_message_at",
            "last_message_preview",
            "unread",
            "is_simulated",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields

    def get_assignee_name(self, ticket: Ticket) -> str | None:
        return str(ticket.assignee) if ticket.assignee else None

    @extend_schema_field(serializers.ChoiceField(choices=get_args(ClockState)))
    def get_sla_state(self, ticket: Ticket) -> str:
        return clock(ticket, timezone.now()).state

    def get_sla_due_at(self, ticket: Ticket) -> datetime | None:
        due = clock(ticket, timezone.now()).due
        return None if due is None else timezone.localtime(due)


class TicketDetailSerializer(TicketSerializer):
    """With what the bot handed over; attendants get sensitive variables masked, and the names of
    chosen options with them."""

    variables = serializers.SerializerMethodField()
    handoff = serializers.SerializerMethodField()

    class Meta(TicketSerializer.Meta):
        fields = [*TicketSerializer.Meta.fields, "variables", "handoff"]
        read_only_fields = fields

    @extend_schema_field(serializers.DictField())
    def get_variables(self, ticket: Ticket) -> dict[str, Any]:
        return self._for_reader(ticket, ticket.variables)

    @extend_schema_field(serializers.DictField())
    def get_handoff(self, ticket: Ticket) -> dict[str, Any]:
        options = ticket.handoff.get("options")
        if not options:
            return ticket.handoff
        return {**ticket.handoff, "options": self._for_reader(ticket, options)}

    def _for_reader(self, ticket: Ticket, values: dict[str, Any]) -> dict[str, Any]:
        """Values by the names of variables."""
        hidden = ticket.handoff.get("sensitive", ticket.variables.keys())
        if not person(self.context["request"]).is_admin:
            return dict(masked(values, hidden))
        if not values.keys().isdisjoint(hidden):
            api_seen.note(self.context["request"], ticket)
        return values


class TicketEventSerializer(serializers.ModelSerializer):
    details = serializers.SerializerMethodField()

    class Meta:
        model = TicketEvent
        fields = ["id", "kind", "actor", "details", "created_at"]
        read_only_fields = fields

    def get_details(self, event: TicketEvent) -> dict[str, Any]:
        """Without what only undoing needs."""
        return {name: one for name, one in event.details.items() if name != services.BEFORE}


class InternalNoteSerializer(serializers.ModelSerializer):
    class Meta:
        model = InternalNote
        fields = ["id", "text", "author", "created_at"]
        read_only_fields = ["author", "created_at"]


# --- What is given -----------------------------------------------------------------------------


@extend_schema_field(int)
class VisiblePerson(serializers.PrimaryKeyRelatedField):
    """A person whom the caller may know."""

    def get_queryset(self) -> QuerySet[User]:
        return User.objects.visible_to(self.context["request"].user)


@extend_schema_field(int)
class VisibleSession(serializers.PrimaryKeyRelatedField):
    """A conversation that the caller may see."""

    def get_queryset(self) -> QuerySet[Session]:
        return Session.objects.visible_to(self.context["request"].user)


@extend_schema_field(str)
class AnyDepartment(serializers.SlugRelatedField):
    """A department by its slug."""

    def get_queryset(self) -> QuerySet[Department]:
        return Department.objects.visible_to(self.context["request"].user)


class OpenSerializer(serializers.Serializer):
    session = VisibleSession()
    assignee = VisiblePerson(required=False, help_text="Leave out for the department's queue.")
    department: Any = AnyDepartment(slug_field="slug", required=False)
    priority = serializers.ChoiceField(choices=Priority.choices, required=False)
    subject = serializers.CharField(max_length=200, required=False, allow_blank=True)


class DetailsSerializer(serializers.Serializer):
    subject = serializers.CharField(max_length=200, required=False, allow_blank=True)
    priority = serializers.ChoiceField(choices=Priority.choices, required=False)
    tags: Any = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, help_text="Replaces all."
    )


class AssignSerializer(serializers.Serializer):
    user = VisiblePerson()


class TransferSerializer(serializers.Serializer):
    department: Any = AnyDepartment(slug_field="slug")
    user = VisiblePerson(required=False, help_text="Leave out for the department's queue.")
    note = serializers.CharField(required=False, allow_blank=True)


class PrioritySerializer(serializers.Serializer):
    priority = serializers.ChoiceField(choices=Priority.choices)


class TurnSerializer(serializers.Serializer):
    status = serializers.ChoiceField(
        choices=[TicketStatus.IN_PROGRESS, TicketStatus.WAITING_CUSTOMER]
    )


class Moment(serializers.DateTimeField):
    """Also of what is written without a time zone, DRF says that it is out of range."""

    def enforce_timezone(self, value: datetime) -> datetime:
        try:
            return super().enforce_timezone(value)
        except OverflowError:
            self.fail("overflow")


class SnoozeSerializer(serializers.Serializer):
    until = Moment(required=False, allow_null=True, help_text="null wakes the ticket up.")
    until_reply = serializers.BooleanField(
        required=False, help_text="Instead of a moment: until the customer writes."
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if not given.get("until_reply") and "until" not in given:
            raise serializers.ValidationError({"until": _("Choose until when.")})
        return {"until": None, **given}


class CloseSerializer(serializers.Serializer):
    then = serializers.ChoiceField(
        choices=Next.choices,
        help_text="What becomes of the conversation; `stay` closes a resolved ticket for good.",
    )
    entry = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text=(
            "With `bot`: the slug of the flow that it goes on with, `pesquisa` for the survey. "
            "Empty: the flow of the trigger “ticket closed”, if there is one."
        ),
    )


class ResolveSerializer(CloseSerializer):
    outcome = serializers.CharField(max_length=40, required=False, allow_blank=True)
    note = serializers.CharField(
        required=False, allow_blank=True, help_text="How it was resolved, for the team."
    )


# --- Tickets -----------------------------------------------------------------------------------


class TicketFilter(WindowFilterSet):
    status = filters.MultipleChoiceFilter(choices=TicketStatus.choices)
    open = filters.BooleanFilter(method="only_open", label=_("open"))
    priority = filters.MultipleChoiceFilter(choices=Priority.choices)
    department = filters.CharFilter(field_name="department__slug", label=_("department"))
    assignee = IdFilter(field_name="assignee_id", label=_("assignee"))
    unassigned = filters.BooleanFilter(
        field_name="assignee", lookup_expr="isnull", label=_("unassigned")
    )
    lead = IdFilter(field_name="lead_id", label=_("lead"))
    session = IdFilter(field_name="session_id", label=_("session"))
    protocol = filters.CharFilter()
    late = filters.BooleanFilter(method="only_late", label=_("late"))
    rating = filters.NumberFilter(label=_("rating"))
    tag = filters.CharFilter(field_name="tags__name", label=_("tag"))
    created = filters.IsoDateTimeFromToRangeFilter(field_name="created_at", label=_("created"))

    class Meta:
        model = Ticket
        fields = ["status", "open", "priority", "department", "assignee", "unassigned", "window"]

    def only_open(self, queryset: Any, name: str, is_open: bool) -> Any:
        return queryset.open() if is_open else queryset.exclude(pk__in=queryset.open())

    def only_late(self, queryset: Any, name: str, is_late: bool) -> Any:
        late = queryset.late(timezone.now())
        return late if is_late else queryset.exclude(pk__in=late)


SIMULATED = OpenApiParameter("simulated", bool, description="Those of the simulator instead.")
PART_OF_ONE: dict[str, Any] = {
    "filterset_class": None,
    "search_fields": None,
    "ordering_fields": ["id"],
}


@extend_schema_view(list=extend_schema(parameters=[SIMULATED], responses=TicketSerializer))
class TicketViewSet(
    api_seen.TellsWhatIsSeen,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet,
):
    """Cases that people work on. Each verb says who was faster when it was somebody else (409)."""

    scope = "tickets"
    needs: str | None = None
    serializer_class = TicketDetailSerializer
    http_method_names = ["get", "post", "patch", "head", "options"]
    filterset_class = TicketFilter
    search_fields = ["protocol", "subject", "lead__name", "lead__phone"]
    ordering_fields = ["id", "created_at", "updated_at", "queued_at"]

    def get_queryset(self) -> Any:
        visible = Ticket.objects.visible_to(self.request.user)
        tickets = visible.select_related("lead", "department", "assignee").prefetch_related("tags")
        if self.action != "list":
            return tickets
        is_simulated = self.request.query_params.get("simulated") == "true"
        return tickets.defer("variables", "handoff").filter(is_simulated=is_simulated)

    def get_serializer_class(self) -> Any:
        return TicketSerializer if self.action == "list" else TicketDetailSerializer

    def check_permissions(self, request: Request) -> None:
        """Whoever may change tickets may open one: it is how a conversation is taken."""
        if self.action == "create":
            self.needs = "tickets.change_ticket"
        super().check_permissions(request)

    @extend_schema(request=OpenSerializer, responses={201: TicketDetailSerializer})
    def create(self, request: Request) -> Response:
        """Take a conversation from the bot."""
        given = self._given(OpenSerializer)
        session = given.pop("session")
        ticket = services.open_for_staff(session.pk, actor=person(request), **given)
        return Response(self.get_serializer(ticket).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=DetailsSerializer, responses=TicketDetailSerializer)
    def partial_update(self, request: Request, pk: str | None = None) -> Response:
        ticket, given = self.get_object(), self._given(DetailsSerializer)
        if "tags" in given:
            names = usable_tags(given["tags"], actor=person(request))
            given["tags"] = get_or_create_tags(names)
        return self._shown(services.update_details(ticket, actor=person(request), **given))

    @extend_schema(request=None, responses=TicketDetailSerializer)
    @action(detail=True, methods=["post"])
    def claim(self, request: Request, pk: str | None = None) -> Response:
        """Take a ticket that nobody has, or accept one assigned to you."""
        return self._shown(services.claim(self.get_object(), user=person(request)))

    @extend_schema(request=AssignSerializer, responses=TicketDetailSerializer)
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str | None = None) -> Response:
        """Give the ticket to somebody."""
        ticket, to_user = self.get_object(), self._given(AssignSerializer)["user"]
        return self._shown(services.assign(ticket, to_user=to_user, actor=person(request)))

    @extend_schema(request=None, responses=TicketDetailSerializer)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str | None = None) -> Response:
        """Give the ticket back to its queue."""
        return self._shown(services.release(self.get_object(), actor=person(request)))

    @extend_schema(request=TransferSerializer, responses=TicketDetailSerializer)
    @action(detail=True, methods=["post"])
    def transfer(self, request: Request, pk: str | None = None) -> Response:
        """Move the ticket to a department, or to a person there."""
        ticket, given = self.get_object(), self._given(TransferSerializer)
        services.transfer(
            ticket,
            department=given["department"],
            to_user=given.get("user"),
            note=given.get("note", ""),
            actor=person(request),
        )
        return self._shown(ticket)

    @extend_schema(request=PrioritySerializer, responses=TicketDetailSerializer)
    @action(detail=True, methods=["post"])
    def priority(self, request: Request, pk: str | None = None) -> Response:
        ticket, given = self.get_object(), self._given(PrioritySerializer)
        return self._shown(services.set_priority(ticket, **given, actor=person(request)))

    @extend_schema(request=TurnSerializer, responses=TicketDetailSerializer)
    @action(detail=True, methods=["post"])
    def turn(self, request: Request, pk: str | None = None) -> Response:
        """Whose turn it is: ours, or the customer's."""
        ticket, given = self.get_object(), self._given(TurnSerializer)
        return self._shown(services.set_status(ticket, **given, actor=person(request)))

    @extend_schema(request=SnoozeSerializer, responses=TicketDetailSerializer)
    @action(detail=True, methods=["post"])
    def snooze(self, request: Request, pk: str | None = None) -> Response:
        """Put the ticket aside until then, or until the customer writes."""
        ticket, given = self.get_object(), self._given(SnoozeSerializer)
        return self._shown(services.snooze(ticket, **given, actor=person(request)))

    @extend_schema(request=ResolveSerializer, responses=TicketDetailSerializer)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: str | None = None) -> Response:
        """The case is settled. 400 `fields_missing` while something is empty that the department
        demands, `survey_window_closed` when the survey cannot be sent any more."""
        ticket, given = self.get_object(), self._given(ResolveSerializer)
        return self._shown(services.resolve(ticket, **given, actor=person(request)))

    @extend_schema(request=CloseSerializer, responses=TicketDetailSerializer)
    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: str | None = None) -> Response:
        """Close without a result, or a resolved ticket for good."""
        ticket, given = self.get_object(), self._given(CloseSerializer)
        return self._shown(services.close_ticket(ticket, **given, actor=person(request)))

    @extend_schema(request=None, responses=TicketDetailSerializer)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, pk: str | None = None) -> Response:
        """Put a ticket that is done back into its queue."""
        return self._shown(services.reopen(self.get_object(), actor=person(request)))

    @extend_schema(responses=TicketEventSerializer(many=True))
    @action(detail=True, methods=["get"], **PART_OF_ONE)
    def events(self, request: Request, pk: str | None = None) -> Response:
        """What happened to the ticket, newest first."""
        page = self.paginate_queryset(self.get_object().events.all())
        return self.get_paginated_response(TicketEventSerializer(page, many=True).data)

    @extend_schema(responses=InternalNoteSerializer(many=True))
    @action(detail=True, methods=["get"], **PART_OF_ONE)
    def notes(self, request: Request, pk: str | None = None) -> Response:
        """What the team wrote about the ticket, newest first."""
        page = self.paginate_queryset(self.get_object().notes.all())
        return self.get_paginated_response(InternalNoteSerializer(page, many=True).data)

    @extend_schema(request=InternalNoteSerializer, responses={201: InternalNoteSerializer})
    @notes.mapping.post
    def add_note(self, request: Request, pk: str | None = None) -> Response:
        """Write something for the team. It is never sent."""
        ticket, text = self.get_object(), self._given(InternalNoteSerializer)["text"]
        note = services.add_note(ticket, author=person(request), text=text)
        return Response(InternalNoteSerializer(note).data, status=status.HTTP_201_CREATED)

    def _given(self, serializer_class: Any) -> dict[str, Any]:
        serializer = serializer_class(data=self.request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def _shown(self, ticket: Ticket) -> Response:
        """As it is now, even if the caller may not see it any more."""
        return Response(self.get_serializer(ticket).data)
