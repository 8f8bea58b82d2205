"""Costs that an award or its shortfall causes others: retailers, imbalance, stand-ins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from accounts.core.money import EXACT_CONTEXT, exact, quantize_jpy
from aggregator.core.delivery import Direction
from aggregator.core.settlement import (
    AwardPosition,
    House,
    Item,
    Line,
    Share,
    line_of,
    split_exact,
)
from aggregator.core.terms import SettlementRules

ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Compensation:
    """What a retailer is owed per kWh that one award cut [JPY/kWh], by half hour."""

    retailer: str
    price_jpy_per_kwh: dict[int, Decimal]


@dataclass(frozen=True, kw_only=True)
class StandInPosition:
    """What one stand-in delivered in one half hour for an award that was lost.

    `ask_jpy_per_kwh` is what it receives by its own bid, `market_jpy_per_kwh` what the market
    pays at its place for the same direction; both negative where it pays. `compensation` is
    the retailer of its load, where that is cut, and what a kWh costs it; `credits` are the buyers
    of the lost award. Beyond an award nothing was lost: `payers` pay what was agreed, no more and
    no less; who agreed to an extension alone, who bought called capacity by their parts.
    `changed_kwh` is what a changed order still asks of who sold it, 0 of who stands in: only of
    the former is a penalty taken for what is missing, and only its shortfall is imbalance:
    `imbalance` is the area, its account and the price.
    """

    award: str
    instruction: str
    t: int
    seller: str
    delivered_kwh: Decimal
    ask_jpy_per_kwh: Decimal
    market_jpy_per_kwh: Decimal
    direction: Direction = Direction.UP
    splits: tuple[Share, ...] = ()
    compensation: tuple[str, Decimal] | None = None
    credits: tuple[Share, ...] = ()
    payers: tuple[Share, ...] = ()
    changed_kwh: Decimal = ZERO
    imbalance: tuple[str, str, Decimal] | None = None


def compensation_lines(
    positions: Sequence[AwardPosition],
    compensation: Compensation,
    *,
    rules: SettlementRules,
    house: House,
) -> list[Line]:
    """Pay the retailer for what one award kept its customer from using, and have it borne.

    Only UP counts: less was drawn than the retailer had bought. One line of the day each for
    the retailer and for who bears it; buyers bear it half hour by half hour, as they were served.
    """
    cut = [
        (
            position,
            position.ordered_kwh - position.shortfall_kwh,
            compensation.price_jpy_per_kwh[position.t],
        )
        for position in positions
        if position.direction is Direction.UP and position.t in compensation.price_jpy_per_kwh
    ]
    if not cut:
        return []
    first = cut[0][0]
    with localcontext(EXACT_CONTEXT):
        owed_jpy = sum((kwh * price for _, kwh, price in cut), ZERO)
        owed_kwh = sum((kwh for _, kwh, _ in cut), ZERO)
    ends = [(house.clearing, compensation.retailer)]
    if rules.negawatt_borne_by != "BUYER":
        bearer = first.seller if rules.negawatt_borne_by == "SELLER" else house.fee
        ends.append((bearer, house.clearing))
    lines = [
        line_of(
            Item.NEGAWATT_COMPENSATION,
            parties,
            owed_jpy,
            t=None,
            award=first.award,
            quantity_kwh=owed_kwh,
        )
        for parties in ends
    ]
    if rules.negawatt_borne_by == "BUYER":
        for position, kwh, price in cut:
            lines += _borne_by_buyers(position, kwh, price, house=house)
    return [line for line in lines if line is not None]


def _borne_by_buyers(
    position: AwardPosition, kwh: Decimal, price: Decimal, *, house: House
) -> list[Line | None]:
    with localcontext(EXACT_CONTEXT):
        owed_jpy = kwh * price
    if not owed_jpy or not position.credits:
        return []
    parts = split_exact(owed_jpy, position.credits)
    return [
        line_of(
            Item.NEGAWATT_COMPENSATION,
            (share.account, house.clearing),
            part_jpy,
            t=position.t,
            award=position.award,
            need=share.need,
            quantity_kwh=kwh,
            price_jpy_per_kwh=price,
        )
        for share, part_jpy in zip(position.credits, parts, strict=True)
    ]


def imbalance_lines(
    position: AwardPosition,
    *,
    area: str,
    account: str,
    price_jpy_per_kwh: Decimal,
    rules: SettlementRules,
    house: House,
) -> list[Line]:
    """Charge what a shortfall cost as imbalance to who bears it, for the area's account.

    Energy UP that did not come is bought at the price; energy DOWN that was not taken is sold
    at it. Only a cost is charged: who fails does not earn by it. An excused shortfall has none,
    and what stand-ins made up for was no imbalance; a stand-in that falls short leaves that to
    who caused it.
    """
    if position.is_excused:
        return []
    return _imbalance_of(
        position,
        caused_kwh=position.shortfall_kwh - position.covered_kwh,
        imbalance=(area, account, price_jpy_per_kwh),
        rules=rules,
        house=house,
    )


def _imbalance_of(
    position: AwardPosition | StandInPosition,
    *,
    caused_kwh: Decimal,
    imbalance: tuple[str, str, Decimal],
    rules: SettlementRules,
    house: House,
) -> list[Line]:
    if rules.imbalance_borne_by == "NOBODY":
        return []
    area, account, price_jpy_per_kwh = imbalance
    exact(price_jpy_per_kwh, field="price_jpy_per_kwh", low=-99_999, high=99_999)
    sign = 1 if position.direction is Direction.UP else -1
    with localcontext(EXACT_CONTEXT):
        held_kwh = max(ZERO, caused_kwh)
        cost_jpy = max(ZERO, sign * price_jpy_per_kwh) * held_kwh
    bearer = position.seller if rules.imbalance_borne_by == "SELLER" else house.fee
    lines = (
        line_of(
            Item.IMBALANCE_CAUSED,
            parties,
            cost_jpy,
            t=position.t,
            award=position.award,
            element=area,
            quantity_kwh=held_kwh,
            price_jpy_per_kwh=price_jpy_per_kwh,
        )
        for parties in ((bearer, house.clearing), (house.clearing, account))
    )
    return [line for line in lines if line is not None]


def stand_in_jpy_per_kwh(position: StandInPosition, rules: SettlementRules) -> Decimal:
    """Return what a stand-in receives per kWh: its ask, or the market's price if higher."""
    if rules.replacement_pay == "ASK" or position.payers:
        return position.ask_jpy_per_kwh
    return max(position.ask_jpy_per_kwh, position.market_jpy_per_kwh)


def change_penalty_jpy(position: StandInPosition, rules: SettlementRules) -> Decimal:
    """Return what a changed order's shortfall costs beyond not being paid, as an award's does.

    A part of what is still ordered may be missing, as of any order; 0 of who stands in.
    """
    with localcontext(EXACT_CONTEXT):
        missing_kwh = max(ZERO, position.changed_kwh - position.delivered_kwh)
        excess_kwh = max(ZERO, missing_kwh - rules.tolerance_ratio * position.changed_kwh)
        factor = rules.penalty_factor_ratio - 1
        return quantize_jpy(factor * abs(position.ask_jpy_per_kwh) * excess_kwh)


def stand_in_lines(
    position: StandInPosition, *, rules: SettlementRules, house: House
) -> list[Line]:
    """Pay a stand-in for what it delivered; fee and splits as of any energy.

    Who bears it is settled with the award it stands in for: see
    :func:`aggregator.core.settlement.credit_lines`; an extension is paid by who agreed to pay it.
    The retailer of a load that is cut to stand in is owed for it as for any award, half hour by
    half hour.
    """
    unit = stand_in_jpy_per_kwh(position, rules)
    exact(position.delivered_kwh, field="delivered_kwh", low=0, high=10**9)
    with localcontext(EXACT_CONTEXT):
        received_jpy = unit * position.delivered_kwh
        earned_jpy = max(ZERO, received_jpy)
        parts: list[tuple[Item, tuple[str, str], Decimal, str | None]] = [
            (Item.REPLACEMENT, (house.clearing, position.seller), received_jpy, None),
            (Item.PLATFORM_FEE, (position.seller, house.fee), rules.fee_ratio * earned_jpy, None),
        ]
        parts += [
            (Item.REPLACEMENT, (share.account, house.clearing), part_jpy, share.need)
            for share, part_jpy in _borne(received_jpy, position.payers)
        ]
        penalty_jpy = change_penalty_jpy(position, rules)
        parts.append((Item.SHORTFALL_PENALTY, (position.seller, house.clearing), penalty_jpy, None))
        parts += [
            (Item.REVENUE_SPLIT, (position.seller, share.account), share.weight * earned_jpy, None)
            for share in position.splits
        ]
    lines = (
        line_of(
            item,
            parties,
            amount_jpy,
            t=position.t,
            award=position.award,
            need=need,
            element=position.instruction,
            quantity_kwh=position.delivered_kwh,
            price_jpy_per_kwh=unit if item is Item.REPLACEMENT else None,
        )
        for item, parties, amount_jpy, need in parts
    )
    written = [line for line in lines if line is not None]
    if position.imbalance is not None:
        # who accepted less accepted an order: what is missing of it is imbalance like any other
        written += _imbalance_of(
            position,
            caused_kwh=position.changed_kwh - position.delivered_kwh,
            imbalance=position.imbalance,
            rules=rules,
            house=house,
        )
    return [*written, *_stand_in_compensation(position, rules=rules, house=house)]


def _borne(amount_jpy: Decimal, shares: Sequence[Share]) -> list[tuple[Share, Decimal]]:
    """Return what each of several bears of an amount, to the millionth of a yen."""
    if not shares:
        return []
    parts = split_exact(quantize_jpy(amount_jpy), shares)
    return list(zip(shares, parts, strict=True))


def _stand_in_compensation(
    position: StandInPosition, *, rules: SettlementRules, house: House
) -> list[Line]:
    """Pay the retailer of a load that was cut to stand in, and have it borne as the rules say."""
    if position.compensation is None or position.direction is not Direction.UP:
        return []
    retailer, price_jpy_per_kwh = position.compensation
    with localcontext(EXACT_CONTEXT):
        owed_jpy = price_jpy_per_kwh * position.delivered_kwh
    ends: list[tuple[tuple[str, str], Decimal, str | None]] = [
        ((house.clearing, retailer), owed_jpy, None)
    ]
    if rules.negawatt_borne_by != "BUYER":
        bearer = position.seller if rules.negawatt_borne_by == "SELLER" else house.fee
        ends.append(((bearer, house.clearing), owed_jpy, None))
    else:
        # beyond the award its payers are the only buyers
        ends += [
            ((share.account, house.clearing), part_jpy, share.need)
            for share, part_jpy in _borne(owed_jpy, position.payers or position.credits)
        ]
    lines = (
        line_of(
            Item.NEGAWATT_COMPENSATION,
            parties,
            amount_jpy,
            t=position.t,
            award=position.award,
            need=need,
            element=position.instruction,
            quantity_kwh=position.delivered_kwh,
            price_jpy_per_kwh=price_jpy_per_kwh,
        )
        for parties, amount_jpy, need in ends
    )
    return [line for line in lines if line is not None]
