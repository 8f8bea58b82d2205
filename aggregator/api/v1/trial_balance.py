"""The trial balance (試算表): every account's sums at a moment, for settlement and auditors."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.clock.selectors import market_now
from accounts.core.errors import NotPermitted
from accounts.ledger.selectors import trial_balance_at
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import moment_of, query_of
from aggregator.api.v1.base import Door
from aggregator.settlement.seen import READ_LEDGER


class BalanceOut(serializers.Serializer[Any]):
    """Sums of one account; a positive balance is owed to its holder."""

    organisation = serializers.CharField()
    account = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    debit_jpy = serializers.IntegerField()
    credit_jpy = serializers.IntegerField()
    balance_jpy = serializers.IntegerField()


class TrialBalanceOut(serializers.Serializer[Any]):
    """All accounts; a difference other than zero is a broken book."""

    at = serializers.DateTimeField()
    debit_jpy = serializers.IntegerField()
    credit_jpy = serializers.IntegerField()
    difference_jpy = serializers.IntegerField()
    clearing_jpy = serializers.IntegerField(help_text="0 after every close.")
    balances = BalanceOut(many=True)


class TrialBalanceOne(Door):
    """The whole book."""

    access: ClassVar[Access] = {"GET": READ_LEDGER}

    @extend_schema(
        summary="Show the trial balance of what was posted up to a moment",
        parameters=[OpenApiParameter("at", OpenApiTypes.DATETIME, description="Else now.")],
        responses={200: TrialBalanceOut},
    )
    def get(self, request: Request) -> Response:
        """Return it."""
        if not self.sight.may_everywhere(READ_LEDGER):
            raise NotPermitted(
                field="trial_balance", value="", rule="for the market's settlement and auditors"
            )
        asked = query_of(request, "at", is_list=False)
        at = moment_of(asked["at"], field="at") if "at" in asked else market_now()
        book = trial_balance_at(at)
        return Response(
            {
                "at": at,
                "debit_jpy": book.debit_jpy,
                "credit_jpy": book.credit_jpy,
                "difference_jpy": book.difference_jpy,
                "clearing_jpy": book.clearing_jpy,
                "balances": [
                    {
                        "organisation": row.organisation_code,
                        "account": row.code,
                        "name": row.name,
                        "kind": row.kind,
                        "debit_jpy": row.debit_jpy,
                        "credit_jpy": row.credit_jpy,
                        "balance_jpy": row.balance_jpy,
                    }
                    for row in book.balances
                ],
            }
        )


urlpatterns = [path("trial-balance", TrialBalanceOne.as_view(), name="trial-balance")]
