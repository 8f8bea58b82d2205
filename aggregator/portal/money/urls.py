"""Paths of money pages; the names live in the namespace ``portal``."""

from __future__ import annotations

from django.urls import URLPattern, path

from aggregator.portal.money import (
    banks,
    closes,
    corrections,
    disputes,
    documents,
    payments,
    statements,
)

ONE = "statements/<slug:code>/<iso_day:day>/"
urlpatterns: list[URLPattern] = [
    path("statements/", statements.statement_list, name="money_statements"),
    path(ONE, statements.statement, name="money_statement"),
    path(f"{ONE}lines/", statements.lines, name="money_lines"),
    path("lines/<int:line_id>/", statements.line, name="money_line"),
    path(
        "documents/<uuid:document_id>/confirm/",
        statements.statement_confirm,
        name="money_statement_confirm",
    ),
    path("documents/", documents.document_list, name="money_documents"),
    path("disputes/", disputes.dispute_list, name="money_disputes"),
    path("disputes/new/", disputes.dispute_raise, name="money_dispute_new"),
    path("disputes/<uuid:dispute_id>/", disputes.dispute, name="money_dispute"),
    path(
        "disputes/<uuid:dispute_id>/evidence/<uuid:evidence_id>/",
        disputes.evidence,
        name="money_evidence",
    ),
    path(
        "disputes/<uuid:dispute_id>/correct/",
        corrections.dispute_correct,
        name="money_dispute_correct",
    ),
    path("disputes/<uuid:dispute_id>/<slug:act>/", disputes.dispute, name="money_dispute_act"),
    path("closes/", closes.close_list, name="money_closes"),
    path("closes/reconcile/", closes.reconciliation, name="money_reconcile"),
    path("payments/", payments.payment_list, name="money_payments"),
    path("payments/new/", payments.payment_new, name="money_payment_new"),
    path("payments/<uuid:batch_id>/", payments.payment, name="money_payment"),
    path(
        "payments/<uuid:batch_id>/files/<slug:file_format>/<int:position>/",
        payments.payment_file,
        name="money_payment_file",
    ),
    path("payments/<uuid:batch_id>/<slug:act>/", payments.payment, name="money_payment_act"),
    path("banks/", banks.bank_list, name="money_banks"),
    path("banks/new/", banks.bank_new, name="money_bank_new"),
    path("banks/<uuid:bank_account_id>/", banks.bank, name="money_bank"),
    path("banks/<uuid:bank_account_id>/<slug:act>/", banks.bank, name="money_bank_act"),
]
