"""Statements: a party's periods, one of them, and the way from a yen to the need behind it."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from accounts.ledger.selectors import ledger_account_ids_of
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import PortalForm
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import Filter, listed
from aggregator.portal.money import selectors
from aggregator.portal.money.words import item_word
from aggregator.settlement.documents.confirming import document_confirm
from aggregator.settlement.documents.seen import documents_seen
from aggregator.settlement.documents_models import Document
from aggregator.settlement.models import SettlementLine, SettlementPeriod
from aggregator.settlement.seen import OPEN, line_view_of
from aggregator.settlement.selectors import needs_served
from market.trading.selectors import needs_seen

PAGE = "money_statements"
LINE_CSV = (
    "id", "auction", "item", "side", "koma", "quantity_kwh", "price_jpy_per_kwh",
    "amount_exact_jpy", "is_held",
)  # fmt: skip


def organisation_of(sight: Sight, code: str | None) -> tuple[Organisation, list[Organisation]]:
    """Return the party that is looked at, and those one may choose from.

    Raises
    ------
    Http404
        If it may not be seen; who may see none is told the same.
    """
    found = selectors.organisations_read(sight)
    for row in found:
        if code in (None, "", row.code):
            return row, found
    raise Http404(gettext("この明細は見つかりません。"))


@person_required()
@require_safe
def statement_list(request: HttpRequest) -> HttpResponse:
    """Show a party's periods with their money, documents and payments."""
    sight = sight_in(request)
    organisation, others = organisation_of(sight, request.GET.get("organisation"))
    listing = listed(
        request,
        selectors.periods_shown(organisation),
        sorts={"period": ("start_on", "id")},
        sort="-period",
    )
    rows = selectors.statement_rows(organisation, listing.shown)
    return render(
        request,
        "portal/money/statements.html",
        {
            **frame(request, page=PAGE),
            "organisation": organisation,
            "organisations": others,
            "listing": listing,
            "rows": rows,
            "standing": selectors.standing_of(organisation),
            "may_confirm": organisation.id in sight.organisations_for(OPEN),
        },
    )


class ConfirmForm(PortalForm):
    """Nothing to fill in: what is confirmed stands on the page."""


def _found(request: HttpRequest, code: str, day: date) -> tuple[Organisation, SettlementPeriod]:
    organisation, _ = organisation_of(sight_in(request), code)
    period = selectors.periods_shown(organisation).filter(start_on=day).first()
    if period is None:
        raise Http404(gettext("この明細は見つかりません。"))
    return organisation, period


@person_required()
@require_safe
def statement(request: HttpRequest, code: str, day: date) -> HttpResponse:
    """Show one period: what was bought and sold, day by day, its documents and payments."""
    organisation, period = _found(request, code, day)
    sight = sight_in(request)
    documents = list(
        documents_seen(seen_by=sight)
        .filter(organisation=organisation, period=period)
        .order_by("kind", "-revision")
    )
    latest = {row.kind: row for row in reversed(documents)}
    (row,) = selectors.statement_rows(organisation, [period])
    asked = latest.get("STATEMENT")
    may_answer = organisation.id in sight.organisations_for(OPEN)
    return render(
        request,
        "portal/money/statement.html",
        {
            **frame(request, page=PAGE),
            "organisation": organisation,
            "period": period,
            "row": row,
            "documents": documents,
            "sides": [
                (kind, latest[kind], selectors.items_of(latest[kind]))
                for kind in ("STATEMENT", "INVOICE")
                if kind in latest
            ],
            "items": [] if documents else selectors.items_closed(organisation, period),
            "account": latest.get("ACCOUNT"),
            "asked": asked if asked is not None and asked.state == "ISSUED" else None,
            "may_answer": may_answer,
            "disputes": selectors.disputes_of_period(organisation, period),
        },
    )


@person_required()
@require_http_methods(["GET", "POST"])
def statement_confirm(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Let a party agree to its statement, after it has seen once more what it agrees to."""
    sight = sight_in(request)
    row = documents_seen(seen_by=sight).filter(id=document_id, kind="STATEMENT").first()
    if row is None or row.organisation_id not in sight.organisations_for(OPEN):
        raise Http404(gettext("この明細は見つかりません。"))
    back = statement_url(row)

    def work(_: dict[str, Any]) -> Done:
        document_confirm(document_id=row.id, organisation=row.organisation, actor=sight.actor)
        return Done(url=back, said=gettext("%(number)s を確認しました。") % {"number": row.number})

    return FormPage(
        form=ConfirmForm,
        work=work,
        template="portal/money/confirm_statement.html",
        context=lambda _: {
            **frame(request, page=PAGE),
            "document": row,
            "organisation": row.organisation,
            "back_url": back,
        },
    ).answer(request)


def statement_url(document: Document) -> str:
    """Return the address of the period that a document is about."""
    return reverse(
        "portal:money_statement",
        args=[document.organisation.code, document.period.start_on],
    )


@person_required()
@require_safe
def lines(request: HttpRequest, code: str, day: date) -> HttpResponse:
    """List a party's settlement lines of one delivery day."""
    organisation, period = _found(request, code, day)
    on = _day_in(period, request.GET.get("day"))
    auctions, rows = selectors.lines_of_day(organisation=organisation, on=on)
    own = set(ledger_account_ids_of(organisation_ids=[organisation.id]))
    codes = sorted(rows.order_by().values_list("item", flat=True).distinct())
    listing = listed(
        request,
        rows,
        filters=[
            Filter(
                name="item",
                label=gettext("項目"),
                apply=lambda found, value: found.filter(item=value),
                choices=[(item, item_word(item)) for item in codes],
            ),
            Filter(
                name="held",
                label=gettext("支払"),
                apply=lambda found, value: found.filter(is_held=value == "1"),
                choices=[("1", gettext("保留中")), ("0", gettext("保留なし"))],
            ),
        ],
        sorts={"t": ("t", "id"), "amount": ("amount_exact_jpy", "id"), "item": ("item", "t", "id")},
        sort="item",
    )
    if listing.wants_csv:
        return listing.csv(
            f"lines-{organisation.code}-{on}.csv", LINE_CSV, lambda row: _cells(row, own)
        )
    return render(
        request,
        "portal/money/lines.html",
        {
            **frame(request, page=PAGE),
            "organisation": organisation,
            "period": period,
            "on": on,
            "auctions": auctions,
            "listing": listing,
            "rows": [(row, row.payee_id in own) for row in listing.shown],
            "may_dispute": organisation.id in sight_in(request).organisations_for(OPEN),
        },
    )


def _day_in(period: SettlementPeriod, text: str | None) -> date:
    """Return the delivery day asked for; the first of the period if none is."""
    try:
        on = period.start_on if not text else date.fromisoformat(text)
    except ValueError:
        raise Http404(gettext("この日は見つかりません。")) from None
    if not period.start_on <= on < period.end_on:
        raise Http404(gettext("この日は見つかりません。"))
    return on


def _cells(row: Any, own: set[int]) -> list[Any]:
    return [
        row.pk,
        row.run.auction.code,
        row.item,
        "RECEIVES" if row.payee_id in own else "PAYS",
        None if row.t is None else row.t + 1,
        row.quantity_kwh,
        row.price_jpy_per_kwh,
        row.amount_exact_jpy,
        row.is_held,
    ]


@person_required()
@require_safe
def line(request: HttpRequest, line_id: int) -> HttpResponse:
    """Show one line: its arithmetic, what it is part of, and the award and need it comes from."""
    sight = sight_in(request)
    view = line_view_of(sight)
    row = selectors.line_seen(view=view, line_id=line_id)
    if row is None:
        raise Http404(gettext("この明細は見つかりません。"))
    party = _party_of(row, sight)
    ids = view.account_ids
    if view.sees_all or len(view.own_ids) > 1:
        ids = frozenset(ledger_account_ids_of(organisation_ids=[party.id]))
    sees_award = row.award is not None and view.sees_award(row)
    return render(
        request,
        "portal/money/line.html",
        {
            **frame(request, page=PAGE),
            "line": row,
            "party": party,
            "is_received": row.payee_id in ids,
            "sees_award": sees_award,
            "sees_sides": view.sees_all,
            "chain": selectors.chain_of(row, account_ids=ids, needs=_needs(row, sight, sees_award)),
            "may_dispute": party.id in sight.organisations_for(OPEN),
        },
    )


def _party_of(row: SettlementLine, sight: Sight) -> Organisation:
    """Return the side from which a line is told: the caller's own, else who is paid or pays."""
    sides = (row.payee.organisation, row.payer.organisation)
    own = {one.id for one in sight.organisations}
    for side in sides:
        if side.id in own and side.id != sight.market_id:
            return side
    return next((side for side in sides if side.kind != "AGGREGATOR"), sides[0])


def _needs(row: SettlementLine, sight: Sight, sees_award: bool) -> list[Any]:  # noqa: FBT001 - one caller
    """Return the needs behind a line that the caller sees: its own, or those its award served."""
    if row.need_id is not None:
        ids = [row.need_id]
    elif sees_award and row.award_id is not None:
        ids = needs_served(row, row.award_id)
    else:
        return []
    found = {
        need.id: need
        for need in needs_seen(seen_by=sight)
        .filter(id__in=ids)
        .select_related("organisation", "congestion_point", "area")
    }
    return [found[need_id] for need_id in ids if need_id in found]
