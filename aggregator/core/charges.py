"""Lines of what is owed beside energy: capacity held ready, computing, envelopes, payment rules.

Nothing here is measured: it is owed as published. Each charge has the house on one side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from accounts.core.money import quantize_jpy
from aggregator.core.settlement import House, Item, Line


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What an account pays to the house, or receives from it where the amount is negative.

    `t` is None where it is for the whole day; `element` names what it is for where that is
    neither an award nor a need: a bid of computing, or a site with an envelope.
    """

    item: Item
    account: str
    amount_exact_jpy: Decimal
    t: int | None = None
    award: str | None = None
    need: str | None = None
    element: str | None = None


def charge_lines(charges: Iterable[Charge], *, house: House) -> list[Line]:
    """Write a line for each charge that is not nothing, from who owes to who is owed.

    A charge of the house against itself is no line, except the fee, which moves from its
    clearing account to its fee account.
    """
    lines = []
    for charge in charges:
        held_jpy = quantize_jpy(charge.amount_exact_jpy)
        if not held_jpy or charge.account == house.clearing:
            continue
        payer, payee = charge.account, house.clearing
        if held_jpy < 0:
            payer, payee = payee, payer
        lines.append(
            Line(
                item=charge.item,
                payer=payer,
                payee=payee,
                t=charge.t,
                amount_exact_jpy=abs(held_jpy),
                award=charge.award,
                need=charge.need,
                element=charge.element,
            )
        )
    return lines
