"""What makes a resource fit for a product: rules with names, each with its reason.

Pure: facts in, findings out. The same facts always give the same findings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Store:
    """What a storing resource can give or take: energy above its reserve, efficiencies."""

    energy_kwh: Decimal
    charge_efficiency_ratio: Decimal
    discharge_efficiency_ratio: Decimal


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that the rules look at.

    Parameters
    ----------
    on
        JST date of the check.
    quantity_kw
        Power that the operator wants to be qualified for.
    direction, sustained_h
        Of the product; None where it has none (energy is bid both ways, half hour by half hour).
    response_s, security_confirmed_to_on
        None where the operator did not say.
    store
        None where nothing is stored.
    """

    on: date
    quantity_kw: Decimal
    quantity_min_kw: Decimal
    quantity_tick_kw: Decimal
    direction: str | None
    sustained_h: Decimal | None
    product_response_s: int
    limit_up_kw: Decimal
    limit_down_kw: Decimal
    response_s: int | None
    store: Store | None
    is_metered: bool
    is_in_use: bool
    is_sellable: bool
    is_connected: bool
    has_grid_operator: bool
    area_asked: str
    area_of_site: str
    security_confirmed_to_on: date | None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule says: whether it holds and why, in two languages."""

    rule: str
    passed: bool
    detail: str
    detail_ja: str


def findings_of(facts: Facts) -> list[dict[str, Any]]:
    """Return what every rule says of the facts, in a fixed order."""
    found = (
        _in_use(facts),
        _consent(facts),
        _area(facts),
        _connection(facts),
        _metering(facts),
        _minimum(facts),
        _limits(facts),
        _response(facts),
        _duration(facts),
        _security(facts),
    )
    return [asdict(finding) for finding in found]


def failed(findings: Iterable[dict[str, Any]]) -> list[str]:
    """Return the names of the rules that do not hold."""
    return [finding["rule"] for finding in findings if not finding["passed"]]


def _in_use(facts: Facts) -> Finding:
    return Finding(
        rule="in-use",
        passed=facts.is_in_use,
        detail="Site and resource are in use." if facts.is_in_use else "Retired.",
        detail_ja="拠点・リソースは使用中。" if facts.is_in_use else "廃止されています。",
    )


def _consent(facts: Facts) -> Finding:
    return Finding(
        rule="consent",
        passed=facts.is_sellable,
        detail="The operator owns the facility or has its owner's consent."
        if facts.is_sellable
        else "The facility's owner has not consented for today.",
        detail_ja="施設所有者の同意があるか、自ら所有しています。"
        if facts.is_sellable
        else "本日有効な施設所有者の同意がありません。",
    )


def _area(facts: Facts) -> Finding:
    same = facts.area_of_site == facts.area_asked
    return Finding(
        rule="site-in-area",
        passed=same and facts.has_grid_operator,
        detail=f"The site is in area {facts.area_of_site}, asked for area {facts.area_asked}"
        + ("." if facts.has_grid_operator else ", where no grid operator takes part."),
        detail_ja=f"拠点はエリア{facts.area_of_site}、申請はエリア{facts.area_asked}"
        + ("。" if facts.has_grid_operator else "（参加する一般送配電事業者なし）。"),
    )


def _connection(facts: Facts) -> Finding:
    return Finding(
        rule="connection",
        passed=facts.is_connected,
        detail="The site's bus is "
        + ("" if facts.is_connected else "not ")
        + "in the latest version of a grid model.",
        detail_ja="接続母線は最新の系統モデルに"
        + ("あります。" if facts.is_connected else "ありません。"),
    )


def _metering(facts: Facts) -> Finding:
    return Finding(
        rule="metering",
        passed=facts.is_metered,
        detail="The resource has a meter of its own."
        if facts.is_metered
        else "No meter is registered for the resource.",
        detail_ja="リソースの計量器が登録されています。"
        if facts.is_metered
        else "リソースの計量器が登録されていません。",
    )


def _minimum(facts: Facts) -> Finding:
    enough = facts.quantity_kw >= facts.quantity_min_kw
    whole = facts.quantity_kw % facts.quantity_tick_kw == 0
    return Finding(
        rule="product-minimum",
        passed=enough and whole,
        detail=f"{facts.quantity_kw} kW; the product asks at least {facts.quantity_min_kw} kW "
        f"in steps of {facts.quantity_tick_kw} kW.",
        detail_ja=f"{facts.quantity_kw} kW。商品は{facts.quantity_min_kw} kW以上、"
        f"{facts.quantity_tick_kw} kW刻み。",
    )


def _limits(facts: Facts) -> Finding:
    limits = {"UP": facts.limit_up_kw, "DOWN": facts.limit_down_kw}
    limit_kw = max(limits.values()) if facts.direction is None else limits[facts.direction]
    way = facts.direction or "UP / DOWN"
    return Finding(
        rule="limits",
        passed=facts.quantity_kw <= limit_kw,
        detail=f"{facts.quantity_kw} kW of at most {limit_kw} kW {way}.",
        detail_ja=f"上限{limit_kw} kW（{way}）に対し{facts.quantity_kw} kW。",
    )


def _response(facts: Facts) -> Finding:
    known = facts.response_s is not None
    return Finding(
        rule="response-time",
        passed=facts.response_s is not None and facts.response_s <= facts.product_response_s,
        detail=f"{facts.response_s} s of at most {facts.product_response_s} s."
        if known
        else f"The resource's response time is not registered (≤ {facts.product_response_s} s).",
        detail_ja=f"{facts.product_response_s}秒以内に対し{facts.response_s}秒。"
        if known
        else f"応動時間が登録されていません（{facts.product_response_s}秒以内）。",
    )


def _duration(facts: Facts) -> Finding:
    if facts.sustained_h is None or facts.store is None:
        return Finding(
            rule="duration",
            passed=True,
            detail="No store, or a product that need not last.",
            detail_ja="貯蔵設備でないか、継続時間を求めない商品です。",
        )
    needed_kwh = facts.quantity_kw * facts.sustained_h
    # what the grid gets of the store, or what the store takes of the grid
    if facts.direction == "UP":
        given_kwh = facts.store.energy_kwh * facts.store.discharge_efficiency_ratio
    else:
        given_kwh = facts.store.energy_kwh / facts.store.charge_efficiency_ratio
    return Finding(
        rule="duration",
        passed=given_kwh >= needed_kwh,
        detail=f"{needed_kwh.normalize():f} kWh over {facts.sustained_h.normalize():f} h "
        f"of {given_kwh:.1f} kWh above the reserve.",
        detail_ja=f"{facts.sustained_h.normalize():f}時間で{needed_kwh.normalize():f} kWh、"
        f"予備を除く容量は{given_kwh:.1f} kWh。",
    )


def _security(facts: Facts) -> Finding:
    to_on = facts.security_confirmed_to_on
    return Finding(
        rule="cybersecurity",
        passed=to_on is not None and to_on > facts.on,
        detail="Conformity with the ERAB cybersecurity guideline is "
        + (f"confirmed until {to_on}." if to_on else "not confirmed."),
        detail_ja="ERABサイバーセキュリティガイドラインへの適合は"
        + (f"{to_on}まで確認済み。" if to_on else "確認されていません。"),
    )
