"""Instructions: what a site is told to do, and its answers.

Three sides see the same row differently (:class:`aggregator.dispatch.selectors.View`): the desk
everything, with the chain of replacements; the site's operator its own; a grid operator what is
done where for its needs, without parties, reasons or money.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import NotPermitted
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import (
    body_of,
    choice_of,
    code_of,
    moment_of,
    query_of,
    row_of,
    text_of,
)
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.printed import exact, exact_or_none
from aggregator.api.v1.schema import PAGED, problems
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.selectors import ANSWER, READ, View, chain_of, instructions_seen, view_of
from aggregator.dispatch.services import (
    REASON_LENGTH_MAX,
    instruction_acknowledge,
    instruction_opt_out,
)
from market.trading.models import Direction

STATES = frozenset(InstructionState.values)


class InstructionIntervalOut(serializers.Serializer[Any]):
    """One half hour of an instruction, at the receiving end."""

    t = serializers.IntegerField(min_value=0, max_value=47)
    start_at = serializers.DateTimeField()
    quantity_kw = serializers.DecimalField(max_digits=12, decimal_places=1)
    replacement_price_jpy_per_kwh = serializers.DecimalField(
        max_digits=10,
        decimal_places=2,
        allow_null=True,
        required=False,
        help_text="Of a stand-in, paid as bid; otherwise the award's price holds. Not to others.",
    )


class InstructionOut(serializers.Serializer[Any]):
    """An instruction; a grid operator sees the fields without a note."""

    id = serializers.UUIDField()
    auction = serializers.CharField()
    site = serializers.CharField()
    direction = serializers.ChoiceField(choices=Direction.values)
    state = serializers.ChoiceField(choices=InstructionState.values)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    intervals = InstructionIntervalOut(many=True)
    organisation = serializers.CharField(required=False, help_text="Own and desk.")
    resource = serializers.CharField(required=False, help_text="Own and desk.")
    version = serializers.IntegerField(required=False, help_text="Own and desk.")
    award = serializers.UUIDField(
        required=False, allow_null=True, help_text="Null where you stand in for somebody else."
    )
    bid = serializers.UUIDField(required=False, help_text="Own and desk.")
    reason = serializers.CharField(required=False, help_text="Own and desk.")
    send_at = serializers.DateTimeField(required=False, help_text="Own and desk.")
    respond_by_at = serializers.DateTimeField(required=False, help_text="Own and desk.")
    sent_at = serializers.DateTimeField(required=False, allow_null=True)
    acknowledged_at = serializers.DateTimeField(required=False, allow_null=True)
    started_at = serializers.DateTimeField(required=False, allow_null=True)
    finished_at = serializers.DateTimeField(required=False, allow_null=True)


class InstructionPage(serializers.Serializer[Any]):
    """A page of instructions."""

    items = InstructionOut(many=True)
    next = serializers.CharField(allow_null=True)


class InstructionDetailOut(InstructionOut):
    """An instruction with, for the desk, every version of its award's instruction."""

    chain = InstructionOut(many=True, required=False, help_text="Desk only, first to last.")


class OptOutIn(serializers.Serializer[Any]):
    """Why a site does not act."""

    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)


def instruction_written(row: DispatchInstruction, view: View) -> dict[str, Any]:
    """Print an instruction for one side."""
    is_own = view.is_own(row)
    found: dict[str, Any] = {
        "id": row.id,
        "auction": row.award.auction.code,
        "site": row.resource.site.code,
        "direction": row.direction,
        "state": row.state,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "intervals": [
            {"t": each.t, "start_at": each.start_at, "quantity_kw": exact(each.quantity_kw)}
            | (
                {"replacement_price_jpy_per_kwh": exact_or_none(each.replacement_price_jpy_per_kwh)}
                if is_own
                else {}
            )
            for each in row.intervals.all()
        ],
    }
    if not is_own:
        return found
    return found | {
        "organisation": row.organisation.code,
        "resource": row.resource.code,
        "version": row.version,
        "award": row.award_id if view.sees_award(row) else None,
        "bid": row.bid_id,
        "reason": row.reason,
        "send_at": row.send_at,
        "respond_by_at": row.respond_by_at,
        "sent_at": row.sent_at,
        "acknowledged_at": row.acknowledged_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }


class InstructionList(Door):
    """All instructions the caller can see."""

    access: ClassVar[Access] = {"GET": READ}

    @extend_schema(
        summary="List instructions, earliest first",
        parameters=[
            *PAGED,
            OpenApiParameter("auction", OpenApiTypes.STR, description="Code."),
            OpenApiParameter("resource", OpenApiTypes.STR, description="Code; own and desk."),
            OpenApiParameter("state", OpenApiTypes.STR, enum=InstructionState.values),
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="Starts then or later."),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="Starts before."),
        ],
        responses={200: InstructionPage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        view = view_of(self.sight)
        rows = instructions_seen(seen_by=self.sight)
        asked = query_of(request, "auction", "resource", "state", "from", "to")
        if "auction" in asked:
            rows = rows.filter(award__auction__code=code_of(asked["auction"], field="auction"))
        if "resource" in asked:
            # others' rows name no resource, so none is found by one
            rows = rows.filter(resource__code=code_of(asked["resource"], field="resource"))
            if not view.sees_all:
                rows = rows.filter(organisation_id__in=view.own_ids)
        if "state" in asked:
            rows = rows.filter(state=choice_of(asked["state"], STATES, field="state"))
        if "from" in asked:
            rows = rows.filter(starts_at__gte=moment_of(asked["from"], field="from"))
        if "to" in asked:
            rows = rows.filter(starts_at__lt=moment_of(asked["to"], field="to"))
        found = page(
            request, rows, lambda row: instruction_written(row, view), key=("starts_at", "id")
        )
        return Response(found)


class InstructionOne(Door):
    """One instruction."""

    access: ClassVar[Access] = {"GET": READ}

    @extend_schema(summary="Show an instruction", responses={200: InstructionDetailOut})
    def get(self, _request: Request, instruction_id: UUID) -> Response:
        """Return it; to the desk with every version of its award's instruction."""
        view = view_of(self.sight)
        row = row_of(instructions_seen(seen_by=self.sight), "instruction", id=instruction_id)
        found = instruction_written(row, view)
        if view.sees_all:
            found["chain"] = [instruction_written(each, view) for each in chain_of(instruction=row)]
        return Response(found)


class Answered(Door):
    """What the two answers of a site share."""

    access: ClassVar[Access] = {"POST": ANSWER}

    def instruction(self, instruction_id: UUID) -> DispatchInstruction:
        """Return an instruction that the caller may answer.

        Raises
        ------
        NotFound
            If the caller sees none.
        NotPermitted
            If it is another's.
        InstructionClosed
            If it was not sent yet.
        """
        row = row_of(instructions_seen(seen_by=self.sight), "instruction", id=instruction_id)
        if row.organisation_id not in self.sight.organisations_for(ANSWER):
            raise NotPermitted(
                field="instruction", value=str(row.id), rule="answered by its site alone"
            )
        if row.state == InstructionState.PLANNED:
            raise InstructionClosed(
                field="instruction", value=row.state, rule="answered once it was sent"
            )
        return row

    def written(self, instruction_id: UUID) -> Response:
        """Answer with the instruction as it is now."""
        row = row_of(instructions_seen(seen_by=self.sight), "instruction", id=instruction_id)
        return Response(instruction_written(row, view_of(self.sight)))


class InstructionAcknowledge(Answered):
    """A site's yes."""

    @extend_schema(
        summary="Accept an instruction, until its response deadline",
        request=None,
        responses={200: InstructionOut, **problems("instruction-closed")},
    )
    def post(self, request: Request, instruction_id: UUID) -> Response:
        """Accept; accepting again changes nothing."""
        row = self.instruction(instruction_id)
        body_of(request)
        instruction_acknowledge(instruction_id=row.id, organisation=row.organisation)
        return self.written(row.id)


class InstructionOptOut(Answered):
    """A site's no."""

    @extend_schema(
        summary="Decline an instruction before its start, with the reason",
        request=OptOutIn,
        responses={200: InstructionOut, **problems("instruction-closed")},
    )
    def post(self, request: Request, instruction_id: UUID) -> Response:
        """Decline; the merit order is asked for a replacement."""
        row = self.instruction(instruction_id)
        body = body_of(request, required=("reason",))
        reason = text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX)
        instruction_opt_out(instruction_id=row.id, organisation=row.organisation, reason=reason)
        return self.written(row.id)


urlpatterns = [
    path("instructions", InstructionList.as_view(), name="instruction-list"),
    path("instructions/<uuid:instruction_id>", InstructionOne.as_view(), name="instruction"),
    path(
        "instructions/<uuid:instruction_id>/acknowledge",
        InstructionAcknowledge.as_view(),
        name="instruction-acknowledge",
    ),
    path(
        "instructions/<uuid:instruction_id>/opt-out",
        InstructionOptOut.as_view(),
        name="instruction-opt-out",
    ),
]
