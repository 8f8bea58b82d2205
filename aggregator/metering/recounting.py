"""Count an auction's delivery once more, as it was seen by a verification, writing nothing."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from aggregator.metering.bulk import outcome_in_bulk
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import DeliveryVerification
from aggregator.metering.outcome_rows import differing
from aggregator.metering.outcomes import NothingPublished
from market.trading.models import Auction


@dataclass(frozen=True, kw_only=True)
class Recount:
    """How many half hours were counted, and how many came out otherwise."""

    rows_count: int
    differing_count: int


def recount(*, verification: DeliveryVerification) -> Recount:
    """Find baselines and deliveries anew from readings as they were known then, and compare.

    The whole auction is counted, from unlocked baselines; what a chain of corrections left
    standing after this verification is what it must come to.
    """
    auction = Auction.objects.select_related("ruleset").get(id=verification.auction_id)
    with transaction.atomic():
        bulk_limits_set()
        try:
            outcome = outcome_in_bulk(
                auction,
                stage=verification.stage,
                as_of=verification.as_of,
                use_locked=verification.corrects_id is not None,
                is_patient=verification.corrects_id is not None,
            )
        except NothingPublished:
            return Recount(rows_count=0, differing_count=0)
        changed = differing(outcome, verification)
        transaction.set_rollback(True)
    counts = [
        (len(part), len(other))
        for part, other in (
            (range(outcome.rows_count), range(changed.rows_count)),
            (outcome.stand_ins, changed.stand_ins),
            (outcome.checks, changed.checks),
            (outcome.assessments, changed.assessments),
        )
    ]
    return Recount(
        rows_count=sum(count for count, _ in counts),
        differing_count=sum(other for _, other in counts),
    )
