"""Runs, lines and what the close made of them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from unfold.decorators import action

from accounts.fields.admin import FactAdmin, admin_link, admin_list_link
from accounts.parties.models import User
from accounts.parties.sight import sight_of
from aggregator.settlement.models import (
    BankAccount,
    Dispute,
    DisputedLine,
    DisputeEntry,
    DisputeEvidence,
    Document,
    DocumentFile,
    DocumentSeries,
    IncomingPayment,
    LineAdjustment,
    NegawattContract,
    PaymentBatch,
    PaymentFile,
    PaymentPart,
    PaymentResult,
    PaymentRow,
    RunTerms,
    RunTotal,
    SettlementItem,
    SettlementLine,
    SettlementPeriod,
    SettlementRun,
)


@admin.register(SettlementPeriod)
class SettlementPeriodAdmin(FactAdmin):
    list_display = ("label", "state", "closed_at", "items_link")
    list_filter = ("state",)
    date_hierarchy = "start_on"

    @admin.display(description="精算項目")
    def items_link(self, row: SettlementPeriod) -> SafeString | str:
        return admin_list_link(
            "settlement.settlementitem", f"period__id__exact={row.pk}", "精算項目"
        )


@admin.register(SettlementRun)
class SettlementRunAdmin(FactAdmin):
    list_display = (
        "auction", "kind", "revision", "cause_kind", "ruleset_version", "executed_at", "lines",
    )  # fmt: skip
    list_filter = ("kind", "cause_kind")
    list_select_related = ("auction",)

    @admin.display(description="明細")
    def lines(self, row: SettlementRun) -> SafeString | str:
        return admin_list_link("settlement.settlementline", f"run__id__exact={row.pk}", "明細")


@admin.register(SettlementLine)
class SettlementLineAdmin(FactAdmin):
    list_display = (
        "item", "payer", "payee", "t", "quantity_kwh", "price_jpy_per_kwh", "amount_exact_jpy",
        "award_link", "need_link",
    )  # fmt: skip
    list_filter = ("item",)
    list_select_related = ("payer__organisation", "payee__organisation", "award__bid", "need")
    ordering = ("-id",)
    readonly_fields = ("award_link", "need_link")

    @admin.display(description="約定")
    def award_link(self, row: SettlementLine) -> SafeString | str:
        return admin_link(row.award)

    @admin.display(description="必要量")
    def need_link(self, row: SettlementLine) -> SafeString | str:
        return admin_link(row.need)


@admin.register(LineAdjustment)
class LineAdjustmentAdmin(FactAdmin):
    list_display = ("run", "line", "quantity_kwh", "price_jpy_per_kwh", "amount_exact_jpy")
    list_select_related = ("run__auction", "line")
    ordering = ("-id",)


@admin.register(NegawattContract)
class NegawattContractAdmin(FactAdmin):
    list_display = (
        "retailer", "site", "resource", "method", "price_jpy_per_kwh", "valid_from_on",
        "valid_to_on",
    )  # fmt: skip
    list_filter = ("method",)
    list_select_related = ("retailer", "site", "resource")


@admin.register(RunTerms)
class RunTermsAdmin(FactAdmin):
    list_display = ("run", "content_sha256")
    list_select_related = ("run__auction",)
    ordering = ("-id",)


@admin.register(RunTotal)
class RunTotalAdmin(FactAdmin):
    list_display = ("run", "account", "item", "total_exact_jpy")
    list_select_related = ("run__auction", "account__organisation")
    ordering = ("-id",)


@admin.register(SettlementItem)
class SettlementItemAdmin(FactAdmin):
    list_display = ("period", "close_number", "account", "item", "amount_jpy", "transfer_link")
    list_filter = ("period",)
    list_select_related = ("period", "account__organisation", "transfer")
    search_fields = ("item",)
    readonly_fields = ("transfer_link", "lines_link")

    @admin.display(description="仕訳")
    def transfer_link(self, row: SettlementItem) -> SafeString | str:
        return admin_link(row.transfer)

    @admin.display(description="明細")
    def lines_link(self, row: SettlementItem) -> SafeString | str:
        return admin_list_link(
            "settlement.settlementline", f"item__exact={row.item}", "この項目の明細"
        )


@admin.register(Dispute)
class DisputeAdmin(FactAdmin):
    list_display = (
        "opened_at", "organisation", "counterparty", "reason_code", "disputed_exact_jpy", "state",
        "is_held", "entries_link",
    )  # fmt: skip
    list_filter = ("state", "reason_code", "is_held")
    list_select_related = ("organisation", "counterparty")
    date_hierarchy = "opened_at"

    @admin.display(description="経過")
    def entries_link(self, row: Dispute) -> SafeString | str:
        return admin_list_link("settlement.disputeentry", f"dispute__id__exact={row.pk}", "経過")


@admin.register(DisputedLine)
class DisputedLineAdmin(FactAdmin):
    list_display = ("dispute", "line")
    list_select_related = ("dispute__organisation", "line")
    ordering = ("-id",)


@admin.register(DisputeEntry)
class DisputeEntryAdmin(FactAdmin):
    list_display = ("at", "dispute", "organisation", "actor", "kind", "text")
    list_filter = ("kind",)
    list_select_related = ("dispute__organisation", "organisation")
    ordering = ("-id",)


@admin.register(DisputeEvidence)
class DisputeEvidenceAdmin(FactAdmin):
    list_display = ("added_at", "dispute", "organisation", "name", "size_bytes", "sha256")
    list_select_related = ("dispute__organisation", "organisation")
    exclude = ("content",)
    ordering = ("-added_at",)


@admin.register(Document)
class DocumentAdmin(FactAdmin):
    list_display = (
        "number", "kind", "organisation", "period", "revision", "issued_on", "total_jpy", "tax_jpy",
        "state", "files_link",
    )  # fmt: skip
    list_filter = ("kind", "state")
    list_select_related = ("organisation", "period")
    search_fields = ("number", "organisation__code", "organisation__name")
    date_hierarchy = "issued_on"

    @admin.display(description="ファイル")
    def files_link(self, row: Document) -> SafeString | str:
        return admin_list_link(
            "settlement.documentfile", f"document__id__exact={row.pk}", "ファイル"
        )


@admin.register(DocumentFile)
class DocumentFileAdmin(FactAdmin):
    list_display = ("document", "language", "format", "size_bytes", "sha256", "made_at")
    list_select_related = ("document",)
    exclude = ("content",)
    ordering = ("-id",)


@admin.register(DocumentSeries)
class DocumentSeriesAdmin(FactAdmin):
    list_display = ("fiscal_year", "kind", "last_sequence")


@admin.register(BankAccount)
class BankAccountAdmin(FactAdmin):
    list_display = (
        "organisation", "bank_code", "branch_code", "kind", "masked_number", "holder", "state",
        "proposed_by", "activated_at",
    )  # fmt: skip
    list_filter = ("state",)
    list_select_related = ("organisation",)
    search_fields = ("organisation__code", "holder")
    exclude = ("number",)  # shown masked, here as everywhere
    readonly_fields = ("masked_number",)
    actions_detail = ("compare",)

    def has_release_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether the person releases payments: staff alone is not enough."""
        del object_id
        user = request.user
        return isinstance(user, User) and sight_of(user).may_everywhere("payment.release")

    @action(description="見比べて承認", permissions=["release"])
    def compare(self, request: HttpRequest, object_id: str) -> HttpResponse:
        del request
        return redirect("portal:money_bank", bank_account_id=object_id)


@admin.register(PaymentBatch)
class PaymentBatchAdmin(FactAdmin):
    list_display = (
        "pay_on", "state", "file_format", "rows_count", "total_jpy", "created_by", "released_by",
        "released_at", "rows_link",
    )  # fmt: skip
    list_filter = ("state", "file_format")
    list_select_related = ("payer",)
    date_hierarchy = "pay_on"
    # acts lead to the pages where sums are seen first and two people are asked
    actions_list = ("propose",)
    actions_detail = ("release", "take_in_result")

    def has_release_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether the person releases payments: staff alone is not enough."""
        del object_id
        user = request.user
        return isinstance(user, User) and sight_of(user).may_everywhere("payment.release")

    @action(description="振込を作成", permissions=["release"])
    def propose(self, request: HttpRequest) -> HttpResponse:
        del request
        return redirect("portal:money_payment_new")

    @action(description="承認・送付の確定", permissions=["release"])
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        del request
        return redirect("portal:money_payment", batch_id=object_id)

    @action(description="結果の取込", url_path="result", permissions=["release"])
    def take_in_result(self, request: HttpRequest, object_id: str) -> HttpResponse:
        del request
        return redirect("portal:money_payment_act", batch_id=object_id, act="result")

    @admin.display(description="振込")
    def rows_link(self, row: PaymentBatch) -> SafeString | str:
        return admin_list_link("settlement.paymentrow", f"batch__id__exact={row.pk}", "振込")


@admin.register(PaymentFile)
class PaymentFileAdmin(FactAdmin):
    list_display = ("batch", "format", "position", "sha256")
    list_select_related = ("batch",)
    exclude = ("content",)
    ordering = ("-id",)


@admin.register(PaymentRow)
class PaymentRowAdmin(FactAdmin):
    list_display = (
        "batch", "reference", "organisation", "bank_account", "amount_jpy", "state", "reason",
    )  # fmt: skip
    list_filter = ("state",)
    list_select_related = ("batch", "organisation", "bank_account")
    ordering = ("-id",)


@admin.register(PaymentPart)
class PaymentPartAdmin(FactAdmin):
    list_display = ("row", "document", "net_jpy", "held_jpy", "moved_jpy", "amount_jpy")
    list_select_related = ("row__organisation", "document")
    ordering = ("-id",)


@admin.register(PaymentResult)
class PaymentResultAdmin(FactAdmin):
    list_display = ("imported_at", "batch", "imported_by", "sha256")
    list_select_related = ("batch",)
    exclude = ("content",)
    ordering = ("-id",)


@admin.register(IncomingPayment)
class IncomingPaymentAdmin(FactAdmin):
    list_display = ("received_on", "organisation", "document", "amount_jpy", "reference")
    list_select_related = ("organisation", "document")
    search_fields = ("reference", "organisation__code")
    date_hierarchy = "received_on"
