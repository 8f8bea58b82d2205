"""What is owed: exact lines out of awards, prices, deliveries, needs, rents and splits.

Every line has one payer and one payee, so the lines of any run sum to zero by construction.
Between a buyer and a seller stands the house: its clearing account takes part in almost every
line and ends at zero, because one last line per half hour moves what published rounding left
to the rounding account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import StrEnum

from accounts.core.errors import ensure
from accounts.core.money import (
    EXACT_CONTEXT,
    EXACT_PLACES,
    exact,
    quantize_jpy,
    split_largest_remainder,
)
from aggregator.core.delivery import Direction
from aggregator.core.terms import SettlementRules


class Item(StrEnum):
    """What a line is for."""

    NEED_CHARGE = "NEED_CHARGE"
    SELLER_ENERGY = "SELLER_ENERGY"
    SHORTFALL_REFUND = "SHORTFALL_REFUND"
    SHORTFALL_PENALTY = "SHORTFALL_PENALTY"
    SHORTFALL_CREDIT = "SHORTFALL_CREDIT"
    CONGESTION_RENT = "CONGESTION_RENT"
    LINK_RENT = "LINK_RENT"
    PATH_FEE = "PATH_FEE"
    PLATFORM_FEE = "PLATFORM_FEE"
    REVENUE_SPLIT = "REVENUE_SPLIT"
    DEVIATION = "DEVIATION"
    CAPACITY_CHARGE = "CAPACITY_CHARGE"
    CAPACITY = "CAPACITY"
    COMPUTE_CHARGE = "COMPUTE_CHARGE"
    COMPUTE = "COMPUTE"
    ENVELOPE = "ENVELOPE"
    ENVELOPE_PENALTY = "ENVELOPE_PENALTY"
    TRUNK_RENT = "TRUNK_RENT"
    PAYMENT_RULE = "PAYMENT_RULE"
    MARKET_FEE = "MARKET_FEE"
    ACTIVATION_UP = "ACTIVATION_UP"
    ACTIVATION_DOWN = "ACTIVATION_DOWN"
    CAPACITY_PENALTY_I = "CAPACITY_PENALTY_I"
    CAPACITY_PENALTY_II = "CAPACITY_PENALTY_II"
    CAPACITY_CREDIT = "CAPACITY_CREDIT"
    EXCHANGE_FEE = "EXCHANGE_FEE"
    NEGAWATT_COMPENSATION = "NEGAWATT_COMPENSATION"
    IMBALANCE_CAUSED = "IMBALANCE_CAUSED"
    REPLACEMENT = "REPLACEMENT"
    ADJUSTMENT = "ADJUSTMENT"
    RESIDUAL = "RESIDUAL"


# Charged by the day and paid by the half hour.
OF_THE_DAY = frozenset({Item.PATH_FEE, Item.TRUNK_RENT})


@dataclass(frozen=True, kw_only=True)
class House:
    """The aggregator's accounts that take part in lines."""

    clearing: str
    fee: str
    rounding: str


@dataclass(frozen=True, kw_only=True)
class Share:
    """An account's part of something, in proportion to `weight`."""

    account: str
    weight: Decimal
    need: str | None = None


@dataclass(frozen=True, kw_only=True)
class AwardPosition:
    """One award in one half hour: what was ordered, at which price, what was missing.

    `price_jpy_per_kwh` is the value of a kWh of UP at the place: the seller of UP receives it,
    the seller of DOWN pays it. `splits` are parts that the seller passes on by agreement
    (weight = ratio of its receipts); `credits` are the buyers whom a shortfall let down. An
    excused shortfall is given back without a penalty; one that is released, as nobody ordered it,
    both ways, also to a seller who was to pay. `stand_in_jpy` is what those are paid who
    stood in for it, `covered_kwh` what they made up for at its place.
    """

    award: str
    t: int
    direction: Direction
    price_jpy_per_kwh: Decimal
    ordered_kwh: Decimal
    shortfall_kwh: Decimal
    seller: str
    splits: tuple[Share, ...] = ()
    credits: tuple[Share, ...] = ()
    is_excused: bool = False
    stand_in_jpy: Decimal = Decimal(0)
    is_released: bool = False
    covered_kwh: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class NeedPosition:
    """One need in one half hour: what was served at which price [kWh, JPY/kWh]."""

    need: str
    t: int
    buyer: str
    served_kwh: Decimal
    price_jpy_per_kwh: Decimal


@dataclass(frozen=True, kw_only=True)
class PathCharge:
    """What one award owes to path owners for a day, out of its receipts."""

    award: str
    seller: str
    total_exact_jpy: Decimal


@dataclass(frozen=True, kw_only=True)
class RentPosition:
    """What a network element, link, path or imbalance account earns in one half hour.

    The quantity is in kWh, or in GB for a path; the product with the price goes from the
    house to `payees` by weight, or back if it is negative.
    """

    item: Item
    element: str
    t: int
    payees: tuple[Share, ...]
    price_jpy_per_kwh: Decimal | None = None
    quantity_kwh: Decimal | None = None
    price_jpy_per_gb: Decimal | None = None
    quantity_gb: Decimal | None = None

    @property
    def total_exact_jpy(self) -> Decimal:
        """Signed receipt [JPY]."""
        if self.quantity_gb is not None and self.price_jpy_per_gb is not None:
            return self.quantity_gb * self.price_jpy_per_gb
        ensure(
            self.quantity_kwh is not None and self.price_jpy_per_kwh is not None,
            "a rent has neither kWh nor GB",
        )
        return (self.quantity_kwh or Decimal(0)) * (self.price_jpy_per_kwh or Decimal(0))


@dataclass(frozen=True, kw_only=True)
class Line:
    """`payer` owes `payee` a positive exact amount, held to a millionth of a yen.

    `t` is None where a line is for the whole day.
    """

    item: Item
    payer: str
    payee: str
    t: int | None
    amount_exact_jpy: Decimal
    award: str | None = None
    need: str | None = None
    element: str | None = None
    quantity_kwh: Decimal | None = None
    price_jpy_per_kwh: Decimal | None = None
    quantity_gb: Decimal | None = None
    price_jpy_per_gb: Decimal | None = None


def settle(
    *,
    awards: Iterable[AwardPosition],
    needs: Iterable[NeedPosition],
    rents: Iterable[RentPosition],
    paths: Iterable[PathCharge] = (),
    rules: SettlementRules,
    house: House,
) -> tuple[Line, ...]:
    """Write every line of one run.

    Parameters
    ----------
    awards, needs, rents, paths
        Positions of one auction; any order.
    rules
        Terms in force on the delivery date.
    house
        The aggregator's accounts.

    Returns
    -------
    tuple of Line
        Lines of awards, their fees and splits, needs, rents and paths, then one RESIDUAL line
        for each half hour in which published rounding left the clearing account something,
        and one for the paths, which are charged by the day.

    Raises
    ------
    BrokenInvariant
        If the clearing account does not end at zero.
    """
    lines: list[Line] = []
    positions: dict[str, list[AwardPosition]] = defaultdict(list)
    for position in awards:
        positions[position.award].append(position)
        lines += award_lines(position, rules=rules, house=house)
        lines += credit_lines(position, rules=rules, house=house)
    for of_award in positions.values():
        lines += share_lines(of_award, rules=rules, house=house)
    for need in needs:
        lines += need_lines(need, house=house)
    for rent in rents:
        lines += rent_lines(rent, house=house)
    for charge in paths:
        lines += path_lines(charge, house=house)
    lines += residual_lines(net_by_t(lines, house.clearing), house=house)
    left = net_by_t(lines, house.clearing)
    ensure(all(value == 0 for value in left.values()), "the clearing account is not empty")
    return tuple(lines)


def award_lines(position: AwardPosition, *, rules: SettlementRules, house: House) -> list[Line]:
    """Pay the energy as ordered, then take back what was missing.

    A seller of DOWN at a positive price pays for the energy; if it does not take it, it has
    bought it none the less: there is no refund to a seller, unless nobody ordered it.
    """
    _check(position)
    with localcontext(EXACT_CONTEXT):
        unit_jpy_per_kwh = receipt_jpy_per_kwh(position)
        excess_kwh = _excess_kwh(position, rules)
        penalty_jpy_per_kwh = (rules.penalty_factor_ratio - 1) * abs(position.price_jpy_per_kwh)
        refund_jpy = _gain_jpy_per_kwh(position) * position.shortfall_kwh
        seller, clearing = position.seller, house.clearing
        energy_jpy = unit_jpy_per_kwh * position.ordered_kwh
        penalty_jpy = penalty_jpy_per_kwh * excess_kwh
    entries = (
        (Item.SELLER_ENERGY, (clearing, seller), position.ordered_kwh, energy_jpy),
        (Item.SHORTFALL_REFUND, (seller, clearing), position.shortfall_kwh, refund_jpy),
        (Item.SHORTFALL_PENALTY, (seller, clearing), excess_kwh, penalty_jpy),
    )
    lines = (
        line_of(
            item,
            parties,
            amount_jpy,
            t=position.t,
            award=position.award,
            quantity_kwh=quantity_kwh,
            price_jpy_per_kwh=position.price_jpy_per_kwh,
        )
        for item, parties, quantity_kwh, amount_jpy in entries
    )
    return [line for line in lines if line is not None]


def share_lines(
    positions: Sequence[AwardPosition], *, rules: SettlementRules, house: House
) -> list[Line]:
    """Take the fee and the agreed splits from what one award received in the day.

    The base is the receipt for delivered energy, half hour by half hour where it is positive:
    no fee and no split on a payment. One line per award and party, because a share of a sum is
    one number to check where shares of 48 would be 48.
    """
    if not positions:
        return []
    first = positions[0]
    with localcontext(EXACT_CONTEXT):
        delivered = [
            (
                position.ordered_kwh - position.shortfall_kwh,
                max(Decimal(0), receipt_jpy_per_kwh(position)),
            )
            for position in positions
        ]
        received_jpy = sum((kwh * unit for kwh, unit in delivered), Decimal(0))
        received_kwh = sum((kwh for kwh, unit in delivered if unit > 0), Decimal(0))
        parts = [(Item.PLATFORM_FEE, house.fee, rules.fee_ratio * received_jpy)]
        parts += [
            (Item.REVENUE_SPLIT, share.account, share.weight * received_jpy)
            for share in first.splits
        ]
    lines = (
        line_of(
            item,
            (first.seller, account),
            amount_jpy,
            t=None,
            award=first.award,
            quantity_kwh=received_kwh,
        )
        for item, account, amount_jpy in parts
    )
    return [line for line in lines if line is not None]


def path_lines(charge: PathCharge, *, house: House) -> list[Line]:
    """Collect from a mover of work what its moves owe to path owners."""
    line = line_of(
        Item.PATH_FEE,
        (charge.seller, house.clearing),
        charge.total_exact_jpy,
        t=None,
        award=charge.award,
    )
    return [] if line is None else [line]


def credit_lines(position: AwardPosition, *, rules: SettlementRules, house: House) -> list[Line]:
    """Pass refund and penalty of one position to the buyers it let down, to the last digit.

    What stands in for it is paid out of them first; where it costs more, the buyers pay the rest.
    """
    taken_jpy = sum(
        (
            line.amount_exact_jpy * (1 if line.payer == position.seller else -1)
            for line in award_lines(position, rules=rules, house=house)
            if line.item in {Item.SHORTFALL_REFUND, Item.SHORTFALL_PENALTY}
        ),
        Decimal(0),
    )
    left_jpy = taken_jpy - position.stand_in_jpy
    if not left_jpy or not position.credits:
        return []
    parts_jpy = split_exact(left_jpy, position.credits)
    lines = (
        line_of(
            Item.SHORTFALL_CREDIT if left_jpy > 0 else Item.REPLACEMENT,
            (house.clearing, share.account),
            part_jpy,
            t=position.t,
            award=position.award,
            need=share.need,
            quantity_kwh=position.shortfall_kwh,
            price_jpy_per_kwh=position.price_jpy_per_kwh,
        )
        for share, part_jpy in zip(position.credits, parts_jpy, strict=True)
    )
    return [line for line in lines if line is not None]


def need_lines(position: NeedPosition, *, house: House) -> list[Line]:
    """Charge the buyer price times what was served."""
    with localcontext(EXACT_CONTEXT):
        charge_jpy = position.served_kwh * position.price_jpy_per_kwh
    line = line_of(
        Item.NEED_CHARGE,
        (position.buyer, house.clearing),
        charge_jpy,
        t=position.t,
        need=position.need,
        quantity_kwh=position.served_kwh,
        price_jpy_per_kwh=position.price_jpy_per_kwh,
    )
    return [] if line is None else [line]


def rent_lines(position: RentPosition, *, house: House) -> list[Line]:
    """Pay a rent to its owners by weight (a tie line: half each)."""
    with localcontext(EXACT_CONTEXT):
        total_jpy = quantize_jpy(position.total_exact_jpy)
    if not total_jpy:
        return []
    lines = (
        line_of(
            position.item,
            (house.clearing, share.account),
            part_jpy,
            t=position.t,
            element=position.element,
            quantity_kwh=position.quantity_kwh,
            price_jpy_per_kwh=position.price_jpy_per_kwh,
            quantity_gb=position.quantity_gb,
            price_jpy_per_gb=position.price_jpy_per_gb,
        )
        for share, part_jpy in zip(
            position.payees, split_exact(total_jpy, position.payees), strict=True
        )
    )
    return [line for line in lines if line is not None]


def residual_lines(left_exact_jpy: Mapping[int | None, Decimal], *, house: House) -> list[Line]:
    """Move what each half hour left in the clearing account to the rounding account."""
    ordered = sorted(left_exact_jpy, key=lambda t: (t is None, t or 0))
    lines = (
        line_of(Item.RESIDUAL, (house.clearing, house.rounding), left_exact_jpy[t], t=t)
        for t in ordered
    )
    return [line for line in lines if line is not None]


def net_by_t(lines: Iterable[Line], account: str) -> dict[int | None, Decimal]:
    """Sum what `account` receives less what it pays, per half hour [JPY].

    Optical paths are charged by the day and paid by the half hour; they count for the day.
    """
    net: dict[int | None, Decimal] = defaultdict(Decimal)
    with localcontext(EXACT_CONTEXT):
        for line in lines:
            t = None if line.item in OF_THE_DAY else line.t
            if line.payee == account:
                net[t] += line.amount_exact_jpy
            if line.payer == account:
                net[t] -= line.amount_exact_jpy
    return dict(net)


def totals_by_account(lines: Iterable[Line]) -> dict[tuple[str, Item], Decimal]:
    """Exact total per account and item, + received, − paid [JPY]; all of them sum to zero."""
    totals: dict[tuple[str, Item], Decimal] = defaultdict(Decimal)
    with localcontext(EXACT_CONTEXT):
        for line in lines:
            totals[line.payee, line.item] += line.amount_exact_jpy
            totals[line.payer, line.item] -= line.amount_exact_jpy
    return dict(totals)


def receipt_jpy_per_kwh(position: AwardPosition) -> Decimal:
    """Return what the seller receives per ordered kWh; negative if it pays."""
    up = position.direction is Direction.UP
    return position.price_jpy_per_kwh if up else -position.price_jpy_per_kwh


def _gain_jpy_per_kwh(position: AwardPosition) -> Decimal:
    """Return what is taken back per kWh that is missing; below zero, what is given back."""
    unit_jpy_per_kwh = receipt_jpy_per_kwh(position)
    return unit_jpy_per_kwh if position.is_released else max(Decimal(0), unit_jpy_per_kwh)


def _excess_kwh(position: AwardPosition, rules: SettlementRules) -> Decimal:
    """Shortfall beyond tolerance."""
    if position.is_excused:
        return Decimal(0)
    allowed_kwh = rules.tolerance_ratio * position.ordered_kwh
    return max(Decimal(0), position.shortfall_kwh - allowed_kwh)


def _check(position: AwardPosition) -> None:
    exact(position.price_jpy_per_kwh, field="price_jpy_per_kwh", low=-99_999, high=99_999)
    exact(position.ordered_kwh, field="ordered_kwh", low=0, high=10**9)
    exact(position.shortfall_kwh, field="shortfall_kwh", low=0, high=position.ordered_kwh)


def split_exact(total_exact_jpy: Decimal, shares: Sequence[Share]) -> list[Decimal]:
    """Split to the millionth of a yen, so that the parts add up to the total."""
    units = int(total_exact_jpy.scaleb(EXACT_PLACES))
    parts = split_largest_remainder(units, [share.weight for share in shares])
    return [Decimal(part).scaleb(-EXACT_PLACES) for part in parts]


def line_of(
    item: Item,
    parties: tuple[str, str],
    amount_exact_jpy: Decimal,
    *,
    t: int | None,
    award: str | None = None,
    need: str | None = None,
    element: str | None = None,
    quantity_kwh: Decimal | None = None,
    price_jpy_per_kwh: Decimal | None = None,
    quantity_gb: Decimal | None = None,
    price_jpy_per_gb: Decimal | None = None,
) -> Line | None:
    """Turn a signed amount into a line the right way round; nothing owed is no line."""
    held_jpy = quantize_jpy(amount_exact_jpy)
    if not held_jpy or parties[0] == parties[1]:
        return None
    payer, payee = parties if held_jpy > 0 else parties[::-1]
    return Line(
        item=item,
        payer=payer,
        payee=payee,
        t=t,
        amount_exact_jpy=abs(held_jpy),
        award=award,
        need=need,
        element=element,
        quantity_kwh=quantity_kwh,
        price_jpy_per_kwh=price_jpy_per_kwh,
        quantity_gb=quantity_gb,
        price_jpy_per_gb=price_jpy_per_gb,
    )
