"""1,000 bids in one service call against COPY of the same rows, already made.

Both commit; both write the same two tables, sealed, with their keys, checks and triggers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts.fields.copying import rows_copy
from accounts.parties.models import Organisation
from aggregator.ops.bench import alternately, summary
from aggregator.ops.bench.book import opened_auction
from market.registry.models import Resource
from market.trading.baskets import BASKET_COLUMNS, BID_COLUMNS, Basket
from market.trading.bids import bids_submit
from market.trading.drafts import drafts_of
from market.trading.keys import sealing_keys
from market.trading.models import Auction, Bid, SealedBasket

ROUNDS_COUNT = 5
STEPS_COUNT = 5
SPANS = ((16, 23), (32, 43))


def run(*, size: int = 1_000) -> dict[str, Any]:
    """Measure `size` bids of five steps over two spans."""
    auction, organisation, resources = _market()
    ours_s, floor_s = alternately(
        ROUNDS_COUNT,
        lambda number: _submit(auction, organisation, _basket(resources, size, number)),
        copier(auction, organisation, resources, size, ROUNDS_COUNT + 1),
    )
    figures = summary(ours_s, floor_s)
    return {"bids": size, "bids_per_s": round(size / figures["ours_s"]), **figures}


def _market() -> tuple[Auction, Organisation, list[Resource]]:
    auction = opened_auction()
    organisation = Organisation.objects.get(code="shiroi")
    resources = list(
        Resource.objects.filter(site__organisation=organisation, kind="DC_LOAD").order_by("code")
    )
    return auction, organisation, resources


def _offer(number: int) -> dict[str, Any]:
    steps = [
        {"quantity_kw": str(100 + number % 7), "ask_jpy_per_kwh": str(Decimal(10 + 3 * step))}
        for step in range(STEPS_COUNT)
    ]
    curves = [{"first_t": first, "last_t": last, "steps": steps} for first, last in SPANS]
    return {"direction": "UP", "curves": curves}


def _basket(resources: list[Resource], size: int, number: object) -> list[dict[str, Any]]:
    return [
        {
            "client_bid_id": f"bench-{number}-{i}",
            "resource": resources[i % len(resources)].code,
            "form": "STEPS",
            "mechanism": "DEFERRAL",
            **_offer(i),
        }
        for i in range(size)
    ]


def _submit(auction: Auction, organisation: Organisation, basket: list[dict[str, Any]]) -> None:
    bids_submit(auction_id=auction.id, organisation=organisation, bids=basket)


def copier(
    auction: Auction,
    organisation: Organisation,
    resources: list[Resource],
    size: int,
    rounds_count: int,
) -> Any:
    """Make all rows beforehand; the returned function only copies them."""
    ready = [
        _rows(auction, organisation, resources, size, number) for number in range(rounds_count)
    ]

    def copy_rows(number: int) -> None:
        basket, bids = ready[number]
        with transaction.atomic():
            rows_copy(SealedBasket, BASKET_COLUMNS, [basket])
            rows_copy(Bid, BID_COLUMNS, bids)

    return copy_rows


def _rows(
    auction: Auction, organisation: Organisation, resources: list[Resource], size: int, number: int
) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    """Make what the service would store, down to the sealed bytes."""
    basket = Basket(auction=auction, organisation=organisation, moment=auction.opens_at)
    drafts = drafts_of(organisation, _basket(resources, size, f"floor-{number}"))
    for draft in drafts:
        basket.put(draft, None, "bid")
    row, _ = basket.sealed(sealing_keys(organisation))
    return row, basket.rows
