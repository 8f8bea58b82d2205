"""Headlines, rows and words of the market day, from what the selectors read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext, ngettext

from aggregator.portal import words
from aggregator.portal.selectors import (
    HALF_HOURS,
    ZERO,
    AwardSeen,
    Contribution,
    Loading,
    NeedResult,
    Network,
)
from market.registry.models import Area, Branch, ControllableLink
from market.trading.models import Auction, AuctionState, Need, NeedKind

FULL_PERCENT = 100

# cheap to dear: the order of stacks and legends
MERIT = ("RENEWABLE", "BATTERY", "SPATIAL", "DEFERRAL", "POWER_CAP", "STOP", "COMPUTE", "MIXED")


@dataclass(frozen=True, kw_only=True)
class State:
    """A state as glyph, word and colour."""

    icon: str
    tone: str
    word: str


def state_of(auction: Auction) -> State:
    """Return the pill of an auction; five glyphs, never a sixth."""
    icon, tone, word = {
        AuctionState.SCHEDULED: ("ring", "", gettext("予定")),
        AuctionState.OPEN: ("dot", "acc", gettext("入札受付中")),
        AuctionState.CLOSED: ("half", "high", gettext("締切済・計算待ち")),
        AuctionState.CLEARING: ("half", "high", gettext("約定計算中")),
        AuctionState.PUBLISHED: ("check", "ok", gettext("約定済")),
        AuctionState.PUBLISHED_BY_FALLBACK: ("check", "ok", gettext("約定済（代替）")),
        AuctionState.SETTLED: ("check", "ok", gettext("精算済")),
        AuctionState.CANCELLED: ("alarm", "crit", gettext("取消")),
    }[AuctionState(auction.state)]
    return State(icon=icon, tone=tone, word=word)


def sentence_of(
    auction: Auction, results: Sequence[NeedResult], loadings: Sequence[Loading]
) -> str:
    """State the day's outcome, or when it will be there, in one sentence."""
    state = auction.state
    if state == AuctionState.CANCELLED:
        return gettext("取り消されました：%(reason)s") % {
            "reason": auction.state_reason or gettext("理由の記載なし")
        }
    if state == AuctionState.SCHEDULED:
        return gettext("入札の受付は %(at)s に始まります。") % {
            "at": words.jst_day(auction.opens_at)
        }
    if state == AuctionState.OPEN:
        return gettext("入札の締切は %(at)s です。結果は締切の後に公表します。") % {
            "at": words.jst_day(auction.gate_closure_at)
        }
    if state in (AuctionState.CLOSED, AuctionState.CLEARING):
        return gettext("入札は %(at)s に締め切られました。結果を計算しています。") % {
            "at": words.jst_day(auction.gate_closure_at)
        }
    gap = " " if words.is_english() else ""
    return gap.join(filter(None, (_served_sentence(results), _line_sentence(loadings))))


def _served_sentence(results: Sequence[NeedResult]) -> str:
    if not results:
        return gettext("この日の必要量はありません。")
    totals = totals_of(results)
    if not totals.unserved_kwh:
        return ngettext(
            "%(count)d件の必要量をすべて充足しました。",
            "%(count)d件の必要量をすべて充足しました。",
            len(results),
        ) % {"count": len(results)}
    short = [row for row in results if row.unserved_kwh]
    worst = max(short, key=lambda row: row.unserved_kwh or ZERO)
    return gettext("%(place)s に未充足 %(kwh)s kWh が残りました。") % {
        "place": place_word(worst.need),
        "kwh": words.number(worst.unserved_kwh),
    }


def _line_sentence(loadings: Sequence[Loading]) -> str:
    if not loadings or loadings[0].worst_after_ratio is None:
        return ""
    worst = loadings[0]
    if round(worst.worst_ratio * 100) <= FULL_PERCENT:
        return gettext("運用容量を超える設備はありません。")
    return gettext("%(name)sの負荷率は最大 %(before)s%% から %(after)s%% に下がりました。") % {
        "name": words.local_name(worst.point),
        "before": words.percent(worst.worst_ratio),
        "after": words.percent(worst.worst_after_ratio),
    }


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over all needs; None before a result."""

    needed_kwh: Decimal
    served_kwh: Decimal | None
    unserved_kwh: Decimal | None
    cost_jpy: Decimal | None

    @property
    def served_ratio(self) -> Decimal | None:
        """Served over needed."""
        if self.served_kwh is None or not self.needed_kwh:
            return None
        return self.served_kwh / self.needed_kwh


def totals_of(results: Sequence[NeedResult]) -> Totals:
    """Add the needs up."""

    def total(values: Iterable[Decimal | None]) -> Decimal | None:
        known = [value for value in values if value is not None]
        return sum(known, ZERO) if known else None

    return Totals(
        needed_kwh=sum((row.needed_kwh for row in results), ZERO),
        served_kwh=total(row.served_kwh for row in results),
        unserved_kwh=total(row.unserved_kwh for row in results),
        cost_jpy=total(row.cost_jpy for row in results),
    )


@dataclass(frozen=True, kw_only=True)
class Kpi:
    """One headline figure."""

    name: str
    figure: str
    unit: str
    hint: str
    tone: str = ""
    title: str = ""


def kpis_of(results: Sequence[NeedResult], loadings: Sequence[Loading]) -> list[Kpi]:
    """Return the five figures that answer how the day went."""
    totals = totals_of(results)
    local = sum(row.need.kind == NeedKind.LOCAL for row in results)
    cost, unit = words.yen_headline(totals.cost_jpy)
    exact = (
        ""
        if totals.cost_jpy is None
        else gettext("%(yen)s円") % {"yen": words.yen(totals.cost_jpy)}
    )
    has_result = totals.served_kwh is not None
    return [
        Kpi(
            name=gettext("必要量"),
            figure=words.megawatt(totals.needed_kwh),
            unit="MWh",
            hint=gettext("ローカル %(local)d件・需給 %(balance)d件")
            % {"local": local, "balance": len(results) - local},
        ),
        Kpi(
            name=gettext("充足"),
            figure=words.megawatt(totals.served_kwh),
            unit="MWh" if has_result else "",
            hint=gettext("必要量の %(percent)s%%")
            % {"percent": words.percent(totals.served_ratio, 1)}
            if has_result
            else gettext("結果は未公表"),
        ),
        Kpi(
            name=gettext("未充足"),
            figure=words.number(totals.unserved_kwh),
            unit="kWh" if has_result else "",
            hint=_unserved_hint(results) if has_result else gettext("結果は未公表"),
            tone="crit" if totals.unserved_kwh else "",
        ),
        Kpi(
            name=gettext("費用"),
            figure=cost,
            unit=unit,
            hint=(exact + gettext("・単価×充足量、精算前"))
            if has_result
            else gettext("結果は未公表"),
            title=exact,
        ),
        _loading_kpi(loadings),
    ]


def _unserved_hint(results: Sequence[NeedResult]) -> str:
    short = [row for row in results if row.unserved_kwh]
    if not short:
        return gettext("残りなし")
    halves = sum(kw > 0 for row in short for kw in row.unserved_kw or ())
    return gettext("%(needs)d件・%(halves)dコマ") % {"needs": len(short), "halves": halves}


def _loading_kpi(loadings: Sequence[Loading]) -> Kpi:
    name = gettext("最大負荷率")
    if not loadings:
        return Kpi(name=name, figure=words.UNKNOWN, unit="", hint=gettext("潮流は未公表"))
    worst = loadings[0]
    place = words.local_name(worst.point) + gettext("・") + words.koma(worst.worst_t)
    if worst.worst_after_ratio is None:
        return Kpi(
            name=name,
            figure=words.percent(worst.worst_ratio),
            unit="%",
            hint=gettext("対策前・%(place)s") % {"place": place},
        )
    top = max(row.worst_after_ratio or 0.0 for row in loadings)
    return Kpi(
        name=name + gettext("（対策前 → 約定後）"),
        figure=f"{words.percent(worst.worst_ratio)} → {words.percent(top)}",
        unit="%",
        hint=place,
        tone="crit" if round(top * 100) > FULL_PERCENT else "",
    )


@dataclass(frozen=True, kw_only=True)
class NeedRow:
    """One half hour of a need."""

    t: int
    need_kw: Decimal
    served_kw: Decimal | None
    unserved_kw: Decimal | None
    price_jpy_per_kwh: Decimal | None


def need_rows(result: NeedResult) -> list[NeedRow]:
    """Return the half hours with a need."""

    def at(values: Sequence[Decimal] | None, t: int) -> Decimal | None:
        return None if values is None else values[t]

    return [
        NeedRow(
            t=t,
            need_kw=result.quantity_kw[t],
            served_kw=at(result.served_kw, t),
            unserved_kw=at(result.unserved_kw, t),
            price_jpy_per_kwh=at(result.price_jpy_per_kwh, t),
        )
        for t in range(HALF_HOURS)
        if result.quantity_kw[t] > 0
    ]


@dataclass(frozen=True, kw_only=True)
class PriceRow:
    """One half hour of two prices."""

    t: int
    area: Decimal | None
    place: Decimal | None

    @property
    def congestion(self) -> Decimal | None:
        """What the place pays above its area."""
        return None if self.area is None or self.place is None else self.place - self.area


def price_rows(area: Sequence[Decimal | None], place: Sequence[Decimal | None]) -> list[PriceRow]:
    """Pair the prices up."""
    return [PriceRow(t=t, area=area[t], place=place[t]) for t in range(HALF_HOURS)]


def extremes(rows: Sequence[PriceRow]) -> dict[str, PriceRow | None]:
    """Return the half hours with the dearest area and the dearest place."""

    def top(name: str) -> PriceRow | None:
        known = [row for row in rows if getattr(row, name) is not None]
        return max(known, key=lambda row: (getattr(row, name), -row.t), default=None)

    return {"area": top("area"), "place": top("place")}


def award_totals(awards: Sequence[AwardSeen]) -> dict[str, Decimal]:
    """Add awards up by direction, with the receipts."""
    up = [row.energy_kwh for row in awards if row.award.direction == "UP"]
    down = [row.energy_kwh for row in awards if row.award.direction == "DOWN"]
    return {
        "up_kwh": sum(up, ZERO),
        "down_kwh": sum(down, ZERO),
        "receipt_jpy": sum((row.receipt_jpy for row in awards), ZERO),
    }


def mechanism_word(name: str) -> str:
    """Return a mechanism in words."""
    return {
        "RENEWABLE": gettext("再エネ"),
        "BATTERY": gettext("蓄電池"),
        "SPATIAL": gettext("空間シフト"),
        "DEFERRAL": gettext("時間シフト"),
        "POWER_CAP": gettext("電力制限"),
        "STOP": gettext("停止"),
        "COMPUTE": gettext("計算"),
    }.get(name, gettext("約定"))


def leg_word(name: str) -> str:
    """Return which side of a bid an award is, in words."""
    return {
        "STEPS": gettext("段階"),
        "CHARGE": gettext("充電"),
        "DISCHARGE": gettext("放電"),
        "SHIFT_OUT": gettext("移動元"),
        "SHIFT_IN": gettext("移動先"),
        "BLOCK": gettext("ブロック"),
        "DEFERRED": gettext("繰延べ"),
        "REBOUND": gettext("取戻し"),
        "CURTAILED": gettext("出力抑制"),
        "RELEASED": gettext("抑制解除"),
        "PORTFOLIO": gettext("一括"),
        "RESERVED": gettext("調整力確保"),
        "COMPUTE": gettext("計算"),
    }.get(name, name)


def by_merit(shares: Sequence[Contribution]) -> list[Contribution]:
    """Order from cheap to dear."""
    return sorted(
        shares, key=lambda share: MERIT.index(share.mechanism) if share.mechanism in MERIT else 99
    )


def mechanism_key(shares: Sequence[Contribution]) -> list[tuple[str, str]]:
    """Return the legend: class and word of each mechanism in the stack."""
    return [
        (f"m-{share.mechanism.lower().replace('_', '-')}", mechanism_word(share.mechanism))
        for share in by_merit(shares)
    ]


def mw(values_kw: Sequence[Any]) -> list[float]:
    """Return kW as MW."""
    return [float(value) / 1000 for value in values_kw]


def percents(ratios: Sequence[float]) -> list[float]:
    """Return ratios in percent, to a tenth."""
    return [round(ratio * 100, 1) for ratio in ratios]


def area_word(area: Area) -> str:
    """Name an area so that it cannot be taken for a city."""
    return gettext("%(name)sエリア") % {"name": words.local_name(area)}


def place_word(need: Need) -> str:
    """Name the place of a need: its element or its area."""
    if need.congestion_point is not None:
        return words.local_name(need.congestion_point)
    return area_word(need.area) if need.area is not None else need.code


def need_word(need: Need) -> str:
    """Name a need so that it can be chosen from a list."""
    return gettext("%(place)s・%(direction)s（%(code)s）") % {
        "place": place_word(need),
        "direction": gettext("上げ") if need.direction == "UP" else gettext("下げ"),
        "code": need.code,
    }


def place_code(need: Need) -> str:
    """Return the code of that place."""
    return need.congestion_point.code if need.congestion_point else str(need.area_id)


def map_of(
    network: Network, loadings: Sequence[Loading], results: Sequence[NeedResult]
) -> tuple[list[Any], list[Any]]:
    """Return nodes and lines of the map; buses without coordinates stay out."""
    from aggregator.portal.charts.network import Node

    watched = {row.point.branch_id: row for row in loadings}
    needed = {row.need.congestion_point_id for row in results if row.need.congestion_point_id}
    nodes = [
        Node(
            code=bus.code,
            name=words.local_name(bus),
            longitude_deg=float(bus.longitude_deg),
            latitude_deg=float(bus.latitude_deg),
            voltage_kv=float(bus.voltage_kv),
            area_code=bus.area_id,
        )
        for bus in network.buses
        if bus.longitude_deg is not None and bus.latitude_deg is not None
    ]
    lines = [
        _map_line(branch, watched.get(branch.pk), needed, is_link=False)
        for branch in network.branches
    ]
    lines += [_map_line(link, None, needed, is_link=True) for link in network.links]
    return nodes, lines


def _map_line(
    row: Branch | ControllableLink, loading: Loading | None, needed: set[Any], *, is_link: bool
) -> Any:
    from aggregator.portal.charts.network import Line

    after = loading.after_ratio if loading else None
    return Line(
        code=row.code,
        name=words.local_name(loading.point if loading else row),
        start=row.from_bus.code,
        end=row.to_bus.code,
        voltage_kv=float(max(row.from_bus.voltage_kv, row.to_bus.voltage_kv)),
        is_link=is_link,
        before_percent=percents(loading.before_ratio) if loading else None,
        after_percent=percents(after) if after else None,
        has_need=loading is not None and loading.point.id in needed,
    )
