"""Capacity held ready: penalties of failed assessments, energy when called, composite products."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

from accounts.core.errors import ensure
from accounts.core.money import EXACT_CONTEXT, EXACT_QUANTUM_JPY, exact, quantize_jpy
from aggregator.core.delivery import Direction
from aggregator.core.settlement import House, Item, Line, Share, line_of, split_exact
from aggregator.core.terms import SettlementRules

ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class CapacityPosition:
    """One award of capacity in one half hour, as assessed.

    Attributes
    ----------
    reserved_kw, price_jpy_per_kw_30min
        What is held ready, at what price per half hour.
    shortfall_kw
        What was not there (assessment I).
    is_declared, is_excused
        Told before the gate of the block closed; force majeure.
    instructed_kwh, responded_kwh, is_responsive
        What was called, what came of it at the receiving end, whether within tolerance
        (assessment II); None where it was not called.
    call_jpy_per_kwh
        V1 of UP, V2 of DOWN, per kWh at the sending end.
    loss_ratio
        Of the site's network contract: one kWh at the receiving end is 1 / (1 − ratio) sent.
    buyers
        Who bought the capacity, by weight.
    """

    award: str
    t: int
    direction: Direction
    seller: str
    reserved_kw: Decimal
    price_jpy_per_kw_30min: Decimal
    shortfall_kw: Decimal = ZERO
    is_declared: bool = False
    is_excused: bool = False
    instructed_kwh: Decimal | None = None
    responded_kwh: Decimal | None = None
    is_responsive: bool | None = None
    call_jpy_per_kwh: Decimal = ZERO
    loss_ratio: Decimal = ZERO
    splits: tuple[Share, ...] = ()
    buyers: tuple[Share, ...] = ()


def capacity_lines(
    position: CapacityPosition, *, rules: SettlementRules, house: House
) -> list[Line]:
    r"""Write what an assessed half hour of capacity costs its seller, and what a call is worth.

    With the price p, the reserved kW r and the short kW s, penalty I is :math:`s\,p\,f_I` and
    penalty II :math:`r\,p\,f_{II}`. Where both fall due, the short kW are punished once, at the
    higher factor: with :math:`f_I \ge f_{II}` by I, and II is for :math:`r - s`; else by II.

    A call pays V1 for energy UP; for energy DOWN the seller pays V2; both for what responded up
    to what was called, taken from the receiving to the sending end by the loss ratio, once.

    Returns
    -------
    list of Line
        Penalties, what of them goes to the buyers, the call's energy from buyer to seller, and
        the seller's fee and splits on it.
    """
    _check(position)
    lines = [
        *_penalty_lines(position, rules=rules, house=house),
        *_call_lines(position, house=house),
        *_share_lines(position, rules=rules, house=house),
    ]
    return [line for line in lines if line is not None]


def sent_kwh(position: CapacityPosition) -> Decimal:
    """Return the energy of a call that is paid, at the sending end, to a millionth of a kWh."""
    if position.instructed_kwh is None or position.responded_kwh is None:
        return ZERO
    counted = min(position.instructed_kwh, position.responded_kwh)
    with localcontext(EXACT_CONTEXT):
        sent = counted / (1 - position.loss_ratio)
        return sent.quantize(EXACT_QUANTUM_JPY, rounding=ROUND_HALF_UP)


def penalties_jpy(position: CapacityPosition, rules: SettlementRules) -> tuple[Decimal, Decimal]:
    """Return penalty I and II; of kW that both would punish only the higher is taken [JPY]."""
    terms = rules.penalties
    is_mild = position.is_declared or position.is_excused
    factor_i = terms.declared_factor_ratio if is_mild else terms.penalty_i_factor_ratio
    failed = position.is_responsive is False and not position.is_excused
    factor_ii = terms.penalty_ii_factor_ratio if failed else ZERO
    if factor_i >= factor_ii:
        kw_i, kw_ii = position.shortfall_kw, position.reserved_kw - position.shortfall_kw
    else:
        kw_i, kw_ii = ZERO, position.reserved_kw
    price = position.price_jpy_per_kw_30min
    with localcontext(EXACT_CONTEXT):
        return quantize_jpy(price * factor_i * kw_i), quantize_jpy(price * factor_ii * kw_ii)


def composite_jpy(held: Sequence[tuple[Decimal, Decimal]]) -> Decimal:
    """Return what one composite is paid: its largest kW once, each kW at the highest price.

    Parameters
    ----------
    held
        (kW, yen per kW and half hour) of each component that one resource holds in one half
        hour. The kW of the smaller are among those of the larger; they are never added.
    """
    paid_jpy, covered_kw = ZERO, ZERO
    with localcontext(EXACT_CONTEXT):
        for kw, price in sorted(held, key=lambda component: (-component[1], -component[0])):
            paid_jpy += max(ZERO, kw - covered_kw) * price
            covered_kw = max(covered_kw, kw)
    return paid_jpy


def _penalty_lines(
    position: CapacityPosition, *, rules: SettlementRules, house: House
) -> Iterable[Line | None]:
    items = (Item.CAPACITY_PENALTY_I, Item.CAPACITY_PENALTY_II)
    taken = penalties_jpy(position, rules)
    for item, amount_jpy in zip(items, taken, strict=True):
        yield line_of(
            item,
            (position.seller, house.clearing),
            amount_jpy,
            t=position.t,
            award=position.award,
        )
    if sum(taken) and position.buyers:
        parts = split_exact(sum(taken, ZERO), position.buyers)
        for share, part_jpy in zip(position.buyers, parts, strict=True):
            yield line_of(
                Item.CAPACITY_CREDIT,
                (house.clearing, share.account),
                part_jpy,
                t=position.t,
                award=position.award,
                need=share.need,
            )


def _call_jpy(position: CapacityPosition) -> Decimal:
    """Return what the seller receives for a call's energy; negative where it pays."""
    sign = 1 if position.direction is Direction.UP else -1
    with localcontext(EXACT_CONTEXT):
        return sign * quantize_jpy(sent_kwh(position) * position.call_jpy_per_kwh)


def _call_lines(position: CapacityPosition, *, house: House) -> Iterable[Line | None]:
    is_up = position.direction is Direction.UP
    item = Item.ACTIVATION_UP if is_up else Item.ACTIVATION_DOWN
    received_jpy = _call_jpy(position)
    shared = {
        "t": position.t,
        "award": position.award,
        "quantity_kwh": sent_kwh(position),
        "price_jpy_per_kwh": position.call_jpy_per_kwh,
    }
    yield line_of(item, (house.clearing, position.seller), received_jpy, **shared)  # type: ignore[arg-type]
    if received_jpy and position.buyers:
        parts = split_exact(-received_jpy, position.buyers)
        for share, part_jpy in zip(position.buyers, parts, strict=True):
            yield line_of(
                item,
                (house.clearing, share.account),
                part_jpy,
                need=share.need,
                **shared,  # type: ignore[arg-type]
            )


def _share_lines(
    position: CapacityPosition, *, rules: SettlementRules, house: House
) -> Iterable[Line | None]:
    """Take the fee of a call's receipts, and splits of them less the price of kW not there."""
    with localcontext(EXACT_CONTEXT):
        called_jpy = max(ZERO, _call_jpy(position))
        missing_jpy = position.shortfall_kw * position.price_jpy_per_kw_30min
        parts = [(Item.PLATFORM_FEE, house.fee, rules.fee_ratio * called_jpy)]
        parts += [
            (Item.REVENUE_SPLIT, share.account, share.weight * (called_jpy - missing_jpy))
            for share in position.splits
        ]
    for item, account, amount_jpy in parts:
        yield line_of(
            item, (position.seller, account), amount_jpy, t=position.t, award=position.award
        )


def _check(position: CapacityPosition) -> None:
    exact(position.reserved_kw, field="reserved_kw", low=0, high=10**8)
    exact(position.shortfall_kw, field="shortfall_kw", low=0, high=position.reserved_kw)
    exact(position.price_jpy_per_kw_30min, field="price_jpy_per_kw_30min", low=0, high=99_999)
    exact(position.call_jpy_per_kwh, field="call_jpy_per_kwh", low=-99_999, high=99_999)
    exact(position.loss_ratio, field="loss_ratio", low=0, high=Decimal("0.5"))
    called = (position.instructed_kwh, position.responded_kwh, position.is_responsive)
    ensure(len({value is None for value in called}) == 1, "a call without what was called or came")
    for name in ("instructed_kwh", "responded_kwh"):
        value = getattr(position, name)
        if value is not None:
            exact(value, field=name, low=0, high=10**9)
