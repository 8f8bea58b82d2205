"""/api/v1/standing-bids: templates that become a bid of every auction they are valid for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from uuid import UUID

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Conflict, Refused
from accounts.parties.models import Organisation
from aggregator.api.v1 import told
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, choice_of, code_of, day_of, list_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.bid_forms import BID
from aggregator.api.v1.etag import expect, tag
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED
from market.trading import selectors
from market.trading.models import StandingBid, StandingRenewal, StandingState
from market.trading.standing_services import (
    StandingDays,
    standing_bid_create,
    standing_bid_pause,
    standing_bid_resume,
    standing_bid_withdraw,
)

ALL_WEEK: Final = (0, 1, 2, 3, 4, 5, 6)
# What the services call a template's parts, and what the doors do.
PLACES: Final = (("bids[0]", "bid"), ("valid_from", "valid_from_on"), ("valid_to", "valid_to_on"))


class StandingDaysInput(serializers.Serializer[Any]):
    """Delivery days a template is for."""

    bid = BID
    valid_from_on = serializers.DateField()
    valid_to_on = serializers.DateField(
        required=False, allow_null=True, help_text="First day it is not for; null = no end."
    )
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6),
        required=False,
        min_length=1,
        max_length=7,
        help_text="0 = Monday; left out = every day.",
    )


class StandingBidInput(StandingDaysInput):
    """A bid given once; without client_bid_id, a block's parent is another template's code."""

    code = serializers.CharField(
        max_length=20, help_text="Chosen by you; the bid of an auction is `code@auction`."
    )


class StandingBidSeen(serializers.Serializer[Any]):
    """A template; its offer is sealed."""

    id = serializers.UUIDField()
    organisation = serializers.CharField(help_text="Code.")
    code = serializers.CharField()
    valid_from_on = serializers.DateField()
    valid_to_on = serializers.DateField(allow_null=True)
    weekdays = serializers.ListField(child=serializers.IntegerField())
    state = serializers.ChoiceField(StandingState.choices)
    created_at = serializers.DateTimeField()


class StandingBidPage(serializers.Serializer[Any]):
    """Templates, the newest first."""

    items = StandingBidSeen(many=True)
    next = serializers.CharField(allow_null=True)


class RenewalSeen(serializers.Serializer[Any]):
    """What became of a template in one auction."""

    auction = serializers.CharField(help_text="Code.")
    bid = serializers.UUIDField(allow_null=True)
    refusal = serializers.CharField(allow_blank=True)


class RenewalPage(serializers.Serializer[Any]):
    """What became of a template, the latest auction first."""

    items = RenewalSeen(many=True)
    next = serializers.CharField(allow_null=True)


def standing_tag(row: StandingBid) -> str:
    """Return the version that an edit must have read: a replacement is another row."""
    return f"{row.id}-{row.state.lower()}"


def standing_told(row: StandingBid) -> dict[str, Any]:
    """Print a template; its offer is sealed."""
    return {
        "id": row.id,
        "organisation": row.organisation.code,
        "code": row.code,
        "valid_from_on": row.valid_from_on,
        "valid_to_on": row.valid_to_on,
        "weekdays": row.weekdays,
        "state": row.state,
        "created_at": row.created_at,
    }


def renewal_told(row: StandingRenewal) -> dict[str, Any]:
    """Print what became of a template in one auction."""
    return {"auction": row.auction.code, "bid": row.bid_id, "refusal": row.refusal}


class StandingBids(Door):
    """Templates of one's own."""

    access: ClassVar[Access] = {"GET": "bid.read", "POST": "bid.submit"}

    @extend_schema(
        operation_id="standing_bid_list",
        summary="List standing bids, the newest first",
        parameters=[*PAGED, OpenApiParameter("state", OpenApiTypes.STR, enum=StandingState.values)],
        responses={200: StandingBidPage},
    )
    def get(self, request: Request) -> Response:
        """Own ones only."""
        query = query_of(request, "state")
        rows = selectors.standing_bids_seen(seen_by=self.sight)
        if "state" in query:
            rows = rows.filter(state=choice_of(query["state"], StandingState.values, field="state"))
        return Response(page(request, rows, standing_told, key=("-created_at", "-id")))

    @extend_schema(
        operation_id="standing_bid_create",
        summary="Give a bid that is renewed in every auction of the days named",
        parameters=[told.ORGANISATION],
        request=StandingBidInput,
        responses={201: StandingBidSeen},
    )
    def post(self, request: Request) -> Response:
        """Store it sealed; in auctions that are open it becomes a bid soon."""
        query = query_of(request, "organisation", is_list=False)
        organisation = self.sight.acting_for("bid.submit", query.get("organisation"))
        body = body_of(
            request,
            required=("code", "bid", "valid_from_on"),
            optional=("valid_to_on", "weekdays"),
        )

        def expects(before: StandingBid | None) -> None:
            if before is not None:
                raise Conflict(field="code", value=before.code, rule="in use: replace it by PUT")

        row = _create(organisation, code_of(body["code"], field="code"), body, expects)
        headers = {"Location": f"/api/v1/standing-bids/{row.id}", "ETag": tag(standing_tag(row))}
        return Response(standing_told(row), status=201, headers=headers)


class OneStandingBid(Door):
    """One template."""

    access: ClassVar[Access] = {"GET": "bid.read", "PUT": "bid.submit", "DELETE": "bid.submit"}

    @extend_schema(
        operation_id="standing_bid", summary="One standing bid", responses={200: StandingBidSeen}
    )
    def get(self, request: Request, standing_bid_id: UUID) -> Response:
        """Show what became of it."""
        query_of(request, is_list=False)
        row = selectors.standing_bid_seen(standing_bid_id, seen_by=self.sight)
        return Response(standing_told(row), headers={"ETag": tag(standing_tag(row))})

    @extend_schema(
        operation_id="standing_bid_replace",
        summary="Replace a standing bid",
        request=StandingDaysInput,
        responses={200: StandingBidSeen},
    )
    def put(self, request: Request, standing_bid_id: UUID) -> Response:
        """Put another in its place, which gets an id of its own."""
        query_of(request, is_list=False)
        row = own_of(self, standing_bid_id)
        body = body_of(
            request, required=("bid", "valid_from_on"), optional=("valid_to_on", "weekdays")
        )
        made = _create(row.organisation, row.code, body, _expecting(request))
        return Response(standing_told(made), headers={"ETag": tag(standing_tag(made))})

    @extend_schema(
        operation_id="standing_bid_withdraw",
        summary="End a standing bid; what it became in open auctions stays in their books",
        responses={204: OpenApiResponse(description="Ended.")},
    )
    def delete(self, request: Request, standing_bid_id: UUID) -> Response:
        """Renew it no more."""
        query_of(request, is_list=False)
        row = own_of(self, standing_bid_id)
        standing_bid_withdraw(
            organisation=row.organisation, code=row.code, expects=_expecting(request)
        )
        return Response(status=204)


class RenewalsOf(Door):
    """What became of a template."""

    access: ClassVar[Access] = {"GET": "bid.read"}

    @extend_schema(
        operation_id="standing_bid_renewal_list",
        summary="What became of a standing bid in each auction, the latest first",
        parameters=PAGED,
        responses={200: RenewalPage},
    )
    def get(self, request: Request, standing_bid_id: UUID) -> Response:
        """Name the bid, or why the gate refused it."""
        query_of(request)
        row = selectors.standing_bid_seen(standing_bid_id, seen_by=self.sight)
        rows = selectors.renewals_of(row)
        return Response(page(request, rows, renewal_told, key=("-id",)))


class PauseOf(Door):
    """Let a template rest."""

    access: ClassVar[Access] = {"POST": "bid.submit"}

    @extend_schema(
        operation_id="standing_bid_pause",
        summary="Renew a standing bid no more until it is resumed",
        request=None,
        responses={200: StandingBidSeen},
    )
    def post(self, request: Request, standing_bid_id: UUID) -> Response:
        """Pause it; one that rests goes on resting."""
        return turned(self, request, standing_bid_id, standing_bid_pause)


class ResumeOf(Door):
    """Let a template go on."""

    access: ClassVar[Access] = {"POST": "bid.submit"}

    @extend_schema(
        operation_id="standing_bid_resume",
        summary="Renew a standing bid again, in open auctions too",
        request=None,
        responses={200: StandingBidSeen},
    )
    def post(self, request: Request, standing_bid_id: UUID) -> Response:
        """Resume it."""
        return turned(self, request, standing_bid_id, standing_bid_resume)


def turned(
    door: Door, request: Request, standing_bid_id: UUID, turn: Callable[..., object]
) -> Response:
    """Do something with a template of the caller's, and show it as it then is."""
    query_of(request, is_list=False)
    row = own_of(door, standing_bid_id)
    turn(organisation=row.organisation, code=row.code)
    row = selectors.standing_bid_seen(standing_bid_id, seen_by=door.sight)
    return Response(standing_told(row), headers={"ETag": tag(standing_tag(row))})


def own_of(door: Door, standing_bid_id: UUID) -> StandingBid:
    """Return a template that the caller may change."""
    row = selectors.standing_bid_seen(standing_bid_id, seen_by=door.sight)
    door.sight.acting_for("bid.submit", row.organisation.code)
    return row


def _expecting(request: Request) -> Callable[[StandingBid | None], None]:
    def expects(before: StandingBid | None) -> None:
        expect(request, "" if before is None else standing_tag(before))

    return expects


def _create(
    organisation: Organisation,
    code: str,
    body: Mapping[str, Any],
    expects: Callable[[StandingBid | None], None],
) -> StandingBid:
    to_on = body.get("valid_to_on")
    days = StandingDays(
        valid_from_on=day_of(body["valid_from_on"], field="valid_from_on"),
        valid_to_on=None if to_on is None else day_of(to_on, field="valid_to_on"),
        weekdays=list_of(body.get("weekdays", list(ALL_WEEK)), field="weekdays", length_max=7),
    )
    bid = body["bid"]
    if not isinstance(bid, Mapping):
        raise Refused(field="bid", value=bid, rule="an object")
    try:
        return standing_bid_create(
            organisation=organisation, code=code, bid=bid, days=days, expects=expects
        )
    except Refused as refused:
        raise told.relabelled(refused, _place) from refused


def _place(path: str) -> str:
    for before, after in PLACES:
        if path == before or path.startswith(f"{before}."):
            return after + path.removeprefix(before)
    return path


urlpatterns: list[URLPattern] = [
    path("standing-bids", StandingBids.as_view(), name="standing-bid-list"),
    path("standing-bids/<uuid:standing_bid_id>", OneStandingBid.as_view(), name="standing-bid"),
    path(
        "standing-bids/<uuid:standing_bid_id>/renewals",
        RenewalsOf.as_view(),
        name="standing-bid-renewal-list",
    ),
    path(
        "standing-bids/<uuid:standing_bid_id>/pause", PauseOf.as_view(), name="standing-bid-pause"
    ),
    path(
        "standing-bids/<uuid:standing_bid_id>/resume",
        ResumeOf.as_view(),
        name="standing-bid-resume",
    ),
]
