"""The day's published price where one's own load is, and what congestion adds to its area's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.parties.sight import Sight
from aggregator.portal import words
from aggregator.portal.dc import selectors
from aggregator.portal.dc.pictures import chart_answer
from aggregator.portal.dc.selectors import PublishedDay
from aggregator.portal.entering import person_required
from aggregator.portal.facts import area_word
from aggregator.portal.frame import market_time, sight_in
from aggregator.portal.run_facts import Kept
from aggregator.portal.tokens import Palette
from market.clearing.models import ClearingPrice, PriceKind
from market.registry.models import Site

READ: Final = "bid.read"
HALF_HOURS: Final = 48
Prices = Sequence[Decimal | None]


@dataclass(frozen=True, kw_only=True)
class DayPrice:
    """Prices of a published day at t = 0…47 [JPY/kWh]; None where none was published."""

    delivery_on: date
    site: Site
    area: Prices
    place: Prices

    @property
    def congestion(self) -> Prices:
        """What congestion adds to the area's price at the site; negative takes off."""
        return [
            None if area is None or place is None else place - area
            for area, place in zip(self.area, self.place, strict=True)
        ]

    @property
    def dearest_t(self) -> int | None:
        """Half hour of the highest price at the site, the first of several."""
        known = [(price, -t) for t, price in enumerate(self.place) if price is not None]
        return -max(known)[1] if known else None

    @property
    def dearest_jpy_per_kwh(self) -> Decimal | None:
        """The highest price at the site."""
        return None if self.dearest_t is None else self.place[self.dearest_t]

    @property
    def area_then_jpy_per_kwh(self) -> Decimal | None:
        """The area's price in the half hour of the highest at the site."""
        return None if self.dearest_t is None else self.area[self.dearest_t]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row per half hour for the table beside the chart."""
        return [
            {"t": t, "area": area, "place": place, "congestion": more}
            for t, (area, place, more) in enumerate(
                zip(self.area, self.place, self.congestion, strict=True)
            )
            if area is not None or place is not None
        ]


def result_on(published: Sequence[PublishedDay], today: date) -> PublishedDay | None:
    """Return the day-ahead result of a day, else of the latest day before it, else the next."""
    past = (row for row in published if row.delivery_on <= today)
    return next(past, published[-1] if published else None)


def day_price(
    seen_by: Sight, published: Sequence[PublishedDay], today: date, *, site_code: str = ""
) -> DayPrice | None:
    """Return the day's price at one of the person's own sites.

    Parameters
    ----------
    site_code
        Which site; empty: the one where the day's highest price was.
    """
    own = seen_by.organisations_for(READ)
    result = result_on(published, today)
    if result is None:
        return None
    rows = Site.objects.filter(organisation_id__in=own).select_related("area")
    if site_code:
        site = rows.filter(code=site_code).first()
    else:
        dearest = _dearest_site.of((result.run_id, tuple(sorted(own))))
        site = None if dearest is None else rows.filter(id=dearest).first()
    if site is None:
        return None
    area, place = _prices.of((result.run_id, site.area_id, site.id))
    if all(price is None for price in place):
        return None
    return DayPrice(delivery_on=result.delivery_on, site=site, area=area, place=place)


def _site_dearest(key: tuple[UUID, Collection[UUID]]) -> UUID | None:
    """Return where the highest price of some organisations was; whose a site is never changes."""
    rows = ClearingPrice.objects.filter(
        run_id=key[0], kind=PriceKind.PLACE, site__organisation_id__in=key[1]
    )
    return (
        rows.order_by("-price_jpy_per_kwh", "site__code").values_list("site_id", flat=True).first()
    )


def _prices_at(key: tuple[UUID, str, UUID]) -> tuple[Prices, Prices]:
    run_id, area, site_id = key
    at_area: list[Decimal | None] = [None] * HALF_HOURS
    at_site: list[Decimal | None] = [None] * HALF_HOURS
    rows = ClearingPrice.objects.filter(
        Q(kind=PriceKind.AREA, area=area) | Q(kind=PriceKind.PLACE, site=site_id), run_id=run_id
    ).order_by("t")
    for kind, t, price in rows.values_list("kind", "t", "price_jpy_per_kwh"):
        (at_area if kind == PriceKind.AREA else at_site)[t] = price
    return at_area, at_site


_dearest_site = Kept(_site_dearest, most=64)
_prices = Kept(_prices_at, most=64)


@person_required(READ)
@require_safe
def price_chart(request: HttpRequest) -> HttpResponse:
    """Draw the day's price at a site of one's own against its area's."""
    sight, today = sight_in(request), selectors.jst_day(market_time().now)
    published = selectors.days_published(sight)
    found = day_price(sight, published, today, site_code=request.GET.get("site", ""))
    if found is None:
        raise Http404(gettext("価格はまだ公表されていません。"))

    def build(palette: Palette) -> Any:
        from aggregator.portal.charts.day import PriceChart, price_figure

        chart = PriceChart(
            area_name=area_word(found.site.area),
            place_name=words.local_name(found.site),
            area=_drawn_at(found.area),
            place=_drawn_at(found.place),
        )
        return price_figure(chart, palette)

    return chart_answer(request, build)


def _drawn_at(prices: Prices) -> list[float | None]:
    """Return exact prices as places in a chart; nothing is computed from them."""
    return [None if price is None else float(price) for price in prices]
