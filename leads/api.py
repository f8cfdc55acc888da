"""Leads in the API."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from leads import columns, services
from leads.models import Consent, Identity, Lead, LeadSource, LeadStatus, Note
from users import api_seen, contact
from users.filters import IdFilter
from users.masking import MASK, hint, masked
from users.models import User
from users.permissions import person

ORIGIN = "api"
DETAIL_COLUMNS = ("name", "email", "phone", "document", "company", "need")


class IdentitySerializer(serializers.ModelSerializer):
    address = serializers.CharField(source="shown_address", read_only=True)

    class Meta:
        model = Identity
        fields = ["scheme", "scope", "address", "unreachable_at", "created_at"]
        read_only_fields = fields


class OptOutSerializer(serializers.ModelSerializer):
    """How a person stopped offers: where (a channel, console, api, flow) and in which words."""

    class Meta:
        model = Consent
        fields = ["origin", "text", "recorded_at"]
        read_only_fields = fields


class LeadSerializer(serializers.ModelSerializer):
    """Attendants get the CPF or CNPJ, the attributes that pages mask, and what the rules of the
    team hide, masked."""

    opt_out = OptOutSerializer(source="opt_out_record", read_only=True, allow_null=True)
    tags: Any = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)
    identities = IdentitySerializer(many=True, read_only=True)

    class Meta:
        model = Lead
        fields = [
            "id",
            *DETAIL_COLUMNS,
            "status",
            "source",
            "attributes",
            "referral",
            "tags",
            "attendant",
            "opted_out_at",
            "opt_out",
            "merged_into",
            "is_simulated",
            "identities",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields

    def to_representation(self, instance: Lead) -> dict[str, Any]:
        shown = super().to_representation(instance)
        if person(self.context["request"]).is_admin:
            if instance.document or instance.sensitive_attributes:
                api_seen.note(self.context["request"], instance)
            return shown
        attributes = masked(instance.attributes, instance.sensitive_attributes)
        return {
            **shown,
            "document": hint(instance.document),
            "phone": contact.shown_phone(instance.phone),
            "email": contact.shown_email(instance.email),
            "attributes": attributes,
        }


class VisibleAttendant(serializers.PrimaryKeyRelatedField):
    """A person whom the caller may know."""

    def get_queryset(self) -> QuerySet[User]:
        return User.objects.visible_to(self.context["request"].user)


class LeadWriteSerializer(serializers.ModelSerializer):
    """What a person or a program says about a lead. `tags` replaces all of them."""

    status = serializers.ChoiceField(choices=LeadStatus.choices, required=False)
    reason = serializers.CharField(
        max_length=200, required=False, write_only=True, help_text="Why the status changes."
    )
    attributes = serializers.DictField(
        child=serializers.CharField(allow_blank=True),
        required=False,
        help_text="Merged into the ones there are; an empty text removes one.",
    )
    tags: Any = serializers.ListField(child=serializers.CharField(max_length=40), required=False)
    attendant = VisibleAttendant(allow_null=True, required=False)

    class Meta:
        model = Lead
        fields = [*DETAIL_COLUMNS, "status", "reason", "attributes", "tags", "attendant"]

    def to_internal_value(self, data: Any) -> Any:
        """What was read masked and comes back so is left as it is."""
        lead: Any = self.instance
        if lead is not None and isinstance(data, dict):
            hints = {
                "phone": contact.shown_phone(lead.phone),
                "email": contact.shown_email(lead.email),
            }
            data = {
                name: value
                for name, value in data.items()
                if not (name in hints and contact.hides(name) and value == hints[name])
            }
        return super().to_internal_value(data)

    def validate_phone(self, text: str) -> str:
        return self._column("phone", text, _("This is not a phone number."))

    def validate_document(self, text: str) -> str:
        return self._column("document", text, _("This is neither a CPF nor a CNPJ."))

    def validate_attributes(self, attributes: dict[str, str]) -> dict[str, str]:
        columns_named = sorted(set(attributes) & set(DETAIL_COLUMNS))
        if columns_named:
            raise serializers.ValidationError(
                _("These are fields of their own: %(names)s.") % {"names": ", ".join(columns_named)}
            )
        # What was read masked and comes back so is left as it is.
        return {name: text for name, text in attributes.items() if text != MASK}

    def validate_tags(self, names: list[str]) -> list[str]:
        return services.usable_tags(names, actor=person(self.context["request"]))

    def _column(self, field: str, text: str, refusal: Any) -> str:
        value = columns.as_column(field, text)
        if value is None:
            raise serializers.ValidationError(refusal)
        return value


class NoteSerializer(serializers.ModelSerializer):
    class Meta:
        model = Note
        fields = ["id", "text", "author", "created_at"]
        read_only_fields = ["author", "created_at"]


class MergeSerializer(serializers.Serializer):
    lead = serializers.IntegerField(help_text="The lead that becomes a part of this one.")


class OptSerializer(serializers.Serializer):
    text = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="What the person said."
    )


class OptInSerializer(serializers.Serializer):
    text = serializers.CharField(help_text="How the person agreed.")


class LeadFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=LeadStatus.choices)
    source = filters.MultipleChoiceFilter(choices=LeadSource.choices)
    tag = filters.CharFilter(field_name="tags__name", label=_("tag"))
    phone = filters.CharFilter(method="with_phone", label=_("phone, however it is written"))
    email = filters.CharFilter(lookup_expr="iexact")
    attendant = IdFilter(field_name="attendant_id", label=_("attendant"))
    created = filters.IsoDateTimeFromToRangeFilter(field_name="created_at", label=_("created"))
    opted_out = filters.BooleanFilter(
        field_name="opted_out_at", lookup_expr="isnull", exclude=True, label=_("opted out")
    )

    class Meta:
        model = Lead
        fields = ["status", "source", "tag", "phone", "email", "attendant", "created", "opted_out"]

    def with_phone(self, queryset: Any, name: str, text: str) -> Any:
        return queryset.with_phone(text)


SHOWN = OpenApiParameter(
    "shown",
    str,
    enum=["simulated", "merged"],
    description="Instead of real people: those of the simulator, or the merged ones.",
)


@extend_schema_view(list=extend_schema(parameters=[SHOWN]))
class LeadViewSet(
    api_seen.TellsWhatIsSeen,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet,
):
    """The people who write to us. They are merged, never deleted here."""

    scope = "leads"
    needs: str | None = None
    serializer_class = LeadSerializer
    http_method_names = ["get", "post", "patch", "head", "options"]
    filterset_class = LeadFilter
    search_fields = ["name", "email", "phone", "company"]
    ordering_fields = ["id", "created_at", "updated_at", "name"]

    def get_queryset(self) -> Any:
        visible = Lead.objects.visible_to(self.request.user)
        leads = visible.prefetch_related("tags", "identities").with_refusals()
        return self._shown_of(leads) if self.action == "list" else leads

    @extend_schema(request=LeadWriteSerializer, responses={201: LeadSerializer})
    def create(self, request: Request) -> Response:
        given = self._given(LeadWriteSerializer)
        lead = services.create_lead(
            fields=_fields_of(given),
            source=LeadSource.API,
            status=given.get("status", LeadStatus.NEW),
            tags=given.get("tags", ()),
            attendant=given.get("attendant"),
            actor=person(request),
        )
        return Response(self.get_serializer(lead).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=LeadWriteSerializer, responses=LeadSerializer)
    @transaction.atomic
    def partial_update(self, request: Request, pk: str | None = None) -> Response:
        """All of what is given, or nothing when a part of it is refused."""
        lead = self.get_object()
        given = self._given(LeadWriteSerializer, lead)
        services.update_lead(
            lead,
            fields=_fields_of(given),
            status=given.get("status", ""),
            tags=given.get("tags"),
            actor=person(request),
            reason=given.get("reason", ""),
        )
        if "attendant" in given:
            services.set_attendant(lead, attendant=given["attendant"], actor=person(request))
        return self._shown(lead)

    # needs: deleting one of two is what a merge does, so who may not delete may not merge
    @extend_schema(request=MergeSerializer, responses=LeadSerializer)
    @action(detail=True, methods=["post"], needs="leads.delete_lead")
    def merge(self, request: Request, pk: str | None = None) -> Response:
        """Make another lead a part of this one, with its conversations, tickets and history."""
        winner = self.get_object()
        loser = get_object_or_404(self.get_queryset(), pk=self._given(MergeSerializer)["lead"])
        return self._shown(services.merge_leads(winner, loser, actor=person(request)))

    @extend_schema(responses=NoteSerializer(many=True))
    @action(
        detail=True,
        methods=["get"],
        filterset_class=None,
        search_fields=None,
        ordering_fields=["id"],
    )
    def notes(self, request: Request, pk: str | None = None) -> Response:
        """What the team wrote about this lead, newest first."""
        page = self.paginate_queryset(self.get_object().notes.all())
        return self.get_paginated_response(NoteSerializer(page, many=True).data)

    @extend_schema(request=NoteSerializer, responses={201: NoteSerializer})
    @notes.mapping.post
    def add_note(self, request: Request, pk: str | None = None) -> Response:
        """Write a note. It is never sent."""
        text = self._given(NoteSerializer)["text"]
        note = services.add_note(self.get_object(), author=person(request), text=text)
        return Response(NoteSerializer(note).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=OptSerializer, responses=LeadSerializer)
    @action(detail=True, methods=["post"], url_path="opt-out")
    def opt_out(self, request: Request, pk: str | None = None) -> Response:
        """Stop writing to them unasked."""
        lead, text = self.get_object(), self._given(OptSerializer)["text"]
        services.opt_out(lead, text=text, origin=ORIGIN, at=timezone.now())
        return self._shown(lead)

    @extend_schema(request=OptInSerializer, responses=LeadSerializer)
    @action(detail=True, methods=["post"], url_path="opt-in")
    def opt_in(self, request: Request, pk: str | None = None) -> Response:
        """They agree to be written to again; `text` says how, and is kept."""
        lead, reason = self.get_object(), self._given(OptInSerializer)["text"]
        services.opt_in_by_staff(
            lead, reason=reason, actor=person(request), origin=ORIGIN, at=timezone.now()
        )
        return self._shown(lead)

    def _shown_of(self, leads: Any) -> Any:
        match self.request.query_params.get("shown"):
            case "simulated":
                return leads.live().filter(is_simulated=True)
            case "merged":
                return leads.exclude(merged_into=None)
        return leads.live().real()

    def _given(self, serializer_class: Any, lead: Lead | None = None) -> dict[str, Any]:
        serializer = serializer_class(
            lead,
            data=self.request.data,
            partial=lead is not None,
            context=self.get_serializer_context(),
        )
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def _shown(self, lead: Lead) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=lead.pk)).data)


def _fields_of(given: dict[str, Any]) -> dict[str, str]:
    written = {name: given[name] for name in DETAIL_COLUMNS if name in given}
    return {**given.get("attributes", {}), **written}
