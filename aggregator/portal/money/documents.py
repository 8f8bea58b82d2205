"""Search of documents by date, amount and partner (電子帳簿保存法), and their files."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.core.money import JPY_MAX
from aggregator.portal import words
from aggregator.portal.entering import person_required
from aggregator.portal.forms import read_number
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import Filter, Rows, day_of, listed
from aggregator.portal.money import selectors
from aggregator.portal.money.words import kind_word
from aggregator.settlement.documents.seen import documents_seen
from aggregator.settlement.documents_models import Document, Kind

PAGE = "money_statements"
DOCUMENT_CSV = (
    "number", "kind", "organisation", "period", "issued_on", "total_jpy", "tax_jpy", "state",
    "corrects", "content_sha256",
)  # fmt: skip


@person_required()
@require_safe
def document_list(request: HttpRequest) -> HttpResponse:
    """List documents, narrowed by partner, days and amounts, each as a range and together."""
    sight = sight_in(request)
    organisations = selectors.organisations_read(sight)
    if not organisations:
        raise Http404(gettext("見つかりません。"))
    listing = listed(
        request,
        documents_seen(seen_by=sight).defer("content"),
        filters=[
            *(_partner(organisations) if len(organisations) > 1 else ()),
            Filter(
                name="kind",
                label=gettext("種類"),
                apply=lambda rows, value: rows.filter(kind=value),
                choices=[(kind, kind_word(kind)) for kind in Kind.values],
            ),
            _day("issued_from", gettext("発行日（から）"), "gte"),
            _day("issued_to", gettext("発行日（まで）"), "lte"),
            _yen("total_from", gettext("金額（円、以上）"), "gte"),
            _yen("total_to", gettext("金額（円、以下）"), "lte"),
            Filter(
                name="latest",
                label=gettext("訂正された文書"),
                apply=lambda rows, _: rows.filter(corrected_by__isnull=True),
                choices=[("1", gettext("除く"))],
            ),
        ],
        sorts={
            "number": ("number", "id"),
            "issued": ("issued_on", "id"),
            "total": ("total_jpy", "id"),
        },
        sort="-issued",
    )
    if listing.wants_csv:
        return listing.csv("documents.csv", DOCUMENT_CSV, _cells)
    return render(
        request,
        "portal/money/documents.html",
        {
            **frame(request, page=PAGE),
            "listing": listing,
            "sees_many": len(organisations) > 1,
        },
    )


def _partner(organisations: Sequence[Any]) -> list[Filter]:
    return [
        Filter(
            name="organisation",
            label=gettext("取引先"),
            apply=lambda rows, value: rows.filter(organisation__code=value),
            choices=[(row.code, words.local_name(row)) for row in organisations],
        )
    ]


def _day(name: str, label: str, bound: str) -> Filter:
    def narrow(rows: Rows, value: str) -> Rows:
        day = day_of(value)
        return rows.none() if day is None else rows.filter(**{f"issued_on__{bound}": day})

    return Filter(name=name, label=label, apply=narrow, kind="date")


def _yen(name: str, label: str, bound: str) -> Filter:
    """Narrow by an amount as people type it: 1,039,500, １０３万, −20,790."""

    def narrow(rows: Rows, value: str) -> Rows:
        try:
            amount = read_number(value)
        except ValueError:
            return rows.none()
        if amount != amount.to_integral_value() or abs(amount) > JPY_MAX:
            return rows.none()
        return rows.filter(**{f"total_jpy__{bound}": int(Decimal(amount))})

    return Filter(name=name, label=label, apply=narrow)


def _cells(row: Document) -> Sequence[Any]:
    return [
        row.number,
        row.kind,
        row.organisation.code,
        row.period.label,
        row.issued_on,
        row.total_jpy,
        row.tax_jpy,
        row.state,
        "" if row.corrects is None else row.corrects.number,
        row.content_sha256,
    ]
