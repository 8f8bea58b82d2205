"""Public results: the archive, a day's prices, volumes and congestion, files, and how to verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from aggregator.portal import days, facts, selectors, words
from aggregator.portal.frame import frame
from aggregator.portal.lists import Filter, csv_answer, day_of, listed
from aggregator.portal.public import country
from aggregator.portal.public.certificates import certificate_answer
from aggregator.portal.public.price_sheets import HEADER, PRICES, price_sheet
from market.clearing import published
from market.clearing.models import ClearingRun
from market.registry.models import Area
from market.trading.models import Auction

HALF_HOUR_H: Final = Decimal("0.5")
ARCHIVE_HEADER = (
    "auction", "delivery_on", "state", "gate_closure_at", "published_at", "objective_jpy",
    "result_sha256",
)  # fmt: skip


@require_safe
def archive(request: HttpRequest) -> HttpResponse:
    """All published results, the latest delivery first."""
    rows = listed(
        request,
        ClearingRun.objects.filter(state="PUBLISHED")
        .select_related("auction")
        .defer("result", "certificate"),
        filters=(
            Filter(
                name="from",
                label=gettext("受渡日（から）"),
                apply=lambda found, value: _since(found, value, "gte"),
                kind="date",
            ),
            Filter(
                name="until",
                label=gettext("受渡日（まで）"),
                apply=lambda found, value: _since(found, value, "lte"),
                kind="date",
            ),
        ),
        sorts={"delivery": ("auction__delivery_on", "id")},
        sort="-delivery",
    )
    if rows.wants_csv:
        return rows.csv(
            "results.csv",
            ARCHIVE_HEADER,
            lambda run: (
                run.auction.code, run.auction.delivery_on, run.auction.state,
                run.auction.gate_closure_at, run.published_at, run.objective_jpy,
                run.result_sha256,
            ),
        )  # fmt: skip
    context = {
        **frame(request, page="pub_archive"),
        "listing": rows,
        "results": [(run, facts.state_of(run.auction)) for run in rows.shown],
    }
    return render(request, "portal/public/archive.html", context)


def _since(found: Any, value: str, compared: str) -> Any:
    day = day_of(value)
    return (
        found.none() if day is None else found.filter(**{f"auction__delivery_on__{compared}": day})
    )


def _published(request: HttpRequest, day: date) -> tuple[days.Chosen, ClearingRun]:
    chosen = days.chosen_of(request, day)
    if chosen.run is None:
        raise Http404(gettext("この日の結果はまだ公表されていません。"))
    return chosen, chosen.run


@require_safe
def congestion(request: HttpRequest, day: date) -> HttpResponse:
    """Say what scarce things earned, who gave how much by which means, and every price."""
    chosen, run = _published(request, day)
    before, after = selectors.days_beside(day)
    areas = {area.code: area for area in Area.objects.all()}
    loadings = selectors.loadings(chosen.auction, run, seen_by=chosen.sight)
    prices = {row["area_id"]: row["price"] for row in published.area_prices(run)}
    volumes = [
        {
            "area": areas[row.area],
            "direction": row.direction,
            "mechanism": row.mechanism,
            "product": row.product or "",
            "max_kw": max(row.quantity_kw),
            "energy_kwh": sum(row.quantity_kw, Decimal(0)) * HALF_HOUR_H,
        }
        for row in published.volumes(run)
    ]
    names = {row.point.code: words.local_name(row.point) for row in loadings}
    rents = [{**row, "name": names.get(row["code"], row["code"])} for row in published.rents(run)]
    results = selectors.need_results(chosen.auction, run, at=chosen.now.now)
    rows = country.area_rows(areas, prices, volumes, loadings)
    by = country.by_of(request.GET.get("by"))
    context = {
        **frame(request, page="pub_archive", now=chosen.now),
        "chosen": chosen,
        "run": run,
        "day_before": before,
        "day_after": after,
        "rows": rows,
        "by": by,
        "map": country.country_map(areas, rows, by),
        "ways": country.words_by(),
        "volumes": volumes,
        "rents": rents,
        "rent_jpy": sum((row["amount_jpy"] for row in rents), Decimal(0)),
        "loadings": loadings,
        "totals": facts.totals_of(results),
        "state": facts.state_of(chosen.auction),
    }
    return render(request, "portal/public/congestion.html", context)


def _volume_rows(auction: Auction, run: ClearingRun) -> list[tuple[Any, ...]]:
    return [
        (
            auction.code, auction.delivery_on, row.area, row.direction, row.mechanism,
            row.product or "", t + 1, kw,
        )
        for row in published.volumes(run)
        for t, kw in enumerate(row.quantity_kw)
        if kw
    ]  # fmt: skip


def _line_rows(auction: Auction, run: ClearingRun) -> list[tuple[Any, ...]]:
    return [
        (
            auction.code, auction.delivery_on, row["congestion_point__code"], t + 1,
            row["congestion_point__rating_kw"], before_kw, after_kw,
        )
        for row in published.element_flows(run)
        for t, (before_kw, after_kw) in enumerate(zip(row["before"], row["after"], strict=True))
    ]  # fmt: skip


def _rent_rows(auction: Auction, run: ClearingRun) -> list[tuple[Any, ...]]:
    return [
        (auction.code, auction.delivery_on, row["kind"], row["code"], row["amount_jpy"])
        for row in published.rents(run)
    ]


Sheet = tuple[tuple[str, ...], Callable[[Auction, ClearingRun], list[tuple[Any, ...]]]]
SHEETS: Final[Mapping[str, Sheet]] = {
    "volumes": (
        (
            "auction", "delivery_on", "area", "direction", "mechanism", "product", "koma",
            "quantity_kw",
        ),
        _volume_rows,
    ),
    "lines": (
        (
            "auction", "delivery_on", "element", "koma", "rating_kw", "before_kw", "after_kw",
        ),
        _line_rows,
    ),
    "rents": (("auction", "delivery_on", "kind", "code", "amount_jpy"), _rent_rows),
}  # fmt: skip


@require_safe
def sheet(request: HttpRequest, day: date, name: str) -> HttpResponse:
    """Hand out one table of a day as CSV."""
    if name not in SHEETS and name != PRICES:
        raise Http404(gettext("このページは見つかりません。"))
    chosen, run = _published(request, day)
    if name == PRICES:
        return _prices(request, chosen.auction, run)
    header, rows = SHEETS[name]
    return csv_answer(f"{name}-{chosen.auction.code}.csv", header, rows(chosen.auction, run))


def _prices(request: HttpRequest, auction: Auction, run: ClearingRun) -> HttpResponse:
    """Hand out the longest table from what is kept, or say that the visitor has it."""
    kept = price_sheet(run)
    answer = HttpResponse(kept.body, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{PRICES}-{auction.code}.csv"'
    answer["ETag"] = kept.etag
    # who has the file asks whether it still holds: sites move, a later result may take its place
    answer["Cache-Control"] = "no-cache"
    found: HttpResponse | None = get_conditional_response(request, etag=kept.etag, response=answer)
    return answer if found is None else found


@require_safe
def certificate(request: HttpRequest, day: date) -> HttpResponse:
    """Hand out the certificate of a day's result."""
    chosen, _ = _published(request, day)
    return certificate_answer(chosen.auction)


@require_safe
def verify(request: HttpRequest) -> HttpResponse:
    """Tell how anybody checks a result, and a bidder that its bids were in the book."""
    return render(request, "portal/public/verify.html", frame(request, page="pub_verify"))


@require_safe
def downloads(request: HttpRequest) -> HttpResponse:
    """List the files of each day and what their columns say."""
    recent = (
        ClearingRun.objects.filter(state="PUBLISHED")
        .select_related("auction")
        .defer("result", "certificate")
        .order_by("-auction__delivery_on", "id")[:30]
    )
    context = {
        **frame(request, page="pub_downloads"),
        "runs": list(recent),
        "sheets": [(PRICES, HEADER), *((name, header) for name, (header, _) in SHEETS.items())],
    }
    return render(request, "portal/public/downloads.html", context)
