"""Charges: what each close found for an account and kind of charge, and what it posted."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import day_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.printed import exact
from aggregator.api.v1.schema import PAGED
from aggregator.settlement.models import SettlementItem
from aggregator.settlement.seen import READ, charges_seen


class ChargeOut(serializers.Serializer[Any]):
    """The total of one kind of charge; positive is owed to the account, negative by it."""

    id = serializers.IntegerField()
    period = serializers.DateField(help_text="First delivery date of the period.")
    close_number = serializers.IntegerField(help_text="The latest close of a period is the truth.")
    organisation = serializers.CharField()
    account = serializers.CharField()
    item = serializers.CharField()
    total_exact_jpy = serializers.DecimalField(max_digits=22, decimal_places=6)
    amount_jpy = serializers.IntegerField(help_text="The total in whole yen, rounded once.")
    posted_before_jpy = serializers.IntegerField(help_text="By earlier closes of the period.")
    transfer = serializers.UUIDField(allow_null=True, help_text="What moved the difference.")


class ChargePage(serializers.Serializer[Any]):
    """A page of charges."""

    items = ChargeOut(many=True)
    next = serializers.CharField(allow_null=True)


def charge_written(row: SettlementItem) -> dict[str, Any]:
    """Print a charge."""
    return {
        "id": row.pk,
        "period": row.period.start_on,
        "close_number": row.close_number,
        "organisation": row.account.organisation.code,
        "account": row.account.code,
        "item": row.item,
        "total_exact_jpy": exact(row.total_exact_jpy),
        "amount_jpy": row.amount_jpy,
        "posted_before_jpy": row.posted_before_jpy,
        "transfer": row.transfer_id,
    }


class ChargeList(Door):
    """Charges of one's own accounts, or all."""

    access: ClassVar[Access] = {"GET": READ}

    @extend_schema(
        summary="List what closes found, oldest first",
        parameters=[
            *PAGED,
            OpenApiParameter("period", OpenApiTypes.DATE, description="Its first delivery date."),
        ],
        responses={200: ChargePage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "period")
        rows = charges_seen(seen_by=self.sight)
        if "period" in asked:
            rows = rows.filter(period__start_on=day_of(asked["period"], field="period"))
        return Response(page(request, rows, charge_written, key=("id",)))


urlpatterns = [path("charges", ChargeList.as_view(), name="charge-list")]
