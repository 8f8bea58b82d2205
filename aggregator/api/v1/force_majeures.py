"""Force majeure: half hours in which nobody is to blame, asked for with a file.

A person of the settlement desk who did not ask decides. An accepted request takes the penalty
away; what was not delivered stays unpaid.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, choice_of, code_of, moment_of, query_of, row_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.files import FILE_PARSERS, FILE_RENDERERS, FileBody, attachment, file_in
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED, problems
from aggregator.metering.excuse_models import TEXT_LENGTH_MAX
from aggregator.metering.excuses import (
    DECIDE,
    DECISIONS,
    READ,
    REQUEST,
    force_majeure_decide,
    force_majeure_request,
    force_majeures_seen,
)
from aggregator.metering.models import ExcuseState, ForceMajeure
from market.registry.models import Resource, Site

FIELDS = ("starts_at", "ends_at", "reason", "site", "resource", "organisation")


class ForceMajeureIn(FileBody):
    """A request; without a site and a resource it is for everybody."""

    starts_at = serializers.DateTimeField(help_text="With its offset.")
    ends_at = serializers.DateTimeField(help_text="At most 31 days later.")
    reason = serializers.CharField(max_length=TEXT_LENGTH_MAX)
    site = serializers.CharField(required=False, help_text="Code; or a resource.")
    resource = serializers.CharField(required=False, help_text="Code; or a site.")
    organisation = serializers.CharField(
        required=False, help_text="Code of the organisation you act for, where you may for several."
    )


class ForceMajeureOut(serializers.Serializer[Any]):
    """A request and what was decided."""

    id = serializers.UUIDField()
    organisation = serializers.CharField()
    site = serializers.CharField(allow_null=True)
    resource = serializers.CharField(allow_null=True)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField()
    evidence_name = serializers.CharField()
    evidence_sha256 = serializers.CharField()
    state = serializers.ChoiceField(choices=ExcuseState.values)
    decision = serializers.CharField(allow_blank=True)
    requested_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)


class ForceMajeurePage(serializers.Serializer[Any]):
    """A page of requests."""

    items = ForceMajeureOut(many=True)
    next = serializers.CharField(allow_null=True)


class ExcuseDecisionIn(serializers.Serializer[Any]):
    """A decision with its reason."""

    outcome = serializers.ChoiceField(choices=DECISIONS)
    reason = serializers.CharField(max_length=TEXT_LENGTH_MAX)


def force_majeure_written(row: ForceMajeure) -> dict[str, Any]:
    """Print a request."""
    return {
        "id": row.id,
        "organisation": row.organisation.code,
        "site": row.site.code if row.site else None,
        "resource": row.resource.code if row.resource else None,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "reason": row.reason,
        "evidence_name": row.evidence_name,
        "evidence_sha256": row.evidence_sha256,
        "state": row.state,
        "decision": row.decision,
        "requested_at": row.requested_at,
        "decided_at": row.decided_at,
    }


class ForceMajeureList(Door):
    """Requests of one's own and about one's sites, and new ones."""

    access: ClassVar[Access] = {"GET": READ, "POST": REQUEST}
    parser_classes = FILE_PARSERS

    @extend_schema(
        summary="List requests of force majeure, the latest first",
        parameters=[
            *PAGED,
            OpenApiParameter("state", OpenApiTypes.STR, enum=ExcuseState.values),
        ],
        responses={200: ForceMajeurePage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "state")
        rows = force_majeures_seen(seen_by=self.sight)
        if "state" in asked:
            rows = rows.filter(state=choice_of(asked["state"], ExcuseState.values, field="state"))
        return Response(page(request, rows, force_majeure_written, key=("-id",)))

    @extend_schema(
        summary="Ask that half hours be excused, with a file that shows why",
        request={"multipart/form-data": ForceMajeureIn},
        responses={201: ForceMajeureOut},
    )
    def post(self, request: Request) -> Response:
        """Keep the request and its file."""
        evidence = file_in(request, others=FIELDS)
        data: Any = request.data
        form: dict[str, str] = {name: data[name] for name in FIELDS if name in data}
        for name in ("starts_at", "ends_at", "reason"):
            if name not in form:
                raise Refused(field=name, value=None, rule="required")
        code = form.get("organisation")
        row = force_majeure_request(
            organisation=self.sight.acting_for(
                REQUEST, None if code is None else code_of(code, field="organisation")
            ),
            starts_at=moment_of(form["starts_at"], field="starts_at"),
            ends_at=moment_of(form["ends_at"], field="ends_at"),
            reason=form["reason"],
            evidence=evidence,
            actor=self.sight.actor,
            site=row_of(Site.objects.select_related("area"), "site", code=form["site"])
            if "site" in form
            else None,
            resource=row_of(
                Resource.objects.select_related("site__area"), "resource", code=form["resource"]
            )
            if "resource" in form
            else None,
        )
        return Response(force_majeure_written(row), status=201)


class ForceMajeureDecision(Door):
    """The word of the settlement desk."""

    access: ClassVar[Access] = {"POST": DECIDE}

    @extend_schema(
        summary="Accept or reject a request that another made",
        request=ExcuseDecisionIn,
        responses={200: ForceMajeureOut, **problems("conflict")},
    )
    def post(self, request: Request, force_majeure_id: UUID) -> Response:
        """Decide once."""
        body = body_of(request, required=("outcome", "reason"))
        row = force_majeure_decide(
            force_majeure_id=force_majeure_id,
            decision=choice_of(body["outcome"], DECISIONS, field="outcome"),
            reason=body["reason"],
            by=self.sight,
        )
        return Response(force_majeure_written(row))


class ForceMajeureEvidence(Door):
    """The file of a request."""

    access: ClassVar[Access] = {"GET": READ}
    renderer_classes = FILE_RENDERERS

    @extend_schema(
        summary="Download the file of a request",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, force_majeure_id: UUID) -> HttpResponse:
        """Return it, to be saved and never shown in place."""
        query_of(request, is_list=False)
        row = row_of(force_majeures_seen(seen_by=self.sight), "force_majeure", id=force_majeure_id)
        return attachment(
            name=row.evidence_name, content_type=row.evidence_type, content=bytes(row.evidence)
        )


urlpatterns = [
    path("force-majeures", ForceMajeureList.as_view(), name="force-majeure-list"),
    path(
        "force-majeures/<uuid:force_majeure_id>/decision",
        ForceMajeureDecision.as_view(),
        name="force-majeure-decide",
    ),
    path(
        "force-majeures/<uuid:force_majeure_id>/evidence",
        ForceMajeureEvidence.as_view(),
        name="force-majeure-evidence",
    ),
]
