"""Orders that the desk changes, with a second person, or stops alone; and calls of capacity."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.numbers import decimal_of
from accounts.fields import PRICE_MAX_JPY_PER_KWH
from accounts.parties.models import Organisation
from aggregator.api.v1.access import Access
from aggregator.api.v1.approvals import ApprovalWritten, approval_written
from aggregator.api.v1.asked import body_of, choice_of, code_of, row_of, text_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.instructions import InstructionOut, instruction_written
from aggregator.api.v1.quantities import QuantityGiven, quantities_of
from aggregator.api.v1.registry_rows import coded
from aggregator.api.v1.schema import problems
from aggregator.dispatch.changes import CHANGE, REASON_LENGTH_MAX, WHAT, change_request
from aggregator.dispatch.selectors import instructions_seen, view_of
from aggregator.dispatch.services import instruction_cancel
from aggregator.metering.calls import CALL, capacity_activate


class ChangeGiven(serializers.Serializer[Any]):
    """What an instruction shall order instead."""

    what = serializers.ChoiceField(choices=WHAT)
    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)
    quantities = QuantityGiven(
        many=True,
        required=False,
        help_text="PARTIAL: half hours that order less. EXTENDED: those beyond the end.",
    )
    payer = coded("EXTENDED: the grid operator that pays.", required=False)
    price_jpy_per_kwh = serializers.DecimalField(
        max_digits=10, decimal_places=2, required=False, help_text="EXTENDED: what a kWh costs."
    )


class StopGiven(serializers.Serializer[Any]):
    """Why an instruction is stopped at once."""

    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)


class CallGiven(serializers.Serializer[Any]):
    """What of reserved capacity shall act; 0 kW takes a call back."""

    quantities = QuantityGiven(many=True)


class CallWritten(serializers.Serializer[Any]):
    """The order that a call became; null where everything was taken back."""

    instruction = InstructionOut(allow_null=True)


class InstructionChange(Door):
    """Changes of an order under way."""

    access: ClassVar[Access] = {"POST": CHANGE}

    @extend_schema(
        operation_id="instruction_change",
        summary="Ask that an instruction order less, nothing more, or longer",
        description="A second person of the desk decides on less and no more; on longer the "
        "approver of the grid operator that pays. Until then nothing changes.",
        tags=["instructions"],
        request=ChangeGiven,
        responses={201: ApprovalWritten, **problems("instruction-closed", "conflict")},
    )
    def post(self, request: Request, instruction_id: UUID) -> Response:
        """Ask."""
        row = row_of(instructions_seen(seen_by=self.sight), "instruction", id=instruction_id)
        body = body_of(
            request,
            required=("what", "reason"),
            optional=("quantities", "payer", "price_jpy_per_kwh"),
        )
        payer, price = None, None
        if "payer" in body:
            code = code_of(body["payer"], field="payer")
            payer = row_of(Organisation.objects.all(), "payer", code=code)
        if "price_jpy_per_kwh" in body:
            price = decimal_of(
                body["price_jpy_per_kwh"],
                field="price_jpy_per_kwh",
                low=Decimal(0),
                high=Decimal(PRICE_MAX_JPY_PER_KWH),
                places=2,
            )
        made = change_request(
            instruction_id=row.id,
            what=choice_of(body["what"], WHAT, field="what"),
            reason=text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX),
            by=self.sight,
            quantities_kw=quantities_of(body.get("quantities", []), field="quantities"),
            payer=payer,
            price_jpy_per_kwh=price,
        )
        return Response(approval_written(made), status=201)


class InstructionStop(Door):
    """An order that is stopped at once."""

    access: ClassVar[Access] = {"POST": CHANGE}

    @extend_schema(
        operation_id="instruction_stop",
        summary="Stop an instruction at once, for safety",
        description="One person; it raises an alarm. What is not urgent is a change.",
        tags=["instructions"],
        request=StopGiven,
        responses={200: InstructionOut, **problems("instruction-closed")},
    )
    def post(self, request: Request, instruction_id: UUID) -> Response:
        """Stop it, and what was to follow it."""
        row = row_of(instructions_seen(seen_by=self.sight), "instruction", id=instruction_id)
        body = body_of(request, required=("reason",))
        instruction_cancel(
            instruction_id=row.id,
            reason=text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX),
            user_id=self.sight.user_id,
        )
        row = row_of(instructions_seen(seen_by=self.sight), "instruction", id=row.id)
        return Response(instruction_written(row, view_of(self.sight)))


class AwardCall(Door):
    """Calls of reserved capacity."""

    access: ClassVar[Access] = {"POST": CALL}

    @extend_schema(
        operation_id="capacity_call",
        summary="Call reserved capacity",
        description="By the grid operator whose need it was reserved for, or the desk for it. "
        "The site is told at once and has the product's response time; a call takes the place of "
        "what was called before. What is paid, and what a failure costs, follows from it.",
        tags=["instructions"],
        request=CallGiven,
        responses={201: CallWritten},
    )
    def post(self, request: Request, award_id: UUID) -> Response:
        """Call it."""
        body = body_of(request, required=("quantities",))
        made = capacity_activate(
            award_id=award_id,
            quantities_kw=quantities_of(body["quantities"], field="quantities"),
            by=self.sight,
        )
        written = None
        if made is not None:
            # who calls sees the order before it is sent
            written = instruction_written(made, view_of(self.sight))
        return Response({"instruction": written}, status=201)


urlpatterns: list[URLPattern] = [
    path(
        "instructions/<uuid:instruction_id>/changes",
        InstructionChange.as_view(),
        name="instruction-change",
    ),
    path(
        "instructions/<uuid:instruction_id>/stop",
        InstructionStop.as_view(),
        name="instruction-stop",
    ),
    path("awards/<uuid:award_id>/calls", AwardCall.as_view(), name="capacity-call"),
]
