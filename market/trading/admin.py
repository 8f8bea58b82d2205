"""Auctions, needs and bids. Of an open auction's bids staff see how many there are, no more."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from accounts.fields.admin import FactAdmin, admin_link, admin_list_link
from accounts.parties.sight import sight_of
from market.trading.models import (
    Auction,
    AuctionState,
    BaseFlow,
    Bid,
    BidContent,
    BidState,
    BookKey,
    BookOpening,
    BookRoot,
    Envelope,
    Need,
    NeedStep,
    OwnerKey,
    ReceiptKey,
    SealedBasket,
    StandingBid,
    StandingBidContent,
    StandingRenewal,
    TransferLimit,
)
from market.trading.selectors import OPEN_BOOK_STATES

SEALED_STATES = (AuctionState.SCHEDULED, AuctionState.OPEN)


@admin.register(Auction)
class AuctionAdmin(FactAdmin):
    list_display = ("code", "delivery_on", "state", "gate_closure_at", "needs", "bids", "runs")
    list_filter = ("state",)
    search_fields = ("code", "name")
    date_hierarchy = "delivery_on"
    readonly_fields = ("bids_in_book",)

    @admin.display(description="板の入札数")
    def bids_in_book(self, row: Auction) -> int:
        return Bid.objects.filter(auction=row, state=BidState.SUBMITTED).count()

    @admin.display(description="必要量")
    def needs(self, row: Auction) -> SafeString | str:
        return admin_list_link("trading.need", f"auction__id__exact={row.pk}", "必要量")

    @admin.display(description="入札")
    def bids(self, row: Auction) -> SafeString | str:
        return admin_list_link("trading.bid", f"auction__id__exact={row.pk}", "入札")

    @admin.display(description="約定計算")
    def runs(self, row: Auction) -> SafeString | str:
        return admin_list_link("clearing.clearingrun", f"auction__id__exact={row.pk}", "約定計算")


class NeedStepInline(TabularInline):
    model = NeedStep
    extra = 0
    can_delete = False

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        del request, obj
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        del request, obj
        return False

    def has_view_permission(self, request: object, obj: object = None) -> bool:
        del request, obj
        return True  # needs are public


@admin.register(Need)
class NeedAdmin(FactAdmin):
    list_display = (
        "code", "revision", "auction", "kind", "place", "product", "direction", "pricing", "state",
    )  # fmt: skip
    list_filter = ("kind", "direction", "pricing", "state", "auction")
    list_select_related = ("auction", "congestion_point", "area", "product")
    search_fields = ("code",)
    inlines = (NeedStepInline,)

    @admin.display(description="場所")
    def place(self, row: Need) -> SafeString | str:
        return admin_link(row.congestion_point or row.area)


@admin.register(NeedStep)
class NeedStepAdmin(FactAdmin):
    list_display = ("need", "number")
    list_select_related = ("need",)
    ordering = ("-id",)


@admin.register(Envelope)
class EnvelopeAdmin(FactAdmin):
    list_display = ("auction", "site", "kind", "revision", "organisation", "available_at")
    list_filter = ("kind", "auction")
    list_select_related = ("auction", "site", "organisation")


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
        "client_bid_id", "version", "auction", "organisation", "subject", "form", "mechanism",
        "state", "received_at",
    )  # fmt: skip
    list_filter = ("state", "form", "mechanism", "auction")
    list_select_related = ("auction", "organisation", "resource", "portfolio", "site")
    search_fields = ("client_bid_id", "leaf_sha256")
    readonly_fields = ("content_link", "awards_link", "outcomes_link")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Bid]":
        rows: QuerySet[Bid] = super().get_queryset(request)
        return rows.exclude(auction__state__in=SEALED_STATES)

    @admin.display(description="対象")
    def subject(self, row: Bid) -> SafeString | str:
        return admin_link(row.resource or row.portfolio or row.site)

    @admin.display(description="結果")
    def outcomes_link(self, row: Bid) -> SafeString | str:
        return admin_list_link("clearing.bidoutcome", f"bid__id__exact={row.pk}", "結果を見る")

    @admin.display(description="内容")
    def content_link(self, row: Bid) -> SafeString | str:
        content = BidContent.objects.filter(bid=row).first()
        return "未開封" if content is None else admin_link(content, "内容を見る")

    @admin.display(description="約定")
    def awards_link(self, row: Bid) -> SafeString | str:
        return admin_list_link("clearing.award", f"bid__id__exact={row.pk}", "約定を見る")


@admin.register(BidContent)
class BidContentAdmin(FactAdmin):
    """Contents of auctions with a result only, to who may read a book: others of the staff not."""

    list_display = ("bid", "organisation", "auction")
    list_select_related = ("bid", "bid__auction", "bid__organisation")
    search_fields = ("bid__client_bid_id",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[BidContent]":
        rows: QuerySet[BidContent] = super().get_queryset(request)
        if not sight_of(request.user).may_everywhere("book.read"):
            return rows.none()
        return rows.filter(bid__auction__state__in=OPEN_BOOK_STATES)

    @admin.display(description="組織")
    def organisation(self, row: BidContent) -> str:
        return str(row.bid.organisation)

    @admin.display(description="オークション")
    def auction(self, row: BidContent) -> SafeString | str:
        return admin_link(row.bid.auction)


@admin.register(SealedBasket)
class SealedBasketAdmin(FactAdmin):
    """Envelopes of closed auctions; what is in them nobody sees here."""

    list_display = ("id", "auction", "organisation", "leaf_count", "received_at", "book_key")
    list_filter = ("auction",)
    list_select_related = ("auction", "organisation", "book_key")
    ordering = ("-received_at",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[SealedBasket]":
        rows: QuerySet[SealedBasket] = super().get_queryset(request)
        return rows.exclude(auction__state__in=SEALED_STATES).defer("ciphertext")


@admin.register(BookRoot)
class BookRootAdmin(FactAdmin):
    list_display = ("auction", "merkle_root", "leaf_count", "made_at")
    list_select_related = ("auction",)


@admin.register(BookOpening)
class BookOpeningAdmin(FactAdmin):
    list_display = ("auction", "opened_at", "opened_count", "quarantined_count")
    list_select_related = ("auction",)


@admin.register(BookKey)
class BookKeyAdmin(FactAdmin):
    list_display = ("id", "created_at", "retired_at")


@admin.register(ReceiptKey)
class ReceiptKeyAdmin(FactAdmin):
    list_display = ("id", "created_at")


@admin.register(OwnerKey)
class OwnerKeyAdmin(FactAdmin):
    list_display = ("id", "organisation", "created_at", "retired_at")
    list_select_related = ("organisation",)


@admin.register(StandingBid)
class StandingBidAdmin(FactAdmin):
    list_display = ("code", "organisation", "valid_from_on", "valid_to_on", "weekdays", "state")
    list_filter = ("state",)
    list_select_related = ("organisation",)
    search_fields = ("code",)


@admin.register(StandingBidContent)
class StandingBidContentAdmin(FactAdmin):
    """Never shown: what is renewed at the next gate is sealed as long as it is renewed."""

    list_display = ("standing_bid",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[StandingBidContent]":
        rows: QuerySet[StandingBidContent] = super().get_queryset(request)
        return rows.none()


@admin.register(StandingRenewal)
class StandingRenewalAdmin(FactAdmin):
    list_display = ("standing_bid", "auction", "bid_link", "refusal")
    list_filter = ("auction",)
    list_select_related = ("standing_bid", "auction", "bid")
    ordering = ("-id",)

    @admin.display(description="入札")
    def bid_link(self, row: StandingRenewal) -> SafeString | str:
        return admin_link(row.bid)
