"""What a published result says is owed beside measured energy, as charges.

Capacity held ready, computing, envelopes and payment rules are settled as published: nothing of
them is measured here. Whether reserved capacity was there when called is assessed elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from accounts.core.money import EXACT_QUANTUM_JPY
from aggregator.core.charges import Charge
from aggregator.core.settlement import Item
from aggregator.settlement.results import HOURS_PER_INTERVAL, PublishedResult
from market.clearing.publication import award_id_of
from market.trading.models import NeedKind
from market.trading.selectors import envelopes_of

ZERO = Decimal(0)


def charges_of(result: PublishedResult) -> list[Charge]:
    """Return every charge of a result, those of zero included."""
    return [
        *_capacity(result),
        *_computing(result),
        *_envelopes(result),
        *_payment_rules(result),
    ]


def computing_left_jpy(result: PublishedResult) -> Decimal:
    """Return what computing leaves to the house by its published figures: its rounding.

    It is charged by the day, so it is no part of what half hours leave.
    """
    document = result.document
    paid = (_exact(row["paid_jpy"]) - _exact(row["path_jpy"]) for row in document["requests"])
    received = (_exact(row["receipt_jpy"]) for row in document["compute"])
    return sum(paid, ZERO) - sum(received, ZERO)


def _exact(value: object) -> Decimal:
    return Decimal(str(value)).quantize(EXACT_QUANTUM_JPY)


def _capacity(result: PublishedResult) -> Iterable[Charge]:
    """Charge the buyers of ΔkW and pay its sellers: kW times the price per kW and half hour."""
    for need in result.document["needs"]:
        if need["kind"] != NeedKind.CAPACITY:
            continue
        for t, served_kw in enumerate(need["served_kw"]):
            yield Charge(
                item=Item.CAPACITY_CHARGE,
                account=result.parties.need(need["id"]).buyer,
                amount_exact_jpy=_exact(served_kw) * _exact(need["price_jpy_per_kw"][t]),
                t=t,
                need=need["id"],
            )
    sellers = result.parties.sellers
    for award in result.document["awards"]:
        award_id = award_id_of(result.run.id, award)
        if "price_jpy_per_kw" not in award or award_id not in sellers:
            continue
        for t, quantity_kw in enumerate(award["quantity_kw"]):
            yield Charge(
                item=Item.CAPACITY,
                account=sellers[award_id],
                amount_exact_jpy=-_exact(quantity_kw) * _exact(award["price_jpy_per_kw"][t]),
                t=t,
                award=str(award_id),
            )


def _computing(result: PublishedResult) -> Iterable[Charge]:
    """Charge those who asked for computing, their paths apart, and pay those who offered it."""
    for request in result.document["requests"]:
        account = result.parties.bidder(request["id"])
        path_jpy = _exact(request["path_jpy"])
        yield Charge(
            item=Item.COMPUTE_CHARGE,
            account=account,
            amount_exact_jpy=_exact(request["paid_jpy"]) - path_jpy,
            element=request["id"],
        )
        yield Charge(
            item=Item.PATH_FEE, account=account, amount_exact_jpy=path_jpy, element=request["id"]
        )
    for offer in result.document["compute"]:
        yield Charge(
            item=Item.COMPUTE,
            account=result.parties.bidder(offer["id"]),
            amount_exact_jpy=-_exact(offer["receipt_jpy"]),
            element=offer["id"],
        )


def _envelopes(result: PublishedResult) -> Iterable[Charge]:
    """Charge flexible connections: relief at its price, and a penalty for what is still above.

    The penalty goes to the grid operator whose connection it is.
    """
    rows = {row.site.code: row for row in envelopes_of(result.run.auction)}
    for envelope in result.document["envelopes"]:
        row, code = rows[envelope["id"]], envelope["id"]
        account = result.parties.site_operator(code)
        for t, price in enumerate(envelope["price_jpy_per_kwh"]):
            if price:
                relieved_kw = (
                    row.scheduled_import_kw[t]
                    - row.max_import_kw[t]
                    - _exact(envelope["over_kw"][t])
                )
                yield Charge(
                    item=Item.ENVELOPE,
                    account=account,
                    amount_exact_jpy=relieved_kw * HOURS_PER_INTERVAL * _exact(price),
                    t=t,
                    element=code,
                )
        penalty_jpy = _exact(envelope["penalty_jpy"])
        for payer, amount_jpy in (
            (account, penalty_jpy),
            (result.parties.member(row.organisation), -penalty_jpy),
        ):
            yield Charge(
                item=Item.ENVELOPE_PENALTY,
                account=payer,
                amount_exact_jpy=amount_jpy,
                element=code,
            )


def _payment_rules(result: PublishedResult) -> Iterable[Charge]:
    """Move what payment rules put on top of prices: make-whole, posted prices, asks, the fee."""
    payments: Mapping[str, Any] = result.document["payments"]
    parties = result.parties
    for seller in payments["sellers"]:
        yield Charge(
            item=Item.PAYMENT_RULE,
            account=parties.bidder(seller["bid"]),
            amount_exact_jpy=_exact(seller["market_jpy"]) - _exact(seller["paid_jpy"]),
            element=seller["bid"],
        )
    for buyer in payments["buyers"]:
        fee_jpy = _exact(buyer["fee_jpy"])
        extra_jpy = _exact(buyer["paid_jpy"]) - _exact(buyer["market_jpy"]) - fee_jpy
        account = parties.need(buyer["id"]).buyer
        for item, amount_jpy in ((Item.PAYMENT_RULE, extra_jpy), (Item.MARKET_FEE, fee_jpy)):
            yield Charge(item=item, account=account, amount_exact_jpy=amount_jpy, need=buyer["id"])
    for rent in payments["rents"]:
        kept_jpy = _exact(rent["jpy"]) - _exact(rent["settled_jpy"])
        if kept_jpy:
            yield Charge(
                item=Item.PAYMENT_RULE,
                account=parties.owner(rent["owner"]),
                amount_exact_jpy=kept_jpy,
                element=rent["id"],
            )
    yield Charge(
        item=Item.MARKET_FEE,
        account=parties.house.fee,
        amount_exact_jpy=-_exact(payments["fee_jpy"]),
    )
