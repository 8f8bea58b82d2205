"""The market day: what was needed, who served it at which price, what it did to the lines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.core.csvtext import csv_bytes
from accounts.parties.sight import Sight
from aggregator.portal import facts, selectors, words
from aggregator.portal.award_sums import award_sums
from aggregator.portal.drawing import drawn
from aggregator.portal.frame import MarketTime, frame, market_time, sight_in, theme_in
from aggregator.portal.tokens import THEMES, Palette
from market.clearing.models import ClearingRun
from market.trading.models import Auction

PANELS = ("need", "price", "lines")
LOADING_ROWS_MAX = 14
NEEDS_HEADER = (
    "auction", "need", "kind", "place", "direction", "delivery_on", "koma", "need_kw", "served_kw",
    "unserved_kw", "price_jpy_per_kwh",
)  # fmt: skip
KOMA = re.compile(r"[0-9]{1,2}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the address chooses: an auction of a day, and who asks."""

    day: date
    auction: Auction
    auctions: list[Auction]
    run: ClearingRun | None
    now: MarketTime
    sight: Sight

    @property
    def query(self) -> str:
        """The part of the address that keeps the choice, if it is not the first auction."""
        return "" if self.auction == self.auctions[0] else f"auction={self.auction.code}&"


def chosen_of(request: HttpRequest, day: date) -> Chosen:
    """Read what the address chooses; a day without an auction does not exist."""
    auctions = selectors.auctions_on(day)
    code = request.GET.get("auction")
    auction = next((row for row in auctions if code in (None, row.code)), None)
    if auction is None:
        raise Http404(gettext("この日のオークションはありません。"))
    return Chosen(
        day=day,
        auction=auction,
        auctions=auctions,
        run=selectors.run_published(auction),
        now=market_time(),
        sight=sight_in(request),
    )


@require_safe
def latest(request: HttpRequest) -> HttpResponse:
    """Go to the latest day with a result; without any, say what will stand here."""
    day = selectors.day_latest()
    if day is None:
        return render(request, "portal/day_none.html", frame(request, page="day"))
    return redirect("portal:pub_result_day", day=day)


@require_safe
def result_day(request: HttpRequest, day: date) -> HttpResponse:
    """Show a day, or the one panel that htmx asks for by its id."""
    chosen = chosen_of(request, day)
    target = (request.headers.get("HX-Target") or "").removesuffix("-panel")
    if request.headers.get("HX-Request") and target in PANELS:
        content = {"chosen": chosen, **_panel(request, chosen, target)}
        answer = render(request, f"portal/day_{target}.html", content)
    else:
        answer = render(request, "portal/day.html", page_of(request, chosen))
    patch_vary_headers(answer, ("HX-Request", "HX-Target"))
    return answer


def page_of(request: HttpRequest, chosen: Chosen, *, page: str = "day") -> dict[str, Any]:
    """Return everything the page of a day says."""
    results = _needs(chosen)
    loadings = _loadings(chosen)
    before, after = selectors.days_beside(chosen.day)
    awards, award_totals = _awards(chosen)
    sees_instructions = chosen.sight.may_somewhere(
        "instruction.read"
    ) or chosen.sight.may_somewhere("instruction.answer")
    instructions = (
        selectors.instructions_seen(chosen.auction, seen_by=chosen.sight)
        if chosen.run and sees_instructions
        else None
    )
    first = None if instructions is None else selectors.instructions_first(instructions)
    instructions_count = len(first or ())
    if instructions is not None and instructions_count == selectors.ROWS_SHOWN_MAX:
        instructions_count = instructions.count()
    return {
        **frame(request, page=page, now=chosen.now),
        "chosen": chosen,
        "day_before": before,
        "day_after": after,
        "state": facts.state_of(chosen.auction),
        "sentence": facts.sentence_of(chosen.auction, results, loadings),
        "kpis": facts.kpis_of(results, loadings),
        "results": results,
        "totals": facts.totals_of(results),
        "awards": awards,
        "sees_all_awards": chosen.sight.may_everywhere("award.read"),
        "award_totals": award_totals,
        "instructions": first,
        "instructions_count": instructions_count,
        "loading_rows_max": LOADING_ROWS_MAX,
        **_need_panel(request, chosen, results),
        **_price_panel(request, chosen),
        **lines_panel(request, loadings),
    }


def network_of_day(request: HttpRequest, chosen: Chosen, *, page: str) -> dict[str, Any]:
    """Return what a day's page says of needs and lines, without prices, awards and orders."""
    results = _needs(chosen)
    before, after = selectors.days_beside(chosen.day)
    return {
        **frame(request, page=page, now=chosen.now),
        "chosen": chosen,
        "day_before": before,
        "day_after": after,
        "state": facts.state_of(chosen.auction),
        "results": results,
        "loading_rows_max": LOADING_ROWS_MAX,
        **_need_panel(request, chosen, results),
        **lines_panel(request, _loadings(chosen)),
    }


def _awards(chosen: Chosen) -> tuple[list[selectors.AwardSeen] | None, Any]:
    """Return the first awards the viewer may see, None if none ever, and the sums of all."""
    if chosen.run is None or not chosen.sight.may_somewhere("award.read"):
        return None, None
    awards, is_whole = selectors.awards_seen(chosen.run, seen_by=chosen.sight)
    if is_whole:
        return awards, {"count": len(awards), **facts.award_totals(awards)}
    return awards, award_sums(chosen.run, seen_by=chosen.sight)


def _needs(chosen: Chosen) -> list[selectors.NeedResult]:
    return selectors.need_results(chosen.auction, chosen.run, at=chosen.now.now)


def _loadings(chosen: Chosen) -> list[selectors.Loading]:
    return selectors.loadings(chosen.auction, chosen.run, seen_by=chosen.sight)


def _panel(request: HttpRequest, chosen: Chosen, target: str) -> Mapping[str, Any]:
    if target == "need":
        return _need_panel(request, chosen, _needs(chosen))
    if target == "price":
        return _price_panel(request, chosen)
    return lines_panel(request, _loadings(chosen))


def _need_panel(
    request: HttpRequest, chosen: Chosen, results: list[selectors.NeedResult]
) -> dict[str, Any]:
    result = _need_chosen(request, results)
    return {
        "need_results": results,
        "need_result": result,
        "need_rows": facts.need_rows(result) if result else [],
        "need_mechanisms": (
            facts.mechanism_key(selectors.contributions(result, chosen.run))
            if result and chosen.run
            else []
        ),
    }


def _need_chosen(
    request: HttpRequest, results: list[selectors.NeedResult]
) -> selectors.NeedResult | None:
    wish = request.GET.get("need")
    if wish is None:
        return max(
            results, key=lambda row: (row.unserved_kwh or 0, row.need.kind, row.needed_kwh),
            default=None,
        )  # fmt: skip
    for row in results:
        if str(row.need.id) == wish:
            return row
    raise Http404(gettext("この必要量は見つかりません。"))


def _price_panel(request: HttpRequest, chosen: Chosen) -> dict[str, Any]:
    places, place = _place_chosen(request, chosen)
    rows: list[facts.PriceRow] = []
    if chosen.run is not None and place is not None:
        area, at_place = selectors.prices_of(chosen.run, area=place.area, site_id=place.site_id)
        rows = facts.price_rows(area, at_place)
    return {"places": places, "place": place, "price_rows": rows, "prices": facts.extremes(rows)}


def _place_chosen(
    request: HttpRequest, chosen: Chosen
) -> tuple[list[selectors.PricedPlace], selectors.PricedPlace | None]:
    if chosen.run is None:
        return [], None
    places = selectors.places_priced(chosen.auction, chosen.run, seen_by=chosen.sight)
    wish = request.GET.get("place")
    if wish is None:
        return places, selectors.place_dearest(chosen.run, places)
    for place in places:
        if place.key == wish:
            return places, place
    raise Http404(gettext("この地点の価格は公表されていません。"))


def lines_panel(request: HttpRequest, loadings: list[selectors.Loading]) -> dict[str, Any]:
    """Return what the table of lines shows: the half hour chosen, or the worst one."""
    return {
        "loadings": loadings,
        "t": _half_hour_chosen(request, loadings),
        "over_count": sum(round(row.worst_ratio * 100) > facts.FULL_PERCENT for row in loadings),
    }


def _half_hour_chosen(request: HttpRequest, loadings: list[selectors.Loading]) -> int:
    wish = request.GET.get("koma", "")
    if KOMA.fullmatch(wish) and 1 <= int(wish) <= selectors.HALF_HOURS:
        return int(wish) - 1
    return loadings[0].worst_t if loadings else 0


def _palette(request: HttpRequest) -> Palette:
    wish = request.GET.get("theme") or theme_in(request)
    return Palette(theme="dark" if wish == THEMES[1] else "light")


def _key(chosen: Chosen, palette: Palette, *parts: Any) -> Hashable:
    """Name a chart of a published result, which never changes; before there is one, None."""
    if chosen.run is None:
        return None
    return (chosen.run.id, palette.theme, words.is_english(), *parts)


def _chart(request: HttpRequest, body: bytes) -> HttpResponse:
    """Answer with a chart; unchanged numbers cost a 304."""
    answer = HttpResponse(body, content_type="application/json")
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    answer["ETag"] = etag
    patch_cache_control(answer, private=True, no_cache=True)
    patch_vary_headers(answer, ("Cookie",))
    conditional = get_conditional_response(request, etag=etag, response=answer)
    return conditional or answer


@require_safe
def need_chart(request: HttpRequest, day: date) -> HttpResponse:
    """One need, and by which means it was served."""
    chosen = chosen_of(request, day)
    result = _need_chosen(request, _needs(chosen))
    if result is None:
        raise Http404(gettext("この必要量は見つかりません。"))
    shares = selectors.contributions(result, chosen.run) if chosen.run else []
    palette = _palette(request)

    def build() -> tuple[Any, None]:
        from aggregator.portal.charts.day import NeedChart, need_figure

        chart = NeedChart(
            need_mw=facts.mw(result.quantity_kw),
            parts=[
                (share.mechanism, facts.mechanism_word(share.mechanism), facts.mw(share.served_kw))
                for share in facts.by_merit(shares)
            ],
            unserved_mw=facts.mw(result.unserved_kw or [0] * selectors.HALF_HOURS),
            is_down=result.need.direction == "DOWN",
            words={"need": gettext("必要量"), "unserved": gettext("未充足")},
        )
        return need_figure(chart, palette), None

    key = _key(chosen, palette, "need", result.need.id)
    return _chart(request, drawn(build, palette=palette, key=key))


@require_safe
def price_chart(request: HttpRequest, day: date) -> HttpResponse:
    """Price of an area and of a place in it."""
    chosen = chosen_of(request, day)
    _, place = _place_chosen(request, chosen)
    if chosen.run is None or place is None:
        raise Http404(gettext("価格はまだ公表されていません。"))
    area, at_place = selectors.prices_of(chosen.run, area=place.area, site_id=place.site_id)
    palette = _palette(request)

    def build() -> tuple[Any, None]:
        from aggregator.portal.charts.day import PriceChart, price_figure

        chart = PriceChart(
            area_name=facts.area_word(place.area),
            place_name=words.local_name(place),
            area=[None if value is None else float(value) for value in area],
            place=[None if value is None else float(value) for value in at_place],
        )
        return price_figure(chart, palette), None

    key = _key(chosen, palette, "price", place.site_id, words.local_name(place))
    return _chart(request, drawn(build, palette=palette, key=key))


@require_safe
def loading_chart(request: HttpRequest, day: date) -> HttpResponse:
    """Element by half hour, before and after."""
    chosen = chosen_of(request, day)
    loadings = _loadings(chosen)
    if not loadings:
        raise Http404(gettext("負荷率はまだ公表されていません。"))
    palette, t = _palette(request), _half_hour_chosen(request, loadings)

    def build() -> tuple[Any, None]:
        from aggregator.portal.charts.day import LoadingRow, loading_figure

        rows = [
            LoadingRow(
                name=words.local_name(row.point),
                before_percent=facts.percents(row.before_ratio),
                after_percent=facts.percents(row.after_ratio) if row.after_ratio else None,
            )
            for row in loadings[:LOADING_ROWS_MAX]
        ]
        return loading_figure(rows, palette, t=t), None

    key = _key(chosen, palette, "loading", t)
    return _chart(request, drawn(build, palette=palette, key=key))


@require_safe
def network_chart(request: HttpRequest, day: date) -> HttpResponse:
    """Every line where it lies, with all half hours at once."""
    chosen = chosen_of(request, day)
    loadings = _loadings(chosen)
    if not loadings:
        raise Http404(gettext("負荷率はまだ公表されていません。"))
    palette, t = _palette(request), _half_hour_chosen(request, loadings)

    def build() -> tuple[Any, Any]:
        from aggregator.portal.charts.network import network_figure, views_of

        network, results = selectors.network_of(chosen.auction), _needs(chosen)
        if not network.has_places:
            raise Http404(gettext("この系統モデルには座標がありません。"))
        nodes, lines = facts.map_of(network, loadings, results)
        names = {bus.area_id: words.local_name(bus.area) for bus in network.buses}
        around = {"around": gettext("{name}の周辺"), "all": gettext("全体")}
        views = views_of(nodes, lines, names, around)
        return network_figure(nodes, lines, views, palette, t=t)

    key = _key(chosen, palette, "network", t)
    return _chart(request, drawn(build, palette=palette, key=key))


@require_safe
def needs_csv(request: HttpRequest, day: date) -> HttpResponse:
    """Needs and what became of them, one line per need and half hour; public as the page is."""
    chosen = chosen_of(request, day)
    rows = [
        (
            chosen.auction.code, result.need.code, result.need.kind, facts.place_code(result.need),
            result.need.direction, chosen.day, row.t + 1, row.need_kw, row.served_kw,
            row.unserved_kw, row.price_jpy_per_kwh,
        )
        for result in _needs(chosen)
        for row in facts.need_rows(result)
    ]  # fmt: skip
    answer = HttpResponse(
        csv_bytes(rows, header=NEEDS_HEADER), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = f'attachment; filename="needs-{chosen.auction.code}.csv"'
    return answer
