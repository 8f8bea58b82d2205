"""Compute a closed period once more from raw readings, and compare every step with what stands.

Nothing is kept: baselines are found anew from the readings as they were known then, deliveries
counted, lines written and compared digit by digit, totals rounded; what differs is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import transaction

from accounts.core.postings import close_items
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import DeliveryVerification
from aggregator.metering.recounting import recount
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.differences import Difference
from aggregator.settlement.models import RunKind, SettlementItem, SettlementPeriod, SettlementRun
from aggregator.settlement.parties import house_of_market
from aggregator.settlement.replays import settlement_replay
from aggregator.settlement.totals import totals_from_lines
from market.trading.models import Auction

Progress = Callable[[int, int], object]


@dataclass(frozen=True, kw_only=True)
class Recomputation:
    """What was computed again, and every difference."""

    auctions_count: int
    half_hours_count: int
    lines_count: int
    items_count: int
    differences: tuple[Difference, ...]


def period_recompute(
    *, period: SettlementPeriod, progress: Progress | None = None
) -> Recomputation:
    """Compute a period from its readings, results and rules, and compare it with what was posted.

    Parameters
    ----------
    period
        A closed one.
    progress
        Called with the number of auctions done and their count.
    """
    auctions = list(
        Auction.objects.filter(
            delivery_on__gte=period.start_on,
            delivery_on__lt=period.end_on,
            settlement_runs__kind=RunKind.FINAL,
        )
        .distinct()
        .order_by("delivery_on", "code")
    )
    found: list[Difference] = []
    runs: list[SettlementRun] = []
    half_hours = lines = 0
    for done, auction in enumerate(auctions, start=1):
        chain = runs_in_force(auction=auction, kind=RunKind.FINAL)
        counted, differing = _recounted(auction, chain)
        half_hours += counted
        found += differing
        for run in chain:
            replay = settlement_replay(run_id=run.pk)
            lines += replay.lines
            if not replay.is_identical:
                found.append(
                    Difference(
                        subject=str(run),
                        rule="lines computed again [count]",
                        first=f"{replay.surplus} more",
                        second=f"{replay.missing} fewer",
                    )
                )
        runs += chain
        if progress is not None:
            progress(done, len(auctions))
    items, differing = _closed(period, [run.pk for run in runs])
    return Recomputation(
        auctions_count=len(auctions),
        half_hours_count=half_hours,
        lines_count=lines,
        items_count=items,
        differences=(*found, *differing),
    )


def _recounted(auction: Auction, chain: list[SettlementRun]) -> tuple[int, list[Difference]]:
    """Count the auction's delivery anew as each of its verifications saw it."""
    half_hours, found = 0, []
    ids = dict.fromkeys(run.verification_id for run in chain)
    verifications = DeliveryVerification.objects.in_bulk(list(ids))
    for verification_id in ids:
        again = recount(verification=verifications[verification_id])
        half_hours += again.rows_count
        if again.differing_count:
            found.append(
                Difference(
                    subject=f"{auction} {verifications[verification_id]}",
                    rule="half hours counted again",
                    first=f"{again.differing_count} differ",
                    second=f"of {again.rows_count}",
                )
            )
    return half_hours, found


def _closed(period: SettlementPeriod, run_ids: list[int]) -> tuple[int, list[Difference]]:
    """Round the totals once more, and hold them against the items of the latest close."""
    with transaction.atomic():
        bulk_limits_set()
        exact = totals_from_lines(run_ids=run_ids)
    house = house_of_market()
    close = close_items(exact, clearing=house.clearing, rounding=house.rounding)
    again = {(item.account, item.item): item.amount_jpy for item in close.items}
    latest = SettlementItem.objects.filter(period=period).order_by("-close_number").first()
    rows = SettlementItem.objects.filter(
        period=period, close_number=0 if latest is None else latest.close_number
    )
    stored = {(str(row.account_id), row.item): row.amount_jpy for row in rows}
    return len(again), list(_item_differences(period, again, stored))


def _item_differences(
    period: SettlementPeriod,
    again: dict[tuple[str, str], int],
    stored: dict[tuple[str, str], int],
) -> Iterator[Difference]:
    for key in sorted(again.keys() | stored.keys()):
        if again.get(key, 0) != stored.get(key, 0):
            yield Difference(
                subject=f"{period} account {key[0]} {key[1]}",
                rule="item computed again is item posted [JPY]",
                first=str(again.get(key, 0)),
                second=str(stored.get(key, 0)),
            )
