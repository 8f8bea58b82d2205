"""What a published result says is owed beside measured energy, as charges.

Capacity held ready, computing, envelopes and payment rules are settled as published: nothing of
them is measured here. What failing an assessment costs and what a call is worth is written from
assessments: see :mod:`aggregator.settlement.bodies`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from accounts.core.money import EXACT_QUANTUM_JPY
from aggregator.core.charges import Charge
from aggregator.core.settlement import Item, Line, line_of
from aggregator.core.terms import SettlementRules
from aggregator.settlement.composites import composite_charges
from aggregator.settlement.results import HOURS_PER_INTERVAL, PublishedResult
from market.clearing.models import Award, Leg
from market.clearing.publication import award_id_of
from market.trading.models import NeedKind
from market.trading.selectors import envelopes_of

ZERO = Decimal(0)
HALF_HOURS = 48


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


def follow_on_charges(
    result: PublishedResult, published: Sequence[Charge], rules: SettlementRules
) -> list[Charge]:
    """Return what follows from capacity as published: composites paid once, the exchange's fee."""
    held = {row.id: row for row in _reserved(result)}
    if not held:
        return []
    charges = [row for row in published if row.item is Item.CAPACITY and row.amount_exact_jpy]
    kw = {
        (str(award_id_of(result.run.id, award)), t): _exact(quantity_kw)
        for award in result.document["awards"]
        if "price_jpy_per_kw" in award
        for t, quantity_kw in enumerate(award["quantity_kw"])
    }
    return [
        *composite_charges(result, rules, charges, kw, held),
        *_exchange_fees(result, rules, kw, held),
    ]


def _reserved(result: PublishedResult) -> list[Award]:
    return list(
        Award.objects.filter(run=result.run, leg=Leg.RESERVED).select_related("resource__site")
    )


def _exchange_fees(
    result: PublishedResult,
    rules: SettlementRules,
    kw: Mapping[tuple[str, int], Decimal],
    held: Mapping[Any, Award],
) -> Iterable[Charge]:
    """Collect the exchange's fee from who sold a product that is sold on there."""
    on = result.run.auction.delivery_on
    for award in held.values():
        fee = rules.exchange_fee_jpy_per_kw_30min(str(award.product_id), on)
        if not fee:
            continue
        for t in range(HALF_HOURS):
            amount_jpy = kw.get((str(award.id), t), ZERO) * fee
            for account, sign in (
                (result.parties.sellers[award.id], 1),
                (result.parties.exchange, -1),
            ):
                yield Charge(
                    item=Item.EXCHANGE_FEE,
                    account=account,
                    amount_exact_jpy=sign * amount_jpy,
                    t=t,
                    award=str(award.id),
                )


# Receipts as published, of which a seller passes agreed parts on as it does of energy.
SHARED_ITEMS = (Item.CAPACITY, Item.COMPUTE, Item.PAYMENT_RULE)


def split_lines(result: PublishedResult, charges: Sequence[Charge]) -> list[Line]:
    """Return the agreed parts of receipts that are paid as published: one line each and day.

    Of capacity, less what a composite takes back of it, of computing, and of what payment rules
    add. What is taken back of capacity that was not there is taken back of its parts as well,
    with its assessment.
    """
    parties = result.parties
    if not parties.splits:
        return []
    site_of_award = dict(
        Award.objects.filter(run=result.run).values_list("id", "resource__site_id")
    )
    received: dict[tuple[str, str | None, str | None], Decimal] = defaultdict(Decimal)
    for charge in charges:
        if charge.item in SHARED_ITEMS and charge.need is None:
            key = (charge.account, charge.award, charge.element)
            received[key] -= charge.amount_exact_jpy
    lines = []
    for (account, award, element), received_jpy in received.items():
        site = (
            site_of_award.get(UUID(award))
            if award is not None
            else parties.sites_of_bids.get(element or "")
        )
        if received_jpy <= 0:
            continue
        for share in parties.splits_of(site):
            line = line_of(
                Item.REVENUE_SPLIT,
                (account, share.account),
                share.weight * received_jpy,
                t=None,
                award=award,
                element=element,
            )
            lines += [line] if line is not None else []
    return lines
