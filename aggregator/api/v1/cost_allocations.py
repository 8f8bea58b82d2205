"""Who bore what for which congestion in a period: one's own part, or all for the market."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import NotFound
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.files import FILE_RENDERERS, attachment
from aggregator.api.v1.printed import exact
from aggregator.api.v1.statements import PERIOD  # and its day in addresses
from aggregator.settlement.costs import CostRow, cost_allocation, cost_allocation_csv
from aggregator.settlement.models import SettlementPeriod
from aggregator.settlement.seen import READ, line_view_of

EXACT: dict[str, Any] = {"max_digits": 22, "decimal_places": 6}


class CostOut(serializers.Serializer[Any]):
    """What one account received and paid for one thing at one place."""

    place_kind = serializers.ChoiceField(choices=("ELEMENT", "AREA", "SITE", "MARKET"))
    place = serializers.CharField(help_text="Code; empty for the market as a whole.")
    organisation = serializers.CharField()
    account = serializers.CharField()
    item = serializers.CharField(help_text="ROUNDING and UNPOSTED tie the rows to the ledger.")
    received_exact_jpy = serializers.DecimalField(**EXACT)
    paid_exact_jpy = serializers.DecimalField(**EXACT)


class CostAllocationOut(serializers.Serializer[Any]):
    """A period's costs by place and party; of a party, its own rows alone."""

    period = serializers.DateField()
    items = CostOut(many=True)


class CostDoor(Door):
    """What both forms of the report share."""

    access: ClassVar[Access] = {"GET": READ}

    def found(self, start_on: date) -> tuple[SettlementPeriod, list[CostRow]]:
        """Return a period and its rows that the caller may see.

        Raises
        ------
        NotFound
            If there is no such period, or none in which the caller has a part.
        """
        view = line_view_of(self.sight)
        period = SettlementPeriod.objects.filter(start_on=start_on).first()
        rows: list[CostRow] = []
        if period is not None:
            seen = None if view.sees_all else view.account_ids
            rows = cost_allocation(period=period, account_ids=seen)
        if period is None or not rows:
            raise NotFound(field="period", value=str(start_on), rule="one in which you have a part")
        return period, rows


class CostAllocation(CostDoor):
    """The report."""

    @extend_schema(
        summary="Show who bore what for which congestion in a period",
        parameters=[PERIOD],
        responses={200: CostAllocationOut},
    )
    def get(self, request: Request, period: date) -> Response:
        """Return it."""
        query_of(request, is_list=False)
        row, found = self.found(period)
        items = [
            {
                "place_kind": cost.place_kind,
                "place": cost.place,
                "organisation": cost.organisation,
                "account": cost.account,
                "item": cost.item,
                "received_exact_jpy": exact(cost.received_exact_jpy),
                "paid_exact_jpy": exact(cost.paid_exact_jpy),
            }
            for cost in found
        ]
        return Response({"period": row.start_on, "items": items})


class CostAllocationFile(CostDoor):
    """The report as a file."""

    renderer_classes = FILE_RENDERERS

    @extend_schema(
        summary="Download who bore what for which congestion as CSV",
        parameters=[PERIOD],
        responses={(200, "text/csv"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, period: date) -> HttpResponse:
        """Return the file: UTF-8 with BOM, no cell that a spreadsheet runs as a formula."""
        query_of(request, is_list=False)
        row, found = self.found(period)
        return attachment(
            name=f"cost-allocation-{row.start_on}.csv",
            content_type="text/csv; charset=utf-8",
            content=cost_allocation_csv(found),
        )


ONE = "cost-allocation/<statement-day:period>"
urlpatterns = [
    path(ONE, CostAllocation.as_view(), name="cost-allocation"),
    path(f"{ONE}/csv", CostAllocationFile.as_view(), name="cost-allocation-csv"),
]
