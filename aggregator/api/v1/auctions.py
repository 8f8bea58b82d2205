"""/api/v1/auctions: when the market trades, how it stands, and what the desk does about it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.approvals.selectors import approvals_seen
from accounts.core.errors import NotFound, Refused
from accounts.fields.checking import entries_checked
from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.approvals import ApprovalWritten, approval_written
from aggregator.api.v1.asked import (
    body_of,
    choice_of,
    day_of,
    list_of,
    moment_of,
    query_of,
    row_of,
    text_of,
    uuid_of,
)
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED, problems
from market.clearing import selectors as results
from market.clearing.models import ClearingRun, RunState
from market.clearing.services import clearing_run_repeat
from market.registry.models import GridModel
from market.registry.selectors import grid_models
from market.trading import selectors
from market.trading.early_closing import auction_close_early_request
from market.trading.models import Auction, AuctionState
from market.trading.services import auction_schedule

REASON_LENGTH_MAX = 200
VERSION_HIGH = 2**31
WITHOUT_MAX = 1_000


class GridModelName(serializers.Serializer[Any]):
    """A grid model by name and version."""

    name = serializers.CharField()
    version = serializers.IntegerField(min_value=1)


class AuctionSeen(serializers.Serializer[Any]):
    """One clearing of the 48 half hours of a delivery day."""

    code = serializers.CharField()
    name = serializers.CharField()
    delivery_on = serializers.DateField(help_text="JST day of delivery.")
    delivery_start = serializers.DateTimeField()
    opens_at = serializers.DateTimeField()
    gate_closure_at = serializers.DateTimeField(help_text="Bids come before this moment.")
    closed_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was closed; before gate_closure_at if closed early."
    )
    state = serializers.ChoiceField(AuctionState.choices)
    state_reason = serializers.CharField(allow_blank=True)
    ruleset = serializers.CharField(help_text="Version of the rules.")
    grid_model = GridModelName()


class AuctionPage(serializers.Serializer[Any]):
    """Auctions, the latest delivery day first."""

    items = AuctionSeen(many=True)
    next = serializers.CharField(allow_null=True)


class BookCount(serializers.Serializer[Any]):
    """How many bids of a form."""

    form = serializers.CharField()
    bids = serializers.IntegerField(min_value=0)


class AuctionWhole(AuctionSeen):
    """An auction with its rules and, after the gate, the size of its book."""

    rules = serializers.JSONField(help_text="The ruleset itself.")
    book = BookCount(many=True, allow_null=True, help_text="Null until the gate has closed.")


class AuctionInput(serializers.Serializer[Any]):
    """An auction to be held."""

    code = serializers.SlugField(max_length=40)
    name = serializers.CharField(max_length=80)
    delivery_on = serializers.DateField()
    opens_at = serializers.DateTimeField()
    gate_closure_at = serializers.DateTimeField(
        help_text="After opens_at, not after the delivery day begins."
    )
    grid_model = GridModelName()


class RunSeen(serializers.Serializer[Any]):
    """One attempt to clear an auction."""

    number = serializers.IntegerField(min_value=1)
    state = serializers.ChoiceField(RunState.choices)
    reason = serializers.CharField(allow_blank=True)
    bids_left_out = serializers.ListField(child=serializers.UUIDField())
    snapshot_sha256 = serializers.CharField(allow_null=True)
    result_sha256 = serializers.CharField(allow_blank=True)
    objective_jpy = serializers.DecimalField(max_digits=18, decimal_places=2, allow_null=True)
    error_code = serializers.CharField(allow_blank=True)
    error = serializers.CharField(allow_blank=True)
    published_at = serializers.DateTimeField(allow_null=True)


class RunsOfAuction(serializers.Serializer[Any]):
    """Runs, the first first."""

    items = RunSeen(many=True)


class RunInput(serializers.Serializer[Any]):
    """Why an auction is cleared again, and without which bids."""

    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)
    without = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=WITHOUT_MAX
    )


class ClosingInput(serializers.Serializer[Any]):
    """Why an auction is to be closed before its announced gate."""

    reason = serializers.CharField(max_length=REASON_LENGTH_MAX)


class RunAsked(serializers.Serializer[Any]):
    """The run is on the list of jobs."""

    auction = serializers.CharField()
    state = serializers.ChoiceField(AuctionState.choices)


def auction_told(auction: Auction) -> dict[str, Any]:
    """Print an auction."""
    return {
        "code": auction.code,
        "name": auction.name,
        "delivery_on": auction.delivery_on,
        "delivery_start": auction.delivery_start,
        "opens_at": auction.opens_at,
        "gate_closure_at": auction.gate_closure_at,
        "closed_at": auction.closed_at,
        "state": auction.state,
        "state_reason": auction.state_reason,
        "ruleset": auction.ruleset_id,
        "grid_model": {"name": auction.grid_model.name, "version": auction.grid_model.version},
    }


def run_told(run: ClearingRun) -> dict[str, Any]:
    """Print a run as the desk sees it."""
    return {
        "number": run.number,
        "state": run.state,
        "reason": run.reason,
        "bids_left_out": run.bids_left_out,
        "snapshot_sha256": run.snapshot.sha256 if run.snapshot else None,
        "result_sha256": run.result_sha256,
        "objective_jpy": run.objective_jpy,
        "error_code": run.error_code,
        "error": run.error,
        "published_at": run.published_at,
    }


def _grid_model(given: object) -> GridModel:
    named = entries_checked(given, required=("name", "version"), label="grid_model")
    version = named["version"]
    if type(version) is not int or not 0 < version < VERSION_HIGH:
        raise Refused(field="grid_model.version", value=version, rule="a whole number from 1 on")
    found = grid_models().filter(name=str(named["name"]), version=version).first()
    if found is None:
        raise NotFound(field="grid_model", value=named["name"], rule="a known grid model")
    return found


class Auctions(Door):
    """Auctions of the market."""

    access: ClassVar[Access] = {"GET": PUBLIC, "POST": "auction.run"}

    @extend_schema(
        operation_id="auction_list",
        summary="List auctions, the latest delivery day first",
        parameters=[
            *PAGED,
            OpenApiParameter("state", OpenApiTypes.STR, enum=AuctionState.values),
            OpenApiParameter("delivery_on", OpenApiTypes.DATE),
        ],
        responses={200: AuctionPage},
    )
    def get(self, request: Request) -> Response:
        """Anybody may know when the market trades."""
        query = query_of(request, "state", "delivery_on")
        rows = selectors.auctions_listed()
        if "state" in query:
            rows = rows.filter(state=choice_of(query["state"], AuctionState.values, field="state"))
        if "delivery_on" in query:
            rows = rows.filter(delivery_on=day_of(query["delivery_on"], field="delivery_on"))
        return Response(page(request, rows, auction_told, key=("-delivery_on", "-code")))

    @extend_schema(
        operation_id="auction_schedule",
        summary="Announce an auction; it opens and closes by the market's clock",
        request=AuctionInput,
        responses={201: AuctionSeen},
    )
    def post(self, request: Request) -> Response:
        """Schedule it under the rules of its delivery day."""
        names = ("code", "name", "delivery_on", "opens_at", "gate_closure_at", "grid_model")
        query_of(request, is_list=False)
        body = body_of(request, required=names)
        auction = auction_schedule(
            code=body["code"],
            name=body["name"],
            delivery_on=day_of(body["delivery_on"], field="delivery_on"),
            opens_at=moment_of(body["opens_at"], field="opens_at"),
            gate_closure_at=moment_of(body["gate_closure_at"], field="gate_closure_at"),
            grid_model=_grid_model(body["grid_model"]),
        )
        location = {"Location": f"/api/v1/auctions/{auction.code}"}
        return Response(auction_told(auction), status=201, headers=location)


class OneAuction(Door):
    """One auction."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    @extend_schema(
        operation_id="auction",
        summary="One auction with its rules and, after the gate, the size of its book",
        responses={200: AuctionWhole},
    )
    def get(self, request: Request, code: str) -> Response:
        """Say how it stands; before the gate nothing of its book."""
        query_of(request, is_list=False)
        auction = selectors.auction_named(code)
        counts = selectors.book_counts(auction)
        return Response(
            {
                **auction_told(auction),
                "rules": auction.ruleset.rules,
                "book": None
                if counts is None
                else [{"form": form, "bids": count} for form, count in counts.items()],
            }
        )


class EarlyClosing(Door):
    """The desk's wish to close an auction before its announced gate."""

    access: ClassVar[Access] = {"POST": "auction.run"}

    @extend_schema(
        operation_id="auction_close_early",
        summary="Ask that an open auction be closed before its announced gate",
        description="A second person of the market desk decides at `/approvals`; the gate shuts "
        "with their yes. `gate_closure_at` stays as announced, `closed_at` says when it was.",
        request=ClosingInput,
        responses={201: ApprovalWritten, **problems("gate-closed", "conflict")},
    )
    def post(self, request: Request, code: str) -> Response:
        """Ask; until then bids come in as before."""
        query_of(request, is_list=False)
        body = body_of(request, required=("reason",))
        made = auction_close_early_request(
            auction_id=selectors.auction_named(code).id,
            reason=text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX),
            by=self.sight,
        )
        row = row_of(approvals_seen(seen_by=self.sight), "approval", id=made.id)
        location = {"Location": f"/api/v1/approvals/{row.id}"}
        return Response(approval_written(row), status=201, headers=location)


class RunsOf(Door):
    """Runs of an auction, for the desk."""

    access: ClassVar[Access] = {"GET": "book.read", "POST": "auction.run"}

    @extend_schema(
        operation_id="auction_runs",
        summary="Attempts to clear an auction, failed ones included",
        responses={200: RunsOfAuction},
    )
    def get(self, request: Request, code: str) -> Response:
        """List them with what went wrong."""
        query_of(request, is_list=False)
        runs = results.runs_seen(selectors.auction_named(code), seen_by=self.sight)
        return Response({"items": [run_told(run) for run in runs]})

    @extend_schema(
        operation_id="auction_repeat",
        summary="Clear an auction again while its verified result is held back",
        request=RunInput,
        responses={202: RunAsked, **problems("refused")},
    )
    def post(self, request: Request, code: str) -> Response:
        """Put another run on the list, without the bids that are named."""
        query_of(request, is_list=False)
        body = body_of(request, required=("reason",), optional=("without",))
        without = []
        if body.get("without"):
            given = list_of(body["without"], field="without", length_max=WITHOUT_MAX)
            without = [uuid_of(one, field=f"without[{i}]") for i, one in enumerate(given)]
        auction = selectors.auction_named(code)
        clearing_run_repeat(
            auction_id=auction.id,
            reason=text_of(body["reason"], field="reason", length_max=REASON_LENGTH_MAX),
            without=without,
            user_id=self.sight.user_id,
        )
        return Response({"auction": auction.code, "state": auction.state}, status=202)


urlpatterns: list[URLPattern] = [
    path("auctions", Auctions.as_view(), name="auction-list"),
    path("auctions/<slug:code>", OneAuction.as_view(), name="auction"),
    path("auctions/<slug:code>/close-early", EarlyClosing.as_view(), name="auction-close-early"),
    path("auctions/<slug:code>/runs", RunsOf.as_view(), name="auction-runs"),
]
