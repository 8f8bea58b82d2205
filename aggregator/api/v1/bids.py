"""/api/v1/bids: offers to an auction: submitted, replaced, withdrawn, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, TypeVar
from uuid import UUID

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Conflict, Refused
from accounts.parties.models import Organisation
from aggregator.api.v1 import told
from aggregator.api.v1.access import SIGNED_IN, Access
from aggregator.api.v1.asked import body_of, choice_of, query_of
from aggregator.api.v1.awards import AwardSeen, award_told
from aggregator.api.v1.base import Door
from aggregator.api.v1.bid_forms import BID, BID_OR_LIST
from aggregator.api.v1.bids_csv import sheet_of
from aggregator.api.v1.etag import expect, tag
from aggregator.api.v1.explanations import ExplanationSeen, outcome_told
from aggregator.api.v1.pagination import page
from aggregator.api.v1.reading import StrictJsonParser
from aggregator.api.v1.receipts import ManySubmitted, OneSubmitted, receipt_told
from aggregator.api.v1.schema import PAGED, problems
from aggregator.api.v1.single_bids import answered_together
from aggregator.api.v1.uploads import CsvParser, Table
from market.clearing import selectors as results
from market.trading import selectors
from market.trading.bid_sheets import Sheet
from market.trading.bids import Submission, basket_submit, bid_withdraw
from market.trading.models import Bid, BidForm, BidState
from market.trading.refusals import RowsRefused

ONE: Final = "bids[0]"
Done = TypeVar("Done")


SUBMITTED: Final = PolymorphicProxySerializer(
    component_name="Submitted",
    serializers=[OneSubmitted, ManySubmitted],
    resource_type_field_name=None,
)


class BidEnvelope(serializers.Serializer[Any]):
    """A bid without its offer."""

    id = serializers.UUIDField()
    client_bid_id = serializers.CharField()
    version = serializers.IntegerField(min_value=1)
    auction = serializers.CharField(help_text="Code.")
    organisation = serializers.CharField(help_text="Code.")
    form = serializers.ChoiceField(BidForm.choices)
    mechanism = serializers.CharField()
    resource = serializers.CharField(allow_null=True, help_text="Code; of most forms.")
    portfolio = serializers.CharField(allow_null=True, help_text="Code; of PORTFOLIO.")
    place = serializers.CharField(allow_null=True, help_text="Site's code; of COMPUTE_REQUEST.")
    workload_class = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(BidState.choices)
    received_at = serializers.DateTimeField()


class BidPage(serializers.Serializer[Any]):
    """Bids, the newest first."""

    items = BidEnvelope(many=True)
    next = serializers.CharField(allow_null=True)


class BidSeen(BidEnvelope):
    """A bid with what became of it."""

    content = serializers.JSONField(
        allow_null=True, help_text="The offer; null while the book is sealed."
    )
    result = ExplanationSeen(allow_null=True, help_text="Once a result is published.")
    awards = AwardSeen(many=True)


def bid_tag(bid: Bid) -> str:
    """Return the version that an edit must have read: a withdrawal changes it too."""
    is_current = bid.state == BidState.SUBMITTED
    return str(bid.version) if is_current else f"{bid.version}-{bid.state.lower()}"


def envelope_told(bid: Bid) -> dict[str, Any]:
    """Print a bid without its offer."""
    return {
        "id": bid.id,
        "client_bid_id": bid.client_bid_id,
        "version": bid.version,
        "auction": bid.auction.code,
        "organisation": bid.organisation.code,
        "form": bid.form,
        "mechanism": bid.mechanism,
        "resource": bid.resource.code if bid.resource else None,
        "portfolio": bid.portfolio.code if bid.portfolio else None,
        "place": bid.site.code if bid.site else None,
        "workload_class": bid.workload_class.kind if bid.workload_class else None,
        "state": bid.state,
        "received_at": bid.received_at,
    }


class BidsOfAuction(Door):
    """Submit bids to an auction."""

    access: ClassVar[Access] = {"POST": "bid.submit"}
    parser_classes = (StrictJsonParser, CsvParser)
    takes_gzip: ClassVar[bool] = True

    @extend_schema(
        operation_id="bid_submit",
        summary="Submit one bid, or up to 5,000 at once, all or none",
        description=(
            'The body is one bid, or `{"bids": […]}`, or CSV (columns: docs/api.md). A bid whose '
            "`client_bid_id` is in the book already becomes its next version; one that says the "
            "same is not stored again, and its receipt says `is_new: false`. 201 is sent after "
            "the bids are stored for good; 200 if nothing was new."
        ),
        parameters=[told.ORGANISATION],
        request={"application/json": BID_OR_LIST, "text/csv": OpenApiTypes.STR},
        responses={201: SUBMITTED, 200: SUBMITTED, **problems("gate-closed", "rows-refused")},
    )
    def post(self, request: Request, code: str) -> Any:
        """Read, check and store; nothing of it is kept unless all of it is."""

        def submit(bids: Any) -> Submission:
            return basket_submit(
                auction_id=code, organisation=self._bidder(), bids=bids, is_whole=True
            )

        body: Any = request.data
        if isinstance(body, Table):
            return _many(_of_sheet(sheet_of(body), submit))
        if _is_list(body):
            body_of(request, required=("bids",))
            try:
                return _many(submit(body["bids"]))
            except RowsRefused as refused:
                raise told.rows_stopped(refused) from refused
        return _told(_of_one(body, submit))

    def keyed_work(self, request: Request) -> Any:
        """Answer a single bid together with others that come now, if it goes with others."""
        if isinstance(request.data, Table) or _is_list(request.data):
            return None
        organisation = self._bidder()
        return _named(
            lambda: answered_together(
                request,
                auction_code=self.kwargs["code"],
                organisation=organisation,
                actor=self.sight.actor,
                told=_told,
            )
        )

    def _bidder(self) -> Organisation:
        query = query_of(self.request, "organisation", is_list=False)
        return self.sight.acting_for("bid.submit", query.get("organisation"))


class Bids(Door):
    """Bids of one's own."""

    access: ClassVar[Access] = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="bid_list",
        summary="List bids, the newest first",
        parameters=[
            *PAGED,
            told.AUCTION,
            OpenApiParameter("resource", OpenApiTypes.STR, description="Code."),
            OpenApiParameter("state", OpenApiTypes.STR, enum=BidState.values),
            OpenApiParameter("form", OpenApiTypes.STR, enum=BidForm.values),
            OpenApiParameter("client_bid_id", OpenApiTypes.STR),
        ],
        responses={200: BidPage},
    )
    def get(self, request: Request) -> Response:
        """Own bids; of an auction with a result all, to those who may read its book."""
        query = query_of(request, "auction", "resource", "state", "form", "client_bid_id")
        auction = selectors.auction_named(query["auction"]) if "auction" in query else None
        rows = selectors.bids_seen(seen_by=self.sight, auction=auction)
        for name, choices in (("state", BidState.values), ("form", BidForm.values)):
            if name in query:
                rows = rows.filter(**{name: choice_of(query[name], choices, field=name)})
        if "resource" in query:
            rows = rows.filter(resource=selectors.resource_id_named(query["resource"]))
        if "client_bid_id" in query:
            rows = rows.filter(client_bid_id=query["client_bid_id"])
        return Response(page(request, rows, envelope_told, key=("-received_at", "-id")))


class OneBid(Door):
    """One bid."""

    access: ClassVar[Access] = {"GET": SIGNED_IN, "PUT": "bid.submit", "DELETE": "bid.submit"}

    @extend_schema(
        operation_id="bid",
        summary="One bid; after the gate with its offer, outcome, awards and explanation",
        responses={200: BidSeen},
    )
    def get(self, _request: Request, bid_id: UUID) -> Response:
        """Show the envelope, and what the state of the auction lets be seen besides."""
        bid = selectors.bid_seen(bid_id, seen_by=self.sight)
        awards = results.awards_seen(seen_by=self.sight, auction=bid.auction).filter(bid=bid)
        outcome = results.outcomes_seen(bid.auction, seen_by=self.sight).filter(bid=bid).first()
        body = {
            **envelope_told(bid),
            "content": selectors.content_of(bid),
            "result": None if outcome is None else outcome_told(outcome),
            "awards": [award_told(award) for award in results.with_intervals(awards)],
        }
        return Response(body, headers={"ETag": tag(bid_tag(bid))})

    @extend_schema(
        operation_id="bid_replace",
        summary="Replace a bid by its next version",
        request={"application/json": BID},
        responses={200: OneSubmitted, **problems("gate-closed")},
    )
    def put(self, request: Request, bid_id: UUID) -> Response:
        """Submit the next version, if the caller read the current one."""
        bid = self._own(bid_id)
        query_of(request, is_list=False)
        body = request.data if isinstance(request.data, Mapping) else {}
        if body.get("client_bid_id", bid.client_bid_id) != bid.client_bid_id:
            raise Refused(
                field="client_bid_id", value=body["client_bid_id"], rule="that of this bid"
            )

        def submit(bids: Any) -> Submission:
            return basket_submit(
                auction_id=bid.auction_id,
                organisation=bid.organisation,
                bids=bids,
                expects=_expecting(request),
                is_whole=True,
            )

        return _one(_of_one({**body, "client_bid_id": bid.client_bid_id}, submit), status=200)

    @extend_schema(
        operation_id="bid_withdraw",
        summary="Withdraw a bid before the gate",
        responses={204: OpenApiResponse(description="Withdrawn."), **problems("gate-closed")},
    )
    def delete(self, request: Request, bid_id: UUID) -> Response:
        """Take it out of the book, if the caller read the current version."""
        bid = self._own(bid_id)
        bid_withdraw(
            auction_id=bid.auction_id,
            organisation=bid.organisation,
            client_bid_id=bid.client_bid_id,
            expects=_expecting(request),
        )
        return Response(status=204)

    def _own(self, bid_id: UUID) -> Bid:
        bid = selectors.bid_seen(bid_id, seen_by=self.sight)
        self.sight.acting_for("bid.submit", bid.organisation.code)
        return bid


def _expecting(request: Request) -> Callable[[Bid | None], None]:
    def expects(before: Bid | None) -> None:
        expect(request, "" if before is None else bid_tag(before))
        if before is None or before.state != BidState.SUBMITTED:
            raise Conflict(field="bid", value="", rule="a bid in the book")

    return expects


def _is_list(body: object) -> bool:
    return isinstance(body, Mapping) and "bids" in body


def _of_one(body: object, submit: Callable[[Any], Submission]) -> Submission:
    """Submit a single bid as a list of one."""
    return _named(lambda: submit([body]))


def _named(work: Callable[[], Done]) -> Done:
    """Do what is to be done with a single bid; what is refused is named from the bid itself on."""
    try:
        return work()
    except Refused as refused:
        if not refused.field.startswith(ONE):
            raise
        path = refused.field.removeprefix(ONE).removeprefix(".") or "body"
        raise told.relabelled(refused, lambda _: path) from refused


def _of_sheet(sheet: Sheet, submit: Callable[[Any], Submission]) -> Submission:
    """Submit the bids of a file; what is refused is named by line and column."""
    try:
        return submit(sheet.bids)
    except Refused as refused:
        if not refused.field.startswith("bids["):
            raise
        raise told.rows_stopped(refused, sheet.where) from refused


def _many(done: Submission) -> Response:
    body = {"receipts": list(map(receipt_told, done.receipts)), "signed": done.signed}
    return Response(body, status=201 if done.signed else 200)


def _told(done: Submission) -> Response:
    return _one(done, status=201 if done.signed else 200)


def _one(done: Submission, *, status: int) -> Response:
    (receipt,) = done.receipts
    headers = {"Location": f"/api/v1/bids/{receipt.bid_id}", "ETag": tag(receipt.version)}
    body = {**receipt_told(receipt), "signed": done.signed}
    return Response(body, status=status, headers=headers)


urlpatterns: list[URLPattern] = [
    path("auctions/<slug:code>/bids", BidsOfAuction.as_view(), name="bid-submit"),
    path("bids", Bids.as_view(), name="bid-list"),
    path("bids/<uuid:bid_id>", OneBid.as_view(), name="bid"),
]
