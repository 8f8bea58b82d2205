"""What is owed: exact lines out of awards, prices, deliveries, needs, rents and splits.

Every line has one payer and one payee, so the lines of any run sum to zero by construction.
Between a buyer and a seller stands the house: its clearing account takes part in almost every
line and ends at zero, because one last line per half hour moves what published rounding left
to the rounding account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal, localcontext
from enum import StrEnum

from accounts.core.errors import Refused, ensure
from accounts.core.money import (
    EXACT_CONTEXT,
    EXACT_PLACES,
    exact,
    quantize_jpy,
    split_largest_remainder,
)
from aggregator.core.delivery import Direction


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
    RESIDUAL = "RESIDUAL"


@dataclass(frozen=True, kw_only=True)
class SettlementRules:
    """Assessment terms of a ruleset; the defaults are unverified market practice.

    Attributes
    ----------
    tolerance_ratio
        Share of the ordered energy that may be missing without penalty.
    penalty_factor_ratio
        k: a missing kWh beyond tolerance costs the seller k times its price in all, of which
        one time is the refund.
    fee_ratio
        The aggregator's published fee on receipts for delivered energy.
    """

    tolerance_ratio: Decimal = Decimal("0.1")
    penalty_factor_ratio: Decimal = Decimal("1.5")
    fee_ratio: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse terms out of bounds."""
        exact(self.tolerance_ratio, field="tolerance_ratio", low=0, high=1)
        exact(self.penalty_factor_ratio, field="penalty_factor_ratio", low=1, high=10)
        exact(self.fee_ratio, field="fee_ratio", low=0, high=1)


def rules_from_mapping(mapping: Mapping[str, object]) -> SettlementRules:
    """Parse the settlement section of a ruleset; decimals come as strings or integers.

    Raises
    ------
    Refused
        On an unknown key, a float, or a value out of bounds.
    """
    known = {field.name for field in fields(SettlementRules)}
    values: dict[str, Decimal] = {}
    for key, value in mapping.items():
        if key not in known:
            raise Refused(field=f"settlement.{key}", value=value, rule="not a settlement rule")
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise Refused(field=f"settlement.{key}", value=value, rule="a decimal as a string")
        try:
            values[key] = Decimal(value)
        except ArithmeticError:
            raise Refused(field=f"settlement.{key}", value=value, rule="a decimal") from None
    return SettlementRules(**values)


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
    (weight = ratio of its receipts); `credits` are the buyers whom a shortfall let down.
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


@dataclass(frozen=True, kw_only=True)
class NeedPosition:
    """One need in one half hour: what was served at which price [kWh, JPY/kWh]."""

    need: str
    t: int
    buyer: str
    served_kwh: Decimal
    price_jpy_per_kwh: Decimal


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
    """`payer` owes `payee` a positive exact amount, held to a millionth of a yen."""

    item: Item
    payer: str
    payee: str
    t: int
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
    rules: SettlementRules,
    house: House,
) -> tuple[Line, ...]:
    """Write every line of one run.

    Parameters
    ----------
    awards, needs, rents
        Positions of one auction; any order.
    rules
        Terms in force on the delivery date.
    house
        The aggregator's accounts.

    Returns
    -------
    tuple of Line
        Lines of awards, needs and rents in the order given, then one RESIDUAL line for each
        half hour in which published rounding left the clearing account something.

    Raises
    ------
    BrokenInvariant
        If the clearing account does not end at zero.
    """
    lines: list[Line] = []
    for position in awards:
        lines += award_lines(position, rules=rules, house=house)
        lines += credit_lines(position, rules=rules, house=house)
    for need in needs:
        lines += need_lines(need, house=house)
    for rent in rents:
        lines += rent_lines(rent, house=house)
    lines += residual_lines(net_by_t(lines, house.clearing), house=house)
    left = net_by_t(lines, house.clearing)
    ensure(all(value == 0 for value in left.values()), "the clearing account is not empty")
    return tuple(lines)


def award_lines(position: AwardPosition, *, rules: SettlementRules, house: House) -> list[Line]:
    """Energy as ordered, then what is taken back for what was missing, fee and splits.

    A seller of DOWN at a positive price pays for the energy; if it does not take it, it has
    bought it none the less: there is no refund to a seller, and no fee or split on a payment.
    """
    _check(position)
    with localcontext(EXACT_CONTEXT):
        unit_jpy_per_kwh = receipt_jpy_per_kwh(position)
        delivered_kwh = position.ordered_kwh - position.shortfall_kwh
        gain_jpy_per_kwh = max(Decimal(0), unit_jpy_per_kwh)
        received_jpy = gain_jpy_per_kwh * delivered_kwh
        excess_kwh = _excess_kwh(position, rules)
        penalty_jpy_per_kwh = (rules.penalty_factor_ratio - 1) * abs(position.price_jpy_per_kwh)
        seller, clearing = position.seller, house.clearing
        entries = [
            (
                Item.SELLER_ENERGY,
                (clearing, seller),
                position.ordered_kwh,
                unit_jpy_per_kwh * position.ordered_kwh,
            ),
            (
                Item.SHORTFALL_REFUND,
                (seller, clearing),
                position.shortfall_kwh,
                gain_jpy_per_kwh * position.shortfall_kwh,
            ),
            (
                Item.SHORTFALL_PENALTY,
                (seller, clearing),
                excess_kwh,
                penalty_jpy_per_kwh * excess_kwh,
            ),
            (
                Item.PLATFORM_FEE,
                (seller, house.fee),
                delivered_kwh,
                rules.fee_ratio * received_jpy,
            ),
            *(
                (
                    Item.REVENUE_SPLIT,
                    (seller, share.account),
                    delivered_kwh,
                    share.weight * received_jpy,
                )
                for share in position.splits
            ),
        ]
    lines = (
        _line(
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


def credit_lines(position: AwardPosition, *, rules: SettlementRules, house: House) -> list[Line]:
    """Pass refund and penalty of one position to the buyers it let down, to the last digit."""
    taken_jpy = sum(
        (
            line.amount_exact_jpy
            for line in award_lines(position, rules=rules, house=house)
            if line.item in {Item.SHORTFALL_REFUND, Item.SHORTFALL_PENALTY}
        ),
        Decimal(0),
    )
    if not taken_jpy or not position.credits:
        return []
    parts_jpy = _split_exact(taken_jpy, position.credits)
    lines = (
        _line(
            Item.SHORTFALL_CREDIT,
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
    line = _line(
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
        _line(
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
            position.payees, _split_exact(total_jpy, position.payees), strict=True
        )
    )
    return [line for line in lines if line is not None]


def residual_lines(left_exact_jpy: Mapping[int, Decimal], *, house: House) -> list[Line]:
    """Move what each half hour left in the clearing account to the rounding account."""
    lines = (
        _line(Item.RESIDUAL, (house.clearing, house.rounding), left_exact_jpy[t], t=t)
        for t in sorted(left_exact_jpy)
    )
    return [line for line in lines if line is not None]


def net_by_t(lines: Iterable[Line], account: str) -> dict[int, Decimal]:
    """Sum what `account` receives less what it pays, per half hour [JPY]."""
    net: dict[int, Decimal] = defaultdict(Decimal)
    with localcontext(EXACT_CONTEXT):
        for line in lines:
            if line.payee == account:
                net[line.t] += line.amount_exact_jpy
            if line.payer == account:
                net[line.t] -= line.amount_exact_jpy
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


def _excess_kwh(position: AwardPosition, rules: SettlementRules) -> Decimal:
    """Shortfall beyond tolerance."""
    allowed_kwh = rules.tolerance_ratio * position.ordered_kwh
    return max(Decimal(0), position.shortfall_kwh - allowed_kwh)


def _check(position: AwardPosition) -> None:
    exact(position.price_jpy_per_kwh, field="price_jpy_per_kwh", low=-99_999, high=99_999)
    exact(position.ordered_kwh, field="ordered_kwh", low=0, high=10**9)
    exact(position.shortfall_kwh, field="shortfall_kwh", low=0, high=position.ordered_kwh)


def _split_exact(total_exact_jpy: Decimal, shares: Sequence[Share]) -> list[Decimal]:
    """Split to the millionth of a yen, so that the parts add up to the total."""
    units = int(total_exact_jpy.scaleb(EXACT_PLACES))
    parts = split_largest_remainder(units, [share.weight for share in shares])
    return [Decimal(part).scaleb(-EXACT_PLACES) for part in parts]


def _line(
    item: Item,
    parties: tuple[str, str],
    amount_exact_jpy: Decimal,
    *,
    t: int,
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
