"""Settlement lines: what is owed for what, to the last digit, before it is rounded and posted.

A party sees its own side only: what it pays or is paid, under which rule, for which need. The
award is named to its seller alone, and the other side to nobody but the market.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import choice_of, code_of, query_of, uuid_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.printed import exact, exact_or_none
from aggregator.api.v1.schema import PAGED
from aggregator.settlement.models import ITEM_NAMES, CorrectionCause, RunKind, SettlementLine
from aggregator.settlement.seen import (
    READ,
    LineView,
    held_line_ids,
    line_view_of,
    lines_seen,
    run_of,
)

ITEMS = tuple(item.value for item in ITEM_NAMES)
EXACT: dict[str, Any] = {"max_digits": 22, "decimal_places": 6}


class SettlementRunOut(serializers.Serializer[Any]):
    """The settlement that lines come from."""

    auction = serializers.CharField()
    kind = serializers.ChoiceField(choices=RunKind.values)
    revision = serializers.IntegerField()
    ruleset = serializers.CharField()
    verification_revision = serializers.IntegerField()
    executed_at = serializers.DateTimeField()
    cause = serializers.ChoiceField(
        choices=CorrectionCause.values, allow_null=True, help_text="Of a correction."
    )


class SettlementLineOut(serializers.Serializer[Any]):
    """One amount; `award`, `need` or `element`, and `item` under `ruleset`, say where from."""

    id = serializers.IntegerField()
    auction = serializers.CharField()
    item = serializers.ChoiceField(choices=ITEMS)
    ruleset = serializers.CharField()
    side = serializers.ChoiceField(
        choices=("PAYS", "RECEIVES"), required=False, help_text="Of a party; not of the market."
    )
    payer = serializers.CharField(required=False, help_text="Market only.")
    payee = serializers.CharField(required=False, help_text="Market only.")
    amount_exact_jpy = serializers.DecimalField(**EXACT)
    award = serializers.UUIDField(allow_null=True, help_text="To its seller and the market.")
    need = serializers.UUIDField(allow_null=True)
    element = serializers.CharField(allow_null=True)
    t = serializers.IntegerField(allow_null=True, help_text="Null: of the whole day.")
    start_at = serializers.DateTimeField(allow_null=True)
    quantity_kwh = serializers.DecimalField(**EXACT, allow_null=True)
    price_jpy_per_kwh = serializers.DecimalField(**EXACT, allow_null=True)
    quantity_gb = serializers.DecimalField(**EXACT, allow_null=True)
    price_jpy_per_gb = serializers.DecimalField(**EXACT, allow_null=True)
    is_held = serializers.BooleanField(help_text="Not to be paid while a dispute holds it.")


class SettlementLinePage(serializers.Serializer[Any]):
    """A page of lines of one settlement; null before there is one."""

    run = SettlementRunOut(allow_null=True)
    items = SettlementLineOut(many=True)
    next = serializers.CharField(allow_null=True)


def lines_written(rows: Sequence[SettlementLine], view: LineView) -> list[dict[str, Any]]:
    """Print lines for one side, each with whether a dispute holds it."""
    held = held_line_ids(line_ids=[row.pk for row in rows])
    return [{**_line_written(row, view), "is_held": row.pk in held} for row in rows]


def _line_written(row: SettlementLine, view: LineView) -> dict[str, Any]:
    if view.sees_all:
        sides = {"payer": row.payer.organisation.code, "payee": row.payee.organisation.code}
    else:
        sides = {"side": "RECEIVES" if view.receives(row) else "PAYS"}
    return {
        "id": row.pk,
        "auction": row.run.auction.code,
        "item": row.item,
        "ruleset": row.run.ruleset_version,
        **sides,
        "amount_exact_jpy": exact(row.amount_exact_jpy),
        "award": row.award_id if view.sees_award(row) else None,
        "need": row.need_id,
        "element": row.element,
        "t": row.t,
        "start_at": row.start_at,
        "quantity_kwh": exact_or_none(row.quantity_kwh),
        "price_jpy_per_kwh": exact_or_none(row.price_jpy_per_kwh),
        "quantity_gb": exact_or_none(row.quantity_gb),
        "price_jpy_per_gb": exact_or_none(row.price_jpy_per_gb),
    }


class SettlementLineList(Door):
    """Lines of one auction's settlement."""

    access: ClassVar[Access] = {"GET": READ}

    @extend_schema(
        summary="List an auction's settlement lines as they were written",
        parameters=[
            *PAGED,
            OpenApiParameter("auction", OpenApiTypes.STR, required=True, description="Code."),
            OpenApiParameter(
                "kind",
                OpenApiTypes.STR,
                enum=RunKind.values,
                description=(
                    "Of the latest such run alone; else a final one prevails, and the lines of its"
                    " corrections follow: differences, which add up with it."
                ),
            ),
            OpenApiParameter("item", OpenApiTypes.STR, enum=ITEMS),
            OpenApiParameter("award", OpenApiTypes.UUID),
        ],
        responses={200: SettlementLinePage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "auction", "kind", "item", "award")
        if "auction" not in asked:
            raise Refused(field="auction", value=None, rule="the code of an auction")
        kind = asked.get("kind")
        run = run_of(
            auction=code_of(asked["auction"], field="auction"),
            kind=None if kind is None else choice_of(kind, RunKind.values, field="kind"),
        )
        if run is None:
            return Response({"run": None, "items": [], "next": None})
        view = line_view_of(self.sight)
        rows = lines_seen(view=view, run=run, is_whole=kind is None)
        if "item" in asked:
            rows = rows.filter(item=choice_of(asked["item"], ITEMS, field="item"))
        if "award" in asked:
            rows = rows.filter(award_id=uuid_of(asked["award"], field="award"))
            if not view.sees_all:
                rows = rows.filter(award__organisation_id__in=view.own_ids)
        found = page(request, rows, lambda row: row, key=("place",))
        told = {
            "auction": run.auction.code,
            "kind": run.kind,
            "revision": run.revision,
            "ruleset": run.ruleset_version,
            "verification_revision": run.verification.revision,
            "executed_at": run.executed_at,
            "cause": run.cause_kind or None,
        }
        items = lines_written(found["items"], view)
        return Response({"run": told, "items": items, "next": found["next"]})


urlpatterns = [
    path("settlement-lines", SettlementLineList.as_view(), name="settlement-line-list"),
]
