"""Statements: what an organisation received and paid in a period, tied to the ledger."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

from django.http import HttpResponse
from django.urls import path, register_converter
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import NotFound
from accounts.ledger.selectors import PeriodTotal, period_totals
from accounts.ledger.statements import Statement, statement_csv, statement_of
from accounts.parties.models import Organisation
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import code_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.files import FILE_RENDERERS, attachment
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED
from aggregator.settlement.models import PeriodState, SettlementPeriod
from aggregator.settlement.seen import READ, organisation_read, periods_of


class DayConverter:
    """A date in an address: 2026-11-25."""

    regex = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

    def to_python(self, value: str) -> date:
        """Read it; a date that is none is no address (ValueError)."""
        return date.fromisoformat(value)

    def to_url(self, value: date) -> str:
        """Write it."""
        return value.isoformat()


register_converter(DayConverter, "statement-day")
PERIOD = OpenApiParameter(
    "period", OpenApiTypes.DATE, OpenApiParameter.PATH, description="First delivery date."
)


class StatementOut(serializers.Serializer[Any]):
    """A statement without its lines."""

    organisation = serializers.CharField()
    period = serializers.DateField(help_text="First delivery date.")
    period_end = serializers.DateField(help_text="Delivery date after the last.")
    state = serializers.ChoiceField(choices=PeriodState.values)
    closed_at = serializers.DateTimeField(allow_null=True)
    received_jpy = serializers.IntegerField()
    paid_jpy = serializers.IntegerField()
    total_jpy = serializers.IntegerField(help_text="Positive is owed to the organisation.")


class StatementLineOut(serializers.Serializer[Any]):
    """One posted transfer as its holder sees it."""

    transfer = serializers.UUIDField()
    posted_at = serializers.DateTimeField()
    item = serializers.CharField()
    item_ja = serializers.CharField()
    received_jpy = serializers.IntegerField()
    paid_jpy = serializers.IntegerField()


class StatementDetailOut(StatementOut):
    """A statement with its lines; its totals are their sums."""

    lines = StatementLineOut(many=True)


class StatementPage(serializers.Serializer[Any]):
    """A page of statements."""

    items = StatementOut(many=True)
    next = serializers.CharField(allow_null=True)


def statement_written(
    organisation: Organisation, period: SettlementPeriod, total: PeriodTotal | Statement
) -> dict[str, Any]:
    """Print a statement without its lines."""
    return {
        "organisation": organisation.code,
        "period": period.start_on,
        "period_end": period.end_on,
        "state": period.state,
        "closed_at": period.closed_at,
        "received_jpy": total.received_jpy,
        "paid_jpy": total.paid_jpy,
        "total_jpy": total.total_jpy,
    }


class StatementList(Door):
    """Statements of one organisation."""

    access: ClassVar[Access] = {"GET": READ}

    @extend_schema(
        summary="List an organisation's statements, the latest period first",
        parameters=[
            *PAGED,
            OpenApiParameter(
                "organisation",
                OpenApiTypes.STR,
                description="Code; your own if not given.",
            ),
        ],
        responses={200: StatementPage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "organisation")
        code = asked.get("organisation")
        organisation = organisation_read(
            seen_by=self.sight,
            code=None if code is None else code_of(code, field="organisation"),
        )
        rows = periods_of(organisation=organisation)
        found = page(request, rows, lambda period: period, key=("-start_on",))
        totals = period_totals(
            organisation_id=organisation.id, periods=[period.label for period in found["items"]]
        )
        items = [
            statement_written(organisation, period, totals.get(period.label, PeriodTotal()))
            for period in found["items"]
        ]
        return Response({**found, "items": items})


class StatementDoor(Door):
    """What the two forms of one statement share."""

    access: ClassVar[Access] = {"GET": READ}

    def found(self, organisation: str, period: date) -> tuple[SettlementPeriod, Statement]:
        """Return the period and the statement.

        Raises
        ------
        NotFound
            If the caller sees no such organisation, or it has none of that period.
        """
        whose = organisation_read(seen_by=self.sight, code=organisation)
        row = periods_of(organisation=whose).filter(start_on=period).first()
        if row is None:
            raise NotFound(field="period", value=str(period), rule="a statement that you can see")
        return row, statement_of(organisation=whose, period=row.label)


class StatementOne(StatementDoor):
    """One statement."""

    @extend_schema(
        summary="Show a statement with its lines",
        parameters=[PERIOD],
        responses={200: StatementDetailOut},
    )
    def get(self, request: Request, organisation: str, period: date) -> Response:
        """Return it."""
        query_of(request, is_list=False)
        row, statement = self.found(organisation, period)
        lines = [
            {
                "transfer": line.transfer_id,
                "posted_at": line.posted_at,
                "item": line.code,
                "item_ja": line.name,
                "received_jpy": line.received_jpy,
                "paid_jpy": line.paid_jpy,
            }
            for line in statement.lines
        ]
        return Response(
            {**statement_written(statement.organisation, row, statement), "lines": lines}
        )


class StatementFile(StatementDoor):
    """One statement as a file."""

    renderer_classes = FILE_RENDERERS

    @extend_schema(
        summary="Download a statement as CSV",
        parameters=[PERIOD],
        responses={(200, "text/csv"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, organisation: str, period: date) -> HttpResponse:
        """Return the file: UTF-8 with BOM, no cell that a spreadsheet runs as a formula."""
        query_of(request, is_list=False)
        row, statement = self.found(organisation, period)
        return attachment(
            name=f"statement-{statement.organisation.code}-{row.start_on}.csv",
            content_type="text/csv; charset=utf-8",
            content=statement_csv(statement),
        )


ONE = "statements/<slug:organisation>/<statement-day:period>"
urlpatterns = [
    path("statements", StatementList.as_view(), name="statement-list"),
    path(ONE, StatementOne.as_view(), name="statement"),
    path(f"{ONE}/csv", StatementFile.as_view(), name="statement-csv"),
]
