"""An auction that awarded nothing delivers nothing, and what it owes is settled all the same."""

from __future__ import annotations

import hashlib

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.jobs.services import job_create
from aggregator.metering.models import DeliveryVerification, VerificationStage
from aggregator.metering.selectors import verification_latest
from market.clearing.selectors import run_published_of
from market.trading.models import Auction

SETTLEMENT_JOB_KIND = "aggregator.settlement.run_execute"


@transaction.atomic
def nothing_verified(*, auction: Auction) -> DeliveryVerification | None:
    """Return the final verification, without a row, of an auction whose result awards nothing.

    Call it where a look at the auction found nothing to verify
    (:class:`~aggregator.metering.outcomes.NothingPublished`). Computing, envelopes, deviations
    and payment rules of such a result still move money: its settlement needs a verification to
    stand on, and is asked for in the same transaction.

    Returns
    -------
    DeliveryVerification or None
        The one that is there already, a new one, or None if there is no published result.
    """
    Auction.objects.select_for_update(of=("self",), no_key=True).get(id=auction.id)
    published = run_published_of(auction)
    if published is None:
        return None
    known = verification_latest(auction_id=auction.id, stage=VerificationStage.FINAL)
    if known is not None:
        return known
    verification = DeliveryVerification.objects.create(
        auction=auction,
        revision=1,
        stage=VerificationStage.FINAL,
        as_of=market_now(),
        ruleset=auction.ruleset,
        input_sha256=hashlib.sha256(f"nothing of {published.pk}".encode()).hexdigest(),
    )
    entry_append(
        action="metering.delivery.verified",
        subject=verification,
        detail={"auction": auction.code, "stage": VerificationStage.FINAL, "rows": 0},
    )
    job_create(
        kind=SETTLEMENT_JOB_KIND,
        key=f"{auction.id}:{verification.revision}",
        payload={"auction": str(auction.id)},
    )
    return verification
