"""1,000 bids in one service call against COPY of the same rows, already made.

Both commit; both write the same two tables with their keys, checks and triggers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from accounts.fields.copying import rows_copy
from accounts.parties.models import Organisation
from aggregator.ops.bench import alternately, summary
from aggregator.ops.bench.book import opened_auction
from market.registry.models import Resource
from market.trading.bids import BID_COLUMNS, bids_submit
from market.trading.contents import content_bytes, content_canonical, content_sha256
from market.trading.models import Auction, Bid, BidContent

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


def _basket(resources: list[Resource], size: int, number: int) -> list[dict[str, Any]]:
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
        bids, contents = ready[number]
        with transaction.atomic():
            rows_copy(Bid, BID_COLUMNS, bids)
            rows_copy(BidContent, ("bid_id", "content"), contents)

    return copy_rows


def _rows(
    auction: Auction, organisation: Organisation, resources: list[Resource], size: int, number: int
) -> tuple[list[tuple[Any, ...]], list[tuple[UUID, str]]]:
    bids: list[tuple[Any, ...]] = []
    contents = []
    for i in range(size):
        content = content_canonical("STEPS", _offer(i), field="bid")
        canonical = content_bytes(content)
        bid_id = uuid4()
        bids.append(
            (
                bid_id,
                f"floor-{number}-{i}",
                1,
                auction.id,
                organisation.id,
                resources[i % len(resources)].id,
                None,
                None,
                None,
                "STEPS",
                "DEFERRAL",
                "SUBMITTED",
                None,
                auction.opens_at,
                content_sha256(canonical),
            )
        )
        contents.append((bid_id, canonical.decode()))
    return bids, contents
