"""The ten areas of a published day: one row each, and the map that shows one figure of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from django.utils.translation import gettext

from aggregator.portal import words
from aggregator.portal.charts.japan import AreaShape, Shading, even, shapes
from aggregator.portal.selectors import Loading
from market.registry.models import Area
from market.trading.models import Direction

PRICE: Final = "price"
NET: Final = "net"
CONGESTION: Final = "congestion"
DIGITS: Final = {PRICE: 2, NET: 1, CONGESTION: 0}
# percent; the same steps in which lines are coloured
LOADING_BOUNDS: Final = (50.0, 80.0, 90.0, 100.0)


@dataclass(frozen=True, kw_only=True)
class AreaRow:
    """What a day came to in one area; the last is of elements with an end in it."""

    area: Area
    low: Decimal
    mean: Decimal
    high: Decimal
    koma: str
    net_kwh: Decimal
    worst_ratio: float | None
    worst_name: str


def by_of(wish: str | None) -> str:
    """Return by what the map is shaded; what is unknown is the price."""
    return wish if wish in words_by() else PRICE


def words_by() -> dict[str, str]:
    """Return the figures that can be shown, in words."""
    return {
        PRICE: gettext("平均価格"),
        NET: gettext("約定量"),
        CONGESTION: gettext("混雑"),
    }


def area_rows(
    areas: Mapping[str, Area],
    prices: Mapping[str, Sequence[Decimal]],
    volumes: Sequence[Mapping[str, Any]],
    loadings: Sequence[Loading],
) -> list[AreaRow]:
    """Return a row for each area with a price."""
    net: dict[str, Decimal] = {}
    for row in volumes:
        sign = 1 if row["direction"] == Direction.UP else -1
        code = row["area"].code
        net[code] = net.get(code, Decimal(0)) + sign * row["energy_kwh"]
    worst: dict[str, tuple[float, str]] = {}
    for one in loadings:
        branch = one.point.branch
        for code in {branch.from_bus.area_id, branch.to_bus.area_id}:
            found = (one.worst_after_ratio or 0.0, words.local_name(one.point))
            worst[code] = max(worst.get(code, found), found)
    return [
        AreaRow(
            area=areas[code],
            low=min(price),
            mean=sum(price, Decimal(0)) / len(price),
            high=max(price),
            koma=words.koma(list(price).index(max(price))),
            net_kwh=net.get(code, Decimal(0)),
            worst_ratio=worst[code][0] if code in worst else None,
            worst_name=worst[code][1] if code in worst else "",
        )
        for code, price in sorted(prices.items())
    ]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One area on the map, its name and its figure in words."""

    shape: AreaShape
    name: str
    told: str


@dataclass(frozen=True, kw_only=True)
class CountryMap:
    """The map and its legend: shade and range of each step."""

    shapes: Sequence[Shown]
    legend: Sequence[tuple[int, str]]
    unit: str
    finding: str


def country_map(areas: Mapping[str, Area], rows: Sequence[AreaRow], by: str) -> CountryMap:
    """Shade the areas by one figure; direction is told by a mark, not by colour."""
    values = {row.area.code: _figure(row, by) for row in rows}
    size = {code: abs(value) for code, value in values.items() if value is not None}
    shading = (
        Shading(bounds=LOADING_BOUNDS)
        if by == CONGESTION
        else even(list(size.values()), least=10.0 ** -DIGITS[by])
    )
    shown = [
        Shown(
            shape=shape,
            name=words.local_name(areas[shape.code]) if shape.code in areas else shape.code,
            told=_told(values.get(shape.code), by),
        )
        for shape in shapes(size, shading)
    ]
    top = max(size, key=lambda code: size[code], default=None)
    finding = (
        gettext("%(what)sの全国図。最も大きいのは%(area)s（%(value)s）です。")
        % {"what": words_by()[by], "area": words.local_name(areas[top]),
           "value": _told(values[top], by)}
        if top is not None
        else gettext("対象のエリアはありません。")
    )  # fmt: skip
    return CountryMap(
        shapes=shown, legend=_legend(shading, list(size.values()), by), unit=_unit(by),
        finding=finding,
    )  # fmt: skip


def _figure(row: AreaRow, by: str) -> float | None:
    if by == PRICE:
        return float(row.mean)
    if by == NET:
        return float(row.net_kwh) / 1000
    # as it is printed, so that what reads 100 is shaded as 100
    return None if row.worst_ratio is None else float(round(row.worst_ratio * 100))


def _told(value: float | None, by: str) -> str:
    if value is None:
        return ""
    if by == NET:
        mark = "▲ " if value > 0 else "▼ " if value < 0 else ""
        return mark + words.number(abs(value), 1)
    return words.number(value, DIGITS[by])


def _unit(by: str) -> str:
    if by == PRICE:
        return gettext("円/kWh・1日の平均")
    if by == NET:
        return gettext("MWh・▲ 上げ ▼ 下げの差引")
    return gettext("約定後の最大負荷率 %")


def _legend(shading: Shading, values: Sequence[float], by: str) -> list[tuple[int, str]]:
    digits = DIGITS[by]
    if not values:
        return []
    if not shading.bounds:
        low, high = words.number(min(values), digits), words.number(max(values), digits)
        return [(shading.lightest, low if low == high else f"{low}–{high}")]
    edges = [min(values), *shading.bounds, max(values)]
    texts = [
        f"{words.number(low, digits)}–{words.number(high, digits)}" for low, high in pairwise(edges)
    ]
    if by == CONGESTION:
        bounds = [words.number(bound) for bound in shading.bounds]
        texts = [
            f"<{bounds[0]}",
            *(f"{low}–{high}" for low, high in pairwise(bounds)),
            f"≥{bounds[-1]}",
        ]
    return list(enumerate(texts))
