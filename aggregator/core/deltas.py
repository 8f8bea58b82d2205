"""Corrections as differences: what lines now are less what they were, and what disputes decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from accounts.core.errors import Refused
from accounts.core.money import EXACT_CONTEXT, EXACT_QUANTUM_JPY, exact, quantize_jpy
from aggregator.core.settlement import House, Item, Line, Share, line_of, split_exact

# Receipts of which a seller passes shares on, and what takes them back.
RECEIPTS = frozenset(
    {
        Item.SELLER_ENERGY, Item.SHORTFALL_REFUND, Item.CAPACITY, Item.ACTIVATION_UP,
        Item.ACTIVATION_DOWN, Item.REPLACEMENT, Item.COMPUTE, Item.PAYMENT_RULE,
    }
)  # fmt: skip
# Of these the fee is a part too: it is on receipts for delivered energy.
FEE_BEARING = frozenset(
    {
        Item.SELLER_ENERGY, Item.SHORTFALL_REFUND, Item.ACTIVATION_UP, Item.ACTIVATION_DOWN,
        Item.REPLACEMENT,
    }
)  # fmt: skip
# What is taken from a seller for the buyers it let down, and the item it reaches them by.
PASSED_ON = {
    Item.SHORTFALL_REFUND: Item.SHORTFALL_CREDIT,
    Item.SHORTFALL_PENALTY: Item.SHORTFALL_CREDIT,
    Item.CAPACITY_PENALTY_I: Item.CAPACITY_CREDIT,
    Item.CAPACITY_PENALTY_II: Item.CAPACITY_CREDIT,
}

Key = tuple[Item, str, str, int | None, str | None, str | None, str | None]


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What a line should have been: its amount, or what it is to be computed from.

    Attributes
    ----------
    since_jpy
        What corrections after the line's run have added to it already, in its direction [JPY].
    """

    line: Line
    since_jpy: Decimal = Decimal(0)
    quantity_kwh: Decimal | None = None
    price_jpy_per_kwh: Decimal | None = None
    amount_exact_jpy: Decimal | None = None
    splits: tuple[Share, ...] = ()
    credits: tuple[Share, ...] = ()


def delta_lines(before: Iterable[Line], after: Iterable[Line]) -> list[Line]:
    """Return the lines that, added to `before`, come to `after`.

    Lines are netted by item, pair of accounts and what they concern; a negative difference is
    a line with payer and payee exchanged. Equal lines leave none.
    """
    nets: dict[Key, Decimal] = {}
    quantities: dict[Key, Decimal] = {}
    found: dict[Key, Line] = {}
    with localcontext(EXACT_CONTEXT):
        for sign, lines in ((-1, before), (1, after)):
            for line in lines:
                first, second = sorted((line.payer, line.payee))
                way = sign if line.payer == first else -sign
                key = (line.item, first, second, line.t, line.award, line.need, line.element)
                nets[key] = nets.get(key, Decimal(0)) + way * line.amount_exact_jpy
                quantity = line.quantity_kwh or Decimal(0)
                quantities[key] = quantities.get(key, Decimal(0)) + way * quantity
                found[key] = line
    made = (
        line_of(
            key[0],
            (key[1], key[2]),
            net,
            t=key[3],
            award=key[4],
            need=key[5],
            element=key[6],
            quantity_kwh=None if found[key].quantity_kwh is None else abs(quantities[key]),
            price_jpy_per_kwh=found[key].price_jpy_per_kwh,
        )
        for key, net in nets.items()
    )
    return [line for line in made if line is not None]


def decided_jpy(decided: Decided) -> Decimal:
    """Return the amount a line should have had, in its own direction [JPY].

    A quantity or price is put in the place of the line's own; what else the amount consists of
    (a penalty's factor) stays as it is.

    Raises
    ------
    Refused
        If nothing or both is said, or the line has no such number to be computed from.
    """
    line, said = decided.line, (decided.quantity_kwh, decided.price_jpy_per_kwh)
    if decided.amount_exact_jpy is not None:
        if said != (None, None):
            raise Refused(
                field="amount_exact_jpy",
                value=decided.amount_exact_jpy,
                rule="the amount, or quantity and price",
            )
        exact(decided.amount_exact_jpy, field="amount_exact_jpy")
        return quantize_jpy(decided.amount_exact_jpy)
    if said == (None, None):
        raise Refused(field="amount_exact_jpy", value=None, rule="amount, quantity or price")
    ratio = Fraction(line.amount_exact_jpy)
    bounds = {"quantity_kwh": (0, 10**9), "price_jpy_per_kwh": (-99_999, 99_999)}
    for name, (low, high) in bounds.items():
        value, known = getattr(decided, name), getattr(line, name)
        if value is None:
            continue
        exact(value, field=name, low=low, high=high)
        if not known:
            raise Refused(field=name, value=value, rule="a line that has one; else its amount")
        ratio *= Fraction(value) / Fraction(known)
    with localcontext(EXACT_CONTEXT):
        return quantize_jpy(Decimal(ratio.numerator) / Decimal(ratio.denominator))


def adjustment_lines(
    decisions: Sequence[Decided], *, fee_ratio: Decimal, house: House
) -> list[Line]:
    """Return what decided disputes change: the lines themselves and what follows from them.

    A line changes from what it came to with all that corrected it since: a reading that came
    before the decision is not corrected twice.

    What a line takes from a seller for its buyers reaches them by the difference; fee and
    splits of a receipt change with it. All else that a decision moves between the house and a
    party is borne by the aggregator out of its fee, as ADJUSTMENT: no third party pays for a
    dispute of others.
    """
    lines: list[Line | None] = []
    for decided in decisions:
        line = decided.line
        with localcontext(EXACT_CONTEXT):
            change_jpy = decided_jpy(decided) - (line.amount_exact_jpy + decided.since_jpy)
        if not change_jpy:
            continue
        lines.append(
            line_of(
                line.item,
                (line.payer, line.payee),
                change_jpy,
                t=line.t,
                award=line.award,
                need=line.need,
                element=line.element,
                quantity_kwh=_changed(line.quantity_kwh, decided.quantity_kwh),
                price_jpy_per_kwh=decided.price_jpy_per_kwh or line.price_jpy_per_kwh,
            )
        )
        lines += _passed_on(decided, change_jpy, house=house)
        lines += _shares(decided, change_jpy, fee_ratio=fee_ratio, house=house)
    written = [line for line in lines if line is not None]
    return [*written, *_borne(written, house=house)]


def _changed(known: Decimal | None, said: Decimal | None) -> Decimal | None:
    return known if known is None or said is None else abs(said - known)


def _passed_on(decided: Decided, change_jpy: Decimal, *, house: House) -> list[Line | None]:
    """Hand the difference of what was taken for buyers on to them."""
    item = PASSED_ON.get(decided.line.item)
    if item is None or not decided.credits:
        return []
    # A correction may have turned the line round: then its seller is the payee.
    way = 1 if decided.line.payee == house.clearing else -1
    parts = split_exact(way * change_jpy, decided.credits)
    return [
        line_of(
            item,
            (house.clearing, share.account),
            part_jpy,
            t=decided.line.t,
            award=decided.line.award,
            need=share.need,
        )
        for share, part_jpy in zip(decided.credits, parts, strict=True)
    ]


def _shares(
    decided: Decided, change_jpy: Decimal, *, fee_ratio: Decimal, house: House
) -> list[Line | None]:
    """Take fee and splits of what a receipt changes by."""
    line = decided.line
    # a line that names a need is a buyer's: what it is given back is no receipt of a seller
    if line.item not in RECEIPTS or line.need is not None:
        return []
    received = line.payer == house.clearing
    if not received and line.item is not Item.SHORTFALL_REFUND:
        return []  # a seller that pays has no receipt to share
    seller = line.payee if received else line.payer
    with localcontext(EXACT_CONTEXT):
        gained_jpy = change_jpy if received else -change_jpy
        parts = [(Item.REVENUE_SPLIT, share.account, share.weight) for share in decided.splits]
        if line.item in FEE_BEARING:
            parts.append((Item.PLATFORM_FEE, house.fee, fee_ratio))
        return [
            line_of(
                item,
                (seller, account),
                weight * gained_jpy,
                t=line.t,
                award=line.award,
                element=line.element,
            )
            for item, account, weight in parts
        ]


def _borne(lines: Sequence[Line], *, house: House) -> list[Line]:
    """Have the aggregator bear what the lines leave in the clearing account, half hour by it."""
    left: dict[int | None, Decimal] = {}
    with localcontext(EXACT_CONTEXT):
        for line in lines:
            sign = (line.payee == house.clearing) - (line.payer == house.clearing)
            left[line.t] = left.get(line.t, Decimal(0)) + sign * line.amount_exact_jpy
    made = (
        line_of(Item.ADJUSTMENT, (house.clearing, house.fee), amount_jpy, t=t)
        for t, amount_jpy in left.items()
    )
    return [line for line in made if line is not None]


def totals(lines: Iterable[Line]) -> Mapping[str, Decimal]:
    """Return what each account receives less what it pays [JPY]; they sum to zero."""
    net: dict[str, Decimal] = {}
    with localcontext(EXACT_CONTEXT):
        for line in lines:
            net[line.payee] = net.get(line.payee, Decimal(0)) + line.amount_exact_jpy
            net[line.payer] = net.get(line.payer, Decimal(0)) - line.amount_exact_jpy
    return net


__all__ = [
    "EXACT_QUANTUM_JPY",
    "Decided",
    "adjustment_lines",
    "decided_jpy",
    "delta_lines",
    "totals",
]
