"""Auctions, needs and bids. A bid's content stays sealed here as long as its auction is open."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.fields.admin import FactAdmin, admin_link, admin_list_link
from market.trading.models import (
    Auction,
    AuctionState,
    BaseFlow,
    Bid,
    BidContent,
    Need,
    TransferLimit,
)

SEALED_STATES = (AuctionState.SCHEDULED, AuctionState.OPEN)


@admin.register(Auction)
class AuctionAdmin(FactAdmin):
    list_display = ("code", "delivery_on", "state", "gate_closure_at", "needs", "bids", "runs")
    list_filter = ("state",)
    search_fields = ("code", "name")
    date_hierarchy = "delivery_on"

    @admin.display(description="必要量")
    def needs(self, row: Auction) -> SafeString | str:
        return admin_list_link("trading.need", f"auction__id__exact={row.pk}", "必要量")

    @admin.display(description="入札")
    def bids(self, row: Auction) -> SafeString | str:
        return admin_list_link("trading.bid", f"auction__id__exact={row.pk}", "入札")

    @admin.display(description="約定計算")
    def runs(self, row: Auction) -> SafeString | str:
        return admin_list_link("clearing.clearingrun", f"auction__id__exact={row.pk}", "約定計算")


@admin.register(Need)
class NeedAdmin(FactAdmin):
    list_display = ("code", "revision", "auction", "kind", "place", "direction", "state")
    list_filter = ("kind", "direction", "state", "auction")
    list_select_related = ("auction", "congestion_point", "area")
    search_fields = ("code",)

    @admin.display(description="場所")
    def place(self, row: Need) -> SafeString | str:
        return admin_link(row.congestion_point or row.area)


@admin.register(BaseFlow)
class BaseFlowAdmin(FactAdmin):
    list_display = ("auction", "congestion_point", "revision", "available_at")
    list_filter = ("auction",)
    list_select_related = ("auction", "congestion_point")


@admin.register(TransferLimit)
class TransferLimitAdmin(FactAdmin):
    list_display = ("auction", "from_area", "to_area", "link", "available_at")
    list_filter = ("auction",)
    list_select_related = ("auction", "from_area", "to_area", "link")


@admin.register(Bid)
class BidAdmin(FactAdmin):
    list_display = (
        "client_bid_id", "version", "auction", "organisation", "resource", "form", "mechanism",
        "state", "received_at",
    )  # fmt: skip
    list_filter = ("state", "form", "mechanism", "auction")
    list_select_related = ("auction", "organisation", "resource")
    search_fields = ("client_bid_id", "content_sha256")
    readonly_fields = ("content_link", "awards_link")

    @admin.display(description="内容")
    def content_link(self, row: Bid) -> SafeString | str:
        if row.auction.state in SEALED_STATES:
            return "封印中（締切まで開封できません）"
        return admin_link(BidContent(bid=row), "内容を見る")

    @admin.display(description="約定")
    def awards_link(self, row: Bid) -> SafeString | str:
        return admin_list_link("clearing.award", f"bid__id__exact={row.pk}", "約定を見る")


@admin.register(BidContent)
class BidContentAdmin(FactAdmin):
    """Contents of closed auctions only: before the gate nobody reads a bid, staff neither."""

    list_display = ("bid", "organisation", "auction")
    list_select_related = ("bid", "bid__auction", "bid__organisation")
    search_fields = ("bid__client_bid_id",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[BidContent]":
        rows: QuerySet[BidContent] = super().get_queryset(request)
        return rows.exclude(bid__auction__state__in=SEALED_STATES)

    @admin.display(description="組織")
    def organisation(self, row: BidContent) -> str:
        return str(row.bid.organisation)

    @admin.display(description="オークション")
    def auction(self, row: BidContent) -> SafeString | str:
        return admin_link(row.bid.auction)
