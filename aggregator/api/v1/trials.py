"""Test dispatches of a prequalification, and what they were scored on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.numbers import decimal_of
from accounts.fields import KW_MAX
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import (
    body_of,
    choice_of,
    moment_of,
    query_of,
    row_of,
    text_of,
    uuid_of,
)
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import coded, listed, pages_of
from aggregator.api.v1.schema import PAGED, problems
from aggregator.dispatch.models import Trial, TrialState
from aggregator.dispatch.trials import DECIDE, READ, trial_cancel, trial_order, trials_seen
from market.trading.models import Direction

REASON_LENGTH_MAX = 200


class TrialGiven(serializers.Serializer[Any]):
    """A test to be ordered."""

    prequalification = serializers.UUIDField()
    direction = serializers.ChoiceField(choices=Direction.values)
    quantity_kw = serializers.DecimalField(max_digits=12, decimal_places=1)
    starts_at = serializers.DateTimeField(help_text="The start of a half hour.")
    ends_at = serializers.DateTimeField(help_text="Within 6 hours.")


class TrialWritten(TrialGiven):
    """A test; its evidence is there once it is scored."""

    id = serializers.UUIDField()
    resource = coded("What is tested.")
    state = serializers.ChoiceField(choices=TrialState.values)
    reason = serializers.CharField(allow_blank=True)
    sent_at = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    scored_at = serializers.DateTimeField(allow_null=True)
    score_ratio = serializers.DecimalField(max_digits=5, decimal_places=4, allow_null=True)
    evidence = serializers.DictField(help_text="Every reading, the rules and the result.")
    evidence_sha256 = serializers.CharField(allow_blank=True)


class CancelGiven(serializers.Serializer[Any]):
    """Why a test is called off."""

    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)


def trial_written(row: Trial) -> dict[str, Any]:
    """Print a test."""
    return {
        "id": row.id,
        "prequalification": row.prequalification_id,
        "resource": row.resource.code,
        "direction": row.direction,
        "quantity_kw": row.quantity_kw,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "state": row.state,
        "reason": row.reason,
        "sent_at": row.sent_at,
        "acknowledged_at": row.acknowledged_at,
        "scored_at": row.scored_at,
        "score_ratio": row.score_ratio,
        "evidence": row.evidence,
        "evidence_sha256": row.evidence_sha256,
    }


class Trials(Door):
    """Tests the caller can see."""

    access: ClassVar[Access] = {"GET": READ, "POST": DECIDE}

    @extend_schema(
        operation_id="trial_list",
        summary="List test dispatches",
        tags=["trials"],
        parameters=[
            *PAGED,
            OpenApiParameter("prequalification", OpenApiTypes.UUID),
            OpenApiParameter("state", OpenApiTypes.STR, enum=TrialState.values),
        ],
        responses={200: pages_of(TrialWritten, "Trial")},
    )
    def get(self, request: Request) -> Response:
        """Return one page; a site sees a test once it was told."""
        rows = trials_seen(seen_by=self.sight)
        asked = query_of(request, "prequalification", "state")
        if "prequalification" in asked:
            of = uuid_of(asked["prequalification"], field="prequalification")
            rows = rows.filter(prequalification_id=of)
        if "state" in asked:
            rows = rows.filter(state=choice_of(asked["state"], TrialState.values, field="state"))
        return listed(request, rows, trial_written, key=("starts_at", "id"))

    @extend_schema(
        operation_id="trial_order",
        summary="Order a test of a resource that asks to be qualified",
        description="By the area's grid operator. The site is told the product's response time "
        "before the start, and scored on what its meter shows.",
        tags=["trials"],
        request=TrialGiven,
        responses={201: TrialWritten, **problems("conflict")},
    )
    def post(self, request: Request) -> Response:
        """Order it."""
        body = body_of(
            request,
            required=("prequalification", "direction", "quantity_kw", "starts_at", "ends_at"),
        )
        made = trial_order(
            prequalification_id=uuid_of(body["prequalification"], field="prequalification"),
            direction=choice_of(body["direction"], Direction.values, field="direction"),
            quantity_kw=decimal_of(
                body["quantity_kw"],
                field="quantity_kw",
                low=Decimal("0.1"),
                high=Decimal(KW_MAX),
                places=1,
            ),
            starts_at=moment_of(body["starts_at"], field="starts_at"),
            ends_at=moment_of(body["ends_at"], field="ends_at"),
            by=self.sight,
        )
        return Response(trial_written(made), status=201)


class OneTrial(Door):
    """One test."""

    access: ClassVar[Access] = {"GET": READ}

    @extend_schema(
        operation_id="trial",
        summary="Show a test with its evidence",
        tags=["trials"],
        responses={200: TrialWritten},
    )
    def get(self, request: Request, trial_id: UUID) -> Response:
        """Return it."""
        query_of(request, is_list=False)
        return Response(
            trial_written(row_of(trials_seen(seen_by=self.sight), "trial", id=trial_id))
        )


class TrialCancel(Door):
    """A test that is called off."""

    access: ClassVar[Access] = {"POST": DECIDE}

    @extend_schema(
        operation_id="trial_cancel",
        summary="Call a test off",
        tags=["trials"],
        request=CancelGiven,
        responses={200: TrialWritten, **problems("instruction-closed")},
    )
    def post(self, request: Request, trial_id: UUID) -> Response:
        """Call it off."""
        row = row_of(trials_seen(seen_by=self.sight), "trial", id=trial_id)
        body = body_of(request, required=("reason",))
        cancelled = trial_cancel(
            trial_id=row.id,
            reason=text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX),
            by=self.sight,
        )
        return Response(trial_written(cancelled))


urlpatterns: list[URLPattern] = [
    path("trials", Trials.as_view(), name="trial-list"),
    path("trials/<uuid:trial_id>", OneTrial.as_view(), name="trial"),
    path("trials/<uuid:trial_id>/cancel", TrialCancel.as_view(), name="trial-cancel"),
]
