"""Public results of an auction: prices, flows, rents and volumes, without login.

Nobody's name, bid or ask is in them (docs/api.md says what is public). They never change once
they are published, so any cache may keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from django.http import HttpResponse
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.csvtext import Cell, csv_bytes
from aggregator.api.v1 import told
from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.asked import query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.etag import tag
from market.clearing import published
from market.clearing.models import ClearingRun, RentKind
from market.trading import selectors
from market.trading.models import Auction, Direction, NeedKind

CSV: Final = {(200, "text/csv"): OpenApiTypes.STR}


class OfAuction(serializers.Serializer[Any]):
    """Which result this is of."""

    auction = serializers.CharField(help_text="Code.")
    delivery_on = serializers.DateField()
    run = serializers.UUIDField()
    result_sha256 = serializers.CharField()


class NeedPrice(serializers.Serializer[Any]):
    """Price of a need for energy, with what was served and what was not."""

    need = serializers.UUIDField()
    code = serializers.CharField()
    organisation = serializers.CharField(help_text="Code of the grid operator.")
    kind = serializers.ChoiceField([NeedKind.LOCAL, NeedKind.BALANCE])
    direction = serializers.ChoiceField(Direction.choices)
    price_jpy_per_kwh = told.price_series()
    served_kw = told.kw_series()
    unserved_kw = told.kw_series()


class CapacityNeedPrice(serializers.Serializer[Any]):
    """Price of capacity that was asked for, with what was served and what was not."""

    need = serializers.UUIDField()
    code = serializers.CharField()
    organisation = serializers.CharField(help_text="Code of the grid operator.")
    product = serializers.CharField()
    direction = serializers.ChoiceField(Direction.choices)
    price_jpy_per_kw_30min = told.price_series("JPY per kW and 30 minutes")
    served_kw = told.kw_series()
    unserved_kw = told.kw_series()


class AreaPrice(serializers.Serializer[Any]):
    """Price of an area."""

    area = serializers.CharField()
    price_jpy_per_kwh = told.price_series()


class PlacePrice(AreaPrice):
    """Price at a connection point, at the receiving end."""

    bus = serializers.CharField()
    loss_ratio = serializers.DecimalField(max_digits=6, decimal_places=5)


class PricesOfAuction(OfAuction):
    """Clearing prices of a published result."""

    needs = NeedPrice(many=True)
    capacity = CapacityNeedPrice(many=True)
    areas = AreaPrice(many=True)
    places = PlacePrice(many=True)


class ElementSeen(serializers.Serializer[Any]):
    """Flow on a monitored element before and after the market acts; signed."""

    element = serializers.CharField()
    rating_kw = serializers.DecimalField(max_digits=14, decimal_places=1)
    before_kw = told.kw_series()
    after_kw = told.kw_series()


class FlowsOfAuction(OfAuction):
    """Flows of a published result."""

    elements = ElementSeen(many=True)


class RentSeen(serializers.Serializer[Any]):
    """What one scarce thing earned over the day."""

    kind = serializers.ChoiceField(RentKind.choices)
    code = serializers.CharField()
    amount_jpy = serializers.DecimalField(max_digits=18, decimal_places=2)


class RentsOfAuction(OfAuction):
    """Rents of a published result."""

    rents = RentSeen(many=True)


class VolumeSeen(serializers.Serializer[Any]):
    """What one mechanism was awarded in one area, one way."""

    area = serializers.CharField()
    direction = serializers.ChoiceField(Direction.choices)
    mechanism = serializers.CharField()
    product = serializers.CharField(allow_null=True, help_text="Of capacity held ready.")
    quantity_kw = told.kw_series()


class VolumesOfAuction(OfAuction):
    """Awarded quantities of a published result."""

    volumes = VolumeSeen(many=True)


def of_auction(auction: Auction, run: ClearingRun) -> dict[str, Any]:
    """Say which result something is of."""
    return {
        "auction": auction.code,
        "delivery_on": auction.delivery_on,
        "run": run.id,
        "result_sha256": run.result_sha256,
    }


def prices_told(run: ClearingRun) -> dict[str, Any]:
    """Print all prices of a result."""
    return {
        "needs": [
            {
                "need": row["need_id"],
                "code": row["need__code"],
                "organisation": row["need__organisation__code"],
                "kind": row["need__kind"],
                "direction": row["need__direction"],
                "price_jpy_per_kwh": row["price"],
                "served_kw": row["served"],
                "unserved_kw": row["unserved"],
            }
            for row in published.need_prices(run)
        ],
        "capacity": [
            {
                "need": row["need_id"],
                "code": row["need__code"],
                "organisation": row["need__organisation__code"],
                "product": row["need__product_id"],
                "direction": row["need__direction"],
                "price_jpy_per_kw_30min": row["price"],
                "served_kw": row["served"],
                "unserved_kw": row["unserved"],
            }
            for row in published.capacity_prices(run)
        ],
        "areas": [
            {"area": row["area_id"], "price_jpy_per_kwh": row["price"]}
            for row in published.area_prices(run)
        ],
        "places": [
            {
                "bus": row["site__bus_code"],
                "area": row["site__area_id"],
                "loss_ratio": row["site__loss_ratio"],
                "price_jpy_per_kwh": row["price"],
            }
            for row in published.place_prices(run)
        ],
    }


def price_rows(run: ClearingRun) -> Iterable[Sequence[Cell]]:
    """One row per price and half hour."""
    told_of = prices_told(run)
    for row in told_of["needs"]:
        yield from _rows("NEED", row["code"], row, "price_jpy_per_kwh")
    for row in told_of["capacity"]:
        yield from _rows("CAPACITY", row["code"], row, "price_jpy_per_kw_30min")
    for row in told_of["areas"]:
        yield from _rows("AREA", row["area"], row, "price_jpy_per_kwh")
    for row in told_of["places"]:
        yield from _rows("PLACE", row["bus"], row, "price_jpy_per_kwh")


def _rows(kind: str, code: str, row: dict[str, Any], price: str) -> Iterable[Sequence[Cell]]:
    served, unserved = row.get("served_kw"), row.get("unserved_kw")
    for t, value in enumerate(row[price]):
        yield (
            kind,
            code,
            t,
            value if price == "price_jpy_per_kwh" else None,
            value if price != "price_jpy_per_kwh" else None,
            None if served is None else served[t],
            None if unserved is None else unserved[t],
        )


class PublishedDoor(Door):
    """A result that anybody may read once it is published, and any cache may keep."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    def published(self, request: Request, code: str) -> tuple[Auction, ClearingRun]:
        """Return the auction with its published run; 404 before there is one."""
        query_of(request, is_list=False)
        auction = selectors.auction_named(code)
        return auction, published.run_published(auction)

    def frame(
        self,
        request: Request,
        auction: Auction,
        run: ClearingRun,
        body: Callable[[], Mapping[str, Any]],
    ) -> Response:
        """Answer with figures of a run, which never change, or that the caller has them (304)."""
        return told.immutable(request, str(run.id), lambda: {**of_auction(auction, run), **body()})

    def csv(
        self, run: ClearingRun, name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]
    ) -> HttpResponse:
        """Answer with a table."""
        answer = HttpResponse(
            csv_bytes(rows, header=header), content_type="text/csv; charset=utf-8"
        )
        answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
        answer["ETag"] = tag(run.id)
        answer["Cache-Control"] = told.IMMUTABLE
        return answer


class Prices(PublishedDoor):
    """Clearing prices."""

    @extend_schema(
        operation_id="price_list",
        summary="Clearing prices, served and unserved needs; public",
        responses={200: PricesOfAuction},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show all prices of a published result."""
        auction, run = self.published(request, code)
        return self.frame(request, auction, run, lambda: prices_told(run))


class PricesCsv(PublishedDoor):
    """Clearing prices as a table."""

    @extend_schema(
        operation_id="price_csv", summary="Clearing prices as CSV; public", responses=CSV
    )
    def get(self, request: Request, code: str) -> HttpResponse:
        """One row per price and half hour."""
        _, run = self.published(request, code)
        header = (
            *("kind", "code", "t", "price_jpy_per_kwh", "price_jpy_per_kw_30min"),
            *("served_kw", "unserved_kw"),
        )
        return self.csv(run, f"prices-{code}", header, price_rows(run))


class Flows(PublishedDoor):
    """Flows on monitored elements."""

    @extend_schema(
        operation_id="price_flows",
        summary="Flows on monitored elements before and after; public",
        responses={200: FlowsOfAuction},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show all monitored elements."""
        auction, run = self.published(request, code)
        return self.frame(
            request,
            auction,
            run,
            lambda: {
                "elements": [
                    {
                        "element": row["congestion_point__code"],
                        "rating_kw": row["congestion_point__rating_kw"],
                        "before_kw": row["before"],
                        "after_kw": row["after"],
                    }
                    for row in published.element_flows(run)
                ],
            },
        )


class FlowsCsv(PublishedDoor):
    """Flows as a table."""

    @extend_schema(operation_id="price_flows_csv", summary="Flows as CSV; public", responses=CSV)
    def get(self, request: Request, code: str) -> HttpResponse:
        """One row per element and half hour."""
        _, run = self.published(request, code)
        rows = (
            (row["congestion_point__code"], t, before_kw, after_kw)
            for row in published.element_flows(run)
            for t, (before_kw, after_kw) in enumerate(zip(row["before"], row["after"], strict=True))
        )
        return self.csv(run, f"flows-{code}", ("element", "t", "before_kw", "after_kw"), rows)


class Rents(PublishedDoor):
    """Rents of scarce things."""

    @extend_schema(
        operation_id="price_rents",
        summary="What elements, links, transfers, paths and trunks earned; public",
        responses={200: RentsOfAuction},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show rents; whose they are, settlement tells their owners."""
        auction, run = self.published(request, code)
        return self.frame(request, auction, run, lambda: {"rents": published.rents(run)})


class Volumes(PublishedDoor):
    """Awarded quantities."""

    @extend_schema(
        operation_id="price_volumes",
        summary="Awarded quantities by area, direction and mechanism; public",
        responses={200: VolumesOfAuction},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show sums over all sellers of an area."""
        auction, run = self.published(request, code)
        return self.frame(
            request,
            auction,
            run,
            lambda: {
                "volumes": [
                    {
                        "area": row.area,
                        "direction": row.direction,
                        "mechanism": row.mechanism,
                        "product": row.product,
                        "quantity_kw": row.quantity_kw,
                    }
                    for row in published.volumes(run)
                ],
            },
        )


urlpatterns: list[URLPattern] = [
    path("auctions/<slug:code>/prices", Prices.as_view(), name="price-list"),
    path("auctions/<slug:code>/prices/csv", PricesCsv.as_view(), name="price-csv"),
    path("auctions/<slug:code>/flows", Flows.as_view(), name="price-flows"),
    path("auctions/<slug:code>/flows/csv", FlowsCsv.as_view(), name="price-flows-csv"),
    path("auctions/<slug:code>/rents", Rents.as_view(), name="price-rents"),
    path("auctions/<slug:code>/volumes", Volumes.as_view(), name="price-volumes"),
]
