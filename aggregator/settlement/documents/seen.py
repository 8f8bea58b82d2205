"""Documents a caller sees, searched by partner, date and amount (電子帳簿保存法)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import QuerySet

from accounts.parties.sight import Sight
from aggregator.settlement.documents_models import Document
from aggregator.settlement.payments_models import BatchState, PaymentPart
from aggregator.settlement.seen import READ


@dataclass(frozen=True, kw_only=True)
class DocumentSearch:
    """What is looked for; None and empty text leave a question open.

    Dates and amounts are ranges with both ends in them; amounts are totals with tax, as the
    document states them.
    """

    organisation: str = ""
    kind: str = ""
    issued_from: date | None = None
    issued_to: date | None = None
    period_on: date | None = None
    total_from_jpy: int | None = None
    total_to_jpy: int | None = None
    is_latest: bool = False


def documents_seen(*, seen_by: Sight) -> QuerySet[Document]:
    """Documents of a caller's organisations, or all for the market."""
    rows = Document.objects.select_related("organisation", "period", "corrects", "corrected_by")
    if seen_by.may_everywhere(READ):
        return rows
    return rows.filter(organisation_id__in=seen_by.organisations_for(READ))


def documents_found(rows: QuerySet[Document], search: DocumentSearch) -> QuerySet[Document]:
    """Narrow documents to what is looked for; the three questions may be asked together."""
    asked = {
        "organisation__code": search.organisation or None,
        "kind": search.kind or None,
        "issued_on__gte": search.issued_from,
        "issued_on__lte": search.issued_to,
        "period__start_on": search.period_on,
        "total_jpy__gte": search.total_from_jpy,
        "total_jpy__lte": search.total_to_jpy,
    }
    rows = rows.filter(**{name: value for name, value in asked.items() if value is not None})
    return rows.filter(corrected_by__isnull=True) if search.is_latest else rows


def payments_of(document: Document) -> QuerySet[PaymentPart]:
    """Parts of released transfers that pay an account, whatever revision of it they name."""
    return (
        PaymentPart.objects.filter(
            document__kind=document.kind,
            document__period_id=document.period_id,
            document__organisation_id=document.organisation_id,
        )
        .exclude(row__batch__state__in=[BatchState.DRAFT, BatchState.REJECTED])
        .select_related("row__batch", "row__bank_account")
        .order_by("id")
    )
